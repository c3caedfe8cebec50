"""A small provider over HTTP, written as an author would write one, and the hub around it."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from modelhub import ModelType, ProviderSchema, Usage
from modelhub.provider import Credential, DecodeState, HttpCall, HttpLargeLanguageModel, ModelProvider
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import CredentialSchema, EndpointRule, FormField


class LinesLLM(HttpLargeLanguageModel):
    """Speaks a line protocol: ``{"text": …}`` and at last ``{"end": …}``."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        texts = [message.content for message in request.messages]
        return HttpCall("/chat", json={"model": request.name, "texts": texts, "stream": request.stream})

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a line."""
        if "error" in document:
            raise state.error(document)
        if document.get("text"):
            yield TextDelta(state.part("text"), document["text"])
        if "end" in document:
            yield Finish(FinishReason.STOP, document["end"], Usage(3, document.get("tokens")))


class LinesProvider(ModelProvider):
    """A provider with a base URL, a key and any model name."""

    llm = LinesLLM
    auth = {"Authorization": "Bearer {api_key}"}

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = (
            FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),
            FormField("api_key", "secret-input", required=False),
        )
        return ProviderSchema(
            "lines",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(form),
        )


@pytest.fixture
def lines() -> type[LinesProvider]:
    """Give the provider class."""
    return LinesProvider
