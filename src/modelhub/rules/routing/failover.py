"""Which deployment may be tried after an error."""

from __future__ import annotations

from typing import Protocol

from modelhub.errors import ModelHubError, PermissionDenied, RateLimited, Retry
from modelhub.types.credential import Credential

__all__ = ["Target", "worth_trying"]

_PER_MODEL = (PermissionDenied, RateLimited)
"""Rights and limits are given to a key for each model: another model may be called with the same key."""


class Target(Protocol):
    """What the decision looks at."""

    @property
    def provider_id(self) -> str:
        """The provider's id."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def credential(self) -> Credential:
        """What it is called with."""


def worth_trying(error: ModelHubError, failed: Target, target: Target) -> bool:
    """Return whether a target is still worth trying, now or later in the call, after another one failed.

    A key that is refused is refused for every model of its provider, a model that cannot do it cannot do it
    elsewhere; a request that is wrong in itself is wrong everywhere.
    """
    same_model = target.model == failed.model
    same_credential = target.credential.key == failed.credential.key
    match error.retry:
        case Retry.NO:
            return False
        case Retry.SAME:
            return True
        case _ if target.provider_id != failed.provider_id:
            return True
        case Retry.OTHER_MODEL:
            return not same_model
        case Retry.OTHER_CREDENTIAL:
            return not same_credential or (isinstance(error, _PER_MODEL) and not same_model)
        case _:
            return not (same_model and same_credential)
