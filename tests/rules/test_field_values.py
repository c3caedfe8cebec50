"""The twelve types of form fields: what each takes, and what comes out of it, typed."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.field_limits import DEEPEST, MOST_CHARACTERS
from modelhub.rules.field_values import value_of
from modelhub.rules.forms import problems
from modelhub.types.forms import FormField, FormOption
from modelhub.types.secret import Secret

OPTIONS = (FormOption("a"), FormOption("b,c"), FormOption("1"), FormOption("true"))
PEM = "-----BEGIN KEY-----\r\n\tabc\n-----END KEY-----\n"


def read(field: FormField, given: Any) -> Any:
    """Return the value of a field, which must have one."""
    found: list[Any] = []
    value = value_of(field, given, field.options, found)
    assert not found
    return value


def complaints(field: FormField, given: Any) -> list[tuple[str, str]]:
    """Return what is wrong, by path and code."""
    return [(problem.path, problem.code) for problem in problems([field], {field.variable: given})]


@pytest.mark.parametrize(
    ("kind", "given_value", "value"),
    [
        ("text-input", " a b ", "a b"),
        ("text-input", 5, "5"),
        ("text-input", 1.0, "1.0"),
        ("text-input", True, "true"),
        ("text-input", "日本", "日本"),
        ("secret-input", "\tkey\n", "key"),
        ("secret-input", Secret("key"), "key"),
        ("switch", False, False),
        ("switch", "false", False),
        ("switch", "OFF", False),
        ("switch", 0, False),
        ("switch", "no", False),
        ("switch", " Yes ", True),
        ("switch", 1, True),
        ("number", "0.5", 0.5),
        ("number", " 8 ", 8),
        ("number", 8.0, 8),
        ("number", "8.0", 8),
        ("number", "-1e3", -1000),
        ("number", "+.5", 0.5),
        ("number", 0, 0),
        ("number", 10**400, 10**400),
        ("url", " https://a.b/c?d=e#f ", "https://a.b/c?d=e#f"),
        ("url", "http://localhost:8080", "http://localhost:8080"),
        ("url", "HTTPS://[::1]:443/", "HTTPS://[::1]:443/"),
        ("url", "https://bücher.example/@me", "https://bücher.example/@me"),
        ("textarea", PEM, PEM),
        ("textarea", 5, "5"),
        ("file", PEM, PEM),
        ("file", Secret(PEM), PEM),
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
        ("json", {"a": (1, 2)}, {"a": [1, 2]}),
        ("json", "5", 5),
        ("json", "false", False),
        ("json", False, False),
        ("json", {}, {}),
        ("json", {"a": Secret("key")}, {"a": "key"}),
        ("key-value", "X-A: 1\r\n\r\nX-B : a:b ", {"X-A": "1", "X-B": "a:b"}),
        ("key-value", '{"X-A": "1"}', {"X-A": "1"}),
        ("key-value", {"X-A": 1, "X-B": True, "X-C": " é\t", "X-D": Secret("k")}, None),
        ("key-value", {"X-A": ""}, {"X-A": ""}),
    ],
)
def test_what_a_field_takes(kind: Any, given_value: Any, value: Any) -> None:
    """Texts of an environment, values of a file and JSON of a page come out alike, and typed."""
    if value is None:
        value = {"X-A": "1", "X-B": "true", "X-C": "é", "X-D": "k"}
    taken = read(FormField("x", kind), given_value)
    assert taken == value
    assert type(taken) is type(value)


@pytest.mark.parametrize(
    ("kind", "given_value", "code"),
    [
        ("text-input", ["a"], "not_text"),
        ("text-input", {"a": 1}, "not_text"),
        ("text-input", b"a", "not_text"),
        ("text-input", math.inf, "not_finite"),
        ("text-input", "a\nb", "blank_control"),
        ("text-input", "a\x00", "blank_control"),
        ("secret-input", "a\ud800", "blank_control"),
        ("text-input", "a" * (MOST_CHARACTERS + 1), "too_long"),
        ("switch", "maybe", "not_switch"),
        ("switch", 2, "not_switch"),
        ("switch", 1.5, "not_switch"),
        ("switch", ["true"], "not_switch"),
        ("number", True, "not_number"),
        ("number", "1_000", "not_number"),
        ("number", "0x10", "not_number"),
        ("number", "1,5", "not_number"),
        ("number", "\u0661", "not_number"),
        ("number", [1], "not_number"),
        ("number", math.nan, "not_finite"),
        ("number", "-Infinity", "not_finite"),
        ("number", "1e999", "not_finite"),
        ("number", "9" * 5000, "too_long"),
        ("url", "ftp://a", "not_url"),
        ("url", "a.b", "not_url"),
        ("url", "https://", "not_url"),
        ("url", "https://a b", "not_url"),
        ("url", "https://a/\n/b", "not_url"),
        ("url", "https://a/\u2028b", "not_url"),
        ("url", "https://a\\b", "not_url"),
        ("url", "https://a:0", "not_url"),
        ("url", "https://a:65536", "not_url"),
        ("url", "javascript:alert(1)", "not_url"),
        ("url", "https://me:pw@a", "url_password"),
        ("url", "https://me@a", "url_password"),
        ("textarea", "a\x00", "control"),
        ("textarea", "a\x1b[0m", "control"),
        ("file", "a" * (MOST_CHARACTERS + 1), "too_long"),
        ("file", ["a"], "not_text"),
        ("json", "{", "not_json"),
        ("json", "text", "not_json"),
        ("json", '"text"', "not_json"),
        ("json", "[NaN]", "not_finite"),
        ("json", [math.nan], "not_finite"),
        ("json", "[1e999]", "not_finite"),
        ("json", '{"a": 1, "a": 2}', "twice"),
        ("json", {1: 2}, "not_json"),
        ("json", {"a": {1}}, "not_json"),
        ("json", "[" * 100_000, "not_json"),
        ("json", "[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), "too_deep"),
        ("key-value", "X-A", "not_lines"),
        ("key-value", "{", "not_json_object"),
        ("key-value", "X-A: 1\nX-A: 2", "twice"),
        ("key-value", ["X-A"], "not_pairs"),
        ("key-value", 5, "not_pairs"),
        ("multi-select", {"a": 1}, "not_list"),
        ("multi-select", "[1", "not_list"),
    ],
)
def test_what_a_field_refuses(kind: Any, given_value: Any, code: str) -> None:
    """Each with the kind of mistake; nothing is dropped in silence."""
    assert complaints(FormField("x", kind, required=False), given_value) == [("x", code)]


@pytest.mark.parametrize("kind", ["number", "json", "key-value", "multi-select", "switch", "url", "select", "file"])
@pytest.mark.parametrize("missing", [None, "", "  ", []])
def test_nothing_is_nothing_in_any_type(kind: Any, missing: Any) -> None:
    """None, a text of blanks and an empty list: the default counts, and without one the field is missing."""
    assert complaints(FormField("x", kind), missing) == [("x", "required")]
    assert complaints(FormField("x", kind, required=False), missing) == []
    default: Any = {"X-A": "1"} if kind == "key-value" else "https://1" if kind == "url" else "1"
    assert complaints(FormField("x", kind, default=default), missing) == []


def test_a_number_too_long_to_be_written_is_no_text() -> None:
    """Python writes numbers of 4,300 digits; a longer one is a complaint, not an exception."""
    assert complaints(FormField("x"), 10**5000) == [("x", "too_long")]


def test_no_headers_are_none() -> None:
    """An empty object is a value of a JSON field, and nothing in a field of names with texts."""
    assert complaints(FormField("x", "key-value"), {}) == [("x", "required")]
    assert read(FormField("x", "json"), {}) == {}


def test_numbers_have_limits() -> None:
    """Both ends belong to the range."""
    field = FormField("x", "number", min=0, max=1.5)
    assert [read(field, value) for value in (0, "1.5", -0.0)] == [0, 1.5, 0]
    assert complaints(field, -0.1) == [("x", "too_small")]
    assert complaints(field, "1.6") == [("x", "too_large")]
    assert complaints(field, 10**400) == [("x", "too_large")]
    assert problems([field], {"x": 2})[0].message == "it must be 1.5 or less"


def test_the_length_of_a_text_is_counted_in_characters() -> None:
    """Not in bytes, and for every type that is a text."""
    for kind in ("text-input", "secret-input", "textarea", "file"):
        field = FormField("x", kind, max_length=2)  # type: ignore[arg-type]
        assert read(field, "日本") == "日本"
        assert complaints(field, "日本語") == [("x", "too_long")]


@pytest.mark.parametrize("kind", ["select", "radio"])
def test_a_choice_is_one_of_the_options(kind: Any) -> None:
    """Compared as written, so that files may hold a number or a switch; without options any text will do."""
    field = FormField("x", kind, options=OPTIONS)
    assert [read(field, value) for value in ("a", " a ", 1, 1.0, True)] == ["a", "a", "1", "1", "true"]
    for wrong in ("z", "A", False, "a, b"):
        assert complaints(field, wrong) == [("x", "not_option")]
    assert complaints(field, ["a"]) == [("x", "not_text")]
    assert read(FormField("x", kind), "anything") == "anything"


@pytest.mark.parametrize(
    ("given_value", "value"),
    [
        (["1", "a"], ["a", "1"]),
        (("a",), ["a"]),
        (["a", "a", ""], ["a"]),
        ('["1", "a"]', ["a", "1"]),
        ("[1, true]", ["1", "true"]),
        ("1, a,", ["a", "1"]),
        ("b,c", ["b,c"]),
        (1, ["1"]),
        (True, ["true"]),
    ],
)
def test_several_choices(given_value: Any, value: list[str]) -> None:
    """A list, JSON of one, or items between commas; in the order of the options, without doubles."""
    assert read(FormField("x", "multi-select", options=OPTIONS), given_value) == value


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("switch", "yes", True),
        ("number", "5", 5),
        ("select", "a", "a"),
        ("multi-select", "1,a", ["a", "1"]),
        ("json", '{"a": 1}', {"a": 1}),
        ("key-value", "X-A: 1", {"X-A": "1"}),
        ("url", "https://a", "https://a"),
        ("textarea", "a\nb", "a\nb"),
    ],
)
def test_a_secret_is_read_as_its_text(kind: Any, text: str, value: Any) -> None:
    """What comes out of a store or a reference may be one, whatever the field's type."""
    assert read(FormField("x", kind, options=OPTIONS), Secret(text)) == value


