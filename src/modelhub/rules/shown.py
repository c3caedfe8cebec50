"""Which fields of a form are shown, in which order that is decided, and which options they offer.

A field is decided after those that its conditions ask about, wherever they stand in the form, so the order of the
fields changes nothing. In a circle of conditions the one that leads back to a field under decision finds no value
there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelhub.rules.conditions import hold, variables_of
from modelhub.types.forms import FormField, FormOption
from modelhub.types.json import JSON

__all__ = ["MODEL_TYPE", "asked_by", "by_variable", "decision_order", "first_shown", "offered"]

MODEL_TYPE = "__model_type"
"""The variable by which Dify's conditions ask for the type of the model that a form is filled in for."""


def by_variable(form: Sequence[FormField]) -> dict[str, list[FormField]]:
    """Return the fields of each variable, in the form's order."""
    fields: dict[str, list[FormField]] = {}
    for field in form:
        fields.setdefault(field.variable, []).append(field)
    return fields


def decision_order(form: Sequence[FormField]) -> list[str]:
    """Return the variables of a form in the order in which it is decided whether they are shown.

    Those that a condition asks about come first; otherwise the form's own order stands.
    """
    fields = by_variable(form)
    order: list[str] = []
    begun: set[str] = set()
    for first in fields:
        # A stack of its own, because a form may be longer than Python's.
        ahead: list[tuple[str, Iterator[str]]] = []
        if first not in begun:
            begun.add(first)
            ahead.append((first, _asked(fields[first])))
        while ahead:
            variable, asked = ahead[-1]
            found = next((each for each in asked if each in fields and each not in begun), None)
            if found is None:
                order.append(variable)
                ahead.pop()
            else:
                begun.add(found)
                ahead.append((found, _asked(fields[found])))
    return order


def asked_by(field: FormField) -> Iterator[str]:
    """Yield the variables that the conditions of a field and of its options ask about."""
    yield from variables_of(field.show_on)
    for option in field.options:
        yield from variables_of(option.show_on)


def _asked(fields: Sequence[FormField]) -> Iterator[str]:
    for field in fields:
        yield from asked_by(field)


def first_shown(fields: Sequence[FormField], decided: Mapping[str, JSON]) -> FormField | None:
    """Return the field that counts of those with one variable: the first that is shown; ``None`` where none is.

    Args:
        fields: The fields of one variable.
        decided: The values of the variables that were decided before.
    """
    return next((field for field in fields if hold(field.show_on, decided)), None)


def offered(field: FormField, decided: Mapping[str, JSON]) -> list[FormOption]:
    """Return the options of a field that are shown."""
    return [option for option in field.options if hold(option.show_on, decided)]
