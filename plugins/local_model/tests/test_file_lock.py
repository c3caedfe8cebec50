"""One holder at a time, in threads and processes, and none that outlives its process."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelhub_local_model.file_lock import locked
from modelhub_local_model.loading_steps import Stopped

HOLD = """
import sys, threading
from pathlib import Path
from modelhub_local_model.file_lock import locked
with locked(Path(sys.argv[1]), stop=threading.Event(), on_wait=lambda: None):
    print("held", flush=True)
    threading.Event().wait()
"""


def test_excludes_threads(tmp_path: Path) -> None:
    """Two threads never hold the lock together, and each gets it."""
    path, inside, together = tmp_path / "lock", [], []
    waited = threading.Event()

    def hold() -> None:
        with locked(path, stop=threading.Event(), on_wait=waited.set):
            inside.append(1)
            together.append(len(inside))
            waited.wait(1)
            inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [1, 1, 1]
    assert waited.is_set()


def test_ends_the_wait_when_stopped(tmp_path: Path) -> None:
    """A wait for another holder can be stopped; the holder is not disturbed."""
    path, stop = tmp_path / "lock", threading.Event()
    with locked(path, stop=threading.Event(), on_wait=lambda: None):
        with (
            pytest.raises(Stopped),
            locked(path, stop=stop, on_wait=stop.set),
        ):
            pytest.fail("two hold the lock")
        assert path.exists()


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


def test_says_when_the_file_cannot_be_made(tmp_path: Path) -> None:
    """A lock where none can be is the system's own error."""
    with (
        pytest.raises(OSError, match="No such file"),
        locked(tmp_path / "missing" / "lock", stop=threading.Event(), on_wait=lambda: None),
    ):
        pytest.fail("locked")
