"""Schemas of tools: what the server would drop is said in words that it keeps, or named."""

from typing import Any

from modelhub.types.tools import Tool
from modelhub_ollama_local.tools import encoded_tools, lost_keywords

PLACE: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def parameters(schema: dict[str, Any]) -> Any:
    """Return a schema as it is sent."""
    encoded: Any = encoded_tools([Tool("f", "", schema)])
    return encoded[0]["function"]["parameters"]


def with_property(schema: dict[str, Any], **definitions: Any) -> dict[str, Any]:
    """Return the schema of an object with one property."""
    whole: dict[str, Any] = {"type": "object", "properties": {"it": schema}}
    return {**whole, "$defs": definitions} if definitions else whole


def sent(schema: dict[str, Any], **definitions: Any) -> Any:
    """Return one property's schema as it is sent."""
    return parameters(with_property(schema, **definitions))["properties"]["it"]


def test_a_reference_is_replaced_by_what_it_refers_to() -> None:
    """The server keeps `$defs` and drops `$ref`, so a nested model would arrive without its fields."""
    assert sent({"$ref": "#/$defs/Place"}, Place=PLACE) == PLACE
    assert "$defs" not in parameters(with_property({"$ref": "#/$defs/Place"}, Place=PLACE))


def test_words_beside_a_reference_stay() -> None:
    """A description of the property goes before that of the definition."""
    schema = {"$ref": "#/$defs/Place", "description": "Where to"}
    assert sent(schema, Place={**PLACE, "description": "A place"}) == {**PLACE, "description": "Where to"}


def test_references_inside_lists_choices_and_definitions_are_followed() -> None:
    """Wherever a schema may stand."""
    choice = {"anyOf": [{"$ref": "#/$defs/Place"}, {"type": "null"}]}
    assert sent(choice, Place=PLACE) == {"anyOf": [PLACE, {"type": "null"}]}
    assert sent({"type": "array", "items": {"$ref": "#/$defs/Place"}}, Place=PLACE)["items"] == PLACE
    assert sent({"$ref": "#/$defs/Alias"}, Alias={"$ref": "#/$defs/Place"}, Place=PLACE) == PLACE


def test_a_schema_that_refers_to_itself_ends_and_is_named() -> None:
    """A tree of nodes is written out once; below that the reference stays, with what it refers to."""
    node = {"type": "object", "properties": {"left": {"$ref": "#/$defs/N"}, "right": {"$ref": "#/$defs/N"}}}
    whole = with_property({"$ref": "#/$defs/N"}, N=node)
    assert parameters(whole)["properties"]["it"]["properties"]["left"] == {"$ref": "#/$defs/N"}
    assert parameters(whole)["$defs"] == {"N": node}
    assert lost_keywords(Tool("f", "", whole)) == ["$ref"]


def test_a_reference_to_nothing_stays() -> None:
    """It is the caller's mistake, and no crash."""
    assert sent({"$ref": "#/$defs/Nowhere"}) == {"$ref": "#/$defs/Nowhere"}


def test_words_that_the_server_drops_are_said_in_others() -> None:
    """OneOf as anyOf, const as enum, an allOf of one as that one."""
    assert sent({"oneOf": [{"type": "string"}]}) == {"anyOf": [{"type": "string"}]}
    assert sent({"const": "C"}) == {"enum": ["C"]}
    assert sent({"allOf": [{"$ref": "#/$defs/P"}], "description": "d"}, P=PLACE) == {**PLACE, "description": "d"}


def test_what_cannot_be_said_is_named() -> None:
    """Limits and formats are lost on the model, and the caller is told; titles and defaults are no loss."""
    schema: dict[str, Any] = {
        "type": "object",
        "title": "Arguments",
        "additionalProperties": False,
        "properties": {
            "days": {"type": "integer", "minimum": 1, "title": "Days", "default": 3},
            "when": {"type": "array", "items": {"type": "string", "format": "date"}},
            "all": {"allOf": [{"type": "string"}, {"maxLength": 3}]},
        },
    }
    assert lost_keywords(Tool("f", "", schema)) == ["allOf", "format", "minimum"]
    assert lost_keywords(Tool("f", "", PLACE)) == []


def test_odd_schemas_pass_as_they_are() -> None:
    """What is no schema where one should be is the server's to judge."""
    assert sent({"items": True, "anyOf": "x"}) == {"items": True, "anyOf": "x"}
    assert parameters({"type": "object", "properties": None}) == {"type": "object", "properties": {}}
