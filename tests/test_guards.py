"""The guards of the root conftest.py, each shown to refuse what it is there for."""

import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent

OFFENCES = """
import asyncio
import socket
import time
import types

import modelhub
import pytest

KEPT = []

def test_connects_elsewhere():
    with socket.socket() as client:
        client.connect(("192.0.2.1", 80))

def test_looks_up_a_name():
    try:
        socket.getaddrinfo("example.com", 80)
    except Exception:
        pass

def test_keeps_a_socket():
    KEPT.append(socket.socket())

@pytest.mark.asyncio
async def test_leaves_a_task():
    KEPT.append(asyncio.create_task(asyncio.sleep(60)))

@pytest.mark.anyio
async def test_leaves_a_task_on(anyio_backend_name):
    if anyio_backend_name == "asyncio":
        KEPT.append(asyncio.create_task(asyncio.sleep(60)))

def in_modelhub(source):
    namespace = {"time": time}
    exec(compile(source, next(iter(modelhub.__path__)) + "/offender.py", "exec"), namespace)
    return namespace["run"]

@pytest.mark.asyncio
async def test_blocks():
    in_modelhub("def run(): time.sleep(0.001)")()
"""

DECENCIES = """
import asyncio
import socket

import anyio
import pytest

def test_connects_to_this_machine():
    with socket.create_server(("127.0.0.1", 0)) as server:
        for host in ("127.0.0.1", "localhost"):
            socket.create_connection((host, server.getsockname()[1])).close()

def test_sees_no_child_process():
    import subprocess, sys
    code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    subprocess.run([sys.executable, "-c", code], check=True)

@pytest.mark.asyncio
async def test_ends_its_task():
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()

@pytest.mark.anyio
async def test_closes_its_sockets():
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Return a test folder with the repository's own configuration and guards."""
    monkeypatch.setenv("COLUMNS", "200")  # pytest cuts the reasons in its summary to the width of the terminal
    for name in ("conftest.py", "pyproject.toml", "tests/canary.py"):
        (pytester.path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, pytester.path / name)
    return pytester


def test_each_guard_refuses_its_offence(guarded: pytest.Pytester) -> None:
    """A connection, a lookup, a socket, a task and a blocking call each fail their test, and say why."""
    guarded.makepyfile(test_offences=OFFENCES)
    result = guarded.runpytest_subprocess("test_offences.py", timeout=15)
    summary = {line.partition(" - ")[0]: line for line in result.outlines if line.startswith(("FAILED", "ERROR"))}
    expected = {
        "FAILED test_offences.py::test_connects_elsewhere": "network: socket.connect 192.0.2.1",
        "FAILED test_offences.py::test_looks_up_a_name": "network: socket.getaddrinfo example.com",
        "ERROR test_offences.py::test_keeps_a_socket": "1 sockets are still open",
        "FAILED test_offences.py::test_leaves_a_task": "1 tasks are still running",
        "FAILED test_offences.py::test_leaves_a_task_on[asyncio]": "1 tasks are still running",
        "FAILED test_offences.py::test_blocks": "Blocking call to time.sleep",
    }
    assert summary.keys() == expected.keys()
    assert [key for key, reason in expected.items() if reason not in summary[key]] == []
    assert result.parseoutcomes()["passed"] == 2, "the task test on trio, and the body of the socket test"


def test_the_guards_let_decent_tests_pass(guarded: pytest.Pytester) -> None:
    """Loopback connections, child processes and what a test has ended itself are nobody's offence."""
    guarded.makepyfile(test_decencies=DECENCIES)
    guarded.runpytest_subprocess("test_decencies.py", timeout=15).assert_outcomes(passed=5)
