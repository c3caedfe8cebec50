"""What calls use where nobody has counted: by their length, and by what vendors told before they were given up."""

import pytest

from modelhub import AssistantMessage, ReasoningPart, TextPart, ToolCall, Usage, UserMessage
from modelhub.rules.routing.tokens import expected_tokens, used_so_far
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import ChatResult, Result, SpeechResult

CHAT = ChatRequest(model="p/m", messages=[UserMessage("12345678")])


def partial(*parts: TextPart | ReasoningPart | ToolCall) -> ChatResult[None]:
    """Return what came of an answer."""
    return ChatResult(message=AssistantMessage(parts), finish_reason=None, output=None)


TEXT = partial(TextPart("1234567890"))


@pytest.mark.parametrize(
    ("came", "counted", "used"),
    [
        (None, None, Usage(2, 0, estimated=True)),
        (TEXT, None, Usage(2, 3, estimated=True)),
        (TEXT, Usage(50), Usage(50, 3, estimated=True)),
        (TEXT, Usage(None, 40, cached_tokens=1), Usage(2, 40, cached_tokens=1, estimated=True)),
        (TEXT, Usage(50, 40), Usage(50, 40)),
        (partial(ReasoningPart("1234"), ToolCall("id", "f", {}, "1234")), None, Usage(2, 2, estimated=True)),
        (SpeechResult(audio=b"RIFF", mime="audio/wav"), None, Usage(2, 0, estimated=True)),
    ],
)
def test_what_was_given_up_used_what_was_counted_and_what_came(
    came: Result | None, counted: Usage | None, used: Usage
) -> None:
    """The vendor's figures count; the others are estimated, and the whole says so."""
    assert used_so_far(CHAT, came, counted) == used


def test_what_another_attempt_brought_is_not_counted_again() -> None:
    """A continuation has used what it added alone."""
    assert used_so_far(CHAT, TEXT, before=partial(TextPart("123456"))).output_tokens == 1
    assert used_so_far(CHAT, TEXT, before=TEXT).output_tokens == 0


def test_a_prompt_is_counted_by_its_length_and_an_answer_by_its_limit() -> None:
    """So much is set aside before a call."""
    assert (
        expected_tokens(ChatRequest(model="p/m", messages=[UserMessage("12345678")], parameters={"max_tokens": 10}))
        == 12.0
    )
    assert expected_tokens(CHAT) == 2.0 + 512.0
    assert expected_tokens(EmbedRequest(model="p/m", texts=["1234", "5678"])) == 2.0
    assert used_so_far(EmbedRequest(model="p/m", texts=["1234", "5678"])).input_tokens == 2


@pytest.mark.parametrize("limit", [-5, 0, "many", float("nan"), float("inf"), None])
def test_a_limit_that_is_none_is_not_counted_with(limit: object) -> None:
    """Nothing has checked it yet when room is made for the call: that it is wrong is said where that is checked."""
    request = ChatRequest(model="p/m", messages=[UserMessage("1234")], parameters={"max_tokens": limit})  # type: ignore[typeddict-item]
    assert expected_tokens(request) == 1.0 + 512.0
