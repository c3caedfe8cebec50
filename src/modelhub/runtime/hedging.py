"""Two tries at once, of which the first answer counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from modelhub.runtime.call import Try

__all__ = ["Outcome", "raced"]

T = TypeVar("T")


@dataclass(slots=True)
class Outcome(Generic[T]):
    """What came of a try, or of two at once.

    Attributes:
        won: The try that answered, and its answer; ``None`` where none did.
        failures: Those that failed, in the order in which they did.
    """

    won: tuple[Try, T] | None = None
    failures: list[tuple[Try, Exception]] = field(default_factory=list)


async def raced(
    run: Callable[[Try], Awaitable[T]],
    first: Try,
    *,
    after: float,
    second: Callable[[], Awaitable[Try | None]],
    discard: Callable[[T], Awaitable[object]],
    lost: Callable[[Try], Awaitable[object]],
) -> Outcome[T]:
    """Run a try, and a second one beside it where the first has neither answered nor failed in time.

    Args:
        run: Makes a try.
        first: The first one.
        after: Seconds until the second begins.
        second: Gives it a place, or ``None``: there is none.
        discard: Gives up an answer that came too late.
        lost: Gives up a try that was cancelled, because the other one answered or the caller went.
    """
    outcome: Outcome[T] = Outcome()
    ended = anyio.Event()

    async def attempt(this: Try) -> None:
        try:
            result = await run(this)
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is judged by the caller
            outcome.failures.append((this, error))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await lost(this)
            raise
        else:
            if outcome.won is None:
                outcome.won = (this, result)
                group.cancel_scope.cancel()
            else:
                with anyio.CancelScope(shield=True):
                    await discard(result)
                    await lost(this)
        ended.set()

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(attempt, first)
            with anyio.move_on_after(after):
                await ended.wait()
            if not ended.is_set():
                other = await second()
                if other is not None:
                    group.start_soon(attempt, other)
    except BaseException:
        if outcome.won is not None:
            with anyio.CancelScope(shield=True):
                await discard(outcome.won[1])
                await lost(outcome.won[0])
        raise
    return outcome
