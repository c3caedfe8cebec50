"""The encrypted store in a file: the default one behind the port.

Owns when the file is read and written, and with which keys. The file is replaced as a whole, by one process at a time;
a file that cannot be read is never written over. There is no second copy: it would keep what was removed, and would
still open with a key that was changed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar, final

from modelhub.credentials import document, whole_file
from modelhub.credentials.document import Document, Record
from modelhub.credentials.envelope import Envelope, KeyEncryptionKey, KeyMaterial, KeyParameters, derived
from modelhub.credentials.keys import KeyFile, KeySource
from modelhub.credentials.store import StoredCredential, not_stored, order, stamped, storable, utc_now
from modelhub.errors import ConfigurationError, ModelHubError
from modelhub.provider.threads import run_in_thread

__all__ = ["EncryptedFileStore", "default_store", "user_config_dir"]

_MOST_BYTES = 16 * 1024 * 1024
_T = TypeVar("_T")


@final
class EncryptedFileStore:
    """A `CredentialStore` in a JSON file whose secrets are sealed with AES-256-GCM.

    Everything else in the file can be read, and nothing in it changed, without the key: see the page on credentials.

    Args:
        path: The file; it and its folder are made at the first `put`, for their owner alone.
        keys: Where its key comes from. Of several the first seals, and all open.
        now: The clock.

    Raises:
        ConfigurationError: The file is its own key file.

    Example:
        >>> store = EncryptedFileStore("credentials.json", KeyFile("credentials.key"))
        >>> store
        <EncryptedFileStore credentials.json>
    """

    __slots__ = ("_derived", "_now", "_sources", "path")

    def __init__(
        self,
        path: Path | str,
        keys: KeySource | Sequence[KeySource],
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.path: Path = Path(path)
        self._sources: tuple[KeySource, ...] = (keys,) if isinstance(keys, KeySource) else tuple(keys)
        self._now = now or utc_now
        self._derived: dict[tuple[KeyMaterial, KeyParameters], KeyEncryptionKey] = {}
        for source in self._sources:
            if isinstance(source, KeyFile) and source.path == self.path:
                message = f"the store {self.path} cannot be its own key file"
                raise ConfigurationError(message, remedy="give one of them another name: one would replace the other")

    async def list(self, provider: str | None = None) -> Sequence[StoredCredential]:
        """Return the credentials; see `CredentialStore`.

        Raises:
            ConfigurationError: The file cannot be read, or some of them are not what was put: the message names them.
        """
        return await self._in_thread(lambda _: self._list(provider), left_behind=True)

    async def get(self, provider: str, name: str = "default", model: str | None = None) -> StoredCredential:
        """Return one credential; see `CredentialStore`. Others that are damaged do not matter.

        Raises:
            ConfigurationError: There is none of that name, or it is not what was put, letter by letter.
        """
        return await self._in_thread(lambda _: self._get(provider, name, model), left_behind=True)

    async def put(self, credential: StoredCredential) -> StoredCredential:
        """Keep a credential; see `CredentialStore`.

        Raises:
            CredentialsInvalid: ``fields`` says which values cannot be kept.
            ConfigurationError: The file cannot be read or written, or was sealed with keys that were not given.
        """
        checked = storable(credential)
        return await self._in_thread(partial(self._put, checked))

    async def remove(self, provider: str, name: str = "default", model: str | None = None) -> None:
        """Forget a credential; see `CredentialStore`. Needs no key: what cannot be opened can be removed.

        Raises:
            ConfigurationError: There is none of that name, or the file cannot be read or written.
        """
        await self._in_thread(partial(self._remove, provider, name, model))

    async def rotate(self, new_key: KeySource | None = None) -> None:
        """Seal everything anew, so that the keys before open nothing of it. Killed half-way, it is as if not begun.

        Args:
            new_key: The key from now on, for other processes too. May be left out where the key is a `KeyFile`, which
                then gets a new one: its old key goes when nothing needs it any more.

        Raises:
            ConfigurationError: Something cannot be opened with the keys there are, or no new one was given.
        """
        await self._in_thread(partial(self._rotate, new_key))

    def __repr__(self) -> str:
        return f"<EncryptedFileStore {self.path}>"

    async def _in_thread(self, function: Callable[[threading.Event], _T], *, left_behind: bool = False) -> _T:
        """Run what blocks. What only reads is left behind where the wait is cancelled: a disk may hang."""
        stop = threading.Event()

        def body() -> _T:
            try:
                return function(stop)
            except ModelHubError as error:
                # The functions that it came through hold what the file says, and tracebacks show variables.
                raised = error.with_traceback(None)
            except OSError as error:
                raised = self._unusable(f"{error.filename or self.path}: {error.strerror or type(error).__name__}")
            except RecursionError:
                raised = self._unusable("it is nested too deep")
            raise raised

        on_cancel = None if left_behind else stop.set
        return await run_in_thread(body, name="modelhub-credential-store", on_cancel=on_cancel)

    def _unusable(self, why: str) -> ModelHubError:
        message = f"the store {self.path} cannot be used: {why}"
        return ConfigurationError(message, remedy="whoever runs this program must be able to read and write there")

    def _list(self, provider: str | None) -> Sequence[StoredCredential]:
        def opened(found: Document) -> Sequence[StoredCredential]:
            wanted = [record for record in found.records if provider in {None, record["provider"]}]
            return sorted(_all_opened(wanted, self._envelope(found)), key=order) if wanted else []

        return self._unlocked(opened)

    def _get(self, provider: str, name: str, model: str | None) -> StoredCredential:
        def opened(found: Document) -> StoredCredential:
            records = {document.key_of(record): record for record in found.records}
            record = records.get((provider, model, name))
            if record is None:
                raise not_stored(provider, name, model, records)
            return document.opened_record(record, self._envelope(found))

        return self._unlocked(opened)

    def _unlocked(self, use: Callable[[Document], _T]) -> _T:
        """Read without the lock, and once more where a key was changed between reading the file and reading the key."""
        found = self._read()
        while True:
            try:
                return use(found)
            except ConfigurationError:
                before, found = found, self._read()
                if found == before:
                    raise

    def _put(self, credential: StoredCredential, stop: threading.Event) -> StoredCredential:
        with self._lock(stop):
            before = self._read()
            keys, parameters = self._sealing(before)
            others = [record for record in before.records if document.key_of(record) != credential.key]
            kept = stamped(credential, _created(before, credential), self._now())
            record = document.sealed_record(kept, Envelope(keys))
            self._write(before.with_records([*others, record], parameters))
        return kept

    def _remove(self, provider: str, name: str, model: str | None, stop: threading.Event) -> None:
        wanted = (provider, model, name)
        if not self._real_path().exists():
            raise not_stored(provider, name, model, {})
        with self._lock(stop):
            before = self._read()
            records = {document.key_of(record): record for record in before.records}
            if wanted not in records:
                raise not_stored(provider, name, model, records)
            del records[wanted]
            self._write(before.with_records([*records.values()]))

    def _rotate(self, new_key: KeySource | None, stop: threading.Event) -> None:
        with self._lock(stop):
            if new_key is not None:
                new_key.materials(make=True)
                self._seal_anew((new_key, *self._sources))
                self._sources = (new_key,)
                self._derived = {}
                return
            source = self._sources[0] if self._sources else None
            if not isinstance(source, KeyFile):
                remedy = "give the new key: it is kept by you, not by the store"
                raise ConfigurationError("there is no key file to put a new key into", remedy=remedy)
            if source.path.exists():
                before = self._read()
                _all_opened(before.records, self._envelope(before))  # what would fail, fails before anything is changed
                # First the new key is safe, then it is used, then the old one goes: killed anywhere, all of it opens.
                source.begin_change()
                self._seal_anew(self._sources)
                source.end_change()

    def _seal_anew(self, sources: Sequence[KeySource]) -> None:
        before = self._read()
        if not before.records:
            return
        credentials = _all_opened(before.records, self._envelope(before, sources))
        material = sources[0].materials()[0]
        parameters = KeyParameters.new(material)
        key = self._key(material, parameters)
        records = [document.sealed_record(credential, Envelope([key])) for credential in credentials]
        self._write(Document({key.id: parameters}, records))

    def _envelope(self, found: Document, sources: Sequence[KeySource] | None = None) -> Envelope:
        return Envelope([*self._keys(found, sources).values()])

    def _keys(self, found: Document, sources: Sequence[KeySource] | None = None) -> dict[str, KeyEncryptionKey]:
        """Return those of the file's keys that the sources have, by their ids."""
        every = [material for source in sources or self._sources for material in source.materials()]
        keys: dict[str, KeyEncryptionKey] = {}
        for material in every:
            for key_id, parameters in found.keys.items():
                if parameters.kdf == material.kdf and key_id not in keys:
                    key = self._key(material, parameters)
                    if key.id == key_id:
                        keys[key_id] = key
        return keys

    def _sealing(self, before: Document) -> tuple[Sequence[KeyEncryptionKey], dict[str, KeyParameters]]:
        """Return the keys to write with, the sealing one first, and the parameters of that one."""
        keys = self._keys(before) if before.keys else {}
        unknown = before.keys.keys() - keys.keys()
        if unknown:  # a mistyped passphrase must not seal anything beside what the right one has sealed
            message = f"the store {self.path} is sealed with a key that was not given ({', '.join(sorted(unknown))})"
            raise ConfigurationError(message, remedy="give that key; or remove what it has sealed, which needs no key")
        if not self._sources:
            raise ConfigurationError("there is no key to seal with", remedy="give the store a key")
        material = self._sources[0].materials(make=not before.keys)[0]
        for parameters in before.keys.values():
            if parameters.kdf == material.kdf and self._key(material, parameters).id in keys:
                first = self._key(material, parameters)
                return [first, *keys.values()], {first.id: parameters}
        parameters = KeyParameters.new(material)
        first = self._key(material, parameters)
        return [first, *keys.values()], {first.id: parameters}

    def _key(self, material: KeyMaterial, parameters: KeyParameters) -> KeyEncryptionKey:
        """Return a key, derived once: scrypt is slow on purpose."""
        key = self._derived.get((material, parameters))
        if key is None:
            key = self._derived[material, parameters] = derived(material, parameters)
        return key

    def _lock(self, stop: threading.Event) -> AbstractContextManager[None]:
        path = self._real_path()
        whole_file.make_folder(path.parent)
        return whole_file.writing(path, stop=stop)

    def _read(self) -> Document:
        try:
            content = whole_file.read(self._real_path(), most=_MOST_BYTES)
        except FileNotFoundError:
            return Document()
        return document.parsed(content, str(self.path))

    def _write(self, after: Document) -> None:
        whole_file.replace(self._real_path(), document.written(after))

    def _real_path(self) -> Path:
        """Return where a link leads to: replacing the link would part it from its file."""
        return Path(os.path.realpath(self.path))


