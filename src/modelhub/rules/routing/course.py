"""The way of one call through its route: what it may still try, how often, and after which wait."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from random import Random
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, final

from modelhub.errors import ModelHubError
from modelhub.rules.routing.backoff import wait_before_retry
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.failover import Target, worth_trying
from modelhub.rules.routing.hedging import Hedging
from modelhub.rules.routing.latency import Latency
from modelhub.rules.routing.verdict import Verdict
from modelhub.rules.routing.vitals import Block, Vitals

__all__ = ["Course", "Group", "Option", "Pick", "Route"]

Pick: TypeAlias = Literal["adaptive", "weighted", "round_robin", "priority", "sticky", "cheapest"]
"""How one deployment of a group is chosen."""

_SHORTEST_PAUSE = 0.001


class Named(Target, Protocol):
    """A deployment, as far as a route knows it."""

    @property
    def id(self) -> str:
        """Name and credential as one word, without secrets."""


D = TypeVar("D", bound=Named)


@final
class Option(Generic[D]):
    """A deployment as one of a group: what it is, what share it has there, and what is known of it."""

    __slots__ = ("deployment", "id", "share", "vitals")

    def __init__(self, deployment: D, vitals: Vitals, share: float = 1.0) -> None:
        self.deployment: D = deployment
        self.vitals: Vitals = vitals
        self.share: float = share
        self.id: str = deployment.id

    @property
    def weight(self) -> float:
        """Its share, smaller for a while after an ejection."""
        return self.share * self.vitals.ramp

    @property
    def in_flight(self) -> int:
        """Calls it has now."""
        return self.vitals.slots.in_flight

    @property
    def latencies(self) -> Mapping[str, Latency]:
        """How fast it was."""
        return self.vitals.latencies

    def __repr__(self) -> str:
        return f"<Option {self.id}: {self.vitals!r}>"


@dataclass(frozen=True, slots=True)
class Group(Generic[D]):
    """Deployments that stand for each other.

    Attributes:
        options: The deployments, in the order in which they are named.
        pick: How one of them is chosen.
        turns: What each has saved up for its turn, where they take turns.
    """

    options: tuple[Option[D], ...]
    pick: Pick = "adaptive"
    turns: MutableMapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Route(Generic[D]):
    """What a call may try: groups in order, each standing in for those before it.

    Attributes:
        name: What the caller named.
        groups: At least one.
        budget: What its retries are paid from.
        hedging: When its calls are sent twice; ``None`` for never.
    """

    name: str
    groups: tuple[Group[D], ...]
    budget: RetryBudget = field(compare=False)
    hedging: Hedging | None = field(default=None, compare=False)

    @property
    def options(self) -> Sequence[Option[D]]:
        """All deployments, in order."""
        return [option for group in self.groups for option in group.options]

    @property
    def models(self) -> frozenset[tuple[str, str]]:
        """What they serve: provider and model of each."""
        return frozenset((option.deployment.provider_id, option.deployment.model) for option in self.options)


@final
class Course(Generic[D]):
    """One call's way.

    Args:
        route: What it may try.
        retries: How often an attempt may be repeated, beyond one attempt in each group.
        deadline: Absolute; ``inf`` where there is none.
        signal: Which latency counts for it: ``first_token``, ``per_token`` or ``seconds``.
        tokens: What it will use at most, as far as anybody can tell beforehand.
        session: What it should stick to a deployment by; empty where there is nothing.
        blocks: Its prompt's beginning, for sticking where there is no session; see `affinity.blocks`.
        prices: What a usual call costs, by the ids of deployments, where that decides.
        last: Those that are asked only where nothing else is well: they have failed the caller already.

    Attributes:
        hopeless: Whether it has tried already what was known not to serve it: once is enough.
    """

    __slots__ = (
        "_once",
        "_paid",
        "_paused",
        "_retries",
        "_waits",
        "blocks",
        "deadline",
        "groups",
        "hopeless",
        "prices",
        "route",
        "session",
        "signal",
        "tokens",
    )

    def __init__(
        self,
        route: Route[D],
        *,
        retries: int = 2,
        deadline: float = math.inf,
        signal: str = "first_token",
        tokens: float = 0.0,
        session: str = "",
        blocks: Sequence[bytes] = (),
        prices: Mapping[str, float] | None = None,
        last: Sequence[Option[D]] = (),
    ) -> None:
        self.route: Route[D] = route
        self.groups: Sequence[Group[D]] = _with_last(route.groups, last) if last else route.groups
        self.deadline: float = deadline
        self.signal: str = signal
        self.tokens: float = tokens
        self.session: str = session
        self.blocks: Sequence[bytes] = blocks
        self.prices: Mapping[str, float] | None = prices
        self.hopeless: bool = False
        self._retries = retries
        self._waits = 0
        self._once = False
        self._paid = False
        self._paused: dict[Option[D], float] | None = None

    @property
    def pauses(self) -> bool:
        """Whether it waits before it tries some deployment again."""
        return self._paused is not None

    def open(self, option: Option[D], now: float) -> bool:
        """Whether a deployment may be tried now, as far as this call's own experience with it goes."""
        return self._paused is None or now >= self._paused.get(option, -math.inf)

    def paused_until(self, option: Option[D]) -> float:
        """Return when the wait before a deployment is tried again ends; ``-inf`` where there is none."""
        return -math.inf if self._paused is None else self._paused.get(option, -math.inf)

    def block(self, option: Option[D], now: float) -> Block | None:
        """Return what keeps this call from a deployment now."""
        found = option.vitals.block(now, self.tokens)
        if self.open(option, now):
            return found
        pause = self.paused_until(option)
        if found is None or found.reason == "busy":
            return Block("paused", pause)
        return Block(found.reason, max(found.until, pause))

    def failed(
        self,
        option: Option[D],
        error: ModelHubError,
        verdict: Verdict,
        now: float,
        random: Random,
        *,
        probe: bool = False,
    ) -> bool:
        """An attempt failed; returns whether anything else is worth trying.

        What another attempt may cost is taken from the route's budget, unless the one that failed was a probe: there is
        one of them at a time, so they make no outage worse, and others are there for what it finds out.
        """
        leaves = verdict.once and self._once  # a second one is enough: those that stand beside it are not tried too
        self._once = self._once or verdict.once
        pause = self._pause(error, verdict, now, random)
        self._strike(option, error, again=pause is not None, beside=not leaves)
        if not self.groups or now >= self.deadline:
            return False
        if verdict.cost > 0.0:
            if self._retries <= 0:
                self._leave(option)
            self._retries -= 1
            if not self.groups or not (probe or self._paid or self.route.budget.spend(verdict.cost, now)):
                return False
            self._paid = False
        if pause is not None:
            self._paused = {**(self._paused or {}), option: now + pause}
        return True

    def _strike(self, option: Option[D], error: ModelHubError, *, again: bool, beside: bool) -> None:
        """Take out what is not worth trying after an error; what was not tried yet goes before the one that failed."""
        groups, last = [], []
        for group in self.groups:
            if not beside and option in group.options:
                continue
            left = tuple(
                each
                for each in group.options
                if each is not option and worth_trying(error, option.deployment, each.deployment)
            )
            if left:
                groups.append(Group(left, group.pick, group.turns))
            if again and option in group.options:
                last.append(Group((option,), group.pick, group.turns))
        self.groups = [*groups, *last]

    def _leave(self, option: Option[D]) -> None:
        """Go on to other groups: there have been retries enough, and each that stands in is entitled to one try."""
        home = next((group.options for group in self.route.groups if option in group.options), ())
        groups = [replace(group, options=tuple(o for o in group.options if o not in home)) for group in self.groups]
        self.groups = [group for group in groups if group.options]

    def prepaid(self, cost: float, now: float) -> bool:
        """Take what the next attempt costs before this one is given up for it; returns whether it may be made."""
        if not self._paid and (self._retries > 0 or len(self.groups) > 1):
            self._paid = self.route.budget.spend(cost, now)
        return self._paid

    def _pause(self, error: ModelHubError, verdict: Verdict, now: float, random: Random) -> float | None:
        """Return the seconds before the same deployment may be asked again, or ``None``: it may not."""
        if not verdict.same:
            return None
        wait = wait_before_retry(self._waits, error.retry_after, self.deadline - now, random)
        self._waits += 1
        return None if wait is None else max(wait, _SHORTEST_PAUSE)

    def beside(self, option: Option[D]) -> Course[D]:
        """Return the way of a second try beside one that is under way: where its group is well otherwise.

        Other groups stand in for what is not well, and may be other models: to be faster is no reason for them.
        """

        def well(each: Option[D]) -> bool:
            return each.vitals is not option.vitals and each.vitals.breaker.closed

        course = copy(self)
        course.groups = [
            replace(group, options=tuple(each for each in group.options if well(each)))
            for group in self.groups
            if any(each is option for each in group.options)
        ]
        return course

    @property
    def left(self) -> Sequence[Option[D]]:
        """What may still be tried, in order."""
        return [option for group in self.groups for option in group.options]

    def __repr__(self) -> str:
        return f"<Course of {self.route.name}: {len(self.left)} left, {self._retries} retries>"


def _with_last(groups: Sequence[Group[D]], last: Sequence[Option[D]]) -> Sequence[Group[D]]:
    """Return groups with some deployments behind all the others."""
    first: list[Group[D]] = []
    behind: list[Group[D]] = []
    for group in groups:
        for kept, wanted in ((first, False), (behind, True)):
            options = tuple(option for option in group.options if (option in last) is wanted)
            if options:
                kept.append(replace(group, options=options))
    return [*first, *behind]
