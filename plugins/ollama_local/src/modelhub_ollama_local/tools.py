"""Tools in the shape that Ollama takes, with as much of their schemas as the server keeps.

The server reads a tool's parameters into a fixed structure and drops whatever that has no place for: of a
property it keeps ``anyOf``, ``type``, ``items``, ``description``, ``enum``, ``properties`` and ``required``
(https://github.com/ollama/ollama/blob/main/api/types.go, 2026-11). What can be said in those words is rewritten
here; what cannot is named, so that the caller is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from modelhub.types.json import JSON, JSONObject
from modelhub.types.tools import Tool

__all__ = ["encoded_tools", "lost_keywords"]

_KEPT = frozenset({"anyOf", "type", "items", "description", "enum", "properties", "required"})
_AT_TOP = _KEPT | {"$defs"}
# Words that say nothing to a model beyond what the names and types around them do.
_IDLE = frozenset({"title", "default", "additionalProperties", "$schema", "examples", "deprecated"})


def encoded_tools(tools: Sequence[Tool]) -> list[JSON]:
    """Return the tools as the request's ``tools``."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": _adapted(tool)},
        }
        for tool in tools
    ]


def lost_keywords(tool: Tool) -> list[str]:
    """Return the keywords in a tool's schema that the model will not see, in order of their names."""
    adapted = _adapted(tool)
    found = {keyword for keyword in adapted if keyword not in _AT_TOP}
    for schema in _below(adapted):
        found.update(keyword for keyword in schema if keyword not in _KEPT)
    return sorted(found - _IDLE)


def _adapted(tool: Tool) -> dict[str, JSON]:
    definitions = _mapping(tool.parameters.get("$defs"))
    adapted = _rewritten(tool.parameters, definitions, within=())
    if not any("$ref" in schema for schema in (adapted, *_below(adapted))):
        adapted.pop("$defs", None)  # every reference has been put in its place
    return adapted


def _rewritten(schema: JSONObject, definitions: JSONObject, *, within: tuple[str, ...]) -> dict[str, JSON]:
    """Say a schema in the words that the server keeps, where they can say it.

    Args:
        schema: The schema.
        definitions: What it may refer to.
        within: The definitions that it stands in: a reference to one of them has no end, and is left.
    """
    said, within = _resolved(schema, definitions, within)
    alternatives = said.pop("allOf", None)
    if isinstance(alternatives, Sequence) and len(alternatives) == 1:
        only, within = _resolved(_mapping(alternatives[0]), definitions, within)
        said = {**only, **said}
    elif alternatives is not None:
        said["allOf"] = alternatives
    if "oneOf" in said and "anyOf" not in said:
        said["anyOf"] = said.pop("oneOf")
    if "const" in said and "enum" not in said:
        said["enum"] = [said.pop("const")]
    for keyword in ("items", "anyOf", "properties"):
        if keyword in said:
            said[keyword] = _inside(keyword, said[keyword], definitions, within)
    return said


def _inside(keyword: str, value: JSON, definitions: JSONObject, within: tuple[str, ...]) -> JSON:
    if keyword == "properties":
        named = _mapping(value)
        return {name: _rewritten(_mapping(held), definitions, within=within) for name, held in named.items()}
    if isinstance(value, Mapping):
        return _rewritten(value, definitions, within=within)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rewritten(_mapping(held), definitions, within=within) for held in value]
    return value


def _resolved(
    schema: JSONObject, definitions: JSONObject, within: tuple[str, ...]
) -> tuple[dict[str, JSON], tuple[str, ...]]:
    """Put the definition that a schema refers to in its place; its own words go before the definition's."""
    said = dict(schema)
    while isinstance(reference := said.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        target = definitions.get(name)
        if name in within or not isinstance(target, Mapping):
            break
        within = (*within, name)
        del said["$ref"]
        said = {**target, **said}
    return said, within


def _below(schema: JSONObject) -> Iterator[JSONObject]:
    """Yield every schema inside a schema."""
    inside: list[JSON] = list(_mapping(schema.get("properties")).values())
    for keyword in ("items", "anyOf"):
        value = schema.get(keyword)
        inside.extend(value if isinstance(value, list) else [value])
    for held in inside:
        if isinstance(held, Mapping):
            yield held
            yield from _below(held)


def _mapping(value: JSON) -> JSONObject:
    return value if isinstance(value, Mapping) else cast("JSONObject", {})
