"""The store of credentials that the settings name, for the hub and for the command line alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelhub.credentials import EncryptedFileStore, KeyFile, RandomKey, user_config_dir
from modelhub.errors import ConfigurationError

if TYPE_CHECKING:
    from modelhub.configuration.settings import Settings

__all__ = ["configured_store"]

_FILE = "credentials.json"


def configured_store(settings: Settings, *, make: bool = False) -> EncryptedFileStore | None:
    """Return the store that the settings name, else the user's own. Looks for files: call it in a thread.

    Args:
        settings: Their table ``[store]`` and where they were read from.
        make: Whether to return the user's own store although there is no file yet, for what will be put into it.

    Returns:
        ``None`` where the settings switch stores off, or name none and the user has none.

    Raises:
        ConfigurationError: The user has no folder for it, or its path can be no file's.
    """
    table = settings.store
    if not table.enabled:
        return None
    folder = settings.source.parent if settings.source is not None else Path()
    path = _named(table.path, folder) if table.path else _own(make=make)
    if path is None:
        return None
    keys = RandomKey(table.key, folder=folder) if table.key else KeyFile(path.with_suffix(".key"))
    return EncryptedFileStore(path, keys)


def _named(given: str, folder: Path) -> Path:
    try:
        path = folder / Path(given).expanduser()
    except RuntimeError:
        why = "it begins with the home folder of a user who has none"
    else:
        if path.name not in {"", ".."}:
            return path
        why = "it is a folder's"
    message = f"[store] path cannot be {given!r}: {why}"
    raise ConfigurationError(message, remedy="whoever owns the settings must give the path of a file")


def _own(*, make: bool) -> Path | None:
    """Return the file of the user's own store, where there is one or one will be made."""
    try:
        path = user_config_dir() / _FILE
    except ConfigurationError:  # a user without a home folder has none
        if make:
            raise
        return None
    return path if make or path.exists() else None
