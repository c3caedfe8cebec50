"""Conditions: Dify's equality, and all, any, not, in and exists, over the values that stand in a form."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from modelhub.rules.conditions import condition_json, hold, holds
from modelhub.types.forms import Condition

IS_A = Condition("kind", "a")
IS_B = Condition("kind", "b")


def test_all_conditions_of_a_list_must_hold() -> None:
    """As in Dify; no condition at all holds, and so does one that says nothing."""
    values = {"kind": "a", "size": "2"}
    assert hold([], {})
    assert hold([Condition()], {})
    assert hold([IS_A, Condition("size", "2")], values)
    assert not hold([IS_A, Condition("size", "3")], values)


@pytest.mark.parametrize(
    ("condition", "values", "held"),
    [
        (Condition("x", in_=["a", "b"]), {"x": "b"}, True),
        (Condition("x", in_=["a", "b"]), {"x": "c"}, False),
        (Condition("x", in_=["a", "b"]), {}, False),
        (Condition("x", in_=[]), {"x": "a"}, False),
        (Condition("x", in_=["a", None]), {}, True),
        (Condition("x", exists=True), {"x": "a"}, True),
        (Condition("x", exists=True), {}, False),
        (Condition("x", exists=False), {}, True),
        (Condition("x", exists=False), {"x": "a"}, False),
        (Condition(not_=IS_A), {"kind": "b"}, True),
        (Condition(not_=IS_A), {}, True),
        (Condition(not_=IS_A), {"kind": "a"}, False),
        (Condition(any=[IS_A, IS_B]), {"kind": "b"}, True),
        (Condition(any=[IS_A, IS_B]), {"kind": "c"}, False),
        (Condition(any=[]), {}, False),
        (Condition(all=[IS_A, Condition("x", "1")]), {"kind": "a", "x": "1"}, True),
        (Condition(all=[IS_A, Condition("x", "1")]), {"kind": "a"}, False),
        (Condition(all=[]), {}, True),
        (Condition("kind", "a", not_=Condition("x", exists=True)), {"kind": "a"}, True),
        (Condition("kind", "a", not_=Condition("x", exists=True)), {"kind": "a", "x": "1"}, False),
        (Condition("x", "a", exists=True, in_=["a"]), {"x": "a"}, True),
    ],
)
def test_what_a_condition_says(condition: Condition, values: dict[str, Any], *, held: bool) -> None:
    """Everything that it says must be so at once."""
    assert holds(condition, values) is held


@pytest.mark.parametrize(
    ("value", "wanted", "same"),
    [
        (True, "true", True),
        ("true", True, True),
        (True, 1, False),
        (True, "1", False),
        (True, "True", False),
        (1, "1", True),
        (1.0, "1", True),
        (1, 1.0, True),
        ("1.0", "1", False),
        (0.5, "0.5", True),
        (1e22, 10**22, True),
        ("A", "a", False),
        (" a", "a", False),
        (["a", "b"], "b", True),
        ([1, True], "true", True),
        (["a"], ["a"], True),
        (["a", "b"], ["b", "a"], False),
        ([["a"]], "a", False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, "a", False),
        ("None", None, False),
    ],
)
def test_values_are_compared_as_they_are_written(value: Any, wanted: Any, *, same: bool) -> None:
    """Conditions are texts in Dify: a switch is true or false, a number is its digits; a list has each of its items."""
    assert holds(Condition("x", in_=[wanted]), {"x": value}) is same
    if wanted is not None:
        assert holds(Condition("x", wanted), {"x": value}) is same


def test_a_number_too_long_to_be_written() -> None:
    """It is compared all the same."""
    assert holds(Condition("x", 10**5000), {"x": 10**5000})
    assert not holds(Condition("x", 10**5000), {"x": 10**5000 + 1})


@pytest.mark.parametrize("missing", [None, "", [], ()])
def test_what_is_missing(missing: Any) -> None:
    """None, an empty text and an empty list are no values; a condition can ask for that."""
    for values in ({}, {"x": missing}):
        assert holds(Condition("x", exists=False), values)
        assert holds(Condition("x", in_=[missing]), values)
        assert holds(Condition("x", ""), values)
        assert not holds(Condition("x", "None"), values)


@pytest.mark.parametrize("there", [False, 0, 0.0, {}, " ", [None]])
def test_what_is_there(there: Any) -> None:
    """False, 0 and an empty object are values."""
    assert holds(Condition("x", exists=True), {"x": there})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3)
JSONS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
CONDITIONS = st.recursive(
    st.builds(
        Condition,
        st.none() | st.sampled_from("abc"),
        JSONS,
        in_=st.none() | st.lists(JSONS, max_size=2),
        exists=st.none() | st.booleans(),
    ),
    lambda inner: st.builds(
        Condition,
        all=st.none() | st.lists(inner, max_size=2),
        any=st.none() | st.lists(inner, max_size=2),
        not_=st.none() | inner,
    ),
    max_leaves=4,
)


@given(CONDITIONS, st.dictionaries(st.sampled_from("abc"), JSONS))
def test_a_condition_or_its_opposite_holds(condition: Condition, values: Mapping[str, Any]) -> None:
    """Never both, never neither; and a list of one is the one."""
    held = holds(condition, values)
    assert holds(Condition(not_=condition), values) is not held
    assert holds(Condition(any=[condition]), values) is held
    assert holds(Condition(all=[condition]), values) is held


@given(CONDITIONS)
def test_a_condition_is_written_as_a_manifest_reads_it(condition: Condition) -> None:
    """Reading what was written gives the condition again."""
    assert TypeAdapter(Condition).validate_python(condition_json(condition)) == condition


@given(JSONS, JSONS)
def test_comparing_has_no_direction(one: Any, other: Any) -> None:
    """Among values that are no lists, whichever of the two the manifest gives."""
    if not isinstance(one, list) and not isinstance(other, list):
        assert holds(Condition("x", in_=[one]), {"x": other}) is holds(Condition("x", in_=[other]), {"x": one})
