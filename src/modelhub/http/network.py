"""Connections: what httpcore reads from and writes to. Owns limits of time on the wire and breaking a connection.

Every connection of the hub is made here, so it is here that each is judged: the addresses that a name has are shown to
`Egress`, and those very addresses are connected to. Nothing is looked up a second time.

On asyncio a connection is the loop's own transport, without anyio's stream over it: that stops and starts reading
around every read (two system calls), and a limit of time around it makes a scope and a timer each time, which is most
of what a piece of a paced stream would cost. On other event loops it is anyio's.
"""

from __future__ import annotations

import asyncio
import math
import select
import socket
import ssl
import sys
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, final

import anyio
import anyio.lowlevel
import httpcore

from modelhub.http.addresses import Address, Resolver, connected_socket, fastest, looked_up
from modelhub.http.seam import Connecting, ReadLimits
from modelhub.rules.egress import Egress

__all__ = ["Connection", "Network"]

_HELD = 64 * 1024
"""Bytes of a request that may wait for the rest of it: headers and a small body leave together."""
_AHEAD = 64 * 1024
"""Bytes of an answer that may wait for whoever wants them, before reading stops."""


class Connection(httpcore.AsyncNetworkStream):
    """A connection whose timeouts may be `ReadLimits` or `Connecting`, and which can be broken without waiting.

    Attributes:
        connecting: The time for making it.
        handshakes: How many of them there are before it leads where it shall.
    """

    connecting: Connecting | None = None
    handshakes: int = 0

    def limit(self, timeout: Any) -> Any:
        """Return what limits a read or a write: what is said to a proxy is a part of connecting.

        Until the last handshake of a tunnel the library gives the limits of the answer, and in greeting SOCKS proxies
        none.
        """
        return self.connecting if timeout is None or self.handshakes else timeout

    @abstractmethod
    def abort(self) -> None:
        """Break it at once, whatever becomes of the tasks that still hold it; they read its end."""


@final
class Network(httpcore.AsyncNetworkBackend):
    """Makes one connection after another; the place where every connection's target is known.

    Args:
        egress: Judges what each leads to.
        resolve: Looks names up.
        handshakes: How many there are before a tunnel leads where it shall; 0 where there is no tunnel.
    """

    def __init__(self, egress: Egress, resolve: Resolver = looked_up, *, handshakes: int = 0) -> None:
        self._egress = egress
        self._resolve = resolve
        self._handshakes = handshakes
        self._anyio = httpcore.AnyIOBackend()
        self._made: Connection | None = None

    def abort(self) -> None:
        """Break the connection that was made last. Idempotent."""
        if self._made is not None:
            self._made.abort()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Any = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Connection:
        """See httpcore: raises its ConnectTimeout and ConnectError.

        Raises:
            EgressRefused: No connection may be made there; none was.
        """
        loop = anyio.lowlevel.current_token().native_token
        made: Connection
        try:
            with anyio.fail_after(_seconds(timeout)):
                addresses = await self._judged(host, port)
                if isinstance(loop, asyncio.AbstractEventLoop):
                    made = await _connected(loop, addresses, local_address)
                else:
                    made = await self._connected(addresses, local_address)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        sock = made.get_extra_info("socket")
        for option in socket_options or ():
            sock.setsockopt(*option)
        made.connecting = timeout if isinstance(timeout, Connecting) else None
        made.handshakes = self._handshakes
        self._made = made
        return made

    async def _judged(self, host: str, port: int) -> Sequence[Address]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        self._egress.judge(host, [str(address[4][0]) for address in addresses])
        return addresses

    async def _connected(self, addresses: Sequence[Address], local_address: str | None) -> Connection:
        async def connect(address: Address) -> _AnyioConnection:
            host, port = address[4][:2]
            try:
                return _AnyioConnection(await self._anyio.connect_tcp(host, port, None, local_address))
            except httpcore.ConnectError as error:
                raise OSError(str(error)) from error

        return await fastest(addresses, connect, _AnyioConnection.aclose)

    async def sleep(self, seconds: float) -> None:
        """See httpcore."""
        await anyio.sleep(seconds)


async def _connected(
    loop: asyncio.AbstractEventLoop, addresses: Sequence[Address], local_address: str | None
) -> _AsyncioConnection:
    async def connect(address: Address) -> socket.socket:
        return await connected_socket(address, local_address)

    async def close(sock: socket.socket) -> None:
        sock.close()

    sock = await fastest(addresses, connect, close)
    _, connection = await loop.create_connection(lambda: _AsyncioConnection(loop), sock=sock)
    return connection


def _seconds(timeout: Any) -> float | None:
    if isinstance(timeout, ReadLimits):  # of every read of an answer: asked first and alone, it costs the least
        return timeout.remaining()
    seconds: float | None = timeout.remaining() if isinstance(timeout, Connecting) else timeout
    return seconds


