"""One path for every whole answer: what is tried in which order, what comes out, what is left behind."""

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub import ModelHub, ModelType, ProviderSchema
from modelhub.configuration.settings import PluginSettings, Settings
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ContextLengthExceeded,
    CredentialsInvalid,
    MalformedResponse,
    ModelHubError,
    NoDeploymentAvailable,
    Overloaded,
    PluginError,
    ServerError,
    StreamInterrupted,
    Timeout,
    UnknownProvider,
)
from modelhub.provider import ModelProvider, ProviderContext, TextEmbeddingModel, hookimpl
from modelhub.runtime.answers import invoked
from modelhub.runtime.call import Call
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.plugins import PluginRegistry
from modelhub.runtime.server import Server
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.messages import AssistantMessage
from modelhub.types.pricing import Pricing
from modelhub.types.requests import ChatRequest, EmbedRequest, Request
from modelhub.types.results import ChatResult, EmbedResult, ModerationResult
from modelhub.types.schema import ModelSchema
from modelhub.types.usage import Usage

pytestmark = pytest.mark.anyio

ONCE = {"routing": {"retries": 0}}
"""The settings of a hub that tries a call once, for what is not about trying again and would wait for it."""

ONCE: dict[str, Any] = {"routing": {"pick": "priority", "retries": 0}}
WHOLE = ChatResult(message=AssistantMessage("ok"), finish_reason=FinishReason.STOP, usage=Usage(3, 7), output=None)


