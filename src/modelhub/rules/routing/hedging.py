"""When a call that waits unusually long is sent a second time beside the first, and how often at most.

Source: the hedged requests of Dean and Barroso, The Tail at Scale (2013): after the 95th percentile, one call in twenty
is sent twice, and hardly any waits longer than that.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import final

from modelhub.rules.routing.budget import RetryBudget

__all__ = ["Hedging"]

_REMEMBERED = 200
_LEAST_SAMPLES = 20
_PERCENTILE = 0.95
_LEAST_RATIO = 2.0
"""How much longer than half of the calls one must have waited: before that, a hedge would hardly be faster."""

_SHARE = 0.05
_MOST = 10.0
"""Hedges that can be saved up: where everything becomes slow at once, more would make it worse."""


@final
class Hedging:
    """How long answers of one route take to begin, and what hedges may cost: a twentieth of its calls.

    Args:
        budget: The route's budget of retries, which hedges come out of too.
    """

    __slots__ = ("_budget", "_own", "_samples")

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self._own = 1.0
        self._samples: dict[str, _Samples] = {}

    def add(self, signal: str, seconds: float) -> None:
        """An answer began after ``seconds``; ``signal`` tells kinds of answers apart that are not alike."""
        self._sample(signal, seconds)
        own = self._own + _SHARE
        self._own = min(_MOST, own)

    def overtaken(self, signal: str, seconds: float) -> None:
        """A call's hedge was faster: without it, the call would have waited longer than ``seconds``.

        Without these the limit would sink, until calls that are not slow at all took what hedges may cost.
        """
        self._sample(signal, seconds)

    def _sample(self, signal: str, seconds: float) -> None:
        samples = self._samples.get(signal)
        if samples is None:
            samples = self._samples[signal] = _Samples()
        samples.add(seconds)

    def after(self, signal: str) -> float | None:
        """Return the seconds that a call waits before it is hedged; ``None`` where too little is known."""
        samples = self._samples.get(signal)
        return None if samples is None else samples.limit()

    def spend(self, now: float) -> bool:
        """Take what a hedge costs; returns whether it was there."""
        if self._own < 1.0 or not self._budget.spend(1.0, now):
            return False
        self._own -= 1.0
        return True

    def __repr__(self) -> str:
        return f"<Hedging: {sum(map(len, self._samples.values()))} samples, {self._own:.1f} hedges saved up>"


@final
class _Samples:
    """The newest samples, in order of their size as well: looking one up costs no sorting."""

    __slots__ = ("_newest", "_sorted")

    def __init__(self) -> None:
        self._newest: deque[float] = deque()
        self._sorted: list[float] = []

    def add(self, seconds: float) -> None:
        if len(self._newest) >= _REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._newest.popleft())]
        self._newest.append(seconds)
        insort(self._sorted, seconds)

    def limit(self) -> float | None:
        count = len(self._sorted)
        if count < _LEAST_SAMPLES:
            return None
        return max(self._sorted[int(_PERCENTILE * count)], _LEAST_RATIO * self._sorted[count // 2])

    def __len__(self) -> int:
        return len(self._sorted)
