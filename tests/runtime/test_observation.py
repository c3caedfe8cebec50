"""Middleware and sinks hear of every call exactly once, however it ends, and what they do wrong harms no call."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from typing import Any, get_args

import anyio
import pytest

from modelhub.errors import BadRequest, ConfigurationError, Overloaded, PluginError, Retry, Scope, StreamNotFinished
from modelhub.provider.middleware import Middleware, PendingCall
from modelhub.rules.routing.pool import Change
from modelhub.runtime.background import Background
from modelhub.runtime.observation import Observation
from modelhub.runtime.observers import Observers
from modelhub.runtime.sinks import SinkQueue
from modelhub.types import telemetry
from modelhub.types.events import FinishReason
from modelhub.types.messages import AssistantMessage, TextPart
from modelhub.types.records import Attempt
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import ChatResult, EmbedResult
from modelhub.types.schema import ModelType
from modelhub.types.telemetry import (
    AttemptEnded,
    AttemptStarted,
    CallEnded,
    CallStarted,
    CredentialDisabled,
    DeploymentEjected,
    DeploymentRecovered,
    FirstContent,
    RetryScheduled,
)
from modelhub.types.usage import Usage

pytestmark = pytest.mark.anyio

REQUEST = EmbedRequest(model="a/b", texts=("x",))
RESULT = EmbedResult(vectors=[[1.0]], usage=Usage(3, None))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@asynccontextmanager
async def observing(
    middleware: Iterable[Any] = (), sinks: Iterable[Any] = (), *, capacity: int = 1024, **options: Any
) -> AsyncGenerator[Observers, None]:
    """Make observers whose sinks are given records at once, and close them."""
    background = Background(close_seconds=0.1)
    try:
        observers = Observers(
            middleware,
            sinks,
            background=background,
            wall=lambda: 1000.0,
            queues=lambda sink: SinkQueue(sink, capacity=capacity, linger=0.0),
            **options,
        )
        yield observers
        await observers.aclose()
    finally:
        await background.aclose()


def began(observers: Observers, id: str = "call_1", *, streamed: bool = False) -> Observation:
    """Begin a call."""
    observation = observers.begin(id, targets=("a/b", "c/d"), model_type=ModelType.TEXT_EMBEDDING, streamed=streamed)
    assert observation is not None
    return observation


class Recorder(Middleware):
    """Writes down what it is told."""

    def __init__(self, name: str, told: list[Any], order: float = 0.0) -> None:
        self.name, self.told, self.order = name, told, order  # type: ignore[misc]

    async def before(self, call: PendingCall) -> None:
        """Write it down."""
        self.told.append((self.name, "before"))

    async def attempt(self, record: AttemptStarted) -> None:
        """Write it down."""
        self.told.append((self.name, f"attempt {record.number}"))

    async def retry(self, record: RetryScheduled) -> None:
        """Write it down."""
        self.told.append((self.name, f"retry {record.error} {record.wait:g}"))

    async def first_content(self, record: FirstContent) -> None:
        """Write it down."""
        self.told.append((self.name, "first content"))

    async def attempt_ended(self, record: AttemptEnded) -> None:
        """Write it down."""
        self.told.append((self.name, f"attempt {record.number} {record.outcome}"))

    async def end(self, record: CallEnded) -> None:
        """Write it down."""
        self.told.append((self.name, f"end {record.outcome}"))


async def answered(observation: Observation, request: Any = REQUEST) -> Any:
    """Answer a call with one attempt."""

    async def work() -> Any:
        passed = await observation.before(request)
        attempt = await observation.attempt("a/b", provider="a", model="b")
        await attempt.ended(usage=RESULT.usage)
        return replace(RESULT, model=passed.name)

    return await observation.around(work)


async def test_nobody_listens() -> None:
    """Without middleware and sinks there is nothing to observe with."""
    async with observing() as observers:
        assert observers.begin("x", targets="a/b", model_type=ModelType.LLM, streamed=False) is None
        observers.changed(Change("ejected", "a/b", 5.0, "Overloaded"))
        assert repr(observers) == "<Observers: 0 middleware, 0 sinks, 0 calls, 0 records dropped>"


async def test_the_order_is_an_onion() -> None:
    """In by rising order, out by falling order; equal ones as they were given."""
    told: list[Any] = []
    middleware = [Recorder("c", told, 1), Recorder("a", told, -1), Recorder("b", told), Recorder("b2", told)]
    async with observing(middleware) as observers:
        assert (await answered(began(observers))).vectors == [[1.0]]
    ways = {}
    for name, what in told:
        ways.setdefault(what, []).append(name)
    inwards, outwards = ["a", "b", "b2", "c"], ["c", "b2", "b", "a"]
    assert ways == {
        "before": inwards,
        "attempt 1": inwards,
        "attempt 1 success": outwards,
        "end success": outwards,
    }


async def test_a_retry_is_told_inwards_and_content_once_outwards() -> None:
    """Each attempt of a stream is told, and where the content came from first counts."""
    told: list[Any] = []
    async with observing([Recorder("b", told, 1), Recorder("a", told)]) as observers:
        observation = began(observers, streamed=True)
        first = await observation.attempt("a/b", provider="a", model="b")
        await first.ended(Overloaded("x"))
        await first.retry(Overloaded("x"), wait=2.0)
        attempts = [await observation.attempt("a/b", provider="a", model="b", hedge=hedge) for hedge in (False, True)]
        for attempt in attempts:
            await attempt.first_content()
        await observation.ended("success")
    names = [name for name, what in told if what in {"retry Overloaded 2", "first content"}]
    assert names == ["a", "b", "b", "a", "b", "a"]


async def test_a_request_may_be_replaced() -> None:
    """Each middleware sees what the one before it made, and the call is answered as the last left it."""
    seen: list[Any] = []

    class More(Middleware):
        async def before(self, call: PendingCall) -> Any:
            seen.append((call.id, call.model_type, call.streamed, call.request.texts))
            return replace(call.request, texts=(*call.request.texts, "more"))

    async with observing([More(), More()]) as observers:
        observation = began(observers)
        request = await observation.before(REQUEST)
        await observation.ended("success")
    assert request.texts == ("x", "more", "more")
    assert seen == [
        ("call_1", "text-embedding", False, ("x",)),
        ("call_1", "text-embedding", False, ("x", "more")),
    ]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (ChatRequest(), "the middleware Maker made a ChatRequest of a EmbedRequest"),
        ("x", "the middleware Maker made a str of a EmbedRequest"),
        (replace(REQUEST, timeout=-1), "the middleware Maker made a request that cannot be served: timeout is -1"),
    ],
)
async def test_a_request_that_cannot_be_served_is_the_middlewares_fault(made: object, said: str) -> None:
    """The error names the middleware, which hears of the end: its `before` had returned."""
    told: list[Any] = []

    class Maker(Recorder):
        async def before(self, call: PendingCall) -> Any:
            return made

    async with observing([Maker("maker", told)]) as observers:
        with pytest.raises(PluginError) as caught:
            await answered(began(observers))
    assert said in caught.value.message
    assert told == [("maker", "end failure")]


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (BadRequest("not so"), BadRequest, "not so"),
        (ValueError("oh\nno"), PluginError, "the middleware Refuser failed: ValueError: oh no"),
        (SystemExit(1), PluginError, "the middleware Refuser failed: SystemExit: 1"),
    ],
)
async def test_a_call_may_be_refused(raised: BaseException, kind: type[Exception], said: str) -> None:
    """Errors of ours reach the caller as they are, others as the plugin's; only those passed hear of the end."""
    told: list[Any] = []

    class Refuser(Recorder):
        async def before(self, call: PendingCall) -> None:
            raise raised

    middleware = [Recorder("outer", told, -1), Refuser("refuser", told), Recorder("inner", told, 1)]
    async with observing(middleware) as observers:
        with pytest.raises(kind) as caught:
            await answered(began(observers))
    assert caught.value.message == said  # type: ignore[attr-defined]
    assert told == [("outer", "before"), ("outer", "end failure")]


