"""What a wire server was asked and what it answers. Owns bytes and their cuts; does no I/O.

HTTP/1.1 is read as far as tests of clients need it, and written exactly as it is asked for, mistakes
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain, repeat
from typing import Literal, final
from urllib.parse import parse_qsl

from modelhub.testing.splits import pieces
from modelhub.types.json import JSON
from modelhub.wire.json import dumps, loads

__all__ = [
    "Cut",
    "Reply",
    "Request",
    "RequestReader",
    "Split",
    "json_reply",
    "ndjson_reply",
    "sse_reply",
]

Cut = Literal["fin", "rst", "hang"]
"""How an answer ends early: the connection is closed, reset, or held open in silence."""
Split = Literal["bytes"] | Sequence[int] | None
"""Where the body is cut into writes: after every byte, at these offsets, or where its chunks end."""

_LINE = b"\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_WITHOUT_BODY = frozenset({204, 304})


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, exactly.

    Offsets and counts are of the body as it is on the wire: with ``chunked``, the sizes of the chunks
    included.

    Attributes:
        status: The status code.
        headers: Sent as they are, in this order. ``content-length`` is added unless it is here, or the body
            needs none.
        body: The body, text as UTF-8; or ``chunks``.
        chunks: The body in parts: each is a write, and with ``chunked`` a chunk of its own.
        chunked: Whether the body is sent with ``transfer-encoding: chunked``.
        length: Whether the body's length is declared where it is not chunked. Without it the body ends with
            the connection.
        split: Where the body is cut into writes.
        delay: Seconds before the first byte.
        pause: Seconds between two writes of the body; or before each of them, in order.
        cut_after: How many bytes of the body are sent before the answer breaks off.
        cut: How it breaks off.
        keep_alive: Whether the connection serves another request afterwards.
        raw: Sent in place of status, headers and body, whatever it is.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str = b""
    chunks: Sequence[bytes | str] | None = None
    chunked: bool = False
    length: bool = True
    split: Split = None
    delay: float = 0.0
    pause: float | Sequence[float] = 0.0
    cut_after: int | None = None
    cut: Cut = "fin"
    keep_alive: bool = True
    raw: bytes | None = None

    @property
    def ends_connection(self) -> bool:
        """Whether the connection is closed after this answer."""
        to_the_end = not self.chunked and not self.length
        return not self.keep_alive or to_the_end or self.cut_after is not None or self.raw is not None

    @property
    def hangs(self) -> bool:
        """Whether it breaks off into silence."""
        return self.cut == "hang" and self.cut_after is not None

    def head(self) -> bytes:
        """Return the status line and the headers; nothing for a raw answer."""
        if self.raw is not None:
            return b""
        try:
            reason = HTTPStatus(self.status).phrase
        except ValueError:
            reason = "Unregistered"
        named = {name.lower() for name in self.headers}
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.chunked and "transfer-encoding" not in named:
            lines.append("transfer-encoding: chunked")
        elif self.length and not named & {"content-length", "transfer-encoding"}:
            lines.append(f"content-length: {sum(map(len, self._parts()))}")
        if not self.keep_alive and "connection" not in named:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def writes(self, method: str = "GET") -> list[bytes]:
        """Return the body as the writes it is sent in, up to where it breaks off.

        Args:
            method: The request's: an answer to HEAD has no body.
        """
        return list(self._writes(method))

    def steps(self, method: str = "GET") -> Iterator[tuple[float, bytes]]:
        """Yield all that is sent, the head first, each with the seconds to wait before it.

        A long body is put together as it goes: it may be longer than the memory.
        """
        yield self.delay, self.head()
        waits = chain([0.0], repeat(float(self.pause))) if isinstance(self.pause, (int, float)) else self.pause
        yield from zip(chain(waits, repeat(0.0)), self._writes(method), strict=False)

    def _writes(self, method: str) -> Iterable[bytes]:
        wire: Iterable[bytes] = self._framed(method)
        if self.split is not None:
            data = b"".join(wire)
            wire = pieces(data, range(len(data)) if self.split == "bytes" else map(int, self.split))
        return filter(None, wire if self.cut_after is None else self._until_cut(wire, self.cut_after))

    def _parts(self) -> Iterable[bytes]:
        parts = [self.body] if self.chunks is None else self.chunks
        return (part.encode() if isinstance(part, str) else part for part in parts)

    def _framed(self, method: str) -> Iterator[bytes]:
        if self.raw is not None:
            yield self.raw
        elif method == "HEAD" or self.status in _WITHOUT_BODY:
            return
        elif self.chunked:
            for part in filter(None, self._parts()):  # an empty chunk would be the last one
                yield b"%x\r\n%b\r\n" % (len(part), part)
            yield _LAST_CHUNK
        else:
            yield from self._parts()

    @staticmethod
    def _until_cut(wire: Iterable[bytes], left: int) -> Iterator[bytes]:
        for write in wire:
            yield write[:left]
            left -= len(write)
            if left <= 0:
                return


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer with one JSON document."""
    return Reply(status, {"content-type": "application/json", **(headers or {})}, dumps(value))


