"""What the pages need to run without a network: an Ollama server of recorded answers, and a folder of their own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, Request, json_reply, ndjson_reply
from modelhub.testing.wire_server import ThreadedWireServer

REPOSITORY = Path(__file__).parents[2]
RECORDINGS = REPOSITORY / "tests" / "fixtures" / "ollama"
USED = (
    *("chat", "chat-stream", "chat-tools", "chat-tools-stream", "chat-schema", "chat-schema-stream"),
    *("chat-missing-model", "show-missing", "show-chat", "show-embedding", "embed-batch", "version"),
    *("load", "unload", "not-found"),
)
INSTALLED = ("llama3:latest", "all-minilm:latest")


class RecordedOllama:
    """Answers as a real server did, whatever of its models is asked; other models it does not have."""

    def __init__(self) -> None:
        # Read beforehand: the server's event loop must not read files.
        self._recorded = {name: recorded(RECORDINGS / f"{name}.json") for name in USED}

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        asked = cast("dict[str, Any]", request.json) if request.body else {}
        name = asked.get("model", "llama3").removesuffix(":latest")
        if f"{name}:latest" not in INSTALLED and request.path != "/api/pull":
            return self.replay("show-missing" if request.path == "/api/show" else "chat-missing-model")
        match request.path:
            case "/api/version":
                return self.replay("version")
            case "/api/tags":
                return json_reply({"models": [{"name": name, "model": name} for name in INSTALLED]})
            case "/api/ps":
                return json_reply({"models": []})
            case "/api/show":
                return self.replay("show-embedding" if name == "all-minilm" else "show-chat")
            case "/api/chat":
                return self.chat(asked)
            case "/api/embed":
                return self.embed(asked)
            case "/api/pull":
                return ndjson_reply([{"status": "pulling manifest"}, {"status": "success"}])
            case _:
                return self.replay("not-found")

    def chat(self, asked: dict[str, Any]) -> Reply:
        """Answer a conversation: by a tool call, in a schema, or in text."""
        if not asked.get("messages"):
            return self.replay("load" if asked.get("keep_alive") != 0 else "unload")
        kind = "chat"
        if asked.get("tools") and asked["messages"][-1]["role"] == "user":
            kind = "chat-tools"
        elif asked.get("format"):
            kind = "chat-schema"
        return self.replay(f"{kind}-stream" if asked.get("stream") else kind)

    def embed(self, asked: dict[str, Any]) -> Reply:
        """Answer with as many vectors as there are texts."""
        (document,) = (json.loads(line) for line in self.replay("embed-batch").writes())
        return json_reply({**document, "embeddings": document["embeddings"][: len(asked["input"])]})

    def replay(self, name: str) -> Reply:
        """Return a recorded answer."""
        return self._recorded[name]


@pytest.fixture
def ollama() -> Iterator[str]:
    """Run the server and return where it listens."""
    with ThreadedWireServer(RecordedOllama()) as server:
        yield server.url


@pytest.fixture
def other_ollama() -> Iterator[str]:
    """Run another such server and return where it listens."""
    with ThreadedWireServer(RecordedOllama()) as server:
        yield server.url


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ollama: str) -> Path:
    """Make the test's folder the working directory and the cache, and the recorded server the one that is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELHUB_OLLAMA_LOCAL_BASE_URL", ollama)
    # Several threads that wait for each other are slow on a busy machine; memory for a long context is slow to get.
    monkeypatch.setenv("MODELHUB_LOCAL_MODEL_THREADS", "1")
    monkeypatch.setenv("MODELHUB_LOCAL_MODEL_CONTEXT_SIZE", "1024")
    monkeypatch.delenv("MODELHUB_CONFIG", raising=False)
    return tmp_path
