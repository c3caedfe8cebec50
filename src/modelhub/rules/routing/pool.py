"""All deployments at once: who is called, who waits, and what is remembered of how it went.

It does no I/O and knows no event loop: time and chance are given, whoever waits is woken through a function. What it
changes it changes at once, so that between choosing a deployment and counting the call in flight nothing can come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Generic, Literal, NamedTuple, TypeVar, final

from modelhub.errors import ModelHubError
from modelhub.rules.routing.affinity import PrefixIndex
from modelhub.rules.routing.course import Course, Group, Named, Option
from modelhub.rules.routing.pick import adaptive, cheapest, priority, rendezvous, round_robin, sticky, weighted
from modelhub.rules.routing.queue import Ticket, first
from modelhub.rules.routing.refusals import refusal, refused_with
from modelhub.rules.routing.verdict import Verdict, verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals
from modelhub.rules.routing.waiting import crowded, elsewhere, hopeful, in_question, places, promising, worthwhile

__all__ = ["Change", "Lease", "Pool"]

D = TypeVar("D", bound=Named)

_LAST_RESORTS = frozenset({"ejected", "refused key", "no such model"})
"""What a deployment may be tried in spite of, where every other is in no better state."""

_REFUSED = 400
"""Answers with this status and more used no tokens."""


class Change(NamedTuple):
    """Something about a deployment that operators want to know.

    Attributes:
        what: What happened.
        deployment: Its id.
        until: How long it is left alone, by the clock of the calls; 0 where it is back.
        error: The class of the error that did it; empty where none did.
    """

    what: Literal["ejected", "recovered", "credential disabled"]
    deployment: str
    until: float
    error: str


@final
class Lease(Generic[D]):
    """A call's place at a deployment, from when it is chosen until it has answered or failed.

    Attributes:
        option: The deployment.
        begun: When it was chosen.
        probe: Whether it is the one call that finds out whether the deployment is well again.
        first_content: Seconds from then to the first content, where it has come.
        ended: Whether it was given back.
        settled: Whether it is known what it used.
    """

    __slots__ = ("begun", "course", "ended", "first_content", "option", "probe", "settled")

    def __init__(self, option: Option[D], course: Course[D], begun: float, *, probe: bool) -> None:
        self.option: Option[D] = option
        self.course: Course[D] = course
        self.begun: float = begun
        self.probe: bool = probe
        self.first_content: float | None = None
        self.ended: bool = False
        self.settled: bool = False

    def __repr__(self) -> str:
        return f"<Lease of {self.option.id}: {'ended' if self.ended else 'probing' if self.probe else 'in flight'}>"


@final
class Pool:
    """Chooses deployments, and learns from how calls end.

    Args:
        random: Decides between equals, and spreads waits.
        panic: Whether a deployment that is ejected is tried all the same where all of them are.
        on_change: Told of what happens to deployments, and to which.

    Attributes:
        panic: As given; may be changed at any time.
    """

    def __init__(
        self, random: Random, *, panic: bool = True, on_change: Callable[[Option[Any], Change], None] | None = None
    ) -> None:
        self._random = random
        self.panic: bool = panic
        self._on_change = on_change

    def choose(self, course: Course[D], now: float, ticket: Ticket | None = None) -> Lease[D] | None:
        """Return a place for a call, counted in flight already, or ``None``: it must wait, or be refused.

        Groups are asked in order. A deployment that is merely busy is waited for; one that is out, or must not be
        called yet, is stood in for by the next group. Nobody goes before those who wait.

        Args:
            course: The call's way.
            now: The time.
            ticket: The place in the queue of a call that waits.
        """
        tokens, pauses = course.tokens, course.pauses
        for group in course.groups:
            ready = [
                option
                for option in group.options
                if (vitals := option.vitals).ready(now, tokens)
                and (not pauses or course.open(option, now))
                and (not vitals.queued or first(vitals.waiting) is ticket)
            ]
            if ready:
                return self._begun(ready[0] if len(ready) == 1 else self._picked(group, ready, course), course, now)
            if len(course.groups) > 1 and worthwhile(group, course, now, ticket):
                return None
        return None

    def wait(self, course: Course[D], now: float, wake: Callable[[], None]) -> Ticket:
        """Return a place in the queue for a call that `choose` found nothing for; it may have its lease already.

        Args:
            course: The call's way.
            now: The time.
            wake: Called when it should `look_again`.

        Raises:
            NoDeploymentAvailable: It is not worth waiting, or there is no room to wait; the class says why.
        """
        ticket = Ticket(course, wake)
        self.look_again(ticket, now)
        return ticket

    def look_again(self, ticket: Ticket, now: float) -> None:
        """Serve a call that waits, if it can be.

        Raises:
            NoDeploymentAvailable: It is not worth waiting any longer.
        """
        course = ticket.course
        for option in ticket.options:
            if ticket.lease is None:
                self._serve(option, now)
        if ticket.lease is None:
            ticket.lease = self.choose(course, now, ticket)
        if ticket.lease is None:
            self._stand(ticket, now)
        if ticket.lease is not None:
            ticket.leave()

    def leave(self, ticket: Ticket, now: float) -> None:
        """A call stopped waiting. What it was given meanwhile goes to the next."""
        lease, ticket.lease = ticket.lease, None
        ticket.leave()
        if lease is not None:
            self.unsent(lease, now)

    def changed(self, vitals: Vitals) -> None:
        """Something is known of a deployment that no call told, as by a check: whoever waits for it looks again."""
        ticket = first(vitals.waiting)
        if ticket is not None:
            ticket.nudge()

    def found_silent(self, option: Option[D], fault: float, now: float, *, begun: float) -> None:
        """A check that began at ``begun`` found a deployment silent, which counts as a ``fault`` so great."""
        breaker = option.vitals.breaker
        if breaker.failed(now, fault, self._random, begun=begun, probe=False):
            self._tell("ejected", option, breaker.until, "ConnectionLost")
            option.vitals.nudge()

    def may_leave(self, lease: Lease[D], error: ModelHubError, now: float) -> bool:
        """Whether a call finds another place, if the one it has is given up with an error.

        What that takes from the budget of retries is taken already then: nobody else can spend it in between.
        """
        course = lease.course
        return elsewhere(lease.option, error, course, now) and course.prepaid(verdict(error).cost, now)

    def succeeded(self, lease: Lease[D], now: float, sample: float | None = None) -> None:
        """A call was answered. Idempotent with the other ends.

        Args:
            lease: Its place.
            now: The time.
            sample: How fast, in the unit of the course's signal; without it nothing is learned of that.
        """
        if lease.ended:
            return
        vitals = lease.option.vitals
        seconds, sound = now - lease.begun, now >= vitals.key.refused_until
        vitals.slots.answered(seconds, seconds if sample is None else sample, lease.begun)
        vitals.answered(lease.begun)
        if sample is not None:
            vitals.sample(lease.course.signal, sample)
        if vitals.breaker.succeeded(now, begun=lease.begun, probe=lease.probe):
            self._tell("recovered", lease.option, 0.0, "")
        lease.course.route.budget.earn()
        self._end(lease, now)
        if not sound:
            self._nudge_users(vitals.key)

    def failed(self, lease: Lease[D], error: ModelHubError, verdict: Verdict, now: float) -> None:
        """A call failed, by whoever's fault. Idempotent with the other ends."""
        if lease.ended:
            return
        vitals = lease.option.vitals
        well, sound = not self._out(vitals, now), now >= vitals.key.refused_until or vitals.key.on_trial(now)
        self._learn(lease, error, verdict, now)
        if vitals.rates is not None and error.sent is False and not lease.settled:
            vitals.rates.refund(lease.course.tokens, now, since=lease.begun)
        elif error.status is not None and error.status >= _REFUSED:
            self.used(lease, 0.0, now)
        self._end(lease, now)
        if sound and now < vitals.key.refused_until:
            self._nudge_users(vitals.key)
        elif well and self._out(vitals, now):
            vitals.nudge()  # who waits may do better elsewhere

    def abandoned(self, lease: Lease[D], now: float) -> None:
        """A call ended without a verdict: its caller went. Idempotent with the other ends."""
        if not lease.ended:
            lease.option.vitals.breaker.left(probe=lease.probe)
            self._end(lease, now)

    def unsent(self, lease: Lease[D], now: float) -> None:
        """A call was not sent after all: nothing of it counts. Idempotent with the other ends."""
        rates = lease.option.vitals.rates
        if rates is not None and not lease.ended:
            rates.refund(lease.course.tokens, now, since=lease.begun)
        self.abandoned(lease, now)

    def overtaken(self, lease: Lease[D], now: float) -> None:
        """A call was answered elsewhere before: here it takes so long at least. Idempotent with the other ends."""
        signal, seconds, vitals = lease.course.signal, now - lease.begun, lease.option.vitals
        if not lease.ended and signal != "per_token":  # how many tokens it would have been, nobody knows
            known = vitals.latencies.get(signal)
            if known is None or seconds > known.mean:
                vitals.sample(signal, seconds)
        self.abandoned(lease, now)

    def used(self, lease: Lease[D], tokens: float, now: float) -> None:
        """Correct what a call was expected to use to what it used. The first word counts."""
        rates = lease.option.vitals.rates
        if rates is not None and not lease.settled:
            lease.settled = True
            rates.settle(lease.course.tokens, tokens, now, since=lease.begun)

    def _stand(self, ticket: Ticket, now: float) -> None:
        """Find places to wait for a call, or serve it by what is not well where nothing is; else refuse it."""
        course: Course[Any] = ticket.course
        blocks = [(option, course.block(option, now)) for option in course.left]
        reasons = {"busy" if block is None else block.reason for _, block in blocks}
        reasons = reasons - {"budget"} or reasons  # what there is no money for takes part in nothing
        if not reasons <= _LAST_RESORTS:
            found = places(course, now, ticket)
        elif self.panic or "ejected" not in reasons:
            ticket.lease = self._last_resort(ticket, now)
            found = course.left if hopeful(course, now) and not crowded(course.left) else ()
        else:
            found = ()
        if ticket.lease is not None:
            return
        if not found and all(course.open(option, now) for option in course.left):
            ticket.leave()
            full = crowded([option for option, block in blocks if block is None or block.reason == "busy"])
            raise refusal(blocks, now, full=full)
        for option, block in blocks:
            option.vitals.awaited |= block is not None and block.reason == "busy"
        for option in found or course.left:  # with none found it waits for a pause to end, and may as well stand
            if in_question(option, course, now):
                ticket.stand(option)

    def trusted(self, key: KeyHealth) -> None:
        """A key is taken again: whoever waits for it looks again."""
        self._nudge_users(key)

    def _nudge_users(self, key: KeyHealth) -> None:
        """A key was refused or accepted: that is new to those who wait for all that is called with it."""
        for vitals in tuple(key.users):
            vitals.nudge()

    def _learn(self, lease: Lease[D], error: ModelHubError, verdict: Verdict, now: float) -> None:
        vitals = lease.option.vitals
        if verdict.overload and not verdict.cools and verdict.fault == 0.0:
            vitals.slots.refused(now, lease.begun)
        elif verdict.overload:
            vitals.slots.overloaded(now, lease.begun)
        if verdict.fault > 0.0:
            ejected = vitals.breaker.failed(now, verdict.fault, self._random, begun=lease.begun, probe=lease.probe)
            if ejected:
                self._tell("ejected", lease.option, vitals.breaker.until, type(error).__name__)
        else:
            vitals.breaker.left(probe=lease.probe)
        if verdict.cools or (verdict.overload and verdict.fault == 0.0 and self._must_rest(vitals, error)):
            vitals.rest(now, error.retry_after, self._random.random())
        if verdict.credential is not None:
            self._refused(lease.option, error, verdict, now)
        elif verdict.model_only:
            vitals.lacks(now)

    def _must_rest(self, vitals: Vitals, error: ModelHubError) -> bool:
        """Whether an overload asks for a pause, or is mended by having fewer calls in flight."""
        return error.retry_after is not None or vitals.slots.in_flight <= 1

    def _out(self, vitals: Vitals, now: float) -> bool:
        """Whether something else keeps calls from a deployment than that it is busy."""
        block = vitals.block(now, 0.0)
        return block is not None and block.reason != "busy"

    def _picked(self, group: Group[D], ready: Sequence[Option[D]], course: Course[D]) -> Option[D]:
        due = [option for option in ready if not option.vitals.breaker.closed]
        if due:
            return due[0]  # whether it is well again is found out at the first chance
        match group.pick:
            case "adaptive":
                return adaptive(ready, course.signal, self._random)
            case "weighted":
                return weighted(ready, self._random)
            case "round_robin":
                return round_robin(ready, group.turns)
            case "priority":
                return priority(ready)
            case "cheapest":
                return cheapest(ready, course.prices or {}, course.signal, self._random)
            case _:
                return self._stuck_to(ready, course)

    def _stuck_to(self, ready: Sequence[Option[D]], course: Course[D]) -> Option[D]:
        if course.session:
            return sticky(ready, rendezvous(ready, course.session))
        if not course.blocks:
            return adaptive(ready, course.signal, self._random)
        seen = {option: _prefixes(option).depth(course.blocks) for option in ready}
        new = min(max(seen.values()), len(course.blocks) - 1)  # what all have seen tells no conversations apart
        order = rendezvous(ready, course.blocks[new].hex())
        return sticky(ready, sorted(order, key=lambda option: -seen[option]))

    def _begun(self, option: Option[D], course: Course[D], now: float) -> Lease[D]:
        vitals = option.vitals
        vitals.slots.begin()
        vitals.key.tried(now)
        if vitals.rates is not None:
            vitals.rates.reserve(course.tokens, now)
        if course.blocks:
            _prefixes(option).add(course.blocks)
        return Lease(option, course, now, probe=vitals.breaker.begin(now))

    def _end(self, lease: Lease[D], now: float) -> None:
        lease.ended = True
        vitals = lease.option.vitals
        vitals.slots.end()
        if vitals.key.trial_ended(lease.begun):
            self._nudge_users(vitals.key)
        if vitals.waiting:
            self._serve(lease.option, now)
            if vitals.awaited and self._out(vitals, now):
                vitals.awaited = False
                vitals.nudge()  # it is not merely busy, as some thought: they may do better elsewhere
            elif not vitals.slots.full:
                self.changed(vitals)  # whoever is first may know another time now

    def _serve(self, option: Option[D], now: float) -> None:
        """Give what is free at a deployment to those who wait for it, the first first."""
        vitals = option.vitals
        while (ticket := first(vitals.waiting)) is not None:
            course = ticket.course
            own = next(each for each in ticket.options if each.vitals is vitals)
            if not vitals.ready(now, course.tokens) or not course.open(own, now):
                return
            ticket.lease = self._begun(own, course, now)
            ticket.leave()
            ticket.nudge()

    def _last_resort(self, ticket: Ticket, now: float) -> Lease[Any] | None:
        """Try what is left where nothing is well: of those within their limits the one that failed longest ago."""
        course: Course[Any] = ticket.course
        free = [
            option
            for option in course.left
            if not option.vitals.slots.full
            and option.vitals.affords(now, course.tokens)
            and course.open(option, now)
            and promising(option, course, now)
            and first(option.vitals.waiting) in {None, ticket}
        ]
        ejected = [option for option in free if not option.vitals.breaker.ready(now)]
        if not free:
            return None
        course.hopeless = course.hopeless or not ejected
        return self._begun(min(ejected or free, key=lambda option: option.vitals.breaker.last_fault), course, now)

    def _refused(self, option: Option[D], error: ModelHubError, verdict: Verdict, now: float) -> None:
        if verdict.model_only:
            option.vitals.lacks(now)  # the right is lacking for this model: the key may be good for others
            return
        quota = verdict.credential == "quota"
        option.vitals.key.refused(now, refused_with(error), quota=quota, asked=error.retry_after)
        self._tell("credential disabled", option, option.vitals.key.refused_until, type(error).__name__)

    def _tell(
        self, what: Literal["ejected", "recovered", "credential disabled"], option: Option[D], until: float, error: str
    ) -> None:
        if self._on_change is not None:
            self._on_change(option, Change(what, option.id, until, error))

    def __repr__(self) -> str:
        return f"<Pool{'' if self.panic else ' without panic'}>"


def _prefixes(option: Option[D]) -> PrefixIndex:
    vitals = option.vitals
    if vitals.prefixes is None:
        vitals.prefixes = PrefixIndex()
    return vitals.prefixes
