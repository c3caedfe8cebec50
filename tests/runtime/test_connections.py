"""Connections that are closed while others are opened, used and closed."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from modelhub.http.httpx_backend import HttpxBackend
from modelhub.provider import Credential
from modelhub.rules.egress import AllowList
from modelhub.rules.endpoint import endpoint_of
from modelhub.runtime.connections import Connections

pytestmark = pytest.mark.anyio


class Slow:
    """A backend that takes a few turns of the loop to close."""

    def __init__(self, closed: list[object]) -> None:
        self.busy = False
        self._closed = closed

    async def aclose(self) -> None:
        """Close, and note it."""
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self._closed.append(self)


def connections(number: int) -> tuple[Connections, list[Any], list[object]]:
    """Return connections with so many backends, the backends, and a list of those that are closed."""
    closed: list[object] = []
    backends = [Slow(closed) for _ in range(number)]
    made = Connections()
    made._backends = dict(enumerate(backends))  # type: ignore[assignment]  # noqa: SLF001  as calls leave them
    return made, backends, closed


async def together(*functions: Callable[[], Any]) -> None:
    """Run functions at once."""
    async with anyio.create_task_group() as group:
        for function in functions:
            group.start_soon(function)


async def test_after_several_changes_each_connection_is_closed_once() -> None:
    """Each change starts a task that closes what is idle; the first does the work."""
    made, backends, closed = connections(4)
    made.renew(AllowList())
    await together(made.drain, made.drain, made.drain)
    assert sorted(map(id, closed)) == sorted(map(id, backends))


async def test_one_task_waits_for_the_answers_that_connections_carry() -> None:
    """However often something is given up meanwhile, by which others are closed as well."""
    made, backends, closed = connections(3)
    backends[0].busy = True
    made.renew(AllowList())
    async with anyio.create_task_group() as group:
        group.start_soon(made.drain)
        while len(closed) < 2:  # noqa: ASYNC110  what is waited for has no event
            await anyio.sleep(0.001)
        late = Slow(closed)
        made._backends = {("", "", 0, "key"): late}  # type: ignore[dict-item]  # noqa: SLF001  as calls leave them
        assert made.retire(["key"])  # type: ignore[list-item]
        for _ in range(100):
            with anyio.fail_after(1.0):
                await made.drain()
        while late not in closed:  # noqa: ASYNC110  what is waited for has no event
            await anyio.sleep(0.001)
        backends[0].busy = False
    assert len(closed) == 4


async def test_a_connection_that_does_not_close_keeps_no_other_open(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and given up."""
    made, backends, closed = connections(3)

    async def fail() -> None:
        raise OSError

    backends[0].aclose = fail
    made.renew(AllowList())
    await made.drain()
    assert closed == backends[1:]
    assert [record.message for record in caplog.records] == ["a connection that was given up did not close: OSError"]


async def test_closing_everything_is_no_mistake_of_who_drains() -> None:
    """The hub may be left while connections of before a change are being closed."""
    made, backends, closed = connections(4)
    made.renew(AllowList())
    await together(made.drain, made.aclose)
    assert sorted(map(id, closed)) == sorted(map(id, backends))


async def test_what_begins_to_be_used_is_not_closed_any_more() -> None:
    """Many may thin out at once, and calls go on meanwhile."""
    made, backends, closed = connections(128)

    async def use() -> None:
        await anyio.lowlevel.checkpoint()
        backends[40].busy = True

    await together(made._thin_out, made._thin_out, use)  # noqa: SLF001  what opening a connection begins with
    assert backends[40] not in closed
    assert len(closed) == len(set(map(id, closed))) >= 63


async def test_a_rule_that_changes_while_a_connection_is_made_ready_counts() -> None:
    """The backend judges by the newer one: it is used for as long as that holds."""
    made = Connections(AllowList.of(["10.0.0.0/8"]))
    credential = Credential({"base_url": "http://10.0.0.1:1"})
    endpoint = endpoint_of("http://10.0.0.1:1")

    async def change() -> None:
        await anyio.lowlevel.checkpoint()
        made.renew(AllowList())

    found = SimpleNamespace(backend=None)

    async def get() -> None:
        found.backend = await made.backend(endpoint, credential)

    await together(get, change)
    assert isinstance(found.backend, HttpxBackend)
    assert found.backend._egress.allow == AllowList()  # noqa: SLF001  nothing shows it without a connection
    await made.aclose()
