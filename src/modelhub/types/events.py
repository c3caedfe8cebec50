"""What a stream yields. Treated as values, though not frozen: freezing costs 2.4 times as much per event.

The union is open: consumers skip types they do not know. ``part`` numbers the parts of the message in order, so that
thinking, a tool call and more thinking are put together again exactly. Exactly one `Finish` ends a stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Literal, TypeAlias

from modelhub.types.json import JSON
from modelhub.types.records import Warning
from modelhub.types.usage import Timing, Usage

__all__ = [
    "AudioDelta",
    "AudioEvent",
    "ChatEvent",
    "Citation",
    "Event",
    "Finish",
    "FinishReason",
    "MediaDelta",
    "Notice",
    "ReasoningDelta",
    "Reset",
    "Started",
    "TextDelta",
    "TokenLogprob",
    "ToolCallDelta",
    "UsageUpdate",
]


class FinishReason(StrEnum):
    """Why the model stopped. The vendor's own word is in ``raw_finish_reason``."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token and the natural logarithm of its probability, with the likeliest others."""

    token: str
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(slots=True)
class Started:
    """The server has begun; no content yet."""

    id: str | None = None
    model: str | None = None
    type: ClassVar[Literal["started"]] = "started"


@dataclass(slots=True)
class TextDelta:
    """More text of part ``part``."""

    part: int
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = None
    state: JSON = None
    type: ClassVar[Literal["text"]] = "text"


@dataclass(slots=True)
class ReasoningDelta:
    """More reasoning of part ``part``; the last ``state`` given for a part counts."""

    part: int
    text: str
    state: JSON = None
    type: ClassVar[Literal["reasoning"]] = "reasoning"


@dataclass(slots=True)
class ToolCallDelta:
    """A tool call, whole or in pieces: ``id`` and ``name`` come with the first piece, ``arguments`` are joined."""

    part: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    state: JSON = None
    type: ClassVar[Literal["tool_call"]] = "tool_call"


@dataclass(slots=True)
class MediaDelta:
    """More bytes of an image or a sound in part ``part``."""

    part: int
    mime: str
    data: bytes = field(repr=False)
    type: ClassVar[Literal["media"]] = "media"


@dataclass(slots=True)
class Citation:
    """A source that the model names for part ``part``."""

    part: int
    url: str | None = None
    title: str | None = None
    text: str | None = None
    type: ClassVar[Literal["citation"]] = "citation"


@dataclass(slots=True)
class Notice:
    """A warning that came up on the way; it is in the result's ``warnings`` too."""

    warning: Warning
    type: ClassVar[Literal["notice"]] = "notice"


@dataclass(slots=True)
class Reset:
    """What came before is void: the stream broke off and begins again. Only where ``on_interrupt`` allows it.

    Made by the hub, never by a plugin.
    """

    type: ClassVar[Literal["reset"]] = "reset"


@dataclass(slots=True)
class UsageUpdate:
    """What the answer has used so far, by the vendor's count: all of it, not what came since the last one.

    A vendor that counts the prompt when it begins, or counts as it goes, lets what is known be kept where the stream is
    left or breaks off. The usage of `Finish` goes before it.
    """

    usage: Usage
    type: ClassVar[Literal["usage"]] = "usage"


@dataclass(slots=True)
class Finish:
    """The one event that ends a stream."""

    finish_reason: FinishReason
    raw_finish_reason: str | None = None
    usage: Usage | None = None
    timing: Timing | None = None
    raw: Mapping[str, JSON] | None = field(default=None, repr=False)
    type: ClassVar[Literal["finish"]] = "finish"


@dataclass(slots=True)
class AudioDelta:
    """More sound, in the format that was asked for."""

    data: bytes = field(repr=False)
    type: ClassVar[Literal["audio"]] = "audio"


ChatEvent: TypeAlias = (
    Started | TextDelta | ReasoningDelta | ToolCallDelta | MediaDelta | Citation | Notice | UsageUpdate | Reset | Finish
)
AudioEvent: TypeAlias = Started | AudioDelta | Notice | UsageUpdate | Reset | Finish
Event: TypeAlias = ChatEvent | AudioEvent