def _created(before: Document, credential: StoredCredential) -> datetime | None:
    for record in before.records:
        if document.key_of(record) == credential.key:
            try:
                return datetime.fromisoformat(str(record["created"]))
            except ValueError:  # damaged, and replaced now
                return None
    return None


def _all_opened(records: Sequence[Record], envelope: Envelope) -> Sequence[StoredCredential]:
    """Open all of them, or name every one that does not open."""
    credentials: list[StoredCredential] = []
    errors: list[ConfigurationError] = []
    for record in records:
        try:
            credentials.append(document.opened_record(record, envelope))
        except ConfigurationError as error:
            errors.append(error)
    if errors:
        raise ConfigurationError("; ".join(error.message for error in errors), remedy=errors[0].remedy)
    return credentials


def default_store(
    *, folder: Path | None = None, keys: KeySource | Sequence[KeySource] | None = None
) -> EncryptedFileStore:
    """Return the user's own store: ``credentials.json`` in the configuration folder.

    Args:
        folder: Another folder than `user_config_dir`.
        keys: Where the key comes from. By default it is a file beside the store, made at first use: that keeps secrets
            out of copies and commits of the store alone, not from whoever may read both files.
    """
    where = folder or user_config_dir()
    return EncryptedFileStore(where / "credentials.json", keys or KeyFile(where / "credentials.key"))


def user_config_dir() -> Path:
    """Return the folder for what the user has set up, by each system's own custom.

    Raises:
        ConfigurationError: The user has no home folder.
    """
    named = {"win32": os.environ.get("APPDATA"), "darwin": None}.get(sys.platform, os.environ.get("XDG_CONFIG_HOME"))
    if named:
        return Path(named) / "modelhub"
    custom = {"win32": Path("AppData", "Roaming"), "darwin": Path("Library", "Application Support")}
    try:
        return Path.home() / custom.get(sys.platform, Path(".config")) / "modelhub"
    except RuntimeError:
        pass
    message = "there is no home folder to keep credentials in"
    raise ConfigurationError(message, remedy="set HOME, or give the store a folder")
