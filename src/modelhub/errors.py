"""Every exception that reaches a caller, and nothing else.

::

    ModelHubError
    ├── ConfigurationError       the application's own settings or arguments cannot be used
    │   ├── UnknownProvider      no plugin registers that provider id
    │   ├── UnknownModel         the provider knows no such model
    │   └── EgressRefused        no connection may be made to where the base URL leads
    ├── PluginError              a plugin failed in a way that is its own fault
    ├── CredentialsInvalid       a credential form is not filled in as it must be; ``fields`` says where
    ├── StreamNotFinished        ``stream.result`` was read before the stream's end
    ├── BadRequest               the request can never succeed as it is
    │   ├── ContextLengthExceeded    too long for this model
    │   ├── RequestTooLarge          too many bytes for this server
    │   ├── ContentFiltered          refused by the vendor's policy
    │   └── UnsupportedFeature       this model or server cannot do what was asked
    ├── AuthenticationFailed     the key is wrong or missing
    ├── PermissionDenied         the key is right and may not do this
    │   └── RegionBlocked            not from this country
    ├── QuotaExhausted           paid quota is used up; waiting does not help
    ├── RateLimited              too many requests or tokens per time; waiting helps
    ├── ModelNotFound            the server does not serve this model
    │   └── ModelRetired             and never will again
    ├── Overloaded               the endpoint has no capacity now
    ├── ServerError              the endpoint failed
    ├── ConnectFailed            no connection was made; nothing was sent
    ├── ConnectionLost           the connection broke after sending
    ├── Timeout                  a limit of time was reached; ``phase`` says which
    ├── MalformedResponse        the endpoint answered something that its protocol does not allow
    │   └── OutputInvalid            the model's answer has not the shape that was asked for; ``partial`` holds it
    ├── StreamInterrupted        a stream broke off after its first content; ``partial`` holds what came
    ├── NoDeploymentAvailable    nothing is left to try
    │   ├── LocalRateLimited         our own limit of requests or tokens per time is reached
    │   ├── QueueFull                too many calls wait already
    │   ├── CircuitOpen              every deployment has failed too often lately
    │   ├── DeadlineExceeded         it could not be served in the time that was left
    │   └── BudgetExceeded           our own budget of money is used up
    └── UnclassifiedError        an answer that no rule knows

Two attributes decide everything that is done about an error: ``scope`` (who is at fault) and ``retry`` (what may
be tried next).
Cancellation is no error here: the async library's own exception passes through.

Most have a second base from `modelhub.dify`, for code that catches errors by Dify's names.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from modelhub.dify import (
    CredentialsValidateFailedError,
    InvokeAuthorizationError,
    InvokeBadRequestError,
    InvokeConnectionError,
    InvokeError,
    InvokeRateLimitError,
    InvokeServerUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelhub.types.problems import FieldProblem
    from modelhub.types.records import Attempt, ParameterProblem
    from modelhub.types.results import Result

__all__ = [
    "AuthenticationFailed",
    "BadRequest",
    "BudgetExceeded",
    "CircuitOpen",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "ContentFiltered",
    "ContextLengthExceeded",
    "CredentialsInvalid",
    "DeadlineExceeded",
    "EgressRefused",
    "LocalRateLimited",
    "MalformedResponse",
    "ModelHubError",
    "ModelNotFound",
    "ModelRetired",
    "NoDeploymentAvailable",
    "OutputInvalid",
    "Overloaded",
    "PermissionDenied",
    "Phase",
    "PluginError",
    "QueueFull",
    "QuotaExhausted",
    "RateLimited",
    "RegionBlocked",
    "RequestTooLarge",
    "Retry",
    "Scope",
    "ServerError",
    "StreamInterrupted",
    "StreamNotFinished",
    "Timeout",
    "UnclassifiedError",
    "UnknownModel",
    "UnknownProvider",
    "UnsupportedFeature",
]

Phase = Literal["connect", "first_token", "idle", "total"]

_E = TypeVar("_E", bound="ModelHubError")


class Scope(StrEnum):
    """Who is at fault."""

    REQUEST = "request"
    CREDENTIAL = "credential"
    MODEL = "model"
    ENDPOINT = "endpoint"
    CALLER = "caller"
    LOCAL = "local"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """What may be tried next. Each value allows those that come after ``same`` only on another target."""

    NO = "no"
    SAME = "same"
    OTHER_CREDENTIAL = "other_credential"
    OTHER_DEPLOYMENT = "other_deployment"
    OTHER_MODEL = "other_model"


class ModelHubError(Exception):
    """The root of the tree.

    Attributes:
        message: What happened, in one sentence, without secrets.
        remedy: Who must act and how, or ``None`` where the message says it all.
        provider: The id of the provider that was being called, as far as it was known.
        model: The model there, as the provider knows it: without the provider, which results have before theirs.
        deployment: Both, and the credential where there are several, as one word: ``provider/model#credential``.
        status: The HTTP status, where an HTTP answer came.
        code: The vendor's own word for the error.
        request_id: The vendor's id of the request.
        retry_after: Seconds the vendor asks to wait.
        sent: Whether the request left this process; ``None`` where that is not known.
        excerpt: A redacted piece of the answer, 2 KB at most.
        attempts: What was tried before this error was raised, oldest first.
    """

    scope: Scope = Scope.UNKNOWN
    retry: Retry = Retry.NO
    _sent: ClassVar[bool | None] = None
    """What ``sent`` is by the class alone."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        sent: bool | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.sent: bool | None = self._sent if sent is None else sent
        self.excerpt = excerpt
        self.provider: str | None = None
        self.model: str | None = None
        self.deployment: str | None = None
        self.attempts: tuple[Attempt, ...] = ()

    def __str__(self) -> str:
        where = "/".join(word for word in (self.provider, self.model) if word)
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.remedy})" if self.remedy else text

    def __repr__(self) -> str:
        facts = {"status": self.status, "code": self.code, "retry_after": self.retry_after}
        shown = "".join(f", {key}={value!r}" for key, value in facts.items() if value is not None)
        return f"{type(self).__name__}({str(self)!r}{shown})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(cls: type[_E], message: str, state: dict[str, object]) -> _E:
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


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


