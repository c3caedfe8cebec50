"""Blocking code beside an event loop: what it gives, how it is stopped, and that it holds up nobody."""

import asyncio
import gc
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from modelhub.provider.threads import LoopHandle, iterate_in_thread, reports_of_thread, run_in_thread

pytestmark = pytest.mark.anyio

NAME = "threads under test"


def running() -> int:
    """Return how many threads of these tests are alive."""
    return sum(thread.name == NAME for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Fail a test after which one of its threads goes on."""
    yield
    end = time.monotonic() + 2
    while running() and time.monotonic() < end:
        time.sleep(0.005)
    assert running() == 0


class Signal:
    """Something that blocks until it is told to stop, and remembers what happened to it."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.stopped = threading.Event()
        self.left = threading.Event()

    def block(self) -> str:
        """Block; the fallback ends a failing test."""
        self.entered.set()
        self.stopped.wait(5)
        time.sleep(0.02)
        self.left.set()
        return "stopped"

    async def is_entered(self) -> None:
        """Wait until the thread blocks."""
        assert await anyio.to_thread.run_sync(self.entered.wait, 2)


class Odd(BaseException):
    """An exception that is no `Exception`."""


async def test_the_result_comes_back() -> None:
    """The function runs in another thread, whose name says what for."""
    name, thread = await run_in_thread(lambda: (threading.current_thread().name, threading.get_ident()), name=NAME)
    assert name == NAME
    assert thread != threading.get_ident()
    assert await run_in_thread(lambda: None, name=NAME) is None


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, Odd, ExceptionGroup])
async def test_what_the_function_raises_is_raised_here(kind: type[BaseException]) -> None:
    """SystemExit and KeyboardInterrupt of a thread end nothing there: they come where the function was called."""
    raised = kind("x", [ValueError()]) if kind is ExceptionGroup else kind("x")

    def fail() -> None:
        raise raised

    with pytest.raises(kind) as caught:
        await run_in_thread(fail, name=NAME)
    assert caught.value is raised
    assert "fail" in [entry.name for entry in caught.traceback]


async def test_an_exception_is_not_kept_in_a_cycle() -> None:
    """What an exception holds is freed with it, not at the next collection."""

    class Held:
        pass

    async def failing() -> weakref.ref[Held]:
        held = Held()

        def fail(held: Held) -> None:
            raise ValueError(held)

        with suppress(ValueError):
            await run_in_thread(lambda held=held: fail(held), name=NAME)
        return weakref.ref(held)

    gc.collect()
    gc.disable()
    try:
        reference = await failing()
        with anyio.move_on_after(2):
            while reference() is not None:  # noqa: ASYNC110  nothing tells that an object is gone
                await anyio.sleep(0.001)
        assert reference() is None
    finally:
        gc.enable()


async def test_a_cancelled_wait_leaves_the_function_behind() -> None:
    """Without a way to end it nobody waits for it."""
    signal = Signal()
    with anyio.move_on_after(0.05) as scope:
        await run_in_thread(signal.block, name=NAME)
    assert scope.cancelled_caught
    assert not signal.left.is_set()
    signal.stopped.set()


async def test_a_cancelled_wait_ends_the_function_where_it_can() -> None:
    """It is told to stop, and waited for."""
    signal = Signal()
    with anyio.move_on_after(0.05) as scope:
        await run_in_thread(signal.block, name=NAME, on_cancel=signal.stopped.set)
    assert scope.cancelled_caught
    assert signal.left.is_set()


