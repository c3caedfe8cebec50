"""The pool of a hub on its event loop: what is known of each deployment, and waiting for one to be free."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias, final
from weakref import WeakValueDictionary

import anyio

from modelhub.configuration.settings import RoutingTable
from modelhub.errors import DeadlineExceeded, ModelHubError
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.course import Course, Group, Option, Pick, Route
from modelhub.rules.routing.health import Breaker, Ejection
from modelhub.rules.routing.hedging import Hedging
from modelhub.rules.routing.pool import Change, Lease, Pool
from modelhub.rules.routing.rates import RateBucket, Rates
from modelhub.rules.routing.tokens import counted_tokens
from modelhub.rules.routing.verdict import Verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals
from modelhub.runtime.probing import Ask, Prober
from modelhub.runtime.spending import Spending, account_of
from modelhub.types.deployments import DeploymentInfo

if TYPE_CHECKING:
    from modelhub.rules.routing.rates import Bucket
    from modelhub.runtime.background import Background
    from modelhub.runtime.deployments import Deployment, DeploymentLimits
    from modelhub.runtime.sharing import Sharing
    from modelhub.types.cost import Cost
    from modelhub.types.credential import Credential, CredentialKey
    from modelhub.types.usage import Usage
    from modelhub.wire.rate_headers import RateFacts

__all__ = ["Balancer"]

_Key: TypeAlias = "tuple[str, str, CredentialKey, DeploymentLimits]"

_REMEMBERED = 4096
"""Deployments whose state is kept although no route may lead there again: tenants' credentials come with their calls,
and may never come again."""

_SHORTEST_WAIT = 0.001


@final
class Balancer:
    """Gives calls their places, and the pool what it learns from.

    Args:
        settings: How calls are routed.
        clock: A monotonic clock, in seconds.
        random: The random source.
        wall: Seconds since 1970, by which periods of budgets begin and end.
        on_change: Told of what happens to deployments.
        background: Runs what looks after deployments; without it, nothing does.
        ask: Sends a cheap check to a deployment.
        sharing: What other processes are told, and hear; without it, this one keeps to itself.

    Attributes:
        pool: What decides.
        prober: What looks after deployments.
    """

    def __init__(
        self,
        settings: RoutingTable,
        *,
        clock: Callable[[], float],
        random: Random,
        wall: Callable[[], float] = time.time,
        on_change: Callable[[Change], None] | None = None,
        background: Background | None = None,
        ask: Ask | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self._settings = settings
        self._ejection = Ejection(settings.eject_after, settings.eject_seconds, settings.eject_longest)
        self._vitals: WeakValueDictionary[_Key, Vitals] = WeakValueDictionary()
        self._kept: dict[_Key, Vitals] = {}
        self._keys: WeakValueDictionary[tuple[str, CredentialKey], KeyHealth] = WeakValueDictionary()
        self._budgets: dict[tuple[str, object], RetryBudget] = {}
        self._hedges: dict[str, Hedging] = {}
        self._turns: dict[tuple[str, int], dict[str, float]] = {}
        self._shared_rates: WeakValueDictionary[object, Rates] = WeakValueDictionary()
        self._spending = Spending(wall)
        self.clock: Callable[[], float] = clock
        self.random: Random = random
        self._on_change = on_change
        self._sharing = sharing
        self.pool: Pool = Pool(random, panic=settings.panic, on_change=self._changed)
        self.prober: Prober | None = None
        if background is not None and ask is not None:
            self.prober = Prober(settings, background, self.pool, ask, clock=clock, random=random)

    def adopt(self, settings: RoutingTable) -> None:
        """Route by other settings from now on; deployments that are known keep their slots and their health.

        What keys may spend is looked at anew as they are routed to; what they have spent stays.
        """
        self._settings = settings
        self._ejection = Ejection(settings.eject_after, settings.eject_seconds, settings.eject_longest)
        self.pool.panic = settings.panic
        if self.prober is not None:
            self.prober.adopt(settings)
        self._budgets.clear()
        self._hedges.clear()
        for vitals in self._vitals.values():
            vitals.gone = True  # until a route leads there again
            vitals.queue = settings.queue
            vitals.breaker.ejection = self._ejection
        for key in self._keys.values():
            key.broke_until = -math.inf

    def route(
        self, name: str, groups: Iterable[tuple[Pick | None, Sequence[Deployment]]], *, owner: object = None
    ) -> Route[Deployment]:
        """Make a route of deployments.

        Args:
            name: What the caller named: calls of one name share a budget for their retries.
            groups: How each group picks, as the settings say where it does not, and what is in it.
            owner: Whose credentials came with the call, where some did: others' retries are not paid from theirs.
        """
        made = tuple(
            Group(
                tuple(map(self._option, deployments)),
                pick or self._settings.pick,
                self._turns_of(name, number),
            )
            for number, (pick, deployments) in enumerate(groups)
        )
        budget = self._budget((name, owner))
        return Route(name, made, budget, self._hedging(name, budget) if self._settings.hedge else None)

    def _option(self, deployment: Deployment) -> Option[Deployment]:
        vitals = self.vitals(deployment)
        self._count_money(deployment, self._spending.exhausted(deployment))
        vitals.gone = False
        return Option(deployment, vitals, deployment.weight)

    def vitals(self, deployment: Deployment) -> Vitals:
        """Return what is known of a deployment."""
        key = (deployment.plugin.id, deployment.model, deployment.credential.key, deployment.limits)
        known = self._vitals.get(key)
        if known is None:
            known = self._vitals[key] = self._fresh(deployment)
        self._kept.pop(key, None)
        if len(self._kept) >= _REMEMBERED:
            self._thin_out()
        self._kept[key] = known  # the last: what was routed to longest ago is forgotten first
        return known

    def _fresh(self, deployment: Deployment) -> Vitals:
        given = deployment.limits.concurrency
        start = given or deployment.plugin.schema.limits.get("concurrency") or self._settings.concurrency
        key = (deployment.plugin.id, deployment.credential.key)
        health = self._keys.setdefault(key, KeyHealth(account_of(deployment)))
        twin = next((each for each in health.users if each.id == deployment.id), None)
        vitals = Vitals(
            deployment.id,
            key=health,
            slots=Slots(start, start) if given else Slots(start),
            breaker=Breaker(self._ejection) if twin is None else twin.breaker,
            queue=self._settings.queue,
        )
        if twin is not None:  # with other limits, and the same endpoint
            vitals.latencies = twin.latencies
        if self._sharing is not None:
            self._sharing.joined(deployment, vitals)
        vitals.rates = self._rates(deployment)
        return vitals

    def _rates(self, deployment: Deployment) -> Rates | None:
        limits, declared = deployment.limits, deployment.plugin.schema.limits
        rpm, tpm = limits.rpm or declared.get("rpm"), limits.tpm or declared.get("tpm")
        # A vendor counts what comes with a key, to whichever address: all of them share one limit.
        name = (*account_of(deployment), deployment.model, limits)
        rates = self._shared_rates.get(name) if deployment.credential.address is not None else None
        if rates is None and not (rpm is None and tpm is None):
            rates = Rates(self._bucket(deployment, "requests", rpm), self._bucket(deployment, "tokens", tpm))
            self._shared_rates[name] = rates
        return rates

    def _told(self, deployment: Deployment) -> Rates:
        """Return what keeps the limits that a vendor told us, where we have none of our own, for all addresses."""
        rates = Rates(RateBucket(math.inf), RateBucket(math.inf))
        if deployment.credential.address is not None:
            account, limits = account_of(deployment), deployment.limits
            self._shared_rates[*account, deployment.model, limits] = rates  # for those that are found later
            for (_, model, _, others), vitals in self._vitals.items():
                if (vitals.key.account, model, others) == (account, deployment.model, limits):
                    vitals.rates = vitals.rates or rates
        return rates

    def _bucket(self, deployment: Deployment, what: str, limit: float | None) -> Bucket:
        if limit is None or self._sharing is None:
            return RateBucket(math.inf if limit is None else limit)
        return self._sharing.bucket(deployment, what, limit)

    def _changed(self, option: Option[Deployment], change: Change) -> None:
        for vitals in list(option.vitals.key.users):
            if vitals.breaker is option.vitals.breaker and vitals is not option.vitals:
                vitals.nudge()
        if self._on_change is not None:
            self._on_change(change)
        if self._sharing is not None:
            self._sharing.changed(option, change)

    def _thin_out(self) -> None:
        for key in [key for key, vitals in self._kept.items() if vitals.idle][: _REMEMBERED // 2]:
            del self._kept[key]
        self._spending.forget({key.account for key in self._keys.values()})

    def _budget(self, name: tuple[str, object]) -> RetryBudget:
        budget = self._budgets.get(name)
        if budget is None:
            if len(self._budgets) >= _REMEMBERED:
                self._budgets.clear()
            budget = RetryBudget(self._settings.retry_budget, self._settings.retry_floor)
            self._budgets[name] = budget
        return budget

    def _turns_of(self, name: str, number: int) -> dict[str, float]:
        """Return whose turn it is in a group, also where its route is made anew for each call."""
        turns = self._turns.get((name, number))
        if turns is None or len(turns) >= _REMEMBERED:
            if len(self._turns) >= _REMEMBERED:
                self._turns.clear()
            turns = self._turns[name, number] = {}
        return turns

    def _hedging(self, name: str, budget: RetryBudget) -> Hedging:
        hedging = self._hedges.get(name)
        if hedging is None:
            if len(self._hedges) >= _REMEMBERED:
                self._hedges.clear()
            hedging = self._hedges[name] = Hedging(budget)
        return hedging

    async def lease(self, course: Course[Deployment]) -> Lease[Deployment]:
        """Return a place for a call, waiting for it where that makes sense.

        Raises:
            NoDeploymentAvailable: Nothing can serve it in time; the class says why.
        """
        now = self.clock()
        lease = self.pool.choose(course, now)
        return await self._waited(course, now) if lease is None else lease

    async def _waited(self, course: Course[Deployment], now: float) -> Lease[Deployment]:
        pool = self.pool
        event = anyio.Event()

        def wake() -> None:
            event.set()

        ticket = pool.wait(course, now, wake)
        try:
            while (lease := ticket.lease) is None:
                if now >= course.deadline:
                    raise DeadlineExceeded(f"{course.route.name} was not free in the time that the caller allowed")
                seconds = max(min(ticket.until(now), course.deadline) - now, _SHORTEST_WAIT)
                with anyio.move_on_after(seconds):
                    await event.wait()
                event = anyio.Event()
                now = self.clock()
                if ticket.lease is None and now < course.deadline:
                    pool.look_again(ticket, now)
            ticket.lease = None  # it is the caller's now
            return lease
        finally:
            pool.leave(ticket, self.clock())

    def succeeded(self, lease: Lease[Any], sample: float | None = None) -> None:
        """A call was answered; see `Pool.succeeded`."""
        hedging = lease.course.route.hedging
        if hedging is not None and not lease.ended:
            seconds = lease.first_content
            hedging.add(lease.course.signal, self.clock() - lease.begun if seconds is None else seconds)
        self.answering(lease)
        self.pool.succeeded(lease, self.clock(), sample)

    def answering(self, lease: Lease[Any]) -> None:
        """Content of a call comes: its key is taken, and whoever waits for that need not wait for the end."""
        vitals = lease.option.vitals
        if not lease.ended and vitals.key.accepted(lease.begun):
            self.pool.trusted(vitals.key)
            if self._sharing is not None:
                self._sharing.accepted(vitals)

    def failed(self, lease: Lease[Any], error: ModelHubError, verdict: Verdict) -> None:
        """A call failed; see `Pool.failed`."""
        self.pool.failed(lease, error, verdict, self.clock())
        if self.prober is not None and not lease.option.vitals.breaker.closed:
            self.prober.ejected(lease.option)

    def more(self, lease: Lease[Deployment], *, requests: int) -> None:
        """A call makes more requests than the one that its place was given for: those after it wait the longer."""
        rates = lease.option.vitals.rates
        if isinstance(rates, Rates) and rates.requests is not None:
            rates.requests.settle(0.0, float(requests), self.clock())

    def settled(self, lease: Lease[Deployment], usage: Usage | None, cost: Cost | None) -> None:
        """A call was answered, or given up: correct what was reserved to what it used, and count what it cost."""
        if lease.option.vitals.rates is not None:
            asked, answered = counted_tokens(usage)
            if asked is not None and answered is not None:
                self.pool.used(lease, asked + answered, self.clock())
        deployment = lease.option.deployment
        if deployment.budget is not None:
            self._count_money(deployment, self._spending.spent(deployment, cost))

    def _count_money(self, deployment: Deployment, seconds: float | None) -> None:
        if seconds is not None:
            for each in self._of_account(account_of(deployment)):
                each.broke_until = self.clock() + seconds

    def _of_account(self, account: object) -> list[KeyHealth]:
        """Return what is known of a credential at each address that it is called at."""
        return [key for key in self._keys.values() if key.account == account]

    def learned(self, lease: Lease[Deployment], facts: RateFacts) -> None:
        """An answer's headers said what is left of the vendor's own limits: they are kept as well as ours."""
        vitals = lease.option.vitals
        if vitals.rates is None:
            vitals.rates = self._told(lease.option.deployment)
        rates, now = vitals.rates, self.clock()
        assert isinstance(rates, Rates)  # noqa: S101  nothing else is made here
        for bucket, fact in ((rates.requests, facts.requests), (rates.tokens, facts.all_tokens)):
            if bucket is not None and fact is not None:
                bucket.tighten(now, limit=fact.limit, remaining=fact.remaining, reset=fact.reset)

    def accepted(self, provider: str, credential: Credential) -> None:
        """The vendor was asked about a credential, and takes it: calls may use it again at once."""
        for key in self._of_account((provider, credential.account)):
            key.accepted()
            for vitals in list(key.users):
                self.pool.changed(vitals)
                if self._sharing is not None:
                    self._sharing.accepted(vitals)

    def gone(self, credentials: Collection[CredentialKey]) -> None:
        """Nodes are not found any more. What is known of them stays, for when they come back.

        Args:
            credentials: The keys of what they were called with.
        """
        if not credentials:
            return
        for (_, _, credential, _), vitals in list(self._vitals.items()):
            if credential in credentials:
                vitals.gone = True

    def abandoned(self, lease: Lease[Any]) -> None:
        """A call ended without a verdict; see `Pool.abandoned`."""
        self.pool.abandoned(lease, self.clock())

    def unsent(self, lease: Lease[Any]) -> None:
        """A call was not sent after all; see `Pool.unsent`."""
        self.pool.unsent(lease, self.clock())

    def overtaken(self, lease: Lease[Any]) -> None:
        """A call was answered elsewhere before; see `Pool.overtaken`."""
        self.pool.overtaken(lease, self.clock())

    def infos(self) -> list[DeploymentInfo]:
        """Return every deployment that is known as it stands."""
        now = self.clock()
        infos = []
        for vitals in self._vitals.values():
            if vitals.gone and not vitals.slots.in_flight:
                continue
            block = vitals.block(now, 0.0)
            known = block is not None and block.until < math.inf
            infos.append(
                DeploymentInfo(
                    vitals.id,
                    "ready" if block is None else block.reason,
                    block.until - now if block is not None and known else None,
                    vitals.slots.in_flight,
                    int(vitals.slots.limit),
                    vitals.queued,
                )
            )
        return sorted(infos, key=lambda info: info.id)

    def __repr__(self) -> str:
        busy = sum(vitals.slots.in_flight for vitals in self._vitals.values())
        return f"<Balancer: {len(self._vitals)} deployments, {busy} calls in flight>"
