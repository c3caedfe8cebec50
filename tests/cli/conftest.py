"""The command line under test: in this process for its words, as a process of its own for everything else."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pytest
from tests.canary import CANARY, canary, found_in

from modelhub.cli.app import run
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import ThreadedWireServer

PLUGINS = Path(__file__).parent / "plugins"
PATIENCE = 60
KEYS = {"MODELHUB_ACME_API_KEY": CANARY, "MODELHUB_OLLAMA_LOCAL_API_KEY": CANARY}
"""What every run is given, and none may show."""


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        """Fail a test whose run printed a key."""
        assert found_in(self.out + self.err) is None

    @property
    def document(self) -> Any:
        """The output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The output as a JSON document on each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Site:
    """A folder that plugins are installed in, as an installer does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [folder]

    def register(self, id: str, target: str, *, distribution: str = "", version: str = "1.0") -> None:
        """Write the metadata of a distribution with one provider."""
        name = distribution or f"modelhub-{id}"
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[modelhub.providers]\n{id} = {target}\n")

    def write(self, id: str, code: str, *, manifest: str | None = None, attribute: str = "Provider") -> None:
        """Install a plugin of one module, with a manifest that suits it unless another is given."""
        package = self.folder / f"{id}_plugin"
        package.mkdir()
        (package / "__init__.py").write_text(code)
        (package / "provider.yaml").write_text(
            manifest or f"provider: {id}\nlabel: {{en_US: {id}}}\nsupported_model_types: [llm]\n"
        )
        self.register(id, f"{id}_plugin:{attribute}")

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that is to see the plugins, and no settings of whoever runs the tests.

        Failures are told at the first of them: how calls are tried again is for other tests to show.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELHUB_", "LC_"))}
        for name in ("LANG", "LANGUAGE", "NO_COLOR", "FORCE_COLOR"):
            kept.pop(name, None)
        path = os.pathsep.join(map(str, self.paths))
        settings = {"MODELHUB_ROUTING_RETRIES": "0", "PYTHONPATH": path}
        return {**kept, **KEYS, **settings, "COLUMNS": "100", "TERM": "xterm"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return an empty folder for plugins."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def acme(site: Site) -> Site:
    """Return a folder where the provider `acme` is installed."""
    site.paths.append(PLUGINS / "acme")
    site.register("acme", "acme_provider:AcmeProvider", version="2.5")
    return site


WRONG_KEY = canary("a key that the vendor refuses")


@dataclass(frozen=True)
class Vendor:
    """The vendor behind the provider `harbour`.

    Attributes:
        url: Where it listens.
        server: What it was asked is in its ``requests``.
    """

    url: str
    server: ThreadedWireServer

    @property
    def forms(self) -> list[Any]:
        """The forms that it was sent, oldest first."""
        return [request.json for request in self.server.requests]


@pytest.fixture
def harbour(acme: Site) -> Iterator[Vendor]:
    """Install the provider `harbour` beside `acme`, and run its vendor, who refuses one key."""
    acme.paths.append(PLUGINS / "harbour")
    acme.register("harbour", "harbour_provider:HarbourProvider")

    def answer(request: Request) -> Reply:
        return Reply(401) if request.json.get("api_key") == WRONG_KEY else json_reply({})

    with ThreadedWireServer(answer) as server:
        yield Vendor(server.url, server)


Cli = Callable[..., Ran]


@contextmanager
def piped(data: bytes) -> Iterator[TextIO]:
    """Open a pipe that holds bytes and has no writer any more; they must fit into it."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as pipe:
        with os.fdopen(writing, "wb") as source:
            source.write(data)
        yield pipe


@pytest.fixture
def cli(acme: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return the command line, run in this process with `acme` installed; bytes for stdin come through a pipe."""
    for path in acme.paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("MODELHUB_", "LC_")) or name == "LANG":
            monkeypatch.delenv(name)
    for name in ("MODELHUB_ROUTING_RETRIES", "PYTHONPATH", *KEYS):
        monkeypatch.setenv(name, acme.environment[name])

    def execute(*arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> Ran:
        with monkeypatch.context() as patch, piped(stdin or b"") as pipe:
            patch.setenv("LANGUAGE", "")  # a run writes there; this is also what puts it back
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            if stdin is not None:
                patch.setattr(sys, "stdin", pipe)
            code = run(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return execute


ON_A_TERMINAL = """
import fcntl, os, signal, sys, termios
# Whoever started the tests may have it ignored, as shells do in the background.
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """A process on a terminal of its own, and everything that it has written there."""

    def __init__(self, command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_A_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environment),
            cwd=folder,
        )
        os.close(slave)
        self.written = ""
        self._read_to = 0

    def wait_for(self, text: str, *, seconds: float = PATIENCE) -> str:
        """Wait until a text has been written after the last one waited for, and return what came up to its end."""
        end = time.monotonic() + seconds
        while (at := self.written.find(text, self._read_to)) < 0:
            if time.monotonic() > end or not self._read():
                pytest.fail(f"{text!r} was not written; this was: {self.written[self._read_to :]!r}")
        before, self._read_to = self._read_to, at + len(text)
        return self.written[before : self._read_to]

    def _read(self) -> bool:
        if select.select([self._master], [], [], 0.1)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the process has ended, and its end of the terminal is closed
                return False
            self.written += data.decode(errors="replace").replace("\r\n", "\n")
        return True

    @property
    def plain(self) -> str:
        """What was written, without colours and movements."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written)

    def type(self, text: str) -> None:
        """Type; control characters do what they do on a terminal."""
        os.write(self._master, text.encode())

    def interrupt(self, text: str) -> None:
        """Press Ctrl-C until a text is written: CPython's prompt may sleep over one that comes just before it reads."""
        for _ in range(20):
            self.type("\x03")
            end = time.monotonic() + 1
            while self.written.find(text, self._read_to) < 0 and time.monotonic() < end and self._read():
                pass
            if self.written.find(text, self._read_to) >= 0:
                break
        self.wait_for(text)

    def end(self) -> int:
        """Wait for the process to end and return its exit code."""
        end = time.monotonic() + PATIENCE
        while self._read() and time.monotonic() < end:
            pass
        return self.process.wait(timeout=PATIENCE)

    def close(self) -> None:
        """End the process, if it has not ended, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        assert found_in(self.written) is None


@pytest.fixture
def screen(acme: Site, tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """Return the command line on a terminal, with `acme` installed."""
    opened: list[Screen] = []

    def execute(*arguments: str, environment: Mapping[str, str] | None = None) -> Screen:
        script = Path(sys.executable).with_name("modelhub")
        opened.append(
            Screen([script, *arguments], environment={**acme.environment, **(environment or {})}, folder=tmp_path)
        )
        return opened[-1]

    yield execute
    for each in opened:
        each.close()


@pytest.fixture
def process(acme: Site, tmp_path: Path) -> Cli:
    """Return the command line as the installed script, in a process of its own with `acme` installed."""
    script = Path(sys.executable).with_name("modelhub")

    def execute(*arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> Ran:
        ended = subprocess.run(
            [script, *arguments],
            input=b"" if stdin is None else stdin,
            capture_output=True,
            env={**acme.environment, **(environment or {})},
            cwd=tmp_path,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return execute
