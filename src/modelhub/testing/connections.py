"""One client's connection to a test's server, in clear or over TLS. Owns how bytes come and go, one ``send`` a write.

It notices when the client goes, whatever it is doing: sending, waiting, or finding out what to send. What is sent is
``replies``'s; who may connect is ``wire_server``'s.
"""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from itertools import chain
from typing import Protocol, TypeAlias, final

import anyio

from modelhub.testing.replies import Reply, Request, RequestReader

__all__ = ["Connection", "Given", "reset_on_close"]

Given: TypeAlias = Reply | Awaitable[Reply] | AbstractAsyncContextManager[Reply]
"""A reply, one to wait for, or one that holds something until it is sent or the client has gone."""

_RECEIVE = 64 * 1024
_RECORD = 16 * 1024
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: close() sends RST

Steps: TypeAlias = Iterator[tuple[float, bytes | memoryview]]


def reset_on_close(peer: socket.socket) -> None:
    """Let the connection end with RST in place of FIN."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class _Wire(Protocol):
    """Bytes to and from a client. All methods raise `BlockingIOError` where they would wait."""

    def receive(self) -> bytes: ...
    def send(self, data: memoryview) -> int: ...
    def flush(self) -> None: ...
    def end(self) -> None: ...


@final
class _Clear:
    """A socket as it is."""

    __slots__ = ("_peer",)

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def receive(self) -> bytes:
        """Return what has come; nothing at the end."""
        return self._peer.recv(_RECEIVE)

    def send(self, data: memoryview) -> int:
        """Send what fits, and tell how much that was."""
        return self._peer.send(data)

    def flush(self) -> None:
        """Nothing is kept back."""

    def end(self) -> None:
        """Nothing is said."""


@final
class _Secure:
    """A socket under TLS. The handshake comes with the first bytes."""

    __slots__ = ("_incoming", "_outgoing", "_peer", "_pending", "_tls")

    def __init__(self, peer: socket.socket, context: ssl.SSLContext) -> None:
        self._peer = peer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._pending = memoryview(b"")
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def receive(self) -> bytes:
        """Return what has come, in clear; nothing at the end."""
        while True:
            try:
                data = self._tls.read(_RECEIVE)
            except ssl.SSLWantReadError:
                self._flush_what_fits()
            except ssl.SSLError:
                self._flush_what_fits()  # the alert that says why
                raise
            else:
                if not data:
                    self.end()  # a goodbye is answered
                return data
            data = self._peer.recv(_RECEIVE)
            if not data:
                return b""
            self._incoming.write(data)

    def send(self, data: memoryview) -> int:
        """Encrypt and send one record, and tell how much it holds."""
        self.flush()
        size = self._tls.write(data[:_RECORD])
        self._flush_what_fits()
        return size

    def flush(self) -> None:
        """Send what is encrypted already."""
        while self._pending or self._outgoing.pending:
            self._pending = self._pending or memoryview(self._outgoing.read())
            self._pending = self._pending[self._peer.send(self._pending) :]

    def _flush_what_fits(self) -> None:
        with suppress(BlockingIOError):
            self.flush()

    def end(self) -> None:
        """Say that this was all."""
        with suppress(ssl.SSLError):  # the client's own end is not waited for
            self._tls.unwrap()
        self._flush_what_fits()


@final
class Connection:
    """One client: requests come out of it, replies go into it.

    Args:
        peer: The client's socket, which does not block.
        number: Which of the server's connections it is.
        tls: What it is encrypted with.

    Attributes:
        left: When the client was seen to have gone, in seconds of ``time.monotonic()``.
    """

    def __init__(self, peer: socket.socket, number: int, tls: ssl.SSLContext | None = None) -> None:
        self.socket = peer
        self._wire: _Wire = _Clear(peer) if tls is None else _Secure(peer, tls)
        self._reader = RequestReader(number)
        self._written = 0
        self._head = 0
        self.left: float | None = None

    def __repr__(self) -> str:
        return f"<Connection {self._reader!r} sent={self.sent}>"

    @property
    def sent(self) -> int:
        """How many bytes of the last reply's body were sent."""
        return max(0, self._written - self._head)

    async def request(self) -> Request | None:
        """Return the next request, or ``None`` when the client has gone."""
        while True:
            try:
                request = self._reader.next()
            except ValueError as error:
                refusal = Reply(400, body=str(error), keep_alive=False)
                with suppress(OSError):  # gone already
                    await self._go_on(refusal.steps())
                return None
            if request is not None or not await self._receive():
                return request

    async def answer(self, given: Given, method: str) -> Reply | None:
        """Send a reply; return it if the client stayed to its end, or to where it was told to break off."""
        self._written = self._head = 0
        if not isinstance(given, Reply):
            return await self._while_it_stays(given, method)
        try:
            if not self._stays():
                return None
            left = self._at_once(self._steps(given, method))
        except OSError:  # gone while it was being written to
            return None
        if left is None and not given.hangs:
            return given
        return await self._while_it_stays(given, method, left or iter(()))

    def end(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError):
            self._wire.end()

    def _steps(self, reply: Reply, method: str) -> Steps:
        steps = reply.steps(method)
        wait, head = next(steps)
        self._head = len(head)
        return chain([(wait, head)], steps)

    def _at_once(self, steps: Steps) -> Steps | None:
        """Send the head and the first write if that needs no waiting; return what is left.

        Between two writes the client has its turn: only so do they come as two.
        """
        for number, (wait, data) in enumerate(steps):
            if wait or number > 1:
                return chain([(wait, data)], steps)
            view = memoryview(data)
            try:
                while view:
                    view = view[self._send(view) :]
                self._wire.flush()
            except BlockingIOError:
                return chain([(0.0, view)], steps)
        return None

    async def _while_it_stays(self, given: Given, method: str, steps: Steps | None = None) -> Reply | None:
        """Find the reply and send it, or what is left of it, as long as the client is there."""
        whole: Reply | None = None
        failure: Exception | None = None

        async def work() -> None:
            nonlocal whole, failure
            try:
                async with AsyncExitStack() as stack:
                    reply = await _found(given, stack)
                    with suppress(OSError):  # gone while it was being written to
                        await self._go_on(self._steps(reply, method) if steps is None else steps)
                        if reply.hangs:
                            await anyio.sleep_forever()
                        whole = reply
            except Exception as error:  # noqa: BLE001  raised again below, out of the group
                failure = error
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            while await self._receive():
                pass  # the next request, kept by the reader
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return whole

    async def _go_on(self, steps: Steps) -> None:
        for wait, data in steps:
            await anyio.sleep(wait)
            view = memoryview(data)
            while True:
                try:
                    while view:
                        view = view[self._send(view) :]
                    self._wire.flush()
                    break
                except BlockingIOError:
                    await anyio.wait_writable(self.socket)

    def _send(self, view: memoryview) -> int:
        size = self._wire.send(view)
        self._written += size
        return size

    def _stays(self) -> bool:
        """Tell whether the client is still there, as far as is known."""
        try:
            return self._feed(self._wire.receive())
        except BlockingIOError:
            return True

    def _feed(self, data: bytes) -> bool:
        if not data:
            self.left = time.monotonic()
        self._reader.feed(data)
        return bool(data)

    async def _receive(self) -> bool:
        """Take what the client sends; tell whether it is still there."""
        while True:
            try:
                data = self._wire.receive()
            except BlockingIOError:
                await anyio.wait_readable(self.socket)
            except OSError:
                return self._feed(b"")
            else:
                return self._feed(data)


async def _found(given: Given, stack: AsyncExitStack) -> Reply:
    if isinstance(given, Reply):
        return given
    if isinstance(given, AbstractAsyncContextManager):
        return await stack.enter_async_context(given)
    return await given
