"""Cheap checks: who is checked and how often, what that means for an endpoint, and for calls that wait there."""

import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
import trio
from tests.ollama_node import OLLAMA
from trio.testing import MockClock

from modelhub import ModelHub
from modelhub.configuration.settings import RoutingTable
from modelhub.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    ModelHubError,
    ModelNotFound,
    ServerError,
    Timeout,
)
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.health import Breaker, Ejection
from modelhub.rules.routing.pool import Change, Lease, Pool
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals
from modelhub.runtime.background import Background
from modelhub.runtime.probing import Prober, Waiting
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.testing.replies import Reply
from modelhub.types.credential import Credential
from modelhub.types.telemetry import DeploymentEjected, DeploymentRecovered

MODEL = "ollama_local/llama3"
EMBEDDING = "ollama_local/all-minilm"

Ask = Callable[[Any], Awaitable[object]]

DEAD = Fault.answer(lambda healthy: Reply(raw=b"", cut_after=0, cut="rst" if healthy.route.cheap else "hang"), "dead")
"""As a node that never answers, but found out sooner."""

SILENT = Fault.answer(
    lambda healthy: healthy.reply if healthy.route.cheap else Reply(raw=b"", cut_after=0, cut="hang"), "silent"
)
"""A node that is there, and takes for ever."""


class Line:
    """What a call waits through."""

    can_be_given_up = False

    def __init__(self) -> None:
        self.ends: list[ModelHubError] = []

    def give_up(self, error: ModelHubError) -> None:
        """Note it."""
        self.ends.append(error)


class Watched:
    """Endpoints in virtual time, and a prober that looks after them. The first is asked first.

    Args:
        endpoints: How many.
        models: How many each has.
        floor: Retries that are allowed.
        probe: Their cheap path.
        settings: Of the prober.
    """

    def __init__(
        self, endpoints: int = 1, *, models: int = 1, floor: float = 10.0, probe: str | None = "/up", **settings: Any
    ) -> None:
        self.settings = RoutingTable(**settings)
        self.checks: list[tuple[float, str]] = []
        self.answer: Ask = well
        self.changes: list[Change] = []
        self.budget = RetryBudget(0.2, floor)
        self.background = Background()
        self.pool = Pool(Random(1), on_change=lambda _, change: self.changes.append(change))
        self.prober = Prober(
            self.settings, self.background, self.pool, self._ask, clock=trio.current_time, random=Random(1)
        )
        self.options = [
            option
            for number in range(endpoints)
            for option in options(f"e{number}", models, probe, self.settings.eject_after)
        ]

    async def _ask(self, deployment: Any) -> object:
        self.checks.append((trio.current_time(), deployment.id))
        return await self.answer(deployment)

    def begin(self, *options: Option[Any]) -> tuple[Lease[Any], Line, Waiting | None]:
        """Have a call begin to wait at the first of these, or of all."""
        route = Route("r", (Group(options or tuple(self.options), "priority"),), self.budget)
        lease = self.pool.choose(Course(route), trio.current_time())
        assert lease is not None
        line: Any = Line()
        return lease, line, self.prober.wait(lease, line)

    def end(self, lease: Lease[Any], waiting: Waiting | None) -> None:
        """Have it answered."""
        self.prober.came(waiting, answered=True)
        self.pool.succeeded(lease, trio.current_time())

    def call(self, *options: Option[Any]) -> None:
        """Make a call that is answered at once."""
        lease, _, waiting = self.begin(*options)
        self.end(lease, waiting)

    def fail(self, error: ModelHubError) -> None:
        """Make a call that fails."""
        lease, _, waiting = self.begin()
        self.prober.came(waiting, answered=False)
        self.pool.failed(lease, error, verdict(error), trio.current_time())
        if not lease.option.vitals.breaker.closed:
            self.prober.ejected(lease.option)

    async def checked(self, times: int) -> None:
        """Wait until so many checks were made."""
        while len(self.checks) < times:  # noqa: ASYNC110  seconds pass at once
            await anyio.sleep(1)

    def eject(self, error: ModelHubError) -> None:
        """Make calls to the first endpoint until it is ejected."""
        while self.options[0].vitals.breaker.closed:
            self.fail(error)

    @property
    def told(self) -> list[str]:
        """What happened to which deployments."""
        return [f"{change.what} {change.deployment}" for change in self.changes]


