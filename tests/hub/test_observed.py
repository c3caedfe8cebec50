"""Middleware and sinks of a hub: before, attempt, first content and end, once each, for every verb and every ending."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from tests.canary import CANARY

from modelhub import Middleware, ModelHub, ModelType, PendingCall, ProviderSchema, UserMessage
from modelhub.errors import (
    BadRequest,
    ConfigurationError,
    ModelHubError,
    Overloaded,
    PluginError,
    StreamInterrupted,
    StreamNotFinished,
)
from modelhub.provider import LargeLanguageModel, ModelProvider
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import Finish, FinishReason, Started, TextDelta
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)

pytestmark = pytest.mark.anyio

EVENTS = [Started(), TextDelta(0, "one "), TextDelta(0, "two"), Finish(FinishReason.STOP, "stop")]
BROKEN = EVENTS[:2]


class Ears(Middleware):
    """Writes down what it hears."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard

    async def before(self, call: PendingCall) -> None:
        """Write it down."""
        self.heard.append("before")

    async def attempt(self, record: Any) -> None:
        """Write it down."""
        self.heard.append(f"attempt {record.number}")

    async def retry(self, record: Any) -> None:
        """Write it down."""
        self.heard.append("retry")

    async def first_content(self, record: Any) -> None:
        """Write it down."""
        self.heard.append("first content")

    async def attempt_ended(self, record: Any) -> None:
        """Write it down."""
        self.heard.append(f"attempt {record.number} {record.error or record.outcome}")

    async def end(self, record: Any) -> None:
        """Write it down."""
        self.heard.append(f"end {record.error or record.outcome}")


class Observed:
    """A hub, and what was heard of it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.records: list[Any] = []
        self.hub: Any = None

    @property
    def names(self) -> list[str]:
        """The records' classes, without those of attempts."""
        return [type(record).__name__ for record in self.records]


@asynccontextmanager
async def observed(provider: Any, **options: Any) -> AsyncGenerator[Observed, None]:
    """Enter a hub with a middleware and a sink, and see that both heard of the same when it is left."""
    seen = Observed()
    middleware = [Ears(seen.heard), *options.pop("middleware", ())]
    async with ModelHub({}, providers=[provider], middleware=middleware, sinks=[seen.records.append], **options) as hub:
        seen.hub = hub
        yield seen
    starts = seen.names.count("CallStarted")
    assert starts == seen.names.count("CallEnded")
    assert starts == sum(each.startswith("end ") for each in seen.heard) or "before" not in seen.heard
    assert seen.names.count("AttemptStarted") == seen.names.count("AttemptEnded")


REQUESTS = [
    ChatRequest(model="acme/m", messages=[UserMessage("a b")]),
    EmbedRequest(model="acme/e", texts=["x", "y", "z"]),
    RerankRequest(model="acme/r", query="q", documents=["x", "yy"]),
    TranscriptionRequest(model="acme/t", audio=b"RIFF"),
    SpeechRequest(model="acme/s", text="Hello"),
    ModerationRequest(model="acme/j", text="x"),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: type(request).__name__)
async def test_every_type_of_model(acme: Any, vendor: Any, request_: Request[Any]) -> None:
    """Each answer is one attempt, and no record holds what was asked or answered, or the key."""
    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url, "api_key": CANARY}}}
        heard: list[str] = []
        records: list[Any] = []
        async with ModelHub(config, providers=[acme], middleware=[Ears(heard)], sinks=[records.append]) as hub:
            result = await hub.invoke(request_)
    assert [each for each in heard if each != "first content"] == [
        "before",
        "attempt 1",
        "attempt 1 success",
        "end success",
    ]
    end = records[-1]
    assert (end.targets, end.deployment, end.attempts) == ((request_.model,), result.model, 1)
    assert (end.streamed, end.outcome, end.usage, end.cost) == (False, "success", result.usage, result.cost)
    assert records[0].call == end.call
    assert records[0].model_type == end.model_type


@pytest.mark.parametrize("request_", [REQUESTS[0], REQUESTS[4]], ids=["chat", "speech"])
async def test_every_type_of_stream(acme: Any, vendor: Any, request_: Any) -> None:
    """The first content is told before the caller sees it, the end when it has seen all."""
    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url}}}
        heard: list[str] = []
        hub = ModelHub(config, providers=[acme], middleware=[Ears(heard)])
        async with hub, hub.stream(request_) as stream:
            assert heard == ["before", "attempt 1", "first content"]
            async for _ in stream:
                pass
            assert heard[3:] == ["attempt 1 success", "end success"]
    assert len(heard) == 5