class Custom:
    """A provider whose every call does what the test says."""

    def __init__(self, invoke: Callable[[Any, ProviderContext], Awaitable[Any]], id: str = "custom") -> None:
        self.id = id
        self.run = invoke

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve all types; a key may be given."""
        return ProviderSchema(
            self.id,
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema((FormField("api_key", "secret-input", required=False),)),
        )

    @hookimpl
    async def describe_model(self, model: str, model_type: ModelType) -> ModelSchema:
        """Say what a model costs."""
        return ModelSchema(model, model_type, pricing=Pricing(Decimal(1), Decimal(2)))

    @hookimpl
    async def invoke(self, request: Request[Any], context: ProviderContext) -> Any:
        """Do it."""
        return await self.run(request, context)


def raising(error: BaseException) -> Callable[[Any, ProviderContext], Awaitable[Any]]:
    """Return a call that fails."""

    async def invoke(*_: object) -> Any:
        raise error

    return invoke


async def answering(*_: object) -> Any:
    """Answer."""
    return WHOLE


async def test_models_are_tried_in_order() -> None:
    """The first that answers answers; the result says what failed before it, and how long each took."""
    first, second, third = (ScriptedProvider(line, id=name) for name, line in zip("abc", FAILS_ONCE, strict=True))
    async with ModelHub(providers=[first, second, third]) as hub:
        reply = await hub.chat(["a/m", "b/m", "c/m"], "Hi")
    assert reply.text == "third"
    assert reply.model == "c/m"
    assert [(each.deployment, each.error) for each in reply.attempts] == [
        ("a/m", "Overloaded"),
        ("b/m", "ConnectFailed"),
        ("c/m", None),
    ]
    assert all(each.seconds >= 0 for each in reply.attempts)


FAILS_ONCE: tuple[Any, ...] = (Overloaded("busy"), ConnectFailed("gone"), "third")


async def test_the_last_error_is_raised_with_everything_tried() -> None:
    """Whose it is, and what went before it."""
    providers = [ScriptedProvider(Overloaded("busy"), id="a"), ScriptedProvider(ServerError("broke"), id="b")]
    async with ModelHub(ONCE, providers=providers) as hub:
        with pytest.raises(ServerError, match="b/m: broke") as caught:
            await hub.chat(["a/m", "b/m"], "Hi")
    error = caught.value
    assert (error.provider, error.model, error.deployment) == ("b", "m", "b/m")
    assert [(each.deployment, each.error) for each in error.attempts] == [("a/m", "Overloaded"), ("b/m", "ServerError")]


async def test_results_name_provider_and_model_in_one_word_and_errors_apart() -> None:
    """Streams too, and what they had received."""
    provider = ScriptedProvider("well", [TextDelta(0, "half")], ServerError("broke"))
    async with ModelHub(ONCE, providers=[provider]) as hub:
        assert (await hub.chat("scripted/m", "Hi")).model == "scripted/m"
        async with hub.stream("scripted/m", "Hi") as stream:
            with pytest.raises(StreamInterrupted) as interrupted:
                [event async for event in stream]
        assert interrupted.value.partial is not None
        assert interrupted.value.partial.model == "scripted/m"
        with pytest.raises(ServerError) as failed:
            await hub.chat("scripted/m", "Hi")
    for error in (interrupted.value, failed.value):
        assert (error.provider, error.model, error.deployment) == ("scripted", "m", "scripted/m")


async def test_a_call_without_a_deployment_has_nothing_to_try(tmp_path: Path) -> None:
    """Which is an error of its own, and no loop that ends in nothing."""
    runtime = Runtime(PluginRegistry(PluginSettings()), Settings(), cache_dir=tmp_path, progress=None)
    call = Call(ChatRequest[None](), runtime.balancer.route("nothing", []), None, "strict")
    with pytest.raises(NoDeploymentAvailable):
        await invoked(Server(runtime, Catalogue(runtime.registry)), call)


async def test_a_wrong_request_is_wrong_everywhere() -> None:
    """Nothing is tried after an error that trying on cannot mend."""
    second = ScriptedProvider("never", id="b")
    async with ModelHub(providers=[ScriptedProvider(BadRequest("no"), id="a"), second]) as hub:
        with pytest.raises(BadRequest):
            await hub.chat(["a/m", "b/m"], "Hi")
    assert second.requests == []


async def test_a_longer_prompt_goes_to_another_model() -> None:
    """A prompt too long for one model may fit another of the same provider."""
    scripted = ScriptedProvider(ContextLengthExceeded("too long"), "fits")
    async with ModelHub(providers=[scripted]) as hub:
        reply = await hub.chat(["scripted/small", "scripted/large"], "Hi")
    assert (reply.text, reply.model) == ("fits", "scripted/large")


async def test_a_refused_key_is_tried_once() -> None:
    """Every credential is tried with the first model; a key that was refused is not tried with the next."""
    seen: list[tuple[str, str]] = []

    async def invoke(request: ChatRequest[Any], context: ProviderContext) -> Any:
        seen.append((request.name, context.credential.secret("api_key").reveal()))
        raise AuthenticationFailed("refused")

    async with ModelHub(ONCE, providers=[Custom(invoke)]) as hub:
        with pytest.raises(AuthenticationFailed):
            await hub.chat(["custom/m", "custom/n"], "Hi", credentials=[{"api_key": "key-a"}, {"api_key": "key-b"}])
    assert seen == [("m", "key-a"), ("m", "key-b")]


async def test_a_key_is_given_to_its_provider_only() -> None:
    """Credentials of a call are the first model's provider's: no other provider of the call sees them."""
    seen: list[str] = []

    async def invoke(_: object, context: ProviderContext) -> Any:
        seen.append(context.credential.secret("api_key").reveal())
        raise Overloaded("busy")

    providers = [Custom(invoke, "a"), Custom(invoke, "b")]
    config = {"credentials": {"b": {"api_key": "key-of-b"}}}
    async with ModelHub({**ONCE, **config}, providers=providers) as hub:
        with pytest.raises(Overloaded):
            await hub.chat(["a/m", "b/m"], "Hi", credentials={"api_key": "key-of-a"})
    assert seen == ["key-of-a", "key-of-b"]


async def test_what_cannot_even_be_tried_is_said() -> None:
    """A misspelt provider or a credential that is not filled in does not vanish from a list of fallbacks."""
    config = {"credentials": {"custom": [{"api_kee": "x"}, {"api_key": "y"}]}}
    async with ModelHub(config, providers=[Custom(answering)]) as hub:
        reply = await hub.chat(["custon/m", "custom/m"], "Hi")
        with pytest.raises(UnknownProvider, match="custom"):
            await hub.chat("custon/m", "Hi")
        with pytest.raises(CredentialsInvalid):
            await hub.chat("custom/m", "Hi", credentials={"api_kee": "x"})
    assert [(each.deployment, each.error) for each in reply.attempts] == [
        ("custon/m", "UnknownProvider"),
        ("custom/m#0", "CredentialsInvalid"),
        ("custom/m#1", None),
    ]


@pytest.mark.parametrize(
    "error",
    [
        KeyError("choices"),
        RuntimeError("bug"),
        TimeoutError("slow"),
        OSError(5, "io"),
        StopAsyncIteration(),
        ValueError,
    ],
)
async def test_what_a_plugin_raises_of_its_own_is_its_own(error: Any) -> None:
    """Wrapped with its cause, blamed on the plugin's author, and the next model is tried."""
    error = error() if isinstance(error, type) else error
    async with ModelHub(providers=[Custom(raising(error)), ScriptedProvider("ok")]) as hub:
        with pytest.raises(PluginError, match=type(error).__name__) as caught:
            await hub.chat("custom/m", "Hi")
        assert (await hub.chat(["custom/m", "scripted/m"], "Hi")).text == "ok"
    assert caught.value.__cause__ is error
    assert "'custom'" in (caught.value.remedy or "")
    assert caught.value.scope == "local"


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_a_lone_failure_of_a_task_group_comes_out_bare(depth: int) -> None:
    """However many groups are around it."""
    error: Exception = Overloaded("busy")
    for _ in range(depth):
        error = ExceptionGroup("group", [error])
    async with ModelHub(ONCE, providers=[Custom(raising(error))]) as hub:
        with pytest.raises(Overloaded):
            await hub.chat("custom/m", "Hi")


