"""What Dify's YAML spells in ways of its own, and which of a manifest's values hang on other ones.

Owns the exceptions: names from older versions, helps that are nested, numbers that are texts because of what stands
beside them. How values are read in general is in `modelhub.manifest.readers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from modelhub.manifest.limits import LIMITS, limit_fault, probe_fault
from modelhub.manifest.problems import Reading
from modelhub.manifest.scalars import shown
from modelhub.rules.names import nearest
from modelhub.rules.parameters import NEUTRAL
from modelhub.rules.price_checks import check_pricing
from modelhub.rules.templates import TEMPLATES
from modelhub.types.forms import Condition, FormField
from modelhub.types.parameters import ParameterRule
from modelhub.types.pricing import Prices, Pricing
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["AFTER", "BEFORE", "CHECKS", "INSTEAD", "LIKE", "UNDIVIDED", "model_type_named"]

_LEGACY_TYPES: Mapping[str, ModelType] = MappingProxyType(
    {
        "text-generation": ModelType.LLM,
        "embeddings": ModelType.TEXT_EMBEDDING,
        "reranking": ModelType.RERANK,
        **{kind.value.replace("-", "_"): kind for kind in ModelType},
        **{kind.value: kind for kind in ModelType},
    }
)

UNDIVIDED = Prices
"""With one price of several wrong, a sum would be wrong: such an object is read as a whole or not at all."""

INSTEAD: Mapping[tuple[type, str], Any] = MappingProxyType(
    {
        # A field that nobody understands may be for a secret, and then it must not be shown.
        (FormField, "type"): "secret-input",
        (FormField, "role"): "secret",
    }
)
"""What stands in for a value that cannot be read, where the default would do harm."""

LIKE = 0.65
"""How like a known word a misspelt one must be, so that what is new is not taken for what is old."""

_COUNTS = frozenset(
    {"context_size", "max_chunks", "file_upload_limit", "max_characters_per_chunk", "word_limit", "max_workers"}
)
_WORDS = frozenset({"mode", "audio_type", "default_voice", "supported_file_extensions", "voices"})
_TEXT_FIELDS = frozenset({"text-input", "secret-input", "select", "radio", "url", "textarea", "file"})
_MOST_DECIMALS = 20


def model_type_named(name: object) -> ModelType | None:
    """Return the type that a name of today or of earlier days stands for."""
    return _LEGACY_TYPES.get(name.strip().lower()) if isinstance(name, str) else None


def _model_type(value: Any) -> Any:
    return model_type_named(value) or value


def _model_types(value: Any) -> Any:
    return [_model_type(each) for each in value] if isinstance(value, list | tuple) else _model_type(value)


def _help(value: Any) -> Any:
    """Return the labels of a help text; some plugins write ``{title: {…}, text: {…}}``."""
    if isinstance(value, Mapping):
        for key in ("text", "title"):
            if isinstance(value.get(key), Mapping):
                return value[key]
    return value


def _positions(value: Any) -> Any:
    """Return the lists of names; a path of a file with such a list is for who reads the files."""
    if isinstance(value, Mapping):
        return {kind: names for kind, names in value.items() if not isinstance(names, str)}
    return None if isinstance(value, str) else value


BEFORE: Mapping[tuple[type, str], Callable[[Any], Any]] = MappingProxyType(
    {
        (ProviderSchema, "supported_model_types"): _model_types,
        (ProviderSchema, "position"): _positions,
        (ModelSchema, "model_type"): _model_type,
        (FormField, "help"): _help,
        (ParameterRule, "help"): _help,
    }
)
"""What brings a key's value into the form that its annotation says."""


def _after_field(reading: Reading, given: dict[str, Any]) -> None:
    """Read a field's default as what the field holds."""
    if "default" in given:
        kind = given.get("type", "text-input")
        what = {"switch": "boolean", "number": "float"}.get(kind, "text" if kind in _TEXT_FIELDS else None)
        _default(reading, given, what)


def _after_rule(reading: Reading, given: dict[str, Any]) -> None:
    """Read a rule's default as what the parameter is; a template that does not exist is none."""
    named = given.get("use_template")
    if named is not None and named not in TEMPLATES and named not in NEUTRAL:
        near = nearest(named, TEMPLATES, most=1, least=LIKE)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        reading.note("odd-value", f"there is no template {named!r}{hint}", "use_template")
        del given["use_template"]
    template = TEMPLATES.get(given.get("use_template") or "")
    kind = given.get("type") or (template.type if template else None)
    if "default" in given:
        _default(reading, given, "text" if kind == "string" else kind)
    if not 0 <= given.get("precision", 0) <= _MOST_DECIMALS:
        with reading.at("precision"):
            reading.cost(reading.wrong(f"must be 0 to {_MOST_DECIMALS}, not {given.pop('precision')}"))


