"""A stream: entered at the first content, ended by exactly one `Finish`, closed on break, cancel and error.

Until the first content another deployment may be tried; lifecycle events are held back until then. After it, whatever
goes wrong is `StreamInterrupted` with everything received. Closing breaks the connection first and the generator
after it: a generator that another task is reading cannot be closed, and one that timed out once would end in silence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Generic, TypeVar, cast, final

import anyio

from modelhub.errors import (
    ConfigurationError,
    ModelHubError,
    Retry,
    Scope,
    StreamInterrupted,
    StreamNotFinished,
)
from modelhub.rules.fold import ChatFold, SpeechFold, is_content
from modelhub.rules.frames import clear_locals, hides_arguments
from modelhub.rules.routing.verdict import may_be_charged, verdict
from modelhub.runtime.attempts import tried
from modelhub.runtime.balancer import Balancer
from modelhub.runtime.beginning import Beginning
from modelhub.runtime.call import Call, Prepared, Try
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.failures import attributed, foreign, redacted
from modelhub.runtime.observation import Observation
from modelhub.runtime.resumption import Resumption
from modelhub.runtime.server import Server
from modelhub.runtime.source import Source
from modelhub.types.events import Event, Finish, Reset, TextDelta
from modelhub.types.records import Attempt
from modelhub.types.requests import SpeechRequest
from modelhub.types.results import Result
from modelhub.types.usage import Usage

__all__ = ["Stream"]

E_co = TypeVar("E_co", bound=Event, covariant=True)
R_co = TypeVar("R_co", bound=Result, covariant=True)


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
        "_entering",
        "_failure",
        "_first_content",
        "_fold",
        "_held",
        "_reading",
        "_resolve",
        "_result",
        "_resumption",
        "_server",
        "_server_of",
        "_source",
        "_start",
        "_unusable",
        "_waiting",
    )

    def __init__(self, server: Callable[[], Server], resolve: Callable[[], Awaitable[Call[Any]]]) -> None:
        self._server_of = server
        self._server: Server | None = None
        self._resolve = resolve
        self._call: Call[Any] | None = None
        self._deployment: Deployment | None = None
        self._entering: dict[Source, None] = {}
        self._source: Source | None = None
        self._fold: ChatFold | SpeechFold = ChatFold()
        self._held: deque[Event] = deque()
        self._resumption = Resumption()
        self._start = 0.0
        self._first_content: float | None = None
        self._result: Result | None = None
        self._failure: ModelHubError | None = None
        self._unusable: ModelHubError | None = None
        self._end = False
        self._closed = False
        self._reading = False
        self._waiting: anyio.CancelScope | None = None

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
        try:
            self._call = call = await self._resolve()
            with anyio.CancelScope() as self._waiting:
                await self._adopt(await tried(self._server, call, self._begin, discard=self._discarded))
            self._check_wanted()
        except BaseException as error:
            try:
                await self._closed_by(error)  # cancelled just when the first content came: nobody else would
            finally:
                if self._observation is not None:
                    await self._observation.failed(error)
            raise
        return self

    @property
    def _observation(self) -> Observation | None:
        return None if self._call is None else self._call.observation

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
        await self._closed_by(error if error is not None and not isinstance(error, Exception) else None)

    async def _begin(self, call: Call[Any], this: Try) -> Beginning:
        assert self._server is not None  # noqa: S101  it is found when the stream is entered
        self._check_wanted()
        start = self._clock()
        prepared = await self._server.prepare(call, this, streaming=True)
        source = Source(prepared)
        beginning = Beginning(source, self._fold_for(prepared), start)
        if prepared.context.open_http is not None:
            prepared.context.open_http.can_be_given_up = True  # it may be closed while it waits for its head
        prober = self._balancer.prober
        waiting = None if prober is None else prober.wait(this.lease, prepared.context.open_http)
        self._entering[source] = None
        try:
            await beginning.read(self._check_wanted, self._resumption.spliced)
        except BaseException as error:
            if may_be_charged(error):
                self._resumption.given_up(self._server, prepared, beginning.fold)
            await source.aclose()
            self._check_wanted()
            raise
        finally:
            del self._entering[source]
            if prober is not None:
                prober.came(waiting, answered=beginning.has_content)
        if beginning.has_content:
            this.lease.first_content = self._clock() - this.lease.begun
            self._balancer.answering(this.lease)
        return beginning

    def _fold_for(self, prepared: Prepared) -> ChatFold | SpeechFold:
        if self._resumption.splice is not None:
            self._resumption.begun_anew(self._fold)
            return self._fold
        if isinstance(prepared.request, SpeechRequest):
            return SpeechFold(prepared.bound.speech_type(prepared.request))
        return ChatFold(prepared.call.id)

    async def _adopt(self, beginning: Beginning) -> None:
        """Make a beginning the stream's own: from now on nothing else is tried by itself."""
        source = self._source = beginning.source
        self._fold, self._held = beginning.fold, beginning.held
        if self._resumption.splice is None:  # a continuation belongs to what began before
            self._start, self._first_content = beginning.start, None
        self._deployment = source.prepared.deployment
        if self._closed:
            self._given_up(source)
            await source.aclose()
            self._check_wanted()
        if beginning.has_content:
            await self._content_came(source)
        if beginning.finish is not None:
            await self._finish(source)

    def _check_wanted(self) -> None:
        """Refuse to go on with a stream that was closed while it was being entered: nothing more is asked for it."""
        if self._closed:
            raise StreamNotFinished("the stream was closed while it was being entered")

    async def _content_came(self, source: Source) -> None:
        now = self._clock()
        if self._first_content is None:
            self._first_content = now - self._start
        this = source.prepared.this
        if this.lease.first_content is None:
            this.lease.first_content = now - this.lease.begun
            source.content_came()
        if this.watch is not None:
            await this.watch.first_content()

    def __aiter__(self) -> Stream[E_co, R_co]:
        return self

    async def __anext__(self) -> E_co:
        while not self._held:
            source = self._source
            if self._end or source is None or self._closed:
                return self._nothing_more()
            if self._reading:
                raise ConfigurationError("the stream is being read already", remedy="let one task read it")
            self._reading = True
            try:
                event = await source.next()
                if self._resumption.splice is None:
                    self._fold.add(event)
                    if self._first_content is None and is_content(event):
                        await self._content_came(source)
                    if type(event) is Finish:
                        await self._finish(source)
                    return cast("E_co", event)
                await self._take_spliced(source, event)
            except StopAsyncIteration:
                await self._go_on_or_raise(source, None)
            except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
                await self._go_on_or_raise(source, error)
            except BaseException as error:
                clear_locals(error)  # as in the loop of attempts
                await self._closed_by(error)
                raise
            finally:
                self._reading = False
        return cast("E_co", self._held.popleft())

    async def _take_spliced(self, source: Source, event: Event) -> None:
        """Take an event of a continuation, which becomes none, itself, or several."""
        for each in self._resumption.spliced(event):
            self._fold.add(each)
            self._held.append(each)
        if type(event) is Finish:
            await self._finish(source)

    async def _go_on_or_raise(self, source: Source, raised: Exception | None) -> None:
        """Go on with another attempt, where the caller wants that and it can be done; else raise what went wrong."""
        error = self._interruption(source, raised)
        if not self._closed:
            assert self._server is not None  # noqa: S101  only an entered stream is read
            self._resumption.given_up(self._server, source.prepared, self._fold)
            self._balancer.failed(source.prepared.this.lease, error, verdict(error, delivered=True))
            try:
                await source.aclose()
                if await self._gone_on(source, error):
                    return
            except BaseException as stopped:
                await self._closed_by(stopped)  # cancelled, as while it is read, or closed by another task
                raise
        self._failure = error
        await self._closed_by(error)
        raise error from error.__cause__

    async def _gone_on(self, source: Source, error: StreamInterrupted) -> bool:
        assert self._server is not None  # noqa: S101  only an entered stream is read
        call = self._resumption.next_call(self._server, source.prepared, self.partial, error)
        if call is None:
            return False
        watch = source.prepared.this.watch
        if watch is not None:
            await watch.ended(error)
            await watch.retry(error)
        try:
            with anyio.CancelScope() as self._waiting:
                await self._adopt(await tried(self._server, call, self._begin, discard=self._discarded))
        except ModelHubError as failed:
            error.attempts = failed.attempts or error.attempts
            self._check_wanted()
            return False
        self._check_wanted()
        if self._resumption.splice is None:
            self._held.appendleft(Reset())
        return True

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

    def _interruption(self, source: Source, raised: Exception | None) -> StreamInterrupted:
        """Build what the caller gets: everything received, from what went wrong."""
        prepared, closing = source.prepared, self._closed
        for each in self._resumption.rest():
            self._fold.add(each)
        cause = None
        if raised is not None and not closing:
            cause = redacted(foreign(raised, prepared.deployment), prepared.deployment.credential)
        text = "the stream was closed while it was read" if closing else "the stream broke off before its end"
        message = f"{text}: {cause.message}" if cause is not None else text
        error = StreamInterrupted(message, partial=self.partial, cause=cause)
        redacted(error, prepared.deployment.credential)  # what came by then may repeat a key too
        if closing:
            error.scope, error.retry = Scope.CALLER, Retry.NO
        seconds = self._clock() - prepared.this.lease.begun
        attempts = [*prepared.this.before, Attempt(prepared.deployment.id, type(cause or error).__name__, seconds)]
        attributed(error, prepared.deployment, attempts)
        error.__cause__ = cause
        return error

    async def _finish(self, source: Source) -> None:
        """The end is here: complete the result and give the connection back."""
        self._end = True
        assert self._server is not None  # noqa: S101  only an entered stream ends
        prepared = source.prepared
        lease = prepared.this.lease
        try:
            answer = self._resumption.flagged(self._fold.result())
            seconds = self._clock() - self._start
            splice = self._resumption.splice
            own = None if splice is None else splice.usage or Usage()
            self._result = await self._server.finished(
                prepared, answer, seconds, first_content=self._first_content, own=own
            )
        except Exception as error:  # noqa: BLE001  a plugin's events may hold anything
            # The events were all delivered: only whoever asks for the result hears of it.
            deployment = prepared.deployment
            self._unusable = attributed(foreign(error, deployment), deployment, prepared.this.before)
        finally:
            self._balancer.succeeded(lease, lease.first_content)
            try:
                await source.ended()
            finally:
                await self._told_of_the_end()

    async def _told_of_the_end(self) -> None:
        observation = self._observation
        if observation is None:
            return
        if self._unusable is not None:
            await observation.failed(self._unusable)
        else:
            await observation.ended("success", result=self._result)

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
        if self._result is not None:
            return cast("R_co", self._result)
        partial = self._fold.result()
        return cast("R_co", partial if self._deployment is None else replace(partial, model=self._deployment.name))

    def text(self) -> AsyncIterator[str]:
        """Return an iterator over the text alone, as it comes; what it raises is what the stream raises."""
        return _Texts(self)

    async def aclose(self) -> None:
        """Stop, from any task: the server sees the connection end at once. Idempotent."""
        await self._closed_by(None)

    async def _closed_by(self, error: BaseException | None) -> None:
        """Give everything back; ``error`` ended the stream, or, where there is none, whoever was reading it."""
        self._closed = True
        if self._waiting is not None:
            self._waiting.cancel()  # whatever it waits for: a place, or the first content
        for source in tuple(self._entering):
            await source.aclose()
        if self._source is None or self._end:
            return
        self._given_up(self._source)
        try:
            await self._source.aclose()
        finally:
            observation = self._observation
            if observation is not None and error is None:
                await observation.ended("abandoned", result=self._foldable())
            elif observation is not None and error is not None:
                await observation.failed(error)

    def _foldable(self) -> Result | None:
        """Return what came, unless a plugin's events cannot be put together."""
        try:
            return self.partial
        except Exception:  # noqa: BLE001  a plugin's events may hold anything, and the caller who leaves has no use for it
            return None

    def _given_up(self, source: Source) -> None:
        """Nobody wants an attempt any more that had got as far as its first content."""
        assert self._server is not None  # noqa: S101  only an entered stream has one
        lease = source.prepared.this.lease
        if not lease.ended:
            self._resumption.given_up(self._server, source.prepared, self._fold)
            self._balancer.abandoned(lease)

    async def _discarded(self, beginning: Beginning) -> None:
        """Give up the beginning of a stream that another one was before."""
        assert self._server is not None  # noqa: S101  only an entered stream begins
        self._resumption.given_up(self._server, beginning.source.prepared, beginning.fold)
        await beginning.source.aclose()

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
