"""What a bucket does with what the shared state says, and without it: values alone, no server and no time."""

import math
from typing import Any

import pytest

from modelhub.shared.lease import LeasedBucket
from modelhub.shared.link import Link

FREE: list[Any] = []


@pytest.fixture
def link() -> Link:
    """Give a link that is in touch, as one of two processes."""
    link = Link(lambda: None)
    link.started(0.0)
    turn(link, 0.0)
    return link


def turn(link: Link, now: float, *buckets: LeasedBucket, answer: Any = (0, 0, 0, FREE), **news: Any) -> list[Any]:
    """Take a turn that takes no time, and return what was asked."""
    asked = [bucket.ask(now) for bucket in buckets]
    link.sent(now)
    lost = link.answered(now, **{"epoch": "a", "peers": 2, **news})
    for bucket in buckets:
        if lost:
            bucket.begin_anew(now)
        else:
            bucket.answer(now, now, answer)
    return asked


def test_a_lease_is_used_for_a_quarter_of_a_second(link: Link) -> None:
    """What was granted is taken without asking; what is left of it then is given back where it was entered."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    turn(link, 1.0, bucket, answer=(20, 77, 0, FREE))
    assert bucket.reserve(15.0, 1.1) == 0.0
    assert bucket.reserve(5.0, 1.3) > 0.0
    (asked,) = turn(link, 1.3, bucket)
    assert asked["unused"] == [[77, 5.0]]
    assert asked["used"] == []
    assert asked["want"] >= asked["least"] == 5.0


def test_what_is_taken_in_advance_is_told_and_small(link: Link) -> None:
    """Half of 3 % of the limit each, until it is told; none where nothing was left."""
    bucket = LeasedBucket("k", 1000.0, 60.0, link)
    assert sum(bucket.reserve(1.0, 1.0) == 0.0 for _ in range(30)) == 15
    (asked,) = turn(link, 1.5, bucket, answer=(0, 0, 20_000, [[50_000, 1000.0]]))
    assert asked["used"] == [[500, 15.0]]
    assert bucket.reserve(1.0, 1.6) == pytest.approx(19.9)


def test_without_an_answer_calls_go_on_with_their_share(link: Link) -> None:
    """What all had used when it was last seen counts for each process by its part, until it is over."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    turn(link, 1.0, bucket, answer=(0, 0, 0, [[-20_000, 60.0]]))
    link.failed(2.0)
    assert sum(bucket.reserve(1.0, 2.0) == 0.0 for _ in range(50)) == 20
    assert bucket.wait(1.0, 2.0) == pytest.approx(39.0)
    assert sum(bucket.reserve(1.0, 42.0) == 0.0 for _ in range(50)) == 30
    assert bucket.reserve(80.0, 42.0) > 0.0  # more than the share, and not never: it goes alone
    assert bucket.reserve(80.0, 110.0) == 0.0
    assert bucket.reserve(101.0, 200.0) == math.inf


def test_what_was_used_alone_is_told_when_there_is_an_answer_again(link: Link) -> None:
    """Until the others are back too, the share is what counts; then leases do."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    link.failed(1.0)
    bucket.reserve(30.0, 2.0)
    bucket.ask(3.0)
    bucket.unanswered()
    (asked,) = turn(link, 4.0, bucket, answer=(0, 0, 0, [[60_000, 30.0]]))
    assert asked["used"] == [[2000, 30.0]]
    assert asked["want"] == 0.0
    assert bucket.reserve(20.0, 9.9) == 0.0
    assert bucket.reserve(20.0, 9.9) > 1.0
    assert bucket.reserve(20.0, 10.1) < 1.0
    (asked,) = turn(link, 10.2, bucket)
    assert asked["want"] >= 20.0


def test_a_state_that_was_lost_is_told_everything_once_more(link: Link) -> None:
    """Leases are void, and for a moment the share is what counts."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    turn(link, 1.0, bucket, answer=(50, 7, 0, [[250, 50.0]]))
    bucket.reserve(40.0, 1.1)
    turn(link, 1.15, bucket, epoch="b")
    assert bucket.reserve(26.0, 1.2) > 0.0
    assert bucket.reserve(25.0, 1.2) == 0.0
    (asked,) = turn(link, 1.3, bucket, epoch="b")
    assert asked["used"] == [[100, 65.0]]
    assert asked["unused"] == []


