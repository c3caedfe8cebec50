"""JSON Schemas of ``provider.yaml`` and of model YAML, for editors: generated from the schema classes.

They take Dify's loose spellings as the reader does (a quoted number is a number) and refuse keys that nobody reads, so
that an editor underlines a misspelt one. What needs more than one value to be told is for ``modelhub lint``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, cast

from modelhub.hookspecs import CONTRACTS
from modelhub.manifest.limits import LIMITS, PROBE
from modelhub.rules.templates import template_names
from modelhub.types.json import JSONObject
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["FileKind", "json_schema"]

FileKind: TypeAlias = Literal["provider", "model"]
"""Which file: ``provider.yaml``, or the YAML of one model."""

_Schema: TypeAlias = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_KINDS: Mapping[FileKind, tuple[type, str]] = MappingProxyType(
    {
        "provider": (ProviderSchema, "provider.yaml of a modelhub plugin"),
        "model": (ModelSchema, "Model YAML of a modelhub plugin"),
    }
)
_INTEGER = r"^[-+]?[0-9]+$"
_NUMBER = r"^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$"
_TYPES = [kind.value for kind in ModelType]
_OLD_TYPES = ["text-generation", "embeddings", "reranking"]
_FOLDERS = list(dict.fromkeys([*_TYPES, *(kind.replace("-", "_") for kind in _TYPES)]))
_FILES: _Schema = {
    "type": "object",
    "properties": {
        "predefined": {
            "description": "Patterns that find the models' files, from the manifest's folder.",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}],
        },
        "position": {
            "description": "The order of the models: their names, or a file that lists them.",
            "anyOf": [{"type": "array", "items": {"type": ["string", "number"]}}, {"type": "string"}],
        },
    },
    "additionalProperties": False,
}
_A_MINUTE: _Schema = {"type": ["number", "string", "null"], "exclusiveMinimum": 0, "pattern": _NUMBER}
_AT_ONCE: _Schema = {"type": ["integer", "string", "null"], "minimum": 1, "pattern": _INTEGER}
_MORE: Mapping[tuple[str, str], _Schema] = MappingProxyType(
    {
        ("ProviderSchema", "configurate_methods"): {"items": {"enum": ["predefined-model", "customizable-model"]}},
        ("ProviderSchema", "contract"): {"enum": list(CONTRACTS)},
        ("ProviderSchema", "defaults"): {"propertyNames": {"enum": _FOLDERS}},
        ("ProviderSchema", "models"): {"propertyNames": {"enum": _FOLDERS}, "additionalProperties": _FILES},
        ("ProviderSchema", "position"): {
            "propertyNames": {"enum": _FOLDERS},
            "additionalProperties": {"anyOf": [_FILES["properties"]["position"], {"type": "null"}]},
        },
        ("ProviderSchema", "timeouts"): {"propertyNames": {"enum": ["connect", "first_token", "idle"]}},
        ("ProviderSchema", "limits"): {
            "propertyNames": {"enum": list(LIMITS)},
            "properties": {"concurrency": _AT_ONCE, "rpm": _A_MINUTE, "tpm": _A_MINUTE},
        },
        ("ProviderSchema", "probe"): {"type": "string", "pattern": PROBE},
        ("ModelSchema", "fetch_from"): {"enum": ["predefined-model", "customizable-model", "remote-model"]},
        ("ParameterRule", "use_template"): {"enum": list(template_names())},
    }
)
"""What the annotations cannot say of a key."""

_TEXT: _Schema = {"type": ["string", "number", "boolean", "null"]}
_LABELS: _Schema = {"anyOf": [_TEXT, {"type": "object", "additionalProperties": _TEXT}]}
_NESTED_HELP: _Schema = {
    "type": "object",
    "properties": {"title": _LABELS, "text": _LABELS},
    "additionalProperties": False,
}
_ALSO: Mapping[tuple[str, str], _Schema] = MappingProxyType(
    {("FormField", "help"): _NESTED_HELP, ("ParameterRule", "help"): _NESTED_HELP}
)
"""Other ways in which plugins of Dify's write the value of a key."""

_FILLED_IN: Mapping[str, Sequence[str]] = MappingProxyType({"Pricing": ["source"]})
"""What the core fills in, and no file says."""


