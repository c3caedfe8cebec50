"""Which of the parameters given are sent: checked before the wire, each complaint naming its parameter.

What is unset is not sent. Neutral parameters have ranges of their own, since a value outside them is a mistake with
every provider; a model's rules narrow them, and say which it takes at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.names import did_you_mean
from modelhub.types.json import JSON
from modelhub.types.parameters import ChatParameters, ParameterRule
from modelhub.types.records import Warning

__all__ = ["NEUTRAL", "Policy", "Resolved", "check_text", "number_in_range", "resolve_parameters"]

Policy: TypeAlias = Literal["strict", "warn"]
"""What becomes of a parameter that a model does not take: an error, or left out with a warning. Never silence."""


@dataclass(frozen=True, slots=True)
class _Range:
    kind: Literal["int", "float", "bool", "text", "texts", "reasoning"]
    least: float | None = None
    most: float | None = None


NEUTRAL: Mapping[str, _Range] = {
    "temperature": _Range("float", 0),
    "top_p": _Range("float", 0, 1),
    "top_k": _Range("int", 0),
    "min_p": _Range("float", 0, 1),
    "max_tokens": _Range("int", 1),
    "stop": _Range("texts"),
    "seed": _Range("int"),
    "presence_penalty": _Range("float", -2, 2),
    "frequency_penalty": _Range("float", -2, 2),
    "repeat_penalty": _Range("float", 0),
    "reasoning": _Range("reasoning"),
    "logprobs": _Range("bool"),
    "top_logprobs": _Range("int", 0, 20),
    "parallel_tool_calls": _Range("bool"),
    "user": _Range("text"),
}
"""The neutral parameters and what any of them can be."""

_DEEPEST = 100
"""How deep a vendor's parameter may be nested."""

