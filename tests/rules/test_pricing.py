"""Money is exact, what is unknown is `None` and never 0, and the prices are those of the time and of the prompt."""

import datetime as dt
import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelhub.rules.price_checks import check_pricing
from modelhub.rules.pricing import cost_of, period_at, sum_costs
from modelhub.types.cost import Cost
from modelhub.types.pricing import PricePeriod, Prices, PriceTier, Pricing
from modelhub.types.results import EmbedResult
from modelhub.types.usage import Usage

D = Decimal
NOW = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC)
PRICES = Pricing(D("0.15"), D("0.60"))
DETAILED = Pricing(D(4), D(8), D(1), D(5), D(16), D(10), D(20), D(2), unit=D(1))
TOKENS = st.integers(0, 10**9)
AMOUNTS = st.decimals(0, 1000, places=6)


def costed(usage: Usage | None, pricing: Pricing | None = PRICES, at: dt.datetime = NOW) -> Cost:
    """Return a cost that there must be."""
    cost = cost_of(usage, pricing, at=at)
    assert cost is not None
    return cost


def test_a_cost_is_exact() -> None:
    """Three tokens at 0.15 per million are 0.00000045: nothing is rounded to seven places, nor through floats."""
    cost = costed(Usage(3, 7))
    assert cost == Cost({"input": D("0.00000045"), "output": D("0.0000042")}, "USD")
    assert cost.total == D("0.00000465")


def test_the_applications_decimal_context_changes_nothing() -> None:
    """An application that computes with three digits still gets every digit of a cost, of a total and of a sum."""
    usage = Usage(1_234_567, 7_654_321)
    expected = costed(usage)
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        cost = costed(usage)
        total = cost.plus(cost).total
    assert cost == expected
    assert total == 2 * (1_234_567 * D("0.15") + 7_654_321 * D("0.60")) / 1_000_000


@pytest.mark.parametrize(
    ("usage", "pricing"),
    [
        (None, PRICES),
        (Usage(1, 1), None),
        (Usage(), PRICES),
        (Usage(1, 1), Pricing()),
        (Usage(1, 1), Pricing(periods=(PricePeriod(D(1), effective_from=dt.date(2027, 1, 1)),))),
    ],
)
def test_what_nothing_is_known_of_has_no_cost(usage: Usage | None, pricing: Pricing | None) -> None:
    """Without prices, or without counts, there is no cost of zero dollars: there is none."""
    assert cost_of(usage, pricing, at=NOW) is None


@pytest.mark.parametrize(
    ("usage", "pricing", "items", "unknown"),
    [
        (Usage(1, None), Pricing(D(1), D(2), unit=D(1)), {"input": D(1)}, ("output",)),
        (Usage(None, 1), Pricing(D(1), D(2), unit=D(1)), {"output": D(2)}, ("input",)),
        (Usage(1, 1), Pricing(D(1), unit=D(1)), {"input": D(1)}, ("output",)),
        (Usage(1, 1), Pricing(output=D(2), unit=D(1)), {"output": D(2)}, ("input",)),
        (Usage(1, 1), Pricing(D(1), D(2), unit=D(1), image=D(3)), {"input": D(1), "output": D(2)}, ("image",)),
        (Usage(seconds=None), Pricing(minute=D(1), request=D(5)), {"request": D(5)}, ("minute",)),
    ],
)
def test_a_total_with_an_unknown_part_is_unknown(
    usage: Usage, pricing: Pricing, items: dict[str, Decimal], unknown: tuple[str, ...]
) -> None:
    """What is known is itemised, what is not is named, and nothing is taken for 0."""
    cost = costed(usage, pricing)
    assert (cost.items, cost.unknown, cost.total) == (items, unknown, None)
    assert cost.known == sum(items.values())


@pytest.mark.parametrize("output", [None, 0])
def test_models_without_output_need_no_price_for_it(output: int | None) -> None:
    """An embedding is paid by its input alone."""
    cost = costed(Usage(1000, output), Pricing(D("0.02"), currency="IDR"))
    assert (cost.total, cost.currency) == (D("0.00002"), "IDR")


@pytest.mark.parametrize("usage", [Usage(5, 7), Usage(5), Usage()])
def test_what_is_free_costs_nothing_however_much_it_was(usage: Usage) -> None:
    """A price of 0 is a known price, and needs no count."""
    assert costed(usage, Pricing(D(0), D(0))).total == 0


