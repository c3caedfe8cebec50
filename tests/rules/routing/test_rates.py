"""A limit is never exceeded in any period, wherever that begins, and what is offered beyond it is used."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from modelhub.rules.routing.rates import Bucket, RateBucket, Rates
from modelhub.rules.routing.told import Told

CLOSE = 1e-6
TIMES = st.floats(0.0, 40.0, allow_nan=False) | st.sampled_from([0.0, 0.01, 0.5, 10.0, 60.0, 59.9])
AMOUNTS = st.floats(0.01, 120.0) | st.sampled_from([1.0, 0.1, 30.0, 50.0, 100.0])


ROUNDING = 1e-15 * 8  # of a time that was added up


@dataclass
class Oracle:
    """Every grant with its time, added up by brute force."""

    period: float
    grants: list[tuple[float, float]] = field(default_factory=list)

    def within(self, now: float) -> float:
        """Return what was taken in the period that ends at a time, which floating point tells to a nanosecond or so."""
        return math.fsum(amount for time, amount in self.grants if now - self.period + ROUNDING * now < time <= now)

    def most(self) -> float:
        """Return the most that any period holds; one that ends with a grant holds the most."""
        return max((self.within(time) for time, _ in self.grants), default=0.0)


@given(
    limit=st.floats(0.5, 1000.0),
    period=st.sampled_from([1.0, 60.0, 3600.0]),
    steps=st.lists(st.tuples(TIMES, AMOUNTS), max_size=60),
    start=st.floats(0.0, 1e7),
)
def test_no_period_holds_more_than_the_limit(
    limit: float, period: float, steps: list[tuple[float, float]], start: float
) -> None:
    """Whatever is asked for at whatever times, each window sums up to the limit at most."""
    bucket, oracle, now = RateBucket(limit, period), Oracle(period), start
    for pause, amount in steps:
        now += pause * period / 60
        if bucket.reserve(amount, now) == 0.0:
            oracle.grants.append((now, amount))
    assert oracle.most() <= limit * (1 + CLOSE)


@given(
    limit=st.integers(1, 200),
    burst=st.none() | st.floats(0.5, 200.0),
    steps=st.lists(st.tuples(TIMES, AMOUNTS), min_size=1, max_size=40),
)
def test_who_waits_as_long_as_told_gets_it(limit: int, burst: float | None, steps: list[tuple[float, float]]) -> None:
    """After the wait that was named, the amount is there; a moment earlier it is not."""
    bucket, now = RateBucket(limit, 60.0, burst=burst), 1000.0
    for pause, amount in steps:
        now += pause
        wait = bucket.reserve(amount, now)
        assert bucket.wait(amount, now) >= 0.0
        if amount > limit * (1 + CLOSE):
            assert wait == math.inf
        elif 0 < wait < math.inf:
            assert wait <= 60.0 + CLOSE + 60.0 * amount / limit
            assert bucket.wait(amount, now + wait / 2) > 0.0
            now += wait
            assert bucket.reserve(amount, now) <= CLOSE


@pytest.mark.parametrize("limit", [3, 100, 6000])
@pytest.mark.parametrize("burst", [None, 1.0])
def test_what_is_offered_beyond_the_limit_uses_it(limit: int, burst: float | None) -> None:
    """Of ten times the limit, at least 95 % of the limit is let through, over ten minutes."""
    bucket, oracle = RateBucket(limit, burst=burst), Oracle(60.0)
    for step in range(limit * 100):
        now = 5.0 + step * 6.0 / limit
        if bucket.reserve(1.0, now) == 0.0:
            oracle.grants.append((now, 1.0))
    assert len(oracle.grants) >= 0.95 * limit * 10
    if limit < 1000:
        assert oracle.most() <= limit


def test_600_requests_a_minute_over_two_keys_of_100() -> None:
    """Neither key is asked more than 100 times in any 60 s, and both together at least 190 times a minute."""
    keys = [(RateBucket(100), Oracle(60.0)) for _ in range(2)]
    for step in range(6000):
        now = step * 0.1
        for bucket, oracle in keys:
            if bucket.wait(1.0, now) == 0.0:
                assert bucket.reserve(1.0, now) == 0.0
                oracle.grants.append((now, 1.0))
                break
    assert all(oracle.most() <= 100 for _, oracle in keys)
    assert sum(len(oracle.grants) for _, oracle in keys) >= 0.95 * 200 * 10


def test_a_burst_is_spread() -> None:
    """With a burst, so much goes at once and the rest evenly; a larger amount goes alone."""
    bucket = RateBucket(60, burst=5)
    assert sum(bucket.reserve(1.0, 0.0) == 0.0 for _ in range(10)) == 5
    assert bucket.wait(1.0, 0.0) == 1.0
    assert sum(bucket.reserve(1.0, step * 0.1) == 0.0 for step in range(100, 200)) == 5 + 9
    assert bucket.reserve(20.0, 40.0) == 0.0
    assert bucket.wait(1.0, 40.0) == pytest.approx(16.0)


def test_what_is_more_than_the_limit_never_comes() -> None:
    """No wait helps an amount beyond the limit, and asking for it takes nothing; nothing at all is always there."""
    bucket = RateBucket(10)
    assert bucket.reserve(10.5, 0.0) == math.inf
    assert bucket.reserve(10.0, 0.0) == 0.0
    assert bucket.reserve(0.0, 0.0) == bucket.reserve(-1.0, 0.0) == bucket.reserve(math.nan, 0.0) == 0.0
    assert bucket.used(0.0) == 10.0


def test_a_reservation_is_corrected_where_it_stands() -> None:
    """What was reserved too much is there again at once; what is older than a period is not given back twice."""
    bucket = RateBucket(100)
    assert bucket.reserve(80.0, 0.0) == bucket.reserve(20.0, 30.0) == 0.0
    bucket.settle(80.0, 10.0, 40.0, since=0.0)
    assert bucket.wait(70.0, 40.0) == 0.0
    assert bucket.wait(71.0, 40.0) == 20.0
    bucket.settle(20.0, 0.0, 95.0, since=30.0)
    assert bucket.used(95.0) == 0.0


def test_a_debt_is_paid_before_anything_else_is_taken() -> None:
    """More than was reserved counts from when it is known, beyond the limit too, and nothing is taken until then."""
    bucket = RateBucket(100)
    bucket.reserve(50.0, 0.0)
    bucket.settle(50.0, 250.0, 10.0, since=0.0)
    assert bucket.used(10.0) == 250.0
    assert bucket.wait(1.0, 10.0) == 60.0
    assert bucket.reserve(100.0, 70.0) == 0.0


def test_headers_only_tighten_and_wear_off() -> None:
    """What remains by the vendor's word is the bound until its reset, a lower limit for a period at least."""
    bucket = RateBucket(100)
    bucket.tighten(0.0, limit=1000.0, remaining=5.0, reset=20.0)
    assert bucket.wait(6.0, 0.0) == 20.0
    assert bucket.reserve(5.0, 0.0) == 0.0
    assert bucket.wait(1.0, 1.0) == 19.0
    bucket.tighten(2.0, limit=None, remaining=50.0, reset=20.0)
    assert bucket.wait(1.0, 2.0) == 18.0
    assert bucket.wait(95.0, 20.0) == 0.0
    bucket.tighten(20.0, limit=50.0, remaining=None, reset=0.006)
    assert bucket.wait(45.0, 20.0) == 0.0
    assert bucket.wait(46.0, 20.0) == 40.0
    assert bucket.wait(60.0, 20.0) == 60.0
    assert bucket.wait(95.0, 80.0) == 0.0


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        (0.0, None, 10.0),
        (-1.0, -1.0, 10.0),
        (math.nan, math.nan, math.nan),
        (math.inf, math.inf, math.inf),
        (None, 3.0, 0.0),
        (None, None, None),
    ],
)
def test_nonsense_in_headers_says_nothing(limit: float | None, remaining: float | None, reset: float | None) -> None:
    """Limits of 0, negative, infinite and undefined figures, and what is already over, bound nothing."""
    bucket = RateBucket(100)
    bucket.tighten(0.0, limit=limit, remaining=remaining, reset=reset)
    assert bucket.reserve(100.0, 0.0) == 0.0


