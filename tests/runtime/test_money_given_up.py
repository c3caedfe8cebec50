"""What answers cost that nobody waited for to the end: vendors bill them, so the budget of a key counts them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import anyio
import pytest

from modelhub import Finish, FinishReason, ModelHub, StreamInterrupted, TextDelta, Usage, UsageUpdate
from modelhub.errors import (
    BudgetExceeded,
    ConnectFailed,
    LocalRateLimited,
    MalformedResponse,
    ModelHubError,
    RateLimited,
    ServerError,
    Timeout,
)
from modelhub.hookspecs import hookimpl
from modelhub.provider import ProviderContext
from modelhub.provider.models import whole
from modelhub.rules.fold import ChatFold
from modelhub.types.events import ChatEvent
from modelhub.types.requests import ChatRequest, Request, RerankRequest
from modelhub.types.results import ChatResult, EmbedResult, RankedDocument, RerankResult, Result
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

pytestmark = pytest.mark.anyio

MODEL = "metered/m"
PROMPT = "1234567 "  # two tokens by its length
WORD = TextDelta(0, "abcdefgh")  # likewise
BROKEN = None
"""An event that is waited for and does not come before the test is over."""


class Metered:
    """Streams the events it is given, an attempt after the other; the last attempt's again and again."""

    id = "metered"

    def __init__(self, *answers: Sequence[ChatEvent | ModelHubError | None]) -> None:
        self.answers = list(answers)
        self.asked = anyio.Event()

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve any model."""
        return ProviderSchema(
            self.id,
            label={"en_US": "Metered"},
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
        )

    @hookimpl
    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer all at once, by the same events."""
        fold = ChatFold()
        async for event in self.stream(request, context):
            fold.add(event)
        return whole(fold)

    @hookimpl
    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Yield the events."""
        del request, context
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.asked.set()
        for event in answer:
            if event is None:
                await anyio.sleep_forever()
            elif isinstance(event, ModelHubError):
                raise event
            else:
                yield event


def hub_with(amount: int, *answers: Sequence[ChatEvent | ModelHubError | None]) -> tuple[Metered, ModelHub]:
    """Make a hub whose key may spend so many tokens: each costs 1."""
    provider = Metered(*answers)
    config = {
        "credentials": {"metered": [{"id": "a", "values": {}, "budget": {"amount": amount, "per": "month"}}]},
        "models": {MODEL: {"pricing": {"input": "1", "output": "1", "unit": "1", "currency": "USD"}}},
        "routing": {"retries": max(0, len(answers) - 2)},
    }
    return provider, ModelHub(config, providers=[provider])


async def leave(hub: ModelHub, provider: Metered) -> None:
    """Read the first event and go."""
    del provider
    async with hub.stream(MODEL, PROMPT) as stream:
        async for _ in stream:
            break


async def be_cut(hub: ModelHub, provider: Metered) -> None:
    """Read until it breaks off."""
    del provider
    with pytest.raises(StreamInterrupted):
        await read(hub)


async def read(hub: ModelHub, **options: Any) -> None:
    """Read an answer to its end."""
    async with hub.stream(MODEL, PROMPT, **options) as stream:
        async for _ in stream:
            pass


async def close_twice(hub: ModelHub, provider: Metered) -> None:
    """Leave it, and close it besides."""
    del provider
    async with hub.stream(MODEL, PROMPT) as stream:
        await stream.aclose()
        await stream.aclose()


async def cancel_reading(hub: ModelHub, provider: Metered) -> None:
    """Be cancelled while it is read."""
    del provider
    with anyio.move_on_after(0.05):
        await read(hub)


async def cancel_entering(hub: ModelHub, provider: Metered) -> None:
    """Be cancelled before the first content."""
    async with anyio.create_task_group() as group:
        group.start_soon(leave, hub, provider)
        await provider.asked.wait()
        group.cancel_scope.cancel()


async def cancel_whole(hub: ModelHub, provider: Metered) -> None:
    """Be cancelled while a whole answer is waited for."""
    async with anyio.create_task_group() as group:
        group.start_soon(hub.chat, MODEL, PROMPT)
        await provider.asked.wait()
        group.cancel_scope.cancel()


async def run_out_of_time(hub: ModelHub, provider: Metered) -> None:
    """Have no time for a whole answer."""
    del provider
    with pytest.raises(Timeout):
        await hub.chat(MODEL, PROMPT, timeout=0.05)


async def be_cut_whole(hub: ModelHub, provider: Metered) -> None:
    """Wait for a whole answer that breaks off."""
    del provider
    with pytest.raises(ModelHubError):
        await hub.chat(MODEL, PROMPT)


async def fail(hub: ModelHub, provider: Metered) -> None:
    """Be refused."""
    del provider
    with pytest.raises(ServerError):
        await hub.chat(MODEL, PROMPT)


async def be_restarted(hub: ModelHub, provider: Metered) -> None:
    """Have an answer begin again."""
    del provider
    await read(hub, on_interrupt="restart")


async def be_continued(hub: ModelHub, provider: Metered) -> None:
    """Have an answer continued, and wait no longer than a moment for more."""
    del provider
    with anyio.move_on_after(1.0):
        await read(hub, on_interrupt="continue")


END = Finish(FinishReason.STOP, usage=Usage(30, 10))
LOST = ServerError("gone", sent=True)
ENDINGS = [
    pytest.param(leave, [[WORD, BROKEN]], 4, id="left"),
    pytest.param(close_twice, [[WORD, BROKEN]], 4, id="closed twice"),
    pytest.param(be_cut, [[WORD]], 4, id="cut"),
    pytest.param(be_cut, [[WORD, WORD, LOST]], 6, id="broke off"),
    pytest.param(cancel_reading, [[WORD, BROKEN]], 4, id="cancelled while it was read"),
    pytest.param(cancel_entering, [[BROKEN]], 2, id="cancelled before the first content"),
    pytest.param(cancel_whole, [[BROKEN]], 2, id="whole answer cancelled"),
    pytest.param(run_out_of_time, [[BROKEN]], 2, id="whole answer out of time"),
    pytest.param(leave, [[UsageUpdate(Usage(100, 20)), WORD, BROKEN]], 120, id="left, counted by the vendor"),
    pytest.param(leave, [[UsageUpdate(Usage(100)), WORD, BROKEN]], 102, id="left, prompt counted by the vendor"),
    # Some vendors count before they begin, and again at the end: what came by then is more.
    pytest.param(leave, [[UsageUpdate(Usage(100, 1)), WORD, BROKEN]], 102, id="left, counted before it came"),
    pytest.param(be_cut_whole, [[UsageUpdate(Usage(100, 70)), WORD]], 170, id="whole answer cut, counted"),
    pytest.param(be_restarted, [[WORD], [WORD, END]], 44, id="cut and restarted"),
    # What came is a part of the second prompt: three words by their length, or what the vendor counts.
    pytest.param(be_continued, [[WORD], [WORD, END]], 44, id="cut and continued"),
    pytest.param(be_continued, [[WORD], [WORD]], 4 + 4 + 2, id="cut and cut again"),
    # The second attempt is refused, and costs nothing; the third one tells no usage of its own.
    pytest.param(
        be_continued,
        [[WORD], [UsageUpdate(Usage(1000, 500)), LOST], [WORD, BROKEN]],
        4 + 4 + 2,
        id="cut, and continued at the second attempt",
    ),
]


@pytest.mark.parametrize(("give_up", "answers", "tokens"), ENDINGS)
async def test_what_is_given_up_counts(give_up: Callable[..., Any], answers: list[Any], tokens: int) -> None:
    """It costs its prompt and what came, by their length where the vendor has not counted: no more and no less."""
    for amount, left in ((tokens, False), (tokens + 1, True)):
        provider, hub = hub_with(amount, *answers)
        async with hub:
            try:
                await give_up(hub, provider)
            except StreamInterrupted:
                assert give_up is be_continued
            await state_is(hub, "ready" if left else "budget")


async def state_is(hub: ModelHub, state: str) -> None:
    """Check what may be called now."""
    assert {info.state for info in await hub.deployments()} == {state}


async def test_what_was_refused_costs_nothing() -> None:
    """A server that fails by itself does not bill what it has not made."""
    provider, hub = hub_with(1, [LOST])
    async with hub:
        await fail(hub, provider)
        await state_is(hub, "ready")


async def test_a_spent_budget_refuses_streams_and_answers() -> None:
    """Both alike, before anything is sent."""
    provider, hub = hub_with(4, [WORD, BROKEN])
    async with hub:
        await leave(hub, provider)
        with pytest.raises(BudgetExceeded):
            await hub.chat(MODEL, PROMPT)
        with pytest.raises(BudgetExceeded):
            async with hub.stream(MODEL, PROMPT):
                pass


async def test_a_whole_stream_is_counted_once() -> None:
    """By the vendor's count alone, and it is not counted again when it is closed."""
    for amount, state in ((40, "budget"), (41, "ready")):
        _, hub = hub_with(amount, [WORD, END])
        async with hub:
            await read(hub)
            await state_is(hub, state)


