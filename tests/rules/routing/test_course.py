"""Where a call goes on after answers that are no answers at all."""

from random import Random

from benchmarks.simulation import option

from modelhub.errors import MalformedResponse
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
