"""The command line against a server, over a real socket, with what a real one once answered."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelhub.testing.replay import recorded
from modelhub.testing.wire_server import ThreadedWireServer

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "ollama"


def test_an_answer_streams_through(acme: Any, tmp_path: Path) -> None:
    """Its first words are in the pipe long before its last ones are sent."""
    chat = replace(recorded(RECORDINGS / "chat-stream.json", speed=0.2), delay=0)
    routes = {("POST", "/api/show"): recorded(RECORDINGS / "show-chat.json"), ("POST", "/api/chat"): chat}
    script = Path(sys.executable).with_name("modelhub")
    with ThreadedWireServer(routes) as server:
        command = [script, "chat", "ollama_local/smollm2:135m", "Name two colours.", "--set", f"base_url={server.url}"]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=acme.environment, cwd=tmp_path
        ) as running:
            assert running.stdout is not None
            assert running.stdout.read(3) == b"The"
            first = time.monotonic()
            rest = running.stdout.read()
            last = time.monotonic()
        assert running.returncode == 0
        assert rest.startswith(b" two most popular colours")
        assert rest.endswith(b"\n")
        assert last - first > sum(chat.pause) / 2  # type: ignore[arg-type]  # a recording has one for each write
        assert server.requests[-1].path == "/api/chat"


def test_a_server_that_is_not_there(cli: Any) -> None:
    """One line with the address, and what to do."""
    ran = cli("chat", "ollama_local/llama3", "x", "--set", "base_url=http://127.0.0.1:9")
    assert ran.code == 1
    assert ran.err.startswith("error: ollama_local/llama3: no connection to http://127.0.0.1:9")
    assert ran.err.splitlines()[1].startswith("  remedy: ")
    assert cli("validate", "ollama_local", "--set", "base_url=http://127.0.0.1:9").code == 1


def test_ctrl_c_closes_the_connection(screen: Any) -> None:
    """The server notices at once that nobody wants the rest."""
    chat = replace(recorded(RECORDINGS / "chat-stream.json", speed=0.02), delay=0)
    routes = {("POST", "/api/show"): recorded(RECORDINGS / "show-chat.json"), ("POST", "/api/chat"): chat}
    with ThreadedWireServer(routes) as server:
        shown = screen("chat", "ollama_local/smollm2:135m", "Colours?", "--set", f"base_url={server.url}")
        shown.wait_for("The")
        shown.type("\x03")
        server.disconnected()
        assert shown.end() == 130
