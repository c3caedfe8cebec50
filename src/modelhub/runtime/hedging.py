"""Two tries at once, of which the first answer counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar, final

import anyio

from modelhub.rules.frames import clear_locals

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from modelhub.runtime.call import Try

__all__ = ["Race"]

T = TypeVar("T")


@final
class Race(Generic[T]):
    """A try, and a second one beside it where the first has neither answered nor failed in time.

    Args:
        run: Makes a try.
        failed: Told at once of one that failed.
        discard: Gives up an answer that came too late, or that nobody waits for any more.
        lost: Gives up a try that was cancelled or discarded, and is told whether the other one was faster; otherwise
            the caller went.
    """

    __slots__ = ("_discard", "_ended", "_failed", "_lost", "_run", "_stopped", "_won")

    def __init__(
        self,
        run: Callable[[Try], Awaitable[T]],
        *,
        failed: Callable[[Try, Exception], Awaitable[object]],
        discard: Callable[[T], Awaitable[object]],
        lost: Callable[[Try, bool], Awaitable[object]],
    ) -> None:
        self._run = run
        self._failed = failed
        self._discard = discard
        self._lost = lost
        self._ended = anyio.Event()
        self._won: tuple[Try, T] | None = None
        self._stopped: BaseException | None = None

    async def won(
        self, first: Try, *, after: float, second: Callable[[], Awaitable[Try | None]]
    ) -> tuple[Try, T] | None:
        """Return the try that answered, and its answer; ``None`` where none did.

        Args:
            first: The first one.
            after: Seconds until the second begins.
            second: Gives it a place, or ``None``: there is none.
        """
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._attempt, first, group)
                with anyio.move_on_after(after):
                    await self._ended.wait()
                other = None if self._ended.is_set() else await second()
                if other is not None:
                    group.start_soon(self._attempt, other, group)
            if self._stopped is not None:
                raise self._stopped
        except BaseException as error:
            if self._won is not None:
                await self._dropped(*self._won)
            while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
                error = error.exceptions[0]  # as it would come out without a group around it
            clear_locals(error)
            raise error from error.__cause__
        return self._won

    async def _attempt(self, this: Try, group: TaskGroup) -> None:
        try:
            result = await self._run(this)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is judged by the caller
            self._ended.set()
            await self._failed(this, error)
        except BaseException as error:
            clear_locals(error)  # a plugin's functions may have ended with a key in a variable
            with anyio.CancelScope(shield=True):
                await self._lost(this, self._won is not None)
            if not isinstance(error, (SystemExit, KeyboardInterrupt)):
                raise
            self._stopped = error  # raised by a task of its own, it would end the event loop at once
            group.cancel_scope.cancel()
        else:
            self._ended.set()
            if self._won is not None:
                await self._dropped(this, result)
                return
            self._won = (this, result)
            group.cancel_scope.cancel()

    async def _dropped(self, this: Try, result: T) -> None:
        beaten = self._won is not None and self._won[0] is not this
        with anyio.CancelScope(shield=True):
            try:
                await self._lost(this, beaten)
            finally:
                await self._discard(result)

    def __repr__(self) -> str:
        state = "won" if self._won is not None else "ended" if self._ended.is_set() else "running"
        return f"<Race: {state}>"
