"""One neutral `reasoning` for every vendor's switch, level and budget, by nothing but the model's rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.parameters import Policy, resolve_parameters
from modelhub.rules.templates import LEVELS
from modelhub.rules.vendor_parameters import vendor_parameters
from modelhub.types.forms import Condition
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelSchema

VALUES = [True, False, *LEVELS]


def sent(*rules: ParameterRule, reasoning: Any, policy: Policy = "strict", **options: Any) -> dict[str, Any]:
    """Return what is put on the wire."""
    resolved = resolve_parameters({"reasoning": reasoning}, options, rules, policy=policy)
    schema = ModelSchema("m", parameter_rules=rules)
    request: Any = ChatRequest(parameters=resolved.parameters, options=resolved.options, schema=schema)
    return vendor_parameters(request)


SWITCH = ParameterRule("enable_thinking", type="boolean", default=False)
EFFORT = ParameterRule("reasoning_effort", type="string", options=("none", "low", "medium", "high"))
BUDGET = ParameterRule("thinking_budget", type="int", min=0, max=16000)


@pytest.mark.parametrize("value", VALUES)
def test_a_switch_is_on_or_off(value: Any) -> None:
    """Every level turns it on."""
    assert sent(SWITCH, reasoning=value) == {"enable_thinking": value not in (False, "none")}


@pytest.mark.parametrize(
    ("value", "word"),
    [(True, "medium"), (False, "none"), ("none", "none"), ("low", "low"), ("medium", "medium"), ("high", "high")],
)
def test_a_level_is_said_by_its_word(value: Any, word: str) -> None:
    """On is the middle where the manifest knows no other usual level."""
    assert sent(EFFORT, reasoning=value) == {"reasoning_effort": word}


def test_on_is_the_usual_level() -> None:
    """The manifest's default, where it is one; a model that always thinks need not be told."""
    rule = ParameterRule("effort", use_template="reasoning", type="string", options=("none", "low"), default="low")
    assert sent(rule, reasoning=True) == {"effort": "low"}
    always = ParameterRule("effort", use_template="reasoning", type="string", options=("low", "high"))
    assert sent(always, reasoning=True) == {}
    budget = ParameterRule("budget", use_template="thinking_budget", max=100, default=70)
    assert sent(budget, reasoning=True) == {"budget": 70}


@pytest.mark.parametrize(("value", "nearest"), [("minimal", "low"), ("max", "high")])
def test_the_nearest_level_is_sent_as_the_policy_says(value: str, nearest: str) -> None:
    """Strict names those that there are, clamp takes the nearest, drop none."""
    with pytest.raises(BadRequest, match="low, medium, high") as caught:
        sent(EFFORT, reasoning=value)
    assert caught.value.parameter == "reasoning"
    assert sent(EFFORT, policy="clamp", reasoning=value) == {"reasoning_effort": nearest}
    assert sent(EFFORT, policy="drop", reasoning=value) == {}
    resolved = resolve_parameters({"reasoning": value}, {}, [EFFORT], policy="clamp")
    assert [(each.code, each.given, each.sent) for each in resolved.warnings] == [("parameter_clamped", value, nearest)]


@pytest.mark.parametrize(
    ("options", "value", "word"),
    [
        (("Low", "High"), "high", "High"),
        (("Low", "High", "XHigh"), "max", "XHigh"),
        (("None", "Low", "High"), False, "None"),
        (("Disabled", "Enabled"), "none", "Disabled"),
        (("Disabled", "Enabled"), True, "Enabled"),
        (("OFF", "ON"), "low", "ON"),
    ],
)
def test_a_vendors_words_keep_their_case(options: tuple[str, ...], value: Any, word: str) -> None:
    """They mean the same in any."""
    assert sent(ParameterRule("thinking_level", type="string", options=options), reasoning=value) == {
        "thinking_level": word
    }


def test_a_switch_and_a_budget_by_other_names_in_use() -> None:
    """`reasoning_type` and `reasoning_budget` need no template."""
    switch = ParameterRule("reasoning_type", type="boolean", default=False)
    hangs_on = (Condition(variable="reasoning_type", value=True),)
    budget = ParameterRule("reasoning_budget", type="int", min=0, max=128000, default=1024, show_on=hangs_on)
    assert sent(switch, budget, reasoning="high") == {"reasoning_type": True, "reasoning_budget": 96000}
    assert sent(switch, budget, reasoning=False) == {"reasoning_type": False}


def test_the_usual_level_is_said_where_the_vendor_requires_one() -> None:
    """A model that cannot but think need not be told to, and yet wants the parameter in every request."""
    rule = ParameterRule("thinking_level", type="string", options=("Low", "High"), default="High", required=True)
    assert sent(rule, reasoning=True) == {"thinking_level": "High"}
    assert sent(rule, reasoning="low") == {"thinking_level": "Low"}