async def test_an_exception_that_cannot_be_shown() -> None:
    """A foreign exception may be broken in itself."""

    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    class Refuser(Middleware):
        async def before(self, call: PendingCall) -> None:
            raise Broken

    async with observing([Refuser()]) as observers:
        with pytest.raises(PluginError, match="its text cannot be shown"):
            await answered(began(observers))


async def test_what_the_other_hooks_raise_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Calls go on, and so do the other middleware; the log says it once for each hook."""
    told: list[Any] = []

    class Failing(Middleware):
        async def attempt(self, record: AttemptStarted) -> None:
            raise ValueError("a")

        async def end(self, record: CallEnded) -> None:
            raise SystemExit(2)

    async with observing([Recorder("r", told, -1), Failing()]) as observers:
        for _ in range(2):
            await answered(began(observers))
    assert [what for _, what in told] == ["before", "attempt 1", "attempt 1 success", "end success"] * 2
    assert [record.getMessage() for record in caplog.records] == [
        "attempt of the middleware Failing raised ValueError; said once",
        "end of the middleware Failing raised SystemExit; said once",
    ]


async def test_an_end_that_hangs_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """A middleware has its time at the end, and no more."""
    told: list[Any] = []

    class Hanging(Middleware):
        async def end(self, record: CallEnded) -> None:
            await anyio.sleep_forever()

    async with observing([Recorder("r", told, -1), Hanging()], end_seconds=0.01) as observers:
        await answered(began(observers))
    assert told[-1] == ("r", "end success")
    assert "end of the middleware Hanging raised TimeoutError" in caplog.text


async def test_a_cancelled_call_is_told_to_its_end() -> None:
    """What middleware does at the end is not cancelled with the call, and attempts end before it."""
    told: list[Any] = []
    records: list[Any] = []

    class Slow(Recorder):
        async def end(self, record: CallEnded) -> None:
            await anyio.lowlevel.checkpoint()
            await super().end(record)

    async with observing([Slow("slow", told)], [records.append]) as observers:
        observation = began(observers)

        async def work() -> Any:
            await observation.before(REQUEST)
            await observation.attempt("a/b", provider="a", model="b")
            await anyio.sleep_forever()

        with anyio.move_on_after(0.01) as scope:
            await observation.around(work)
        assert scope.cancelled_caught
    assert told == [
        ("slow", "before"),
        ("slow", "attempt 1"),
        ("slow", "attempt 1 cancelled"),
        ("slow", "end cancelled"),
    ]
    assert [type(record).__name__ for record in records] == [
        "CallStarted",
        "AttemptStarted",
        "AttemptEnded",
        "CallEnded",
    ]
    assert (records[2].outcome, records[2].error, records[3].error) == ("cancelled", None, None)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_end_outlasts_asyncios_own_cancellation() -> None:
    """A task that is cancelled as a whole while middleware hears of the end tells the others all the same."""
    told: list[Any] = []
    at_the_end = anyio.Event()

    class Slow(Recorder):
        async def end(self, record: CallEnded) -> None:
            at_the_end.set()
            await anyio.sleep_forever()

    async with observing([Recorder("outer", told, -1), Slow("slow", told)]) as observers:
        task = asyncio.create_task(answered(began(observers)))
        await at_the_end.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert told[-1] == ("outer", "end success")


async def test_every_end_is_told_once() -> None:
    """Whatever ends a call first counts; what comes later finds it ended."""
    told: list[Any] = []
    async with observing([Recorder("r", told)]) as observers:
        observation = began(observers, streamed=True)
        await observation.before(REQUEST)
        attempt = await observation.attempt("a/b", provider="a", model="b")
        assert repr(attempt) == "<Attempt 1 a/b: open>"
        assert observation.latest is attempt
        await attempt.first_content()
        await attempt.first_content()
        assert repr(observation) == "<Observation call_1: open, 1 attempts>"
        async with anyio.create_task_group() as group:
            group.start_soon(observation.ended, "abandoned")
            group.start_soon(observation.ended, "abandoned")
        await observation.failed(Overloaded("x"))
        await attempt.ended()
        await attempt.first_content()
        await observation.ended("success")
    assert repr(observation) == "<Observation call_1: ended, 1 attempts>"
    assert repr(attempt) == "<Attempt 1 a/b: ended>"
    assert observation.latest is None
    assert [what for _, what in told] == [
        "before",
        "attempt 1",
        "first content",
        "attempt 1 abandoned",
        "end abandoned",
    ]


async def test_a_stream_that_is_closed_while_it_is_entered_is_abandoned() -> None:
    """What its caller gets then is no failure of anybody."""
    records: list[Any] = []
    async with observing(sinks=[records.append]) as observers:
        await began(observers).failed(StreamNotFinished("the stream was closed while it was being entered"))
    assert (records[-1].outcome, records[-1].error) == ("abandoned", None)


async def test_a_hub_that_is_left_ends_what_it_observes() -> None:
    """A stream that nobody closed is abandoned then."""
    told: list[Any] = []
    async with observing([Recorder("r", told)]) as observers:
        observation = began(observers, streamed=True)
        await observation.before(REQUEST)
        assert "1 calls" in repr(observers)
    await observation.ended("success")
    assert told == [("r", "before"), ("r", "end abandoned")]


async def test_the_records_of_a_call() -> None:
    """Sinks are given every record with its facts: a retry, a stream's first content, an answer."""
    clock, records = Clock(), []
    message = AssistantMessage((TextPart("secret answer"),))
    result: ChatResult[None] = ChatResult(
        message=message,
        finish_reason=FinishReason.STOP,
        output=None,
        usage=Usage(7, 5, raw={"text": "secret answer"}),
        attempts=(Attempt("a/b", "Overloaded", 1.0), Attempt("c/d#k", None, 2.0)),
    )
    async with observing(sinks=[records.append], clock=clock) as observers:
        observation = observers.begin("call_9", targets="route", model_type=ModelType.LLM, streamed=True)
        assert observation is not None
        first = await observation.attempt("a/b", provider="a", model="b")
        clock.now = 1.0
        failure = Overloaded("secret text")
        await first.ended(failure)
        await first.retry(failure, wait=0.5)
        clock.now = 2.0
        second = await observation.attempt("c/d#k", provider="c", model="d", probe=True)
        hedge = await observation.attempt("e/f", provider="e", model="f", hedge=True)
        clock.now = 3.0
        await second.first_content()
        await hedge.ended(outcome="cancelled")
        clock.now = 5.0
        await second.ended(usage=result.usage)
        await observation.ended("success", result=result)
    call, at, kind = "call_9", 1000.0, ModelType.LLM
    scope, retry = failure.scope, failure.retry
    assert records == [
        CallStarted(call, ("route",), kind, streamed=True, at=at),
        AttemptStarted(call, 1, "a/b", "a", "b", hedge=False, probe=False, at=at),
        AttemptEnded(call, 1, "a/b", "failure", "Overloaded", scope, retry, 1.0, None, None, None, at),
        RetryScheduled(call, 1, "a/b", "Overloaded", 0.5, at),
        AttemptStarted(call, 2, "c/d#k", "c", "d", hedge=False, probe=True, at=at),
        AttemptStarted(call, 3, "e/f", "e", "f", hedge=True, probe=False, at=at),
        FirstContent(call, 2, "c/d#k", 1.0, 3.0, at),
        AttemptEnded(call, 3, "e/f", "cancelled", None, None, None, 1.0, None, None, None, at),
        AttemptEnded(call, 2, "c/d#k", "success", None, None, None, 3.0, 1.0, 7, 5, at),
        CallEnded(
            *(call, ("route",), kind, True, "success", None, "c/d#k", 3, 5.0, 3.0),
            *(FinishReason.STOP, Usage(7, 5), None, at),
        ),
    ]
    assert (scope, retry) != (Scope.UNKNOWN, Retry.NO)
    assert "secret" not in repr(records)
    assert records[-1].usage.raw is None


