"""Rate limits are read from headers whatever they are called, and nonsense says nothing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.wire.rate_headers import RateFact, RateFacts, rate_facts
from modelhub.wire.retry_after import LONGEST_WAIT

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT
USUAL = {
    "date": "Sun, 06 Nov 1994 08:49:37 GMT",
    "content-type": "application/json",
    "content-length": "812",
    "connection": "keep-alive",
    "server": "front",
    "x-request-id": "req_0123456789",
    "cache-control": "no-cache",
    "strict-transport-security": "max-age=31536000",
}


def test_field_before_kind() -> None:
    """The names that most servers use, with durations as Go writes them."""
    headers = {
        **USUAL,
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert rate_facts(headers) == RateFacts(RateFact(60.0, 59.0, 1.0), RateFact(150000.0, 149984.0, 360.0))


def test_kind_before_field() -> None:
    """The names that have a vendor's own word in front and the kind in the middle, with dates."""
    headers = {
        **USUAL,
        "harbour-ratelimit-requests-limit": "50",
        "harbour-ratelimit-requests-remaining": "49",
        "harbour-ratelimit-requests-reset": "1994-11-06T08:50:07Z",
        "harbour-ratelimit-tokens-limit": "90000",
        "harbour-ratelimit-input-tokens-remaining": "40000",
        "Harbour-RateLimit-Output-Tokens-Reset": "1994-11-06T10:49:47+02:00",
    }
    assert rate_facts(headers) == RateFacts(
        requests=RateFact(50.0, 49.0, 30.0),
        tokens=RateFact(limit=90000.0),
        input_tokens=RateFact(remaining=40000.0),
        output_tokens=RateFact(reset=10.0),
    )


def test_the_drafts_of_a_standard() -> None:
    """Fields without a kind count requests; their limit is left out where nobody says for how long it is."""
    headers = {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "7", "ratelimit-reset": "30"}
    assert rate_facts(headers) == RateFacts(RateFact(None, 7.0, 30.0))
    headers = {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60,"day";q=1000;w=86400'}
    assert rate_facts(headers) == RateFacts(RateFact(100.0, 50.0, 30.0))
    assert rate_facts({"ratelimit-policy": '"day";q=1000;w=86400'}) is None


@pytest.mark.parametrize(
    ("value", "reset"),
    [
        ("12ms", 0.012),
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h2m3.5s", 3723.5),
        ("250µs", 0.00025),
        ("0s", 0.0),
        ("1d2h", LONGEST_WAIT),
        ("0.5", 0.5),
        ("90", 90.0),
        ("1e308", None),
        ("784111807", LONGEST_WAIT),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("1994-11-06T08:49:47.5Z", 10.5),
        ("1994-11-06T08:49:47", 10.0),
        ("1994-11-06T08:00:00Z", 0.0),
        ("9999-12-31T23:59:59Z", LONGEST_WAIT),
        ("0001-01-01T00:00:00+14:00", 0.0),
        ("-1", None),
        ("NaN", None),
        ("soon", None),
        ("", None),
        ("1s1", None),
        ("1..5s", None),
        ("1" * 65536 + "s", None),
    ],
)
def test_a_reset_in_its_forms(value: str, reset: float | None) -> None:
    """Seconds, durations and dates count, up to a day."""
    facts = rate_facts({"x-ratelimit-reset-tokens": value}, NOW)
    assert facts == (None if reset is None else RateFacts(tokens=RateFact(reset=pytest.approx(reset))))


def test_a_unix_time_is_measured_against_the_servers_clock() -> None:
    """A reset beyond all waits is a time; without a clock it says nothing."""
    headers = {"x-ratelimit-reset-requests": "1700000030"}
    assert rate_facts(headers) is None
    assert rate_facts(headers, 1_700_000_000.0) == RateFacts(RateFact(reset=30.0))
    headers["date"] = "Tue, 14 Nov 2023 22:13:10 GMT"
    assert rate_facts(headers, 5.0) == RateFacts(RateFact(reset=40.0))


@pytest.mark.parametrize("limit", ["-1", "0", "0.0", "-5.5"])
def test_a_limit_of_nothing_voids_what_is_said_of_its_kind(limit: str) -> None:
    """Servers without a limit to tell send 0 or -1, and a remaining of 0 beside it."""
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-tokens": "5",
    }
    assert rate_facts(headers) == RateFacts(tokens=RateFact(remaining=5.0))
    assert rate_facts({"ratelimit-limit": limit, "ratelimit-remaining": "0"}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-ratelimit-remaining-requests", "-1"),
        ("x-ratelimit-remaining-requests", "NaN"),
        ("x-ratelimit-remaining-requests", "1e308"),
        ("x-ratelimit-remaining-requests", "inf"),
        ("x-ratelimit-remaining-requests", "9" * 65536),
        ("x-ratelimit-limit-requests", "unlimited"),
        ("x-ratelimit-limit-requests-day", "14400"),
        ("x-ratelimit-remaining-images", "4"),
        ("x-ratelimit-remaining-limit-requests", "4"),
        ("x-ratelimit-requests", "4"),
        ("x-ratelimit-over-limit", "no"),
        ("x-ratelimitbysize-remaining-tokens", "4"),
        ("x-" + "a" * 65536 + "-ratelimit-remaining", "4"),
        ("ratelimit", "r=5;t=3"),
        ("ratelimit", '"a";r=-5;t=30000000'),
    ],
)
def test_what_says_nothing(name: str, value: str) -> None:
    """Nonsense, and counts of something else."""
    assert rate_facts({name: value}, NOW) is None


