"""How long a server asks to wait. Owns the header's many forms; whether to wait is the caller's decision.

Source: RFC 9110 §10.2.3 (seconds or a date). Vendors also send fractions, and milliseconds in other headers.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LONGEST_WAIT", "header", "number", "retry_after", "seconds", "unix_time"]

LONGEST_WAIT = 24 * 60 * 60.0
"""The longest wait in seconds that is reported: whoever is told to wait longer is told to go away."""

_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_LONGEST_VALUE = 64


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header's value whatever the case of its name; ``name`` is in lower case."""
    value = headers.get(name)
    if value is None:
        value = next((held for key, held in headers.items() if key.lower() == name), None)
    return value


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Return the seconds the server asks to wait, or ``None`` where it says nothing usable.

    Never raises, whatever the headers hold. A date in the past is 0; a negative, infinite or unreadable value
    is none; the longest is ``LONGEST_WAIT``.

    Args:
        headers: The answer's headers.
        now: Unix time in seconds, to measure a date against where the answer bears no ``Date`` of its own.
    """
    for name in _IN_MILLISECONDS:
        milliseconds = number(header(headers, name))
        if milliseconds is not None:
            return min(milliseconds / 1000, LONGEST_WAIT)
    value = header(headers, "retry-after")
    wait = seconds(value)
    if wait is not None or value is None:
        return wait
    until = unix_time(value)
    since = unix_time(header(headers, "date"))
    since = now if since is None else since
    if until is None or since is None:
        return None
    return min(max(until - since, 0.0), LONGEST_WAIT)


def seconds(value: str | None) -> float | None:
    """Parse a number of seconds, ``"46s"`` included; ``None`` unless it is finite and not negative."""
    wait = number(value)
    return None if wait is None else min(wait, LONGEST_WAIT)


def number(value: str | None) -> float | None:
    """Parse a number, an ``s`` for seconds behind it allowed; ``None`` unless it is finite and not negative."""
    if value is None or len(value) > _LONGEST_VALUE or not value.isascii() or "_" in value:
        return None
    try:
        parsed = float(value.strip().removesuffix("s"))
    except ValueError:
        return None
    return parsed if math.isfinite(parsed) and parsed >= 0 else None


def unix_time(value: str | None) -> float | None:
    """Parse a date as HTTP has them; ``None`` unless it is one."""
    if value is None or len(value) > _LONGEST_VALUE:
        return None
    from email.utils import mktime_tz, parsedate_tz  # noqa: PLC0415  dates are rare, and this is heavy

    try:
        parsed = parsedate_tz(value)
        return None if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):  # parsedate_tz lets some nonsense through
        return None
