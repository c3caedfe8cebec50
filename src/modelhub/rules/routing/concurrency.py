"""How many calls a deployment takes at once: more while it keeps its pace, less when it says that it is too many.

Additive increase, multiplicative decrease, as in TCP: until the first sign of overload the limit doubles with each
round of answers; after one it is soon back at nine tenths of what was too many, and then grows by one a round. A server
that only queues and never refuses is told by its pace: where answers take longer than twice what they took at best, the
limit does not grow beyond what it was at the start.

One that refuses whatever it is sent takes nothing, and calls from before it did so tell nothing of that by ending well.
From the third refusal in a row on, of calls none of which began since the first one and succeeded, the limit is a share
of what it has besides, and only a call that began since makes it grow.
"""

from __future__ import annotations

import math
from typing import final

__all__ = ["Slots"]

_SHRINK = 0.7
_LEAST = 1.0
_MOST = 256.0
_IN_USE = 0.5
"""The share of the slots that must be in use for a success to say that there may be more."""

_NEARLY = 0.9
"""The share of the limit that was too many which it comes back to at once; beyond, it grows by one a round."""

_IN_A_ROW = 3
"""Refusals without a success between them that say that a server may take nothing, not merely no more."""

_ALPHA = 0.1
_SLOWER = 2.0
_FORGET = 1.002
"""How fast the best pace is forgotten: it doubles in 350 samples, so that a server that became slower grows again. Only
samples of a server with little to do count for that: one that always queues would be given more for being slow."""

_LEAST_SAMPLES = 10
"""Answers before the pace is judged: the first alone may be short by chance."""


@final
class Slots:
    """The slots of one deployment.

    Args:
        limit: How many there are at the start.
        most: How many there can be; ``limit`` itself where somebody has said how many there are.

    Attributes:
        limit: How many there are; a fraction is no slot yet.
        in_flight: How many are in use.
        service: Seconds that a call takes, on the average of late; 0 where nothing is known.
    """

    __slots__ = (
        "_best",
        "_most",
        "_pace",
        "_refusals",
        "_refused_at",
        "_samples",
        "_shrunk_at",
        "_start",
        "_too_many",
        "in_flight",
        "limit",
        "service",
    )

    def __init__(self, limit: float = 16.0, most: float = _MOST) -> None:
        self.limit: float = max(_LEAST, limit)
        self._start = self.limit
        self._most = max(most, self.limit)
        self.in_flight: int = 0
        self.service: float = 0.0
        self._pace = 0.0
        self._samples = 0
        self._best = math.inf
        self._shrunk_at = -math.inf
        self._too_many = math.inf
        self._refusals = 0
        self._refused_at = math.inf

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return self.in_flight + 1 > self.limit

    def begin(self) -> None:
        """Take a slot, also where none is free: whoever must not asks `full` first."""
        self.in_flight += 1

    def end(self) -> None:
        """Give a slot back."""
        self.in_flight -= 1

    def answered(self, seconds: float, pace: float, begun: float = math.inf) -> None:
        """A call succeeded, its slot being in use still.

        Args:
            seconds: How long it took.
            pace: Seconds to its first token or per token: what grows where a server queues.
            begun: When it began.
        """
        if begun >= self._refused_at:
            self._refusals, self._refused_at = 0, math.inf
        self.service = seconds if self.service == 0.0 else self.service + _ALPHA * (seconds - self.service)
        self._samples += 1
        self._pace += (pace - self._pace) * max(_ALPHA, 1.0 / self._samples)
        idle = self.in_flight < self.limit * _IN_USE
        if self._samples >= _LEAST_SAMPLES:
            self._best = min(self._best * _FORGET if idle else self._best, self._pace)
        if idle or self.limit >= self._most or (self.limit >= self._start and self._pace > self._best * _SLOWER):
            return
        if self._samples >= _LEAST_SAMPLES and self._refusals < _IN_A_ROW:
            step = 1.0 if self.limit + 1.0 <= self._too_many * _NEARLY else 1.0 / self.limit
            self.limit = min(self._most, self.limit + step)

    def overloaded(self, now: float, begun: float) -> None:
        """A call that began at ``begun`` was too many. What was sent before the last shrinking says nothing new."""
        if begun > self._shrunk_at:
            self._too_many = self.limit
            self.limit = max(_LEAST, self.limit * _SHRINK)
            self._shrunk_at = now

    def refused(self, now: float, begun: float) -> None:
        """A call that began at ``begun`` was refused as too many, its slot being in use still."""
        if self._refusals == 0:
            self._refused_at = now
        self._refusals += 1
        if self._refusals < _IN_A_ROW:
            self.overloaded(now, begun)
            return
        self.limit = max(_LEAST, min(self.limit, (self.in_flight - 1) * _SHRINK))
        self._shrunk_at = now  # but what was too many is what it was before: it is back there soon where it is well

    @property
    def rate(self) -> float:
        """Calls that it ends per second where all slots are in use; infinity where nothing is known of that."""
        return math.inf if self.service <= 0.0 else self.limit / self.service

    def __repr__(self) -> str:
        return f"<Slots: {self.in_flight} of {self.limit:.1f} in use>"