_LEVELS = ("none", "minimal", "low", "medium", "high", "max")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is sent, and what the caller should know."""

    parameters: ChatParameters
    options: Mapping[str, JSON]
    warnings: tuple[Warning, ...] = ()


def resolve_parameters(
    given: Mapping[str, object],
    options: Mapping[str, JSON],
    rules: Sequence[ParameterRule] | None,
    *,
    policy: Policy = "strict",
) -> Resolved:
    """Check parameters against a model's rules.

    Args:
        given: Neutral parameters.
        options: Vendor parameters meant for this provider, by the vendor's names.
        rules: What the model takes; ``None`` where nobody knows, and then everything is sent.
        policy: What becomes of a parameter that the model does not take.

    Raises:
        BadRequest: A value can never be right; ``parameter`` names it.
        UnsupportedFeature: The model does not take the parameter, and the policy is strict.
    """
    if not given and not options:
        return Resolved(ChatParameters(), options)
    warnings: list[Warning] = []
    by_neutral = {rule.neutral: rule for rule in rules or ()} if given else {}
    by_name = {rule.name: rule for rule in rules or ()} if options else {}
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        checked = _neutral(name, value)
        if checked == []:
            continue  # no stop text is none at all, and some vendors refuse an empty list
        rule = by_neutral.get(name)
        if rules is not None and rule is None:
            _unsupported(name, f"this model does not take the parameter {name!r}", by_neutral, policy, warnings)
            continue
        if rule is not None:
            _within(name, checked, rule)
        parameters[name] = checked
    sent: dict[str, JSON] = {}
    for name, value in options.items():
        rule = by_name.get(name)
        if rules is not None and rule is None:
            _unsupported(name, f"this provider has no parameter {name!r}", by_name, policy, warnings)
            continue
        sent[name] = _option(name, value, rule)
    return Resolved(cast("ChatParameters", parameters), sent, tuple(warnings))


def _unsupported(name: str, text: str, known: Mapping[str, object], policy: Policy, warnings: list[Warning]) -> None:
    remedy = did_you_mean(name, known, what="parameters")
    if policy == "strict":
        raise UnsupportedFeature(text, parameter=name, remedy=remedy)
    warnings.append(Warning("parameter_unsupported", f"{text}: it was left out", name))


def _neutral(name: str, value: object) -> object:
    kind = NEUTRAL.get(name)
    if kind is None:
        remedy = f"{did_you_mean(name, NEUTRAL, what='parameters')} Vendor parameters go in vendor={{provider: {{…}}}}"
        raise BadRequest(f"there is no parameter {name!r}", parameter=name, remedy=remedy)
    match kind.kind:
        case "int":
            return _in_range(name, _whole(name, value), kind.least, kind.most)
        case "float":
            return _in_range(name, _number(name, value), kind.least, kind.most)
        case "bool":
            return _flag(name, value)
        case "text":
            return check_text(value, name)
        case "texts":
            return _texts(name, value)
        case _:
            return _reasoning(name, value)


def _reasoning(name: str, value: object) -> object:
    if isinstance(value, bool) or value in _LEVELS:
        return value
    raise BadRequest(f"{name} is {value!r}: it must be True, False or one of {', '.join(_LEVELS)}", parameter=name)


def _option(name: str, value: JSON, rule: ParameterRule | None) -> JSON:
    if rule is None or rule.type is None or value is None:
        _json_value(name, value)
        return value
    match rule.type:
        case "int":
            checked: JSON = _whole(name, value)
        case "float":
            checked = _number(name, value)
        case "boolean":
            checked = _flag(name, value)
        case "string" | "text":
            checked = check_text(value, name)
        case _:
            _json_value(name, value)
            return value
    _within(name, checked, rule)
    return checked


def _within(name: str, value: object, rule: ParameterRule) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        _in_range(name, value, rule.min, rule.max)
    if rule.options and isinstance(value, str) and value not in rule.options:
        raise BadRequest(f"{name} is {value!r}: it must be one of {', '.join(rule.options)}", parameter=name)


def _whole(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BadRequest(f"{name} is {value!r}: it must be a whole number", parameter=name)


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value):
        return value
    raise BadRequest(f"{name} is {value!r}: it must be a finite number", parameter=name)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise BadRequest(f"{name} is {value!r}: it must be True or False", parameter=name)


def _in_range(name: str, value: float, least: float | None, most: float | None) -> float:
    if least is not None and value < least:
        raise BadRequest(f"{name} is {value!r}: it must be {least:g} or more", parameter=name)
    if most is not None and value > most:
        raise BadRequest(f"{name} is {value!r}: it must be {most:g} or less", parameter=name)
    return value


def number_in_range(name: str, value: object, *, least: float, whole: bool) -> None:
    """Check a number that may be left out.

    Raises:
        BadRequest: It is none, or less than ``least``; ``parameter`` is ``name``.
    """
    if value is not None:
        _in_range(name, _whole(name, value) if whole else _number(name, value), least, None)


def check_text(value: object, name: str) -> str:
    """Return a text that can be sent.

    Raises:
        BadRequest: It is no text, or has lone surrogates, which no encoding can carry.
    """
    if not isinstance(value, str):
        raise BadRequest(f"{name} is a {type(value).__name__}: it must be a text", parameter=name)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            message = f"{name} has a lone surrogate (U+{ord(value[error.start]):04X}) at character {error.start}"
            raise BadRequest(
                message, parameter=name, remedy="decode the text with errors='replace' where it comes from"
            ) from error
    return value


def _texts(name: str, value: object) -> list[str]:
    texts: object = [value] if isinstance(value, str) else value
    if not isinstance(texts, Sequence) or isinstance(texts, bytes):
        raise BadRequest(f"{name} is {value!r}: it must be a text or a list of texts", parameter=name)
    if "" in texts:
        raise BadRequest(f"{name} is empty: every answer would end before its first word", parameter=name)
    return [check_text(item, name) for item in texts]


def _json_value(name: str, value: object, depth: int = 0) -> None:
    """Check that JSON can hold a value.

    Raises:
        BadRequest: It cannot; ``parameter`` names the place in it.
    """
    match value:
        case None | bool() | int():
            return
        case float():
            _number(name, value)
        case str():
            check_text(value, name)
        case _ if depth == _DEEPEST:
            raise BadRequest(f"{name.partition('.')[0].partition('[')[0]} is nested too deep", parameter=name)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise BadRequest(f"{name} has the key {key!r}: JSON's keys are texts", parameter=name)
                check_text(key, name)
                _json_value(f"{name}.{key}", item, depth + 1)
        case Sequence() if not isinstance(value, bytes | bytearray):
            for number, item in enumerate(value):
                _json_value(f"{name}[{number}]", item, depth + 1)
        case _:
            raise BadRequest(f"{name} is a {type(value).__name__}, which JSON cannot hold", parameter=name)
