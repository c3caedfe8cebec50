"""Where a call goes on after a failure."""

from random import Random

from benchmarks.simulation import option

from modelhub.errors import ConnectFailed, MalformedResponse, ServerError
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Route
from modelhub.rules.routing.verdict import verdict


def test_a_second_answer_that_is_none_ends_the_group_and_not_the_route() -> None:
    """Two web pages say that all stands behind one page: the others beside them are spared, the next group is asked."""
    a, b, c, elsewhere = map(option, ("a", "b", "c", "elsewhere"))
    route = Route("r", (Group((a, b, c)), Group((elsewhere,))), RetryBudget())
    course = Course(route, retries=5)
    error = MalformedResponse("a web page")
    assert course.failed(a, error, verdict(error), 1.0, Random(1))
    assert [each.id for each in course.left] == ["b", "c", "elsewhere"]
    assert course.failed(b, error, verdict(error), 2.0, Random(1))
    assert [each.id for each in course.left] == ["elsewhere"]
    assert not course.failed(elsewhere, error, verdict(error), 3.0, Random(1))


def test_a_group_that_stands_in_is_tried_however_many_failed_before_it() -> None:
    """Retries are for the deployments of a group; the next group is entitled to one try."""
    dead = tuple(option(f"dead{number}") for number in range(6))
    (alive,) = (option("alive"),)
    route = Route("r", (Group(dead), Group((alive,))), RetryBudget())
    course = Course(route, retries=2)
    error = ConnectFailed("refused")
    for number, each in enumerate(dead[:3]):
        assert course.failed(each, error, verdict(error), 1.0 + number, Random(1))
    assert course.left == [alive]
    assert not course.failed(alive, error, verdict(error), 5.0, Random(1))


def test_what_failed_the_caller_before_goes_behind_the_others_and_is_entitled_to_nothing_more() -> None:
    """It is asked where nothing else is left, and its group has the retries that it always has."""
    a, b, c, d = (option(name) for name in "abcd")
    route = Route("r", (Group((a, b, c)), Group((d,))), RetryBudget())
    assert [each.id for each in Course(route, last=[b]).left] == ["a", "c", "d", "b"]
    assert [each.id for each in Course(route, last=[c, a]).left] == ["b", "d", "a", "c"]
    assert [each.id for each in Course(route).left] == ["a", "b", "c", "d"]
    lost = ServerError("gone", sent=True)
    course = Course(route, retries=0, last=[a])
    assert course.failed(b, lost, verdict(lost), 0.0, Random(1))
    assert [each.id for each in course.left] == ["d"]


def test_what_a_probe_finds_out_is_not_paid_for() -> None:
    """A fallback is there for those that are down for good, however long they are."""
    a, b = map(option, ("a", "b"))
    route = Route("r", (Group((a,)), Group((b,))), RetryBudget(0.0, 1.0))
    error = ConnectFailed("refused")
    for _ in range(20):
        assert Course(route).failed(a, error, verdict(error), 1.0, Random(1), probe=True)
    assert Course(route).failed(a, error, verdict(error), 1.0, Random(1))
    assert not Course(route).failed(a, error, verdict(error), 1.0, Random(1))
