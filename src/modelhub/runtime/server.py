"""What every try of a call goes through at its deployment: describe, parameters, ask, finish."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import anyio

from modelhub.errors import ModelHubError, PluginError, StreamInterrupted
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.capabilities import check_length, fit_to_model
from modelhub.rules.deprecation import deprecation_warning
from modelhub.rules.parameters import resolve_parameters
from modelhub.rules.routing.tokens import used_so_far
from modelhub.rules.routing.verdict import may_be_charged
from modelhub.runtime.call import Call, Prepared, Try
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.deadlines import in_time
from modelhub.runtime.output import output_of
from modelhub.runtime.prices import PriceBook
from modelhub.types.records import Attempt
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
from modelhub.types.usage import Timing, Usage

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.registration import BoundProvider
    from modelhub.types.cost import Cost
    from modelhub.types.schema import ModelSchema, ModelType

__all__ = ["Server", "released"]

R = TypeVar("R", bound=Result)

_ANSWERS: Mapping[type[Request[Any]], type[Result]] = {
    ChatRequest: ChatResult,
    EmbedRequest: EmbedResult,
    RerankRequest: RerankResult,
    TranscriptionRequest: TranscriptionResult,
    SpeechRequest: SpeechResult,
    ModerationRequest: ModerationResult,
}


@final
class Server:
    """Serves calls, one deployment at a time.

    Args:
        runtime: What contexts are made with.
        catalogue: What models are described by.
        prices: What models cost; without it, what plugins say.
    """

    def __init__(self, runtime: Runtime, catalogue: Catalogue, prices: PriceBook | None = None) -> None:
        self.runtime = runtime
        self.catalogue = catalogue
        self.prices: PriceBook = prices or PriceBook("manifest")

    async def prepare(self, call: Call[Any], this: Try, *, streaming: bool) -> Prepared:
        """Make a call ready for a deployment: load its plugin, describe its model, check its parameters.

        Raises:
            ModelHubError: It cannot be served there.
        """
        left = call.seconds_left(self.runtime.clock)
        try:
            return await in_time(self._prepared(call, this, streaming=streaming), left, call.request)
        except ModelHubError as error:
            if error.sent is None:
                error.sent = False
            raise

    async def _prepared(self, call: Call[Any], this: Try, *, streaming: bool) -> Prepared:
        runtime, deployment = self.runtime, this.deployment
        bound = deployment.plugin.bound or await runtime.registry.bound(deployment.plugin)
        request = call.request
        limits = runtime.limits(deployment.plugin, deadline=call.deadline, total=request.timeout, streaming=streaming)
        context = await runtime.context(bound, deployment, limits, progress=call.progress)
        kind = REQUEST_TYPES[type(request)]
        schema = self.catalogue.known(deployment, kind)
        if schema is None:
            schema = await self._described(this, kind, bound, context)
        pricing = None
        if deployment.budget is None:
            self.prices.begin(schema, deployment.plugin.schema)
        else:  # what is given up must be counted at once
            pricing = await self.prices.pricing_for(schema, deployment.plugin.schema)
        if context.open_http is not None:
            context.open_http.on_rates = partial(runtime.balancer.learned, this.lease)
        options = request.vendor.get(deployment.provider_id, {})
        if deployment.options:
            options = {**deployment.options, **options}
        fitted: Request[Any]
        common: dict[str, Any] = {"model": deployment.model, "id": call.id}
        if isinstance(request, ChatRequest):
            if len(call.route.groups) > 1 and len(call.route.models) > 1:
                check_length(request, schema)
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
        return Prepared(call, this, deployment, bound, fitted, context, schema, warnings, pricing)

    async def _described(
        self, this: Try, kind: ModelType, bound: BoundProvider, context: ProviderContext
    ) -> ModelSchema:
        """Describe the model. That may ask its node, which is looked after meanwhile as for an answer."""
        prober = self.runtime.balancer.prober
        waiting = None if prober is None else prober.wait(this.lease, context.open_http)
        try:
            return await self.catalogue.describe(this.deployment, kind, bound, context)
        except BaseException:
            await released(context)
            raise
        finally:
            if prober is not None:
                prober.came(waiting, answered=False)  # it may have been remembered

    async def invoked(
        self, prepared: Prepared, request: Request[Any], checked: Callable[[Any], Any] | None = None
    ) -> Any:
        """Run the plugin's ``invoke``, and break what it leaves open when it fails.

        Args:
            prepared: Where it runs.
            request: What is asked there.
            checked: Returns the answer, or raises where it cannot be one.
        """
        try:
            return await self.timed(prepared, request, checked)
        except BaseException as error:
            await self.broke_off(prepared, error)
            raise

    async def broke_off(self, prepared: Prepared, error: BaseException) -> None:
        """A whole answer did not come: count what it used all the same, and break what is still open."""
        came = error.partial if isinstance(error, StreamInterrupted) else None
        if prepared.answers:
            self.given_up(prepared, lambda: _sum_of(prepared.answers))
        elif may_be_charged(error):
            self.given_up(prepared, lambda: used_so_far(prepared.request, came, None if came is None else came.usage))
        await released(prepared.context)

    def given_up(self, prepared: Prepared, used: Callable[[], Usage]) -> None:
        """Count what an answer used that was given up under way: the vendor counts it, and bills it. Never raises.

        Args:
            prepared: Where it came from.
            used: Says how much, where anybody wants to know.
        """
        deployment, lease = prepared.deployment, prepared.this.lease
        if deployment.budget is None and lease.option.vitals.rates is None:
            return
        try:
            usage = used()
            seconds = self.runtime.clock() - lease.begun
            cost = self.prices.cost_by(prepared.pricing, prepared.request, usage, deployment.name, seconds=seconds)
            self.runtime.balancer.settled(lease, usage, cost)
        except Exception as error:  # noqa: BLE001  plugins make anything, and what is given up must be given back
            prepared.context.log.warning("what an answer used cannot be told: %s", type(error).__name__)

    async def timed(
        self, prepared: Prepared, request: Request[Any], checked: Callable[[Any], Any] | None = None
    ) -> Any:
        """Run the plugin's ``invoke``, within the caller's deadline; its node is looked after meanwhile."""
        result = await self._watched(prepared, request)
        prepared.answers.append((request, result))
        return result if checked is None else checked(result)

    async def _watched(self, prepared: Prepared, request: Request[Any]) -> Any:
        prober = self.runtime.balancer.prober
        if prober is None:
            return await self._run(prepared, request)
        answered = False
        waiting = prober.wait(prepared.this.lease, prepared.context.open_http)
        try:
            result = await self._run(prepared, request)
            answered = True
        finally:
            prober.came(waiting, answered=answered)
        return result

    async def _run(self, prepared: Prepared, request: Request[Any]) -> Any:
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
        seconds: float,
        *,
        first_content: float | None = None,
        own: Usage | None = None,
    ) -> R:
        """Complete a plugin's result, and settle what it used: model, price, output, warnings, attempts and timing.

        Args:
            prepared: Where it came from.
            result: What the plugin made.
            seconds: How long it took.
            first_content: How long its first content took, of a stream.
            own: What this attempt alone used, where another had brought the beginning.

        Raises:
            OutputInvalid: The answer does not have the shape that was asked for.
        """
        timing = result.timing or Timing()
        cost = await self._cost(prepared, result, seconds)
        settled = result if own is None else replace(result, usage=own)
        spent = cost if own is None else await self._cost(prepared, settled, seconds)
        self.runtime.balancer.settled(prepared.this.lease, settled.usage, spent)
        common: dict[str, Any] = {
            "model": prepared.deployment.name,
            "id": result.id or prepared.call.id,
            "cost": cost,
            "timing": Timing(timing.load, timing.prompt, timing.output, first_content, seconds),
            "warnings": prepared.warnings + result.warnings,
            "attempts": (*prepared.this.before, self._worked(prepared)),
        }
        asked = prepared.call.request  # a shape that the model was not held to is still what the caller wants
        if isinstance(result, ChatResult) and isinstance(asked, ChatRequest) and asked.response_format:
            whole = replace(result, **common)
            return cast("R", replace(whole, output=output_of(whole, asked.response_format)))
        return replace(result, **common)

    async def _cost(self, prepared: Prepared, result: Result, seconds: float) -> Cost | None:
        left, provider = prepared.call.seconds_left(self.runtime.clock), prepared.deployment.plugin.schema
        patience = math.inf if left is None else max(0.0, left)
        return await self.prices.cost(
            prepared.request, result, prepared.schema, provider, seconds=seconds, patience=patience
        )

    def _worked(self, prepared: Prepared) -> Attempt:
        return Attempt(prepared.deployment.id, None, self.runtime.clock() - prepared.this.lease.begun)


def _sum_of(answers: Iterable[tuple[Request[Any], Result]]) -> Usage:
    """Return what answers used that came, as the vendor counts it, and else by their length."""
    used = [used_so_far(request, result, result.usage) for request, result in answers]
    return reduce(Usage.plus, used)


def _result(given: object, request: Request[Any]) -> object:
    """Return what a plugin gave, where it is an answer to what it was asked."""
    wanted = _ANSWERS[type(request)]
    if isinstance(given, wanted):
        return given
    raise PluginError(
        f"the plugin answered a {type(request).__name__} with a {type(given).__name__}",
        remedy=f"the plugin's author must return a {wanted.__name__}",
    )


async def released(context: ProviderContext) -> None:
    """Break what an attempt still has open; the connection first."""
    http = context.open_http
    if http is not None:
        http.abort()
        with anyio.CancelScope(shield=True):
            await http.aclose()
