"""From what an application calls a conversation (a text, messages of ours, dicts in OpenAI's shape) to messages.

The dict shape is that of https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import unquote, unquote_to_bytes

from modelhub.errors import BadRequest
from modelhub.rules.fold import tool_arguments
from modelhub.rules.parameters import check_text
from modelhub.types.messages import (
    AssistantMessage,
    AssistantPart,
    InputPart,
    MediaPart,
    Message,
    Messages,
    ReasoningPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)

__all__ = ["media_from_url", "messages_from"]

_OURS = (SystemMessage, UserMessage, AssistantMessage, ToolMessage)
_AUDIO_MIMES = {"mp3": "audio/mpeg"}


def messages_from(value: Messages, *, system: str | None = None) -> tuple[Message, ...]:
    """Read a conversation.

    Args:
        value: A text, a message, or several; dicts in OpenAI's shape are understood.
        system: Instructions to put before it.

    Raises:
        BadRequest: Something in it is no message; ``parameter`` says where.
    """
    head = (SystemMessage(check_text(system, "system")),) if system is not None else ()
    if isinstance(value, str):
        return (*head, UserMessage(check_text(value, "messages")))
    items: object = [value] if isinstance(value, (Mapping, *_OURS)) else value
    if not isinstance(items, Sequence) or isinstance(items, bytes):
        raise BadRequest(
            f"messages is a {type(value).__name__}: it must be a text or a list of messages",
            parameter="messages",
        )
    messages = (*head, *(_message(item, f"messages[{number}]") for number, item in enumerate(items)))
    if not messages:
        raise BadRequest("there are no messages", parameter="messages", remedy="give at least one message to answer")
    return messages


def _message(item: object, where: str) -> Message:
    if isinstance(item, _OURS):
        _check(item, where)
        return item
    if not isinstance(item, Mapping):
        raise BadRequest(f"{where} is a {type(item).__name__}: it must be a message or a dict", parameter=where)
    role = item.get("role")
    content = item.get("content")
    match role:
        case "system" | "developer":
            return SystemMessage(_joined(content, f"{where}.content"))
        case "user":
            return UserMessage(_input(content, f"{where}.content"), _optional(item.get("name"), f"{where}.name"))
        case "assistant":
            return _assistant(cast("Mapping[str, object]", item), where)
        case "tool":
            call_id = check_text(item.get("tool_call_id"), f"{where}.tool_call_id")
            name = _optional(item.get("name"), f"{where}.name")
            return ToolMessage(_input(content, f"{where}.content"), call_id, name)
        case _:
            message = f"{where}.role is {role!r}: it must be system, user, assistant or tool"
            raise BadRequest(message, parameter=f"{where}.role")


def _optional(value: object, where: str) -> str | None:
    return None if value is None else check_text(value, where)


def _check(message: Message, where: str) -> None:
    match message:
        case UserMessage():
            _optional(message.name, f"{where}.name")
        case ToolMessage():
            check_text(message.tool_call_id, f"{where}.tool_call_id")
        case _:
            pass
    content: object = message.content
    if isinstance(content, str):
        check_text(content, f"{where}.content")
    elif isinstance(content, Sequence):
        _check_parts(content, where)
    else:
        raise _no_content(content, f"{where}.content")


def _no_content(content: object, where: str) -> BadRequest:
    return BadRequest(f"{where} is a {type(content).__name__}: it must be a text or a list of parts", parameter=where)


def _check_parts(content: Sequence[object], where: str) -> None:
    for number, part in enumerate(content):
        place = f"{where}.content[{number}]"
        match part:
            case TextPart() | ReasoningPart():
                check_text(part.text, f"{place}.text")
            case ToolCall():
                check_text(part.name, f"{place}.name")
                check_text(part.raw_arguments, f"{place}.raw_arguments")
            case MediaPart():
                if part.data is None and part.url is None:
                    raise BadRequest(f"{place} has neither data nor url", parameter=place)
            case _:
                raise BadRequest(f"{place} is a {type(part).__name__}: it must be a part of a message", parameter=place)


def _joined(content: object, where: str) -> str:
    if isinstance(content, str):
        return check_text(content, where)
    parts = _parts(content, where)
    if not all(isinstance(part, TextPart) for part in parts):
        raise BadRequest(f"{where} may hold text only", parameter=where)
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def _input(content: object, where: str) -> str | tuple[InputPart, ...]:
    return check_text(content, where) if isinstance(content, str) else _parts(content, where)


def _parts(content: object, where: str) -> tuple[InputPart, ...]:
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        raise _no_content(content, where)
    return tuple(_part(part, f"{where}[{number}]") for number, part in enumerate(content))


def _part(part: object, where: str) -> InputPart:
    if isinstance(part, TextPart | MediaPart):
        return part
    if not isinstance(part, Mapping):
        raise BadRequest(f"{where} is a {type(part).__name__}: it must be a part of a message", parameter=where)
    kind = part.get("type")
    match kind:
        case "text":
            return TextPart(check_text(part.get("text"), f"{where}.text"))
        case "image_url":
            image = part.get("image_url")
            url = image.get("url") if isinstance(image, Mapping) else image
            detail = _optional(image.get("detail") if isinstance(image, Mapping) else None, f"{where}.detail")
            return media_from_url(check_text(url, f"{where}.image_url"), where, detail=detail)
        case "input_audio":
            audio = part.get("input_audio")
            if not isinstance(audio, Mapping):
                raise BadRequest(f"{where}.input_audio must be a dict with data and format", parameter=where)
            data = _decoded(check_text(audio.get("data"), f"{where}.input_audio.data"), where)
            format = check_text(audio.get("format"), f"{where}.input_audio.format")
            return MediaPart(_AUDIO_MIMES.get(format, f"audio/{format}"), data)
        case "file":
            file = part.get("file")
            if not isinstance(file, Mapping) or not isinstance(file.get("file_data"), str):
                raise BadRequest(f"{where}.file must be a dict with file_data", parameter=where)
            url = check_text(file["file_data"], f"{where}.file.file_data")
            return media_from_url(url, where, name=_optional(file.get("filename"), f"{where}.filename"))
        case _:
            message = f"{where}.type is {kind!r}: it must be text, image_url, input_audio or file"
            raise BadRequest(message, parameter=f"{where}.type")


def media_from_url(url: str, where: str, *, detail: str | None = None, name: str | None = None) -> MediaPart:
    """Make a part of a URL; a ``data:`` URL is decoded (https://www.rfc-editor.org/rfc/rfc2397).

    Raises:
        BadRequest: It is neither ``data:`` nor ``http(s)://``, or cannot be decoded.
    """
    scheme = url[:8].lower()
    if scheme.startswith("data:"):
        head, comma, body = url[5:].partition(",")
        if not comma:
            raise BadRequest(f"{where} has a data: URL without data", parameter=where)
        mime, _, rest = head.partition(";")
        is_base64 = rest.rpartition(";")[2].lower() == "base64"
        data = _decoded(unquote(body), where) if is_base64 else unquote_to_bytes(body)
        return MediaPart(mime or "text/plain", data, name=name, detail=detail)
    if scheme.startswith(("http://", "https://")):
        return MediaPart("image/*", url=url, name=name, detail=detail)
    raise BadRequest(f"{where} has a URL that is neither data: nor http(s)://", parameter=where)


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadRequest(f"{where} is not base64: {error}", parameter=where) from error


def _assistant(item: Mapping[str, object], where: str) -> AssistantMessage:
    parts: list[AssistantPart] = []
    reasoning = item.get("reasoning_content") or item.get("reasoning")
    if isinstance(reasoning, str):
        parts.append(ReasoningPart(reasoning))
    content = item.get("content")
    if content is not None and content != "":
        given = _input(content, f"{where}.content")
        parts.extend([TextPart(given)] if isinstance(given, str) else given)
    calls = item.get("tool_calls") or ()
    if not isinstance(calls, Sequence):
        raise BadRequest(f"{where}.tool_calls must be a list", parameter=f"{where}.tool_calls")
    parts.extend(_call(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls))
    return AssistantMessage(tuple(parts))


def _call(call: object, where: str) -> ToolCall:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(call, Mapping) or not isinstance(function, Mapping):
        raise BadRequest(f"{where} must be a dict with id and function", parameter=where)
    name = check_text(function.get("name"), f"{where}.function.name")
    raw = _raw_arguments(function.get("arguments"), f"{where}.function.arguments")
    return ToolCall(check_text(call.get("id"), f"{where}.id"), name, tool_arguments(raw), raw)


def _raw_arguments(given: object, where: str) -> str:
    if given is None:
        return ""
    if isinstance(given, str):
        return check_text(given, where)
    try:
        return json.dumps(given, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadRequest(f"{where} cannot be written as JSON: {error}", parameter=where) from error
