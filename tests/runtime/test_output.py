"""An answer has the shape that was asked for, or the error holds the answer."""

import dataclasses
from types import MappingProxyType
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator
from typing_extensions import TypedDict

from modelhub.errors import ConfigurationError, OutputInvalid
from modelhub.runtime.output import format_of, output_of
from modelhub.types.events import FinishReason
from modelhub.types.messages import AssistantMessage, ReasoningPart, TextPart, ToolCall
from modelhub.types.requests import ResponseFormat
from modelhub.types.results import ChatResult


class Invoice(BaseModel):
    """A shape by pydantic."""

    number: str
    total: float


@dataclasses.dataclass
class Point:
    """A shape by a dataclass."""

    x: int
    y: int = 0


class Person(TypedDict):
    """A shape by a TypedDict."""

    name: str


class Picky(BaseModel):
    """A shape whose author's validator breaks."""

    value: int

    @field_validator("value")
    @classmethod
    def broken(cls, value: int) -> int:
        """Fail as only a bug does."""
        raise KeyError(value)


SCHEMA = {"title": "Weather", "type": "object", "properties": {"city": {"type": "string"}}}


def answer(text: str, reason: FinishReason = FinishReason.STOP) -> ChatResult[None]:
    """Return an answer."""
    parts = (ReasoningPart("{not this}"), TextPart(text))
    return ChatResult(message=AssistantMessage(parts), finish_reason=reason, output=None)


@pytest.mark.parametrize(
    ("shape", "text", "output"),
    [
        (Invoice, '{"number": "A-1", "total": 7}', Invoice(number="A-1", total=7)),
        (Point, '{"x": 1}', Point(1)),
        (Person, ' {"name": "Budi"}\n', {"name": "Budi"}),
        (list[int], "[1, 2]", [1, 2]),
        (Literal["yes", "no"], '"yes"', "yes"),
        (int, "42", 42),
        (SCHEMA, '{"city": "Bandung"}', {"city": "Bandung"}),
        (MappingProxyType(SCHEMA), '{"city": "Bandung"}', {"city": "Bandung"}),
        ("json", '{"a": [1, null, "é日本"]}', {"a": [1, None, "é日本"]}),
        ("json", "7", 7),
    ],
)
def test_an_answer_comes_in_the_shape_asked_for(shape: Any, text: str, output: object) -> None:
    """Types are validated into, schemas and `json` are parsed."""
    assert output_of(answer(text), format_of(shape)) == output


@pytest.mark.parametrize(
    ("shape", "name", "title"),
    [
        (Invoice, "Invoice", "Invoice"),
        (Point, "Point", "Point"),
        (Person, "Person", "Person"),
        (SCHEMA, "Weather", "Weather"),
        (MappingProxyType({"type": "object"}), "answer", None),
    ],
)
def test_a_shape_is_named_and_described(shape: Any, name: str, title: str | None) -> None:
    """What vendors are told: a JSON Schema and a short name."""
    described = format_of(shape)
    assert described.name == name
    assert described.schema is not None
    assert described.schema.get("title") == title


def test_a_shape_that_is_described_already_is_taken() -> None:
    """And `json` asks for any JSON at all."""
    given_format = ResponseFormat({"type": "object"}, "mine")
    assert format_of(given_format) is given_format
    assert format_of("json") == ResponseFormat()


@pytest.mark.parametrize(
    "shape", [7, "jsn", lambda: None, object(), Invoice(number="x", total=1), type(lambda: None), b""]
)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    """Before the wire, saying what could be given."""
    with pytest.raises(ConfigurationError, match=r"response_format is .* cannot be described: .") as caught:
        format_of(shape)
    assert "JSON Schema" in (caught.value.remedy or "")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "text", "reason"),
    [
        (Invoice, '{"number": "A-1"}', "total"),
        (Invoice, '{"number": "A-1", "total": "much"}', "total"),
        (Invoice, "Here you are: {}", "JSON"),
        (Invoice, "", "JSON"),
        (list[int], '[1, "x"]', "1: "),
        (Picky, '{"value": 1}', "KeyError"),
        ("json", "", "not valid JSON"),
        ("json", "{'a': 1}", "not valid JSON"),
        (SCHEMA, '{"city": "Ban', "not valid JSON"),
        (SCHEMA, '{"n": NaN}', "not valid JSON"),
    ],
)
def test_an_answer_of_another_shape_is_kept_in_the_error(shape: Any, text: str, reason: str) -> None:
    """It was paid for: the error says what is wrong with it and holds it whole."""
    result = answer(text)
    with pytest.raises(OutputInvalid, match=reason) as caught:
        output_of(result, format_of(shape))
    assert caught.value.partial is result
    assert caught.value.excerpt == text
    assert caught.value.__cause__ is not None


def test_an_answer_that_was_cut_says_so() -> None:
    """The model ran out of tokens: raising the limit helps, another shape does not."""
    with pytest.raises(OutputInvalid, match="ends at length"):
        output_of(answer('{"number": "A', FinishReason.LENGTH), format_of(Invoice))


def test_an_excerpt_is_short() -> None:
    """An error does not hold a book twice."""
    with pytest.raises(OutputInvalid) as caught:
        output_of(answer("x" * 100_000), format_of("json"))
    assert len((caught.value.excerpt or "").encode()) == 2048
    assert len(str(caught.value)) < 1000


def test_tool_calls_have_no_shape_yet() -> None:
    """The answer comes after the tools were run; text beside them is judged as ever."""
    call = ToolCall("1", "f", {})
    called = ChatResult(message=AssistantMessage((call,)), finish_reason=FinishReason.TOOL_CALLS, output=None)
    assert output_of(called, format_of(Invoice)) is None
    both = dataclasses.replace(called, message=AssistantMessage((TextPart('{"x": 1}'), call)))
    assert output_of(both, format_of(Point)) == Point(1)


@given(st.text())
def test_no_answer_raises_anything_else(text: str) -> None:
    """Whatever the model wrote."""
    for shape in (Invoice, Point, SCHEMA, "json"):
        try:
            output_of(answer(text), format_of(shape))
        except OutputInvalid as error:
            assert error.partial is not None  # noqa: PT017  both outcomes are right
