"""The scripted provider answers what the script says and remembers what it was asked: no network, no patching."""

import time
from typing import Any

import pytest

from modelhub import ModelHub, StreamInterrupted
from modelhub.errors import ConfigurationError, Overloaded, ServerError, UnsupportedFeature
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import AudioDelta, Event, Finish, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta
from modelhub.types.messages import AssistantMessage, TextPart, UserMessage
from modelhub.types.requests import ModerationRequest, SpeechRequest
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RankedDocument,
    RerankResult,
    SpeechResult,
    TranscriptionResult,
)
from modelhub.types.usage import Usage

pytestmark = pytest.mark.anyio

ANSWER = ChatResult(
    message=AssistantMessage((TextPart("Halo"),)), finish_reason=FinishReason.STOP, usage=Usage(3, 1), output=None
)


async def read(hub: ModelHub) -> None:
    """Read a stream to its end."""
    async with hub.stream("scripted/m", "Hi") as stream:
        async for _ in stream:
            pass


async def test_a_text_is_an_answer() -> None:
    """Whole and streamed, word by word; what was asked is remembered as a provider sees it."""
    scripted = ScriptedProvider("Halo dunia!", "  Apa kabar?\n")
    async with ModelHub(providers=[scripted]) as hub:
        reply = await hub.chat("scripted/any", "Hi", temperature=0.5)
        async with hub.stream("scripted/other", [UserMessage("Hi again")]) as stream:
            pieces = [text async for text in stream.text()]
    assert reply.text == "Halo dunia!"
    assert reply.finish_reason is FinishReason.STOP
    assert pieces == ["  ", "Apa ", "kabar?\n"]
    assert [request.model for request in scripted.requests] == ["any", "other"]
    assert scripted.requests[0].messages == (UserMessage("Hi"),)
    assert scripted.requests[0].parameters == {"temperature": 0.5}
    assert [request.stream for request in scripted.requests] == [False, True]


async def test_events_are_an_answer() -> None:
    """In the order given; tool calls and reasoning as a vendor would send them."""
    events: list[Event] = [
        ReasoningDelta(0, "hm"),
        ToolCallDelta(1, "c1", "weather", '{"city": "Bandung"}'),
        Finish(FinishReason.STOP, "stop", Usage(5, 2)),
    ]
    async with ModelHub(providers=[ScriptedProvider(events, events)]) as hub:
        reply = await hub.chat("scripted/m", "Hi")
        async with hub.stream("scripted/m", "Hi") as stream:
            streamed = [event async for event in stream]
    assert streamed == events
    assert reply.tool_calls[0].arguments == {"city": "Bandung"}
    assert reply.finish_reason is FinishReason.TOOL_CALLS
    assert reply.reasoning == "hm"


@pytest.mark.parametrize("streamed", [False, True])
async def test_events_without_their_end_are_an_answer_that_broke_off(*, streamed: bool) -> None:
    """So that an application's handling of a cut answer can be tested."""
    async with ModelHub(
        {"routing": {"retries": 0}}, providers=[ScriptedProvider([TextDelta(0, "half an ans")])]
    ) as hub:
        with pytest.raises(StreamInterrupted) as caught:
            await (read(hub) if streamed else hub.chat("scripted/m", "Hi"))
    assert caught.value.partial is not None
    assert caught.value.partial.text == "half an ans"  # type: ignore[attr-defined]


async def test_a_result_is_an_answer() -> None:
    """Whole as it is, and streamed as the events that fold to it."""
    async with ModelHub(providers=[ScriptedProvider(ANSWER, ANSWER)]) as hub:
        reply = await hub.chat("scripted/m", "Hi")
        async with hub.stream("scripted/m", "Hi") as stream:
            async for _ in stream:
                pass
    assert reply.message == ANSWER.message
    assert stream.result.message == ANSWER.message
    assert stream.result.usage == Usage(3, 1)


async def test_an_error_is_raised() -> None:
    """As a vendor's would be: classified, attributed, before the stream is entered."""
    scripted = ScriptedProvider(ServerError("broke"), ServerError("broke"))
    async with ModelHub({"routing": {"retries": 0}}, providers=[scripted]) as hub:
        with pytest.raises(ServerError) as caught:
            await hub.chat("scripted/m", "Hi")
        with pytest.raises(ServerError):
            async with hub.stream("scripted/m", "Hi"):
                pytest.fail("entered")
    assert caught.value.provider == "scripted"


