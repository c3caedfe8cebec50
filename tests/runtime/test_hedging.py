"""Calls that are sent twice: when, how often, and that of two tries one counts and the other leaves nothing."""

import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
from tests.ollama_node import OLLAMA
from trio.testing import MockClock

from modelhub import Middleware, ModelHub, ModelType, ProviderSchema, Usage
from modelhub.errors import ModelHubError, ServerError, StreamNotFinished
from modelhub.provider import ProviderContext, hookimpl
from modelhub.runtime.hedging import Race
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.messages import AssistantMessage
from modelhub.types.requests import ChatRequest, Request
from modelhub.types.results import ChatResult
from modelhub.types.telemetry import AttemptEnded, AttemptStarted, CallEnded, FirstContent, RetryScheduled

MODEL = "ollama_local/llama3"
pytestmark = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whether there is a hedge depends on no event loop
KNOWN = 20
"""Answers after which it is known how long they take."""


@pytest.fixture
def streamed(anyio_backend_name: str) -> bool:
    """Tell whether to ask for a stream: on one event loop; for whole answers on the other."""
    return anyio_backend_name == "trio"


class Hedged:
    """A hub with two nodes or more, and what was heard of its calls. The first is asked first."""

    def __init__(self, hub: ModelHub, nodes: list[FaultServer], records: list[Any]) -> None:
        self.hub = hub
        self.nodes = nodes
        self.records = records

    async def ask(self, *, streamed: bool, model: str = MODEL, **options: Any) -> Any:
        """Ask once, to the end."""
        if not streamed:
            return await self.hub.chat(model, "Hi", **options)
        async with self.hub.stream(model, "Hi", **options) as stream:
            async for _ in stream:
                pass
        return stream.result

    @property
    def calls(self) -> list[int]:
        """How many calls each node had."""
        return [node.calls for node in self.nodes]

    async def learn(self, *, streamed: bool) -> None:
        """Make so many calls that it is known how long they take, and forget them."""
        for number in range(len(self.nodes)):
            await self.ask(streamed=streamed, model=f"{MODEL}#n{number}")  # what they serve is known then, too
        for _ in range(KNOWN):
            await self.ask(streamed=streamed)
        await self.settled()
        self.records.clear()
        for node in self.nodes:
            node.calls = 0

    async def settled(self) -> None:
        """Wait until all records are here, all places given back, and nothing is open that nobody reads."""
        for _ in range(3):
            await anyio.sleep(0.02)
        assert "0 calls in flight" in repr(self.hub._calls.server.runtime.balancer)  # noqa: SLF001
        for node in self.nodes:
            await node.until(lambda node: node.answering == 0)

    def heard(self, *types: type) -> list[Any]:
        """Return the records of some types."""
        return [record for record in self.records if isinstance(record, types)]

    @property
    def ends(self) -> list[tuple[int, str, str | None]]:
        """How the attempts ended, by their numbers; each started once and ended once."""
        starts, ends = self.heard(AttemptStarted), self.heard(AttemptEnded)
        assert Counter((each.call, each.number) for each in starts) == Counter(
            (each.call, each.number) for each in ends
        )
        assert set(Counter((each.call, each.number) for each in ends).values()) <= {1}
        return sorted((each.number, each.outcome, each.error) for each in ends)


class Deaf(Middleware):
    """Takes its time to hear of an attempt, as one may that writes to a database."""

    async def attempt(self, record: Any) -> None:
        """Hear of an attempt."""
        await anyio.sleep(0.001)

    async def attempt_ended(self, record: Any) -> None:
        """Hear of its end."""
        await anyio.sleep(0.001)


@asynccontextmanager
async def hedged(count: int = 2, *, hedge: bool = True, **options: Any) -> AsyncGenerator[Hedged, None]:
    """Enter a hub whose calls may be sent twice."""
    records: list[Any] = []
    async with anyio.create_task_group() as group:
        nodes = []
        for _ in range(count):
            node = FaultServer(OLLAMA, pace=Pace(tokens=3))
            nodes.append(node)
            await group.start(served, node)
        rows = [{"id": f"n{number}", "values": {"base_url": node.url}} for number, node in enumerate(nodes)]
        routing = {"hedge": hedge, "pick": "priority", **options.pop("routing", {})}
        config = {"credentials": {"ollama_local": rows}, "routing": routing, **options.pop("tables", {})}
        async with ModelHub(config, sinks=[records.append], random=Random(1), **options) as hub:
            yield Hedged(hub, nodes, records)
        group.cancel_scope.cancel()


