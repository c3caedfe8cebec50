"""The values of form fields: from what was typed, or stands in a file or variable, to the value of the field's type.

Owns what each type of field takes. Complaints are collected, never raised, so that all of them come at once; none of
them repeats a value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NoReturn, cast

from modelhub.rules.conditions import is_missing, scalar_text
from modelhub.rules.field_limits import (
    CHOICES,
    CONTROL,
    CONTROL_IN_LINES,
    DEEPEST,
    NOT_IN_A_HEADER,
    NOT_IN_A_NAME,
    URL,
    most_characters,
)
from modelhub.rules.names import looks_like_a_secret
from modelhub.types.credential import CredentialValue
from modelhub.types.forms import FormField, FormOption
from modelhub.types.i18n import Labels
from modelhub.types.json import JSON
from modelhub.types.problems import FieldProblem
from modelhub.types.secret import Secret

__all__ = ["default_of", "value_of"]

_USER = re.compile(r"^\s*[A-Za-z]+://[^/?#]*@")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_YES = frozenset({"true", "1", "yes", "on"})
_NO = frozenset({"false", "0", "no", "off"})
_LIST: Labels = {"en": "a list", "id": "daftar"}
_OBJECT: Labels = {"en": "an object", "id": "objek"}
_OTHER: Labels = {"en": "something else", "id": "yang lain"}


class _Wrong(Exception):
    """A value cannot be the field's. It never leaves this module.

    Args:
        code: The kind of mistake.
        params: What its sentence names.
    """

    def __init__(self, code: str, **params: JSON) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


class _Several(Exception):
    """Several parts of a value are wrong; each with its path behind the field's variable."""

    def __init__(self, parts: Sequence[tuple[str, _Wrong]]) -> None:
        super().__init__()
        self.parts = parts


def value_of(
    field: FormField, given: CredentialValue, options: Sequence[FormOption], problems: list[FieldProblem]
) -> JSON:
    """Return the value of a field: what is given, else its default; ``None`` where there is none, or it is wrong.

    Args:
        field: A field that is shown.
        given: What was given for it.
        options: Those of its options that are shown.
        problems: Where complaints are added.
    """
    for candidate in (given, _default(field, options)):
        try:
            value = None if is_missing(cast("JSON", candidate)) else _read(field, candidate, options)
        except _Wrong as wrong:
            problems.append(FieldProblem(field.variable, wrong.code, wrong.params, field.label))
            return None
        except _Several as several:
            problems.extend(
                FieldProblem(f"{field.variable}{path}", wrong.code, wrong.params, field.label)
                for path, wrong in several.parts
            )
            return None
        if not is_missing(value) and (value != {} or field.type == "json"):
            return value
    if field.required:
        problems.append(FieldProblem(field.variable, "required", labels=field.label))
    return None


def default_of(field: FormField) -> tuple[JSON, Sequence[FieldProblem]]:
    """Return the value that a field has where none is given, with all its options, and what is wrong with that."""
    problems: list[FieldProblem] = []
    value = value_of(replace(field, required=False), None, field.options, problems)
    return value, problems


def _default(field: FormField, options: Sequence[FormOption]) -> JSON:
    """Return a field's default; a choice that is not offered now is none."""
    if field.type in CHOICES and field.options and not is_missing(field.default):
        try:
            _read(field, field.default, options)
        except (_Wrong, _Several):
            return None
    return field.default


def _read(field: FormField, given: CredentialValue, options: Sequence[FormOption]) -> JSON:
    reader = _READERS.get(field.type, _line)  # a type that is not known yet is read as a line of text
    return reader(field, given, options)


