"""What every error has: who is at fault, what may be tried next, and what was being called."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from modelhub.types.records import Attempt

__all__ = ["ModelHubError", "Retry", "Scope"]

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
