"""The type of JSON values, so that no public signature says ``Any``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, Union

__all__ = ["JSON", "JSONObject"]

if TYPE_CHECKING:
    JSON: TypeAlias = Union[bool, int, float, str, Sequence["JSON"], Mapping[str, "JSON"], None]  # noqa: UP007  "|" cannot take its own name
else:
    JSON = object  # pydantic reads the schema classes and cannot follow an alias that names itself

JSONObject: TypeAlias = Mapping[str, JSON]