@pytest.mark.parametrize("wrong", [-1, True, "7", 1.5])
def test_a_count_that_cannot_be_one_is_unknown(wrong: Any) -> None:
    """Plugins pass on what their vendor sent; it costs no answer, and nobody is paid for it."""
    cost = costed(Usage(wrong, 1))
    assert (cost.unknown, cost.total) == (("input",), None)


def test_kinds_of_tokens_are_paid_by_their_own_prices() -> None:
    """Each token once: those with a price of their own are taken out of the count that includes them."""
    usage = Usage(
        1000,
        100,
        cached_tokens=500,
        cache_write_tokens=200,
        reasoning_tokens=60,
        audio_input_tokens=50,
        audio_output_tokens=10,
        image_input_tokens=30,
    )
    cost = costed(usage, DETAILED)
    assert cost.items == {
        "cached_read": 500,
        "cache_write": 1000,
        "audio_input": 500,
        "image_input": 60,
        "input": 880,
        "reasoning": 960,
        "audio_output": 200,
        "output": 240,
    }
    assert not cost.estimated


def test_what_comes_from_the_cache_is_not_counted_as_more() -> None:
    """Counts stay the vendor's: a cached token is one token at its own price, and not a tenth of one."""
    usage = Usage(1000, 0, cached_tokens=900, cache_write_tokens=100)
    cost = costed(usage, Pricing(D(3), D(15), D("0.3"), D("3.75")))
    assert usage.total_tokens == 1000
    assert cost.total == (900 * D("0.3") + 100 * D("3.75")) / 1_000_000


@pytest.mark.parametrize(
    ("usage", "pricing"),
    [
        (Usage(100, 10), Pricing(D(4), D(8), D(1), unit=D(1))),
        (Usage(100, 10), Pricing(D(4), D(8), reasoning=D(16), unit=D(1))),
        (Usage(100, 10, cached_tokens=50), Pricing(D(4), D(8), unit=D(1))),
        (Usage(100, 10, audio_output_tokens=5), Pricing(D(4), D(8), unit=D(1))),
        (Usage(100, 10, estimated=True), Pricing(D(4), D(8), unit=D(1))),
    ],
)
def test_a_detail_that_is_unknown_is_charged_plainly_and_said_to_be_an_estimate(usage: Usage, pricing: Pricing) -> None:
    """How many were cached, what cached ones cost, or whether the counts are counts."""
    cost = costed(usage, pricing)
    assert (cost.total, cost.estimated) == (480, True)


@pytest.mark.parametrize(
    "usage", [Usage(100, 10), Usage(100, 10, cached_tokens=0), Usage(100, 10, reasoning_tokens=9, image_input_tokens=9)]
)
def test_details_that_cost_what_the_plain_ones_do_leave_a_cost_exact(usage: Usage) -> None:
    """Nothing cached, or reasoning and images without prices of their own."""
    cost = costed(usage, Pricing(D(4), D(8), unit=D(1)))
    assert (cost.total, cost.estimated) == (480, False)


def test_kinds_that_overlap_are_not_charged_twice() -> None:
    """Sound that came from the cache is in both counts: the prompt is paid once, and it is said that one is a guess."""
    cost = costed(Usage(100, 0, cached_tokens=90, audio_input_tokens=30), DETAILED)
    assert cost.items["cached_read"] == 90
    assert cost.items["audio_input"] == 10 * 10
    assert cost.items["input"] == 0
    assert cost.estimated


@pytest.mark.parametrize(("tokens", "expected"), [(199_999, "base"), (200_000, "base"), (200_001, "tier")])
def test_a_tier_begins_above_its_bound(tokens: int, expected: str) -> None:
    """One token more, and the whole request is charged by the tier: the answer too."""
    pricing = Pricing(D(1), D(10), unit=D(1), tiers=(PriceTier(D(2), D(15), above=200_000),))
    cost = costed(Usage(tokens, 3), pricing)
    assert cost.total == (tokens + 30 if expected == "base" else 2 * tokens + 45)


def test_what_a_tier_leaves_out_is_as_below_it() -> None:
    """Tiers build on each other, in whatever order they are written."""
    tiers = (PriceTier(output=D(30), above=20), PriceTier(D(2), above=10))
    cost = costed(Usage(21, 1), Pricing(D(1), D(10), unit=D(1), tiers=tiers))
    assert cost.items == {"input": 42, "output": 30}


