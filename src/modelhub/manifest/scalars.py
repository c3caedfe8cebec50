"""Reads single values as texts, numbers, dates, booleans and JSON, whatever they were written as."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any

from modelhub.manifest.problems import Reading, WrongValue

__all__ = ["boolean", "date", "decimal", "json", "number", "shown", "text", "wanted", "whole"]

_LARGEST_EXPONENT = 30
"""Of a price; beyond it the sums of a bill overflow."""

_EXACT = 2**53
"""Whole numbers below this are the same as floats."""

_BOOLEANS: Mapping[str | int, bool] = {
    **dict.fromkeys(("true", "yes", "on", "1", 1), True),
    **dict.fromkeys(("false", "no", "off", "0", 0), False),
}


def wanted(reading: Reading, what: str, value: Any) -> WrongValue:
    """Return the error that the value at the path is not what is wanted."""
    return reading.wrong(f"must be {what}, not {shown(value)}")


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    match value:
        case None:
            return "nothing"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    try:
        written = repr(value)
    except ValueError:
        return "a number of too many digits"
    return written if len(written) <= 40 else f"{written[:39]}…"  # noqa: PLR2004  enough to find it by


def text(reading: Reading, value: Any) -> str:
    """Read a text; a number, a boolean or a date is one as it was written.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float | Decimal | dt.date):
        with suppress(ValueError):  # a number of too many digits
            return reading.written(value)
    raise wanted(reading, "a text", value)


def boolean(reading: Reading, value: Any) -> bool:
    """Read a boolean, or one of YAML's words for one.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, bool):
        return value
    written = value.strip().lower() if isinstance(value, str) else value
    if isinstance(written, str | int) and written in _BOOLEANS:
        return _BOOLEANS[written]
    raise wanted(reading, "true or false", value)


def decimal(reading: Reading, value: Any) -> Decimal:
    """Read an exact number, from its text as it was written.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        try:
            number = Decimal(value if isinstance(value, str | Decimal) else reading.written(value))
        except (InvalidOperation, ValueError):  # the other: a text of too many digits
            number = Decimal("NaN")
        if number.is_finite() and abs(number.adjusted()) <= _LARGEST_EXPONENT:
            return number
    raise wanted(reading, "a number", value)


def number(reading: Reading, value: Any) -> float:
    """Read a finite number; a whole one is an ``int``.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, str | int | float | Decimal) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return _as_written(value, number)
    raise wanted(reading, "a number", value)


def _as_written(value: str | float | Decimal, number: float) -> float:
    """Return a number with all the digits that it was written with; a whole one that a float holds is an ``int``."""
    if isinstance(value, int):
        return value
    if number.is_integer() and abs(number) < _EXACT:
        return int(number)
    with suppress(ValueError):  # what is written with a point or an exponent stays the float that it is
        return int(value) if isinstance(value, str) else number
    return number


def whole(reading: Reading, value: Any) -> int:
    """Read a whole number; 8.0 is one.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        found = number(reading, value)
    except WrongValue:
        found = math.nan
    if isinstance(found, int):
        return found
    raise wanted(reading, "a whole number", value)


def date(reading: Reading, value: Any) -> dt.date:
    """Read a date, or the date of a time.

    Raises:
        WrongValue: It is none.
    """
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    if isinstance(value, str):
        try:
            return dt.datetime.fromisoformat(value.strip()).date()
        except ValueError:
            pass
    raise wanted(reading, "a date such as 2026-12-31", value)


def json(reading: Reading, value: Any) -> Any:
    """Read what JSON can hold.

    Raises:
        WrongValue: It is none.
    """
    match value:
        case None | bool() | str() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return {str(key): _inside(reading, str(key), item) for key, item in value.items()}
        case list() | tuple():
            return [_inside(reading, number, item) for number, item in enumerate(value)]
        case dt.date() | Decimal():
            return str(value)
    raise reading.wrong(f"{shown(value)} is no value that JSON can hold")


def _inside(reading: Reading, step: str | int, value: Any) -> Any:
    if isinstance(value, str):
        return value
    with reading.at(step):
        return json(reading, value)
