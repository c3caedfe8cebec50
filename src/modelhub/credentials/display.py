"""What people see of a credential, and what comes back when they have edited it.

Owns masking and the sentinel of edit forms. A secret that is kept by an edit stays with the origin that it was given
for: an edit that moves the endpoint must bring it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from modelhub.credentials.references import is_reference, may_be_shown
from modelhub.credentials.store import CredentialValue
from modelhub.errors import CredentialsInvalid
from modelhub.rules.forms import moved
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType
from modelhub.types.secret import Secret

__all__ = ["HIDDEN", "edited", "masked", "secured"]

HIDDEN = "[__HIDDEN__]"
"""What an edit form sends for a secret that stays as it is; the same as Dify's."""


def masked(values: Mapping[str, CredentialValue], form: Sequence[FormField]) -> dict[str, JSON]:
    """Return values as people may see them: of secrets the last four characters at most, references as they are.

    What stands under a name that the form does not have is taken for a secret.

    Args:
        values: The values as they are kept, or as they were given.
        form: The credential form of the provider, or of the model.

    Example:
        >>> masked({"key": "sk-0123456789abcdef"}, [FormField("key", "secret-input")])
        {'key': '***cdef'}
    """
    plain = _plain(form)
    return {name: _shown(value, secret=name not in plain) for name, value in values.items()}


def _shown(value: object, *, secret: bool) -> JSON:
    if isinstance(value, Mapping):
        return {str(name): _shown(item, secret=secret) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item, secret=secret) for item in value]
    if callable(value):
        return "(a function)"
    text = value.reveal() if isinstance(value, Secret) else value
    if isinstance(text, str) and is_reference(text) and (may_be_shown(text) or not secret):
        return text
    if isinstance(value, Secret):
        return value.masked
    # No form takes a URL with a password in it, but somebody may have written one.
    secret = secret or (isinstance(text, str) and "://" in text and "@" in text)
    if secret and value is not None and value != "":
        return Secret(str(value)).masked
    return value if isinstance(value, bool | int | float | str | None) else type(value).__name__


def secured(values: Mapping[str, object], form: Sequence[FormField]) -> dict[str, CredentialValue]:
    """Return values with each secret of the form as a `Secret`: what a store seals.

    In a mapping such as headers each text is one; any other value becomes one as JSON. What stands under a name that
    the form does not have is taken for a secret.
    """
    plain = _plain(form)
    return {name: _value(value) if name in plain else _secret(value) for name, value in values.items()}


def _value(value: object) -> CredentialValue:
    return value  # type: ignore[return-value]  # what cannot be kept is refused by the store, all of it at once


def _secret(value: object) -> CredentialValue:
    if isinstance(value, Mapping):
        return {str(name): _secret(item) for name, item in value.items()}
    if value is None or isinstance(value, Secret) or callable(value):
        return _value(value)
    if isinstance(value, str):
        return Secret(value)
    try:
        return Secret(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return _value(value)


def edited(
    old: Mapping[str, CredentialValue], new: Mapping[str, object], form: Sequence[FormField]
) -> dict[str, CredentialValue]:
    """Return what an edit makes of a credential: ``new``, where each secret that is `HIDDEN` stays what it was.

    What ``new`` leaves out is gone. Secrets come back as `Secret`, as `secured` makes them.

    Args:
        old: The values before, as they are kept.
        new: What the edit form sent.
        form: The credential form.

    Raises:
        CredentialsInvalid: A secret would be kept though the endpoint moves to another origin, or there was none
            before, or the sentinel stands where there is no secret; ``fields`` says which, all at once.
    """
    outcome = _outcome(old, new, form)
    del new  # the error's traceback must not hold what was typed
    if isinstance(outcome, CredentialsInvalid):
        raise outcome
    return outcome


def _outcome(
    old: Mapping[str, CredentialValue], new: Mapping[str, object], form: Sequence[FormField]
) -> dict[str, CredentialValue] | CredentialsInvalid:
    plain = _plain(form)
    moved_to = _moved(form, old, new)
    problems: dict[str, str] = {}

    def kept(before: object, place: str) -> CredentialValue:
        if moved_to is not None:
            problems[place] = f"type it anew: {moved_to} now leads to another server, which must not get the old one"
        elif before is None or before == "":
            problems[place] = "there is no earlier value to keep"
        return _secret(before)

    values = {
        name: _value(value) if name in plain else _edit(value, old.get(name), name, kept) for name, value in new.items()
    }
    for name, value in values.items():
        if _mentions_sentinel(value):
            problems[name] = f"{HIDDEN} stands for a secret that there is, as a whole: give the value"
    if problems:
        what = "; ".join(f"{place}: {problem}" for place, problem in problems.items())
        return CredentialsInvalid(f"the edit cannot be taken over: {what}", fields=problems)
    return values


def _edit(value: object, before: object, place: str, kept: Callable[[object, str], CredentialValue]) -> CredentialValue:
    text = value.reveal() if isinstance(value, Secret) else value
    if text == HIDDEN:
        return kept(before, place)
    if isinstance(value, Mapping):
        earlier = before if isinstance(before, Mapping) else {}
        return {str(name): _edit(item, earlier.get(name), f"{place}.{name}", kept) for name, item in value.items()}
    return _secret(value)


def _mentions_sentinel(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_mentions_sentinel, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_mentions_sentinel, value))
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and HIDDEN in text


def _plain(form: Sequence[FormField]) -> set[str]:
    """Return the names whose values may be shown: several fields may have one name, and all of them must agree."""
    return {field.variable for field in form} - {field.variable for field in form if field.secret}


def _moved(form: Sequence[FormField], old: Mapping[str, object], new: Mapping[str, object]) -> str | None:
    """Return the variable of a base URL that leads, or may lead, to another server than before."""
    for field in form:
        urls = [values.get(field.variable) for values in (old, new)]
        # Nobody can say that two references lead to the same server.
        if field.role == "endpoint" and urls[0] != urls[1] and any(map(is_reference, urls)):
            return field.variable
    # A form may show a base URL for models of one type alone, and nobody says here which one it is for.
    found = (moved(form, old, new, model_type=kind) for kind in (None, *ModelType))
    return next((variable for variable in found if variable is not None), None)
