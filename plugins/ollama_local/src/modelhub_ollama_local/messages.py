"""A conversation in the shape of ``/api/chat``, and the one text of ``/api/generate``.

Owns what becomes of roles, parts, images, tool calls and their results. A message's content is one string there,
images lie beside it as bare base64, and the arguments of a call are an object.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.types.json import JSON
from modelhub.types.messages import (
    AssistantMessage,
    AssistantPart,
    MediaPart,
    Message,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

__all__ = ["Prompt", "encoded_messages", "is_one_text", "prompt_of"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """What ``/api/generate`` continues.

    Attributes:
        text: The text itself.
        system: Instructions; empty where there are none.
        images: As base64.
    """

    text: str
    system: str = ""
    images: list[JSON] = field(default_factory=list)


def encoded_messages(messages: Sequence[Message]) -> list[JSON]:
    """Return a conversation as the request's ``messages``.

    Raises:
        BadRequest: There are none: the server would load the model and answer nothing.
        UnsupportedFeature: A part cannot be sent to Ollama; the parameter says which message holds it.
    """
    if not messages:
        raise BadRequest("there are no messages", parameter="messages", remedy="give at least one to answer")
    names: dict[str, str] = {}
    encoded: list[JSON] = []
    for number, message in enumerate(messages):
        place = f"messages[{number}]"
        match message:
            case SystemMessage():
                encoded.append({"role": "system", "content": message.content})
            case UserMessage():
                encoded.append({"role": "user", **_content(message.parts, place)})
            case AssistantMessage():
                names.update((call.id, call.name) for call in message.tool_calls)
                encoded.append({"role": "assistant", **_said(message, place)})
            case _:
                encoded.append({"role": "tool", **_answered(message, names, place)})
    return encoded


def _content(parts: Sequence[AssistantPart], place: str) -> dict[str, JSON]:
    content: dict[str, JSON] = {"content": _text(parts)}
    if images := _images(parts, place):
        content["images"] = images
    return content


def _said(message: AssistantMessage, place: str) -> dict[str, JSON]:
    said = _content(message.parts, place)
    said["content"] = message.text
    if message.reasoning:
        said["thinking"] = message.reasoning
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
    return said


def _call(call: ToolCall) -> JSON:
    arguments = call.arguments
    if arguments is None:
        # An object is all that the server takes; the model must still see what it wrote.
        arguments = {"invalid_json": call.raw_arguments}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _answered(message: ToolMessage, names: Mapping[str, str], place: str) -> dict[str, JSON]:
    answered = _content(message.parts, place)
    if name := message.name or names.get(message.tool_call_id):
        answered["tool_name"] = name
    answered["tool_call_id"] = message.tool_call_id
    return answered


def _text(parts: Iterable[AssistantPart]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, TextPart))


def _images(parts: Iterable[AssistantPart], place: str) -> list[JSON]:
    return [_image(part, place) for part in parts if isinstance(part, MediaPart)]


def _image(part: MediaPart, place: str) -> str:
    if part.kind != "image":
        message = f"Ollama takes text and images, no {part.kind} ({part.mime})"
        raise UnsupportedFeature(message, parameter=place, remedy="leave it out, or put its text into the message")
    if part.data is not None:
        return base64.b64encode(part.data).decode("ascii")
    url = part.url or ""
    head, comma, body = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        return body
    message = "Ollama fetches no images: it takes their bytes only"
    raise UnsupportedFeature(
        message, parameter=place, remedy="fetch the image and give its bytes: MediaPart(mime, data)"
    )


def is_one_text(messages: Sequence[Message]) -> bool:
    """Whether a conversation is what ``/api/generate`` can say: instructions, then what the user says."""
    return bool(messages) and all(isinstance(message, SystemMessage | UserMessage) for message in messages)


def prompt_of(messages: Sequence[Message]) -> Prompt:
    """Return a conversation as one text to continue.

    Raises:
        UnsupportedFeature: It has turns of an assistant or of tools, which one text cannot have.
        BadRequest: The text is empty: the server would load the model and answer nothing.
    """
    if not is_one_text(messages) and messages:
        message = "the options raw, suffix and template continue one text, not a conversation with answers in it"
        raise UnsupportedFeature(message, parameter="messages", remedy="leave the options or the earlier turns out")
    users = [message for message in messages if isinstance(message, UserMessage)]
    text = "\n".join(_text(message.parts) for message in users)
    if not text:
        raise BadRequest("there is no text to continue", parameter="messages", remedy="give a user message with text")
    images = [image for number, message in enumerate(users) for image in _images(message.parts, f"messages[{number}]")]
    system = "\n".join(message.content for message in messages if isinstance(message, SystemMessage))
    return Prompt(text, system, images)
