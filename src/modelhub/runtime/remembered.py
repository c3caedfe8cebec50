"""What vendors said, remembered: for a while it counts, and for longer it is better than no answer.

Owns how long, and how much; not what is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, final

from modelhub.errors import ModelHubError, Scope
from modelhub.runtime.single_flight import SingleFlight

__all__ = ["Remembered"]

T = TypeVar("T")

_log = logging.getLogger("modelhub.catalogue")

_REMEMBER_SECONDS = 300.0
_STALE_SECONDS = 24 * 3600.0
_ASK_AGAIN_SECONDS = 30.0
"""How long what is out of date counts on after the vendor could not be asked."""
_MOST = 1024
"""Entries that may be out of date: tenants' keys come with their calls and may never come again."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    """Something remembered: until when it counts, and until when it is better than nothing."""

    value: T
    fresh: float
    stale: float


@final
class Remembered(Generic[T]):
    """Answers by key, each asked for once however many want it.

    Args:
        clock: A monotonic clock, in seconds.
    """

    __slots__ = ("_clock", "_entries", "_flights")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[Hashable, _Entry[T]] = {}
        self._flights = SingleFlight()

    def fresh(self, key: Hashable) -> T | None:
        """Return what counts now, or ``None``."""
        entry = self._entries.get(key)
        return entry.value if entry is not None and entry.fresh > self._clock() else None

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]], *, what: str, now: bool = False) -> T:
        """Return what is remembered, or ask.

        Args:
            key: What it is remembered by.
            ask: Asks the vendor.
            what: What is asked for, in words, for the log.
            now: Whether to ask in any case, and let a failure be one.

        Raises:
            ModelHubError: Asking failed, and nothing stands in for the answer.
        """
        known = None if now else self.fresh(key)
        return (
            known
            if known is not None
            else await self._flights.run((key, now), lambda: self._asked(key, ask, what, now=now))
        )

    async def _asked(self, key: Hashable, ask: Callable[[], Awaitable[T]], what: str, *, now: bool) -> T:
        try:
            value = await ask()
        except ModelHubError as error:
            if now or not self._still_of_use(key, error):
                raise
            name = type(error).__name__
            _log.warning("%s: what was known before is used on, since asking failed: %s", what, name)
            return self._entries[key].value
        self._keep(key, value)
        return value

    def _still_of_use(self, key: Hashable, error: ModelHubError) -> bool:
        """Whether something that is out of date stands in for an answer; if so, it does for a while."""
        now, old = self._clock(), self._entries.get(key)
        if old is None or old.stale <= now or error.scope is not Scope.ENDPOINT:
            return False
        self._entries[key] = replace(old, fresh=now + _ASK_AGAIN_SECONDS)
        return True

    def _keep(self, key: Hashable, value: T) -> None:
        now, entries = self._clock(), self._entries
        entries.pop(key, None)
        entries[key] = _Entry(value, now + _REMEMBER_SECONDS, now + _STALE_SECONDS)
        # All are of use for equally long, so those that are not any more stand first.
        while (oldest := next(iter(entries.values()))).stale <= now or (len(entries) > _MOST and oldest.fresh <= now):
            del entries[next(iter(entries))]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Remembered: {len(self)}>"
