"""Code that catches errors by Dify's names goes on catching them."""

import re
from pathlib import Path

import pytest

from modelhub import dify, errors
from modelhub.dify import InvokeError
from modelhub.errors import ModelHubError, OutputInvalid, RateLimited, RegionBlocked, Timeout

PAGE = (Path(__file__).parent.parent / "docs" / "coming-from-dify.md").read_text("utf-8")
NO_COUNTERPART = {
    "ModelHubError",
    "ConfigurationError",
    "UnknownProvider",
    "UnknownModel",
    "EgressRefused",
    "StreamNotFinished",
    "NoDeploymentAvailable",
    "LocalRateLimited",
    "QueueFull",
    "CircuitOpen",
    "DeadlineExceeded",
    "BudgetExceeded",
}
NAMES = {
    "BadRequest": "InvokeBadRequestError",
    "ContextLengthExceeded": "InvokeBadRequestError",
    "RequestTooLarge": "InvokeBadRequestError",
    "ContentFiltered": "InvokeBadRequestError",
    "UnsupportedFeature": "InvokeBadRequestError",
    "AuthenticationFailed": "InvokeAuthorizationError",
    "PermissionDenied": "InvokeAuthorizationError",
    "RegionBlocked": "InvokeAuthorizationError",
    "QuotaExhausted": "InvokeRateLimitError",
    "ModelNotFound": "InvokeBadRequestError",
    "ModelRetired": "InvokeBadRequestError",
    "RateLimited": "InvokeRateLimitError",
    "Overloaded": "InvokeServerUnavailableError",
    "ServerError": "InvokeServerUnavailableError",
    "ConnectFailed": "InvokeConnectionError",
    "ConnectionLost": "InvokeConnectionError",
    "Timeout": "InvokeConnectionError",
    "StreamInterrupted": "InvokeConnectionError",
    "MalformedResponse": "InvokeServerUnavailableError",
    "OutputInvalid": "InvokeServerUnavailableError",
    "UnclassifiedError": "InvokeError",
    "PluginError": "InvokeError",
    "CredentialsInvalid": "CredentialsValidateFailedError",
}


def error_of(name: str) -> ModelHubError:
    """Return an error of a class."""
    cls: type[ModelHubError] = getattr(errors, name)
    return cls("x", phase="idle", seconds=1) if issubclass(cls, Timeout) else cls("x")


def test_every_class_has_a_name_of_difys_or_none() -> None:
    """A new class must be put where it belongs."""
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)} - {"Retry", "Scope"}
    assert classes - {"Phase"} == set(NAMES) | NO_COUNTERPART


@pytest.mark.parametrize("name", NAMES)
def test_it_is_caught_by_difys_name(name: str) -> None:
    """Alone, in a tuple with others, and by its base."""
    alias: type[Exception] = getattr(dify, NAMES[name])
    error = error_of(name)
    with pytest.raises(alias):
        raise error
    with pytest.raises((KeyError, alias)):
        raise error
    others = {each for each in dify.__all__ if isinstance(error, getattr(dify, each))}
    expected = {NAMES[name]} | ({"InvokeError"} if NAMES[name].startswith("Invoke") else set())
    assert others == expected


@pytest.mark.parametrize("name", sorted(NO_COUNTERPART))
def test_what_dify_does_not_know_is_caught_by_none_of_its_names(name: str) -> None:
    """The hub's own decisions are no failures of a model."""
    assert not [each for each in dify.__all__ if isinstance(error_of(name), getattr(dify, each))]


def test_the_description_is_the_text() -> None:
    """Dify's errors say what happened there; nothing more is in it than in the text."""
    error = RateLimited("slow down", remedy="wait")
    assert isinstance(error, InvokeError)
    assert error.description == str(error) == "slow down (wait)"


def test_the_names_come_behind_our_own() -> None:
    """What the tree says of a class, its first base says."""
    assert RegionBlocked.__mro__.index(ModelHubError) < RegionBlocked.__mro__.index(InvokeError)
    assert not issubclass(OutputInvalid, ValueError)


def test_the_table_on_the_page_is_the_mapping() -> None:
    """Each name has its row; what is below a class of the row is caught with it."""
    section = PAGE.partition("## Errors in an application")[2].partition("\n## ")[0]
    rows = {
        names[0]: set(names[1:])
        for line in section.splitlines()
        if (names := re.findall(r"`(\w+)`", line)) and line.startswith("| `")
    }
    assert set(rows) == set(dify.__all__)
    for alias, named in rows.items():
        assert named <= {name for name, each in NAMES.items() if each == alias}
        below = {name for name, each in NAMES.items() if each == alias} - named
        assert all(issubclass(getattr(errors, name), tuple(getattr(errors, each) for each in named)) for name in below)
