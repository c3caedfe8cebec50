"""What outlives a call and what must not: sessions, streams that are closed early, hubs that are left early."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modelhub import ModelHub, ModelType, Progress, ProviderSchema, StreamInterrupted
from modelhub.errors import ConfigurationError, StreamNotFinished, Timeout
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelSchema

pytestmark = pytest.mark.anyio

Body = Callable[[ChatRequest[None], ProviderContext], AsyncGenerator[ChatEvent, None]]


def provider_of(body: Body, *, id: str = "custom", **hooks: Any) -> ModelProvider:
    """Make a provider whose model answers with a generator, and whose other hooks are given."""

    class Model(LargeLanguageModel):
        def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
            return body(request, context)

    def provider_schema(_: object) -> ProviderSchema:
        return ProviderSchema(id, supported_model_types=(ModelType.LLM,), configurate_methods=("customizable-model",))

    members = {"llm": Model, "provider_schema": provider_schema, **hooks}
    instance: ModelProvider = type("Custom", (ModelProvider,), members)()
    return instance


async def two_words(request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
    """Answer in two pieces with a pause between them."""
    del request, context
    yield TextDelta(0, "one ")
    await anyio.sleep(0.05)
    yield TextDelta(0, "two")
    yield Finish(FinishReason.STOP)


async def test_a_progress_callback_that_raises_is_not_the_calls_affair(caplog: pytest.LogCaptureFixture) -> None:
    """From the loop and from a thread: the answer comes, and the log says whose fault it was."""

    async def body(request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        context.progress(Progress("from the loop"))
        await context.blocking(lambda: context.progress(Progress("from a thread")))
        yield TextDelta(0, request.name)
        yield Finish(FinishReason.STOP)

    def sink(progress: Progress) -> None:
        raise ValueError(progress.message)

    async with ModelHub(providers=[provider_of(body)], progress=sink) as hub:
        assert (await hub.chat("custom/m", "Hi")).text == "m"
    assert caplog.text.count("the progress callback raised ValueError") == 2


async def test_a_stream_closed_while_it_is_entered_does_not_open() -> None:
    """Nothing is asked after `aclose`: neither here nor, by failover, elsewhere; and the generator is closed."""
    asked: list[str] = []
    closed: list[str] = []

    async def slow(request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        asked.append(context.provider)
        assert request.stream
        try:
            await anyio.sleep(0.2)
            yield TextDelta(0, "late")
        finally:
            closed.append(context.provider)

    providers = [provider_of(slow, id="first"), provider_of(slow, id="second")]
    async with ModelHub(providers=providers) as hub:
        stream = hub.stream(["first/m", "second/m"], "Hi")
        async with anyio.create_task_group() as group:

            async def enter() -> None:
                with pytest.raises(StreamNotFinished, match="while it was being entered"):
                    await stream.__aenter__()

            group.start_soon(enter)
            await anyio.sleep(0.05)
            await stream.aclose()
    assert asked == ["first"]
    assert closed == ["first"]


async def test_leaving_the_hub_under_a_stream_leaves_the_stream_what_it_had() -> None:
    """The reader of a stream hears of the stream, not of the hub."""
    async with ModelHub(providers=[provider_of(two_words)]) as hub:
        stream = hub.stream("custom/m", "Hi")
        await stream.__aenter__()
    try:
        texts = [text async for text in stream.text()]
    except StreamInterrupted as error:
        texts = [error.text]
    assert "".join(texts).startswith("one ")
    await stream.aclose()


async def test_two_readers_of_one_stream() -> None:
    """The second is told; the first reads on."""
    async with ModelHub(providers=[provider_of(two_words)]) as hub, hub.stream("custom/m", "Hi") as stream:
        await anext(stream)
        texts: list[str] = []

        async def first() -> None:
            texts.extend([text async for text in stream.text()])

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await anyio.sleep(0.01)
            with pytest.raises(ConfigurationError, match="being read already"):
                await anext(stream)
    assert texts == ["two"]


async def test_the_callers_deadline_holds_for_describing_and_counting() -> None:
    """It is not only the answer that may take too long."""

    async def describe_model(_: object, model: str) -> ModelSchema:
        if model == "slow":
            await anyio.sleep(5)
        return ModelSchema(model)

    async def count_tokens(_: object) -> None:
        await anyio.sleep(5)

    provider = provider_of(two_words, describe_model=describe_model, count_tokens=count_tokens)
    async with ModelHub(providers=[provider]) as hub:
        with anyio.fail_after(2):
            with pytest.raises(Timeout) as caught:
                await hub.chat("custom/slow", "Hi", timeout=0.1)
            assert caught.value.phase == "total"
            with pytest.raises(Timeout):
                await hub.count_tokens("custom/quick", "Hi", timeout=0.1)


async def test_one_callers_deadline_is_not_anothers() -> None:
    """A caller with time left describes the model itself where the one it waited for ran out of time."""

    async def describe_model(_: object, model: str) -> ModelSchema:
        await anyio.sleep(0.2)
        return ModelSchema(model)

    async with ModelHub(providers=[provider_of(two_words, describe_model=describe_model)]) as hub:

        async def impatient() -> None:
            with pytest.raises(Timeout):
                await hub.chat("custom/m", "Hi", timeout=0.05)

        async with anyio.create_task_group() as group:
            group.start_soon(impatient)
            await anyio.sleep(0.01)
            assert (await hub.chat("custom/m", "Hi")).text == "one two"


async def test_what_a_session_does_at_its_end_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """One raises at its end, the other is left all the same, and so is the hub."""
    left: list[str] = []

    def provider(id: str, *, sound: bool) -> ModelProvider:
        @asynccontextmanager
        async def open(_: object, context: ProviderContext) -> AsyncGenerator[str, None]:
            assert context.deadline is None  # a session outlives the call that opened it
            yield id
            left.append(id)
            if not sound:
                raise ValueError("clean-up")

        return provider_of(two_words, id=id, open=open)

    async with ModelHub(providers=[provider("a", sound=True), provider("b", sound=False)]) as hub:
        for id in ("a", "b"):
            await hub.chat(f"{id}/m", "Hi", timeout=5)
    assert sorted(left) == ["a", "b"]
    assert "closing a session raised ValueError" in caplog.text


async def test_entering_twice_at_once_is_refused() -> None:
    """The second of two tasks that enter one hub is told, and nothing is left behind."""
    hub = ModelHub({}, providers=[provider_of(two_words)])
    refused: list[str] = []

    async def enter() -> None:
        try:
            await hub.__aenter__()
        except ConfigurationError as error:
            refused.append(error.message)

    async with anyio.create_task_group() as group:
        group.start_soon(enter)
        group.start_soon(enter)
    assert refused == ["the hub is entered already"]
    await hub.__aexit__(None, None, None)


def breaking_once(*, first: float, then: float) -> Body:
    """Make a model whose first stream breaks off; each waits for some seconds before its first content."""
    waits = [first]

    async def body(request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        del request, context
        await anyio.sleep(waits.pop() if (breaks := bool(waits)) else then)
        yield TextDelta(0, "one")
        if not breaks:
            yield Finish(FinishReason.STOP)

    return body


async def test_a_stream_that_is_cancelled_while_it_begins_again_is_closed() -> None:
    """As one that is cancelled while it is read: nothing is asked again by the next read, and its slot is free."""
    async with (
        ModelHub(providers=[provider_of(breaking_once(first=0.0, then=60.0))]) as hub,
        hub.stream("custom/m", "Hi", on_interrupt="restart") as stream,
    ):
        await stream.__anext__()
        with anyio.move_on_after(0.05) as scope:
            await stream.__anext__()
        assert scope.cancelled_caught
        with pytest.raises(StreamNotFinished):
            await stream.__anext__()
        assert [each.in_flight for each in await hub.deployments()] == [0]


async def test_a_stream_that_began_again_is_timed_from_there() -> None:
    """What came before is void; each attempt has its own time."""
    async with (
        ModelHub(providers=[provider_of(breaking_once(first=0.2, then=0.0))]) as hub,
        hub.stream("custom/m", "Hi", on_interrupt="restart") as stream,
    ):
        async for _ in stream:
            pass
    timing, (broken, whole) = stream.result.timing, stream.result.attempts
    assert timing is not None
    assert timing.first_content is not None
    assert timing.total is not None
    assert timing.first_content <= timing.total < 0.2 <= broken.seconds
    assert whole.seconds < 0.2
