"""`ModelProvider`: dispatches the hooks to one class per model type, and is nothing more."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Any, ClassVar

from modelhub.errors import ModelHubError, PluginError, UnsupportedFeature
from modelhub.hookspecs import CONTRACT, HOOKS, hookimpl
from modelhub.provider.context import ProviderContext
from modelhub.provider.models import (
    AIModel,
    LargeLanguageModel,
    ModerationModel,
    RerankModel,
    Speech2TextModel,
    TextEmbeddingModel,
    TTSModel,
)
from modelhub.types.events import Event
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import Result
from modelhub.types.schema import ModelType
from modelhub.types.usage import TokenCount
from modelhub.wire.status import classify, error_facts

__all__ = ["REQUEST_TYPES", "ModelProvider"]

REQUEST_TYPES: Mapping[type[Request[Any]], ModelType] = {
    ChatRequest: ModelType.LLM,
    EmbedRequest: ModelType.TEXT_EMBEDDING,
    RerankRequest: ModelType.RERANK,
    TranscriptionRequest: ModelType.SPEECH2TEXT,
    SpeechRequest: ModelType.TTS,
    ModerationRequest: ModelType.MODERATION,
}
"""Which model type serves which request."""


def _model(kind: ModelType, model: object) -> AIModel[Any, Any]:
    if isinstance(model, type) and issubclass(model, AIModel) and getattr(model, "model_type", None) is kind:
        return model()
    name = kind.value.replace("-", "_")
    shown = model.__name__ if isinstance(model, type) else f"a {type(model).__name__}"
    raise PluginError(f"{name} is {shown}: it must be a class for models of type {kind.value}")


class ModelProvider:
    """Base class of providers. A subclass names its model classes and writes the hooks it needs beside them.

    Attributes:
        contract: The contract version it was written for.
        llm, text_embedding, rerank, speech2text, tts, moderation: The model classes, where it has them.
        auth: Headers sent with every request; ``{variable}`` is replaced by the credential's value, and a header
            whose values
            are all missing is left out.
        error_codes: The vendor's own codes that mean more than their status.

    Example:
        >>> class Acme(ModelProvider):
        ...     auth = {"Authorization": "Bearer {api_key}"}
    """

    contract: ClassVar[int] = CONTRACT
    llm: ClassVar[type[LargeLanguageModel] | None] = None
    text_embedding: ClassVar[type[TextEmbeddingModel] | None] = None
    rerank: ClassVar[type[RerankModel] | None] = None
    speech2text: ClassVar[type[Speech2TextModel] | None] = None
    tts: ClassVar[type[TTSModel] | None] = None
    moderation: ClassVar[type[ModerationModel] | None] = None
    auth: ClassVar[Mapping[str, str]] = {}
    error_codes: ClassVar[Mapping[str, type[ModelHubError]]] = {}

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Mark the hooks, those of mixins too: pluggy drops one that lacks its mark without a word."""
        super().__init_subclass__(**kwargs)
        for name in HOOKS:
            function = inspect.getattr_static(cls, name, None)
            function = getattr(function, "__func__", function)  # of a class method or static method
            if callable(function) and not hasattr(function, "modelhub_impl"):
                hookimpl(function)

    def __init__(self) -> None:
        classes: dict[ModelType, type[AIModel[Any, Any]] | None] = {
            ModelType.LLM: self.llm,
            ModelType.TEXT_EMBEDDING: self.text_embedding,
            ModelType.RERANK: self.rerank,
            ModelType.SPEECH2TEXT: self.speech2text,
            ModelType.TTS: self.tts,
            ModelType.MODERATION: self.moderation,
        }
        self.models: dict[ModelType, AIModel[Any, Any]] = {
            kind: _model(kind, model) for kind, model in classes.items() if model is not None
        }

    def model_for(self, request: Request[Result]) -> AIModel[Any, Any]:
        """Return the model that serves a request.

        Raises:
            UnsupportedFeature: The provider has no model of that type.
        """
        kind = REQUEST_TYPES[type(request)]
        model = self.models.get(kind)
        if model is None:
            has = ", ".join(self.models) or "none"
            raise UnsupportedFeature(f"this provider has no models of type {kind.value} (it has: {has})")
        return model

    @hookimpl
    async def invoke(self, request: Request[Result], context: ProviderContext) -> Result:
        """Answer all at once, by the model of the request's type."""
        result = await self.model_for(request).invoke(request, context)
        if not isinstance(result, Result):
            name = type(self.model_for(request)).__name__
            raise PluginError(f"{name}.invoke returned a {type(result).__name__}, not a result")
        return result

    @hookimpl
    def stream(self, request: Request[Result], context: ProviderContext) -> AsyncGenerator[Event, None]:
        """Answer in events, by the model of the request's type."""
        model = self.model_for(request)
        if not isinstance(model, LargeLanguageModel | TTSModel):
            raise UnsupportedFeature(f"answers of type {model.model_type.value} do not come as a stream")
        events: AsyncGenerator[Any, None] = model.stream(request, context)  # type: ignore[arg-type]  # model_for pairs them
        return events

    @hookimpl
    async def count_tokens(self, request: Request[Result], context: ProviderContext) -> TokenCount | None:
        """Count the tokens of a prompt, by the model of the request's type."""
        return await self.model_for(request).count_tokens(request, context)

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
        """Build the error for a refused request: by the vendor's code, then the status, the message last.

        Override it for a vendor that hides the reason elsewhere, and call this for the rest.
        """
        facts = error_facts(status, headers, body, now=time.time())
        return classify(status, facts, self.error_codes)
