"""What can never be right is refused before the wire, naming the parameter; nothing is left out in silence."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.hub.options import ChatOptions
from modelhub.rules.parameters import NEUTRAL, Policy, check_text, resolve_parameters
from modelhub.types.parameters import ChatParameters, ParameterRule

BAD = [
    ("temperature", math.nan),
    ("temperature", math.inf),
    ("temperature", -math.inf),
    ("temperature", True),
    ("temperature", "warm"),
    ("temperature", "nan"),
    ("temperature", "Infinity"),
    ("temperature", "1e999"),
    ("temperature", " 0.5"),
    ("temperature", "0,5"),
    ("temperature", "1_0"),
    ("temperature", 10**400),
    ("temperature", [0.5]),
    ("top_k", 1.5),
    ("top_k", True),
    ("top_k", "1.5"),
    ("top_k", "8.0"),
    ("top_k", "٣"),
    ("max_tokens", True),
    ("max_tokens", math.nan),
    ("max_tokens", "9" * 5000),
    ("stop", 7),
    ("stop", ["ok", 7]),
    ("stop", b"bytes"),
    ("stop", ""),
    ("stop", ["ok", ""]),
    ("stop", {"a", "b"}),
    ("stop", "half \ud83d"),
    ("seed", "x"),
    ("seed", 1.5),
    ("reasoning", "very"),
    ("reasoning", 1),
    ("reasoning", ["low"]),
    ("logprobs", 1),
    ("logprobs", "yes"),
    ("logprobs", "True"),
    ("parallel_tool_calls", "no"),
    ("user", 7),
    ("user", "\udc00"),
]

OUTSIDE = [
    ("temperature", -0.1, 0),
    ("top_p", 1.01, 1),
    ("top_p", -1, 0),
    ("top_k", -1, 0),
    ("min_p", 2, 1),
    ("max_tokens", 0, 1),
    ("max_tokens", -5, 1),
    ("presence_penalty", 2.1, 2),
    ("frequency_penalty", -2.1, -2),
    ("repeat_penalty", -1, 0),
    ("top_logprobs", 21, 20),
]

READ = [
    ("temperature", "0.5", 0.5),
    ("temperature", "1e-1", 0.1),
    ("temperature", "0", 0.0),
    ("max_tokens", "8", 8),
    ("max_tokens", 8.0, 8),
    ("seed", "-3", -3),
    ("seed", -3.0, -3),
    ("logprobs", "true", True),
    ("logprobs", "false", False),
    ("reasoning", "false", False),
]

POLICIES: tuple[Policy, ...] = ("strict", "clamp", "drop")

GOOD = [
    ("temperature", 0, 0),
    ("temperature", 2.5, 2.5),
    ("top_p", 1, 1),
    ("top_k", 0, 0),
    ("min_p", 0.05, 0.05),
    ("max_tokens", 1, 1),
    ("stop", "X", ["X"]),
    ("stop", ("X", "é日本🙂"), ["X", "é日本🙂"]),
    ("seed", -1, -1),
    ("seed", 2**64, 2**64),
    ("presence_penalty", -2, -2),
    ("frequency_penalty", 2, 2),
    ("repeat_penalty", 1.1, 1.1),
    ("reasoning", True, True),
    ("reasoning", False, False),
    ("reasoning", "max", "max"),
    ("logprobs", False, False),
    ("top_logprobs", 20, 20),
    ("parallel_tool_calls", False, False),
    ("user", "u-1", "u-1"),
]


def resolved(
    given_parameters: Mapping[str, object],
    options: Mapping[str, Any] | None = None,
    rules: list[ParameterRule] | None = None,
    policy: Policy = "strict",
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return what is sent, neutral and by the vendor's names, and the parameters that are warned of."""
    result = resolve_parameters(given_parameters, options or {}, rules, policy=policy)
    return dict(result.parameters), dict(result.options), [warning.parameter or "" for warning in result.warnings]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("known", [True, False])
def test_a_value_that_can_never_be_right_is_refused(*, name: str, value: object, policy: Policy, known: bool) -> None:
    """Whatever the model and whatever the policy, and the complaint names the parameter."""
    rules = [ParameterRule(name)] if known else None
    with pytest.raises(BadRequest) as caught:
        resolved({name: value}, rules=rules, policy=policy)
    assert caught.value.parameter == name
    assert name in caught.value.message


