"""One run of something however many want it at once."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar, cast, final

import anyio

from modelhub.errors import ModelHubError, Scope

__all__ = ["SingleFlight"]

T = TypeVar("T")


@final
class _Flight:
    """A run under way, and what came of it; neither value nor error where its caller was cancelled."""

    __slots__ = ("error", "landed", "value")

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.value: tuple[Any] | None = None
        self.error: Exception | None = None


@final
class SingleFlight:
    """Lets one caller of a key run, and gives all who ask meanwhile what came of it, success or failure.

    A dead server is so asked once however many calls wait for it. A caller that is cancelled, or
    whose own deadline passes, stops only itself: one of
    those who wait runs in its place. The next to ask after the end starts anew.
    """

    __slots__ = ("_flights",)

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """Return what ``work`` returns, running it only where no other caller of ``key`` does.

        Raises:
            ModelHubError: What the run raised; each caller gets its own copy.
        """
        while (flight := self._flights.get(key)) is not None:
            await flight.landed.wait()
            if flight.value is not None:
                return cast("T", flight.value[0])
            if isinstance(flight.error, ModelHubError):
                raise copy.copy(flight.error) from flight.error.__cause__
            if flight.error is not None:
                raise flight.error
        flight = self._flights[key] = _Flight()
        try:
            value = await work()
        except Exception as error:
            if getattr(error, "scope", None) is not Scope.CALLER:  # one caller's deadline is not another's
                flight.error = error
            raise
        else:
            flight.value = (value,)
            return value
        finally:
            del self._flights[key]
            flight.landed.set()

    def __repr__(self) -> str:
        return f"<SingleFlight: {len(self._flights)} running>"
