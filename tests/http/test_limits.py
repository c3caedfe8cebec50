"""Limits of time are decided by a clock alone, so they are proved without waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.http.seam import HttpResponse, ReadLimits


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def limits(clock: Clock, **seconds: float) -> ReadLimits:
    """Return limits that begin now."""
    return ReadLimits(clock, **{"connect": 5.0, "first_token": 300.0, "idle": 60.0, **seconds})


def test_until_content_the_time_runs_from_the_start() -> None:
    """However many bytes come; afterwards each read has its own."""
    clock = Clock()
    given_limits = limits(clock)
    assert given_limits.remaining() == 300
    clock.now += 290
    assert given_limits.remaining() == 10
    given_limits.content_came()
    assert given_limits.remaining() == 60
    clock.now += 1000
    assert given_limits.remaining() == 60


def test_a_deadline_ends_everything() -> None:
    """Before content, after it, and while connecting."""
    clock = Clock()
    given_limits = limits(clock, deadline=1003.0, total=3.0)
    assert given_limits.remaining() == 3
    assert given_limits.connecting().remaining() == 3
    given_limits.content_came()
    clock.now += 2
    assert given_limits.remaining() == 1
    clock.now += 2
    assert given_limits.remaining() == 0
    assert given_limits.connecting().remaining() == 0


def test_another_request_of_the_attempt_has_its_own_time() -> None:
    """The last of many batches has as long as the first."""
    clock = Clock()
    given_limits = limits(clock)
    clock.now += 299
    given_limits.restart()
    assert given_limits.remaining() == 300


@given(st.floats(0, 1000), st.floats(0, 1000), st.booleans())
def test_no_read_may_take_less_than_no_time(passed: float, deadline: float, content: bool) -> None:  # noqa: FBT001
    """A limit that has passed is 0, which every event loop understands."""
    clock = Clock()
    given_limits = limits(clock, deadline=1000 + deadline)
    if content:
        given_limits.content_came()
    clock.now += passed
    assert 0 <= given_limits.remaining() <= 300
    assert 0 <= given_limits.connecting().remaining() <= 5


@pytest.mark.parametrize(
    ("content", "passed", "phase", "seconds", "text"),
    [
        (False, 300, "first_token", 300, "no content within 300 s"),
        (True, 60, "idle", 60, "nothing came for 60 s"),
        (False, 400, "total", 400, "within the 400 s that the caller allowed"),
        (True, 399.995, "total", 400, "within the 400 s"),
        (True, 399, "idle", 60, "nothing came for 60 s"),
    ],
)
def test_an_error_says_which_limit_it_was(
    *, content: bool, passed: float, phase: str, seconds: float, text: str
) -> None:
    """A timer may be early by a little: the caller's own deadline is recognised all the same."""
    clock = Clock()
    given_limits = limits(clock, deadline=1400.0, total=400.0)
    if content:
        given_limits.content_came()
    clock.now += passed
    error = given_limits.expired("read", sent=True)
    assert (error.phase, error.seconds, error.sent) == (phase, seconds, True)
    assert text in error.message


def test_a_connection_that_took_too_long_was_not_sent() -> None:
    """Unless it was the caller's deadline, its phase is `connect`."""
    clock = Clock()
    error = limits(clock).expired("connect", sent=False)
    assert (error.phase, error.seconds, error.sent) == ("connect", 5, False)


def test_bodies_are_not_shown() -> None:
    """An answer in a log line is its status and headers."""
    assert "secret" not in repr(HttpResponse(200, {}, b"secret"))
