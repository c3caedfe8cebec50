"""Who hears of a hub's calls: its middleware and its sinks."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast, final

import anyio

from modelhub.errors import ConfigurationError
from modelhub.provider.middleware import Middleware, Sink
from modelhub.rules.routing.pool import Change
from modelhub.runtime.background import Background
from modelhub.runtime.observation import Observation
from modelhub.runtime.sinks import Noted, SinkQueue, record_of, sink_problem
from modelhub.types.schema import ModelType
from modelhub.types.telemetry import CredentialDisabled, DeploymentEjected, DeploymentRecovered

__all__ = ["Observers"]

_END_SECONDS = 5.0
"""How long a middleware may take at a call's end, when the call may be cancelled already."""

_DRAIN_SECONDS = 2.0
"""How long sinks have for what is waiting when the hub is left."""

_REMEMBERED = 4096
"""Ejected deployments of which is known since when: some may never be called again."""

_log = logging.getLogger("modelhub")


@final
class Observers:
    """The middleware and the sinks of an entered hub; belongs to its event loop.

    Args:
        middleware: In any order; each has its own ``order``, and those of equal order stay as they are given.
        sinks: Functions, or objects with ``emit``.
        background: Runs what empties the sinks' queues.
        clock: A monotonic clock, in seconds.
        wall: Seconds since 1970.
        queues: Makes the queue of a sink.
        end_seconds: How long a middleware may take at a call's end.
        drain_seconds: How long sinks have for what is waiting when the hub is left.

    Attributes:
        middleware: Outermost first.
        queues: One per sink.
        note: Has every sink given a record, soon.

    Raises:
        ConfigurationError: Something given is no middleware, or no sink.
    """

    def __init__(
        self,
        middleware: Iterable[Middleware] = (),
        sinks: Iterable[Sink] = (),
        *,
        background: Background,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        queues: Callable[[Sink], SinkQueue] = SinkQueue,
        end_seconds: float = _END_SECONDS,
        drain_seconds: float = _DRAIN_SECONDS,
    ) -> None:
        self.middleware: Sequence[Middleware] = tuple(sorted(_checked(middleware), key=lambda each: each.order))
        self.queues: Sequence[SinkQueue] = tuple(queues(each) for each in _checked_sinks(sinks))
        self.note: Callable[[Noted], None]
        self.note = self.queues[0].put if len(self.queues) == 1 else self._note_to_all
        self.clock = clock
        self.wall = wall
        self._end_seconds = end_seconds
        self._drain_seconds = drain_seconds
        self._live: dict[Observation, None] = {}
        self._ejected: dict[str, float] = {}
        self._complaints: set[tuple[int, str]] = set()
        for queue in self.queues:
            background.start(f"sink {queue.name}", queue.run)

    @property
    def listening(self) -> bool:
        """Whether anybody hears of calls."""
        return bool(self.queues or self.middleware)

    def begin(
        self, id: str, *, targets: str | Sequence[str], model_type: ModelType, streamed: bool
    ) -> Observation | None:
        """Begin the observation of a call, or none where nobody listens.

        Args:
            id: The call's id.
            targets: What the caller asked.
            model_type: The type of the model asked.
            streamed: Whether the answer comes in events.
        """
        if not self.listening:
            return None
        named = (targets,) if isinstance(targets, str) else tuple(targets)
        observation = Observation(self, id, named, model_type, streamed=streamed)
        self._live[observation] = None
        return observation

    def _note_to_all(self, noted: Noted) -> None:
        for queue in self.queues:
            queue.put(noted)

    def forget(self, observation: Observation) -> None:
        """A call has ended."""
        self._live.pop(observation, None)

    def changed(self, change: Change) -> None:
        """Something happened to a deployment; what the pool is given to tell of it."""
        if not self.queues:
            return
        now, at = self.clock(), self.wall()
        seconds = change.until - now if math.isfinite(change.until) else None
        match change.what:
            case "ejected":
                if len(self._ejected) >= _REMEMBERED:
                    self._ejected.clear()
                self._ejected.setdefault(change.deployment, now)
                self.note((DeploymentEjected, change.deployment, change.error or None, seconds, at))
            case "recovered":
                since = self._ejected.pop(change.deployment, None)
                self.note((DeploymentRecovered, change.deployment, None if since is None else now - since, at))
            case _:
                self.note((CredentialDisabled, change.deployment, change.error, seconds, at))

    async def tell(self, told: Iterable[Middleware], hook: str, noted: Noted) -> None:
        """Await one hook of each middleware that has it; what they raise is logged."""
        record = None
        for each in told:
            if not _has(each, hook):
                continue
            record = record or record_of(noted)
            try:
                await getattr(each, hook)(record)
            except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a middleware raises is its own
                self._complain(each, hook, error)

    async def tell_the_end(self, told: Iterable[Middleware], ends: Iterable[tuple[str, Noted]]) -> None:
        """Await the last hooks of each middleware, whatever cancels the wait, within their time."""
        cancelled: BaseException | None = None
        for hook, noted in ends:
            for each in told:
                if not _has(each, hook):
                    continue  # a scope for nothing would cost more than all the rest
                with anyio.move_on_after(self._end_seconds, shield=True) as scope:
                    try:
                        await self.tell((each,), hook, noted)
                    except anyio.get_cancelled_exc_class() as error:
                        if scope.cancel_called:
                            raise
                        cancelled = error  # asyncio's own, of a whole task, passes the shield
                if scope.cancelled_caught:
                    self._complain(each, hook, TimeoutError(f"it took longer than {self._end_seconds:g} s"))
        if cancelled is not None:
            raise cancelled

    def _complain(self, middleware: Middleware, hook: str, error: BaseException) -> None:
        key = (id(middleware), hook)
        if key not in self._complaints:
            self._complaints.add(key)
            message = "%s of the middleware %s raised %s; said once"
            _log.warning(message, hook, type(middleware).__name__, type(error).__name__, exc_info=error)

    async def aclose(self) -> None:
        """End what is still observed as abandoned, and let sinks take what is waiting, for a while."""
        for observation in list(self._live):
            await observation.ended("abandoned")
        for queue in self.queues:
            queue.close()
        with anyio.move_on_after(self._drain_seconds, shield=True):
            for queue in self.queues:
                await queue.done.wait()
        for queue in self.queues:
            queue.give_up()

    def __repr__(self) -> str:
        dropped = sum(queue.dropped for queue in self.queues)
        return (
            f"<Observers: {len(self.middleware)} middleware, {len(self.queues)} sinks, "
            f"{len(self._live)} calls, {dropped} records dropped>"
        )


def _has(middleware: Middleware, hook: str) -> bool:
    return getattr(type(middleware), hook) is not getattr(Middleware, hook)


def _checked(middleware: Iterable[object]) -> Iterator[Middleware]:
    for each in middleware:
        if not isinstance(each, Middleware):
            message = (
                f"a middleware given is {_shown(each)}: it must be an instance of a subclass of modelhub.Middleware"
            )
            raise ConfigurationError(message)
        yield each


def _checked_sinks(sinks: Iterable[object]) -> Iterator[Sink]:
    for each in sinks:
        problem = sink_problem(each)
        if problem is not None:
            raise ConfigurationError(f"a sink given is {_shown(each)}: {problem}")
        yield cast("Sink", each)


def _shown(given: object) -> str:
    return f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
