"""Each kind of value is read from whatever stands for it, and refused where nothing does."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest

from modelhub.errors import PluginError
from modelhub.manifest.document import parse_document
from modelhub.manifest.shapes import read_shape, schema_from
from modelhub.types.forms import Condition, FormField
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    DARK_RED = "dark-red"


@dataclass(frozen=True)
class Inner:
    """What stands in a list."""

    name: str
    size: int = 0


@dataclass(frozen=True)
class Thing:
    """A field of each kind."""

    text: str = ""
    flag: bool = False
    count: int = 0
    ratio: float | None = None
    price: Decimal | None = None
    day: dt.date | None = None
    word: Literal["on", "off"] | None = None
    colour: Colour = Colour.RED
    names: Sequence[str] = ()
    table: Mapping[str, int] = field(default_factory=dict)
    anything: object = None
    label: Mapping[str, str] | str = ""
    either: Sequence[int] | bool | int = 0
    inner: Sequence[Inner] = ()


def read(key: str, value: object) -> Any:
    """Return what a value of a key is read as."""
    thing, notices = schema_from(Thing, {key: value}, "it")
    assert notices == ()
    return getattr(thing, key)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("text", "a", "a"),
        ("text", 1, "1"),
        ("text", 1.5, "1.5"),
        ("text", True, "true"),
        ("text", dt.date(2026, 1, 31), "2026-01-31"),
        ("text", Decimal("1.10"), "1.10"),
        ("flag", "Yes", True),
        ("flag", " off ", False),
        ("flag", 1, True),
        ("flag", "0", False),
        ("count", "8", 8),
        ("count", 8.0, 8),
        ("count", "1e3", 1000),
        ("count", 2**70, 2**70),
        ("ratio", "0.5", 0.5),
        ("ratio", 1, 1),
        ("ratio", "2.0", 2),
        ("ratio", 2**60, 2**60),
        ("ratio", Decimal("0.25"), 0.25),
        ("price", "0.10", Decimal("0.10")),
        ("price", 0.1, Decimal("0.1")),
        ("price", 3, Decimal(3)),
        ("price", Decimal("1e-9"), Decimal("1e-9")),
        ("day", "2026-01-31", dt.date(2026, 1, 31)),
        ("day", " 2026-01-31T12:00:00Z ", dt.date(2026, 1, 31)),
        ("day", dt.date(2026, 1, 31), dt.date(2026, 1, 31)),
        ("day", dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC), dt.date(2026, 1, 31)),
        ("word", "off", "off"),
        ("colour", "dark-red", Colour.DARK_RED),
        ("names", ["a", 1, None], ["a", "1"]),
        ("names", ("a",), ("a",)),
        ("table", {"a": "1", "b": None, 3: 4}, {"a": 1, "3": 4}),
        ("anything", {"a": [1, None, 2.5, {"b": ("c",)}]}, {"a": [1, None, 2.5, {"b": ["c"]}]}),
        ("anything", dt.date(2026, 1, 31), "2026-01-31"),
        ("anything", Decimal("1.10"), "1.10"),
        ("label", {"en_US": "a", "id": None, "no": 1}, {"en_US": "a", "no": "1"}),
        ("label", 7, "7"),
        ("either", [1], [1]),
        ("either", True, True),
        ("either", 7, 7),
        ("inner", [{"name": "a", "size": "2"}], [Inner("a", 2)]),
    ],
)
def test_a_value_is_read_as_what_it_stands_for(key: str, value: object, expected: object) -> None:
    """Of the type that the field has."""
    found = read(key, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("text", ["a"], "text: must be a text, not a list"),
        pytest.param("text", 10**5000, "text: must be a text, not a number of too many digits", id="digits"),
        ("text", b"a", "text: must be a text, not b'a'"),
        ("flag", "perhaps", "flag: must be true or false, not 'perhaps'"),
        ("flag", 2, "flag: must be true or false, not 2"),
        ("count", True, "count: must be a whole number, not True"),
        ("count", 1.5, "count: must be a whole number, not 1.5"),
        ("count", {}, "count: must be a whole number, not a mapping"),
        ("ratio", "nan", "ratio: must be a number, not 'nan'"),
        ("ratio", 10**400, "ratio: must be a number, not 1" + "0" * 38 + "…"),
        ("ratio", False, "ratio: must be a number, not False"),
        ("price", "1M", "price: must be a number, not '1M'"),
        ("price", float("inf"), "price: must be a number, not inf"),
        ("price", "1e999", "price: must be a number, not '1e999'"),
        ("price", "9" * 5000, "price: must be a number, not '" + "9" * 38 + "…"),
        ("price", True, "price: must be a number, not True"),
        ("day", "2026-02-30", "day: must be a date such as 2026-12-31, not '2026-02-30'"),
        ("day", 7, "day: must be a date such as 2026-12-31, not 7"),
        ("word", "of", "word: must be one of on, off, not 'of' (did you mean 'off'?)"),
        ("word", ["on"], "word: must be one of on, off, not a list"),
        ("colour", "blue", "colour: must be one of red, dark-red, not 'blue'"),
        ("names", {"a": 1}, "names: must be a list, not a mapping"),
        ("names", ["a", ["b"]], "names[1]: must be a text, not a list"),
        ("table", [1], "table: must be a mapping, not a list"),
        ("table", {"a b": "x"}, "table['a b']: must be a whole number, not 'x'"),
        ("anything", {"a": [float("nan")]}, "anything.a[0]: nan is no value that JSON can hold"),
        ("anything", {1, 2}, "anything: {1, 2} is no value that JSON can hold"),
        ("label", ["a"], "label: must be a text, not a list"),
        ("either", {"a": 1}, "either: must be a whole number, not a mapping"),
        ("inner", ["a"], "inner[0]: must be a mapping, not 'a'"),
        ("inner", [{"size": 1}], "inner[0]: 'name' is missing"),
        ("inner", [{"name": None}], "inner[0]: 'name' is missing"),
    ],
)
def test_a_value_that_stands_for_nothing_is_refused(key: str, value: object, problem: str) -> None:
    """With its place, what is wanted and what is there, cut where it is long."""
    with pytest.raises(PluginError) as caught:
        schema_from(Thing, {key: value}, "it")
    assert caught.value.message == f"it: {problem}"


def test_what_is_absent_is_the_default() -> None:
    """So is null, which is nothing said."""
    assert schema_from(Thing, dict.fromkeys(asdict(Thing())), "it") == (Thing(), ())


def test_several_things_that_an_object_cannot_do_without() -> None:
    """Each is told."""

    @dataclass
    class Pair:
        first: int
        second: int

    with pytest.raises(PluginError) as caught:
        schema_from(Pair, {"first": "a", "second": "b"}, "it")
    assert caught.value.message == (
        "it: first: must be a whole number, not 'a'; it: second: must be a whole number, not 'b'"
    )


def test_a_class_whose_fields_cannot_be_read_is_a_mistake_of_ours() -> None:
    """It is found when the class is first used, and not when a value of a plugin's comes."""

    @dataclass
    class Odd:
        names: frozenset[str] = frozenset()

    with pytest.raises(TypeError, match="nothing reads frozenset"):
        schema_from(Odd, {}, "it")


