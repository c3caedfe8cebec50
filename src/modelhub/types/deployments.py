"""What is known of a deployment now, for operators."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DeploymentInfo"]


@dataclass(frozen=True, slots=True)
class DeploymentInfo:
    """A deployment that was called, or could have been, since the hub was entered.

    Attributes:
        id: Provider, model and credential as one word, without secrets.
        state: ``ready``, or what keeps calls from it: ``busy``, ``ejected``, ``resting``, ``refused key``,
            ``no such model``, ``rate limit`` or ``budget``.
        seconds: How long that lasts, where anybody knows.
        in_flight: Calls it has now.
        slots: How many it is given at once.
        waiting: Calls that wait for it.
    """

    id: str
    state: str
    seconds: float | None
    in_flight: int
    slots: int
    waiting: int
