"""How much may be asked of a key in a period, exactly: what fits is taken at once, the rest is told how long to wait.

Owns the count of requests and tokens; not who waits, nor in what order. Nothing here knows a clock: ``now`` is the
caller's, in seconds of one that does not go back.

A bucket is a sliding log, so that no period of its length, wherever it begins, holds more than the limit. A bucket that
is merely refilled lets through up to twice as much around a minute's edge; one that is emptied by the minute does so
every minute. Nothing is held back without need: of all ways to keep a limit, taking what fits is the one in which every
call goes out soonest. Against vendors that count by the second there is ``burst``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, final

from modelhub.rules.routing.capped import CappedBucket
from modelhub.rules.routing.sliding import SlidingLog
from modelhub.rules.routing.told import SLACK

__all__ = ["Bucket", "RateBucket", "Rates"]


class Bucket(Protocol):
    """One limit: a number of requests, or of tokens, per period."""

    def reserve(self, amount: float, now: float) -> float:
        """Take an amount, all of it or nothing.

        Returns:
            0.0 if it was taken; else the seconds until it may be there, if nobody takes it before; infinity where it
            is more than the limit itself, and will never be there: the caller raises, for no wait helps.
        """

    def wait(self, amount: float, now: float) -> float:
        """Return what `reserve` would, taking nothing."""

    def settle(self, reserved: float, actual: float, now: float, *, since: float | None = None) -> None:
        """Correct what was taken, once.

        Args:
            reserved: What `reserve` took.
            actual: What it turned out to be: 0 gives it back; what is more than was reserved is counted from now on,
                beyond the limit if need be, which is then a debt that nothing is taken before.
            now: The time.
            since: When it was reserved; by default at ``now``. What is older than a period is not given back, because
                it does not count any more.
        """

    def tighten(self, now: float, *, limit: float | None, remaining: float | None, reset: float | None) -> None:
        """Heed what a vendor's headers say, where that is less than we allow ourselves.

        Args:
            now: The time.
            limit: Of a period.
            remaining: What may still be taken until ``reset``.
            reset: Seconds until the vendor's count begins anew.
        """


@final
class RateBucket(CappedBucket):
    """A limit that no period exceeds, wherever it begins.

    What is offered beyond it uses at least 99 % of the limit: the log is kept in 120 cells.

    Args:
        limit: What may be taken in a period.
        period: Seconds.
        burst: What may be taken at once; the rest of the limit is then spread evenly over the period. By default all
            of it. An amount that is larger than the burst is let through where nothing else was taken for a while.
    """

    __slots__ = ("_burst", "_even_at", "_log")

    def __init__(self, limit: float, period: float = 60.0, *, burst: float | None = None) -> None:
        super().__init__(limit, period)
        self._burst = burst
        self._even_at = -math.inf
        self._log = SlidingLog(period)

    def _until_free(self, amount: float, now: float) -> float:
        log = self._log
        log.forget(now)
        left = self.limit * SLACK - amount
        wait = log.until(left, now) if log.total > left else 0.0
        if self._burst is not None:
            wait = max(wait, self._even_at - max(self._burst - amount, 0.0) * self.period / self.limit - now)
        return max(wait, self._told.wait(amount, now, log)) if self._told.until > now else wait

    def settle(self, reserved: float, actual: float, now: float, *, since: float | None = None) -> None:
        """Correct what was taken; see `Bucket.settle`."""
        more = actual - reserved
        since = now if since is None else since
        self._log.forget(now)
        if more > 0:
            self._take(more, now)
        elif more < 0:
            back = self._log.remove(-more, since)
            self._even_at -= back * self.period / self.limit
            self._told.give_back(back, since)

    def used(self, now: float) -> float:
        """Return how much of the limit the last period has used."""
        self._log.forget(now)
        return self._log.total

    def _take(self, amount: float, now: float) -> None:
        self._log.add(amount, now)
        self._told.take(amount)
        if self._burst is not None:
            self._even_at = max(self._even_at, now) + amount * self.period / self.limit

    def __repr__(self) -> str:
        return f"<RateBucket: {self._log.total:g} of {self.limit:g} in {self.period:g} s>"


@final
@dataclass(frozen=True, slots=True, weakref_slot=True)
class Rates:
    """The limits of one credential for one model: requests and tokens, taken together or not at all.

    Attributes:
        requests: Counts calls; ``None`` where they are not limited.
        tokens: Counts their tokens; ``None`` where they are not limited.
    """

    requests: Bucket | None = None
    tokens: Bucket | None = None

    def reserve(self, tokens: float, now: float) -> float:
        """Take one request and its tokens, as estimated.

        Returns:
            0.0 if both were taken; else nothing was, and it is the seconds until both may be there; infinity where
            the tokens are more than their limit, so that waiting is of no use.
        """
        wait = 0.0 if self.tokens is None else self.tokens.reserve(tokens, now)
        if self.requests is None:
            return wait
        if wait > 0:
            return max(wait, self.requests.wait(1.0, now))
        wait = self.requests.reserve(1.0, now)
        if wait > 0 and self.tokens is not None:
            self.tokens.settle(tokens, 0.0, now, since=now)
        return wait

    def wait(self, tokens: float, now: float) -> float:
        """Return what `reserve` would, taking nothing."""
        waits = [bucket.wait(amount, now) for bucket, amount in ((self.requests, 1.0), (self.tokens, tokens)) if bucket]
        return max(waits, default=0.0)

    def settle(self, reserved: float, actual: float, now: float, *, since: float | None = None) -> None:
        """Correct the tokens of one `reserve` to what the call took; the request stays counted.

        Args:
            reserved: The tokens that were reserved.
            actual: The tokens that it took, by the vendor's word.
            now: The time.
            since: When they were reserved; by default at ``now``.
        """
        if self.tokens is not None:
            self.tokens.settle(reserved, actual, now, since=since)

    def refund(self, reserved: float, now: float, *, since: float | None = None) -> None:
        """Give back all that one `reserve` took: nothing was sent.

        Args:
            reserved: The tokens that were reserved.
            now: The time.
            since: When they were reserved; by default at ``now``.
        """
        if self.requests is not None:
            self.requests.settle(1.0, 0.0, now, since=since)
        self.settle(reserved, 0.0, now, since=since)
