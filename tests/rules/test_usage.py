"""What a request shows by itself is taken for what its vendor leaves out, and never for what it says."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.usage import billable
from modelhub.types.events import FinishReason
from modelhub.types.messages import AssistantMessage, MediaPart, TextPart, ToolMessage, UserMessage
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RerankResult,
    SpeechResult,
    TranscriptionResult,
)
from modelhub.types.usage import Usage

COUNTS = st.none() | st.integers(0, 10**6)
USAGES = st.builds(
    Usage,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    COUNTS,
    st.none() | st.integers(0, 99),
)


def answered(usage: Usage | None, *parts: Any) -> ChatResult[None]:
    """Return an answer."""
    message = AssistantMessage((TextPart("ok"), *parts))
    return ChatResult(message=message, finish_reason=FinishReason.STOP, output=None, usage=usage)


def media(mime: str) -> MediaPart:
    """Return a part of a message."""
    return MediaPart(mime, b"x")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], (0, 0, 0)),
        ([media("image/png"), media("image/jpeg")], (2, None, 0)),
        ([media("audio/wav")], (0, 0, None)),
        ([media("video/mp4")], (0, None, None)),
        ([media("application/pdf")], (0, None, 0)),
    ],
)
def test_media_are_counted_wherever_they_stand(parts: list[MediaPart], expected: tuple[int | None, ...]) -> None:
    """In what users say and what tools answer; a film has pictures and sound, a document may have pictures."""
    for message in (UserMessage([TextPart("Look"), *parts]), ToolMessage(parts, "call-1")):
        usage = billable(ChatRequest(messages=[UserMessage("Hi"), message]), answered(Usage(7, 5)))
        assert usage is not None
        assert (usage.images, usage.image_input_tokens, usage.audio_input_tokens) == expected
        assert (usage.input_tokens, usage.output_tokens, usage.audio_output_tokens) == (7, 5, 0)


def test_an_answer_with_sound_has_an_unknown_number_of_its_tokens() -> None:
    """Only silence is known to have none."""
    usage = billable(ChatRequest(messages=[UserMessage("Sing")]), answered(Usage(7, 5), media("audio/wav")))
    assert usage is not None
    assert usage.audio_output_tokens is None


def test_sound_and_text_are_measured() -> None:
    """Characters of a text to be spoken, and the seconds of a recording where its vendor gives them."""
    spoken = billable(SpeechRequest(text="Hé, 你好"), SpeechResult(audio=b"", mime="audio/wav"))
    heard = billable(TranscriptionRequest(), TranscriptionResult(text="", duration=2.5))
    unmeasured = billable(TranscriptionRequest(), TranscriptionResult(text=""))
    assert (spoken, heard, unmeasured) == (Usage(characters=6), Usage(seconds=2.5), Usage())


def test_a_request_is_a_request_without_any_count() -> None:
    """Of embeddings alone it is not known how many they took."""
    assert billable(RerankRequest(), RerankResult(documents=())) == Usage()
    assert billable(ModerationRequest(), ModerationResult(flagged=False)) == Usage()
    assert billable(EmbedRequest(), EmbedResult(vectors=[])) is None
    assert billable(EmbedRequest(), EmbedResult(vectors=[], usage=Usage(7, requests=3))) == Usage(7, requests=3)


@given(USAGES)
def test_what_the_vendor_says_stands(usage: Usage) -> None:
    """A figure that is there is never replaced, of whatever request."""
    images = UserMessage([media("image/png"), media("audio/wav")])
    for request, result in (
        (ChatRequest[None](messages=[images]), answered(usage)),
        (SpeechRequest(text="abc"), SpeechResult(audio=b"", mime="audio/wav", usage=usage)),
        (TranscriptionRequest(), TranscriptionResult(text="", duration=3.0, usage=usage)),
    ):
        completed = billable(request, result)
        assert completed is not None
        for name in Usage.__dataclass_fields__:
            said = getattr(usage, name)
            assert said is None or getattr(completed, name) == said


@given(USAGES, USAGES, USAGES)
def test_usages_add_up_in_any_order(first: Usage, second: Usage, third: Usage) -> None:
    """Grouping changes nothing; a figure that any of them lacks, the sum lacks."""
    total = first.plus(second).plus(third)
    assert total == first.plus(second.plus(third))
    assert total.requests == 3
    for name in set(Usage.__dataclass_fields__) - {"requests", "estimated", "raw"}:
        figures = [getattr(each, name) for each in (first, second, third)]
        assert getattr(total, name) == (None if None in figures else sum(figures))
