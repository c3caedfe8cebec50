"""Events to a result. The same fold serves whole answers, streams and what is left of a broken stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from sys import getsizeof
from typing import cast, final

from modelhub.errors import PluginError
from modelhub.types.events import (
    AudioDelta,
    Citation,
    Event,
    Finish,
    FinishReason,
    MediaDelta,
    Notice,
    ReasoningDelta,
    Reset,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    UsageUpdate,
)
from modelhub.types.json import JSON
from modelhub.types.messages import (
    AssistantMessage,
    AssistantPart,
    MediaPart,
    ReasoningPart,
    TextPart,
    ToolCall,
)
from modelhub.types.records import Warning
from modelhub.types.results import ChatResult, SpeechResult
from modelhub.types.usage import Usage

__all__ = ["ChatFold", "SpeechFold", "Weight", "folded", "is_content", "tool_arguments"]

_CONTENT = (TextDelta, ReasoningDelta, ToolCallDelta, MediaDelta, AudioDelta)

_EVENT = 64
"""Bytes of memory that every event takes beside what is in it."""
_PART = 384
"""Bytes of memory that a part of a message takes beside what is in it."""


def _check_event(event: object) -> None:
    """Pass over an event of a type that is newer than this code; refuse what is no event at all."""
    if not isinstance(getattr(event, "type", None), str):
        raise PluginError(
            f"the plugin yielded a {type(event).__name__}, which is no event",
            remedy="the plugin's author must yield the events of modelhub.types.events, such as TextDelta(0, text)",
        )


def is_content(event: Event) -> bool:
    """Whether a caller has something in hand once this event was delivered: then nothing may be tried again."""
    if type(event) is TextDelta or type(event) is ReasoningDelta:
        return bool(event.text) or event.state is not None
    return isinstance(event, _CONTENT)


@final
class Weight:
    """Counts how many bytes of memory the events of an answer take, rather more than less.

    Attributes:
        bytes: So far.
    """

    __slots__ = ("_part", "bytes")

    def __init__(self) -> None:
        self.bytes: int = 0
        self._part: object = None

    def add(self, event: object) -> int:
        """Count an event; returns how many bytes there are with it."""
        part = getattr(event, "part", None)
        if part is not None and part != self._part:
            self._part = part  # it may be a new one
            self.bytes += _PART
        self.bytes += _EVENT
        match event:
            case TextDelta(logprobs=None, state=None) | ReasoningDelta(state=None):  # the commonest by far
                self.bytes += getsizeof(event.text)
            case _:
                self.bytes += _size(event)
        return self.bytes

    def __repr__(self) -> str:
        return f"<Weight: {self.bytes} bytes>"


def _size(value: object) -> int:
    """Return what a value takes, with all that is in it."""
    if value is None or isinstance(value, str | bytes | int | float):
        return getsizeof(value)
    if isinstance(value, dict):
        return getsizeof(value) + sum(_size(key) + _size(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return getsizeof(value) + sum(map(_size, value))
    fields = getattr(type(value), "__dataclass_fields__", ())
    return getsizeof(value) + sum(_size(getattr(value, name)) for name in fields)


def tool_arguments(text: str) -> Mapping[str, JSON] | None:
    """Read the arguments a model wrote: ``{}`` where it wrote none, ``None`` where they are no JSON object."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, JSON]", value) if isinstance(value, dict) else None


class _Part:
    """A part of the message while its pieces come in."""

    __slots__ = ("call_id", "kind", "mime", "name", "pieces", "state")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.mime = ""
        self.call_id: str | None = None
        self.name = ""
        self.state: JSON = None


