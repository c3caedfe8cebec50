"""What becomes of a value that a model does not take so, and that everything changed is told."""

import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.parameters import Policy, Resolved, resolve_parameters
from modelhub.rules.rule_set import RuleSet, with_whole_rules
from modelhub.types.forms import Condition
from modelhub.types.parameters import ParameterRule
from modelhub.types.records import Warning
from modelhub.types.schema import ModelSchema

CHANGING: tuple[Policy, ...] = ("clamp", "drop")


def resolve(
    given: Mapping[str, object], *rules: ParameterRule, options: Mapping[str, Any] | None = None, **others: Any
) -> Resolved:
    """Return what becomes of parameters with these rules."""
    return resolve_parameters(given, options or {}, rules, **others)


def refused(given: Mapping[str, object], *rules: ParameterRule, **others: Any) -> BadRequest:
    """Return what the strict policy says."""
    with pytest.raises(BadRequest) as caught:
        resolve(given, *rules, **others)
    return caught.value


def told(warning: Warning) -> tuple[str, str | None, object, object]:
    """Return what a warning says."""
    return warning.code, warning.parameter, warning.given, warning.sent


TEMPERATURE = ParameterRule("temperature", use_template="temperature")


def test_temperature_goes_to_2_with_the_template() -> None:
    """Vendors take it, so the template does."""
    assert resolve({"temperature": 1.8}, TEMPERATURE) == Resolved({"temperature": 1.8}, {})
    assert refused({"temperature": 2.1}, TEMPERATURE).parameter == "temperature"


def test_a_rules_own_0_is_not_missing() -> None:
    """A template's range does not take the place of an explicit 0."""
    rule = ParameterRule("max_tokens", use_template="max_tokens", min=0, max=0, default=0)
    assert RuleSet.of([rule])[0].default == 0
    assert refused({"max_tokens": 64}, rule).parameter == "max_tokens"
    top_k = ParameterRule("k", use_template="top_k", max=0)
    assert resolve({"top_k": 0}, top_k).parameters == {"top_k": 0}


@pytest.mark.parametrize("value", [True, False, math.nan, math.inf, -math.inf, "warm", None])
@pytest.mark.parametrize("policy", ["strict", *CHANGING])
def test_what_is_no_number_is_never_sent(value: object, policy: Policy) -> None:
    """True does not pass as 1, and NaN not as a number inside the range."""
    rule = ParameterRule("num_predict", use_template="max_tokens")
    if value is None:
        assert resolve({"max_tokens": value}, rule, policy=policy) == Resolved({}, {})
        return
    for given, options in (({"max_tokens": value}, {}), ({}, {"num_predict": value})):
        with pytest.raises(BadRequest) as caught:
            resolve(given, rule, options=options, policy=policy)
        assert caught.value.parameter in {"max_tokens", "num_predict"}


@pytest.mark.parametrize(
    ("given", "sent"),
    [(0.123, 0.12), (0.125, 0.12), (0.135, 0.14), (0.145, 0.14), (1.005, 1.0), (1e-9, 0.0), (-1e-9, 0.0), (1.999, 2.0)],
)
@pytest.mark.parametrize("policy", ["strict", *CHANGING])
def test_too_many_decimals_are_rounded(given: float, sent: float, policy: Policy) -> None:
    """Half to even, of the number as it is written; the change is told, and no policy refuses it."""
    rule = ParameterRule("temperature", type="float", precision=2)
    result = resolve({"temperature": given} if given > 0 else {}, rule, options={"temperature": given}, policy=policy)
    assert result.options == {"temperature": sent}
    assert math.copysign(1, float(str(result.options["temperature"]))) == 1
    assert told(result.warnings[-1]) == ("parameter_rounded", "temperature", given, sent)


@pytest.mark.parametrize("value", [1, 0.1, 0.12, 2.0, -0.5, 1e300, 2**60])
def test_what_has_no_more_decimals_is_sent_as_it_is(value: float) -> None:
    """Nothing is written anew that is right already."""
    result = resolve({}, ParameterRule("x", type="float", precision=2), options={"x": value})
    assert result == Resolved({}, {"x": value})
    assert type(result.options["x"]) is type(value)


