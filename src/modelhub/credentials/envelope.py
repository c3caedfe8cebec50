"""Sealing secrets: AES-256-GCM, each under a random key of its own, which a key-encryption key wraps.

Owns the sealed form, ``mh1:<key id>:<base64url>``, and the derivation of key-encryption keys; knows nothing of files.
A data key seals one text and no other: no nonce can come up twice with it, whoever reads one learns one text, and a
sealed text stands alone, in a file or in any column of a database. What a text belongs to goes in as associated data,
so that it opens in that place only. The library ``cryptography`` does the work (extra ``store``); it is imported when
first used, and scrypt is slow on purpose: call everything here in a thread.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias, final

from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = [
    "Envelope",
    "KeyDerivation",
    "KeyEncryptionKey",
    "KeyMaterial",
    "KeyParameters",
    "b64decoded",
    "b64encoded",
    "derived",
    "key_id_of",
]

KeyDerivation: TypeAlias = Literal["hkdf-sha256", "scrypt"]

_VERSION = "mh1"
_SEALED = re.compile(r"mh1:(?P<key>[0-9a-f]{16}):(?P<data>[A-Za-z0-9_-]+)")
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16
_SALT_BYTES = 16
_HEAD_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_LEAST_COST, _COST, _GREATEST_COST = 2**15, 2**17, 2**20
_BLOCK_SIZE = 8
_PLAIN = "it is not sealed, and plain text is refused"
_CHANGED = "it was changed after it was sealed, or belongs elsewhere"
_RESTORE = "whoever keeps the store must put this credential anew, or restore the store from a copy; nothing was sent"


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """What a key-encryption key is derived from.

    Attributes:
        kdf: ``hkdf-sha256`` for random bytes, ``scrypt`` for a passphrase.
        secret: The bytes; of a random key 32 or more.
        cost: For scrypt, how much memory and time a new derivation takes: KiB of memory, a power of two.
    """

    kdf: KeyDerivation
    secret: bytes = field(repr=False)
    cost: int = _COST

    def __reduce__(self) -> NoReturn:
        message = "key material is secret and cannot be pickled"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class KeyParameters:
    """How a key-encryption key was derived; no secret, kept beside what the key has sealed.

    Attributes:
        kdf: ``hkdf-sha256`` or ``scrypt``.
        salt: 16 random bytes.
        cost: For scrypt, its N (r is 8, p is 1); 0 for hkdf.
    """

    kdf: KeyDerivation
    salt: bytes
    cost: int = 0

    @classmethod
    def new(cls, material: KeyMaterial) -> KeyParameters:
        """Return parameters with a random salt."""
        return cls(material.kdf, os.urandom(_SALT_BYTES), material.cost if material.kdf == "scrypt" else 0)

    def check(self) -> None:
        """Refuse parameters that nobody would have written.

        Raises:
            ConfigurationError: The salt is too short, or the cost too low to protect or too high to be paid.
        """
        is_cost = _LEAST_COST <= self.cost <= _GREATEST_COST and self.cost & (self.cost - 1) == 0
        if len(self.salt) < _SALT_BYTES or not (is_cost if self.kdf == "scrypt" else self.cost == 0):
            raise ConfigurationError(
                "the parameters of a key cannot be used: the salt or the cost of scrypt is out of range",
                remedy=f"scrypt's cost is a power of two from {_LEAST_COST} to {_GREATEST_COST}",
            )


@final
class KeyEncryptionKey:
    """A key that wraps the keys of sealed texts.

    Attributes:
        id: A fingerprint: it names the key and says nothing about it.
    """

    __slots__ = ("_key", "id")

    def __init__(self, key: bytes) -> None:
        length = len(key)
        if length != _KEY_BYTES:
            del key  # the error's traceback must not hold it
            raise ConfigurationError(f"a key-encryption key has {_KEY_BYTES} bytes, not {length}")
        self._key = key
        self.id: str = hmac.new(key, b"modelhub key id 1", hashlib.sha256).hexdigest()[:16]

    def cipher(self) -> AESGCM:
        """Return the cipher that wraps.

        Raises:
            ConfigurationError: The library is not installed.
        """
        return _aesgcm()(self._key)

    def __repr__(self) -> str:
        return f"<KeyEncryptionKey {self.id}>"

    def __reduce__(self) -> NoReturn:
        message = "a key cannot be pickled"
        raise TypeError(message)


def derived(material: KeyMaterial, parameters: KeyParameters) -> KeyEncryptionKey:
    """Derive a key-encryption key. Slow with scrypt (a quarter of a second and 128 MiB by default).

    Raises:
        ConfigurationError: The parameters cannot be used, or the library is not installed.
    """
    parameters.check()
    try:
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415  an extra, wanted only here
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt  # noqa: PLC0415
    except ImportError:
        raise _not_installed() from None
    if parameters.kdf == "scrypt":
        scrypt = Scrypt(salt=parameters.salt, length=_KEY_BYTES, n=parameters.cost, r=_BLOCK_SIZE, p=1)
        return KeyEncryptionKey(scrypt.derive(material.secret))
    hkdf = HKDF(SHA256(), _KEY_BYTES, salt=parameters.salt, info=b"modelhub key-encryption key 1")
    return KeyEncryptionKey(hkdf.derive(material.secret))


@final
class Envelope:
    """Seals secrets with the first of its keys, and opens what any of them has sealed.

    Args:
        keys: The key-encryption keys, the current one first, older ones after it.
    """

    __slots__ = ("_current", "_keys")

    def __init__(self, keys: Sequence[KeyEncryptionKey]) -> None:
        self._keys = {key.id: key for key in keys}
        self._current = keys[0] if keys else None

    def seal(self, secret: Secret, *, bound_to: Sequence[str]) -> str:
        """Return a secret sealed.

        Args:
            secret: What nobody may read.
            bound_to: What it belongs to, such as provider, name and field: it opens with the same words only.

        Raises:
            ConfigurationError: There is no key, or the library is not installed.
        """
        if self._current is None:
            raise ConfigurationError("there is no key to seal with", remedy="give the store a key")
        key_id = self._current.id
        bound = _associated(key_id, bound_to)
        wrapping, cipher = self._current.cipher(), _aesgcm()
        data_key, wrap_nonce, nonce = os.urandom(_KEY_BYTES), os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        wrapped = wrapping.encrypt(wrap_nonce, data_key, b"key" + bound)
        sealed = cipher(data_key).encrypt(nonce, secret.reveal().encode("utf-8", "surrogatepass"), b"text" + bound)
        return f"{_VERSION}:{key_id}:{b64encoded(wrap_nonce + wrapped + nonce + sealed)}"

    def open(self, sealed: str, *, bound_to: Sequence[str]) -> Secret:
        """Return what was sealed, or nothing at all.

        Args:
            sealed: What `seal` returned.
            bound_to: The words that it was sealed with.

        Raises:
            ConfigurationError: It is not sealed, with none of these keys, for another place, or was changed.
        """
        if not _SEALED.fullmatch(sealed):
            del sealed  # it may be a secret in clear, and the error's traceback must not hold it
            raise ConfigurationError(_PLAIN, remedy=_RESTORE)
        key_id = key_id_of(sealed)
        key = self._keys.get(key_id)
        if key is None:
            message = f"it is sealed with the key {key_id}, which is not among the given ones"
            raise ConfigurationError(message, remedy="give that key too, or put this credential anew")
        data = b64decoded(sealed.rpartition(":")[2])
        if data is None or len(data) < _HEAD_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise ConfigurationError(_CHANGED, remedy=_RESTORE)
        bound = _associated(key_id, bound_to)
        # No variable has the key or the text: tracebacks show variables.
        cipher = _aesgcm()(_decrypted(key.cipher(), data[:_HEAD_BYTES], b"key" + bound))
        return Secret(_decrypted(cipher, data[_HEAD_BYTES:], b"text" + bound).decode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return f"<Envelope with the keys {', '.join(self._keys) or 'none'}>"


def key_id_of(sealed: str) -> str:
    """Return the id of the key that a text was sealed with.

    Raises:
        ConfigurationError: It is not sealed; the message does not repeat it.
    """
    found = _SEALED.fullmatch(sealed)
    if found is None:
        del sealed  # it may be a secret in clear, and the error's traceback must not hold it
        raise ConfigurationError(_PLAIN, remedy=_RESTORE)
    return found["key"]


def b64encoded(data: bytes) -> str:
    """Return bytes in base64url, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64decoded(text: str) -> bytes | None:
    """Return the bytes of what `b64encoded` returned, ``None`` for any other spelling of them."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return None
    return data if b64encoded(data) == text else None


def _associated(key_id: str, bound_to: Sequence[str]) -> bytes:
    """Join words so that no two lists of them make the same bytes: each has its length before it."""
    words = [word.encode("utf-8", "surrogatepass") for word in (_VERSION, key_id, *bound_to)]
    return b"".join(len(word).to_bytes(8, "big") + word for word in words)


def _decrypted(cipher: AESGCM, data: bytes, associated: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  an extra, there since there is a cipher

    try:
        return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], associated)
    except InvalidTag:
        pass
    raise ConfigurationError(_CHANGED, remedy=_RESTORE)


def _aesgcm() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415  an extra, wanted only here
    except ImportError:
        raise _not_installed() from None
    return AESGCM


def _not_installed() -> ConfigurationError:
    message = "an encrypted store needs the library cryptography, which is not installed"
    return ConfigurationError(message, remedy="install it: pip install 'modelhub-core[store]'")