class BadRequest(ModelHubError, InvokeBadRequestError):
    """The application must change the request.

    Attributes:
        parameter: The parameter or field at fault, where known; the first of several.
        problems: All that is wrong, where the request was refused before it was sent.
    """

    scope = Scope.REQUEST

    def __init__(
        self,
        message: str,
        *,
        parameter: str | None = None,
        remedy: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        sent: bool | None = None,
        excerpt: str | None = None,
    ) -> None:
        super().__init__(
            message,
            remedy=remedy,
            status=status,
            code=code,
            request_id=request_id,
            retry_after=retry_after,
            sent=sent,
            excerpt=excerpt,
        )
        self.parameter = parameter
        self.problems: tuple[ParameterProblem, ...] = ()


class ContextLengthExceeded(BadRequest):
    """The prompt is too long for this model.

    Attributes:
        input_tokens: Tokens in the prompt, where the server said so.
        context_size: Tokens that the model takes, where the server said so.
    """

    retry = Retry.OTHER_MODEL
    input_tokens: int | None = None
    context_size: int | None = None


class RequestTooLarge(BadRequest):
    """The request has more bytes than the server takes."""


class ContentFiltered(BadRequest):
    """The vendor's policy refused the content."""

    retry = Retry.OTHER_MODEL


class UnsupportedFeature(BadRequest):
    """This model, server or plugin cannot do what was asked."""

    retry = Retry.OTHER_MODEL


class AuthenticationFailed(ModelHubError, InvokeAuthorizationError):
    """Whoever owns the key must act: it is wrong, missing or expired.

    Attributes:
        url: Where to sign in, where the vendor says so.
    """

    scope = Scope.CREDENTIAL
    retry = Retry.OTHER_CREDENTIAL
    url: str | None = None