def test_the_minute_may_be_named() -> None:
    """A limit by the minute is one of ours; of two words about one thing the tighter one counts."""
    headers = {"x-ratelimit-remaining-tokens-minute": "40", "other-ratelimit-tokens-remaining": "30"}
    assert rate_facts(headers) == RateFacts(tokens=RateFact(remaining=30.0))


WORDS = st.sampled_from(["x", "ratelimit", "limit", "remaining", "reset", "requests", "tokens", "input", "policy", "w"])
NAMES = st.lists(WORDS, max_size=6).map("-".join) | st.text()
VALUES = (
    st.text()
    | st.floats().map(str)
    | st.integers().map(str)
    | st.datetimes().map(str)
    | st.from_regex(r"(\d+(\.\d*)?(ms|s|m|h|d))+")
    | st.from_regex(r'"\w*"(;[a-z]+=\w+)+')
)


@given(st.dictionaries(NAMES, VALUES), st.none() | st.floats())
@example({"ratelimit": '"a";w=60;w=60;r=1'}, None)
def test_no_header_raises(headers: dict[str, str], now: float | None) -> None:
    """Whatever comes, each figure is usable or there is none."""
    facts = rate_facts(headers, now)
    if facts is not None:
        kinds = [facts.requests, facts.tokens, facts.input_tokens, facts.output_tokens]
        assert any(kinds)
        for fact in filter(None, kinds):
            assert fact != RateFact()
            assert fact.limit is None or 0 < fact.limit <= 1e12
            assert fact.remaining is None or 0 <= fact.remaining <= 1e12
            assert fact.reset is None or 0 <= fact.reset <= LONGEST_WAIT


def test_an_answer_without_them_says_nothing() -> None:
    """Usual headers hold no word of rate limits."""
    assert rate_facts(USUAL) is rate_facts({}) is None


def test_questions_and_answers_apart_say_something_of_both_together() -> None:
    """Where either are used up, so are both; else what is left of each is left together. One alone says nothing."""
    asked, answered = RateFact(100.0, 10.0, 30.0), RateFact(20.0, 5.0, 20.0)
    assert RateFacts(input_tokens=asked, output_tokens=answered).all_tokens == RateFact(120.0, 15.0, 20.0)
    spent = RateFact(20.0, 0.0, 20.0)
    assert RateFacts(input_tokens=asked, output_tokens=spent).all_tokens == RateFact(None, 0.0, 20.0)
    assert RateFacts(input_tokens=spent).all_tokens == RateFact(None, 0.0, 20.0)
    assert RateFacts(input_tokens=asked).all_tokens is None
    assert RateFacts(tokens=asked, input_tokens=answered, output_tokens=answered).all_tokens == asked
    assert RateFacts(input_tokens=RateFact(1.0), output_tokens=RateFact(2.0)).all_tokens == RateFact(3.0)
    assert RateFacts().all_tokens is None
