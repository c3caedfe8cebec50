"""How fast a deployment is beside the others of its group, told apart from how long its answers happen to be."""

from __future__ import annotations

import math
from typing import final

__all__ = ["Latency"]

_PSEUDO_SAMPLES = 10
"""How many samples must say that a deployment is slow before that is half believed."""

_MOST_SAMPLES = 50
"""How many are remembered, about: the newest has a fiftieth of the weight of all."""

_SHORTEST = 1e-6


@final
class Latency:
    """A moving mean of samples of one kind; see `relative`.

    Attributes:
        mean: Of what was measured; the newest count most.
        log: The logarithm of that: latencies are compared by their ratios.
        samples: How many of them count: 50 at most.
    """

    __slots__ = ("_trust", "log", "mean", "samples")

    def __init__(self) -> None:
        self.mean: float = 0.0
        self.log: float = 0.0
        self.samples: int = 0
        self._trust = 0.0

    def add(self, value: float) -> None:
        """Take a sample, in seconds of whatever is measured."""
        samples = self.samples = min(self.samples + 1, _MOST_SAMPLES)
        self.mean += (value - self.mean) / samples
        self.log = math.log(max(self.mean, _SHORTEST))
        self._trust = samples / (_PSEUDO_SAMPLES + samples)

    def relative(self, log: float) -> float:
        """Return how slow it is beside others: 1 is as slow as they are; few samples say little, whatever they are.

        Args:
            log: The mean of the others' logarithms, each counting by its samples.
        """
        return math.exp((self.log - log) * self._trust)

    def __repr__(self) -> str:
        return f"<Latency: {self.mean:.3g} s over {self.samples}>"