async def served(node: FaultServer, *, task_status: Any) -> None:
    """Serve with a node until cancelled."""
    async with node:
        task_status.started()
        await anyio.sleep_forever()


@on_asyncio
@pytest.mark.parametrize("streamed", [False, True])
async def test_off_by_default(*, streamed: bool) -> None:
    """However long a call waits, nobody else is asked."""
    async with hedged(hedge=False) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault = Fault.late(0.3)
        await it.ask(streamed=streamed)
        assert it.calls == [1, 0]


@on_asyncio
async def test_none_before_enough_is_known(*, streamed: bool) -> None:
    """Nineteen answers say too little."""
    async with hedged() as it:
        for _ in range(KNOWN - 1):
            await it.ask(streamed=streamed)
        it.nodes[0].fault = Fault.late(0.2)
        await it.ask(streamed=streamed)
        assert it.calls == [KNOWN, 0]


@pytest.mark.parametrize(
    ("streamed", "middleware"), [(False, ()), (True, ()), (True, (Deaf(),))], ids=["whole", "streamed", "heard"]
)
async def test_the_faster_answer_counts(middleware: Any, *, streamed: bool) -> None:
    """The other's connection is closed at once, its slot is free, and what is told of it is told once."""
    async with hedged(middleware=middleware) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault = Fault.hang()
        begun = time.monotonic()
        result = await it.ask(streamed=streamed)
        took = time.time()
        assert time.monotonic() - begun < 1.0
        await it.nodes[0].until(lambda node: len(node.disconnects) == 1, timeout=0.25 + took - time.time())
        assert it.calls == [1, 1]
        assert [(each.deployment, each.error) for each in result.attempts] == [(f"{MODEL}#n1", None)]
        await it.settled()
        assert [each.hedge for each in it.heard(AttemptStarted)] == [False, True]
        assert it.ends == [(1, "cancelled", None), (2, "success", None)]
        assert [each.number for each in it.heard(FirstContent)] == [2]
        (end,) = it.heard(CallEnded)
        assert (end.outcome, end.deployment, end.attempts) == ("success", f"{MODEL}#n1", 2)
        assert not it.heard(RetryScheduled)


async def test_the_first_may_be_faster_all_the_same(*, streamed: bool) -> None:
    """Then the hedge is closed, though it was sent last."""
    async with hedged() as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = Fault.late(0.3), Fault.hang()
        result = await it.ask(streamed=streamed)
        assert result.model == MODEL
        assert [each.deployment for each in result.attempts] == [f"{MODEL}#n0"]
        await it.nodes[1].until(lambda node: len(node.disconnects) == 1, timeout=0.25)
        await it.settled()
        assert it.ends == [(1, "success", None), (2, "cancelled", None)]


async def test_events_of_the_slower_one_reach_nobody() -> None:
    """Neither the caller nor the result: the text is the answer of one node alone."""
    async with hedged() as it:
        await it.learn(streamed=True)
        for seconds in (0.05, 0.1, 0.15):
            it.nodes[0].fault = Fault.late(seconds)
            it.nodes[1].fault = Fault.late(seconds)  # the two come close together
            async with it.hub.stream(MODEL, "Hi") as stream:
                texts = [event.text async for event in stream if type(event) is TextDelta]
            assert len(texts) == 3
            assert stream.result.text == "".join(texts)
        await it.settled()


@on_asyncio
async def test_never_after_the_first_content() -> None:
    """A stream that pauses is not sent again."""
    async with hedged() as it:
        await it.learn(streamed=True)
        it.nodes[0].pace = Pace(tokens=3, pause=0.15)
        await it.ask(streamed=True)
        assert it.calls == [1, 0]


async def test_both_fail(*, streamed: bool) -> None:
    """Both are told, once each; then the others have their turn, which costs one retry."""
    async with hedged(3) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = slowly(500), Fault.cut()
        result = await it.ask(streamed=streamed)
        assert it.calls == [1, 1, 1]
        assert [(each.deployment[-2:], each.error) for each in result.attempts] == [
            ("n1", "ConnectionLost"),
            ("n0", "ServerError"),
            ("n2", None),
        ]
        await it.settled()
        assert it.ends == [(1, "failure", "ServerError"), (2, "failure", "ConnectionLost"), (3, "success", None)]
        assert len(it.heard(RetryScheduled)) == 1


