"""A form as JSON Schema: a plain validator takes what the core takes, and a page finds all that it draws."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from modelhub.rules.form_schema import WIDGETS, form_schema
from modelhub.rules.forms import problems
from modelhub.types.forms import Condition, EndpointRule, FieldType, FormField, FormOption
from modelhub.types.schema import ModelType

LABELS = {"en_US": "Mode", "id_ID": "Moda"}


def accepts(form: list[FormField], values: Mapping[str, Any], model_type: ModelType | None = None) -> bool:
    """Ask a plain validator, which got the schema as JSON."""
    schema = json.loads(json.dumps(form_schema(form, model_type=model_type)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid(dict(values))


# Each variable has one type here, so that values are typed for their fields; texts have no blanks at their ends.
KINDS = {
    "text": "text-input",
    "key": "secret-input",
    "choice": "select",
    "button": "radio",
    "on": "switch",
    "size": "number",
    "link": "url",
    "lines": "textarea",
    "data": "json",
    "headers": "key-value",
    "some": "multi-select",
    "upload": "file",
}
WORDS = st.sampled_from(["x", "1", "true", "1.5", "much too long"])
NUMBERS = st.integers(-2, 12) | st.sampled_from([1.5, -0.5, 10**20])
JSONS = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
LINES = st.text(min_size=1, max_size=5).filter(lambda text: text.strip())
VALUES = {
    "text-input": WORDS | LINES.map(str.strip),
    "secret-input": WORDS,
    "select": WORDS,
    "radio": WORDS,
    "switch": st.booleans(),
    "number": NUMBERS,
    "url": st.sampled_from(
        [
            *("https://a.b/c?d#e", "http://[::1]:80", "HTTP://a", "https://a:65536", "https://a:0", "http://a:9x"),
            *("ftp://a", "a.b", "http://", "https://me:pw@a", "https://a b", "https://a/\x00", "https://a/\\"),
        ]
    ),
    "textarea": LINES,
    "json": JSONS.filter(lambda value: value not in (None, []) and not isinstance(value, str)),
    "key-value": st.dictionaries(
        st.sampled_from(["X-A", "x a", "", "ä"]), st.sampled_from(["", "a b", "ä", "a\nb", "漢"]), min_size=1
    ),
    "multi-select": st.lists(WORDS, min_size=1, max_size=3, unique=True),
    "file": LINES,
}
WANTED = st.sampled_from(["x", "1", "true", "1.5", 1, 1.0, 1.5, True, False, "", [1], ["x"], {"a": 1}])


def conditions(variables: list[str]) -> st.SearchStrategy[Condition]:
    """Make conditions on these variables, on the model's type and on one that no field has."""
    return st.recursive(
        st.builds(
            Condition,
            st.sampled_from([*variables, *variables, "__model_type", "nothing"]) | st.none(),
            st.none() | WANTED,
            in_=st.none() | st.lists(WANTED | st.just("llm") | st.none(), max_size=2),
            exists=st.none() | st.booleans(),
        ),
        lambda inner: st.builds(
            Condition,
            any=st.none() | st.lists(inner, max_size=2),
            all=st.none() | st.lists(inner, max_size=2),
            not_=st.none() | inner,
        ),
        max_leaves=3,
    )


@st.composite
def forms_and_values(draw: st.DrawFn) -> tuple[list[FormField], dict[str, Any]]:
    """Make a form of up to five fields, circles and doubles included, and values of the fields' types."""
    variables = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4, unique=True))
    shown = st.lists(conditions(variables), max_size=2)
    form = []
    for variable in [*variables, *draw(st.lists(st.sampled_from(variables), max_size=2))]:
        kind = KINDS[variable]
        field = FormField(
            variable,
            kind,  # type: ignore[arg-type]
            required=draw(st.booleans()),
            default=draw(st.none() | VALUES[kind] | st.sampled_from(["1", "true", "x", ["1"], ["x", "1"], "many"])),
            options=draw(st.lists(st.builds(FormOption, WORDS, show_on=shown), max_size=3)),
            max_length=draw(st.sampled_from([0, 0, 3])),
            show_on=draw(shown),
            min=draw(st.none() | st.just(0)),
            max=draw(st.none() | st.just(9.5)),
        )
        form.append(field)
    values = {each: draw(VALUES[KINDS[each]]) for each in variables if draw(st.booleans())}
    if draw(st.integers(0, 9)) == 0:
        values["unknown"] = 1
    return form, values


@given(forms_and_values(), st.none() | st.sampled_from([ModelType.LLM, ModelType.TTS]))
def test_a_validator_accepts_what_the_core_accepts(
    drawn: tuple[list[FormField], dict[str, Any]], model_type: ModelType | None
) -> None:
    """For any form and any typed values: both, or neither."""
    form, values = drawn
    found = problems(form, values, model_type=model_type)
    assert accepts(form, values, model_type) is not bool(found), found