def _line(field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> str:
    text = _text(given).strip()
    _check_length(field, text)
    if re.search(CONTROL, text):
        raise _Wrong("blank_control")
    return text


def _lines(field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> str:
    text = _text(given)
    _check_length(field, text)
    if re.search(CONTROL_IN_LINES, text):
        raise _Wrong("control")
    return text if text.strip() else ""


def _url(field: FormField, given: CredentialValue, options: Sequence[FormOption]) -> str:
    if field.role == "endpoint":  # a base URL has a reader of its own, and may leave out what the rule fills in
        return _line(field, given, options)
    text = _text(given).strip()
    _check_length(field, text)
    if text and not re.search(URL, text):
        raise _Wrong("url_password" if _USER.match(text) else "not_url")
    return text


def _check_length(field: FormField, text: str) -> None:
    if len(text) > most_characters(field):
        raise _Wrong("too_long", limit=most_characters(field))


def _text(given: CredentialValue) -> str:
    """Return what is given as a text; numbers and switches too, as files and JSON hold them."""
    if isinstance(given, Secret):
        return given.reveal()
    if isinstance(given, str):
        return given
    if isinstance(given, bool):
        return scalar_text(given)
    if isinstance(given, int):
        try:
            return str(given)
        except ValueError:  # Python writes no whole number of more than 4,300 digits
            raise _Wrong("too_long", limit=4300) from None
    if isinstance(given, float):
        if not math.isfinite(given):
            raise _Wrong("not_finite")
        return str(given)
    raise _Wrong("not_text", found=_found(given))


def _found(given: object) -> Labels:
    if isinstance(given, Mapping):
        return _OBJECT
    return _LIST if isinstance(given, list | tuple) else _OTHER


def _switch(_field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> JSON:
    if isinstance(given, bool):
        return given
    text = _scalar(given, "not_switch").lower()
    if text not in _YES | _NO:
        if not text:
            return None
        raise _Wrong("not_switch")
    return text in _YES


def _scalar(given: CredentialValue, code: str) -> str:
    """Return a text, number or switch as the text that options are compared by."""
    if isinstance(given, Secret):
        given = given.reveal()
    if not isinstance(given, str | float | int):
        raise _Wrong(code, found=_found(given))
    return scalar_text(given).strip()


def _number(field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> JSON:
    number = _any_number(given.reveal() if isinstance(given, Secret) else given)
    if number is None:
        return None
    if field.min is not None and number < field.min:
        raise _Wrong("too_small", limit=scalar_text(field.min))
    if field.max is not None and number > field.max:
        raise _Wrong("too_large", limit=scalar_text(field.max))
    return number


def _any_number(given: CredentialValue) -> float | None:
    if isinstance(given, str):
        text = given.strip()
        if text.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            raise _Wrong("not_finite")
        if text and not _NUMBER.fullmatch(text):
            raise _Wrong("not_number")
        try:
            given = (int(text) if text.lstrip("+-").isdigit() else float(text)) if text else None
        except ValueError:  # Python reads no whole number of more than 4,300 digits
            raise _Wrong("too_long", limit=4300) from None
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _Wrong("not_number")
    if isinstance(given, int):
        return given
    if not math.isfinite(given):
        raise _Wrong("not_finite")
    return int(given) if given.is_integer() else given


def _choice(field: FormField, given: CredentialValue, options: Sequence[FormOption]) -> str:
    return _chosen(field, _scalar(given, "not_text"), options)


def _chosen(field: FormField, text: str, options: Sequence[FormOption]) -> str:
    if not text or not field.options:
        _check_length(field, text)
        return text
    for option in options:
        if scalar_text(option.value) == text:
            return option.value
    if not options:
        raise _Wrong("no_option")
    raise _Wrong("not_option", names=[option.value for option in options])


def _choices(field: FormField, given: CredentialValue, options: Sequence[FormOption]) -> JSON:
    if isinstance(given, str | Secret):
        given = _items_in(given.reveal() if isinstance(given, Secret) else given, options)
    if isinstance(given, bool | int | float):
        given = [given]
    if not isinstance(given, list | tuple):
        raise _Wrong("not_list")
    chosen: list[str] = []
    wrong: list[tuple[str, _Wrong]] = []
    for number, item in enumerate(given):
        try:
            chosen.append(_chosen(field, _scalar(item, "not_list"), options))
        except _Wrong as found:
            wrong.append((f"[{number}]", found))
    if wrong:
        raise _Several(wrong)
    named = dict.fromkeys(text for text in chosen if text)
    return [option.value for option in options if option.value in named] if field.options else list(named)


def _items_in(text: str, options: Sequence[FormOption]) -> JSON:
    """Return the items of a text: of a JSON list, else those between commas. An option may have commas in it."""
    text = text.strip()
    if text in {option.value for option in options}:
        return [text]
    if not text.startswith("["):
        return [item.strip() for item in text.split(",")]
    return _parsed(text, "not_list")


def _parsed(text: str, code: str) -> JSON:
    def no_number(_: str) -> NoReturn:
        raise _Wrong("not_finite")

    def pairs(items: list[tuple[str, JSON]]) -> dict[str, JSON]:
        found = dict(items)
        if len(found) < len(items):
            raise _Wrong("twice")
        return found

    try:
        return cast("JSON", json.loads(text, parse_constant=no_number, object_pairs_hook=pairs))
    except (ValueError, RecursionError):
        raise _Wrong(code) from None


def _json(field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> JSON:
    if isinstance(given, Secret):
        given = given.reveal()
    if isinstance(given, str):
        _check_length(field, given)
        given = _parsed(given, "not_json") if given.strip() else None
        if isinstance(given, str):  # it would be read as JSON when it is given again
            raise _Wrong("not_json")
    return _copied(given, 0)


def _copied(value: CredentialValue, depth: int) -> JSON:
    """Return a JSON value that nobody else can change."""
    if isinstance(value, Secret):
        return value.reveal()
    if depth > DEEPEST:
        raise _Wrong("too_deep", limit=DEEPEST)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise _Wrong("not_json")
        return {key: _copied(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise _Wrong("not_finite")
    if value is None or isinstance(value, str | int | float):
        return value
    raise _Wrong("not_json")


def _pairs(field: FormField, given: CredentialValue, _: Sequence[FormOption]) -> JSON:
    """Read name and value pairs: a mapping, JSON of one, or lines of ``name: value``."""
    if isinstance(given, Secret):
        given = given.reveal()
    if isinstance(given, str):
        text = given.strip()
        _check_length(field, text)
        given = _parsed(text, "not_json_object") if text.startswith("{") else _pairs_in(text)
    if not isinstance(given, Mapping):
        raise _Wrong("not_pairs")
    pairs: dict[str, JSON] = {}
    wrong: list[tuple[str, _Wrong]] = []
    for number, (name, value) in enumerate(given.items()):
        try:
            pairs[_header_name(name)] = _header(value)
        except _Wrong as found:
            plain = found.code != "not_name" and not looks_like_a_secret(name)
            wrong.append((f".{name}" if plain else f"[{number}]", found))
    if wrong:
        raise _Several(wrong)
    return pairs


def _pairs_in(text: str) -> dict[str, JSON]:
    lines = [line.partition(":") for line in text.splitlines() if line.strip()]
    if not all(colon for _, colon, _ in lines):
        raise _Wrong("not_lines")
    pairs: dict[str, JSON] = {name.strip(): value.strip() for name, _, value in lines}
    if len(pairs) < len(lines):
        raise _Wrong("twice")
    return pairs


def _header_name(name: object) -> str:
    if not isinstance(name, str) or not name or re.search(NOT_IN_A_NAME, name):
        raise _Wrong("not_name")
    return name


def _header(value: CredentialValue) -> str:
    if value is None or isinstance(value, Mapping | list | tuple):
        raise _Wrong("not_pairs")
    text = _text(value).strip(" \t")
    if re.search(NOT_IN_A_HEADER, text):
        raise _Wrong("not_header")
    return text


_READERS: Mapping[str, Callable[[FormField, CredentialValue, Sequence[FormOption]], JSON]] = MappingProxyType(
    {
        "text-input": _line,
        "secret-input": _line,
        "select": _choice,
        "radio": _choice,
        "switch": _switch,
        "number": _number,
        "url": _url,
        "textarea": _lines,
        "json": _json,
        "key-value": _pairs,
        "multi-select": _choices,
        "file": _lines,
    }
)