def test_rounding_stays_within_the_range() -> None:
    """A bound that has more decimals than may be sent is not crossed."""
    rule = ParameterRule("x", type="float", min=0.005, max=0.995, precision=2)
    assert resolve({}, rule, options={"x": 0.006}).options == {"x": 0.01}
    assert resolve({}, rule, options={"x": 0.995}).options == {"x": 0.99}
    assert resolve({}, rule, options={"x": 7}, policy="clamp").options == {"x": 0.99}
    assert resolve({}, rule, options={"x": -7}, policy="clamp").options == {"x": 0.01}


@pytest.mark.parametrize(("given", "sent"), [(5, 2), (-5, 1), (10**400, 2), (-(10**400), 1)])
def test_clamp_sends_the_nearest_bound(given: int, sent: int) -> None:
    """However far away the number is."""
    rule = ParameterRule("x", type="int", min=0.5, max=2.5)
    (warning,) = resolve({}, rule, options={"x": given}, policy="clamp").warnings
    assert (warning.code, warning.sent, type(warning.sent)) == ("parameter_clamped", sent, int)
    assert refused({}, rule, options={"x": given}).parameter == "x"
    (warning,) = resolve({}, rule, options={"x": given}, policy="drop").warnings
    assert (warning.code, warning.sent) == ("parameter_dropped", None)


@pytest.mark.parametrize(
    ("kind", "most", "given", "words"),
    [
        ("int", 1048576, 1048577, "1048576 or less"),
        ("int", 2**64 - 1, 2**64, "18446744073709551615 or less"),
        ("float", 0.1234567, 1, "0.1234567 or less"),
        ("float", 2.0, 3, "2 or less"),
    ],
)
def test_a_bound_is_told_with_all_its_digits(kind: Any, most: float, given: int, words: str) -> None:
    """Who writes what the message says is not refused a second time."""
    error = refused({}, ParameterRule("x", type=kind, max=most), options={"x": given})
    assert error.message.endswith(f"it must be {words}")


def test_a_range_that_nothing_is_in_leaves_the_parameter_out() -> None:
    """A broken rule refuses under strict, and is no reason to send what it forbids."""
    rule = ParameterRule("x", type="int", min=1.2, max=1.8)
    assert refused({}, rule, options={"x": 1}).parameter == "x"
    result = resolve({}, rule, options={"x": 1}, policy="clamp")
    assert (result.options, result.warnings[0].code) == ({}, "parameter_dropped")


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (ParameterRule("x", type="string", options=("a", "b")), "a", "c"),
        (ParameterRule("x", type="int", options=("256", "512")), 256, 300),
        (ParameterRule("x", type="int", options=("256", "512"), min=1, max=600), 512, 700),
        (ParameterRule("x", type="float", options=("0.5", "1")), 1, 0.7),
        (ParameterRule("x", type="int", options=("auto", "512")), "auto", 7),
        (ParameterRule("x", options=("1", "a")), 1, 2),
        (ParameterRule("x", type="array", options=("a", "b")), ["a"], ["a", "c"]),
    ],
)
def test_what_is_not_among_the_options_is_refused_or_left_out(rule: ParameterRule, good: Any, bad: Any) -> None:
    """There is no nearest word; the options of a number are written as texts."""
    assert resolve({}, rule, options={"x": good}) == Resolved({}, {"x": good})
    assert "one of" in refused({}, rule, options={"x": bad}).message or rule.max is not None
    for policy in CHANGING:
        result = resolve({}, rule, options={"x": bad}, policy=policy)
        assert result.options == {}
        assert told(result.warnings[0]) == ("parameter_dropped", "x", bad, None)


def test_an_option_that_is_a_number_is_read_from_its_text() -> None:
    """The number is sent, not the text, and that is told."""
    result = resolve({}, ParameterRule("x", type="int", options=("256",)), options={"x": "256"})
    assert result.options == {"x": 256}
    assert told(result.warnings[0]) == ("parameter_coerced", "x", "256", 256)


def test_nothing_is_dropped_in_silence() -> None:
    """An unknown parameter is an error by its name; left out, it is in the warnings."""
    assert isinstance(refused({}, TEMPERATURE, options={"foo": 1}), UnsupportedFeature)
    for policy in CHANGING:
        (warning,) = resolve({}, TEMPERATURE, options={"foo": 1}, policy=policy).warnings
        assert told(warning) == ("parameter_unsupported", "foo", 1, None)


