"""Requests and answers in llama-server's own dialect, https://github.com/ggml-org/llama.cpp/tree/master/tools/server.

Owns the translation both ways; knows nothing of engines and threads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from modelhub.errors import UnsupportedFeature
from modelhub.provider import DecodeState
from modelhub.types.events import (
    ChatEvent,
    Finish,
    FinishReason,
    ReasoningDelta,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    UsageUpdate,
)
from modelhub.types.messages import AssistantMessage, MediaPart, Message, SystemMessage, ToolMessage, UserMessage
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.usage import Timing, Usage

__all__ = ["decoded", "encoded", "ended"]

_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "tool_calls": FinishReason.TOOL_CALLS}
_MILLI = 1000


def encoded(request: ChatRequest[None]) -> dict[str, object]:
    """Return a request as the engine takes it; only what the caller set.

    Raises:
        UnsupportedFeature: The conversation holds something that is no text.
    """
    body: dict[str, object] = {"messages": [_message(message) for message in request.messages]}
    body.update(request.parameters)
    body.update(request.options)
    if request.tools and request.tool_choice != "none":
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
            }
            for tool in request.tools
        ]
        if request.tool_choice is not None:
            body["tool_choice"] = _choice(request.tool_choice)
    if request.response_format is not None:
        body["response_format"] = _format(request.response_format)
    return body


def _choice(choice: str) -> object:
    return choice if choice in {"auto", "required"} else {"type": "function", "function": {"name": choice}}


def _format(wanted: ResponseFormat) -> dict[str, object]:
    if wanted.schema is None:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": wanted.name, "schema": wanted.schema, "strict": True}}


def _message(message: Message) -> dict[str, object]:
    match message:
        case SystemMessage():
            return {"role": "system", "content": message.content}
        case UserMessage():
            return {"role": "user", "content": _text(message)}
        case ToolMessage():
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": _text(message)}
        case AssistantMessage():
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": call.raw_arguments or json.dumps(call.arguments or {}),
                    },
                }
                for call in message.tool_calls
            ]
            said: dict[str, object] = {"role": "assistant", "content": message.text}
            if message.reasoning:
                said["reasoning_content"] = message.reasoning
            return {**said, "tool_calls": calls} if calls else said


def _text(message: UserMessage | ToolMessage) -> str:
    pieces = []
    for part in message.parts:
        if isinstance(part, MediaPart):
            raise UnsupportedFeature(f"a local model reads text only, not {part.mime}", parameter="messages")
        pieces.append(part.text)
    return "".join(pieces)


def decoded(chunk: Mapping[str, Any], state: DecodeState) -> Iterator[ChatEvent]:
    """Return the events in a piece of the answer.

    The usage comes in a piece of its own, after the last of the text; that of the prompt when it has been read.
    """
    values = state.values
    if "started" not in values:
        values["started"] = True
        yield Started(chunk.get("id"), chunk.get("model"))
    if progress := chunk.get("prompt_progress"):
        yield UsageUpdate(Usage(progress.get("total"), cached_tokens=progress.get("cache")))
    for choice in chunk.get("choices") or ():
        yield from _delta(choice, state)
        if choice.get("finish_reason"):
            values["reason"] = choice["finish_reason"]
    if chunk.get("timings"):
        values["timings"] = chunk["timings"]
    if chunk.get("usage"):
        values["usage"] = chunk["usage"]
        yield from ended(state)


def _delta(choice: Mapping[str, Any], state: DecodeState) -> Iterator[ChatEvent]:
    delta = choice.get("delta") or {}
    if delta.get("reasoning_content"):
        yield ReasoningDelta(state.part("reasoning"), delta["reasoning_content"])
    if delta.get("content"):
        yield TextDelta(state.part("text"), delta["content"], _logprobs(choice.get("logprobs")))
    for call in delta.get("tool_calls") or ():
        function = call.get("function") or {}
        part = state.part("tool_call", call.get("index", 0))
        yield ToolCallDelta(part, call.get("id") or None, function.get("name"), function.get("arguments") or "")


def _logprobs(given: Mapping[str, Any] | None) -> tuple[TokenLogprob, ...] | None:
    content: Iterable[Mapping[str, Any]] | None = (given or {}).get("content")
    if not content:
        return None
    return tuple(
        TokenLogprob(
            token["token"],
            token["logprob"],
            tuple(TokenLogprob(other["token"], other["logprob"]) for other in token.get("top_logprobs") or ()),
        )
        for token in content
    )


def ended(state: DecodeState) -> Iterator[ChatEvent]:
    """Return the end, if the model has come to one and it was not told yet."""
    values = state.values
    reason = values.pop("reason", None)
    if reason is None:
        return
    usage, timings = values.get("usage"), values.get("timings") or {}
    counted = None
    if usage is not None:
        details = usage.get("prompt_tokens_details") or {}
        counted = Usage(
            input_tokens=usage.get("prompt_tokens"),
            output_tokens=usage.get("completion_tokens"),
            cached_tokens=details.get("cached_tokens"),
            raw=usage,
        )
    timing = Timing(prompt=_seconds(timings.get("prompt_ms")), output=_seconds(timings.get("predicted_ms")))
    yield Finish(_REASONS.get(reason, FinishReason.UNKNOWN), reason, counted, timing)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / _MILLI
