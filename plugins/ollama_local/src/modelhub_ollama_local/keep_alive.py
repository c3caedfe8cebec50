"""How long a model stays loaded: what Ollama's server takes, from what people write.

The server takes a number of seconds or a duration as Go writes it, and refuses ``"300"`` and ``"-1"``
(https://pkg.go.dev/time#ParseDuration, 2026-11).
"""

from __future__ import annotations

import math
import re

from modelhub.errors import BadRequest
from modelhub.types.json import JSON

__all__ = ["keep_alive"]

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)")
_DURATION = re.compile(r"[-+]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
_PIECE = re.compile(r"([\d.]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 9_000_000_000  # seconds; the server counts nanoseconds in 64 bits
_REMEDY = "give seconds, a duration such as '5m' or '1h30m', -1 for ever, or 0 to unload after the answer"


def keep_alive(value: JSON) -> int | float | str:
    """Return ``value`` in a form that the server takes.

    A number written as text becomes a number: ``"-1"`` is -1 (for ever), ``"300"`` is 300 seconds.

    Raises:
        BadRequest: It is no length of time.
    """
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refused(value)
    if not math.isfinite(value) or abs(value) > _LONGEST:
        raise _refused(value)
    return value


def _from_text(value: str) -> int | float | str:
    text = value.strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        return keep_alive(int(number) if number.is_integer() else number)
    if not _DURATION.fullmatch(text):
        raise _refused(value)
    if sum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text)) > _LONGEST:
        raise _refused(value)
    return text


def _refused(value: object) -> BadRequest:
    return BadRequest(f"keep_alive is {value!r}: that is no length of time", parameter="keep_alive", remedy=_REMEDY)
