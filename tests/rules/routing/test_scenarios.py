"""What callers get while servers fail, hang, are full and come back, in virtual time and with the real pool."""

from functools import partial
from random import Random

import pytest
from benchmarks.simulation import Client, Server, World, option, poisson, saturated
from tests.rules.routing.places import Place

from modelhub.errors import CircuitOpen, RateLimited, ServerError
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.health import Ejection
from modelhub.rules.routing.pool import Change, Lease, Pool
from modelhub.rules.routing.verdict import verdict


def fault_at(world: World, server: Server, when: float, fault: str) -> None:
    """Have a server behave in a way from a time on."""
    world.at(when, partial(setattr, server, "fault", fault))


@pytest.mark.parametrize(("fault", "wasted"), [("broken", 20), ("refused", 20), ("hangs", 40)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_black_hole_swallows_few_calls(fault: str, wasted: int, seed: int) -> None:
    """One of eight fails, fast or slowly, for 40 % of the time: nobody gets an error, and few calls are lost on it."""
    world = World(seed)
    servers = [(option(f"e{number}"), Server(world)) for number in range(8)]
    client = Client(world, servers)
    fault_at(world, servers[0][1], 60.0, fault)
    fault_at(world, servers[0][1], 140.0, "")
    poisson(world, 0.7 * 32, 200.0, client.call)
    world.run()
    assert not client.outcome.errors
    assert servers[0][1].wasted <= wasted
    assert client.outcome.percentile(0.99) < 8.0
    assert servers[0][1].asked > client.outcome.calls / 40  # and it is used again


@pytest.mark.parametrize("fault", ["refused", "broken"])
def test_one_dead_node_of_three_is_noticed_by_nobody(fault: str) -> None:
    """Two calls at once each, 10,000 in all: no error, and four calls at most per ejection find out."""
    world = World(1)
    servers = [(option(f"e{number}", limit=2, most=2), Server(world, 2, sigma=0.5)) for number in range(3)]
    client = Client(world, servers, timeout=120.0)
    cycles: list[Change] = []
    client.pool = Pool(Random(1), on_change=lambda _, change: cycles.append(change))
    fault_at(world, servers[0][1], 0.0, fault)
    poisson(world, 2.5, 4000.0, client.call)
    world.run()
    assert client.outcome.calls >= 9_500
    assert not client.outcome.errors
    ejections = [change for change in cycles if change.what == "ejected"]
    assert servers[0][1].wasted <= 3 + len(ejections)
    assert len(ejections) <= 6 + 4000 / 150
    assert all(server.most <= 2 for _, server in servers)


@pytest.mark.parametrize("mean", [0.1, 1.0])
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_node_that_falls_sick_and_says_that_it_is_busy_is_sent_little(seed: int, mean: float) -> None:
    """One of three refuses all that comes while twenty calls are under way: six find out, and one after each pause.

    Those that it had end well in the meantime. When it takes calls again it soon has its share of them.
    """
    world = World(seed)
    servers = [(option(f"e{number}", limit=2), Server(world, 64, mean=mean, sigma=0.5)) for number in range(3)]
    client, sick = Client(world, servers), servers[0][1]
    fallen, end = 40.0 * mean, 100.0 * mean + 60.0
    saturated(client, 20, end)
    fault_at(world, sick, fallen, "busy")
    world.run(fallen + 0.006)
    before = sick.wasted  # they were sent before the first refusal came back
    world.run(fallen + 1.0)
    assert sick.wasted - before <= 6 + 2
    world.run(fallen + 30.0)
    assert sick.wasted - before <= 6 + 8
    sick.fault = ""
    world.run(fallen + 30.0 + 8.0 + 10.0 * mean)
    asked = [server.asked for _, server in servers]
    world.run(end)
    shares = [server.asked - earlier for (_, server), earlier in zip(servers, asked, strict=True)]
    assert shares[0] >= 0.8 * sum(shares) / 3
    assert not client.outcome.errors


def test_a_total_outage_is_not_made_worse() -> None:
    """A thousand calls to what is all down are 1.2 times as many at most, and the floor."""
    world = World(1)
    servers = [(option(f"e{number}"), Server(world)) for number in range(3)]
    client = Client(world, servers)
    for _, server in servers:
        server.fault = "broken"
    poisson(world, 100.0, 10.0, client.call)
    world.run()
    calls = client.outcome.calls
    assert calls == sum(client.outcome.errors.values()) > 900
    assert client.outcome.attempts <= 1.2 * calls + 10
    assert set(client.outcome.errors) == {"ServerError"}


def test_after_an_outage_the_first_call_succeeds() -> None:
    """With all ejected calls are sent all the same, so that no call is lost once a server is back."""
    world = World(1)
    servers = [(option(f"e{number}"), Server(world, sigma=0.1, mean=0.1)) for number in range(3)]
    client = Client(world, servers)
    for _, server in servers:
        server.fault = "refused"
        fault_at(world, server, 100.0, "")
    poisson(world, 5.0, 100.0, client.call)
    world.run(100.0)
    errors = client.outcome.errors.total()
    poisson(world, 5.0, 30.0, client.call)
    world.run()
    assert client.outcome.errors.total() == errors > 300
    assert any(option.vitals.breaker.closed for option in client.route.options)


def test_it_is_used_again_soon_after_it_is_back() -> None:
    """Within an ejection and a second, slowly at first."""
    world = World(1)
    servers = [(option(f"e{number}", ejection=Ejection(longest=5.0)), Server(world, sigma=0.1)) for number in range(4)]
    client = Client(world, servers)
    server = servers[0][1]
    server.fault = "broken"
    fault_at(world, server, 30.0, "")
    poisson(world, 10.0, 120.0, client.call)
    world.run(30.0)
    before = server.asked
    world.run(36.0 + 1.5)  # two calls of a second prove it
    assert servers[0][0].vitals.breaker.closed
    soon = server.asked - before
    world.run(60.0)
    before = server.asked
    world.run(67.5)
    assert soon < (server.asked - before) / 2


def recovering(*, panic: bool, others: int) -> tuple[Pool, Route[Place], float]:
    """Return a pool of which one deployment has failed, and the time from when on it may be tried."""
    pool = Pool(Random(1), panic=panic)
    group: tuple[Option[Place], ...] = tuple(
        Option(Place(each.id), each.vitals) for each in (option(f"e{n}") for n in range(others + 1))
    )
    route = Route("r", (Group(group),), RetryBudget())
    while group[0].vitals.breaker.closed:
        course = Course(route)
        lease = pool.choose(course, 0.0)
        assert lease is not None
        if lease.option is group[0]:
            pool.failed(lease, ServerError("x"), verdict(ServerError("x")), 0.1)
        else:
            pool.succeeded(lease, 0.1)
    return pool, route, group[0].vitals.breaker.until


def test_of_a_thousand_calls_one_probes() -> None:
    """When an ejection ends while a thousand calls come at once, one goes there, and the others elsewhere."""
    pool, route, now = recovering(panic=True, others=2)
    leases = [pool.choose(Course(route), now) for _ in range(1000)]
    there = [lease for lease in leases if lease is not None and lease.option.id == "e0"]
    assert None not in leases
    assert [lease.probe for lease in there] == [True]
    pool.failed(there[0], ServerError("x"), verdict(ServerError("x")), now + 1.0)
    assert pool.choose(Course(route), now + 1.0).option.id != "e0"  # type: ignore[union-attr]


def test_without_panic_one_probes_and_the_others_are_told_when() -> None:
    """A circuit that is open is open at once, and never for longer than it says."""
    pool, route, now = recovering(panic=False, others=0)
    with pytest.raises(CircuitOpen) as early:
        pool.wait(Course(route), now - 1.0, lambda: None)
    assert early.value.retry_after == pytest.approx(1.0)
    lease, others = pool.choose(Course(route), now), 0
    for _ in range(999):
        assert pool.choose(Course(route), now) is None
        with pytest.raises(CircuitOpen):
            pool.wait(Course(route), now, lambda: None)
        others += 1
    assert isinstance(lease, Lease)
    assert lease.probe
    assert others == 999


def test_a_retry_in_panic_waits_all_the_same() -> None:
    """The only deployment is out, and is tried again after the pause, not at once."""
    pool, route, now = recovering(panic=True, others=0)
    course = Course(route)
    ticket = pool.wait(course, now - 1.0, lambda: None)
    lease, ticket.lease = ticket.lease, None
    assert lease is not None
    error = ServerError("x")
    pool.failed(lease, error, verdict(error), now - 0.9)
    assert course.failed(lease.option, error, verdict(error), now - 0.9, Random(5))
    ticket = pool.wait(course, now - 0.9, lambda: None)
    assert ticket.lease is None
    when = ticket.until(now - 0.9)
    assert now - 0.9 < when <= now - 0.9 + 0.25
    pool.look_again(ticket, when)
    assert ticket.lease is not None


@pytest.mark.parametrize("seed", [1, 2])
def test_an_overload_does_not_spoil_what_can_be_done(seed: int) -> None:
    """With three times as many calls as servers can take they do nine tenths of what they can."""
    world = World(seed)
    servers = [
        (option(f"e{number}", limit=16, most=256), Server(world, 8, backlog=0, sigma=0.5)) for number in range(3)
    ]
    client = Client(world, servers, timeout=10.0)
    poisson(world, 3 * 24.0, 120.0, client.call)
    world.run(120.0)
    done = sum(20.0 < when <= 120.0 for when in client.outcome.ended)
    assert done >= 0.9 * 24.0 * 100.0
    assert client.outcome.percentile(0.99) <= 12.0
    assert set(client.outcome.errors) <= {"QueueFull", "DeadlineExceeded", "NoDeploymentAvailable", "Overloaded"}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_only_server_answers_more_calls_than_it_takes_at_once(seed: int) -> None:
    """It works on four, has eight wait, and refuses the others of twenty-five: they are answered later, every one."""
    world = World(seed)
    server = Server(world, 4, backlog=8, mean=0.5, sigma=0.5)
    client = Client(world, [(option("a", limit=16, queue=64), server)])
    for number in range(1000):
        world.at(5.0 * (number // 25), client.call)
    world.run()
    assert server.refused
    assert len(client.outcome.seconds) == 1000
    assert client.outcome.percentile(0.99) <= 5.0


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    """Also from those whose calls were on their way, and none waits for it that another can serve."""
    pool = Pool(Random(1))
    group = tuple(Option(Place(each.id), each.vitals) for each in (option("a"), option("b")))
    route = Route("r", (Group(group, "priority"),), RetryBudget())
    first, second = pool.choose(Course(route), 0.0), pool.choose(Course(route), 0.0)
    assert first is not None
    assert second is not None
    error = RateLimited("x", retry_after=30.0)
    pool.failed(first, error, verdict(error), 1.0)
    pool.succeeded(second, 2.0)
    assert [pool.choose(Course(route), now).option.id for now in (3.0, 30.9, 31.0)] == ["b", "b", "a"]  # type: ignore[union-attr]
