"""A form as JSON Schema (draft 2020-12) with what a web page needs to draw it.

A plain validator agrees with `modelhub.rules.forms.filled` on typed values: a text for a text field, a number for a
number, and so on, without blanks at their ends, and with fields that are not filled in left out. What only the core
knows is how a base URL is read, how deep JSON may be nested, and what it makes of values of other types (``"5"``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from modelhub.rules.condition_schema import Conditions, all_of, any_of, not_
from modelhub.rules.conditions import condition_json
from modelhub.rules.field_limits import (
    CHOICES,
    CONTROL,
    CONTROL_IN_LINES,
    NOT_IN_A_HEADER,
    NOT_IN_A_NAME,
    URL,
    most_characters,
)
from modelhub.rules.field_values import default_of
from modelhub.rules.shown import by_variable
from modelhub.types.forms import FormField
from modelhub.types.i18n import Labels, label_for
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType

__all__ = ["WIDGETS", "form_schema"]

WIDGETS: Mapping[str, str] = MappingProxyType(
    {
        "text-input": "text",
        "secret-input": "password",
        "select": "select",
        "radio": "radio",
        "switch": "checkbox",
        "number": "number",
        "url": "url",
        "textarea": "textarea",
        "json": "json",
        "key-value": "pairs",
        "multi-select": "checkboxes",
        "file": "file",
    }
)
"""What a field of each type is drawn as; most are the types of HTML's ``input``."""


def form_schema(
    form: Sequence[FormField], *, locale: str | Sequence[str] | None = None, model_type: ModelType | None = None
) -> dict[str, JSON]:
    """Return a form as JSON Schema.

    Under ``x-modelhub`` its ``fields`` say in order how each is drawn: ``variable``, ``type``, ``widget``, ``label``,
    ``placeholder``, ``help``, ``url``, ``required``, ``secret``, ``default``, ``options``, ``show_on`` and so on.

    Args:
        form: The fields.
        locale: The locale of the labels, or several, best first; by default each label has all its locales.
        model_type: The type of the model that the form is filled in for, for conditions on ``__model_type``.

    Example:
        >>> schema = form_schema([FormField("size", "number", {"en_US": "Size"}, min=1)], locale="id")
        >>> schema["properties"]
        {'size': {'type': 'number', 'minimum': 1, 'title': 'Size'}}
    """
    conditions = Conditions(form, model_type)
    rules: list[JSON] = []
    required: list[str] = []
    properties: dict[str, JSON] = {}
    for variable, fields in by_variable(form).items():
        numbers = [number for number, field in enumerate(form) if field.variable == variable]
        properties[variable] = _notes(fields, locale)
        if conditions.counts(numbers[0]) is True:  # it is the one that counts, always
            properties[variable] = {**_value(fields[0]), **_notes(fields, locale)}
            missing = _must_be_there(conditions, form, numbers[0])
            if missing is True:
                required.append(variable)
            else:
                rules.append(any_of([not_(missing), {"required": [variable]}]))
            rules.extend(_only_offered(conditions, form, numbers[0]))
        else:
            rules.extend(_where_it_counts(conditions, form, number) for number in numbers)
    schema: dict[str, JSON] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    if conditions.definitions:
        schema["$defs"] = conditions.definitions
    rules = [rule for rule in rules if rule is not True]
    if rules:
        schema["allOf"] = rules
    schema["x-modelhub"] = {"fields": [_drawn(field, locale) for field in form]}
    return schema


def _where_it_counts(conditions: Conditions, form: Sequence[FormField], number: int) -> JSON:
    """Return the rule of a field that is not always the one of its variable."""
    counts = conditions.counts(number)
    if counts is False:
        return True
    field = form[number]
    missing = _must_be_there(conditions, form, number)
    must = (
        {"required": [field.variable]} if missing is True else any_of([not_(missing), {"required": [field.variable]}])
    )
    value: JSON = {"properties": {field.variable: _value(field)}}
    return {"if": counts, "then": all_of([value, must, *_only_offered(conditions, form, number)])}


def _must_be_there(conditions: Conditions, form: Sequence[FormField], number: int) -> JSON:
    """Return when the value of a field that counts must be given: when no default, or a wrong one, takes its place."""
    default, when = conditions.default(number)
    if default_of(form[number])[1]:
        return True
    if not form[number].required:
        return False
    return True if default is None else not_(when)


