"""The type of JSON values, so that no public signature says ``Any``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

__all__ = ["JSON", "JSONObject"]

JSON: TypeAlias = Union[None, bool, int, float, str, "Sequence[JSON]", "Mapping[str, JSON]"]
JSONObject: TypeAlias = Mapping[str, JSON]
