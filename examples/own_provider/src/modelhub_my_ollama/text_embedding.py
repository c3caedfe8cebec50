"""Embeddings, through Ollama's ``/api/embed``."""

from typing import Any

from modelhub.provider import Credential, HttpCall, HttpTextEmbeddingModel
from modelhub.types.requests import EmbedRequest
from modelhub.types.results import EmbedResult
from modelhub.types.usage import Usage


class MyOllamaEmbedding(HttpTextEmbeddingModel):
    """Ollama's embedding models."""

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request for one batch; the hub has split the list and checked every text."""
        return HttpCall("/api/embed", {"model": request.name, "input": list(request.texts), "truncate": False})

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Return the vectors; the hub checks that there are as many as texts."""
        return EmbedResult(vectors=document["embeddings"], usage=Usage(document.get("prompt_eval_count")))
