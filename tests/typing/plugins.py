"""What an author's provider must pass under both type checkers. Read by them, never run."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Any, ClassVar, assert_type

from modelhub.errors import ModelHubError, QuotaExhausted
from modelhub.provider import (
    Credential,
    DecodeState,
    HttpCall,
    HttpLargeLanguageModel,
    HttpTextEmbeddingModel,
    LargeLanguageModel,
    ModelProvider,
    ProviderContext,
    hookimpl,
)
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.records import Progress
from modelhub.types.requests import ChatRequest, EmbedRequest, Request
from modelhub.types.results import EmbedResult, Result
from modelhub.types.schema import ModelSchema, ModelType


class AcmeLLM(HttpLargeLanguageModel):
    """The usual case: two pure functions."""

    def encode(self, request: ChatRequest[None], credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/chat", json={"model": request.name, "temperature": request.parameters.get("temperature")})

    def decode(self, document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
        """Read a document."""
        if "error" in document:
            raise state.error(document)
        yield TextDelta(state.part("text"), document["text"])
        yield Finish(FinishReason.STOP)


class AcmeEmbedding(HttpTextEmbeddingModel):
    """Vectors."""

    max_batch = 96

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:
        """Build the request."""
        return HttpCall("/embed", json=list(request.texts))

    def decode(self, document: Any, request: EmbedRequest) -> EmbedResult:
        """Read the answer."""
        return EmbedResult(vectors=document)


class EngineLLM(LargeLanguageModel):
    """A model that is no HTTP vendor: an async generator, written as one."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer in events."""
        async for word in context.iterate(iter(["Halo", "dunia"])):
            assert_type(word, str)
            yield TextDelta(0, word)
        yield Finish(FinishReason.STOP)


class AcmeProvider(ModelProvider):
    """A provider with hooks of its own."""

    llm = AcmeLLM
    text_embedding = AcmeEmbedding
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}
    error_codes: ClassVar[Mapping[str, type[ModelHubError]]] = {"no_credit": QuotaExhausted}

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """List."""
        return [ModelSchema(name) for name in await context.http.json(HttpCall("/models", method="GET"))]

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Describe."""
        return await context.blocking(ModelSchema, model, model_type)

    async def operate(
        self, name: str, arguments: Mapping[str, Any], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Pull."""
        yield Progress(name)


class Plain:
    """A provider without the base class: marked functions of an object."""

    @hookimpl
    async def invoke(self, request: Request[Result], context: ProviderContext) -> Result:
        """Answer."""
        assert_type(context.credential.secret("api_key").reveal(), str)
        return EmbedResult(vectors=[])


class Misspelt(HttpLargeLanguageModel):
    """An override that does not fit is refused."""

    def encode(self, request: EmbedRequest, credential: Credential) -> HttpCall:  # type: ignore[override]
        """Take the wrong request."""
        return HttpCall("/chat")
