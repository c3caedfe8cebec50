"""What a single value must be: a text that can be sent, a finite number, a value that JSON can hold.

Owns types and the few readings that are no guess (``"0.5"``, ``"8"``, 8.0, ``"true"``). It does not own what a model
takes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import cast

from modelhub.errors import BadRequest
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterType

__all__ = [
    "check_json",
    "check_text",
    "is_finite",
    "number_in_range",
    "number_of_text",
    "out_of_range",
    "rounded",
    "shown",
    "typed",
]

_DEEPEST = 100
"""How deep a vendor's parameter may be nested."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,308})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,3})?")
"""A number as JSON writes it, and no longer than one can be."""

_LONGEST_SHOWN = 80
_EXACT = Context(prec=800)
"""Enough digits for any float with any number of decimals."""


def typed(name: str, value: object, kind: ParameterType | None) -> JSON:
    """Return a value as a type wants it.

    ``"0.5"`` is 0.5, ``"8"`` is 8, 8.0 is 8 where a whole number is wanted, and ``"true"`` is ``True``. Nothing else is
    read as something that it is not.

    Args:
        name: The parameter, for the complaint.
        value: What was given.
        kind: The type; ``None`` for anything that JSON can hold.

    Returns:
        The value; the same object where it was right as it was.

    Raises:
        BadRequest: It has another type; ``parameter`` is ``name``, or the place in the value.
    """
    match kind:
        case "int":
            return _whole(name, value)
        case "float":
            return _number(name, value)
        case "boolean":
            return _flag(name, value)
        case "string" | "text":
            return check_text(value, name)
        case "array" if isinstance(value, str | bytes | bytearray) or not isinstance(value, Sequence):
            raise BadRequest(f"{name} is {shown(value)}: it must be a list", parameter=name)
        case "object" if not isinstance(value, Mapping):
            raise BadRequest(f"{name} is {shown(value)}: it must be an object", parameter=name)
        case _:
            check_json(name, value)
            return cast("JSON", value)


def _whole(name: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value) and value.lstrip("-").isdigit():
        return int(value)
    raise BadRequest(f"{name} is {shown(value)}: it must be a whole number", parameter=name)


def _number(name: str, value: object) -> float:
    if isinstance(value, float):
        if math.isfinite(value):
            return value
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    elif isinstance(value, str):
        number = number_of_text(value)
        if number is not None:
            return float(number)
    raise BadRequest(f"{name} is {shown(value)}: it must be a finite number", parameter=name)


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in {"true", "false"}:
        return value == "true"
    raise BadRequest(f"{name} is {shown(value)}: it must be True or False", parameter=name)


def number_of_text(text: str) -> float | None:
    """Return the finite number that a text is, as JSON writes numbers; ``None`` where it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("-").isdigit():
        whole = int(text)
        return whole if is_finite(whole) else None
    number = float(text)
    return number if math.isfinite(number) else None


def is_finite(value: float) -> bool:
    """Whether a float can hold a number."""
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def rounded(value: float, decimals: int, *, up: bool | None = None) -> float:
    """Round to a number of decimals, as people write the number: half to even, or up, or down.

    Args:
        value: A finite number.
        decimals: 0 or more.
        up: To the next greater or the next smaller one; by default to the nearest.
    """
    if round(value, decimals) == value:
        return value
    way = ROUND_HALF_EVEN if up is None else ROUND_CEILING if up else ROUND_FLOOR
    exact = Decimal(repr(value)).quantize(Decimal(1).scaleb(-min(decimals, 400)), rounding=way, context=_EXACT)
    return float(exact) + 0.0  # -0.0 is a 0 that some vendors refuse


def out_of_range(name: str, value: float, least: float | None, most: float | None) -> BadRequest:
    """Make the complaint about a number outside its range."""
    bound = f"{_bound(least)} or more" if least is not None and value < least else f"{_bound(most)} or less"
    return BadRequest(f"{name} is {shown(value)}: it must be {bound}", parameter=name)


def _bound(value: float | None) -> str:
    """Return a bound with all its digits: who sends what the message says must not be refused again."""
    return shown(int(value) if isinstance(value, float) and value.is_integer() else value)


def number_in_range(name: str, value: object, *, least: float, whole: bool) -> None:
    """Check a number that may be left out.

    Raises:
        BadRequest: It is none, or less than ``least``; ``parameter`` is ``name``.
    """
    if value is None:
        return
    if not isinstance(value, int if whole else int | float) or isinstance(value, bool) or not is_finite(value):
        wanted = "a whole number" if whole else "a finite number"
        raise BadRequest(f"{name} is {shown(value)}: it must be {wanted}", parameter=name)
    if value < least:
        raise out_of_range(name, value, least, None)


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


def check_json(name: str, value: object, depth: int = 0) -> None:
    """Check that JSON can hold a value.

    Raises:
        BadRequest: It cannot; ``parameter`` names the place in it.
    """
    match value:
        case None:
            return
        case int() | float():
            _check_finite(name, value)
        case str():
            check_text(value, name)
        case _ if depth == _DEEPEST:
            raise BadRequest(f"{name.partition('.')[0].partition('[')[0]} is nested too deep", parameter=name)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise BadRequest(f"{name} has the key {key!r}: JSON's keys are texts", parameter=name)
                check_text(key, name)
                check_json(f"{name}.{key}", item, depth + 1)
        case Sequence() if not isinstance(value, bytes | bytearray):
            for number, item in enumerate(value):
                check_json(f"{name}[{number}]", item, depth + 1)
        case _:
            raise BadRequest(f"{name} is a {type(value).__name__}, which JSON cannot hold", parameter=name)


def _check_finite(name: str, value: float) -> None:
    if not is_finite(value):
        raise BadRequest(f"{name} is {shown(value)}: it must be a finite number", parameter=name)


def shown(value: object) -> str:
    """Return a value as a message shows it: as code, and not longer than a line."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return f"a number of more than {_LONGEST_SHOWN} digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
