"""Cheap checks of endpoints: of those that are ejected or idle, and of those that a call waits long for.

A check asks for the path that the provider's manifest names as its ``probe``, which costs nothing and answers while a
model is loaded. So a node that loads a model is told from one that accepts connections and will never answer: calls
that wait for their first content there are given up where they find another place, and keep their own limits else.

An endpoint is a provider with a credential. All its models are checked at once, as often as one of them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, final

import anyio

from modelhub.errors import ConfigurationError, ConnectionLost, ModelHubError, Scope
from modelhub.runtime.background import Background
from modelhub.runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from modelhub.configuration.settings import RoutingTable
    from modelhub.http.client import HttpClient
    from modelhub.rules.routing.course import Option
    from modelhub.rules.routing.pool import Lease, Pool
    from modelhub.rules.routing.vitals import KeyHealth, Vitals
    from modelhub.runtime.deployments import Deployment

__all__ = ["Prober", "Waiting"]

_SPREAD = 0.2
_FAILURES = 2
"""Checks in a row that must fail before an endpoint counts as dead."""

_AGAIN_SECONDS = 1.0
"""How soon a check of an endpoint that a call waits for is repeated where it failed."""

_CHECK_SECONDS = 3.0
_AT_ONCE = 8
_SHORTEST = 0.001

_IN_USE_SECONDS = 60.0
"""For how long after its last call an application is taken to go on."""

_INTEREST_SECONDS = 600.0
"""For how long after its last call an endpoint is checked: tenants' may never be called again."""

_REMEMBERED = 256
_MODELS = 64
"""Models of one endpoint that are ejected together where it is dead; each is found out by its own calls else."""

_SERVER_ERROR = 500

Ask = Callable[["Deployment"], Awaitable[object]]
"""Sends the check; raises what it ends with."""

_log = logging.getLogger("modelhub")


@final
class Waiting:
    """A call that waits for its first content.

    Attributes:
        since: When it began to.
        lease: Its place.
        http: What it waits through.
    """

    __slots__ = ("http", "lease", "node", "since")

    def __init__(self, since: float, lease: Lease[Deployment], http: HttpClient, node: _Node) -> None:
        self.since: float = since
        self.lease: Lease[Deployment] = lease
        self.http: HttpClient = http
        self.node: _Node = node


@final
class _Node:
    """An endpoint as it is looked after.

    Attributes:
        deployment: One of its deployments, to check it by.
        options: Its deployments by what is known of each.
        waiting: The calls that wait there.
        watched: Whether a task looks after them.
        failures: Checks that failed, one after another, with no answer to anything between them.
        used: When it was called last.
        checked: When it was checked last.
        answered: When a call was answered last.
    """

    __slots__ = ("answered", "checked", "deployment", "failures", "options", "used", "waiting", "watched")

    def __init__(self, deployment: Deployment) -> None:
        self.deployment: Deployment = deployment
        self.options: dict[Vitals, Option[Deployment]] = {}
        self.waiting: dict[Waiting, None] = {}
        self.watched: bool = False
        self.failures: int = 0
        self.used: float = -math.inf
        self.checked: float = -math.inf
        self.answered: float = -math.inf

    def add(self, option: Option[Deployment]) -> None:
        if option.vitals not in self.options:
            if len(self.options) >= _MODELS:
                del self.options[next(iter(self.options))]
            self.options[option.vitals] = option

    @property
    def dead(self) -> bool:
        return self.failures >= _FAILURES

    @property
    def ejected(self) -> bool:
        return any(not vitals.breaker.closed for vitals in self.options)

    @property
    def busy(self) -> bool:
        return any(vitals.slots.in_flight for vitals in self.options)


