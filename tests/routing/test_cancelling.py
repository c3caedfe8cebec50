"""Callers who go, at every event of a stream and while they wait: the server hears of it, and nothing is left."""

import gc
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest
from conftest import open_sockets
from tests.ollama_node import OLLAMA
from tests.routing.sick_nodes import MODEL, settings

from modelhub import ModelHub
from modelhub.errors import ModelHubError, QueueFull
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault, Healthy
from modelhub.testing.replies import Reply

TOKENS = 6
STREAMS = 500  # on each of the two event loops
AT_ONCE = 250
PROMPT = 0.25
"""Seconds in which a server must see that its client has gone."""

WAYS = ("cancelled", "left", "closed")


def without_end(healthy: Healthy) -> Reply:
    """Send every token, and then nothing more."""
    return replace(healthy.reply, cut="hang", cut_after=healthy.size(TOKENS))


@asynccontextmanager
async def one_node(slots: int, **routing: Any) -> AsyncGenerator[tuple[ModelHub, FaultServer]]:
    """Enter a hub with one node that takes so many calls at once."""
    async with FaultServer(OLLAMA, pace=Pace(TOKENS)) as node:
        config = settings([node], routing=routing)
        config["credentials"]["ollama_local"][0]["concurrency"] = slots
        async with ModelHub(config) as hub:
            await hub.chat(MODEL, "Hi")
            yield hub, node


async def all_free(hub: ModelHub, node: FaultServer, slots: int) -> None:
    """Fail unless the node is given as many calls at once as it takes, and no more."""
    node.pace, node.fault = Pace(TOKENS, first=30.0), None
    async with anyio.create_task_group() as tasks:
        for _ in range(slots + 1):
            tasks.start_soon(hub.chat, MODEL, "Hi")
        await node.until(lambda node: node.answering == slots, timeout=20.0)
        await anyio.sleep(0.05)  # for one more, which must not come
        tasks.cancel_scope.cancel()
    assert node.most_answering <= slots


class Crowd:
    """Readers of streams that never end, who go when they are told to.

    Attributes:
        reading: How many have had the events that they want.
        went: When each of them went, by what it had asked.
    """

    def __init__(self, hub: ModelHub) -> None:
        self.reading = 0
        self.went: dict[str, float] = {}
        self._hub = hub

    async def read(self, number: int, go: anyio.Event) -> None:
        """Read some events, wait, and go in one of three ways."""
        how, name = WAYS[number % len(WAYS)], f"reader {number}"
        with anyio.CancelScope() as scope:
            async with self._hub.stream(MODEL, name) as stream:
                for _ in range(number % (TOKENS + 1)):
                    await anext(stream)
                self.reading += 1
                await go.wait()
                self.went[name] = time.monotonic()
                if how == "cancelled":
                    scope.cancel()
                    await anext(stream)
                elif how == "closed":
                    await stream.aclose()


def asked(request: Any) -> str:
    """Return what a request asks."""
    text: str = request.json["messages"][-1]["content"]
    return text


