"""The list's prices in our words charge what the list itself would charge, for every model and time in it."""

import datetime as dt
import sys
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version
from itertools import product

import pytest
from genai_prices import types as listed
from genai_prices.data_snapshot import DataSnapshot, get_snapshot, set_custom_snapshot

from modelhub.rules.price_checks import check_pricing
from modelhub.rules.pricing import cost_of
from modelhub.runtime.price_list import NAME, installed, listed_price, loaded, pricing_from
from modelhub.types.pricing import Pricing
from modelhub.types.usage import Usage

USAGES = [
    {"input_tokens": 1000, "output_tokens": 300},
    {"input_tokens": 128_001, "output_tokens": 300, "cache_read_tokens": 100_000},
    {"input_tokens": 200_000, "output_tokens": 1, "cache_read_tokens": 7, "cache_write_tokens": 11},
    {"input_tokens": 900_000, "output_tokens": 90_000, "cache_read_tokens": 1, "output_reasoning_tokens": 40},
]
NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
MATCH = listed.ClauseEquals("m")
OURS = {
    "cache_read_tokens": "cached_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
}


def models() -> Iterator[tuple[listed.Provider, listed.ModelInfo]]:
    """Yield every model of the list."""
    for provider in get_snapshot().providers:
        yield from ((provider, model) for model in provider.models)


def moments(model: listed.ModelInfo) -> Iterator[dt.datetime]:
    """Yield times on both sides of everything that the prices of a model depend on."""
    yield NOON
    if isinstance(model.prices, list):
        for each in model.prices:
            match each.constraint:
                case listed.StartDateConstraint(start_date):
                    start = dt.datetime.combine(start_date, dt.time(), dt.UTC)
                    yield from (start, start - dt.timedelta(microseconds=1))
                case listed.TimeOfDateConstraint(start_time, end_time):
                    for time in (start_time, end_time):
                        edge = dt.datetime.combine(dt.date(2026, 11, 20), time)
                        yield from (edge, edge - dt.timedelta(microseconds=1))
                case _:
                    pass


def charged(provider: listed.Provider, model: listed.ModelInfo, counts: dict[str, int], at: dt.datetime) -> Decimal:
    """Return what the list itself makes of a usage."""
    return model.calc_price(listed.Usage(**counts), provider, genai_request_timestamp=at).total_price


def ours(pricing: Pricing, counts: dict[str, int], at: dt.datetime) -> Decimal | None:
    """Return what our prices make of it."""
    known = {OURS.get(name, name): count for name, count in counts.items()}
    cost = cost_of(Usage(**{**dict.fromkeys(OURS.values(), 0), **known}), pricing, at=at)  # type: ignore[arg-type]  # by name
    return None if cost is None else cost.total


def test_every_listed_model_costs_what_the_list_says() -> None:
    """Tiers, dates, hours and caches, to the last digit, on both sides of every edge; or it is unknown."""
    compared = 0
    for provider, model in models():
        pricing = pricing_from(model)
        if pricing is None:
            continue
        assert check_pricing(pricing) == []
        for at, counts in product(moments(model), USAGES):
            total = ours(pricing, counts, at)
            if total is not None:
                assert total == charged(provider, model, counts, at), (provider.id, model.id, at, counts)
                compared += 1
    assert compared > 5000


def test_models_without_prices_stay_without() -> None:
    """What the list knows a model for, but not a price of, is unknown; so is a price of something else than ours."""
    for _, model in models():
        if pricing_from(model) is None:
            prices = model.prices if isinstance(model.prices, list) else [listed.ConditionalPrice(prices=model.prices)]
            assert not any("MTok" in str(each.prices) for each in prices)