def test_a_reset_that_is_far_away_counts_for_ten_periods() -> None:
    """A key that has nothing left for a day is asked again after ten periods."""
    bucket = RateBucket(100)
    bucket.tighten(0.0, limit=None, remaining=0.0, reset=86400.0)
    assert bucket.wait(1.0, 0.0) == 600.0


def test_a_refund_counts_against_what_remains_only_if_it_was_taken_since() -> None:
    """The vendor had counted what was sent before it said how much remained."""
    bucket = RateBucket(100)
    bucket.reserve(20.0, 0.0)
    bucket.tighten(1.0, limit=None, remaining=10.0, reset=30.0)
    bucket.reserve(10.0, 2.0)
    bucket.settle(20.0, 0.0, 3.0, since=0.0)
    assert bucket.wait(1.0, 3.0) == 28.0
    bucket.settle(10.0, 4.0, 3.0, since=2.0)
    assert bucket.wait(6.0, 3.0) == 0.0
    assert bucket.wait(7.0, 3.0) == 28.0


def test_a_bucket_says_how_full_it_is() -> None:
    """Its `repr` has what counts now."""
    bucket = RateBucket(1e9)
    for step in range(70_000):
        bucket.reserve(1.0, step * 0.001)
    assert repr(bucket).startswith("<RateBucket: 60")


