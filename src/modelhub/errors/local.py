"""What goes wrong on this side: settings, plugins, forms, how a stream is used, and limits of our own.

Nothing was sent for any of them, or what was sent has nothing to do with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelhub.dify import CredentialsValidateFailedError, InvokeError
from modelhub.errors.root import ModelHubError, Retry, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelhub.types.problems import FieldProblem

__all__ = [
    "BudgetExceeded",
    "CircuitOpen",
    "ConfigurationError",
    "CredentialsInvalid",
    "DeadlineExceeded",
    "EgressRefused",
    "LocalRateLimited",
    "NoDeploymentAvailable",
    "PluginError",
    "QueueFull",
    "StreamNotFinished",
    "UnknownModel",
    "UnknownProvider",
]


class ConfigurationError(ModelHubError):
    """The application must mend its settings, its arguments or the way it uses the hub."""

    scope = Scope.LOCAL


class UnknownProvider(ConfigurationError):
    """The application must name an installed provider; the message gives the nearest names."""


class UnknownModel(ConfigurationError):
    """The application must name a model the provider has; the message gives the nearest names."""

    retry = Retry.OTHER_MODEL


class EgressRefused(ConfigurationError):
    """No connection may be made to where the base URL leads: the message says who may allow it, and how.

    It is no fault of a server. The base URL belongs to the credential: another credential may lead elsewhere.

    Attributes:
        field: The field of the credential form that the base URL stands in, where known.
    """

    retry = Retry.OTHER_CREDENTIAL
    field: str | None = None


class PluginError(ModelHubError, InvokeError):
    """The plugin's author must act. Never counted against an endpoint.

    Attributes:
        distribution: Name and version of the distribution that registered the plugin, where known.
    """

    scope = Scope.LOCAL
    retry = Retry.OTHER_MODEL
    distribution: str | None = None


class CredentialsInvalid(ModelHubError, CredentialsValidateFailedError):
    """Whoever fills in the credential form must act.

    Attributes:
        fields: What is wrong with which form field, by ``variable``.
        problems: The same with stable codes, and in the reader's language, where the form itself refused the values.
    """

    scope = Scope.CREDENTIAL
    retry = Retry.OTHER_CREDENTIAL

    def __init__(
        self,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        problems: Sequence[FieldProblem] = (),
        remedy: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy, status=status)
        self.fields: dict[str, str] = dict(fields or {})
        self.problems: tuple[FieldProblem, ...] = tuple(problems)


class StreamNotFinished(ModelHubError):
    """The application must read the stream to its end first; ``stream.partial`` can be read at any time."""

    scope = Scope.LOCAL


class NoDeploymentAvailable(ModelHubError):
    """Nothing was left to try; ``attempts`` says why each one failed.

    It and its subclasses are decisions of this program: nothing was sent for them, and nobody is counted at fault.
    """

    scope = Scope.LOCAL
    _sent = False


class LocalRateLimited(NoDeploymentAvailable):
    """The application's own limit of requests or tokens per time is reached; ``retry_after`` says for how long."""


class QueueFull(NoDeploymentAvailable):
    """As many calls wait for a slot as may: the application must ask for less at once, or allow more."""


class CircuitOpen(NoDeploymentAvailable):
    """Every deployment has failed too often lately; ``retry_after`` says when the first is tried again."""


class DeadlineExceeded(NoDeploymentAvailable):
    """The call could not be served in the time that the caller leaves it, so it was not sent."""


class BudgetExceeded(NoDeploymentAvailable):
    """The application's own budget of money is used up; ``retry_after`` says when the next period begins."""
