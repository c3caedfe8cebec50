"""Rules that hold for every call of a hub whatever its nodes do, in virtual time: seeds say all that happens."""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.routing.virtual_time import MODEL, Node, in_virtual_time

from modelhub import ModelHub
from modelhub.errors import (
    BudgetExceeded,
    ConnectFailed,
    LocalRateLimited,
    ModelHubError,
    Overloaded,
    RateLimited,
    ServerError,
)

LATE = 0.05
"""Seconds by which a call may pass its deadline."""

RETRIES = 2


@dataclass
class Log:
    """How calls ended.

    Attributes:
        late: By how many seconds each call that had a deadline was late.
        attempts: How many attempts each call made.
        failed: Calls by what they failed with.
        done: When each call that succeeded ended.
    """

    late: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)
    done: list[float] = field(default_factory=list)

    async def call(
        self, hub: ModelHub, *, streamed: bool = False, timeout: float | None = None, **options: Any
    ) -> None:
        """Make a call and note how it ended."""
        begun = trio.current_time()
        try:
            if streamed:
                async with hub.stream(MODEL, "Hi", timeout=timeout, **options) as stream:
                    async for _ in stream:
                        pass
                attempts = stream.result.attempts
            else:
                attempts = (await hub.chat(MODEL, "Hi", timeout=timeout, **options)).attempts
            self.done.append(trio.current_time())
        except ModelHubError as error:
            attempts = error.attempts
            self.failed[type(error).__name__] += 1
        if timeout is not None:
            self.late.append(trio.current_time() - begun - timeout)
        self.attempts.append(len(attempts))


def offered(log: Log, per_second: float, seconds: float, random: Random, **options: Any) -> Callable[[ModelHub], Any]:
    """Return a body that makes so many calls a second, at random, for so long."""

    async def body(hub: ModelHub) -> None:
        async with anyio.create_task_group() as tasks:
            end = trio.current_time() + seconds
            while trio.current_time() < end:
                streamed = random.random() < 0.5
                tasks.start_soon(lambda streamed=streamed: log.call(hub, streamed=streamed, **options))
                await anyio.sleep(random.expovariate(per_second))

    return body


