"""What goes on the wire by the vendor's own names, from the model's rules and nothing else."""

import json
from typing import Any

import pytest

from modelhub.provider import vendor_parameters
from modelhub.rules.rule_set import RuleSet
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest, EmbedRequest, ResponseFormat
from modelhub.types.schema import ModelSchema


def words(*rules: ParameterRule, **fields: Any) -> dict[str, Any]:
    """Return what is put on the wire for a request with these fields."""
    request: Any = ChatRequest(schema=ModelSchema("m", parameter_rules=rules), **fields)
    whole: Any = ChatRequest(schema=ModelSchema("m", parameter_rules=RuleSet.of(rules)), **fields)
    found = vendor_parameters(request)
    assert vendor_parameters(whole) == found
    return found


def test_neutral_parameters_go_by_the_vendors_names() -> None:
    """A rule's template says which is which; the others keep their names."""
    rules = (ParameterRule("num_predict", use_template="max_tokens"), ParameterRule("temperature"))
    assert words(*rules, parameters={"max_tokens": 0, "temperature": 0}) == {"num_predict": 0, "temperature": 0}


def test_a_vendor_option_stands_over_the_neutral_parameter_it_equals() -> None:
    """And an option of None is not sent."""
    rule = ParameterRule("num_predict", use_template="max_tokens")
    assert words(rule, parameters={"max_tokens": 5}, options={"num_predict": -1, "x": None}) == {"num_predict": -1}


def test_without_rules_the_names_are_the_requests() -> None:
    """Where nobody knows, the vendor must judge."""
    given: Any = {"parameters": {"max_tokens": 5, "seed": None}, "options": {"x": 1}}
    assert vendor_parameters(ChatRequest(**given)) == {"max_tokens": 5, "x": 1}
    assert vendor_parameters(ChatRequest(schema=ModelSchema("m"), **given)) == {"max_tokens": 5, "x": 1}


def test_requests_of_other_kinds_have_options() -> None:
    """Neutral parameters are for conversations."""
    schema = ModelSchema("m", parameter_rules=[ParameterRule("truncate")])
    assert vendor_parameters(EmbedRequest(options={"truncate": False}, schema=schema)) == {"truncate": False}


def test_values_are_the_vendors() -> None:
    """`values` says what a neutral value is called, for any parameter."""
    rule = ParameterRule("tools_at_once", use_template="parallel_tool_calls", values={"false": "one", "true": "many"})
    assert words(rule, parameters={"parallel_tool_calls": False}) == {"tools_at_once": "one"}


@pytest.mark.parametrize(
    ("kind", "stop", "said"), [("string", ["X"], "X"), ("array", ["X"], ["X"]), (None, ["X", "Y"], ["X", "Y"])]
)
def test_one_text_for_a_rule_of_words(kind: Any, stop: list[str], said: object) -> None:
    """A list stays one for the others."""
    assert words(ParameterRule("stop", type=kind), parameters={"stop": stop}) == {"stop": said}


def test_a_number_for_a_rule_of_words_is_written() -> None:
    """The vendor wants the text."""
    rule = ParameterRule("temperature", type="string", options=("0", "1"))
    assert words(rule, parameters={"temperature": 1}) == {"temperature": "1"}


SCHEMA = {"type": "object", "properties": {"naïve": {"type": "string"}}}
WORD = ParameterRule("response_format", options=("text", "json_object", "json_schema"))
TEXT = ParameterRule("json_schema", use_template="json_schema")


def test_a_response_format_is_said_by_its_word() -> None:
    """Any JSON has a word, in whatever case; without a format nothing is said."""
    assert words(WORD) == {}
    assert words(WORD, response_format=ResponseFormat()) == {"response_format": "json_object"}
    assert words(ParameterRule("f", use_template="response_format"), response_format=ResponseFormat()) == {"f": "JSON"}
    mapped = ParameterRule("f", use_template="response_format", values={"json": {"type": "json_object"}})
    assert words(mapped, response_format=ResponseFormat()) == {"f": {"type": "json_object"}}


def test_a_schema_goes_as_a_text_or_as_it_is() -> None:
    """By the type of the rule for it; the word goes beside it where there is one."""
    shape = ResponseFormat(SCHEMA)
    sent = words(WORD, TEXT, response_format=shape)
    assert sent["response_format"] == "json_schema"
    assert json.loads(sent["json_schema"]) == SCHEMA
    assert "naïve" in sent["json_schema"]
    whole = ParameterRule("shape", use_template="json_schema", type="object")
    assert words(whole, response_format=shape) == {"shape": SCHEMA}
    assert words(ParameterRule("f", use_template="response_format"), TEXT, response_format=shape).keys() == {
        "json_schema"
    }


def test_word_and_schema_may_share_a_place() -> None:
    """A vendor with one field for both gets the word without a schema and the schema with one."""
    rules = (
        ParameterRule("format", use_template="response_format", values={"json": "json"}),
        ParameterRule("format", use_template="json_schema", type="object"),
    )
    assert words(*rules, response_format=ResponseFormat()) == {"format": "json"}
    assert words(*rules, response_format=ResponseFormat(SCHEMA)) == {"format": SCHEMA}


def test_a_schema_becomes_any_json_where_there_is_no_more() -> None:
    """It is the nearest that the model can be told; the hub checks the answer."""
    rule = ParameterRule("f", use_template="response_format", options=("JSON", "XML"))
    assert words(rule, response_format=ResponseFormat(SCHEMA)) == {"f": "JSON"}
