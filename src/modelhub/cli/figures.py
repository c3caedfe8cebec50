"""Numbers, days and times as the user's language writes them. Programs get them plain: in pipes and in ``--json``."""

from __future__ import annotations

import datetime as dt
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from modelhub.cli.texts import language, locales

__all__ = ["day_text", "moment_text", "number_text", "users_locale"]

_SPACES = str.maketrans("\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}", "  ")


def users_locale() -> Locale:
    """Return the locale that the user wants first; their language's where nobody knows that one."""
    return _locale(next(locales()), language())


@cache
def _locale(name: str, spoken: str) -> Locale:
    try:
        return Locale.parse(name)
    except (UnknownLocaleError, ValueError):
        return Locale.parse(spoken)


def number_text(number: float) -> str:
    """Return a number with the groups and the point of the user's language, and all its digits."""
    text: str = format_decimal(number, locale=users_locale(), decimal_quantization=False)
    return text.translate(_SPACES)


def day_text(day: dt.date) -> str:
    """Return a day, such as ``1 Jun 2026``."""
    return format_date(day, "medium", locale=users_locale()).translate(_SPACES)


def moment_text(moment: dt.datetime) -> str:
    """Return a moment in the time zone of this machine, to the minute."""
    local = moment.astimezone()
    time = format_time(local, "short", tzinfo=local.tzinfo, locale=users_locale())
    return f"{day_text(local.date())} {time.translate(_SPACES)}"
