"""Where the keys of an encrypted store come from: given bytes, a passphrase, a reference, or a file of its own.

Owns reading and making keys, and what is too weak to be one. All of it blocks: stores call it in their threads.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, final

from modelhub.credentials import whole_file
from modelhub.credentials.envelope import KeyMaterial, b64encoded
from modelhub.credentials.references import ReferenceUnreadable, read_reference
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

__all__ = ["KeyFile", "KeySource", "Passphrase", "RandomKey", "new_key"]

_KEY_BYTES = 32
_LEAST_DIFFERENT = 16
"""Different bytes among 32 random ones: fewer are a pattern, not chance."""
_LEAST_PASSPHRASE = 12
_MOST_BYTES = 64 * 1024
_COST = 2**17
_MAKE_ONE = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
_HEX = re.compile(r"([0-9A-Fa-f]{2})+")


def new_key() -> Secret:
    """Return a random key as a text, for an environment variable, a file or a keyring."""
    return Secret(b64encoded(os.urandom(_KEY_BYTES)))


class KeySource(ABC):
    """Where the key of a store comes from. Subclass it to ask a key service."""

    __slots__ = ()

    @abstractmethod
    def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
        """Return the key, and after it older ones that still open what they have sealed. May block.

        Args:
            make: Whether to make a key where there is none: the store is empty.

        Raises:
            ConfigurationError: There is none, or it is too weak; the message says who must act.
        """

    def __reduce__(self) -> NoReturn:
        message = "where keys come from may be a key itself, and cannot be pickled"
        raise TypeError(message)


@final
class RandomKey(KeySource):
    """32 or more random bytes.

    Args:
        key: The bytes; or a text of them in base64 or hex, or a reference to one, such as ``env:MODELHUB_KEY``,
            ``file:/run/secrets/key`` or ``keyring:modelhub/key``.
        folder: What a relative ``file:`` starts from.
    """

    __slots__ = ("_folder", "_key")

    def __init__(self, key: bytes | Secret | str, *, folder: Path | None = None) -> None:
        self._key: bytes | Secret = Secret(key) if isinstance(key, str) else key
        self._folder = folder

    def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
        """Return the key; see `KeySource`."""
        if isinstance(self._key, bytes):
            return [_material(self._key)]
        return [_random(_text(self._key, self._folder, "key"))]

    def __repr__(self) -> str:
        return "<RandomKey>"


@final
class Passphrase(KeySource):
    """A passphrase, from which scrypt derives a key.

    Args:
        passphrase: 12 characters or more; or a reference to it, such as ``keyring:modelhub/passphrase``.
        cost: What deriving takes: KiB of memory, a power of two from ``2**15`` on, and time along with it.
        folder: What a relative ``file:`` starts from.
    """

    __slots__ = ("_cost", "_folder", "_passphrase")

    def __init__(self, passphrase: Secret | str, *, cost: int = _COST, folder: Path | None = None) -> None:
        self._passphrase = Secret(passphrase) if isinstance(passphrase, str) else passphrase
        self._cost = cost
        self._folder = folder

    def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
        """Return the passphrase; see `KeySource`."""
        passphrase = _text(self._passphrase, self._folder, "passphrase")
        if len(passphrase.reveal()) < _LEAST_PASSPHRASE:
            message = f"the passphrase of the store has fewer than {_LEAST_PASSPHRASE} characters"
            raise ConfigurationError(message, remedy="take several words, or a random key")
        return [KeyMaterial("scrypt", passphrase.reveal().encode("utf-8", "surrogatepass"), self._cost)]

    def __repr__(self) -> str:
        return "<Passphrase>"


@final
class KeyFile(KeySource):
    """A file with a key in each line, the current one first, that its owner alone may read.

    It is made at the first use of a store that is empty. The lines after the first are there while keys are changed,
    see ``EncryptedFileStore.rotate``. It belongs to one store: changing the key of one would leave another closed.

    Args:
        path: The file; its folder is made where it is missing.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path | str) -> None:
        self.path: Path = Path(path)

    def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
        """Return the keys in the file; see `KeySource`."""
        if make and not self.path.exists():
            self._make()
        try:
            return [_random(line) for line in self._lines()]
        except OSError as error:
            message = f"the key file {self.path} cannot be read: {error.strerror}"
            raise ConfigurationError(message, remedy="bring it back: without it the store stays closed") from error

    def begin_change(self) -> None:
        """Put a new key before the others: it seals from now on, and the others still open."""
        self._write([new_key(), *self._lines()])

    def end_change(self) -> None:
        """Forget all keys but the first: what they have sealed is sealed anew."""
        self._write(self._lines()[:1])

    def _make(self) -> None:
        path = self._real_path()
        try:
            whole_file.make_folder(path.parent)
            with whole_file.writing(path, stop=threading.Event()):
                if not path.exists():  # another process may have been faster
                    self._write([new_key()])
        except OSError as error:
            message = f"the key file {self.path} cannot be made: {error.strerror}"
            raise ConfigurationError(message, remedy="make its folder writable for you, or give another key") from error

    def _write(self, lines: Sequence[Secret]) -> None:
        whole_file.replace(self._real_path(), "".join(f"{line.reveal()}\n" for line in lines).encode("ascii"))

    def _real_path(self) -> Path:
        """Return where a link leads to: replacing the link would leave the old key where it is."""
        return Path(os.path.realpath(self.path))

    def _lines(self) -> Sequence[Secret]:
        others = stat.S_IRWXG | stat.S_IRWXO
        if os.name == "posix" and self.path.stat().st_mode & others:
            message = f"the key file {self.path} is open to other users of this machine"
            remedy = f"close it with: chmod 600 {self.path}; if others can have read it, change the key (rotate)"
            raise ConfigurationError(message, remedy=remedy)
        content = whole_file.read(self.path, most=_MOST_BYTES).decode("utf-8", "replace")
        lines = [Secret(line.strip()) for line in content.splitlines() if line.strip()]
        if not lines:
            message = f"the key file {self.path} is empty"
            raise ConfigurationError(
                message, remedy="bring it back from a copy: without its key the store stays closed"
            )
        return lines

    def __repr__(self) -> str:
        return f"<KeyFile {self.path}>"


def _text(given: Secret, folder: Path | None, what: str) -> Secret:
    try:
        return Secret(read_reference(given.reveal(), folder=folder).strip())
    except ReferenceUnreadable as error:
        problem = str(error)
    remedy = "whoever runs this program must set it: without it the store stays closed"
    raise ConfigurationError(f"the {what} of the store cannot be read: {problem}", remedy=remedy)


def _random(text: Secret) -> KeyMaterial:
    """Read a key; what is wrong with it is raised where no variable has it, since tracebacks show variables."""
    return _material(_bytes_of(text.reveal()))


def _material(key: bytes | None) -> KeyMaterial:
    problem = _weakness(key)
    if problem is not None or key is None:
        del key
        raise ConfigurationError(f"the key of the store {problem}", remedy=_MAKE_ONE)
    return KeyMaterial("hkdf-sha256", key)


def _weakness(key: bytes | None) -> str | None:
    if key is None:
        return "is neither base64 nor hex; what people think up is a passphrase"
    if len(key) < _KEY_BYTES:
        return f"has {len(key)} bytes, fewer than {_KEY_BYTES}"
    return "is not random" if len(set(key)) < _LEAST_DIFFERENT else None


def _bytes_of(text: str) -> bytes | None:
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    padded = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(padded + "=" * (-len(padded) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return None
