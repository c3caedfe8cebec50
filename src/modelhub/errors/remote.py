"""What came of a request: it cannot be served, its key may not, its model cannot, or its endpoint failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from modelhub.dify import (
    InvokeAuthorizationError,
    InvokeBadRequestError,
    InvokeConnectionError,
    InvokeError,
    InvokeRateLimitError,
    InvokeServerUnavailableError,
)
from modelhub.errors.root import ModelHubError, Retry, Scope

if TYPE_CHECKING:
    from modelhub.types.records import ParameterProblem
    from modelhub.types.results import Result

__all__ = [
    "AuthenticationFailed",
    "BadRequest",
    "ConnectFailed",
    "ConnectionLost",
    "ContentFiltered",
    "ContextLengthExceeded",
    "MalformedResponse",
    "ModelNotFound",
    "ModelRetired",
    "OutputInvalid",
    "Overloaded",
    "PermissionDenied",
    "Phase",
    "QuotaExhausted",
    "RateLimited",
    "RegionBlocked",
    "RequestTooLarge",
    "ServerError",
    "StreamInterrupted",
    "Timeout",
    "UnclassifiedError",
    "UnsupportedFeature",
]

Phase = Literal["connect", "first_token", "idle", "total"]


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


class UnclassifiedError(ModelHubError, InvokeError):
    """An error that no rule knows: not tried again, not counted against anybody."""