class PermissionDenied(ModelHubError, InvokeAuthorizationError):
    """Whoever owns the key must act: it may not do this."""

    scope = Scope.CREDENTIAL
    retry = Retry.OTHER_CREDENTIAL


class RegionBlocked(PermissionDenied):
    """The vendor does not serve the country that the call came from."""

    scope = Scope.CALLER
    retry = Retry.NO


class QuotaExhausted(ModelHubError, InvokeRateLimitError):
    """Whoever pays must act: waiting does not help."""

    scope = Scope.CREDENTIAL
    retry = Retry.OTHER_CREDENTIAL


class RateLimited(ModelHubError, InvokeRateLimitError):
    """Too many requests or tokens per time: ``retry_after`` says how long to wait, where the vendor does."""

    scope = Scope.CREDENTIAL
    retry = Retry.OTHER_CREDENTIAL


class ModelNotFound(ModelHubError, InvokeBadRequestError):
    """The server does not serve this model: install it there, or name another."""

    scope = Scope.MODEL
    retry = Retry.OTHER_DEPLOYMENT


class ModelRetired(ModelNotFound):
    """The vendor has withdrawn the model."""

    retry = Retry.OTHER_MODEL


class Overloaded(ModelHubError, InvokeServerUnavailableError):
    """The endpoint is sound and has no capacity now."""

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT


class ServerError(ModelHubError, InvokeServerUnavailableError):
    """The endpoint failed."""

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT


class ConnectFailed(ModelHubError, InvokeConnectionError):
    """No connection could be made (name, refusal, TLS): nothing was sent, so trying again is always safe."""

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT
    _sent = False


class ConnectionLost(ModelHubError, InvokeConnectionError):
    """The connection broke after the request was sent and before anything usable came back."""

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT


class Timeout(ModelHubError, InvokeConnectionError):
    """A limit of time was reached.

    Attributes:
        phase: ``connect``, ``first_token``, ``idle`` or ``total`` (the caller's own deadline).
        seconds: The limit; ``None`` where it was the server's own (HTTP 408).
    """

    scope: Scope = Scope.ENDPOINT
    retry: Retry = Retry.OTHER_DEPLOYMENT

    def __init__(self, message: str, *, phase: Phase, seconds: float | None, sent: bool | None = None) -> None:
        super().__init__(message, sent=sent)
        self.phase: Phase = phase
        self.seconds: float | None = seconds
        if phase == "total":
            self.scope = Scope.CALLER
            self.retry = Retry.NO


class MalformedResponse(ModelHubError, InvokeServerUnavailableError):
    """The endpoint answered something that its protocol does not allow."""

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT
    _sent = True


class OutputInvalid(MalformedResponse):
    """The model's answer has not the shape that ``response_format`` asked for.

    Attributes:
        partial: The whole answer as it came.
    """

    scope = Scope.MODEL
    retry = Retry.OTHER_MODEL
    partial: Result | None = None


class StreamInterrupted(ModelHubError, InvokeConnectionError):
    """A stream broke off after its first content, or ended without its protocol's own end.

    It is raised ``from`` the classified error and takes over that error's scope, retry, status, code and ids.

    Attributes:
        partial: Everything received: parts in order, tool calls, usage where it came.
        text: The text of it; empty where none came.
    """

    scope = Scope.ENDPOINT
    retry = Retry.OTHER_DEPLOYMENT
    _taken_over: ClassVar[tuple[str, ...]] = (
        "scope",
        "retry",
        "status",
        "code",
        "request_id",
        "retry_after",
        "excerpt",
    )

    def __init__(self, message: str, *, partial: Result | None = None, cause: ModelHubError | None = None) -> None:
        super().__init__(message, sent=True)
        self.partial = partial
        if cause is not None:
            for name in self._taken_over:
                setattr(self, name, getattr(cause, name))

    @property
    def text(self) -> str:
        """The text that was received."""
        text: str = getattr(self.partial, "text", "")
        return text


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


class UnclassifiedError(ModelHubError, InvokeError):
    """An error that no rule knows: not tried again, not counted against anybody."""
