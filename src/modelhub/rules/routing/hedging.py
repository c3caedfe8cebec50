"""When a call that waits unusually long is sent a second time beside the first, and how often at most.

Source: the hedged requests of Dean and Barroso, The Tail at Scale (2013): after the 95th percentile, one call in twenty
is sent twice, and hardly any waits longer than that.
"""

from __future__ import annotations

from collections import deque
from typing import final

from modelhub.rules.routing.budget import RetryBudget

__all__ = ["Hedging"]

_REMEMBERED = 200
_LEAST_SAMPLES = 20
_PERCENTILE = 0.95
_SHARE = 0.05
_FLOOR = 1.0


@final
class Hedging:
    """How long answers of one route take to begin, and what hedges may cost: a twentieth of its calls.

    Args:
        budget: The route's budget of retries, which hedges come out of too.
    """

    __slots__ = ("_budget", "_own", "_samples")

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self._own = RetryBudget(_SHARE, _FLOOR)
        self._samples: dict[str, deque[float]] = {}

    def add(self, signal: str, seconds: float) -> None:
        """An answer began after ``seconds``; ``signal`` tells kinds of answers apart that are not alike."""
        samples = self._samples.get(signal)
        if samples is None:
            samples = self._samples[signal] = deque(maxlen=_REMEMBERED)
        samples.append(seconds)
        self._own.earn()

    def after(self, signal: str) -> float | None:
        """Return the seconds that a call waits before it is hedged; ``None`` where too little is known."""
        samples = self._samples.get(signal, ())
        if len(samples) < _LEAST_SAMPLES:
            return None
        return sorted(samples)[int(_PERCENTILE * len(samples))]

    def spend(self, now: float) -> bool:
        """Take what a hedge costs; returns whether it was there."""
        return self._own.spend(1.0, now) and self._budget.spend(1.0, now)

    def __repr__(self) -> str:
        return f"<Hedging: {sum(map(len, self._samples.values()))} samples, {self._own!r}>"
