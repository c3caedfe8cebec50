"""JSON is exact in both directions, and what is not JSON is said plainly."""

import datetime as dt
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.wire.json import UnencodableValue, dumps, is_cut_off, loads, loads_partial

VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**100), 10**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUE)
def test_a_value_comes_back_as_it_went(value: object) -> None:
    """Text, big integers and floats survive exactly, and the standard library reads the same."""
    assert loads(dumps(value)) == value
    assert json.loads(dumps(value)) == value


@given(st.binary(max_size=30) | st.text(max_size=30))
def test_anything_is_either_parsed_or_malformed(data: bytes | str) -> None:
    """No input raises anything else."""
    try:
        loads(data)
    except MalformedResponse as error:
        excerpt = error.excerpt or ""
    else:
        excerpt = ""
    assert len(excerpt.encode()) <= 200


def test_unicode_line_ends_stay_raw() -> None:
    """U+2028 and its kind are neither split nor lost nor escaped."""
    text = "a\u2028b\u2029c\u0085d 👩‍👩‍👧"
    assert dumps(text) == b'"' + text.encode() + b'"'
    assert loads(dumps(text)) == text


def test_white_space_and_a_byte_order_mark_are_allowed_around_a_document() -> None:
    """Servers send blank lines to keep a connection alive, and some a mark."""
    assert loads(b'\n\n \t{"a":1}\r\n ') == {"a": 1}
    assert loads(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


def test_the_last_duplicate_wins_and_numbers_are_exact() -> None:
    """As in the standard library."""
    assert loads(b'{"a":1,"a":2}') == {"a": 2}
    assert loads(b"123456789012345678901234567890") == 123456789012345678901234567890
    assert loads(b"0.1") == 0.1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"{'a':1}",
        b'{"a":1}x',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
    ],
)
def test_what_is_not_json_is_malformed(data: bytes) -> None:
    """Constants of JavaScript, half surrogate pairs and broken UTF-8 are refused."""
    with pytest.raises(MalformedResponse, match="not valid JSON"):
        loads(data)


@pytest.mark.parametrize("data", [b"[" * 10**6, b'{"a":' * 10**6, b"[" * 1000 + b"]" * 1000, b"9" * 10**6])
def test_depth_and_digits_are_bounded(data: bytes) -> None:
    """A bomb is malformed, at once and without a RecursionError."""
    with pytest.raises(MalformedResponse):
        loads(data)


def test_text_that_no_encoding_holds_is_malformed() -> None:
    """A string with half a surrogate pair is no document either."""
    with pytest.raises(MalformedResponse):
        loads('"\ud800"')


def test_a_partial_document_is_read_as_far_as_it_goes() -> None:
    """An error cut off in its sentence still says the beginning of it."""
    assert loads_partial(b'{"error":{"message":"model x not fo') == {"error": {"message": "model x not fo"}}
    with pytest.raises(MalformedResponse, match="does not begin as JSON"):
        loads_partial(b"<html>")


@given(st.dictionaries(st.text(max_size=4), VALUE, max_size=3), st.booleans(), st.integers(1, 10**6))
def test_what_is_missing_only_its_end_was_cut_off(value: object, escaped: bool, cut: int) -> None:  # noqa: FBT001  hypothesis gives it
    """Whatever it holds, wherever it was cut: in the middle of a character, a word or an escape."""
    data = json.dumps(value).encode() if escaped else dumps(value)
    assert is_cut_off(data[: cut % (len(data) - 1) + 1])
    assert is_cut_off(data + b"\xe6")  # half a character behind it


@pytest.mark.parametrize(
    "data",
    [b"sorry", b"<html>", b'{"a": NaN', b'{"a": 1} {"b": 1}', b'{"a": "\xff', b"[" * 10**6, b'{"a": 1} x', "{'a"],
)
def test_what_could_never_have_been_json_was_not_cut_off(data: bytes | str) -> None:
    """More of it would not mend it."""
    assert not is_cut_off(data)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "JSON has no nan"),
        ({"a": [1.0, math.inf]}, "a[1]: JSON has no inf"),
        (
            {"messages": [{"content": "ab\ud83d"}]},
            "messages[0].content: half a surrogate pair (U+D83D) at character 2 is no text",
        ),
        ({"a": {"\udc00": 1}}, "a: half a surrogate pair (U+DC00) at character 0 is no text"),
    ],
)
def test_an_unencodable_value_is_named_with_its_place(value: object, message: str) -> None:
    """Whoever built the request can find what to change."""
    with pytest.raises(UnencodableValue) as caught:
        dumps(value)
    assert str(caught.value) == message


def test_what_has_no_json_form_is_refused() -> None:
    """Foreign objects, cycles and bottomless nesting are errors of one kind, a ValueError."""
    cycle: list[object] = []
    cycle += [cycle, cycle]
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    for value in (object(), cycle, deep, {"a": b"\xff"}):
        with pytest.raises(UnencodableValue, match="not a JSON value"):
            dumps(value)
    assert issubclass(UnencodableValue, ValueError)


def test_words_that_look_like_constants_are_just_text() -> None:
    """Only a number can be NaN."""
    assert loads(dumps({"NaN": "Infinity"})) == {"NaN": "Infinity"}


def test_other_types_are_written_as_pydantic_writes_them() -> None:
    """Dates and tuples in tool results need no conversion by hand."""
    assert dumps({"day": dt.date(2026, 1, 2), "pair": (1, 2)}) == b'{"day":"2026-01-02","pair":[1,2]}'


def test_a_constant_that_only_the_writer_saw_is_refused() -> None:
    """A NaN inside an object that JSON writing unfolds is found in what was written."""
    with pytest.raises(UnencodableValue, match="not a JSON value"):
        dumps(iter([math.nan]))
