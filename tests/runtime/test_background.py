"""A hub's background tasks end when it is left, whoever leaves it and however; what they raise harms nobody."""

import asyncio
import contextvars

import anyio
import pytest

from modelhub.errors import ConfigurationError
from modelhub.runtime.background import Background

pytestmark = pytest.mark.anyio


class Sleeper:
    """A task that sleeps until it is cancelled."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.ended = False

    async def __call__(self) -> None:
        """Sleep."""
        try:
            self.begun.set()
            await anyio.sleep_forever()
        finally:
            self.ended = True


async def test_tasks_run_until_they_are_closed() -> None:
    """Closing cancels a task and returns once it has ended."""
    background, sleeper = Background(), Sleeper()
    background.start("sleeper", sleeper)
    await sleeper.begun.wait()
    assert repr(background) == "<Background: open, 1 tasks>"
    await background.aclose()
    assert sleeper.ended
    assert repr(background) == "<Background: closed, 0 tasks>"


async def test_a_task_that_returns_is_forgotten() -> None:
    """Nothing is kept of a task that has ended by itself."""
    background, done = Background(), anyio.Event()

    async def short() -> None:
        done.set()

    background.start("short", short)
    await done.wait()
    await anyio.lowlevel.checkpoint()
    assert repr(background) == "<Background: open, 0 tasks>"
    await background.aclose()


async def test_a_task_that_never_began_is_closed() -> None:
    """A task may be closed before its first step."""
    background, sleeper = Background(), Sleeper()
    background.start("sleeper", sleeper)
    await background.aclose()
    assert repr(background) == "<Background: closed, 0 tasks>"


async def test_another_task_may_close_and_the_starter_end_before() -> None:
    """The task that started them may be gone: they belong to no group of it, and its cancellation is not theirs."""
    background, sleeper = Background(), Sleeper()

    async def start() -> None:
        with anyio.CancelScope() as scope:
            background.start("sleeper", sleeper)
            await sleeper.begun.wait()
            scope.cancel()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(start)
    assert not sleeper.ended
    async with anyio.create_task_group() as group:
        group.start_soon(background.aclose)
    assert sleeper.ended


@pytest.mark.parametrize("ending", [ValueError("x"), SystemExit(3), ExceptionGroup("both", [ValueError("x")])])
async def test_what_a_task_raises_is_logged(ending: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """A task that fails ends alone: the loop, the other tasks and the closing go on."""
    background, sleeper, raised = Background(), Sleeper(), anyio.Event()

    async def fail() -> None:
        raised.set()
        raise ending

    background.start("sleeper", sleeper)
    background.start("probes", fail)
    await raised.wait()
    await sleeper.begun.wait()
    await anyio.lowlevel.checkpoint()
    assert f"the background task 'probes' ended with {type(ending).__name__}" in caplog.text
    assert not sleeper.ended
    await background.aclose()


async def test_what_a_task_raises_while_it_is_closed_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Errors beside the cancellation, in a group of tasks for instance, are logged, and closing goes on."""
    background, sleeper = Background(), Sleeper()

    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("clean-up")

    async def both() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(fail)
            group.start_soon(sleeper)

    background.start("both", both)
    await sleeper.begun.wait()
    await background.aclose()
    assert "the background task 'both' ended with" in caplog.text
    assert "clean-up" in caplog.text


async def test_a_cancellation_in_a_group_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged of a task that ends with its cancellation alone, in whatever wrapping."""
    background, begun = Background(), anyio.Event()

    async def wrap() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as error:
            raise BaseExceptionGroup("wrapped", [error]) from None

    background.start("wrap", wrap)
    await begun.wait()
    await background.aclose()
    assert caplog.records == []
    assert repr(background) == "<Background: closed, 0 tasks>"


async def test_closing_is_not_cancelled_half_way() -> None:
    """Where the closing task is cancelled, the tasks are waited for all the same."""
    background, begun, steps = Background(), anyio.Event(), []

    async def slow() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for step in range(3):
                    await anyio.lowlevel.checkpoint()
                    steps.append(step)

    background.start("slow", slow)
    await begun.wait()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await background.aclose()
    assert steps == [0, 1, 2]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_outlasts_asyncios_own_cancellation() -> None:
    """A task that is cancelled as a whole while it closes is cancelled after that."""
    background, begun, go, closed = Background(), anyio.Event(), anyio.Event(), []

    async def slow() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await go.wait()

    async def close() -> None:
        try:
            await background.aclose()
        finally:
            closed.append(repr(background))

    background.start("slow", slow)
    await begun.wait()
    closing = asyncio.create_task(close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.sleep(0)
    assert closed == []
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert closed == ["<Background: closed, 0 tasks>"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_that_asyncio_cancels_has_ended() -> None:
    """What cancels all tasks of a loop, before their first step or after it, leaves nothing to wait for."""
    background = Background()
    before = asyncio.all_tasks()
    background.start("never begun", anyio.sleep_forever)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert repr(background) == "<Background: open, 0 tasks>"
    await background.aclose()


async def test_a_task_that_does_not_end_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Closing takes no longer than its limit, and says whom it did not wait for."""
    background, begun, go, ended = Background(close_seconds=0.01), anyio.Event(), anyio.Event(), anyio.Event()

    async def stubborn() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await go.wait()
                ended.set()

    background.start("stubborn", stubborn)
    await begun.wait()
    await background.aclose()
    assert "background tasks did not end when they were cancelled: stubborn" in caplog.text
    go.set()
    await ended.wait()
    await anyio.lowlevel.checkpoint()
    await background.aclose()
    assert repr(background) == "<Background: closed, 0 tasks>"


async def test_nothing_is_started_after_the_closing() -> None:
    """A hub that was left starts nothing."""
    background = Background()
    await background.aclose()
    with pytest.raises(ConfigurationError, match="the hub was left"):
        background.start("late", anyio.sleep_forever)


async def test_a_task_has_nothing_of_the_call_that_started_it() -> None:
    """Context variables of whoever was first are not those of the hub's own tasks."""
    background, seen, done = Background(), [], anyio.Event()
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("a call's")

    async def look() -> None:
        seen.append(variable.get())
        done.set()

    background.start("look", look)
    await done.wait()
    await background.aclose()
    assert seen == ["none"]
