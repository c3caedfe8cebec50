"""A server for tests that answers exactly what it is told, over real sockets, one write at a time.

Owns the port and who gets in: it listens or refuses, accepts, and records requests and the clients that go. What is
sent is ``replies``'s, how it is sent ``connections``'s. It works on plain sockets, not on the event loop's streams:
only so is a write one ``send`` and a reset a reset.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, final

import anyio
from anyio import AsyncContextManagerMixin
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelhub.testing.connections import Connection, Given, reset_on_close
from modelhub.testing.replies import Reply, Request

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Answer", "Disconnect", "Door", "Routes", "ThreadedWireServer", "WireServer", "unwrapped"]

Answer: TypeAlias = Reply | Callable[[Request], Given] | Iterable[Reply]
"""A reply for every request; a function of the request; or replies to give one after the other.

A function may be async, and may return an async context manager that gives the reply: it is left when the reply was
sent or the client has gone.
"""
Routes: TypeAlias = Answer | Mapping[tuple[str, str], Answer]
"""One answer for every request, or answers by method and path."""
Door: TypeAlias = Literal["open", "shut", "closing", "resetting", "silent"]
"""Who gets in: everybody; nobody, the port does not listen; or whoever connects is let in and left at once, is reset,
or is never told a word, not even in a TLS handshake."""

_BACKLOG = 4096


@final
@dataclass(frozen=True, slots=True)
class Disconnect:
    """A client went before its answer was complete.

    Attributes:
        request: What it had asked.
        sent: How many bytes of the body it had been sent.
        at: When the server saw it, in seconds of ``time.monotonic()``.
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
        port: The port to listen on; one that is free by default.
        tls: What connections are encrypted with.
        keep: How many of the newest requests and disconnects are kept at least, all by default.

    Attributes:
        requests: Every request so far, oldest first.
        unanswered: Those of them that no route or reply was left for.
        disconnects: Every client so far that went before its answer was complete, oldest first.
        connections: How many connections were accepted so far.
        answering: How many requests are being answered now.
        most_answering: How many that were at the same time at most.
    """

    def __init__(
        self,
        routes: Routes = (),
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        tls: ssl.SSLContext | None = None,
        keep: int | None = None,
    ) -> None:
        table = routes if isinstance(routes, Mapping) else {None: routes}
        self._answers = {key: _answering(answer) for key, answer in table.items()}
        self._host = host
        self._tls = tls
        self._keep = keep
        self._port: int | None = port
        self._door: Door = "open"
        self._listener: socket.socket | None = None
        self._open: dict[socket.socket, anyio.CancelScope] = {}
        self._untold: deque[Disconnect] = deque(maxlen=keep)
        self._changed = anyio.Event()
        self.requests: list[Request] = []
        self.unanswered: list[Request] = []
        self.disconnects: list[Disconnect] = []
        self.connections: int = 0
        self.answering: int = 0
        self.most_answering: int = 0

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
        return f"http{'s' if self._tls else ''}://{host}:{self.port}"

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._open)

    @property
    def door(self) -> Door:
        """Who gets in.

        Whatever it becomes but open, connections that are there are lost: by FIN, by RST, or in silence. While the
        server is entered, it is set in its event loop only.
        """
        return self._door

    @door.setter
    def door(self, door: Door) -> None:
        before, self._door = self._door, door
        if self._listener is None or before == door:
            return
        if door not in {"open", "silent"}:
            self._throw_out(reset=door == "resetting")
        if door == "shut":
            anyio.notify_closing(self._listener)
            self._listener.close()
            self._listener = self._bound()  # nobody else gets the port
        elif before == "shut":
            self._listener.listen(_BACKLOG)
            self._notify()

    def _throw_out(self, *, reset: bool) -> None:
        for peer, scope in self._open.items():
            if reset:
                reset_on_close(peer)
            scope.cancel()  # before its socket closes, which would be an error to it
            anyio.notify_closing(peer)
            peer.close()
        self._open.clear()
        self._notify()

    async def disconnected(self, timeout: float = 5.0) -> Disconnect:
        """Wait for the next client that goes before its answer is complete; each is returned once.

        Raises:
            TimeoutError: None went within ``timeout`` seconds.
        """
        await self._until(lambda: bool(self._untold), timeout, "no client broke off its answer")
        return self._untold.popleft()

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
        self._listener = self._bound()
        try:
            self._port = self._listener.getsockname()[1]
            if self._door != "shut":
                self._listener.listen(_BACKLOG)
            with unwrapped():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._accept, tasks)
                    yield self
                    tasks.cancel_scope.cancel()
        finally:
            self._listener.close()
            self._listener = None

    def _bound(self) -> socket.socket:
        listener = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        try:
            listener.setblocking(False)  # noqa: FBT003  the standard library's own signature
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port or 0))
        except BaseException:
            listener.close()
            raise
        return listener

    async def _accept(self, tasks: TaskGroup) -> None:
        while True:
            if self._listener is None or self._door == "shut":
                await self._changed.wait()
                continue
            try:
                peer, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                with suppress(anyio.ClosedResourceError):  # the door was shut
                    await anyio.wait_readable(self._listener)
            else:
                tasks.start_soon(self._serve, peer)

    async def _serve(self, peer: socket.socket) -> None:
        with peer, anyio.CancelScope() as scope:
            peer.setblocking(False)  # noqa: FBT003  the standard library's own signature
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            if self._door == "resetting":
                reset_on_close(peer)
            if self._door not in {"open", "silent"}:
                return
            self._open[peer] = scope
            try:
                await self._converse(peer)
            finally:
                self._open.pop(peer, None)
                self._notify()

    async def _converse(self, peer: socket.socket) -> None:
        if self._door == "silent":
            while await _more(peer):
                pass
            return
        connection = Connection(peer, self.connections, self._tls)
        while (request := await connection.request()) is not None:
            if not await self._exchange(connection, request):
                break

    async def _exchange(self, connection: Connection, request: Request) -> bool:
        """Answer one request; tell whether the connection can serve another."""
        self._record(self.requests, request)
        self.answering += 1
        self.most_answering = max(self.most_answering, self.answering)
        try:
            reply = await connection.answer(self._given(request), request.method)
        finally:
            self.answering -= 1
        if reply is None and connection.socket not in self._open:
            return False  # it was thrown out
        if reply is None:
            disconnect = Disconnect(request, connection.sent, connection.left or time.monotonic())
            self._record(self.disconnects, disconnect)
            self._untold.append(disconnect)
            self._notify()
            return False
        if reply.ends_connection:
            if reply.cut == "rst" and reply.cut_after is not None:
                reset_on_close(connection.socket)
            elif reply.cut_after is None:
                connection.end()
        return not reply.ends_connection

    def _given(self, request: Request) -> Given:
        if self._door == "silent":
            return Reply(raw=b"", cut_after=0, cut="hang")
        answer = self._answers.get((request.method, request.path)) or self._answers.get(None)
        if answer is None:
            self._record(self.unanswered, request)
            return Reply(404, body=f"no route for {request.method} {request.path}")
        try:
            return answer(request)
        except StopIteration:
            self._record(self.unanswered, request)
            return Reply(500, body=f"no reply is left for {request.method} {request.path}")

    def _record(self, kept: list[Any], one: object) -> None:
        kept.append(one)
        if self._keep is not None and len(kept) > 2 * self._keep:
            del kept[: len(kept) - self._keep]


@contextmanager
def unwrapped() -> Iterator[None]:
    """Take an exception out of a task group that has only this one: what a test raises shall come out as it was."""
    try:
        yield
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1:
            raise group.exceptions[0] from group.exceptions[0].__cause__
        raise


async def _more(peer: socket.socket) -> bool:
    """Wait until a client says something, and tell whether it is still there."""
    await anyio.wait_readable(peer)
    try:
        return bool(peer.recv(64 * 1024))
    except OSError:
        return False


def _answering(answer: Answer) -> Callable[[Request], Given]:
    if isinstance(answer, Reply):
        return lambda _: answer
    if callable(answer):
        return answer
    replies = iter(answer)
    return lambda _: next(replies)


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