async def test_a_password_in_a_name_is_in_no_record() -> None:
    """Names of models come from callers: one may be a URL."""
    records: list[Any] = []
    async with observing(sinks=[records.append]) as observers:
        name = "a/http://user:word@host/m"
        observation = observers.begin("x", targets=[name], model_type=ModelType.LLM, streamed=False)
        assert observation is not None
        await observation.attempt(name, provider="a", model=name)
        await observation.failed(ValueError("x"))
        observers.changed(Change("ejected", name, 5.0, "Overloaded"))
    assert "word" not in repr(records)
    assert records[0].targets == ("a/http://host/m",)


async def test_what_happens_to_deployments() -> None:
    """Ejected for some seconds, back after others; a credential for some, or for good."""
    clock, records, at = Clock(), [], 1000.0
    async with observing(sinks=[records.append], clock=clock) as observers:
        for now, what, until, error in [
            (1.0, "recovered", 0.0, ""),
            (10.0, "ejected", 15.0, "ServerError"),
            (16.0, "ejected", 26.0, ""),
            (30.0, "recovered", 0.0, ""),
            (31.0, "credential disabled", 91.0, "QuotaExhausted"),
            (32.0, "credential disabled", float("inf"), "AuthenticationFailed"),
        ]:
            clock.now = now
            observers.changed(Change(what, "a/b", until, error))  # type: ignore[arg-type]
        for number in range(5000):
            observers.changed(Change("ejected", f"a/{number}", 40.0, "ServerError"))
    assert records[:6] == [
        DeploymentRecovered("a/b", None, at),
        DeploymentEjected("a/b", "ServerError", 5.0, at),
        DeploymentEjected("a/b", None, 10.0, at),
        DeploymentRecovered("a/b", 20.0, at),
        CredentialDisabled("a/b", "QuotaExhausted", 60.0, at),
        CredentialDisabled("a/b", "AuthenticationFailed", None, at),
    ]