def test_every_change_has_its_warning() -> None:
    """A text that is a number outside the range is read, and then brought inside."""
    result = resolve({"temperature": "5"}, TEMPERATURE, policy="clamp")
    assert [told(warning) for warning in result.warnings] == [
        ("parameter_coerced", "temperature", "5", 5.0),
        ("parameter_clamped", "temperature", 5.0, 2),
    ]


def test_all_that_is_wrong_is_said_at_once() -> None:
    """The first is named, all are listed, each with what to do; the error survives pickling whole."""
    error = refused({"temperature": 5, "seed": True, "top_k": 1}, TEMPERATURE, options={"foo": 1})
    assert type(error) is BadRequest
    assert [problem.parameter for problem in error.problems] == ["temperature", "seed", "top_k", "foo"]
    assert error.parameter == "temperature"
    for problem in error.problems:
        assert problem.message in str(error)
    assert pickle.loads(pickle.dumps(error)).problems == error.problems
    single = refused({"temperature": 5}, TEMPERATURE)
    assert [problem.parameter for problem in single.problems] == ["temperature"]


def test_one_text_is_taken_where_the_model_takes_one() -> None:
    """A rule of words has room for one stop text."""
    rule = ParameterRule("stop_sequence", use_template="stop", type="string")
    assert resolve({"stop": "X"}, rule).parameters == {"stop": ["X"]}
    assert refused({"stop": ["X", "Y"]}, rule).parameter == "stop"
    assert resolve({"stop": ["X", "Y"]}, rule, policy="clamp").warnings[0].code == "parameter_dropped"


REQUIRED = ParameterRule("max_output", use_template="max_tokens", required=True, default=256)


def test_the_default_of_a_required_parameter_is_sent() -> None:
    """Nobody has to give what the vendor must have and the manifest knows."""
    assert resolve({}, REQUIRED) == Resolved({"max_tokens": 256}, {})
    assert resolve({"max_tokens": 5}, REQUIRED) == Resolved({"max_tokens": 5}, {})
    assert resolve({}, REQUIRED, options={"max_output": 7}) == Resolved({}, {"max_output": 7})
    switch = ParameterRule("fast", type="boolean", required=True, default=False)
    assert resolve({}, switch) == Resolved({}, {"fast": False})


def test_a_default_is_in_the_vendors_words() -> None:
    """Where the neutral values have other words, it is sent as it stands."""
    rule = ParameterRule("probs", use_template="logprobs", type="string", values={"true": "all"}, required=True)
    given = replace(rule, default="none")
    assert resolve({}, given) == Resolved({}, {"probs": "none"})
    assert resolve({"logprobs": True}, given) == Resolved({"logprobs": True}, {})
    assert refused({}, rule).parameter == "logprobs"


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (ParameterRule("max_output", use_template="max_tokens", required=True), "max_tokens"),
        (ParameterRule("tier", type="string", required=True), "tier"),
        (ParameterRule("tier", type="int", required=True, default="gold"), "tier"),
        (ParameterRule("tier", type="string", options=("a",), required=True, default="gold"), "tier"),
    ],
)
@pytest.mark.parametrize("policy", ["strict", *CHANGING])
def test_a_required_parameter_without_a_default_is_asked_for(rule: ParameterRule, named: str, policy: Policy) -> None:
    """By the name that it is given by, under every policy; a default that the rule itself forbids is none."""
    error = refused({}, rule, policy=policy)
    assert error.parameter == named
    assert "requires" in error.message
    assert named in (error.remedy or "")


def test_a_wrong_value_is_not_missing_too() -> None:
    """One mistake is one complaint; left out by the policy, the default takes its place."""
    rule = ParameterRule("tier", type="int", max=3, required=True, default=1)
    assert len(refused({}, rule, options={"tier": "x"}).problems) == 1
    assert resolve({}, rule, options={"tier": 9}, policy="drop").options == {"tier": 1}


THINKING = (
    ParameterRule("thinking", type="boolean", default=False),
    ParameterRule("budget", type="int", show_on=[Condition("thinking", value="true")]),
    ParameterRule("style", type="string", show_on=[Condition("budget", exists=True)]),
)


