"""How many tokens a call uses: before anybody has counted them, where nobody will, and where somebody has."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from modelhub.types.messages import ReasoningPart, TextPart, ToolCall
from modelhub.types.requests import ChatRequest, EmbedRequest, ModerationRequest, Request, RerankRequest
from modelhub.types.results import ChatResult, Result
from modelhub.types.usage import Usage

__all__ = ["counted_tokens", "expected_tokens", "texts_of", "used_so_far"]

_CHARACTERS = 4.0
"""Characters of a token, in English and in code, as vendors say for a rule of thumb."""

_ANSWER = 512.0
"""Tokens that an answer is taken to have where the call sets no limit to them."""

_MEDIA = 512.0


def counted_tokens(usage: object) -> tuple[int | None, int | None]:
    """Return the tokens of prompt and answer, as far as a plugin gave numbers for them."""
    if not isinstance(usage, Usage):
        return None, None
    return _count(usage.input_tokens), _count(usage.output_tokens)


def _count(given: object) -> int | None:
    return given if isinstance(given, int) and not isinstance(given, bool) and given >= 0 else None


def texts_of(request: Request[Any]) -> Iterable[str]:
    """Yield the texts of a conversation's messages, in order."""
    if isinstance(request, ChatRequest):
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, TextPart):
                    yield part.text


def expected_tokens(request: Request[Any]) -> float:
    """Return how many tokens a call is taken to use: its prompt by its length, its answer by its limit."""
    if not isinstance(request, ChatRequest):
        return _prompt_tokens(request)
    limit: object = request.parameters.get("max_tokens")
    answer = limit if isinstance(limit, int | float) and 0 < limit < math.inf else _ANSWER  # nothing has checked it yet
    return _prompt_tokens(request) + float(answer)


def used_so_far(
    request: Request[Any], partial: Result | None = None, counted: Usage | None = None, *, before: Result | None = None
) -> Usage:
    """Return what an answer used that was given up: the vendor's counts, and by their length what it did not count.

    What the vendor counted of the answer may be long ago, so that more of it has come.

    Args:
        request: What was asked.
        partial: What came of the answer, if anything did.
        counted: What the vendor counted by then.
        before: What of ``partial`` another attempt had brought.
    """
    counted = counted if isinstance(counted, Usage) else Usage()
    prompt, answer = _count(counted.input_tokens), _count(counted.output_tokens)
    came = math.ceil(max(0, _characters(partial) - _characters(before)) / _CHARACTERS)
    if prompt is not None and answer is not None and answer >= came:
        return counted
    if prompt is None:
        prompt = math.ceil(_prompt_tokens(request))
    answer = came if answer is None else max(answer, came)
    return replace(counted, input_tokens=prompt, output_tokens=answer, estimated=True)


def _characters(result: Result | None) -> int:
    return sum(map(len, _written(result))) if isinstance(result, ChatResult) else 0


def _written(result: ChatResult[Any]) -> Iterator[str]:
    for part in result.message.parts:
        match part:
            case TextPart() | ReasoningPart():
                yield part.text
            case ToolCall():
                yield part.raw_arguments or ""
            case _:
                pass


def _prompt_tokens(request: Request[Any]) -> float:
    match request:
        case ChatRequest():
            characters = sum(len(text) for text in texts_of(request))
            characters += sum(len(json.dumps(tool.parameters)) for tool in request.tools)
            media = sum(not isinstance(part, TextPart) for message in request.messages for part in message.parts)
            return characters / _CHARACTERS + media * _MEDIA
        case EmbedRequest():
            return sum(map(len, request.texts)) / _CHARACTERS
        case RerankRequest():
            return (len(request.query) * len(request.documents) + sum(map(len, request.documents))) / _CHARACTERS
        case ModerationRequest():
            return len(request.text) / _CHARACTERS
        case _:
            return 0.0
