"""Installs the plugins of these tests as anybody's are installed: built to wheels by their backend, and put by pip.

``sources`` holds a family of plugins that work, ``broken`` one of each kind that does not. Owns the vendor's server
that the working ones talk to.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelhub.testing.replies import Reply, Request, json_reply, ndjson_reply, sse_reply

HERE = Path(__file__).parent
BUILD = """
import os, sys
from hatchling.build import build_wheel
out, *projects = sys.argv[1:]
for project in projects:
    os.chdir(project)
    build_wheel(out)
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "0.9"
[project.entry-points."modelhub.providers"]
{id} = "{entry}"
[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""


def run(*command: object, **environment: str) -> str:
    """Run a command, and return what it printed; its complaints fail the test."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONWARNINGS": "", **environment},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def built(projects: Sequence[Path], folder: Path) -> list[Path]:
    """Build projects to wheels."""
    folder.mkdir()
    run(sys.executable, "-c", BUILD, folder, *projects)
    wheels = sorted(folder.glob("*.whl"))
    assert len(wheels) == len(projects)
    return wheels


def put(wheels: Sequence[Path], folder: Path) -> Path:
    """Install wheels into a folder."""
    options = ["--no-deps", "--no-index", "--no-compile", "--quiet", "--target", folder]
    run(sys.executable, "-m", "pip", "install", *options, *wheels)
    return folder


@pytest.fixture(scope="session", name="run")
def run_fixture() -> Callable[..., str]:
    """Run a command, and return what it printed."""
    return run


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the projects of the plugins that work, copied to where they may be built."""
    folder = tmp_path_factory.mktemp("plugins") / "sources"
    shutil.copytree(HERE / "sources", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return sorted(path.parent for path in folder.glob("*/pyproject.toml"))


@pytest.fixture(scope="session")
def working_site(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the plugins that work are installed."""
    folder = tmp_path_factory.mktemp("working")
    return put(built(sources, folder / "wheels"), folder / "site-packages")


@pytest.fixture(scope="session")
def broken_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which one plugin of each kind that does not work is installed."""
    folder = tmp_path_factory.mktemp("broken")
    projects = []
    for case in sorted((HERE / "broken").iterdir()):
        project = folder / "projects" / case.name
        package = project / "src" / case.name
        shutil.copytree(case, package, ignore=shutil.ignore_patterns("__pycache__", "entry"))
        (package / "__init__.py").touch()
        line = (
            (case / "entry").read_text()
            if (case / "entry").exists()
            else f"{case.name} = {case.name}.provider:Provider"
        )
        id, _, entry = line.strip().partition(" = ")
        name = case.name.replace("_", "-")
        (project / "pyproject.toml").write_text(PROJECT.format(name=name, id=id, entry=entry, package=case.name))
        projects.append(project)
    return put(built(projects, folder / "wheels"), folder / "site-packages")


@pytest.fixture
def working(working_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the plugins that work installed."""
    monkeypatch.syspath_prepend(working_site)
    return working_site


@pytest.fixture
def all_installed(working_site: Path, broken_site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the plugins that do not work installed beside those that do."""
    monkeypatch.syspath_prepend(working_site)
    monkeypatch.syspath_prepend(broken_site)
    return broken_site


MODELS = {
    "acme-1": {"kind": "llm", "context": 16384},
    "acme-2": {"kind": "llm"},
    "acme-embed": {"kind": "text-embedding"},
    "acme-rank": {"kind": "rerank"},
    "acme-hear": {"kind": "speech2text"},
    "acme-speak": {"kind": "tts"},
    "acme-judge": {"kind": "moderation"},
}
ANSWER = [
    {"begun": "answer-1"},
    {"thought": "Say "},
    {"thought": "hi."},
    {"text": "Hello"},
    {"text": " there"},
    {"calls": [{"id": "c1", "name": "look", "arguments": '{"up":'}]},
    {"calls": [{"id": "c1", "name": None, "arguments": " true}"}]},
    {"done": "stop", "prompt_tokens": 7},
]
WHOLE = {
    "begun": "answer-1",
    "thought": "Say hi.",
    "text": "Hello there",
    "calls": [{"id": "c1", "name": "look", "arguments": '{"up": true}'}],
    "done": "stop",
    "prompt_tokens": 7,
}
SPEECH = b"RIFF" + bytes(range(200))


@dataclass
class Vendor:
    """The vendor's side: what it answers, and what it was told.

    Attributes:
        chat: What it answers to the next chats, in place of the usual answer.
        sessions: How many sessions were opened.
    """

    chat: list[Reply] = field(default_factory=list)
    sessions: int = 0
    requests: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        self.requests.append(request)
        key = request.headers.get("authorization", "")
        if request.path in {"/session", "/v1/account"} and key == "Bearer wrong":
            return json_reply({"error": "no such key"}, 401)
        answer = getattr(self, f"answer_{request.path.rpartition('/')[2]}", None)
        return answer(request) if answer is not None else json_reply({"error": f"no {request.path}"}, 404)

    def answer_session(self, _: Request) -> Reply:
        """Give a token."""
        self.sessions += 1
        return json_reply({"token": f"token-{self.sessions}"})

    def answer_account(self, request: Request) -> Reply:
        """Tell whether the account is paid."""
        assert request.headers["x-session"].startswith("token-")
        return json_reply({"paid": request.headers["authorization"] != "Bearer unpaid"})

    def answer_models(self, _: Request) -> Reply:
        """List the models."""
        return json_reply({"models": MODELS})

    def answer_chat(self, request: Request) -> Reply:
        """Chat, in lines or at once."""
        if self.chat:
            return self.chat.pop(0)
        body = request.json
        assert isinstance(body, dict)
        return ndjson_reply(ANSWER) if body["stream"] else json_reply(WHOLE)

    def answer_events(self, request: Request) -> Reply:
        """Chat, in events."""
        body = request.json
        assert isinstance(body, dict)
        if not body["stream"]:
            return json_reply({"delta": "Hello there", "reason": "enough", "tokens": 2})
        return sse_reply([{"delta": "Hello"}, {"delta": " there"}, {"reason": "enough", "tokens": 2}])

    def answer_embed(self, request: Request) -> Reply:
        """Give a text's length as its vector."""
        body = request.json
        assert isinstance(body, dict)
        texts = body["texts"]
        assert isinstance(texts, list)
        return json_reply({"vectors": [[float(len(str(text))), 1.0] for text in texts], "tokens": len(texts)})

    def answer_rerank(self, request: Request) -> Reply:
        """Prefer long documents."""
        body = request.json
        assert isinstance(body, dict)
        documents = body["documents"]
        assert isinstance(documents, list)
        return json_reply({"scores": [len(str(document)) / 100 for document in documents]})

    def answer_transcribe(self, request: Request) -> Reply:
        """Say how much was heard."""
        assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
        return Reply(200, {"content-type": "text/plain", "x-language": "en"}, f"heard {len(request.body)} bytes")

    def answer_speak(self, _: Request) -> Reply:
        """Speak in two pieces."""
        return Reply(200, {"content-type": "audio/wav"}, chunks=[SPEECH[:100], SPEECH[100:]], chunked=True)

    def answer_moderate(self, _: Request) -> Reply:
        """Object to nothing but rudeness."""
        return json_reply({"scores": {"rude": 0.9, "cruel": 0.1}, "threshold": 0.5})


@pytest.fixture
def vendor() -> Vendor:
    """Return the vendor's side."""
    return Vendor()


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    """Return where plugins keep what they fetched."""
    return tmp_path / "cache"
