"""The one path of a call: describe, parameters, attempt, classify, finish.

Whole answers here; streams in `modelhub.runtime.stream`.

One loop and one order: the deployments of the call, tried until one answers or an error says that trying on is
pointless.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast, final

import anyio

from modelhub.errors import (
    AuthenticationFailed,
    ModelHubError,
    NoDeploymentAvailable,
    PluginError,
    Timeout,
    UnsupportedFeature,
)
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.answers import checked_ranking, checked_vectors, joined_vectors
from modelhub.rules.capabilities import fit_to_model
from modelhub.rules.deprecation import deprecation_warning
from modelhub.rules.failover import left_to_try
from modelhub.rules.frames import clear_locals
from modelhub.rules.parameters import Policy, resolve_parameters
from modelhub.runtime.batches import in_order
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime, redacted
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.output import output_of
from modelhub.runtime.prices import PriceBook
from modelhub.runtime.registration import BoundProvider
from modelhub.types.records import Attempt, Progress, Warning
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    Request,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.results import (
    ChatResult,
    EmbedResult,
    ModerationResult,
    RerankResult,
    Result,
    SpeechResult,
    TranscriptionResult,
)
from modelhub.types.usage import Timing, TokenCount
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.types.schema import ModelSchema

__all__ = ["Call", "Prepared", "Server", "attributed", "foreign", "released", "too_late"]

R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)
T = TypeVar("T")

_ANSWERS: Mapping[type[Request[Any]], type[Result]] = {
    ChatRequest: ChatResult,
    EmbedRequest: EmbedResult,
    RerankRequest: RerankResult,
    TranscriptionRequest: TranscriptionResult,
    SpeechRequest: SpeechResult,
    ModerationRequest: ModerationResult,
}


@dataclass(frozen=True, slots=True)
class Call(Generic[R_co]):
    """A call on its way.

    Attributes:
        request: What is asked, with the application's own parameters.
        deployments: What may be tried, in order.
        deadline: Absolute, by the runtime's clock; ``None`` where the caller set none.
        policy: What becomes of parameters that a model does not take.
        progress: Told how far long things have come.
        id: Unique among all processes: tool calls are named by it, and histories outlive a process.
        skipped: Targets that could not even be tried, and why.
    """

    request: Request[R_co]
    deployments: Sequence[Deployment]
    deadline: float | None
    policy: Policy
    progress: Callable[[Progress], None] | None = None
    id: str = field(default_factory=lambda: f"call_{os.urandom(8).hex()}")
    skipped: tuple[Attempt, ...] = ()


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
        prices: What models cost; without it, what plugins say.
    """

    def __init__(self, runtime: Runtime, catalogue: Catalogue, prices: PriceBook | None = None) -> None:
        self.runtime = runtime
        self.catalogue = catalogue
        self.prices: PriceBook = prices or PriceBook("manifest")

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
        attempts = list(call.skipped)
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
            except BaseException as raised:
                clear_locals(raised)  # cancelled: a plugin's functions may have ended with a key in a variable
                raise
            redacted(error, deployment.credential)
            if isinstance(error, AuthenticationFailed):
                self.runtime.credentials.forget(deployment.plugin)
            attempts.append(Attempt(deployment.id, type(error).__name__, clock() - start))
            rest = left_to_try(error, deployment, rest)
            if not rest or (call.deadline is not None and clock() >= call.deadline):
                raise attributed(error, deployment, attempts)
        raise NoDeploymentAvailable("there is nothing to try")

    async def prepare(self, call: Call[Any], deployment: Deployment, *, streaming: bool) -> Prepared:
        """Make a call ready for a deployment: load its plugin, describe its model, check its parameters.

        Raises:
            ModelHubError: It cannot be served there.
        """
        if call.deadline is None:
            return await self._prepared(call, deployment, streaming=streaming)
        with anyio.move_on_after(call.deadline - self.runtime.clock()):
            return await self._prepared(call, deployment, streaming=streaming)
        raise too_late(call.request)

    async def _prepared(self, call: Call[Any], deployment: Deployment, *, streaming: bool) -> Prepared:
        runtime = self.runtime
        bound = deployment.plugin.bound or await runtime.registry.bound(deployment.plugin)
        request = call.request
        limits = runtime.limits(deployment.plugin, deadline=call.deadline, total=request.timeout, streaming=streaming)
        context = await runtime.context(bound, deployment, limits, progress=call.progress)
        kind = REQUEST_TYPES[type(request)]
        schema = self.catalogue.known(deployment, kind)
        if schema is None:
            try:
                schema = await self.catalogue.describe(deployment, kind, bound, context)
            except BaseException:
                await released(context)
                raise
        self.prices.begin(schema, deployment.plugin.schema)
        options = request.vendor.get(deployment.provider_id, {})
        if deployment.options:
            options = {**deployment.options, **options}
        fitted: Request[Any]
        common: dict[str, Any] = {"model": deployment.model, "id": call.id}
        if isinstance(request, ChatRequest):
            given = {**deployment.parameters, **request.parameters} if deployment.parameters else request.parameters
            common |= {"given": given, "options": options, "stream": streaming}
            fitted, warnings = fit_to_model(cast("ChatRequest[None]", request), schema, policy=call.policy, **common)
        else:
            resolved = resolve_parameters({}, options, schema.parameter_rules, policy=call.policy)
            warnings = resolved.warnings
            fitted = replace(request, options=resolved.options, schema=schema, **common)
        if schema.deprecated or schema.deprecation is not None:
            ends = deprecation_warning(schema, dt.datetime.now(dt.UTC).date())
            warnings = (*warnings, *([ends] if ends is not None else ()))
        return Prepared(call, deployment, bound, fitted, context, schema, warnings)

    async def _answered(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        result: Result = await self._invoked(prepared, prepared.request)
        return await self.finished(prepared, result, attempts, self.runtime.clock() - start)

    async def _ranked(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        asked = cast("RerankRequest", call.request)
        if not asked.documents or asked.top_n == 0:
            return _without_asking(call, deployment, attempts, RerankResult(documents=()))
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        request = cast("RerankRequest", prepared.request)
        result = checked_ranking(await self._invoked(prepared, request), request)
        return await self.finished(prepared, result, attempts, self.runtime.clock() - start)

    async def _embedded(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> Result:
        """Embed in batches. One deployment serves them all: vectors of different models must not be mixed."""
        if not cast("EmbedRequest", call.request).texts:
            return _without_asking(call, deployment, attempts, EmbedResult(vectors=[]))
        start = self.runtime.clock()
        prepared = await self.prepare(call, deployment, streaming=False)
        request = cast("EmbedRequest", prepared.request)
        size = prepared.schema.model_properties.get("max_chunks")
        size = size if isinstance(size, int) and size > 0 else prepared.bound.batch_size()
        batches = [replace(request, texts=request.texts[at : at + size]) for at in range(0, len(request.texts), size)]
        if len(batches) == 1:
            result = checked_vectors(await self._invoked(prepared, request), request)
        else:
            try:
                result = joined_vectors(await in_order(partial(self._batch, prepared), batches))
            except BaseException:
                await released(prepared.context)
                raise
        return await self.finished(prepared, result, attempts, self.runtime.clock() - start)

    async def _batch(self, prepared: Prepared, batch: EmbedRequest) -> EmbedResult:
        prepared.context.limits.restart()
        return checked_vectors(await self._timed(prepared, batch), batch)

    async def _counted(self, call: Call[Any], deployment: Deployment, attempts: list[Attempt]) -> TokenCount:
        del attempts
        prepared = await self.prepare(call, deployment, streaming=False)
        count = None
        if prepared.bound.count_tokens is not None:
            seconds = math.inf if call.deadline is None else call.deadline - self.runtime.clock()
            try:
                with anyio.move_on_after(seconds) as scope:
                    count = await prepared.bound.count_tokens(prepared.request, prepared.context)
            finally:
                await released(prepared.context)
            if scope.cancelled_caught:
                raise too_late(call.request)
        if count is None:
            raise UnsupportedFeature(f"provider {deployment.provider_id!r} cannot count tokens")
        return count

    async def _invoked(self, prepared: Prepared, request: Request[Any]) -> Any:
        """Run the plugin's ``invoke``, and break what it leaves open when it fails."""
        try:
            return await self._timed(prepared, request)
        except BaseException:
            await released(prepared.context)
            raise

    async def _timed(self, prepared: Prepared, request: Request[Any]) -> Any:
        """Run the plugin's ``invoke``, within the caller's deadline."""
        bound, context, deadline = prepared.bound, prepared.context, prepared.call.deadline
        if deadline is None or bound.times_itself(request):
            return _result(await bound.invoke(request, context), request)
        with anyio.move_on_after(deadline - self.runtime.clock()):
            return _result(await bound.invoke(request, context), request)
        raise context.limits.expired("read", sent=True)

    async def finished(
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
        provider = prepared.deployment.plugin.schema
        cost = await self.prices.cost(prepared.request, result, prepared.schema, provider, seconds=seconds)
        common: dict[str, Any] = {
            "model": prepared.deployment.name,
            "id": result.id or prepared.call.id,
            "cost": cost,
            "timing": Timing(timing.load, timing.prompt, timing.output, first_content, seconds),
            "warnings": prepared.warnings + result.warnings,
            "attempts": (*attempts, Attempt(prepared.deployment.id, None, seconds)),
        }
        asked = prepared.call.request  # a shape that the model was not held to is still what the caller wants
        if isinstance(result, ChatResult) and isinstance(asked, ChatRequest) and asked.response_format:
            whole = replace(result, **common)
            return cast("R", replace(whole, output=output_of(whole, asked.response_format)))
        return replace(result, **common)


def _result(given: object, request: Request[Any]) -> object:
    """Return what a plugin gave, where it is an answer to what it was asked."""
    wanted = _ANSWERS[type(request)]
    if isinstance(given, wanted):
        return given
    raise PluginError(
        f"the plugin answered a {type(request).__name__} with a {type(given).__name__}",
        remedy=f"the plugin's author must return a {wanted.__name__}",
    )


def _without_asking(call: Call[Any], deployment: Deployment, attempts: Sequence[Attempt], result: R) -> R:
    """Complete a result that is known without a request, because nothing was given."""
    tried = (*attempts, Attempt(deployment.id, None, 0.0))
    common: dict[str, Any] = {"model": deployment.name, "id": call.id, "attempts": tried, "timing": Timing(total=0.0)}
    return replace(result, **common)


def too_late(request: Request[Any]) -> Timeout:
    """Return the error of a call that has taken as long as its caller allows, before anything was sent."""
    seconds = request.timeout or 0.0
    message = f"no answer within the {seconds:g} s that the caller allowed"
    return Timeout(message, phase="total", seconds=seconds, sent=False)


async def released(context: ProviderContext) -> None:
    """Break what an attempt still has open; the connection first."""
    http = context.open_http
    if http is not None:
        http.abort()
        with anyio.CancelScope(shield=True):
            await http.aclose()


def foreign(error: Exception, deployment: Deployment) -> ModelHubError:
    """Wrap what a plugin raised that is none of ours. The failures of a task group come out as the first of them."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ModelHubError):
        return error
    wrapped = PluginError(
        f"the plugin failed: {type(error).__name__}: {_text(error)}",
        remedy=f"report it to the author of the plugin of provider {deployment.provider_id!r}",
    )
    wrapped.__cause__ = error
    return wrapped


def _text(error: Exception) -> str:
    try:
        return printable(str(error))
    except Exception:  # noqa: BLE001  a plugin's exception may be broken in itself
        return "(its text cannot be shown)"


def attributed(error: ModelHubError, deployment: Deployment, attempts: Sequence[Attempt]) -> ModelHubError:
    """Write into an error what was being called and what was tried."""
    error.provider = deployment.provider_id
    error.model = deployment.model
    error.deployment = deployment.id
    error.attempts = tuple(attempts)
    return error
