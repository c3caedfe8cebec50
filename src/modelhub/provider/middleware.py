"""Middleware: what wraps every call, in code of the application or of an extension."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

if TYPE_CHECKING:
    from modelhub.types.requests import Request
    from modelhub.types.schema import ModelType
    from modelhub.types.telemetry import AttemptEnded, AttemptStarted, CallEnded, FirstContent, Record, RetryScheduled

__all__ = ["EmittingSink", "Middleware", "PendingCall", "Sink"]


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call before anything was done for it.

    Attributes:
        id: The call's id, which is ``call`` in all records of it.
        request: What is asked, as the middleware before this one left it.
        model_type: The type of the model asked.
        streamed: Whether the answer comes in events.
    """

    id: str
    request: Request[Any]
    model_type: ModelType
    streamed: bool


class Middleware:
    """Wraps every call of a hub. Override what you need; all methods are coroutines and do nothing here.

    Those of lower ``order`` are farther out: `before`, `attempt` and `retry` reach them first, and what goes the other
    way (`first_content`, `attempt_ended`, `end`) last. Calls run side by side through one instance: keep what belongs
    to a call by its id.

    Only `before` can stop a call. What the others raise is logged, and the call goes on without it; the call waits
    for them, so they should be quick. What need not be waited for belongs into a sink.

    Example:
        >>> class Polite(Middleware):
        ...     async def before(self, call):
        ...         if call.model_type != "llm":
        ...             return None
        ...         return replace(call.request, messages=[SystemMessage("Be polite."), *call.request.messages])
    """

    order: ClassVar[float] = 0.0

    async def before(self, call: PendingCall) -> Request[Any] | None:
        """Look at a call before anything is done for it.

        Returns:
            Another request of the same type in its place, or ``None`` to leave it as it is.

        Raises:
            ModelHubError: The call is refused. Anything else that it raises becomes a `PluginError`.
        """
        return None

    async def attempt(self, record: AttemptStarted) -> None:
        """A deployment is about to be tried."""

    async def retry(self, record: RetryScheduled) -> None:
        """An attempt has failed, and another will be made."""

    async def first_content(self, record: FirstContent) -> None:
        """The first content of an answer has come, and the caller is about to see it."""

    async def attempt_ended(self, record: AttemptEnded) -> None:
        """An attempt is over."""

    async def end(self, record: CallEnded) -> None:
        """The call is over, however it ended: called exactly once after `before` has returned.

        It is not cancelled with the call, and has five seconds.
        """

    def __repr__(self) -> str:
        return f"<middleware {type(self).__name__}>"


class EmittingSink(Protocol):
    """A sink with a method; ``emit`` may be a coroutine function."""

    def emit(self, record: Record, /) -> Awaitable[None] | None:
        """Take a record."""
        ...


Sink: TypeAlias = "Callable[[Record], Awaitable[None] | None] | EmittingSink"
"""Takes records, one after another, beside the calls. Plain functions run in threads, coroutines in the event loop."""
