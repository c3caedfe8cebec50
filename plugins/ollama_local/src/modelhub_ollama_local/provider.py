"""The provider itself: which class serves which model type, and the hooks beside them. No rule stands here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import final

from modelhub.errors import ModelHubError
from modelhub.provider import ModelProvider, ProviderContext
from modelhub.types.json import JSON
from modelhub.types.records import Progress
from modelhub.types.schema import ModelSchema, ModelType
from modelhub_ollama_local.catalogue import describe, list_all
from modelhub_ollama_local.embedding import OllamaEmbedding
from modelhub_ollama_local.faults import refusal
from modelhub_ollama_local.llm import OllamaLLM
from modelhub_ollama_local.operations import operation
from modelhub_ollama_local.validation import validate_model, validate_server

__all__ = ["OllamaLocalProvider"]


@final
class OllamaLocalProvider(ModelProvider):
    """Ollama's native API, on this machine or another, or in Ollama's cloud."""

    contract = 1
    llm = OllamaLLM
    text_embedding = OllamaEmbedding
    auth = {"Authorization": "Bearer {api_key}"}  # noqa: RUF012  the base class declares it for its readers

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Check the server in stages; nothing is loaded."""
        await validate_server(context)

    async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
        """Check that the server has the model, and that it is of that type."""
        await validate_model(model, model_type, context)

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Return the models installed on the server."""
        return await list_all(context)

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Return what the server tells of a model, or ``None`` if it does not have it."""
        return await describe(model, model_type, context)

    async def operate(
        self, name: str, arguments: Mapping[str, JSON], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Pull, preload, unload or delete a model."""
        async with aclosing(operation(name, arguments, context)) as steps:
            async for step in steps:
                yield step

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
        """Build the error for a refused request, in Ollama's own terms."""
        return refusal(status, headers, body)
