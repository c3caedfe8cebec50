"""From an error to what it means for where it came from: whose fault, what rests, and what trying again costs.

Owns no state and decides about no target: `health`, `concurrency`, `budget` and the pool act on a verdict, and
`modelhub.rules.failover` says which deployments are left. The table stands in docs/errors.md too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from modelhub.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    CredentialsInvalid,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    OutputInvalid,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    Retry,
    Scope,
    ServerError,
    StreamInterrupted,
    Timeout,
)

__all__ = ["Verdict", "may_be_charged", "verdict"]

_CONNECT_FAILED = 2.0
_TIMEOUT = 2.0

_REFUSED_CREDENTIAL = (AuthenticationFailed, PermissionDenied, QuotaExhausted, CredentialsInvalid)
_NO_WORK = frozenset({Scope.REQUEST, Scope.MODEL, Scope.LOCAL, Scope.CALLER})
_AGAIN_HERE = (Overloaded, ServerError, ConnectFailed, ConnectionLost, RateLimited)
_CONFLICT = 409


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error means for where it came from.

    Attributes:
        fault: How much it counts against the health of the endpoint: 0 not at all, 1 a fault, 2 the strongest sign.
        overload: Whether the endpoint should get fewer calls at once.
        credential: ``disable``: not used until it changes or a probe succeeds; ``quota``: rests for a quarter of an
            hour at least; ``None``: it is sound.
        cools: Whether calls should wait: a state of rates, no failure.
        model_only: Whether it holds for this model alone: others may be called there with the same credential.
        same: Whether the same deployment may be asked again, after a back-off.
        cost: What trying again takes from the budget of retries, wherever that is: 0 where a refusal was certain to
            come and cost the endpoint nothing.
        once: Whether one more try is the most that makes sense.
    """

    fault: float = 0.0
    overload: bool = False
    credential: Literal["disable", "quota"] | None = None
    cools: bool = False
    model_only: bool = False
    same: bool = False
    cost: float = 1.0
    once: bool = False


def verdict(error: ModelHubError, *, delivered: bool = False) -> Verdict:
    """Return what an error means for where it came from.

    What is local, the caller's own deadline, the caller's closing and a bad request count against nobody. An
    interruption is judged by the error it was raised from.

    Args:
        error: What the attempt failed with.
        delivered: Whether the caller has content of the attempt in hand: then nothing is asked again by itself, and
            what was asked for with ``on_interrupt`` decides.
    """
    if isinstance(error, StreamInterrupted):
        found = _interrupted(error)
    else:
        found = Verdict(
            fault=_fault(error),
            overload=_overload(error),
            credential=_credential(error),
            cools=isinstance(error, RateLimited),
            model_only=isinstance(error, (ModelNotFound, PermissionDenied)) and error.scope is not Scope.CALLER,
            same=_same(error),
            cost=_cost(error),
            once=_once(error),
        )
    return replace(found, same=False) if delivered else found


def may_be_charged(error: BaseException) -> bool:
    """Whether a vendor may bill an answer that did not come: it was under way when nobody waited for it any more.

    What a server refuses, or fails at by itself, is not billed as a rule. An answer of the wrong shape has come.
    """
    if not isinstance(error, Exception):
        return True  # cancelled
    if isinstance(error, Timeout):
        return error.sent is not False and error.status is None  # a server that gave up by itself says so
    return isinstance(error, StreamInterrupted)


def _interrupted(error: StreamInterrupted) -> Verdict:
    if error.scope is Scope.CALLER:
        return Verdict(cost=0.0)
    cause = error.__cause__
    if isinstance(cause, ModelHubError):
        return verdict(cause)
    return Verdict(fault=float(error.scope is Scope.ENDPOINT), same=error.retry is not Retry.NO)


def _fault(error: ModelHubError) -> float:
    if error.scope is not Scope.ENDPOINT or isinstance(error, Overloaded):
        return 0.0
    return _CONNECT_FAILED if isinstance(error, ConnectFailed) else 1.0


def _overload(error: ModelHubError) -> bool:
    if isinstance(error, Timeout):
        return error.phase in {"connect", "first_token"}
    return isinstance(error, (Overloaded, RateLimited))


def _credential(error: ModelHubError) -> Literal["disable", "quota"] | None:
    if error.scope is not Scope.CREDENTIAL:
        return None
    match error:
        case QuotaExhausted():
            return "quota"
        case AuthenticationFailed() | PermissionDenied():
            return "disable"
        case CredentialsInvalid() if error.status is not None:
            return "disable"  # a vendor said so; without a status the form did, and nothing was sent
        case _:
            return None


def _same(error: ModelHubError) -> bool:
    if error.retry in {Retry.NO, Retry.SAME}:
        return error.retry is Retry.SAME
    return isinstance(error, _AGAIN_HERE) or (isinstance(error, Timeout) and error.phase == "connect")


def _cost(error: ModelHubError) -> float:
    if error.retry is Retry.SAME or isinstance(error, OutputInvalid):
        return 1.0  # an output of the wrong shape was generated, and paid for
    if error.scope in _NO_WORK or isinstance(error, _REFUSED_CREDENTIAL):
        return 0.0
    return _TIMEOUT if isinstance(error, Timeout) else 1.0


def _once(error: ModelHubError) -> bool:
    if isinstance(error, OutputInvalid):
        return False
    return isinstance(error, MalformedResponse) or (error.status == _CONFLICT and error.retry is Retry.SAME)
