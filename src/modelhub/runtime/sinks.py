"""Sinks and their queues: records wait here until a background task has given them to the sink.

A call only appends to the queue. What a sink does with a record, how long it takes and what it raises reaches no call:
a full queue drops what comes, and counts it.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast, final

import anyio

from modelhub.provider.middleware import Sink
from modelhub.provider.threads import run_in_thread
from modelhub.types.telemetry import Record
from modelhub.types.usage import Usage

__all__ = ["Noted", "SinkQueue", "record_of", "sink_name", "sink_problem"]

_CAPACITY = 1024
"""Records that may wait for a sink, those it is given just now included."""

_LINGER_SECONDS = 0.02
"""How long records are gathered: a thread for each would cost more than the calls they are about."""

_COLOUR = "it is a plain function that returned a coroutine: write it with async def"
_USERINFO = re.compile(r"://[^/@\s]*@")

_log = logging.getLogger("modelhub")

Noted: TypeAlias = tuple[Any, ...]
"""A record that is not made yet: its class, then its fields. To make it would take longer than to note it."""


def record_of(noted: Noted) -> Record:
    """Make a record that was noted; what does not belong into one is taken out here, not while the call waits."""
    kind, *facts = noted
    return cast("Record", kind(*[each if each is None else _fit(each) for each in facts]))


def _fit(fact: Any) -> Any:
    if type(fact) is str:  # names of models come from callers too: one may be a URL with a password in it
        return _USERINFO.sub("://", fact) if "://" in fact else fact
    if type(fact) is tuple:
        return tuple(map(_fit, fact))
    if type(fact) is Usage and fact.raw is not None:
        return replace(fact, raw=None)  # the vendor's own document: it may hold anything
    return fact


def sink_problem(sink: object) -> str | None:
    """Say why an object is no sink, if it is none."""
    function = getattr(sink, "emit", sink)
    if isinstance(sink, type) or not callable(function):
        return "a sink is a function that takes a record, or an object with a method emit that does"
    return None


def sink_name(sink: object) -> str:
    """Return what a sink is called: the function's name, or the class's."""
    return str(getattr(sink, "__name__", type(sink).__name__))


@final
class SinkQueue:
    """One sink and the records that wait for it; belongs to an event loop.

    Args:
        sink: Takes the records.
        capacity: How many may wait.
        linger: How many seconds records are gathered before the sink is given them.

    Attributes:
        sink: What was given.
        name: What the sink is called in the log.
        dropped: Records that came when the queue was full, or were left when the hub was.
        failed: Records for which the sink raised.
        done: Set when the last record was given away after `close`.
    """

    __slots__ = (
        "_capacity",
        "_closing",
        "_function",
        "_hurry",
        "_in_loop",
        "_linger",
        "_many",
        "_queue",
        "_waiting",
        "_wake",
        "done",
        "dropped",
        "failed",
        "name",
        "sink",
    )

    def __init__(self, sink: Sink, *, capacity: int = _CAPACITY, linger: float = _LINGER_SECONDS) -> None:
        self.sink: Sink = sink
        self._function = cast("Callable[[Record], Awaitable[None] | None]", getattr(sink, "emit", sink))
        self._in_loop = _is_coroutine_function(self._function)
        self.name: str = sink_name(sink)
        self._capacity = capacity
        self._linger = linger
        self._queue: deque[Noted] = deque()
        self._waiting = 0
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._many = capacity // 2
        self._closing = False
        self.done: anyio.Event = anyio.Event()
        self.dropped: int = 0
        self.failed: int = 0

    def put(self, noted: Noted) -> None:
        """Take a record; never waits, never raises. Call it in the loop's own thread."""
        if self._waiting >= self._capacity:
            if not self.dropped:
                _log.warning("the sink %s is too slow: records are dropped; said once", self.name)
            self.dropped += 1
            return
        self._waiting += 1
        self._queue.append(noted)
        if self._waiting == 1:
            self._wake.set()
        elif self._waiting == self._many:
            self._hurry.set()

    def close(self) -> None:
        """Have `run` give away what is waiting, and end."""
        self._closing = True
        self._hurry.set()
        self._wake.set()

    async def run(self) -> None:
        """Give the sink its records until the queue is closed; a background task of the hub."""
        while True:
            await self._wake.wait()
            with anyio.move_on_after(self._linger):
                await self._hurry.wait()
            batch = list(self._queue)
            self._queue.clear()
            await (self._give(batch) if self._in_loop else self._give_in_thread(batch))
            if self._queue:
                continue
            if self._closing:
                break
            self._wake, self._hurry = anyio.Event(), anyio.Event()
        self.done.set()

    async def _give(self, batch: Sequence[Noted]) -> None:
        passing = (anyio.get_cancelled_exc_class(), KeyboardInterrupt)
        for noted in batch:
            try:
                await cast("Awaitable[None]", self._function(record_of(noted)))
            except passing:
                raise
            except BaseException as error:  # noqa: BLE001  whatever a sink raises is its own
                self._fail(error)
            self._waiting -= 1

    async def _give_in_thread(self, batch: Sequence[Noted]) -> None:
        def give() -> None:
            for noted in batch:
                try:
                    given = self._function(record_of(noted))
                    if inspect.iscoroutine(given):
                        given.close()
                        raise TypeError(_COLOUR)
                except BaseException as error:  # noqa: BLE001  as above
                    self._fail(error)

        await run_in_thread(give, name=f"sink {self.name}")
        self._waiting -= len(batch)

    def _fail(self, error: BaseException) -> None:
        self.failed += 1
        if self.failed == 1:
            _log.warning("the sink %s raised %s; said once", self.name, type(error).__name__, exc_info=error)

    def give_up(self) -> None:
        """Count what is left as dropped: the hub is left, and the sink has not taken it."""
        if self._waiting:
            self.dropped += self._waiting
            _log.warning("the sink %s did not take its last %d records", self.name, self._waiting)

    def __repr__(self) -> str:
        return f"<SinkQueue {self.name}: {self._waiting} waiting, {self.dropped} dropped, {self.failed} failed>"


def _is_coroutine_function(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004  the method itself is looked at
