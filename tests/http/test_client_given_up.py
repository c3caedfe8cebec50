"""Requests that somebody else gives up: whoever waits for them hears why, and nothing of them is left."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio
import pytest

from modelhub.errors import ConnectionLost, ModelHubError
from modelhub.http.seam import HttpCall
from modelhub.testing.replies import Reply, json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

SILENT = Reply(raw=b"", cut_after=0, cut="hang")
HALF = Reply(200, {"content-type": "application/json"}, b'{"a": 1, "b": 2}', cut="hang", cut_after=5)
CALL = HttpCall("/x", json={})


async def until(true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    with anyio.fail_after(5):
        while not true():  # noqa: ASYNC110  the server tells nobody
            await anyio.sleep(0.002)


async def given_up(client: Any, server: Any, *requests: Any) -> list[BaseException | None]:
    """Give requests up when the server has them all, and return what they ended with."""
    ends: list[BaseException | None] = []

    async def ask(request: Any) -> None:
        try:
            await request(CALL)
            ends.append(None)
        except ModelHubError as error:
            ends.append(error)

    client.can_be_given_up = True
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for request in requests:
                group.start_soon(ask, request)
            await until(lambda: len(server.requests) == len(requests))
            await anyio.sleep(0.02)
            client.give_up(ConnectionLost("it is dead", sent=True))
    return ends


@pytest.mark.parametrize("reply", [SILENT, HALF], ids=["before the head", "in the body"])
async def test_what_is_under_way_ends_with_the_error_given(client_to: Any, reply: Reply) -> None:
    """Whether its answer has begun or not, of several at once each, with an error of its own; the server sees it."""
    async with WireServer(reply) as server, client_to(server.url) as client:
        ends = await given_up(client, server, client.request, client.json, client.request)
        assert [str(each) for each in ends] == ["it is dead"] * 3
        assert len({id(each) for each in ends}) == 3
        await until(lambda: not server.open_connections)


async def test_a_stream_that_has_begun(client_to: Any) -> None:
    """Ends with the error given, after what came of it."""
    reply = replace(ndjson_reply([{"n": 1}, {"n": 2}]), pause=30.0, split=None)
    async with WireServer(reply) as server, client_to(server.url) as client:
        client.can_be_given_up = True
        async with aclosing(client.stream(CALL)) as batches:
            assert await anext(batches) == [{"n": 1}]
            client.give_up(ConnectionLost("it is dead", sent=True))
            with anyio.fail_after(5), pytest.raises(ConnectionLost, match="it is dead"):
                await anext(batches)


async def test_nothing_more_is_sent(client_to: Any) -> None:
    """An attempt that was given up is over, though its plugin may not know yet."""
    async with WireServer(json_reply({})) as server, client_to(server.url) as client:
        client.give_up(ConnectionLost("it is dead", sent=True))
        with pytest.raises(ConnectionLost, match="it is dead"):
            await client.request(CALL)
        assert server.requests == []


async def test_what_is_complete_stays_so(client_to: Any) -> None:
    """Giving up comes too late for it, and breaks no connection that may serve others."""
    async with WireServer(json_reply({"a": 1})) as server, client_to(server.url) as client:
        client.can_be_given_up = True
        assert await client.json(CALL) == {"a": 1}
        client.give_up(ConnectionLost("it is dead", sent=True))
        await anyio.sleep(0.02)
        assert server.open_connections == 1


async def test_a_caller_that_is_cancelled_at_the_same_time(client_to: Any) -> None:
    """Is cancelled, whoever was first, and leaves nothing open."""
    async with WireServer(SILENT) as server:
        for first in ("give up", "cancel"):
            async with client_to(server.url) as client:
                client.can_be_given_up = True
                ended: list[str] = []
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as group:
                        before = len(server.requests)
                        group.start_soon(noted, client, ended)
                        await until(lambda: len(server.requests) > before)  # noqa: B023  called at once
                        if first == "cancel":
                            scope.cancel()
                        client.give_up(ConnectionLost("it is dead", sent=True))
                        scope.cancel()
                assert scope.cancelled_caught
                assert ended == ["cancelled"]


async def noted(client: Any, ended: list[str]) -> None:
    """Ask, and note how that ends."""
    try:
        await client.request(CALL)
    except ModelHubError:
        ended.append("error")
        await anyio.lowlevel.checkpoint()  # a cancellation that was swallowed by mistake comes here again
        ended.append("went on")
    except anyio.get_cancelled_exc_class():
        ended.append("cancelled")
        raise


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("first", [True, False])
async def test_asyncios_own_cancellation_is_not_lost(client_to: Any, times: int, *, first: bool) -> None:
    """Of the task as a whole, before or after giving up, and once more while it ends."""
    async with WireServer(SILENT) as server, client_to(server.url) as client:
        client.can_be_given_up = True
        task = asyncio.ensure_future(client.request(CALL))
        await until(lambda: bool(server.requests))
        if first:
            task.cancel()
        client.give_up(ConnectionLost("it is dead", sent=True))
        for _ in range(times - first):
            task.cancel()
            await asyncio.sleep(0)
        with anyio.fail_after(5), pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not server.open_connections)