def ndjson_reply(documents: Iterable[object]) -> Reply:
    """Stream documents as lines, each a write and a chunk."""
    lines = [dumps(document) + b"\n" for document in documents]
    return Reply(headers={"content-type": "application/x-ndjson"}, chunks=lines, chunked=True)


def sse_reply(documents: Iterable[object], *, done: bool = True) -> Reply:
    """Stream documents as events, each a write and a chunk, closed by ``[DONE]`` if ``done``."""
    events = [b"data: " + dumps(document) + b"\n\n" for document in documents]
    events += [b"data: [DONE]\n\n"] if done else []
    return Reply(headers={"content-type": "text/event-stream"}, chunks=events, chunked=True)


@final
@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived.

    Attributes:
        method: In upper case, as sent.
        target: Path and query, as sent.
        headers: Names in lower case; a repeated name's values are joined by a comma.
        body: The body, out of its chunks.
        connection: Which of the server's connections it came on, counted from 1.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""
    connection: int = 0

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, decoded; the last of a name wins."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def json(self) -> JSON:
        """The body, parsed.

        Raises:
            MalformedResponse: The body is no JSON.
        """
        return loads(self.body)


@final
class RequestReader:
    """Find requests in the bytes of one connection."""

    __slots__ = ("_buffer", "_connection")

    def __init__(self, connection: int) -> None:
        self._buffer = bytearray()
        self._connection = connection

    def __repr__(self) -> str:
        return f"<RequestReader connection={self._connection} pending={len(self._buffer)}>"

    def feed(self, data: bytes) -> None:
        """Take bytes that the client sent."""
        self._buffer += data

    def next(self) -> Request | None:
        """Return the next request that is whole, or ``None``.

        Raises:
            ValueError: The bytes are no HTTP/1.1 request.
        """
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return None
        try:
            return self._request(end)
        except ValueError as error:
            raise ValueError(f"this is no HTTP/1.1 request: {error}") from error

    def _request(self, end: int) -> Request | None:
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        start = end + len(_END_OF_HEAD)
        found = self._body(headers, start)
        if found is None:
            return None
        body, end = found
        del self._buffer[:end]
        return Request(method, target, headers, body, self._connection)

    def _body(self, headers: Mapping[str, str], start: int) -> tuple[bytes, int] | None:
        """Return the body and where it ends, or ``None`` while it is not whole."""
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(start)
        end = start + int(headers.get("content-length", 0))
        return (bytes(self._buffer[start:end]), end) if len(self._buffer) >= end else None

    def _chunks(self, at: int) -> tuple[bytes, int] | None:
        body = b""
        while True:
            line = self._buffer.find(_LINE, at)
            if line < 0:
                return None
            size = int(self._buffer[at:line].split(b";")[0], 16)
            at = line + len(_LINE)
            if len(self._buffer) < at + size + len(_LINE):
                return None
            body += self._buffer[at : at + size]
            at += size + len(_LINE)
            if size == 0:
                return body, at
