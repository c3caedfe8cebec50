"""How a healthy inference node answers, as tables. Owns what an answer looks like; knows no vendor and does no I/O.

A dialect says for every path what a whole answer and a stream look like; how long they are and how fast they come is
said when they are asked for. `completions_dialect` is the shape that many inference servers share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from modelhub.errors import MalformedResponse
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.wire.json import dumps

__all__ = ["Dialect", "Pace", "Route", "Streamed", "completions_dialect", "plain_error"]


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """How long answers are, and how fast they come.

    Attributes:
        tokens: How many tokens an answer has.
        first: Seconds before the first of them; the head of the answer comes with it.
        pause: Seconds between two of them. Without a pause an answer is sent at once, in one write.
    """

    tokens: int = 8
    first: float = 0.0
    pause: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class Streamed:
    """What a stream consists of. Each part is a chunk of the transfer encoding.

    Attributes:
        content_type: Its content type.
        token: The part that is sent for every token.
        last: The parts that complete it.
        before: The parts before the first token.
        error: What an error inside it looks like; a function of the text.
    """

    content_type: str
    token: bytes
    last: Sequence[bytes] = ()
    before: Sequence[bytes] = ()
    error: Callable[[str], bytes] = lambda text: dumps({"error": text}) + b"\n"

    def reply(self, pace: Pace) -> Reply:
        """Return a complete stream."""
        return Reply(
            headers={"content-type": self.content_type},
            chunks=[*self.before, *[self.token] * pace.tokens, *self.last],
            chunked=True,
            split=None if pace.pause else (),
            delay=pace.first,
            pause=pace.pause,
        )


@final
@dataclass(frozen=True, slots=True)
class Route:
    """How one path answers.

    Attributes:
        whole: The answer in one piece, or a function of the request that gives it.
        stream: The answer as a stream.
        streams: Whether a request gets the stream whose body has no ``stream`` that says so.
        cheap: Whether it costs the node nothing: such requests wait for no slot, and are counted as probes.
    """

    whole: Reply | Callable[[Request], Reply] = field(default_factory=Reply)
    stream: Streamed | None = None
    streams: bool = False
    cheap: bool = False

    def reply(self, request: Request, pace: Pace) -> Reply:
        """Return the healthy answer to a request."""
        if self.stream is not None and _wants_stream(request, self.streams):
            return self.stream.reply(pace)
        whole = self.whole if isinstance(self.whole, Reply) else self.whole(request)
        seconds = 0.0 if self.cheap else pace.first + pace.pause * pace.tokens
        return replace(whole, delay=whole.delay + seconds) if seconds else whole


def plain_error(text: str) -> object:
    """Return an error as the simplest of servers say it."""
    return {"error": text}


@final
@dataclass(frozen=True, slots=True)
class Dialect:
    """What a node answers while nothing is wrong.

    Attributes:
        name: What it is called in a node's repr.
        routes: The answers by method and path. Other requests get status 404.
        error: The document of an error; a function of the text.
    """

    name: str
    routes: Mapping[tuple[str, str], Route]
    error: Callable[[str], object] = plain_error


def _wants_stream(request: Request, unasked: bool) -> bool:  # noqa: FBT001  the route's own default
    if b'"stream"' not in request.body:
        return unasked
    try:
        asked: Any = request.json
    except MalformedResponse:  # a form, whose fields are nobody's here
        return unasked
    return bool(asked.get("stream", unasked)) if isinstance(asked, dict) else unasked


def completions_dialect(model: str = "any") -> Dialect:
    """Return the dialect of ``/v1/chat/completions`` and its neighbours: embeddings, rerank, transcription, speech.

    Args:
        model: The model that answers say they come from.
    """
    usage = {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}

    def chunk(delta: Mapping[str, str], reason: str | None = None) -> bytes:
        return _event({"model": model, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})

    message = {"role": "assistant", "content": " token" * usage["completion_tokens"]}
    chat = Streamed(
        "text/event-stream",
        chunk({"content": " token"}),
        last=(chunk({}, "stop"), _event({"model": model, "choices": [], "usage": usage}), b"data: [DONE]\n\n"),
        before=(chunk({"role": "assistant", "content": ""}),),
        error=lambda text: _event(_error(text)),
    )
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    return Dialect(
        "completions",
        {
            ("POST", "/v1/chat/completions"): Route(json_reply({"model": model, **whole}), chat),
            ("POST", "/v1/embeddings"): Route(lambda request: json_reply(_embeddings(request, model))),
            ("POST", "/v1/rerank"): Route(lambda request: json_reply(_ranking(request, model))),
            ("POST", "/v1/audio/transcriptions"): Route(json_reply({"text": "one two three"})),
            ("POST", "/v1/audio/speech"): Route(stream=Streamed("audio/pcm", b"\0\1" * 240), streams=True),
            ("GET", "/v1/models"): Route(json_reply({"object": "list", "data": [{"id": model}]}), cheap=True),
            ("GET", "/health"): Route(json_reply({"status": "ok"}), cheap=True),
        },
        _error,
    )


def _event(document: object) -> bytes:
    return b"data: " + dumps(document) + b"\n\n"


def _error(text: str) -> object:
    return {"error": {"message": text, "type": "server_error", "code": None}}


def _embeddings(request: Request, model: str) -> object:
    asked: Any = request.json
    texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    data = [{"index": index, "embedding": [1.0, 0.0, float(index)]} for index in range(len(texts))]
    return {"model": model, "data": data, "usage": {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}}


def _ranking(request: Request, model: str) -> object:
    asked: Any = request.json
    count = len(asked["documents"])
    return {"model": model, "results": [{"index": n, "relevance_score": 1 - n / count} for n in range(count)]}