def test_marginal_tiers_charge_the_tokens_above_their_bound() -> None:
    """The first ten at 4, the next ten at 3, the last at 2; those from the cache are the first, the answer is plain."""
    tiers = (PriceTier(D(3), above=10), PriceTier(D(2), above=20))
    pricing = Pricing(D(4), D(10), unit=D(1), tiers=tiers, tiering="marginal")
    assert costed(Usage(21, 1), pricing).items == {"input": 40 + 30 + 2, "output": 10}
    cached = Pricing(D(4), D(10), D(1), unit=D(1), tiers=tiers, tiering="marginal")
    assert costed(Usage(21, 1, cached_tokens=12), cached).items == {"cached_read": 12, "input": 8 * 3 + 2, "output": 10}


def test_a_tier_that_cannot_be_told_makes_the_cost_unknown() -> None:
    """Without the prompt's length any of them may count, and so the answer's price is unknown too."""
    pricing = Pricing(D(1), D(10), request=D(7), tiers=(PriceTier(output=D(15), above=10),))
    cost = costed(Usage(None, 3), pricing)
    assert (cost.items, cost.unknown, cost.total) == ({"request": 7}, ("input", "output"), None)


def test_pieces_are_paid_by_the_piece() -> None:
    """Images, requests, characters and sound; the prices of tokens have another unit, or one of their own."""
    usage = Usage(10, 0, images=2, characters=1000, seconds=90, requests=3)
    pricing = Pricing(D(1), image=D("0.01"), request=D("0.5"), minute=D("0.006"), character=D(15), units={
        "input": D("0.001"), "character": D("0.000001"),
    })  # fmt: skip
    assert costed(usage, pricing).items == {
        "input": D("0.010"),
        "image": D("0.02"),
        "request": D("1.5"),
        "minute": D("0.009"),
        "character": D("0.015"),
    }


@pytest.mark.parametrize(
    ("prices", "expected"),
    [(Pricing(second=D("0.0001")), D("0.00905")), (Pricing(minute=D(6)), D("9.05")), (Pricing(hour=D(36)), D("0.905"))],
)
def test_sound_is_paid_by_the_second_minute_or_hour(prices: Pricing, expected: Decimal) -> None:
    """Seconds are read by their text, as all floats are; tokens that a vendor also counts cost nothing there."""
    assert costed(Usage(7, 5, seconds=90.5), prices).total == expected


@pytest.mark.parametrize(
    ("at", "price"),
    [
        (dt.datetime(2025, 12, 31, 23, 59, 59, 999999, dt.UTC), 1),
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), 2),
        (dt.datetime(2026, 6, 30, 23, 59, 59, tzinfo=dt.UTC), 2),
        (dt.datetime(2026, 7, 1, tzinfo=dt.UTC), 3),
        (dt.datetime(2026, 7, 1, 6, tzinfo=dt.timezone(dt.timedelta(hours=7))), 2),
        (dt.datetime(2026, 6, 30, 20, tzinfo=dt.timezone(dt.timedelta(hours=-4))), 3),
        (dt.datetime(2026, 7, 1), 3),  # noqa: DTZ001  that is what is shown
    ],
)
def test_days_begin_at_midnight_in_utc(at: dt.datetime, price: int) -> None:
    """Wherever the application stands; the first day is part of a period and `until` is not."""
    pricing = Pricing(
        D(1),
        unit=D(1),
        periods=(
            PricePeriod(D(3), effective_from=dt.date(2026, 7, 1)),
            PricePeriod(D(2), effective_from=dt.date(2026, 1, 1), until=dt.date(2026, 7, 1)),
        ),
    )
    cost = costed(Usage(1), pricing, at)
    assert cost.total == price
    assert cost.effective_from == {1: None, 2: dt.date(2026, 1, 1), 3: dt.date(2026, 7, 1)}[price]


def test_outside_all_periods_the_price_is_unknown() -> None:
    """Not the last one known, and not 0."""
    pricing = Pricing(D(1), effective_from=dt.date(2026, 1, 1), until=dt.date(2026, 2, 1))
    assert cost_of(Usage(1), pricing, at=NOW) is None
    assert cost_of(Usage(1), pricing, at=dt.datetime(2026, 1, 31, 23, tzinfo=dt.UTC)) is not None