def test_conditions_compare_as_the_core_does() -> None:
    """A switch, a number and a text that are written alike are the same, in a plain validator too."""
    form = [
        FormField("data", "json", required=False),
        FormField("key", show_on=[Condition("data", "1")]),
    ]
    for value, same in (
        (1, True),
        (1.0, True),
        (["1"], True),
        ([1], True),
        (True, False),
        (2, False),
        ({"a": 1}, False),
    ):
        assert accepts(form, {"data": value}) is not same
        assert accepts(form, {"data": value, "key": "k"})


def test_a_default_counts_in_conditions() -> None:
    """What is left out holds its default, so fields that hang on it are shown."""
    form = [
        FormField("mode", "select", default="chat", options=[FormOption("chat"), FormOption("raw")]),
        FormField("tools", "switch", show_on=[Condition("mode", "chat")]),
    ]
    assert not accepts(form, {})
    assert accepts(form, {"tools": False})
    assert accepts(form, {"mode": "raw"})


def test_a_default_that_is_not_offered_does_not_count() -> None:
    """A condition on a field whose default hangs on another field follows both."""
    only = [Condition("region", "eu")]
    form = [
        FormField("region", default="eu"),
        FormField("zone", "select", required=False, default="north", options=[FormOption("north", show_on=only)]),
        FormField("a", show_on=[Condition("zone", "north")]),
        FormField("b", show_on=[Condition("zone", exists=False)]),
    ]
    for values in ({"a": "x"}, {"b": "x"}, {"region": "us", "a": "x"}, {"region": "us", "b": "x"}):
        assert accepts(form, values) is not bool(problems(form, values))
    assert accepts(form, {"a": "x"})
    assert accepts(form, {"region": "us", "b": "x"})


def test_a_long_chain_of_conditions_stays_short() -> None:
    """Each condition is written once, however many fields hang on it."""
    form = [FormField("a0", "switch")]
    for number in range(1, 40):
        asked = [Condition(f"a{number - 1}", wanted) for wanted in ("true", "false")]
        form += [FormField(f"a{number}", "switch", show_on=[Condition(any=asked)]), FormField(f"a{number}", "switch")]
    assert len(json.dumps(form_schema(form))) < 100_000


def test_a_base_url_is_for_the_core_to_read() -> None:
    """A validator refuses what no text can be, and leaves the rest to the core, which may refuse more."""
    form = [FormField("base_url", "url", role="endpoint", endpoint=EndpointRule("http", 9))]
    for text, fits in (("host:9", True), ("http://host", True), ("ho\nst", False), ("", False)):
        assert accepts(form, {"base_url": text}) is fits
    assert problems(form, {"base_url": "http://host:0"})


def test_a_line_break_at_the_end_is_no_part_of_a_url() -> None:
    """The pattern says so to validators of every language; the core takes it away."""
    form = [FormField("link", "url")]
    assert not accepts(form, {"link": "http://a\n"})
    assert not problems(form, {"link": "http://a\n"})


def test_the_fields_stand_in_order_with_all_that_is_drawn() -> None:
    """Labels in all their locales, conditions as manifests write them, nothing that the form does not say."""
    form = [
        FormField("zone", "select", LABELS, help="Where", options=[FormOption("eu", "Europe"), FormOption("us")]),
        FormField(
            "api_key",
            "secret-input",
            placeholder={"en_US": "sk-…", "ja_JP": ""},
            default="preset",
            max_length=64,
            show_on=[Condition("zone", in_=["eu"], not_=Condition("__model_type", exists=True))],
        ),
    ]
    schema = form_schema(form)
    assert schema["x-modelhub"] == {
        "fields": [
            {
                "variable": "zone",
                "type": "select",
                "widget": "select",
                "label": LABELS,
                "help": "Where",
                "required": True,
                "secret": False,
                "options": [{"value": "eu", "label": "Europe"}, {"value": "us", "label": "us"}],
            },
            {
                "variable": "api_key",
                "type": "secret-input",
                "widget": "password",
                "label": "api_key",
                "placeholder": {"en_US": "sk-…"},
                "required": True,
                "secret": True,
                "max_length": 64,
                "show_on": [{"variable": "zone", "in": ["eu"], "not": {"variable": "__model_type", "exists": True}}],
            },
        ]
    }
    assert schema["properties"] == {
        "zone": {"type": "string", "enum": ["eu", "us"], "title": "Mode", "description": "Where"},
        "api_key": {"writeOnly": True},
    }
    assert "preset" not in json.dumps(schema)


@pytest.mark.parametrize(("locale", "label"), [("id", "Moda"), (["fr", "en-GB"], "Mode"), ("ja", "Mode")])
def test_labels_come_in_the_locale_wanted(locale: str | list[str], label: str) -> None:
    """One text in place of all, for tools that draw forms from plain JSON Schema as well."""
    schema: Any = form_schema([FormField("mode", label=LABELS)], locale=locale)
    assert schema["properties"]["mode"]["title"] == label
    assert schema["x-modelhub"]["fields"][0]["label"] == label


def test_every_type_of_field_has_a_widget() -> None:
    """None is drawn as a line of text for want of a word."""
    assert set(WIDGETS) == set(get_args(FieldType))
