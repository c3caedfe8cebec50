"""What a stream does with a plugin's events, whatever the plugin does: no network, every way to end."""

import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from modelhub import ModelHub, ModelType, ProviderSchema, StreamInterrupted
from modelhub.errors import (
    BadRequest,
    ConfigurationError,
    ConnectionLost,
    ModelHubError,
    OutputInvalid,
    Overloaded,
    PluginError,
    StreamNotFinished,
    Timeout,
)
from modelhub.provider import ProviderContext, hookimpl
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import (
    AudioDelta,
    Event,
    Finish,
    FinishReason,
    MediaDelta,
    Notice,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from modelhub.types.records import Warning
from modelhub.types.requests import Request, SpeechRequest
from modelhub.types.results import ChatResult
from modelhub.types.usage import Usage

pytestmark = pytest.mark.anyio

ONCE = {"routing": {"retries": 0}}
"""The settings of a hub that tries a call once, for what is not about trying again and would wait for it."""

END = Finish(FinishReason.STOP, "stop", Usage(3, 2))
Body = Callable[[], AsyncGenerator[Any, None]]


class Custom:
    """A provider whose stream is the test's own generator."""

    def __init__(self, body: Body, id: str = "custom") -> None:
        self.id = id
        self.body = body
        self.closed = 0

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve chat models of any name."""
        types, methods = (ModelType.LLM,), ("customizable-model",)
        return ProviderSchema(self.id, supported_model_types=types, configurate_methods=methods)

    @hookimpl
    async def stream(self, request: Request[Any], context: ProviderContext) -> AsyncGenerator[Any, None]:
        """Yield what the test says."""
        try:
            async with aclosing(self.body()) as events:
                async for event in events:
                    yield event
        finally:
            self.closed += 1


async def read(
    hub: ModelHub, model: str | list[str] = "custom/m", **options: Any
) -> tuple[list[Event], ChatResult[Any]]:
    """Read a stream to its end."""
    async with hub.stream(model, "Hi", **options) as stream:
        events: list[Event] = [event async for event in stream]
    return events, stream.result


async def test_all_events_arrive_in_order() -> None:
    """Those before the first content are held back until it is there, and none is lost."""
    script: list[Event] = [
        Started("id-1", "m"),
        Notice(Warning("odd", "x")),
        ReasoningDelta(0, ""),
        ReasoningDelta(0, "hm"),
        TextDelta(1, "a"),
        ToolCallDelta(2, "c", "f", "{}"),
        MediaDelta(3, "image/png", b"x"),
        END,
    ]
    async with ModelHub(providers=[ScriptedProvider(script)]) as hub:
        events, result = await read(hub, "scripted/m")
    assert events == script
    assert result.id == "id-1"
    assert result.warnings[0].code == "odd"
    assert len(result.message.parts) == 4


async def test_entering_waits_for_content() -> None:
    """Not for the first sign of life: that may come from a server that is about to fail."""
    entered: list[str] = []

    async def body() -> AsyncGenerator[Any, None]:
        yield Started()
        entered.append("started")
        yield Notice(Warning("odd", "x"))
        entered.append("noticed")
        yield TextDelta(0, "x")
        entered.append("after")
        yield END

    async with ModelHub(providers=[Custom(body)]) as hub, hub.stream("custom/m", "Hi") as stream:
        assert entered == ["started", "noticed"]
        assert [event.type async for event in stream] == ["started", "notice", "text", "finish"]


async def test_an_answer_without_content_is_an_answer() -> None:
    """A model may say nothing."""
    async with ModelHub(providers=[ScriptedProvider([Started(), END])]) as hub:
        events, result = await read(hub, "scripted/m")
    assert [event.type for event in events] == ["started", "finish"]
    assert (result.text, result.usage) == ("", Usage(3, 2))


async def test_many_signs_of_life_do_not_hold_a_stream_up() -> None:
    """A server that keeps saying "loading" is shown after a while; content and time are noted when they come."""
    script: list[Event] = [*(Notice(Warning("loading", str(number))) for number in range(100)), TextDelta(0, "x"), END]
    async with ModelHub(providers=[ScriptedProvider(script, pause=0.001)]) as hub:
        events, result = await read(hub, "scripted/m")
    assert events == script
    assert result.timing is not None
    assert result.timing.first_content is not None
    assert 0.05 < result.timing.first_content <= (result.timing.total or 0)


@pytest.mark.parametrize(("size", "held"), [(100, 31), (10_000, 6), (100_000, 1)])
async def test_signs_of_life_are_held_back_within_bounds(size: int, held: int) -> None:
    """Not more of them than 64 KiB: then the stream is shown, and whatever happens to it happens to its caller."""
    given = 0

    async def body() -> AsyncGenerator[Any, None]:
        nonlocal given
        for _ in range(40):
            given += 1
            yield Notice(Warning("loading", "x" * size))
        raise Overloaded("busy")

    async with (
        ModelHub(providers=[Custom(body), ScriptedProvider("other")]) as hub,
        hub.stream(["custom/m", "scripted/m"], "Hi") as stream,
    ):
        assert held <= given <= held + 1
        with pytest.raises(StreamInterrupted):
            _ = [event async for event in stream]


@pytest.mark.parametrize("raised", [Overloaded("busy"), KeyError("choices"), RuntimeError("bug")])
async def test_before_content_the_next_model_answers(raised: Exception) -> None:
    """Whatever went wrong; what the first model had said of itself is not shown."""

    async def body() -> AsyncGenerator[Any, None]:
        yield Started("first")
        raise raised

    first = Custom(body)
    async with ModelHub(providers=[first, ScriptedProvider([Started("second"), TextDelta(0, "x"), END])]) as hub:
        events, result = await read(hub, ["custom/m", "scripted/m"])
    assert [event.type for event in events] == ["started", "text", "finish"]
    assert result.id == "second"
    assert [each.error is None for each in result.attempts] == [False, True]
    assert first.closed == 1


async def test_an_end_without_a_finish_before_content_is_a_broken_connection() -> None:
    """And the next model answers."""

    async def body() -> AsyncGenerator[Any, None]:
        yield Started()

    async with ModelHub(ONCE, providers=[Custom(body), ScriptedProvider("ok")]) as hub:
        with pytest.raises(ConnectionLost):
            await read(hub)
        _, result = await read(hub, ["custom/m", "scripted/m"])
    assert result.text == "ok"


@pytest.mark.parametrize("raised", [Overloaded("busy"), KeyError("choices"), None])
async def test_after_content_nothing_is_tried_again(raised: Exception | None) -> None:
    """The caller has half an answer in hand: it is kept, from the error that broke it off."""

    async def body() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "half ")
        yield TextDelta(0, "an ans")
        if raised is not None:
            raise raised

    second = ScriptedProvider("never")
    first = Custom(body)
    async with ModelHub(providers=[first, second]) as hub:
        texts: list[str] = []
        stream = hub.stream(["custom/m", "scripted/m"], "Hi")
        with pytest.raises(StreamInterrupted) as caught:
            await collect(stream, texts)
        error = caught.value
        assert texts == ["half ", "an ans"]
        assert error.partial is not None
        assert error.partial.text == "half an ans"  # type: ignore[attr-defined]
        assert error.partial.finish_reason is None  # type: ignore[attr-defined]
        with pytest.raises(StreamInterrupted):
            _ = stream.result
        assert stream.partial.text == "half an ans"
    assert second.requests == []
    assert first.closed == 1
    cause = error.__cause__
    if raised is None:
        assert cause is None
    elif isinstance(raised, ModelHubError):
        assert cause is raised
        assert error.scope == raised.scope
    else:
        assert isinstance(cause, PluginError)
        assert cause.__cause__ is raised


async def collect(stream: Any, texts: list[str]) -> None:
    """Read the text of a stream."""
    async with stream:
        async for text in stream.text():
            texts.append(text)  # noqa: PERF401  what came before an error counts


async def test_a_stream_that_broke_stays_broken() -> None:
    """Reading on never looks like an end."""

    async def body() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        raise Overloaded("busy")

    async with ModelHub(providers=[Custom(body)]) as hub, hub.stream("custom/m", "Hi") as stream:
        await anext(stream)
        for _ in range(3):
            with pytest.raises(StreamInterrupted):
                await anext(stream)
        assert repr(stream) == "<Stream custom/m: broken>"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # one of them is waited for
async def test_what_a_plugin_does_after_its_finish_is_its_own_affair() -> None:
    """More events, an exception, or a pause: the answer is whole, and comes soon."""

    async def more() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        yield END
        yield TextDelta(0, "more")
        yield Finish(FinishReason.ERROR)

    async def fails() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        yield END
        raise KeyError("cleaning up")

    async def rests() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        yield END
        await anyio.sleep_forever()

    for body in (more, fails, rests):
        provider = Custom(body)
        async with ModelHub(providers=[provider]) as hub:
            with anyio.fail_after(3):
                events, result = await read(hub)
        assert [event.type for event in events] == ["text", "finish"]
        assert result.text == "x"
        assert provider.closed == 1


async def test_cancelled_at_the_finish() -> None:
    """The generator is closed even where the caller goes just then."""

    async def body() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        yield END
        await anyio.sleep_forever()

    provider = Custom(body)
    async with ModelHub(providers=[provider]) as hub:
        with anyio.move_on_after(0.05) as scope:
            await read(hub)
        assert scope.cancelled_caught
        assert provider.closed == 1


@pytest.mark.parametrize("first", [TextDelta(0, "x"), Started()])
async def test_a_part_that_changes_its_kind_is_the_plugins_mistake(first: Event) -> None:
    """Told as such, before content and after."""

    async def body() -> AsyncGenerator[Any, None]:
        yield first
        yield ReasoningDelta(0, "" if first.type == "started" else "y")
        yield TextDelta(0, "z")

    async with ModelHub(providers=[Custom(body)]) as hub:
        with pytest.raises((StreamInterrupted, PluginError)) as caught:
            await read(hub)
    error = caught.value if isinstance(caught.value, PluginError) else caught.value.__cause__
    assert isinstance(error, PluginError)
    assert "part 0" in error.message


async def test_unknown_events_are_passed_on() -> None:
    """The union is open: an application may know what the hub does not."""
    strange: Any = SimpleNamespace(type="hologram")

    async def body() -> AsyncGenerator[Any, None]:
        yield strange
        yield TextDelta(0, "x")
        yield strange
        yield END

    async with ModelHub(providers=[Custom(body)]) as hub:
        events, _ = await read(hub)
    assert [event is strange for event in events] == [True, False, True, False]


async def test_leaving_early_closes_the_generator() -> None:
    """On break, on an error of the caller's, on cancellation: each time once, and before the block is left."""

    async def body() -> AsyncGenerator[Any, None]:
        for _ in range(1000):
            yield TextDelta(0, "x")
            await anyio.lowlevel.checkpoint()

    provider = Custom(body)
    async with ModelHub(providers=[provider]) as hub:
        async with hub.stream("custom/m", "Hi") as stream:
            async for _ in stream:
                break
        assert provider.closed == 1
        with pytest.raises(ZeroDivisionError):
            async with hub.stream("custom/m", "Hi"):
                raise ZeroDivisionError
        assert provider.closed == 2
        with anyio.CancelScope() as scope:
            async with hub.stream("custom/m", "Hi") as stream:
                async for _ in stream:
                    scope.cancel()
        assert provider.closed == 3
    gc.collect()


async def test_a_plugin_that_cannot_clean_up_holds_nothing_up() -> None:
    """Its complaint goes to its log: there is nobody left to tell."""

    async def body() -> AsyncGenerator[Any, None]:
        try:
            yield TextDelta(0, "x")
            yield TextDelta(0, "y")
        finally:
            raise KeyError("cleaning up")

    async with ModelHub(providers=[Custom(body)]) as hub:
        async with hub.stream("custom/m", "Hi") as stream:
            await anext(stream)
        assert stream.partial.text == "x"


async def test_closing_twice_is_closing_once() -> None:
    """From wherever, whenever; a closed stream is not a finished one."""
    async with ModelHub(providers=[ScriptedProvider("a b c")]) as hub:
        stream = hub.stream("scripted/m", "Hi")
        await stream.aclose()
        assert repr(stream) == "<Stream not entered: closed>"
        async with hub.stream("scripted/m", "Hi") as stream:
            await stream.aclose()
            await stream.aclose()
        with pytest.raises(StreamNotFinished):
            _ = stream.result
        assert (await anext(stream)).type == "started"
        assert (await anext(stream)).type == "text"
        with pytest.raises(StreamNotFinished):
            await anext(stream)
        assert repr(stream) == "<Stream scripted/m: closed>"


async def test_a_stream_is_read_once() -> None:
    """Entering it again would send the request again."""
    async with ModelHub(providers=[ScriptedProvider("a")]) as hub:
        stream = hub.stream("scripted/m", "Hi")
        assert repr(stream) == "<Stream not entered: open>"
        async with stream:
            assert repr(stream) == "<Stream scripted/m: open>"
            assert len([event async for event in stream]) == 3
            assert [event async for event in stream] == []
        assert repr(stream) == "<Stream scripted/m: finished>"
        with pytest.raises(ConfigurationError, match="entered before"):
            await stream.__aenter__()


async def test_the_result_is_there_at_the_finish_and_not_before() -> None:
    """`.partial` never raises."""
    async with ModelHub(providers=[ScriptedProvider("a b")]) as hub, hub.stream("scripted/m", "Hi") as stream:
        async for event in stream:
            assert stream.partial.text in {"a ", "a b"}
            if event.type == "finish":
                assert stream.result.text == "a b"
            else:
                with pytest.raises(StreamNotFinished):
                    _ = stream.result


async def test_an_answer_of_another_shape_is_streamed_all_the_same() -> None:
    """Only whoever asks for the result hears that it does not fit."""
    lines = ('{"x": 1}', '{"x": "one"}')
    async with ModelHub(providers=[ScriptedProvider(*lines)]) as hub:
        _, result = await read(hub, "scripted/m", response_format=dict[str, int])
        assert result.output == {"x": 1}
        async with hub.stream("scripted/m", "Hi", response_format=dict[str, int]) as stream:
            text = "".join([piece async for piece in stream.text()])
        assert text == lines[1]
        with pytest.raises(OutputInvalid) as caught:
            _ = stream.result
        assert caught.value.partial is not None
        assert caught.value.partial.text == text  # type: ignore[attr-defined]
        assert caught.value.provider == "scripted"


async def test_a_text_that_is_none_is_the_plugins_mistake() -> None:
    """The events are what an untyped plugin made them."""

    async def body() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        yield TextDelta(0, None)  # type: ignore[arg-type]
        yield END

    async with ModelHub(providers=[Custom(body)]) as hub, hub.stream("custom/m", "Hi") as stream:
        assert len([event async for event in stream]) == 3
        with pytest.raises(PluginError):
            _ = stream.result


@pytest.mark.parametrize(
    ("timeouts", "options", "phase"),
    [({"first_token": 0.05}, {}, "first_token"), ({}, {"timeout": 0.05}, "total"), ({"total": 0.05}, {}, "total")],
)
async def test_a_plugin_that_says_nothing_is_left(timeouts: Any, options: Any, phase: str) -> None:
    """Limits of time hold for any plugin."""

    async def body() -> AsyncGenerator[Any, None]:
        yield Started()
        await anyio.sleep_forever()

    provider = Custom(body)
    async with ModelHub({"timeouts": timeouts}, providers=[provider]) as hub:
        with pytest.raises(Timeout) as caught:
            await read(hub, **options)
    assert caught.value.phase == phase
    assert provider.closed == 1


async def test_a_plugin_that_stops_speaking_is_left() -> None:
    """After content the limit is between two events; what came is kept."""

    async def body() -> AsyncGenerator[Any, None]:
        yield TextDelta(0, "x")
        await anyio.sleep_forever()

    async with ModelHub({"timeouts": {"idle": 0.05}}, providers=[Custom(body)]) as hub:
        with pytest.raises(StreamInterrupted) as caught:
            await read(hub)
    assert isinstance(caught.value.__cause__, Timeout)
    assert caught.value.__cause__.phase == "idle"


async def test_sound_comes_in_pieces() -> None:
    """With a result of its own type."""
    script: list[Event] = [AudioDelta(b"ab"), AudioDelta(b"c"), END]
    async with ModelHub(providers=[ScriptedProvider(script)]) as hub:
        async with hub.stream(SpeechRequest(model="scripted/m", text="x")) as stream:
            sound = b"".join([event.data async for event in stream if event.type == "audio"])
        assert sound == stream.result.audio == b"abc"
        assert stream.result.usage == Usage(3, 2)
        assert stream.result.model == "scripted/m"


async def test_a_mistake_of_the_callers_raises_on_entering() -> None:
    """As `chat` would; making the stream does nothing yet."""
    async with ModelHub(providers=[ScriptedProvider("x")]) as hub:
        stream = hub.stream("scripted/m", "Hi", temperature=-1)
        with pytest.raises(BadRequest) as caught:
            async with stream:
                pytest.fail("entered")
    assert caught.value.parameter == "temperature"
