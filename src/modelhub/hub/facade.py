"""`ModelHub`: the façade. It holds no logic of its own.

Importing it imports next to nothing else: whoever only needs the name (a type annotation, a command that ends before it
calls a model) does not wait for the runtime. That is imported when the hub is entered, in a thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from modelhub.rules.frames import hides_arguments

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from random import Random
    from types import TracebackType
    from typing import Self, Unpack

    from modelhub.credentials import CredentialStore
    from modelhub.hub.bound import BoundModel
    from modelhub.hub.calls import Calls
    from modelhub.hub.options import CallOptions, ChatOptions, Credentials, JSONFormat, StreamOptions, Target
    from modelhub.provider.middleware import Middleware, Sink
    from modelhub.rules.parameters import Policy
    from modelhub.runtime.stream import Stream
    from modelhub.types.deployments import DeploymentInfo
    from modelhub.types.events import AudioEvent, ChatEvent
    from modelhub.types.json import JSON
    from modelhub.types.messages import Messages
    from modelhub.types.plugins import ExtensionInfo, ProviderInfo, ValidationReport
    from modelhub.types.records import Progress
    from modelhub.types.requests import ChatRequest, InputType, Request, SpeechRequest
    from modelhub.types.results import (
        ChatResult,
        EmbedResult,
        ModerationResult,
        RerankResult,
        Result,
        SpeechResult,
        TranscriptionResult,
    )
    from modelhub.types.schema import ModelSchema, ModelType
    from modelhub.types.usage import TokenCount

__all__ = ["ModelHub"]

T = TypeVar("T")
R = TypeVar("R", bound="Result")


@final
class ModelHub:
    """Every AI model behind one object: ``async with ModelHub() as hub``.

    It belongs to the event loop it was entered in, and can be entered again after it was left.

    Args:
        config: Settings: a dict, a file, or ``None`` for the file that ``MODELHUB_CONFIG`` names, else
            ``modelhub.toml``.
        providers: Providers to register in code; they go before installed ones.
        cache_dir: Where plugins keep what they fetched.
        progress: Told how far long things have come, such as loading a model.
        policy: What becomes of a parameter that a model does not take so: ``strict``: an error; ``clamp``: the nearest
            value that it takes, else left out; ``drop``: left out. The result's warnings hold what was changed.
        store: Where credentials are kept, in place of the encrypted file that the settings name or the user has.
        middleware: What every call passes through, beside what is installed.
        sinks: What hears of every call, beside what is installed.
        clock: A monotonic clock, in seconds, for tests in virtual time: limits of time on the wire keep to the
            event loop's own.
        random: Decides between equals and spreads waits; a seeded one makes a test repeatable.

    Example:
        >>> async def main():
        ...     async with ModelHub() as hub:
        ...         reply = await hub.chat("local_model/smollm2-135m-instruct", "Hello")
        ...         print(reply.text)
    """

    __slots__ = ("_arguments", "_made")

    def __init__(
        self,
        config: Mapping[str, object] | Path | str | None = None,
        *,
        providers: Iterable[object] = (),
        cache_dir: Path | None = None,
        progress: Callable[[Progress], None] | None = None,
        policy: Policy | None = None,
        store: CredentialStore | None = None,
        middleware: Iterable[Middleware] = (),
        sinks: Iterable[Sink] = (),
        clock: Callable[[], float] | None = None,
        random: Random | None = None,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "config": config,
            "providers": tuple(providers),
            "cache_dir": cache_dir,
            "progress": progress,
            "policy": policy,
            "store": store,
            "middleware": tuple(middleware),
            "sinks": tuple(sinks),
            "clock": clock,
            "random": random,
        }
        self._made: Calls | None = None

    @property
    def _calls(self) -> Calls:
        if self._made is None:
            from modelhub.hub.calls import Calls  # noqa: PLC0415  see the module's docstring

            self._made = Calls(**self._arguments)
        return self._made

    @hides_arguments
    async def __aenter__(self) -> Self:
        """Read the settings and belong to this event loop.

        Raises:
            ConfigurationError: The settings cannot be used.
        """
        if self._made is None:
            from importlib import import_module  # noqa: PLC0415  see the module's docstring

            from anyio.to_thread import run_sync  # noqa: PLC0415

            await run_sync(import_module, "modelhub.hub.calls")
        await self._calls.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close every connection and session."""
        await self._calls.leave()

    @hides_arguments
    def bind(self, config: Target | Mapping[str, Any]) -> BoundModel:
        """Bind a model: ``"provider/model"``, several to try in order, or a dict.

        Args:
            config: The dict's keys are ``provider``, ``model``, ``credentials`` (flat values, a list of them that
                share the calls, or a function that returns such), ``parameters``, ``vendor``, ``timeout``, and
                ``tenant``: ``True`` where users of the application typed the credentials, so that a base URL among
                them may lead to public hosts alone.

        Raises:
            ConfigurationError: It cannot be bound; the message names the key.
        """
        return self._calls.bind(config)

    async def invoke(self, request: Request[R]) -> R:
        """Answer a request, all at once.

        Raises:
            ModelHubError: Classified; ``attempts`` says what was tried.
        """
        return await self._calls.invoked(request)

    @overload
    async def chat(
        self, model: Target, messages: Messages, *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> ChatResult[T]: ...
    @overload
    async def chat(
        self,
        model: Target,
        messages: Messages,
        *,
        response_format: JSONFormat,
        **options: Unpack[ChatOptions],
    ) -> ChatResult[JSON]: ...
    @overload
    async def chat(
        self,
        model: Target,
        messages: Messages,
        *,
        response_format: None = None,
        **options: Unpack[ChatOptions],
    ) -> ChatResult[None]: ...
    @hides_arguments
    async def chat(
        self, model: Target, messages: Messages, *, response_format: object = None, **options: Any
    ) -> ChatResult[Any]:
        """Continue a conversation.

        Args:
            model: ``"provider/model"``, or several to try in order.
            messages: A text, messages, or dicts in OpenAI's shape.
            response_format: The shape the answer must have: a type, a JSON Schema, or ``"json"``; then ``.output``
                has it.
            options: ``system``, ``tools``, ``tool_choice``, ``timeout`` (seconds), ``credentials``, ``vendor``, and the
                neutral parameters (`modelhub.types.parameters.ChatParameters`).

        Raises:
            BadRequest: Something cannot be sent; ``parameter`` names it.
            OutputInvalid: The answer does not have the shape asked for.
            ModelHubError: Classified; ``attempts`` says what was tried.
        """
        return await self.bind(model).chat(messages, response_format=response_format, **options)  # type: ignore[call-overload,no-any-return]

    @overload
    def stream(self, model: ChatRequest[T]) -> Stream[ChatEvent, ChatResult[T]]: ...
    @overload
    def stream(self, model: SpeechRequest) -> Stream[AudioEvent, SpeechResult]: ...
    @overload
    def stream(
        self, model: Target, messages: Messages, *, response_format: type[T], **options: Unpack[StreamOptions]
    ) -> Stream[ChatEvent, ChatResult[T]]: ...
    @overload
    def stream(
        self,
        model: Target,
        messages: Messages,
        *,
        response_format: JSONFormat,
        **options: Unpack[StreamOptions],
    ) -> Stream[ChatEvent, ChatResult[JSON]]: ...
    @overload
    def stream(
        self,
        model: Target,
        messages: Messages,
        *,
        response_format: None = None,
        **options: Unpack[StreamOptions],
    ) -> Stream[ChatEvent, ChatResult[None]]: ...
    def stream(
        self,
        model: Target | ChatRequest[Any] | SpeechRequest,
        messages: Messages = (),
        *,
        response_format: object = None,
        **options: Any,
    ) -> Stream[Any, Any]:
        """Answer in events: ``async with hub.stream(…) as stream: async for event in stream: …``.

        Entering waits for the first content, and raises every error before it; see `chat` for the arguments.
        ``on_interrupt`` says what becomes of an answer that breaks off after it; see `StreamOptions`.
        """
        return self._calls.stream(model, messages, response_format, options)

    @hides_arguments
    async def embed(
        self,
        model: Target,
        texts: str | Sequence[str],
        *,
        input_type: InputType | None = None,
        dimensions: int | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbedResult:
        """Turn texts into vectors, in their order; long lists are split into the provider's batches.

        Args:
            model: ``"provider/model"``, or several to try in order.
            texts: One text or several; none gives no vectors and makes no request.
            input_type: ``document`` or ``query``, for models that tell them apart.
            dimensions: Length of the vectors, for models that can shorten them.
            options: ``timeout``, ``credentials``, ``vendor``, ``progress``.

        Raises:
            ModelHubError: Classified; a failed batch fails the whole.
        """
        return await self.bind(model).embed(texts, input_type=input_type, dimensions=dimensions, **options)

    @hides_arguments
    async def rerank(
        self,
        model: Target,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        **options: Unpack[CallOptions],
    ) -> RerankResult:
        """Put documents in order of what they say about a query, best first.

        Raises:
            ModelHubError: Classified.
        """
        return await self.bind(model).rerank(query, documents, top_n=top_n, **options)

    @hides_arguments
    async def transcribe(
        self,
        model: Target,
        audio: bytes | str | Path,
        *,
        language: str | None = None,
        prompt: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TranscriptionResult:
        """Turn speech into text.

        Args:
            model: ``"provider/model"``, or several to try in order.
            audio: A recording's bytes, or the path of one.
            language: ISO 639-1 code of the language spoken.
            prompt: Words that help with names and spelling.
            options: ``timeout``, ``credentials``, ``vendor``, ``progress``.

        Raises:
            ModelHubError: Classified.
        """
        return await self.bind(model).transcribe(audio, language=language, prompt=prompt, **options)

    @hides_arguments
    async def speak(
        self,
        model: Target,
        text: str,
        *,
        voice: str | None = None,
        format: str | None = None,
        speed: float | None = None,
        **options: Unpack[CallOptions],
    ) -> SpeechResult:
        """Turn text into speech. ``hub.stream(SpeechRequest(…))`` gives it in pieces.

        Raises:
            ModelHubError: Classified.
        """
        return await self.bind(model).speak(text, voice=voice, format=format, speed=speed, **options)

    @hides_arguments
    async def moderate(self, model: Target, text: str, **options: Unpack[CallOptions]) -> ModerationResult:
        """Judge a text.

        Raises:
            ModelHubError: Classified.
        """
        return await self.bind(model).moderate(text, **options)

    @hides_arguments
    async def count_tokens(self, model: Target, messages: Messages, **options: Unpack[ChatOptions]) -> TokenCount:
        """Count the tokens of a conversation; ``estimated`` says whether it is an estimate.

        Raises:
            UnsupportedFeature: The provider cannot count.
        """
        return await self.bind(model).count_tokens(messages, **options)

    async def reload(self) -> None:
        """Read the settings and the store of credentials anew, as after a key was changed; no call is lost for it.

        Calls under way end as they began, with their connections. What is known of servers stays. Plugins, extensions,
        prices and what is shared with other processes are set up when the hub is entered, and stay as they are.

        Raises:
            ConfigurationError: The settings cannot be used; those of before stay.
        """
        await self._calls.reload()

    async def deployments(self) -> list[DeploymentInfo]:
        """Return every deployment that calls have named so far: whether it is ready, how busy it is, who waits."""
        return self._calls.deployment_infos()

    async def extensions(self) -> list[ExtensionInfo]:
        """Return every middleware and sink, installed or given in code, as it stands."""
        return await self._calls.extension_infos()

    async def providers(self, *, load: bool = False) -> list[ProviderInfo]:
        """Return every provider plugin as it stands, usable or not.

        Args:
            load: Whether to import their code, which tells which of them work; listing imports none.
        """
        return await self._calls.infos(load=load)

    @hides_arguments
    async def models(
        self,
        provider: str,
        model_type: ModelType | None = None,
        *,
        credentials: Credentials | None = None,
        refresh: bool = False,
    ) -> Sequence[ModelSchema]:
        """Return a provider's models, as the vendor lists them, with what the settings say of them.

        A list is remembered for five minutes, and used for a day more while the vendor does not answer.

        Args:
            provider: The provider's id.
            model_type: Only models of this type.
            credentials: Whose models; those configured, where it is left out.
            refresh: Whether to ask the vendor now, whatever is remembered.

        Raises:
            ModelHubError: They could not be listed.
        """
        return await self._calls.inquiries.listed(provider, model_type, credentials, refresh=refresh)

    async def info(self, model: str, model_type: ModelType | None = None) -> ModelSchema:
        """Return what a model is and takes: context size, features, parameter rules, price.

        Raises:
            ModelNotFound: The server does not have it.
            UnknownModel: The provider knows no such model.
        """
        return await self.bind(model).info(model_type)

    async def form(
        self, provider: str, model_type: ModelType | None = None, *, locale: str | Sequence[str] | None = None
    ) -> Mapping[str, JSON]:
        """Return a provider's credential form as JSON Schema, with what a web page needs to draw it.

        Args:
            provider: The provider's id.
            model_type: Ask for the form of a customizable model of this type.
            locale: The locale of its labels, or several, best first; by default they come in all they have.

        Raises:
            UnknownProvider: There is no such provider.
        """
        return await self._calls.inquiries.form(provider, model_type, locale)

    @hides_arguments
    async def validate(
        self,
        provider: str,
        credentials: Credentials | None = None,
        *,
        model: str | None = None,
        model_type: ModelType | None = None,
        credential: str | None = None,
    ) -> ValidationReport:
        """Check credentials in stages: the form, the vendor, and, where one is named, the model.

        Args:
            provider: The provider's id.
            credentials: Values of its form, over those configured.
            model: A model to check too.
            model_type: Its type, which forms may ask for; without it, the model may be of any.
            credential: The name of one that is configured or stored, in place of values; else the first is checked.

        Raises:
            UnknownProvider: There is no such provider.
            PluginError: Its plugin cannot be used.
        """
        return await self._calls.inquiries.validated(provider, credentials, model, model_type, credential)

    def operate(
        self, provider: str, name: str, /, *, credentials: Credentials | None = None, **arguments: JSON
    ) -> AsyncGenerator[Progress, None]:
        """Run one of a provider's operations, such as pulling a model, and yield how far it has come.

        Raises:
            ConfigurationError: There is no such operation, or it takes no such argument.
            ModelHubError: What it ended with.
        """
        return self._calls.inquiries.operated(provider, name, arguments, credentials)

    def __repr__(self) -> str:
        return f"<ModelHub: {self._made!r}>" if self._made is not None else "<ModelHub: not entered>"
