"""Several pieces of one request, some at a time and in their order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import anyio

__all__ = ["in_order"]

A = TypeVar("A")
B = TypeVar("B")

_AT_ONCE = 4


async def in_order(work: Callable[[A], Awaitable[B]], pieces: Sequence[A]) -> list[B]:
    """Return what ``work`` makes of each piece, in their order; the first failure ends them all, and comes out bare."""
    results: dict[int, B] = {}
    failures: list[Exception] = []
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def run(number: int, piece: A) -> None:
        async with limiter:
            try:
                results[number] = await work(piece)
            except Exception as error:  # noqa: BLE001  raised below, alone however many failed together
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for number, piece in enumerate(pieces):
            group.start_soon(run, number, piece)
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(pieces))]
