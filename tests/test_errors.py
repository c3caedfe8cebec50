"""Every error says what happened, who is at fault and what may be tried, and travels whole between processes."""

import copy
import pickle
from typing import Any

import pytest

from modelhub import errors
from modelhub.errors import (
    BadRequest,
    ContextLengthExceeded,
    CredentialsInvalid,
    ModelHubError,
    OutputInvalid,
    Overloaded,
    RateLimited,
    Retry,
    Scope,
    StreamInterrupted,
    Timeout,
)
from modelhub.rules.fold import folded
from modelhub.types.events import TextDelta
from modelhub.types.records import Attempt

TABLE: dict[str, tuple[Scope, Retry, str]] = {
    "ModelHubError": (Scope.UNKNOWN, Retry.NO, "Exception"),
    "ConfigurationError": (Scope.LOCAL, Retry.NO, "ModelHubError"),
    "UnknownProvider": (Scope.LOCAL, Retry.NO, "ConfigurationError"),
    "UnknownModel": (Scope.LOCAL, Retry.OTHER_MODEL, "ConfigurationError"),
    "EgressRefused": (Scope.LOCAL, Retry.OTHER_CREDENTIAL, "ConfigurationError"),
    "PluginError": (Scope.LOCAL, Retry.OTHER_MODEL, "ModelHubError"),
    "CredentialsInvalid": (Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, "ModelHubError"),
    "StreamNotFinished": (Scope.LOCAL, Retry.NO, "ModelHubError"),
    "BadRequest": (Scope.REQUEST, Retry.NO, "ModelHubError"),
    "ContextLengthExceeded": (Scope.REQUEST, Retry.OTHER_MODEL, "BadRequest"),
    "RequestTooLarge": (Scope.REQUEST, Retry.NO, "BadRequest"),
    "ContentFiltered": (Scope.REQUEST, Retry.OTHER_MODEL, "BadRequest"),
    "UnsupportedFeature": (Scope.REQUEST, Retry.OTHER_MODEL, "BadRequest"),
    "AuthenticationFailed": (Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, "ModelHubError"),
    "PermissionDenied": (Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, "ModelHubError"),
    "RegionBlocked": (Scope.CALLER, Retry.NO, "PermissionDenied"),
    "QuotaExhausted": (Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, "ModelHubError"),
    "RateLimited": (Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, "ModelHubError"),
    "ModelNotFound": (Scope.MODEL, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "ModelRetired": (Scope.MODEL, Retry.OTHER_MODEL, "ModelNotFound"),
    "Overloaded": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "ServerError": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "ConnectFailed": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "ConnectionLost": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "Timeout": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "MalformedResponse": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "OutputInvalid": (Scope.MODEL, Retry.OTHER_MODEL, "MalformedResponse"),
    "StreamInterrupted": (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, "ModelHubError"),
    "NoDeploymentAvailable": (Scope.LOCAL, Retry.NO, "ModelHubError"),
    "LocalRateLimited": (Scope.LOCAL, Retry.NO, "NoDeploymentAvailable"),
    "QueueFull": (Scope.LOCAL, Retry.NO, "NoDeploymentAvailable"),
    "CircuitOpen": (Scope.LOCAL, Retry.NO, "NoDeploymentAvailable"),
    "DeadlineExceeded": (Scope.LOCAL, Retry.NO, "NoDeploymentAvailable"),
    "BudgetExceeded": (Scope.LOCAL, Retry.NO, "NoDeploymentAvailable"),
    "UnclassifiedError": (Scope.UNKNOWN, Retry.NO, "ModelHubError"),
}


def class_of(name: str) -> type[ModelHubError]:
    """Return a class by its name."""
    cls: type[ModelHubError] = getattr(errors, name)
    return cls


def error_of(name: str, message: str = "it broke") -> ModelHubError:
    """Return an error with everything that an error can carry."""
    cls = class_of(name)
    error = cls(message, phase="idle", seconds=5) if issubclass(cls, Timeout) else cls(message)
    error.remedy = "mend it"
    error.status, error.code, error.request_id, error.retry_after = 503, "busy", "req-1", 1.5
    error.sent, error.excerpt = True, "busy"
    error.provider, error.model, error.deployment = "acme", "small", "acme/small#b"
    error.attempts = (Attempt("acme/small", "Overloaded", 0.1),)
    return error


def test_the_table_has_every_class() -> None:
    """A new class must be put where it belongs."""
    found = {
        name
        for name in errors.__all__
        if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), Exception)
    }
    assert found == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_scope_and_retry_decide_everything(name: str) -> None:
    """Who is at fault and what may be tried, of the class and of each error of it."""
    scope, retry, base = TABLE[name]
    error = error_of(name)
    assert (error.scope, error.retry) == (scope, retry)
    assert type(error).__mro__[1].__name__ == base
    assert class_of(name).__doc__