def test_a_vendors_word_above_high_is_the_greatest_level() -> None:
    """`xhigh` is `max` where the vendor has no `max`, and a default that says it is the usual level."""
    rule = ParameterRule("reasoning_effort", type="string", options=("none", "low", "high", "xhigh"))
    assert sent(rule, reasoning="max") == {"reasoning_effort": "xhigh"}
    both = ParameterRule("reasoning_effort", type="string", options=("none", "low", "high", "xhigh", "max"))
    assert sent(both, reasoning="max") == {"reasoning_effort": "max"}
    usual = ParameterRule("reasoning_effort", type="string", options=("none", "high", "xhigh"), default="xhigh")
    assert sent(usual, reasoning=True) == {"reasoning_effort": "xhigh"}
    alone = ParameterRule("reasoning_effort", options=("none", "xhigh"))
    assert sent(alone, policy="clamp", reasoning="low") == {"reasoning_effort": "xhigh"}


def test_of_two_levels_as_near_the_lesser_is_taken() -> None:
    """It costs no more than what was asked for; to think is never taken for not to."""
    rule = ParameterRule("reasoning_effort", options=("none", "low", "high"))
    assert sent(rule, policy="clamp", reasoning="medium") == {"reasoning_effort": "low"}
    assert sent(rule, policy="clamp", reasoning="minimal") == {"reasoning_effort": "low"}


@pytest.mark.parametrize("value", [False, "none"])
def test_a_model_that_cannot_but_think(value: Any) -> None:
    """Strict says so, clamp asks for the least, drop leaves it out."""
    always = ParameterRule("reasoning_effort", type="string", options=("low", "high"))
    with pytest.raises(UnsupportedFeature, match="without reasoning") as caught:
        sent(always, reasoning=value)
    assert caught.value.parameter == "reasoning"
    assert "low, high" in (caught.value.remedy or "")
    assert sent(always, policy="clamp", reasoning=value) == {"reasoning_effort": "low"}
    assert sent(always, policy="drop", reasoning=value) == {}
    least = ParameterRule("thinking_budget", type="int", min=128, max=1000)
    with pytest.raises(UnsupportedFeature):
        sent(least, reasoning=value)


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        *((False, 0), ("none", 0), ("minimal", 1000), ("low", 4000), ("medium", 8000), ("high", 12000)),
        *(("max", 16000), (True, 8000)),
    ],
)
def test_a_budget_is_a_share_of_the_greatest(value: Any, tokens: int) -> None:
    """The share of the range that the level stands for; 0 is not to think."""
    assert sent(BUDGET, reasoning=value) == {"thinking_budget": tokens}


@pytest.mark.parametrize(
    ("max_tokens", "tokens"), [(64000, 12000), (8001, 6000), (101, 75), (1, 0)], ids=["far", "near", "less", "least"]
)
def test_a_budget_that_is_worked_out_leaves_room_for_the_answer(max_tokens: int, tokens: int) -> None:
    """Vendors that count thinking among the tokens of the answer refuse a budget of `max_tokens` and more."""
    schema = ModelSchema("m", parameter_rules=[BUDGET, ParameterRule("max_tokens")])
    request: Any = ChatRequest(parameters={"reasoning": "high", "max_tokens": max_tokens}, schema=schema)
    assert vendor_parameters(request) == {"thinking_budget": tokens, "max_tokens": max_tokens}
    least = ModelSchema("m", parameter_rules=[ParameterRule("thinking_budget", type="int", min=1024, max=9000)])
    request = ChatRequest(parameters={"reasoning": "high", "max_tokens": 100}, schema=least)
    assert vendor_parameters(request)["thinking_budget"] == 1024


def test_values_say_the_vendors_own() -> None:
    """The manifest's words go before any that are worked out."""
    values = {"low": 1024, "high": 24000, "true": -1, "false": 0}
    rule = ParameterRule("budget", use_template="reasoning", type="int", values=values)
    assert [sent(rule, reasoning=value)["budget"] for value in ("low", "high", True, False, "none")] == [
        1024,
        24000,
        -1,
        0,
        0,
    ]
    assert sent(rule, policy="clamp", reasoning="max") == {"budget": 24000}
    words = ParameterRule("mode", use_template="reasoning", type="string", values={"true": "deep", "none": "flash"})
    assert [sent(words, reasoning=value)["mode"] for value in (True, "high", False)] == ["deep", "deep", "flash"]
    switch = ParameterRule("think", use_template="reasoning", type="boolean", values={"true": 1, "false": 0})
    assert [sent(switch, reasoning=value)["think"] for value in (True, False)] == [1, 0]
    nested = ParameterRule("thinking", use_template="reasoning", type="object", values={"true": {"type": "on"}})
    assert sent(nested, reasoning="low") == {"thinking": {"type": "on"}}
    with pytest.raises(UnsupportedFeature):
        sent(nested, reasoning=False)