async def test_what_came_says_what_the_vendor_has_counted() -> None:
    """The usage of a broken stream is the last that it told; without any it is unknown, not estimated."""
    for first, usage in ((UsageUpdate(Usage(100)), Usage(100)), (WORD, None)):
        _, hub = hub_with(1000, [first, WORD])
        async with hub:
            with pytest.raises(StreamInterrupted) as caught:
                await read(hub)
            assert caught.value.partial is not None
            assert (caught.value.partial.usage, caught.value.partial.model) == (usage, MODEL)


class Batches:
    """Embeds and ranks; each text and each request uses one token."""

    id = "metered"

    def __init__(self, fails_at: int | None = None, error: ModelHubError | None = None) -> None:
        self.fails_at = fails_at
        self.error = error
        self.calls = 0

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve any model, ten texts at once."""
        return ProviderSchema(
            self.id,
            label={"en_US": "Metered"},
            supported_model_types=(ModelType.TEXT_EMBEDDING, ModelType.RERANK),
            configurate_methods=("customizable-model",),
        )

    @hookimpl
    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema:
        """Tell how many texts it takes at once."""
        del context
        return ModelSchema(model, model_type=model_type, model_properties={"max_chunks": 10})

    @hookimpl
    async def invoke(self, request: Request[Any], context: ProviderContext) -> Result:
        """Answer a batch, or fail; the last one waits for the others."""
        del context
        self.calls += 1
        if isinstance(request, RerankRequest):
            return RerankResult(documents=(RankedDocument(99, 1.0),), usage=Usage(50, 0))
        if self.error is not None and request.texts[0] == f"text {self.fails_at}":
            await anyio.sleep(0.1)
            raise self.error
        return EmbedResult(vectors=[[1.0]] * len(request.texts), usage=Usage(len(request.texts), 0))


def batches_hub(amount: int, provider: Batches, **limits: Any) -> ModelHub:
    """Make a hub whose key may spend so many tokens: each costs 1."""
    row = {"id": "a", "values": {}, "budget": {"amount": amount, "per": "month"}, **limits}
    pricing = {"input": "1", "output": "1", "unit": "1", "currency": "USD"}
    models = {MODEL: {"pricing": pricing, "model_type": "text-embedding"}}
    config = {"credentials": {"metered": [row]}, "models": models, "routing": {"retries": 0}}
    return ModelHub(config, providers=[provider])


@pytest.mark.parametrize("error", [RateLimited("slow down", status=429, sent=True), ConnectFailed("gone", sent=False)])
async def test_the_batches_that_were_answered_count_where_one_fails(error: ModelHubError) -> None:
    """They were billed, whatever becomes of the others."""
    for amount, left in ((20, False), (21, True)):
        async with batches_hub(amount, Batches(20, error)) as hub:
            with pytest.raises(type(error)):
                await hub.embed(MODEL, [f"text {number}" for number in range(30)])
            (info,) = await hub.deployments()
            assert (info.state == "budget") is not left


async def test_what_cannot_be_an_answer_was_paid_for() -> None:
    """A ranking of documents that nobody gave is none, and was made all the same."""
    config = {
        "credentials": {"metered": [{"id": "a", "values": {}, "tpm": 60}]},
        "routing": {"retries": 0},
    }
    async with ModelHub(config, providers=[Batches()]) as hub:
        with pytest.raises(MalformedResponse):
            await hub.rerank(MODEL, query="q", documents=["one"])
        with pytest.raises(LocalRateLimited):
            await hub.rerank(MODEL, query="q" * 80, documents=["one"], timeout=0.5)


@pytest.mark.parametrize("odd", [TextDelta(0, None), UsageUpdate({"output_tokens": 3})])  # type: ignore[arg-type]
async def test_events_that_are_none_keep_nothing_back(odd: ChatEvent) -> None:
    """Whoever leaves such a stream leaves it, and its place is free again."""
    provider, hub = hub_with(1000, [WORD, odd, BROKEN])
    async with hub:
        async with hub.stream(MODEL, PROMPT) as stream:
            await stream.__anext__()
            await stream.__anext__()
        (info,) = await hub.deployments()
        assert info.in_flight == 0
        with anyio.move_on_after(0.05) as scope:
            await hub.chat(MODEL, PROMPT)
        assert scope.cancelled_caught
        assert (await hub.deployments())[0].in_flight == 0
    del provider