def ill(random: Random) -> Callable[[Node, float], ModelHubError | None]:
    """Return a behaviour that changes every few seconds: well, failing in one way or another, or now and then."""
    phases: dict[int, tuple[float, Callable[[], ModelHubError]]] = {}
    kinds: Sequence[Callable[[], ModelHubError]] = [
        lambda: ServerError("broken", status=500, sent=True),
        lambda: ConnectFailed("refused", sent=False),
        lambda: Overloaded("busy", status=503, sent=True),
        lambda: RateLimited("slow down", status=429, retry_after=random.choice([0.0, 0.5, 3.0, 90.0]), sent=True),
    ]

    def behaviour(_: Node, now: float) -> ModelHubError | None:
        phase = int(now // 5)
        if phase not in phases:
            phases[phase] = (random.choice([0.0, 0.0, 0.3, 1.0]), random.choice(kinds))
        share, kind = phases[phase]
        return kind() if random.random() < share else None

    return behaviour


def hanging(random: Random) -> Callable[[float], bool]:
    """Return a function that lets one call in twenty hang."""
    return lambda _now: random.random() < 0.05


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_whatever_nodes_do_deadlines_hold_and_attempts_are_counted(seed: int) -> None:
    """With random faults and hangs no call passes its deadline, and none makes more attempts than it may."""
    random = Random(seed)
    nodes = [Node(lambda: random.lognormvariate(-2, 1), ill(random), hanging(random)) for _ in range(3)]
    log = Log()
    in_virtual_time(nodes, offered(log, 10.0, 60.0, random, timeout=8.0), seed=seed)
    assert log.attempts
    assert max(log.late) < LATE
    assert max(log.attempts) <= 1 + RETRIES
    assert sum(len(node.asked) for node in nodes) <= 1.2 * len(log.attempts) + 20
    assert all(node.in_flight == 0 for node in nodes)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
@example(seed=9398)  # one node asked for no pause at all, and was asked again before the one that was well
def test_while_a_node_is_well_no_call_fails(seed: int) -> None:
    """Two of three nodes do what they like, none of them hangs, and the third has the time: nobody notices."""
    random = Random(seed)
    nodes = [Node(behaviour=ill(random)), Node(behaviour=ill(random)), Node()]
    log = Log()
    in_virtual_time(nodes, offered(log, 5.0, 60.0, random), seed=seed)
    assert not log.failed


@pytest.mark.parametrize("asked", [0.0, 0.3, 2.0, 5.0, 59.0])
def test_a_wait_that_a_server_asks_for_is_kept(asked: float) -> None:
    """The only node asks for a pause: nothing is sent before it is over, and the call is answered after it."""
    node = Node(behaviour=lambda node, _: RateLimited("slow", retry_after=asked) if len(node.asked) == 1 else None)
    log = Log()

    async def body(hub: ModelHub) -> None:
        await log.call(hub, timeout=100.0)

    in_virtual_time([node], body, seed=1)
    first, second = node.times
    assert asked <= second - first <= asked + 1.0
    assert not log.failed


@pytest.mark.parametrize(("asked", "timeout"), [(5.0, 3.0), (61.0, None), (3600.0, None), (math.inf, None)])
def test_a_wait_that_is_too_long_is_not_begun(asked: float, timeout: float | None) -> None:
    """Longer than the deadline or a minute: the caller hears of it at once, not after the wait."""
    node = Node(behaviour=lambda _node, _now: RateLimited("slow", retry_after=asked))
    log = Log()

    async def body(hub: ModelHub) -> None:
        await log.call(hub, timeout=timeout)

    assert in_virtual_time([node], body, seed=1) < 1.0
    assert log.failed == {"RateLimited": 1}
    assert len(node.asked) == 1


def test_who_waits_is_served_in_order() -> None:
    """One slot, and callers who come one after another: the node sees them in the order in which they came."""
    node = Node(lambda: 1.0)

    async def body(hub: ModelHub) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(hub.chat, MODEL, f"{number}")
                await anyio.sleep(0.01)

    in_virtual_time([node], body, seed=1, limits=[{"concurrency": 1}])
    assert [question for _, question in node.asked] == [str(number) for number in range(50)]
    assert node.most == 1


def most_in_a_minute(times: Sequence[float]) -> int:
    """Return how many calls fall at most into any 60 seconds, which are a little less: times are rounded."""
    most, begin = 0, 0
    for end, at in enumerate(times):
        while times[begin] <= at - 60.0 + 1e-9:
            begin += 1
        most = max(most, end - begin + 1)
    return most


@pytest.mark.parametrize(
    ("limits", "tokens", "allowed"), [({"rpm": 60}, 10, 60), ({"tpm": 6000}, 200, 30)], ids=["rpm", "tpm"]
)
def test_a_rate_is_never_exceeded_and_is_used(limits: dict[str, float], tokens: int, allowed: int) -> None:
    """Three times as much is offered as two keys allow: no minute has more, and all together nearly as much."""
    nodes = [Node(tokens=tokens), Node(tokens=tokens)]
    log = Log()
    random = Random(7)
    minutes = 5
    body = offered(log, allowed * 6 / 60, minutes * 60.0, random, timeout=20.0, max_tokens=tokens)
    in_virtual_time(nodes, body, seed=7, limits=[limits, limits])
    for node in nodes:
        assert most_in_a_minute(sorted(node.times)) <= allowed
        assert len(node.asked) >= 0.95 * allowed * minutes
    assert set(log.failed) <= {"LocalRateLimited", "DeadlineExceeded", "QueueFull", "Timeout"}
    assert max(log.late) < LATE


def test_a_refusal_by_a_rate_says_when_to_come_again() -> None:
    """Who cannot wait so long is refused at once, and told for how long."""
    node = Node()

    async def body(hub: ModelHub) -> None:
        for _ in range(2):
            await hub.chat(MODEL, "Hi", timeout=0.5)
        with pytest.raises(LocalRateLimited) as raised:
            await hub.chat(MODEL, "Hi", timeout=0.5)
        assert 0.5 < (raised.value.retry_after or 0.0) <= 60.0

    assert in_virtual_time([node], body, seed=1, limits=[{"rpm": 2}]) < 5.0


def test_money_that_is_spent_is_spent() -> None:
    """A key is used until its money is gone, then the other; then the caller hears for how long."""
    nodes = [Node(tokens=2000), Node(tokens=2000)]
    price = {"pricing": {"input": "1", "output": "1", "unit": "0.001", "currency": "USD"}}
    budget = {"budget": {"amount": 10, "currency": "USD", "per": "month"}}
    ended: list[ModelHubError] = []

    async def body(hub: ModelHub) -> None:
        for _ in range(20):
            try:
                await hub.chat(MODEL, "Hi")
            except ModelHubError as error:
                ended.append(error)

    in_virtual_time(nodes, body, seed=1, limits=[budget, budget], models={MODEL: price})
    assert [len(node.asked) for node in nodes] == [5, 5]
    assert len(ended) == 10
    assert all(isinstance(error, BudgetExceeded) and error.retry_after for error in ended)


async def each_after_the_other(hub: ModelHub, count: int, **options: Any) -> None:
    """Make calls that do not overlap."""
    for _ in range(count):
        await hub.chat(MODEL, "Hi", **options)


def shares(pick: str, weights: Sequence[float], count: int = 400, **options: Any) -> list[int]:
    """Return how many calls each node gets."""
    nodes = [Node() for _ in weights]

    def body(hub: ModelHub) -> Awaitable[None]:
        return each_after_the_other(hub, count, **options)

    limits = [{"weight": weight} for weight in weights]
    in_virtual_time(nodes, body, seed=3, limits=limits, routing={"pick": pick})
    return [len(node.asked) for node in nodes]


def test_round_robin_takes_turns_by_weight() -> None:
    """Exactly as often as the weights say."""
    assert shares("round_robin", [1, 1, 1], 300) == [100, 100, 100]
    assert shares("round_robin", [3, 1], 400) == [300, 100]


def test_weighted_goes_by_chance() -> None:
    """About as often as the weights say."""
    first, second = shares("weighted", [3, 1])
    assert 260 < first < 340
    assert first + second == 400


def test_priority_takes_the_first_while_it_is_free() -> None:
    """The others get what the first cannot take, in their order."""
    assert shares("priority", [1, 1, 1]) == [400, 0, 0]


def test_sticky_keeps_a_session_where_it_is() -> None:
    """All calls of a session go to one node; sessions are spread."""
    found = [shares("sticky", [1, 1, 1], 10, session=f"s{number}") for number in range(12)]
    assert all(sorted(counts) == [0, 0, 10] for counts in found)
    assert len({counts.index(10) for counts in found}) > 1


def test_cheapest_takes_the_model_that_costs_least() -> None:
    """By the prices that are known; where the cheap one is out, the next one serves."""
    down = [False]
    nodes = [Node(), Node(behaviour=lambda _node, _now: ServerError("broken", status=500) if down[0] else None)]
    models = {
        f"virtual/{name}": {"pricing": {"input": price, "output": price, "unit": "0.001", "currency": "USD"}}
        for name, price in (("dear", "2"), ("cheap", "1"))
    }
    routes = {"any": {"groups": [["virtual/dear#n0", "virtual/cheap#n1"]], "pick": "cheapest"}}

    async def body(hub: ModelHub) -> None:
        for _ in range(20):
            await hub.chat("any", "Hi")
        assert [len(node.asked) for node in nodes] == [0, 20]
        down[0] = True
        for _ in range(20):
            await hub.chat("any", "Hi")
        assert len(nodes[0].asked) == 20

    in_virtual_time(nodes, body, seed=1, models=models, routes=routes)


def test_adaptive_gives_a_slow_node_less() -> None:
    """A node that is three times as slow gets much less than the others, and something."""
    nodes = [Node(lambda: 0.3), Node(), Node()]
    log, random = Log(), Random(5)
    in_virtual_time(nodes, offered(log, 20.0, 60.0, random), seed=5)
    slow, *fast = (len(node.asked) for node in nodes)
    assert 0 < slow < min(fast) / 2


def test_a_node_that_comes_back_is_eased_in() -> None:
    """After an ejection one probe goes there at a time, and its share grows over ten seconds."""
    nodes = [Node(behaviour=lambda _node, now: ServerError("broken", status=500) if now < 20 else None), Node()]
    log, random = Log(), Random(2)
    in_virtual_time(nodes, offered(log, 20.0, 90.0, random), seed=2)
    assert not log.failed
    times = nodes[0].times
    sick = [at for at in times if at < 20]
    assert len(sick) <= 3 + 5
    back = next(at for at in times if at >= 20)
    early = sum(back < at <= back + 3 for at in times)
    later = sum(back + 20 < at <= back + 23 for at in times)
    assert early < later / 2
