"""What results cost: by the plugin's prices, by the application's, or by a list; and unknown where nobody says."""

import datetime as dt
import logging
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import anyio
import pytest

from modelhub import (
    AssistantMessage,
    AudioDelta,
    ChatRequest,
    ChatResult,
    EmbedRequest,
    EmbedResult,
    Event,
    Finish,
    FinishReason,
    MediaPart,
    ModelHub,
    ModelSchema,
    ModelType,
    ModerationResult,
    ProviderSchema,
    RankedDocument,
    Request,
    RerankResult,
    Result,
    SpeechResult,
    TextDelta,
    TextPart,
    TranscriptionResult,
    Usage,
    UserMessage,
    sum_costs,
)
from modelhub.errors import ConfigurationError, Timeout
from modelhub.provider import ProviderContext, hookimpl
from modelhub.runtime.prices import PriceBook
from modelhub.types.pricing import PricePeriod, Pricing

pytestmark = pytest.mark.anyio
D = Decimal


class Vendor:
    """Serves any model of any type, with these prices and this usage.

    Args:
        id: The provider's id.
        pricing: The prices of its models.
        usage: What each answer used, or what says so of a request.
        prices_of: What lists call it.
        duration: Seconds of every recording.
    """

    def __init__(
        self,
        id: str,
        pricing: Any = None,
        usage: Usage | Callable[[Any], Usage | None] | None = None,
        *,
        prices_of: str | None = None,
        duration: float | None = None,
    ) -> None:
        self.id, self.pricing, self.usage, self.prices_of, self.duration = id, pricing, usage, prices_of, duration

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve all types."""
        return ProviderSchema(
            self.id,
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            prices_of=self.prices_of,
        )

    @hookimpl
    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema:
        """Say the prices."""
        return ModelSchema(model, model_type, pricing=self.pricing, model_properties={"max_chunks": 2})

    @hookimpl
    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """List two models, of which lists know one."""
        return [ModelSchema("gpt-4o", pricing=self.pricing), ModelSchema("of-its-own", pricing=self.pricing)]

    def _used(self, request: Request[Any]) -> Usage | None:
        return self.usage(request) if callable(self.usage) else self.usage

    @hookimpl
    async def invoke(self, request: Request[Any], context: ProviderContext) -> Result:
        """Answer."""
        usage = self._used(request)
        message = AssistantMessage("ok")
        answers: dict[str, Callable[[], Result]] = {
            "ChatRequest": lambda: ChatResult(
                message=message, finish_reason=FinishReason.STOP, output=None, usage=usage
            ),
            "EmbedRequest": lambda: EmbedResult(vectors=[[1.0] for _ in request.texts], usage=usage),
            "RerankRequest": lambda: RerankResult(documents=(RankedDocument(0, 1.0),), usage=usage),
            "TranscriptionRequest": lambda: TranscriptionResult(text="ok", duration=self.duration, usage=usage),
            "SpeechRequest": lambda: SpeechResult(audio=b"x", mime="audio/wav", usage=usage),
            "ModerationRequest": lambda: ModerationResult(flagged=False, usage=usage),
        }
        return answers[type(request).__name__]()

    @hookimpl
    async def stream(self, request: Request[Any], context: ProviderContext) -> AsyncGenerator[Event, None]:
        """Answer in events."""
        yield TextDelta(0, "ok") if isinstance(request, ChatRequest) else AudioDelta(b"x")
        yield Finish(FinishReason.STOP, "stop", self._used(request))


def vendor(id: str, pricing: Any = None, usage: Any = None, **more: Any) -> Any:
    """Make a provider whose object is its own plugin."""
    return Vendor(id, pricing, usage, **more)


PLAIN = Pricing(D(1), D(2), unit=D(1))


async def test_a_plugins_prices_go_before_listed_ones() -> None:
    """A reseller may sell a listed model at its own price."""
    async with ModelHub(providers=[vendor("openai", PLAIN, Usage(3, 2))]) as hub:
        cost = (await hub.chat("openai/gpt-4o", "Hi")).cost
    assert cost is not None
    assert (cost.total, cost.source) == (7, "manifest")


async def test_a_model_that_its_plugin_has_no_prices_for_costs_what_the_list_says() -> None:
    """Whole answers and streams, by the id and the model's name alone; and what is shown is what is charged."""
    async with ModelHub(providers=[vendor("openai", None, Usage(1_000_000, 100_000, 0))]) as hub:
        cost = (await hub.chat("openai/gpt-4o", "Hi")).cost
        async with hub.stream("openai/gpt-4o", "Hi") as stream:
            [event async for event in stream]
        shown = (await hub.info("openai/gpt-4o")).pricing
        listed = {schema.model: schema.pricing for schema in await hub.models("openai")}
    assert cost is not None
    assert shown is not None
    assert shown.output is not None
    assert cost.items == {"input": shown.input, "output": shown.output / 10}
    assert cost.source.startswith("genai-prices ")
    assert stream.result.cost == cost
    assert listed == {"gpt-4o": shown, "of-its-own": None}