async def test_a_failure() -> None:
    """Is told with the class of the error."""
    async with observed(ScriptedProvider(BadRequest("no"))) as seen:
        with pytest.raises(BadRequest):
            await seen.hub.chat("scripted/m", "Hi")
        with pytest.raises(BadRequest):
            async with seen.hub.stream("scripted/m", "Hi"):
                pass
    assert seen.heard == ["before", "attempt 1", "attempt 1 BadRequest", "end BadRequest"] * 2


async def test_what_fails_before_any_attempt() -> None:
    """A model that there is none of is a call that failed, too."""
    async with observed(ScriptedProvider("x")) as seen:
        with pytest.raises(ModelHubError):
            await seen.hub.chat("nobody/m", "Hi")
        with pytest.raises(ModelHubError):
            async with seen.hub.stream("nobody/m", "Hi"):
                pass
    assert seen.heard == ["before", "end UnknownProvider"] * 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_retry(*, streamed: bool) -> None:
    """Each attempt has its start and its end, and what is tried again is told."""
    async with observed(ScriptedProvider(Overloaded("x"), "fine", id="scripted")) as seen:
        targets = ["scripted/m", "scripted/n"]
        if streamed:
            async with seen.hub.stream(targets, "Hi") as stream:
                async for _ in stream:
                    pass
        else:
            await seen.hub.chat(targets, "Hi")
    assert [each for each in seen.heard if each != "first content"] == [
        *("before", "attempt 1", "attempt 1 Overloaded", "retry"),
        *("attempt 2", "attempt 2 success", "end success"),
    ]
    assert seen.records[-1].attempts == 2


async def test_a_stream_that_breaks_off() -> None:
    """The attempt failed by what went wrong, the call by what its caller got."""
    async with observed(ScriptedProvider(BROKEN)) as seen, seen.hub.stream("scripted/m", "Hi") as stream:
        assert (await anext(stream)).type == "started"
        assert (await anext(stream)).type == "text"
        with pytest.raises(StreamInterrupted):
            await anext(stream)
    assert seen.heard[:3] == ["before", "attempt 1", "first content"]
    assert seen.heard[-1] == "end StreamInterrupted"
    assert len(seen.heard) == 5


async def test_a_stream_that_is_left_early() -> None:
    """Whoever leaves it abandons it, by `break`, by `aclose` from another task, or by an error of its own."""
    async with observed(ScriptedProvider(EVENTS, EVENTS, EVENTS)) as seen:
        async with seen.hub.stream("scripted/m", "Hi") as stream:
            async for _ in stream:
                break
        async with seen.hub.stream("scripted/m", "Hi") as stream, anyio.create_task_group() as group:
            group.start_soon(stream.aclose)
        with pytest.raises(KeyError):
            async with seen.hub.stream("scripted/m", "Hi") as stream:
                raise KeyError
        await stream.aclose()
    assert seen.heard == ["before", "attempt 1", "first content", "attempt 1 abandoned", "end abandoned"] * 3


async def test_a_stream_that_is_closed_while_it_is_entered() -> None:
    """It is abandoned, and nobody's failure."""
    async with observed(ScriptedProvider(EVENTS, pause=60.0)) as seen:
        stream = seen.hub.stream("scripted/m", "Hi")

        async def enter() -> None:
            with pytest.raises(StreamNotFinished):
                await stream.__aenter__()

        async with anyio.create_task_group() as group:
            group.start_soon(enter)
            while "attempt 1" not in seen.heard:
                await anyio.lowlevel.checkpoint()
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            await stream.aclose()
    assert seen.heard == ["before", "attempt 1", "attempt 1 abandoned", "end abandoned"]


