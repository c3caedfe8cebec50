"""An inference node on loopback that is healthy, or ill in whatever way it is told to be, at any time while it runs.

Owns the state of a node: what is wrong with it now, who waits for a slot, and what it saw. What a fault does to an
answer is ``faults``'s, what a healthy answer looks like ``dialects``'s, sockets are ``wire_server``'s.
"""

from __future__ import annotations

import ssl
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Self, final

import anyio
from anyio import AsyncContextManagerMixin
from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelhub.testing.connections import Given
from modelhub.testing.dialects import Dialect, Pace, Route
from modelhub.testing.faults import Fault, Healthy, Schedule
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import Disconnect, WireServer, unwrapped

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["FaultServer"]

_TICK = 0.01  # seconds between two looks at a schedule for who gets in
_UNKNOWN = Route()


@final
class FaultServer(AsyncContextManagerMixin):
    """A node that serves while it is entered: with ``async with`` in this event loop, with ``with`` in a thread.

    Example:
        >>> async def test(client) -> None:
        ...     async with FaultServer(completions_dialect()) as node:
        ...         node.fault = Fault.hang("headers")
        ...         await client.post(f"{node.url}/v1/chat/completions")
        ...         node.fault = by_time((0, Fault.refused()), (2.5, None))

    In this event loop it costs least, and what it notes is as late as the loop is. In a thread it goes on while the
    test blocks. Its attributes may be read and set at any time, from anywhere.

    Args:
        dialect: What it answers while it is healthy.
        pace: How long those answers are and how fast they come.
        fault: What is wrong from the start.
        slots: How many calls it answers at a time while it is healthy; the others wait, as at a real node. No limit by
            default.
        queue: How many of them may wait; no limit by default.
        host: The address to listen on.
        port: The port to listen on; one that is free by default.
        tls: What connections are encrypted with. A certificate that nobody vouches for, or of another host, is a fault
            of its own.
        keep: How many of the newest requests and disconnects are kept at least. Figures are always right.

    Attributes:
        pace, slots, queue: As given; they may be changed at any time.
        counts: Requests so far by path.
        calls: Requests so far that were no probes.
        probes: Requests so far of paths that are cheap in the dialect.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        pace: Pace | None = None,
        fault: Fault | Schedule | None = None,
        slots: int | None = None,
        queue: int | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        tls: ssl.SSLContext | None = None,
        keep: int = 10_000,
    ) -> None:
        self.pace: Pace = pace or Pace()
        self.slots = slots
        self.queue = queue
        self.counts: Counter[str] = Counter()
        self.calls: int = 0
        self.probes: int = 0
        self._dialect = dialect
        self._fault: Fault | Schedule | None = None
        self._fault_since = 0.0
        self._load_ends: float | None = None
        self._turns = _Turns(self._slots_now)
        self._server = WireServer(self._given, host=host, port=port, tls=tls, keep=keep)
        self._scheduled = anyio.Event()
        self._portal: BlockingPortal | None = None
        self._stack = ExitStack()
        self.fault = fault

    def __repr__(self) -> str:
        state = "healthy" if self._fault is None else "on a schedule" if callable(self._fault) else self._fault.name
        where = repr(self._server).split()[1] if self._server.connections else "unused"
        return f"<FaultServer {self._dialect.name} {where}: {state}, {self.calls} calls, {self.probes} probes>"

    @property
    def fault(self) -> Fault | Schedule | None:
        """What is wrong, or the schedule of that; ``None`` while it is healthy.

        An answer has the fault of the moment at which it was asked for.
        """
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | Schedule | None) -> None:
        if self._portal is not None:
            self._portal.call(self._set, fault)
        else:
            self._set(fault)

    def _set(self, fault: Fault | Schedule | None) -> None:
        self._fault = fault
        self._fault_since = time.monotonic()
        self._load_ends = None
        self._look()
        self._turns.admit()
        self._scheduled.set()

    @property
    def url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:43210``."""
        return self._server.url

    @property
    def port(self) -> int:
        """The port it listens on; it stays the same while it refuses, and when it is entered again."""
        return self._server.port

    @property
    def requests(self) -> list[Request]:
        """The newest requests, oldest first."""
        return self._server.requests

    @property
    def disconnects(self) -> list[Disconnect]:
        """The newest clients that went before their answer was complete, oldest first."""
        return self._server.disconnects

    @property
    def connections(self) -> int:
        """How many connections were accepted so far."""
        return self._server.connections

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return self._server.open_connections

    @property
    def answering(self) -> int:
        """How many requests wait for their answer, or for its end, now."""
        return self._server.answering

    @property
    def most_answering(self) -> int:
        """How many that were at the same time at most."""
        return self._server.most_answering

    async def until(self, true: Callable[[Self], bool], timeout: float = 5.0) -> None:
        """Wait until something is true of the node.

        Raises:
            TimeoutError: It is not after ``timeout`` seconds.
        """
        end = time.monotonic() + timeout
        while not true(self):
            if time.monotonic() > end:
                raise TimeoutError(f"it is not so after {timeout} s: {self!r}")
            await anyio.sleep(0.002)

    def _now(self) -> Fault | None:
        if not callable(self._fault):
            return self._fault
        return self._fault(self.calls, time.monotonic() - self._fault_since)

    def _slots_now(self) -> float:
        fault = self._now()
        slots = fault.slots if fault is not None and fault.slots else self.slots
        return inf if slots is None else slots

    def _look(self) -> None:
        """Open or shut the door as the fault says."""
        fault = self._now()
        self._server.door = fault.door if fault is not None else "open"

    def _given(self, request: Request) -> Given:
        route = self._dialect.routes.get((request.method, request.path))
        cheap = route is not None and route.cheap
        self.counts[request.path] += 1
        self.probes += cheap
        self.calls += not cheap
        fault = self._now()
        if fault is not None and not fault.concerns(request, cheap=cheap):
            fault = None
        reply = self._reply(request, route, fault)
        if cheap or (self.slots is None and (fault is None or not (fault.slots or fault.load_seconds))):
            return reply
        return self._in_turn(reply, fault)

    def _reply(self, request: Request, route: Route | None, fault: Fault | None) -> Reply:
        if route is None:
            reply = json_reply(self._dialect.error(f"no route for {request.method} {request.path}"), 404)
        else:
            reply = route.reply(request, self.pace)
        if fault is None or fault.change is None:
            return reply
        free = {name: value for name, value in reply.headers.items() if name.lower() != "content-length"}
        return fault.change(Healthy(replace(reply, headers=free), request, route or _UNKNOWN, self._dialect))

    @asynccontextmanager
    async def _in_turn(self, reply: Reply, fault: Fault | None) -> AsyncGenerator[Reply, None]:
        """Give a reply when the model is loaded and a slot is free, and hold the slot until it is sent."""
        if fault is not None and fault.load_seconds:
            if self._load_ends is None:
                self._load_ends = time.monotonic() + fault.load_seconds
            await anyio.sleep(max(0.0, self._load_ends - time.monotonic()))
        queue = fault.queue if fault is not None and fault.slots else self.queue
        if queue is not None and self._turns.waiting(queue):
            yield json_reply(self._dialect.error("busy: the queue is full"), 503)
            return
        async with self._turns.one():
            yield reply

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self, None]:
        self._fault_since = time.monotonic()
        async with self._server:
            with unwrapped():
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._follow_the_schedule)
                    yield self
                    tasks.cancel_scope.cancel()

    async def _follow_the_schedule(self) -> None:
        while True:
            if callable(self._fault):
                self._look()
                await anyio.sleep(_TICK)
            else:
                self._scheduled = anyio.Event()
                await self._scheduled.wait()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            stack.enter_context(portal.wrap_async_context_manager(self))
            stack.callback(setattr, self, "_portal", None)
            self._portal = portal
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


@final
class _Turns:
    """Who is served and who waits, first come, first served.

    Args:
        slots: Gives how many are served at a time now.
    """

    __slots__ = ("_slots", "_taken", "_waiting")

    def __init__(self, slots: Callable[[], float]) -> None:
        self._slots = slots
        self._taken = 0
        self._waiting: deque[anyio.Event] = deque()

    def waiting(self, so_many: int) -> bool:
        """Tell whether nothing is free and so many wait already."""
        return self._taken >= self._slots() and len(self._waiting) >= so_many

    @asynccontextmanager
    async def one(self) -> AsyncGenerator[None, None]:
        """Wait for a slot and hold it."""
        turn = anyio.Event()
        self._waiting.append(turn)
        self.admit()
        try:
            await turn.wait()
            yield
        finally:
            if turn.is_set():
                self._taken -= 1
                self.admit()
            else:
                self._waiting.remove(turn)

    def admit(self) -> None:
        """Give the slots that are free to those who have waited longest."""
        while self._waiting and self._taken < self._slots():
            self._taken += 1
            self._waiting.popleft().set()
