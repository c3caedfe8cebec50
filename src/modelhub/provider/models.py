"""The six model classes that authors subclass. A model that is no HTTP vendor writes ``stream`` or ``invoke`` itself.

One instance serves all calls at once: what belongs to a call lives in the call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, Generic, TypeVar, overload

from modelhub.errors import MalformedResponse, PluginError, StreamInterrupted
from modelhub.provider.context import ProviderContext
from modelhub.rules.fold import ChatFold, SpeechFold, Weight
from modelhub.types.events import (
    AudioDelta,
    AudioEvent,
    ChatEvent,
    Finish,
    FinishReason,
    MediaDelta,
    Notice,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from modelhub.types.messages import MediaPart, ReasoningPart, TextPart, ToolCall
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RerankResult,
    Result,
    SpeechResult,
    TranscriptionResult,
)
from modelhub.types.schema import ModelType
from modelhub.types.usage import TokenCount

__all__ = [
    "AIModel",
    "LargeLanguageModel",
    "ModerationModel",
    "RerankModel",
    "Speech2TextModel",
    "TTSModel",
    "TextEmbeddingModel",
    "chat_events",
    "nothing_written",
    "whole",
]

Q = TypeVar("Q", bound=Request[Result])
R = TypeVar("R", bound=Result)

_WHOLE = 64 * 1024 * 1024
"""Bytes that an answer may take that is wanted whole."""


class AIModel(Generic[Q, R]):
    """What every model class has.

    Attributes:
        model_type: The type it serves.
        times_itself: Whether its reads keep ``context.limits`` by themselves, as those of `context.http` do.
    """

    model_type: ClassVar[ModelType]
    times_itself: ClassVar[bool] = False

    async def invoke(self, request: Q, context: ProviderContext) -> R:
        """Answer a request, all at once."""
        raise nothing_written(self, "invoke")

    async def count_tokens(self, request: Q, context: ProviderContext) -> TokenCount | None:
        """Return how many tokens the prompt has, or ``None`` where that cannot be told."""
        return None


def nothing_written(model: object, what: str) -> PluginError:
    """Build the error for a method that a model's author left out."""
    return PluginError(
        f"{type(model).__name__} has no {what}",
        remedy=f"the plugin's author must write {type(model).__name__}.{what}",
    )


class LargeLanguageModel(AIModel[ChatRequest[None], ChatResult[None]]):
    """A model that continues conversations.

    Write ``stream`` as an async generator, or ``invoke``; each gives the other.
    """

    model_type = ModelType.LLM

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer all at once: by default the folded stream."""
        if type(self).stream is LargeLanguageModel.stream:
            raise nothing_written(self, "stream or invoke")
        fold = ChatFold(request.id)
        await _fold_all(fold, self.stream(request, context))
        return whole(fold)

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer in events: by default those of the whole answer."""
        if type(self).invoke is LargeLanguageModel.invoke:
            raise nothing_written(self, "stream or invoke")
        for event in chat_events(await self.invoke(request, context)):
            yield event


async def _fold_all(fold: ChatFold | SpeechFold, events: AsyncGenerator[ChatEvent | AudioEvent, None]) -> None:
    """Put the events of a stream together, up to its end.

    Raises:
        MalformedResponse: It is too much to be held as a whole.
    """
    weight = Weight()
    async with aclosing(events):
        async for event in events:
            if weight.add(event) > _WHOLE:
                raise MalformedResponse(
                    f"the answer is larger than {_WHOLE // (1024 * 1024)} MiB",
                    remedy="take it in pieces with hub.stream; where it should be small, whoever runs the server must "
                    "see why it goes on",
                )
            fold.add(event)
            if fold.finish is not None:
                return


@overload
def whole(fold: ChatFold) -> ChatResult[None]: ...
@overload
def whole(fold: SpeechFold) -> SpeechResult: ...
def whole(fold: ChatFold | SpeechFold) -> Result:
    """Return the answer that was put together.

    Raises:
        StreamInterrupted: Its end has not come; ``partial`` holds what has.
    """
    result = fold.result()
    if fold.finish is None:
        raise StreamInterrupted("the answer came without its end", partial=result)
    return result


def chat_events(result: ChatResult[None]) -> Sequence[ChatEvent]:
    """Take a whole answer apart into the events that fold to it."""
    events: list[ChatEvent] = [Started(result.id or None), *map(Notice, result.warnings)]
    logprobs = result.logprobs
    for number, part in enumerate(result.message.parts):
        match part:
            case TextPart():
                events.append(TextDelta(number, part.text, logprobs, part.state))
                logprobs = None  # they are those of the whole answer: the first text brings them all
            case ReasoningPart():
                events.append(ReasoningDelta(number, part.text, part.state))
            case ToolCall():
                text = part.raw_arguments or (json.dumps(part.arguments) if part.arguments else "")
                events.append(ToolCallDelta(number, part.id, part.name, text, part.state))
            case MediaPart():
                events.append(MediaDelta(number, part.mime, part.data or b""))
    reason = result.finish_reason or FinishReason.UNKNOWN
    events += result.citations
    events.append(Finish(reason, result.raw_finish_reason, result.usage, result.timing, result.raw))
    return events


class TextEmbeddingModel(AIModel[EmbedRequest, EmbedResult]):
    """A model that turns texts into vectors.

    Attributes:
        max_batch: Texts in one request at most; the hub splits longer lists and keeps their order. A model's own
            ``max_chunks`` property goes before it.
    """

    model_type = ModelType.TEXT_EMBEDDING
    max_batch: ClassVar[int] = 64


class RerankModel(AIModel[RerankRequest, RerankResult]):
    """A model that puts documents in order. It may return them all: the hub sorts, checks and cuts."""

    model_type = ModelType.RERANK


class Speech2TextModel(AIModel[TranscriptionRequest, TranscriptionResult]):
    """A model that turns speech into text."""

    model_type = ModelType.SPEECH2TEXT


class TTSModel(AIModel[SpeechRequest, SpeechResult]):
    """A model that speaks: write ``stream`` as an async generator, or ``invoke``; each gives the other."""

    model_type = ModelType.TTS

    def mime(self, request: SpeechRequest) -> str:
        """Return the media type of the sound that a request asks for."""
        return f"audio/{request.format or 'wav'}"

    async def invoke(self, request: SpeechRequest, context: ProviderContext) -> SpeechResult:
        """Speak all at once: by default the folded stream."""
        if type(self).stream is TTSModel.stream:
            raise nothing_written(self, "stream or invoke")
        fold = SpeechFold(self.mime(request))
        await _fold_all(fold, self.stream(request, context))
        return whole(fold)

    async def stream(self, request: SpeechRequest, context: ProviderContext) -> AsyncGenerator[AudioEvent, None]:
        """Speak in pieces: by default the whole in one."""
        if type(self).invoke is TTSModel.invoke:
            raise nothing_written(self, "stream or invoke")
        result = await self.invoke(request, context)
        yield AudioDelta(result.audio)
        yield Finish(FinishReason.STOP, usage=result.usage, timing=result.timing)


class ModerationModel(AIModel[ModerationRequest, ModerationResult]):
    """A model that judges texts."""

    model_type = ModelType.MODERATION
