"""What the plugin's tests share: recordings of a real server, and short ways to encode and decode. No test double."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.canary import CANARY

from modelhub.errors import ModelHubError
from modelhub.provider import Credential, DecodeState, folded
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.types.events import ChatEvent
from modelhub.types.messages import UserMessage
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelSchema, ModelType
from modelhub.wire.json import dumps
from modelhub.wire.ndjson import NdjsonDecoder
from modelhub_ollama_local import provider
from modelhub_ollama_local.faults import refusal
from modelhub_ollama_local.llm import OllamaLLM

RECORDINGS = Path(__file__).parents[3] / "tests" / "fixtures" / "ollama"

Recording = Mapping[str, Any]
HELLO = (UserMessage("Hello"),)
MANIFEST = yaml.safe_load((Path(provider.__file__).parent / "provider.yaml").read_text("utf-8"))
RULES = tuple(ParameterRule(**row) for row in MANIFEST["defaults"]["llm"]["parameter_rules"])


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant a key, which every call of a hub then sends."""
    monkeypatch.setenv("MODELHUB_OLLAMA_LOCAL_API_KEY", CANARY)


@pytest.fixture(autouse=True)
def this_machine_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let base URLs that come with calls lead to the servers of the tests, as an operator would allow it."""
    monkeypatch.setenv("MODELHUB_EGRESS_ALLOW", "127.0.0.0/8")


@pytest.fixture(scope="session")
def recordings() -> Mapping[str, Recording]:
    """All recordings of the server, by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(RECORDINGS.glob("*.json"))}


@pytest.fixture
def chat() -> Callable[..., ChatRequest[None]]:
    """Make a request of the plugin, as the hub would hand it over."""

    def request(*messages: Any, **fields: Any) -> ChatRequest[None]:
        schema = fields.pop("schema", None) or ModelSchema(fields.get("model", "llama3"))
        if schema.model_type is ModelType.LLM:
            own = tuple(schema.parameter_rules or ())
            named = {rule.name for rule in own}
            schema = replace(schema, parameter_rules=(*own, *(rule for rule in RULES if rule.name not in named)))
        return ChatRequest(**{"model": schema.model, "messages": messages or HELLO, "schema": schema, **fields})

    return request


@pytest.fixture
def body(chat: Callable[..., ChatRequest[None]]) -> Callable[..., dict[str, Any]]:
    """Return what a request sends, as it stands on the wire."""

    def encoded(*messages: Any, **fields: Any) -> dict[str, Any]:
        call = OllamaLLM().encode(chat(*messages, **fields), Credential({}))
        return {"path": call.path, **json.loads(dumps(call.json))}

    return encoded


def classified(status: int, headers: Mapping[str, str], document: object) -> ModelHubError:
    """Classify a document as the core does with the provider's own rule."""
    return refusal(status, headers, dumps(document))


def documents_of(recording: Recording) -> list[Any]:
    """Return the documents of a recorded body, whole or streamed."""
    decoder = NdjsonDecoder()
    return [*decoder.feed(recording["response"]["body"].encode()), *decoder.flush()]


@pytest.fixture
def events(chat: Callable[..., ChatRequest[None]]) -> Callable[..., list[ChatEvent]]:
    """Decode documents, or a recording, to events."""

    def decoded(answer: Recording | Iterable[Any], **fields: Any) -> list[ChatEvent]:
        documents: Iterable[Any] = documents_of(answer) if isinstance(answer, Mapping) else answer
        state = DecodeState(chat(*fields.pop("messages", ()), **fields), classified)
        return [event for document in documents for event in OllamaLLM().decode(document, state)]

    return decoded


@pytest.fixture
def result(events: Callable[..., list[ChatEvent]]) -> Callable[..., ChatResult[None]]:
    """Decode documents, or a recording, to the result they fold to."""
    return lambda answer, **fields: folded(events(answer, **fields))


@pytest.fixture
def ollama(recordings: Mapping[str, Recording]) -> Callable[..., dict[tuple[str, str], Any]]:
    """Give the routes of a server like the recorded one; what a test is about takes the place of a route's answer.

    ``chat``, ``embed`` and other words are the last parts of paths; ``generate=None`` takes a route away.
    """
    shown = {
        "smollm2:135m": "show-chat",
        "smollm2-think:135m": "show-thinking",
        "all-minilm:22m": "show-embedding",
    }

    def show(request: Request) -> Reply:
        asked: Any = request.json
        return recorded(recordings[shown.get(asked["model"], "show-missing")])

    def question(request: Request) -> Reply:
        asked: Any = request.json
        if not asked.get("model"):
            return json_reply({"error": "model is required"}, 400)
        return recorded(recordings["chat-stream" if asked["stream"] else "chat"])

    def routes(**answers: Any) -> dict[tuple[str, str], Any]:
        standard = {
            ("GET", "/"): recorded(recordings["root"]),
            ("GET", "/api/version"): recorded(recordings["version"]),
            ("GET", "/api/tags"): recorded(recordings["tags"]),
            ("GET", "/api/ps"): recorded(recordings["ps-loaded"]),
            ("POST", "/api/show"): show,
            ("POST", "/api/chat"): question,
        }
        for word, answer in answers.items():
            method = {"tags": "GET", "ps": "GET", "version": "GET", "root": "GET", "delete": "DELETE"}.get(word, "POST")
            standard[method, "/" if word == "root" else f"/api/{word}"] = answer
        return {route: answer for route, answer in standard.items() if answer is not None}

    return routes