async def test_on_cancel_is_not_called_without_a_cancellation() -> None:
    """A function that ends by itself, well or not, is told nothing."""
    told: list[None] = []
    await run_in_thread(lambda: None, name=NAME, on_cancel=lambda: told.append(None))
    with pytest.raises(ZeroDivisionError):
        await run_in_thread(lambda: 1 // 0, name=NAME, on_cancel=lambda: told.append(None))
    assert told == []


async def test_what_the_function_raises_while_it_is_stopped_does_not_hide_the_cancellation() -> None:
    """The caller was cancelled, and that is what it sees."""
    signal = Signal()

    def block() -> None:
        signal.block()
        raise ValueError("interrupted")

    with anyio.move_on_after(0.05) as scope:
        await run_in_thread(block, name=NAME, on_cancel=signal.stopped.set)
    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_twice_still_waits_for_its_function() -> None:
    """A second cancellation by asyncio itself passes a shield, and leaves no function behind that was told to end."""
    signal = Signal()
    task = asyncio.get_running_loop().create_task(run_in_thread(signal.block, name=NAME, on_cancel=lambda: None))
    await signal.is_entered()
    for _ in range(3):
        task.cancel()
        await anyio.sleep(0.01)
    assert not task.done()
    signal.stopped.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert signal.left.is_set()


async def test_items_come_in_order_with_none_among_them() -> None:
    """None is an item like any other."""
    items: list[object] = [1, None, "x", None, False]
    assert [item async for item in iterate_in_thread(iter(items), name=NAME)] == items
    assert [item async for item in iterate_in_thread(iter([]), name=NAME)] == []


async def test_many_items_come_whole() -> None:
    """However the two threads take turns."""
    assert [item async for item in iterate_in_thread(iter(range(5000)), name=NAME)] == list(range(5000))


@pytest.mark.parametrize("kind", [ValueError, SystemExit, Odd])
async def test_what_the_generator_raises_comes_after_its_items(kind: type[BaseException]) -> None:
    """Nothing that was yielded is lost."""

    def items() -> Iterator[int]:
        yield from range(100)
        raise kind("x")

    seen = []
    with pytest.raises(kind, match="x"):  # noqa: PT012  the items before it are the point
        async for item in iterate_in_thread(items(), name=NAME):
            seen.append(item)  # noqa: PERF401  what came before the error must be kept
    assert seen == list(range(100))


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
async def test_the_words_for_the_end_are_no_end(kind: type[Exception]) -> None:
    """A function or generator that raises them fails; it does not end quietly."""

    def items() -> Iterator[int]:
        yield 1
        raise kind

    with pytest.raises(RuntimeError):
        [item async for item in iterate_in_thread(items(), name=NAME)]


async def test_a_fast_generator_waits_for_its_consumer() -> None:
    """It may be some items ahead, and no more."""
    made = 0

    def items() -> Iterator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    async with aclosing(iterate_in_thread(items(), name=NAME)) as numbers:
        async for number in numbers:
            if number == 1000:
                await anyio.sleep(0.05)
                ahead = made
                break
    assert 1000 < ahead < 1200
    await anyio.sleep(0.02)
    assert made == ahead, "closing ends it"


async def test_a_consumer_that_is_never_kept_waiting_lets_others_run() -> None:
    """A fast generator does not take the loop away, and its consumer can be cancelled."""

    def items() -> Iterator[int]:
        number = 0
        while True:
            yield (number := number + 1)

    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(others)
            async with aclosing(iterate_in_thread(items(), name=NAME)) as numbers:
                async for number in numbers:
                    assert number < 20_000
                    time.sleep(0.0005)  # noqa: ASYNC251  the generator has the next item ready by then
                    if turns > 3:
                        scope.cancel()
    assert scope.cancelled_caught


async def test_closing_early_closes_the_generator_in_its_own_thread() -> None:
    """Its `finally` runs where the rest of it ran; with a way to end it, before the close returns."""
    threads: list[int] = []
    signal = Signal()

    def items() -> Iterator[int]:
        try:
            threads.append(threading.get_ident())
            yield 1
            signal.block()
            yield 2
        finally:
            threads.append(threading.get_ident())

    async with aclosing(iterate_in_thread(items(), name=NAME, on_cancel=signal.stopped.set)) as numbers:
        async for _ in numbers:
            break
    assert signal.left.is_set()
    assert len(threads) == 2
    assert threads[0] == threads[1] != threading.get_ident()


async def test_closing_early_without_a_way_to_end_it_waits_for_nothing() -> None:
    """The generator ends at its next item, by itself."""
    signal = Signal()
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield 1
            signal.block()
            yield 2
            yield 3
        finally:
            ended.set()

    async with aclosing(iterate_in_thread(items(), name=NAME)) as numbers:
        async for _ in numbers:
            await signal.is_entered()
            break
    assert not ended.is_set()
    signal.stopped.set()
    assert ended.wait(2)


async def test_a_generator_too_far_ahead_ends_when_it_is_closed() -> None:
    """Waiting for room is no reason to stay."""
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async with aclosing(iterate_in_thread(items(), name=NAME)) as numbers:
        async for _ in numbers:
            await anyio.sleep(0.02)  # by now it waits for room
            break
    assert closed.wait(2)


async def test_a_cancelled_consumer_ends_the_generator() -> None:
    """Cancelled while it waits for an item, it tells the generator and waits for it."""
    signal = Signal()

    def items() -> Iterator[str]:
        yield "first"
        yield signal.block()

    seen = []
    with anyio.move_on_after(0.05) as scope:
        async with aclosing(iterate_in_thread(items(), name=NAME, on_cancel=signal.stopped.set)) as texts:
            async for text in texts:
                seen.append(text)  # noqa: PERF401  a comprehension would be lost with the cancellation
    assert scope.cancelled_caught
    assert seen == ["first"]
    assert signal.left.is_set()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_consumer_cancelled_while_it_closes_still_waits_and_is_still_cancelled() -> None:
    """A cancellation by asyncio itself neither leaves the thread behind nor gets lost."""
    signal = Signal()

    def items() -> Iterator[str]:
        yield "first"
        yield signal.block()

    async def consume() -> None:
        async with aclosing(iterate_in_thread(items(), name=NAME, on_cancel=lambda: None)) as texts:
            async for _ in texts:
                break
        await anyio.sleep_forever()

    task = asyncio.get_running_loop().create_task(consume())
    await signal.is_entered()
    task.cancel()
    await anyio.sleep(0.01)
    assert not task.done()
    signal.stopped.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert signal.left.is_set()


async def test_a_generator_that_is_never_asked_starts_no_thread() -> None:
    """Closing it does nothing."""
    numbers = iterate_in_thread(iter([1]), name=NAME)
    assert running() == 0
    await numbers.aclose()


async def test_reports_come_while_the_function_runs() -> None:
    """Reporting never blocks, whoever reads; what the function raises comes after its reports."""
    signal = Signal()

    def work(report: Callable[[object], None]) -> None:
        for number in range(500):
            report(number)
        report(None)
        signal.block()
        raise ValueError("failed")

    seen: list[object] = []
    with pytest.raises(ValueError, match="failed"):  # noqa: PT012  the reports before it are the point
        async for report in reports_of_thread(work, name=NAME, on_cancel=signal.stopped.set):
            seen.append(report)
            if report is None:
                signal.stopped.set()
    assert seen == [*range(500), None]


async def test_a_function_that_reports_is_ended_with_its_consumer() -> None:
    """It is told, and waited for."""
    signal = Signal()

    def work(report: Callable[[str], None]) -> None:
        report("begun")
        signal.block()
        report("stopping")

    async with aclosing(reports_of_thread(work, name=NAME, on_cancel=signal.stopped.set)) as reports:
        async for _ in reports:
            break
    assert signal.left.is_set()


async def test_a_function_is_posted_into_the_loop_from_any_thread() -> None:
    """From the loop's own thread at once, from another one soon, both in the loop's thread."""
    handle, threads = LoopHandle(), []
    arrived = anyio.Event()

    def note() -> None:
        threads.append(threading.get_ident())

    handle.post(note)
    assert threads == [threading.get_ident()]
    await run_in_thread(lambda: (handle.post(note), handle.post(arrived.set)), name=NAME)
    with anyio.fail_after(2):
        await arrived.wait()
    assert threads == [threading.get_ident()] * 2


HANGING = """
import threading
import anyio
from modelhub.provider.threads import iterate_in_thread, run_in_thread

def hang():
    threading.Event().wait()

def items():
    yield 1
    hang()

async def main():
    with anyio.move_on_after(0.05):
        await run_in_thread(hang, name="hang")
    numbers = iterate_in_thread(items(), name="hang")
    print("got", await anext(numbers))
    await numbers.aclose()

anyio.run(main, backend={backend!r})
print("left", sum(thread.name == "hang" for thread in threading.enumerate()))
"""


def test_a_thread_that_hangs_does_not_hold_up_the_exit(anyio_backend_name: str) -> None:
    """Neither the end of the event loop nor that of the interpreter waits for it."""
    code = textwrap.dedent(HANGING.format(backend=anyio_backend_name))
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=10, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "got 1\nleft 2\n", "")
    assert time.monotonic() - start < 5


def test_a_thread_that_outlives_its_loop_tells_nobody(anyio_backend_name: str) -> None:
    """What it posts to a loop that has ended is dropped."""
    done = threading.Event()
    release = threading.Event()

    async def main() -> LoopHandle:
        return LoopHandle()

    handle = anyio.run(main, backend=anyio_backend_name)

    def late() -> None:
        release.wait(2)
        handle.post(print, "must not be seen")
        done.set()

    threading.Thread(target=late, name=NAME).start()
    release.set()
    assert done.wait(2)