def options(endpoint: str, models: int, probe: str | None, after: int) -> list[Option[Any]]:
    """Return the deployments of an endpoint."""
    plugin = SimpleNamespace(id="p", schema=SimpleNamespace(probe=probe))
    key, credential = KeyHealth(), Credential({"api_key": endpoint})
    made: list[Option[Any]] = []
    for number in range(models):
        id = f"{endpoint}/m{number}"
        deployment = SimpleNamespace(id=id, plugin=plugin, provider_id="p", model=f"m{number}", credential=credential)
        vitals = Vitals(id, key=key, slots=Slots(16), breaker=Breaker(Ejection(after)), queue=100)
        made.append(Option(deployment, vitals))
    return made


async def well(_: Any) -> None:
    """Answer a check."""


def failing(error: Exception) -> Ask:
    """Return what every check fails with."""

    async def answer(_: Any) -> None:
        raise error

    return answer


def virtually(endpoints: int = 1, **settings: Any) -> Callable[[Callable[[Watched], Awaitable[None]]], None]:
    """Run a function at once, in virtual time; nothing of it may be left."""

    def run(body: Callable[[Watched], Awaitable[None]]) -> None:
        async def main() -> None:
            it = Watched(endpoints, **settings)
            try:
                await body(it)
            finally:
                await it.background.aclose()
            assert repr(it.background) == "<Background: closed, 0 tasks>"

        trio.run(main, clock=MockClock(autojump_threshold=0.0))

    return run


# How often


@pytest.mark.parametrize("answer", [well, failing(ConnectionLost("gone", sent=True))], ids=["well", "dead"])
@pytest.mark.parametrize("waiting", [False, True], ids=["ejected", "waited for"])
def test_one_check_in_ten_seconds(answer: Ask, *, waiting: bool) -> None:
    """Of an endpoint, however many models it has, whether it is ejected or waited for or both."""

    @virtually(2, models=5)
    async def _(it: Watched) -> None:
        it.eject(ServerError("broken"))
        it.answer = answer
        for option in it.options[:5] if waiting else ():
            lease = Lease(option, Course(Route("r", (Group((option,)),), it.budget)), trio.current_time(), probe=False)
            it.prober.wait(lease, Line())  # type: ignore[arg-type]
        for _ in range(59):
            await anyio.sleep(10)
            it.call(it.options[5])  # the application is in use, and so is the other endpoint
        counts = Counter(id.partition("/")[0] for _, id in it.checks)
        assert set(counts) == {"e0"}
        assert 45 < counts["e0"] <= 60 + 2  # one that failed is repeated soon, once


def test_a_call_that_waits_long_has_its_endpoint_checked() -> None:
    """After five seconds, and then as seldom as any; it is waited for as long as checks are answered."""

    @virtually(2)
    async def _(it: Watched) -> None:
        lease, line, waiting = it.begin()
        assert line.can_be_given_up
        await anyio.sleep(4.9)
        assert it.checks == []
        await anyio.sleep(0.2)
        assert len(it.checks) == 1
        await anyio.sleep(594.9)
        assert len(it.checks) <= 61
        assert not line.ends
        assert not it.told
        it.end(lease, waiting)
        assert repr(it.prober) == "<Prober: 1 endpoints, 0 calls waiting>"


def test_calls_that_do_not_wait_long_cost_no_check() -> None:
    """However many there are, one after the other."""

    @virtually()
    async def _(it: Watched) -> None:
        for _ in range(100):
            lease, _, waiting = it.begin()
            await anyio.sleep(1)
            it.end(lease, waiting)
        assert it.checks == []