@final
class ChatFold:
    """Puts the events of an answer together.

    Args:
        call_id: Prefix for the ids of tool calls whose vendor sends none, or one that it has sent before.
    """

    __slots__ = (
        "_call_id",
        "_citations",
        "_data",
        "_logprobs",
        "_parts",
        "finish",
        "id",
        "model",
        "usage",
        "warnings",
    )

    def __init__(self, call_id: str = "call") -> None:
        self._call_id = call_id
        self._start_over()

    def _start_over(self) -> None:
        self._parts: dict[int, _Part] = {}
        self._data: dict[int, list[bytes]] = {}
        self._logprobs: list[TokenLogprob] = []
        self._citations: list[Citation] = []
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.id: str | None = None
        self.model: str | None = None
        self.warnings: list[Warning] = []

    def add(self, event: Event) -> None:
        """Take the next event. Types that it does not know are passed over.

        Raises:
            PluginError: It says that a part is of another kind than it began as.
        """
        # The commonest first: this runs once per event of every stream.
        if type(event) is TextDelta:
            self._part(event.part, "text", event.state).pieces.append(event.text)
            if event.logprobs is not None:
                self._logprobs.extend(event.logprobs)
        else:
            self._add_other(event)

    def _add_other(self, event: Event) -> None:
        match event:
            case ReasoningDelta():
                self._part(event.part, "reasoning", event.state).pieces.append(event.text)
            case ToolCallDelta():
                part = self._part(event.part, "tool_call", event.state)
                part.call_id = event.id or part.call_id
                part.name = event.name or part.name
                part.pieces.append(event.arguments)
            case MediaDelta():
                self._part(event.part, "media", None).mime = event.mime
                self._data.setdefault(event.part, []).append(event.data)
            case Citation():
                self._citations.append(event)
            case Notice():
                self.warnings.append(event.warning)
            case Started():
                self.id, self.model = event.id or self.id, event.model or self.model
            case UsageUpdate():
                self.usage = event.usage
            case Finish():
                self.finish = event
            case Reset():
                self._start_over()
            case _:
                _check_event(event)

    def _part(self, number: int, kind: str, state: JSON) -> _Part:
        part = self._parts.get(number)
        if part is None:
            part = self._parts[number] = _Part(kind)
        elif part.kind != kind:
            raise PluginError(
                f"part {number} of the answer began as {part.kind} and goes on as {kind}",
                remedy="the plugin's author must number the parts in order, one number for each",
            )
        if state is not None:
            part.state = state
        return part

    def result(self) -> ChatResult[None]:
        """Return what has come so far: whole after `Finish`, partial before it."""
        ids: set[str] = set()
        parts = tuple(self._built(number, part, ids) for number, part in sorted(self._parts.items()))
        finish = self.finish
        return ChatResult(
            id=self.id or "",
            message=AssistantMessage(parts),
            finish_reason=_reason(finish, called=bool(ids)),
            raw_finish_reason=finish.raw_finish_reason if finish else None,
            usage=_usage(finish, self.usage),
            timing=finish.timing if finish else None,
            raw=finish.raw if finish else None,
            warnings=tuple(self.warnings),
            logprobs=tuple(self._logprobs) if self._logprobs else None,
            citations=tuple(self._citations),
            output=None,
        )

    def _built(self, number: int, part: _Part, ids: set[str]) -> AssistantPart:
        text = "".join(part.pieces)
        match part.kind:
            case "text":
                return TextPart(text, part.state)
            case "reasoning":
                return ReasoningPart(text, part.state)
            case "media":
                return MediaPart(part.mime, b"".join(self._data.get(number, ())))
            case _:
                id = part.call_id
                while not id or id in ids:
                    id = f"{self._call_id}_{number}"
                    number += len(self._parts)
                ids.add(id)
                return ToolCall(id, part.name, tool_arguments(text), text, part.state)


def _usage(finish: Finish | None, so_far: Usage | None) -> Usage | None:
    return finish.usage if finish is not None and finish.usage is not None else so_far


def _reason(finish: Finish | None, *, called: bool) -> FinishReason | None:
    if finish is None:
        return None
    if finish.finish_reason is FinishReason.STOP and called:
        return FinishReason.TOOL_CALLS
    if finish.finish_reason is FinishReason.TOOL_CALLS and not called:
        return FinishReason.STOP
    return finish.finish_reason


@final
class SpeechFold:
    """Puts the pieces of a sound together.

    Args:
        mime: The media type of the sound.
    """

    __slots__ = ("_pieces", "finish", "mime", "usage", "warnings")

    def __init__(self, mime: str) -> None:
        self.mime: str = mime
        self._start_over()

    def _start_over(self) -> None:
        self._pieces: list[bytes] = []
        self.usage: Usage | None = None
        self.finish: Finish | None = None
        self.warnings: list[Warning] = []

    def add(self, event: Event) -> None:
        """Take the next event. Types that it does not know are passed over."""
        match event:
            case AudioDelta():
                self._pieces.append(event.data)
            case Notice():
                self.warnings.append(event.warning)
            case UsageUpdate():
                self.usage = event.usage
            case Finish():
                self.finish = event
            case Reset():
                self._start_over()
            case _:
                _check_event(event)

    def result(self) -> SpeechResult:
        """Return what has come so far."""
        return SpeechResult(
            audio=b"".join(self._pieces),
            mime=self.mime,
            usage=_usage(self.finish, self.usage),
            timing=self.finish.timing if self.finish else None,
            warnings=tuple(self.warnings),
        )


def folded(events: Iterable[Event], *, call_id: str = "call") -> ChatResult[None]:
    """Put all events of an answer together at once."""
    fold = ChatFold(call_id)
    for event in events:
        fold.add(event)
    return fold.result()