class Buckets(RuleBasedStateMachine):
    """A bucket beside a log of everything, through reservations, corrections, headers and time."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket: Bucket = RateBucket(100.0)
        self.oracle = Oracle(60.0)
        self.now = 50.0
        self.open: list[tuple[float, float]] = []

    @rule(pause=TIMES)
    def time_passes(self, pause: float) -> None:
        """Go on in time."""
        self.now += pause

    @rule(amount=AMOUNTS)
    def reserve(self, amount: float) -> None:
        """Take what is there, which never exceeds the limit."""
        promised = self.bucket.wait(amount, self.now)
        assert self.bucket.reserve(amount, self.now) == promised
        if promised == 0.0:
            assert self.oracle.within(self.now) + amount <= 100.0 * (1 + CLOSE)
            self.oracle.grants.append((self.now, amount))
            self.open.append((self.now, amount))

    @precondition(lambda self: self.open)
    @rule(data=st.data(), share=st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.7, 20.0]))
    def settle(self, data: st.DataObject, share: float) -> None:
        """Correct a call of any age to less or more."""
        since, amount = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        self.bucket.settle(amount, amount * share, self.now, since=since)
        self.oracle.grants.remove((since, amount))
        self.oracle.grants.append((since, amount * min(share, 1.0)))
        if share > 1.0:
            self.oracle.grants.append((self.now, amount * (share - 1.0)))

    @rule(
        limit=st.none() | st.floats(),
        remaining=st.none() | st.floats(),
        reset=st.none() | st.floats(),
        amount=AMOUNTS,
    )
    def tighten(self, limit: float | None, remaining: float | None, reset: float | None, amount: float) -> None:
        """Hear any headers, which never shorten a wait."""
        before = self.bucket.wait(amount, self.now)
        self.bucket.tighten(self.now, limit=limit, remaining=remaining, reset=reset)
        assert self.bucket.wait(amount, self.now) >= before

    def teardown(self) -> None:
        """Nothing is lost for longer than a period, nor a word of headers for longer than ten."""
        assert self.bucket.wait(100.0, self.now + 601.0) == 0.0


TestBuckets = Buckets.TestCase


def test_requests_and_tokens_are_taken_together_or_not_at_all() -> None:
    """Where one of them is short, the other is not touched, and the longer of the waits is named."""
    requests, tokens = RateBucket(2), RateBucket(1000)
    rates = Rates(requests, tokens)
    assert rates.reserve(600.0, 0.0) == 0.0
    assert rates.reserve(600.0, 10.0) == rates.wait(600.0, 10.0) == 50.0
    assert (requests.used(10.0), tokens.used(10.0)) == (1.0, 600.0)
    assert rates.reserve(400.0, 20.0) == 0.0
    tokens.settle(400.0, 0.0, 30.0, since=20.0)
    assert rates.reserve(100.0, 30.0) == 30.0
    assert (requests.used(30.0), tokens.used(30.0)) == (2.0, 600.0)
    assert rates.reserve(2000.0, 30.0) == math.inf


def test_a_call_that_was_not_sent_costs_nothing() -> None:
    """Its request and its tokens are there again; of one that was sent, the tokens are corrected."""
    requests, tokens = RateBucket(10), RateBucket(1000)
    rates = Rates(requests, tokens)
    rates.reserve(600.0, 0.0)
    rates.refund(600.0, 5.0, since=0.0)
    assert (requests.used(5.0), tokens.used(5.0)) == (0.0, 0.0)
    rates.reserve(600.0, 6.0)
    rates.settle(600.0, 50.0, 9.0, since=6.0)
    assert (requests.used(9.0), tokens.used(9.0)) == (1.0, 50.0)


def test_what_has_no_limit_is_always_there() -> None:
    """Without buckets nothing is counted; with one of them, that one alone decides."""
    assert Rates().reserve(1e9, 0.0) == Rates().wait(1e9, 0.0) == 0.0
    Rates().refund(1.0, 0.0)
    assert Rates(requests=RateBucket(1)).reserve(1e9, 0.0) == 0.0
    assert Rates(tokens=RateBucket(1)).wait(2.0, 0.0) == math.inf


def test_a_word_of_headers_shows_what_it_bounds() -> None:
    """Its `repr` has both figures."""
    told = Told(60.0)
    told.hear(0.0, limit=100.0, remaining=7.0, reset=1.0)
    assert repr(told) == "<Told: limit 100, remaining 7>"
