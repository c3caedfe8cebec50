"""How many tokens a call will use, before anybody has counted them, and how many it used."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from modelhub.types.messages import TextPart
from modelhub.types.requests import ChatRequest, EmbedRequest, ModerationRequest, Request, RerankRequest
from modelhub.types.usage import Usage

__all__ = ["counted_tokens", "expected_tokens", "texts_of"]

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
    match request:
        case ChatRequest():
            characters = sum(len(text) for text in texts_of(request))
            characters += sum(len(json.dumps(tool.parameters)) for tool in request.tools)
            media = sum(not isinstance(part, TextPart) for message in request.messages for part in message.parts)
            limit = request.parameters.get("max_tokens")
            return characters / _CHARACTERS + media * _MEDIA + (_ANSWER if limit is None else float(limit))
        case EmbedRequest():
            return sum(map(len, request.texts)) / _CHARACTERS
        case RerankRequest():
            return (len(request.query) * len(request.documents) + sum(map(len, request.documents))) / _CHARACTERS
        case ModerationRequest():
            return len(request.text) / _CHARACTERS
        case _:
            return 0.0
