"""What is asked of a model. The result's type follows the request's: ``class ChatRequest(Request[ChatResult[T]])``.

An application names ``model`` as ``"provider/model"``, or several in order of preference; the provider that serves
the request sees its own model name there, and in ``options`` the vendor parameters that were meant for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

from modelhub.types.json import JSON
from modelhub.types.messages import Message
from modelhub.types.parameters import ChatParameters, Vendor
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RerankResult,
    Result,
    SpeechResult,
    TranscriptionResult,
)
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool, ToolChoice

__all__ = [
    "ChatRequest",
    "EmbedRequest",
    "InputType",
    "ModerationRequest",
    "OnInterrupt",
    "Request",
    "RerankRequest",
    "ResponseFormat",
    "SpeechRequest",
    "TranscriptionRequest",
]

R_co = TypeVar("R_co", bound=Result, covariant=True)
T_co = TypeVar("T_co", covariant=True)

InputType: TypeAlias = Literal["document", "query"]

OnInterrupt: TypeAlias = Literal["raise", "restart", "continue"]
"""What becomes of a stream that breaks off after its first content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[R_co]):
    """What every request has.

    Attributes:
        model: ``"provider/model"``, or several in order of preference.
        vendor: Provider-specific parameters by provider id.
        options: Those of ``vendor`` that are for the provider now serving; filled in by the hub.
        schema: What is known of the model; filled in by the hub.
        timeout: Seconds for the whole call, or ``None`` for no such limit.
        session: What belongs together: with ``pick = "sticky"`` it is served by one deployment, while that is well.
        on_interrupt: What becomes of a stream that breaks off after its first content. ``raise``: `StreamInterrupted`.
            ``restart``: a `Reset` event, after which the answer comes anew, whatever came before it being void.
            ``continue``: a deployment of the same model goes on where it broke off, if the answer is plain text.
        id: The call's id; filled in by the hub.
    """

    model: str | Sequence[str] = ""
    vendor: Vendor = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)
    schema: ModelSchema | None = None
    timeout: float | None = None
    session: str = ""
    on_interrupt: OnInterrupt = "raise"
    id: str = ""

    @property
    def name(self) -> str:
        """The model's name as the provider knows it."""
        return self.model if isinstance(self.model, str) else self.model[0]


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The shape that an answer must have.

    Attributes:
        schema: A JSON Schema, or ``None`` for any JSON.
        name: A short name for it, which some vendors want.
        type: The Python type that the answer is validated into, where one was given.
    """

    schema: Mapping[str, JSON] | None = None
    name: str = "answer"
    type: object = None


# No slots: `ChatRequest[T](…)` sets an attribute, which Python 3.11 cannot do on a frozen class with slots.
@dataclass(frozen=True, kw_only=True)
class ChatRequest(Request[ChatResult[T_co]], Generic[T_co]):
    """A conversation to continue.

    Attributes:
        messages: The conversation.
        tools, tool_choice: Tools the model may ask for, and how it must choose.
        response_format: The shape the answer must have.
        parameters: Neutral parameters; those left out are not sent.
        stream: Whether the answer comes in pieces; filled in by the hub.
    """

    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    parameters: ChatParameters = field(default_factory=ChatParameters)
    stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest(Request[EmbedResult]):
    """Texts to turn into vectors.

    Attributes:
        texts: The texts; the hub splits them into the provider's batches.
        input_type: Whether they are documents or queries, which some models tell apart.
        dimensions: Length of the vectors, where the model can shorten them.
    """

    texts: Sequence[str] = ()
    input_type: InputType | None = None
    dimensions: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankRequest(Request[RerankResult]):
    """Documents to put in order of what they say about a query.

    Attributes:
        query: The question.
        documents: The texts.
        top_n: How many of the best to return; all of them where it is ``None``.
    """

    query: str = ""
    documents: Sequence[str] = ()
    top_n: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionRequest(Request[TranscriptionResult]):
    """Speech to turn into text.

    Attributes:
        audio: The recording's bytes.
        filename: A name whose ending tells the format.
        language: ISO 639-1 code of the language spoken, where known.
        prompt: Words that help with names and spelling.
    """

    audio: bytes = field(default=b"", repr=False)
    filename: str = "audio.wav"
    language: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest(Request[SpeechResult]):
    """Text to speak.

    Attributes:
        text: What to say.
        voice: The voice's name; the model's default where it is ``None``.
        format: ``mp3``, ``wav``, ``pcm``, …; the model's default where it is ``None``.
        speed: 1 is normal.
    """

    text: str = ""
    voice: str | None = None
    format: str | None = None
    speed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRequest(Request[ModerationResult]):
    """A text to judge."""

    text: str = ""