@pytest.mark.anyio
async def test_a_thousand_streams_are_left_at_every_event() -> None:
    """After 0, 1, 2, … events, several hundred at once: the server sees each go, and all is as it was before."""
    async with one_node(AT_ONCE) as (hub, node):
        node.fault = Fault.answer(without_end)
        before = len(open_sockets())
        for _ in range(STREAMS // AT_ONCE):
            crowd, gone = Crowd(hub), len(node.disconnects)
            events = [anyio.Event() for _ in range(AT_ONCE)]
            async with anyio.create_task_group() as tasks:
                for number, event in enumerate(events):
                    tasks.start_soon(crowd.read, number, event)
                await node.until(lambda _, crowd=crowd: crowd.reading == AT_ONCE, timeout=20.0)
                for event in events:
                    event.set()
                    await anyio.sleep(0.001)
            await node.until(lambda node, gone=gone: len(node.disconnects) == gone + AT_ONCE, timeout=PROMPT)
            late = [each for each in node.disconnects[gone:] if each.at - crowd.went[asked(each.request)] > PROMPT]
            assert not late
            assert node.answering == 0
        assert len(node.disconnects) == STREAMS
        gc.collect()
        assert len(open_sockets()) <= before + 2
        await all_free(hub, node, AT_ONCE)


@pytest.mark.anyio
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_calls_are_left_before_anything_came(*, streamed: bool) -> None:
    """A call that waits for its answer ends at once, the server sees it go, and its slot is free."""
    async with one_node(20) as (hub, node):
        node.fault = Fault.hang()

        async def call() -> None:
            if streamed:
                async with hub.stream(MODEL, "Hi"):
                    pass
            else:
                await hub.chat(MODEL, "Hi")

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(call)
            await node.until(lambda node: node.answering == 20)
            tasks.cancel_scope.cancel()
        await node.until(lambda node: len(node.disconnects) == 20, timeout=PROMPT)
        await all_free(hub, node, 20)


@pytest.mark.anyio
async def test_a_caller_who_leaves_the_queue_leaves_no_trace() -> None:
    """Its place is free for another, those behind it move up, and the node never hears of it."""
    async with one_node(1, queue=3) as (hub, node):
        node.pace = Pace(TOKENS, first=0.2)
        scopes: dict[str, anyio.CancelScope] = {}
        answered: list[str] = []

        async def call(name: str) -> None:
            with anyio.CancelScope() as scopes[name]:
                await hub.chat(MODEL, name)
                answered.append(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, "served")
            await node.until(lambda node: node.answering == 1)
            for name in ("first", "second", "third"):
                tasks.start_soon(call, name)
                await anyio.wait_all_tasks_blocked()
            with pytest.raises(QueueFull):
                await hub.chat(MODEL, "too many")
            scopes["second"].cancel()
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(call, "fourth")
        assert answered == ["served", "first", "third", "fourth"]
        assert [asked(each) for each in node.requests if each.path == "/api/chat"] == ["Hi", *answered]
        assert not node.disconnects
        await all_free(hub, node, 1)


@pytest.mark.anyio
async def test_a_slot_that_comes_free_for_a_caller_who_goes_is_given_to_the_next() -> None:
    """Cancelled at the very moment at which it was served, it takes nothing with it."""
    async with one_node(1) as (hub, node):
        node.pace = Pace(TOKENS, first=0.01)
        for _ in range(20):
            scope = anyio.CancelScope()

            async def serve(scope: anyio.CancelScope = scope) -> None:
                await hub.chat(MODEL, "Hi")
                scope.cancel()

            async def go(scope: anyio.CancelScope = scope) -> None:
                with scope:
                    await hub.chat(MODEL, "Hi")

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                await node.until(lambda node: node.answering == 1)
                tasks.start_soon(go)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(hub.chat, MODEL, "Hi")
        await all_free(hub, node, 1)


@pytest.mark.anyio
async def test_a_deadline_in_the_queue_frees_the_place() -> None:
    """Who waits too long hears so, having sent nothing, and the next has the place."""
    async with one_node(1, queue=1) as (hub, node):
        node.fault = Fault.hang()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hub.chat, MODEL, "Hi")
            await node.until(lambda node: node.answering == 1)
            for _ in range(3):
                with pytest.raises(ModelHubError):
                    await hub.chat(MODEL, "Hi", timeout=0.05)
            tasks.cancel_scope.cancel()
        assert node.calls == 2
        await all_free(hub, node, 1)


@pytest.mark.anyio
async def test_a_hub_that_is_left_while_calls_wait_leaves_nothing() -> None:
    """Whoever still waits or reads then hears of it, or ends with its own task group: nothing hangs."""
    ended: list[str] = []
    async with FaultServer(OLLAMA) as node, anyio.create_task_group() as tasks:
        node.fault = Fault.hang()
        config = settings([node])
        config["credentials"]["ollama_local"][0]["concurrency"] = 1

        async def call(hub: ModelHub) -> None:
            try:
                await hub.chat(MODEL, "Hi", timeout=2.0)
            except ModelHubError as error:
                ended.append(type(error).__name__)

        async with ModelHub(config) as hub:
            for _ in range(4):
                tasks.start_soon(call, hub)
            await node.until(lambda node: node.answering == 1)
        with anyio.fail_after(5):
            await node.until(lambda _: len(ended) == 4)
    assert len(ended) == 4
