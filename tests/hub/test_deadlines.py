"""One deadline for several calls, whoever makes them."""

from typing import Any

import anyio
import pytest

from modelhub import ModelHub, deadline
from modelhub.errors import BadRequest, Timeout
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import Finish, FinishReason, TextDelta

pytestmark = pytest.mark.anyio

SLOW = [TextDelta(0, "a"), *(TextDelta(0, "b") for _ in range(50)), Finish(FinishReason.STOP)]


async def read(hub: ModelHub, **options: Any) -> None:
    """Read a stream to its end."""
    async with hub.stream("scripted/m", "Hi", **options) as stream:
        async for _ in stream:
            pass


async def test_calls_share_it() -> None:
    """What the first has used is not there for the second; after the block it is gone."""
    async with ModelHub(providers=[ScriptedProvider(lambda _: SLOW, pause=0.1)]) as hub:
        with deadline(0.3):
            async with hub.stream("scripted/m", "Hi") as stream:
                await stream.__anext__()
            await anyio.sleep(0.15)
            start = anyio.current_time()
            with pytest.raises(Timeout) as caught:
                await read(hub)
            assert anyio.current_time() - start < 0.25
        assert caught.value.phase == "total"
        async with hub.stream("scripted/m", "Hi") as stream:
            for _ in range(4):
                await stream.__anext__()


async def test_the_earlier_of_two_counts() -> None:
    """A block inside another, and a call's own timeout inside a block, cannot extend it."""
    async with ModelHub(providers=[ScriptedProvider(lambda _: SLOW, pause=0.2)]) as hub:
        with deadline(0.1), deadline(10.0), pytest.raises(Timeout):
            await read(hub, timeout=20.0)
        with deadline(10.0), pytest.raises(Timeout):
            await read(hub, timeout=0.1)


async def test_tasks_that_are_started_in_it_have_it() -> None:
    """And those that are not have none."""
    errors: list[Exception] = []

    async def call(hub: ModelHub) -> None:
        try:
            await read(hub)
        except Timeout as error:
            errors.append(error)

    provider = ScriptedProvider(lambda _: [TextDelta(0, "a"), Finish(FinishReason.STOP)], pause=0.2)
    async with ModelHub(providers=[provider]) as hub, anyio.create_task_group() as group:
        with deadline(0.1):
            group.start_soon(call, hub)
        group.start_soon(call, hub)
    assert len(errors) == 1


@pytest.mark.parametrize("seconds", [0, -1, True, "soon"])
async def test_what_is_no_time(seconds: object) -> None:
    """It is refused where it is written."""
    with pytest.raises(BadRequest, match="timeout"), deadline(seconds):  # type: ignore[arg-type]
        pass


async def test_a_call_after_it_is_not_made() -> None:
    """It says that the time was over before it began, and nothing is sent."""
    provider = ScriptedProvider("never")
    async with ModelHub(providers=[provider]) as hub:
        with deadline(0.05):
            await anyio.sleep(0.1)
            with pytest.raises(Timeout, match="before it began"):
                await hub.chat("scripted/m", "Hi")
    assert provider.requests == []