def test_the_tree_at_the_top_of_the_module_is_the_tree() -> None:
    """Every class is drawn, deeper than its base."""
    assert errors.__doc__ is not None
    depth = {
        line.split()[line.count("│") + 1]: line.index("── ") for line in errors.__doc__.splitlines() if "── " in line
    }
    assert set(depth) == set(TABLE) - {"ModelHubError"}
    for name, column in depth.items():
        assert column > depth.get(TABLE[name][2], -1)


@pytest.mark.parametrize("name", ["Retry", "Scope", *TABLE])
def test_every_class_says_where_it_is_public(name: str) -> None:
    """Tracebacks and pickles name no part of the package."""
    assert getattr(errors, name).__module__ == "modelhub.errors"


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("way", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy])
def test_every_class_travels_whole(name: str, way: Any) -> None:
    """Between processes and through copies: class, message, remedy and everything it carries."""
    error = error_of(name)
    again = way(error)
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert (str(again), repr(again), again.args) == (str(error), repr(error), error.args)


def test_what_subclasses_add_travels_too() -> None:
    """Fields, parameters, token counts, phases, and what was received before a stream broke."""
    partial = folded([TextDelta(0, "half")])
    invalid = OutputInvalid("x")
    invalid.partial = partial
    too_long = ContextLengthExceeded("x", parameter="messages")
    too_long.input_tokens, too_long.context_size = 9000, 8192
    for error in (
        CredentialsInvalid("x", fields={"api_key": "it is required"}),
        Timeout("x", phase="total", seconds=3),
        StreamInterrupted("x", partial=partial, cause=RateLimited("slow down", status=429, retry_after=2)),
        invalid,
        too_long,
    ):
        again = pickle.loads(pickle.dumps(error))
        assert vars(again) == vars(error)
        assert (again.scope, again.retry) == (error.scope, error.retry)


@pytest.mark.parametrize("name", TABLE)
def test_an_error_reads_as_one_line(name: str) -> None:
    """What was called, what happened, and who must act."""
    error = error_of(name)
    assert str(error) == "acme/small: it broke (mend it)"
    assert repr(error) == f"{name}('acme/small: it broke (mend it)', status=503, code='busy', retry_after=1.5)"


def test_what_is_not_known_is_not_said() -> None:
    """An error that knows only its message is its message."""
    error = BadRequest("it broke")
    assert str(error) == "it broke"
    assert repr(error) == "BadRequest('it broke')"
    error.provider = "acme"
    assert str(error) == "acme: it broke"


def test_the_callers_own_deadline_is_nobodys_fault() -> None:
    """Only the phase `total` is the caller's: it is never counted against an endpoint, nor tried again."""
    scopes = {
        phase: Timeout("x", phase=phase, seconds=1).scope for phase in ("connect", "first_token", "idle", "total")
    }
    assert scopes == {"connect": "endpoint", "first_token": "endpoint", "idle": "endpoint", "total": "caller"}
    assert Timeout("x", phase="total", seconds=1).retry is Retry.NO


def test_an_interruption_takes_over_what_its_cause_says() -> None:
    """Health and retries look at the interruption and see the cause."""
    cause = Overloaded("busy", status=529, code="overloaded_error", request_id="r", retry_after=3, excerpt="busy")
    error = StreamInterrupted("broke off", partial=folded([TextDelta(0, "x")]), cause=cause)
    for name in ("scope", "retry", "status", "code", "request_id", "retry_after", "excerpt"):
        assert getattr(error, name) == getattr(cause, name)
    assert error.sent is True
    assert error.partial is not None
    assert error.partial.usage is None
    assert error.text == "x"
    alone = StreamInterrupted("broke off")
    assert alone.text == ""
    assert (alone.scope, alone.retry, alone.partial) == (Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, None)


def test_errors_can_be_caught_by_kind() -> None:
    """A caller catches the root, or a branch, and the rest passes."""
    with pytest.raises(BadRequest):
        raise ContextLengthExceeded("too long")
    with pytest.raises(ModelHubError):
        raise RateLimited("slow down")
    assert not issubclass(Timeout, TimeoutError)
