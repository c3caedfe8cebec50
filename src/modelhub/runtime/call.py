"""A call on its way, a try of it at one deployment, and that made ready: values."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from modelhub.rules.parameters import Policy
from modelhub.rules.routing.course import Option, Route
from modelhub.rules.routing.pool import Lease
from modelhub.runtime.deployments import Deployment
from modelhub.types.records import Attempt, Progress, Warning
from modelhub.types.requests import Request
from modelhub.types.results import Result

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.observation import AttemptObservation, Observation
    from modelhub.runtime.registration import BoundProvider
    from modelhub.types.pricing import Pricing
    from modelhub.types.schema import ModelSchema

__all__ = ["Call", "Prepared", "Try", "new_call_id"]

R_co = TypeVar("R_co", bound=Result, covariant=True)


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
        hedged: Whether it may be sent twice at once, where the settings want that.
        last: Those that broke off before, and are asked again only where nothing else is well.
    """

    request: Request[R_co]
    route: Route[Deployment]
    deadline: float | None
    policy: Policy
    progress: Callable[[Progress], None] | None = None
    id: str = field(default_factory=new_call_id)
    skipped: tuple[Attempt, ...] = ()
    observation: Observation | None = None
    hedged: bool = True
    last: tuple[Option[Deployment], ...] = ()

    def seconds_left(self, clock: Callable[[], float]) -> float | None:
        """Return the time until its deadline, negative after it; ``None`` where there is none."""
        return None if self.deadline is None else self.deadline - clock()


@dataclass(frozen=True, slots=True)
class Try:
    """One try at one deployment.

    Attributes:
        lease: The call's place there.
        before: What was tried before it, or has failed beside it by now.
        watch: Who hears of it; ``None`` where nobody does.
    """

    lease: Lease[Deployment]
    before: Sequence[Attempt]
    watch: AttemptObservation | None = None

    @property
    def deployment(self) -> Deployment:
        """Where it is."""
        return self.lease.option.deployment


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call made ready for one deployment.

    Attributes:
        pricing: What its answer costs, where that is counted against a budget and known.
        answers: What came whole so far, and what was asked for it: of an embedding there are several.
    """

    call: Call[Any]
    this: Try
    deployment: Deployment
    bound: BoundProvider
    request: Request[Any]
    context: ProviderContext
    schema: ModelSchema
    warnings: tuple[Warning, ...]
    pricing: Pricing | None = None
    answers: list[tuple[Request[Any], Result]] = field(default_factory=list)
