"""How long to wait before trying again."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.routing.backoff import LONGEST_WAIT, equal_jitter, full_jitter, wait_before_retry

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@given(st.integers(0, 10**6), st.integers(0, 99))
def test_waits_double_up_to_a_bound(number: int, seed: int) -> None:
    """Any time up to that, or from the half of it on; large numbers overflow nothing."""
    whole = min(8.0, 0.25 * 2.0 ** min(number, 64))
    assert 0.0 <= full_jitter(number, Random(seed)) <= whole
    whole = min(300.0, 5.0 * 2.0 ** min(number, 64))
    assert whole / 2 <= equal_jitter(number, Random(seed), base=5.0, cap=300.0) <= whole


def test_waits_are_spread() -> None:
    """Those who failed together do not come back together."""
    random = Random(1)
    waits = [full_jitter(3, random) for _ in range(1000)]
    assert min(waits) < 0.1
    assert max(waits) > 1.9
    assert sum(waits) / 1000 == pytest.approx(1.0, abs=0.1)
    assert max(full_jitter(9, random) for _ in range(1000)) > 7.9
    waits = [equal_jitter(3, random, base=5.0, cap=300.0) for _ in range(1000)]
    assert min(waits) < 21.0
    assert max(waits) > 39.0


@given(st.integers(0, 100), st.none() | ANY_NUMBER, ANY_NUMBER, st.integers(0, 99))
def test_no_wait_is_longer_than_the_call_has_time(number: int, asked: float | None, left: float, seed: int) -> None:
    """Nor longer than a minute, nor below nothing, whatever a server asks for."""
    wait = wait_before_retry(number, asked, left, Random(seed))
    if wait is not None:
        assert 0.0 <= wait <= LONGEST_WAIT
        assert math.isnan(left) or wait < left


@pytest.mark.parametrize(
    ("asked", "left", "wait"),
    [
        (7.0, 100.0, 7.0),
        (0.0, 100.0, 0.0),
        (60.0, 100.0, 60.0),
        (60.1, 100.0, None),
        (1e308, math.inf, None),
        (math.inf, math.inf, None),
        (7.0, 7.0, None),
        (7.0, 0.0, None),
    ],
)
def test_what_a_server_asks_for_is_done_or_not_waited_for(asked: float, left: float, wait: float | None) -> None:
    """It is never tried sooner than it asks."""
    assert wait_before_retry(0, asked, left, Random(1)) == wait


@pytest.mark.parametrize("asked", [-1.0, math.nan, -math.inf])
def test_nonsense_is_as_if_nothing_was_asked(asked: float) -> None:
    """A plugin may say what no header can."""
    wait = wait_before_retry(0, asked, 100.0, Random(1))
    assert wait is not None
    assert 0.0 <= wait <= 0.25
