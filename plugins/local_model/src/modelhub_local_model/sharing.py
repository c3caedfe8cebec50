"""Work whose result many threads want, done once and undone when the last of them has left.

Owns the waiting, the counting and the stopping, for any work; what is worked on is said by `engines`. The
work runs in a daemon thread of its own, so that each who waits can leave at any moment without harm to the
others.
"""

from __future__ import annotations

import atexit
import copy
import os
import threading
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Final, Generic, Self, TypeAlias, TypeVar, final

from modelhub_local_model.loading_steps import LoadProgress, Report, Stopped

__all__ = ["Share", "SharedWork", "Task"]

T = TypeVar("T")
Task: TypeAlias = Callable[[threading.Event, Report], T]
"""Does the work; ends with `Stopped` soon after the event is set."""

_POLL_SECONDS: Final = 0.05
_EXIT_SECONDS: Final = 10.0


@final
class Share(Generic[T]):
    """One user's hold on a result, to be released once; a context manager that releases at its end."""

    __slots__ = ("_release", "_released", "value")

    def __init__(self, value: T, release: Callable[[], object]) -> None:
        self.value = value
        self._release = release
        self._released = threading.Lock()

    def release(self) -> None:
        """Leave; the last to leave waits until the result is undone. May be repeated."""
        if self._released.acquire(blocking=False):
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Share {'released' if self._released.locked() else 'held'}: {self.value!r}>"


@final
class _Work(Generic[T]):
    """One piece of work; but for the events, it is read and written under the lock of its `SharedWork`."""

    __slots__ = ("done", "error", "key", "progress", "results", "stop", "users")

    def __init__(self, key: tuple[int, Hashable]) -> None:
        self.key = key
        self.users = 0
        self.stop = threading.Event()
        self.done = threading.Event()
        self.progress: LoadProgress | None = None
        self.error: BaseException | None = None
        self.results: list[T] = []
        """The result, while somebody may still want it; whoever takes it out undoes it."""


@final
class SharedWork(Generic[T]):
    """Results by key.

    Args:
        undo: What is done with a result that nobody uses any more.
    """

    def __init__(self, undo: Callable[[T], object]) -> None:
        self._undo = undo
        self._lock = threading.Lock()
        self._works: dict[tuple[int, Hashable], _Work[T]] = {}

    def __repr__(self) -> str:
        with self._lock:
            ready = [result for work in self._works.values() for result in work.results]
            return f"<SharedWork {len(self._works) - len(ready)} under way, ready: {ready}>"

    def get(self, key: Hashable, task: Task[T], *, stop: threading.Event, report: Report) -> Share[T]:
        """Return a share of the key's result. The first to ask has the task run for all; a failure is forgotten.

        Args:
            key: What the work is about.
            task: The work.
            stop: Ends this caller's wait; the work itself is stopped when nobody waits for it.
            report: Told of the work's progress, in the caller's thread; it may miss steps that follow each
                other fast.

        Raises:
            BaseException: What the task raised, as a copy for each who waits.
            Stopped: ``stop`` was set, or `close` was called.
        """
        work = self._join((os.getpid(), key), task)
        try:
            result = self._wait(work, stop, report)
        except BaseException:
            self._leave(work)
            raise
        return Share(result, lambda: self._leave(work))

    def close(self) -> None:
        """Stop all work, wait for it, and undo every result. Runs by itself when Python ends."""
        with self._lock:
            works = list(self._works.values())
            for work in works:
                self._forget(work)
        for work in works:
            self._take_and_undo(work)
            if work.key[0] == os.getpid():  # the threads of a process that this one was forked from are not here
                work.done.wait(_EXIT_SECONDS)

    def _join(self, key: tuple[int, Hashable], task: Task[T]) -> _Work[T]:
        # The number of the process is part of the key: a forked process has results in its memory, and none
        # of their threads.
        with self._lock:
            work = self._works.get(key)
            if work is None:
                if not self._works:
                    atexit.register(self.close)
                work = self._works[key] = _Work(key)
                threading.Thread(target=self._run, args=(work, task), name=f"load {key[1]}", daemon=True).start()
            work.users += 1
        return work

    def _run(self, work: _Work[T], task: Task[T]) -> None:
        def note(progress: LoadProgress) -> None:
            work.progress = progress

        try:
            result = task(work.stop, note)
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            with self._lock:
                work.error = error
                self._forget(work)
        else:
            with self._lock:
                work.results.append(result)
                wanted = not work.stop.is_set()
            if not wanted:
                self._take_and_undo(work)
        finally:
            work.done.set()

    def _wait(self, work: _Work[T], stop: threading.Event, report: Report) -> T:
        told: LoadProgress | None = None
        ended = False
        while not ended:
            ended = work.done.wait(_POLL_SECONDS)
            if stop.is_set():
                raise Stopped
            if (progress := work.progress) is not None and progress != told:
                told = progress
                report(progress)
        if work.error is not None:
            raise copy.copy(work.error) from work.error.__cause__
        with self._lock:
            if not work.results:
                raise Stopped
            return work.results[0]

    def _leave(self, work: _Work[T]) -> None:
        with self._lock:
            work.users -= 1
            if work.users:
                return
            self._forget(work)
        self._take_and_undo(work)

    def _forget(self, work: _Work[T]) -> None:
        """Let the next to ask begin anew. Called with the lock held."""
        work.stop.set()
        if self._works.get(work.key) is work:
            del self._works[work.key]
            if not self._works:
                atexit.unregister(self.close)

    def _take_and_undo(self, work: _Work[T]) -> None:
        with self._lock:
            results, work.results = work.results, []
        for result in results:
            self._undo(result)
