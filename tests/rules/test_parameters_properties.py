"""Whatever the rules and whatever is given: what is sent is within the rules, and would come out unchanged again."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import BadRequest
from modelhub.rules.limits import NEUTRAL
from modelhub.rules.parameters import resolve_parameters
from modelhub.rules.rule_set import RuleSet
from modelhub.rules.templates import TEMPLATES
from modelhub.rules.vendor_parameters import vendor_parameters
from modelhub.types.forms import Condition
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelSchema

BOUNDS = st.integers(-100, 100) | st.floats(-100, 100).map(lambda value: round(value, 3))
NAMES = [*NEUTRAL, "enable_thinking", "reasoning_effort", "thinking_budget", "num_ctx", "mode"]
WORDS = ["low", "high", "none", "auto", "1", "0.5", "on", "off", "true"]
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "use_template": st.sampled_from([*TEMPLATES, "unknown"]),
    "type": st.sampled_from(["float", "int", "string", "boolean", "text", "array", "object"]),
    "min": BOUNDS,
    "max": BOUNDS,
    "precision": st.integers(0, 3),
    "options": st.lists(st.sampled_from(WORDS), unique=True),
    "default": st.sampled_from([0, 1, "low", True, False, 0.5, ""]),
    "required": st.booleans(),
    "values": st.dictionaries(st.sampled_from(["true", "false", "none", "low", "high", "max"]), BOUNDS),
    "show_on": st.builds(
        lambda name, value: [Condition(name, value=value)], st.sampled_from(NAMES), st.sampled_from([True, 1, "low"])
    ),
}
RULES = st.lists(
    st.builds(
        lambda name, keys: ParameterRule(name, **keys),
        st.sampled_from(NAMES),
        st.fixed_dictionaries({}, optional=KEYS),
    ),
    max_size=5,
    unique_by=lambda rule: rule.name,
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = (
    NUMBERS
    | st.booleans()
    | st.none()
    | st.sampled_from([*WORDS, "minimal", "medium", "max", "0.123", "7", "", "nan"])
    | st.lists(st.sampled_from(WORDS))
)
GIVEN = st.dictionaries(st.sampled_from([*NEUTRAL]), VALUES, max_size=4)
OPTIONS = st.dictionaries(st.sampled_from([*NAMES, "foo"]), VALUES, max_size=3)
POLICIES = st.sampled_from(["strict", "clamp", "drop"])


@given(GIVEN, OPTIONS, st.none() | RULES, POLICIES)
def test_what_is_sent_would_be_sent_again(
    parameters: Mapping[str, Any], options: Mapping[str, Any], rules: list[ParameterRule] | None, policy: Any
) -> None:
    """Resolving what came out changes nothing and warns of nothing; nothing but our own error ever comes."""
    try:
        first = resolve_parameters(parameters, options, rules, policy=policy)
    except BadRequest:
        return
    again = resolve_parameters(dict(first.parameters), first.options, rules, policy="strict")
    assert (again.parameters, again.options) == (first.parameters, first.options)
    assert again.warnings == ()


@given(GIVEN, OPTIONS, RULES, POLICIES)
def test_what_is_sent_is_within_the_rules(
    parameters: Mapping[str, Any], options: Mapping[str, Any], rules: list[ParameterRule], policy: Any
) -> None:
    """Of a rule's own name and type, in its range, and among its options."""
    try:
        resolved = resolve_parameters(parameters, options, rules, policy=policy)
    except BadRequest:
        return
    lookup = RuleSet.of(rules).lookup
    assert set(resolved.parameters) <= set(NEUTRAL)
    assert set(resolved.options) <= set(lookup.rules)
    for name, value in resolved.options.items():
        rule = lookup.rules[name]
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert rule.min is None or value >= rule.min
            assert rule.max is None or value <= rule.max
        elif isinstance(value, str) and rule.options:
            assert value in rule.options
        wanted = {"int": int, "float": int | float, "boolean": bool, "string": str, "text": str, "array": list}
        if rule.type in wanted and not (rule.type in {"int", "float"} and value in rule.options):
            assert isinstance(value, wanted[rule.type])
            assert isinstance(value, bool) is (rule.type == "boolean")


@given(NUMBERS, st.fixed_dictionaries({}, optional={key: KEYS[key] for key in ("min", "max", "precision")}))
def test_clamp_never_refuses_a_number(number: float, keys: Mapping[str, Any]) -> None:
    """Any number comes out inside the range, or is left out where nothing can be inside; whatever it was is told."""
    rule = ParameterRule("x", type="float", **keys)
    resolved = resolve_parameters({}, {"x": number}, [rule], policy="clamp")
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        assert resolved.options == {}
    elif "x" in resolved.options:
        sent: Any = resolved.options["x"]
        assert rule.min is None or sent >= rule.min
        assert rule.max is None or sent <= rule.max
        assert bool(resolved.warnings) is (sent != number)
    else:
        assert resolved.warnings[0].code == "parameter_dropped"


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(NEUTRAL, st.none())), RULES, POLICIES)
def test_what_is_unset_stays_unset(unset: Mapping[str, None], rules: list[ParameterRule], policy: Any) -> None:
    """Whatever the defaults are: only what is required is sent."""
    optional = [rule for rule in rules if not rule.required]
    resolved = resolve_parameters(unset, {}, optional, policy=policy)
    assert (resolved.parameters, resolved.options, resolved.warnings) == ({}, {}, ())


@given(GIVEN, OPTIONS, RULES, POLICIES)
def test_the_vendors_words_are_of_the_vendors_names(
    parameters: Mapping[str, Any], options: Mapping[str, Any], rules: list[ParameterRule], policy: Any
) -> None:
    """What has been checked can be said by the rules alone; a vendor option stands over what it equals."""
    try:
        resolved = resolve_parameters(parameters, options, rules, policy=policy)
    except BadRequest:
        return
    schema = ModelSchema("m", parameter_rules=rules)
    request: Any = ChatRequest(parameters=resolved.parameters, options=resolved.options, schema=schema)
    words = vendor_parameters(request)
    assert set(words) <= {rule.name for rule in rules}
    assert words.items() >= resolved.options.items()
    budgets = [rule for rule in RuleSet.of(rules) if rule.type == "int" and not rule.values and rule.name in words]
    for rule in budgets:
        value: Any = words[rule.name]
        if isinstance(value, int) and [each.name for each in rules].count(rule.name) == 1:
            assert rule.min is None or value >= rule.min
            assert rule.max is None or value <= rule.max
