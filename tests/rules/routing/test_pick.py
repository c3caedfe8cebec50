"""Which deployment is called: by load and speed, by share, in turn, by price, by session."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.latency import Latency
from modelhub.rules.routing.pick import adaptive, cheapest, priority, rendezvous, round_robin, sticky, weighted


@dataclass(eq=False)
class Member:
    """A deployment, as far as picking knows it."""

    id: str
    weight: float = 1.0
    in_flight: int = 0
    latencies: dict[str, Latency] = field(default_factory=dict)


def members(*weights: float) -> list[Member]:
    """Return deployments with shares."""
    return [Member(f"m{number}", weight) for number, weight in enumerate(weights)]


def slow(member: Member, seconds: float, samples: int = 100) -> None:
    """Make a deployment answer in so many seconds."""
    latency = member.latencies.setdefault("s", Latency())
    for _ in range(samples):
        latency.add(seconds)


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=6), st.integers(1, 300))
def test_turns_are_as_even_as_shares_allow(weights: list[float], turns: int) -> None:
    """At no time has any had more than one turn more, or fewer by one for each of the others, than its share."""
    each, saved = members(*weights), {}
    counts: Counter[str] = Counter(round_robin(each, saved).id for _ in range(turns))
    for member in each:
        fair = turns * member.weight / sum(weights)
        assert -len(weights) <= counts[member.id] - fair <= len(weights)


def test_turns_are_spread() -> None:
    """A heavy one does not take its turns in a row."""
    each, saved = members(5.0, 1.0, 1.0), {}
    order = "".join(round_robin(each, saved).id[1] for _ in range(14))
    assert order == "00102000010200"[:14] or order == "0010200" * 2


def test_whoever_cannot_be_called_saves_no_turns() -> None:
    """It does not come back to a run of calls."""
    each, saved = members(1.0, 1.0, 1.0), {}
    for _ in range(100):
        round_robin(each[:2], saved)
    counts = Counter(round_robin(each, saved).id for _ in range(9))
    assert set(counts.values()) == {3}


@given(st.integers(0, 50))
def test_shares_are_kept_at_random(seed: int) -> None:
    """Within what chance allows."""
    each, random = members(1.0, 2.0, 5.0), Random(seed)
    counts = Counter(weighted(each, random).id for _ in range(4000))
    for member in each:
        assert counts[member.id] == pytest.approx(4000 * member.weight / 8.0, abs=150)


def test_priority_takes_the_first() -> None:
    """The others are for when it is not there."""
    each = members(1.0, 100.0)
    assert priority(each) is each[0]


def test_adaptive_takes_the_one_with_least_to_do() -> None:
    """By its share: one with twice the share has twice the calls."""
    each, random = members(1.0, 2.0, 1.0), Random(1)
    for _ in range(400):
        adaptive(each, "s", random).in_flight += 1
    assert [member.in_flight for member in each] == pytest.approx([100, 200, 100], abs=15)


def test_adaptive_gives_a_slow_one_less() -> None:
    """In proportion to how slow it is, its samples being many."""
    each, random = members(1.0, 1.0, 1.0), Random(1)
    for member, seconds in zip(each, (1.0, 1.0, 4.0), strict=True):
        slow(member, seconds)
    for _ in range(600):
        adaptive(each, "s", random).in_flight += 1
    assert 50 < each[2].in_flight < each[0].in_flight / 2


def test_one_slow_answer_costs_little() -> None:
    """A single sample of a minute is chance until more say the same."""
    each, random = members(1.0, 1.0), Random(1)
    slow(each[0], 1.0)
    slow(each[1], 60.0, samples=1)
    for _ in range(200):
        adaptive(each, "s", random).in_flight += 1
    assert each[1].in_flight > 75


def test_adaptive_never_herds() -> None:
    """Among those that are equal each is taken as often, and a slightly faster one is not taken always."""
    random = Random(1)
    each = members(*[1.0] * 8)
    for number, member in enumerate(each):
        slow(member, 1.0 + number / 100)
    counts = Counter(adaptive(each, "s", random).id for _ in range(8000))
    assert all(850 < count < 1150 for count in counts.values())


def test_a_deployment_that_nothing_is_known_of_is_as_fast_as_the_others() -> None:
    """It is neither flooded nor shunned."""
    each, random = members(1.0, 1.0, 1.0), Random(1)
    slow(each[0], 0.1)
    slow(each[1], 0.1)
    counts = Counter(adaptive(each, "s", random).id for _ in range(3000))
    assert all(850 < count < 1150 for count in counts.values())


def test_of_very_many_two_are_compared() -> None:
    """The load is even all the same."""
    each, random = members(*[1.0] * 200), Random(1)
    for _ in range(2000):
        adaptive(each, "s", random).in_flight += 1
    assert max(member.in_flight for member in each) <= 14


def test_the_cheapest_is_taken_and_load_decides_between_equal_prices() -> None:
    """What has no price is the last."""
    each, random = members(1.0, 1.0, 1.0, 1.0), Random(1)
    prices = {"m1": 2.0, "m2": 1.0, "m3": 1.0}
    each[2].in_flight = 5
    assert cheapest(each, prices, "s", random) is each[3]
    assert cheapest(each[:2], prices, "s", random) is each[1]
    assert cheapest(each[:1], prices, "s", random) is each[0]


@given(st.integers(2, 12), st.integers(0, 99))
def test_few_keys_move_when_one_goes(number: int, seed: int) -> None:
    """Those of it alone: one in so many, about; nobody else's."""
    each = members(*[1.0] * number)
    gone = each[seed % number]
    left = [member for member in each if member is not gone]
    moved = 0
    for key in range(300):
        before, after = rendezvous(each, f"{seed} {key}")[0], rendezvous(left, f"{seed} {key}")[0]
        assert after is before or before is gone
        moved += after is not before
    assert moved == pytest.approx(300 / number, abs=60)


def test_keys_are_shared_out_by_weight() -> None:
    """Whatever the order in which deployments are named."""
    each = members(1.0, 3.0)
    counts = Counter(rendezvous(each, str(key))[0].id for key in range(4000))
    assert counts["m1"] == pytest.approx(3000, abs=120)
    assert all(rendezvous(each[::-1], str(key))[0] is rendezvous(each, str(key))[0] for key in range(100))


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from([0.5, 1.0, 2.0])), min_size=1, max_size=8), st.data())
def test_a_session_leaves_one_that_is_busy(loads: list[tuple[int, float]], data: st.DataObject) -> None:
    """What is taken is never busier than a quarter above its share and one, and is the first that is not."""
    each = members(*[weight for _, weight in loads])
    for member, (in_flight, _) in zip(each, loads, strict=True):
        member.in_flight = in_flight
    order = data.draw(st.permutations(each))
    share = sum(member.in_flight for member in each) / sum(member.weight for member in each)
    taken = sticky(each, order)
    assert taken.in_flight <= 1.25 * share * taken.weight + 1
    for member in order[: order.index(taken)]:
        assert member.in_flight > 1.25 * share * member.weight + 1
