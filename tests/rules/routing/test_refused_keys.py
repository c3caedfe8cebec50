"""Keys that were refused: how long they are left alone, who finds out, and what the others hear of it."""

from random import Random

import pytest
from benchmarks.simulation import Place, option

from modelhub import errors
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    CredentialsInvalid,
    ModelHubError,
    Overloaded,
    QuotaExhausted,
)
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Route
from modelhub.rules.routing.pool import Lease, Pool
from modelhub.rules.routing.queue import Ticket
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import KeyHealth

REFUSED = AuthenticationFailed("no", status=401, sent=True)


class KeyExpired(AuthenticationFailed):
    """What a plugin may have of its own."""


class World:
    """A pool, and a route to one deployment or several of one key."""

    def __init__(self, names: str = "a") -> None:
        self.pool = Pool(Random(1))
        options = tuple(option(name) for name in names)
        for each in options[1:]:
            each.vitals.key = options[0].vitals.key
            each.vitals.key.users.add(each.vitals)
        self.ways = [Route(each.id, (Group((each,)),), RetryBudget()) for each in options]
        self.key: KeyHealth = options[0].vitals.key

    def lease(self, now: float, way: int = 0) -> Lease[Place]:
        """Return a call's place, which it has at once."""
        course = Course(self.ways[way])
        found = self.pool.choose(course, now) or self.pool.wait(course, now, lambda: None).lease
        assert found is not None
        return found

    def waits(self, now: float, woken: list[bool], way: int = 0) -> Ticket:
        """Return the ticket of a call that waits."""
        ticket = self.pool.wait(Course(self.ways[way]), now, lambda: woken.append(True))
        assert ticket.lease is None
        return ticket

    def fail(self, lease: Lease[Place], error: ModelHubError, now: float) -> None:
        """Have a call fail."""
        self.pool.failed(lease, error, verdict(error), now)

    def refuse(self, now: float, error: ModelHubError = REFUSED) -> None:
        """Have a call be refused."""
        self.fail(self.lease(now), error, now)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (REFUSED, AuthenticationFailed),
        (QuotaExhausted("spent", status=402, sent=True), QuotaExhausted),
        (CredentialsInvalid("wrong", status=401), CredentialsInvalid),
        (KeyExpired("old", status=401, sent=True), AuthenticationFailed),
    ],
)
def test_later_calls_are_told_what_the_key_was_refused_with(error: ModelHubError, raised: type[ModelHubError]) -> None:
    """By a class of ours, with the time until it is tried again, and that nothing was sent."""
    world = World()
    world.refuse(0.0, error)
    with pytest.raises(ModelHubError) as caught:
        world.lease(1.0)
    assert type(caught.value) is raised
    assert (caught.value.deployment, caught.value.sent) == ("a", False)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after >= 59.0


def test_trials_where_nothing_else_is_left_make_no_pause_longer() -> None:
    """Nor do refusals of what was under way: an outage of a minute is not answered with an hour."""
    world = World()
    under_way = [world.lease(0.0) for _ in range(2)]
    for lease in under_way:
        world.fail(lease, REFUSED, 0.0)
    assert world.key.refused_until == 60.0
    for now in range(5, 60, 5):
        world.refuse(float(now))
    assert world.key.refused_until == 60.0
    world.refuse(60.0)
    assert world.key.refused_until == 180.0


@pytest.mark.parametrize(
    "end",
    [
        lambda world, lease: world.pool.abandoned(lease, 62.0),
        lambda world, lease: world.pool.unsent(lease, 62.0),
        lambda world, lease: world.fail(lease, Overloaded("busy", status=503, sent=True), 62.0),
        lambda world, lease: world.fail(lease, BadRequest("odd", status=400, sent=True), 62.0),
    ],
    ids=["left", "not sent", "overloaded", "a bad request"],
)
def test_a_trial_that_finds_out_nothing_is_followed_by_another(end: object) -> None:
    """Who waits for it is not refused for that: the next one finds out."""
    world, woken = World(), list[bool]()
    world.refuse(0.0)
    trial = world.lease(61.0)
    ticket = world.waits(61.5, woken)
    end(world, trial)  # type: ignore[operator]
    assert woken
    if ticket.lease is None:
        later = 62.0 + (10.0 if world.ways[0].options[0].vitals.rests_until > 62.0 else 0.0)
        world.pool.look_again(ticket, later)
    assert ticket.lease is not None


def test_who_waits_for_a_trial_of_the_same_key_hears_that_it_was_refused() -> None:
    """At once, whichever model it waits for."""
    world, woken = World("ab"), list[bool]()
    world.refuse(0.0)
    trial = world.lease(61.0)
    ticket = world.waits(61.5, woken, way=1)
    world.fail(trial, REFUSED, 62.0)
    assert woken
    with pytest.raises(AuthenticationFailed):
        world.pool.look_again(ticket, 62.0)


def test_every_class_that_is_raised_again_can_be_made() -> None:
    """Those that are told to other processes by name are classes of ours."""
    for name in ("AuthenticationFailed", "CredentialsInvalid", "QuotaExhausted", "SomethingElse"):
        world = World()
        world.refuse(0.0)
        world.key.reason = name
        expected = getattr(errors, name, errors.NoDeploymentAvailable)
        with pytest.raises(expected):
            world.lease(1.0)
