"""Functions that have ended leave no variables in tracebacks, and those that wait or run keep theirs."""

import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modelhub.rules.frames import chain, clear_locals, hides_arguments

KEY = "held-in-a-variable"


def shown(error: BaseException) -> str:
    """Return a traceback with the variables of the functions."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def variables_of(function: str, error: BaseException) -> list[object]:
    """Return the variables of a function's frames in the tracebacks of an exception and of those behind it."""
    frames = [frame for each in chain(error) for frame, _ in traceback.walk_tb(each.__traceback__)]
    found = [frame for frame in frames if frame.f_code.co_name == function]
    assert found
    return [value for frame in found for value in frame.f_locals.values()]


def fail(key: str) -> None:
    """Fail behind another failure."""
    try:
        raise KeyError(len(key))
    except KeyError as error:
        raise ValueError(len(key)) from error


def raised(function: Callable[[], object]) -> Exception:
    """Return what a function raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001  it is what is asked for
        return error
    pytest.fail("nothing was raised")


def test_ended_functions_are_emptied() -> None:
    """Those of causes, contexts and the members of groups too; the lines stay."""
    first, second = raised(lambda: fail(KEY)), raised(lambda: fail(KEY))
    second.__context__ = ExceptionGroup("many", [raised(lambda: fail(KEY))])
    first.__context__ = second
    before = shown(first)
    assert KEY in before
    clear_locals(first)
    after = shown(first)
    assert KEY not in after
    assert after.count("in fail") == before.count("in fail") >= 2


def test_generators_that_have_ended_are_emptied() -> None:
    """Whether by themselves or from outside."""

    def items() -> Iterator[int]:
        key = KEY
        yield len(key)
        raise LookupError

    error = raised(lambda: list(items()))
    assert KEY in variables_of("items", error)
    clear_locals(error)
    assert variables_of("items", error) == []


def test_a_generator_that_waits_goes_on() -> None:
    """Its exception went out with another one, and it has more to give."""
    kept: list[Exception] = []

    def items() -> Iterator[int]:
        key = KEY
        try:
            fail(key)
        except ValueError as error:
            kept.append(error)
        yield 1
        yield len(key)

    waiting = items()
    assert next(waiting) == 1
    clear_locals(kept[0])
    assert next(waiting) == len(KEY)


@pytest.mark.anyio
async def test_a_task_that_waits_goes_on() -> None:
    """Several tasks may wait for one failure: what one of them does with it is no other's business."""
    failure = raised(lambda: fail(KEY))
    passed = anyio.Event()
    done: list[int] = []

    async def catching() -> None:
        key = KEY
        try:
            raise failure
        except ValueError:
            await passed.wait()
            done.append(len(key))

    async with anyio.create_task_group() as group:
        group.start_soon(catching)
        await anyio.wait_all_tasks_blocked()
        clear_locals(failure)
        passed.set()
    assert done == [len(KEY)]


@pytest.mark.anyio
async def test_what_a_cancelled_call_leaves_is_emptied() -> None:
    """A coroutine that is cancelled ends, and its variables are in the traceback of the cancellation."""

    @asynccontextmanager
    async def held(key: str) -> AsyncIterator[int]:
        yield len(key)

    async def wait(key: str) -> None:
        async with held(key):
            await anyio.sleep(len(key))

    with pytest.raises(TimeoutError) as caught:
        with anyio.fail_after(0.01):
            await wait(KEY)
    assert KEY in variables_of("wait", caught.value)
    clear_locals(caught.value)
    assert KEY not in variables_of("wait", caught.value)


def test_only_the_packages_that_are_named_are_emptied() -> None:
    """Whoever looks for a mistake of their own wants to see their variables."""
    error = raised(lambda: fail(KEY))
    clear_locals(error, packages=frozenset({"modelhub"}))
    assert KEY in shown(error)
    clear_locals(error, packages=frozenset({__name__.partition(".")[0]}))
    assert KEY not in shown(error)


def test_a_chain_that_bites_its_tail_has_an_end() -> None:
    """Each exception comes once."""
    one, other = ValueError(), KeyError()
    one.__context__, other.__context__ = other, one
    assert list(chain(one)) == [one, other]


class Verbs:
    """What an application calls, with a key in its hands."""

    @hides_arguments
    def plain(self, key: str) -> str:
        """Fail for an empty key."""
        return key or self.missing(key)

    @hides_arguments
    async def awaited(self, *, key: str, fails: bool) -> str:
        """Fail, where it should."""
        if fails:
            raise ZeroDivisionError
        return key

    def missing(self, key: str) -> str:
        """Fail."""
        raise ZeroDivisionError(len(key))


@pytest.mark.anyio
async def test_what_a_function_was_called_with_is_hidden_from_its_tracebacks() -> None:
    """It is what it was otherwise: its result, its name, and that it is awaited."""
    verbs = Verbs()
    assert verbs.plain("x") == "x"
    assert await verbs.awaited(key="x", fails=False) == "x"
    assert (verbs.awaited.__name__, verbs.awaited.__doc__) == ("awaited", "Fail, where it should.")
    call: dict[str, Any] = {"fails": True}
    with pytest.raises(ZeroDivisionError) as caught:
        await verbs.awaited(key=KEY.upper(), **call)
    error = caught.value
    assert error.__traceback__ is not None
    wrapper = error.__traceback__.tb_next  # behind the test's own frame
    while wrapper is not None and wrapper.tb_frame.f_code.co_name == "run":
        wrapper = wrapper.tb_next
    assert wrapper is not None
    assert set(wrapper.tb_frame.f_locals) <= {"function", "error"}
