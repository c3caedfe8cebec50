"""The usual way to write a model: two pure functions, ``encode`` and ``decode``.

These classes do all I/O, whole and streamed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Hashable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar, final

from modelhub.errors import MalformedResponse, ModelHubError
from modelhub.http.seam import HttpCall, HttpResponse
from modelhub.provider.context import ProviderContext
from modelhub.provider.models import (
    LargeLanguageModel,
    ModerationModel,
    RerankModel,
    Speech2TextModel,
    TextEmbeddingModel,
    TTSModel,
    nothing_written,
    whole,
)
from modelhub.rules.fold import ChatFold, is_content
from modelhub.types.credential import Credential
from modelhub.types.events import AudioDelta, AudioEvent, ChatEvent, Finish, FinishReason
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RerankResult,
    TranscriptionResult,
)

__all__ = [
    "DecodeState",
    "HttpLargeLanguageModel",
    "HttpModerationModel",
    "HttpRerankModel",
    "HttpSpeech2TextModel",
    "HttpTTSModel",
    "HttpTextEmbeddingModel",
]


@final
class DecodeState:
    """What ``decode`` may remember between the documents of one answer.

    Attributes:
        request: What was asked.
        values: The author's own.
    """

    __slots__ = ("_classified", "_keys", "_last", "_next", "request", "values")

    def __init__(
        self, request: ChatRequest[None], classified: Callable[[int, Mapping[str, str], Any], ModelHubError]
    ) -> None:
        self.request: ChatRequest[None] = request
        self.values: dict[str, Any] = {}
        self._classified = classified
        self._keys: dict[Hashable, int] = {}
        self._last: Hashable = None
        self._next = 0

    def part(self, kind: str, key: Hashable = None) -> int:
        """Return the number of the part that a piece belongs to.

        Pieces of one kind that follow each other are one part; a piece of another kind begins a new one. A ``key`` (a
        vendor's index, a call's id) finds its part again wherever its pieces come.
        """
        if key is None:
            if self._last == kind:
                return self._next - 1
        elif (kind, key) in self._keys:
            return self._keys[kind, key]
        number = self._next
        self._next = number + 1
        self._last = kind if key is None else (kind, key)
        if key is not None:
            self._keys[kind, key] = number
        return number

    def error(self, document: object, *, status: int = 200) -> ModelHubError:
        """Build the error that a document inside an answer stands for.

        Its own words decide; where they say nothing the endpoint is at fault. Give ``status`` where the vendor tells it
        elsewhere: the error is then as if the document had come alone with it.
        """
        return self._classified(status, {}, document)


class HttpLargeLanguageModel(LargeLanguageModel):
    """A model behind HTTP: write `encode` and `decode`."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request. Pure. ``request.stream`` says which of the vendor's two ways is wanted.

        Raises:
            BadRequest: The vendor cannot be asked that; say which parameter and why.
        """
        raise nothing_written(self, "encode")

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Return the events in a document of the answer.

        Pure but for ``state``. The vendor's end of the answer is a `Finish`.

        Raises:
            ModelHubError: The document is an error: ``raise state.error(document)``.
        """
        raise nothing_written(self, "decode")

    def end(self, state: DecodeState) -> Iterable[ChatEvent]:
        """Return the events that only the end of the stream tells. Without a `Finish` by then the stream was cut."""
        return ()

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Send, read, decode, fold."""
        call = self.encode(request, context.credential)
        document = await context.http.json(call)
        state = DecodeState(request, context.http.classified)
        fold = ChatFold(request.id)
        for event in self.decode(_object(document), state):
            fold.add(event)
        if fold.finish is None:
            for event in self.end(state):
                fold.add(event)
        return replace(whole(fold), raw=document)

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Send, read as it comes, decode."""
        call = self.encode(request, context.credential)
        http = context.http
        state = DecodeState(request, http.classified)
        decode = self.decode
        waiting = True
        async with aclosing(http.stream(call)) as batches:
            async for batch in batches:
                for document in batch:
                    for event in decode(document if type(document) is dict else _object(document), state):
                        if waiting and is_content(event):
                            waiting = False
                            http.limits.content_came()
                        yield event
                        if type(event) is Finish:
                            await http.settle()
                            return
        for event in self.end(state):
            yield event


