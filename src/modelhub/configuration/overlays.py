"""What an application says of models and providers that plugins bring: tables whose keys are those of the manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from modelhub.configuration.credentials import configured_credentials
from modelhub.configuration.problems import Complaint, Keys
from modelhub.configuration.shaping import key_complaints, what_is
from modelhub.configuration.tables import ModelOverlay
from modelhub.manifest.shapes import problems_in
from modelhub.types.schema import ModelSchema, ProviderSchema

__all__ = ["MODEL_KEYS", "PROVIDER_KEYS", "model_overlay", "provider_complaints"]

_OWN_MODEL_KEYS = ("credentials", "remove")
_OWN_PROVIDER_KEYS = ("extends", "preset")
_NOT_FOR_SETTINGS = ("provider", "contract", "family", "providers")
"""Keys of a manifest that say what its code is, which no setting can change."""

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
    """Yield what is wrong with the fields of a schema. What a table leaves out is in the manifest."""
    read = {key: _without_removals(value) for key, value in given.items()}
    pricing = read.get("pricing")
    if isinstance(pricing, Mapping):
        read["pricing"] = {"input": 0, **pricing}  # where it has no price at all, that of the manifest stays
    for problem in problems_in(cls, {**required, **read}):
        if problem.code == "missing" and not _in_list(problem.path):
            continue
        place = (*keys, *problem.path)
        if problem.code == "unknown-key":
            yield Complaint(place, "unknown key", problem.message.partition("; ")[2] or None)
            continue
        # After the comma it says what the value is, which nothing here repeats.
        message = problem.message.partition(", not ")[0]
        yield Complaint(place, f"it {message}" if message.startswith("must ") else message)


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
