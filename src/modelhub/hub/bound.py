"""A model bound to a hub: the hub's verbs without the model's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final, overload

from modelhub.hub.asked import Asked, Binding, audio_of, chat_asked, other_asked
from modelhub.rules.frames import hides_arguments
from modelhub.types.requests import (
    EmbedRequest,
    InputType,
    ModerationRequest,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Unpack

    from modelhub.hub.calls import Calls
    from modelhub.hub.options import CallOptions, ChatOptions, JSONFormat, StreamOptions
    from modelhub.runtime.stream import Stream
    from modelhub.types.events import ChatEvent
    from modelhub.types.json import JSON
    from modelhub.types.messages import Messages
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

__all__ = ["BoundModel"]

R = TypeVar("R", bound="Result")
T = TypeVar("T")


@final
class BoundModel:
    """A model with its credentials and parameters; made by ``hub.bind``."""

    __slots__ = ("_binding", "_calls")

    def __init__(self, calls: Calls, binding: Binding) -> None:
        self._calls = calls
        self._binding = binding

    @overload
    async def chat(
        self, messages: Messages, *, response_format: type[T], **options: Unpack[ChatOptions]
    ) -> ChatResult[T]: ...
    @overload
    async def chat(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[ChatOptions]
    ) -> ChatResult[JSON]: ...
    @overload
    async def chat(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[ChatOptions]
    ) -> ChatResult[None]: ...
    @hides_arguments
    async def chat(self, messages: Messages, *, response_format: object = None, **options: Any) -> ChatResult[Any]:
        """Continue a conversation; see `ModelHub.chat`."""
        result: ChatResult[Any] = await self._calls.answered(
            await chat_asked(self._binding, messages, response_format, options)
        )
        return result

    @overload
    def stream(
        self, messages: Messages, *, response_format: type[T], **options: Unpack[StreamOptions]
    ) -> Stream[ChatEvent, ChatResult[T]]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: JSONFormat, **options: Unpack[StreamOptions]
    ) -> Stream[ChatEvent, ChatResult[JSON]]: ...
    @overload
    def stream(
        self, messages: Messages, *, response_format: None = None, **options: Unpack[StreamOptions]
    ) -> Stream[ChatEvent, ChatResult[None]]: ...
    def stream(
        self, messages: Messages, *, response_format: object = None, **options: Any
    ) -> Stream[ChatEvent, ChatResult[Any]]:
        """Continue a conversation, in events; see `ModelHub.stream`."""
        return self._calls.conversation(self._binding, messages, response_format, options)

    @hides_arguments
    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        input_type: InputType | None = None,
        dimensions: int | None = None,
        **options: Unpack[CallOptions],
    ) -> EmbedResult:
        """Turn texts into vectors; see `ModelHub.embed`."""
        request = EmbedRequest(texts=texts, input_type=input_type, dimensions=dimensions)
        return await self._calls.answered(self._asked(request, options))

    @hides_arguments
    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        **options: Unpack[CallOptions],
    ) -> RerankResult:
        """Put documents in order; see `ModelHub.rerank`."""
        request = RerankRequest(query=query, documents=documents, top_n=top_n)
        return await self._calls.answered(self._asked(request, options))

    @hides_arguments
    async def transcribe(
        self,
        audio: bytes | str | Path,
        *,
        language: str | None = None,
        prompt: str | None = None,
        **options: Unpack[CallOptions],
    ) -> TranscriptionResult:
        """Turn speech into text; see `ModelHub.transcribe`."""
        data, filename = await audio_of(audio)
        request = TranscriptionRequest(audio=data, filename=filename, language=language, prompt=prompt)
        return await self._calls.answered(self._asked(request, options))

    @hides_arguments
    async def speak(
        self,
        text: str,
        *,
        voice: str | None = None,
        format: str | None = None,
        speed: float | None = None,
        **options: Unpack[CallOptions],
    ) -> SpeechResult:
        """Turn text into speech; see `ModelHub.speak`."""
        request = SpeechRequest(text=text, voice=voice, format=format, speed=speed)
        return await self._calls.answered(self._asked(request, options))

    @hides_arguments
    async def moderate(self, text: str, **options: Unpack[CallOptions]) -> ModerationResult:
        """Judge a text; see `ModelHub.moderate`."""
        return await self._calls.answered(self._asked(ModerationRequest(text=text), options))

    @hides_arguments
    async def count_tokens(self, messages: Messages, **options: Unpack[ChatOptions]) -> TokenCount:
        """Count the tokens of a conversation; see `ModelHub.count_tokens`."""
        return await self._calls.counted(await chat_asked(self._binding, messages, None, options))

    async def info(self, model_type: ModelType | None = None) -> ModelSchema:
        """Return what the model is and takes; see `ModelHub.info`."""
        return await self._calls.inquiries.described(self._binding, model_type)

    def _asked(self, request: Request[R], options: CallOptions) -> Asked[R]:
        return other_asked(self._binding, request, options)

    def __repr__(self) -> str:
        credentials = self._binding.credentials
        more = f" with {len(credentials.sources)} credentials" if credentials is not None else ""
        return f"<BoundModel {' → '.join(self._binding.targets)}{more}>"
