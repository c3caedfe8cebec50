"""What a backend must offer and what passes through it: no type of any HTTP library.

A backend opens exchanges for one origin. The limits of time of an exchange are one value, `ReadLimits`, that the
backend asks
before every read how long it may wait: so no timer and no cancel scope is made per event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, final

from modelhub.errors import Phase, Timeout
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = [
    "Backend",
    "Connecting",
    "Exchange",
    "FilePart",
    "Framing",
    "HttpCall",
    "HttpRequest",
    "HttpResponse",
    "ReadLimits",
]

Framing: TypeAlias = Literal["ndjson", "sse"]

_EARLY = 0.01
"""Seconds by which an event loop's timer may be early, by another clock."""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a multipart body.

    Attributes:
        name: The field's name.
        filename: Its ending tells servers the format.
        data: The bytes.
        mime: The media type.
    """

    name: str
    filename: str
    data: bytes = field(repr=False)
    mime: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request as a plugin builds it: relative to the credential's endpoint, not yet authenticated.

    Its ``repr`` shows where it goes and no more: the rest may hold prompts and keys.

    Attributes:
        path: Joined to the endpoint, whose own path is kept.
        json: The body; or ``content``; or ``form`` with ``files``.
        method: ``POST`` unless said otherwise.
        headers: Beyond those that the credential brings. A `Secret` is revealed where it is sent.
        query: Beyond those that stand in the endpoint. Servers and proxies log it: a key belongs into a header.
        framing: How a streamed answer is split: ``ndjson`` or ``sse``.
    """

    path: str
    json: JSON = field(default=None, repr=False)
    method: str = "POST"
    headers: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    query: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Sequence[FilePart] = ()
    framing: Framing = "ndjson"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as a backend sends it.

    Attributes:
        target: Path and query, ready for the wire.
        headers: Every header, the credential's too; a backend reveals them where it sends them.
        body: The bytes behind them.
    """

    method: str
    target: str = field(repr=False)
    headers: Sequence[tuple[str, str | Secret]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer. Servers repeat what they were sent: its ``repr`` shows the status alone."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@final
class Connecting:
    """The time for making one connection: all of its steps together end at one moment.

    Args:
        now: A monotonic clock.
        at: When they end, by it; in seconds.
    """

    __slots__ = ("_at", "_now")

    def __init__(self, now: Callable[[], float], at: float) -> None:
        self._now = now
        self._at = at

    def remaining(self) -> float:
        """Seconds that the next step may take; never negative."""
        return max(0.0, self._at - self._now())

    def __repr__(self) -> str:
        return f"<Connecting: {self.remaining():.3g} s left>"


@final
class ReadLimits:
    """How long the reads of one attempt may take; all figures in seconds.

    Until the first content, reads end at ``first_token`` seconds after the start, however many bytes come; after it,
    each read may take ``idle`` seconds. ``deadline`` (absolute, by ``now``) ends everything.

    Args:
        now: A monotonic clock.
        connect, first_token, idle: The limits.
        deadline: The caller's own absolute deadline, or ``None``.
        total: The seconds behind ``deadline``, for messages.
    """

    __slots__ = ("_content", "_now", "_start", "connect", "deadline", "first_token", "idle", "total")

    def __init__(
        self,
        now: Callable[[], float],
        *,
        connect: float = 5.0,
        first_token: float = 300.0,
        idle: float = 60.0,
        deadline: float | None = None,
        total: float | None = None,
    ) -> None:
        self._now = now
        self._start = now()
        self._content = False
        self.connect: float = connect
        self.first_token: float = first_token
        self.idle: float = idle
        self.deadline: float | None = deadline
        self.total: float | None = total

    def content_came(self) -> None:
        """The first content is here: from now on ``idle`` counts."""
        self._content = True

    def restart(self) -> None:
        """Another request of the attempt begins: it has as long to its first content as the one before."""
        self._start = self._now()

    def remaining(self) -> float:
        """Seconds that the next read may take; never negative."""
        now = self._now()
        left = self.idle if self._content else self._start + self.first_token - now
        if self.deadline is not None:
            left = min(left, self.deadline - now)
        return max(left, 0.0)

    def connecting(self) -> Connecting:
        """Return the time for a connection that is begun now, and ends with ``deadline`` at the latest."""
        at = self._now() + self.connect
        return Connecting(self._now, at if self.deadline is None else min(at, self.deadline))

    def expired(self, phase: Literal["connect", "read"], *, sent: bool) -> Timeout:
        """Build the error for a wait that took too long."""
        if self.deadline is not None and self._now() >= self.deadline - _EARLY:
            limit = self.total if self.total is not None else 0.0
            return Timeout(
                f"no answer within the {limit:g} s that the caller allowed",
                phase="total",
                seconds=limit,
                sent=sent,
            )
        if phase == "connect":
            return Timeout(
                f"no connection within {self.connect:g} s", phase="connect", seconds=self.connect, sent=False
            )
        which: Phase = "idle" if self._content else "first_token"
        limit = self.idle if self._content else self.first_token
        text = f"nothing came for {limit:g} s" if self._content else f"no content within {limit:g} s"
        return Timeout(text, phase=which, seconds=limit, sent=sent)


class Exchange(Protocol):
    """An answer whose body is still coming."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, names in lower case; the last of several counts."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces of the body as they come, still encoded. Raises what ``Backend.open`` raises."""

    def abort(self) -> None:
        """Break the connection at once and without waiting; safe at any time and from any task of the loop."""

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it. Idempotent."""


class Backend(Protocol):
    """An HTTP client for one origin on one event loop."""

    async def open(self, request: HttpRequest, limits: ReadLimits) -> Exchange:
        """Send a request and wait for the answer's headers.

        Raises:
            ConnectFailed: No connection; nothing was sent.
            ConnectionLost: The connection broke afterwards.
            Timeout: A limit was reached.
            MalformedResponse: The answer is no HTTP.
        """

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""

    async def aclose(self) -> None:
        """Close every connection. Idempotent."""