def test_every_field_of_every_record_is_documented() -> None:
    """With its meaning, in the docstring of its class."""
    for record in get_args(telemetry.Record):
        assert record.__dataclass_params__.frozen
        for field in fields(record):
            assert f"        {field.name}: " in record.__doc__, f"{record.__name__}.{field.name}"


class Emitting:
    """A sink with a method, which is a coroutine."""

    def __init__(self) -> None:
        self.records: list[Any] = []
        self._more = anyio.Event()

    async def emit(self, record: Any) -> None:
        """Take a record."""
        await anyio.lowlevel.checkpoint()
        self.records.append(record)
        self._more.set()

    async def has(self, number: int) -> None:
        """Wait until there are so many records."""
        while len(self.records) < number:
            self._more = anyio.Event()
            await self._more.wait()


async def test_sinks_of_every_shape() -> None:
    """Plain functions run in a thread, coroutines in the loop; each has all records, in order."""
    threads: set[int] = set()
    plain: list[Any] = []
    coroutine: list[Any] = []

    def in_thread(record: Any) -> None:
        threads.add(threading.get_ident())
        plain.append(record)

    async def in_loop(record: Any) -> None:
        coroutine.append(record)

    emitting = Emitting()
    async with observing(sinks=[in_thread, in_loop, emitting]) as observers:
        await answered(began(observers))
        await anyio.sleep(0.01)  # a second batch
        await answered(began(observers, "call_2"))
    assert len(plain) == 8
    assert plain == coroutine == emitting.records
    assert threading.get_ident() not in threads