def rule(**keys: object) -> ParameterRule:
    """Return a parameter rule."""
    schema, _ = schema_from(ModelSchema, {"model": "m", "parameter_rules": [{"name": "p", **keys}]}, "it")
    return (schema.parameter_rules or ())[0]


@pytest.mark.parametrize(
    ("keys", "default"),
    [
        ({"type": "int", "default": "8"}, 8),
        ({"type": "int", "default": 8.0}, 8),
        ({"type": "float", "default": "0.50"}, 0.5),
        ({"type": "float", "default": 1}, 1),
        ({"type": "boolean", "default": "False"}, False),
        ({"type": "boolean", "default": False}, False),
        ({"type": "string", "default": 5}, "5"),
        ({"type": "text", "default": "x"}, "x"),
        ({"type": "array", "default": ["x"]}, ["x"]),
        ({"type": "object", "default": {"x": 1}}, {"x": 1}),
        ({"default": "0.5"}, "0.5"),
        ({"use_template": "temperature", "default": "0.5"}, 0.5),
        ({"use_template": "max_tokens", "default": 0}, 0),
    ],
)
def test_a_default_is_of_the_parameters_type(keys: dict[str, object], default: object) -> None:
    """Its own, or that of its template."""
    found = rule(**keys).default
    assert found == default
    assert type(found) is type(default)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"type": "int", "default": "8.5"}, "must be a whole number, not '8.5'"),
        ({"type": "int", "default": True}, "must be a whole number, not True"),
        ({"type": "float", "default": "inf"}, "must be a number, not 'inf'"),
        ({"type": "boolean", "default": "perhaps"}, "must be true or false, not 'perhaps'"),
        ({"type": "string", "default": ["x"]}, "must be a single value of type text"),
        ({"use_template": "top_p", "default": {}}, "must be a single value of type float"),
    ],
)
def test_a_default_of_another_type_is_refused(keys: dict[str, object], problem: str) -> None:
    """In YAML it is left out."""
    with pytest.raises(PluginError) as caught:
        rule(**keys)
    assert caught.value.message == f"it: parameter_rules[0].default: {problem}"


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("type: text-input, default: 1.10", "1.10"),
        ("type: select, default: yes", "yes"),
        ("type: secret-input, default: 0x10", "0x10"),
        ("type: switch, default: yes", True),
        ("type: number, default: 1.50", 1.5),
        ("type: json, default: 1.10", 1.1),
        ("type: multi-select, default: [a, 1.10]", ["a", 1.1]),
        ("default: 2026-01-31", "2026-01-31"),
    ],
)
def test_a_fields_default_is_what_the_field_holds(text: str, default: object) -> None:
    """A text as it was written where the field holds a text."""
    shape = read_shape(FormField, parse_document(f"{{variable: a, {text}}}".encode(), "x.yaml"))
    assert shape.value.default == default
    assert shape.problems == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.10", "1.10"), ("1", 1), ("0.5", 0.5), ("1e3", "1e3"), ("true", True), ("no", False), ("a", "a")],
)
def test_a_conditions_number_is_compared_as_it_is_written(text: str, value: object) -> None:
    """A version is no number, and 1 is 1 however it is compared."""
    shape = read_shape(Condition, parse_document(f"{{variable: a, value: {text}}}".encode(), "x.yaml"))
    assert shape.value.value == value
    assert type(shape.value.value) is type(value)


