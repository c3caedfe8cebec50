"""Credentials at rest and on the way to a form: references, the encrypted store, and what people see of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelhub.lazy import names_from

if TYPE_CHECKING:
    from collections.abc import Callable

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

__getattr__: Callable[[str], object] = names_from(
    __name__,
    {
        "display": ("HIDDEN", "edited", "masked", "secured"),
        "document": ("Record", "opened_record", "sealed_record"),
        "envelope": ("Envelope", "KeyEncryptionKey", "KeyMaterial", "KeyParameters"),
        "file_store": ("EncryptedFileStore", "default_store", "user_config_dir"),
        "keys": ("KeyFile", "KeySource", "Passphrase", "RandomKey", "new_key"),
        "references": ("is_dynamic", "is_reference", "literal", "resolved"),
        "store": ("CredentialStore", "CredentialValue", "MemoryStore", "StoredCredential"),
    },
)


def __dir__() -> list[str]:
    return __all__
