"""Everything that a real server once answered, and what the command line makes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelhub.testing.replay import recorded
from modelhub.testing.wire_server import ThreadedWireServer

RECORDINGS = Path(__file__).parents[1] / "fixtures" / "ollama"
NO_ANSWERS = {"load", "unload"}
"""What the server says when a model was loaded or freed: no answer to anything."""


def of(path: str) -> list[str]:
    """Return the names of the recordings of a route."""
    names = sorted(file.stem for file in RECORDINGS.glob("*.json"))
    return [name for name in names if exchange(name)["request"]["path"] == path]


def exchange(name: str) -> dict[str, Any]:
    """Return a recording as it is."""
    whole: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text("utf-8"))
    return whole


def documents(name: str) -> list[dict[str, Any]]:
    """Return the documents of a recorded answer; none where it is no JSON."""
    lines = exchange(name)["response"]["body"].splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def reason(name: str) -> str:
    """Return the server's own words for a refusal, taken out of what they are wrapped in."""
    said = "".join(document.get("error", "") for document in documents(name))
    if not said.startswith("{"):
        return said
    inner: str = json.loads(said)["error"]["message"]
    return inner


def asked(cli: Any, name: str, *arguments: str) -> Any:
    """Run the command line against a server that gives the recorded answer."""
    reply = replace(recorded(RECORDINGS / f"{name}.json", speed=1000), delay=0)
    shown = recorded(RECORDINGS / ("show-thinking.json" if "think" in name else "show-chat.json"))
    if arguments[0] == "embed":
        shown = recorded(RECORDINGS / "show-embedding.json")
    path = exchange(name)["request"]["path"]
    with ThreadedWireServer({("POST", path): reply, ("POST", "/api/show"): shown}) as server:
        return cli(*arguments, "--set", f"base_url={server.url}")


@pytest.mark.parametrize("name", of("/api/chat"))
def test_a_recorded_conversation(cli: Any, name: str) -> None:
    """An answer is printed as it is; a refusal is one line in the server's words; what came before a fault is kept."""
    response = exchange(name)["response"]
    streamed = "ndjson" in response["headers"].get("content-type", "")
    ran = asked(cli, name, "chat", "ollama_local/smollm2:135m", "Hi", *(() if streamed else ("--no-stream",)))
    assert "Traceback" not in ran.out + ran.err
    text = "".join(document.get("message", {}).get("content", "") for document in documents(name))
    if response["status"] >= 400:
        assert ran.code == 1
        assert ran.err.startswith("error: ollama_local/smollm2:135m: ")
        assert reason(name) in ran.err
        assert ran.out == ""
    elif name in NO_ANSWERS:
        assert ran.code == 1
    elif name == "runner-killed":
        assert ran.code == 1
        assert ran.out.strip() == text.strip()
        assert "an error was encountered while running the model" in ran.err
    else:
        assert (ran.code, ran.out.strip()) == (0, text.strip())


@pytest.mark.parametrize("name", of("/api/embed"))
def test_recorded_vectors(cli: Any, name: str) -> None:
    """As many vectors as texts, or one line that says why not."""
    response = exchange(name)["response"]
    vectors = [vector for document in documents(name) for vector in document.get("embeddings", ())]
    texts = [f"text {number}" for number in range(max(1, len(vectors)))]
    ran = asked(cli, name, "embed", "ollama_local/all-minilm:22m", *texts, "--json")
    assert "Traceback" not in ran.out + ran.err
    if response["status"] >= 400:
        assert ran.code == 1
        assert reason(name).partition(",")[0] in json.loads(ran.out)["error"]["message"]
    elif vectors:
        assert ran.code == 0
        assert json.loads(ran.out)["vectors"] == vectors
    else:
        assert ran.code == 1
        assert "0 vectors came for 1 texts" in ran.out + ran.err