@pytest.mark.parametrize(
    ("time", "price"),
    [("16:29", 1), ("16:30", 2), ("23:59", 2), ("00:00", 2), ("00:29", 2), ("00:30", 1), ("01:00", 3), ("02:00", 1)],
)
def test_hours_go_before_days_and_over_midnight(time: str, price: int) -> None:
    """The end of the hours is not part of them."""
    pricing = Pricing(
        D(9),
        unit=D(1),
        periods=(
            PricePeriod(D(2), hours="16:30-00:30"),
            PricePeriod(D(3), hours="01:00-02:00"),
            PricePeriod(D(1), effective_from=dt.date(2026, 1, 1)),
        ),
    )
    at = dt.datetime.combine(NOW.date(), dt.time.fromisoformat(time), dt.UTC)
    assert costed(Usage(1), pricing, at).total == price


def test_hours_that_are_none_never_hold() -> None:
    """Whoever passes over `check_pricing` has no price instead of a wrong one."""
    assert cost_of(Usage(1), Pricing(D(1), hours="noon"), at=NOW) is None


def test_of_equal_periods_the_last_counts() -> None:
    """What is written later is meant to go over what stands before it."""
    pricing = Pricing(periods=(PricePeriod(D(1)), PricePeriod(D(2))))
    assert period_at(pricing, NOW) == PricePeriod(D(2))


def test_the_cost_says_whose_prices_were_applied() -> None:
    """And a currency by its code, whatever manifests call it."""
    cost = costed(Usage(1, 1), Pricing(D(1), D(1), currency="RMB", source="overlay"))
    assert (cost.source, cost.currency) == ("overlay", "CNY")


@given(
    st.lists(st.tuples(TOKENS, TOKENS, TOKENS, TOKENS), min_size=2, max_size=2),
    st.lists(AMOUNTS, min_size=5, max_size=5),
)
def test_costs_add_up(counts: list[tuple[int, int, int, int]], prices: list[Decimal]) -> None:
    """Two calls cost what one call of their joint usage costs, to the last digit."""
    pricing = Pricing(prices[0], prices[1], prices[2], reasoning=prices[3], request=prices[4])
    first, second = (
        Usage(fresh + cached, said + thought, cached_tokens=cached, reasoning_tokens=thought)
        for fresh, cached, said, thought in counts
    )
    joint = costed(first.plus(second), pricing)
    assert costed(first, pricing).plus(costed(second, pricing)) == joint


@given(TOKENS, TOKENS, st.integers(0, 10**9), st.sampled_from(["whole", "marginal"]))
def test_costs_add_up_within_one_tier(first: int, second: int, bound: int, tiering: Any) -> None:
    """As long as the sum reaches no other tier than its parts do, nothing depends on how calls are cut."""
    assume(min(first, second) > bound or first + second <= bound)
    pricing = Pricing(D("0.7"), D("1.3"), tiers=(PriceTier(D("0.3"), above=bound),), tiering=tiering)
    parts = costed(Usage(first, 1), pricing).plus(costed(Usage(second, 2), pricing)).total
    whole = costed(Usage(first + second, 3), pricing).total
    assert parts is not None
    assert whole is not None
    # Each call pays its own first tokens at the plain price; the joint one would pay them once.
    again = bound * D("0.4") / 1_000_000 if tiering == "marginal" and first > bound else D(0)
    assert parts - whole == again


@given(TOKENS, TOKENS, TOKENS)
def test_kinds_of_tokens_never_charge_more_tokens_than_there_are(total: int, cached: int, sound: int) -> None:
    """Whatever a vendor says of the parts: at equal prices the prompt costs what it would without any."""
    usage = Usage(total, 0, cached_tokens=cached, audio_input_tokens=sound)
    pricing = Pricing(D("0.7"), D(1), D("0.7"), audio_input=D("0.7"))
    assert costed(usage, pricing).total == costed(Usage(total, 0), Pricing(D("0.7"), D(1))).total


def result(cost: Cost | None) -> EmbedResult:
    """Return a result that cost this."""
    return EmbedResult(vectors=[], cost=cost)