def _expired(limit: Any, otherwise: type[httpcore.TimeoutException]) -> type[httpcore.TimeoutException]:
    return httpcore.ConnectTimeout if isinstance(limit, Connecting) else otherwise


@final
class _AnyioConnection(Connection):
    """A connection of anyio's, on whatever event loop."""

    __slots__ = ("_aborted", "_inner")

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._aborted = False

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        if self._aborted:
            return b""
        limit = self.limit(timeout)
        try:
            return await self._inner.read(max_bytes, _seconds(limit))
        except httpcore.ReadTimeout as error:
            raise _expired(limit, httpcore.ReadTimeout) from error

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        limit = self.limit(timeout)
        try:
            await self._inner.write(buffer, _seconds(limit))
        except httpcore.WriteTimeout as error:
            raise _expired(limit, httpcore.WriteTimeout) from error

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> Connection:
        self._inner = await self._inner.start_tls(ssl_context, server_hostname, _seconds(timeout))
        self.handshakes -= self.handshakes > 0
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def abort(self) -> None:
        self._aborted = True
        sock = self._inner.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):  # already gone, which is what was wanted
                sock.shutdown(socket.SHUT_RDWR)


@final
class _AsyncioConnection(Connection, asyncio.Protocol):
    """A connection of asyncio's. One task at a time reads or writes it, as HTTP/1.1 goes."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._received: deque[bytes] = deque()
        self._ahead = 0
        self._unsent: list[bytes] = []
        self._held = 0
        self._full = False  # the transport wants nothing more to send for now
        self._ended = False  # nothing more will be received
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what create_connection makes
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._ahead += len(data)
        if self._ahead > _AHEAD:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._error = exc
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        limit = self.limit(timeout)
        if self._unsent:
            await self._send(limit)
        seconds = _seconds(limit)
        if seconds is not None and seconds <= 0:
            raise _expired(limit, httpcore.ReadTimeout)
        if self._received:
            await asyncio.sleep(0)  # what is here already must not keep other tasks, or a cancellation, waiting
        while not self._received and not self._ended:
            await self._change(_seconds(limit), _expired(limit, httpcore.ReadTimeout))
        return self._taken(max_bytes)

    def _taken(self, max_bytes: int) -> bytes:
        if not self._received:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            return b""
        data = self._received.popleft()
        if len(data) > max_bytes:
            self._received.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._ahead -= len(data)
        if self._ahead <= _AHEAD:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: Any = None) -> None:
        # httpcore ends a message with an empty piece.
        if buffer:
            self._unsent.append(buffer)
            self._held += len(buffer)
        if self._unsent and (not buffer or self._held > _HELD):
            await self._send(self.limit(timeout))

    async def _send(self, limit: Any) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        self._held = 0
        if self._ended:
            raise httpcore.WriteError(str(self._error or "the connection has ended")) from self._error
        self._transport.write(data)
        while self._full and not self._ended:
            await self._change(_seconds(limit), _expired(limit, httpcore.WriteTimeout))

    async def _change(self, seconds: float | None, expired: type[httpcore.TimeoutException]) -> None:
        """Wait until something happens to the connection."""
        self._waiter = self._loop.create_future()
        self._expire_at(math.inf if seconds is None else self._loop.time() + seconds)
        try:
            await self._waiter
        except TimeoutError as error:
            raise expired from error
        finally:
            self._waiter = None

    def _expire_at(self, deadline: float) -> None:
        # The one timer runs at the earliest deadline since it was set, and looks then whether that still counts: a
        # deadline that only moves on, as between the pieces of a stream, costs no new timer.
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None and deadline < math.inf:
            self._timer = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() < self._deadline:
            self._expire_at(self._deadline)
        else:
            self._waiter.set_exception(TimeoutError())

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: Any = None
    ) -> Connection:
        try:
            with anyio.fail_after(_seconds(timeout)):
                transport = await self._loop.start_tls(
                    self._transport, self, ssl_context, server_hostname=server_hostname
                )
        except BaseException as error:
            self.abort()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout from error
            if isinstance(error, OSError):  # ssl.SSLError is one
                raise httpcore.ConnectError(str(error)) from error
            raise
        assert transport is not None  # noqa: S101  it is None only where the connection was lost, which raises
        self._transport = transport
        self.handshakes -= self.handshakes > 0
        return self

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":
                return self._ended or bool(self._received) or _is_readable(self._transport.get_extra_info("socket"))
            case "client_addr":
                return self._transport.get_extra_info("sockname")
            case "server_addr":
                return self._transport.get_extra_info("peername")
            case _:
                return self._transport.get_extra_info(info)

    def abort(self) -> None:
        self._ended = True
        self._received.clear()
        self._transport.abort()
        self._wake()

    async def aclose(self) -> None:
        self.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next round


def _is_readable(sock: Any) -> bool:
    """Whether an idle connection has something to say, which is that it has ended."""
    descriptor = sock.fileno()
    if descriptor < 0:
        return True
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