def test_idle_endpoints_are_checked_while_the_application_is_in_use() -> None:
    """Not after its last call; and again when it makes one."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.call(it.options[1])
        for _ in range(10):
            it.call(it.options[0])
            await anyio.sleep(10)
        assert 6 <= len(it.checks) <= 10
        assert {id for _, id in it.checks} == {"e1/m0"}
        await anyio.sleep(100)
        before = len(it.checks)
        await anyio.sleep(3600)
        assert len(it.checks) == before
        assert repr(it.background) == "<Background: open, 0 tasks>"
        it.call(it.options[0])
        await anyio.sleep(30)
        assert len(it.checks) > before


def test_endpoints_that_nobody_calls_any_more_are_let_alone() -> None:
    """After ten minutes, ejected ones too, though the application goes on with others."""

    @virtually(3)
    async def _(it: Watched) -> None:
        it.eject(ConnectFailed("down"))
        it.call(it.options[1])
        it.answer = failing(ConnectFailed("down"))
        for _ in range(130):
            it.call(it.options[2])
            await anyio.sleep(10)
        assert {id for _, id in it.checks} == {"e0/m0", "e1/m0"}
        assert it.checks[-1][0] < 625


def test_what_is_remembered_is_bounded() -> None:
    """Tenants' credentials come with their calls; those at which calls wait stay."""

    @virtually()
    async def _(it: Watched) -> None:
        lease, _, waiting = it.begin()
        for number in range(2000):
            it.call(*options(f"t{number}", 1, "/up", 3))
        assert int(repr(it.prober).split()[1]) <= 256
        assert repr(it.prober).endswith("1 calls waiting>")
        it.end(lease, waiting)
        assert repr(it.prober).endswith("0 calls waiting>")


def test_nobody_is_checked_who_has_no_cheap_path() -> None:
    """Nothing else is known not to be billed."""

    @virtually(probe=None)
    async def _(it: Watched) -> None:
        it.eject(ConnectFailed("down"))
        lease = Lease(it.options[0], Course(Route("r", (), it.budget)), trio.current_time(), probe=False)
        line: Any = Line()
        assert it.prober.wait(lease, line) is None
        await anyio.sleep(100)
        assert not it.checks
        assert not line.can_be_given_up


def test_checks_while_calls_wait_can_be_turned_off() -> None:
    """The others go on."""

    @virtually(2, probe_waiting=0.0)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        _, line, waiting = it.begin()
        assert waiting is None
        await anyio.sleep(50)
        assert not it.checks
        assert not line.can_be_given_up
        it.eject(ConnectFailed("down"))
        await anyio.sleep(50)
        assert it.checks


def test_checks_of_what_is_ejected_or_idle_can_be_turned_off() -> None:
    """The others go on."""

    @virtually(2, probe_seconds=0.0)
    async def _(it: Watched) -> None:
        it.eject(ConnectFailed("down"))
        it.call(it.options[1])
        await anyio.sleep(50)
        assert not it.checks
        it.begin(it.options[1])
        await anyio.sleep(50)
        assert 4 <= len(it.checks) <= 6


def test_rounds_are_made_by_other_settings_at_once() -> None:
    """More often, more seldom, not at all and again, with no wait for what would have been the next one."""

    @virtually(2, probe_seconds=1000.0, probe_waiting=0.0)
    async def _(it: Watched) -> None:
        async def called(seconds: int) -> int:
            before = len(it.checks)
            for _ in range(seconds):
                it.call(it.options[1])
                await anyio.sleep(1)
            return len(it.checks) - before

        it.answer = failing(ConnectFailed("down"))
        it.eject(ConnectFailed("down"))
        assert await called(20) == 0
        it.prober.adopt(RoutingTable(probe_seconds=2.0, probe_waiting=0.0))
        assert 16 <= await called(40) <= 24
        it.prober.adopt(RoutingTable(probe_seconds=20.0, probe_waiting=0.0))
        assert 8 <= await called(200) <= 12
        it.prober.adopt(RoutingTable(probe_seconds=0.0, probe_waiting=0.0))
        assert await called(100) == 0
        assert repr(it.background) == "<Background: open, 0 tasks>"
        it.prober.adopt(RoutingTable(probe_seconds=2.0, probe_waiting=0.0))
        assert 16 <= await called(40) <= 24


