"""Which fields count: decided in the order of what hangs on what, so that the order of the form changes nothing."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.forms import filled, problems
from modelhub.rules.shown import decision_order
from modelhub.types.forms import Condition, FormField, FormOption
from modelhub.types.schema import ModelType


def on(variable: str, value: Any = "1") -> list[Condition]:
    """Show a field where another has a value."""
    return [Condition(variable, value)]


CHAIN = [
    FormField("kind", default="1"),
    FormField("flavour", default="1", show_on=on("kind")),
    FormField("colour", default="1", show_on=on("flavour")),
    FormField("token", show_on=on("colour")),
]


@pytest.mark.parametrize("form", list(permutations(CHAIN)))
def test_the_order_of_the_form_changes_nothing(form: tuple[FormField, ...]) -> None:
    """A field may hang on one further down, over any number of steps."""
    assert [problem.path for problem in problems(form, {})] == ["token"]
    assert dict(filled(form, {"kind": "2", "flavour": "1", "token": "t"}, provider="acme")) == {"kind": "2"}
    values = {"kind": "1", "flavour": "1", "colour": "1", "token": "t"}
    assert dict(filled(form, {"token": "t"}, provider="acme")) == values


def test_values_come_in_the_order_of_the_form() -> None:
    """However they were decided."""
    form = CHAIN[::-1]
    assert list(filled(form, {"token": "t"}, provider="acme")) == ["token", "colour", "flavour", "kind"]


def test_what_is_asked_about_is_decided_first() -> None:
    """By fields, by their options, inside of other conditions; otherwise the form's own order stands."""
    deep = Condition(all=[Condition(any=[Condition(not_=Condition("d"))])])
    form = [
        FormField("x"),
        FormField("a", options=[FormOption("1", show_on=on("c"))]),
        FormField("b", show_on=[deep]),
        FormField("c"),
        FormField("d", show_on=on("nowhere")),
    ]
    assert decision_order(form) == ["x", "c", "a", "d", "b"]


def test_a_circle_ends_at_the_condition_that_leads_back() -> None:
    """That one finds no value, and the same happens each time."""
    circle = [
        FormField("a", default="1", show_on=on("b")),
        FormField("b", default="1", show_on=on("c")),
        FormField("c", default="1", show_on=[Condition("a", exists=False)]),
    ]
    assert decision_order(circle) == ["c", "b", "a"]
    assert dict(filled(circle, {}, provider="acme")) == {"a": "1", "b": "1", "c": "1"}
    assert dict(filled([FormField("a", default="1", show_on=on("a"))], {"a": "1"}, provider="acme")) == {}


def test_a_form_may_be_longer_than_the_stack() -> None:
    """A chain of thousands of fields is decided, from whichever end it is written."""
    chain = [FormField("f0", default="1")]
    chain += [FormField(f"f{number}", default="1", show_on=on(f"f{number - 1}")) for number in range(1, 3000)]
    assert len(filled(chain[::-1], {}, provider="acme")) == 3000


def test_the_first_shown_of_one_variables_fields_counts() -> None:
    """Also where several are shown at once."""
    form = [
        FormField("kind", required=False),
        FormField("size", "number", show_on=on("kind", "number")),
        FormField("size", "switch", show_on=[Condition("kind", exists=True)]),
        FormField("size", required=False),
    ]
    assert filled(form, {"size": "1", "kind": "number"}, provider="acme")["size"] == 1
    assert filled(form, {"size": "1", "kind": "x"}, provider="acme")["size"] is True
    assert filled(form, {"size": "1"}, provider="acme")["size"] == "1"


def test_an_option_counts_only_where_it_is_shown() -> None:
    """What is not offered cannot be chosen, and is no default."""
    form = [
        FormField("region", "select", options=[FormOption("eu"), FormOption("us")]),
        FormField(
            "zone",
            "select",
            required=False,
            default="north",
            options=[FormOption("north", show_on=on("region", "eu")), FormOption("west", show_on=on("region", "us"))],
        ),
        FormField("sites", "multi-select", required=False, options=[FormOption("a", show_on=on("region", "eu"))]),
    ]
    assert filled(form, {"region": "eu"}, provider="acme")["zone"] == "north"
    assert "zone" not in filled(form, {"region": "us"}, provider="acme")
    (problem,) = problems(form, {"region": "us", "zone": "north"})
    assert (problem.path, problem.message) == ("zone", "it must be one of west")
    (problem,) = problems(form, {"region": "us", "sites": ["a"]})
    assert (problem.path, problem.message) == ("sites[0]", "it has nothing to choose from here")


def test_a_wrong_value_shows_nothing() -> None:
    """What cannot be used is no value for the fields that hang on it, either."""
    form = [FormField("size", "number"), FormField("unit", show_on=[Condition("size", exists=True)])]
    assert [problem.path for problem in problems(form, {"size": "many"})] == ["size"]


def test_the_models_type_decides_without_a_change_of_the_values() -> None:
    """Conditions on `__model_type` see the type that is given beside the values; the caller's dict stays as it was."""
    form = [
        FormField("api_key"),
        FormField("context_size", "number", default="4096", show_on=on("__model_type", "llm")),
        FormField("voices", show_on=on("__model_type", "tts")),
    ]
    values = {"api_key": "k"}
    assert dict(filled(form, values, provider="acme", model_type=ModelType.LLM)) == {
        "api_key": "k",
        "context_size": 4096,
    }
    assert [each.path for each in problems(form, values, model_type=ModelType.TTS)] == ["voices"]
    assert dict(filled(form, values, provider="acme")) == {"api_key": "k"}
    assert values == {"api_key": "k"}


@given(
    st.lists(
        st.builds(
            FormField,
            st.sampled_from("abcde"),
            default=st.none() | st.just("1"),
            required=st.booleans(),
            show_on=st.lists(st.builds(Condition, st.sampled_from("abcde"), st.just("1")), max_size=2),
        ),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_any_form_without_circles_can_be_written_in_any_order(form: list[FormField], random: Any) -> None:
    """The same values count and the same is missing; circles end as well."""
    form = list({field.variable: field for field in form}.values())
    acyclic = [
        FormField(
            field.variable,
            default=field.default,
            required=field.required,
            show_on=[each for each in field.show_on if str(each.variable) < field.variable],
        )
        for field in form
    ]
    shuffled = random.sample(acyclic, len(acyclic))
    assert {each.path for each in problems(acyclic, {})} == {each.path for each in problems(shuffled, {})}
    if not problems(acyclic, {}):
        assert dict(filled(acyclic, {}, provider="acme")) == dict(filled(shuffled, {}, provider="acme"))
    assert sorted(decision_order(form)) == sorted(field.variable for field in form)
