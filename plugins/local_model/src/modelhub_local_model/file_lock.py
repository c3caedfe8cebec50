"""A lock between processes that a crashed holder cannot keep.

Owns the lock file and nothing else. The operating system holds the lock for an open file and drops it when
that file is closed, however the process ends; so the file itself says nothing and is never removed (removing
it would let two processes lock two files of one name). Threads of one process exclude each other too, since
each opens the file for itself.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from modelhub_local_model.loading_steps import Stopped

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["locked"]

_POLL_SECONDS: Final = 0.1
_HELD_BY_ANOTHER: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK})


@contextmanager
def locked(path: Path, *, stop: threading.Event, on_wait: Callable[[], object]) -> Iterator[None]:
    """Hold the lock at ``path`` for the body of the ``with`` statement.

    Args:
        path: The lock file; made where it is missing.
        stop: Ends the wait for another holder.
        on_wait: Called about ten times a second while another holder is waited for.

    Raises:
        Stopped: ``stop`` was set before the lock was got.
        OSError: The file cannot be made, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _try_lock(descriptor):
            on_wait()
            if stop.wait(_POLL_SECONDS):
                raise Stopped
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
