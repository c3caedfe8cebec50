"""Each way to pick is heeded, and what happens to deployments is told and learned."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from benchmarks.simulation import Place, option

from modelhub.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    ModelHubError,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
)
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Pick, Route
from modelhub.rules.routing.pool import Change, Lease, Pool
from modelhub.rules.routing.rates import RateBucket, Rates
from modelhub.rules.routing.verdict import verdict


def route(pick: Pick = "adaptive") -> Route[Place]:
    """Return a route of three deployments, the second with twice the weight."""
    options = (option("a"), option("b", share=2.0), option("c"))
    return Route("r", (Group(options, pick),), RetryBudget())


def chosen(pool: Pool, way: Route[Place], now: float = 0.0, **course: Any) -> Lease[Place]:
    """Return a call's place."""
    lease = pool.choose(Course(way, **course), now)
    assert lease is not None
    return lease


def fail(pool: Pool, lease: Lease[Place], error: ModelHubError, now: float) -> None:
    """Have a call fail."""
    pool.failed(lease, error, verdict(error), now)


@pytest.mark.parametrize(
    ("pick", "course", "expected"),
    [
        ("adaptive", {}, {"a": 100, "b": 200, "c": 100}),
        ("weighted", {}, {"a": 100, "b": 200, "c": 100}),
        ("round_robin", {}, {"a": 100, "b": 200, "c": 100}),
        ("priority", {}, {"a": 400}),
        ("cheapest", {"prices": {"a": 3.0, "c": 1.0}}, {"c": 400}),
        ("cheapest", {}, {"a": 100, "b": 200, "c": 100}),
        ("sticky", {}, {"a": 100, "b": 200, "c": 100}),
    ],
)
def test_the_routes_way_to_pick_is_heeded(pick: Pick, course: dict[str, Any], expected: dict[str, int]) -> None:
    """Where nothing tells deployments apart, by weight."""
    pool, way = Pool(Random(1)), route(pick)
    counts = Counter(chosen(pool, way, **course).option.id for _ in range(400))
    assert counts == pytest.approx(expected, abs=30)


