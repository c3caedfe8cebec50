"""How long to wait before trying again: spread at random, so that callers who failed together do not return together.

Source: full and equal jitter, https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
"""

from __future__ import annotations

from random import Random

__all__ = ["LONGEST_WAIT", "equal_jitter", "full_jitter", "wait_before_retry"]

LONGEST_WAIT = 60.0
"""Seconds that a call waits at most because a server asks for it: whoever is asked for more goes elsewhere or fails."""

_BASE = 0.25
_CAP = 8.0
_MOST_DOUBLINGS = 32  # beyond any cap, and far from overflowing


def _doubled(number: int, base: float, cap: float) -> float:
    return min(cap, base * 2.0 ** min(number, _MOST_DOUBLINGS))


def full_jitter(number: int, random: Random, *, base: float = _BASE, cap: float = _CAP) -> float:
    """Return seconds between 0 and ``base`` doubled ``number`` times, ``cap`` at most."""
    return random.uniform(0.0, _doubled(number, base, cap))


def equal_jitter(number: int, random: Random, *, base: float, cap: float) -> float:
    """Return seconds between the half and the whole of ``base`` doubled ``number`` times, ``cap`` at most."""
    whole = _doubled(number, base, cap)
    return random.uniform(whole / 2, whole)


def wait_before_retry(number: int, asked: float | None, left: float, random: Random) -> float | None:
    """Return the seconds to wait before the same deployment is tried again, or ``None``: it is not worth waiting.

    Args:
        number: How many waits came before this one.
        asked: Seconds that the server asks for; ``None`` where it does not.
        left: Seconds until the call's deadline.
        random: The random source.
    """
    wait = full_jitter(number, random) if asked is None or not asked >= 0.0 else asked
    return None if wait > LONGEST_WAIT or wait >= left else wait
