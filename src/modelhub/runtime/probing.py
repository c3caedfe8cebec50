"""Cheap checks of endpoints: of those that are ejected or idle, and of those that a call waits long for.

A check asks for the path that the provider's manifest names as its ``probe``, which costs nothing and answers while a
model is loaded. So a node that loads a model is told from one that accepts connections and will never answer: calls
that wait for their first content there are given up, and find another.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from random import Random
from typing import TYPE_CHECKING, final

import anyio

from modelhub.errors import ConnectionLost, ModelHubError
from modelhub.runtime.background import Background
from modelhub.runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from modelhub.configuration.settings import RoutingTable
    from modelhub.http.client import HttpClient
    from modelhub.rules.routing.course import Option
    from modelhub.rules.routing.pool import Pool
    from modelhub.runtime.deployments import Deployment

__all__ = ["Prober", "Waiting"]

_SPREAD = 0.2
_FAILURES = 2
"""Checks in a row that must fail before a node counts as dead."""

_AGAIN_SECONDS = 1.0
"""How soon a check of a node that a call waits for is repeated where it failed."""

_CHECK_SECONDS = 3.0
_IDLE_FAULT = 1.5
"""What a failed check of an idle node counts: two of them eject it."""

_IN_USE_SECONDS = 60.0
"""For how long after its last call an application is taken to go on."""

_SERVER_ERROR = 500

Ask = Callable[["Deployment"], Awaitable[object]]
"""Sends the check; raises what it ends with."""


@final
class Waiting:
    """A call that waits for its first content.

    Attributes:
        since: When it began to.
        http: What it waits through.
    """

    __slots__ = ("http", "since")

    def __init__(self, since: float, http: HttpClient) -> None:
        self.since = since
        self.http = http


@final
class _Node:
    """A deployment as it is looked after.

    Attributes:
        waiting: The calls that wait there.
        watched: Whether a task looks after them.
        failures: Checks that failed, one after another.
        used: When it was called last.
    """

    __slots__ = ("failures", "option", "used", "waiting", "watched")

    def __init__(self, option: Option[Deployment]) -> None:
        self.option = option
        self.waiting: dict[Waiting, None] = {}
        self.watched = False
        self.failures = 0
        self.used = -math.inf


@final
class Prober:
    """Looks after the deployments of a hub.

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
        self._nodes: dict[object, _Node] = {}
        self._flights = SingleFlight()
        self._rounds = False
        self._used = -math.inf

    def wait(self, option: Option[Deployment], http: HttpClient | None) -> Waiting | None:
        """A call begins to wait for its first content; ``None`` where its node cannot be checked."""
        if http is None or option.deployment.plugin.schema.probe is None:
            return None
        node = self._node(option)
        now = self._used = node.used = self._clock()
        self._start_rounds()
        if self._settings.probe_waiting <= 0.0:
            return None
        http.can_be_given_up = True
        waiting = Waiting(now, http)
        node.waiting[waiting] = None
        if not node.watched:
            node.watched = True
            self._background.start(f"checks of {option.id} while calls wait", lambda: self._watch(node))
        return waiting

    def came(self, option: Option[Deployment], waiting: Waiting | None) -> None:
        """The first content is here, or the call has ended. Idempotent."""
        if waiting is not None:
            self._node(option).waiting.pop(waiting, None)

    def ejected(self, option: Option[Deployment]) -> None:
        """A deployment is ejected."""
        if option.deployment.plugin.schema.probe is not None:
            self._node(option)
            self._start_rounds()

    def _node(self, option: Option[Deployment]) -> _Node:
        node = self._nodes.get(option.vitals)
        if node is None:
            node = self._nodes[option.vitals] = _Node(option)
        return node

    def _start_rounds(self) -> None:
        if not self._rounds and self._settings.probe_seconds > 0.0:
            self._rounds = True
            self._background.start("checks of ejected and idle endpoints", self._go_round)

    async def _go_round(self) -> None:
        """Check what is ejected or idle, until the application does nothing any more."""
        seconds = self._settings.probe_seconds
        while self._clock() - self._used < _IN_USE_SECONDS + seconds or self._any_ejected():
            await anyio.sleep(seconds * self._random.uniform(1.0 - _SPREAD, 1.0 + _SPREAD))
            for node in list(self._nodes.values()):
                if self._is_idle(node) or not node.option.vitals.breaker.closed:
                    await self._look(node)
        self._rounds = False
        self._nodes = {vitals: node for vitals, node in self._nodes.items() if node.waiting}

    def _any_ejected(self) -> bool:
        return any(not node.option.vitals.breaker.closed for node in self._nodes.values())

    def _is_idle(self, node: _Node) -> bool:
        now = self._clock()
        idle = now - node.used >= self._settings.probe_seconds and not node.option.vitals.slots.in_flight
        return idle and now - self._used < _IN_USE_SECONDS

    async def _look(self, node: _Node) -> None:
        """Check a node that no call waits for, and let the pool know."""
        vitals = node.option.vitals
        begun = self._clock()
        alive = await self._answers(node)
        now = self._clock()
        if vitals.breaker.closed:
            if not alive:
                self._pool.found_silent(node.option, _IDLE_FAULT, now, begun=begun)
        elif alive:
            vitals.breaker.answered(now)
            self._pool.changed(vitals)
        elif node.failures >= _FAILURES:
            vitals.breaker.silent(now, self._settings.probe_seconds * (1.0 + 2 * _SPREAD))

    async def _watch(self, node: _Node) -> None:
        """Check a node while calls wait long for it, and give them up where it is dead."""
        patience = self._settings.probe_waiting
        try:
            while node.waiting:
                oldest = next(iter(node.waiting)).since
                await anyio.sleep(max(oldest + patience - self._clock(), min(patience, _AGAIN_SECONDS)))
                long = [each for each in node.waiting if self._clock() - each.since >= patience]
                while long and not await self._answers(node):
                    if node.failures >= _FAILURES:
                        self._give_up(node, [each for each in long if each in node.waiting])
                        break
                    await anyio.sleep(min(patience, _AGAIN_SECONDS))
        finally:
            node.watched = False

    def _give_up(self, node: _Node, waiting: list[Waiting]) -> None:
        now = self._clock()
        self._pool.found_silent(node.option, float(self._settings.eject_after), now, begun=now)
        for each in waiting:
            message = f"nothing came for {now - each.since:.1f} s, and the server does not answer cheap checks either"
            each.http.give_up(ConnectionLost(message, sent=True))

    async def _answers(self, node: _Node) -> bool:
        """Check a node; several who want to know at once ask once."""
        deployment = node.option.deployment
        key = (deployment.plugin.id, deployment.credential.key)
        alive: bool = await self._flights.run(key, lambda: self._asked(deployment))
        node.failures = 0 if alive else node.failures + 1
        return alive

    async def _asked(self, deployment: Deployment) -> bool:
        try:
            with anyio.move_on_after(_CHECK_SECONDS):
                await self._ask(deployment)
                return True
        except ModelHubError as error:
            # Whatever is said to a request that was understood: the server is there.
            return error.status is not None and error.status < _SERVER_ERROR
        return False

    def __repr__(self) -> str:
        waiting = sum(len(node.waiting) for node in self._nodes.values())
        return f"<Prober: {len(self._nodes)} nodes, {waiting} calls waiting>"
