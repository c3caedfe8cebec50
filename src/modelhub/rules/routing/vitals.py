"""What is known of a deployment and of its key: the memory that outlives calls, and whether it may be called now."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, final
from weakref import WeakSet

from modelhub.rules.routing.affinity import PrefixIndex
from modelhub.rules.routing.concurrency import Slots
from modelhub.rules.routing.health import Breaker
from modelhub.rules.routing.latency import Latency

if TYPE_CHECKING:
    from modelhub.rules.routing.queue import Ticket

__all__ = ["Block", "KeyHealth", "RateLimit", "Vitals"]

Reason = Literal["ejected", "refused key", "no such model", "resting", "rate limit", "budget", "busy", "paused"]

_REFUSED_SECONDS = 60.0
_QUOTA_SECONDS = 15 * 60.0
_LONGEST_REFUSAL = 60 * 60.0
_TRIAL_SECONDS = 5.0
_LONGEST_REST = 60 * 60.0
_LACKS_SECONDS = 60.0
_MOST_DOUBLINGS = 6


class RateLimit(Protocol):
    """What is left of requests and tokens per time; see `modelhub.rules.routing.rates.Rates`."""

    def reserve(self, tokens: float, now: float) -> float:
        """Take one request and so many tokens: 0 where they were there, else the seconds until they may be."""

    def wait(self, tokens: float, now: float) -> float:
        """Return what `reserve` would, and take nothing."""

    def settle(self, reserved: float, actual: float, now: float, *, since: float | None = None) -> None:
        """Correct the tokens of a reservation that was made at ``since`` to what was used."""

    def refund(self, reserved: float, now: float, *, since: float | None = None) -> None:
        """Give back a whole reservation that was made at ``since``: nothing was sent."""


@dataclass(frozen=True, slots=True)
class Block:
    """Why a deployment cannot be called now.

    Attributes:
        reason: In words, for messages too.
        until: When that ends, by the clock of the calls; ``inf`` where only something that happens can end it.
    """

    reason: Reason
    until: float


@final
class KeyHealth:
    """What is known of one credential, whatever it is used for.

    Args:
        account: What a vendor counts it as, with others at other addresses.

    Attributes:
        account: As given.
        refused_until: A refused key is left alone until then; after it one call at a time finds out, while the others
            wait.
        broke_until: Its money is spent until then.
        reason: The name of the class of the error that it was refused with.
        users: The deployments that are called with it.
    """

    __slots__ = (
        "__weakref__",
        "_level",
        "_pause_until",
        "_refused_at",
        "_tried_at",
        "_trying",
        "account",
        "broke_until",
        "reason",
        "refused_until",
        "users",
    )

    def __init__(self, account: object = None) -> None:
        self.account: object = account
        self._level = 0
        self._pause_until = -math.inf
        self._refused_at = -math.inf
        self._tried_at = -math.inf
        self._trying = False
        self.refused_until: float = -math.inf
        self.broke_until: float = -math.inf
        self.reason: str = ""
        self.users: WeakSet[Vitals] = WeakSet()

    def refused(self, now: float, reason: str, *, quota: bool = False, asked: float | None = None) -> None:
        """The vendor refused it: each time it is left alone for twice as long; a spent quota for 15 minutes at least.

        What is refused before such a pause is over, because it was under way or nothing else was left, does not make it
        longer: an outage of the vendor's would cost an hour.

        Args:
            now: The time.
            reason: The class of the error.
            quota: Whether what was paid for is used up.
            asked: Seconds that the vendor asks to wait.
        """
        least = _QUOTA_SECONDS if quota else 0.0
        if now >= self._pause_until:
            least = max(least, _REFUSED_SECONDS * 2.0 ** min(self._level, _MOST_DOUBLINGS))
            self._level += 1
        self._refused_at = now
        self._trying = False
        self.reason = reason
        self._pause(now + min(max(least, asked or 0.0), _LONGEST_REFUSAL))

    def _pause(self, until: float) -> None:
        self.refused_until = self._pause_until = max(self._pause_until, until)

    def tried(self, now: float) -> None:
        """A call begins with it although it was refused: for some seconds the others wait for what becomes of that."""
        if self._level:
            self._tried_at = now
            self._trying = True
            self.refused_until = max(self._pause_until, now + _TRIAL_SECONDS)

    def on_trial(self, now: float) -> bool:
        """Whether a call is finding out at present if it is taken again."""
        return self._trying and now < self._tried_at + _TRIAL_SECONDS

    def trial_ended(self, begun: float) -> bool:
        """A call that began at ``begun`` is over; returns whether it was one that found out, and has not."""
        ended = self._trying and begun >= self._tried_at
        if ended:
            self._trying = False
            self._tried_at = -math.inf  # the next one may
            self.refused_until = self._pause_until
        return ended

    def tolerates_trial(self, now: float) -> bool:
        """Whether it may be tried although it is to be left alone, where nothing else is left: once in a while."""
        return now >= max(self._tried_at, self._refused_at) + _TRIAL_SECONDS

    def heard(self, until: float, reason: str) -> None:
        """Others were refused it: it is left alone until then, and tried here after that."""
        self._pause(until)
        self.reason = reason
        self._level = max(self._level, 1)

    def accepted(self, begun: float = math.inf) -> bool:
        """The vendor took it, for what began at ``begun``: before it was refused, that says nothing of now.

        Returns:
            Whether it had been refused until now.
        """
        taken_again = bool(self._level) and begun >= self._refused_at
        if taken_again:
            self._level = 0
            self._trying = False
            self.refused_until = self._pause_until = -math.inf
        return taken_again

    def __repr__(self) -> str:
        return f"<KeyHealth: {f'{self.reason} until {self.refused_until:.1f}' if self._level else 'sound'}>"


@final
class Vitals:
    """What is known of one deployment: a model at one endpoint with one credential.

    Args:
        id: Its name without secrets.
        key: What is known of its credential.
        slots: How many calls it takes at once.
        breaker: Whether it is well.
        queue: How many calls may wait for it.
        rates: What is left of requests and tokens per time; ``None`` where nothing limits them.

    Attributes:
        gone: Whether no route leads there: a node that is not found any more, or one of before the settings changed.
        latencies: How fast it was, by what was measured.
        ramp: The share of its weight that it has, as of when it was looked at last.
        rests_until: A server that asked for a pause is left alone until then.
        lacks_until: A server that has not the model is passed over until then.
        waiting: Calls that wait for it, the first first; those that wait no more are among them.
        queued: How many of them wait still.
        awaited: Whether one of them waits because it was merely busy.
        prefixes: The beginnings of prompts that it has seen, where anybody wants to know.
    """

    __slots__ = (
        "__weakref__",
        "_overloads",
        "awaited",
        "breaker",
        "gone",
        "id",
        "key",
        "lacks_until",
        "latencies",
        "prefixes",
        "queue",
        "queued",
        "ramp",
        "rates",
        "rests_until",
        "slots",
        "waiting",
    )

    def __init__(
        self, id: str, *, key: KeyHealth, slots: Slots, breaker: Breaker, queue: int, rates: RateLimit | None = None
    ) -> None:
        self.id: str = id
        self.key: KeyHealth = key
        self.slots: Slots = slots
        self.breaker: Breaker = breaker
        self.queue: int = queue
        self.rates: RateLimit | None = rates
        self.gone: bool = False
        self.latencies: dict[str, Latency] = {}
        self.ramp: float = 1.0
        self.rests_until: float = -math.inf
        self.lacks_until: float = -math.inf
        self.waiting: deque[Ticket] = deque()
        self.queued: int = 0
        self.awaited: bool = False
        self.prefixes: PrefixIndex | None = None
        self._overloads = 0
        key.users.add(self)

    def ready(self, now: float, tokens: float) -> bool:
        """Whether a call of so many tokens may begin now."""
        breaker, key, slots = self.breaker, self.key, self.slots
        if self.ramp != 1.0 or not breaker.closed:
            self.ramp = breaker.ramp(now)
            if not breaker.ready(now):
                return False
        if slots.in_flight + 1 > slots.limit or now < self.rests_until or now < key.refused_until:
            return False
        if now < self.lacks_until or now < key.broke_until:
            return False
        return self.rates is None or self.rates.wait(tokens, now) <= 0.0

    def block(self, now: float, tokens: float) -> Block | None:
        """Return what keeps a call from beginning now, the gravest first; ``None`` where nothing does."""
        breaker, key = self.breaker, self.key
        if now < key.broke_until:
            return Block("budget", key.broke_until)
        if not breaker.ready(now):
            return Block("ejected", breaker.until if now < breaker.until else math.inf)
        if now < key.refused_until:
            return Block("refused key", key.refused_until)
        if now < self.lacks_until:
            return Block("no such model", self.lacks_until)
        wait = 0.0 if self.rates is None else self.rates.wait(tokens, now)
        if wait > 0.0:
            return Block("rate limit", max(now + wait, self.rests_until))
        if now < self.rests_until:
            return Block("resting", self.rests_until)
        return Block("busy", math.inf) if self.slots.full else None

    def affords(self, now: float, tokens: float) -> bool:
        """Whether a call of so many tokens is within the limits that were set, be the deployment well or not."""
        return now >= self.key.broke_until and (self.rates is None or self.rates.wait(tokens, now) <= 0.0)

    def rest(self, now: float, seconds: float | None, jitter: float) -> None:
        """The server wants a pause: as long as it asks for, else a while that grows each time.

        Args:
            now: The time.
            seconds: What it asks for, an hour at most; ``None`` where it does not say.
            jitter: Between 0 and 1, at random.
        """
        grown = min(0.5 * 2.0 ** min(self._overloads, _MOST_DOUBLINGS), 8.0) * (1.0 + jitter) / 2.0
        self._overloads += 1
        asked = grown if seconds is None or not seconds >= 0.0 else min(seconds, _LONGEST_REST)
        self.rests_until = max(self.rests_until, now + asked)

    def lacks(self, now: float) -> None:
        """The server has not the model."""
        self.lacks_until = now + _LACKS_SECONDS

    def answered(self, begun: float) -> None:
        """A call that began at ``begun`` succeeded. A pause that the server asked for stays: it began before."""
        self._overloads = 0
        self.lacks_until = -math.inf
        self.key.accepted(begun)

    def sample(self, signal: str, value: float) -> None:
        """Remember how fast it was."""
        latency = self.latencies.get(signal)
        if latency is None:
            latency = self.latencies[signal] = Latency()
        latency.add(value)

    def nudge(self) -> None:
        """Have everybody who waits look again."""
        for ticket in list(self.waiting):
            ticket.nudge()

    @property
    def idle(self) -> bool:
        """Whether nothing of it would be missed."""
        return not (self.slots.in_flight or self.queued) and self.breaker.closed

    def __repr__(self) -> str:
        return f"<Vitals {self.id}: {self.breaker!r} {self.slots!r}, {self.queued} waiting>"
