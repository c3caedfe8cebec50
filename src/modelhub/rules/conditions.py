"""Whether a condition holds: the one evaluation behind forms, options and parameters.

Values are compared as the texts that people write, because Dify's conditions are texts: ``true`` is ``True``, and ``1``
is 1 and 1.0. A value is missing where it is ``None``, an empty text or an empty list; nothing else is, ``False`` and 0
in particular. What a form does with fields that are not shown is in `modelhub.rules.shown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from modelhub.types.forms import Condition
from modelhub.types.json import JSON

__all__ = ["condition_json", "hold", "holds", "is_missing", "scalar_text", "variables_of"]


def hold(conditions: Iterable[Condition], values: Mapping[str, JSON]) -> bool:
    """Return whether all conditions hold; none at all do."""
    return all(holds(condition, values) for condition in conditions)


def holds(condition: Condition, values: Mapping[str, JSON]) -> bool:
    """Return whether everything that a condition says holds; one that says nothing holds.

    Args:
        condition: What must be so.
        values: What stands in the fields or parameters.

    Example:
        >>> holds(Condition("mode", in_=["chat", "completion"]), {"mode": "chat"})
        True
    """
    if condition.variable is not None and not value_fits(condition, values.get(condition.variable)):
        return False
    if condition.all is not None and not hold(condition.all, values):
        return False
    if condition.any is not None and not any(holds(each, values) for each in condition.any):
        return False
    return condition.not_ is None or not holds(condition.not_, values)


def value_fits(condition: Condition, value: JSON) -> bool:
    """Return whether the value of a condition's own variable is as ``value``, ``in`` and ``exists`` say."""
    if condition.exists is not None and condition.exists is is_missing(value):
        return False
    if condition.in_ is not None and not any(_same(value, wanted) for wanted in condition.in_):
        return False
    return condition.value is None or _same(value, condition.value)


def is_missing(value: JSON) -> bool:
    """Return whether a value is none: ``None``, an empty text or an empty list."""
    return value is None or value in ("", [], ())


def variables_of(conditions: Iterable[Condition]) -> Iterator[str]:
    """Yield the variables that conditions ask about, in the order in which they stand there."""
    for condition in conditions:
        if condition.variable is not None:
            yield condition.variable
        yield from variables_of((*(condition.all or ()), *(condition.any or ())))
        if condition.not_ is not None:
            yield from variables_of((condition.not_,))


def condition_json(condition: Condition) -> dict[str, JSON]:
    """Return a condition as a manifest writes it: what it says, and nothing that it does not."""
    written: dict[str, JSON] = {}
    if condition.variable is not None:
        written["variable"] = condition.variable
    if condition.value is not None:
        written["value"] = condition.value
    if condition.in_ is not None:
        written["in"] = list(condition.in_)
    if condition.exists is not None:
        written["exists"] = condition.exists
    if condition.all is not None:
        written["all"] = [condition_json(each) for each in condition.all]
    if condition.any is not None:
        written["any"] = [condition_json(each) for each in condition.any]
    if condition.not_ is not None:
        written["not"] = condition_json(condition.not_)
    return written


def scalar_text(value: str | float) -> str:
    """Return a text, number or switch as the text that conditions and options compare.

    ``True`` is ``true``, and a whole number has no point.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return hex(int(value))


def _same(value: JSON, wanted: JSON) -> bool:
    if is_missing(value) or is_missing(wanted):
        return is_missing(value) and is_missing(wanted)
    if isinstance(wanted, str | float | int):
        if isinstance(value, str | float | int):
            return scalar_text(value) == scalar_text(wanted)
        return isinstance(value, list | tuple) and any(_same_scalar(item, wanted) for item in value)
    return not isinstance(value, str | float | int) and _equal(value, wanted)


def _same_scalar(item: JSON, wanted: str | float) -> bool:
    return isinstance(item, str | float | int) and scalar_text(item) == scalar_text(wanted)


def _equal(one: JSON, other: JSON) -> bool:
    """Compare as JSON does, in which ``true`` is no number, and 1 and 1.0 are one."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_equal(*pair) for pair in zip(one, other, strict=True))
    return isinstance(one, bool) is isinstance(other, bool) and one == other
