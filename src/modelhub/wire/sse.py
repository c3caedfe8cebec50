"""Server-sent events. Owns the WHATWG parsing rules, and which events carry JSON; meaning is the caller's.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation (2026-11).
Where the streams of model servers differ, this module follows the servers, and says so at the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from modelhub.errors import MalformedResponse
from modelhub.types.json import JSON
from modelhub.wire.decoder import Decoder, TruncatedResponse
from modelhub.wire.excerpt import excerpt
from modelhub.wire.json import is_cut_off, loads
from modelhub.wire.lines import MAX_LINE, LineDecoder

__all__ = ["ServerSentEvent", "SseDecoder", "SseJsonDecoder"]

_BOM = b"\xef\xbb\xbf"
_EXCERPT = 200
_DONE = "[DONE]"


@final
@dataclass(slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        event: Its type; ``message`` where the server gave none.
        data: Its data lines, joined by newlines.
        id: The last id that the stream has given so far.
        retry: Milliseconds to wait before reconnecting, where this event says so.
    """

    event: str
    data: str
    id: str | None = None
    retry: int | None = None


@final
class SseDecoder(Decoder[ServerSentEvent]):
    """Turn an event stream into events.

    Comments and unknown fields are ignored; an event without data is none. Three rules are not the
    specification's: an event that the end of the body leaves unfinished is returned by ``flush`` (gateways
    leave out the last blank line); a field ``error``, which older servers send in place of ``data``, gives an
    event of type ``error``; and what is not UTF-8 is refused, not replaced.

    Args:
        max_event: The longest line, and the longest data of one event, in bytes.
    """

    __slots__ = (
        "_after_cr",
        "_between",
        "_data",
        "_event",
        "_id",
        "_lines",
        "_max_event",
        "_retry",
        "_size",
        "_started",
    )

    def __init__(self, max_event: int = MAX_LINE) -> None:
        super().__init__()
        self._lines = LineDecoder(max_event)
        self._max_event = max_event
        self._started = False
        self._between = False
        self._after_cr = False
        self._id: str | None = None
        self._data: list[bytes] = []
        self._size = 0
        self._event: str | None = None
        self._retry: int | None = None

    def __repr__(self) -> str:
        return f"<SseDecoder event={self._event!r} data={self._size} over {self._lines!r}>"

    def _take(self, chunk: bytes, found: list[ServerSentEvent]) -> None:
        if self._after_cr or b"\r" in chunk:
            chunk = self._newlines(chunk)
        elif self._is_one_event(chunk):
            found.append(ServerSentEvent("message", _text(chunk[6:-2]), self._id))
            return
        lines = self._lines
        for line in lines.feed(chunk):
            if not line:
                self._dispatch(found)
            elif line.startswith(b"data: ") and self._started:
                self._between = False
                self._add(line[6:])
            else:
                self._field(line)
        if lines.error is not None:
            raise lines.error

    def _is_one_event(self, chunk: bytes) -> bool:
        """Tell the usual chunk, exactly ``data: …`` and a blank line, which is worth a shorter way."""
        return (
            self._between
            and chunk.find(b"\n") == len(chunk) - 2
            and chunk.startswith(b"data: ")
            and chunk.endswith(b"\n")
            and len(chunk) < self._max_event
            and not self._lines.pending
        )

    def _newlines(self, chunk: bytes) -> bytes:
        r"""Make every terminator a newline. A line ends with its ``\r``: no event waits for what follows."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if chunk:
            self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _field(self, line: bytes) -> None:
        self._between = False
        if not self._started:
            self._started = True
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        match name:
            case b"data":
                self._add(value)
            case b"event":
                self._event = _text(value)
            case b"error":
                self._event = "error"
                self._add(value)
            case b"id" if b"\0" not in value:
                self._id = _text(value)
            case b"retry" if value.isdigit():
                self._retry = int(value[:18])
            case _:
                pass  # a comment (its name is empty) or a field that the specification does not know

    def _add(self, value: bytes) -> None:
        self._size += len(value) + 1
        if self._size > self._max_event:
            self._clear()
            message = f"an event of the answer is longer than {self._max_event} bytes"
            raise MalformedResponse(message, remedy="the endpoint speaks another protocol, or is broken")
        self._data.append(value)

    def _dispatch(self, found: list[ServerSentEvent]) -> None:
        if self._data:
            data = _text(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
            found.append(ServerSentEvent(self._event or "message", data, self._id, self._retry))
        self._clear()
        self._between = True

    def _clear(self) -> None:
        self._data.clear()
        self._size = 0
        self._event = None
        self._retry = None

    def _end(self, found: list[ServerSentEvent]) -> None:
        try:
            for line in self._lines.flush():
                self._field(line)
            self._dispatch(found)
        except MalformedResponse as error:
            message = "the answer broke off inside an event"
            raise TruncatedResponse(message, excerpt=error.excerpt) from error


@final
class SseJsonDecoder(Decoder[JSON]):
    """Turn an event stream whose data is JSON into documents, up to ``[DONE]``.

    ``done`` says whether that came. An event of type ``error`` always gives a document that shows it: its
    data is put into ``{"error": …}`` unless it names itself an error (by a key ``error``, or ``"type":
    "error"``).

    Args:
        max_event: The longest line, and the longest data of one event, in bytes.
    """

    __slots__ = ("_done", "_events")

    def __init__(self, max_event: int = MAX_LINE) -> None:
        super().__init__()
        self._events = SseDecoder(max_event)
        self._done = False

    @property
    def done(self) -> bool:
        """Whether ``[DONE]`` came."""
        return self._done

    def __repr__(self) -> str:
        return f"<SseJsonDecoder done={self._done} over {self._events!r}>"

    def _take(self, chunk: bytes, found: list[JSON]) -> None:
        if self._done:
            return
        for event in self._events.feed(chunk):
            data = event.data.strip()
            if data.startswith(_DONE):
                self._done = True
                return
            if event.event == "error":
                found.append(_error_document(data))
            elif data:
                found.append(loads(data))
        if self._events.error is not None:
            raise self._events.error

    def _end(self, found: list[JSON]) -> None:
        if self._done:
            return
        for event in self._events.flush():
            data = event.data.strip()
            if data.startswith(_DONE):
                self._done = True
            elif _DONE.startswith(data):
                pass  # nothing, or the beginning of the end: no document is lost
            elif event.event == "error":
                found.append(_error_document(data))
            else:
                found.append(_last(data))


def _last(data: str) -> JSON:
    try:
        return loads(data)
    except MalformedResponse as error:
        if not is_cut_off(data):
            raise
        message = "the answer broke off inside a JSON document"
        raise TruncatedResponse(message, excerpt=error.excerpt) from error


def _error_document(data: str) -> JSON:
    try:
        document = loads(data)
    except MalformedResponse:
        document = data  # plain words after "event: error" are an error all the same
    if isinstance(document, dict) and ("error" in document or document.get("type") == "error"):
        return document
    return {"error": document}


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the answer is not UTF-8: {error.reason} at byte {error.start} of a line"
        raise MalformedResponse(message, excerpt=excerpt(value, limit=_EXCERPT)) from error
