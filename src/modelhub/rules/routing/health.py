"""Whether a deployment is well enough to be called: closed, open (ejected), half-open (one probe at a time).

Sources: the outlier detection of Envoy (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier)
and the failure accrual of Finagle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Literal, final

from modelhub.rules.routing.backoff import equal_jitter

__all__ = ["Breaker", "BreakerState", "Ejection"]

BreakerState = Literal["closed", "open", "half_open"]

_SLOT_SECONDS = 3.0
_SLOTS = 10  # a window of 30 s
_LEAST_CALLS = 10
_LEAST_SUCCESS = 0.5
_PROBES_TO_CLOSE = 2
_RAMP_SECONDS = 10.0
_RAMP_FROM = 0.1
_FORGET_SECONDS = 60.0
"""How long a deployment must be well for one ejection of its past not to count any more."""


@dataclass(frozen=True, slots=True)
class Ejection:
    """When a deployment is ejected, and for how long.

    Attributes:
        after: Consecutive faults; a refused connection counts as two.
        seconds: The first ejection; each further one is twice as long.
        longest: The longest.
    """

    after: int = 3
    seconds: float = 5.0
    longest: float = 300.0


@final
class Breaker:
    """The health of one deployment.

    Args:
        ejection: When it is ejected, and for how long.

    Attributes:
        ejection: As given; may be changed at any time, and counts from the next fault on.
        until: When an ejection ends, by the clock of the calls; it is never moved to an earlier time.
        last_fault: When the last fault came; ``-inf`` where none did.
    """

    __slots__ = (
        "_bad",
        "_closed_at",
        "_consecutive",
        "_good",
        "_level",
        "_opened_at",
        "_probing",
        "_proven",
        "_slot",
        "_state",
        "ejection",
        "last_fault",
        "until",
    )

    def __init__(self, ejection: Ejection | None = None) -> None:
        self.ejection: Ejection = ejection or Ejection()
        self._state: BreakerState = "closed"
        self._consecutive = 0.0
        self._good = [0] * _SLOTS
        self._bad = [0] * _SLOTS
        self._slot = 0
        self._level = 0
        self._opened_at = -math.inf
        self._closed_at = -math.inf
        self._probing = False
        self._proven = 0
        self.until: float = -math.inf
        self.last_fault: float = -math.inf

    @property
    def closed(self) -> bool:
        """Whether it is well."""
        return self._state == "closed"

    def state(self, now: float) -> BreakerState:
        """Return where it stands."""
        if self._state == "open" and now >= self.until:
            return "half_open"
        return self._state

    def ready(self, now: float) -> bool:
        """Whether a call may go there: it is well, or due for its one probe."""
        return self._state == "closed" or (not self._probing and now >= self.until)

    def begin(self, now: float) -> bool:
        """A call goes there; returns whether it is the probe."""
        if self._state == "closed" or self._probing or now < self.until:
            return False
        self._state = "half_open"
        self._probing = True
        return True

    def ramp(self, now: float) -> float:
        """Return the share of its weight that it has: it grows from a tenth to all of it after an ejection."""
        if self._state != "closed":
            return _RAMP_FROM
        well = now - self._closed_at
        return 1.0 if well >= _RAMP_SECONDS else max(_RAMP_FROM, well / _RAMP_SECONDS)

    def succeeded(self, now: float, *, begun: float, probe: bool) -> bool:
        """A call that began at ``begun`` succeeded; returns whether that ended an ejection."""
        if probe:
            self._probing = False
        if begun < self._opened_at:
            return False  # it was sent before things went wrong, and says nothing of now
        if self._state == "closed":
            self._consecutive = 0.0
            self._good[self._turned(now)] += 1
            return False
        self._state = "half_open"
        self.until = min(self.until, now)
        self._proven += 1
        if self._proven < _PROBES_TO_CLOSE:
            return False
        self._close(now)
        return True

    def failed(self, now: float, fault: float, random: Random, *, begun: float, probe: bool) -> bool:
        """A call that began at ``begun`` failed by a fault of the endpoint; returns whether it is ejected by that.

        Args:
            now: The time.
            fault: How much it counts: 1, or 2 where not even a connection was made.
            random: For how long the ejection lasts.
            begun: When the call began.
            probe: Whether it was the probe.
        """
        self.last_fault = now
        if probe:
            self._probing = False
        if begun < self._opened_at:
            return False  # as in `succeeded`: what hung when it was ejected does not eject it again when it is well
        if self._state != "closed":
            if self._state == "half_open":
                self._open(now, random)
                return True
            return False
        self._consecutive += fault
        slot = self._turned(now)
        self._bad[slot] += 1
        if self._consecutive >= self.ejection.after:
            self._open(now, random)
            return True
        good, bad = sum(self._good), sum(self._bad)
        if good + bad >= _LEAST_CALLS and good < _LEAST_SUCCESS * (good + bad):
            self._open(now, random)
            return True
        return False

    def left(self, *, probe: bool) -> None:
        """A call ended without a verdict: the caller went, or its request was at fault."""
        if probe:
            self._probing = False

    def hint(self, until: float) -> None:
        """Others have ejected it: keep out until then, without a failure of its own; one probe may find out."""
        if self._state == "closed":
            self._state = "half_open"
            self._opened_at = -math.inf
            self._proven = _PROBES_TO_CLOSE - 1
        self.until = max(self.until, until)

    @property
    def hinted(self) -> bool:
        """Whether it is kept out for what others said alone."""
        return self._state == "half_open" and self._opened_at == -math.inf

    def answered(self, now: float) -> None:
        """A cheap check was answered: its probe may come at once."""
        if self._state != "closed":
            self.until = min(self.until, now)

    def silent(self, now: float, seconds: float) -> None:
        """Cheap checks are not answered: a call that would find out the same is spared for some seconds more."""
        if self._state != "closed":
            self.until = max(self.until, now + seconds)

    def _open(self, now: float, random: Random) -> None:
        if self._state == "closed":
            well = max(0.0, now - self._closed_at)
            self._level = max(0, self._level - int(min(well / _FORGET_SECONDS, self._level)))
        ejection = self.ejection
        seconds = equal_jitter(self._level, random, base=ejection.seconds, cap=ejection.longest)
        self.until = max(self.until, now + seconds)
        if ejection.seconds * 2.0**self._level < ejection.longest:
            self._level += 1  # no further than what can be told apart: a long outage is forgotten in minutes too
        self._state = "open"
        self._opened_at = now
        self._proven = 0
        self._consecutive = 0.0

    def _close(self, now: float) -> None:
        self._state = "closed"
        self._closed_at = now
        self._consecutive = 0.0
        self._good = [0] * _SLOTS
        self._bad = [0] * _SLOTS
        self.until = -math.inf

    def _turned(self, now: float) -> int:
        """Return the slot of the window that is filled now; those whose time is over are emptied."""
        slot = int(now / _SLOT_SECONDS)
        if slot != self._slot:
            for each in range(max(self._slot + 1, slot - _SLOTS + 1), slot + 1):
                self._good[each % _SLOTS] = self._bad[each % _SLOTS] = 0
            self._slot = slot
        return slot % _SLOTS

    def __repr__(self) -> str:
        if self._state == "closed":
            return f"<Breaker closed: {sum(self._good)} good, {sum(self._bad)} bad of late>"
        return f"<Breaker {self._state} until {self.until:.1f}{', probing' if self._probing else ''}>"
