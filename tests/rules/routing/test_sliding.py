"""The log of a period is small, and never forgets too early."""

from modelhub.rules.routing.sliding import SlidingLog


def test_a_log_stays_small() -> None:
    """A minute of a hundred thousand amounts is kept in 121 cells, and counts as long as its latest."""
    log = SlidingLog(60.0)
    for step in range(100_000):
        log.forget(step * 0.001)
        log.add(1.0, step * 0.001)
    assert len(log) <= 121
    assert 60_000 <= log.total <= 60_500
    assert sum(amount for _, amount in log.entries()) == log.total
    assert repr(log) == f"<SlidingLog: {log.total:g} in 60 s>"


def test_what_cannot_be_found_is_not_taken_back() -> None:
    """An amount is taken back where it stands, up to what stands there, and not where nothing was entered."""
    log = SlidingLog(60.0)
    for time in (10.0, 20.0, 30.0):
        log.add(5.0, time)
    assert log.remove(2.0, 15.0) == log.remove(2.0, 5.0) == log.remove(2.0, 31.0) == 0.0
    assert log.remove(7.0, 20.0) == 5.0
    assert list(log.entries()) == [(10.0, 5.0), (30.0, 5.0)]


def test_a_time_that_lies_back_counts_as_the_latest() -> None:
    """A clock that went back makes nothing count for less long."""
    log = SlidingLog(60.0)
    log.add(5.0, 100.0)
    log.add(5.0, 10.0)
    assert list(log.entries()) == [(100.0, 10.0)]


def test_a_log_says_when_it_will_have_forgotten_enough() -> None:
    """The wait is that of the oldest amounts that must go."""
    log = SlidingLog(60.0)
    assert log.until(0.0, 0.0) == 0.0
    for time in (10.0, 20.0, 30.0):
        log.add(5.0, time)
    assert [log.until(total, 40.0) for total in (15.0, 10.0, 7.0, 0.0, -1.0)] == [0.0, 30.0, 40.0, 50.0, 50.0]
