"""Whole answers: what is done at a deployment for each type of request."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

from modelhub.errors import UnsupportedFeature
from modelhub.rules.answers import checked_ranking, checked_vectors, joined_vectors
from modelhub.runtime.attempts import tried
from modelhub.runtime.batches import in_order
from modelhub.runtime.call import Call, Prepared, Try
from modelhub.runtime.deadlines import in_time
from modelhub.runtime.server import Server, released
from modelhub.types.records import Attempt
from modelhub.types.requests import EmbedRequest, RerankRequest
from modelhub.types.results import EmbedResult, RerankResult, Result
from modelhub.types.usage import Timing, TokenCount

__all__ = ["counted", "invoked"]

R = TypeVar("R", bound=Result)


async def invoked(server: Server, call: Call[R]) -> R:
    """Answer a call, all at once.

    Raises:
        ModelHubError: The last attempt's error; ``attempts`` holds them all.
    """
    attempt = _answered
    match call.request:
        case EmbedRequest():
            attempt = _embedded
        case RerankRequest():
            attempt = _ranked
        case _:
            pass
    result = await tried(server, call, partial(attempt, server))
    return cast("R", result)  # each request is answered by the result of its own type


async def counted(server: Server, call: Call[Any]) -> TokenCount:
    """Count the tokens of a call's prompt, without answering it.

    Raises:
        UnsupportedFeature: The provider cannot count.
    """
    return await tried(server, call, partial(_counted, server), generates=False)


async def _answered(server: Server, call: Call[Any], this: Try) -> Result:
    start = server.runtime.clock()
    prepared = await server.prepare(call, this, streaming=False)
    result: Result = await server.invoked(prepared, prepared.request)
    return await server.finished(prepared, result, server.runtime.clock() - start)


async def _ranked(server: Server, call: Call[Any], this: Try) -> Result:
    asked = cast("RerankRequest", call.request)
    if not asked.documents or asked.top_n == 0:
        return _without_asking(call, this, RerankResult(documents=()))
    start = server.runtime.clock()
    prepared = await server.prepare(call, this, streaming=False)
    request = cast("RerankRequest", prepared.request)
    result: Result = await server.invoked(prepared, request, lambda came: checked_ranking(came, request))
    return await server.finished(prepared, result, server.runtime.clock() - start)


async def _embedded(server: Server, call: Call[Any], this: Try) -> Result:
    """Embed in batches. One deployment serves them all: vectors of different models must not be mixed."""
    if not cast("EmbedRequest", call.request).texts:
        return _without_asking(call, this, EmbedResult(vectors=[]))
    start = server.runtime.clock()
    prepared = await server.prepare(call, this, streaming=False)
    request = cast("EmbedRequest", prepared.request)
    size = prepared.schema.model_properties.get("max_chunks")
    size = size if isinstance(size, int) and size > 0 else prepared.bound.batch_size()
    batches = [replace(request, texts=request.texts[at : at + size]) for at in range(0, len(request.texts), size)]
    if len(batches) == 1:
        result = await server.invoked(prepared, request, lambda came: checked_vectors(came, request))
    else:
        try:
            server.runtime.balancer.more(this.lease, requests=len(batches) - 1)
            result = joined_vectors(await in_order(partial(_batch, server, prepared), batches))
        except BaseException as error:
            await server.broke_off(prepared, error)
            raise
    return await server.finished(prepared, result, server.runtime.clock() - start)


async def _batch(server: Server, prepared: Prepared, batch: EmbedRequest) -> EmbedResult:
    prepared.context.limits.restart()
    vectors: EmbedResult = await server.timed(prepared, batch, lambda came: checked_vectors(came, batch))
    return vectors


async def _counted(server: Server, call: Call[Any], this: Try) -> TokenCount:
    prepared = await server.prepare(call, this, streaming=False)
    count = None
    if prepared.context.open_http is not None:
        prepared.context.open_http.on_rates = None  # vendors limit counting apart
    if prepared.bound.count_tokens is not None:
        counting = prepared.bound.count_tokens(prepared.request, prepared.context)
        try:
            count = await in_time(counting, call.seconds_left(server.runtime.clock), call.request)
        finally:
            await released(prepared.context)
    if count is None:
        raise UnsupportedFeature(f"provider {this.deployment.provider_id!r} cannot count tokens")
    return count


def _without_asking(call: Call[Any], this: Try, result: R) -> R:
    """Complete a result that is known without a request, because nothing was given."""
    deployment = this.deployment
    tried = (*this.before, Attempt(deployment.id, None, 0.0))
    common: dict[str, Any] = {"model": deployment.name, "id": call.id, "attempts": tried, "timing": Timing(total=0.0)}
    return replace(result, **common)
