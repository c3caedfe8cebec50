"""What always holds of the pool, whatever calls come, wait, fail, succeed and go away, in whatever order."""

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.rules.routing.places import Place

from modelhub import errors
from modelhub.errors import ModelHubError, NoDeploymentAvailable
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.course import Course, Group, Option, Route
from modelhub.rules.routing.health import Breaker
from modelhub.rules.routing.pool import Lease, Pool
from modelhub.rules.routing.queue import Ticket, first
from modelhub.rules.routing.rates import RateBucket, Rates
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals
from modelhub.rules.routing.waiting import worthwhile
from modelhub.types.credential import Credential

RETRIES = 2
NOT_WELL = {"ejected", "refused key", "no such model"}
FAILURES: list[ModelHubError] = [
    errors.ConnectFailed("x", sent=False),
    errors.ServerError("x"),
    errors.RateLimited("x", retry_after=1.0),
    errors.RateLimited("x"),
    errors.Overloaded("x"),
    errors.AuthenticationFailed("x"),
    errors.ModelNotFound("x"),
    errors.BadRequest("x"),
    errors.Timeout("x", phase="first_token", seconds=20.0),
]


class Call:
    """A call, driven as the runtime drives it: it looks again when it is woken, or when its time has come."""

    def __init__(self, pool: Pool, course: Course[Place]) -> None:
        self.pool = pool
        self.course = course
        self.lease: Lease[Place] | None = None
        self.ticket: Ticket | None = None
        self.when = math.inf
        self.woken = False
        self.attempts = 0
        self.free = 0
        self.over = False

    def attempt(self, now: float) -> None:
        """Ask for a place."""
        self.lease = self.pool.choose(self.course, now)
        if self.lease is None:
            try:
                self.ticket = self.pool.wait(self.course, now, self.wake)
            except ModelHubError as error:
                self.refused(error, now)
                return
        self.took(now)

    def wake(self) -> None:
        """Remember that there is something new."""
        self.woken = True

    def look(self, now: float) -> None:
        """Do what the runtime does when it wakes."""
        self.woken = False
        assert self.ticket is not None
        if self.ticket.lease is None:
            if now >= self.course.deadline:
                self.cancel(now)
                return
            try:
                self.pool.look_again(self.ticket, now)
            except ModelHubError as error:
                self.ticket = None
                self.refused(error, now)
                return
        self.took(now)

    def took(self, now: float) -> None:
        """Take what there is, or set the time for looking again."""
        if self.ticket is not None and self.ticket.lease is not None:
            self.lease, self.ticket.lease, self.ticket = self.ticket.lease, None, None
        if self.lease is not None:
            self.attempts += 1
            if not self.lease.probe and not self.lease.option.vitals.breaker.closed:
                blocks = [self.course.block(option, now) for option in self.course.left]
                assert all(block is not None and block.reason in NOT_WELL for block in blocks), "needless panic"
            return
        assert self.ticket is not None
        assert not self.ticket.done
        self.when = min(self.ticket.until(now), self.course.deadline)
        assert self.when > now, "it would look again and again"

    def refused(self, error: ModelHubError, now: float) -> None:
        """Check that a refusal says what is so."""
        self.over = True
        blocks = [self.course.block(option, now) for option in self.course.left]
        reasons = {"busy" if block is None else block.reason for block in blocks}
        well = reasons - NOT_WELL
        expected: tuple[type[ModelHubError], ...] = (NoDeploymentAvailable,)
        if "busy" in well:
            expected = (errors.QueueFull, errors.DeadlineExceeded)
        elif well == {"rate limit"}:
            expected = (errors.LocalRateLimited,)
        elif reasons == {"ejected"}:
            expected = (errors.CircuitOpen,)
        elif reasons == {"refused key"}:
            expected = tuple(getattr(errors, option.vitals.key.reason) for option in self.course.left)
        assert type(error) in expected
        assert error.retry_after is not None
        assert error.retry_after >= 0.0

    def cancel(self, now: float) -> None:
        """The caller goes away while the call waits, its place being there perhaps."""
        assert self.ticket is not None
        self.pool.leave(self.ticket, now)
        self.ticket = None
        self.over = True


