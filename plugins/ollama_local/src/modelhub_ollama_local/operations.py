"""What a server can do besides answering: pull, load, unload and delete models.

Owns the requests, their progress and how each of them ends. An operation that ends without the server's word that
it is done is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeAlias

from modelhub.errors import BadRequest, MalformedResponse, ModelHubError, StreamInterrupted, UnsupportedFeature
from modelhub.provider import HttpCall, ProviderContext
from modelhub.types.json import JSON
from modelhub.types.records import Progress
from modelhub.wire.json import dumps
from modelhub_ollama_local.faults import refusal
from modelhub_ollama_local.keep_alive import keep_alive
from modelhub_ollama_local.names import parse

__all__ = ["OPERATIONS", "operation"]

Arguments: TypeAlias = Mapping[str, JSON]
Operation: TypeAlias = Callable[[Arguments, ProviderContext], AsyncGenerator[Progress, None]]

_QUIET = 600.0  # seconds without a word: the server says nothing while it checks a layer of many gigabytes


def operation(name: str, arguments: Arguments, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    """Begin one of `OPERATIONS`; its name and its arguments' names have been checked against the manifest.

    Raises:
        BadRequest: The model is not named, or cannot be named so.
    """
    model = arguments.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest(f"{name} needs the name of a model", parameter="model", remedy="give model='llama3'")
    parse(model)
    return OPERATIONS[name](arguments, context)


async def _pull(arguments: Arguments, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    """Fetch a model; each progress is about one layer, in bytes."""
    name = str(arguments["model"])
    call = HttpCall("/api/pull", {**arguments, "stream": True})
    limits = context.http.limits
    limits.idle = max(limits.idle, _QUIET)
    fetched = False
    async with aclosing(context.http.stream(call)) as batches:
        async for batch in batches:
            limits.content_came()
            for document in batch:
                step = _step(document)
                if step.message == "success":
                    what = "is ready" if fetched else "was there already, and is up to date"
                    yield Progress(f"{name} {what}", data=step.data)
                    return
                fetched = fetched or (step.fraction is not None and step.fraction < 1)
                yield step
    raise StreamInterrupted(f"the pull of {name} ended before it was done")


def _step(document: Any) -> Progress:
    if isinstance(document, dict) and document.get("error"):
        raise refusal(200, {}, dumps(document))
    if not isinstance(document, dict) or not isinstance(document.get("status"), str):
        raise MalformedResponse("the progress of a pull has no status", sent=True)
    total = document.get("total")
    completed = document.get("completed", 0 if total else None)  # the server leaves out what is 0
    return Progress(
        document["status"],
        completed if type(completed) is int else None,
        total if type(total) is int else None,
        data=document,
    )


async def _preload(arguments: Arguments, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    """Load a model into memory, so that its next answer need not wait."""
    name = str(arguments["model"])
    settings: dict[str, JSON] = {}
    if arguments.get("keep_alive") is not None:
        settings["keep_alive"] = keep_alive(arguments["keep_alive"])
    if arguments.get("num_ctx") is not None:
        settings["options"] = {"num_ctx": arguments["num_ctx"]}
    yield Progress(f"loading {name}")
    answer = await _without_question(name, settings, context)
    _check(answer, "load")
    yield Progress(f"{name} is loaded", data=answer)


async def _unload(arguments: Arguments, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    """Free the memory that a model takes."""
    name = str(arguments["model"])
    yield Progress(f"unloading {name}")
    answer = await _without_question(name, {"keep_alive": 0}, context)
    _check(answer, "unload")
    yield Progress(f"{name} is unloaded", data=answer)


async def _without_question(name: str, settings: Mapping[str, JSON], context: ProviderContext) -> dict[str, Any]:
    """Ask a model nothing, which loads or unloads it; embedding models are asked in their own way."""
    try:
        call = HttpCall("/api/chat", {"model": name, "messages": [], "stream": False, **settings})
        answer = await context.http.json(call)
    except UnsupportedFeature:
        answer = await context.http.json(HttpCall("/api/embed", {"model": name, "input": [], **settings}))
    if not isinstance(answer, dict):
        raise MalformedResponse("the answer is none of Ollama's", sent=True)
    if answer.get("error"):
        raise refusal(200, {}, dumps(answer))
    return answer


def _check(answer: Mapping[str, Any], expected: str) -> None:
    done = answer.get("done_reason")
    if done != expected and "embeddings" not in answer:
        raise MalformedResponse(f"the server says {done!r} where {expected!r} was expected", sent=True)


async def _delete(arguments: Arguments, context: ProviderContext) -> AsyncGenerator[Progress, None]:
    """Remove a model from the server's disk."""
    name = str(arguments["model"])
    yield Progress(f"deleting {name}")
    try:
        await context.http.request(HttpCall("/api/delete", {"model": name}, method="DELETE"))
    except ModelHubError as error:
        error.remedy = "operations cannot be undone: check the name in the list of models"
        raise
    yield Progress(f"{name} is deleted")


OPERATIONS: Mapping[str, Operation] = {"pull": _pull, "preload": _preload, "unload": _unload, "delete": _delete}
"""Every operation by its name; ``provider.yaml`` names the same, with the arguments that each takes."""
