"""What values one parameter takes: those that are right with every provider, narrowed by a model's rule.

Owns the neutral parameters' own ranges, and what becomes of a value outside the range, with too many decimals or not
among the options. It does not own which parameters a model takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from modelhub.errors import BadRequest
from modelhub.rules.findings import LEFT_OUT, Findings
from modelhub.rules.values import check_text, is_finite, number_of_text, out_of_range, rounded, shown, typed
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule, ParameterType

__all__ = ["NEUTRAL", "Limits", "checked", "narrowed", "of_rule"]

Kind: TypeAlias = ParameterType | Literal["texts", "reasoning"]

_NUMBERS = frozenset({"int", "float"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one parameter can be.

    Attributes:
        kind: Its type; ``None`` for anything that JSON can hold. ``texts`` is one text or several.
        least, most: The range of a number.
        decimals: How many decimals a number has at most.
        options: What it can be; empty where it can be anything.
        numbers: Those of the options that are numbers.
        single: Whether of several texts only one is taken.
    """

    kind: Kind | None
    least: float | None = None
    most: float | None = None
    decimals: int | None = None
    options: Sequence[str] = ()
    numbers: Sequence[float] = ()
    single: bool = False


NEUTRAL: Mapping[str, Limits] = {
    "temperature": Limits("float", 0),
    "top_p": Limits("float", 0, 1),
    "top_k": Limits("int", 0),
    "min_p": Limits("float", 0, 1),
    "max_tokens": Limits("int", 1),
    "stop": Limits("texts"),
    "seed": Limits("int"),
    "presence_penalty": Limits("float", -2, 2),
    "frequency_penalty": Limits("float", -2, 2),
    "repeat_penalty": Limits("float", 0),
    "reasoning": Limits("reasoning"),
    "logprobs": Limits("boolean"),
    "top_logprobs": Limits("int", 0, 20),
    "parallel_tool_calls": Limits("boolean"),
    "user": Limits("string"),
}
"""The neutral parameters and what any of them can be."""


def of_rule(rule: ParameterRule) -> Limits:
    """Return what a rule says of the vendor's own parameter."""
    numbers = tuple(map(number_of_text, rule.options))
    return Limits(
        rule.type,
        _bound(rule.min),
        _bound(rule.max),
        rule.precision if rule.precision is not None and rule.precision >= 0 else None,
        tuple(rule.options),
        tuple(number for number in numbers if number is not None),
        rule.type in {"string", "text"},
    )


def _bound(value: float | None) -> float | None:
    return value if value is None or is_finite(value) else None


def narrowed(neutral: Limits, rule: ParameterRule) -> Limits:
    """Return what a neutral parameter can be with a model: its own range, as far as the model's goes.

    Where the two have nothing in common the model's counts: the vendor has given the name another meaning.
    """
    own = of_rule(rule)
    least = max((each for each in (neutral.least, own.least) if each is not None), default=None)
    most = min((each for each in (neutral.most, own.most) if each is not None), default=None)
    if least is not None and most is not None and least > most:
        least, most = own.least, own.most
    kind: Kind | None = "int" if neutral.kind == "float" and own.kind == "int" else neutral.kind
    options = (*own.options, *rule.values) if own.options else ()
    return Limits(kind, least, most, own.decimals, options, own.numbers, own.single)


def checked(name: str, given: object, limits: Limits, findings: Findings) -> object:
    """Return a value as it is sent, or that it is left out.

    Raises:
        BadRequest: It can never be right, or the policy is strict and the model does not take it.
    """
    kind = limits.kind
    is_float = type(given) is float and kind == "float" and math.isfinite(given)
    if is_float or (type(given) is int and kind in _NUMBERS):
        return _number(name, cast("float", given), limits, findings)  # the commonest case, at once
    if kind == "texts":
        return _texts(name, given, limits, findings)
    if kind == "reasoning":
        kind = None
    if isinstance(given, str) and given in limits.options and kind in _NUMBERS and number_of_text(given) is None:
        return given  # a word among the options of a number, such as "auto"
    value = typed(name, given, kind)
    if value is not given and (kind in _NUMBERS or kind == "boolean"):
        findings.changed("parameter_coerced", name, cast("JSON", given), value, "was read as")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(name, value, limits, findings)
    if limits.options and not _among(value, limits.options):
        return _not_among(name, value, limits, findings)
    return value


def _among(value: JSON, options: Sequence[str]) -> bool:
    match value:
        case str():
            return value in options
        case None | bool() | Mapping():
            return True
        case _:
            return all(not isinstance(item, str) or item in options for item in cast("Sequence[JSON]", value))


def _not_among(name: str, value: JSON, limits: Limits, findings: Findings) -> object:
    message = f"{name} is {shown(value)}: it must be one of {', '.join(limits.options)}"
    return findings.left_out("parameter_dropped", BadRequest(message, parameter=name), value)


def _number(name: str, value: float, limits: Limits, findings: Findings) -> object:
    least, most = limits.least, limits.most
    if (least is not None and value < least) or (most is not None and value > most):
        return _outside(name, value, limits, findings)
    if not is_finite(value):
        raise BadRequest(f"{name} is {shown(value)}: it must be a finite number", parameter=name)
    if limits.options and value not in limits.numbers:
        return _not_among(name, value, limits, findings)
    if limits.decimals is None or isinstance(value, int) or limits.options or not value:
        return value or abs(value)  # -0.0 is a 0 that some vendors refuse
    sent = _inside(rounded(value, limits.decimals), limits)
    if sent is None or sent == value:
        return value
    return findings.changed("parameter_rounded", name, value, sent, "was rounded to")


def _outside(name: str, value: float, limits: Limits, findings: Findings) -> object:
    complaint = out_of_range(name, value, limits.least, limits.most)
    nearest = _inside(value, limits) if findings.policy == "clamp" else None
    if nearest is None or (limits.options and nearest not in limits.numbers):
        return findings.left_out("parameter_dropped", complaint, value)
    return findings.changed("parameter_clamped", name, value, nearest, "was changed to")


def _inside(value: float, limits: Limits) -> float | None:
    """Return the nearest number that is in the range and can be written with the decimals; ``None``: there is none."""
    least, most = limits.least, limits.most
    if limits.kind == "int":
        least, most = (None if least is None else math.ceil(least)), (None if most is None else math.floor(most))
    elif limits.decimals is not None:
        least = None if least is None else rounded(least, limits.decimals, up=True)
        most = None if most is None else rounded(most, limits.decimals, up=False)
    if least is not None and most is not None and least > most:
        return None
    if least is not None and value < least:
        return least
    return most if most is not None and value > most else value


def _texts(name: str, given: object, limits: Limits, findings: Findings) -> object:
    texts: object = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or isinstance(texts, bytes):
        raise BadRequest(f"{name} is {shown(given)}: it must be a text or a list of texts", parameter=name)
    if "" in texts:
        raise BadRequest(f"{name} is empty: every answer would end before its first word", parameter=name)
    sent = [check_text(item, name) for item in texts]
    if not sent:
        return LEFT_OUT  # no stop text is none at all, and some vendors refuse an empty list
    if limits.single and len(sent) > 1:
        message = f"{name} has {len(sent)} texts: this model takes one"
        return findings.left_out("parameter_dropped", BadRequest(message, parameter=name), sent)
    if limits.options and not _among(sent, limits.options):
        return _not_among(name, sent, limits, findings)
    return sent
