"""Which deployment may be tried after an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from modelhub.errors import ModelHubError, Retry

__all__ = ["Target", "next_target"]


class Target(Protocol):
    """What the decision looks at."""

    @property
    def provider_id(self) -> str:
        """The provider's id."""

    @property
    def model(self) -> str:
        """The model's name."""


T = TypeVar("T", bound=Target)


def next_target(error: ModelHubError, failed: T, rest: Sequence[T]) -> int | None:
    """Return the place in ``rest`` of the next target worth trying, or ``None``.

    A key that is refused is refused for every model of its provider, a model that cannot do it cannot do it
    elsewhere; a request that is wrong in itself is wrong everywhere.
    """
    for place, target in enumerate(rest):
        same_model = (target.provider_id, target.model) == (failed.provider_id, failed.model)
        match error.retry:
            case Retry.NO:
                return None
            case Retry.OTHER_MODEL if same_model:
                continue
            case _:
                return place
    return None
