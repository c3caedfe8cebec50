"""One run of something however many want it at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar, final

import anyio

__all__ = ["SingleFlight"]

T = TypeVar("T")


@final
class SingleFlight:
    """Lets one caller of a key run at a time. The run itself must look first whether the work is already done.

    A caller that is cancelled stops only itself: the next one in line runs.
    """

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[anyio.Lock, int]] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Run ``work`` when no other caller of ``key`` does."""
        lock, waiting = self._locks.get(key) or (anyio.Lock(), 0)
        self._locks[key] = (lock, waiting + 1)
        try:
            async with lock:
                return await work()
        finally:
            lock, waiting = self._locks[key]
            if waiting == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, waiting - 1)

    def __repr__(self) -> str:
        return f"<SingleFlight: {len(self._locks)} running>"
