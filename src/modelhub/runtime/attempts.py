"""The one path of a call: describe, parameters, attempt, classify, finish.

Whole answers are in `modelhub.runtime.answers`, streams in `modelhub.runtime.stream`; both go through the one loop
here, which asks the balancer for a place, tries, and lets the error say whether and where to go on.
"""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast, final

import anyio

from modelhub.errors import (
    AuthenticationFailed,
    ModelHubError,
    NoDeploymentAvailable,
    PluginError,
)
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.capabilities import fit_to_model
from modelhub.rules.deprecation import deprecation_warning
from modelhub.rules.frames import clear_locals
from modelhub.rules.parameters import Policy, resolve_parameters
from modelhub.rules.routing.affinity import blocks
from modelhub.rules.routing.course import Course, Route
from modelhub.rules.routing.pool import Lease
from modelhub.rules.routing.tokens import counted_tokens, expected_tokens, texts_of
from modelhub.rules.routing.verdict import verdict
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.failures import attributed, foreign, redacted, too_late
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
from modelhub.types.usage import Timing

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.observation import AttemptObservation, Observation
    from modelhub.types.schema import ModelSchema

__all__ = ["Attempting", "Call", "Prepared", "Server", "Try", "new_call_id", "released"]

R = TypeVar("R", bound=Result)
R_co = TypeVar("R_co", bound=Result, covariant=True)
T = TypeVar("T")

Attempting: TypeAlias = Callable[["Call[Any]", "Try"], Awaitable[T]]
"""What is done at one deployment after another, until it works at one of them."""

_ANSWERS: Mapping[type[Request[Any]], type[Result]] = {
    ChatRequest: ChatResult,
    EmbedRequest: EmbedResult,
    RerankRequest: RerankResult,
    TranscriptionRequest: TranscriptionResult,
    SpeechRequest: SpeechResult,
    ModerationRequest: ModerationResult,
}


def new_call_id() -> str:
    """Return a name for a call."""
    return f"call_{os.urandom(8).hex()}"


