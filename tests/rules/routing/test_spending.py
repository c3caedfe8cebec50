"""Money is counted per period of the calendar, exactly, and in one currency."""

import datetime as dt
import decimal
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.spending import Allowance, Per
from modelhub.types.cost import Cost

PERIODS = get_args(Per)
WALLS = st.floats(0.0, 4e9)
MONEY = st.decimals(0, 1000, places=6)


def unix(*date: int) -> float:
    """Return the Unix time of a moment in UTC."""
    return dt.datetime(*date, tzinfo=dt.UTC).timestamp()


def usd(amount: str | Decimal, *unknown: str) -> Cost:
    """Return a cost in dollars."""
    return Cost({"input": Decimal(amount)}, "USD", unknown=unknown)


@pytest.mark.parametrize(
    ("per", "end"),
    [
        ("minute", unix(2024, 2, 28, 23, 59)),
        ("hour", unix(2024, 2, 29, 0)),
        ("day", unix(2024, 2, 29)),
        ("month", unix(2024, 3, 1)),
    ],
)
def test_a_period_ends_where_the_calendar_says(per: Per, end: float) -> None:
    """Money that is spent is there again with the next minute, hour, day or month in UTC, leap years included."""
    allowance, wall = Allowance(Decimal(5), "USD", per), unix(2024, 2, 28, 23, 58, 30)
    assert allowance.exhausted(wall) is None
    assert allowance.spent(usd("4.999999"), wall) == "all"
    assert (allowance.exhausted(wall), allowance.left(wall)) == (None, Decimal("0.000001"))
    assert allowance.spent(usd("0.000001"), wall) == "all"
    assert (allowance.exhausted(wall), allowance.left(wall)) == (end - wall, 0)
    assert allowance.exhausted(end - 0.5) == 0.5
    assert allowance.exhausted(end) is None
    assert allowance.left(end) == 5


@given(per=st.sampled_from(PERIODS), wall=WALLS)
def test_every_moment_lies_in_one_period(per: Per, wall: float) -> None:
    """What is exhausted is so for at most a period, and the moment it ends the whole amount is there."""
    allowance = Allowance(Decimal(1), "USD", per)
    allowance.spent(usd("1"), wall)
    wait = allowance.exhausted(wall)
    assert wait is not None
    assert 0 < wait <= {"minute": 60, "hour": 3600, "day": 86400, "month": 31 * 86400}[per]
    assert allowance.exhausted(wall + wait * 0.99) is not None
    assert allowance.exhausted(wall + wait + 1e-6) is None


@given(amount=MONEY, costs=st.lists(MONEY, max_size=30), digits=st.integers(1, 28))
def test_the_sum_is_exact(amount: Decimal, costs: list[Decimal], digits: int) -> None:
    """Whatever the application's decimal context is, no millionth is lost, and the amount is reached exactly."""
    allowance = Allowance(amount, "USD", "day")
    with decimal.localcontext(decimal.Context(prec=digits)):
        for cost in costs:
            allowance.spent(usd(cost), 1000.0)
        exhausted = allowance.exhausted(1000.0) is not None
    assert allowance.spent_now == sum(costs)
    assert exhausted == (sum(costs) >= amount)
    assert allowance.left(1000.0) == max(amount - sum(costs), 0)


@given(steps=st.lists(st.tuples(st.floats(0, 90_000), MONEY), max_size=40))
def test_each_day_has_its_own_sum(steps: list[tuple[float, Decimal]]) -> None:
    """What was spent is what the costs of the day add up to, by brute force."""
    allowance, wall = Allowance(Decimal(10), "USD", "day"), 0.0
    sums: dict[int, Decimal] = {}
    for pause, cost in steps:
        wall += pause
        allowance.spent(usd(cost), wall)
        day = int(wall // 86400)
        sums[day] = sums.get(day, Decimal()) + cost
        assert allowance.spent_now == sums[day]


def test_what_cannot_be_counted_is_told() -> None:
    """Another currency does not count, nor what nobody knows; of a cost known in part, the known part does."""
    allowance = Allowance(Decimal(1), "USD", "day")
    assert allowance.spent(Cost({"input": Decimal(100)}, "EUR"), 0.0) == "other currency"
    assert allowance.spent(None, 0.0) == "unknown"
    assert allowance.spent(Cost({}, "USD", unknown=("input",)), 0.0) == "unknown"
    assert allowance.left(0.0) == 1
    assert allowance.spent(usd("0.4", "image"), 0.0) == "part"
    assert allowance.spent(Cost({}, "USD"), 0.0) == "all"
    assert allowance.left(0.0) == Decimal("0.6")
    assert repr(allowance) == "<Allowance: 0.4 of 1 USD per day>"


def test_an_amount_of_nothing_is_always_spent() -> None:
    """With 0, no call is paid for."""
    assert Allowance(Decimal(), "USD", "hour").exhausted(1800.0) == 1800.0


def test_a_clock_that_is_set_back_brings_no_second_allowance() -> None:
    """A step back over midnight stays in the new day; one by more than a period was a wrong clock before."""
    allowance = Allowance(Decimal(1), "USD", "day")
    allowance.spent(usd("1"), unix(2024, 5, 2, 0, 0, 1))
    assert allowance.exhausted(unix(2024, 5, 1, 23, 59, 59)) == 86401.0
    assert allowance.exhausted(unix(2024, 4, 20)) is None