def test_calls_that_wait_are_looked_after_by_other_settings_at_once() -> None:
    """Sooner, or not any more; and again with the next call."""

    @virtually(probe_seconds=10.0, probe_waiting=1000.0)
    async def _(it: Watched) -> None:
        _, _, waiting = it.begin()
        await anyio.sleep(20)
        assert not it.checks
        it.prober.adopt(RoutingTable(probe_seconds=10.0, probe_waiting=30.0))
        await anyio.sleep(9)
        assert not it.checks
        await anyio.sleep(2)
        assert len(it.checks) == 1
        it.prober.adopt(RoutingTable(probe_seconds=10.0, probe_waiting=0.0))
        await anyio.sleep(200)
        assert len(it.checks) == 1
        it.prober.adopt(RoutingTable(probe_seconds=10.0, probe_waiting=5.0))
        it.begin()
        await anyio.sleep(6)
        assert len(it.checks) == 2
        it.prober.came(waiting, answered=True)


# What they mean


def test_an_idle_endpoint_that_fails_two_checks_is_ejected() -> None:
    """All its models; once it answers, one call may find out, and that is told to whoever waits."""

    @virtually(2, models=2, eject_after=5)
    async def _(it: Watched) -> None:
        it.call(it.options[0])
        it.call(it.options[1])
        it.answer = failing(ConnectionLost("gone", sent=True))
        while len(it.checks) < 2:
            assert not it.told
            await anyio.sleep(1)
        assert it.told == ["ejected e0/m0", "ejected e0/m1"]
        for _ in range(60):
            await anyio.sleep(1)
            it.call(it.options[2])
            assert not it.options[0].vitals.ready(trio.current_time(), 0.0)
        before, it.answer = len(it.checks), well
        await it.checked(before + 1)
        assert it.options[0].vitals.breaker.ready(trio.current_time())
        it.call()
        it.call()
        assert it.told[2:] == ["recovered e0/m0"]


def test_one_failed_check_between_good_ones_means_nothing() -> None:
    """They must fail one after the other."""

    @virtually()
    async def _(it: Watched) -> None:
        it.call()
        for number in range(5):
            before = len(it.checks)
            it.answer = failing(ConnectionLost("gone", sent=True)) if number % 2 else well
            await it.checked(before + 1)
        assert not it.told


def test_an_answer_to_a_call_says_more_than_a_check() -> None:
    """A check that failed before it does not count any more."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        lease, line, waiting = it.begin()
        other, _, too = it.begin()
        await anyio.sleep(5.5)
        assert len(it.checks) == 1
        it.end(other, too)
        it.answer = well
        await anyio.sleep(30)
        assert not line.ends
        assert not it.told
        it.end(lease, waiting)


def test_what_answers_checks_all_the_time_is_not_called_sooner() -> None:
    """It was ejected for something that they do not show."""

    @virtually(2)
    async def _(it: Watched) -> None:
        for _ in range(4):
            it.eject(ServerError("no memory"))
            await anyio.sleep(max(0.0, it.options[0].vitals.breaker.until - trio.current_time()))
            it.fail(ServerError("no memory"))
        until = it.options[0].vitals.breaker.until
        assert until > trio.current_time() + 15
        while trio.current_time() < until - 1:
            assert not it.options[0].vitals.breaker.ready(trio.current_time())
            it.call(it.options[1])
            await anyio.sleep(1)
        assert it.checks


ALIVE = [
    AuthenticationFailed("no", status=401),
    ModelNotFound("no such path", status=404),
    ConfigurationError("the key cannot be sent"),
    KeyError("bug"),
]
GONE = [
    ServerError("broken", status=500),
    ServerError("bad gateway", status=502),
    ConnectFailed("down"),
    ConnectionLost("cut", sent=True),
    Timeout("slow", phase="first_token", seconds=2.0, sent=True),
]


@pytest.mark.parametrize(
    ("error", "alive"),
    [*((error, True) for error in ALIVE), *((error, False) for error in GONE)],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else "",
)
def test_what_a_check_may_end_with(error: Exception, *, alive: bool) -> None:
    """Whoever refuses a request is there; what was never sent, or is a plugin's own fault, says nothing."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.answer = failing(error)
        lease, line, waiting = it.begin()
        await anyio.sleep(60)
        assert len(it.checks) >= 2
        assert bool(line.ends) is not alive
        assert bool(it.told) is not alive
        it.end(lease, waiting)