def test_a_turn_that_takes_long_is_not_waited_for(link: Link) -> None:
    """After 50 ms under way, or a quarter of a second that nobody answers, the share is what counts."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    link.sent(1.0)
    assert bucket.reserve(40.0, 1.04) > 0.0
    assert bucket.reserve(40.0, 1.06) == 0.0
    other = LeasedBucket("l", 100.0, 60.0, link)
    turn(link, 2.0, other, bucket)
    assert other.reserve(40.0, 9.0) > 0.0
    assert other.reserve(40.0, 9.2) > 0.0
    assert other.reserve(40.0, 9.3) == 0.0


def test_corrections_go_where_the_amount_stands(link: Link) -> None:
    """What was not told yet is corrected here, what is booked is corrected there, and just now it goes back."""
    bucket = LeasedBucket("k", 1000.0, 60.0, link)
    assert bucket.reserve(10.0, 1.0) == 0.0
    bucket.settle(10.0, 4.0, 2.0, since=1.0)
    turn(link, 2.0, bucket, answer=(100, 7, 0, FREE))
    assert bucket.reserve(100.0, 2.1) == 0.0
    bucket.settle(100.0, 0.0, 2.1)
    assert bucket.reserve(100.0, 2.2) == 0.0
    bucket.settle(100.0, 30.0, 3.0, since=2.2)
    bucket.settle(30.0, 35.0, 3.0, since=2.2)
    (asked,) = turn(link, 4.0, bucket)
    assert asked["refunds"] == [[1800, 70.0]]
    assert asked["used"] == [[1000, 5.0]]
    link.failed(4.0)
    assert bucket.wait(500.0, 4.0) == 0.0
    bucket.reserve(100.0, 5.0)
    bucket.settle(100.0, 0.0, 5.5, since=5.0)
    assert bucket.wait(500.0, 6.0) == 0.0


def test_a_process_that_stops_gives_up_its_leases(link: Link) -> None:
    """The last turn gives back everything, and asks for nothing."""
    bucket = LeasedBucket("k", 100.0, 60.0, link)
    turn(link, 1.0, bucket, answer=(20, 7, 0, FREE))
    assert bucket.busy(1.0)
    bucket.leave()
    (asked,) = turn(link, 1.1, bucket)
    assert (asked["unused"], asked["want"]) == ([[7, 20.0]], 0.0)
    assert not bucket.busy(1.2)
    assert bucket.ask(1.3) is None


def test_before_the_first_turn_little_is_taken() -> None:
    """A quarter of 3 % in advance, or a quarter of the limit where nobody answers; all of it where nobody can be."""
    link = Link(lambda: None)
    bucket = LeasedBucket("k", 1000.0, 60.0, link)
    assert bucket.reserve(8.0, 0.0) > 0.0
    assert bucket.reserve(7.0, 0.0) == 0.0
    link.started(0.0)
    assert bucket.wait(200.0, 1.0) > 0.0
    assert bucket.wait(200.0, 3.5) == 0.0
    link.sent(3.0)
    assert LeasedBucket("l", 1000.0, 60.0, link).wait(200.0, 3.6) == 0.0
    link.failed(4.0)
    assert bucket.wait(990.0, 4.0) == 0.0
    assert repr(link) == "<Link: alone, 1 processes, 2 ms>"


def test_who_stopped_and_starts_again_waits_for_the_others(link: Link) -> None:
    """As after a failure, the share counts for a while."""
    link.stopped()
    assert link.alone(1e9)
    link.started(10.0)
    assert link.alone(15.9)
    assert not link.alone(16.1)
