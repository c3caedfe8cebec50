"""One run for many callers: shared success, shared failure, and no harm from a caller that is cancelled."""

import anyio
import anyio.lowlevel
import pytest

from modelhub.errors import ConnectFailed
from modelhub.runtime.single_flight import SingleFlight

pytestmark = pytest.mark.anyio


async def test_all_who_ask_meanwhile_get_the_one_result() -> None:
    """Fifty callers at once cause one run; the next one after it starts anew."""
    flights = SingleFlight()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await anyio.sleep(0.01)
        return runs

    results: list[int] = []

    async def ask() -> None:
        results.append(await flights.run("key", work))

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(ask)
    assert results == [1] * 50
    assert await flights.run("key", work) == 2
    assert repr(flights) == "<SingleFlight: 0 running>"


async def test_a_failure_is_shared_and_each_gets_its_own_error() -> None:
    """A dead server is asked once; what one caller writes into its error, no other sees."""
    flights = SingleFlight()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        await anyio.sleep(0.01)
        raise ConnectFailed("refused", sent=False)

    errors: list[ConnectFailed] = []

    async def ask() -> None:
        with pytest.raises(ConnectFailed) as caught:
            await flights.run("key", work)
        errors.append(caught.value)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(ask)
    assert runs == 1
    assert len({id(error) for error in errors}) == 10
    assert {error.message for error in errors} == {"refused"}


async def test_a_cancelled_run_is_taken_over() -> None:
    """Cancelling the caller that runs leaves the others with a result, not with a cancellation."""
    flights = SingleFlight()
    runs = 0

    async def work() -> int:
        nonlocal runs
        runs += 1
        await anyio.sleep(0.05)
        return runs

    results: list[int] = []

    async def impatient() -> None:
        with anyio.move_on_after(0.01):
            await flights.run("key", work)

    async def ask() -> None:
        results.append(await flights.run("key", work))

    async with anyio.create_task_group() as group:
        group.start_soon(impatient)
        await anyio.lowlevel.checkpoint()
        for _ in range(3):
            group.start_soon(ask)
    assert results == [2, 2, 2]
