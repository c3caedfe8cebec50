"""What a provider's manifest may say of how much it takes, and of where it can be checked cheaply."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["LIMITS", "PROBE", "limit_fault", "probe_fault"]

LIMITS: Sequence[str] = ("concurrency", "rpm", "tpm")
"""Calls at once, requests a minute, tokens a minute."""

PROBE = r"^/($|[^/\\?#\s][^\\?#\s]*$)"
"""A path that stays with the credential's endpoint: two slashes would begin another host, a query may hold secrets."""


def limit_fault(name: str, value: float) -> str | None:
    """Return what is wrong with a limit, if anything."""
    if not 0 < value < math.inf:
        return "must be a number above 0"
    if name == "concurrency" and (value < 1 or value != int(value)):
        return "must be a whole number, 1 or more"
    return None


def probe_fault(path: str) -> str | None:
    """Return what is wrong with the path of a probe, if anything."""
    if re.fullmatch(PROBE, path) and not path.endswith("\n"):
        return None
    if "?" in path or "#" in path:
        return "must be a path without a query: anybody may read it"
    return "must be a path that begins with one slash"
