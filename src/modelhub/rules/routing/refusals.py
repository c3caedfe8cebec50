"""The error of a call that nothing can serve in time, from what keeps each deployment from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelhub.errors import (
    BudgetExceeded,
    CircuitOpen,
    DeadlineExceeded,
    LocalRateLimited,
    NoDeploymentAvailable,
    QueueFull,
)
from modelhub.rules.routing.course import Course, Option
from modelhub.rules.routing.vitals import Block

__all__ = ["refusal"]

_OF_ONE_REASON: dict[str, type[NoDeploymentAvailable]] = {
    "rate limit": LocalRateLimited,
    "budget": BudgetExceeded,
    "ejected": CircuitOpen,
}


def refusal(
    blocks: Sequence[tuple[Option[Any], Block | None]], course: Course[Any], now: float
) -> NoDeploymentAvailable:
    """Build the error: what kept each one, and when it is worth trying again.

    Args:
        blocks: What keeps each deployment that is left from the call.
        course: The call's way.
        now: The time.
    """
    reasons = {block.reason for _, block in blocks if block is not None}
    earliest = min((block.until for _, block in blocks if block is not None), default=math.inf)
    wait = None if earliest == math.inf else max(0.0, earliest - now)
    said = "; ".join(f"{option.id}: {_shown(block, now)}" for option, block in blocks)
    name = course.route.name
    if reasons == {"busy"}:
        full = all(option.vitals.queued >= option.vitals.queue for option, _ in blocks)
        cls: type[NoDeploymentAvailable] = QueueFull if full else DeadlineExceeded
    else:
        cls = (
            _OF_ONE_REASON.get(next(iter(reasons)), NoDeploymentAvailable)
            if len(reasons) == 1
            else NoDeploymentAvailable
        )
    return cls(f"{name} cannot be called now: {said or 'nothing is left to try'}", retry_after=wait, sent=False)


def _shown(block: Block | None, now: float) -> str:
    if block is None:
        return "free"
    if block.until == math.inf:
        return block.reason
    return f"{block.reason} for {max(0.0, block.until - now):.1f} s more"
