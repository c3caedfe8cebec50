"""A deadline for all calls that are made within a block, whoever makes them: a tool, a library, a plugin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import anyio

from modelhub.rules.requests import checked_timeout

__all__ = ["deadline", "seconds_left"]

_deadline: ContextVar[float] = ContextVar("modelhub_deadline", default=math.inf)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Give all calls within the block one deadline together, beside each one's own ``timeout``.

    It is inherited by tasks that are started within the block. A block inside another one cannot extend it.

    Args:
        seconds: From now on.

    Raises:
        BadRequest: It is no number of seconds above 0.

    Example:
        >>> async def main():
        ...     async with ModelHub() as hub:
        ...         with deadline(20.0):
        ...             outline = await hub.chat("local_model", "An outline, please.")
        ...             draft = await hub.chat("local_model", f"Write it: {outline.text}")
    """
    limit = checked_timeout(seconds) or math.inf
    token = _deadline.set(min(_deadline.get(), anyio.current_time() + limit))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left() -> float | None:
    """Return the seconds until the deadline of the blocks around; ``None`` where there is none."""
    at = _deadline.get()
    return None if at == math.inf else max(0.0, at - anyio.current_time())
