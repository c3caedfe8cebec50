"""Processes that are killed while they write, that write at once, and disks that are full: nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from modelhub.credentials.file_store import EncryptedFileStore, default_store
from modelhub.credentials.keys import KeyFile, RandomKey
from modelhub.credentials.store import StoredCredential
from modelhub.types.secret import Secret

pytestmark = pytest.mark.skipif(os.name != "posix", reason="fork, signals and limits")

KILLED_EVERYWHERE = '''
import os, shutil, signal, sys, threading
from pathlib import Path
import anyio
import modelhub.credentials
from modelhub.credentials import KeyFile, RandomKey, StoredCredential, default_store
from modelhub.credentials import document, envelope, file_store, keys, whole_file
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

TRACED = {module.__file__ for module in (file_store, keys, whole_file)}
folder, snapshot = Path(sys.argv[1]), Path(sys.argv[2])
OLD = StoredCredential("acme", "old", {"base_url": "https://acme.example", "api_key": Secret("canary-old")})
NEW = StoredCredential("acme", "new", {"base_url": "https://acme.example", "api_key": Secret("canary-new")})

async def put(): await default_store(folder=folder).put(NEW)
async def remove(): await default_store(folder=folder).remove("acme", "old")
async def rotate(): await default_store(folder=folder).rotate()
async def first():
    await default_store(folder=folder).put(NEW)

ACTION = globals()[sys.argv[3]]

def child(at):
    """Do it, and be killed before the line that is the ``at``-th to be run."""
    lines = 0
    def line(frame, event, argument):
        nonlocal lines
        if event == "line":
            lines += 1
            if lines == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line
    threading.settrace(lambda frame, event, argument: line if frame.f_code.co_filename in TRACED else None)
    anyio.run(ACTION)
    os._exit(0)

def values():
    return {each.name: each.values for each in anyio.run(default_store(folder=folder).list)}

def names():
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

if ACTION is not first:
    anyio.run(default_store(folder=snapshot).put, OLD)
    shutil.copytree(snapshot, folder)
before = values()
states, left, at = [], 0, 0
while True:
    at += 1
    pid = os.fork()
    if pid == 0:
        child(at)
    status = os.waitpid(pid, 0)[1]
    now = values()
    states.append(now)
    left += any(name.endswith(".tmp") for name in names())
    # Whatever was left behind, the same can be done again, and cleans up.
    try:
        anyio.run(ACTION)
    except ConfigurationError as error:
        assert ACTION is remove and "no stored credential" in str(error), error
        anyio.run(default_store(folder=folder).put, NEW)
        anyio.run(default_store(folder=folder).remove, "acme", "new")
    after = values()
    made = ["credentials.json", "credentials.json.lock", "credentials.key", "credentials.key.lock"]
    assert names() == made, names()
    assert len((folder / "credentials.key").read_text().split()) == 1
    shutil.rmtree(folder)
    if ACTION is not first:
        shutil.copytree(snapshot, folder)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL
assert all(state in (before, after) for state in states), states
assert states[0] == before and states[-1] == after
expected = {"put": {"old": OLD.values, "new": NEW.values}, "remove": {}, "rotate": before, "first": {"new": NEW.values}}
assert after == expected[sys.argv[3]], after
print(at, left)
'''


@pytest.mark.timeout(120)
@pytest.mark.parametrize("action", ["first", "put", "remove", "rotate"])
def test_killed_before_any_line_nothing_is_lost(tmp_path: Path, action: str) -> None:
    """The store is what it was or what it was to be, opens, can be changed, and has nothing lying about."""
    command = [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path / "it"), str(tmp_path / "snapshot"), action]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines, left = map(int, done.stdout.split())
    assert lines > 40, "the process was killed at that many places"
    assert left > 5, "in some of them it left an unfinished file"


WRITER = """
import sys
import anyio
from modelhub.credentials import StoredCredential, default_store
from modelhub.types.secret import Secret
from pathlib import Path

async def main():
    store = default_store(folder=Path(sys.argv[1]))
    if sys.argv[2] == "rotate":
        for _ in range(8):
            await store.rotate()
        return
    for number in range(12):
        name = f"{sys.argv[2]}-{number}"
        await store.put(StoredCredential("acme", name, {"api_key": Secret(name)}))
        assert (await store.get("acme", name)).values == {"api_key": Secret(name)}
        assert len(await store.list()) > number
    await store.remove("acme", f"{sys.argv[2]}-0")

anyio.run(main)
"""


@pytest.mark.timeout(120)
def test_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    """Four that write and read, from the very first on, while a fifth changes the key."""
    folder = tmp_path / "store"
    words = ["a", "b", "c", "d", "rotate"]
    programs = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), word], stderr=subprocess.PIPE) for word in words
    ]
    errors = [program.communicate()[1] for program in programs]
    assert errors == [b""] * len(words)
    kept = anyio.run(default_store(folder=folder).list)
    assert {each.name for each in kept} == {f"{word}-{number}" for word in "abcd" for number in range(1, 12)}
    assert all(each.values == {"api_key": Secret(each.name)} for each in kept)


FULL_DISK = """
import resource, signal, sys
import anyio
from modelhub.credentials import EncryptedFileStore, RandomKey, StoredCredential
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
store = EncryptedFileStore(sys.argv[1], RandomKey(bytes(range(7, 39))))
try:
    anyio.run(store.put, StoredCredential("acme", "b", {"api_key": Secret("canary-b")}))
except ConfigurationError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """The system's refusal is our error, and the unfinished file is gone."""
    path = tmp_path / "store.json"
    store = EncryptedFileStore(path, RandomKey(bytes(range(7, 39))))
    anyio.run(store.put, StoredCredential("acme", "a", {"api_key": Secret("canary-a")}))
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert "canary" not in done.stdout
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == {"store.json", "store.json.lock"}


HOLD = """
import sys, threading
from pathlib import Path
from modelhub.provider.file_lock import locked
with locked(Path(sys.argv[1]), stop=threading.Event()):
    print("held", flush=True)
    threading.Event().wait()
"""


@pytest.mark.anyio
async def test_a_wait_for_another_process_can_be_cancelled(tmp_path: Path) -> None:
    """Nothing was written; when the other one is killed, its lock is gone with it."""
    path = tmp_path / "store.json"
    store = EncryptedFileStore(path, KeyFile(tmp_path / "key"))
    await store.put(StoredCredential("acme", "a"))
    before = json.loads(await anyio.Path(path).read_bytes())
    command = [sys.executable, "-c", HOLD, f"{path}.lock"]
    async with await anyio.open_process(command, stderr=None) as holder:
        assert holder.stdout is not None
        assert (await holder.stdout.receive()).startswith(b"held")
        with anyio.move_on_after(0.3) as scope:
            await store.put(StoredCredential("acme", "b"))
        assert scope.cancelled_caught
        assert [each.name for each in await store.list()] == ["a"], "reading does not wait"
        holder.kill()
    assert json.loads(await anyio.Path(path).read_bytes()) == before
    await store.put(StoredCredential("acme", "c"))
    assert [each.name for each in await store.list()] == ["a", "c"]