async def test_both_fail_and_nothing_is_left(*, streamed: bool) -> None:
    """The error is the last one's, and holds both."""
    async with hedged(routing={"retries": 0}) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = slowly(500), Fault.cut()
        with pytest.raises(ServerError) as caught:
            await it.ask(streamed=streamed)
        assert [each.error for each in caught.value.attempts] == ["ConnectionLost", "ServerError"]
        await it.settled()
        assert it.ends == [(1, "failure", "ServerError"), (2, "failure", "ConnectionLost")]
        assert not it.heard(RetryScheduled)


async def test_the_first_fails_while_the_hedge_runs(*, streamed: bool) -> None:
    """That is known at once, its slot is free, and the hedge goes on alone; nothing is paid for a retry."""
    async with hedged() as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = slowly(500), Fault.late(0.5)

        async def look() -> None:
            await it.nodes[1].until(lambda node: node.calls == 1)
            await it.nodes[0].until(lambda node: node.answering == 0)
            await anyio.sleep(0.05)
            assert "1 calls in flight" in repr(it.hub._calls.server.runtime.balancer)  # noqa: SLF001
            assert [each.number for each in it.heard(AttemptEnded)] == [1]

        async with anyio.create_task_group() as group:
            group.start_soon(look)
            result = await it.ask(streamed=streamed)
        assert [(each.deployment[-2:], each.error) for each in result.attempts] == [("n0", "ServerError"), ("n1", None)]
        await it.settled()
        assert it.ends == [(1, "failure", "ServerError"), (2, "success", None)]
        assert not it.heard(RetryScheduled)


async def test_the_hedge_fails_while_the_first_runs(*, streamed: bool) -> None:
    """The first goes on, and there is no second hedge."""
    async with hedged(3) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = Fault.late(0.3), Fault.status(500)
        result = await it.ask(streamed=streamed)
        assert it.calls == [1, 1, 0]
        assert [each.error for each in result.attempts] == ["ServerError", None]
        await it.settled()
        assert it.ends == [(1, "success", None), (2, "failure", "ServerError")]
        assert not it.heard(RetryScheduled)


async def test_a_request_that_is_wrong_is_wrong_everywhere(*, streamed: bool) -> None:
    """What the first one says of the request counts, whatever the hedge fails with afterwards."""
    async with hedged(3) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault, it.nodes[1].fault = slowly(400), slowly(500, seconds=1.0)
        with pytest.raises(ModelHubError) as caught:
            await it.ask(streamed=streamed)
        assert it.calls == [1, 1, 0]
        assert [each.error for each in caught.value.attempts] == ["BadRequest", "ServerError"]
        await it.settled()


async def test_a_caller_that_goes(*, streamed: bool) -> None:
    """Both are closed, both places are free, and both have ended cancelled."""
    async with hedged(middleware=[Deaf()]) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault = it.nodes[1].fault = Fault.hang()
        async with anyio.create_task_group() as group:
            group.start_soon(partial(it.ask, streamed=streamed))
            await it.nodes[1].until(lambda node: node.calls == 1)
            group.cancel_scope.cancel()
        for node in it.nodes:
            await node.until(lambda node: len(node.disconnects) == 1, timeout=0.25)
        await it.settled()
        assert it.ends == [(1, "cancelled", None), (2, "cancelled", None)]
        assert [each.outcome for each in it.heard(CallEnded)] == ["cancelled"]


async def test_a_stream_that_is_closed_meanwhile() -> None:
    """Both are closed, and nobody is asked again."""
    async with hedged(3) as it:
        await it.learn(streamed=True)
        it.nodes[0].fault = it.nodes[1].fault = Fault.hang()
        stream = it.hub.stream(MODEL, "Hi")

        async def enter() -> None:
            with pytest.raises(StreamNotFinished):
                await stream.__aenter__()

        async with anyio.create_task_group() as group:
            group.start_soon(enter)
            await it.nodes[1].until(lambda node: node.calls == 1)
            await stream.aclose()
        assert it.calls == [1, 1, 0]
        for node in it.nodes[:2]:
            await node.until(lambda node: len(node.disconnects) == 1, timeout=0.25)
        await it.settled()
        assert it.ends == [(1, "abandoned", None), (2, "abandoned", None)]


async def test_a_caller_that_goes_just_when_the_first_content_is_here() -> None:
    """While the middleware hears of it: the stream was not entered yet, and is closed all the same."""

    class Cancels(Middleware):
        async def first_content(self, record: Any) -> None:
            if scopes:
                scopes[0].cancel()
                await anyio.lowlevel.checkpoint()

    scopes: list[anyio.CancelScope] = []
    async with hedged(middleware=[Cancels()]) as it:
        await it.learn(streamed=True)
        it.nodes[0].pace = Pace(tokens=50, pause=0.1)
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            async with it.hub.stream(MODEL, "Hi"):
                raise AssertionError
        await it.nodes[0].until(lambda node: len(node.disconnects) == 1, timeout=0.25)
        await it.settled()