def json_schema(kind: FileKind) -> JSONObject:
    """Return the JSON Schema (draft 2020-12) of a kind of file.

    Args:
        kind: ``provider`` for ``provider.yaml``, ``model`` for the YAML of one model.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where a schema is

    cls, title = _KINDS[kind]
    schema = TypeAdapter(cls).json_schema(schema_generator=_generator(), ref_template="#/$defs/{model}")
    return {"$schema": _DIALECT, **schema, "title": title}


def _generator() -> Any:
    """Return what generates a schema for editors: loose spellings, no unknown keys, words from the docstrings."""
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415  likewise

    base: Any = GenerateJsonSchema
    number: _Schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": _NUMBER}]}
    plain: Mapping[str, _Schema] = {
        "int_schema": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": _INTEGER}]},
        "float_schema": number,
        "decimal_schema": number,
        "bool_schema": {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]},
        "str_schema": {"type": ["string", "number", "boolean"]},
    }
    methods = {name: partial(_copied, made) for name, made in plain.items()}
    made: dict[str, Any] = {name: lambda _, schema, method=method: method(schema) for name, method in methods.items()}
    made["enum_schema"] = lambda _, schema: _choices(schema["cls"])
    made["dict_schema"] = lambda self, schema: _with_nothing(base.dict_schema(self, schema))
    made["dataclass_schema"] = lambda self, schema: _described(
        schema["cls"], self.resolve_ref_schema(base.dataclass_schema(self, schema))
    )
    return type("Generator", (GenerateJsonSchema,), made)


def _copied(made: _Schema, _: object) -> _Schema:
    return deepcopy(made)


def _choices(cls: type[Enum]) -> _Schema:
    named: _Schema = {"enum": [each.value for each in cls]}
    return {"anyOf": [named, {"enum": list(_OLD_TYPES), "deprecated": True}]} if cls is ModelType else named


def _with_nothing(schema: _Schema) -> _Schema:
    """Let the keys of a mapping stand without a value, as labels of Dify's do."""
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values:
        schema["additionalProperties"] = {"anyOf": [values, {"type": "null"}]}
    return schema


def _described(cls: type, schema: _Schema) -> _Schema:
    """Close a class's schema to unknown keys, and give its keys what the docstring says of them."""
    summary, own = _documented(cls)
    inherited = {key: text for each in reversed(cls.__mro__) for key, text in _documented(each)[1].items()}
    attributes = {**inherited, **own}
    schema["additionalProperties"] = False
    schema["description"] = summary
    required = schema.get("required", ())
    for name in _FILLED_IN.get(cls.__name__, ()):
        schema.get("properties", {}).pop(name, None)
    for key, each in schema.get("properties", {}).items():
        more = _MORE.get((cls.__name__, key), {})
        place = _part_for(each, more)
        place.update(deepcopy(more))
        if also := _ALSO.get((cls.__name__, key)):
            each["anyOf"].append(deepcopy(also))
        each.setdefault("title", key.replace("_", " ").title())
        if key in attributes:
            each["description"] = attributes[key]
        if key not in required:
            _or_nothing(each)
    return schema


def _part_for(schema: _Schema, more: _Schema) -> _Schema:
    """Return where something more belongs: beside the alternative that is no ``null``, where there is one."""
    alternatives = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if not more or len(alternatives) != 1:
        return schema
    return cast("_Schema", alternatives[0])


def _or_nothing(schema: _Schema) -> None:
    """Let a key stand without a value, as the reader does."""
    if schema.get("default", ...) is None:
        del schema["default"]
    kept: _Schema = {key: schema.pop(key) for key in ("title", "description", "default") if key in schema}
    nothing = {"type": "null"}
    inner = dict(schema)
    schema.clear()
    alternatives = inner["anyOf"] if set(inner) == {"anyOf"} else [inner] if inner else []
    if alternatives:
        schema["anyOf"] = [*(each for each in alternatives if each != nothing), nothing]
    schema.update(kept)


def _documented(cls: type) -> tuple[str, Mapping[str, str]]:
    """Return the first paragraph of a class's docstring, and what it says of its attributes."""
    text = inspect.getdoc(cls) or ""
    head, _, section = text.partition("\nAttributes:\n")
    summary = _plain(head.strip().partition("\n\n")[0].splitlines())
    found: dict[str, str] = {}
    entry: list[str] = []
    for line in [*section.partition("\n\n")[0].splitlines(), "    :"]:
        if re.match(r" {4}\S", line):
            found.update(_entry(entry))
            entry = []
        entry.append(line)
    return summary, found


def _entry(lines: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield the attributes that one entry is about, with what it says."""
    names, colon, first = lines[0].partition(": ") if lines else ("", "", "")
    if colon:
        text = _plain([first, *lines[1:]])
        for name in names.split(","):
            yield name.strip().rstrip("_"), text


def _plain(lines: Iterable[str]) -> str:
    text = " ".join(line.strip() for line in lines).replace("``", "`")
    return re.sub(r"\s+", " ", text).strip()