def test_keys_that_are_words_of_pythons_have_both_names() -> None:
    """The one that people write and the one that ``asdict`` gives."""
    condition = Condition("a", in_=[1], not_=Condition("b", exists=True))
    assert schema_from(Condition, asdict(condition), "it") == (condition, ())
    written = {"variable": "a", "in": [1], "not": {"variable": "b", "exists": True}}
    assert schema_from(Condition, written, "it") == (condition, ())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Some text", "Some text"),
        ("{en_US: A}", {"en_US": "A"}),
        ("{title: {en_US: A}, text: {en_US: B}}", {"en_US": "B"}),
        ("{title: {en_US: A}}", {"en_US": "A"}),
    ],
)
def test_a_help_may_have_a_title(text: str, found: object) -> None:
    """As some plugins write it; the text counts."""
    shape = read_shape(FormField, parse_document(f"{{variable: a, help: {text}}}".encode(), "x.yaml"))
    assert (shape.value.help, shape.problems) == (found, ())


@pytest.mark.parametrize("most", ["18446744073709551615", "'18446744073709551615'", "9223372036854775807"])
def test_a_bound_that_no_float_holds_keeps_its_last_digit(most: str) -> None:
    """The greatest seeds are whole numbers of 63 and 64 bits: as floats they would be one more."""
    text = f"{{model: m, parameter_rules: [{{name: seed, type: int, max: {most}}}]}}"
    schema = read_shape(ModelSchema, parse_document(text.encode(), "m.yaml")).value
    (rule,) = schema.parameter_rules or ()
    assert (rule.max, type(rule.max)) == (int(most.strip("'")), int)


def test_the_voices_of_a_model_are_texts_as_they_are_written() -> None:
    """`no` is Norwegian, and a voice may be called by a number."""
    text = "model: m\nmodel_properties:\n  voices:\n  - {mode: 007, name: 1.10, language: [no, id-ID]}\n"
    text += "  - {mode: a, language: on, extra: }\n  - alone\n  -\n"
    schema = read_shape(ModelSchema, parse_document(text.encode(), "m.yaml")).value
    assert schema.model_properties["voices"] == [
        {"mode": "007", "name": "1.10", "language": ["no", "id-ID"]},
        {"mode": "a", "language": "on", "extra": None},
        "alone",
        None,
    ]