def test_a_check_that_hangs() -> None:
    """Ends after three seconds, and keeps no other endpoint from being checked."""

    @virtually(4)
    async def _(it: Watched) -> None:
        async def hang(deployment: Any) -> None:
            if not deployment.id.startswith("e3"):
                await anyio.sleep_forever()

        for option in it.options:
            it.call(option)
        it.answer = hang
        await anyio.sleep(45)
        first = it.checks[:4]
        assert {id for _, id in first} == {"e0/m0", "e1/m0", "e2/m0", "e3/m0"}
        assert first[-1][0] - first[0][0] < 0.1
        assert sorted(it.told) == ["ejected e0/m0", "ejected e1/m0", "ejected e2/m0"]


# Calls that wait


def test_calls_at_a_dead_endpoint_are_given_up() -> None:
    """Those that have waited long, once two checks have failed; nobody who has just come."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        _, old, _ = it.begin()
        await anyio.sleep(5.5)
        _, young, _ = it.begin()
        await anyio.sleep(1)
        assert [time for time, _ in it.checks] == pytest.approx([5, 6])
        assert it.told == ["ejected e0/m0"]
        assert [str(error) for error in old.ends] == [
            "nothing came for 6.0 s, and the server does not answer cheap checks either"
        ]
        assert not young.ends
        await anyio.sleep(5)
        assert young.ends


def test_a_call_that_finds_no_other_place_keeps_its_own_limits() -> None:
    """Until there is one."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        other = it.options[1].vitals
        other.rests_until = 100.0
        _, line, _ = it.begin()
        await anyio.sleep(99)
        assert not line.ends
        assert it.told == ["ejected e0/m0"]
        assert len(it.checks) <= 12
        await anyio.sleep(3)
        assert line.ends


def test_another_model_of_a_dead_endpoint_is_no_other_place() -> None:
    """Nor is what cannot take the call."""

    @virtually(1, models=3)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        _, line, _ = it.begin()
        await anyio.sleep(60)
        assert not line.ends


def test_what_cannot_be_paid_is_not_given_up() -> None:
    """A call that would not be tried again waits on: it would only fail sooner. What was paid once is paid."""

    @virtually(2, floor=2)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        calls = [it.begin() for _ in range(5)]
        await anyio.sleep(7)
        assert sum(bool(line.ends) for _, line, _ in calls) == 2
        assert it.budget.tokens == pytest.approx(0.0, abs=0.3)
        for lease, line, waiting in calls:
            if line.ends:
                it.prober.came(waiting, answered=False)
                error = line.ends[0]
                judged = verdict(error)
                assert lease.course.failed(lease.option, error, judged, trio.current_time(), Random(1))
        assert it.budget.tokens == pytest.approx(0.0, abs=0.3)
        await anyio.sleep(240)
        assert all(line.ends for _, line, _ in calls)


def test_a_call_that_may_not_be_tried_again_is_not_given_up() -> None:
    """It keeps its own limits."""

    @virtually(2)
    async def _(it: Watched) -> None:
        it.answer = failing(ConnectionLost("gone", sent=True))
        route = Route("r", (Group(tuple(it.options), "priority"),), it.budget)
        lease = it.pool.choose(Course(route, retries=0), trio.current_time())
        assert lease is not None
        line: Any = Line()
        it.prober.wait(lease, line)
        await anyio.sleep(60)
        assert not line.ends


def test_after_the_hub_was_left_nobody_is_looked_after() -> None:
    """A stream may go on, and fail with its own error."""

    @virtually(2)
    async def _(it: Watched) -> None:
        await it.background.aclose()
        it.begin()
        it.eject(ConnectFailed("down"))
        await anyio.sleep(100)
        assert not it.checks