@final
class Prober:
    """Looks after the endpoints of a hub.

    Args:
        settings: How often, and whether at all.
        background: Runs the checks.
        pool: What is told of what they found.
        ask: Sends a check.
        clock: A monotonic clock, in seconds.
        random: Spreads checks.
    """

    def __init__(
        self,
        settings: RoutingTable,
        background: Background,
        pool: Pool,
        ask: Ask,
        *,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self._settings = settings
        self._background = background
        self._pool = pool
        self._ask = ask
        self._clock = clock
        self._random = random
        self._nodes: dict[KeyHealth, _Node] = {}
        self._flights = SingleFlight()
        self._rounds = False
        self._used = -math.inf
        self._changed = anyio.Event()

    def adopt(self, settings: RoutingTable) -> None:
        """Check by other settings from now on, also what is looked after already."""
        self._settings = settings
        self._changed.set()
        self._changed = anyio.Event()

    def wait(self, lease: Lease[Deployment], http: HttpClient | None) -> Waiting | None:
        """A call begins to wait for its first content; ``None`` where its endpoint is not checked for it."""
        option = lease.option
        if http is None or option.deployment.plugin.schema.probe is None:
            return None
        node = self._node(option)
        now = self._used = node.used = self._clock()
        if not self._rounds:
            self._start_rounds()
        if self._settings.probe_waiting <= 0.0:
            return None
        http.can_be_given_up = True
        waiting = Waiting(now, lease, http, node)
        node.waiting[waiting] = None
        if not node.watched:
            node.watched = self._started(f"checks of {option.id} while calls wait", lambda: self._watch(node))
        return waiting

    def came(self, waiting: Waiting | None, *, answered: bool) -> None:
        """The first content is here, or, not ``answered``, the call has ended without. Idempotent."""
        if waiting is not None:
            node = waiting.node
            node.waiting.pop(waiting, None)
            if answered:
                node.answered, node.failures = self._clock(), 0

    def ejected(self, option: Option[Deployment]) -> None:
        """A deployment is ejected."""
        if option.deployment.plugin.schema.probe is not None:
            node = self._node(option)
            node.used = max(node.used, self._clock())
            self._start_rounds()

    def _node(self, option: Option[Deployment]) -> _Node:
        key = option.vitals.key
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= _REMEMBERED:
                self._thin_out()
            node = self._nodes[key] = _Node(option.deployment)
        node.add(option)
        return node

    def _thin_out(self) -> None:
        """Forget those that were not called for longest: tenants' credentials come with their calls."""
        idle = sorted((key for key, node in self._nodes.items() if not node.waiting), key=lambda k: self._nodes[k].used)
        for key in idle[: _REMEMBERED // 2]:
            del self._nodes[key]

    def _started(self, name: str, function: Callable[[], Awaitable[object]]) -> bool:
        try:
            self._background.start(name, function)
        except ConfigurationError:
            return False  # the hub was left, and a stream goes on: nobody looks after it any more
        return True

    def _start_rounds(self) -> None:
        if not self._rounds and self._settings.probe_seconds > 0.0:
            self._rounds = self._started("checks of ejected and idle endpoints", self._go_round)

    @property
    def _between(self) -> float:
        """Seconds between two checks of one endpoint, whoever wants them."""
        return self._settings.probe_seconds or 2.0 * self._settings.probe_waiting

    async def _go_round(self) -> None:
        """Check what is ejected or idle, until the application does nothing any more."""
        try:
            while self._in_use() and self._settings.probe_seconds > 0.0:
                if await self._settings_change(self._between * self._random.uniform(1.0 - _SPREAD, 1.0 + _SPREAD)):
                    continue
                due = [node for node in self._nodes.values() if self._is_due(node)]
                limiter = anyio.CapacityLimiter(_AT_ONCE)
                async with anyio.create_task_group() as group:
                    for node in due:
                        group.start_soon(self._look, node, limiter)
        finally:
            self._rounds = False

    async def _settings_change(self, seconds: float) -> bool:
        """Wait for so long, and no longer than until the settings change; returns whether they did."""
        with anyio.move_on_after(seconds):
            await self._changed.wait()
            return True
        return False

    def _in_use(self) -> bool:
        return self._clock() - self._used < _IN_USE_SECONDS

    def _is_due(self, node: _Node) -> bool:
        now, seconds = self._clock(), self._between
        if now - node.checked < (1.0 - _SPREAD) * seconds or now - node.used >= _INTEREST_SECONDS:
            return False
        if all(vitals.gone for vitals in node.options):
            return False
        idle = now - node.used >= seconds and not node.busy
        return self._in_use() and (idle or node.ejected)

    async def _look(self, node: _Node, limiter: anyio.CapacityLimiter) -> None:
        """Check an endpoint that no call waits for, and let the pool know."""
        async with limiter:
            begun, was_silent = self._clock(), node.failures > 0
            alive = await self._answers(node)
            if alive and was_silent:
                self._found_alive(node)
            elif node.dead and node.used < begun:
                self._found_dead(node, begun)

    def _found_alive(self, node: _Node) -> None:
        """It did not answer checks before: this is what it was ejected for, so that one call may try it at once.

        What answered checks all the time was ejected for something that they do not show.
        """
        for vitals in node.options:
            if not vitals.breaker.closed:
                vitals.breaker.answered(self._clock())
                self._pool.changed(vitals)

    def _found_dead(self, node: _Node, begun: float) -> None:
        now = self._clock()
        for option in list(node.options.values()):
            breaker = option.vitals.breaker
            if breaker.closed:
                self._pool.found_silent(option, float(self._settings.eject_after), now, begun=begun)
            breaker.silent(now, self._between * (1.0 + 2.0 * _SPREAD))  # until after the next check

    async def _watch(self, node: _Node) -> None:
        """Check an endpoint while calls wait long for it; where it is dead, give up those that find another place."""
        try:
            while node.waiting and (patience := self._settings.probe_waiting) > 0.0:
                quick = min(patience, _AGAIN_SECONDS)
                oldest = next(iter(node.waiting)).since
                look_at = max(oldest + patience, node.checked + (quick if node.failures else self._between))
                if await self._settings_change(max(look_at - self._clock(), quick if node.dead else _SHORTEST)):
                    continue
                now = self._clock()
                if not any(now - each.since >= patience for each in node.waiting):
                    continue
                if now - node.checked >= (self._between if node.dead or not node.failures else quick):
                    await self._look_for_those_who_wait(node)
                if node.dead:
                    self._give_up(node)
        finally:
            node.watched = False

    async def _look_for_those_who_wait(self, node: _Node) -> None:
        begun, was_silent = self._clock(), node.failures > 0
        if await self._answers(node):
            if was_silent:
                self._found_alive(node)
        elif node.dead:
            self._found_dead(node, begun)

    def _give_up(self, node: _Node) -> None:
        """Give up the calls that have waited long and find another place."""
        now = self._clock()
        for each in list(node.waiting):
            seconds = now - each.since
            if seconds >= self._settings.probe_waiting:
                message = f"nothing came for {seconds:.1f} s, and the server does not answer cheap checks either"
                error = ConnectionLost(message, sent=True)
                if self._pool.may_leave(each.lease, error, now):
                    each.http.give_up(error)

    async def _answers(self, node: _Node) -> bool:
        """Check an endpoint; several who want to know at once ask once."""
        alive: bool = await self._flights.run(node, lambda: self._checked(node))
        return alive

    async def _checked(self, node: _Node) -> bool:
        begun = node.checked = self._clock()
        alive = await self._asked(node.deployment) or node.answered >= begun
        node.failures = 0 if alive else node.failures + 1
        return alive

    async def _asked(self, deployment: Deployment) -> bool:
        """Send a check; whatever says nothing about the server is no failure of it."""
        try:
            with anyio.move_on_after(_CHECK_SECONDS):
                await self._ask(deployment)
                return True
        except ModelHubError as error:
            if error.status is not None:
                return error.status < _SERVER_ERROR  # it understood the request at least
            return error.scope is not Scope.ENDPOINT  # else nothing was sent
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
            _log.warning("a check of %s ended with %s", deployment.id, type(error).__name__, exc_info=error)
            return True
        return False

    def __repr__(self) -> str:
        waiting = sum(len(node.waiting) for node in self._nodes.values())
        return f"<Prober: {len(self._nodes)} endpoints, {waiting} calls waiting>"