async def test_records_are_gathered() -> None:
    """A sink in a thread is given many at once: a thread for each would cost more than the calls."""
    threads: list[str] = []
    background = Background()
    observers = Observers(
        sinks=[lambda _: threads.append(threading.current_thread().name)],
        background=background,
        queues=lambda sink: SinkQueue(sink, linger=60.0),
    )
    await anyio.lowlevel.checkpoint()
    for number in range(10):
        await answered(began(observers, f"call_{number}"))
        await anyio.lowlevel.checkpoint()
    assert threads == []
    await observers.aclose()  # which does not wait for the minute
    await background.aclose()
    assert threads == ["sink <lambda>"] * 40


async def test_a_queue_that_fills_is_not_gathered_for_longer() -> None:
    """Half of what may wait is given to the sink at once."""
    emitting = Emitting()
    background = Background()
    observers = Observers(
        sinks=[emitting],
        background=background,
        queues=lambda sink: SinkQueue(sink, capacity=8, linger=60.0),
    )
    await answered(began(observers))
    await emitting.has(4)
    await observers.aclose()
    await background.aclose()


def raising(error: BaseException) -> Callable[[Any], None]:
    """Make a sink that raises."""

    def sink(_: Any) -> None:
        raise error

    return sink


def returning_a_coroutine(record: Any) -> Awaitable[None]:
    """Be a sink that should have been written with async def."""
    return Emitting().emit(record)


