"""What the hub tells of its work: records for sinks and middleware. Values, complete in themselves.

None holds a prompt, an answer, a key or a URL's password. Times are seconds: ``at`` since 1970 by the machine's clock,
all others by a monotonic one. What is not known is ``None``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from modelhub.errors import Retry, Scope
from modelhub.types.cost import Cost
from modelhub.types.events import FinishReason
from modelhub.types.schema import ModelType
from modelhub.types.usage import Usage

__all__ = [
    "AttemptEnded",
    "AttemptStarted",
    "CallEnded",
    "CallStarted",
    "CredentialDisabled",
    "DeploymentEjected",
    "DeploymentRecovered",
    "FirstContent",
    "Outcome",
    "Record",
    "RetryScheduled",
]

Outcome: TypeAlias = Literal["success", "failure", "cancelled", "abandoned"]
"""How a call or an attempt ended: ``abandoned`` is a stream that was closed before its end."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call begins; a `CallEnded` follows, whatever happens.

    Attributes:
        call: The call's id, the same in all records of it.
        targets: The models or routes asked, in order.
        model_type: The type of the model asked.
        streamed: Whether the answer comes in events.
        at: When, in seconds since 1970.
    """

    call: str
    targets: tuple[str, ...]
    model_type: ModelType
    streamed: bool
    at: float


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A deployment is tried; an `AttemptEnded` with the same number follows.

    Attributes:
        call: The call's id.
        number: Counts the attempts of the call, from 1.
        deployment: Provider, model and credential as one word.
        provider: The provider's id.
        model: The model, as the provider knows it.
        hedge: Whether it runs beside another attempt, to be faster.
        probe: Whether it is the one that may try an ejected deployment again.
        at: When, in seconds since 1970.
    """

    call: str
    number: int
    deployment: str
    provider: str
    model: str
    hedge: bool
    probe: bool
    at: float


@dataclass(frozen=True, slots=True)
class FirstContent:
    """The first content of an answer has come; of one that comes all at once, that is all of it.

    Attributes:
        call: The call's id.
        number: The attempt's.
        deployment: What gave it.
        seconds: From the attempt's start.
        call_seconds: From the call's start: what its caller has waited.
        at: When, in seconds since 1970.
    """

    call: str
    number: int
    deployment: str
    seconds: float
    call_seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """An attempt is over.

    Attributes:
        call: The call's id.
        number: The attempt's.
        deployment: What was tried.
        outcome: How it ended. ``cancelled`` also where another attempt of the call was faster.
        error: The class name of what it failed with.
        scope: Who is at fault, where it failed.
        retry: What may be tried after it, where it failed.
        seconds: How long it took.
        first_content: Seconds from its start to the first content, where it got so far.
        input_tokens: Tokens of the prompt, as the vendor counted them.
        output_tokens: Tokens generated, as the vendor counted them.
        at: When, in seconds since 1970.
    """

    call: str
    number: int
    deployment: str
    outcome: Outcome
    error: str | None
    scope: Scope | None
    retry: Retry | None
    seconds: float
    first_content: float | None
    input_tokens: int | None
    output_tokens: int | None
    at: float


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A call that failed will be tried again.

    Attributes:
        call: The call's id.
        number: The attempt that failed.
        deployment: Where it failed.
        error: The class name of what it failed with.
        wait: Seconds until the next attempt.
        at: When this was decided, in seconds since 1970.
    """

    call: str
    number: int
    deployment: str
    error: str
    wait: float
    at: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over: exactly one for each `CallStarted`.

    Attributes:
        call: The call's id.
        targets: The models or routes asked, in order.
        model_type: The type of the model asked.
        streamed: Whether the answer came in events.
        outcome: How it ended.
        error: The class name of what the caller got, where it failed.
        deployment: What was tried last; of a success, what answered.
        attempts: How many attempts were made.
        seconds: How long the caller waited for all of it.
        first_content: Seconds from the call's start to the first content, where it got so far.
        finish_reason: Why the model stopped, of a chat.
        usage: What the answer used, without the vendor's raw figures.
        cost: What the answer cost.
        at: When, in seconds since 1970.
    """

    call: str
    targets: tuple[str, ...]
    model_type: ModelType
    streamed: bool
    outcome: Outcome
    error: str | None
    deployment: str | None
    attempts: int
    seconds: float
    first_content: float | None
    finish_reason: FinishReason | None
    usage: Usage | None
    cost: Cost | None
    at: float


@dataclass(frozen=True, slots=True)
class DeploymentEjected:
    """A deployment has failed too often and gets no calls for a while.

    Attributes:
        deployment: Provider, model and credential as one word.
        error: The class name of its last failure.
        seconds: For how long.
        at: When, in seconds since 1970.
    """

    deployment: str
    error: str | None
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class DeploymentRecovered:
    """An ejected deployment serves calls again.

    Attributes:
        deployment: Provider, model and credential as one word.
        seconds: How long it got none, where that is known.
        at: When, in seconds since 1970.
    """

    deployment: str
    seconds: float | None
    at: float


@dataclass(frozen=True, slots=True)
class CredentialDisabled:
    """A credential was refused and is not used any more.

    Attributes:
        deployment: Where it was refused: provider, model and the credential's name as one word. No other model of the
            provider is called with it either.
        error: The class name of the refusal.
        seconds: For how long; ``None`` for as long as the hub is entered.
        at: When, in seconds since 1970.
    """

    deployment: str
    error: str
    seconds: float | None
    at: float


Record: TypeAlias = (
    CallStarted
    | AttemptStarted
    | FirstContent
    | AttemptEnded
    | RetryScheduled
    | CallEnded
    | DeploymentEjected
    | DeploymentRecovered
    | CredentialDisabled
)
"""All of them. The union is open: sinks skip records that they do not know."""