async def test_a_stream_that_begins_again_is_not_hedged() -> None:
    """What broke off after its first content goes on elsewhere, once."""
    async with hedged(3) as it:
        await it.learn(streamed=True)
        it.nodes[0].fault, it.nodes[1].fault = Fault.late(0.3), Fault.cut(events=1)
        await it.ask(streamed=True, on_interrupt="restart")
        assert it.calls == [2, 1, 0]
        await it.settled()
        assert [(number, outcome) for number, outcome, _ in it.ends] == [
            (1, "cancelled"),
            (2, "failure"),
            (3, "success"),
        ]


@on_asyncio
async def test_another_group_is_no_place_for_a_hedge() -> None:
    """Its models stand in for what is not well, and may be others."""
    async with hedged(2) as it:
        for _ in range(KNOWN + 1):
            await it.hub.chat([f"{MODEL}#n0", "ollama_local/other#n1"], "Hi")
        it.nodes[0].fault = Fault.late(0.2)
        result = await it.hub.chat([f"{MODEL}#n0", "ollama_local/other#n1"], "Hi")
        assert result.model == MODEL
        assert it.calls == [KNOWN + 2, 0]


@on_asyncio
async def test_a_twentieth_at_most(*, streamed: bool) -> None:
    """However slow everything is: one more call for each twenty, and one to begin with."""
    async with hedged() as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault = Fault.late(0.06)
        for _ in range(10):
            await it.ask(streamed=streamed)
        assert it.calls[0] == 10
        assert 1 <= it.calls[1] <= 1 + (KNOWN + 10) // 20


@on_asyncio
async def test_what_retries_may_cost_is_shared(*, streamed: bool) -> None:
    """Where nothing is left of it, there is no hedge."""
    async with hedged(routing={"retry_budget": 0.0, "retry_floor": 0}) as it:
        await it.learn(streamed=streamed)
        it.nodes[0].fault = Fault.late(0.2)
        await it.ask(streamed=streamed)
        assert it.calls == [1, 0]


async def test_the_first_answers_while_the_hedge_is_announced() -> None:
    """Nothing is sent for it any more, its place is free, and it has ended cancelled."""

    class Slow(Middleware):
        async def attempt(self, record: Any) -> None:
            if record.hedge:
                await anyio.sleep(30)

    async with hedged(middleware=[Slow()]) as it:
        await it.learn(streamed=False)
        it.nodes[0].fault = Fault.late(0.25)
        await it.ask(streamed=False)
        assert it.calls == [1, 0]
        await it.settled()
        assert it.ends == [(1, "success", None), (2, "cancelled", None)]


class Raced:
    """Two tries that do as a test says, and what became of them."""

    def __init__(self, *runs: Callable[[], Awaitable[str]]) -> None:
        self.runs = runs
        self.heard: list[str] = []
        self.race: Race[str] = Race(self.run, failed=self.failed, discard=self.discard, lost=self.lost)

    async def run(self, this: Any) -> str:
        """Do what the test says."""
        return await self.runs[this]()

    async def failed(self, this: Any, error: Exception) -> None:
        """Hear of a failure."""
        self.heard.append(f"{this} failed by {error}")

    async def discard(self, result: str) -> None:
        """Hear of an answer that nobody wants."""
        self.heard.append(f"{result} discarded")

    async def lost(self, this: Any, beaten: bool) -> None:  # noqa: FBT001  as it is told
        """Hear of one that was given up."""
        self.heard.append(f"{this} {'beaten' if beaten else 'left'}")

    async def won(self) -> Any:
        """Run both, the second a moment later."""
        first: Any = 0

        async def second() -> Any:
            return 1

        return await self.race.won(first, after=0.01, second=second)


async def test_two_answers_at_once() -> None:
    """One counts; the other is given up, with all that it holds."""
    both = anyio.Event()

    async def wait() -> str:
        await both.wait()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return "x"

    async def answer() -> str:
        both.set()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return "y"

    raced = Raced(wait, answer)
    won = await raced.won()
    assert won in {(0, "x"), (1, "y")}
    assert raced.heard == (["1 beaten", "y discarded"] if won[0] == 0 else ["0 beaten", "x discarded"])
    assert repr(raced.race) == "<Race: won>"


