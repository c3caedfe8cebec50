"""What is asyncio's own: tasks cancelled natively, once and again, while a stream is read or entered."""

import asyncio
import json
import time

import pytest

from modelhub import ModelHub
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import ThreadedWireServer, WireServer

PIECE = json.dumps({"text": "x"}).encode() + b"\n"
HANGING = Reply(chunks=[PIECE], chunked=True, cut_after=len(PIECE) + 6, cut="hang")
SILENT = Reply(delay=30)


async def read(hub: ModelHub, url: str, begun: asyncio.Event) -> None:
    """Read a stream that never ends."""
    async with hub.stream("lines/m", "Hi", credentials={"base_url": url}) as stream:
        begun.set()
        async for _ in stream:
            pass


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.asyncio
async def test_a_task_cancelled_again_and_again_leaves_no_connection(lines: type, times: int) -> None:
    """The server sees the end within 250 ms however often the task is cancelled, and the task ends as cancelled."""
    async with WireServer(HANGING) as server, ModelHub(providers=[lines]) as hub:
        begun = asyncio.Event()
        task = asyncio.ensure_future(read(hub, server.url, begun))
        await begun.wait()
        await asyncio.sleep(0.02)
        cancelled = time.monotonic()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        gone = await server.disconnected()
        assert gone.at - cancelled < 0.25


@pytest.mark.asyncio
async def test_cancelled_while_entering(lines: type) -> None:
    """A stream that has not begun is given up as promptly as one that has."""
    async with WireServer(SILENT) as server, ModelHub(providers=[lines]) as hub:
        task = asyncio.ensure_future(read(hub, server.url, asyncio.Event()))
        while not server.requests:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.01)
        cancelled = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await server.disconnected()).at - cancelled < 0.25


@pytest.mark.asyncio
async def test_a_native_timeout_around_a_call(lines: type) -> None:
    """`asyncio.timeout` works around a call as around anything else."""
    async with WireServer(SILENT) as server, ModelHub(providers=[lines]) as hub:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await hub.chat("lines/m", "Hi", credentials={"base_url": server.url})
        await server.disconnected()


def test_two_loops_in_a_row_send_each_request_once(lines: type) -> None:
    """One hub entered in two successive loops, and a hub for each: no request is sent twice, none fails."""
    answer = Reply(body=json.dumps({"text": "x", "end": "stop"}))

    async def ask(hub: ModelHub, url: str) -> str:
        async with hub:
            return (await hub.chat("lines/m", "Hi", credentials={"base_url": url})).text

    with ThreadedWireServer(answer) as server:
        hub = ModelHub(providers=[lines])
        texts = [asyncio.run(ask(hub, server.url)) for _ in range(2)]
        texts += [asyncio.run(ask(ModelHub(providers=[lines]), server.url)) for _ in range(2)]
        assert texts == ["x"] * 4
        assert len(server.requests) == 4
