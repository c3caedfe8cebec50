"""Embeddings: one request to ``/api/embed`` for a batch of texts.

Owns the request, the reading of the answer, and the words that some models want before a query or a document.
The legacy ``/api/embeddings`` is never asked: its vectors are not normalised and do not go with these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

from modelhub.errors import ContextLengthExceeded, MalformedResponse
from modelhub.provider import Credential, HttpCall, HttpTextEmbeddingModel
from modelhub.types.json import JSON
from modelhub.types.records import Warning
from modelhub.types.requests import EmbedRequest, InputType
from modelhub.types.results import EmbedResult
from modelhub.types.usage import Timing, Usage
from modelhub.wire.json import dumps
from modelhub_ollama_local.faults import refusal
from modelhub_ollama_local.names import parse
from modelhub_ollama_local.settings import RUNNER_OPTIONS, vendor_settings
from modelhub_ollama_local.tokens import least_text

__all__ = ["EMBED_OPTIONS", "OllamaEmbedding"]

EMBED_OPTIONS = RUNNER_OPTIONS | {"keep_alive", "truncate"}

_FIGURES = ("prompt_eval_count", "total_duration", "load_duration")
_NANOSECONDS = 1_000_000_000

# What the models' authors say must stand before a text; the server adds nothing.
# https://huggingface.co/nomic-ai/nomic-embed-text-v1.5, …/mixedbread-ai/mxbai-embed-large-v1,
# …/Snowflake/snowflake-arctic-embed-l-v2.0, …/google/embeddinggemma-300m (2026-11)
_PREFIXES: Mapping[str, Mapping[InputType, str]] = {
    "nomic-embed-text": {"query": "search_query: ", "document": "search_document: "},
    "mxbai-embed-large": {"query": "Represent this sentence for searching relevant passages: "},
    "snowflake-arctic-embed": {"query": "Represent this sentence for searching relevant passages: "},
    "snowflake-arctic-embed2": {"query": "query: "},
    "embeddinggemma": {"query": "task: search result | query: ", "document": "title: none | text: "},
}


@final
class OllamaEmbedding(HttpTextEmbeddingModel):
    """Ollama's embedding models."""

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request for one batch.

        A text that is too long is an error; with ``truncate: true`` among the options the server cuts it instead.

        Raises:
            BadRequest: A name or an option that the server would refuse or misread.
            ContextLengthExceeded: A text is surely longer than the model is known to take.
        """
        name = parse(request.name)
        settings = vendor_settings(request, EMBED_OPTIONS)
        body: dict[str, JSON] = {
            "model": request.name,
            # Always a list: for a bare empty text the server gives no vector.
            "input": [_prefix(name.model, request.input_type) + text for text in request.texts],
            "truncate": False,
            **settings.fields,
        }
        if not body["truncate"]:
            _check_lengths(request)
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if settings.options:
            body["options"] = settings.options
        return HttpCall("/api/embed", body)

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the vectors, which come in the order of the texts.

        Raises:
            ModelHubError: The document is an error.
            MalformedResponse: It is nothing that Ollama answers with.
        """
        if isinstance(document, dict) and document.get("error"):
            raise refusal(200, {}, dumps(document))
        vectors = document.get("embeddings") if isinstance(document, dict) else None
        if not isinstance(vectors, list) or not all(isinstance(vector, list) for vector in vectors):
            message = "the answer is none of Ollama's: it has no embeddings"
            raise MalformedResponse(message, remedy="check the base URL", sent=True)
        count = document.get("prompt_eval_count")
        load = document.get("load_duration")
        raw = {name: document[name] for name in _FIGURES if name in document}
        return EmbedResult(
            vectors=vectors,
            usage=Usage(input_tokens=count, raw=raw) if type(count) is int else None,
            timing=Timing(load=load / _NANOSECONDS) if type(load) is int else None,
            warnings=tuple(_warnings(vectors, request)),
        )


def _prefix(model: str, input_type: InputType | None) -> str:
    return _PREFIXES.get(model.lower(), {}).get(input_type, "") if input_type else ""


def _check_lengths(request: EmbedRequest) -> None:
    """Refuse what cannot fit in: the server says that a text is too long, but neither which nor by how much."""
    size = request.schema.context_size if request.schema else None
    for text in request.texts if size else ():
        # A token has one character at least, so most texts need not be looked into.
        if size and len(text) > size and (least := least_text(text)) > size:
            message = f"a text of {len(text)} characters has {least} tokens at least; the model takes {size}"
            error = ContextLengthExceeded(message, parameter="texts", sent=False)
            error.remedy = "cut the text, or let the server do so: vendor={'ollama_local': {'truncate': True}}"
            error.context_size = size
            raise error


def _warnings(vectors: list[list[float]], request: EmbedRequest) -> list[Warning]:
    asked = request.dimensions
    if asked is None or not vectors or len(vectors[0]) == asked:
        return []
    text = f"{asked} dimensions were asked for, and the vectors have {len(vectors[0])}"
    return [Warning("dimensions_ignored", text, "dimensions")]