def _object(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        message = f"the answer is a JSON {type(document).__name__}, not an object"
        raise MalformedResponse(message, excerpt=str(document)[:200], sent=True)
    return document


class HttpTextEmbeddingModel(TextEmbeddingModel):
    """An embedding model behind HTTP: write `encode` and `decode`."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request for one batch. Pure."""
        raise nothing_written(self, "encode")

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the answer: as many vectors as texts, in their order. Pure; the hub checks it."""
        raise nothing_written(self, "decode")

    async def invoke(self, request: EmbedRequest, context: ProviderContext) -> EmbedResult:
        """Send, read, decode."""
        document = await context.http.json(self.encode(request, context.credential))
        return self.decode(document, request)


class HttpRerankModel(RerankModel):
    """A reranker behind HTTP: write `encode` and `decode`."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: RerankRequest, credential: Credential) -> HttpCall:
        """Build the request. Pure."""
        raise nothing_written(self, "encode")

    def decode(self, document: Any, request: RerankRequest) -> RerankResult:
        """Read the answer: indexes and scores in any order. Pure; the hub checks, sorts and cuts."""
        raise nothing_written(self, "decode")

    async def invoke(self, request: RerankRequest, context: ProviderContext) -> RerankResult:
        """Send, read, decode."""
        document = await context.http.json(self.encode(request, context.credential))
        return self.decode(document, request)


class HttpSpeech2TextModel(Speech2TextModel):
    """A transcriber behind HTTP: write `encode` and `decode`."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: TranscriptionRequest, credential: Credential) -> HttpCall:
        """Build the request, usually with ``files``. Pure."""
        raise nothing_written(self, "encode")

    def decode(self, response: HttpResponse, request: TranscriptionRequest) -> TranscriptionResult:
        """Read the answer, which may be JSON or plain text. Pure."""
        raise nothing_written(self, "decode")

    async def invoke(self, request: TranscriptionRequest, context: ProviderContext) -> TranscriptionResult:
        """Send, read, decode."""
        call = self.encode(request, context.credential)
        response = await context.http.request(call)
        context.http.check_no_page(response.headers, call)
        return self.decode(response, request)


class HttpTTSModel(TTSModel):
    """A speaker behind HTTP: write `encode`; the answer's bytes are the sound."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: SpeechRequest, credential: Credential) -> HttpCall:
        """Build the request. Pure."""
        raise nothing_written(self, "encode")

    async def stream(self, request: SpeechRequest, context: ProviderContext) -> AsyncGenerator[AudioEvent, None]:
        """Send and pass on the bytes as they come; JSON in place of sound is an error."""
        http = context.http
        silent = True
        async with aclosing(http.bytes(self.encode(request, context.credential))) as chunks:
            async for chunk in chunks:
                silent = False
                http.limits.content_came()
                yield AudioDelta(chunk)
        if silent:
            raise MalformedResponse("the answer has no sound in it", status=200, sent=True)
        yield Finish(FinishReason.STOP)


class HttpModerationModel(ModerationModel):
    """A moderator behind HTTP: write `encode` and `decode`."""

    times_itself: ClassVar[bool] = True

    def encode(self, request: ModerationRequest, credential: Credential) -> HttpCall:
        """Build the request. Pure."""
        raise nothing_written(self, "encode")

    def decode(self, document: Any, request: ModerationRequest) -> ModerationResult:
        """Read the answer. Pure."""
        raise nothing_written(self, "decode")

    async def invoke(self, request: ModerationRequest, context: ProviderContext) -> ModerationResult:
        """Send, read, decode."""
        document = await context.http.json(self.encode(request, context.credential))
        return self.decode(document, request)