async def raising_in_loop(_: Any) -> None:
    """Be a sink that raises in the loop."""
    raise SystemExit(1)


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        (raising(ValueError("x")), "ValueError"),
        (raising(SystemExit(1)), "SystemExit"),
        (raising_in_loop, "SystemExit"),
        (returning_a_coroutine, "write it with async def"),
    ],
)
async def test_a_sink_that_raises_is_logged_once(sink: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """And is given the next record all the same; the other sinks and the calls do not notice."""
    records: list[Any] = []
    async with observing(sinks=[sink, records.append]) as observers:
        await answered(began(observers))
    assert len(records) == 4
    assert observers.queues[0].failed == 4
    assert len(caplog.records) == 1
    assert said in caplog.text


async def test_a_slow_sink_drops_records(caplog: pytest.LogCaptureFixture) -> None:
    """A full queue drops what comes, counts it and says so once; nobody waits, and other sinks have everything."""
    go, quick = threading.Event(), Emitting()
    slow: list[Any] = []

    def sink(record: Any) -> None:
        go.wait(5)
        slow.append(record)

    async with observing(sinks=[sink, quick], capacity=8) as observers:
        for number in range(10):
            await answered(began(observers, f"call_{number}"))
            await quick.has(4 * (number + 1))
        assert repr(observers.queues[0]) == "<SinkQueue sink: 8 waiting, 32 dropped, 0 failed>"
        assert "32 records dropped" in repr(observers)
        go.set()
    assert (len(slow), len(quick.records)) == (8, 40)
    assert [record.getMessage() for record in caplog.records] == [
        "the sink sink is too slow: records are dropped; said once"
    ]


async def test_a_sink_that_hangs_does_not_hold_up_the_leaving(caplog: pytest.LogCaptureFixture) -> None:
    """Its records are counted as dropped."""

    async def hang(_: Any) -> None:
        await anyio.sleep_forever()

    async with observing(sinks=[hang], drain_seconds=0.01) as observers:
        await answered(began(observers))
    assert observers.queues[0].dropped == 4
    assert "the sink hang did not take its last 4 records" in caplog.text


@pytest.mark.parametrize(
    ("middleware", "sinks", "said"),
    [
        ([object()], [], "is a object: it must be an instance of a subclass of modelhub.Middleware"),
        ([Middleware], [], "is the class Middleware: it must be an instance"),
        ([], [object()], "is a object: a sink is a function"),
        ([], [Emitting], "is the class Emitting: a sink is a function"),
    ],
)
async def test_what_is_neither_is_refused(middleware: Any, sinks: Any, said: str) -> None:
    """A class where an instance is meant above all."""
    background = Background()
    with pytest.raises(ConfigurationError, match=said):
        Observers(middleware, sinks, background=background)
    await background.aclose()


async def test_a_middleware_that_overrides_nothing_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """All of its methods may be left out."""
    caplog.set_level(logging.DEBUG)
    async with observing([Middleware()]) as observers:
        observation = began(observers)
        assert await observation.before(REQUEST) is REQUEST
        await observation.ended("success")
    assert repr(observers.middleware[0]) == "<middleware Middleware>"
    assert caplog.records == []