class Turns:
    """Calls of a route whose deployments take turns, many of them under way at once.

    Attributes:
        counts: How often each deployment was chosen since the last `afresh`.
    """

    def __init__(self, seed: int) -> None:
        self.random, self.pool = Random(seed), Pool(Random(seed))
        self.way = Route("r", (Group(tuple(option(name, limit=64) for name in "abc"), "round_robin"),), RetryBudget())
        self.leases: list[Lease[Place]] = []
        self.counts: Counter[str] = Counter()

    def afresh(self) -> None:
        """Count from now on."""
        self.counts.clear()

    def off(self, names: str) -> float:
        """Return how many calls any of some deployments is away from its share of theirs."""
        counts = [self.counts[name] for name in names]
        return max(abs(count - sum(counts) / len(counts)) for count in counts)

    def step(self, now: float) -> None:
        """Have a call begin, or any of those under way end well; fifty at once at most."""
        if self.random.random() < 0.6 and len(self.leases) < 50:
            self.leases.append(chosen(self.pool, self.way, now))
            self.counts[self.leases[-1].option.id] += 1
        elif self.leases:
            lease = self.leases.pop(self.random.randrange(len(self.leases)))
            self.pool.succeeded(lease, now, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_turns_are_equal_whatever_is_under_way(seed: int) -> None:
    """With many calls at once, that end in any order, no deployment is ever a whole turn away from its share."""
    turns = Turns(seed)
    for number in range(2000):
        turns.step(number / 100.0)
        assert turns.off("abc") < 1
    assert turns.counts.total() > 900


@pytest.mark.parametrize("seed", range(5))
def test_who_is_out_misses_its_turns_and_then_has_them_as_before(seed: int) -> None:
    """The others share them equally. Who is back gets none for those it missed, and all its own ten seconds later."""
    turns = Turns(seed)
    for number in range(200):
        turns.step(number / 100.0)
    second = turns.way.options[1]
    for lease in [lease for lease in turns.leases if lease.option is second][:3]:
        fail(turns.pool, lease, ServerError("x"), 2.0)
        turns.leases.remove(lease)
    assert not second.vitals.breaker.closed
    turns.afresh()
    for number in range(200):
        turns.step(2.0 + number / 1000.0)
        assert turns.counts["b"] == 0
        assert turns.off("ac") <= 1
    now = second.vitals.breaker.until
    while not second.vitals.breaker.closed:
        turns.step(now)
        now += 0.01
    back = now
    turns.afresh()
    while now < back + 5.0:
        turns.step(now)
        now += 0.01
    assert 0 < turns.counts["b"] < turns.counts["a"] / 2
    assert turns.off("ac") <= 1
    turns.step(back + 10.0)
    turns.afresh()
    for _ in range(1000):
        turns.step(back + 10.0)
        assert turns.off("abc") <= 1


def test_a_turn_that_a_busy_deployment_cannot_take_is_not_saved_up() -> None:
    """It is the next one's; when a slot is free again, it is one of three as before."""
    turns = Turns(1)
    second = turns.way.options[1].vitals.slots
    second.limit = 1.0
    leases = [chosen(turns.pool, turns.way) for _ in range(30)]
    assert Counter(lease.option.id for lease in leases) == pytest.approx({"a": 14.5, "b": 1, "c": 14.5}, abs=0.5)
    second.limit = 64.0
    order = [chosen(turns.pool, turns.way).option.id for _ in range(12)]
    assert all(sorted(order[at : at + 3]) == ["a", "b", "c"] for at in range(0, 12, 3))


def rest(pool: Pool, way: Route[Place], leases: list[Lease[Place]], error: ModelHubError, now: float) -> float:
    """Have calls fail with the same error, and return for how long their deployment rests."""
    for lease in leases:
        fail(pool, lease, error, now)
    return max(0.0, way.options[0].vitals.rests_until - now)


def test_who_refuses_the_only_call_rests_for_longer_each_time() -> None:
    """It is no fault, and nothing else would keep the next call away; the first answer ends it."""
    pool, way = Pool(Random(1)), Route("r", (Group((option("a"),)),), RetryBudget())
    now = 0.0
    for most in (0.5, 1.0, 2.0, 4.0, 8.0, 8.0):
        assert most / 2 <= rest(pool, way, [chosen(pool, way, now)], Overloaded("x"), now) <= most
        assert way.options[0].vitals.breaker.closed
        now = way.options[0].vitals.rests_until
    pool.succeeded(chosen(pool, way, now), now + 1.0)
    assert rest(pool, way, [chosen(pool, way, now + 1.0)], Overloaded("x"), now + 1.0) <= 0.5


def test_who_refuses_some_of_its_calls_rests_only_where_it_asks_for_it() -> None:
    """With fewer calls it can go on at once; whoever counts calls by the minute rests in any case."""
    pool, way = Pool(Random(1)), Route("r", (Group((option("a"),)),), RetryBudget())
    leases = [chosen(pool, way) for _ in range(8)]
    assert rest(pool, way, leases[:4], Overloaded("x"), 1.0) == 0.0
    assert rest(pool, way, leases[4:5], Overloaded("x", retry_after=3.0), 1.0) == 3.0
    assert 0.5 <= rest(pool, way, leases[5:6], RateLimited("x"), 5.0) <= 1.0


def test_operators_are_told_what_happens() -> None:
    """Of an ejection until when and why, of a recovery, and of a key that is not used any more."""
    told: list[Change] = []
    pool, way = Pool(Random(1), on_change=lambda _, change: told.append(change)), route("priority")
    leases = [chosen(pool, way) for _ in range(3)]
    for lease in leases:
        fail(pool, lease, ServerError("x"), 1.0)
    until = leases[0].option.vitals.breaker.until
    for _ in range(2):
        pool.succeeded(chosen(pool, way, until), until)
    fail(pool, chosen(pool, way, until), QuotaExhausted("x"), until)
    assert told == [
        Change("ejected", "a", until, "ServerError"),
        Change("recovered", "a", 0.0, ""),
        Change("credential disabled", "a", until + 900.0, "QuotaExhausted"),
    ]


def test_a_right_that_is_lacking_for_one_model_refuses_no_key() -> None:
    """Another model may be called with it."""
    told: list[Change] = []
    pool, way = Pool(Random(1), on_change=lambda _, change: told.append(change)), route("priority")
    lease = chosen(pool, way)
    fail(pool, lease, PermissionDenied("x"), 1.0)
    block = lease.option.vitals.block(1.0, 0.0)
    assert block is not None
    assert block.reason == "no such model"
    assert told == []


def test_silence_ejects_as_a_failure_does() -> None:
    """Those who wait are told, and so are operators."""
    told: list[Change] = []
    pool, way = Pool(Random(1), on_change=lambda _, change: told.append(change)), route()
    first = way.options[0]
    for _ in range(2):
        pool.found_silent(first, 2.0, 1.0, begun=0.5)
    assert [change.what for change in told] == ["ejected"]
    assert not first.vitals.ready(1.0, 0.0)


def test_tokens_are_counted_as_they_were_used() -> None:
    """What was expected is corrected, and given back where nothing was sent."""
    way = route("priority")
    rates = way.options[0].vitals.rates = Rates(tokens=RateBucket(100.0, 60.0))
    pool = Pool(Random(1))
    lease = chosen(pool, way, tokens=80.0)
    assert rates.wait(30.0, 0.0) > 0.0
    pool.used(lease, 50.0, 1.0)
    assert rates.wait(50.0, 1.0) == 0.0
    pool.succeeded(lease, 1.0)
    lease = chosen(pool, way, 1.0, tokens=50.0)
    fail(pool, lease, ServerError("x", sent=False), 2.0)
    assert rates.wait(50.0, 2.0) == 0.0
    pool.used(chosen(pool, route()), 50.0, 2.0)


def test_a_place_says_what_becomes_of_it() -> None:
    """As a status line."""
    pool, way = Pool(Random(1)), route("priority")
    lease = chosen(pool, way)
    assert repr(lease) == "<Lease of a: in flight>"
    pool.succeeded(lease, 1.0)
    assert repr(lease) == "<Lease of a: ended>"
    way.options[0].vitals.breaker.hint(2.0)
    assert repr(chosen(pool, way, 2.0)) == "<Lease of a: probing>"
    assert [repr(pool), repr(Pool(Random(1), panic=False))] == ["<Pool>", "<Pool without panic>"]


def ejected(pool: Pool, way: Route[Place], now: float) -> None:
    """Have every deployment of a route ejected."""
    for each in way.options:
        for _ in range(3):
            each.vitals.breaker.failed(now, 1.0, Random(1), begun=now, probe=False)
    assert pool.choose(Course(way), now) is None


def test_the_last_resort_is_what_failed_longest_ago() -> None:
    """Whatever was ejected for how long: it is the likeliest to be well again."""
    pool, way = Pool(Random(1)), route("priority")
    for now, each in zip((3.0, 1.0, 2.0), way.options, strict=True):
        for _ in range(3):
            each.vitals.breaker.failed(now, 1.0, Random(1), begun=now, probe=False)
    order = []
    for number in range(4):
        now = 3.1 + number / 100.0
        lease = pool.wait(Course(way), now, lambda: None).lease
        assert lease is not None
        order.append(lease.option.id)
        fail(pool, lease, ServerError("x"), now)
    assert order == ["b", "c", "a", "b"]


def test_what_is_tried_as_the_last_resort_is_within_its_limits() -> None:
    """Neither requests nor money go beyond what was allowed, although nothing is well."""
    pool, way = Pool(Random(1)), route()
    ejected(pool, way, 0.0)
    for each in way.options:
        each.vitals.rates = Rates(RateBucket(1.0))
    tickets = [pool.wait(Course(way), 0.1, lambda: None) for _ in range(5)]
    assert sorted(ticket.lease.option.id for ticket in tickets if ticket.lease) == ["a", "b", "c"]


def test_what_there_is_no_money_for_is_no_last_resort() -> None:
    """Others are, though they are ejected too; where there are none, the call is told when there is money again."""
    pool, way = Pool(Random(1)), route()
    ejected(pool, way, 0.0)
    first, second, third = way.options
    first.vitals.key.broke_until = second.vitals.key.broke_until = 1000.0
    lease = pool.wait(Course(way), 0.1, lambda: None).lease
    assert lease is not None
    assert lease.option is third
    third.vitals.key.broke_until = 1000.0
    with pytest.raises(BudgetExceeded) as caught:
        pool.wait(Course(way), 0.1, lambda: None)
    assert caught.value.retry_after == pytest.approx(999.9)


def test_a_call_that_was_sent_before_a_key_was_refused_does_not_bring_it_back() -> None:
    """It is used again by one that was sent since: long streams end well with a key that is revoked meanwhile."""
    pool, way = Pool(Random(1)), route("priority")
    old, refused = chosen(pool, way, 0.0), chosen(pool, way, 1.0)
    key = old.option.vitals.key
    fail(pool, refused, AuthenticationFailed("x", status=401), 2.0)
    pool.succeeded(old, 3.0)
    assert key.refused_until == 62.0
    pool.succeeded(chosen(pool, way, 62.0), 63.0)
    assert key.refused_until < 63.0
