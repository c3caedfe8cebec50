"""What models a server has, and what each of them is: the requests behind ``list_models`` and ``describe_model``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from modelhub.errors import BadRequest, ModelHubError, ModelNotFound, ServerError, UnsupportedFeature
from modelhub.provider import HttpCall, ProviderContext
from modelhub.types.schema import ModelSchema, ModelType
from modelhub_ollama_local.faults import is_no_route
from modelhub_ollama_local.names import find
from modelhub_ollama_local.show import listed_names, loaded_windows, model_type_of, schema_of

__all__ = ["describe", "installed", "list_all", "type_of", "wrong_type"]

_AT_ONCE = 4


async def installed(context: ProviderContext) -> list[str]:
    """Return the names of the models that a server has."""
    return listed_names(await context.http.json(HttpCall("/api/tags", method="GET")))


async def list_all(context: ProviderContext) -> list[ModelSchema]:
    """Return all models of a server, each as ``/api/show`` describes it, a few requests at a time."""
    names = await installed(context)
    windows = await _windows(context)
    found: dict[str, ModelSchema | None] = {}
    failed: list[ModelHubError] = []
    turn = anyio.CapacityLimiter(_AT_ONCE)

    async def look(name: str) -> None:
        async with turn:
            if failed:
                return
            try:
                show = await _show(name, context)
            except ModelHubError as error:
                failed.append(error)
                return
        found[name] = None if show is None else schema_of(name, show, window=_window(name, windows))

    async with anyio.create_task_group() as tasks:
        for name in names:
            tasks.start_soon(look, name)
    if failed:
        raise failed[0]
    return [schema for name in names if (schema := found[name]) is not None]


async def describe(model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
    """Return what one model is, or ``None`` where the server does not have it.

    Raises:
        UnsupportedFeature: It is an embedding model, and a conversation is wanted.
    """
    show = await _show(model, context)
    if show is None:
        return None
    if not show and not await _is_listed(model, context):
        return None
    if model_type is ModelType.LLM and model_type_of(show) is ModelType.TEXT_EMBEDDING:
        raise wrong_type(model, ModelType.TEXT_EMBEDDING)
    return schema_of(model, show, window=_window(model, await _windows(context)), model_type=model_type)


async def type_of(model: str, context: ProviderContext) -> ModelType | None:
    """Return what type a model is of; ``None`` where the server cannot tell."""
    return model_type_of(await _show(model, context) or {})


def wrong_type(model: str, model_type: ModelType) -> UnsupportedFeature:
    """Build the error for a model of this type that is wanted for something else."""
    if model_type is ModelType.TEXT_EMBEDDING:
        message, remedy = f"{model} makes embeddings and holds no conversations", "use it with embed()"
    else:
        message, remedy = f"{model} holds conversations and makes no embeddings", "use it with chat()"
    return UnsupportedFeature(message, parameter="model", remedy=f"{remedy}, or name another model")


async def _show(model: str, context: ProviderContext) -> Mapping[str, Any] | None:
    """Return what the server tells of a model: ``None`` where it has none, ``{}`` where it cannot tell."""
    try:
        document = await context.http.json(HttpCall("/api/show", {"model": model}))
    except ModelNotFound:
        return None
    except (BadRequest, ServerError):  # a model whose file is damaged is there all the same
        return {}
    except ModelHubError as error:
        if is_no_route(error):
            return {}
        raise
    return document if isinstance(document, dict) else {}


async def _is_listed(model: str, context: ProviderContext) -> bool:
    try:
        return find(model, await installed(context)) is not None
    except ModelHubError as error:
        if is_no_route(error):
            return True  # a proxy without a list: asking the model is the only way to know
        raise


async def _windows(context: ProviderContext) -> dict[str, int]:
    """Return the loaded context sizes, or none where the server does not say: nothing depends on them."""
    try:
        return loaded_windows(await context.http.json(HttpCall("/api/ps", method="GET")))
    except ModelHubError as error:
        if error.status is None:
            raise  # no answer at all: the endpoint is at fault, and the next request would hear the same
        return {}


def _window(model: str, windows: Mapping[str, int]) -> int | None:
    name = find(model, windows)
    return None if name is None else windows[name]