async def test_a_function_answers_what_is_asked() -> None:
    """The last line of a script answers for ever if it is one; it may give any other line."""

    def answer(request: Any) -> Any:
        text = request.messages[-1].content
        return Overloaded("busy") if text == "break" else (lambda _: f"{text}!")

    async with ModelHub({"routing": {"retries": 0}}, providers=[ScriptedProvider("first", answer)]) as hub:
        texts = [(await hub.chat("scripted/m", word)).text for word in ("a", "b", "c")]
        with pytest.raises(Overloaded):
            await hub.chat("scripted/m", "break")
    assert texts == ["first", "b!", "c!"]


async def test_every_model_type_is_answered() -> None:
    """With the result itself; sound also as a stream."""
    scripted = ScriptedProvider(
        EmbedResult(vectors=[[1.0, 2.0]]),
        RerankResult(documents=(RankedDocument(0, 0.5),)),
        TranscriptionResult(text="halo"),
        SpeechResult(audio=b"RIFF", mime="audio/wav"),
        ModerationResult(flagged=False),
        SpeechResult(audio=b"RIFF", mime="audio/wav"),
        [AudioDelta(b"a"), AudioDelta(b"b"), Finish(FinishReason.STOP)],
    )
    async with ModelHub(providers=[scripted]) as hub:
        assert (await hub.embed("scripted/m", ["x"])).vectors == [[1.0, 2.0]]
        assert (await hub.rerank("scripted/m", "?", ["x"])).documents[0].document == "x"
        assert (await hub.transcribe("scripted/m", b"x")).text == "halo"
        assert (await hub.speak("scripted/m", "x")).audio == b"RIFF"
        assert (await hub.moderate("scripted/m", "x")).flagged is False
        async with hub.stream(SpeechRequest(model="scripted/m", text="x")) as stream:
            assert [event.type async for event in stream] == ["audio", "finish"]
        assert (await hub.speak("scripted/m", "x", format="mp3")).audio == b"ab"


@pytest.mark.parametrize("line", ["text", [TextDelta(0, "x"), Finish(FinishReason.STOP)]])
async def test_a_line_that_cannot_answer_says_what_could(line: Any) -> None:
    """The mistake is the test's, and the error says how to mend it."""
    async with ModelHub(providers=[ScriptedProvider(line)]) as hub:
        with pytest.raises(ConfigurationError, match="ModerationResult"):
            await hub.invoke(ModerationRequest(model="scripted/m", text="x"))


async def test_text_is_no_sound() -> None:
    """Neither whole nor streamed."""
    async with ModelHub(providers=[ScriptedProvider("x", "x")]) as hub:
        with pytest.raises(ConfigurationError, match="SpeechResult"):
            await hub.speak("scripted/m", "x")
        with pytest.raises(ConfigurationError, match="SpeechResult"):
            async with hub.stream(SpeechRequest(model="scripted/m", text="x")):
                pytest.fail("entered")


async def test_vectors_do_not_come_as_a_stream() -> None:
    """A result of another type is refused as a stream too."""
    line = ModerationResult(flagged=True)
    async with ModelHub(providers=[ScriptedProvider(line)]) as hub:
        with pytest.raises(ConfigurationError, match="does not come as a stream"):
            async with hub.stream("scripted/m", "Hi"):
                pytest.fail("entered")


async def test_a_script_that_has_ended_says_so() -> None:
    """One line for each request."""
    scripted = ScriptedProvider("only", id="acme")
    async with ModelHub(providers=[scripted]) as hub:
        await hub.chat("acme/m", "Hi")
        with pytest.raises(ConfigurationError, match="no line left"):
            await hub.chat("acme/m", "Hi")
    assert repr(scripted) == "<ScriptedProvider acme: 2 asked, 0 lines left>"


async def test_a_pause_is_between_events() -> None:
    """So that an application's spinner, or its patience, can be tested."""
    async with ModelHub(providers=[ScriptedProvider("a b c", pause=0.02)]) as hub:
        start = time.monotonic()
        async with hub.stream("scripted/m", "Hi") as stream:
            async for _ in stream:
                pass
    assert time.monotonic() - start > 0.08


async def test_tokens_are_not_counted() -> None:
    """The script says nothing of tokens."""
    async with ModelHub(providers=[ScriptedProvider()]) as hub:
        with pytest.raises(UnsupportedFeature):
            await hub.count_tokens("scripted/m", "Hi")
