"""The dialect of an Ollama server, of a real one's bytes, for nodes that are told to be ill: ``FaultServer(OLLAMA)``.

Whatever model is asked for is there; those that are called ``all-minilm`` embed. Answers are as long and as fast as the
node's pace says. It is read when it is imported.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelhub.testing.dialects import Dialect, Route, Streamed
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, Request, json_reply

__all__ = ["OLLAMA", "ollama_dialect"]

RECORDINGS = Path(__file__).parent / "fixtures" / "ollama"


def ollama_dialect(models: Iterable[str] | None = None) -> Dialect:
    """Return the dialect of a server with these models, or with those of the real one."""
    lines = _replay("chat-stream").chunks or ()
    token, last = (_bytes(lines[0]), _bytes(lines[-1]))
    tags = _replay("tags")
    if models is not None:
        tags = json_reply({"models": [{"name": name, "model": name} for name in models]})
    cheap = {"/": _replay("root"), "/api/version": _replay("version"), "/api/ps": _replay("ps-loaded")}
    return Dialect(
        "ollama",
        {
            **{("GET", path): Route(reply, cheap=True) for path, reply in {**cheap, "/api/tags": tags}.items()},
            ("POST", "/api/show"): Route(_Shown(), cheap=True),
            ("POST", "/api/chat"): Route(
                _replay("chat"), Streamed("application/x-ndjson", token, last=[last]), streams=True
            ),
            ("POST", "/api/embed"): Route(_Embedded()),
        },
    )


class _Shown:
    def __init__(self) -> None:
        self._chat, self._embedding = _replay("show-chat"), _replay("show-embedding")

    def __call__(self, request: Request) -> Reply:
        asked: Any = request.json
        return self._embedding if asked["model"].startswith("all-minilm") else self._chat


class _Embedded:
    def __init__(self) -> None:
        self._document = json.loads(_replay("embed-batch").writes()[0])

    def __call__(self, request: Request) -> Reply:
        asked: Any = request.json
        count = len(asked["input"]) if isinstance(asked["input"], list) else 1
        vectors = self._document["embeddings"]
        return json_reply({**self._document, "embeddings": [vectors[n % len(vectors)] for n in range(count)]})


def _replay(name: str) -> Reply:
    return recorded(RECORDINGS / f"{name}.json")


def _bytes(part: bytes | str) -> bytes:
    return part.encode() if isinstance(part, str) else part


OLLAMA = ollama_dialect()
