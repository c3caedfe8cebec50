"""Credential forms: from the values given to the values that count, or every complaint at once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import cast

from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.rules.conditions import hold
from modelhub.rules.endpoint import Endpoint, endpoint_of
from modelhub.rules.names import did_you_mean
from modelhub.types.credential import Credential
from modelhub.types.forms import FormField
from modelhub.types.json import JSON

__all__ = ["endpoint_in", "filled", "layered"]

_YES = {"true", "1", "yes", "on"}
_NO = {"false", "0", "no", "off"}


def layered(form: Sequence[FormField], *layers: Mapping[str, JSON]) -> dict[str, JSON]:
    """Put values of a form over each other, the later over the earlier.

    A secret belongs to the origin it was given with: a layer that names another origin does not get the secrets below
    it, so that a key is never sent to a server that only the caller of one call knows.
    """
    secrets = {field.variable for field in form if field.secret}
    endpoints = [field for field in form if field.role == "endpoint"]
    values: dict[str, JSON] = {}
    for layer in layers:
        if any(_moves(field, values, layer) for field in endpoints):
            values = {name: value for name, value in values.items() if name not in secrets}
        values.update(layer)
    return values


def _moves(field: FormField, below: Mapping[str, JSON], layer: Mapping[str, JSON]) -> bool:
    """Whether a layer sends requests to another origin than the one that the values below it were given for."""
    given = layer.get(field.variable)
    if given is None or given == "":
        return False
    before = below.get(field.variable) or field.default
    try:
        old, new = (endpoint_of(str(url), field.endpoint) for url in (before, given))
    except ConfigurationError:
        return True
    return (old.scheme, old.host, old.port) != (new.scheme, new.host, new.port)


def filled(form: Sequence[FormField], values: Mapping[str, JSON], *, provider: str, id: str = "default") -> Credential:
    """Fill in a form.

    A default satisfies ``required``; ``False`` is a value; what stands in a field that is not shown is left out.

    Raises:
        CredentialsInvalid: ``fields`` says what is wrong with which field, all at once.
    """
    names = {field.variable for field in form}
    problems = {name: did_you_mean(name, names, what="fields") for name in values if name not in names}
    taken: dict[str, JSON] = {}
    standing = {field.variable: _given(field, values) for field in form}
    for field in form:
        if hold(field.show_on, standing):
            _take(field, _given(field, values), taken, problems)
        standing[field.variable] = taken.get(field.variable)  # what a hidden field holds shows nothing
    endpoint = _endpoint(form, taken, problems)
    if problems:
        what = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        message = f"the credential {id!r} of provider {provider!r} cannot be used: {what}"
        raise CredentialsInvalid(message, fields=problems)
    secret = frozenset(field.variable for field in form if field.secret)
    return Credential(taken, id=id, secret_names=secret, endpoint=endpoint)


def _given(field: FormField, values: Mapping[str, JSON]) -> JSON:
    value = values.get(field.variable)
    return field.default if value is None or value == "" else value


def _take(field: FormField, value: JSON, taken: dict[str, JSON], problems: dict[str, str]) -> None:
    if value is None or value == "":
        if field.required and field.variable not in taken:
            problems[field.variable] = "it is required"
        return
    try:
        taken[field.variable] = _value(field, value)
    except ValueError as error:
        problems[field.variable] = str(error)


def _endpoint(form: Sequence[FormField], taken: dict[str, JSON], problems: dict[str, str]) -> str | None:
    for field in form:
        if field.role == "endpoint" and field.variable in taken:
            try:
                return endpoint_of(str(taken[field.variable]), field.endpoint).url
            except ConfigurationError as error:
                problems[field.variable] = str(error)
    return None


def endpoint_in(credential: Credential) -> Endpoint | None:
    """Return where the requests of a credential go."""
    return None if credential.endpoint is None else endpoint_of(credential.endpoint)


def _value(field: FormField, value: JSON) -> JSON:
    match field.type:
        case "switch":
            return _switch(value)
        case "number":
            return _number(value)
        case "key-value":
            return _pairs(value)
        case "select" | "radio":
            text = _switch_text(value)
            if field.options and text not in {option.value for option in field.options}:
                raise ValueError(f"it must be one of {', '.join(option.value for option in field.options)}")
            return text
        case _:
            return _text(field, value)


def _switch_text(value: JSON) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(field: FormField, value: JSON) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise ValueError(f"it must be a text, not a {type(value).__name__}")  # noqa: TRY004  collected with the others
    text = str(value).strip()
    if field.max_length and len(text) > field.max_length:
        raise ValueError(f"it must have {field.max_length} characters or fewer")
    if any(ord(character) < 0x20 for character in text):  # noqa: PLR2004  the first printable character
        raise ValueError("it has a line break or another control character in it")
    return text


def _switch(value: JSON) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _YES | _NO:
        return text in _YES
    raise ValueError("it must be true or false")


def _number(value: JSON) -> float:
    try:
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else float(str(value))
    except ValueError:
        raise ValueError("it must be a number") from None
    if isinstance(number, int):
        return number
    if not math.isfinite(number):
        raise ValueError("it must be a finite number")
    return int(number) if number.is_integer() else number


def _pairs(value: JSON) -> dict[str, JSON]:
    """Read name and value pairs: a mapping, JSON of one, or lines of ``name: value``."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            try:
                value = cast("JSON", json.loads(text))
            except (ValueError, RecursionError):
                raise ValueError("it is no JSON object") from None
        else:
            lines = [line.partition(":") for line in text.splitlines() if line.strip()]
            if not all(colon for _, colon, _ in lines):
                raise ValueError("each line must be name: value")
            value = {name.strip(): rest.strip() for name, _, rest in lines}
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("it must be names with texts")
    return dict(value)
