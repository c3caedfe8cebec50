"""A provider whose form has every type of field; its vendor is an HTTP server that is sent the whole form."""

from collections.abc import AsyncGenerator, Mapping

from modelhub.errors import AuthenticationFailed, CredentialsInvalid
from modelhub.provider import HttpCall, LargeLanguageModel, ModelProvider, ProviderContext, TextEmbeddingModel
from modelhub.types.events import ChatEvent, Finish, FinishReason, Started
from modelhub.types.json import JSON
from modelhub.types.records import Progress
from modelhub.types.requests import ChatRequest, EmbedRequest
from modelhub.types.results import EmbedResult
from modelhub.types.schema import ModelType
from modelhub.types.secret import Secret


def revealed(value: object) -> JSON:
    """Return what a value of the form is."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {name: revealed(each) for name, each in value.items()}
    return value  # type: ignore[return-value]  # what is no secret is JSON


async def asked(context: ProviderContext, path: str) -> None:
    """Send the form to the vendor, who refuses a wrong key."""
    body = {name: revealed(value) for name, value in context.credential.items()}
    try:
        await context.http.json(HttpCall(path, json=body))
    except AuthenticationFailed:
        raise CredentialsInvalid("refused", fields={"api_key": "the vendor refuses it"}) from None


class HarbourLLM(LargeLanguageModel):
    """Says nothing."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer."""
        await asked(context, "/chat")
        yield Started("1", request.name)
        yield Finish(FinishReason.STOP)


class HarbourEmbedding(TextEmbeddingModel):
    """Has no vectors."""

    async def invoke(self, request: EmbedRequest, context: ProviderContext) -> EmbedResult:
        """Answer."""
        return EmbedResult(vectors=[[] for _ in request.texts])


class HarbourProvider(ModelProvider):
    """Checks its form with the vendor."""

    contract = 1
    llm = HarbourLLM
    text_embedding = HarbourEmbedding

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Ask the vendor."""
        await asked(context, "/check")
        context.progress(Progress("key accepted"))

    async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
        """Ask the vendor."""
        await asked(context, f"/check/{model}")
