"""Money and prices as people read them: in their language's way, rounded for the eye, unknown parts said."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from modelhub.cli.documents import document_of
from modelhub.cli.money import cost_text, money, price_rows, price_text
from modelhub.types.cost import Cost
from modelhub.types.pricing import PricePeriod, PriceTier, Pricing

NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
D = Decimal


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak English where a test does not say otherwise."""
    monkeypatch.setenv("MODELHUB_LANG", "en")


@pytest.mark.parametrize(
    ("locale", "amount", "currency", "expected"),
    [
        ("en_US", "0.0201", "USD", "$0.0201"),
        ("en", "0.0000004567891", "USD", "$0.0000004568"),
        ("en", "1234.5", "USD", "$1,234.50"),
        ("en", "12.345678", "USD", "$12.35"),
        ("en", "0", "USD", "$0.00"),
        ("en", "1500", "JPY", "¥1,500"),
        ("en", "0.5", "ABC", "ABC0.50"),
        ("id_ID", "1234.5", "IDR", "Rp1.234,50"),
        ("id", "0.0201", "USD", "US$0,0201"),
        ("de_DE", "0.0201", "EUR", "0,0201€"),
        ("xx_YY", "1", "USD", "$1.00"),
    ],
)
def test_amounts_are_written_as_the_language_does(
    monkeypatch: pytest.MonkeyPatch, locale: str, amount: str, currency: str, expected: str
) -> None:
    """Small ones with the digits that count; in a language that nobody knows, in English."""
    monkeypatch.setenv("MODELHUB_LANG", locale)
    # Whether a space stands beside the sign is the language's own affair, and changes with its data.
    assert money(D(amount), currency).replace(" ", "") == expected


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (Cost({"input": D("0.5")}, "USD"), "$0.50"),
        (Cost({"input": D("0.5")}, "USD", estimated=True), "about $0.50"),
        (Cost({"input": D("0.5")}, "USD", unknown=("output",)), "at least $0.50"),
    ],
)
def test_a_cost_says_whether_it_is_all_of_it(cost: Cost, expected: str) -> None:
    """An estimate is called one, and a part is not shown as the whole."""
    assert cost_text(cost) == expected


def test_in_json_every_digit_of_a_cost_is_there() -> None:
    """As texts, with the total beside the items; the total of which a part is unknown is null."""
    cost = Cost({"input": D("0.00000045"), "output": D("0.0000042")}, "USD")
    document: Any = document_of(cost)
    assert document["total"] == "0.00000465"
    assert document["items"] == {"input": "0.00000045", "output": "0.0000042"}
    partial: Any = document_of(Cost({"input": D(1)}, "USD", unknown=("output",)))
    assert partial["total"] is None


@pytest.mark.parametrize(
    ("pricing", "expected"),
    [
        (None, ""),
        (Pricing(D("0.15"), D("0.6")), "$0.15 / $0.60 per million tokens"),
        (Pricing(D("0.02"), currency="EUR"), "€0.02 per million tokens"),
        (Pricing(D("0.00015"), D(0), unit=D("0.001")), "$0.15 / $0.00 per million tokens"),
        (Pricing(D(0), D(0)), "free"),
        (Pricing(character=D(15), units={"character": D("0.000001")}), "$15.00 per million characters"),
        (Pricing(minute=D("0.006")), "$0.006 per minute"),
        (
            Pricing(D(1), request=D("0.005"), image=D("0.01")),
            "$1.00 per million tokens, $0.01 per image, $0.005 per request",
        ),
        (Pricing(D(1), until=dt.date(2026, 1, 1)), ""),
        (Pricing(D(1), periods=(PricePeriod(D(2), effective_from=dt.date(2026, 6, 15)),)), "$2.00 per million tokens"),
    ],
)
def test_the_prices_of_now_are_told_in_a_few_words(pricing: Pricing | None, expected: str) -> None:
    """Per million whatever the unit; unknown prices are not free ones."""
    assert price_text(pricing, NOW) == expected


def test_all_prices_are_listed_with_when_they_hold() -> None:
    """Those of now first; a tier says what it changes."""
    pricing = Pricing(
        D(1),
        D(5),
        until=dt.date(2026, 6, 1),
        periods=(
            PricePeriod(
                D(2), D(5), D("0.2"), effective_from=dt.date(2026, 6, 1), tiers=(PriceTier(D(4), above=200_000),)
            ),
            PricePeriod(D("0.5"), request=D("0.01"), hours="22:00-04:00"),
        ),
    )
    assert price_rows(pricing, NOW) == [
        ("prompt", "$2.00 per million tokens", "from Jun 1, 2026"),
        ("answer", "$5.00 per million tokens", "from Jun 1, 2026"),
        ("prompt, read from the cache", "$0.20 per million tokens", "from Jun 1, 2026"),
        ("prompt", "$4.00 per million tokens", "above 200,000 tokens, from Jun 1, 2026"),
        ("prompt", "$1.00 per million tokens", "until Jun 1, 2026"),
        ("answer", "$5.00 per million tokens", "until Jun 1, 2026"),
        ("prompt", "$0.50 per million tokens", "22:00-04:00 UTC"),
        ("", "$0.01 per request", "22:00-04:00 UTC"),
    ]


def test_models_and_calls_show_what_they_cost(cli: Any, tmp_path: Any) -> None:
    """`models show` has every price, `--usage` what an answer cost by them; an answer of unknown prices shows none."""
    settings = tmp_path / "priced.toml"
    prices = {"input": "2", "output": "8", "cached_read": "0.5", "currency": "USD"}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in prices.items())
    settings.write_text(f'[models."acme/echo".pricing]\n{lines}\n')
    environment = {"MODELHUB_CONFIG": str(settings), "MODELHUB_LANG": "en"}
    ran = cli("models", "show", "acme/echo", environment=environment)
    assert "Price  $2.00 / $8.00 per million tokens\n" in ran.out
    assert "prompt, read from the cache\t$0.50 per million tokens\t" in ran.out
    # Seven tokens, two of them from the cache, and one back: 5 × 2 + 2 × 0.5 + 8 millionths.
    assert "$0.000019" in cli("chat", "acme/echo", "x", "--usage", environment=environment).err
    assert "$" not in cli("chat", "acme/echo", "x", "--usage", environment={"MODELHUB_CONFIG": ""}).err
