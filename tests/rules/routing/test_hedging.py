"""When a call is hedged, and that hedges cost a twentieth of a route's calls at most."""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from benchmarks.simulation import Place, option
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.hedging import Hedging
from modelhub.rules.routing.pool import Pool
from modelhub.rules.routing.rates import RateBucket, Rates


def after(samples: Sequence[float]) -> float | None:
    """Return how long a call waits after these."""
    hedging = Hedging(RetryBudget())
    for sample in samples:
        hedging.add("first_token", sample)
    return hedging.after("first_token")


def test_too_little_is_known_of_nineteen_answers() -> None:
    """The twentieth makes it enough."""
    assert after([1.0] * 19) is None
    assert after([1.0] * 20) is not None


def test_after_what_95_of_100_take() -> None:
    """And not before twice what half of them take: the second would hardly be faster."""
    assert after([1.0] * 190 + [5.0] * 10) == 5.0
    assert after([1.0] * 191 + [5.0] * 9) == 2.0


def test_the_newest_count() -> None:
    """What was long ago is forgotten."""
    assert after([9.0] * 300 + [1.0] * 200) == 2.0


@given(st.lists(st.floats(0.001, 100.0), min_size=20, max_size=450))
def test_as_sorting_them_would_find(samples: list[float]) -> None:
    """Whatever they are, and however many were forgotten."""
    newest = sorted(samples[-200:])
    expected = max(newest[int(0.95 * len(newest))], 2.0 * newest[len(newest) // 2])
    assert after(samples) == expected


def test_kinds_of_answers_are_told_apart() -> None:
    """What is known of streams says nothing of whole answers."""
    hedging = Hedging(RetryBudget())
    for _ in range(20):
        hedging.add("first_token", 1.0)
    assert hedging.after("seconds") is None
    assert repr(hedging) == "<Hedging: 20 samples, 2.0 hedges saved up>"


def test_a_call_whose_hedge_was_faster_counts_as_slow() -> None:
    """Otherwise the limit would sink to what is not slow at all. It earns nothing."""
    hedging = Hedging(RetryBudget())
    for _ in range(190):
        hedging.add("first_token", 1.0)
    for _ in range(10):
        hedging.overtaken("first_token", 6.0)
    assert hedging.after("first_token") == 6.0
    assert repr(hedging) == "<Hedging: 200 samples, 10.0 hedges saved up>"


@given(st.lists(st.booleans(), max_size=300))
def test_a_twentieth_at_most(wanted: list[bool]) -> None:
    """And one to begin with, however often one is wanted."""
    hedging = Hedging(RetryBudget(floor=1000.0))
    made = 0
    for calls, want in enumerate(wanted):
        made += want and hedging.spend(0.0)
        assert made <= 1 + calls / 20 + 1e-9
        hedging.add("first_token", 1.0)


@pytest.mark.parametrize("floor", [0.0, 10.0])
def test_what_retries_may_cost_is_shared(floor: float) -> None:
    """A hedge takes one from it; where nothing is left there, none is taken here either."""
    budget = RetryBudget(floor=floor)
    hedging = Hedging(budget)
    assert hedging.spend(0.0) is (floor > 0.0)
    assert budget.tokens == max(0.0, floor - 1.0)
    assert repr(hedging) == f"<Hedging: 0 samples, {0.0 if floor else 1.0} hedges saved up>"


def route() -> Route[Place]:
    """Return a route of two groups, of which the first has three deployments."""
    first = (option("a"), option("b"), option("c"))
    return Route("r", (Group(first, "priority"), Group((option("d"),))), RetryBudget())


def test_a_hedge_is_made_where_its_group_is_well() -> None:
    """Not where the call is already, whatever that is called, nor where something is ejected, nor in another group."""
    way = route()
    a, b, c = way.groups[0].options
    again = Option(a.deployment, a.vitals)
    course = Course(replace(way, groups=(Group((again, a, b, c)), *way.groups[1:])))
    b.vitals.breaker.failed(0.0, 9.0, Random(1), begun=0.0, probe=False)
    assert [option.id for group in course.beside(a).groups for option in group.options] == ["c"]
    assert len(course.left) == 5


def test_a_deployment_that_is_overtaken_is_known_to_be_slow() -> None:
    """It takes so long at least; less than is known says nothing."""
    pool, way = Pool(Random(1)), route()
    for seconds, known in ((4.0, 4.0), (1.0, 4.0), (8.0, 6.0)):
        lease = pool.choose(Course(way), 0.0)
        assert lease is not None
        pool.overtaken(lease, seconds)
        pool.overtaken(lease, 99.0)
        assert lease.option.latencies["first_token"].mean == known
        assert lease.option.in_flight == 0


def test_what_is_not_sent_is_not_paid_for() -> None:
    """Its place and what was reserved for it are free again."""
    pool, way = Pool(Random(1)), route()
    rates = Rates(RateBucket(1.0), RateBucket(math.inf))
    way.options[0].vitals.rates = rates
    for _ in range(3):
        lease = pool.choose(Course(way), 0.0)
        assert lease is not None
        assert lease.option is way.options[0]
        pool.unsent(lease, 0.0)
        pool.unsent(lease, 0.0)
        assert lease.option.in_flight == 0
