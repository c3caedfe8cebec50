"""What became of an attempt that failed, in our own words: foreign exceptions wrapped, errors attributed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelhub.errors import ModelHubError, PluginError, Timeout
from modelhub.rules.redaction import clean
from modelhub.types.credential import Credential
from modelhub.types.records import Attempt
from modelhub.types.requests import Request
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.runtime.deployments import Deployment

__all__ = ["attributed", "foreign", "redacted", "too_late"]


def too_late(request: Request[Any]) -> Timeout:
    """Return the error of a call that has taken as long as its caller allows, before anything was sent."""
    seconds = request.timeout or 0.0
    message = f"no answer within the {seconds:g} s that the caller allowed"
    return Timeout(message, phase="total", seconds=seconds, sent=False)


def foreign(error: Exception, deployment: Deployment) -> ModelHubError:
    """Wrap what a plugin raised that is none of ours. The failures of a task group come out as the first of them."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ModelHubError):
        return error
    wrapped = PluginError(
        f"the plugin failed: {type(error).__name__}: {_text(error)}",
        remedy=f"report it to the author of the plugin of provider {deployment.provider_id!r}",
    )
    wrapped.__cause__ = error
    return wrapped


def _text(error: Exception) -> str:
    try:
        return printable(str(error))
    except Exception:  # noqa: BLE001  a plugin's exception may be broken in itself
        return "(its text cannot be shown)"


def redacted(error: ModelHubError, credential: Credential) -> ModelHubError:
    """Take a credential's secrets out of an error and of what lies behind it."""
    clean(error, credential.secrets)
    return error


def attributed(error: ModelHubError, deployment: Deployment, attempts: Sequence[Attempt]) -> ModelHubError:
    """Write into an error what was being called and what was tried."""
    error.provider = deployment.provider_id
    error.model = deployment.model
    error.deployment = deployment.id
    error.attempts = tuple(attempts)
    return error
