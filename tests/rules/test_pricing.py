"""Money is exact, and what is unknown is `None`, never 0."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.pricing import cost_of
from modelhub.types.pricing import Pricing
from modelhub.types.usage import Cost, Usage

PRICES = Pricing(Decimal("0.15"), Decimal("0.60"), Decimal("0.000001"), "USD")
TOKENS = st.integers(0, 10**9)


def test_a_cost_is_exact() -> None:
    """Three tokens at 0.15 per million are 0.00000045, not nearly."""
    cost = cost_of(Usage(3, 7), PRICES)
    assert cost == Cost(Decimal("0.00000045"), Decimal("0.0000042"), "USD")
    assert cost is not None
    assert cost.total == Decimal("0.00000465")


@pytest.mark.parametrize(
    ("usage", "pricing"),
    [
        (None, PRICES),
        (Usage(1, 1), None),
        (Usage(None, 1), PRICES),
        (Usage(1, None), PRICES),
        (Usage(1, 1, estimated=True), PRICES),
        (Usage(1, 1), Pricing(Decimal(1))),
    ],
)
def test_what_is_unknown_costs_nobody_knows_what(usage: Usage | None, pricing: Pricing | None) -> None:
    """A missing count, a missing price, or a count that is a guess."""
    assert cost_of(usage, pricing) is None


@pytest.mark.parametrize("output", [None, 0])
def test_models_without_output_need_no_price_for_it(output: int | None) -> None:
    """An embedding is paid by its input alone."""
    cost = cost_of(Usage(1000, output), Pricing(Decimal("0.02"), currency="IDR"))
    assert cost == Cost(Decimal("0.00002"), Decimal(0), "IDR")


@given(TOKENS, TOKENS, TOKENS, TOKENS)
def test_costs_add_up(first_in: int, first_out: int, second_in: int, second_out: int) -> None:
    """Two calls cost what one call of their joint usage costs, to the last digit."""
    first, second = Usage(first_in, first_out), Usage(second_in, second_out)
    costs = [cost_of(usage, PRICES) for usage in (first, second, first.plus(second))]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[2] is not None
    assert costs[0].total + costs[1].total == costs[2].total
