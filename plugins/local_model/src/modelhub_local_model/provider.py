"""The provider: models in this process, loaded when first called and freed when the hub is left."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast, final

from modelhub.errors import ConfigurationError, ModelHubError, ModelNotFound, UnknownModel
from modelhub.provider import DecodeState, LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.credential import Credential
from modelhub.types.events import ChatEvent, Finish
from modelhub.types.json import JSON
from modelhub.types.records import Progress
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelSchema, ModelType
from modelhub.types.usage import TokenCount
from modelhub_local_model.dialect import decoded, encoded, ended
from modelhub_local_model.engine import Engine, EngineSettings
from modelhub_local_model.engines import Engines, EngineShare
from modelhub_local_model.faults import from_document
from modelhub_local_model.gguf import read_header
from modelhub_local_model.loading_steps import LoadProgress
from modelhub_local_model.model_files import ModelFiles
from modelhub_local_model.native import binding

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LocalLLM", "LocalModelProvider", "LocalSession"]

_WORDS = {"locating": "looking for {}", "downloading": "fetching {}", "loading": "loading {}"}


def _settings(credential: Credential) -> EngineSettings:
    def whole(name: str) -> int | None:
        value = credential.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ConfigurationError(f"{name} is {value!r}", remedy=f"set {name} to a whole number")
        return value

    return EngineSettings(context_size=whole("context_size"), parallel=whole("parallel") or 1, threads=whole("threads"))


def _reported(model: str, progress: LoadProgress) -> Progress:
    words = _WORDS[progress.phase].format(model)
    return Progress(words, progress.done, progress.total, data={"phase": progress.phase, "model": model})


@final
class LocalSession:
    """The engines of one hub and one credential.

    Args:
        engines: Where engines are opened.
        settings: How they are loaded.
    """

    def __init__(self, engines: Engines, settings: EngineSettings) -> None:
        self.engines = engines
        self._settings = settings
        self._held: dict[str, EngineShare] = {}
        self._lock = threading.Lock()

    async def engine(self, model: str, context: ProviderContext) -> Engine:
        """Return a model's engine, loading it first where that was not done yet.

        Raises:
            ModelHubError: The file cannot be had, or cannot be loaded.
        """
        held = self._held.get(model)
        if held is not None:
            return held.value
        stop = threading.Event()
        return await context.cancellable(partial(self._opened, model, context.progress, stop), stop.set)

    def _opened(self, model: str, progress: Callable[[Progress], None], stop: threading.Event) -> Engine:
        def report(step: LoadProgress) -> None:
            progress(_reported(model, step))

        share = self.engines.open(model, self._settings, stop=stop, report=report)
        with self._lock:
            kept = self._held.setdefault(model, share)
        if kept is not share:
            share.release()
        return kept.value

    def release(self, model: str) -> bool:
        """Give up a model's engine; blocks until it has ended. Returns whether it was held."""
        with self._lock:
            share = self._held.pop(model, None)
        if share is None:
            return False
        share.release()
        return True

    def close(self) -> None:
        """Give up every engine; blocks until they have ended."""
        for model in list(self._held):
            self.release(model)
        self.engines.close()

    def __repr__(self) -> str:
        return f"<LocalSession holding {', '.join(self._held) or 'nothing'}>"


def _session(context: ProviderContext) -> LocalSession:
    return cast("LocalSession", context.session)


@final
class LocalLLM(LargeLanguageModel):
    """Streams from the engine's own thread."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer in events, token by token; closing it stops the engine."""
        body = encoded(request)
        engine = await _session(context).engine(request.name, context)
        generation = engine.generate(body)
        state = DecodeState(request, lambda _status, _headers, document: from_document(document))
        async with aclosing(context.iterate(generation, on_cancel=generation.cancel)) as chunks:
            async for chunk in chunks:
                for event in decoded(chunk, state):
                    yield event
                    if isinstance(event, Finish):
                        return
        for event in ended(state):
            yield event

    async def count_tokens(self, request: ChatRequest[None], context: ProviderContext) -> TokenCount:
        """Count exactly, by the model's own template and tokenizer."""
        engine = await _session(context).engine(request.name, context)
        return TokenCount(await context.blocking(engine.count_tokens, encoded(request)))


@final
class LocalModelProvider(ModelProvider):
    """Runs GGUF models in this process: the published default, any file, and references to the hub."""

    llm = LocalLLM

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncGenerator[LocalSession, None]:
        """Hold the engines of one hub and one credential."""
        session = LocalSession(Engines(ModelFiles(context.cache_dir)), _settings(context.credential))
        try:
            yield session
        finally:
            await context.blocking(session.close)

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Check that the engine is installed and the default model's file is here; nothing is fetched or loaded."""
        engine = await context.blocking(binding)  # a native library of 34 MB, wanted only where a model is run
        context.progress(Progress(f"engine xllamacpp {getattr(engine, '__version__', '')}".strip()))
        files = _session(context).engines.files
        default = files.names[0]
        found = await context.blocking(files.find, default)
        where = "here" if found is not None else "not here yet: fetched at the first call"
        context.progress(Progress(f"file of {default}: {where}"))

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Return the published models; any other GGUF file is a model too, by its path."""
        return [
            ModelSchema(name, features=("structured-output",), model_properties={"mode": "chat", "context_size": 8192})
            for name in _session(context).engines.files.names
        ]

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Return what a model's file says of it; a file that is not here yet is described by what is published."""
        if model_type is not ModelType.LLM:
            return None
        files = _session(context).engines.files
        try:
            found = await context.blocking(files.find, model)
        except UnknownModel:
            return None
        if found is None:
            return ModelSchema(model, features=("structured-output",), fetch_from="remote-model")
        return await context.blocking(_described, model, found)

    async def operate(
        self, name: str, arguments: Mapping[str, JSON], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Fetch, load or free a model."""
        session = _session(context)
        model = str(arguments.get("model") or session.engines.files.names[0])
        match name:
            case "pull":
                async with aclosing(_pulled(session.engines.files, model, context)) as reports:
                    async for progress in reports:
                        yield progress
            case "preload":
                yield Progress(f"loading {model}")
                engine = await session.engine(model, context)
                yield Progress(f"{model} is loaded", data={"context_size": engine.context_size})
            case "unload":
                was_loaded = await context.blocking(session.release, model)
                yield Progress(f"{model} is freed" if was_loaded else f"{model} was not loaded")
            case _:
                raise ConfigurationError(f"there is no operation {name!r}")


def _pulled(files: ModelFiles, model: str, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    stop = threading.Event()

    def locate(report: Callable[[Progress], None]) -> None:
        path = files.locate(model, stop=stop, report=lambda step: report(_reported(model, step)))
        report(Progress(f"{model} is here", data={"path": str(path)}))

    return context.reports(locate, on_cancel=stop.set)


def _described(model: str, path: Path) -> ModelSchema:
    try:
        header = read_header(path)
    except ModelNotFound:
        raise
    except ModelHubError as error:
        raise ModelNotFound(error.message, remedy=error.remedy) from error
    return ModelSchema(
        model,
        label=header.name or model,
        features=("structured-output",) if header.has_chat_template else (),
        model_properties={
            "mode": "chat",
            "context_size": header.context_length,
            "architecture": header.architecture,
            "size": header.size_label,
            "quantization": header.quantization,
        },
        fetch_from="customizable-model",
    )
