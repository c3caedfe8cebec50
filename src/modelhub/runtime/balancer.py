"""The pool of a hub on its event loop: what is known of each deployment, and waiting for one to be free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, final

import anyio

from modelhub.configuration.settings import RoutingTable
from modelhub.errors import DeadlineExceeded, ModelHubError
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.course import Course, Group, Option, Pick, Route
from modelhub.rules.routing.health import Breaker, Ejection
from modelhub.rules.routing.pool import Change, Lease, Pool
from modelhub.rules.routing.verdict import Verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals

if TYPE_CHECKING:
    from modelhub.runtime.deployments import Deployment, DeploymentLimits
    from modelhub.types.credential import CredentialKey

__all__ = ["Balancer"]

_REMEMBERED = 4096
"""Deployments whose state is kept: tenants' credentials come with their calls and may never come again."""

_SHORTEST_WAIT = 0.001


@final
class Balancer:
    """Gives calls their places, and the pool what it learns from.

    Args:
        settings: How calls are routed.
        clock: A monotonic clock, in seconds.
        random: The random source.
        on_change: Told of what happens to deployments.
    """

    def __init__(
        self,
        settings: RoutingTable,
        *,
        clock: Callable[[], float],
        random: Random,
        on_change: Callable[[Change], None] | None = None,
    ) -> None:
        self._settings = settings
        self._ejection = Ejection(settings.eject_after, settings.eject_seconds, settings.eject_longest)
        self._vitals: dict[tuple[str, str, CredentialKey, DeploymentLimits], Vitals] = {}
        self._keys: dict[tuple[str, CredentialKey], KeyHealth] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self.clock: Callable[[], float] = clock
        self.random: Random = random
        self.pool: Pool = Pool(random, panic=settings.panic, on_change=on_change)

    def route(self, name: str, groups: Iterable[tuple[Pick | None, Sequence[Deployment]]]) -> Route[Deployment]:
        """Make a route of deployments.

        Args:
            name: What the caller named: calls of one name share a budget for their retries.
            groups: How each group picks, as the settings say where it does not, and what is in it.
        """
        made = tuple(
            Group(
                tuple(Option(each, self.vitals(each), each.weight) for each in deployments), pick or self._settings.pick
            )
            for pick, deployments in groups
        )
        return Route(name, made, self._budget(name))

    def vitals(self, deployment: Deployment) -> Vitals:
        """Return what is known of a deployment."""
        key = (deployment.plugin.id, deployment.model, deployment.credential.key, deployment.limits)
        known = self._vitals.get(key)
        if known is None:
            if len(self._vitals) >= _REMEMBERED:
                self._thin_out()
            known = self._vitals[key] = self._fresh(deployment)
        return known

    def _fresh(self, deployment: Deployment) -> Vitals:
        given = deployment.limits.concurrency
        start = given or deployment.plugin.schema.limits.get("concurrency") or self._settings.concurrency
        key = (deployment.plugin.id, deployment.credential.key)
        return Vitals(
            deployment.id,
            key=self._keys.setdefault(key, KeyHealth()),
            slots=Slots(start, start) if given else Slots(start),
            breaker=Breaker(self._ejection),
            queue=self._settings.queue,
        )

    def _thin_out(self) -> None:
        for key in [key for key, vitals in self._vitals.items() if vitals.idle][: _REMEMBERED // 2]:
            del self._vitals[key]
        used = {(provider, credential) for provider, _, credential, _ in self._vitals}
        self._keys = {key: health for key, health in self._keys.items() if key in used}

    def _budget(self, name: str) -> RetryBudget:
        budget = self._budgets.get(name)
        if budget is None:
            if len(self._budgets) >= _REMEMBERED:
                self._budgets.clear()
            budget = RetryBudget(self._settings.retry_budget, self._settings.retry_floor)
            self._budgets[name] = budget
        return budget

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
        self.pool.succeeded(lease, self.clock(), sample)

    def failed(self, lease: Lease[Any], error: ModelHubError, verdict: Verdict) -> None:
        """A call failed; see `Pool.failed`."""
        self.pool.failed(lease, error, verdict, self.clock())

    def abandoned(self, lease: Lease[Any]) -> None:
        """A call ended without a verdict; see `Pool.abandoned`."""
        self.pool.abandoned(lease, self.clock())

    def __repr__(self) -> str:
        busy = sum(vitals.slots.in_flight for vitals in self._vitals.values())
        return f"<Balancer: {len(self._vitals)} deployments, {busy} calls in flight>"