async def test_calls_that_are_cancelled() -> None:
    """While they wait for the answer, or for the first content of it."""

    class LLM(LargeLanguageModel):
        async def stream(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
            scope.cancel()
            await anyio.sleep_forever()
            yield

    class Provider(ModelProvider):
        llm = LLM

        def provider_schema(self) -> ProviderSchema:
            return ProviderSchema(
                "hanging", supported_model_types=(ModelType.LLM,), configurate_methods=("customizable-model",)
            )

    async with observed(Provider) as seen:
        with anyio.CancelScope() as scope:
            await seen.hub.chat("hanging/m", "Hi")
        with anyio.CancelScope() as scope:
            async with seen.hub.stream("hanging/m", "Hi"):
                pass
    assert seen.heard == ["before", "attempt 1", "attempt 1 cancelled", "end cancelled"] * 2


async def test_streams_that_are_cancelled_while_they_are_read() -> None:
    """The end comes with the cancellation, whether the stream was being waited for or not."""
    async with observed(ScriptedProvider(EVENTS, EVENTS, pause=0.05)) as seen:
        with anyio.CancelScope() as scope:
            async with seen.hub.stream("scripted/m", "Hi") as stream:
                scope.cancel()
                async for _ in stream:
                    await anyio.sleep_forever()
        with anyio.CancelScope() as scope:
            async with seen.hub.stream("scripted/m", "Hi") as stream:
                await stream.__anext__()
                await stream.__anext__()
                scope.cancel()
                await stream.__anext__()
    assert seen.heard == ["before", "attempt 1", "first content", "attempt 1 cancelled", "end cancelled"] * 2


async def test_a_hub_that_is_left_with_a_stream_open() -> None:
    """The stream is abandoned with it."""
    async with observed(ScriptedProvider(EVENTS)) as seen:
        stream = seen.hub.stream("scripted/m", "Hi")
        await stream.__aenter__()
    assert seen.heard[-1] == "end abandoned"
    await stream.aclose()


async def test_middleware_may_send_a_call_elsewhere() -> None:
    """What is asked, and of whom, is as it leaves it."""

    class Elsewhere(Middleware):
        async def before(self, call: PendingCall) -> Any:
            return replace(call.request, model="scripted/other", messages=[UserMessage("changed")])

    scripted = ScriptedProvider("a", "b")
    async with observed(scripted, middleware=[Elsewhere()]) as seen:
        assert (await seen.hub.chat("nobody/m", "Hi")).model == "scripted/other"
        async with seen.hub.stream("nobody/m", "Hi") as stream:
            async for _ in stream:
                pass
    assert [request.messages[0].content for request in scripted.requests] == ["changed"] * 2
    assert seen.records[0].targets == ("nobody/m",)


async def test_middleware_may_refuse() -> None:
    """Nothing is asked of anybody then."""

    class Never(Middleware):
        async def before(self, call: PendingCall) -> None:
            raise BadRequest("never") if call.streamed else ValueError("bug")

    scripted = ScriptedProvider("x")
    async with observed(scripted, middleware=[Never()]) as seen:
        with pytest.raises(PluginError, match="the middleware Never failed: ValueError: bug"):
            await seen.hub.chat("scripted/m", "Hi")
        with pytest.raises(BadRequest, match="never"):
            async with seen.hub.stream("scripted/m", "Hi"):
                pass
    assert scripted.requests == []
    assert seen.heard == ["before", "end PluginError", "before", "end BadRequest"]


async def test_an_answer_whose_result_cannot_be_used() -> None:
    """A stream whose answer has not the shape asked for has failed, though its events were all delivered."""
    async with observed(ScriptedProvider("no JSON")) as seen:
        async with seen.hub.stream("scripted/m", "Hi", response_format="json") as stream:
            async for _ in stream:
                pass
        assert seen.heard[-1] == "end OutputInvalid"


async def test_extensions_are_listed() -> None:
    """Those given in code among them."""
    async with observed(ScriptedProvider("x")) as seen:
        listed = [(each.id, each.kind) for each in await seen.hub.extensions()]
    assert listed == [("Ears", "middleware"), ("append", "sink")]


async def test_what_cannot_be_used_is_refused_on_entering() -> None:
    """And leaves nothing behind."""
    hub = ModelHub({}, middleware=[Ears])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="the class Ears"):
        await hub.__aenter__()


async def test_no_middleware_no_observation() -> None:
    """Without any, calls carry none."""
    async with ModelHub({}, providers=[ScriptedProvider("x")]) as hub:
        assert (await hub.chat("scripted/m", "Hi")).text == "x"
        assert await hub.extensions() == []
