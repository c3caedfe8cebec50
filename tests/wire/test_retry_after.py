"""A server's wish to wait is read in every form that servers use, and nonsense is no wish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.wire.retry_after import LONGEST_WAIT, retry_after

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("1.5", 1.5),
        ("0", 0.0),
        (" 5 ", 5.0),
        ("46s", 46.0),
        ("3600", 3600.0),
        ("1e308", LONGEST_WAIT),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        ("Sun Nov  6 08:49:47 1994", 10.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT),
        ("-1", None),
        ("NaN", None),
        ("inf", None),
        ("-Infinity", None),
        ("1e309", None),
        ("1_000", None),
        ("١٢", None),
        ("soon", None),
        ("", None),
        ("Sun, 99 Foo 1994 99:99:99 GMT", None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None),
        ("9" * 65536, None),
        ("Sun, 06 Nov 1994 " + "0" * 65536, None),
    ],
)
def test_the_header_in_its_forms(value: str, wait: float | None) -> None:
    """Seconds, fractions and dates count; negative, infinite and unreadable values do not."""
    assert retry_after({"retry-after": value}, NOW) == wait


def test_milliseconds_come_first_if_they_can_be_read() -> None:
    """The finer header wins, and falls back to the coarser one."""
    assert retry_after({"retry-after-ms": "200", "retry-after": "5"}) == 0.2
    assert retry_after({"x-ms-retry-after-ms": "1500"}) == 1.5
    assert retry_after({"retry-after-ms": "100000000"}) == LONGEST_WAIT
    assert retry_after({"retry-after-ms": "-1", "retry-after": "5"}) == 5.0


def test_a_date_is_measured_against_the_servers_own_clock() -> None:
    """The answer's date beats the local clock; without either a date says nothing."""
    headers = {"Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT", "Date": "Sun, 06 Nov 1994 08:49:40 GMT"}
    assert retry_after(headers, NOW) == 7.0
    assert retry_after({"retry-after": headers["Retry-After"]}) is None
    assert retry_after({}) is None


@given(
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "date"]), st.text()),
    st.floats() | st.none(),
)
def test_no_header_raises(headers: dict[str, str], now: float | None) -> None:
    """Whatever comes, the answer is a usable number of seconds or none."""
    wait = retry_after(headers, now)
    assert wait is None or 0 <= wait <= LONGEST_WAIT
