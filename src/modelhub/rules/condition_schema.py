"""Conditions between fields as JSON Schema, so that a plain validator shows and hides the fields that the core does.

Owns the translation of when a field is shown and of what it holds then, its default included. Each field that is not
always shown gets a definition, which the schema's other parts refer to: a long chain of conditions stays short. A
validator works a definition out anew wherever it is referred to, so each variable is referred to as rarely as can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import final

from modelhub.rules.conditions import is_missing, scalar_text, value_fits
from modelhub.rules.field_limits import CHOICES
from modelhub.rules.field_values import default_of
from modelhub.rules.shown import MODEL_TYPE, by_variable, decision_order
from modelhub.types.forms import Condition, FormField
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType

__all__ = ["Conditions", "all_of", "any_of", "not_"]


def all_of(schemas: Iterable[JSON]) -> JSON:
    """Return the schema of what fits all of these; the schemas ``true`` and ``false`` are worked out."""
    found = [each for each in schemas if each is not True]
    if False in found:
        return False
    return found[0] if len(found) == 1 else {"allOf": found} if found else True


def any_of(schemas: Iterable[JSON]) -> JSON:
    """Return the schema of what fits any of these; the schemas ``true`` and ``false`` are worked out."""
    found = [each for each in schemas if each is not False]
    if True in found:
        return True
    return found[0] if len(found) == 1 else {"anyOf": found} if found else False


def not_(schema: JSON) -> JSON:
    """Return the schema of what does not fit this one."""
    return not schema if isinstance(schema, bool) else {"not": schema}


@final
class Conditions:
    """The conditions of a form as schemas of the object of its values.

    Args:
        form: The fields.
        model_type: The type of the model that the form is for.

    Attributes:
        definitions: What the schemas refer to, for ``$defs``.
    """

    def __init__(self, form: Sequence[FormField], model_type: ModelType | None = None) -> None:
        self._form = form
        self._fields = by_variable(form)
        self._model_type = model_type
        self._decided: set[str] = set()
        self._counts: dict[int, JSON] = {}
        self._options: dict[int, list[JSON]] = {}
        self.definitions: dict[str, JSON] = {}
        for variable in decision_order(form):
            self._decide(variable)
            self._decided.add(variable)

    def counts(self, number: int) -> JSON:
        """Return when a field, by its number in the form, is the one of its variable that counts."""
        return self._counts[number]

    def offers(self, number: int) -> Sequence[JSON]:
        """Return when each option of a field is shown."""
        return self._options[number]

    def default(self, number: int) -> tuple[JSON, JSON]:
        """Return the value that a field has where none is given, and when it has it.

        The value is ``None`` where there is no default; a choice that is not offered is none.
        """
        field = self._form[number]
        value, problems = default_of(field)
        if value is None or problems or not field.options or field.type not in CHOICES:
            return value, True
        chosen = value if isinstance(value, list) else [value]
        offers = list(zip(field.options, self._options[number], strict=True))
        return value, all_of(any_of(shown for option, shown in offers if option.value == each) for each in chosen)

    def _decide(self, variable: str) -> None:
        before: list[JSON] = []
        for number, field in enumerate(self._form):
            if field.variable != variable:
                continue
            shown = all_of(self._of(condition) for condition in field.show_on)
            counts = all_of([shown, *(not_(each) for each in before)])
            before.append(shown)
            self._counts[number] = self._named(f"shown-{number}", counts)
            self._options[number] = [
                self._named(f"offered-{number}-{place}", all_of(self._of(each) for each in option.show_on))
                for place, option in enumerate(field.options)
            ]

    def _named(self, name: str, schema: JSON) -> JSON:
        if isinstance(schema, bool):
            return schema
        self.definitions[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def _of(self, condition: Condition) -> JSON:
        parts: list[JSON] = []
        if condition.variable is not None:
            parts.append(self._of_variable(condition))
        if condition.all is not None:
            parts.extend(self._of(each) for each in condition.all)
        if condition.any is not None:
            parts.append(any_of(self._of(each) for each in condition.any))
        if condition.not_ is not None:
            parts.append(not_(self._of(condition.not_)))
        return all_of(parts)

    def _of_variable(self, condition: Condition) -> JSON:
        variable = str(condition.variable)
        if variable not in self._decided:
            known = variable == MODEL_TYPE and variable not in self._fields and self._model_type is not None
            return value_fits(condition, str(self._model_type) if known else None)
        numbers = [number for number, field in enumerate(self._form) if field.variable == variable]
        holds = [self._of_field(condition, number) for number in numbers]
        if value_fits(condition, None):  # it holds also where no field of the variable is shown
            return all_of(
                any_of([not_(self._counts[number]), each]) for number, each in zip(numbers, holds, strict=True)
            )
        return any_of(all_of([self._counts[number], each]) for number, each in zip(numbers, holds, strict=True))

    def _of_field(self, condition: Condition, number: int) -> JSON:
        """Return when a condition on a field's variable holds, if the field is the one that counts."""
        variable = self._form[number].variable
        given: JSON = {"required": [variable]}
        there = _value(condition)
        fits = given if there is True else all_of([given, {"properties": {variable: there}}])
        value, when = self.default(number)
        by_default = value_fits(condition, value)
        if when is not True and by_default is not value_fits(condition, None):
            missing = when if by_default else not_(when)
        else:
            missing = by_default
        return any_of([fits, all_of([not_(given), missing])])


def _value(condition: Condition) -> JSON:
    """Return the schema of a value that is there and is as a condition says."""
    parts: list[JSON] = []
    if condition.exists is False:
        return False
    if condition.in_ is not None:
        parts.append(any_of(_same(wanted) for wanted in condition.in_))
    if condition.value is not None:
        parts.append(_same(condition.value))
    return all_of(parts)


def _same(wanted: JSON) -> JSON:
    if is_missing(wanted):
        return False
    if not isinstance(wanted, str | float | int):
        return {"const": wanted}
    one: JSON = {"enum": _spellings(wanted)}
    return {"anyOf": [one, {"type": "array", "contains": one}]}


def _spellings(wanted: str | float) -> list[JSON]:
    """Return the JSON values that are the same as this one in a condition: the text, and what is written so."""
    text = scalar_text(wanted)
    found: list[JSON] = [text]
    readers: tuple[Callable[[str], float], ...] = (int, float)
    for read in readers:
        try:
            number = read(text)
        except ValueError:  # it is no number, or one of more digits than Python reads
            continue
        finite = isinstance(number, int) or math.isfinite(number)
        if finite and number not in found and scalar_text(number) == text:
            found.append(number)
    if text in {"true", "false"}:
        found.append(text == "true")
    return found
