"""Messages are values whose text, reasoning and calls are read off their parts."""

import pickle

import pytest

from modelhub.types.messages import (
    AssistantMessage,
    InputPart,
    MediaPart,
    ReasoningPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

CALL = ToolCall("1", "weather", {"city": "Bandung"}, '{"city": "Bandung"}', {"signature": "é"})
MIXED = AssistantMessage(
    (ReasoningPart("hm", "sig"), TextPart("a"), CALL, ReasoningPart("…"), TextPart("b"), MediaPart("image/png", b"x"))
)


def test_a_message_is_read_off_its_parts() -> None:
    """In order, each kind by itself."""
    assert MIXED.text == "ab"
    assert MIXED.reasoning == "hm…"
    assert MIXED.tool_calls == (CALL,)
    assert len(MIXED.parts) == 6


@pytest.mark.parametrize("message", [UserMessage("Halo"), ToolMessage("Halo", "1"), AssistantMessage("Halo")])
def test_plain_text_is_one_part(message: UserMessage | ToolMessage | AssistantMessage) -> None:
    """Whoever reads parts need not know how the message was written."""
    assert tuple(message.parts) == (TextPart("Halo"),)


def test_an_empty_answer_has_no_parts() -> None:
    """Nothing said is nothing, not an empty text."""
    for message in (AssistantMessage(), AssistantMessage("")):
        assert (tuple(message.parts), message.text, message.reasoning, message.tool_calls) == ((), "", "", ())


def test_parts_that_are_given_are_the_parts() -> None:
    """Nothing is copied and nothing rewritten."""
    parts: list[InputPart] = [TextPart("a"), MediaPart("image/png", b"x")]
    assert UserMessage(parts).parts is parts
    assert ToolMessage(parts, "1").parts is parts


@pytest.mark.parametrize(
    ("mime", "kind"),
    [
        ("image/png", "image"),
        ("image/*", "image"),
        ("audio/wav", "audio"),
        ("video/mp4", "video"),
        ("application/pdf", "document"),
        ("", "document"),
    ],
)
def test_media_are_of_four_kinds(mime: str, kind: str) -> None:
    """What a model must be able to read to take the part."""
    assert MediaPart(mime, b"x").kind == kind


def test_roles_and_types_are_words_to_branch_on() -> None:
    """They are the class's own and cannot be given wrongly."""
    assert [
        each.role for each in (SystemMessage("x"), UserMessage("x"), AssistantMessage(), ToolMessage("x", "1"))
    ] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    assert [part.type for part in MIXED.parts[:3]] == ["reasoning", "text", "tool_call"]


def test_bytes_are_not_shown() -> None:
    """A log line does not hold a whole image."""
    assert "secret" not in repr(UserMessage((MediaPart("image/png", b"secret"),)))


def test_messages_are_values() -> None:
    """Equal by content, not to be changed, and they travel between processes."""
    assert pickle.loads(pickle.dumps(MIXED)) == MIXED
    with pytest.raises(AttributeError):
        UserMessage("x").content = "y"  # type: ignore[misc]