async def test_of_several_failures_the_first_counts() -> None:
    """What the others failed with is what the first one's failure did to them."""
    error = ExceptionGroup("group", [ServerError("first"), KeyError("second")])
    async with ModelHub(ONCE, providers=[Custom(raising(error))]) as hub:
        with pytest.raises(ServerError, match="first"):
            await hub.chat("custom/m", "Hi")


class Stop(BaseException):
    """What is no `Exception`, as an interrupt is none."""


async def test_what_is_no_exception_is_not_ours_to_catch() -> None:
    """An interrupt of the program passes through untouched, and nothing more is tried."""
    second = ScriptedProvider("never", id="b")
    async with ModelHub(providers=[Custom(raising(Stop()), "a"), second]) as hub:
        with pytest.raises(Stop):
            await hub.chat(["a/m", "b/m"], "Hi")
    assert second.requests == []


async def test_cancellation_is_never_swallowed() -> None:
    """It is not taken for a failure of the first model: the second one is not asked."""

    async def invoke(*_: object) -> Any:
        await anyio.sleep_forever()

    second = ScriptedProvider("never", id="b")
    async with ModelHub(providers=[Custom(invoke, "a"), second]) as hub:
        with anyio.move_on_after(0.05) as scope:
            await hub.chat(["a/m", "b/m"], "Hi")
    assert scope.cancelled_caught
    assert second.requests == []


async def test_a_plugin_that_minds_no_deadline_is_stopped() -> None:
    """The caller's own limit of time holds for any plugin, is named as such, and is not tried again."""

    async def invoke(_: object, context: ProviderContext) -> Any:
        assert context.deadline is not None
        await anyio.sleep_forever()

    second = ScriptedProvider("never", id="b")
    async with ModelHub(providers=[Custom(invoke, "a"), second]) as hub:
        with pytest.raises(Timeout, match=r"0\.05 s") as caught:
            await hub.chat(["a/m", "b/m"], "Hi", timeout=0.05)
    assert caught.value.phase == "total"
    assert second.requests == []


async def test_a_deadline_ends_the_trying() -> None:
    """No model is tried after it, even where the failure before it was not its own."""

    async def invoke(*_: object) -> Any:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.1)
        raise Overloaded("busy")

    second = ScriptedProvider("never", id="b")
    async with ModelHub(providers=[Custom(invoke, "a"), second]) as hub:
        with pytest.raises((Overloaded, Timeout)):
            await hub.chat(["a/m", "b/m"], "Hi", timeout=0.05)
    assert second.requests == []


