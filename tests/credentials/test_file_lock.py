"""One holder at a time, in threads and processes; waits that end."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from modelhub.credentials.file_lock import LockAbandoned, locked
from modelhub.errors import ConfigurationError


def test_threads_exclude_each_other(tmp_path: Path) -> None:
    """Two never hold it together, and each gets it."""
    path = tmp_path / "lock"
    inside: list[int] = []
    together: list[int] = []
    pause = threading.Event()

    def hold() -> None:
        with locked(path, stop=threading.Event()):
            inside.append(1)
            pause.wait(0.02)
            together.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1, 1, 1, 1]


def test_a_wait_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """Whoever is told to stop has not got the lock, and the holder keeps it."""
    stop = threading.Event()
    stop.set()
    with (
        locked(tmp_path / "lock", stop=threading.Event()),
        pytest.raises(LockAbandoned),
        locked(tmp_path / "lock", stop=stop),
    ):
        pass
    with locked(tmp_path / "lock", stop=stop):
        assert (tmp_path / "lock").exists()


def test_patience_ends_too(tmp_path: Path) -> None:
    """A holder that hangs is said to hang."""
    with (
        locked(tmp_path / "lock", stop=threading.Event()),
        pytest.raises(ConfigurationError, match=r"has held .* for 0.05 s"),
        locked(tmp_path / "lock", stop=threading.Event(), patience=0.05),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_the_lock_file_stays_and_is_its_owners(tmp_path: Path) -> None:
    """It says nothing, and nobody else can hold it and so keep everybody waiting."""
    with locked(tmp_path / "lock", stop=threading.Event()):
        pass
    assert (tmp_path / "lock").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