async def test_a_caller_that_goes_just_when_an_answer_is_here() -> None:
    """It is given up: nobody would have it."""

    async def answer() -> str:
        scope.cancel()
        return "x"

    raced = Raced(answer)
    with anyio.CancelScope() as scope:
        await raced.won()
    assert scope.cancelled_caught
    assert raced.heard == ["0 left", "x discarded"]


async def test_what_ends_a_program_comes_out_as_it_is() -> None:
    """Not in a group; and the other try is given up."""

    async def hang() -> str:
        return await anyio.sleep_forever()  # type: ignore[func-returns-value]

    async def leave() -> str:
        raise SystemExit(3)

    raced = Raced(hang, leave)
    assert repr(raced.race) == "<Race: running>"
    with pytest.raises(SystemExit):
        await raced.won()
    assert raced.heard == ["1 left", "0 left"]


async def test_one_that_fails_before_the_other_begins() -> None:
    """Is left alone: what comes next is not the race's affair."""

    async def fail() -> str:
        raise ValueError("x")

    raced = Raced(fail)
    assert await raced.won() is None
    assert raced.heard == ["0 failed by x"]
    assert repr(raced.race) == "<Race: ended>"


def slowly(code: int, seconds: float = 0.2) -> Fault:
    """Return a refusal that comes only when the hedge is under way."""
    refusal = Fault.status(code).change
    assert refusal is not None
    return Fault(f"status {code}, slowly", lambda healthy: replace(refusal(healthy), delay=seconds))


class Slowed:
    """A provider one in twenty of whose answers takes ten times as long, whichever node gives it."""

    id = "slowed"

    def __init__(self, random: Random) -> None:
        self.asked = 0
        self._random = random
        self._deck: list[float] = []

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Ask for a key."""
        return ProviderSchema(
            self.id,
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema((FormField("node"),)),
            prices_of="",
        )

    async def _pass_the_time(self) -> None:
        self.asked += 1
        if self.asked == 1:
            return
        if not self._deck:
            self._deck = [10.0] * 5 + [1.0] * 95
            self._random.shuffle(self._deck)
        await anyio.sleep(self._random.uniform(0.5, 1.5) * self._deck.pop())

    @hookimpl
    async def invoke(self, request: Request[Any], context: ProviderContext) -> ChatResult[None]:
        """Answer after a while."""
        await self._pass_the_time()
        return ChatResult(
            message=AssistantMessage("ok"), finish_reason=FinishReason.STOP, usage=Usage(1, 1), output=None
        )

    @hookimpl
    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Begin to answer after a while."""
        await self._pass_the_time()
        yield TextDelta(0, "ok")
        yield Finish(FinishReason.STOP, "stop", Usage(1, 1))


def slow_tail(calls: int, *, hedge: bool, streamed: bool, seed: int) -> tuple[float, int]:
    """Make calls in virtual time; return what 99 of 100 take at most, and how often the provider was asked."""
    provider = Slowed(Random(seed))
    rows = [{"id": name, "values": {"node": name}} for name in "abc"]
    config: Mapping[str, Any] = {"credentials": {"slowed": rows}, "routing": {"hedge": hedge}}
    took: list[float] = []
    clock = MockClock()

    async def main() -> None:
        now = trio.current_time
        async with ModelHub(config, providers=[provider], clock=now, random=Random(seed)) as hub:
            for _ in range(calls):
                begun = now()
                if streamed:
                    async with hub.stream("slowed/m", "Hi") as stream:
                        took.append(now() - begun)
                        async for _ in stream:
                            pass
                else:
                    await hub.chat("slowed/m", "Hi")
                    took.append(now() - begun)
                clock.autojump_threshold = 0.0  # from now on nothing is waited for that happens in a thread

    trio.run(main, clock=clock)
    return sorted(took)[int(0.99 * calls)], provider.asked


@pytest.mark.parametrize(("seed", "streams"), [(1, False), (2, True)], ids=["whole", "streamed"])
def test_a_slow_tail(seed: int, *, streams: bool) -> None:
    """What 99 of 100 calls take at most is less than half, for a twentieth more calls."""
    calls = 1200
    without, once = slow_tail(calls, hedge=False, streamed=streams, seed=seed)
    hedged, asked = slow_tail(calls, hedge=True, streamed=streams, seed=seed)
    assert once == calls
    assert hedged < 0.5 * without
    assert asked <= 1.05 * calls + 1
