"""A server for tests that answers exactly what it is told, over real sockets, one write at a time.

Owns connections: it accepts, records requests, sends replies, breaks them off, and notices when the client
goes. What is sent is ``replies``'s. It works on plain sockets, not on the event loop's streams: only so is a
write one ``send`` and a reset a reset.
"""

from __future__ import annotations

import inspect
import socket
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias, final

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelhub.testing.replies import Reply, Request, RequestReader

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Answer", "Disconnect", "Routes", "ThreadedWireServer", "WireServer"]

Answer: TypeAlias = Reply | Callable[[Request], Reply | Awaitable[Reply]] | Iterable[Reply]
"""A reply for every request; a function of the request; or replies to give one after the other."""
Routes: TypeAlias = Answer | Mapping[tuple[str, str], Answer]
"""One answer for every request, or answers by method and path."""

_RECEIVE = 64 * 1024
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: close() sends RST


@final
@dataclass(frozen=True, slots=True)
class Disconnect:
    """A client went before its answer was complete.

    Attributes:
        request: What it had asked.
        sent: How many bytes of the body it had been sent.
        at: When the server noticed, in seconds of ``time.monotonic()``.
    """

    request: Request
    sent: int
    at: float


@final
class WireServer(AsyncContextManagerMixin):
    """Serves while it is entered, on asyncio and trio.

    Example:
        >>> async def test(client) -> None:
        ...     async with WireServer({("GET", "/"): Reply(body="hello", split="bytes")}) as server:
        ...         await client.get(server.url)
        ...         assert server.requests[0].path == "/"

    An exception of an answering function is raised where the server was entered. A request that nothing
    answers gets status 404, or 500 where the replies ran out, and is listed in ``unanswered``.

    Args:
        routes: What is answered; see ``Routes``.
        host: The address to listen on; ``::1`` for IPv6.

    Attributes:
        requests: Every request so far, oldest first.
        unanswered: Those of them that no route or reply was left for.
        connections: How many connections were accepted so far.
    """

    def __init__(self, routes: Routes = (), *, host: str = "127.0.0.1") -> None:
        table = routes if isinstance(routes, Mapping) else {None: routes}
        self._answers = {key: _answering(answer) for key, answer in table.items()}
        self._host = host
        self._port: int | None = None
        self._open: set[socket.socket] = set()
        self._disconnects: list[Disconnect] = []
        self._changed = anyio.Event()
        self.requests: list[Request] = []
        self.unanswered: list[Request] = []
        self.connections: int = 0

    def __repr__(self) -> str:
        where = self.url if self._port else "not entered"
        return f"<WireServer {where} requests={len(self.requests)} open={self.open_connections}>"

    @property
    def port(self) -> int:
        """The port it listens on; also known after it was left."""
        if self._port is None:
            raise RuntimeError("the server has no port yet: enter it with `async with` first")
        return self._port

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:43210``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    async def disconnected(self, timeout: float = 5.0) -> Disconnect:
        """Wait for the next client that goes before its answer is complete; each is returned once.

        Raises:
            TimeoutError: None went within ``timeout`` seconds.
        """
        await self._until(lambda: bool(self._disconnects), timeout, "no client broke off its answer")
        return self._disconnects.pop(0)

    async def all_closed(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open.

        Raises:
            TimeoutError: Some still are after ``timeout`` seconds.
        """
        await self._until(lambda: not self._open, timeout, "connections are still open")

    async def _until(self, true: Callable[[], bool], timeout: float, otherwise: str) -> None:
        with anyio.move_on_after(timeout):
            while not true():
                await self._changed.wait()
        if not true():
            raise TimeoutError(f"{otherwise} after {timeout} s: {self!r}")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self, None]:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.create_server((self._host, self._port or 0), family=family, backlog=1024) as listener:
            listener.setblocking(False)  # noqa: FBT003  the standard library's own signature
            self._port = listener.getsockname()[1]
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._accept, listener, tasks)
                    yield self
                    tasks.cancel_scope.cancel()
            except BaseExceptionGroup as group:
                if len(group.exceptions) == 1:  # what a test raises shall come out as it was raised
                    raise group.exceptions[0] from group.exceptions[0].__cause__
                raise

    async def _accept(self, listener: socket.socket, tasks: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listener)
            with suppress(BlockingIOError, ConnectionError):
                peer, _ = listener.accept()
                tasks.start_soon(self._serve, peer)

    async def _serve(self, peer: socket.socket) -> None:
        with peer:
            peer.setblocking(False)  # noqa: FBT003  the standard library's own signature
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.add(peer)
            try:
                connection = _Connection(peer, RequestReader(self.connections))
                while (request := await connection.request()) is not None:
                    if not await self._exchange(connection, request):
                        break
            finally:
                self._open.discard(peer)
                self._notify()

    async def _exchange(self, connection: _Connection, request: Request) -> bool:
        """Answer one request; tell whether the connection can serve another."""
        self.requests.append(request)
        reply = await self._reply(request)
        whole = await connection.send(reply, request.method)
        if not whole:
            self._disconnects.append(Disconnect(request, connection.sent, time.monotonic()))
            self._notify()
        elif reply.ends_connection and reply.cut == "rst" and reply.cut_after is not None:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return whole and not reply.ends_connection

    async def _reply(self, request: Request) -> Reply:
        answer = self._answers.get((request.method, request.path)) or self._answers.get(None)
        if answer is None:
            self.unanswered.append(request)
            return Reply(404, body=f"no route for {request.method} {request.path}")
        try:
            reply = answer(request)
        except StopIteration:
            self.unanswered.append(request)
            return Reply(500, body=f"no reply is left for {request.method} {request.path}")
        return await reply if inspect.isawaitable(reply) else reply


def _answering(answer: Answer) -> Callable[[Request], Reply | Awaitable[Reply]]:
    if isinstance(answer, Reply):
        return lambda _: answer
    if callable(answer):
        return answer
    replies = iter(answer)
    return lambda _: next(replies)


@final
class _Connection:
    """One client's socket: requests come out of it, replies go into it."""

    def __init__(self, peer: socket.socket, reader: RequestReader) -> None:
        self.socket = peer
        self.sent = 0
        self._reader = reader

    async def request(self) -> Request | None:
        """Return the next request, or ``None`` when the client has gone."""
        while True:
            try:
                request = self._reader.next()
            except ValueError as error:
                refusal = Reply(400, body=str(error), keep_alive=False)
                with suppress(OSError):  # gone already
                    await self._write(refusal.head() + b"".join(refusal.writes()))
                return None
            if request is not None or not await self._receive():
                return request

    async def send(self, reply: Reply, method: str) -> bool:
        """Send a reply; tell whether the client stayed to its end, or to where it was told to break off."""
        self.sent = 0
        whole = False

        async def send() -> None:
            nonlocal whole
            with suppress(OSError):  # gone while it was being written to
                await self._send(reply, method)
                whole = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            while await self._receive():
                pass  # the next request, kept by the reader
            tasks.cancel_scope.cancel()
        return whole

    async def _send(self, reply: Reply, method: str) -> None:
        await anyio.sleep(reply.delay)
        await self._write(reply.head())
        writes = reply.writes(method)
        for write, wait in zip(writes, reply.waits(len(writes)), strict=True):
            await anyio.sleep(wait)
            await self._write(write)
            self.sent += len(write)
        if reply.cut_after is not None and reply.cut == "hang":
            await anyio.sleep_forever()

    async def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self.socket)

    async def _receive(self) -> bool:
        """Take what the client sends; tell whether it is still there."""
        while True:
            try:
                data = self.socket.recv(_RECEIVE)
            except BlockingIOError:
                await anyio.wait_readable(self.socket)
            except OSError:
                return False
            else:
                self._reader.feed(data)
                return bool(data)


@final
class ThreadedWireServer:
    """A wire server in a thread of its own, for code that blocks: command lines, benchmarks.

    Args:
        routes: What is answered; functions among it run in the server's thread.
        host: The address to listen on; ``::1`` for IPv6.

    Attributes:
        server: The server itself; its lists may be read at any time.
    """

    def __init__(self, routes: Routes = (), *, host: str = "127.0.0.1") -> None:
        self.server: WireServer = WireServer(routes, host=host)
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def __repr__(self) -> str:
        return f"<ThreadedWireServer of {self.server!r}>"

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    @property
    def requests(self) -> list[Request]:
        """Every request so far, oldest first."""
        return self.server.requests

    def disconnected(self, timeout: float = 5.0) -> Disconnect:
        """Wait for a client to break off; see ``WireServer.disconnected``."""
        return self._entered().call(self.server.disconnected, timeout)

    def all_closed(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open; see ``WireServer.all_closed``."""
        self._entered().call(self.server.all_closed, timeout)

    def _entered(self) -> BlockingPortal:
        if self._portal is None:
            raise RuntimeError("the server does not run: enter it with `with` first")
        return self._portal

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(self._portal.wrap_async_context_manager(self.server))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal = None
        self._stack.__exit__(kind, error, trace)
