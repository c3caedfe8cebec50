"""A stream: entered at the first content, ended by exactly one `Finish`, closed on break, cancel and error.

Until the first content another deployment may be tried; lifecycle events are held back until then. After it, whatever
goes wrong is `StreamInterrupted` with everything received. Closing breaks the connection first and the generator
after it: a generator that another task is reading cannot be closed, and one that timed out once would end in silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar, cast, final

import anyio

from modelhub.errors import (
    ConfigurationError,
    ConnectionLost,
    ModelHubError,
    Retry,
    Scope,
    StreamInterrupted,
    StreamNotFinished,
)
from modelhub.rules.fold import ChatFold, SpeechFold, is_content
from modelhub.rules.frames import clear_locals, hides_arguments
from modelhub.rules.routing.verdict import verdict
from modelhub.runtime.attempts import Call, Prepared, Server, Try
from modelhub.runtime.balancer import Balancer
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.failures import attributed, foreign, redacted
from modelhub.types.events import Event, Finish, TextDelta
from modelhub.types.records import Attempt
from modelhub.types.requests import SpeechRequest
from modelhub.types.results import Result

__all__ = ["Stream"]

E_co = TypeVar("E_co", bound=Event, covariant=True)
R_co = TypeVar("R_co", bound=Result, covariant=True)

_HELD = 32
"""Lifecycle events that may be held back before the stream counts as begun."""

_END_SECONDS = 1.0
"""How long a generator may go on after its `Finish`, which the caller is not shown before."""

_CLOSE_SECONDS = 5.0


@final
class _Source:
    """One attempt's events: the generator, its connection and its limits of time.

    Attributes:
        next: Gives the next event. Raises StopAsyncIteration at the generator's end. It is the generator's own method
            where that keeps the limits by itself: nothing stands between, once per event.
    """

    __slots__ = ("_generator", "_scope", "next", "prepared")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
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
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                await self._generator.aclose()
            except RuntimeError:
                pass  # another task is reading it: that task's read fails with the connection and ends it
            except Exception as error:  # noqa: BLE001  a plugin's clean-up; there is nobody left to tell
                self.prepared.context.log.debug("closing a stream raised %s", type(error).__name__)
            if http is not None:
                await http.aclose()


@final
class Stream(Generic[E_co, R_co]):
    """Events of an answer as they come. Use it as ``async with hub.stream(…) as stream`` and iterate.

    Args:
        server: What serves the call.
        resolve: Gives the call when the stream is entered.
    """

    __slots__ = (
        "_call",
        "_closed",
        "_deployment",
        "_end",
        "_failure",
        "_first_content",
        "_fold",
        "_held",
        "_reading",
        "_resolve",
        "_result",
        "_server",
        "_server_of",
        "_source",
        "_start",
        "_unusable",
    )

    def __init__(self, server: Callable[[], Server], resolve: Callable[[], Awaitable[Call[Any]]]) -> None:
        self._server_of = server
        self._server: Server | None = None
        self._resolve = resolve
        self._call: Call[Any] | None = None
        self._deployment: Deployment | None = None
        self._source: _Source | None = None
        self._fold: ChatFold | SpeechFold = ChatFold()
        self._held: deque[Event] = deque()
        self._start = 0.0
        self._first_content: float | None = None
        self._result: Result | None = None
        self._failure: ModelHubError | None = None
        self._unusable: ModelHubError | None = None
        self._end = False
        self._closed = False
        self._reading = False

    @hides_arguments
    async def __aenter__(self) -> Stream[E_co, R_co]:
        """Wait for the first content (or the end).

        Raises:
            ModelHubError: No deployment got that far; the last one's error.
        """
        if self._call is not None:
            message = "this stream was entered before"
            raise ConfigurationError(message, remedy="make a new one with hub.stream(…)")
        # Kept, because the stream outlives a hub that is left while it is read.
        self._server = self._server_of()
        self._call = await self._resolve()
        await self._server.tried(self._call, self._begin, streaming=True)
        return self

    @property
    def _clock(self) -> Callable[[], float]:
        assert self._server is not None  # noqa: S101  only an entered stream asks
        return self._server.runtime.clock

    @property
    def _balancer(self) -> Balancer:
        assert self._server is not None  # noqa: S101  likewise
        return self._server.runtime.balancer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it, whatever happened."""
        await self.aclose()

    async def _begin(self, call: Call[Any], this: Try) -> None:
        assert self._server is not None  # noqa: S101  it is found when the stream is entered
        self._check_wanted()
        self._deployment, self._start = this.deployment, self._clock()
        prepared = await self._server.prepare(call, this, streaming=True)
        speech = isinstance(prepared.request, SpeechRequest)
        self._fold = SpeechFold(prepared.bound.speech_type(prepared.request)) if speech else ChatFold(call.id)
        self._held.clear()
        source = self._source = _Source(prepared)
        try:
            while len(self._held) < _HELD:
                self._check_wanted()
                try:
                    event = await source.next()
                except StopAsyncIteration:
                    raise ConnectionLost("the answer ended before its first content", sent=True) from None
                self._fold.add(event)
                self._held.append(event)
                if is_content(event):
                    self._check_wanted()
                    self._content_came(source)
                    return
                if isinstance(event, Finish):
                    await self._finish()
                    return
            self._check_wanted()
        except BaseException:
            await source.aclose()
            self._check_wanted()
            raise

    def _check_wanted(self) -> None:
        """Refuse to go on with a stream that was closed while it was being entered: nothing more is asked for it."""
        if self._closed:
            raise StreamNotFinished("the stream was closed while it was being entered")

    def _content_came(self, source: _Source) -> None:
        now = self._clock()
        self._first_content = now - self._start
        lease = source.prepared.this.lease
        lease.first_content = now - lease.begun
        source.content_came()

    def __aiter__(self) -> Stream[E_co, R_co]:
        return self

    async def __anext__(self) -> E_co:
        if self._held:
            return cast("E_co", self._held.popleft())
        source = self._source
        if self._end or source is None or self._closed:
            return self._nothing_more()
        if self._reading:
            raise ConfigurationError("the stream is being read already", remedy="let one task read it")
        self._reading = True
        try:
            event = await source.next()
            self._fold.add(event)
        except StopAsyncIteration:
            raise await self._broken(None) from None
        except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
            broken = await self._broken(error)
            raise broken from broken.__cause__
        except BaseException as error:
            clear_locals(error)  # as in `Server.tried`
            await self.aclose()
            raise
        finally:
            self._reading = False
        if self._first_content is None and is_content(event):
            self._content_came(source)
        if type(event) is Finish:
            await self._finish()
        return cast("E_co", event)

    def _nothing_more(self) -> E_co:
        if self._failure is not None:
            raise self._failure
        if self._call is None:
            message = "the stream was not entered"
            raise ConfigurationError(
                message, remedy="write: async with hub.stream(…) as stream: async for event in stream: …"
            )
        if not self._end:
            raise StreamNotFinished("the stream was closed before its end", remedy="stream.partial holds what came")
        raise StopAsyncIteration

    async def _broken(self, raised: Exception | None) -> StreamInterrupted:
        """Close, and build what the caller gets: everything received, from what went wrong."""
        assert self._source is not None  # noqa: S101  only an entered stream is read
        prepared = self._source.prepared
        closing = self._closed
        cause = None
        if raised is not None and not closing:
            cause = redacted(foreign(raised, prepared.deployment), prepared.deployment.credential)
        text = "the stream was closed while it was read" if closing else "the stream broke off before its end"
        message = f"{text}: {cause.message}" if cause is not None else text
        error = StreamInterrupted(message, partial=self.partial, cause=cause)
        redacted(error, prepared.deployment.credential)  # what came by then may repeat a key too
        if closing:
            error.scope, error.retry = Scope.CALLER, Retry.NO
        seconds = self._clock() - self._start
        attempts = [*prepared.this.before, Attempt(prepared.deployment.id, type(cause or error).__name__, seconds)]
        attributed(error, prepared.deployment, attempts)
        error.__cause__ = cause
        self._failure = error
        if not closing:
            self._balancer.failed(prepared.this.lease, error, verdict(error))
        await self.aclose()
        return error

    async def _finish(self) -> None:
        """The end is here: complete the result and give the connection back."""
        assert self._source is not None  # noqa: S101  only an entered stream ends
        self._end = True
        assert self._server is not None  # noqa: S101  likewise
        try:
            self._result = await self._server.finished(
                self._source.prepared,
                self._fold.result(),
                self._clock() - self._start,
                first_content=self._first_content,
            )
        except Exception as error:  # noqa: BLE001  a plugin's events may hold anything
            # The events were all delivered: only whoever asks for the result hears of it.
            prepared = self._source.prepared
            deployment = prepared.deployment
            self._unusable = attributed(foreign(error, deployment), deployment, prepared.this.before)
        finally:
            lease = self._source.prepared.this.lease
            self._balancer.succeeded(lease, lease.first_content)
            await self._source.ended()

    @property
    def result(self) -> R_co:
        """The whole answer.

        Raises:
            StreamNotFinished: The stream was not read to its end.
            OutputInvalid: The answer does not have the shape that was asked for.
        """
        if self._result is not None:
            return cast("R_co", self._result)
        failure = self._failure or self._unusable
        if failure is not None:
            raise failure
        message = "the stream has not reached its end"
        raise StreamNotFinished(message, remedy="read it to the end first, or use stream.partial")

    @property
    def partial(self) -> R_co:
        """What has come so far; the whole answer after the end."""
        return cast("R_co", self._result if self._result is not None else self._fold.result())

    def text(self) -> AsyncIterator[str]:
        """Return an iterator over the text alone, as it comes; what it raises is what the stream raises."""
        return _Texts(self)

    async def aclose(self) -> None:
        """Stop, from any task: the server sees the connection end at once. Idempotent."""
        self._closed = True
        if self._source is not None and not self._end:
            self._balancer.abandoned(self._source.prepared.this.lease)
            await self._source.aclose()

    def __repr__(self) -> str:
        where = self._deployment.id if self._deployment is not None else "not entered"
        state = "finished" if self._end else "broken" if self._failure else "closed" if self._closed else "open"
        return f"<Stream {where}: {state}>"


@final
class _Texts:
    """The text of a stream. An object, because a generator that is left early must be closed and nobody would."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Stream[Any, Any]) -> None:
        self._stream = stream

    def __aiter__(self) -> _Texts:
        return self

    async def __anext__(self) -> str:
        while True:
            event = await self._stream.__anext__()
            if type(event) is TextDelta:
                return event.text
