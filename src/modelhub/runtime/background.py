"""Tasks that a hub has running beside its calls, from when it was entered until it is left.

No task group is held for them: a hub may be entered by one task and left by another, and a group must be left by the
task that entered it. So each is started on the event loop itself, belongs to nobody's cancel scope but its own, and
is cancelled and waited for when the hub is left.
"""

from __future__ import annotations

import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any, final

import anyio
import anyio.lowlevel

from modelhub.errors import ConfigurationError

__all__ = ["Background"]

_CLOSE_SECONDS = 5.0
"""How long tasks may take to end once they were cancelled."""

_log = logging.getLogger("modelhub")


@final
class _Task:
    """One task: its own cancel scope, and whether it has ended."""

    __slots__ = ("done", "name", "native", "scope")

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.native: Any = None  # asyncio itself holds tasks weakly: without this one may vanish half-way


@final
class Background:
    """The background tasks of a hub; belongs to the event loop it is made in.

    Args:
        close_seconds: How long `aclose` waits for tasks that do not end when they are cancelled.
    """

    def __init__(self, *, close_seconds: float = _CLOSE_SECONDS) -> None:
        self._loop: Any = anyio.lowlevel.current_token().native_token
        self._tasks: dict[_Task, None] = {}
        self._close_seconds = close_seconds
        self._closed = False

    def start(self, name: str, function: Callable[[], Awaitable[object]]) -> None:
        """Have ``await function()`` run beside everything else; call it in the loop's own thread.

        What it raises is logged and ends that task alone: to go on after a failure is the function's own affair.

        Args:
            name: What it is called in the log.
            function: A coroutine function without arguments. It begins once the loop comes round to it.

        Raises:
            ConfigurationError: The hub was left.
        """
        if self._closed:
            raise ConfigurationError("the hub was left while the call was under way", remedy="end the calls first")
        task = _Task(name)
        self._tasks[task] = None
        if hasattr(self._loop, "create_task"):
            # The context is empty as trio's is for system tasks: nothing of the call that happened to start it.
            task.native = self._loop.create_task(self._run(task, function), name=name, context=contextvars.Context())
            task.native.add_done_callback(lambda _: self._ended(task))  # cancelled before its first step, it never ran
        else:
            import trio  # noqa: PLC0415  only who runs on it has it

            task.native = trio.lowlevel.spawn_system_task(self._run, task, function, name=name)

    async def _run(self, task: _Task, function: Callable[[], Awaitable[object]]) -> None:
        try:
            with task.scope:
                await _logged(task.name, function)
        finally:
            self._ended(task)

    def _ended(self, task: _Task) -> None:
        self._tasks.pop(task, None)
        task.native = None
        task.done.set()

    async def aclose(self) -> None:
        """Cancel all tasks and wait until they have ended, from whichever task.

        Where the wait itself is cancelled, they are waited for all the same. One that does not end in time is logged
        and left behind.
        """
        self._closed = True
        for task in list(self._tasks):
            task.scope.cancel()
        cancelled: BaseException | None = None
        deadline = anyio.current_time() + self._close_seconds
        while self._tasks:
            try:
                with anyio.CancelScope(deadline=deadline, shield=True):
                    await next(iter(self._tasks)).done.wait()
            except anyio.get_cancelled_exc_class() as error:  # asyncio's own, of a whole task, passes the shield
                cancelled = error
            if self._tasks and anyio.current_time() >= deadline:
                names = ", ".join(task.name for task in self._tasks)
                _log.warning("background tasks did not end when they were cancelled: %s", names)
                break
        if cancelled is not None:
            raise cancelled

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Background: {state}, {len(self._tasks)} tasks>"


async def _logged(name: str, function: Callable[[], Awaitable[object]]) -> None:
    """Run a task's function; whatever it raises but its cancellation ends here."""
    stopping = (anyio.get_cancelled_exc_class(), GeneratorExit, KeyboardInterrupt)
    try:
        await function()
    except stopping:
        raise
    except BaseExceptionGroup as group:
        ended, errors = group.split(stopping)
        if errors is not None:
            _report(name, errors)
        if ended is not None:
            raise ended from None
    except BaseException as error:  # noqa: BLE001  a SystemExit of a plugin would end the loop, and so would any on trio
        _report(name, error)


def _report(name: str, error: BaseException) -> None:
    _log.error("the background task %r ended with %s", name, type(error).__name__, exc_info=error)
