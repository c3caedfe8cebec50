"""What a model answered. Every result says what was used, what it cost, what was tried and what to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from modelhub.types.cost import Cost
from modelhub.types.events import Citation, FinishReason, TokenLogprob
from modelhub.types.json import JSON
from modelhub.types.messages import AssistantMessage, ToolCall
from modelhub.types.records import Attempt, Warning
from modelhub.types.usage import Timing, Usage

__all__ = [
    "ChatResult",
    "EmbedResult",
    "ModerationResult",
    "RankedDocument",
    "RerankResult",
    "Result",
    "Segment",
    "SpeechResult",
    "TranscriptionResult",
]

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What every result has.

    Attributes:
        model: ``"provider/model"`` that answered, as one word; errors have both apart. Empty in a part of an answer.
        id: The vendor's id of the answer, or the call's own.
        usage: What was used, or ``None`` where the vendor does not say.
        cost: What it cost, or ``None`` where nothing of it is known.
        timing: How long it took.
        warnings: What the caller should know.
        attempts: What was tried, the successful attempt last.
        raw: The vendor's own answer, where it came as one document.
    """

    model: str = ""
    id: str = ""
    usage: Usage | None = None
    cost: Cost | None = None
    timing: Timing | None = None
    warnings: tuple[Warning, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    raw: Mapping[str, JSON] | None = field(default=None, repr=False, compare=False)


# No slots: `ChatResult[T](…)` sets an attribute, which Python 3.11 cannot do on a frozen class with slots.
@dataclass(frozen=True, kw_only=True)
class ChatResult(Result, Generic[T_co]):
    """An answer.

    Attributes:
        message: The answer's parts in order; it goes back into a history as it is.
        finish_reason: Why the model stopped; ``None`` only in the partial result of a stream.
        raw_finish_reason: The vendor's own word for it.
        output: The answer in the shape of ``response_format``; ``None`` without one.
        logprobs: Tokens with their probabilities, where they were asked for.
        citations: Sources the model named.
        resumed: Whether the stream broke off on the way and was continued; ``usage`` is that of both parts, as far as
            both are known.
    """

    message: AssistantMessage
    finish_reason: FinishReason | None
    raw_finish_reason: str | None = None
    output: T_co
    logprobs: tuple[TokenLogprob, ...] | None = None
    citations: tuple[Citation, ...] = ()
    resumed: bool = False

    @property
    def text(self) -> str:
        """All text of the answer, joined."""
        return self.message.text

    @property
    def reasoning(self) -> str:
        """All reasoning of the answer, joined."""
        return self.message.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of the answer, in order."""
        return self.message.tool_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedResult(Result):
    """Vectors, one for each text, in order.

    Attributes:
        vectors: All of the same length.
    """

    vectors: Sequence[Sequence[float]]

    @property
    def dimensions(self) -> int:
        """The length of the vectors; 0 where there are none."""
        return len(self.vectors[0]) if self.vectors else 0


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """A document and how well it fits.

    Attributes:
        index: Its place in the documents that were given.
        score: The vendor's own score, never rescaled; higher is better.
        document: The document itself.
    """

    index: int
    score: float
    document: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankResult(Result):
    """Documents, best first."""

    documents: tuple[RankedDocument, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a transcription; ``start`` and ``end`` in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionResult(Result):
    """What was said.

    Attributes:
        text: All of it.
        language: The language spoken, where the vendor says so.
        duration: Seconds of sound, where the vendor says so.
        segments: Pieces with their times, where the vendor gives them.
    """

    text: str
    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResult(Result):
    """Sound.

    Attributes:
        audio: The bytes.
        mime: Their media type.
    """

    audio: bytes = field(repr=False)
    mime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationResult(Result):
    """A verdict.

    Attributes:
        flagged: Whether the vendor objects.
        categories: What it looked for, by the vendor's own names, and whether it was found.
        scores: How sure it is of each, where it says so.
    """

    flagged: bool
    categories: Mapping[str, bool] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