def test_each_wrong_choice_is_a_complaint_of_its_own() -> None:
    """The path says which; no complaint repeats what was chosen."""
    field = FormField("x", "multi-select", options=OPTIONS)
    assert complaints(field, ["a", "z", ["b"], "y"]) == [
        ("x[1]", "not_option"),
        ("x[2]", "not_list"),
        ("x[3]", "not_option"),
    ]
    assert read(FormField("x", "multi-select"), "z, y, z") == ["z", "y"]


def test_each_wrong_header_is_a_complaint_of_its_own() -> None:
    """By its name; by its place where the name is wrong itself, or may be a secret."""
    field = FormField("headers", "key-value")
    key = "sk-proj-0123456789abcdef"
    given_value = {"X-A": "a\r\nb", "X B": "1", "": "1", "X-C": "漢", "X-D": ["a"], key: "a\x00", "Ä": "1", "X-E": None}
    found = problems([field], {"headers": given_value})
    assert [(problem.path, problem.code) for problem in found] == [
        ("headers.X-A", "not_header"),
        ("headers[1]", "not_name"),
        ("headers[2]", "not_name"),
        ("headers.X-C", "not_header"),
        ("headers.X-D", "not_pairs"),
        ("headers[5]", "not_header"),
        ("headers[6]", "not_name"),
        ("headers.X-E", "not_pairs"),
    ]


