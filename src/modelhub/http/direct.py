"""Connections straight to one origin, spoken through h11, the parser inside httpx.

Owns their reuse, and when one cannot be used again. One request at a time is on a connection; nothing is locked, since
a connection belongs to its one exchange until that gives it back.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import final

import anyio
import h11
import httpcore

from modelhub.http.faults import translated
from modelhub.http.network import Connection, Network
from modelhub.http.seam import HttpRequest, ReadLimits
from modelhub.rules.endpoint import Endpoint

__all__ = ["DirectExchange", "DirectPool"]

_IDLE_SECONDS = 15.0
_CLOSE_SECONDS = 2.0
_READ = 64 * 1024


@final
class _Line:
    """A connection and how far its conversation is."""

    __slots__ = ("_connection", "_idle_since", "_state")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state = h11.Connection(h11.CLIENT)
        self._idle_since = 0.0

    async def ask(self, request: HttpRequest, limits: ReadLimits) -> h11.Response:
        """Send a request and wait for the head of the answer."""
        state = self._state
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers]
        head = state.send(h11.Request(method=request.method, target=request.target, headers=headers)) or b""
        body = state.send(h11.Data(data=request.body)) or b""
        state.send(h11.EndOfMessage())
        # A server may refuse a request before it has all of it: its answer says more than the broken connection.
        with suppress(httpcore.WriteError):
            await self._connection.write(head + body, limits)
        while True:
            match event := self.event():
                case h11.Response():
                    return event
                case h11.NEED_DATA:
                    await self.receive(limits)
                case h11.InformationalResponse():
                    continue  # "early hints" and the like: the answer follows
                case _:
                    raise httpcore.RemoteProtocolError(f"{event!r} in place of an answer")

    def event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """Return the next thing that was received whole."""
        try:
            return self._state.next_event()
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(str(error)) from error

    async def receive(self, limits: ReadLimits) -> None:
        """Wait for more."""
        data = await self._connection.read(_READ, limits)
        if not data and self._state.their_state is h11.SEND_RESPONSE:
            raise httpcore.RemoteProtocolError("the server disconnected without an answer")
        self._state.receive_data(data)

    def is_whole(self) -> bool:
        """Whether the answer's end was received."""
        return self._state.their_state is not h11.SEND_BODY

    def is_reusable(self) -> bool:
        """Make ready for the next request. Whether both sides are done with this one and neither wants to part.

        A server that sent more than its answer is not listened to again: the rest would answer the next request.
        """
        state = self._state
        if state.our_state is h11.DONE and state.their_state is h11.DONE and not state.trailing_data[0]:
            state.start_next_cycle()
            self._idle_since = time.monotonic()
            return True
        return False

    def is_stale(self) -> bool:
        """Whether the server may have given the idle connection up: it has ended, or rested for long."""
        rested = time.monotonic() - self._idle_since
        return rested > _IDLE_SECONDS or bool(self._connection.get_extra_info("is_readable"))

    def abort(self) -> None:
        """Break the connection at once."""
        self._connection.abort()

    async def aclose(self) -> None:
        """Break the connection and give its socket back."""
        self._connection.abort()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._connection.aclose()


@final
class DirectPool:
    """The connections of one origin, the last used first; finding one costs the same however many are busy.

    Args:
        endpoint: The origin.
        context: The TLS configuration; needed for ``https``.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._context = context
        self._network = Network()
        self._idle: list[_Line] = []
        self._busy: set[_Line] = set()

    async def open(self, request: HttpRequest, limits: ReadLimits) -> DirectExchange:
        """Send a request and wait for the head of the answer. Raises what the libraries raise."""
        line = await self._free(limits)
        try:
            return DirectExchange(self, line, await line.ask(request, limits), limits)
        except BaseException:
            await self.give_back(line)
            raise

    async def _free(self, limits: ReadLimits) -> _Line:
        while self._idle:
            line = self._idle.pop()
            if not line.is_stale():
                self._busy.add(line)
                return line
            await line.aclose()
        line = _Line(await self._connected(limits))
        self._busy.add(line)
        return line

    async def _connected(self, limits: ReadLimits) -> Connection:
        endpoint = self._endpoint
        connection = await self._network.connect_tcp(endpoint.host, endpoint.port, limits.connecting())
        if endpoint.scheme != "https":
            return connection
        context = self._context or httpcore.default_ssl_context()
        try:
            return await connection.start_tls(context, endpoint.host, limits.connecting())
        except BaseException:
            await _Line(connection).aclose()
            raise

    async def give_back(self, line: _Line) -> None:
        """Keep a connection for the next request, or close it where it cannot serve one."""
        if line in self._busy:
            self._busy.discard(line)
            if line.is_reusable():
                self._idle.append(line)
            else:
                await line.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        lines = [*self._idle, *self._busy]
        self._idle.clear()
        self._busy.clear()
        for line in lines:
            line.abort()
        for line in lines:
            await line.aclose()

    def __repr__(self) -> str:
        return f"<pool of {len(self._idle)} idle and {len(self._busy)} busy>"


@final
class DirectExchange:
    """An answer whose body is still coming."""

    __slots__ = ("_broken", "_limits", "_line", "_pool", "headers", "status")

    def __init__(self, pool: DirectPool, line: _Line, response: h11.Response, limits: ReadLimits) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = {
            name.decode("ascii"): value.decode("latin-1") for name, value in response.headers
        }
        self._pool = pool
        self._line: _Line | None = line
        self._limits = limits
        self._broken: Exception | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        line = self._line
        if line is None:
            raise StopAsyncIteration
        try:
            while (piece := self._received(line)) is None:
                await line.receive(self._limits)
        except Exception as error:
            raise translated(error, self._limits) from error
        if not piece:
            raise StopAsyncIteration
        return piece

    def _received(self, line: _Line) -> bytes | None:
        """Return all of the body that is here, since what came together is decoded together; empty after its end."""
        if self._broken is not None:
            raise self._broken
        pieces: list[bytearray | bytes] = []
        try:
            while not line.is_whole() and isinstance(event := line.event(), h11.Data):
                pieces.append(event.data)
        except httpcore.RemoteProtocolError as error:
            self._broken = error
            if not pieces:
                raise
        found = b"".join(pieces)
        return found if found or line.is_whole() else None

    def abort(self) -> None:
        """Break the connection at once."""
        if self._line is not None:
            self._line.abort()

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        line, self._line = self._line, None
        if line is not None:
            await self._pool.give_back(line)