@pytest.mark.parametrize("id", ["acme", "openai_compatible"])
async def test_a_model_that_nobody_has_prices_for_has_no_cost(id: str) -> None:
    """It is not 0, and in no currency; a server that is only compatible with a vendor is not that vendor."""
    async with ModelHub(providers=[vendor(id, None, Usage(3, 2))]) as hub:
        assert (await hub.chat(f"{id}/gpt-4o", "Hi")).cost is None


async def test_a_provider_says_by_which_name_lists_know_it() -> None:
    """And by an empty one that none does, in which case no list is asked."""
    named = vendor("mine", None, Usage(1, 1), prices_of="openai")
    local = vendor("openai", None, Usage(1, 1), prices_of="")
    async with ModelHub(providers=[named, local]) as hub:
        assert (await hub.chat("mine/gpt-4o", "Hi")).cost is not None
        assert (await hub.chat("openai/gpt-4o", "Hi")).cost is None
        assert (await hub.info("openai/gpt-4o")).pricing is None


async def test_listed_prices_can_be_turned_off() -> None:
    """Plugins' own then are the only ones."""
    provider = vendor("openai", None, Usage(3, 2))
    async with ModelHub({"prices": {"source": "manifest"}}, providers=[provider]) as hub:
        assert (await hub.chat("openai/gpt-4o", "Hi")).cost is None
        assert (await hub.info("openai/gpt-4o")).pricing is None


async def test_the_applications_prices_go_before_the_plugins() -> None:
    """Key by key, and the cost says whose they are."""
    models = {"acme/m": {"pricing": {"input": "5"}}}
    async with ModelHub({"models": models}, providers=[vendor("acme", PLAIN, Usage(3, 2))]) as hub:
        cost = (await hub.chat("acme/m", "Hi")).cost
    assert cost is not None
    assert (cost.total, cost.source) == (19, "overlay")


