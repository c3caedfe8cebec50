"""Every shape that a conversation may be given in becomes the same messages, or one error that names the place."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest
from modelhub.rules.messages import media_from_url, messages_from
from modelhub.types.messages import (
    AssistantMessage,
    MediaPart,
    ReasoningPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

PIXEL = b"\x89PNG\r\n\x1a\n\x00"
PIXEL_URL = "data:image/png;base64," + base64.b64encode(PIXEL).decode()

SHAPES: list[tuple[Any, tuple[object, ...]]] = [
    ("Halo", (UserMessage("Halo"),)),
    (UserMessage("Halo"), (UserMessage("Halo"),)),
    ([UserMessage("Halo")], (UserMessage("Halo"),)),
    ((UserMessage("a"), AssistantMessage("b")), (UserMessage("a"), AssistantMessage("b"))),
    ({"role": "user", "content": "Halo"}, (UserMessage("Halo"),)),
    (
        [{"role": "system", "content": "Be brief."}, UserMessage("Halo")],
        (SystemMessage("Be brief."), UserMessage("Halo")),
    ),
    ([{"role": "developer", "content": "Be brief."}], (SystemMessage("Be brief."),)),
    (
        [{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}],
        (SystemMessage("ab"),),
    ),
    ([{"role": "user", "content": "x", "name": "budi"}], (UserMessage("x", "budi"),)),
    (
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": PIXEL_URL, "detail": "low"}},
                    {"type": "image_url", "image_url": "https://example.org/a.png"},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
                    {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "flac"}},
                    {
                        "type": "file",
                        "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
                    },
                    TextPart("ours"),
                ],
            }
        ],
        (
            UserMessage(
                (
                    TextPart("What is it?"),
                    MediaPart("image/png", PIXEL, detail="low"),
                    MediaPart("image/*", url="https://example.org/a.png"),
                    MediaPart("audio/wav", b"RIFF"),
                    MediaPart("audio/mpeg", b"\0\0\0"),
                    MediaPart("audio/flac", b"\0\0\0"),
                    MediaPart("application/pdf", b"%PDF", name="a.pdf"),
                    TextPart("ours"),
                )
            ),
        ),
    ),
    ([{"role": "assistant", "content": "x"}], (AssistantMessage((TextPart("x"),)),)),
    ([{"role": "assistant", "content": None}], (AssistantMessage(()),)),
    (
        [
            {
                "role": "assistant",
                "content": "",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"id": "2", "type": "function", "function": {"name": "g", "arguments": {"b": [2]}}},
                    {"id": "3", "type": "function", "function": {"name": "h"}},
                    {"id": "4", "type": "function", "function": {"name": "h", "arguments": None}},
                    {"id": "5", "type": "function", "function": {"name": "h", "arguments": '{"cut'}},
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "42", "name": "f"},
            {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "43"}]},
        ],
        (
            AssistantMessage(
                (
                    ReasoningPart("hm"),
                    ToolCall("1", "f", {"a": 1}, '{"a": 1}'),
                    ToolCall("2", "g", {"b": [2]}, '{"b": [2]}'),
                    ToolCall("3", "h", {}, ""),
                    ToolCall("4", "h", {}, ""),
                    ToolCall("5", "h", None, '{"cut'),
                )
            ),
            ToolMessage("42", "1", "f"),
            ToolMessage((TextPart("43"),), "2"),
        ),
    ),
]


@pytest.mark.parametrize(("shape", "messages"), SHAPES)
def test_every_shape_is_understood(shape: Any, messages: tuple[object, ...]) -> None:
    """A text, messages, OpenAI's dicts, and all of them mixed."""
    assert messages_from(shape) == messages


def test_instructions_stand_before_the_conversation() -> None:
    """`system=` is one more message, whatever shape the others have."""
    assert messages_from("Halo", system="Be brief.") == (SystemMessage("Be brief."), UserMessage("Halo"))
    assert messages_from([SystemMessage("a")], system="b") == (SystemMessage("b"), SystemMessage("a"))


def user(content: object) -> list[dict[str, object]]:
    """Return a conversation of one user message."""
    return [{"role": "user", "content": content}]


def called(call: object) -> list[dict[str, object]]:
    """Return a conversation of one tool call."""
    return [{"role": "assistant", "tool_calls": [call]}]


