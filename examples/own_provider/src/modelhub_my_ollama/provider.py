"""The provider: which class serves which model type, and the hooks beside them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from modelhub.errors import ConnectFailed, CredentialsInvalid, ModelNotFound
from modelhub.provider import HttpCall, ModelProvider, ProviderContext
from modelhub.types.records import Progress
from modelhub.types.schema import ModelSchema, ModelType
from modelhub_my_ollama.llm import MyOllamaLLM
from modelhub_my_ollama.text_embedding import MyOllamaEmbedding


class MyOllamaProvider(ModelProvider):
    """Ollama on this machine."""

    contract = 1
    llm = MyOllamaLLM
    text_embedding = MyOllamaEmbedding
    auth: ClassVar[Mapping[str, str]] = {"Authorization": "Bearer {api_key}"}

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Ask for the list of models, which costs nothing."""
        try:
            names = await installed(context)
        except ConnectFailed as error:
            problem = "nothing answers there: is `ollama serve` running?"
            raise CredentialsInvalid(f"base_url: {problem}", fields={"base_url": problem}) from error
        context.progress(Progress(f"{len(names)} models"))

    async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
        """Check that the server has the model."""
        names = await installed(context)
        if model not in names and f"{model}:latest" not in names:
            raise ModelNotFound(f"the server has no model {model!r}", remedy=f"run `ollama pull {model}`")

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Return the models that the server has now."""
        return [ModelSchema(name, await type_of(name, context)) for name in await installed(context)]


async def installed(context: ProviderContext) -> list[str]:
    """Return the names of the server's models."""
    document = await context.http.json(HttpCall("/api/tags", method="GET"))
    return [model["name"] for model in document["models"]]


async def type_of(name: str, context: ProviderContext) -> ModelType:
    """Ask what a model is for."""
    document = await context.http.json(HttpCall("/api/show", {"model": name}))
    return ModelType.TEXT_EMBEDDING if "embedding" in document.get("capabilities", ()) else ModelType.LLM
