"""What holds for every test of the repository, the plugins' included.

Owns the choice of event loops and the guards that no test can leave out: no connection leaves this machine,
nothing blocks an asyncio loop, no socket and no asyncio task outlives its test. tests/test_guards.py proves
each of them. That no secret is written anywhere is tests/canary.py's. Owns no test double: those are in
modelhub.testing, for plugin authors too.
"""

import asyncio
import functools
import gc
import inspect
import ipaddress
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import Distribution, EntryPoints, PathDistribution
from pathlib import Path
from typing import cast

import pytest
from blockbuster import BlockBuster
from hypothesis import settings

pytest_plugins = ["tests.canary"]

if sys.dont_write_bytecode:
    # Whoever asks for no bytecode wants none beside the sources. But without any, each of the hundreds of processes
    # that the tests start compiles every package anew.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(sys.prefix, "bytecode"))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    # What earlier tests had written is not imported again.
    shutil.rmtree(sys.pycache_prefix + tempfile.gettempdir(), ignore_errors=True)


def remember_what_is_installed() -> None:
    """Read once in a process which entry points the distributions of this environment have.

    Each hub looks through all of them, which is a third of what a test with a hub costs; and nothing is installed into
    the environment while its own tests run. What tests install lies elsewhere, and is read each time.
    """
    read = cast("Callable[[PathDistribution], EntryPoints]", vars(Distribution)["entry_points"].fget)
    here = sysconfig.get_path("purelib") + os.sep
    known: dict[str, EntryPoints] = {}

    def entry_points(self: PathDistribution) -> EntryPoints:
        place = str(vars(self)["_path"])  # there is no public name for it
        if not place.startswith(here):
            return read(self)
        if place not in known:
            known[place] = read(self)
        return known[place]

    PathDistribution.entry_points = property(entry_points)  # type: ignore[assignment,method-assign]


remember_what_is_installed()

# A loaded machine is no bug: how long one example takes says nothing. Each run draws others: `thorough` is for when
# something is being looked for.
settings.register_profile("modelhub", deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile("modelhub")


def pytest_collection_finish() -> None:
    """Let the collector of garbage leave out the tests themselves, which are nine tenths of what there is."""
    gc.collect()
    gc.freeze()


OPEN_FILES = "/proc/self/fd"
PATIENCE = 1.0  # seconds for a server thread to close the connections that a test has just dropped


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run a test marked `anyio` once on each event loop."""
    return str(request.param)


@pytest.fixture(autouse=True, scope="session")
def nobodys_own_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what the person who runs the tests has set up, the store of credentials above all, out of them."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("MODELHUB_")]:
            environment.delenv(name)
        name = "APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME"
        environment.setenv(name, str(tmp_path_factory.mktemp("config")))
        yield


def refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Fail whatever looks up or connects to another machine; child processes are not seen.

    The failure is no `Exception`, so that no product code takes it for a network error and goes on.
    """
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if isinstance(host, str) and not is_this_machine(host):
        pytest.fail(f"a test reached for the network: {event} {host}")


def is_this_machine(host: str) -> bool:
    """Tell whether a host name or address stays on this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in {"", "localhost"} or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


sys.addaudithook(refuse_the_network)


def open_sockets() -> set[str]:
    """Return the sockets of this process by their kernel names; none where there is no /proc.

    Without `Path`, which takes four times as long: each test looks twice.
    """
    sockets = set()
    for descriptor in os.listdir(OPEN_FILES) if os.path.isdir(OPEN_FILES) else ():  # noqa: PTH112, PTH208
        try:
            name = os.readlink(f"{OPEN_FILES}/{descriptor}")  # noqa: PTH115
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if name.startswith("socket:"):
            sockets.add(name)
    return sockets


@pytest.fixture(autouse=True)
def no_socket_outlives_its_test() -> Iterator[None]:
    """Fail a test after which sockets are open that were not open before it."""
    before = open_sockets()
    yield
    end = time.monotonic() + PATIENCE
    while left := open_sockets() - before:
        if time.monotonic() > end:
            pytest.fail(f"{len(left)} sockets are still open after the test")
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_task_outlives_its_test(request: pytest.FixtureRequest) -> None:
    """Fail an asyncio test whose tasks go on when it returns (trio's nurseries cannot do that)."""
    if inspect.iscoroutinefunction(request.node.obj):
        request.node.obj = without_leftover_tasks(request.node.obj)


def without_leftover_tasks(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Wrap a test to look at the running tasks inside its own loop, which cancels them when it closes."""

    @functools.wraps(test)
    async def run(*arguments: object, **keywords: object) -> None:
        try:
            before = asyncio.all_tasks()
        except RuntimeError:  # trio
            return await test(*arguments, **keywords)
        await test(*arguments, **keywords)
        for _ in range(10):  # rounds for what is already finishing
            if not asyncio.all_tasks() - before:
                return None
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        pytest.fail(f"{len(left)} tasks are still running after the test: {left}")

    return run


@functools.cache
def block_buster() -> BlockBuster:
    """Return the one detector, which looks for our code on the stack: a test itself may read a file."""
    return BlockBuster(scanned_modules=["modelhub", "modelhub_local_model", "modelhub_ollama_local"])


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail our code where it makes a blocking call on an asyncio loop; the same code runs on trio."""
    node = request.node
    if not (node.get_closest_marker("anyio") or node.get_closest_marker("asyncio")):
        yield
        return
    block_buster().activate()
    try:
        yield
    finally:
        block_buster().deactivate()