def _only_offered(conditions: Conditions, form: Sequence[FormField], number: int) -> list[JSON]:
    """Return the rules that refuse the choices of a field which are not offered."""
    field = form[number]
    if field.type not in CHOICES:
        return []
    offers = list(zip(field.options, conditions.offers(number), strict=True))
    found: list[JSON] = []
    for value in dict.fromkeys(option.value for option in field.options):
        shown = any_of(when for option, when in offers if option.value == value)
        this: JSON = {"const": value}
        chosen: JSON = {"contains": this} if field.type == "multi-select" else this
        refused: JSON = {"properties": {field.variable: {"not": chosen}}}
        found.append(any_of([shown, refused]))
    return found


def _value(field: FormField) -> dict[str, JSON]:
    """Return the schema of a field's value."""
    match field.type:
        case "switch":
            return {"type": "boolean"}
        case "number":
            limits = {"minimum": field.min, "maximum": field.max}
            return {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}
        case "json":
            return {"type": ["object", "array", "number", "boolean"], "minItems": 1}
        case "key-value":
            name: JSON = {"minLength": 1, "not": {"pattern": NOT_IN_A_NAME}}
            text: JSON = {"type": "string", "not": {"pattern": NOT_IN_A_HEADER}}
            return {"type": "object", "minProperties": 1, "propertyNames": name, "additionalProperties": text}
        case "multi-select":
            return {"type": "array", "minItems": 1, "uniqueItems": True, "items": _choice(field)}
        case "select" | "radio":
            return _choice(field)
        case _:
            return _text(field)


def _choice(field: FormField) -> dict[str, JSON]:
    if not field.options:
        return {"type": "string", "minLength": 1, "maxLength": most_characters(field)}
    return {"type": "string", "enum": list(dict.fromkeys(option.value for option in field.options))}


def _text(field: FormField) -> dict[str, JSON]:
    text: dict[str, JSON] = {"type": "string", "minLength": 1, "maxLength": most_characters(field)}
    if field.type == "url" and field.role != "endpoint":
        return {**text, "format": "uri", "pattern": URL}
    if field.type in {"textarea", "file"}:
        return {**text, "not": {"pattern": CONTROL_IN_LINES}}
    return {**text, "not": {"pattern": CONTROL}}


def _notes(fields: Sequence[FormField], locale: str | Sequence[str] | None) -> dict[str, JSON]:
    """Return what tools that draw forms from plain JSON Schema look at."""
    first = fields[0]
    wanted = "en_US" if locale is None else locale
    notes: dict[str, JSON] = {}
    title, description = label_for(first.label, wanted), label_for(first.help, wanted)
    if title:
        notes["title"] = title
    if description:
        notes["description"] = description
    if any(field.secret for field in fields):
        notes["writeOnly"] = True
    elif first.default is not None and not default_of(first)[1]:
        notes["default"] = default_of(first)[0]
    return notes


def _drawn(field: FormField, locale: str | Sequence[str] | None) -> dict[str, JSON]:
    """Return how a field is drawn: what its manifest says, and nothing that it does not."""
    drawn: dict[str, JSON] = {
        "variable": field.variable,
        "type": field.type,
        "widget": WIDGETS.get(field.type, "text"),
        "label": _said(field.label, locale) or field.variable,
        "placeholder": _said(field.placeholder, locale),
        "help": _said(field.help, locale),
        "url": _said(field.url, locale),
        "required": field.required,
        "secret": field.secret,
        "default": None if field.secret else default_of(field)[0],
        "max_length": field.max_length or None,
        "min": field.min,
        "max": field.max,
        "role": field.role,
        "accept": list(field.accept) or None,
        "options": [
            _some(
                {
                    "value": option.value,
                    "label": _said(option.label, locale) or option.value,
                    "show_on": [condition_json(each) for each in option.show_on] or None,
                }
            )
            for option in field.options
        ]
        or None,
        "show_on": [condition_json(each) for each in field.show_on] or None,
    }
    return _some(drawn)


def _some(facts: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _said(labels: Labels | str | None, locale: str | Sequence[str] | None) -> JSON:
    """Return a label in the locale wanted, or in all it has; ``None`` where it has none."""
    if locale is None and isinstance(labels, Mapping):
        return {name: text for name, text in labels.items() if text and text.strip()} or None
    return label_for(labels, locale or "en_US")
