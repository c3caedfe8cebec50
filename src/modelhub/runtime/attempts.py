"""The one loop of every call: ask the balancer for a place, try, and let the error say whether and where to go on.

What is tried is given: whole answers by `modelhub.runtime.answers`, streams by `modelhub.runtime.stream`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, final

from modelhub.errors import AuthenticationFailed, ModelHubError
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.frames import clear_locals
from modelhub.rules.pricing import usual_price
from modelhub.rules.routing.affinity import blocks
from modelhub.rules.routing.course import Course
from modelhub.rules.routing.hedging import Hedging
from modelhub.rules.routing.tokens import counted_tokens, expected_tokens, texts_of
from modelhub.rules.routing.verdict import Verdict, verdict
from modelhub.runtime.call import Call, Try
from modelhub.runtime.deadlines import in_time
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.failures import attributed, foreign, redacted, too_late
from modelhub.runtime.hedging import Race
from modelhub.runtime.server import Server
from modelhub.types.records import Attempt
from modelhub.types.requests import ChatRequest, Request, SpeechRequest
from modelhub.types.results import Result

if TYPE_CHECKING:
    from modelhub.runtime.observation import Observation

__all__ = ["tried"]

T = TypeVar("T")

_Failure: TypeAlias = tuple[Try, ModelHubError, Verdict]
_Attempting: TypeAlias = Callable[[Call[Any], Try], Awaitable[T]]
_Discarding: TypeAlias = Callable[[T], Awaitable[object]]


async def tried(
    server: Server,
    call: Call[Any],
    attempt: _Attempting[T],
    *,
    discard: _Discarding[T] | None = None,
    generates: bool = True,
) -> T:
    """Run ``attempt`` with one deployment after another until one works.

    Args:
        server: What serves the call.
        call: The call.
        attempt: Is given the call, and a try: its place at a deployment, and what was tried before. The place is given
            back when it returns.
        discard: For answers that come in pieces: then the place is kept, for ``attempt`` to give back. Gives up one
            that nobody wants.
        generates: Whether it uses tokens.

    Raises:
        ModelHubError: The last attempt's error; ``attempts`` holds them all.
    """
    course = await _course(server, call, streaming=discard is not None, generates=generates)
    return await _Loop(server, call, course, attempt, discard).run()


@final
class _Loop(Generic[T]):
    """One call's tries."""

    __slots__ = (
        "_attempt",
        "_attempts",
        "_balancer",
        "_call",
        "_clock",
        "_course",
        "_discard",
        "_failures",
        "_last",
        "_server",
    )

    def __init__(
        self,
        server: Server,
        call: Call[Any],
        course: Course[Deployment],
        attempt: _Attempting[T],
        discard: _Discarding[T] | None,
    ) -> None:
        self._server = server
        self._call = call
        self._course = course
        self._attempt = attempt
        self._discard = discard
        self._balancer = server.runtime.balancer
        self._clock = server.runtime.clock
        self._attempts = list(call.skipped)
        self._failures: list[_Failure] = []
        self._last: ModelHubError | None = None

    async def run(self) -> T:
        while True:
            try:
                lease = await self._balancer.lease(self._course)
            except ModelHubError as refused:
                raise self._given_up(refused) from None
            self._failures.clear()
            won = await self._won(Try(lease, self._attempts))
            if won is not None:
                this, result = won
                if self._discard is None:
                    await self._answered(this, result)
                return result
            if not await self._goes_on() and self._last is not None:
                raise self._last

    async def _won(self, this: Try) -> tuple[Try, T] | None:
        """Make a try, or two at once where hedging is wanted; returns the one that answered, and its answer."""
        try:
            if self._call.observation is not None:
                this = await self._watched(self._call.observation, this)
            hedging = self._call.route.hedging if self._call.hedged else None
            after = None if hedging is None else hedging.after(self._course.signal)
            if hedging is not None and after is not None:
                return await self._raced(this, hedging, after)
            return this, await self._attempt(self._call, this)
        except Exception as raised:  # noqa: BLE001  whatever a plugin raises is its own
            await self._failed(this, raised)
            return None
        except BaseException as raised:
            self._balancer.abandoned(this.lease)
            clear_locals(raised)  # cancelled: a plugin's functions may have ended with a key in a variable
            raise

    async def _raced(self, first: Try, hedging: Hedging, after: float) -> tuple[Try, T] | None:
        async def lost(this: Try, beaten: bool) -> None:  # noqa: FBT001  as it is told
            if beaten:
                self._balancer.overtaken(this.lease)
                if this is first:
                    hedging.overtaken(self._course.signal, self._clock() - first.lease.begun)
            else:
                self._balancer.abandoned(this.lease)
            if this.watch is not None:
                await this.watch.ended(outcome="cancelled")

        run = partial(self._attempt, self._call)
        race = Race(run, failed=self._failed, discard=self._discard or _dropped, lost=lost)
        return await race.won(first, after=after, second=partial(self._second, first, hedging))

    async def _second(self, first: Try, hedging: Hedging) -> Try | None:
        """Give a hedge its place beside a try, if there is one, and it can be paid."""
        now = self._clock()
        lease = self._balancer.pool.choose(self._course.beside(first.lease.option), now)
        if lease is None:
            return None
        lease.course = self._course  # it was narrowed for the choice alone
        if not hedging.spend(now):
            self._balancer.unsent(lease)
            return None
        this = Try(lease, first.before)
        try:
            if self._call.observation is not None:
                this = await self._watched(self._call.observation, this, hedge=True)
        except BaseException:
            self._balancer.unsent(lease)  # the first one has just answered, or the caller has gone
            raise
        return this

    async def _watched(self, observation: Observation, this: Try, *, hedge: bool = False) -> Try:
        """Have a try be heard of."""
        deployment = this.deployment
        heard = observation.attempt(
            deployment.id, provider=deployment.provider_id, model=deployment.model, hedge=hedge, probe=this.lease.probe
        )
        return replace(this, watch=await in_time(heard, self._call.seconds_left(self._clock), self._call.request))

    async def _failed(self, this: Try, raised: Exception) -> None:
        """Learn from a failure."""
        deployment = this.deployment
        error = self._last = redacted(foreign(raised, deployment), deployment.credential)
        self._attempts.append(Attempt(deployment.id, type(error).__name__, self._clock() - this.lease.begun))
        attributed(error, deployment, self._attempts)
        if isinstance(error, AuthenticationFailed):
            self._server.runtime.credentials.forget(deployment.plugin)
        judged = verdict(error)
        self._balancer.failed(this.lease, error, judged)
        self._failures.append((this, error, judged))
        if this.watch is not None:
            await this.watch.ended(error)

    async def _goes_on(self) -> bool:
        """Whether anything is worth trying after a try, or two at once, failed: what goes on is paid for once."""
        course, random = self._course, self._balancer.random
        goes_on = True
        for number, (this, error, judged) in enumerate(self._failures, 1):
            paid = judged if number == len(self._failures) else replace(judged, cost=0.0)
            option, probe = this.lease.option, this.lease.probe
            goes_on = course.failed(option, error, paid, self._clock(), random, probe=probe) and goes_on
        this, error, _ = self._failures[-1]
        if goes_on and this.watch is not None:
            await this.watch.retry(error, wait=max(0.0, course.paused_until(this.lease.option) - self._clock()))
        return goes_on

    async def _answered(self, this: Try, result: object) -> None:
        """Give back the place of a call that was answered all at once."""
        self._balancer.succeeded(this.lease, _pace(self._call.request, result, self._clock() - this.lease.begun))
        if this.watch is not None:
            await this.watch.first_content()

    def _given_up(self, refused: ModelHubError) -> ModelHubError:
        """Return the error of a call that finds no place any more: what it failed with, if it was tried at all."""
        if self._last is not None:
            return self._last
        call = self._call
        if call.deadline is not None and self._clock() >= call.deadline:
            return too_late(call.request)
        options = call.route.options
        spoken_of = next((each for each in options if each.id == refused.deployment), options[0] if options else None)
        if spoken_of is not None:
            attributed(refused, spoken_of.deployment, self._attempts)
        return refused

    def __repr__(self) -> str:
        return f"<loop of {self._call.id}: {len(self._attempts)} attempts, {self._course!r}>"


