"""How many retries a route may make: a share of what succeeds, so that an outage is not made worse by retrying.

Source: the retry budgets of Finagle (https://twitter.github.io/finagle/docs/) and gRPC (gRFC A6).
"""

from __future__ import annotations

from typing import final

__all__ = ["RetryBudget"]

_MOST = 100.0
"""Tokens that can be saved up: what a long time without failures may cost at once."""

_REFILL_SECONDS = 60.0


@final
class RetryBudget:
    """Tokens that successes earn and retries, fallbacks and hedges spend.

    Args:
        share: Tokens that each success earns: 0.2 allows one retry for five successes.
        floor: Tokens there are at the start; those that are missing come back within a minute, so that a route with
            few calls can always retry.
    """

    __slots__ = ("_at", "_floor", "_share", "_tokens")

    def __init__(self, share: float = 0.2, floor: float = 10.0) -> None:
        self._share = share
        self._floor = floor
        self._tokens = floor
        self._at: float | None = None

    def earn(self) -> None:
        """A call succeeded."""
        tokens = self._tokens + self._share
        self._tokens = tokens if tokens < _MOST else max(_MOST, self._floor)

    def spend(self, cost: float, now: float) -> bool:
        """Take ``cost`` tokens; returns whether they were there."""
        if self._at is not None and self._tokens < self._floor:
            refilled = self._tokens + self._floor * max(0.0, now - self._at) / _REFILL_SECONDS
            self._tokens = min(refilled, self._floor)
        self._at = now
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    @property
    def tokens(self) -> float:
        """What is there, as of the last time something was spent."""
        return self._tokens

    def __repr__(self) -> str:
        return f"<RetryBudget: {self._tokens:.1f} tokens, {self._share:g} per success>"
