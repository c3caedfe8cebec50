"""One holder at a time, in threads and processes; waits that end."""

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelhub.errors import ConfigurationError
from modelhub.provider.file_lock import LockAbandoned, locked

HOLD = """
import sys, threading
from pathlib import Path
from modelhub.provider.file_lock import locked
with locked(Path(sys.argv[1]), stop=threading.Event()):
    print("held", flush=True)
    threading.Event().wait()
"""


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


def test_who_waits_is_asked_now_and_then(tmp_path: Path) -> None:
    """What it does meanwhile may end the wait."""
    stop = threading.Event()
    with (
        locked(tmp_path / "lock", stop=threading.Event()),
        pytest.raises(LockAbandoned),
        locked(tmp_path / "lock", stop=stop, on_wait=stop.set),
    ):
        pass


def test_a_killed_holder_gives_the_lock_back(tmp_path: Path) -> None:
    """The system drops the lock of a process that is killed."""
    path, told = tmp_path / "lock", []
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def on_wait() -> None:
            told.append(1)
            holder.kill()

        with locked(path, stop=threading.Event(), on_wait=on_wait):
            assert told


def test_a_file_that_cannot_be_made_is_the_systems_error(tmp_path: Path) -> None:
    """Whoever locks knows what the file is for, and says it."""
    with (
        pytest.raises(OSError, match="No such file"),
        locked(tmp_path / "missing" / "lock", stop=threading.Event()),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="file modes")
def test_the_lock_file_stays_and_is_its_owners(tmp_path: Path) -> None:
    """It says nothing, and nobody else can hold it and so keep everybody waiting."""
    with locked(tmp_path / "lock", stop=threading.Event()):
        pass
    assert (tmp_path / "lock").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600