def test_yamls_own_true_and_false_are_keys_too() -> None:
    """`true:` without quotes is a boolean in YAML, and means the same."""
    rule = ParameterRule("mode", use_template="reasoning", type="string", values={"True": "deep", "False": "flash"})
    assert [sent(rule, reasoning=value)["mode"] for value in (True, "high", False, "none")] == [
        *("deep", "deep"),
        *("flash", "flash"),
    ]


def test_a_budget_without_an_end_cannot_say_a_level() -> None:
    """No number is made up for it; the vendor's own name takes one."""
    rule = ParameterRule("thinking_budget", type="int", min=0)
    with pytest.raises(BadRequest):
        sent(rule, reasoning="high")
    assert sent(rule, policy="clamp", reasoning="high") == {}
    assert sent(rule, reasoning=False) == {"thinking_budget": 0}
    assert sent(rule, thinking_budget=500, reasoning=None) == {"thinking_budget": 500}


def test_a_switch_and_a_level_are_said_together() -> None:
    """Off is said by the switch alone, on leaves the level to the vendor."""
    assert sent(SWITCH, EFFORT, reasoning="high") == {"enable_thinking": True, "reasoning_effort": "high"}
    assert sent(SWITCH, BUDGET, reasoning="low") == {"enable_thinking": True, "thinking_budget": 4000}
    assert sent(SWITCH, BUDGET, reasoning=False) == {"enable_thinking": False}
    assert sent(SWITCH, EFFORT, reasoning=True) == {"enable_thinking": True}
    assert sent(BUDGET, EFFORT, reasoning="low") == {"thinking_budget": 4000}


def test_a_budget_that_hangs_on_the_switch() -> None:
    """The switch that is said with it counts; one of several that is not taken is not said."""
    budget = ParameterRule(
        "thinking_budget", type="int", min=0, max=100, show_on=[Condition("enable_thinking", value=True)]
    )
    assert sent(SWITCH, budget, reasoning="max") == {"enable_thinking": True, "thinking_budget": 100}
    never = ParameterRule("thinking_budget", type="int", min=0, max=100, show_on=[Condition("mode", value="x")])
    assert sent(SWITCH, never, ParameterRule("mode"), reasoning="max") == {"enable_thinking": True}
    with pytest.raises(BadRequest, match="mode is x") as caught:
        sent(never, ParameterRule("mode"), reasoning="max")
    assert caught.value.parameter == "reasoning"
    assert sent(never, ParameterRule("mode"), mode="x", reasoning="max") == {"mode": "x", "thinking_budget": 100}


@pytest.mark.parametrize("words", [("enabled", "disabled"), ("on", "off"), ("true", "false"), ("yes", "no")])
def test_words_that_mean_on_and_off(words: tuple[str, str]) -> None:
    """A switch that is written as words is one."""
    rule = ParameterRule("thinking", use_template="reasoning", type="string", options=(*words, "auto"))
    assert [sent(rule, reasoning=value)["thinking"] for value in (True, "high", False)] == [
        words[0],
        words[0],
        words[1],
    ]


def test_without_a_type_it_is_sent_as_it_is() -> None:
    """A vendor that takes a switch and a level in one place."""
    rule = ParameterRule("think", use_template="reasoning")
    assert [sent(rule, reasoning=value)["think"] for value in VALUES] == [True, False, False, *LEVELS[1:]]


def test_the_vendors_own_name_stands_over_it() -> None:
    """What was said in the vendor's words is the more exact."""
    assert sent(SWITCH, BUDGET, thinking_budget=77, reasoning="low") == {"enable_thinking": True, "thinking_budget": 77}


RULES = st.lists(
    st.builds(
        lambda name, kind, options, least, most, values: ParameterRule(
            name,
            use_template="reasoning",
            type=kind,
            options=options,
            min=least,
            max=most,
            values=values,
        ),
        st.sampled_from(["a", "b"]),
        st.sampled_from([None, "string", "boolean", "int", "float", "object", "array"]),
        st.lists(st.sampled_from([*LEVELS, "on", "off", "auto", "x"]), unique=True),
        st.none() | st.integers(-5, 50),
        st.none() | st.integers(50, 100),
        st.dictionaries(st.sampled_from([*LEVELS, "true", "false"]), st.integers(0, 9), max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@given(st.sampled_from(VALUES), RULES)
def test_clamp_finds_something_or_says_that_there_is_nothing(value: Any, rules: list[ParameterRule]) -> None:
    """What is sent strict would send too, and leaving it out is always told."""
    resolved = resolve_parameters({"reasoning": value}, {}, rules, policy="clamp")
    if "reasoning" not in resolved.parameters:
        assert [each.parameter for each in resolved.warnings] == ["reasoning"]
        return
    kept = resolved.parameters["reasoning"]
    assert resolve_parameters({"reasoning": kept}, {}, rules) == resolve_parameters(
        {"reasoning": kept}, {}, rules, policy="drop"
    )
    words = sent(*rules, reasoning=kept)
    assert set(words) <= {rule.name for rule in rules}
    if kept is not True:
        assert words, "what is taken is said"
