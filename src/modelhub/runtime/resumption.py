"""What becomes of a stream that breaks off after its first content, as its caller wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from modelhub.errors import Scope, StreamInterrupted
from modelhub.provider.base import REQUEST_TYPES
from modelhub.rules.fold import ChatFold, SpeechFold
from modelhub.rules.resuming import Splice, continued, emitted_tokens, family, may_continue
from modelhub.rules.routing.course import Group, Route
from modelhub.rules.routing.tokens import used_so_far
from modelhub.rules.routing.verdict import verdict
from modelhub.types.events import ChatEvent, Event
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult, Result
from modelhub.types.usage import Usage

if TYPE_CHECKING:
    from modelhub.runtime.call import Call, Prepared
    from modelhub.runtime.deployments import Deployment
    from modelhub.runtime.server import Server

__all__ = ["Resumption"]

R = TypeVar("R", bound=Result)

_MOST = 2
"""How often one stream may begin again or be continued."""

_OTHERS_MAY_DO_BETTER = (Scope.ENDPOINT, Scope.CREDENTIAL)


@final
class Resumption:
    """Whether and how a stream goes on.

    Attributes:
        splice: Joins a continuation to what came before it, once there is one.
    """

    __slots__ = ("_left", "splice")

    def __init__(self) -> None:
        self._left = _MOST
        self.splice: Splice | None = None

    def spliced(self, event: Event) -> Iterable[Event]:
        """Return what an event becomes: itself, unless it belongs to a continuation."""
        return (event,) if self.splice is None else self.splice.take(cast("ChatEvent", event))

    def rest(self) -> Iterable[Event]:
        """Return what is held back still of a continuation that broke off."""
        return () if self.splice is None else self.splice.flush()

    def given_up(self, server: Server, prepared: Prepared, fold: ChatFold | SpeechFold) -> None:
        """Count what an attempt cost that was given up: of what came, that which it has brought itself.

        Args:
            server: What counts it.
            prepared: The attempt.
            fold: What came of the whole answer.
        """
        splice = self.splice

        def used() -> Usage:
            partial = fold.result()
            if splice is None:
                return used_so_far(prepared.request, partial, partial.usage)
            return used_so_far(prepared.request, partial, splice.usage, before=splice.partial)

        server.given_up(prepared, used)

    def begun_anew(self, fold: ChatFold | SpeechFold) -> None:
        """Another attempt begins: what one before it has told of a continuation is none of its own."""
        if self.splice is not None:
            self.splice = Splice(self.splice.partial)
            fold.usage = self.splice.partial.usage

    def flagged(self, result: R) -> R:
        """Return a whole answer, which says so where it was continued."""
        if self.splice is None or not isinstance(result, ChatResult):
            return result
        return cast("R", replace(result, resumed=True))

    def next_call(
        self, server: Server, prepared: Prepared, partial: Result, error: StreamInterrupted
    ) -> Call[Any] | None:
        """Return the call that the stream goes on with, or ``None``: it does not.

        Why an answer cannot be continued becomes the error's remedy. What goes on is paid from the budget of retries.

        Args:
            server: What knows the models.
            prepared: The attempt that broke off.
            partial: What came.
            error: What it broke off with.
        """
        call = prepared.call
        how = call.request.on_interrupt
        done = self._left <= 0 or self.splice is not None  # what was continued once is not continued again
        if how == "raise" or done or error.scope not in _OTHERS_MAY_DO_BETTER:
            return None
        following = replace(call, skipped=error.attempts, hedged=False, last=(*call.last, prepared.this.lease.option))
        if how == "continue":
            following_or_reason = self._continuation(server, prepared, partial, following)
            if isinstance(following_or_reason, str):
                error.remedy = f"it was not continued: {following_or_reason}"
                return None
            following = following_or_reason
        if not call.route.budget.spend(verdict(error).cost, server.runtime.clock()):
            return None
        self._left -= 1
        if how == "continue":
            self.splice = Splice(cast("ChatResult[None]", partial))
        return following

    def _continuation(self, server: Server, prepared: Prepared, partial: Result, call: Call[Any]) -> Call[Any] | str:
        request = prepared.request
        if not isinstance(request, ChatRequest) or not isinstance(partial, ChatResult):
            return "only conversations can be continued"
        reason = may_continue(request, partial, prepared.schema)
        if reason is not None:
            return reason
        asked = continued(request, partial, emitted_tokens(partial))
        provider = prepared.deployment.provider_id
        groups = _of_same_family(server, prepared, call.route)
        return replace(
            call,
            request=replace(
                asked,
                model=call.request.model,
                vendor={**call.request.vendor, provider: asked.options},
                options={},
                on_interrupt=call.request.on_interrupt,
            ),
            route=replace(call.route, groups=groups),
        )


def _of_same_family(server: Server, prepared: Prepared, route: Route[Deployment]) -> tuple[Group[Deployment], ...]:
    """Return the deployments of a route whose model may go on with the answer of the one that broke off."""
    own = family(prepared.deployment.provider_id, prepared.schema)
    kind = REQUEST_TYPES[type(prepared.request)]

    def fits(deployment: Deployment) -> bool:
        return family(deployment.provider_id, server.catalogue.presumed(deployment, kind)) == own

    groups: Sequence[Group[Deployment]] = [
        replace(group, options=tuple(option for option in group.options if fits(option.deployment)))
        for group in route.groups
    ]
    return tuple(group for group in groups if group.options)