def test_what_is_taken_is_a_copy() -> None:
    """Whoever gave a value cannot change the credential afterwards."""
    given_value: dict[str, Any] = {"a": [1]}
    taken = read(FormField("x", "json"), given_value)
    given_value["a"].append(2)
    assert taken == {"a": [1]}


def test_a_default_is_read_by_the_fields_type() -> None:
    """Manifests of Dify's write every default as a text; a choice that is not offered is no default."""
    assert read(FormField("x", "switch", default="true"), None) is True
    assert read(FormField("x", "number", default="4096"), "") == 4096
    assert read(FormField("x", "number", default=0), None) == 0
    assert read(FormField("x", "switch", default=False), None) is False
    assert read(FormField("x", "select", required=False, default="z", options=OPTIONS), None) is None
    assert complaints(FormField("x", "number", default="many", required=False), None) == [("x", "not_number")]


@given(st.text())
def test_header_names_and_values_never_break_a_request(text: str) -> None:
    """Whatever is taken has no line break, no NUL, and can be sent in Latin-1."""
    found: list[Any] = []
    taken: Any = value_of(FormField("x", "key-value", required=False), {text: text, "X-A": text}, (), found)
    for name, value in (taken or {}).items():
        assert name.isascii()
        assert not set("\r\n\x00") & set(name + value)
        value.encode("latin-1")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_a_json_value_and_its_text_are_the_same(value: Any) -> None:
    """Given either way, the same comes out, or nothing for what is nothing."""
    field = FormField("x", "json", required=False)
    if isinstance(value, str):
        assert complaints(field, json.dumps(value)) == [("x", "not_json")]
    else:
        assert read(field, json.dumps(value)) == read(field, value)
