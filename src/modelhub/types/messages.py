"""Messages and their parts: what an application says to a model and what the model says back.

A message holds its parts in order. ``state`` on a part is a provider's own, opaque value (a signature, encrypted
reasoning): it goes back byte for byte with the history, and nobody but that provider reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypeAlias

from modelhub.types.json import JSON

__all__ = [
    "AssistantMessage",
    "AssistantPart",
    "InputPart",
    "MediaPart",
    "Message",
    "MessageLike",
    "Messages",
    "ReasoningPart",
    "SystemMessage",
    "TextPart",
    "ToolCall",
    "ToolMessage",
    "UserMessage",
]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A run of text."""

    text: str
    state: JSON = None
    type: ClassVar[Literal["text"]] = "text"


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought, where the vendor shows it; ``text`` may be empty where only ``state`` is shown."""

    text: str
    state: JSON = None
    type: ClassVar[Literal["reasoning"]] = "reasoning"


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a sound, a film or a document: either ``data`` or ``url``.

    Attributes:
        mime: The media type, such as ``image/png``.
        data: The bytes themselves.
        url: Where the vendor is to fetch them; a ``data:`` URL is taken apart when the message is read.
        name: A file name, where the vendor wants one.
        detail: How closely to look at an image (``low`` or ``high``), where the vendor takes that.
    """

    mime: str
    data: bytes | None = field(default=None, repr=False)
    url: str | None = None
    name: str | None = None
    detail: str | None = None
    type: ClassVar[Literal["media"]] = "media"

    @property
    def kind(self) -> Literal["image", "audio", "video", "document"]:
        """What a model must be able to read to take this part."""
        match self.mime.partition("/")[0]:
            case "image":
                return "image"
            case "audio":
                return "audio"
            case "video":
                return "video"
            case _:
                return "document"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asks to be run.

    Attributes:
        id: Unique within the conversation; made up where the vendor sends none.
        name: The tool's name.
        arguments: The arguments, or ``None`` where the model wrote no valid JSON object: such a call must not be run.
        raw_arguments: The text that the model wrote.
    """

    id: str
    name: str
    arguments: Mapping[str, JSON] | None
    raw_arguments: str = ""
    state: JSON = None
    type: ClassVar[Literal["tool_call"]] = "tool_call"


InputPart: TypeAlias = TextPart | MediaPart
AssistantPart: TypeAlias = TextPart | ReasoningPart | ToolCall | MediaPart


def _joined(parts: Sequence[AssistantPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class SystemMessage:
    """Instructions that stand above the conversation."""

    content: str
    role: ClassVar[Literal["system"]] = "system"

    @property
    def parts(self) -> Sequence[TextPart]:
        """The content as a part."""
        return (TextPart(self.content),)

    @property
    def text(self) -> str:
        """The content."""
        return self.content


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the user says: text, or parts in order."""

    content: str | Sequence[InputPart]
    name: str | None = None
    role: ClassVar[Literal["user"]] = "user"

    @property
    def parts(self) -> Sequence[InputPart]:
        """The content as parts."""
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return _joined(self.parts)


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """What the model said: text, or parts in order. ``reply.message`` goes back into a history as it is."""

    content: str | Sequence[AssistantPart] = ()
    role: ClassVar[Literal["assistant"]] = "assistant"

    @property
    def parts(self) -> Sequence[AssistantPart]:
        """The content as parts."""
        if isinstance(self.content, str):
            return (TextPart(self.content),) if self.content else ()
        return self.content

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return _joined(self.parts)

    @property
    def reasoning(self) -> str:
        """All reasoning parts, joined; empty where there are none."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


@dataclass(frozen=True, slots=True)
class ToolMessage:
    """What a tool answered.

    Attributes:
        content: Text, or parts in order.
        tool_call_id: The ``id`` of the call that this answers.
        name: The tool's name; found through the history where it is left out.
        is_error: Whether the tool failed.
    """

    content: str | Sequence[InputPart]
    tool_call_id: str
    name: str | None = None
    is_error: bool = False
    role: ClassVar[Literal["tool"]] = "tool"

    @property
    def parts(self) -> Sequence[InputPart]:
        """The content as parts."""
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return _joined(self.parts)


Message: TypeAlias = SystemMessage | UserMessage | AssistantMessage | ToolMessage
MessageLike: TypeAlias = Message | Mapping[str, object]
Messages: TypeAlias = str | MessageLike | Sequence[MessageLike]
