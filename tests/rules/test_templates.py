"""A template fills in what a rule leaves out, and nothing else; its ranges are those that vendors have."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.parameters import NEUTRAL
from modelhub.rules.templates import LEVELS, MEANINGS, TEMPLATES, expanded, meaning, template_names
from modelhub.types.parameters import ParameterRule

DIFYS = {
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "max_tokens",
    "response_format",
    "json_schema",
}


def rule(template: str, **values: Any) -> ParameterRule:
    """Return a rule with a template filled in."""
    return expanded(ParameterRule("own", use_template=template, **values))


def test_every_template_of_difys_and_every_neutral_parameter_is_there() -> None:
    """What manifests name exists, and so does what a call can give."""
    assert set(template_names()) >= DIFYS | set(NEUTRAL)
    assert set(MEANINGS.values()) <= set(NEUTRAL)


@pytest.mark.parametrize("name", template_names())
def test_a_template_is_whole(name: str) -> None:
    """Each has its own name, and label and help in both languages; none invents a default."""
    template = TEMPLATES[name]
    assert template.name == name
    assert template.default is None
    assert template.required is False
    for texts in (template.label, template.help):
        assert isinstance(texts, dict)
        assert set(texts) == {"en_US", "id_ID"}
        assert all(texts.values())


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("top_k", 0, None),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
        ("max_tokens", 1, None),
    ],
)
def test_ranges_are_those_of_the_vendors(name: str, least: float, most: float | None) -> None:
    """Temperature is not capped at 1, penalties may be negative, and nothing is cut at 2048 tokens."""
    assert (rule(name).min, rule(name).max) == (least, most)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_tokens", {"min": 0, "default": 0, "max": 0}),
        ("temperature", {"min": 0.0, "max": 1.0, "precision": 0, "default": 0.0}),
        ("temperature", {"type": "int", "min": 1, "max": 2}),
        ("logprobs", {"default": False, "type": "boolean"}),
        ("user", {"default": "", "type": "text", "help": ""}),
        ("reasoning", {"options": ("on",), "type": "string", "label": "Thinking", "help": "Slow."}),
        ("reasoning", {"values": {"low": 1}, "type": "int", "min": 1}),
    ],
)
def test_explicit_keys_win(name: str, values: dict[str, Any]) -> None:
    """Also those that are 0, false or empty: they are values."""
    filled = rule(name, **values)
    assert {key: getattr(filled, key) for key in values} == values


def test_a_template_fills_in_what_is_left_out() -> None:
    """Label, help, type, range and precision; name, required and default are the rule's own."""
    filled = rule("temperature", max=1, required=True)
    assert (filled.name, filled.neutral, filled.required, filled.default) == ("own", "temperature", True, None)
    assert (filled.type, filled.min, filled.max, filled.precision) == ("float", 0, 1, 2)
    assert filled.label == TEMPLATES["temperature"].label
    assert filled.help == TEMPLATES["temperature"].help


@pytest.mark.parametrize("values", [{"type": "string"}, {"options": ("low", "high")}])
def test_numbers_are_not_given_to_words(values: dict[str, Any]) -> None:
    """A rule of words that names the template of a number has no range."""
    filled = rule("temperature", **values)
    assert (filled.type, filled.min, filled.max, filled.precision) == ("string", None, None, None)


def test_options_that_are_numbers_leave_a_number_a_number() -> None:
    """The options of a number are written as texts."""
    assert rule("max_tokens", options=("256", "512")).type == "int"


def test_words_are_not_given_to_a_switch_or_a_number() -> None:
    """Only a rule of words has the levels for options; one that maps them itself has them there."""
    assert rule("reasoning", type="boolean").options == ()
    assert rule("reasoning", type="int").options == ()
    assert rule("reasoning", values={"high": "on"}).options == ()
    assert rule("reasoning").options == LEVELS


@pytest.mark.parametrize(
    ("name", "values", "bounds"),
    [
        ("temperature", {"min": 3}, (3, None)),
        ("max_tokens", {"max": -1}, (None, -1)),
        ("temperature", {"min": 1}, (1, 2)),
        ("temperature", {"max": 5}, (0, 5)),
    ],
)
def test_a_bound_that_contradicts_the_rules_own_is_left_out(
    name: str, values: dict[str, Any], bounds: tuple[float | None, float | None]
) -> None:
    """A range that nothing can be in helps nobody."""
    filled = rule(name, **values)
    assert (filled.min, filled.max) == bounds


def test_an_unknown_template_fills_in_nothing() -> None:
    """The rule stays as it is, and is known by that name."""
    unknown = ParameterRule("own", use_template="warmth")
    assert expanded(unknown) is unknown
    plain = ParameterRule("temperature")
    assert expanded(plain) is plain


@pytest.mark.parametrize(
    ("own", "template", "neutral"),
    [
        ("num_predict", "max_tokens", "max_tokens"),
        ("max_output_tokens", None, "max_tokens"),
        ("enable_thinking", None, "reasoning"),
        ("thinking", None, "reasoning"),
        ("thinking_budget", None, "reasoning"),
        ("effort", "reasoning_effort", "reasoning"),
        ("thinking_budget", "max_tokens", "max_tokens"),
        ("num_ctx", None, "num_ctx"),
    ],
)
def test_names_in_wide_use_mean_a_neutral_parameter(own: str, template: str | None, neutral: str) -> None:
    """What a template says goes before what a name suggests."""
    assert meaning(ParameterRule(own, use_template=template)) == neutral


NUMBERS = st.floats(-10, 10) | st.integers(-10, 10)


RULES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["float", "int", "string", "boolean", "text", "array", "object"]),
        "min": NUMBERS,
        "max": NUMBERS,
        "precision": st.integers(0, 4),
        "options": st.lists(st.sampled_from(["low", "1", "2.5"]), unique=True, min_size=1),
    },
)


@given(st.sampled_from(template_names()), RULES)
def test_filling_in_twice_changes_nothing(name: str, keys: dict[str, Any]) -> None:
    """A whole rule stays as it is, and keeps every key that was given."""
    filled = rule(name, **keys)
    assert expanded(filled) == filled
    assert {key: getattr(filled, key) for key in keys} == keys