BAD: list[tuple[Any, str]] = [
    (None, "messages"),
    (7, "messages"),
    (b"bytes", "messages"),
    ([], "messages"),
    ([7], "messages[0]"),
    (["Halo"], "messages[0]"),
    ([{"content": "x"}], "messages[0].role"),
    ([UserMessage("a"), {"role": "function", "content": "x"}], "messages[1].role"),
    ([{"role": "user"}], "messages[0].content"),
    (user(7), "messages[0].content"),
    (user(b"x"), "messages[0].content"),
    (user("half \ud83d"), "messages[0].content"),
    (user([7]), "messages[0].content[0]"),
    (user([{"type": "text"}]), "messages[0].content[0].text"),
    (user([{"type": "text", "text": "\udc00"}]), "messages[0].content[0].text"),
    (user([{"type": "video_url"}]), "messages[0].content[0].type"),
    (user([{"type": "image_url"}]), "messages[0].content[0].image_url"),
    (user([{"type": "image_url", "image_url": {"url": "ftp://x"}}]), "messages[0].content[0]"),
    (user([{"type": "image_url", "image_url": {"url": "data:image/png"}}]), "messages[0].content[0]"),
    (user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,@@"}}]), "messages[0].content[0]"),
    (user([{"type": "image_url", "image_url": {"url": "data:image/png;base64,é"}}]), "messages[0].content[0]"),
    (user([{"type": "image_url", "image_url": {"url": PIXEL_URL, "detail": 7}}]), "messages[0].content[0].detail"),
    (user([{"type": "input_audio", "input_audio": "x"}]), "messages[0].content[0]"),
    (user([{"type": "input_audio", "input_audio": {"format": "wav"}}]), "messages[0].content[0].input_audio.data"),
    (user([{"type": "input_audio", "input_audio": {"data": "AAAA"}}]), "messages[0].content[0].input_audio.format"),
    (user([{"type": "file", "file": {"file_id": "f"}}]), "messages[0].content[0]"),
    (user([{"type": "file", "file": {"file_data": "data:x/y,\udc00"}}]), "messages[0].content[0].file.file_data"),
    (user([{"type": "file", "file": {"file_data": "data:x/y,z", "filename": 7}}]), "messages[0].content[0].filename"),
    ([{"role": "user", "content": "x", "name": 7}], "messages[0].name"),
    ([{"role": "system", "content": [{"type": "image_url", "image_url": PIXEL_URL}]}], "messages[0].content"),
    ([{"role": "assistant", "tool_calls": 7}], "messages[0].tool_calls"),
    (called("x"), "messages[0].tool_calls[0]"),
    (called({"id": "1"}), "messages[0].tool_calls[0]"),
    (called({"id": "1", "function": {}}), "messages[0].tool_calls[0].function.name"),
    (called({"function": {"name": "f"}}), "messages[0].tool_calls[0].id"),
    (called({"id": 7, "function": {"name": "f"}}), "messages[0].tool_calls[0].id"),
    (
        called({"id": "1", "function": {"name": "f", "arguments": {"a": {1}}}}),
        "messages[0].tool_calls[0].function.arguments",
    ),
    (
        called({"id": "1", "function": {"name": "f", "arguments": {"a": float("nan")}}}),
        "messages[0].tool_calls[0].function.arguments",
    ),
    ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
    ([{"role": "tool", "tool_call_id": "1"}], "messages[0].content"),
    ([UserMessage("\ud800")], "messages[0].content"),
    ([UserMessage(7)], "messages[0].content"),  # type: ignore[arg-type]
    ([UserMessage("x", "\ud800")], "messages[0].name"),
    ([UserMessage([TextPart("\ud800")])], "messages[0].content[0].text"),
    ([UserMessage([MediaPart("image/png")])], "messages[0].content[0]"),
    ([UserMessage(["x"])], "messages[0].content[0]"),  # type: ignore[list-item]
    ([AssistantMessage([ReasoningPart("\ud800")])], "messages[0].content[0].text"),
    ([AssistantMessage([ToolCall("1", "\ud800", {})])], "messages[0].content[0].name"),
    ([AssistantMessage([ToolCall("1", "f", None, "\ud800")])], "messages[0].content[0].raw_arguments"),
    ([ToolMessage("x", None)], "messages[0].tool_call_id"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("shape", "place"), BAD)
def test_what_is_no_message_is_refused_at_its_place(shape: Any, place: str) -> None:
    """The error says where in the conversation, and how it was wrong."""
    with pytest.raises(BadRequest) as caught:
        messages_from(shape)
    assert caught.value.parameter == place
    assert place in caught.value.message or place == "messages"


def test_instructions_that_cannot_be_sent_are_refused() -> None:
    """`system=` is checked like any other text."""
    with pytest.raises(BadRequest) as caught:
        messages_from("Halo", system="\ud800")
    assert caught.value.parameter == "system"


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (PIXEL_URL, MediaPart("image/png", PIXEL)),
        ("DATA:image/png;BASE64,iVBORw==", MediaPart("image/png", b"\x89PNG")),
        ("data:image/png;base64,iVBORw%3D%3D", MediaPart("image/png", b"\x89PNG")),
        ("data:text/plain;charset=utf-8;base64,SGFsbw==", MediaPart("text/plain", b"Halo")),
        ("data:;base64,SGFsbw==", MediaPart("text/plain", b"Halo")),
        ("data:,Halo%20dunia", MediaPart("text/plain", b"Halo dunia")),
        ("data:text/html,<b>é</b>", MediaPart("text/html", "<b>é</b>".encode())),
        ("data:image/svg+xml;utf8,<svg/>", MediaPart("image/svg+xml", b"<svg/>")),
        ("http://a/b.png", MediaPart("image/*", url="http://a/b.png")),
        ("HTTPS://a/b.png", MediaPart("image/*", url="HTTPS://a/b.png")),
    ],
)
def test_urls_become_parts(url: str, part: MediaPart) -> None:
    """A `data:` URL is taken apart here, so that no provider has to; others are the vendor's to fetch."""
    assert media_from_url(url, "here") == part


@given(st.binary(max_size=60), st.sampled_from(["image/png", "audio/wav", "application/pdf"]))
def test_any_bytes_survive_a_data_url(data: bytes, mime: str) -> None:
    """Base64 and back changes nothing."""
    url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
    assert media_from_url(url, "here") == MediaPart(mime, data)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_nonsense_never_raises_anything_but_our_error(value: Any) -> None:
    """Whatever an application passes, the error is one that it can show."""
    for shape in (value, [value], user(value), user([value]), called(value)):
        try:
            messages_from(shape)
        except BadRequest as error:
            assert error.parameter  # noqa: PT017  both outcomes are right
