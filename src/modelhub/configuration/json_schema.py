"""The JSON Schema of ``modelhub.toml``, made from the classes that read it: for editors, and for those who write it.

What no schema can say (names that must exist, circles, the fields of a provider's form) is not in it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, cast

from modelhub.configuration.credentials import LEAST_REFRESH, REFRESH, URL_ALONE
from modelhub.configuration.limits import LimitTable
from modelhub.configuration.overlays import MODEL_KEYS, PROVIDER_KEYS
from modelhub.configuration.tables import (
    BudgetTable,
    DeploymentTable,
    EgressTable,
    PluginTable,
    PolicyTable,
    PricesTable,
    RouteTable,
    RoutingTable,
    SettingsFile,
    SharingTable,
    StoreTable,
    TimeoutTable,
)
from modelhub.manifest.limits import LIMITS, PROBE
from modelhub.types import forms, parameters, pricing, schema
from modelhub.types.json import JSON
from modelhub.types.parameters import ChatParameters
from modelhub.types.schema import ModelSchema, ProviderSchema

__all__ = ["json_schema"]

_Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TABLES: tuple[type, ...] = (
    PluginTable,
    PolicyTable,
    TimeoutTable,
    PricesTable,
    StoreTable,
    RoutingTable,
    EgressTable,
    SharingTable,
    BudgetTable,
    LimitTable,
    DeploymentTable,
    RouteTable,
    SettingsFile,
)
_LIMITS = ("exclusiveMinimum", "minimum", "maximum", "pattern")
_ROWS = ("ParameterRule", "FormField", "FormOption")
"""What stands in lists of manifests under a name of its own: the name is wanted, and a row can be taken away."""

_ATTRIBUTES = re.compile(r"^Attributes:\n((?: +.*\n?|\n)+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    (\w+(?:, \w+)*): (.*(?:\n     +.*)*)", re.MULTILINE)
_REFERENCE = "A text, or where it is: env:NAME, file:PATH, keyring:SERVICE/USERNAME."
_HOST_OR_NETWORK = r"^([A-Za-z0-9_.-]+|[0-9A-Fa-f.:\[\]]+(/[0-9]{1,3})?)$"
"""Nearly: what is within the limits of an address is looked at where the settings are read."""

_OVERLAY = "Fields of {whose} that stand over those of its plugin."


def json_schema() -> Mapping[str, JSON]:
    """Return the JSON Schema of ``modelhub.toml``, draft 2020-12. Slow: tens of milliseconds."""
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where a schema is

    whole: _Schema = TypeAdapter(SettingsFile).json_schema()
    definitions: _Schema = whole.pop("$defs")
    for cls in (ModelSchema, ProviderSchema, ChatParameters, LimitTable):
        part = _of(cls, TypeAdapter)
        definitions.update(part.pop("$defs", {}))
        definitions[cls.__name__] = part
    _close_manifests(definitions)
    for table in _TABLES:
        _close_table(table, whole if table is SettingsFile else definitions[table.__name__])
    for name, definition in definitions.items():
        _describe(definition, _documented().get(name))
    properties = whole["properties"]
    properties["$schema"] = {"type": "string", "description": "Where editors find this schema."}
    _close_budget(definitions["BudgetTable"])
    definitions["EgressTable"]["properties"]["allow"]["items"]["pattern"] = _HOST_OR_NETWORK
    definitions.update(_credentials(definitions.pop("LimitTable")["properties"]))
    properties["credentials"]["additionalProperties"] = {"$ref": "#/$defs/Credentials"}
    properties["models"]["additionalProperties"] = {"$ref": "#/$defs/ModelSchema"}
    properties["models"]["propertyNames"] = {"pattern": "^[^/]+/."}
    properties["providers"]["additionalProperties"] = {"$ref": "#/$defs/ProviderSchema"}
    definitions["DeploymentTable"]["properties"]["parameters"] = {
        "$ref": "#/$defs/ChatParameters",
        "description": "Neutral parameters that a call may override.",
    }
    _close_serving(definitions["DeploymentTable"], definitions["RouteTable"])
    _describe(whole, SettingsFile)
    whole["title"] = "modelhub.toml"
    return cast("Mapping[str, JSON]", {"$schema": _DIALECT, **_tidy(whole), "$defs": _tidy(definitions)})


def _of(cls: type, adapter: Callable[[Any], Any]) -> _Schema:
    from pydantic import create_model  # noqa: PLC0415

    if cls is not ChatParameters:
        return cast("_Schema", adapter(cls).json_schema())
    # The library takes no TypedDict of this Python's typing: a model with its fields is the same.
    hints = {name: (hint, ...) for name, hint in inspect.get_annotations(cls, eval_str=True).items()}
    found: _Schema = create_model("ChatParameters", **cast("Any", hints)).model_json_schema()
    return {**found, "required": [], "additionalProperties": False}


def _close_manifests(definitions: _Schema) -> None:
    """Make overlays of what describes whole manifests: nothing is required but the names of rows."""
    for name, definition in definitions.items():
        if name in _ROWS:
            definition["properties"]["remove"] = {"type": "boolean", "description": "Take this row away."}
        elif definition.get("type") == "object":
            definition.pop("required", None)
        if "properties" in definition:
            definition["additionalProperties"] = False
    for cls, keys, whose in ((ModelSchema, MODEL_KEYS, "a model"), (ProviderSchema, PROVIDER_KEYS, "a provider")):
        definition = definitions[cls.__name__]
        definition["properties"] = {key: definition["properties"].get(key, {}) for key in keys}
        definition["description"] = _OVERLAY.format(whose=whose)
    model, provider = definitions["ModelSchema"]["properties"], definitions["ProviderSchema"]["properties"]
    model["credentials"] = {
        "$ref": "#/$defs/Credentials",
        "description": "For this model alone, over those of its provider.",
    }
    model["remove"] = {"type": "boolean", "description": "Hide the model."}
    provider["extends"] = {"type": "string", "description": "The installed provider that a new one is made from."}
    a_minute, at_once = {"type": "number", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}
    provider["limits"]["additionalProperties"] = False
    provider["limits"]["properties"] = {key: at_once if key == "concurrency" else a_minute for key in LIMITS}
    for each in provider["probe"]["anyOf"]:
        each.update({"pattern": PROBE} if each["type"] == "string" else {})
    provider["preset"] = {"type": "object", "description": "Defaults of the form's fields, by variable; no secrets."}


def _close_table(cls: type, definition: _Schema) -> None:
    """Add the limits of values, which the library does not see."""
    definition["additionalProperties"] = False
    for field in fields(cls):
        limits = {key: value for key, value in field.metadata.items() if key in _LIMITS}
        given = definition["properties"][field.name]
        for each in given.get("anyOf", [given]) if limits else ():
            if each.get("type") != "null":
                each.update(limits)


def _close_serving(deployment: _Schema, route: _Schema) -> None:
    """Say that a deployment and a route lead somewhere, each in one of two ways."""
    deployment["oneOf"] = [{"required": ["target"]}, {"required": ["provider"]}]
    deployment["properties"]["target"]["pattern"] = r"^[^/#]([\s\S]*[^/#])?$"
    route["oneOf"] = [{"required": ["groups"]}, {"required": ["targets"]}]
    for name in ("groups", "targets"):
        route["properties"][name].update({"minItems": 1})
    route["properties"]["groups"]["items"].update({"minItems": 1, "uniqueItems": True})


def _close_budget(budget: _Schema) -> None:
    """Say what a budget must say itself."""
    budget["required"] = ["amount", "per"]
    for name in budget["required"]:
        budget["properties"][name].pop("default")


def _credentials(limits: _Schema) -> _Schema:
    """Return the definitions of what credentials may be: one or several, each flat or with a name.

    Args:
        limits: The keys that say how much a named one may be used.
    """
    values = {"type": "object", "description": f"The values of the provider's form, by variable. {_REFERENCE}"}
    named = {
        "type": "object",
        "required": ["values"],
        "properties": {
            "id": {"type": "string", "pattern": "^[^#]*[^#\\s][^#]*$", "description": "A name without secrets."},
            "values": values,
            "weight": {"type": "number", "exclusiveMinimum": 0, "default": 1, "description": "How much it counts."},
            "discover": {
                "const": "dns",
                "description": "Each address of the base URL's host is a deployment of its own.",
            },
            "refresh": {
                "type": "number",
                "minimum": LEAST_REFRESH,
                "default": REFRESH,
                "description": "Seconds between two look-ups, about.",
            },
            **limits,
        },
        "dependentRequired": {"refresh": ["discover"]},
        "additionalProperties": False,
    }
    flat = {**values, "not": {"required": ["values"], "properties": {"values": {"type": "object"}}}}
    one = {"$ref": "#/$defs/Credential"}
    url = {
        "type": "string",
        "pattern": URL_ALONE,
        "description": f"A base URL, where the form has one field for it. {_REFERENCE}",
    }
    return {
        "Credential": {"anyOf": [named, flat]},
        "Credentials": {"anyOf": [one, {"type": "array", "minItems": 1, "items": {"anyOf": [one, url]}}]},
    }


def _documented() -> Mapping[str, type]:
    """Return the classes behind the definitions, by name."""
    known = [getattr(module, name) for module in (forms, parameters, pricing, schema) for name in module.__all__]
    return {cls.__name__: cls for cls in (*_TABLES, *known) if isinstance(cls, type)}


def _describe(definition: _Schema, cls: type | None) -> None:
    """Say of a class and of its fields what its docstring says."""
    text = inspect.getdoc(cls) if cls is not None else None
    if text is None:
        return
    definition["description"] = definition.get("description", text).partition("\n")[0].replace("``", "`")
    section = _ATTRIBUTES.search(text)
    for names, said in _ATTRIBUTE.findall(section[1] if section else ""):
        for name in names.split(", "):
            if name in definition.get("properties", {}):
                definition["properties"][name].setdefault("description", " ".join(said.replace("``", "`").split()))


def _tidy(value: Any) -> Any:
    """Leave out what an editor has no use for: titles, and ``null``, which TOML has not."""
    if isinstance(value, list):
        return [_tidy(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: each for key, each in value.items() if not (key == "default" and each is None)}
    if isinstance(kept.get("title"), str) and ("type" in kept or "anyOf" in kept or "$ref" in kept):
        kept.pop("title")
    if "anyOf" in kept:
        kept["anyOf"] = [each for each in kept["anyOf"] if each != {"type": "null"}]
        if len(kept["anyOf"]) == 1:
            (only,) = kept.pop("anyOf")
            kept = {**only, **kept}
            kept.pop("title", None)
    return {key: _tidy(each) for key, each in kept.items()}


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
