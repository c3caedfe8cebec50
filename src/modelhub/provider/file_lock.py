"""A lock between processes, and between threads of one, that a crashed holder cannot keep.

Owns the lock file and nothing else. The operating system holds the lock for an open file and drops it when that file
is closed, however the process ends; so the file says nothing, and is never removed: two processes would then lock two
files of one name.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from modelhub.errors import ConfigurationError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["LockAbandoned", "locked"]

_POLL_SECONDS: Final = 0.05
_HELD_BY_ANOTHER: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


class LockAbandoned(Exception):
    """Whoever waited for the lock was told to stop."""


@contextmanager
def locked(
    path: Path,
    *,
    stop: threading.Event,
    patience: float = math.inf,
    on_wait: Callable[[], object] | None = None,
    mode: int = 0o600,
) -> Iterator[None]:
    """Hold the lock at ``path`` for the body of the ``with`` statement. Blocks while another holds it.

    Args:
        path: The lock file; made where it is missing.
        stop: Ends the wait.
        patience: Seconds to wait.
        on_wait: Called some twenty times a second while another holds it.
        mode: Who may open a file that is made, and so hold everybody up.

    Raises:
        LockAbandoned: ``stop`` was set before the lock was got.
        ConfigurationError: Another process has held it all the time.
        OSError: The file cannot be made, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, mode)
    try:
        end = time.monotonic() + patience
        while not _try_lock(descriptor):
            if on_wait is not None:
                on_wait()
            if time.monotonic() > end:
                message = f"another process has held {path} for {patience:g} s"
                raise ConfigurationError(message, remedy="end the process that writes there, then try again")
            if stop.wait(_POLL_SECONDS):
                raise LockAbandoned
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _unlock(descriptor: int) -> None:
    """Give the lock back: closing alone would leave it to a process that was forked meanwhile."""
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            return False
        raise
    return True
