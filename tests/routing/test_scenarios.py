"""Nodes that fail, through the whole hub, and callers who do not notice as long as one node is well.

``benchmarks/scenarios.py`` runs the same with many calls and prints what came of them.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import anyio
import pytest
from tests.ollama_node import OLLAMA
from tests.routing.sick_nodes import MODEL, SICKNESSES, Ears, ask, deployment, run, settings

from modelhub import ModelHub
from modelhub.errors import CircuitOpen, ModelHubError
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.testing.replies import Reply

CALLS = 90
WASTED = 4
"""Calls that finding out about a sick node may cost."""

REFUSALS = 10
"""The same for one that answers 503, as busy nodes do: it is no fault, and it is asked again after each short pause."""

FIRST_TOKEN = 0.3

sicknesses = pytest.mark.parametrize("sickness", SICKNESSES)


# Silent while a model is asked, and deaf to checks: what a node is like whose machine has lost its disk.
DEAD = Fault.answer(
    lambda healthy: Reply(raw=b"", cut_after=0, cut="hang" if healthy.request.method == "POST" else "fin"), "dead"
)


@asynccontextmanager
async def hub_of(count: int, **tables: Any) -> AsyncGenerator[tuple[ModelHub, list[FaultServer], Ears]]:
    """Enter a hub with so many nodes that are well."""
    ears = Ears()
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(FaultServer(OLLAMA)) for _ in range(count)]
        hub = ModelHub(settings(nodes, **tables), sinks=[ears], random=Random(1))
        yield await stack.enter_async_context(hub), nodes, ears


@pytest.mark.anyio
@sicknesses
async def test_callers_do_not_notice_a_node_that_is_sick_from_the_start(sickness: str, anyio_backend_name: str) -> None:
    """One of three is sick before the hub knows it: every call is answered, and hardly one is wasted on it.

    Whole answers on one event loop, streams on the other. A stream that is cut off after its first content is not
    answered; its node is sent three of them.
    """
    streamed = anyio_backend_name == "trio"
    found = await run(sickness, streamed=streamed, calls=CALLS, first_token=FIRST_TOKEN)
    assert not found.failures
    assert found.interrupted <= 3 * (sickness == "cuts off" and streamed)
    assert found.answered + found.interrupted == CALLS
    assert max(found.sent, found.requests) <= WASTED * found.cycles
    assert not found.wrongly


@pytest.mark.anyio
@sicknesses
async def test_callers_do_not_notice_a_node_that_falls_sick(sickness: str, anyio_backend_name: str) -> None:
    """One of three falls sick while twenty calls are under way: no call fails of which nothing had come.

    The other way round than above: streams on asyncio, whole answers on trio.
    """
    streamed = anyio_backend_name == "asyncio"
    found = await run(sickness, streamed=streamed, calls=CALLS, after=CALLS // 3, first_token=FIRST_TOKEN)
    assert not found.failures
    if sickness != "cuts off":
        assert not found.interrupted
    assert found.interrupted <= found.in_flight + WASTED
    assert found.wasted <= (REFUSALS if sickness == "answers 503" else WASTED * found.cycles)
    assert not found.wrongly


@pytest.mark.anyio
async def test_a_node_that_is_given_much_and_then_says_that_it_is_busy_is_sent_little(anyio_backend_name: str) -> None:
    """After some hundred calls it has more slots than it began with, and loses them quickly: not one refusal each.

    Whole answers on one event loop, streams on the other.
    """
    found = await run("answers 503", streamed=anyio_backend_name == "trio", calls=500, after=300)
    assert not found.failures
    assert found.wasted <= REFUSALS
    assert not found.wrongly


@pytest.mark.anyio
@sicknesses
async def test_callers_do_not_notice_two_sick_nodes_of_three(sickness: str, anyio_backend_name: str) -> None:
    """One that is well is enough: for whole answers on one event loop, for streams on the other."""
    streamed = anyio_backend_name == "trio"
    found = await run(sickness, streamed=streamed, calls=CALLS, sick=2, first_token=FIRST_TOKEN)
    assert not found.failures
    assert found.wasted <= 2 * WASTED * found.cycles
    assert found.answered + found.interrupted == CALLS


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["restart", "continue"])
async def test_callers_who_take_more_of_a_stream_do_not_notice_cuts_either(how: str) -> None:
    """Streams that are cut after their first content are answered too where the caller says how they may go on."""
    found = await run("cuts off", streamed=True, calls=CALLS, on_interrupt=how)
    assert found.answered == CALLS
    assert found.wasted <= WASTED * found.cycles


@pytest.mark.anyio
@sicknesses
async def test_an_outage_of_all_nodes_is_not_made_worse_by_retries(sickness: str, anyio_backend_name: str) -> None:
    """With every node sick, no more calls reach one than come, and a fifth more, and the floor.

    Whole answers on one event loop, streams on the other. Nodes that say they are busy are waited for.
    """
    streamed, patience = anyio_backend_name == "trio", {"timeout": 0.2} if sickness == "answers 503" else {}
    found = await run(sickness, streamed=streamed, calls=100, sick=3, first_token=0.03, **patience)
    assert sum(found.failures.values()) + found.interrupted == found.calls
    assert found.attempts <= 1.2 * found.calls + 10


@pytest.mark.anyio
async def test_an_outage_costs_nothing_where_panic_is_not_wanted() -> None:
    """Without panic, calls are refused at once while every node is ejected, and say how long that will be so."""
    async with hub_of(2, routing={"panic": False}) as (hub, nodes, ears):
        for node in nodes:
            node.fault = Fault.status(500)
        refused = []
        for _ in range(20):
            with pytest.raises(ModelHubError) as raised:
                await hub.chat(MODEL, "Hi")
            refused.append(raised.value)
        assert isinstance(refused[-1], CircuitOpen)
        assert 0.0 < (refused[-1].retry_after or 0.0) <= 5.0
        assert sum(isinstance(each, CircuitOpen) for each in refused) >= 15
        assert len(ears.started) <= 12


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("anyio_backend", "streamed"), [("asyncio", True), ("trio", False)], ids=["asyncio-streamed", "trio-whole"]
)
async def test_a_node_that_is_well_again_is_found_out_by_one_call_at_a_time(*, streamed: bool) -> None:
    """It serves again soon after the end of its ejection; until then one call at a time goes there."""
    async with hub_of(3, routing={"eject_seconds": 0.3, "probe_seconds": 0.0}) as (hub, nodes, ears):
        nodes[0].fault = Fault.status(500)
        nodes[0].pace = Pace(first=0.1)  # long enough to see two probes at once
        done = anyio.Event()

        async def caller() -> None:
            while not done.is_set():
                await ask(hub, streamed=streamed)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(caller)
            await nodes[0].until(lambda _: bool(ears.ejections))
            nodes[0].fault = None
            await nodes[0].until(lambda _: bool(ears.recoveries))
            served = nodes[0].calls
            await nodes[0].until(lambda node: node.calls >= served + 3)
            done.set()
    (ejected,), (recovered,) = ears.ejections, ears.recoveries
    assert ejected.deployment == recovered.deployment == deployment(0)
    assert recovered.at - ejected.at < ejected.seconds + 5.0
    assert ears.most_probes() == 1
    between = [each for each in ears.started if each.deployment == deployment(0)]
    assert all(each.probe for each in between if ejected.at < each.at < recovered.at - 0.05)


@pytest.mark.anyio
async def test_a_node_that_stays_sick_is_asked_less_and_less() -> None:
    """Each ejection is longer than the one before it, and each costs one call."""
    async with hub_of(2, routing={"eject_seconds": 0.05, "probe_seconds": 0.0}) as (hub, nodes, ears):
        nodes[0].fault = Fault.status(500)
        with anyio.move_on_after(1.0):
            while True:
                await ask(hub, streamed=False)
                await anyio.sleep(0.002)
        await anyio.wait_all_tasks_blocked()
        assert {each.deployment for each in ears.ejections} == {deployment(0)}
        assert 3 <= len(ears.ejections) <= 7
        assert ears.sent({deployment(0)}) <= 3 + len(ears.ejections)
        waits = [each.seconds for each in ears.ejections]
        assert waits == sorted(waits)


@pytest.mark.anyio
async def test_calls_that_hang_on_a_dead_node_are_moved_and_those_of_a_busy_one_are_not() -> None:
    """A node that hangs does not answer cheap checks either; one that loads a model does, and is waited for."""
    routing = {"probe_waiting": 0.05, "probe_seconds": 0.0}
    async with hub_of(2, routing=routing) as (hub, nodes, ears):
        for number in range(2):
            await hub.chat(f"{MODEL}#n{number}", "Hi")
        nodes[1].pace = Pace(first=0.3)
        for fault, moved in ((Fault.loading(0.4), False), (DEAD, True)):
            nodes[0].fault = fault
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(hub.chat, MODEL, "Hi")
            assert bool(ears.ejections) is moved


@pytest.mark.anyio
async def test_a_long_answer_keeps_its_node() -> None:
    """What runs longer than any limit of waiting is not taken for a hang while its tokens come."""
    tables = {"timeouts": {"first_token": 0.5, "idle": 0.5}, "routing": {"probe_waiting": 0.1}}
    async with hub_of(2, **tables) as (hub, nodes, ears):
        nodes[0].pace = nodes[1].pace = Pace(tokens=20, pause=0.04)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(lambda: ask(hub, streamed=True))
        assert not ears.ejections
        assert len(ears.started) == 4
