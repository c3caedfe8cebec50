"""What every request must be, whoever made it: a verb of the hub's or the application itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast, get_args

from modelhub.errors import BadRequest
from modelhub.rules.messages import messages_from
from modelhub.rules.names import did_you_mean
from modelhub.rules.parameters import check_text, number_in_range
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    OnInterrupt,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import Result
from modelhub.types.tools import Tool, ToolChoice

__all__ = ["checked_choice", "checked_interrupt", "checked_request", "checked_timeout"]

R = TypeVar("R", bound=Result)

_KINDS = (ChatRequest, EmbedRequest, RerankRequest, TranscriptionRequest, SpeechRequest, ModerationRequest)


def checked_request(request: Request[R]) -> Request[R]:
    """Return a request as it can be served: texts in a tuple, messages read.

    Raises:
        BadRequest: Something in it can never be right; ``parameter`` names it.
    """
    if type(request) not in _KINDS:
        known = ", ".join(kind.__name__ for kind in _KINDS)
        remedy = f"make one of {known}"
        raise BadRequest(f"a {type(request).__name__} is no request", parameter="request", remedy=remedy)
    checked_timeout(request.timeout)
    checked_interrupt(request.on_interrupt)
    check_text(request.session, "session")
    return cast("Request[R]", _checked(request))


def checked_timeout(seconds: object) -> float | None:
    """Return how long a call may take.

    Raises:
        BadRequest: It is no number of seconds above 0.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise BadRequest(f"timeout is {seconds!r}: it must be a number of seconds above 0", parameter="timeout")
    return seconds


def checked_interrupt(given: object) -> OnInterrupt:
    """Return what becomes of a stream that breaks off.

    Raises:
        BadRequest: It is none of the three ways.
    """
    if given not in get_args(OnInterrupt):
        remedy = did_you_mean(str(given), get_args(OnInterrupt), what="ways")
        raise BadRequest(f"on_interrupt is {given!r}: there is no such way", parameter="on_interrupt", remedy=remedy)
    return cast("OnInterrupt", given)


def checked_choice(choice: object, tools: Sequence[Tool]) -> ToolChoice | None:
    """Return how a model must choose among its tools; OpenAI's dicts are understood.

    Raises:
        BadRequest: It names no tool that is given, or two tools have one name.
    """
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"two tools are named {twice!r}", parameter="tools")
    if isinstance(choice, Mapping):
        function = choice.get("function", choice)
        named = function.get("name", choice.get("type")) if isinstance(function, Mapping) else None
        choice = named if isinstance(named, str) else choice
    known = ["auto", "none", "required", *names] if names else ["auto", "none"]
    if choice is None or (isinstance(choice, str) and choice in known):
        return choice
    remedy = did_you_mean(str(choice), known, what="choices")
    raise BadRequest(
        f"tool_choice is {choice!r}, which is no tool of this call", parameter="tool_choice", remedy=remedy
    )


def _checked(request: Request[Any]) -> Request[Any]:
    match request:
        case ChatRequest():
            choice = checked_choice(request.tool_choice, request.tools)
            return replace(request, messages=messages_from(request.messages), tool_choice=choice)
        case EmbedRequest():
            number_in_range("dimensions", request.dimensions, least=1, whole=True)
            return replace(request, texts=_texts(request.texts, "texts"))
        case RerankRequest():
            check_text(request.query, "query")
            number_in_range("top_n", request.top_n, least=0, whole=True)
            return replace(request, documents=_texts(request.documents, "documents"))
        case TranscriptionRequest():
            _optional_text(request.language, "language")
            _optional_text(request.prompt, "prompt")
            return replace(request, audio=_bytes(request.audio))
        case SpeechRequest():
            check_text(request.text, "text")
            _optional_text(request.voice, "voice")
            number_in_range("speed", request.speed, least=0, whole=False)
            return request
        case _:
            check_text(cast("ModerationRequest", request).text, "text")
            return request


def _optional_text(value: object, name: str) -> None:
    if value is not None:
        check_text(value, name)


def _texts(given: object, name: str) -> tuple[str, ...]:
    texts = (given,) if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or isinstance(texts, bytes):
        raise BadRequest(f"{name} is a {type(given).__name__}: it must be a text or a list of texts", parameter=name)
    return tuple(check_text(text, f"{name}[{number}]") for number, text in enumerate(texts))


def _bytes(given: object) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, bytearray | memoryview):
        return bytes(given)
    raise BadRequest(f"audio is a {type(given).__name__}: it must be bytes or a path", parameter="audio")