@dataclass(frozen=True, slots=True)
class Call(Generic[R_co]):
    """A call on its way.

    Attributes:
        request: What is asked, with the application's own parameters.
        route: What may be tried.
        deadline: Absolute, by the runtime's clock; ``None`` where the caller set none.
        policy: What becomes of parameters that a model does not take.
        progress: Told how far long things have come.
        id: Unique among all processes: tool calls are named by it, and histories outlive a process.
        skipped: Targets that could not even be tried, and why.
        observation: Who hears of it; ``None`` where nobody does.
    """

    request: Request[R_co]
    route: Route[Deployment]
    deadline: float | None
    policy: Policy
    progress: Callable[[Progress], None] | None = None
    id: str = field(default_factory=new_call_id)
    skipped: tuple[Attempt, ...] = ()
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """One try at one deployment.

    Attributes:
        lease: The call's place there.
        before: What was tried before it.
        watch: Who hears of it; ``None`` where nobody does.
    """

    lease: Lease[Deployment]
    before: tuple[Attempt, ...]
    watch: AttemptObservation | None = None

    @property
    def deployment(self) -> Deployment:
        """Where it is."""
        return self.lease.option.deployment


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call made ready for one deployment."""

    call: Call[Any]
    this: Try
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

    async def tried(self, call: Call[Any], attempt: Attempting[T], *, streaming: bool = False) -> T:
        """Run ``attempt`` with one deployment after another until one works.

        Args:
            call: The call.
            attempt: Is given the call, its place at a deployment and what was tried before. The place is given back
                when it returns.
            streaming: Whether the answer comes in pieces: then the place is kept, for ``attempt`` to give back.

        Raises:
            ModelHubError: The last attempt's error; ``attempts`` holds them all.
        """
        balancer, clock = self.runtime.balancer, self.runtime.clock
        course = self._course(call, streaming=streaming)
        attempts = call.skipped
        last: ModelHubError | None = None
        while True:
            try:
                lease = await balancer.lease(course)
            except NoDeploymentAvailable as refused:
                raise self._given_up(call, refused, last, attempts) from None
            this = Try(lease, attempts)
            start = clock()
            try:
                if call.observation is not None:
                    this = await _watched(call.observation, this)
                result = await attempt(call, this)
            except Exception as raised:  # noqa: BLE001  whatever a plugin raises is its own
                last = redacted(foreign(raised, this.deployment), this.deployment.credential)
            except BaseException as raised:
                balancer.abandoned(lease)
                clear_locals(raised)  # cancelled: a plugin's functions may have ended with a key in a variable
                raise
            else:
                if not streaming:
                    await self._answered(call, this, result, clock() - start)
                return result
            attempts = (*attempts, Attempt(this.deployment.id, type(last).__name__, clock() - start))
            if not await self._goes_on(course, this, attributed(last, this.deployment, attempts)):
                raise last

    async def _answered(self, call: Call[Any], this: Try, result: object, seconds: float) -> None:
        """Give back the place of a call that was answered all at once."""
        self.runtime.balancer.succeeded(this.lease, _pace(call.request, result, seconds))
        if isinstance(result, Result):
            self.runtime.balancer.settled(this.lease, result)
        if this.watch is not None:
            await this.watch.first_content()

    async def _goes_on(self, course: Course[Deployment], this: Try, error: ModelHubError) -> bool:
        """Learn from a failure; returns whether to try on."""
        balancer = self.runtime.balancer
        if isinstance(error, AuthenticationFailed):
            self.runtime.credentials.forget(this.deployment.plugin)
        judged = verdict(error)
        balancer.failed(this.lease, error, judged)
        goes_on = course.failed(this.lease.option, error, judged, self.runtime.clock(), balancer.random)
        if this.watch is not None:
            await this.watch.ended(error)
            if goes_on:
                wait = max(0.0, course.paused_until(this.lease.option) - self.runtime.clock())
                await this.watch.retry(error, wait=wait)
        return goes_on

    def _course(self, call: Call[Any], *, streaming: bool) -> Course[Deployment]:
        signal = "seconds"
        if isinstance(call.request, ChatRequest | SpeechRequest):
            signal = "first_token" if streaming else "per_token"
        sticks = any(group.pick == "sticky" for group in call.route.groups)
        limited = any(option.vitals.rates is not None for option in call.route.options)
        return Course(
            call.route,
            retries=self.runtime.settings.routing.retries,
            deadline=math.inf if call.deadline is None else call.deadline,
            signal=signal,
            tokens=expected_tokens(call.request) if limited else 0.0,
            session=call.request.session,
            blocks=blocks(texts_of(call.request)) if sticks and not call.request.session else (),
        )

    def _given_up(
        self, call: Call[Any], refused: NoDeploymentAvailable, last: ModelHubError | None, attempts: Sequence[Attempt]
    ) -> ModelHubError:
        """Return the error of a call that finds no place any more: what it failed with, if it was tried at all."""
        if last is not None:
            return last
        if call.deadline is not None and self.runtime.clock() >= call.deadline:
            return too_late(call.request)
        if call.route.options:
            attributed(refused, call.route.options[0].deployment, attempts)
        return refused

    async def prepare(self, call: Call[Any], this: Try, *, streaming: bool) -> Prepared:
        """Make a call ready for a deployment: load its plugin, describe its model, check its parameters.

        Raises:
            ModelHubError: It cannot be served there.
        """
        if call.deadline is None:
            return await self._prepared(call, this, streaming=streaming)
        with anyio.move_on_after(call.deadline - self.runtime.clock()):
            return await self._prepared(call, this, streaming=streaming)
        raise too_late(call.request)

    async def _prepared(self, call: Call[Any], this: Try, *, streaming: bool) -> Prepared:
        runtime, deployment = self.runtime, this.deployment
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
        return Prepared(call, this, deployment, bound, fitted, context, schema, warnings)

    async def invoked(self, prepared: Prepared, request: Request[Any]) -> Any:
        """Run the plugin's ``invoke``, and break what it leaves open when it fails."""
        try:
            return await self.timed(prepared, request)
        except BaseException:
            self.learn(prepared)
            await released(prepared.context)
            raise

    def learn(self, prepared: Prepared) -> None:
        """Heed what the last answer's headers say of rate limits."""
        http = prepared.context.open_http
        if http is not None and http.rate is not None:
            self.runtime.balancer.learned(prepared.this.lease, http.rate)

    async def timed(self, prepared: Prepared, request: Request[Any]) -> Any:
        """Run the plugin's ``invoke``, within the caller's deadline; its node is looked after meanwhile."""
        prober, option = self.runtime.balancer.prober, prepared.this.lease.option
        if prober is None:
            return await self._run(prepared, request)
        waiting = prober.wait(option, prepared.context.open_http)
        try:
            return await self._run(prepared, request)
        finally:
            prober.came(option, waiting)

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
    ) -> R:
        """Complete a plugin's result: model, price, output, warnings, attempts and timing.

        Raises:
            OutputInvalid: The answer does not have the shape that was asked for.
        """
        self.learn(prepared)
        timing = result.timing or Timing()
        provider = prepared.deployment.plugin.schema
        cost = await self.prices.cost(prepared.request, result, prepared.schema, provider, seconds=seconds)
        common: dict[str, Any] = {
            "model": prepared.deployment.name,
            "id": result.id or prepared.call.id,
            "cost": cost,
            "timing": Timing(timing.load, timing.prompt, timing.output, first_content, seconds),
            "warnings": prepared.warnings + result.warnings,
            "attempts": (*prepared.this.before, Attempt(prepared.deployment.id, None, seconds)),
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


async def _watched(observation: Observation, this: Try) -> Try:
    """Have a try be heard of."""
    deployment = this.deployment
    watch = await observation.attempt(
        deployment.id, provider=deployment.provider_id, model=deployment.model, probe=this.lease.probe
    )
    return replace(this, watch=watch)


def _pace(request: Request[Any], result: object, seconds: float) -> float | None:
    """Return how fast an answer came: per token of a conversation, where those are known; else as a whole."""
    if not isinstance(request, ChatRequest | SpeechRequest):
        return seconds
    tokens = counted_tokens(result.usage)[1] if isinstance(result, Result) else None
    return seconds / tokens if tokens else None


async def released(context: ProviderContext) -> None:
    """Break what an attempt still has open; the connection first."""
    http = context.open_http
    if http is not None:
        http.abort()
        with anyio.CancelScope(shield=True):
            await http.aclose()
