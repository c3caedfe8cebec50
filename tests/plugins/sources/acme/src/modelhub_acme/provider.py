"""The provider: every hook, and one class per kind of model."""

import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from modelhub import ModelSchema, ModelType, Progress
from modelhub.errors import AuthenticationFailed, CredentialsInvalid, ModelHubError, ModelNotFound, QuotaExhausted
from modelhub.provider import HttpCall, ModelProvider, ProviderContext
from modelhub.types.json import JSON
from modelhub_acme.llm import AcmeLLM
from modelhub_acme.media import AcmeEmbedding, AcmeModeration, AcmeRerank, AcmeSpeech, AcmeTranscription


class Session:
    """What lasts longer than a call.

    Attributes:
        token: Fetched when it was opened.
        closed: Whether the hub was left.
    """

    opened: ClassVar[list["Session"]] = []

    def __init__(self, token: str) -> None:
        self.token = token
        self.closed = False
        self.opened.append(self)


class AcmeProvider(ModelProvider):
    """Serves all six kinds of models over HTTP."""

    contract = 1
    llm = AcmeLLM
    text_embedding = AcmeEmbedding
    rerank = AcmeRerank
    speech2text = AcmeTranscription
    tts = AcmeSpeech
    moderation = AcmeModeration
    auth: ClassVar = {"Authorization": "Bearer {api_key}", "X-Region": "{region}", "X-Proxy": "{proxy_name}"}
    error_codes: ClassVar = {"no_credit": QuotaExhausted}

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
        """Tell a revoked key, which the vendor reports with a status of its own."""
        if status == 418:
            return AuthenticationFailed("the key was revoked", status=status)
        return super().classify(status, headers, body)

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncIterator[Session]:
        """Fetch a token."""
        document = await context.http.json(HttpCall("/session", json={}))
        session = Session(document["token"])
        try:
            yield session
        finally:
            session.closed = True

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Ask for the account, which costs nothing."""
        account = await context.http.json(_get("/v1/account", context))
        context.progress(Progress("reachable"))
        if not account["paid"]:
            raise CredentialsInvalid("the account is closed", fields={"api_key": "its account is closed"})
        context.progress(Progress("account"))

    async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
        """Ask for the model."""
        if await self.describe_model(model, model_type, context) is None:
            raise ModelNotFound(f"there is no {model_type.value} model {model!r}")

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Ask for all models."""
        document = await context.http.json(_get("/v1/models", context))
        return [_schema(name, model) for name, model in document["models"].items()]

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Look the model up among all of them."""
        models = {schema.model: schema for schema in await self.list_models(context)}
        found = models.get(model)
        return found if found is not None and found.model_type is model_type else None

    async def operate(
        self, name: str, arguments: Mapping[str, JSON], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Warm a model up: blocking work in threads, which end when nobody wants them any more."""
        start, stop = context.clock(), threading.Event()
        await context.blocking(context.cache_dir.mkdir, parents=True, exist_ok=True)
        count = int(str(arguments.get("layers", 3)))
        layers = _layers(context.cache_dir, count, stop)
        async with aclosing(context.iterate(layers, on_cancel=stop.set)) as numbers:
            async for number in numbers:
                yield Progress("layer", number, count, "layers")
        size = await context.cancellable(partial(_size, context.cache_dir), stop.set)
        context.log.info("warmed %s in %.1f s", arguments["model"], context.clock() - start)
        yield Progress("warm", data={"files": size, "deadline": context.deadline, "token": context.session.token})


def _get(path: str, context: ProviderContext) -> HttpCall:
    session: Any = context.session
    return HttpCall(path, method="GET", headers={"X-Session": session.token})


def _schema(name: str, model: Mapping[str, Any]) -> ModelSchema:
    properties = {"context_size": model["context"]} if "context" in model else {}
    return ModelSchema(name, ModelType(model["kind"]), model_properties=properties, fetch_from="remote-model")


def _layers(folder: Path, count: int, stop: threading.Event) -> Iterator[int]:
    for number in range(1, count + 1):
        if stop.is_set():
            return
        (folder / f"layer-{number}").touch()
        yield number


def _size(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())