@pytest.mark.parametrize("answer", [None, "text", {"text": "x"}, ModerationResult(flagged=True)])
async def test_a_plugin_must_answer_what_it_was_asked(answer: Any) -> None:
    """Something else is the plugin's mistake, and is named."""

    async def invoke(*_: object) -> Any:
        return answer

    async with ModelHub(providers=[Custom(invoke)]) as hub:
        with pytest.raises(PluginError, match=type(answer).__name__) as caught:
            await hub.chat("custom/m", "Hi")
    assert "ChatResult" in (caught.value.remedy or "")


async def test_a_result_is_completed() -> None:
    """Model, id, price and time are the hub's to add; what the vendor said stays."""
    async with ModelHub(providers=[Custom(answering)]) as hub:
        replies = [await hub.chat("custom/m", "Hi") for _ in range(2)]
    assert replies[0].model == "custom/m"
    assert replies[0].usage == Usage(3, 7)
    assert replies[0].cost is not None
    assert replies[0].cost.total == Decimal("0.000017")
    assert replies[0].timing is not None
    assert replies[0].timing.total is not None
    assert replies[0].id != replies[1].id
    assert replies[0].output is None


async def test_calls_of_two_processes_have_different_ids() -> None:
    """Tool calls are named after them, and a conversation may go on in another process."""

    async def invoke(request: ChatRequest[Any], _: object) -> Any:
        return ChatResult(id=request.id, message=AssistantMessage("ok"), finish_reason=FinishReason.STOP, output=None)

    async with ModelHub(providers=[Custom(invoke)]) as hub:
        ids = [(await hub.chat("custom/m", "Hi")).id for _ in range(100)]
    assert len(set(ids)) == 100
    assert all(len(id) > 16 for id in ids), "a counter would begin anew in every process"


async def test_a_key_that_a_plugin_repeats_is_taken_out() -> None:
    """Its own exceptions as well as ours, message, remedy and excerpt."""
    error = ServerError("key-secret-1 failed", remedy="replace key-secret-1", excerpt="key-secret-1")
    for raised in (error, KeyError("key-secret-1")):
        async with ModelHub(ONCE, providers=[Custom(raising(raised))]) as hub:
            with pytest.raises(ModelHubError) as caught:
                await hub.chat("custom/m", "Hi", credentials={"api_key": "key-secret-1"})
        shown = f"{caught.value} {caught.value!r} {caught.value.args} {caught.value.remedy} {caught.value.excerpt}"
        assert "key-secret-1" not in shown
        assert "***" in shown


class Vectors(TextEmbeddingModel):
    """Embeds a number as itself; later batches answer sooner."""

    max_batch = 3
    running = 0
    most = 0
    batches: list[Any]

    async def invoke(self, request: EmbedRequest, context: ProviderContext) -> EmbedResult:
        """Answer out of order, and remember how many ran at once."""
        kind = type(self)
        kind.running += 1
        kind.most = max(kind.most, kind.running)
        kind.batches.append(request.texts)
        try:
            await anyio.sleep(0.03 if kind.running == 1 else 0.01)
            if "bad" in request.texts:
                raise ServerError(f"batch of {request.texts[0]} failed")
            return EmbedResult(vectors=[[float(text)] for text in request.texts], usage=Usage(len(request.texts), 0))
        finally:
            kind.running -= 1


class VectorProvider(ModelProvider):
    """Serves `Vectors`."""

    text_embedding = Vectors
    chunks: int | None = None

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        types, methods = (ModelType.TEXT_EMBEDDING,), ("customizable-model",)
        return ProviderSchema("vectors", supported_model_types=types, configurate_methods=methods)

    async def describe_model(self, model: str, model_type: ModelType) -> ModelSchema:
        """Say how many texts go into one request, where that is asked for."""
        Vectors.batches.append("described")
        return ModelSchema(
            model, model_type, model_properties={} if self.chunks is None else {"max_chunks": self.chunks}
        )


class SmallBatches(VectorProvider):
    """A model with a limit of its own."""

    chunks = 2


@pytest.fixture
def vectors() -> Iterator[type[Vectors]]:
    """Give the model with nothing counted yet."""
    Vectors.running = Vectors.most = 0
    Vectors.batches = []
    yield Vectors
    assert Vectors.running == 0