async def _course(server: Server, call: Call[Any], *, streaming: bool, generates: bool) -> Course[Deployment]:
    signal = "seconds"
    if isinstance(call.request, ChatRequest | SpeechRequest):
        signal = "first_token" if streaming else "per_token"
    sticks = any(group.pick == "sticky" for group in call.route.groups)
    cheapest = any(group.pick == "cheapest" for group in call.route.groups)
    prices = None
    if cheapest:
        prices = await in_time(_usual_prices(server, call), call.seconds_left(server.runtime.clock), call.request)
    limited = generates and any(option.vitals.rates is not None for option in call.route.options)
    return Course(
        call.route,
        retries=server.runtime.settings.routing.retries,
        deadline=math.inf if call.deadline is None else call.deadline,
        signal=signal,
        tokens=expected_tokens(call.request) if limited else 0.0,
        session=call.request.session,
        blocks=blocks(texts_of(call.request)) if sticks and not call.request.session else (),
        prices=prices,
        last=call.last,
    )


async def _usual_prices(server: Server, call: Call[Any]) -> Mapping[str, float]:
    """Return what a usual call costs at each deployment whose price is known, by their ids."""
    kind = REQUEST_TYPES[type(call.request)]
    found: dict[str, float] = {}
    for option in call.route.options:
        deployment = option.deployment
        schema = server.catalogue.known(deployment, kind)
        if schema is None:
            listed = (await server.runtime.registry.models(deployment.plugin)).get((kind, deployment.model))
            schema = server.catalogue.presumed(deployment, kind, listed)
        (priced,) = await server.prices.priced([schema], deployment.plugin.schema)
        price = None if priced.pricing is None else usual_price(priced.pricing)
        if price is not None:
            found[option.id] = float(price)
    return found


async def _dropped(result: object) -> None:
    """Give up a whole answer that came too late: nothing of it is open."""
    del result


def _pace(request: Request[Any], result: object, seconds: float) -> float | None:
    """Return how fast an answer came: per token of a conversation, where those are known; else as a whole."""
    if not isinstance(request, ChatRequest | SpeechRequest):
        return seconds
    tokens = counted_tokens(result.usage)[1] if isinstance(result, Result) else None
    return seconds / tokens if tokens else None
