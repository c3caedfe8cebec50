"""The one path of a call: describe, parameters, attempt, classify, finish.

Whole answers here; streams in `modelhub.runtime.stream`.

One loop and one order: the deployments of the call, tried until one answers or an error says that trying on is
    pointless.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final

import anyio

from modelhub.errors import ModelHubError, NoDeploymentAvailable, PluginError, UnsupportedFeature
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.answers import checked_ranking, checked_vectors, joined_vectors
from modelhub.rules.capabilities import fit_to_model
from modelhub.rules.failover import next_target
from modelhub.rules.parameters import Policy, resolve_parameters
from modelhub.rules.pricing import cost_of
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Deployment, Runtime, redacted
from modelhub.runtime.output import output_of
from modelhub.runtime.registration import BoundProvider
from modelhub.types.records import Attempt, Progress, Warning
from modelhub.types.requests import ChatRequest, EmbedRequest, Request, RerankRequest
from modelhub.types.results import ChatResult, EmbedResult, RerankResult, Result
from modelhub.types.usage import Timing, TokenCount

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.types.schema import ModelSchema

__all__ = ["Call", "Prepared", "Server", "attributed", "foreign", "released"]

R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)
T = TypeVar("T")

_BATCHES_AT_ONCE = 4

_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Call(Generic[R_co]):
    """A call on its way.

    Attributes:
        request: What is asked, with the application's own parameters.
        deployments: What may be tried, in order.
        deadline: Absolute, by the runtime's clock; ``None`` where the caller set none.
        policy: What becomes of parameters that a model does not take.
        progress: Told how far long things have come.
        id: Unique in this process.
    """

    request: Request[R_co]
    deployments: Sequence[Deployment]
    deadline: float | None
    policy: Policy
    progress: Callable[[Progress], None] | None = None
    id: str = field(default_factory=lambda: f"call{next(_ids):x}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call made ready for one deployment."""

    call: Call[Any]
    deployment: Deployment
    bound: BoundProvider
    request: Request[Any]
    context: ProviderContext
    schema: ModelSchema
    warnings: tuple[Warning, ...]


