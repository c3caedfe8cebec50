"""The events of one attempt: the generator of a plugin, its connection and its limits of time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, final

import anyio

from modelhub.types.events import Event

if TYPE_CHECKING:
    from modelhub.runtime.call import Prepared

__all__ = ["Source"]

_END_SECONDS = 1.0
"""How long a generator may go on after its `Finish`, which the caller is not shown before."""

_CLOSE_SECONDS = 5.0


@final
class Source:
    """One attempt's events: the generator, its connection and its limits of time.

    Attributes:
        next: Gives the next event. Raises StopAsyncIteration at the generator's end. It is the generator's own method
            where that keeps the limits by itself: nothing stands between, once per event.
    """

    __slots__ = ("_generator", "_scope", "next", "prepared")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared: Prepared = prepared
        self._generator: AsyncGenerator[Event, None] = prepared.bound.stream(prepared.request, prepared.context)
        self._scope: anyio.CancelScope | None = None
        times_itself = prepared.bound.times_itself(prepared.request)
        self.next: Callable[[], Awaitable[Event]] = self._generator.__anext__ if times_itself else self._next_in_time

    async def _next_in_time(self) -> Event:
        limits = self.prepared.context.limits
        with anyio.CancelScope(deadline=anyio.current_time() + limits.remaining()) as scope:
            self._scope = scope
            return await self._generator.__anext__()
        raise limits.expired("read", sent=True)

    def content_came(self) -> None:
        """From now on the limits of a running stream count."""
        self.prepared.context.limits.content_came()

    async def ended(self) -> None:
        """Let the generator finish by itself after its `Finish`, so that its connection can serve again."""
        try:
            with anyio.move_on_after(_END_SECONDS):
                async for _ in self._generator:
                    break  # something after the end: not for the caller
        except Exception as error:  # noqa: BLE001  a plugin's clean-up; the answer is whole all the same
            self.prepared.context.log.debug("ending a stream raised %s", type(error).__name__)
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Break the connection, then end the generator. Idempotent."""
        http = self.prepared.context.open_http
        if http is not None:
            http.abort()
        if self._scope is not None:
            self._scope.cancel()
        self.next = self._generator.__anext__  # else it would hold itself, with all of its attempt
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                await self._generator.aclose()
            except RuntimeError:
                pass  # another task is reading it: that task's read fails with the connection and ends it
            except Exception as error:  # noqa: BLE001  a plugin's clean-up; there is nobody left to tell
                self.prepared.context.log.debug("closing a stream raised %s", type(error).__name__)
            if http is not None:
                await http.aclose()