@settings(max_examples=60, stateful_step_count=60, suppress_health_check=[HealthCheck.too_slow])
class PoolMachine(RuleBasedStateMachine):
    """Four deployments in four routes, of which one limits requests and two share a key."""

    @initialize(seed=st.integers(0, 99), panic=st.booleans(), pick=st.sampled_from(["adaptive", "sticky", "priority"]))
    def begin(self, *, seed: int, panic: bool, pick: str) -> None:
        """Nothing is known, and nobody calls."""
        self.now = 100.0
        self.random = Random(seed)
        self.pool = Pool(self.random, panic=panic)
        shared = KeyHealth()
        self.options = {}
        for name, limit in (("a", 1), ("b", 2), ("c", 1), ("d", 2)):
            vitals = Vitals(
                name,
                key=shared if name in "ab" else KeyHealth(),
                slots=Slots(limit, limit + 1),
                breaker=Breaker(),
                queue=2,
                rates=Rates(requests=RateBucket(3, 10.0)) if name == "c" else None,
            )
            key = Credential({"api_key": "ab" if name in "ab" else name})
            self.options[name] = Option(Place(name, credential=key), vitals)

        def route(*groups: str) -> Route[Place]:
            made = tuple(Group(tuple(self.options[name] for name in group), pick) for group in groups)
            return Route("-".join(groups), made, RetryBudget())

        self.routes = [route("ab"), route("ab", "c"), route("a"), route("abcd"), route("c", "d")]
        self.calls: list[Call] = []

    def each_alive(self) -> list[Call]:
        """Return the calls that are not over."""
        return [call for call in self.calls if not call.over]

    def settle(self, queues: dict[str, list[Ticket]] | None = None) -> None:
        """Let everybody look who was woken or whose time has come, as the loop would."""
        before = queues or self.queues()
        for _ in range(200):
            due = [call for call in self.each_alive() if call.ticket and (call.woken or call.when <= self.now)]
            if not due:
                break
            call = self.random.choice(due)
            call.look(self.now)
        else:
            raise AssertionError("they wake each other for ever")
        self.in_order(before)
        self.calls = self.each_alive()

    def queues(self) -> dict[str, list[Ticket]]:
        """Return who waits for what."""
        return {
            name: [ticket for ticket in option.vitals.waiting if not ticket.done]
            for name, option in self.options.items()
        }

    def in_order(self, before: dict[str, list[Ticket]]) -> None:
        """Check that whoever was served was the first of those who wait for the same."""
        served = {call.ticket: call for call in self.calls if call.ticket}
        for name, tickets in before.items():
            for at, ticket in enumerate(tickets):
                lease = ticket.lease or (served[ticket].lease if ticket in served else None)
                if lease is not None and lease.option.id == name:
                    assert all(earlier.done for earlier in tickets[:at])

    @rule(route=st.integers(0, 4), calls=st.integers(1, 6), patience=st.sampled_from([5.0, 100.0, math.inf, math.inf]))
    def call(self, route: int, calls: int, patience: float) -> None:
        """Calls come."""
        for _ in range(calls):
            course = Course(self.routes[route], retries=RETRIES, deadline=self.now + patience, session=f"{route}")
            call = Call(self.pool, course)
            self.calls.append(call)
            before = self.queues()
            call.attempt(self.now)
            if call.lease is not None:
                assert not before[call.lease.option.id], "it went before those who wait"
            self.settle(before)

    def one_in_flight(self, which: int) -> Call:
        """Return a call that is with a server."""
        calls = [call for call in self.calls if call.lease]
        return calls[which % len(calls)]

    @precondition(lambda self: any(call.lease for call in self.calls))
    @rule(which=st.integers(0, 19))
    def succeed(self, which: int) -> None:
        """A server answers."""
        call, before = self.one_in_flight(which), self.queues()
        call.over = True
        for _ in range(2):  # idempotent
            self.pool.succeeded(call.lease, self.now, 1.0)
        self.settle(before)

    @precondition(lambda self: any(call.lease for call in self.calls))
    @rule(which=st.integers(0, 19), error=st.sampled_from(FAILURES))
    def fail(self, which: int, error: ModelHubError) -> None:
        """A server fails, or refuses; the call goes on where it can."""
        call, before = self.one_in_flight(which), self.queues()
        what, lease = verdict(error), call.lease
        assert lease is not None
        self.pool.failed(lease, error, what, self.now)
        self.pool.abandoned(lease, self.now)  # idempotent
        call.lease = None
        call.free += what.cost == 0.0
        if call.course.failed(lease.option, error, what, self.now, self.random):
            call.attempt(self.now)
        else:
            call.over = True
        self.settle(before)

    @precondition(lambda self: any(call.lease for call in self.calls))
    @rule(which=st.integers(0, 19))
    def abandon(self, which: int) -> None:
        """A caller goes while its call is with a server."""
        call, before = self.one_in_flight(which), self.queues()
        call.over = True
        self.pool.abandoned(call.lease, self.now)
        self.settle(before)

    @precondition(lambda self: any(call.lease for call in self.calls) and any(call.ticket for call in self.calls))
    @rule(which=st.integers(0, 19))
    def give_to_one_who_goes(self, which: int) -> None:
        """A server answers, and whoever would be served goes before noticing."""
        call, before = self.one_in_flight(which), self.queues()
        call.over = True
        self.pool.succeeded(call.lease, self.now, 1.0)
        for other in self.each_alive():
            if other.ticket is not None and other.ticket.lease is not None:
                other.cancel(self.now)
        self.settle(before)

    @precondition(lambda self: any(call.ticket for call in self.calls))
    @rule(which=st.integers(0, 19))
    def cancel(self, which: int) -> None:
        """A caller goes while its call waits."""
        before = self.queues()
        calls = [call for call in self.calls if call.ticket]
        calls[which % len(calls)].cancel(self.now)
        self.settle(before)

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 3.0, 10.0, 61.0]))
    def tick(self, seconds: float) -> None:
        """Time goes on, to each moment at which somebody wants to look in between."""
        end = self.now + seconds
        while True:
            times = [call.when for call in self.calls if call.ticket]
            self.now = min([end, *times])
            self.settle()
            if self.now >= end:
                return

    @rule(name=st.sampled_from("abcd"), well=st.booleans())
    def check(self, *, name: str, well: bool) -> None:
        """A cheap check of a server says whether it answers."""
        vitals = self.options[name].vitals
        if well:
            vitals.breaker.answered(self.now)
        else:
            vitals.breaker.silent(self.now, 10.0)
        self.pool.changed(vitals)
        self.settle()

    @invariant()
    def places_are_counted(self) -> None:
        """What is in flight is the leases that live, and what waits is the tickets that do."""
        leases = Counter(call.lease.option.id for call in self.calls if call.lease)
        for name, option in self.options.items():
            assert option.vitals.slots.in_flight == leases[name]
            assert option.in_flight <= option.vitals.slots.limit + 1  # the limit may just have shrunk
            assert option.vitals.queued == sum(name in standing(call) for call in self.calls)
            breaker = option.vitals.breaker
            probes = sum(call.lease.probe for call in self.calls if call.lease and call.lease.option is option)
            assert probes <= 1
            assert breaker.ready(self.now) or breaker.until > self.now or probes

    @invariant()
    def nobody_waits_for_what_is_free(self) -> None:
        """Who waits could not be served now, and will look again no later than at the first chance."""
        for call in self.calls:
            if call.ticket is None:
                continue
            assert call.ticket.lease is None
            for group in call.course.groups:
                free = [option for option in group.options if self.free_for(call, option)]
                assert not free, (call.ticket, call.course, self.options, self.now)
                if worthwhile(group, call.course, self.now, call.ticket):
                    break
            told = any(option.vitals.slots.full for option in call.ticket.options)  # when one of those in flight ends
            assert told or call.when <= min(call.ticket.until(self.now), call.course.deadline)

    def free_for(self, call: Call, option: Option[Place]) -> bool:
        """Whether a deployment could serve a call that waits."""
        waiting = option.vitals.waiting
        open_to_it = option.vitals.ready(self.now, 0.0) and call.course.open(option, self.now)
        return open_to_it and (not option.vitals.queued or first(waiting) is call.ticket)

    @invariant()
    def attempts_are_bounded(self) -> None:
        """Nothing is tried more often than the retries, the groups and what costs nothing allow."""
        for call in self.calls:
            assert call.attempts <= 1 + RETRIES + len(call.course.route.groups) - 1 + call.free

    @invariant()
    def few_wait(self) -> None:
        """Not many more than there are places for: those who retry, or go on to another group, wait beside them."""
        room = sum(each.vitals.queue for each in self.options.values())
        retry = sum(bool(call.attempts and call.ticket) for call in self.calls)
        for option in self.options.values():
            assert option.vitals.queued <= 2 * room + retry