@final
class Server:
    """Serves calls.

    Args:
        runtime: What contexts are made with.
        catalogue: What models are described by.
    """

    def __init__(self, runtime: Runtime, catalogue: Catalogue) -> None:
        self.runtime = runtime
        self.catalogue = catalogue

    async def invoke(self, call: Call[R]) -> R:
        """Answer a call, all at once.

        Raises:
            ModelHubError: The last attempt's error; ``attempts`` holds them all.
        """
        attempt = self._answered
        match call.request:
            case EmbedRequest():
                attempt = self._embedded
            case RerankRequest():
                attempt = self._ranked
            case _:
                pass
        result = await self.tried(call, attempt)
        return cast("R", result)  # each request is answered by the result of its own type

    async def count_tokens(self, call: Call[Any]) -> TokenCount:
        """Count the tokens of a call's prompt, without answering it.

        Raises:
            UnsupportedFeature: The provider cannot count.
        """
        return await self.tried(call, self._counted)

    async def tried(
        self, call: Call[Any], attempt: Callable[[Call[Any], Deployment, list[Attempt]], Awaitable[T]]
    ) -> T:
        """Run ``attempt`` with one deployment after another until one works.

        Raises:
            ModelHubError: The last attempt's error; ``attempts`` holds them all.
        """
        rest = list(call.deployments)
        attempts: list[Attempt] = []
        clock = self.runtime.clock
        while rest:
            deployment = rest.pop(0)
            start = clock()
            try:
                return await attempt(call, deployment, attempts)
            except ModelHubError as raised:
                error = raised
            except Exception as raised:  # noqa: BLE001  whatever a plugin raises is its own
                error = foreign(raised, deployment)
            redacted(error, deployment.credential)
            attempts.append(Attempt(deployment.id, type(error).__name__, clock() - start))
            place = next_target(error, deployment, rest)
            if place is None or (call.deadline is not None and clock() >= call.deadline):
                raise attributed(error, deployment, attempts)
            del rest[:place]
        raise NoDeploymentAvailable("there is nothing to try")

    async def prepare(self, call: Call[Any], deployment: Deployment, *, streaming: bool) -> Prepared:
        """Make a call ready for a deployment: load its plugin, describe its model, check its parameters.

        Raises:
            ModelHubError: It cannot be served there.
        """
        runtime = self.runtime
        bound = deployment.plugin.bound or await runtime.registry.bound(deployment.plugin)
        request = call.request
        limits = runtime.limits(deployment.plugin, deadline=call.deadline, total=request.timeout, streaming=streaming)
        context = await runtime.context(bound, deployment, limits, progress=call.progress)
        kind = REQUEST_TYPES[type(request)]
        schema = self.catalogue.known(deployment, kind)
        if schema is None:
            schema = await self.catalogue.describe(deployment, kind, bound, context)
        options = request.vendor.get(deployment.provider_id, {})
        given: Mapping[str, object] = request.parameters if isinstance(request, ChatRequest) else {}
        resolved = resolve_parameters(given, options, schema.parameter_rules, policy=call.policy)
        warnings = resolved.warnings
        common: dict[str, Any] = {
            "model": deployment.model,
            "options": resolved.options,
            "schema": schema,
            "id": call.id,
        }
        if not isinstance(request, ChatRequest):
            return Prepared(call, deployment, bound, replace(request, **common), context, schema, warnings)
        chat = cast("ChatRequest[None]", replace(request, parameters=resolved.parameters, stream=streaming, **common))
        chat, left_out = fit_to_model(chat, schema, policy=call.policy)
        return Prepared(call, deployment, bound, chat, context, schema, (*warnings, *left_out))

    async def _answered(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        result: Result = await self._invoked(prepared, prepared.request)
        return self.finished(prepared, result, attempts, self.runtime.clock() - start)

    async def _ranked(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        request = cast("RerankRequest", prepared.request)
        result = RerankResult(documents=())
        if request.documents and request.top_n != 0:
            result = checked_ranking(await self._invoked(prepared, request), request)
        return self.finished(prepared, result, attempts, self.runtime.clock() - start)

    async def _embedded(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        """Embed in batches. One deployment serves them all: vectors of different models must not be mixed."""
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        request = cast("EmbedRequest", prepared.request)
        size = prepared.schema.model_properties.get("max_chunks")
        size = size if isinstance(size, int) and size > 0 else prepared.bound.batch_size()
        batches = [replace(request, texts=request.texts[at : at + size]) for at in range(0, len(request.texts), size)]
        results: list[EmbedResult] = [EmbedResult(vectors=[])] * max(1, len(batches))
        limiter = anyio.CapacityLimiter(_BATCHES_AT_ONCE)

        async def embed(number: int, batch: EmbedRequest) -> None:
            async with limiter:
                results[number] = checked_vectors(await self._invoked(prepared, batch), batch)

        if len(batches) == 1:
            await embed(0, batches[0])
        elif batches:
            async with anyio.create_task_group() as group:
                for number, batch in enumerate(batches):
                    group.start_soon(embed, number, batch)
        return self.finished(prepared, joined_vectors(results), attempts, self.runtime.clock() - start)

    async def _counted(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> TokenCount:
        del attempts
        prepared = await self.prepare(call, deployment, streaming=False)
        count = None
        if prepared.bound.count_tokens is not None:
            count = await prepared.bound.count_tokens(prepared.request, prepared.context)
        if count is None:
            raise UnsupportedFeature(f"provider {deployment.provider_id!r} cannot count tokens")
        return count

    async def _invoked(self, prepared: Prepared, request: Request[Any]) -> Any:
        """Run the plugin's ``invoke``, within the caller's deadline."""
        bound, context, call = prepared.bound, prepared.context, prepared.call
        try:
            if call.deadline is None or bound.times_itself(request):
                return await bound.invoke(request, context)
            with anyio.move_on_after(call.deadline - self.runtime.clock()):
                return await bound.invoke(request, context)
            raise context.limits.expired("read", sent=True)
        except BaseException:
            await released(context)
            raise

    def finished(
        self,
        prepared: Prepared,
        result: R,
        attempts: Sequence[Attempt],
        seconds: float,
        *,
        first_content: float | None = None,
    ) -> R:
        """Complete a plugin's result: model, price, output, warnings, attempts and timing.

        Raises:
            OutputInvalid: The answer does not have the shape that was asked for.
        """
        timing = result.timing or Timing()
        common: dict[str, Any] = {
            "model": prepared.deployment.name,
            "id": result.id or prepared.call.id,
            "cost": cost_of(result.usage, prepared.schema.pricing),
            "timing": Timing(timing.load, timing.prompt, timing.output, first_content, seconds),
            "warnings": prepared.warnings + result.warnings,
            "attempts": (*attempts, Attempt(prepared.deployment.id, None, seconds)),
        }
        if (
            isinstance(result, ChatResult)
            and isinstance(prepared.request, ChatRequest)
            and prepared.request.response_format
        ):
            whole = replace(result, **common)
            return cast("R", replace(whole, output=output_of(whole, prepared.request.response_format)))
        return replace(result, **common)


async def released(context: ProviderContext) -> None:
    """Break what an attempt still has open; the connection first."""
    http = context.open_http
    if http is not None:
        http.abort()
        with anyio.CancelScope(shield=True):
            await http.aclose()


def foreign(error: Exception, deployment: Deployment) -> ModelHubError:
    """Wrap what a plugin raised that is none of ours. A lone failure of a task group comes out bare."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, ModelHubError):
        return error
    wrapped = PluginError(
        f"the plugin failed: {type(error).__name__}: {error}",
        remedy=f"report it to the author of the plugin of provider {deployment.provider_id!r}",
    )
    wrapped.__cause__ = error
    return wrapped


def attributed(error: ModelHubError, deployment: Deployment, attempts: Sequence[Attempt]) -> ModelHubError:
    """Write into an error what was being called and what was tried."""
    error.provider = deployment.provider_id
    error.model = deployment.model
    error.deployment = deployment.id
    error.attempts = tuple(attempts)
    return error
