"""What all buckets do alike, be their limit one process's own or shared: amounts are taken whole or not at all."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from modelhub.rules.routing.told import SLACK, Told

__all__ = ["CappedBucket"]


class CappedBucket(ABC):
    """A limit of what may be taken in a period; see `modelhub.rules.routing.rates.Bucket`.

    Args:
        limit: What may be taken in a period.
        period: Seconds.

    Attributes:
        limit: What may be taken in a period; may be changed at any time.
        period: Seconds.
    """

    __slots__ = ("_told", "limit", "period")

    def __init__(self, limit: float, period: float) -> None:
        self.limit: float = limit
        self.period: float = period
        self._told = Told(period)

    def reserve(self, amount: float, now: float) -> float:
        """Take an amount; see `Bucket.reserve`."""
        wait = self.wait(amount, now)
        if wait <= 0 < amount:
            self._take(amount, now)
        return wait

    def wait(self, amount: float, now: float) -> float:
        """Return what `reserve` would; see `Bucket.wait`."""
        if not amount > 0:
            return 0.0
        if amount > self.limit * SLACK:
            return math.inf
        return self._until_free(amount, now)

    def tighten(self, now: float, *, limit: float | None, remaining: float | None, reset: float | None) -> None:
        """Heed what headers say; see `Bucket.tighten`. It wears off at ``reset``, a lower limit after a period."""
        self._told.hear(now, limit=limit, remaining=remaining, reset=reset)

    @abstractmethod
    def _until_free(self, amount: float, now: float) -> float:
        """Return the seconds until an amount may be there that is no more than the limit."""

    @abstractmethod
    def _take(self, amount: float, now: float) -> None:
        """Count an amount that is there."""
