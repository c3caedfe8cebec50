"""How many calls a deployment gets at once, learned from how it takes them."""

import math
from collections.abc import Iterator

import pytest
from benchmarks.simulation import Client, Server, World, option, saturated
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.concurrency import Slots


def answers(slots: Slots, number: int, *, pace: float = 1.0) -> None:
    """Have calls answered while all slots are in use."""
    for _ in range(number):
        slots.in_flight = int(slots.limit)
        slots.answered(1.0, pace)


@given(
    st.floats(1.0, 300.0),
    st.lists(st.tuples(st.sampled_from("yno"), st.floats(0.0, 100.0), st.integers(0, 300)), max_size=100),
)
def test_the_limit_stays_within_its_bounds(start: float, steps: list[tuple[str, float, int]]) -> None:
    """Never below one and never beyond the most, whatever comes."""
    slots = Slots(start)
    for number, (answer, pace, in_flight) in enumerate(steps):
        slots.in_flight = in_flight
        match answer:
            case "y":
                slots.answered(pace, pace, number - pace)
            case "n":
                slots.refused(float(number), number - 0.5)
            case _:
                slots.overloaded(float(number), number - 0.5)
        assert 1.0 <= slots.limit <= max(256.0, start)
        assert slots.full == (in_flight + 1 > slots.limit)


def test_where_somebody_has_said_how_many_there_are_it_does_not_grow() -> None:
    """It shrinks and comes back, and is never more."""
    slots = Slots(2.0, 2.0)
    answers(slots, 100)
    assert slots.limit == 2.0
    slots.overloaded(1.0, 0.5)
    assert slots.limit == pytest.approx(1.4)
    answers(slots, 100)
    assert slots.limit == 2.0


def test_what_is_not_used_does_not_grow() -> None:
    """Answers of a server with little to do say nothing of how many it could take."""
    slots = Slots(16.0)
    for _ in range(1000):
        slots.in_flight = 7
        slots.answered(1.0, 1.0)
    assert slots.limit == 16.0


def test_what_was_sent_together_shrinks_it_once() -> None:
    """Ten refusals of calls that were in flight together are one sign of overload."""
    slots = Slots(16.0)
    for _ in range(10):
        slots.overloaded(1.0, 0.5)
    assert slots.limit == pytest.approx(11.2)
    slots.overloaded(3.0, 2.0)
    assert slots.limit == pytest.approx(7.84)


def test_before_the_first_overload_it_doubles_with_each_round() -> None:
    """A server that takes more is used quickly; after an overload it is at once near that, and then grows slowly."""
    slots = Slots(4.0)
    answers(slots, 10 + 4)
    assert slots.limit == pytest.approx(9.0)
    slots.overloaded(1.0, 0.5)
    assert slots.limit == pytest.approx(6.3)
    answers(slots, 1)
    assert slots.limit == pytest.approx(7.3)
    answers(slots, 7)
    assert slots.limit == pytest.approx(8.3, abs=0.1)


def refusals(slots: Slots, number: int, now: float, *, begun: float) -> None:
    """Have calls refused one after the other, and end."""
    for _ in range(number):
        slots.refused(now, begun)
        slots.end()


def test_what_is_left_of_a_burst_is_what_a_server_takes() -> None:
    """Of sixteen calls it takes eight and refuses the others at once: the limit is seven tenths of the eight."""
    slots = Slots(16.0)
    slots.in_flight = 16
    refusals(slots, 2, 1.0, begun=0.5)
    assert slots.limit == pytest.approx(11.2)
    refusals(slots, 6, 1.0, begun=0.5)
    assert slots.limit == pytest.approx(0.7 * 8)


def test_a_server_that_takes_nothing_is_sent_one_at_a_time_in_the_end() -> None:
    """What it had from before ends well and makes the limit no greater."""
    slots = Slots(16.0)
    answers(slots, 10)
    assert slots.limit == 17.0
    slots.in_flight = 10
    refusals(slots, 3, 10.0, begun=9.9)
    assert slots.limit == pytest.approx(0.7 * 7)
    for _ in range(7):
        slots.answered(5.0, 1.0, 8.0)
        slots.end()
    assert slots.limit == pytest.approx(0.7 * 7)
    slots.begin()
    refusals(slots, 1, 12.0, begun=11.0)
    assert slots.limit == 1.0
    slots.begin()
    slots.answered(1.0, 1.0, 13.0)
    assert slots.limit == 2.0
    answers(slots, 10)
    assert slots.limit == 12.0  # it takes calls again, and is soon given nearly as many as before


def test_refusals_between_successes_are_as_any_overload() -> None:
    """A server that refuses some is given fewer, by three tenths each time, however few it has at the moment."""
    slots = Slots(16.0)
    slots.in_flight = 3
    for turn in range(4):
        slots.refused(turn + 1.0, turn + 0.5)
        slots.answered(1.0, 1.0, turn + 1.0)
    assert slots.limit == pytest.approx(16.0 * 0.7**4)


def test_slower_answers_stop_it_beyond_what_it_began_with() -> None:
    """They come from a queue; but what it began with is always reached again."""
    slots = Slots(8.0)
    answers(slots, 10)
    grown = slots.limit
    answers(slots, 500, pace=3.0)
    assert slots.limit <= grown + 8.0  # the mean needs some answers to see it
    for turn in range(5):
        slots.overloaded(turn + 1.0, turn + 0.5)
    assert slots.limit < 3.0
    answers(slots, 500, pace=3.0)
    assert 8.0 <= slots.limit <= 9.0


def test_its_rate_is_how_many_it_ends() -> None:
    """Nothing is known before the first answer."""
    slots = Slots(4.0)
    assert slots.rate == math.inf
    slots.answered(2.0, 1.0)
    assert slots.rate == 2.0
    assert repr(slots) == "<Slots: 0 of 4.0 in use>"


def limits_each_second(client: Client, server: Server, capacities: dict[float, int], end: int) -> Iterator[float]:
    """Run, changing what the server takes at some times, and yield the limit each second."""
    world = client.world
    for when, capacity in capacities.items():
        world.at(when, lambda capacity=capacity: setattr(server, "slots", capacity))
    slots = next(iter(client.route.options)).vitals.slots
    for second in range(1, end):
        world.run(float(second))
        yield slots.limit


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_follows_what_a_server_takes(seed: int) -> None:
    """A server that takes 8, then 2, then 8 calls and refuses the others: within 2 of that in less than 30 seconds."""
    world = World(seed)
    server = Server(world, 8, backlog=0, sigma=0.5)
    client = Client(world, [(option("a", limit=16, most=256, queue=160), server)], retries=50)
    saturated(client, 24, 180.0)
    limits = list(limits_each_second(client, server, {60.0: 2, 120.0: 8}, 180))
    for capacity, begins in ((8, 0), (2, 60), (8, 120)):
        settled = limits[begins + 30 : begins + 59]
        assert all(abs(limit - capacity) <= 2.0 for limit in settled)


@pytest.mark.parametrize("signal", ["first_token", "seconds"])
def test_a_server_that_only_queues_is_not_given_more_and_more(signal: str) -> None:
    """It refuses nothing and works on two: however long it is saturated, the limit stays near what it began with."""
    world = World(1)
    server = Server(world, 2, mean=0.2)
    client = Client(world, [(option("a", limit=16, most=256, queue=160), server)], signal=signal)
    saturated(client, 100, 700.0)
    world.run(700.0)
    assert client.outcome.calls > 5_000
    assert server.most <= 32