@pytest.mark.parametrize(("provider", "size"), [(VectorProvider, 3), (SmallBatches, 2)])
async def test_texts_are_embedded_in_batches_and_in_order(
    vectors: type[Vectors], provider: type[VectorProvider], size: int
) -> None:
    """Whatever order the batches are answered in; several at once, but not all; usages added."""
    async with ModelHub(providers=[provider]) as hub:
        result = await hub.embed("vectors/m", [str(number) for number in range(23)])
    assert result.vectors == [[float(number)] for number in range(23)]
    assert result.usage == Usage(23, 0, requests=-(-23 // size))
    sizes = [len(batch) for batch in vectors.batches if batch != "described"]
    assert max(sizes) == size
    assert sum(sizes) == 23
    assert 1 < vectors.most <= 4
    assert len(result.attempts) == 1


@pytest.mark.parametrize("bad", [[1], [59], [1, 4, 7, 10], list(range(60))])
async def test_a_batch_that_fails_fails_the_whole(vectors: type[Vectors], bad: list[int]) -> None:
    """With the error of the first that failed, bare, however many fail at once; the rest is not sent."""
    texts = ["bad" if number in bad else str(number) for number in range(60)]
    async with ModelHub(ONCE, providers=[VectorProvider]) as hub:
        with pytest.raises(ServerError, match="failed") as caught:
            await hub.embed("vectors/m", texts)
    assert caught.value.attempts[-1].error == "ServerError"
    assert len(vectors.batches) < 40 or bad == [59]


async def test_batches_stop_when_the_caller_does(vectors: type[Vectors]) -> None:
    """Cancellation reaches every batch."""
    async with ModelHub(providers=[VectorProvider]) as hub:
        with anyio.move_on_after(0.005) as scope:
            await hub.embed("vectors/m", [str(number) for number in range(100)])
    assert scope.cancelled_caught
    assert vectors.running == 0


async def test_nothing_to_embed_asks_nobody(vectors: type[Vectors]) -> None:
    """Neither for vectors nor what the model is."""
    async with ModelHub(providers=[VectorProvider]) as hub:
        result = await hub.embed("vectors/m", [])
    assert (result.vectors, result.dimensions, result.model) == ([], 0, "vectors/m")
    assert vectors.batches == []


async def test_too_few_vectors_are_malformed() -> None:
    """And the next model is tried."""
    scripted = ScriptedProvider(EmbedResult(vectors=[[1.0]]), EmbedResult(vectors=[[1.0], [2.0]]))
    async with ModelHub(providers=[scripted]) as hub:
        result = await hub.embed(["scripted/a", "scripted/b"], ["x", "y"])
    assert result.model == "scripted/b"
    assert result.attempts[0].error == MalformedResponse.__name__


async def test_nothing_to_rank_asks_nobody() -> None:
    """No documents, or none of them wanted; less than none is a mistake."""
    scripted = ScriptedProvider()
    async with ModelHub(providers=[scripted]) as hub:
        assert (await hub.rerank("scripted/m", "?", [])).documents == ()
        assert (await hub.rerank("scripted/m", "?", ["x"], top_n=0)).documents == ()
        with pytest.raises(BadRequest) as caught:
            await hub.rerank("scripted/m", "?", ["x"], top_n=-1)
    assert caught.value.parameter == "top_n"
    assert scripted.requests == []


class Generating(ModelProvider):
    """A provider whose stream is all that its author wrote."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        types, methods = (ModelType.LLM,), ("customizable-model",)
        return ProviderSchema("generating", supported_model_types=types, configurate_methods=methods)

    async def stream(self, request: Request[Any], context: ProviderContext) -> AsyncGenerator[Any, None]:
        """Count."""
        for number in itertools.count():
            yield TextDelta(0, f"{number} ")
            if number == 2:
                yield Finish(FinishReason.STOP)
                return


async def test_a_hook_that_a_plugin_lacks_is_named() -> None:
    """The missing hook, the provider, and no AttributeError."""

    class Silent(Generating):
        async def validate_provider_credentials(self, context: ProviderContext) -> None:
            pass

    async with ModelHub(providers=[Generating]) as hub:
        async with hub.stream("generating/m", "Hi") as stream:
            assert "".join([text async for text in stream.text()]) == "0 1 2 "
        with pytest.raises(ModelHubError, match="no models of type llm"):
            await hub.chat("generating/m", "Hi")
