"""A call and its attempts as they are told of, to middleware, which is awaited, and to sinks, which are not.

One `Observation` per call, one `AttemptObservation` per attempt; where nobody listens there are none. Each ends exactly
once, by whatever comes first: what ends it later finds it ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar, final

from modelhub.errors import BadRequest, ModelHubError, PluginError, StreamNotFinished
from modelhub.provider.middleware import Middleware, PendingCall
from modelhub.rules.requests import checked_request
from modelhub.types.requests import Request
from modelhub.types.results import ChatResult, Result
from modelhub.types.telemetry import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    FirstContent,
    Outcome,
    RetryScheduled,
)
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.runtime.observers import Observers
    from modelhub.runtime.sinks import Noted
    from modelhub.types.schema import ModelType
    from modelhub.types.usage import Usage

__all__ = ["AttemptObservation", "Observation", "outcome_of"]

R = TypeVar("R", bound=Result)


def outcome_of(error: BaseException) -> Outcome:
    """Return how a call ended that raised."""
    if isinstance(error, StreamNotFinished):
        return "abandoned"  # its stream was closed while it was being entered
    return "failure" if isinstance(error, Exception) else "cancelled"


@final
class Observation:
    """A call as it is told of. Made by `Observers.begin`."""

    __slots__ = (
        "_attempts",
        "_first_content",
        "_last",
        "_over",
        "_passed",
        "_start",
        "id",
        "model_type",
        "observers",
        "open",
        "streamed",
        "targets",
    )

    def __init__(
        self, observers: Observers, id: str, targets: tuple[str, ...], model_type: ModelType, *, streamed: bool
    ) -> None:
        self.observers: Observers = observers
        self.id: str = id
        self.targets: tuple[str, ...] = targets
        self.model_type: ModelType = model_type
        self.streamed: bool = streamed
        self._start = observers.clock()
        self._attempts = 0
        self.open: list[AttemptObservation] = []
        self._last: str | None = None
        self._first_content: float | None = None
        self._passed = 0
        self._over = False
        observers.note((CallStarted, id, targets, model_type, streamed, observers.wall()))

    async def before(self, request: Request[R]) -> Request[R]:
        """Pass a call through the middleware, outermost first, and return the request that they make of it.

        Raises:
            ModelHubError: One of them refuses the call.
            PluginError: One of them failed, or made something of the request that cannot be served.
        """
        for each in self.observers.middleware:
            try:
                given = await each.before(PendingCall(self.id, request, self.model_type, self.streamed))
            except ModelHubError:
                raise
            except (Exception, SystemExit) as error:
                message = (
                    f"the middleware {type(each).__name__} failed: {type(error).__name__}: {printable(_text(error))}"
                )
                raise PluginError(message, remedy="report it to its author") from error
            self._passed += 1
            if given is not None and given is not request:
                request = _replacement(each, request, given)
        return request

    async def attempt(
        self, deployment: str, *, provider: str, model: str, hedge: bool = False, probe: bool = False
    ) -> AttemptObservation:
        """An attempt starts.

        Args:
            deployment: The deployment's id.
            provider: The provider's id.
            model: The model, as the provider knows it.
            hedge: Whether it runs beside another.
            probe: Whether it tries an ejected deployment again.
        """
        observers = self.observers
        self._attempts += 1
        self._last = deployment
        attempt = AttemptObservation(self, self._attempts, deployment)
        self.open.append(attempt)
        number, at = self._attempts, observers.wall()
        noted = (AttemptStarted, self.id, number, deployment, provider, model, hedge, probe, at)
        observers.note(noted)
        if observers.middleware:
            try:
                await observers.tell(observers.middleware, "attempt", noted)
            except BaseException as error:
                await attempt.ended(error)  # nobody will have it, to say so later
                raise
        return attempt

    @property
    def latest(self) -> AttemptObservation | None:
        """The attempt that has started last of those that are open."""
        return self.open[-1] if self.open else None

    async def ended(
        self, outcome: Outcome, *, error: BaseException | None = None, result: Result | None = None
    ) -> None:
        """The call is over; attempts that are still open are too. Later calls of this do nothing.

        Args:
            outcome: How it ended.
            error: What the caller gets, where it failed.
            result: What the caller gets, where it did not; of a stream that was left, what came.
        """
        if self._over:
            return
        self._over = True
        observers = self.observers
        observers.forget(self)
        usage = None if result is None else result.usage
        ends = [("attempt_ended", attempt.close(outcome, error, usage)) for attempt in self.open]
        self.open.clear()
        noted = self._noted_end(outcome, error, result)
        observers.note(noted)
        if self._passed:
            passed = observers.middleware[: self._passed][::-1]
            await observers.tell_the_end(passed, (*ends, ("end", noted)))

    async def failed(self, error: BaseException) -> None:
        """The call is over by what it raised, its cancellation included. Idempotent, as `ended`."""
        await self.ended(outcome_of(error), error=error)

    async def around(self, work: Callable[[], Awaitable[R]]) -> R:
        """Answer a call all at once, with everything told that there is to tell of its end.

        Args:
            work: Answers it, `before` included.
        """
        try:
            result = await work()
        except BaseException as error:
            await self.failed(error)
            raise
        await self.ended("success", result=result)
        return result

    def content_came(self, deployment: str, now: float) -> float:
        """Note where the first content came from, and return how many seconds the caller has waited for it."""
        waited = now - self._start
        if self._first_content is None:
            self._last, self._first_content = deployment, waited
        return waited

    def _noted_end(self, outcome: Outcome, error: BaseException | None, result: Result | None) -> Noted:
        observers = self.observers
        kind = type(error).__name__ if error is not None and outcome == "failure" else None
        usage, cost = (result.usage, result.cost) if result is not None else (None, None)
        finish = result.finish_reason if isinstance(result, ChatResult) else None
        seconds = observers.clock() - self._start
        deployment = result.attempts[-1].deployment if result is not None and result.attempts else self._last
        return (
            CallEnded,
            self.id,
            self.targets,
            self.model_type,
            self.streamed,
            outcome,
            kind,
            deployment,
            self._attempts,
            seconds,
            self._first_content,
            finish,
            usage,
            cost,
            observers.wall(),
        )

    def __repr__(self) -> str:
        return f"<Observation {self.id}: {'ended' if self._over else 'open'}, {self._attempts} attempts>"


@final
class AttemptObservation:
    """An attempt as it is told of. Made by `Observation.attempt`."""

    __slots__ = ("_call", "_deployment", "_first_content", "_over", "_start", "number")

    def __init__(self, call: Observation, number: int, deployment: str) -> None:
        self._call = call
        self.number: int = number
        self._deployment = deployment
        self._start = call.observers.clock()
        self._first_content: float | None = None
        self._over = False

    async def first_content(self) -> None:
        """The first content has come. Later calls of this do nothing."""
        if self._over or self._first_content is not None:
            return
        call, observers = self._call, self._call.observers
        now = observers.clock()
        self._first_content, waited = now - self._start, call.content_came(self._deployment, now)
        at = observers.wall()
        noted = (FirstContent, call.id, self.number, self._deployment, self._first_content, waited, at)
        observers.note(noted)
        if observers.middleware:
            await observers.tell(reversed(observers.middleware), "first_content", noted)

    async def retry(self, error: BaseException, *, wait: float = 0.0) -> None:
        """After this attempt another will be made, in ``wait`` seconds."""
        call, observers = self._call, self._call.observers
        kind, at = type(error).__name__, observers.wall()
        noted = (RetryScheduled, call.id, self.number, self._deployment, kind, wait, at)
        observers.note(noted)
        if observers.middleware:
            await observers.tell(observers.middleware, "retry", noted)

    async def ended(
        self, error: BaseException | None = None, *, outcome: Outcome | None = None, usage: Usage | None = None
    ) -> None:
        """The attempt is over. Later calls of this do nothing, nor do those after the call's end.

        Args:
            error: What it failed with, its cancellation included; ``None`` for an answer.
            outcome: How it ended, where the error does not say: ``cancelled`` for the slower of two.
            usage: What the answer used.
        """
        if self._over:
            return
        call, observers = self._call, self._call.observers
        call.open.remove(self)
        noted = self.close(outcome or ("success" if error is None else outcome_of(error)), error, usage)
        if observers.middleware:
            await observers.tell_the_end(observers.middleware[::-1], (("attempt_ended", noted),))

    def close(self, outcome: Outcome, error: BaseException | None, usage: Usage | None) -> Noted:
        """Tell sinks of the end, and return the record for the middleware."""
        self._over = True
        call, observers = self._call, self._call.observers
        kind = type(error).__name__ if error is not None and outcome == "failure" else None
        scope, retry = (error.scope, error.retry) if kind and isinstance(error, ModelHubError) else (None, None)
        seconds = observers.clock() - self._start
        tokens_in, tokens_out = (None, None) if usage is None else (usage.input_tokens, usage.output_tokens)
        noted = (
            AttemptEnded,
            call.id,
            self.number,
            self._deployment,
            outcome,
            kind,
            scope,
            retry,
            seconds,
            self._first_content,
            tokens_in,
            tokens_out,
            observers.wall(),
        )
        observers.note(noted)
        return noted

    def __repr__(self) -> str:
        return f"<Attempt {self.number} {self._deployment}: {'ended' if self._over else 'open'}>"


def _replacement(middleware: Middleware, request: Request[R], given: object) -> Request[R]:
    name = type(middleware).__name__
    if type(given) is not type(request):
        message = f"the middleware {name} made a {type(given).__name__} of a {type(request).__name__}"
        raise PluginError(message, remedy="its author must return a request of the same type, or None")
    try:
        return checked_request(given)
    except BadRequest as error:
        message = f"the middleware {name} made a request that cannot be served: {error.message}"
        raise PluginError(message, remedy="report it to its author") from error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  a foreign exception may be broken in itself
        return "(its text cannot be shown)"