@pytest.mark.parametrize(
    "wrong",
    [
        Pricing(D(1), D(2), unit=D("0.000")),
        Pricing(D("NaN")),
        Pricing(0.15),  # type: ignore[arg-type]  # that is what is shown
        Pricing(D(1), periods=(PricePeriod(D(1), effective_from="2026", until=dt.date(2026, 1, 1)),)),  # type: ignore[arg-type]  # likewise
        {"input": 1},
    ],
)
async def test_prices_that_cannot_be_leave_the_cost_unknown(wrong: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The answer comes all the same; the log says what is wrong, once; no list is asked instead."""
    async with ModelHub(providers=[vendor("openai", wrong, Usage(3, 2))]) as hub:
        with caplog.at_level(logging.WARNING, "modelhub.prices"):
            replies = [await hub.chat("openai/gpt-4o", "Hi") for _ in range(3)]
    assert [(reply.text, reply.cost) for reply in replies] == [("ok", None)] * 3
    assert len([record for record in caplog.records if record.name == "modelhub.prices"]) == 1


async def test_what_a_usage_holds_costs_no_answer() -> None:
    """A plugin that passes on nonsense for a count has an unknown cost, and its answer arrives."""
    usage = Usage("three", 2)  # type: ignore[arg-type]  # that is what is shown
    async with ModelHub(providers=[vendor("acme", PLAIN, usage)]) as hub:
        cost = (await hub.chat("acme/m", "Hi")).cost
    assert cost is not None
    assert (cost.total, cost.unknown) == (None, ("input",))


@pytest.mark.parametrize(
    ("pricing", "usage"),
    [(PLAIN, {"input_tokens": 3}), (PLAIN, 7), (Pricing(D("1e999999")), Usage(10**9, 0))],
    ids=["a dict", "a number", "more than there is"],
)
async def test_what_no_cost_can_be_made_of_costs_no_answer(pricing: Any, usage: Any) -> None:
    """Whatever a plugin puts in the place of a usage, and whatever it asks for a token."""
    async with ModelHub(providers=[vendor("acme", pricing, usage)]) as hub:
        reply = await hub.chat("acme/m", "Hi")
        async with hub.stream("acme/m", "Hi") as stream:
            [event async for event in stream]
    assert (reply.text, reply.cost) == ("ok", None)
    assert (stream.result.text, stream.result.cost) == ("ok", None)


async def test_every_type_of_model_has_its_cost() -> None:
    """By the request, the second, the character, or the token; batches of an embedding are requests each."""
    pricing = Pricing(D(1), unit=D(1), request=D(100), minute=D(60), character=D(10))
    pieces = Pricing(request=D(100), minute=D(60), character=D(10))
    providers = [vendor("tokens", pricing, Usage(7, 0)), vendor("pieces", pieces, duration=2.5)]
    async with ModelHub(providers=providers) as hub:
        results: list[Result] = [
            await hub.embed("tokens/m", ["a", "b", "c", "d", "e"]),
            await hub.rerank("pieces/m", query="q", documents=["d"]),
            await hub.transcribe("pieces/m", b"RIFF"),
            await hub.speak("pieces/m", "Halo"),
            await hub.moderate("pieces/m", "x"),
        ]
    assert [result.cost and result.cost.items for result in results] == [
        {"input": 21, "request": 300},
        {"request": 100},
        {"request": 100, "minute": D("2.5")},
        {"request": 100, "character": 40},
        {"request": 100},
    ]
    # Texts are neither spoken nor heard: what was not used has no count, and the embedding's sum is not known.
    assert results[0].cost is not None
    assert results[0].cost.total is None


async def test_what_a_request_shows_by_itself_need_not_be_said_by_the_vendor() -> None:
    """Images are counted; a prompt without sound has no tokens of sound, and one with sound an unknown number."""
    pricing = Pricing(D(1), D(2), unit=D(1), audio_input=D(9), audio_output=D(9), image=D(100))
    silent = UserMessage([TextPart("Look"), MediaPart("image/png", b"x"), MediaPart("image/png", b"y")])
    sounding = UserMessage([TextPart("Listen"), MediaPart("audio/wav", b"x")])
    async with ModelHub(providers=[vendor("acme", pricing, Usage(3, 2))]) as hub:
        costs = [(await hub.chat("acme/m", [message])).cost for message in (silent, sounding)]
    assert [cost and (cost.items["image"], cost.estimated) for cost in costs] == [(200, False), (0, True)]


async def test_results_in_several_currencies_are_summed_apart() -> None:
    """Rupiah and dollars, and what has no price."""
    rupiah = Pricing(D(1), D(2), unit=D(1), currency="IDR")
    providers = [
        vendor("a", PLAIN, Usage(1, 1)),
        vendor("b", rupiah, Usage(1, 1)),
        vendor("c", None, Usage(1, 1), prices_of=""),
    ]
    async with ModelHub(providers=providers) as hub:
        costs = sum_costs([await hub.chat(f"{id}/m", "Hi") for id in "abca"])
    assert (costs.totals, costs.unpriced) == ({"USD": 6, "IDR": 3}, 1)


async def test_concurrent_calls_have_each_their_own_time_and_cost() -> None:
    """A long call beside a short one: nothing of either is kept where the other can overwrite it."""

    class Slow(Vendor):
        @hookimpl
        async def invoke(self, request: Request[Any], context: ProviderContext) -> Result:
            """Take as long as the model's name says."""
            await anyio.sleep(float(request.name))
            return await Vendor.invoke(self, request, context)

    results: dict[str, Any] = {}
    async with ModelHub(
        providers=[Slow("acme", PLAIN, lambda request: Usage(int(float(request.name) * 100), 0))]
    ) as hub:

        async def ask(name: str) -> None:
            results[name] = await hub.chat(f"acme/{name}", "Hi")

        async with anyio.create_task_group() as group:
            group.start_soon(ask, "0.5")
            await anyio.sleep(0.1)
            group.start_soon(ask, "0.1")
    assert results["0.1"].timing.total < 0.4
    assert results["0.5"].timing.total >= 0.5
    assert [results[name].cost.total for name in ("0.1", "0.5")] == [10, 50]


async def test_the_prices_are_those_of_when_it_was_asked() -> None:
    """An answer that was begun on the last day of a price is paid by that price."""
    pricing = Pricing(D(1), unit=D(1), periods=(PricePeriod(D(2), effective_from=dt.date(2026, 7, 1)),))
    book = PriceBook("manifest", now=lambda: dt.datetime(2026, 7, 1, 0, 0, 5, tzinfo=dt.UTC))
    schema, provider = ModelSchema("m", pricing=pricing), ProviderSchema("acme")
    result = EmbedResult(vectors=[], usage=Usage(1))
    costs = [await book.cost(EmbedRequest(), result, schema, provider, seconds=seconds) for seconds in (5.0, 5.1)]
    assert [cost and cost.total for cost in costs] == [2, 1]


async def test_lists_are_read_in_a_thread_and_once_for_a_model() -> None:
    """The loop goes on while the list is loaded, and what was found is remembered."""
    book = PriceBook("genai-prices")
    provider = ProviderSchema("openai")
    schemas = [ModelSchema("gpt-4o"), ModelSchema("no-such-model")]
    first = [await book.pricing_for(schema, provider) for schema in schemas]
    threads = threading.active_count()
    again = [await book.pricing_for(schema, provider) for schema in schemas]
    assert [pricing is not None for pricing in first] == [True, False]
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert threading.active_count() <= threads
    assert repr(book) == "<PriceBook with genai-prices: 2 models>"


async def test_a_list_is_asked_once_for_each_model() -> None:
    """Listing many models looks them all up in one go; calls and further listings find them remembered."""
    asked: list[tuple[str, str]] = []

    def listed(provider: str, model: str) -> Pricing | None:
        asked.append((provider, model))
        return PLAIN if model == "b" else None

    book = PriceBook("genai-prices", listed=listed)
    provider = ProviderSchema("mine", prices_of="theirs")
    schemas = [ModelSchema("a"), ModelSchema("b"), ModelSchema("c", pricing=PLAIN)]
    for _ in range(2):
        assert [each.pricing for each in await book.priced(schemas, provider)] == [None, PLAIN, PLAIN]
        assert await book.pricing_for(schemas[1], provider) is PLAIN
    assert asked == [("theirs", "a"), ("theirs", "b")]


async def test_names_without_end_fill_no_memory() -> None:
    """Names of models come with calls: so many are remembered, and then those that come again."""
    book = PriceBook("manifest")
    schemas = [ModelSchema(str(number), pricing=PLAIN) for number in range(5000)]
    assert list(await book.priced(schemas, ProviderSchema("acme"))) == schemas
    assert repr(book) == "<PriceBook of plugins alone: 904 models>"


async def test_a_list_that_does_not_answer_is_done_without(caplog: pytest.LogCaptureFixture) -> None:
    """An answer is not held up for its price: the list is given up, once, and the log says so."""
    hanging = threading.Event()

    def hang(*_names: str) -> Pricing:
        hanging.wait(5)
        return PLAIN

    book = PriceBook("genai-prices", listed=hang, patience=0.02)
    try:
        for name in ("a", "b"):
            assert await book.pricing_for(ModelSchema(name), ProviderSchema("openai")) is None
    finally:
        hanging.set()
    assert [record.name for record in caplog.records if record.levelno >= logging.WARNING] == ["modelhub.prices"]


async def test_a_stream_that_is_cancelled_while_its_price_is_looked_up_closes_all_the_same() -> None:
    """The wait for a price is the last of a stream, and leaves nothing open behind it."""
    closed: list[bool] = []
    hanging = threading.Event()

    class Watched(Vendor):
        @hookimpl
        async def stream(self, request: Request[Any], context: ProviderContext) -> AsyncGenerator[Event, None]:
            """Tell when it ends."""
            try:
                async for event in Vendor.stream(self, request, context):
                    yield event
            finally:
                closed.append(True)

    def hang(*_names: str) -> None:
        hanging.wait(5)

    async with ModelHub(providers=[Watched("openai", None, Usage(1, 1))]) as hub:
        hub._calls.server.prices = PriceBook("genai-prices", listed=hang)  # noqa: SLF001  no setting makes a list hang
        try:
            with anyio.move_on_after(0.2) as scope:
                async with hub.stream("openai/gpt-4o", "Hi") as stream:
                    [event async for event in stream]
        finally:
            hanging.set()
    assert scope.cancelled_caught
    assert closed == [True]


async def test_a_list_that_is_slow_does_not_hold_up_a_call_beyond_its_time(caplog: pytest.LogCaptureFixture) -> None:
    """An answer that came in time arrives without its price, and the list is not given up for one caller's haste."""
    hanging = threading.Event()

    def hang(*_names: str) -> Pricing:
        hanging.wait(20)
        return PLAIN

    async with ModelHub(providers=[vendor("openai", None, Usage(3, 2))]) as hub:
        hub._calls.server.prices = PriceBook("genai-prices", listed=hang)  # noqa: SLF001  no setting makes a list hang
        try:
            with anyio.fail_after(5):
                assert (await hub.chat("openai/gpt-4o", "Hi", timeout=0.5)).cost is None
        finally:
            hanging.set()
        assert (await hub.chat("openai/gpt-4o", "Hi")).cost is not None
    assert not [record for record in caplog.records if record.name == "modelhub.prices"]


async def test_the_cheapest_is_looked_for_as_long_as_the_call_may_take() -> None:
    """Where the prices do not come in time, neither does the answer; with time, the cheapest answers."""
    hanging = threading.Event()

    def slow(_provider: str, model: str) -> Pricing:
        hanging.wait(20)
        return replace(PLAIN, input=Decimal(model == "dear"))

    routes = {"any": {"groups": [["openai/dear", "openai/cheap"]], "pick": "cheapest"}}
    async with ModelHub({"routes": routes}, providers=[vendor("openai", None, Usage(3, 2))]) as hub:
        hub._calls.server.prices = PriceBook("genai-prices", listed=slow)  # noqa: SLF001  as above
        try:
            with pytest.raises(Timeout), anyio.fail_after(5):
                await hub.chat("any", "Hi", timeout=0.05)
        finally:
            hanging.set()
        assert (await hub.chat("any", "Hi", timeout=20.0)).model == "openai/cheap"


async def test_a_list_that_is_wanted_and_missing_is_said_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it; one that is not asked for is not missed."""
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ConfigurationError, match="not installed") as caught:
        async with ModelHub({"prices": {"source": "genai-prices"}}):
            pass
    assert caught.value.remedy == 'run: pip install "modelhub-core[prices]"'
    async with ModelHub(providers=[vendor("openai", None, Usage(3, 2))]) as hub:
        assert (await hub.chat("openai/gpt-4o", "Hi")).cost is None
