"""Blocking code beside an event loop: in daemon threads, so that one that hangs never holds up the exit of the program.

The async library's own worker threads are waited for at the end of an asyncio program; a plugin's hanging import must
not be.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import aclosing, closing, nullcontext, suppress
from typing import Any, Generic, TypeVar, final

import anyio
import anyio.lowlevel

__all__ = ["LoopHandle", "iterate_in_thread", "reports_of_thread", "run_in_thread"]

T = TypeVar("T")

_AHEAD = 64
"""Items that a generator's thread may be ahead of its consumer."""


@final
class LoopHandle:
    """A way to have something done in an event loop from any thread."""

    __slots__ = ("_ident", "_native")

    def __init__(self) -> None:
        self._native: Any = anyio.lowlevel.current_token().native_token
        self._ident = threading.get_ident()

    def post(self, function: Callable[..., object], *args: object) -> None:
        """Have ``function(*args)`` called in the loop soon; nothing happens where the loop has ended."""
        if threading.get_ident() == self._ident:
            function(*args)
            return
        with suppress(RuntimeError):  # the loop is closed: nobody is waiting any more
            if hasattr(self._native, "call_soon_threadsafe"):
                self._native.call_soon_threadsafe(function, *args)
            else:
                self._native.run_sync_soon(function, *args)


@final
class _Outcome(Generic[T]):
    __slots__ = ("done", "error", "value")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.value: T | None = None
        self.error: BaseException | None = None


async def run_in_thread(function: Callable[[], T], *, name: str, on_cancel: Callable[[], object] | None = None) -> T:
    """Run a blocking function in a daemon thread of its own and wait for it.

    Args:
        function: What to run.
        name: The thread's name.
        on_cancel: Called when the wait is cancelled, from the loop's thread, to make the function end early. The
            function is then waited for; without ``on_cancel`` it is left behind.

    Raises:
        BaseException: What the function raised, ``SystemExit`` and ``KeyboardInterrupt`` included.
    """
    loop = LoopHandle()
    outcome: _Outcome[T] = _Outcome()

    def body() -> None:
        try:
            outcome.value = function()
        except BaseException as error:  # noqa: BLE001  it is raised where the function was called from
            outcome.error = error
        loop.post(outcome.done.set)

    threading.Thread(target=body, name=name, daemon=True).start()
    try:
        await outcome.done.wait()
    except BaseException:
        if on_cancel is not None:
            on_cancel()
            await _outlasting(outcome.done.wait)
        raise
    if outcome.error is not None:
        raise _taken(outcome)
    return outcome.value  # type: ignore[return-value]  # set wherever no error was


def _taken(holder: _Outcome[T] | _Channel[T]) -> BaseException:
    """Take the error out of what holds it: its traceback leads back there, and a cycle would keep all of it alive."""
    error, holder.error = holder.error, None
    assert error is not None  # noqa: S101  the callers have looked
    return error


async def _outlasting(wait: Callable[[], Awaitable[object]]) -> None:
    """Wait for a thread's end whatever cancels the wait, and be cancelled only then.

    A shield keeps off the cancellation of scopes; asyncio's own, of a task that is cancelled once more, passes it.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while True:
            try:
                await wait()
                break
            except anyio.get_cancelled_exc_class() as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled


@final
class _Channel(Generic[T]):
    """Items from a thread to a loop; the thread waits when it is too far ahead."""

    def __init__(self) -> None:
        self._loop = LoopHandle()
        self._items: deque[T] = deque()
        self._room = threading.Semaphore(_AHEAD)
        self._wake = anyio.Event()
        self._given = 0
        self.closed = False
        self.ended = False
        self.error: BaseException | None = None

    def feed(self, generator: Iterator[T]) -> None:
        """Send a generator's items, then close it; the thread's whole work."""
        try:
            with closing(generator) if isinstance(generator, Generator) else nullcontext():
                for item in generator:
                    self._room.acquire()
                    if self.closed:
                        break
                    self._items.append(item)
                    self._signal()
        except BaseException as error:  # noqa: BLE001  it is raised where the items are consumed
            self.error = error
        self._end()

    def run(self, function: Callable[[Callable[[T], None]], object]) -> None:
        """Send what a function reports; the thread's whole work."""
        try:
            function(self._offer)
        except BaseException as error:  # noqa: BLE001  it is raised where the reports are consumed
            self.error = error
        self._end()

    def _offer(self, item: T) -> None:
        self._items.append(item)
        self._signal()

    def _end(self) -> None:
        self.ended = True
        self._signal()

    def close(self) -> None:
        self.closed = True
        self._room.release()

    def _signal(self) -> None:
        self._loop.post(self._set)

    def _set(self) -> None:
        self._wake.set()

    async def get(self) -> tuple[T] | None:
        """The next item, as a tuple of one; ``None`` at the end."""
        self._given += 1
        if self._given % _AHEAD == 0:  # a thread that is always ahead must not take the loop away from others
            await anyio.lowlevel.checkpoint()
        while not self._items:
            if self.ended and not self._items:
                return None
            self._wake = anyio.Event()
            if self._items or self.ended:
                continue
            await self._wake.wait()
        self._room.release()
        return (self._items.popleft(),)

    async def finished(self) -> None:
        """Wait until the thread has ended."""
        while not self.ended:
            self._wake = anyio.Event()
            if not self.ended:
                await self._wake.wait()


def reports_of_thread(
    function: Callable[[Callable[[T], None]], object],
    *,
    name: str,
    on_cancel: Callable[[], object],
) -> AsyncGenerator[T, None]:
    """Run a blocking function in a daemon thread and yield what it reports, until it returns.

    Args:
        function: Is given what to report with, which never blocks.
        name: The thread's name.
        on_cancel: Makes the function end early when the consumer stops; the thread is waited for.

    Raises:
        BaseException: What the function raised.
    """
    return _sent_by(lambda channel: channel.run(function), name, on_cancel)


def iterate_in_thread(
    generator: Iterator[T],
    *,
    name: str,
    on_cancel: Callable[[], object] | None = None,
) -> AsyncGenerator[T, None]:
    """Run a blocking generator in a daemon thread and yield its items.

    When the consumer stops early or is cancelled, ``on_cancel`` is called, the generator is closed by its own thread,
    and the thread is waited for; without ``on_cancel`` it ends at its next item.

    Raises:
        BaseException: What the generator raised.
    """
    return _sent_by(lambda channel: channel.feed(generator), name, on_cancel)


async def _sent_by(
    work: Callable[[_Channel[T]], object], name: str, on_cancel: Callable[[], object] | None
) -> AsyncGenerator[T, None]:
    """Yield what a thread sends, which begins with the first item that is asked for."""
    channel: _Channel[T] = _Channel()
    threading.Thread(target=work, args=(channel,), name=name, daemon=True).start()
    async with aclosing(_items(channel, on_cancel)) as items:
        async for item in items:
            yield item


async def _items(channel: _Channel[T], on_cancel: Callable[[], object] | None) -> AsyncGenerator[T, None]:
    try:
        while (item := await channel.get()) is not None:
            yield item[0]
        if channel.error is not None:
            raise _taken(channel)
    finally:
        if not channel.ended:
            channel.close()
            if on_cancel is not None:
                on_cancel()
                await _outlasting(channel.finished)
