"""The examples run: each as a user starts it, the web application behind a client."""

import json
import re
import subprocess
import sys
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub.testing.replies import json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = [
    ["first_call.py"],
    ["first_stream.py"],
    ["fallback.py"],
    ["three_servers.py", *(f"http://127.0.0.1:{port}" for port in (9, 10, 11))],
    ["structured_output.py"],
    ["tools_loop.py", "ollama_local/llama3"],
]


def run(*arguments: str) -> str:
    """Run Python in the working directory and return its output."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program[0])
def test_a_program_runs(program: list[str]) -> None:
    """It ends well and says something."""
    assert run(str(EXAMPLES / program[0]), *program[1:]).strip()


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("own_folder")
def test_three_servers_share_the_calls_and_a_dead_one_costs_none(ollama: str, other_ollama: str) -> None:
    """All questions are answered by the two servers that answer, and the third is hardly asked."""
    said = run(str(EXAMPLES / "three_servers.py"), ollama, other_ollama, "http://127.0.0.1:9")
    for url in (ollama, other_ollama):
        assert f"ollama_local/llama3#{url.removeprefix('http://')}: " in said
    assert "local_model" not in said
    assert sum(map(int, re.findall(r": (\d+) answered", said))) == 12
    assert sum(map(int, re.findall(r": (\d+) ConnectFailed", said))) <= 4


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("own_folder")
def test_the_tests_of_an_application_pass() -> None:
    """The example's own tests pass on both event loops, without a network."""
    assert "passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "testing_without_network.py"))


def application() -> Any:
    """Import the web application."""
    spec = spec_from_file_location("fastapi_app", EXAMPLES / "fastapi_app.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Exchange:
    """One request to the application, and what came back.

    Attributes:
        enough: Pieces of the body after which the client goes away; ``None`` for one that stays.
    """

    path: str
    enough: int | None = None
    status: int = 0
    body: list[bytes] = field(default_factory=list)
    asked: bool = False
    gone: anyio.Event = field(default_factory=anyio.Event)

    async def receive(self) -> dict[str, Any]:
        """Give the request, then wait until the client goes away."""
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b'{"text": "Hello"}', "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Take a piece of the answer."""
        self.status = message.get("status", self.status)
        if message.get("body"):
            self.body.append(message["body"])
        if self.enough is not None and len(self.body) >= self.enough:
            self.gone.set()

    async def run(self) -> "Exchange":
        """Do it, inside the application's lifespan, as a server does."""
        module = application()
        async with module.lifespan(module.app) as state:
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "method": "POST",
                "path": self.path,
                "headers": [(b"content-type", b"application/json")],
                "query_string": b"",
                "state": dict(state),
            }
            await module.app(scope, self.receive, self.send)
        return self


@pytest.fixture
def no_fallback(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the application use Ollama alone, so that its errors come through."""
    monkeypatch.setenv("MODELS", "ollama_local/llama3")
    return monkeypatch


@pytest.mark.anyio
async def test_the_web_application_answers(ollama: str, no_fallback: pytest.MonkeyPatch) -> None:
    """It answers whole and in pieces."""
    no_fallback.setenv("MODELHUB_OLLAMA_LOCAL_BASE_URL", ollama)
    whole = await Exchange("/chat").run()
    pieces = await Exchange("/stream").run()
    assert whole.status == pieces.status == 200
    assert json.loads(b"".join(whole.body))["model"] == "ollama_local/llama3"
    assert len(pieces.body) > 10


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/chat", "/stream"])
@pytest.mark.parametrize(
    ("refusal", "status"), [(503, 503), (429, 503), (400, 400), (500, 502), (401, 500), (404, 502)]
)
async def test_an_error_has_its_status(path: str, refusal: int, status: int, no_fallback: pytest.MonkeyPatch) -> None:
    """A stream is refused with the same status as a whole answer: entering it raises before anything is sent."""
    no_fallback.setenv("MODELHUB_ROUTING_RETRIES", "0")  # which would be waited for
    async with WireServer(json_reply({"error": "no"}, status=refusal)) as server:
        no_fallback.setenv("MODELHUB_OLLAMA_LOCAL_BASE_URL", server.url)
        exchange = await Exchange(path).run()
    assert exchange.status == status


@pytest.mark.anyio
async def test_a_client_that_goes_away_stops_the_model(no_fallback: pytest.MonkeyPatch) -> None:
    """The model's server sees its connection close while it has more to say."""
    lines = [{"message": {"content": f"{number} "}, "done": False} for number in range(1000)]
    routes = {
        ("POST", "/api/chat"): replace(ndjson_reply(lines), pause=0.01),
        ("POST", "/api/show"): json_reply({"capabilities": ["completion"]}),
        ("GET", "/api/ps"): json_reply({"models": []}),
    }
    async with WireServer(routes) as server:
        no_fallback.setenv("MODELHUB_OLLAMA_LOCAL_BASE_URL", server.url)
        exchange = await Exchange("/stream", enough=3).run()
        assert (await server.disconnected()).request.path == "/api/chat"
    assert len(exchange.body) < 1000
