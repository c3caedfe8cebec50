"""Credentials at rest and on the way to a form: references, the encrypted store, and what people see of them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelhub.credentials.display import HIDDEN, edited, masked, secured
    from modelhub.credentials.document import Record, opened_record, sealed_record
    from modelhub.credentials.envelope import Envelope, KeyEncryptionKey, KeyMaterial, KeyParameters
    from modelhub.credentials.file_store import EncryptedFileStore, default_store, user_config_dir
    from modelhub.credentials.keys import KeyFile, KeySource, Passphrase, RandomKey, new_key
    from modelhub.credentials.references import is_dynamic, is_reference, literal, resolved
    from modelhub.credentials.store import CredentialStore, CredentialValue, MemoryStore, StoredCredential

__all__ = [
    "HIDDEN",
    "CredentialStore",
    "CredentialValue",
    "EncryptedFileStore",
    "Envelope",
    "KeyEncryptionKey",
    "KeyFile",
    "KeyMaterial",
    "KeyParameters",
    "KeySource",
    "MemoryStore",
    "Passphrase",
    "RandomKey",
    "Record",
    "StoredCredential",
    "default_store",
    "edited",
    "is_dynamic",
    "is_reference",
    "literal",
    "masked",
    "new_key",
    "opened_record",
    "resolved",
    "sealed_record",
    "secured",
    "user_config_dir",
]

_PLACES = {
    "display": ("HIDDEN", "edited", "masked", "secured"),
    "document": ("Record", "opened_record", "sealed_record"),
    "envelope": ("Envelope", "KeyEncryptionKey", "KeyMaterial", "KeyParameters"),
    "file_store": ("EncryptedFileStore", "default_store", "user_config_dir"),
    "keys": ("KeyFile", "KeySource", "Passphrase", "RandomKey", "new_key"),
    "references": ("is_dynamic", "is_reference", "literal", "resolved"),
    "store": ("CredentialStore", "CredentialValue", "MemoryStore", "StoredCredential"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    place = _PLACE_OF.get(name)
    if place is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