@pytest.mark.parametrize(("name", "value", "nearest"), OUTSIDE)
def test_a_number_outside_every_range_goes_by_the_policy(name: str, value: float, nearest: float) -> None:
    """Strict refuses it, clamp sends the nearest, drop leaves it out; the two say so."""
    with pytest.raises(BadRequest) as caught:
        resolved({name: value})
    assert caught.value.parameter == name
    assert resolved({name: value}, policy="clamp") == ({name: nearest}, {}, [name])
    assert resolved({name: value}, policy="drop") == ({}, {}, [name])


def test_a_number_that_nothing_can_write_is_told_in_words() -> None:
    """Python itself refuses to write it; the complaint and the warning must not."""
    huge = 10**5000
    with pytest.raises(BadRequest, match="more than 80 digits: it must be a finite number"):
        resolved({"max_tokens": huge})
    with pytest.raises(BadRequest, match="more than 80 digits: it must be a finite number"):
        resolved({}, {"anything": [huge]})
    result = resolve_parameters({"max_tokens": huge}, {}, RULES, policy="clamp")
    assert result.parameters == {"max_tokens": 100}
    assert "more than 80 digits" in repr(result)


@pytest.mark.parametrize(("name", "value", "read"), READ)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_value_that_says_what_it_is_is_read(name: str, value: object, read: object, policy: Policy) -> None:
    """A number written as a text is that number, under every policy, and the change is told."""
    result = resolve_parameters({name: value}, {}, None, policy=policy)
    sent = dict(result.parameters)[name]
    assert (sent, type(sent)) == (read, type(read))
    (warning,) = result.warnings
    assert (warning.code, warning.parameter) == ("parameter_coerced", name)
    assert (warning.given, warning.sent) == (value, read)


@pytest.mark.parametrize(("name", "value", "sent"), GOOD)
def test_a_value_that_is_right_is_sent_as_it_is(name: str, value: object, sent: object) -> None:
    """Booleans stay booleans, whole numbers stay whole; `stop` is a list for every provider."""
    parameters, _, warnings = resolved({name: value})
    assert parameters == {name: sent}
    assert type(parameters[name]) is type(sent)
    assert warnings == []


def test_the_parameters_checked_are_those_that_are_typed() -> None:
    """The keywords that the type checkers know and those that are checked are the same."""
    assert set(NEUTRAL) == set(ChatParameters.__annotations__)
    around = {"timeout", "credentials", "vendor", "progress", "session", "system", "tools", "tool_choice"}
    assert set(ChatOptions.__annotations__) == set(NEUTRAL) | around


@given(st.fixed_dictionaries({}, optional={name: st.none() for name in NEUTRAL}))
def test_what_is_unset_is_not_sent(unset: Mapping[str, None]) -> None:
    """`None` is the same as leaving the keyword out, and defaults are for forms."""
    rules = [ParameterRule("temperature", default=0.7), ParameterRule("max_tokens", default=0, min=0)]
    assert resolved(unset, rules=rules) == ({}, {}, [])


def test_an_empty_list_of_stops_is_unset() -> None:
    """Some vendors refuse an empty list."""
    assert resolved({"stop": []}) == ({}, {}, [])


@pytest.mark.parametrize(
    ("name", "near"),
    [("temprature", "temperature"), ("max_token", "max_tokens"), ("top_P", "top_p"), ("stops", "stop")],
)
@pytest.mark.parametrize("policy", POLICIES)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str, policy: Policy) -> None:
    """A misspelt parameter is never passed on and never left out."""
    with pytest.raises(BadRequest, match=repr(name)) as caught:
        resolved({name: 1}, policy=policy)
    assert caught.value.parameter == name
    assert repr(near) in (caught.value.remedy or "")
    assert "vendor=" in (caught.value.remedy or "")


RULES = [
    ParameterRule("temperature", min=0, max=1),
    ParameterRule("num_predict", use_template="max_tokens", type="int", max=100),
    ParameterRule("effort", use_template="reasoning", options=("low", "high")),
    ParameterRule("num_ctx", type="int", min=1, max=131072),
    ParameterRule("mirostat_tau", type="float"),
    ParameterRule("numa", type="boolean"),
    ParameterRule("mode", type="string", options=("fast", "good")),
    ParameterRule("grammar", type="text"),
    ParameterRule("anything"),
    ParameterRule("bias", type="object"),
    ParameterRule("words", type="array"),
]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [({"temperature": 1.5}, "temperature"), ({"max_tokens": 101}, "max_tokens"), ({"reasoning": "max"}, "reasoning")],
)
def test_a_models_rules_narrow_the_range(parameters: Mapping[str, object], name: str) -> None:
    """The rule is found by the neutral name, whatever the vendor calls it."""
    with pytest.raises(BadRequest) as caught:
        resolved(parameters, rules=RULES)
    assert caught.value.parameter == name