def test_currencies_are_never_added() -> None:
    """Neither two costs nor the results of many calls; what has no price is counted and not left out in silence."""
    dollars, yuan = costed(Usage(1, 1)), costed(Usage(1, 1), Pricing(D(1), D(2), currency="CNY"))
    with pytest.raises(Exception, match="a cost in USD and one in CNY cannot be added") as caught:
        dollars.plus(yuan)
    assert type(caught.value).__name__ == "ConfigurationError"
    sums = sum_costs([result(dollars), result(yuan), result(None), result(dollars)])
    assert dollars.total is not None
    assert sums.totals == {"USD": 2 * dollars.total, "CNY": yuan.total}
    assert sums.unpriced == 1


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    """And remembers whose prices, and whether any of it was an estimate."""
    part = Cost({"input": D(1)}, "USD", unknown=("output",), source="overlay")
    guess = Cost({"input": D(1), "output": D(2)}, "USD", estimated=True, effective_from=dt.date(2026, 1, 1))
    both = part.plus(guess)
    assert (both.total, both.known, both.unknown) == (None, 4, ("output",))
    assert (both.estimated, both.source, both.effective_from) == (True, "overlay, manifest", None)
    assert both.plus(part).source == "overlay, manifest"


@pytest.mark.parametrize(
    ("pricing", "complaint"),
    [
        (Pricing(D(1), unit=D("0.000")), "unit: 0.000 makes everything cost nothing"),
        (Pricing(D(1), unit=D(1_000_000)), "unit: 1000000 is above 1"),
        (Pricing(D(1), unit=D("NaN")), "unit: NaN is no number"),
        (Pricing(D(1), units={"inputs": D(1)}), "units.inputs: there is no price of that name"),
        (Pricing(D(1), units={"image": D(0)}), "units.image: 0 makes"),
        (Pricing(D(-1)), "input: -1 is no price"),
        (Pricing(D("NaN")), "input: NaN is no price"),
        (Pricing(D(1), D("Infinity")), "output: Infinity is no price"),
        (Pricing(0.15), "input: 0.15 is no Decimal"),  # type: ignore[arg-type]  # that is what is shown
        (Pricing("1"), "input: a str is no Decimal"),  # type: ignore[arg-type]  # likewise
        (Pricing(D(1), currency="usd"), "currency: 'usd' is no code"),
        (Pricing(D(1), tiering="stepped"), "tiering: 'stepped' is neither"),  # type: ignore[arg-type]  # likewise
        (Pricing(), "there is no price in it"),
        (Pricing(minute=D(1), hour=D(1)), "minute/hour: give one of them"),
        (Pricing(D(1), tiers=(PriceTier(D(1), above=5), PriceTier(D(2), above=5))), "tiers: two of them begin above"),
        (Pricing(D(1), tiers=(PriceTier(D(1), above=-5),)), "tiers[0].above: -5 is no number of tokens"),
        (Pricing(D(1), tiers=(PriceTier(above=5),)), "tiers[0]: there is no price in it"),
        (Pricing(D(1), tiers=(PriceTier(D(-2), above=5),)), "tiers[0].input: -2 is no price"),
        (
            Pricing(D(1), D(2), tiers=(PriceTier(output=D(3), above=5),), tiering="marginal"),
            "tiers[0].output: marginal tiers are of the prompt's tokens alone",
        ),
        (
            Pricing(D(1), effective_from=dt.date(2026, 1, 1), until=dt.date(2026, 1, 1)),
            "until: 2026-01-01 is not after effective_from",
        ),
        (Pricing(D(1), hours="16-18"), "hours: '16-18' is not like"),
        (Pricing(D(1), hours="16:00-16:00"), "hours: '16:00-16:00' is not like"),
        (Pricing(D(1), periods=(PricePeriod(D(-1), hours="24:00-01:00"),)), "periods[0].input: -1 is no price"),
    ],
)
def test_prices_that_cannot_be_are_complained_of(pricing: Pricing, complaint: str) -> None:
    """A unit of 0 would make everything free, and one above 1 everything a fortune."""
    assert any(each.startswith(complaint) for each in check_pricing(pricing)), check_pricing(pricing)


def test_all_complaints_come_at_once() -> None:
    """One for each mistake."""
    wrong = Pricing(D(-1), D("NaN"), unit=D(0), currency="dollars", periods=(PricePeriod(hours="x"),))
    assert len(check_pricing(wrong)) == 5


@pytest.mark.parametrize("pricing", [PRICES, DETAILED, Pricing(D(0), D(0)), Pricing(character=D(15))])
def test_prices_that_can_be_are_not_complained_of(pricing: Pricing) -> None:
    """Free ones, and those of pieces alone, included."""
    assert check_pricing(pricing) == []


def test_prices_show_what_they_say() -> None:
    """And nothing of what they leave out."""
    assert repr(Prices(D("0.5"), reasoning=D(2))) == "<Prices input=0.5 reasoning=2>"
    assert repr(PriceTier(D(1), above=5)) == "<PriceTier input=1 above=5>"
