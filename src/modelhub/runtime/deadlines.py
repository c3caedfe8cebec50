"""Deadlines: one for all calls in a block, whoever makes them (a tool, a library, a plugin), and what ends at one."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import anyio

from modelhub.rules.requests import checked_timeout
from modelhub.runtime.failures import too_late
from modelhub.types.requests import Request

__all__ = ["deadline", "in_time", "seconds_left"]

T = TypeVar("T")

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


async def in_time(work: Awaitable[T], seconds: float | None, request: Request[Any]) -> T:
    """Wait for a part of a call, for as long as its caller allows.

    Args:
        work: What is waited for.
        seconds: What is left; ``None`` for any time.
        request: What the caller asked, with the time that was allowed in all.

    Raises:
        Timeout: It takes longer.
    """
    if seconds is None:
        return await work
    with anyio.move_on_after(seconds):
        return await work
    raise too_late(request)
