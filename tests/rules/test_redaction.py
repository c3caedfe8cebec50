"""No exception that reaches a caller shows a secret, nor does any behind it."""

import traceback

import pytest
from tests.canary import CANARY

from modelhub.errors import CredentialsInvalid, PluginError, ServerError
from modelhub.rules.redaction import clean

SECRET = CANARY


def shown(error: BaseException) -> str:
    """Return all that a traceback shows, without the lines of this file."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(line for line in lines if not line.startswith("    "))


class Elsewhere(Exception):
    """Its text is made of what no one can reach."""

    def __str__(self) -> str:
        return f"the key is {SECRET}"


class Unshowable(Exception):
    """It cannot be shown at all."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_our_own_errors_are_cleaned_everywhere() -> None:
    """Message, remedy, excerpt, code, and what is wrong with which field."""
    error = ServerError(f"no {SECRET}!", remedy=f"mend {SECRET}", excerpt=f"{SECRET}{SECRET}", code=SECRET)
    clean(error, [SECRET])
    assert (error.message, error.remedy, error.excerpt, error.code) == ("no ***!", "mend ***", "******", "***")
    assert error.args == ("no ***!",)
    invalid = CredentialsInvalid("no", fields={"api_key": f"{SECRET} is wrong"})
    clean(invalid, [SECRET])
    assert invalid.fields == {"api_key": "*** is wrong"}


def test_what_lies_behind_is_cleaned_too() -> None:
    """Causes, contexts and the members of groups, of whatever type; each stays what it is."""
    deep = KeyError(SECRET)
    group = ExceptionGroup("many", [ValueError({"key": [SECRET, (SECRET, 5)]}), OSError(5, f"no {SECRET}")])
    group.__context__ = deep
    noted = RuntimeError(f"bad {SECRET}".encode())
    noted.add_note(f"used {SECRET}")
    noted.__cause__ = group
    error = PluginError("it failed")
    error.__cause__ = noted
    deep.__context__ = error
    clean(error, [SECRET, ""])
    assert SECRET not in shown(error)
    assert error.__cause__ is noted
    assert noted.__cause__ is group
    assert noted.__notes__ == ["used ***"]
    assert deep.args == ("***",)


@pytest.mark.parametrize("behind", [Elsewhere(), Unshowable()])
def test_what_cannot_be_cleaned_is_cut_off(behind: Exception) -> None:
    """The rest of the chain stays."""
    middle = ValueError("middle")
    middle.__cause__ = behind
    error = PluginError("it failed")
    error.__cause__ = middle
    clean(error, [SECRET])
    assert error.__cause__ is middle
    assert middle.__cause__ is None
    assert SECRET not in shown(error)


def test_what_holds_no_secret_is_left_alone() -> None:
    """Very short secrets are no keys, and stand in ordinary words."""
    cause = Elsewhere()
    error = PluginError("a key")
    error.__cause__ = cause
    for secrets in ([], ["", "a", "key"]):
        clean(error, secrets)
        assert error.message == "a key"
        assert error.__cause__ is cause


def test_the_longer_of_two_secrets_goes_first() -> None:
    """One may be the other's beginning."""
    error = PluginError("abcdefgh abcdef")
    clean(error, ["abcdef", "abcdefgh"])
    assert error.message == "*** ***"