def test_nothing_is_left_of_checks_that_run_when_the_hub_is_left() -> None:
    """They are cancelled, and waited for."""

    @virtually(2)
    async def _(it: Watched) -> None:
        async def hang(_: Any) -> None:
            await anyio.sleep_forever()

        it.answer = hang
        it.begin()
        it.eject(ConnectFailed("down"))
        await anyio.sleep(13)
        assert it.checks


def test_what_it_costs() -> None:
    """A few microseconds a call; this leaves room for a busy machine."""

    @virtually(2)
    async def _(it: Watched) -> None:
        lease, line, waiting = it.begin()
        it.prober.came(waiting, answered=True)
        best = 1.0
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(1000):
                it.prober.came(it.prober.wait(lease, line), answered=True)
            best = min(best, time.perf_counter() - begun)
        assert best / 1000 < 30e-6


# The whole hub, with real nodes


@asynccontextmanager
async def hub_of(
    count: int, records: list[Any] | None = None, *, first_token: float = 20.0, **routing: Any
) -> AsyncGenerator[tuple[ModelHub, list[FaultServer]], None]:
    """Enter a hub with nodes; checks are as frequent as a test wants them."""
    async with anyio.create_task_group() as group:
        nodes = [FaultServer(OLLAMA, pace=Pace(tokens=3)) for _ in range(count)]
        for node in nodes:
            await group.start(served, node)
        rows = [{"id": f"n{number}", "values": {"base_url": node.url}} for number, node in enumerate(nodes)]
        quick = {"probe_waiting": 0.15, "probe_seconds": 0.2, "eject_seconds": 0.2, **routing}
        config = {"credentials": {"ollama_local": rows}, "routing": quick, "timeouts": {"first_token": first_token}}
        async with ModelHub(config, sinks=[[].append if records is None else records.append], random=Random(1)) as hub:
            yield hub, nodes
        group.cancel_scope.cancel()


async def served(node: FaultServer, *, task_status: Any) -> None:
    """Serve with a node until cancelled."""
    async with node:
        task_status.started()
        await anyio.sleep_forever()


async def stream(hub: ModelHub, model: str = MODEL) -> Any:
    """Read a stream to its end."""
    async with hub.stream(model, "Hi") as stream:
        async for _ in stream:
            pass
    return stream.result


async def ask_all_ways(hub: ModelHub) -> list[Any]:
    """Ask twice in every way at once: in whole and streamed, of a model that is known and of one that is not, embed."""
    results: list[Any] = []

    async def ask(way: Callable[[], Awaitable[Any]]) -> None:
        results.append(await way())

    ways: list[Callable[[], Awaitable[Any]]] = [
        lambda: hub.chat(MODEL, "Hi"),
        lambda: hub.chat("ollama_local/new", "Hi"),
        lambda: stream(hub),
        lambda: stream(hub, "ollama_local/newer"),
        lambda: hub.embed(EMBEDDING, [str(number) for number in range(300)]),
    ]
    async with anyio.create_task_group() as group:
        for way in ways * 2:
            group.start_soon(ask, way)
    return results


@pytest.mark.anyio
async def test_calls_at_a_node_that_never_answers_go_elsewhere() -> None:
    """However they wait, none fails; the node is ejected, and serves again when it answers."""
    records: list[Any] = []
    async with hub_of(2, records) as (hub, nodes):
        for number in range(2):
            await hub.chat(f"{MODEL}#n{number}", "Hi")
            await hub.embed(f"{EMBEDDING}#n{number}", ["x"])
        nodes[0].fault = DEAD
        results = await ask_all_ways(hub)
        moved = [each for result in results for each in result.attempts if each.error]
        assert {each.error for each in moved} == {"ConnectionLost"}
        assert {each.deployment[-2:] for each in moved} == {"n0"}
        assert len(moved) >= 3
        await nodes[0].until(lambda node: node.answering == 0)
        await anyio.sleep(0.05)
        assert {each.deployment for each in records if isinstance(each, DeploymentEjected)} >= {f"{MODEL}#n0"}
        nodes[0].fault = None
        with anyio.fail_after(5):
            while not any(isinstance(each, DeploymentRecovered) for each in records):
                assert not [each.error for each in (await hub.chat(MODEL, "Hi")).attempts if each.error]
                await anyio.sleep(0.02)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes the four seconds that two checks may take
