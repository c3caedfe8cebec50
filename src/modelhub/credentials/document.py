"""The text of a store's file: its keys' parameters, and credentials whose secrets are sealed.

Owns the format, and what each seal is bound to: a secret to provider, model, name and place, and the credential as a
whole to everything about it that can be read, its base URL first of all. Whoever edits the file cannot point a key at
another server, nor put it in another place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias, cast

from modelhub.credentials.envelope import Envelope, KeyParameters, b64decoded, b64encoded, key_id_of
from modelhub.credentials.store import CredentialValue, StoredCredential
from modelhub.errors import ConfigurationError
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = ["Document", "Record", "key_of", "opened_record", "parsed", "sealed_record", "written"]

_FORMAT, _VERSION = "modelhub credentials", 1
_TEXTS = ("provider", "name", "created", "updated", "seal")
_TEXTS_OR_NONE = ("model", "model_type")
_TABLES = ("values", "secrets")
_GARBLED = "restore it from a copy, or move it away and put the credentials anew; it was not touched"

Record: TypeAlias = Mapping[str, JSON]
"""A credential as it stands in the file."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a store's file says.

    Attributes:
        keys: How each key was derived, by its id.
        records: The credentials, sealed.
    """

    keys: Mapping[str, KeyParameters] = field(default_factory=dict)
    records: Sequence[Record] = ()

    def with_records(self, records: Sequence[Record], keys: Mapping[str, KeyParameters] | None = None) -> Document:
        """Return a document with other records, and no key that none of them is sealed with."""
        used = {key_id for record in records for key_id in _key_ids(record)}
        every = {**self.keys, **(keys or {})}
        return Document({key: each for key, each in every.items() if key in used}, records)


def _key_ids(record: Record) -> Iterator[str]:
    secrets = cast("Mapping[str, JSON]", record["secrets"])
    for token in (record["seal"], *secrets.values()):
        with suppress(ConfigurationError):  # what is not sealed is refused when it is opened, and needs no key
            yield key_id_of(str(token))


def parsed(content: bytes, source: str) -> Document:
    """Read a store's file.

    Raises:
        ConfigurationError: It is not whole, not of this format, or of a later version.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise _garbled(source, "it is no store of credentials, or not all of one")
    if document.get("version") != _VERSION:
        message = f"the store {source} has another version than {_VERSION}"
        raise ConfigurationError(message, remedy="use the modelhub that wrote it, or a newer one")
    keys, records = document.get("keys"), document.get("credentials")
    if not isinstance(keys, dict) or not isinstance(records, list):
        raise _garbled(source, "it has no keys or no credentials")
    for record in records:
        _check(record, source)
    if len({key_of(record) for record in records}) < len(records):
        raise _garbled(source, "two credentials have the same provider, model and name")
    return Document({key: _parameters(each, source) for key, each in keys.items()}, records)


def _garbled(source: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"the store {source} cannot be read: {why}", remedy=_GARBLED)


def _check(record: object, source: str) -> None:
    right = (
        isinstance(record, dict)
        and record.keys() == {*_TEXTS, *_TEXTS_OR_NONE, *_TABLES}
        and all(isinstance(record[name], str) for name in _TEXTS)
        and all(isinstance(record[name], str | None) for name in _TEXTS_OR_NONE)
        and all(isinstance(record[name], dict) for name in _TABLES)
        and all(isinstance(token, str) for token in record["secrets"].values())
    )
    if not right:
        raise _garbled(source, "a credential in it has not the shape of one")


def _parameters(given: object, source: str) -> KeyParameters:
    if isinstance(given, dict) and given.keys() == {"kdf", "salt", "cost"}:
        kdf, salt, cost = given["kdf"], b64decoded(str(given["salt"])), given["cost"]
        if kdf in {"hkdf-sha256", "scrypt"} and salt is not None and type(cost) is int:
            return KeyParameters(kdf, salt, cost)
    raise _garbled(source, "the parameters of a key have not the shape of them")


