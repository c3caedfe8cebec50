"""The error of a call that nothing can serve in time, from what keeps each deployment from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelhub.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    CircuitOpen,
    CredentialsInvalid,
    DeadlineExceeded,
    LocalRateLimited,
    ModelHubError,
    NoDeploymentAvailable,
    QueueFull,
    QuotaExhausted,
)
from modelhub.rules.routing.course import Option
from modelhub.rules.routing.vitals import Block

__all__ = ["refusal", "refused_with"]

_NOT_WELL = frozenset({"ejected", "refused key", "no such model"})
"""What keeps those from a call that are well decides; what the others lack, only where none is."""

_UNKNOWN_SECONDS = 1.0
"""What a call may take until one has been answered."""

_OF_ONE_REASON: dict[str, type[NoDeploymentAvailable]] = {
    "rate limit": LocalRateLimited,
    "budget": BudgetExceeded,
    "ejected": CircuitOpen,
}


_OF_KEYS: dict[str, type[ModelHubError]] = {
    cls.__name__: cls for cls in (AuthenticationFailed, CredentialsInvalid, QuotaExhausted)
}
"""What keys are refused with, as a class of ours: plugins' own are told to other processes too, which may lack them."""


_REMEDIES: dict[type[NoDeploymentAvailable], str] = {
    QueueFull: "ask for less at once, add deployments, or raise [routing] queue",
    DeadlineExceeded: "allow more time, ask for less at once, or add deployments",
    LocalRateLimited: "wait, raise rpm or tpm, or add a credential",
    BudgetExceeded: "wait for the next period, or raise the budget",
    CircuitOpen: "look at what the servers answer: each of them has failed too often of late",
}


def refusal(blocks: Sequence[tuple[Option[Any], Block | None]], now: float, *, full: bool = False) -> ModelHubError:
    """Build the error: what kept each one, and when it is worth trying again. Of keys that were refused, it is that.

    Args:
        blocks: What keeps each deployment that is left from the call.
        now: The time.
        full: Whether there is no room to wait for those that are merely busy.
    """
    reasons = {"busy" if block is None else block.reason for _, block in blocks}
    reasons = reasons - _NOT_WELL or reasons
    earliest = min((_when(option, block, now) for option, block in blocks), default=math.inf)
    wait = None if earliest == math.inf else max(0.0, earliest - now)
    said = "; ".join(f"{option.id}: {_shown(block, now)}" for option, block in blocks)
    if reasons == {"refused key"}:
        return _refused(blocks, said, wait)
    cls: type[NoDeploymentAvailable] = NoDeploymentAvailable
    if "busy" in reasons:
        cls = QueueFull if full else DeadlineExceeded
    elif len(reasons) == 1:
        cls = _OF_ONE_REASON.get(next(iter(reasons)), NoDeploymentAvailable)
    message = f"no deployment can be called now: {said}" if said else "nothing is left to try"
    return cls(message, remedy=_REMEDIES.get(cls), retry_after=wait, sent=False)


def _refused(blocks: Sequence[tuple[Option[Any], Block | None]], said: str, wait: float | None) -> ModelHubError:
    """Return the error of keys that were all refused: as the vendor said of the one that is tried again first."""
    first = min(blocks, key=lambda each: math.inf if each[1] is None else each[1].until)[0]
    cls = _OF_KEYS.get(first.vitals.key.reason, NoDeploymentAvailable)
    message = f"refused before, and left alone for a while: {said}"
    remedy = "replace the credential; one that was mended is used again at once after hub.validate"
    error = cls(message, remedy=remedy)
    error.deployment, error.retry_after, error.sent = first.id, wait, False
    return error


def refused_with(error: ModelHubError) -> str:
    """Return the name of the class that a key was refused with, of those that `refusal` raises again."""
    return next((name for name, cls in _OF_KEYS.items() if isinstance(error, cls)), type(error).__name__)


def _when(option: Option[Any], block: Block | None, now: float) -> float:
    """Return when it is worth trying a deployment again: where a call must end first, when one does on the average."""
    if block is None or block.reason == "busy" or (block.reason == "ejected" and block.until == math.inf):
        rate = option.vitals.slots.rate
        return now + (_UNKNOWN_SECONDS if rate == math.inf else 1.0 / rate)
    return block.until


def _shown(block: Block | None, now: float) -> str:
    if block is None:
        return "free"
    if block.until == math.inf:
        return block.reason
    return f"{block.reason} for {max(0.0, block.until - now):.1f} s more"
