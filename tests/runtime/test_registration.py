"""Each mistake in a plugin is one line at load: hook, found, expected. What is right becomes callables."""

# ruff: noqa: ARG001  hooks take what the contract says

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from types import FunctionType, ModuleType
from typing import Any

import pytest

from modelhub.errors import AuthenticationFailed, ModelHubError, PluginError, QuotaExhausted, ServerError
from modelhub.hookspecs import CONTRACT, CONTRACTS, HOOKS, ProviderHooks
from modelhub.provider import (
    LargeLanguageModel,
    ModelProvider,
    ProviderContext,
    TextEmbeddingModel,
    TTSModel,
    hookimpl,
)
from modelhub.runtime.registration import bind, problems_of
from modelhub.types.requests import ChatRequest, EmbedRequest, SpeechRequest
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelSchema, ProviderSchema
from modelhub.wire.status import classify


def fresh(function: FunctionType) -> FunctionType:
    """Copy a function: marks are set on the function itself, and must not reach other tests."""
    copied = FunctionType(
        function.__code__, {"__name__": "acme"}, function.__name__, function.__defaults__, function.__closure__
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    return copied


def module(**attributes: object) -> ModuleType:
    """Make a module-shaped plugin; functions are marked, as if they were written there."""
    made = ModuleType("acme")
    for name, value in attributes.items():
        setattr(made, name, hookimpl(fresh(value)) if isinstance(value, FunctionType) else value)
    return made


def provider(base: type = ModelProvider, **attributes: object) -> object:
    """Make an instance of a provider class with these attributes."""
    own = {name: fresh(value) if isinstance(value, FunctionType) else value for name, value in attributes.items()}
    return type("Acme", (base,), own)()


async def coroutine(self: object) -> None:
    """A hook of the commonest colour."""


async def async_generator(self: object) -> AsyncIterator[int]:
    """A hook of the colour of streams."""
    yield 1


def generator(self: object) -> Iterator[int]:
    """A colour that no hook has."""
    yield 1


def function(self: object) -> None:
    """A hook of the plainest colour."""


def test_every_hook_is_declared_once() -> None:
    """The list of names and the specifications agree, and this core serves its own contract."""
    assert [name for name in vars(ProviderHooks) if hasattr(getattr(ProviderHooks, name), "modelhub_spec")] == [*HOOKS]
    assert CONTRACT in CONTRACTS


ASYNC = "it must be a coroutine (async def)"
STREAMED = "it must be an async generator (async def with yield)"


@pytest.mark.parametrize(
    ("name", "implementation", "problem"),
    [
        ("stream", coroutine, f"it is a coroutine; {STREAMED}"),
        ("stream", generator, f"it is a generator; {STREAMED}"),
        ("operate", coroutine, f"it is a coroutine; {STREAMED}"),
        ("invoke", function, f"it is a function; {ASYNC}"),
        ("invoke", async_generator, f"it is an async generator; {ASYNC}"),
        ("list_models", generator, f"it is a generator; {ASYNC}"),
        ("validate_provider_credentials", function, f"it is a function; {ASYNC}"),
        ("provider_schema", coroutine, "it is a coroutine; it must be a plain function"),
        ("open", coroutine, "it is a coroutine; it must be a function decorated with contextlib.asynccontextmanager"),
        (
            "open",
            async_generator,
            "it is an async generator; it must be a function decorated with contextlib.asynccontextmanager",
        ),
    ],
)
def test_a_hook_of_the_wrong_colour_says_which_is_right(
    name: str, implementation: Callable[..., Any], problem: str
) -> None:
    """A coroutine where a generator is meant would fail at the call, or not at all."""
    assert problems_of(provider(**{name: implementation})) == [f"hook {name}: {problem}"]


def test_an_argument_that_the_hook_does_not_have_says_which_was_meant() -> None:
    """Misspelt, unknown, or of a kind that cannot be filled by position."""

    async def misspelt(self: object, requst: object) -> None: ...
    async def unknown(self: object, request: object, loop: object) -> None: ...
    async def keyword_only(self: object, request: object, *, context: object) -> None: ...
    async def variadic(self: object, *request: object) -> None: ...
    async def positional(self: object, request: object, /) -> None: ...
    def schema(self: object, context: object) -> None: ...

    expected = {
        misspelt: "argument 'requst' is not one of the hook's; did you mean 'request'?",
        unknown: "argument 'loop' is not one of the hook's; it may take request, context",
        keyword_only: "argument 'context' is keyword-only; it must be an ordinary one",
        variadic: "argument 'request' is variadic positional; it must be an ordinary one",
        positional: "argument 'request' is positional-only; it must be an ordinary one",
    }
    for implementation, problem in expected.items():
        assert problems_of(provider(invoke=implementation)) == [f"hook invoke: {problem}"]
    assert problems_of(provider(provider_schema=schema)) == [
        "hook provider_schema: argument 'context' is not one of the hook's; it may take nothing"
    ]


def test_a_misspelt_hook_is_found_with_a_mark_and_without() -> None:
    """A marked one in any plugin; an unmarked one in a subclass of `ModelProvider`, which marks by name."""
    for name, meant in {
        "list_model": "list_models",
        "validate_provider_credential": "validate_provider_credentials",
        "streams": "stream",
        "count_token": "count_tokens",
        "Invoke": "invoke",
    }.items():
        line = f"hook {name}: there is no such hook; did you mean {meant!r}?"
        assert line in problems_of(module(**{name: coroutine}))
        assert problems_of(provider(**{name: coroutine})) == [line]
    assert problems_of(module(frobnicate=function))[0].startswith(
        "hook frobnicate: there is no such hook; hooks are provider_schema, "
    )


@pytest.mark.parametrize("name", ["_stream", "helper", "opened", "list_voices", "stream_options", "models_page"])
def test_an_authors_own_methods_are_no_hooks(name: str) -> None:
    """Private names, and names that are not all but a hook's."""
    assert problems_of(provider(**{name: function})) == []


def test_a_hook_without_its_mark_is_reported() -> None:
    """The plugin engine would drop it without a word."""
    line = "hook invoke: it lacks its mark; put @modelhub.provider.hookimpl above it"

    async def invoke(request: object) -> None: ...

    made = module(list_models=hookimpl(lambda: None))
    invoke.__module__ = "acme"
    made.invoke = invoke  # type: ignore[attr-defined]
    assert line in problems_of(made)

    class Plain:
        async def invoke(self, request: object) -> None: ...

        @hookimpl
        async def count_tokens(self) -> None: ...

    assert problems_of(Plain()) == [line]


def test_what_a_module_merely_imported_is_not_its_own() -> None:
    """Neither a function that is called as a hook is, nor one that is called `classify`, nor a submodule `auth`."""
    made = module(invoke=_invoke_of_a_module())
    made.open = open  # type: ignore[attr-defined]
    made.stream = async_generator  # type: ignore[attr-defined]
    made.classify = classify  # type: ignore[attr-defined]
    made.auth = ModuleType("acme.auth")  # type: ignore[attr-defined]
    made.error_codes = ModuleType("acme.error_codes")  # type: ignore[attr-defined]
    assert problems_of(made) == []
    bound = bind("acme", made)
    assert bound.auth == {}
    assert isinstance(bound.classify(500, {}, b""), ServerError)


def _invoke_of_a_module() -> Callable[..., Any]:
    async def invoke(request: object) -> None: ...

    return invoke


def test_a_class_where_an_instance_is_meant() -> None:
    """The plugin engine would take it, and fail when it is called."""

    class Plain:
        @hookimpl
        async def invoke(self, request: object) -> None: ...

    hint = "make it a subclass of modelhub.provider.ModelProvider, or name an instance"
    assert problems_of(Plain) == [f"Plain is a class where an instance is meant: {hint}"]
    assert problems_of(Plain()) == []


@pytest.mark.parametrize("plugin", [object(), 1, "text", None, lambda: None, ModuleType("empty")])
def test_an_object_without_hooks_is_no_plugin(plugin: object) -> None:
    """Whatever it is."""
    assert problems_of(plugin) == [
        "it implements no hook: mark functions with modelhub.provider.hookimpl, or subclass ModelProvider"
    ]


def test_a_wrapper_is_refused() -> None:
    """There is nothing to wrap: every provider has its own hooks."""

    class Plain:
        @hookimpl(wrapper=True)
        def provider_schema(self) -> Iterator[None]:
            yield

    assert problems_of(Plain()) == ["hook provider_schema: it is a wrapper; a provider's hook answers by itself"]


def test_all_mistakes_are_reported_at_once() -> None:
    """One line each, joined to one line."""
    plugin = provider(invoke=function, stream=coroutine, list_model=coroutine, auth={"X": "{"}, error_codes={"a": int})
    with pytest.raises(PluginError) as caught:
        bind("acme", plugin)
    assert "\n" not in caught.value.message
    assert caught.value.message.count("hook ") == 3
    assert "auth: header 'X'" in caught.value.message
    assert "error_codes must map" in caught.value.message


@pytest.mark.parametrize("auth", [("Authorization", "x"), {"Authorization": 1}, {1: "x"}, "Bearer {key}"])
def test_auth_must_be_headers(auth: object) -> None:
    """Names and templates, both texts."""
    assert problems_of(provider(auth=auth)) == ["auth must map names of headers to templates"]


@pytest.mark.parametrize("codes", [{"x": 1}, {"x": ValueError}, {"x": QuotaExhausted("made")}, [QuotaExhausted], 3])
def test_error_codes_must_be_classes_of_ours(codes: object) -> None:
    """What they map to is raised."""
    assert problems_of(provider(error_codes=codes)) == [
        "error_codes must map the vendor's codes to classes of modelhub.errors"
    ]


@pytest.mark.parametrize("codes", [{}, {"x": QuotaExhausted}, {7: AuthenticationFailed}])
def test_error_codes_of_ours_are_taken(codes: object) -> None:
    """Whatever the vendor's codes are."""
    assert problems_of(provider(error_codes=codes)) == []


def test_a_model_class_must_fit_its_place() -> None:
    """Found when the provider is made, with what was found and what was expected."""

    class Speaker(TTSModel):
        pass

    for attribute, given, message in (
        ("llm", Speaker, "llm is Speaker: it must be a class for models of type llm"),
        ("llm", Speaker(), "llm is a Speaker: it must be a class for models of type llm"),
        ("text_embedding", LargeLanguageModel, "text_embedding is LargeLanguageModel: it must be a class for models"),
        ("tts", "Speaker", "tts is a str: it must be a class for models of type tts"),
    ):
        with pytest.raises(PluginError) as caught:
            provider(**{attribute: given})
        assert caught.value.message.startswith(message)


def test_a_mixins_hooks_are_marked_too() -> None:
    """As are class methods, static methods and what is no method at all."""

    class Mixin:
        async def list_models(self, context: object) -> list[ModelSchema]:
            return [ModelSchema("mixed")]

    @asynccontextmanager
    async def session(context: object) -> AsyncIterator[str]:
        yield "open"

    class Acme(Mixin, ModelProvider):
        open = staticmethod(session)

        @classmethod
        async def describe_model(cls, model: str) -> ModelSchema:
            return ModelSchema(model)

    bound = bind("acme", Acme())
    assert bound.list_models is not None
    assert bound.describe_model is not None
    assert bound.open is not None
    assert bound.operate is None


CONTEXT: Any = object()
CHAT: Any = ChatRequest(model="m")


@pytest.mark.anyio
async def test_a_hook_may_take_fewer_arguments_in_any_order() -> None:
    """It is given those it names, by position or with a default."""
    seen: list[tuple[object, ...]] = []

    async def invoke(context: object) -> str:
        seen.append((context,))
        return "answer"

    async def count_tokens(context: object, request: object) -> None:
        seen.append((context, request))

    async def describe_model(context: object = None, model: str = "?") -> None:
        seen.append((context, model))

    async def list_models() -> list[ModelSchema]:
        seen.append(())
        return []

    bound = bind(
        "acme",
        module(invoke=invoke, count_tokens=count_tokens, describe_model=describe_model, list_models=list_models),
    )
    answer: Any = await bound.invoke(CHAT, CONTEXT)
    assert answer == "answer"
    assert bound.count_tokens is not None
    assert bound.describe_model is not None
    assert bound.list_models is not None
    await bound.count_tokens(CHAT, CONTEXT)
    await bound.describe_model("m", "llm", CONTEXT)  # type: ignore[arg-type]
    await bound.list_models(CONTEXT)
    assert seen == [(CONTEXT,), (CONTEXT, CHAT), (CONTEXT, "m"), ()]


@pytest.mark.anyio
async def test_a_generator_hook_is_called_unstarted() -> None:
    """An async generator with fewer arguments, and a plain function that returns one."""

    async def stream(request: object) -> AsyncGenerator[object, None]:
        yield request

    def operate(name: str) -> AsyncGenerator[object, None]:
        return stream(name)

    bound = bind("acme", module(stream=stream, operate=operate))
    assert [event async for event in bound.stream(CHAT, CONTEXT)] == [CHAT]
    assert bound.operate is not None
    assert [report async for report in bound.operate("pull", {}, CONTEXT)] == ["pull"]


def test_a_mark_may_name_the_hook() -> None:
    """As the plugin engine allows."""

    class Plain:
        @hookimpl(specname="provider_schema")
        def told(self) -> ProviderSchema:
            return ProviderSchema("named")

        @hookimpl(specname="list_model")
        async def misspelt(self) -> None: ...

    assert problems_of(Plain()) == ["hook list_model: there is no such hook; did you mean 'list_models'?"]
    del Plain.misspelt
    bound = bind("plain", Plain())
    assert bound.provider_schema is not None
    assert bound.provider_schema() == ProviderSchema("named")


def test_a_missing_hook_says_so_when_it_is_called() -> None:
    """What must answer is named, and the provider."""
    bound = bind("acme", module(provider_schema=lambda: None))
    for call in (bound.invoke, bound.stream):
        with pytest.raises(PluginError, match="the plugin of provider 'acme' does not implement the hook"):
            call(CHAT, CONTEXT)
    assert repr(bound) == "<provider acme>"


def test_a_plugins_own_classification_goes_first() -> None:
    """What it returns that is no error of ours is left to the core's tables."""

    class Acme(ModelProvider):
        error_codes = {"no_credit": QuotaExhausted}  # noqa: RUF012  as an author writes it

        def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
            if headers.get("x-acme") == "signed-out":
                return AuthenticationFailed("signed out")
            return super().classify(status, headers, body)

    bound = bind("acme", Acme())
    assert isinstance(bound.classify(400, {"x-acme": "signed-out"}, b""), AuthenticationFailed)
    assert isinstance(bound.classify(400, {}, b'{"error": {"code": "no_credit"}}'), QuotaExhausted)
    assert isinstance(bound.classify(500, {}, b""), ServerError)


def test_a_modules_own_classification_counts() -> None:
    """As do its codes and its headers."""

    def own(status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError | None:
        return AuthenticationFailed("signed out") if status == 418 else None

    own.__module__ = "acme"
    made = module(invoke=_invoke_of_a_module(), auth={"X-Key": "{key}"}, error_codes={"no_credit": QuotaExhausted})
    made.classify = own  # type: ignore[attr-defined]
    bound = bind("acme", made)
    assert bound.auth == {"X-Key": "{key}"}
    assert isinstance(bound.classify(418, {}, b""), AuthenticationFailed)
    assert isinstance(bound.classify(400, {}, b'{"error": {"code": "no_credit"}}'), QuotaExhausted)


def test_what_models_say_of_themselves_is_known() -> None:
    """Batch sizes, media types, and whether they keep the limits of time."""

    class Talker(LargeLanguageModel):
        async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
            raise NotImplementedError

    class Embedder(TextEmbeddingModel):
        max_batch = 7
        times_itself = True

    class Speaker(TTSModel):
        pass

    bound = bind("acme", provider(llm=Talker, text_embedding=Embedder, tts=Speaker))
    assert bound.batch_size() == 7
    assert bound.times_itself(EmbedRequest()) is True
    assert bound.times_itself(CHAT) is False
    assert bound.speech_type(SpeechRequest(format="mp3")) == "audio/mp3"
    plain = bind("plain", module(invoke=_invoke_of_a_module()))
    assert (plain.batch_size(), plain.times_itself(CHAT), plain.speech_type(SpeechRequest())) == (
        64,
        False,
        "audio/wav",
    )
