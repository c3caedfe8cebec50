"""Calls that wait: who is served, who is refused, and what is left of those who go."""

from random import Random

import pytest
from benchmarks.simulation import Place, option

from modelhub.errors import DeadlineExceeded, LocalRateLimited, QueueFull
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.pool import Lease, Pool
from modelhub.rules.routing.queue import Ticket
from modelhub.rules.routing.rates import RateBucket, Rates


def route(*options: Option[Place]) -> Route[Place]:
    """Return a route of one group."""
    return Route("r", (Group(options, "priority"),), RetryBudget())


def one(*, limit: float = 1, queue: int = 4) -> Option[Place]:
    """Return a deployment with so many slots."""
    return option("a", limit=limit, most=limit, queue=queue)


def filled(pool: Pool, way: Route[Place]) -> list[Lease[Place]]:
    """Take every slot."""
    leases = []
    while (lease := pool.choose(Course(way), 0.0)) is not None:
        leases.append(lease)
    return leases


def waits(pool: Pool, way: Route[Place], woken: list[int], **course: float) -> Ticket:
    """Have a call wait; it is noted when it is woken."""
    number = len(woken)
    woken.append(0)

    def wake() -> None:
        woken[number] += 1

    return pool.wait(Course(way, **course), 0.0, wake)


def test_those_who_wait_are_served_in_order() -> None:
    """And nobody goes before them."""
    pool, way, woken = Pool(Random(1)), route(one()), []
    (lease,) = filled(pool, way)
    first, second = waits(pool, way, woken), waits(pool, way, woken)
    pool.succeeded(lease, 1.0)
    assert first.lease is not None
    assert second.lease is None
    assert pool.choose(Course(way), 1.0) is None
    pool.succeeded(first.lease, 2.0)
    assert second.lease is not None
    assert all(woken)
    assert [repr(first), repr(second)] == ["<Ticket served for 1 deployments>"] * 2


def test_so_many_wait_as_all_deployments_together_have_places() -> None:
    """Eight and four; the next is told that there is no room, and when to come again."""
    way = route(one(limit=2, queue=8), option("b", limit=1, most=1, queue=4))
    pool, woken = Pool(Random(1)), []
    filled(pool, way)
    for _ in range(12):
        waits(pool, way, woken)
    with pytest.raises(QueueFull) as caught:
        waits(pool, way, woken)
    assert caught.value.retry_after == 1.0


def test_where_nobody_may_wait_nobody_does() -> None:
    """Without places a call is refused at once."""
    pool, way = Pool(Random(1)), route(one(queue=0))
    filled(pool, way)
    with pytest.raises(QueueFull):
        waits(pool, way, [])


def test_a_call_that_could_not_be_served_in_time_does_not_wait() -> None:
    """Answers take ten seconds each, and two wait already."""
    pool, way, woken = Pool(Random(1)), route(one()), []
    filled(pool, way)[0].option.vitals.slots.answered(10.0, 10.0)
    waits(pool, way, woken, deadline=10.5)
    waits(pool, way, woken, deadline=20.5)
    with pytest.raises(DeadlineExceeded) as caught:
        waits(pool, way, woken, deadline=29.0)
    assert caught.value.retry_after == pytest.approx(10.0)
    waits(pool, way, woken, deadline=31.0)


def test_who_goes_gives_back_what_was_given_meanwhile() -> None:
    """The slot goes to the next, and what was counted against the rate is not used."""
    place = one()
    place.vitals.rates = Rates(requests=RateBucket(2, 60.0))
    pool, way, woken = Pool(Random(1)), route(place), []
    (lease,) = filled(pool, way)
    first, second = waits(pool, way, woken), waits(pool, way, woken)
    pool.succeeded(lease, 1.0)
    assert first.lease is not None
    assert place.vitals.rates.wait(0.0, 1.0) > 0.0
    pool.leave(first, 1.0)
    assert second.lease is not None
    pool.leave(second, 1.0)
    assert place.in_flight == 0
    assert place.vitals.rates.wait(0.0, 1.0) == 0.0


def test_a_rate_is_waited_for_if_it_is_near() -> None:
    """A minute at most; whoever cannot be served at all is told so, and keeps nobody else waiting."""
    place = one(limit=8)
    place.vitals.rates = Rates(tokens=RateBucket(100, 30.0))
    pool, way, woken = Pool(Random(1)), route(place), []
    assert pool.choose(Course(way, tokens=90.0), 0.0) is not None
    ticket = waits(pool, way, woken, tokens=90.0)
    assert 29.0 < ticket.until(0.0) <= 31.0
    with pytest.raises(LocalRateLimited):
        waits(pool, way, woken, tokens=90.0, deadline=20.0)
    with pytest.raises(LocalRateLimited) as caught:
        waits(pool, way, woken, tokens=101.0)
    assert caught.value.retry_after is None
    pool.leave(ticket, 0.0)
    assert pool.choose(Course(way, tokens=10.0), 0.0) is not None


def test_those_who_went_leave_nothing_behind() -> None:
    """However many come and go behind one who stays."""
    place = one()
    pool, way, woken = Pool(Random(1)), route(place), []
    filled(pool, way)
    waits(pool, way, woken)
    for _ in range(1000):
        pool.leave(waits(pool, way, woken), 0.0)
    assert place.vitals.queued == 1
    assert len(place.vitals.waiting) < 50
    assert sum(woken) == 0


def test_a_fallback_is_used_where_the_first_is_out_and_waited_past_where_it_is_busy() -> None:
    """A busy one is waited for; whoever waits learns when it is out."""
    first, second = one(), option("b")
    way = Route("r", (Group((first,)), Group((second,))), RetryBudget())
    pool, woken = Pool(Random(1)), []
    assert pool.choose(Course(way), 0.0) is not None
    ticket = waits(pool, way, woken)
    assert ticket.lease is None
    first.vitals.rest(0.0, 30.0, 0.0)
    pool.changed(first.vitals)
    assert woken == [1]
    pool.look_again(ticket, 0.0)
    assert ticket.lease is not None
    assert ticket.lease.option is second
