"""What a vendor's headers said of its limits: a bound beside our own, until it wears off.

Answers overtake each other, so that an older word may come after a newer one: of two, the tighter one counts.
"""

from __future__ import annotations

import math
from typing import final

from modelhub.rules.routing.sliding import SlidingLog

__all__ = ["SLACK", "Told"]

SLACK = 1 + 1e-9
"""What a sum of floating point numbers may be off by."""
_LONGEST = 10
"""Periods that a word counts at most: a reset that is hours away costs one more refused request every ten periods, and
one that is nonsense does not stop a key for a day."""


@final
class Told:
    """The tightest of what was said and has not worn off.

    Args:
        period: Seconds that the limits are for.

    Attributes:
        until: When the last of it has worn off.
    """

    __slots__ = ("_heard", "_limit", "_limit_until", "_period", "_remaining", "_remaining_until", "until")

    def __init__(self, period: float) -> None:
        self._period = period
        self._limit = math.inf
        self._limit_until = -math.inf
        self._remaining = math.inf
        self._remaining_until = -math.inf
        self._heard = -math.inf
        self.until: float = -math.inf

    def hear(self, now: float, *, limit: float | None, remaining: float | None, reset: float | None) -> None:
        """Take in what headers say. Nonsense is not heard; nothing makes an earlier word looser.

        Args:
            now: The time.
            limit: Of a period. It counts until ``reset``, and for a period at least: many vendors reset within
                milliseconds what has hardly been used.
            remaining: What may still be taken until ``reset``.
            reset: Seconds; by default a period.
        """
        reset = self._period if reset is None or not reset >= 0 else min(reset, _LONGEST * self._period)
        if limit is not None and 0 < limit < math.inf:
            self._hear_limit(limit * SLACK, now, now + max(reset, self._period))
        if remaining is not None and 0 <= remaining < math.inf and reset > 0:
            self._hear_remaining(remaining, now, now + reset)
        self.until = max(self._limit_until, self._remaining_until)

    def _hear_limit(self, limit: float, now: float, until: float) -> None:
        if now >= self._limit_until:
            self._limit, self._limit_until = limit, until
        elif limit <= self._limit:
            self._limit, self._limit_until = limit, max(until, self._limit_until)

    def _hear_remaining(self, remaining: float, now: float, until: float) -> None:
        if now >= self._remaining_until:
            self._remaining, self._remaining_until, self._heard = remaining, until, now
        elif remaining < self._remaining:
            self._remaining, self._remaining_until = remaining, max(until, self._remaining_until)
            self._heard = now

    def wait(self, amount: float, now: float, log: SlidingLog) -> float:
        """Return the seconds until what was said lets an amount through, with all that the log counts."""
        wait = self._remaining_until - now if amount > self._remaining and now < self._remaining_until else 0.0
        if now < self._limit_until and log.total + amount > self._limit:
            worn_off = self._limit_until - now
            # Where the amount alone is more, only the word's end helps: it may not have been meant for this.
            wait = max(wait, worn_off if amount > self._limit else min(log.until(self._limit - amount, now), worn_off))
        return wait

    def take(self, amount: float) -> None:
        """Count what was taken against what remained."""
        self._remaining -= amount

    def give_back(self, amount: float, since: float) -> None:
        """Count what was given back, unless the vendor had counted it before it said how much remained."""
        if since >= self._heard:
            self._remaining += amount

    def __repr__(self) -> str:
        return f"<Told: limit {self._limit:g}, remaining {self._remaining:g}>"
