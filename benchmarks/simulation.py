"""Servers, clients and time that are simulated, for measuring and testing where the real pool sends calls.

Owns a queue of events in virtual time, servers with slots, queues and faults, and clients that do what the runtime
does: choose, wait, try again. Nothing sleeps, nothing is sent, and a seed decides everything.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from modelhub.errors import ConnectFailed, ModelHubError, NoDeploymentAvailable, Overloaded, ServerError, Timeout
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.course import Course, Group, Option, Pick, Route
from modelhub.rules.routing.health import Breaker, Ejection
from modelhub.rules.routing.pool import Lease, Pool
from modelhub.rules.routing.queue import Ticket
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import KeyHealth, Vitals
from modelhub.types.credential import Credential

__all__ = ["Answer", "Client", "Outcome", "Place", "Server", "World", "option", "poisson", "saturated"]

Answer: TypeAlias = Callable[[ModelHubError | None, float], None]
"""Told how a call ended, and after how many seconds its first token came."""


@dataclass(frozen=True, slots=True)
class Place:
    """A deployment, as far as routing knows it."""

    id: str
    provider_id: str = "simulated"
    model: str = "m"
    credential: Credential = field(default_factory=lambda: Credential({"api_key": "k"}), compare=False, repr=False)


class World:
    """Virtual time."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 0.0
        self.random = Random(seed)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Have something happen at a time, after what was to happen then already."""
        self._number += 1
        heapq.heappush(self._events, (max(when, self.now), self._number, action))

    def run(self, until: float = math.inf) -> None:
        """Let everything happen that is to happen by then."""
        while self._events and self._events[0][0] <= until:
            self.now, _, action = heapq.heappop(self._events)
            action()


class Server:
    """So many calls at once, the others behind each other, refused where too many wait.

    Args:
        world: Where it is.
        slots: Calls that it works on at once.
        slower: What the time of each call is multiplied by.
        backlog: Calls that wait in it; more are refused.
        mean: Seconds that a call takes, log-normally distributed.
        sigma: How widely.

    Attributes:
        fault: What calls meet with from now on: ``refused`` at once, ``broken`` or ``busy`` within 5 ms, ``hangs`` for
            20 s.
        asked: Calls that came.
        wasted: Those that met with a fault.
        most: The most calls that were there at a time.
    """

    def __init__(
        self,
        world: World,
        slots: int = 4,
        *,
        slower: float = 1.0,
        backlog: float = math.inf,
        mean: float = 1.0,
        sigma: float = 1.0,
    ) -> None:
        self.world, self.slots, self.slower, self.backlog = world, slots, slower, backlog
        self._mu, self._sigma = math.log(mean) - sigma**2 / 2, sigma
        self.busy = 0
        self.queue: deque[tuple[float, float, Answer]] = deque()
        self.fault = ""
        self.asked = self.wasted = self.most = self.refused = 0

    def ask(self, answer: Answer) -> None:
        """Send a call."""
        world = self.world
        self.asked += 1
        seconds = world.random.lognormvariate(self._mu, self._sigma) * self.slower
        if self.fault:
            self.wasted += 1
            after, error = self._failure()
            world.at(world.now + after, lambda: answer(error, after))
        elif self.busy < self.slots:
            self._begin(world.now, seconds, answer)
        elif len(self.queue) >= self.backlog:
            self.refused += 1
            world.at(world.now + 0.005, lambda: answer(Overloaded("busy", status=503), 0.005))
        else:
            self.queue.append((world.now, seconds, answer))
        self.most = max(self.most, self.busy + len(self.queue))

    def _failure(self) -> tuple[float, ModelHubError]:
        if self.fault == "refused":
            return 0.001, ConnectFailed("refused", sent=False)
        if self.fault == "hangs":
            return 20.0, Timeout("silent", phase="first_token", seconds=20.0)
        if self.fault == "busy":
            return 0.005, Overloaded("busy", status=503)
        return 0.005, ServerError("broken", status=500)

    def _begin(self, asked: float, seconds: float, answer: Answer) -> None:
        self.busy += 1
        waited = self.world.now - asked
        self.world.at(self.world.now + seconds, lambda: self._end(answer, waited + 0.1 * seconds))

    def _end(self, answer: Answer, first_token: float) -> None:
        self.busy -= 1
        if self.queue and self.busy < self.slots:
            self._begin(*self.queue.popleft())
        answer(None, first_token)


@dataclass(slots=True)
class Outcome:
    """How the calls of a client went.

    Attributes:
        seconds: How long each call took that was answered.
        errors: The others, by class.
        attempts: What was sent.
        ended: When each answered call ended, where `seconds` says how long it took.
    """

    seconds: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    attempts: int = 0

    @property
    def calls(self) -> int:
        """How many calls ended."""
        return len(self.seconds) + sum(self.errors.values())

    @property
    def mean(self) -> float:
        """Seconds of an answered call."""
        return sum(self.seconds) / len(self.seconds)

    def percentile(self, share: float) -> float:
        """Return the seconds that so large a share of the answered calls took at most."""
        return sorted(self.seconds)[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def option(
    id: str,
    *,
    limit: float = math.inf,
    most: float = math.inf,
    queue: int = 64,
    share: float = 1.0,
    ejection: Ejection | None = None,
    breaker: Breaker | None = None,
) -> Option[Place]:
    """Return a deployment of which nothing is known."""
    slots = Slots(limit, most)
    vitals = Vitals(id, key=KeyHealth(), slots=slots, breaker=breaker or Breaker(ejection), queue=queue)
    return Option(Place(id, credential=Credential({"api_key": id})), vitals, share)


class Client:
    """One process that calls servers through its own pool.

    Args:
        world: Where it is.
        servers: The servers, each with what is known of it.
        pick: How they are picked.
        timeout: Seconds that a call may take.
        retries: How often a call may be tried again.
        budget: What that is paid from.
        outcome: Where it is noted how calls went, where several clients share that.
        signal: What is learned of the servers' speed.
        panic: As the pool has it.
    """

    def __init__(
        self,
        world: World,
        servers: Sequence[tuple[Option[Place], Server]],
        pick: Pick = "adaptive",
        *,
        timeout: float = math.inf,
        retries: int = 2,
        budget: RetryBudget | None = None,
        outcome: Outcome | None = None,
        signal: str = "seconds",
        panic: bool = True,
    ) -> None:
        self.world = world
        self.pool = Pool(Random(world.random.random()), panic=panic)
        self.servers = {option.id: server for option, server in servers}
        self.route = Route("simulated", (Group(tuple(option for option, _ in servers), pick),), budget or RetryBudget())
        self.outcome = outcome or Outcome()
        self._timeout, self._retries, self._signal = timeout, retries, signal

    def call(self) -> None:
        """Begin a call."""
        now = self.world.now
        course = Course(self.route, retries=self._retries, deadline=now + self._timeout, signal=self._signal)
        self._attempt(course, now)

    def _attempt(self, course: Course[Place], begun: float) -> None:
        lease = self.pool.choose(course, self.world.now)
        if lease is None:
            Waiting(self, course, begun)
        else:
            self.send(lease, begun)

    def send(self, lease: Lease[Place], begun: float) -> None:
        """Send a call that has its place."""
        self.outcome.attempts += 1
        self.servers[lease.option.id].ask(lambda error, first: self._answered(lease, begun, error, first))

    def _answered(self, lease: Lease[Place], begun: float, error: ModelHubError | None, first: float) -> None:
        now, course = self.world.now, lease.course
        if error is None:
            self.outcome.seconds.append(now - begun)
            self.outcome.ended.append(now)
            self.pool.succeeded(lease, now, first if self._signal == "first_token" else now - lease.begun)
            return
        what = verdict(error)
        self.pool.failed(lease, error, what, now)
        if course.failed(lease.option, error, what, now, self.world.random):
            self._attempt(course, begun)
        else:
            self.failed(error)

    def failed(self, error: ModelHubError) -> None:
        """Note a call that came to nothing."""
        self.outcome.errors[type(error).__name__] += 1


class Waiting:
    """A call that waits for its place, as the runtime has it wait."""

    def __init__(self, client: Client, course: Course[Place], begun: float) -> None:
        self.client, self.course, self.begun = client, course, begun
        self.ticket: Ticket | None = None
        self._round = 0
        self._looks(self._stand)

    def _stand(self) -> None:
        client = self.client
        self.ticket = client.pool.wait(self.course, client.world.now, self._wake)

    def _wake(self) -> None:
        world = self.client.world
        world.at(world.now, self._look)

    def _look(self, of: int | None = None) -> None:
        """Look again, unless that is over, or the time was for an earlier round."""
        ticket = self.ticket
        if ticket is None or (of is not None and of != self._round):
            return
        if ticket.lease is None and self.client.world.now < self.course.deadline:
            self._looks(lambda: self.client.pool.look_again(ticket, self.client.world.now))
        else:
            self._settle()

    def _looks(self, look: Callable[[], None]) -> None:
        try:
            look()
        except NoDeploymentAvailable as error:
            self.ticket = None
            self.client.failed(error)
        else:
            self._settle()

    def _settle(self) -> None:
        client, ticket, now = self.client, self.ticket, self.client.world.now
        if ticket is None:
            return
        self._round += 1
        if ticket.lease is not None:
            lease, ticket.lease, self.ticket = ticket.lease, None, None
            client.send(lease, self.begun)
        elif now >= self.course.deadline:
            self.ticket = None
            client.pool.leave(ticket, now)
            client.failed(NoDeploymentAvailable("its time is over"))
        else:
            when = min(ticket.until(now), self.course.deadline)
            current = self._round
            if when < math.inf:
                client.world.at(max(when, now + 0.001), lambda: self._look(current))


def poisson(world: World, rate: float, seconds: float, call: Callable[[], None]) -> None:
    """Have calls begin at random, so many per second on the average, for some seconds."""
    when = world.now
    while (when := when + world.random.expovariate(rate)) < world.now + seconds:
        world.at(when, call)


def saturated(client: Client, callers: int, until: float) -> None:
    """Have so many callers call one after the other without a break."""
    world, outcome, watched = client.world, client.outcome, [0]

    def watch() -> None:
        while watched[0] < outcome.calls and world.now < until:
            watched[0] += 1
            client.call()
        if world.now < until:
            world.at(world.now + 0.02, watch)

    for _ in range(callers):
        client.call()
    watch()
