"""What a request says by itself of what is paid for, where the vendor's figures leave it out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from modelhub.types.messages import MediaPart
from modelhub.types.requests import ChatRequest, EmbedRequest, Request, SpeechRequest
from modelhub.types.results import ChatResult, Result, TranscriptionResult
from modelhub.types.usage import Usage

__all__ = ["billable"]

T = TypeVar("T")


def billable(request: Request[Any], result: Result) -> Usage | None:
    """Return what is to be paid for: the vendor's figures, and for those it leaves out what the request itself shows.

    A prompt without a sound has no tokens of sound, the images in it can be counted, and so can the characters that
    were to be spoken. What the vendor says counts more. Tokens are never guessed.

    Returns:
        The usage, or ``None`` where not even the number of requests is known.
    """
    usage = result.usage
    if usage is None:
        if isinstance(request, EmbedRequest):
            return None
        usage = Usage()
    if isinstance(request, ChatRequest):
        return _of_chat(usage, request, result)
    if isinstance(request, SpeechRequest):
        return replace(usage, characters=_either(usage.characters, len(request.text)))
    if isinstance(result, TranscriptionResult):
        return replace(usage, seconds=_either(usage.seconds, result.duration))
    return usage


def _of_chat(usage: Usage, request: ChatRequest[Any], result: Result) -> Usage:
    asked = list(_kinds(request))
    no_sight = {"image", "video", "document"}.isdisjoint(asked)
    no_sound = {"audio", "video"}.isdisjoint(asked)
    silent = isinstance(result, ChatResult) and not any(isinstance(part, MediaPart) for part in result.message.parts)
    return replace(
        usage,
        images=_either(usage.images, asked.count("image")),
        image_input_tokens=_either(usage.image_input_tokens, 0 if no_sight else None),
        audio_input_tokens=_either(usage.audio_input_tokens, 0 if no_sound else None),
        audio_output_tokens=_either(usage.audio_output_tokens, 0 if silent else None),
    )


def _kinds(request: ChatRequest[Any]) -> Iterator[str]:
    for message in request.messages:
        yield from (part.kind for part in message.parts if isinstance(part, MediaPart))


def _either(given: T | None, found: T | None) -> T | None:
    return found if given is None else given
