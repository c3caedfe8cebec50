"""What manifests say of models and forms, in words: values, ranges, conditions, and when a model ends."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from functools import reduce

from modelhub.cli.texts import N_, _, label
from modelhub.types.forms import Condition, FormField
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema

__all__ = ["KINDS_OF_FIELDS", "condition_text", "ending_text", "form_rows", "property_text", "rule_values", "short"]

_LONGEST = 60
"""Characters of a value that are shown among others."""

KINDS_OF_FIELDS = {
    "text-input": N_("text"),
    "secret-input": N_("secret"),
    "select": N_("choice"),
    "radio": N_("choice"),
    "switch": N_("yes or no"),
    "number": N_("number"),
    "url": N_("URL"),
    "textarea": N_("text of several lines"),
    "json": N_("JSON"),
    "key-value": N_("names with texts"),
    "multi-select": N_("several choices"),
    "file": N_("file"),
}
"""What the fields of a form hold."""


def property_text(value: JSON) -> str:
    """Return a value as people read it: numbers in their language, texts as they are, everything else as JSON."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        from modelhub.cli.figures import number_text  # noqa: PLC0415  languages' ways of writing, wanted only here

        return number_text(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(map(property_text, value))
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def short(text: str) -> str:
    """Return a text on one line, cut where it is too long to be read there."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def ending_text(schema: ModelSchema, today: dt.date) -> str:
    """Return that a model is deprecated or withdrawn, since when, and what takes its place; empty for all others.

    Args:
        schema: The model.
        today: The day that it is told on, in UTC.
    """
    ends = schema.deprecation
    if ends is None:
        return _("deprecated") if schema.deprecated else ""
    text = _("deprecated")
    if ends.date is not None:
        from modelhub.cli.figures import day_text  # noqa: PLC0415  likewise

        said = _("withdrawn since {date}") if ends.date <= today else _("deprecated, ends on {date}")
        text = said.format(date=day_text(ends.date))
    parts = [text]
    if ends.replacement:
        parts.append(_("use {model}").format(model=ends.replacement))
    if ends.reason:
        parts.append(label(ends.reason))
    return "; ".join(parts)


def rule_values(rule: ParameterRule) -> str:
    """Return which values a parameter takes."""
    if rule.options:
        return ", ".join(rule.options)
    if rule.min is None and rule.max is None:
        return ""
    low, high = ("" if each is None else property_text(_whole(each)) for each in (rule.min, rule.max))
    return f"{low} … {high}".strip()


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def condition_text(conditions: Sequence[Condition]) -> str:
    """Return conditions in words, all of which must hold."""
    return _joined(N_("{one} and {other}"), [_words(each) for each in conditions])


def _joined(words: str, parts: Sequence[str]) -> str:
    return reduce(lambda one, other: _(words).format(one=one, other=other), parts) if parts else ""


def _words(condition: Condition) -> str:
    parts = []
    if condition.variable is not None:
        parts += _about(condition, condition.variable)
    if condition.all is not None:
        parts += [_words(each) for each in condition.all]
    if condition.any is not None:
        parts.append(f"({_joined(N_('{one} or {other}'), [_words(each) for each in condition.any])})")
    if condition.not_ is not None:
        parts.append(_("not ({condition})").format(condition=_words(condition.not_)))
    return _joined(N_("{one} and {other}"), parts)


def _about(condition: Condition, name: str) -> list[str]:
    parts = []
    if condition.value is not None:
        parts.append(_("{name} is {value}").format(name=name, value=property_text(condition.value)))
    if condition.in_ is not None:
        values = ", ".join(map(property_text, condition.in_))
        parts.append(_("{name} is one of {values}").format(name=name, values=values))
    if condition.exists is not None:
        said = _("{name} is given") if condition.exists else _("{name} is not given")
        parts.append(said.format(name=name))
    return parts


def form_rows(form: Sequence[FormField]) -> list[tuple[str, ...]]:
    """Return the fields of a form as rows: name, what it holds, whether it is wanted, and what it means."""
    rows: list[tuple[str, ...]] = []
    for field in form:
        wanted = _("required") if field.required and field.default is None else _("optional")
        if field.show_on:
            wanted += " " + _("if {condition}").format(condition=condition_text(field.show_on))
        said = [label(field.label), label(field.help)]
        kind = _(KINDS_OF_FIELDS.get(field.type, field.type))
        rows.append((field.variable, kind, wanted, ": ".join(each for each in said if each)))
    return rows
