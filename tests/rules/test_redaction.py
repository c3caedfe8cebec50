"""No exception that reaches a caller shows a secret, nor does any behind it."""

import base64
import html
import json
import traceback
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.canary import CANARY, found_in

from modelhub.errors import CredentialsInvalid, PluginError, Scope, ServerError, StreamInterrupted
from modelhub.rules.redaction import Redactor, clean
from modelhub.types.secret import Secret

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


def test_members_of_enumerations_stay_what_they_are() -> None:
    """An error that carries another's scope and retry says them by the same values afterwards."""
    error = StreamInterrupted("it broke off")
    error.scope = Scope.ENDPOINT
    clean(error, [SECRET])
    assert error.scope is Scope.ENDPOINT


def test_the_longer_of_two_secrets_goes_first() -> None:
    """One may be the other's beginning."""
    error = PluginError("abcdefgh abcdef")
    clean(error, ["abcdef", "abcdefgh"])
    assert error.message == "*** ***"


def forms() -> dict[str, str]:
    """Return a secret in every form in which servers and libraries repeat it."""
    data = SECRET.encode()
    return {
        "json": json.dumps(SECRET)[1:-1],
        "slashes": SECRET.replace("/", "\\/"),
        "url": quote(SECRET, safe=""),
        "url in small letters": quote(SECRET, safe="").lower(),
        "form": quote_plus(SECRET),
        "html": html.escape(SECRET),
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "bytes": " ".join(f"{byte:02x}" for byte in data),
        "escaped": "".join(f"\\x{byte:02x}" for byte in data),
        "twice escaped": "".join(f"\\\\u{byte:04x}" for byte in data),
        "two lines": f"{SECRET[:9]}\r\n  {SECRET[9:]}",
        "escaped lines": f"{SECRET[:9]}\\n{SECRET[9:]}",
        "wrapped base64": base64.encodebytes(data * 3).decode(),
        "repr": repr(data),
    }


@pytest.mark.parametrize("form", forms())
def test_a_secret_is_found_in_every_form(form: str) -> None:
    """As it is written in JSON, URLs, HTML, hex and base64, wrapped and escaped again."""
    cleaned = Redactor([SECRET]).text(f"before {forms()[form]} after")
    assert found_in(cleaned) is None
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "***" in cleaned


@given(st.binary(max_size=20), st.binary(max_size=20), st.booleans())
def test_base64_is_found_wherever_its_bits_fall(before: bytes, after: bytes, url: bool) -> None:  # noqa: FBT001
    """Whatever stands before and behind the secret."""
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    assert found_in(Redactor([SECRET]).text(encode(before + SECRET.encode() + after).decode())) is None


@given(st.text(max_size=60), st.text(max_size=60), st.text(min_size=4, max_size=60))
def test_any_secret_is_found_anywhere(before: str, after: str, secret: str) -> None:
    """Nothing else is changed where the text has no part of it."""
    cleaned = Redactor([secret]).text(f"{before}{secret}{after}")
    assert secret not in cleaned.replace("***", "") or secret in {"***", "****"}
    if not set(secret) & set(before + after) and not (set(before + after) & set("\\ \n")):
        assert cleaned == f"{before}***{after}" or len(secret) >= 8


@given(st.text(alphabet="ABCDEF \n\\", max_size=300))
def test_what_holds_no_secret_stays_as_it_is(text: str) -> None:
    """Byte for byte."""
    assert Redactor([SECRET]).text(text) == text


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"no such key {SECRET[:30]}", "no such key ***"),
        (f"no such key {SECRET[:12]}… (401)", "no such key ***… (401)"),
        (f"no such key {SECRET[:-1]} (401)", "no such key *** (401)"),
        (f"no such key {SECRET[:7]}***{SECRET[-4:]}", f"no such key {SECRET[:7]}***{SECRET[-4:]}"),
        (f"keys begin with {SECRET[:9]} and so on", f"keys begin with {SECRET[:9]} and so on"),
    ],
    ids=["at the end", "before an ellipsis", "almost all", "as vendors show it", "its first letters"],
)
def test_what_is_left_of_a_secret_that_was_cut_short(said: str, left: str) -> None:
    """Nothing at the end of a text, no long piece anywhere; what vendors show on purpose stays."""
    assert Redactor([SECRET]).text(said) == left


@dataclass(frozen=True)
class Said:
    """What a model had said when it broke off."""

    text: str
    derived: int = field(default=3, init=False)


def test_content_is_cleaned_of_long_secrets_only() -> None:
    """A short one is a word that models use too."""
    error = StreamInterrupted("ollama broke off", partial=Said(f"ask ollama for {SECRET}"))  # type: ignore[arg-type]
    clean(error, [Secret(SECRET), "ollama"])
    assert error.message == "*** broke off"
    assert error.partial == Said("ask ollama for ***")


def test_texts_that_pythons_own_exceptions_keep_apart_are_cleaned() -> None:
    """They are no attributes of the exception's own."""
    for error in (
        OSError(2, f"no {SECRET}", f"/{SECRET}", None, f"/to/{SECRET}"),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "no"),
        StopIteration(SECRET),
        AttributeError("no", name=SECRET, obj=SECRET),
    ):
        clean(error, [SECRET])
        kept = [getattr(error, name, None) for name in ("filename", "filename2", "object", "value", "name", "obj")]
        assert found_in(f"{error!r} {error} {kept}") is None


def test_the_variables_of_functions_are_taken_out_of_tracebacks() -> None:
    """Tools that report errors print them."""

    def connect(key: str) -> None:
        raise ServerError(f"{len(key)} characters")

    with pytest.raises(ServerError) as caught:
        connect(SECRET)
    clean(caught.value, [SECRET])
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert frames[-1] == {}
