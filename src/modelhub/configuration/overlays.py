"""What an application says of models and providers that plugins bring: tables whose keys are those of the manifests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from modelhub.configuration.credentials import configured_credentials
from modelhub.configuration.problems import Complaint, Keys
from modelhub.configuration.shaping import complaints_of, key_complaints, place_in, what_is
from modelhub.configuration.tables import ModelOverlay
from modelhub.errors import PluginError
from modelhub.manifest.shapes import schema_from, unknown_keys
from modelhub.types.schema import ModelSchema, ProviderSchema

__all__ = ["MODEL_KEYS", "PROVIDER_KEYS", "model_overlay", "provider_complaints"]

_OWN_MODEL_KEYS = ("credentials", "remove")
_OWN_PROVIDER_KEYS = ("extends", "preset")
_NOT_FOR_SETTINGS = ("provider", "contract", "family", "providers")
"""Keys of a manifest that say what its code is, which no setting can change."""

_WORDS = re.compile(r"[\w-]+")

MODEL_KEYS: Sequence[str] = [
    *(each.name for each in fields(ModelSchema) if each.name != "model"),
    *_OWN_MODEL_KEYS,
]
"""The keys of ``[models."provider/model"]``."""

PROVIDER_KEYS: Sequence[str] = [
    *_OWN_PROVIDER_KEYS,
    *(each.name for each in fields(ProviderSchema) if each.name not in (*_NOT_FOR_SETTINGS, "extends")),
]
"""The keys of ``[providers.<id>]``."""


def model_overlay(name: str, given: object, keys: Keys) -> tuple[ModelOverlay | None, list[Complaint]]:
    """Read the table of one model.

    Args:
        name: Its key, ``provider/model``.
        given: The table.
        keys: Where it stands.
    """
    provider, _, model = name.partition("/")
    if not provider or not model:
        remedy = 'write the table as [models."provider/model"], in quotes'
        return None, [Complaint(keys, "its name is no provider/model", remedy)]
    if not isinstance(given, Mapping):
        return None, [Complaint(keys, f"it must be a table, not {what_is(given)}")]
    complaints = list(key_complaints(given, list(MODEL_KEYS), keys))
    own = {key: value for key, value in given.items() if key in MODEL_KEYS and key not in _OWN_MODEL_KEYS}
    complaints += _schema_complaints(ModelSchema, {"model": model}, own, keys)
    sources: Sequence[Any] = ()
    if "credentials" in given:
        sources, found = configured_credentials(given["credentials"], name)
        complaints += [Complaint((*keys, "credentials", *each.keys), each.message, each.remedy) for each in found]
    remove = given.get("remove", False)
    if not isinstance(remove, bool):
        complaints.append(Complaint((*keys, "remove"), "it must be true or false"))
    elif remove and len(given) > 1:
        complaints.append(Complaint((*keys, "remove"), "a model that is hidden has other keys", "leave out one or all"))
    if complaints:
        return None, complaints
    return ModelOverlay(provider, model, own, sources, remove), []


def provider_complaints(id: str, given: object, keys: Keys) -> Iterator[Complaint]:
    """Yield what is wrong with the table of one provider."""
    if not id or "/" in id:
        yield Complaint(keys, "its id is empty or has a slash", "an id is a word, as in [providers.my_server]")
    if not isinstance(given, Mapping):
        yield Complaint(keys, f"it must be a table, not {what_is(given)}")
        return
    yield from key_complaints(given, list(PROVIDER_KEYS), keys)
    if not isinstance(given.get("extends", ""), str):
        yield Complaint((*keys, "extends"), "it must be a text", "name the id of an installed provider")
    elif given.get("extends") == id:
        yield Complaint((*keys, "extends"), "it extends itself", "name the id of an installed provider")
    if not isinstance(given.get("preset", {}), Mapping):
        yield Complaint((*keys, "preset"), "it must be a table", "give the form's fields and their defaults")
    own = {key: value for key, value in given.items() if key in PROVIDER_KEYS and key not in _OWN_PROVIDER_KEYS}
    yield from _schema_complaints(ProviderSchema, {"provider": id or "-"}, own, keys)


def _schema_complaints(
    cls: type, required: Mapping[str, str], given: Mapping[str, object], keys: Keys
) -> Iterator[Complaint]:
    """Yield what is wrong with the fields of a schema, each looked at alone so that no complaint hides another."""
    for key, written in given.items():
        value = _without_removals(written)
        failure: PluginError | None = None
        try:
            _, notices = schema_from(cls, {**required, key: value}, key)
        except PluginError as error:
            failure, notices = error, tuple(unknown_keys(cls, {key: value}, key))
        for notice in notices:
            words = _WORDS.findall(notice.partition(": unknown")[0])
            steps = tuple(int(word) if word.isdecimal() else word for word in words)
            yield Complaint((*keys, *place_in(steps, {key: value})), notice.removeprefix(f"{key}: "))
        if failure is None:
            continue
        details = getattr(failure.__cause__, "errors", None)
        if details is None:
            yield Complaint((*keys, key), failure.message)
            continue
        errors = details(include_url=False, include_input=False)
        # What a table leaves out is in the manifest; a row of a list is told by its name, which must be there.
        missing = [each for each in errors if each["type"] == "missing" and not _in_list(each["loc"])]
        yield from complaints_of([each for each in errors if each not in missing], {key: value}, keys)


def _in_list(loc: tuple[str | int, ...]) -> bool:
    return any(isinstance(step, int) for step in loc)


def _without_removals(value: object) -> object:
    """Return a value without the ``remove = true`` that takes a row out of a list of the manifest."""
    if isinstance(value, Mapping):
        return {key: _without_removals(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [
            {key: each for key, each in row.items() if (key, each) != ("remove", True)}
            if isinstance(row, Mapping)
            else row
            for row in value
        ]
    return value