def test_pieces_keep_their_units() -> None:
    """The list has prices per million characters, thousand requests and hour; ours are per piece, with a factor."""
    spoken = listed.ModelInfo("m", MATCH, prices=listed.ModelPrice(input_mchars=Decimal(15)))
    heard = listed.ModelInfo("m", MATCH, prices=listed.ModelPrice(audio_hours=Decimal("0.36")))
    asked = listed.ModelInfo("m", MATCH, prices=listed.ModelPrice(requests_kcount=Decimal(5)))
    totals = []
    for model, usage in ((spoken, Usage(characters=1000)), (heard, Usage(seconds=10)), (asked, Usage(requests=3))):
        cost = cost_of(usage, pricing_from(model), at=NOON)
        assert cost is not None
        totals.append(cost.total)
    assert totals == [Decimal("0.015"), Decimal("0.001"), Decimal("0.015")]


def test_hours_of_other_time_zones_are_those_of_utc() -> None:
    """Half past midnight in Beijing is an afternoon in UTC."""
    beijing = dt.timezone(dt.timedelta(hours=8))
    night = listed.TimeOfDateConstraint(dt.time(0, 30, tzinfo=beijing), dt.time(8, 30, tzinfo=beijing))
    prices = [
        listed.ConditionalPrice(prices=listed.ModelPrice(input_mtok=Decimal(2))),
        listed.ConditionalPrice(night, prices=listed.ModelPrice(input_mtok=Decimal(1))),
    ]
    pricing = pricing_from(listed.ModelInfo("m", MATCH, prices=prices))
    assert pricing is not None
    assert [period.hours for period in pricing.periods] == ["16:30-00:30"]


def test_prices_that_cannot_be_are_unknown() -> None:
    """The list is checked as plugins are."""
    wrong = listed.ModelInfo("m", MATCH, prices=listed.ModelPrice(input_mtok=Decimal(-1)))
    assert pricing_from(wrong) is None


@pytest.mark.parametrize(
    ("provider", "model", "known"),
    [
        ("openai", "gpt-4o", True),
        ("OpenAI", "GPT-4o", True),
        ("x_ai", "grok-3", True),
        ("openai", "gpt-4o-2024-08-06", True),
        ("openai", "no-such-model", False),
        ("openai_compatible", "gpt-4o", False),
        ("my-openai", "gpt-4o", False),
        ("acme", "gpt-4o", False),
    ],
)
def test_models_are_found_by_the_lists_names_and_providers_by_their_own(provider: str, model: str, known: bool) -> None:  # noqa: FBT001  a table of cases
    """A server that only calls itself after a vendor does not charge the vendor's prices."""
    pricing = listed_price(provider, model)
    assert (pricing is not None) is known
    assert pricing is None or pricing.source == f"{NAME} {version(NAME)}"


@pytest.fixture
def own_prices() -> Iterator[None]:
    """Put the package's own prices back after a test."""
    yield
    set_custom_snapshot(None)


@pytest.mark.usefixtures("own_prices")
def test_prices_that_an_application_gives_the_package_are_the_ones() -> None:
    """As where it keeps itself up to date."""
    model = listed.ModelInfo("gpt-4o", MATCH, prices=listed.ModelPrice(input_mtok=Decimal(77)))
    provider = listed.Provider("openai", "OpenAI", "x", models=[model])
    set_custom_snapshot(DataSnapshot([provider], from_auto_update=True))
    pricing = listed_price("openai", "m")
    assert pricing is not None
    assert pricing.input == 77


@pytest.mark.usefixtures("own_prices")
def test_a_list_of_another_making_costs_nobody_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """A version that is made in another way knows no prices, and the log says so."""
    set_custom_snapshot(DataSnapshot([object()], from_auto_update=False))  # type: ignore[list-item]  # that is what is shown
    assert listed_price("openai", "gpt-4o") is None
    assert "could not say the prices of gpt-4o: AttributeError" in caplog.text


def test_a_package_that_does_not_import_costs_nobody_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried once, and the log says what is wrong with it."""
    monkeypatch.setitem(sys.modules, "genai_prices.data_snapshot", None)
    loaded.cache_clear()
    try:
        assert [listed_price("openai", "gpt-4o") for _ in range(2)] == [None, None]
    finally:
        loaded.cache_clear()
    assert caplog.text.count("genai-prices cannot be used") == 1


def test_the_package_is_there() -> None:
    """Which these tests take for granted."""
    assert installed()
