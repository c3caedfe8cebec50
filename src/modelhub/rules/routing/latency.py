"""How fast a deployment is beside the others of its group, told apart from how long its answers happen to be."""

from __future__ import annotations

from typing import final

__all__ = ["Latency"]

_LEAST_ALPHA = 0.02
"""The weight of the newest sample: 50 of them are remembered, about."""

_PSEUDO_SAMPLES = 10
"""How many samples must say that a deployment is slow before that is half believed."""

_MOST_SAMPLES = 50


@final
class Latency:
    """A moving mean of samples of one kind; see `relative`."""

    __slots__ = ("mean", "samples")

    def __init__(self) -> None:
        self.mean: float = 0.0
        self.samples: int = 0

    def add(self, value: float) -> None:
        """Take a sample, in seconds of whatever is measured."""
        self.samples += 1
        self.mean += (value - self.mean) * max(1.0 / self.samples, _LEAST_ALPHA)

    def relative(self, mean: float) -> float:
        """Return how slow it is beside ``mean``: 1 is as slow as that; few samples say 1, whatever they are."""
        if mean <= 0.0:
            return 1.0
        samples = min(self.samples, _MOST_SAMPLES)
        return (_PSEUDO_SAMPLES + samples * self.mean / mean) / (_PSEUDO_SAMPLES + samples)

    def __repr__(self) -> str:
        return f"<Latency: {self.mean:.3g} s over {self.samples}>"