def test_a_parameter_that_hangs_on_another() -> None:
    """It is sent where the other has the value; else strict says which it hangs on, and the others leave it out."""
    assert resolve({}, *THINKING, options={"thinking": True, "budget": 5}).warnings == ()
    error = refused({}, *THINKING, options={"budget": 5})
    assert error.parameter == "budget"
    assert "thinking is true" in error.message
    for policy in CHANGING:
        result = resolve({}, *THINKING, options={"budget": 5}, policy=policy)
        assert result.options == {}
        assert told(result.warnings[0]) == ("parameter_hidden", "budget", 5, None)


@pytest.mark.parametrize("rules", [THINKING, THINKING[::-1]])
def test_what_is_left_out_has_no_value_for_others(rules: Sequence[ParameterRule]) -> None:
    """A chain falls whole, whatever the order of the rules."""
    options = {"style": "short", "budget": 5, "thinking": False}
    result = resolve({}, *rules, options=options, policy="drop")
    assert result.options == {"thinking": False}
    assert {warning.parameter for warning in result.warnings} == {"style", "budget"}


def test_defaults_count_in_conditions_and_are_not_sent() -> None:
    """The form shows the parameter, so it is taken."""
    rules = (ParameterRule("mode", default="deep"), ParameterRule("depth", show_on=[Condition("mode", value="deep")]))
    assert resolve({}, *rules, options={"depth": 3}) == Resolved({}, {"depth": 3})


def test_conditions_know_both_names() -> None:
    """The vendor's and the neutral one, with the vendor's value."""
    rules = (
        ParameterRule("num_predict", use_template="max_tokens"),
        ParameterRule("a", show_on=[Condition("num_predict", value=5)]),
        ParameterRule("b", show_on=[Condition("max_tokens", value="5")]),
    )
    assert resolve({"max_tokens": 5}, *rules, options={"a": 1, "b": 1}).warnings == ()
    assert len(refused({"max_tokens": 6}, *rules, options={"a": 1, "b": 1}).problems) == 2


def test_a_neutral_parameter_may_hang_on_another() -> None:
    """It is named as it was given."""
    rules = (
        ParameterRule("sample", type="boolean"),
        ParameterRule("temperature", show_on=[Condition("sample", value=True)]),
    )
    assert refused({"temperature": 1}, *rules).parameter == "temperature"
    assert resolve({"temperature": 1}, *rules, options={"sample": True}).parameters == {"temperature": 1}


@pytest.mark.parametrize("name", ["temperature", "x"])
def test_what_a_default_stands_in_for_is_not_said_to_be_left_out(name: str) -> None:
    """The warning tells what is sent in its place."""
    rule = ParameterRule(name, type="float", max=2, required=True, default=1)
    given: Any = {"temperature": 3} if name == "temperature" else {}
    result = resolve(given, rule, options={} if given else {"x": 3}, policy="drop")
    (warning,) = result.warnings
    assert {**result.parameters, **result.options} == {name: 1}
    assert (warning.given, warning.sent) == (3, 1)
    assert warning.message == f"{name} is 3: it must be 2 or less; its default 1 is sent instead"


def test_a_level_that_is_dropped_is_said_to_be_the_default_where_one_is_required() -> None:
    """The vendor's own parameter goes out by its default; the warning is about `reasoning`, which was given."""
    rule = ParameterRule("thinking_level", type="string", options=("Low", "High"), default="High", required=True)
    result = resolve({"reasoning": "medium"}, rule, policy="drop")
    (warning,) = result.warnings
    assert (result.parameters, result.options) == ({}, {"thinking_level": "High"})
    assert (warning.parameter, warning.given, warning.sent) == ("reasoning", "medium", "High")
    assert warning.message.endswith("; its default 'High' is sent instead")


def test_what_is_clamped_and_then_not_taken_is_told_once() -> None:
    """Nobody is told that a value was sent which was not."""
    rules = (
        ParameterRule("temperature", type="float", max=2, show_on=(Condition(variable="mode", value="free"),)),
        ParameterRule("mode", type="string"),
    )
    result = resolve({"temperature": 3}, *rules, policy="clamp")
    (warning,) = result.warnings
    assert (result.parameters, warning.code) == ({}, "parameter_hidden")
    assert (warning.given, warning.sent) == (3, None)


