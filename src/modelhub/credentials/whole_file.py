"""Files that are there whole, old or new, whatever happens while they are written.

Owns the way from bytes to a file that its owner alone may read, and back; what is in the file is not its business.
Writers hold the file's lock; readers need none.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from modelhub.errors import ConfigurationError
from modelhub.provider.file_lock import locked

__all__ = ["leftovers", "make_folder", "read", "replace", "sync_folder", "writing"]

_PATIENCE_SECONDS: Final = 30.0
_TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.05
_CANNOT: Final = frozenset(
    {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EPERM, errno.EBADF}
)
"""What file systems over a network, and folders that cannot be listed, say when they are to be written to the disk."""


def make_folder(folder: Path) -> None:
    """Make a folder that its owner alone may enter, where it is missing; one that is there stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def writing(path: Path, *, stop: threading.Event) -> AbstractContextManager[None]:
    """Return what keeps other writers of a file away, and is waited for where one of them is at work; see `locked`."""
    return locked(path.with_name(f"{path.name}.lock"), stop=stop, patience=_PATIENCE_SECONDS)


def read(path: Path, *, most: int) -> bytes:
    """Return what is in a file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        ConfigurationError: It has more.
        OSError: It cannot be read.
    """
    # Not blocking, so that a pipe that nobody writes to is seen for what it is.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        content = file.read(most + 1)
    if len(content) > most:
        message = f"{path} has more than {most // 1024} KiB"
        raise ConfigurationError(message, remedy="whoever keeps it must look: nothing of modelhub's gets that long")
    return content


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another one: written and on the disk before it has the name.

    What earlier writers that were killed have left behind is removed; the caller holds the lock, so nobody writes it.

    Raises:
        OSError: The folder cannot be written; the file is what it was.
    """
    for left in leftovers(path):
        left.unlink(missing_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _rename(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def leftovers(path: Path) -> list[Path]:
    """Return the unfinished files of writers that did not come to their end."""
    start, end = f".{path.name}.", ".tmp"
    return [each for each in path.parent.iterdir() if each.name.startswith(start) and each.name.endswith(end)]


def _rename(fresh: Path, path: Path) -> None:
    for left in reversed(range(_TRIES)):
        try:
            fresh.replace(path)
        except PermissionError:
            # Windows refuses while another process has the file open to read it, which takes a moment.
            if os.name != "nt" or not left:
                raise
            time.sleep(_PAUSE_SECONDS)  # noqa: TID251  this is in a thread of its own
        else:
            return


def sync_folder(folder: Path, *, sync: Callable[[int], object] = os.fsync) -> None:
    """Have the new name on the disk too; Windows has no way to, and needs none.

    A file system that cannot do it is no failure: the file has its name by then.

    Args:
        folder: The folder.
        sync: What does it to an open file.

    Raises:
        OSError: The disk failed.
    """
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