def written(document: Document) -> bytes:
    """Return a document as a file has it: JSON that a person can read, and `parsed` reads back."""
    keys = {
        key: {"kdf": each.kdf, "salt": b64encoded(each.salt), "cost": each.cost} for key, each in document.keys.items()
    }
    whole = {"format": _FORMAT, "version": _VERSION, "keys": keys, "credentials": list(document.records)}
    return json.dumps(whole, indent=2).encode("ascii")


def key_of(record: Record) -> tuple[str, str | None, str]:
    """Return what there is one record for: provider, model, name."""
    return cast("str", record["provider"]), cast("str | None", record["model"]), cast("str", record["name"])


def sealed_record(credential: StoredCredential, envelope: Envelope) -> Record:
    """Return a credential as it may be written: JSON whose secrets are sealed, and all of it bound together.

    A store of your own keeps it as it is, in one column or under one key.

    Args:
        credential: What to keep.
        envelope: What seals it.

    Raises:
        ConfigurationError: There is no key to seal with.
    """
    secrets: dict[str, str] = {}

    def without_secrets(value: object, place: str) -> JSON:
        if isinstance(value, Secret):
            secrets[place] = envelope.seal(value, bound_to=_bound(credential.key, place))
            return None
        if isinstance(value, Mapping):
            return {str(name): without_secrets(item, _below(place, str(name))) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [without_secrets(item, _below(place, str(number))) for number, item in enumerate(value)]
        return cast("JSON", value)

    record: dict[str, JSON] = {
        "provider": credential.provider,
        "name": credential.name,
        "model": credential.model,
        "model_type": credential.model_type,
        "created": _time(credential.created),
        "updated": _time(credential.updated),
        "values": without_secrets(credential.values, ""),
        "secrets": secrets,
    }
    return {**record, "seal": envelope.seal(Secret(""), bound_to=("credential", _canonical(record)))}


def opened_record(record: Record, envelope: Envelope) -> StoredCredential:
    """Return a credential, if every letter of its record is what was sealed.

    Args:
        record: What `sealed_record` returned.
        envelope: What opens it.

    Raises:
        ConfigurationError: It is not; nothing of it is returned.
    """
    outcome = _outcome(record, envelope)
    del record  # it may hold a secret in clear, written by hand, and the error's traceback must not
    if isinstance(outcome, ConfigurationError):
        raise outcome
    return outcome


def _outcome(record: Record, envelope: Envelope) -> StoredCredential | ConfigurationError:
    provider, model, name = key_of(record)
    try:
        body = {key: value for key, value in record.items() if key != "seal"}
        envelope.open(str(record["seal"]), bound_to=("credential", _canonical(body)))
        secrets = {
            place: envelope.open(str(token), bound_to=_bound((provider, model, name), place))
            for place, token in cast("Mapping[str, JSON]", record["secrets"]).items()
        }
    except ConfigurationError as error:
        of = provider if model is None else f"{provider}/{model}"
        message = f"the stored credential {name!r} of {of} cannot be used: {error.message}"
        return ConfigurationError(message, remedy=error.remedy)
    values = cast("Mapping[str, CredentialValue]", _with_secrets(record["values"], "", secrets))
    model_type = cast("str | None", record["model_type"])
    times = (_moment(str(record[when])) for when in ("created", "updated"))
    return StoredCredential(provider, name, values, model, model_type, *times)


def _with_secrets(value: JSON, place: str, secrets: Mapping[str, Secret]) -> CredentialValue:
    if place in secrets:
        return secrets[place]
    if isinstance(value, Mapping):
        return {name: _with_secrets(item, _below(place, name), secrets) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_secrets(item, _below(place, str(number)), secrets) for number, item in enumerate(value)]
    return value


def _bound(key: tuple[str, str | None, str], place: str) -> tuple[str, ...]:
    provider, model, name = key
    return "secret", provider, "" if model is None else f"={model}", name, place


def _below(place: str, step: str) -> str:
    """Return a JSON pointer one step further down (RFC 6901)."""
    return f"{place}/{step.replace('~', '~0').replace('/', '~1')}"


def _canonical(record: Mapping[str, JSON]) -> str:
    """Return the one text of a record, whatever the order and the blanks in the file."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()