def standing(call: Call) -> set[str]:
    """Return what a call waits for."""
    return {option.id for option in call.ticket.options} if call.ticket else set()


TestPool = PoolMachine.TestCase


def step(machine: PoolMachine, random: Random) -> None:
    """Have anything happen that can."""
    in_flight = sum(bool(call.lease) for call in machine.calls)
    waiting = sum(bool(call.ticket) for call in machine.calls)
    which = random.randrange(20)
    chance = random.random()
    if chance < 0.3:
        machine.call(
            route=random.randrange(5), calls=random.randint(1, 4), patience=random.choice([5.0, 100.0, math.inf])
        )
    elif chance < 0.45:
        machine.tick(seconds=random.choice([0.01, 0.3, 1.0, 3.0, 10.0]))
    elif chance < 0.5 and waiting:
        machine.cancel(which=which)
    elif chance < 0.52:
        machine.check(name=random.choice("abcd"), well=random.random() < 0.5)
    elif in_flight and chance < 0.7:
        machine.succeed(which=which)
    elif in_flight and chance < 0.75:
        machine.abandon(which=which)
    elif in_flight and waiting and chance < 0.8:
        machine.give_to_one_who_goes(which=which)
    elif in_flight:
        machine.fail(which=which, error=random.choice(FAILURES))


@pytest.mark.parametrize("seed", range(20))
def test_on_a_long_walk_all_of_it_holds_too(seed: int) -> None:
    """Hypothesis finds short ways to a fault; some states are far from the beginning."""
    random, machine = Random(seed), PoolMachine()
    machine.begin(seed=seed, panic=seed % 2 == 0, pick=random.choice(["adaptive", "sticky", "priority"]))
    for _ in range(400):
        step(machine, random)
        machine.places_are_counted()
        machine.nobody_waits_for_what_is_free()
        machine.attempts_are_bounded()
        machine.few_wait()