async def test_a_check_that_is_never_answered_ends() -> None:
    """A node that is silent on its cheap path too is found out in a few seconds, from the first call on."""
    async with hub_of(2) as (hub, nodes):
        nodes[0].fault = Fault.hang()
        begun = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(partial(hub.chat, timeout=9.0), MODEL, "Hi")
        assert time.monotonic() - begun < 7.0


@pytest.mark.anyio
async def test_a_node_that_loads_a_model_is_waited_for() -> None:
    """It answers checks."""
    records: list[Any] = []
    async with hub_of(2, records) as (hub, nodes):
        await ask_all_ways(hub)
        nodes[0].fault = Fault.loading(0.5)
        before = nodes[0].calls, nodes[0].counts["/api/version"]
        results = await ask_all_ways(hub)
        assert not [each.error for result in results for each in result.attempts if each.error]
        assert nodes[0].calls > before[0]
        assert 1 <= nodes[0].counts["/api/version"] - before[1] <= 6
        assert not [each for each in records if isinstance(each, DeploymentEjected)]


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [DEAD, SILENT], ids=["dead", "silent"])
async def test_with_one_node_a_call_keeps_its_own_limits(fault: Fault) -> None:
    """It fails when it would have failed without checks, and as it would have."""
    async with hub_of(1, first_token=0.5) as (hub, nodes):
        await hub.chat(MODEL, "Hi")
        nodes[0].fault = fault
        begun = time.monotonic()
        with pytest.raises(Timeout) as caught:
            await stream(hub)
        assert 0.4 < time.monotonic() - begun < 2.0
        assert caught.value.phase == "first_token"


@pytest.mark.anyio
async def test_nothing_is_left_of_a_hub_that_is_left_while_checks_run() -> None:
    """No task and no connection, whatever they wait for."""
    async with hub_of(2) as (hub, nodes):
        nodes[0].fault = nodes[1].fault = Fault.hang()
        async with anyio.create_task_group() as group:
            group.start_soon(hub.chat, MODEL, "Hi")
            group.start_soon(stream, hub)
            await nodes[0].until(lambda node: node.counts["/api/version"] > 0)
            group.cancel_scope.cancel()
    assert nodes[0].calls + nodes[1].calls == 0


@pytest.mark.anyio
async def test_only_the_cheap_path_is_asked_for() -> None:
    """With GET, and as seldom as the settings say."""
    async with hub_of(1) as (hub, nodes):
        await hub.chat(MODEL, "Hi")
        seen = len(nodes[0].requests)
        await anyio.sleep(0.7)
        checks = nodes[0].requests[seen:]
        assert {(each.method, each.path) for each in checks} == {("GET", "/api/version")}
        assert 1 <= len(checks) <= 4


@pytest.mark.anyio
async def test_settings_that_are_read_anew_count_for_checks() -> None:
    """Not only for what is chosen."""
    config: Any = {"routing": {"probe_seconds": 0.0, "probe_waiting": 0.0}}
    async with FaultServer(OLLAMA, pace=Pace(tokens=3)) as node:
        config["credentials"] = {"ollama_local": {"base_url": node.url}}
        async with ModelHub(config) as hub:
            node.fault = SILENT
            async with anyio.create_task_group() as group:
                group.start_soon(stream, hub)
                await node.until(lambda node: node.calls == 1)
                config["routing"]["probe_waiting"] = 0.1
                await hub.reload()
                group.start_soon(stream, hub)
                await node.until(lambda node: node.calls == 2)
                before = node.probes  # the model was described
                await node.until(lambda node: node.probes > before)
                group.cancel_scope.cancel()