@pytest.mark.parametrize("given", [-0.0, "-0.0", "-0"])
@pytest.mark.parametrize("precision", [None, 2])
def test_a_negative_zero_is_sent_as_zero(given: Any, precision: int | None) -> None:
    """Some vendors refuse it, and it is the same number."""
    rule = ParameterRule("x", type="float", min=-1, precision=precision)
    for rules in ([rule], None):
        found = resolve_parameters({"temperature": given} if rules is None else {}, {"x": given}, rules)
        sent = found.parameters.get("temperature") if rules is None else found.options["x"]
        assert str(sent).lstrip() in {"0", "0.0"}


def test_a_required_parameter_that_is_not_taken_is_not_missing() -> None:
    """What is hidden need not be given."""
    rule = ParameterRule("budget", required=True, show_on=[Condition("thinking", value=True)])
    assert resolve({}, THINKING[0], rule) == Resolved({}, {})
    assert refused({}, THINKING[0], rule, options={"thinking": True}).parameter == "budget"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (Condition("a", in_=["x", True]), "a is one of x, true"),
        (Condition("a", exists=False), "a is not given"),
        (Condition(any=[Condition("a", value=1), Condition("b", value=2)]), "(a is 1 or b is 2)"),
        (Condition(all=[Condition("a", value=1), Condition("b", value=2)]), "(a is 1 and b is 2)"),
        (Condition(any=[]), "never"),
        (Condition(not_=Condition("c", exists=True)), "not (c is given)"),
    ],
)
def test_a_condition_is_said_in_words(condition: Condition, words: str) -> None:
    """Whoever reads the complaint need not know the manifest."""
    rules = (ParameterRule("a"), ParameterRule("b"), ParameterRule("c"), ParameterRule("x", show_on=[condition]))
    assert words in refused({}, *rules, options={"x": 1, "c": 1} | ({"a": 9} if "not given" in words else {})).message


def test_rules_that_hang_on_each_other_end() -> None:
    """A circle is left out whole; without the others none of them is taken."""
    rules = (
        ParameterRule("a", show_on=[Condition("b", exists=True)]),
        ParameterRule("b", show_on=[Condition("a", exists=True)]),
    )
    assert resolve({}, *rules, options={"a": 1}, policy="drop").options == {}
    assert resolve({}, *rules, options={"a": 1, "b": 1}).options == {"a": 1, "b": 1}


def test_of_several_rules_of_one_name_one_that_is_taken_is_enough() -> None:
    """Manifests repeat a parameter with other conditions."""
    rules = (
        ParameterRule("mode", type="string"),
        ParameterRule("size", show_on=[Condition("mode", value="a")]),
        ParameterRule("size", show_on=[Condition("mode", value="b")]),
    )
    assert resolve({}, *rules, options={"mode": "b", "size": 1}).warnings == ()
    assert refused({}, *rules, options={"mode": "c", "size": 1}).parameter == "size"


def test_rules_are_put_in_order_once() -> None:
    """A model's schema keeps its lookup, and stays what it was in everything else."""
    schema = with_whole_rules(ModelSchema("m", parameter_rules=[TEMPERATURE, REQUIRED]))
    rules = schema.parameter_rules
    assert isinstance(rules, RuleSet)
    assert rules.lookup is rules.lookup
    assert with_whole_rules(schema) is schema
    assert RuleSet.of(rules) is rules
    assert rules == tuple(RuleSet.of([TEMPERATURE, REQUIRED]))
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert with_whole_rules(ModelSchema("m")).parameter_rules is None


def test_what_says_its_meaning_goes_before_what_suggests_it() -> None:
    """A name in wide use counts where no rule names the neutral parameter."""
    suggests = ParameterRule("max_completion_tokens", type="int", max=5)
    says = ParameterRule("limit", use_template="max_tokens", max=9)
    assert resolve({"max_tokens": 9}, suggests, says).parameters == {"max_tokens": 9}
    assert refused({"max_tokens": 9}, suggests).parameter == "max_tokens"


def test_a_vendors_other_meaning_of_a_name_counts() -> None:
    """A range that has nothing in common with the neutral one replaces it."""
    rule = ParameterRule("top_p", type="float", min=2, max=100)
    assert resolve({"top_p": 50}, rule).parameters == {"top_p": 50}
    whole = ParameterRule("temperature", type="int", min=0, max=100)
    assert refused({"temperature": 0.5}, whole).parameter == "temperature"