def _default(reading: Reading, given: dict[str, Any], kind: str | None) -> None:
    with reading.at("default"):
        try:
            given["default"] = _as(reading, given["default"], kind)
        except ValueError as error:
            reading.cost(reading.wrong(str(error)))
            del given["default"]


def _as(reading: Reading, value: Any, kind: str | None) -> Any:
    """Return a scalar as what it stands for.

    Raises:
        ValueError: It cannot be that.
    """
    if isinstance(value, list | tuple | Mapping):
        if kind in {"boolean", "int", "float", "text"}:
            raise ValueError(f"must be a single value of type {kind}")
        return value
    match kind:
        case "text":
            return value if isinstance(value, str) else reading.written(value)
        case "boolean" if not isinstance(value, bool):
            if str(value).strip().lower() not in {"true", "false"}:
                raise ValueError(f"must be true or false, not {shown(value)}")
            return str(value).strip().lower() == "true"
        case "int" | "float":
            return _numeric(value, whole=kind == "int")
    return value


def _numeric(value: Any, *, whole: bool) -> float:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or (whole and not number.is_integer()):
        raise ValueError(f"must be a {'whole ' if whole else ''}number, not {shown(value)}")
    return int(number) if whole or (number.is_integer() and isinstance(value, str)) else number


def _after_condition(reading: Reading, given: dict[str, Any]) -> None:
    """Keep numbers as they are written: what they are compared with is a text."""
    value = given.get("value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        with reading.at("value"):
            given["value"] = value if reading.written(value) == str(value) else reading.written(value)


def _after_model(reading: Reading, given: dict[str, Any]) -> None:
    """Read the properties whose meaning is known as what they are."""
    properties = given.get("model_properties")
    if not properties:
        return
    read = dict(properties)
    with reading.at("model_properties"):
        for name, value in properties.items():
            with reading.at(name):
                if value is None:
                    del read[name]
                elif name in _COUNTS:
                    _count(reading, name, value, read)
                elif name in _WORDS:
                    read[name] = _words(reading, value)
    given["model_properties"] = read


def _words(reading: Reading, value: Any) -> Any:
    """Return what is written in texts, at any depth: a voice may be called ``007`` and speak ``no``, Norwegian."""
    if isinstance(value, bool | int | float):
        return reading.written(value)
    if isinstance(value, Mapping):
        steps: Any = value.items()
    elif isinstance(value, list | tuple):
        steps = enumerate(value)
    else:
        return value
    read = {}
    for step, item in steps:
        with reading.at(step):
            read[step] = _words(reading, item)
    return read if isinstance(value, Mapping) else list(read.values())


def _after_provider(reading: Reading, given: dict[str, Any]) -> None:
    """Read the names of models in a position as they are written, and leave out limits and a probe that are none."""
    if given.get("limits"):
        given["limits"] = _limits(reading, given["limits"])
    fault = probe_fault(given["probe"]) if "probe" in given else None
    if fault is not None:
        del given["probe"]
        with reading.at("probe"):
            reading.cost(reading.wrong(fault))
    given["models"] = models = dict(given.get("models", {}))
    for kind, declared in models.items():
        positions = declared.get("position") if isinstance(declared, Mapping) else None
        if isinstance(positions, list):
            with reading.at("models"), reading.at(kind), reading.at("position"):
                models[kind] = {**declared, "position": [_name(reading, *each) for each in enumerate(positions)]}


def _limits(reading: Reading, given: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in given.items():
        with reading.at("limits"):
            if name not in LIMITS:
                near = nearest(name, LIMITS, most=1, least=LIKE)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                reading.note("unknown-key", f"unknown key {name!r}{hint}", name)
                continue
            with reading.at(name):
                fault = limit_fault(name, value)
                if fault is None:
                    found[name] = value
                else:
                    reading.cost(reading.wrong(f"{fault}, not {shown(value)}"))
    return found


def _name(reading: Reading, number: int, value: Any) -> Any:
    with reading.at(number):
        return reading.written(value) if isinstance(value, int | float) else value


def _count(reading: Reading, name: str, value: Any, read: dict[str, Any]) -> None:
    try:
        read[name] = _numeric(value if isinstance(value, str | int | float) else "?", whole=True)
    except ValueError:
        read[name] = -1
    if read[name] < 0:
        del read[name]
        reading.cost(reading.wrong(f"must be a whole number of 0 or more, not {shown(value)}"))


AFTER: Mapping[type, Callable[[Reading, dict[str, Any]], None]] = MappingProxyType(
    {
        FormField: _after_field,
        ParameterRule: _after_rule,
        Condition: _after_condition,
        ModelSchema: _after_model,
        ProviderSchema: _after_provider,
    }
)
"""What reads the values of an object that hang on each other, once each is read by itself."""

CHECKS: Mapping[type, Callable[[Any], Sequence[str]]] = MappingProxyType({Pricing: check_pricing})
"""What finds fault with a whole object. Each complaint begins with its place, or is about the whole."""
