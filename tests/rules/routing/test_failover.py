"""Where a call goes on after an error: every class of error against every kind of next target."""

from dataclasses import dataclass, field

import pytest

from modelhub import errors
from modelhub.errors import ModelHubError, Retry, Timeout
from modelhub.rules.routing.failover import worth_trying
from modelhub.types.credential import Credential


@dataclass(frozen=True)
class Place:
    """A target: who is called, for which model, with which key."""

    provider_id: str
    model: str
    credential: Credential = field(repr=False)


def place(provider: str, model: str, key: str) -> Place:
    """Return a target."""
    return Place(provider, model, Credential({"api_key": key}))


FAILED = place("a", "m", "k1")
NEXT = {
    "same": place("a", "m", "k1"),
    "credential": place("a", "m", "k2"),
    "model": place("a", "n", "k1"),
    "both": place("a", "n", "k2"),
    "provider": place("b", "m", "k1"),
}
NOWHERE: set[str] = set()
ANYWHERE = set(NEXT)
ELSEWHERE = ANYWHERE - {"same"}
OTHER_KEY = {"credential", "both", "provider"}
OTHER_MODEL = {"model", "both", "provider"}

TABLE = {
    "ModelHubError": NOWHERE,
    "ConfigurationError": NOWHERE,
    "UnknownProvider": NOWHERE,
    "EgressRefused": OTHER_KEY,
    "UnknownModel": OTHER_MODEL,
    "PluginError": OTHER_MODEL,
    "CredentialsInvalid": OTHER_KEY,
    "StreamNotFinished": NOWHERE,
    "BadRequest": NOWHERE,
    "ContextLengthExceeded": OTHER_MODEL,
    "RequestTooLarge": NOWHERE,
    "ContentFiltered": OTHER_MODEL,
    "UnsupportedFeature": OTHER_MODEL,
    "AuthenticationFailed": OTHER_KEY,
    "PermissionDenied": ELSEWHERE,
    "RegionBlocked": NOWHERE,
    "QuotaExhausted": OTHER_KEY,
    "RateLimited": ELSEWHERE,
    "ModelNotFound": ELSEWHERE,
    "ModelRetired": OTHER_MODEL,
    "Overloaded": ELSEWHERE,
    "ServerError": ELSEWHERE,
    "ConnectFailed": ELSEWHERE,
    "ConnectionLost": ELSEWHERE,
    "Timeout": ELSEWHERE,
    "MalformedResponse": ELSEWHERE,
    "OutputInvalid": OTHER_MODEL,
    "StreamInterrupted": ELSEWHERE,
    "NoDeploymentAvailable": NOWHERE,
    "LocalRateLimited": NOWHERE,
    "QueueFull": NOWHERE,
    "CircuitOpen": NOWHERE,
    "DeadlineExceeded": NOWHERE,
    "BudgetExceeded": NOWHERE,
    "UnclassifiedError": NOWHERE,
}


def error_of(name: str) -> ModelHubError:
    """Return an error of a class."""
    cls: type[ModelHubError] = getattr(errors, name)
    return Timeout("x", phase="connect", seconds=5) if cls is Timeout else cls("x")


def test_the_table_has_every_class() -> None:
    """A new class of error must say here where a call may go on."""
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    assert {name for name in classes if issubclass(getattr(errors, name), ModelHubError)} == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("kind", NEXT)
def test_a_call_goes_on_where_it_can_succeed(name: str, kind: str) -> None:
    """A refused key is not tried with another model, an incapable model not with another key."""
    assert worth_trying(error_of(name), FAILED, NEXT[kind]) is (kind in TABLE[name])


def test_the_callers_own_deadline_ends_everything() -> None:
    """A total limit of time is the caller's word: nothing is tried after it."""
    error = Timeout("x", phase="total", seconds=5)
    assert not any(worth_trying(error, FAILED, target) for target in NEXT.values())


def test_a_vendor_can_say_that_trying_again_helps() -> None:
    """Then any target will do, the same one among them."""
    error = errors.BadRequest("locked")
    error.retry = Retry.SAME
    assert all(worth_trying(error, FAILED, target) for target in NEXT.values())