def test_a_parameter_the_model_does_not_take_is_an_error_or_a_warning() -> None:
    """Strict refuses it by name, the others leave it out and say so, and nothing does it in silence."""
    with pytest.raises(UnsupportedFeature) as caught:
        resolved({"top_k": 5}, rules=RULES)
    assert caught.value.parameter == "top_k"
    for policy in ("clamp", "drop"):
        result = resolve_parameters({"top_k": -5, "temperature": 0.5}, {}, RULES, policy=policy)
        assert result.parameters == {"temperature": 0.5}
        (warning,) = result.warnings
        assert (warning.code, warning.parameter) == ("parameter_unsupported", "top_k")
        assert (warning.given, warning.sent) == (-5, None)


def test_a_model_nobody_described_is_sent_everything() -> None:
    """Unknown rules refuse nothing; known and empty rules refuse all."""
    assert resolved({"top_k": 5}, {"mirostat": 2}) == ({"top_k": 5}, {"mirostat": 2}, [])
    with pytest.raises(UnsupportedFeature):
        resolved({"top_k": 5}, rules=[])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_ctx", 0),
        ("num_ctx", True),
        ("mirostat_tau", "five"),
        ("numa", 1),
        ("mode", "best"),
        ("mode", 7),
        ("bias", [1]),
        ("words", "one"),
    ],
)
def test_a_vendor_option_is_checked_by_its_rule(name: str, value: Any) -> None:
    """By type and range where the vendor's rule says so; without rules the vendor itself must judge."""
    with pytest.raises(BadRequest) as caught:
        resolved({}, {name: value}, rules=RULES)
    assert caught.value.parameter == name
    assert resolved({}, {name: value})[1] == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mirostat_tau", math.nan),
        ("grammar", "\ud800"),
        ("anything", math.inf),
        ("anything", {"deep": [1, {"er": math.nan}]}),
        ("anything", ["ok", "\udfff"]),
        ("anything", {"bytes": b"x"}),
        ("anything", {1, 2}),
        ("anything", {7: "x"}),
        ("anything", {"\ud800": "x"}),
        ("bias", object()),
    ],
)
@pytest.mark.parametrize("rules", [RULES, None])
def test_a_vendor_option_is_what_json_can_hold(name: str, value: Any, rules: list[ParameterRule] | None) -> None:
    """With rules or without, the complaint is about the option, and comes before the wire."""
    with pytest.raises(BadRequest) as caught:
        resolved({}, {name: value}, rules=rules)
    assert (caught.value.parameter or "").startswith(name)


def test_a_place_inside_an_option_is_named() -> None:
    """The complaint about a nested value says where in the value."""
    with pytest.raises(BadRequest) as caught:
        resolved({}, {"anything": {"deep": [1, {"er": math.nan}]}}, rules=RULES)
    assert caught.value.parameter == "anything.deep[1].er"


def test_vendor_options_go_by_the_vendors_own_names() -> None:
    """A vendor's name is known by its rule; an unknown one is refused with the nearest, or warned of."""
    options = {"num_ctx": 4096, "mode": "fast", "anything": {"a": [None, 1, 2.5, "x", True]}, "bias": {"50256": -100}}
    assert resolved({}, options, rules=RULES) == ({}, options, [])
    with pytest.raises(UnsupportedFeature, match="num_cxt") as caught:
        resolved({}, {"num_cxt": 1}, rules=RULES)
    assert "'num_ctx'" in (caught.value.remedy or "")
    assert resolved({}, {"num_cxt": 1, "numa": True}, rules=RULES, policy="drop") == ({}, {"numa": True}, ["num_cxt"])


def test_a_value_nested_without_end_is_refused() -> None:
    """A list that holds itself ends in an error of ours, not in the interpreter's."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(BadRequest, match="anything"):
        resolved({}, {"anything": endless}, rules=RULES)


def test_mappings_of_any_kind_are_taken() -> None:
    """Options may come from a read-only mapping."""
    option = MappingProxyType({"a": (1, 2)})
    assert resolved({}, {"anything": option}, rules=RULES)[1] == {"anything": option}


@given(st.text() | st.characters(categories=["Cs"]).map(lambda half: f"a{half}b"))
def test_a_text_is_sent_as_it_is_or_refused(text: str) -> None:
    """Only half a surrogate pair, which no encoding can carry, makes a text unsendable."""
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(BadRequest, match=r"here has a lone surrogate \(U\+D"):
            check_text(text, "here")
    else:
        assert check_text(text, "here") is text
