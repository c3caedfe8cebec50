"""Whether a condition holds: the one evaluation behind forms, options and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelhub.types.forms import Condition
from modelhub.types.json import JSON

__all__ = ["hold", "holds"]


def hold(conditions: Iterable[Condition], values: Mapping[str, JSON]) -> bool:
    """Return whether all conditions hold; none at all do."""
    return all(holds(condition, values) for condition in conditions)


def holds(condition: Condition, values: Mapping[str, JSON]) -> bool:
    """Return whether everything that a condition says holds.

    Args:
        condition: What must be so.
        values: What stands in the fields. ``None``, an empty text and an empty list are no values.
    """
    if condition.variable is not None and not _of_variable(condition, values.get(condition.variable)):
        return False
    if condition.all is not None and not hold(condition.all, values):
        return False
    if condition.any is not None and not any(holds(each, values) for each in condition.any):
        return False
    return condition.not_ is None or not holds(condition.not_, values)


def _of_variable(condition: Condition, value: JSON) -> bool:
    there = value is not None and value not in ("", [], ())
    if condition.exists is not None and condition.exists is not there:
        return False
    if condition.in_ is not None and not any(_same(value, wanted) for wanted in condition.in_):
        return False
    return condition.value is None or _same(value, condition.value)


def _same(value: JSON, wanted: JSON) -> bool:
    """Compare as Dify does, whose conditions and values are texts: ``true`` is ``True``, and ``1`` is 1."""
    return _text(value) == _text(wanted)


def _text(value: JSON) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
