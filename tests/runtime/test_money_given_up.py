"""What answers cost that nobody waited for to the end: vendors bill them, so the budget of a key counts them."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import anyio
import pytest

from modelhub import Finish, FinishReason, ModelHub, StreamInterrupted, TextDelta, Usage, UsageUpdate
from modelhub.errors import BudgetExceeded, ModelHubError, ServerError, Timeout
from modelhub.hookspecs import hookimpl
from modelhub.provider import ProviderContext
from modelhub.types.events import ChatEvent
from modelhub.types.messages import AssistantMessage
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelType, ProviderSchema

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
        async for event in self.stream(request, context):
            if isinstance(event, Finish):
                return ChatResult(
                    message=AssistantMessage("Hi"), finish_reason=FinishReason.STOP, output=None, usage=event.usage
                )
        raise AssertionError

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
        "routing": {"retries": 0},
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
    """Have an answer continued."""
    del provider
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
    pytest.param(be_restarted, [[WORD], [WORD, END]], 44, id="cut and restarted"),
    # What came is a part of the second prompt: three words by their length, or what the vendor counts.
    pytest.param(be_continued, [[WORD], [WORD, END]], 44, id="cut and continued"),
    pytest.param(be_continued, [[WORD], [WORD]], 4 + 4 + 2, id="cut and cut again"),
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
