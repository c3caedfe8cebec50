"""What a credential's value may stand for, and what is said where it leads to nothing."""

import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import anyio
import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from tests.canary import CANARY

from modelhub.credentials.references import is_dynamic, is_reference, literal, resolved
from modelhub.errors import CredentialsInvalid
from modelhub.types.secret import Secret


class Passwords(KeyringBackend):
    """A keyring of one password; anything about ``locked`` fails as a locked one does."""

    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        """Return the password."""
        if service == "locked":
            raise KeyringLocked(CANARY)
        return CANARY if (service, username) == ("https://acme.example/v1", "me") else None

    def set_password(self, service: str, username: str, password: str) -> None:
        """Keep nothing."""

    def delete_password(self, service: str, username: str) -> None:
        """Forget nothing."""


@pytest.fixture
def passwords() -> Iterator[None]:
    """Use a keyring of our own, and the one there was afterwards."""
    before = keyring.get_keyring()
    keyring.set_keyring(Passwords())
    yield
    keyring.set_keyring(before)


async def answer() -> str:
    """Return a text, as a function that asks a vault does."""
    await anyio.lowlevel.checkpoint()
    return CANARY


class Vault:
    """An object that is called, with a function of either colour."""

    async def __call__(self) -> Secret:
        """Return a secret."""
        await anyio.lowlevel.checkpoint()
        return Secret(CANARY)


def fails() -> NoReturn:
    """Fail with the value in the error's text."""
    raise LookupError(CANARY)


async def fails_later() -> str:
    """Fail with the value in a local variable and in the error."""
    key = CANARY
    await anyio.lowlevel.checkpoint()
    raise KeyError(key)


async def fields_of(values: dict[str, object], folder: Path | None = None) -> dict[str, str]:
    """Return what is said of values that cannot be resolved, after looking for the canary in all of the error."""
    with pytest.raises(CredentialsInvalid) as caught:
        await resolved(values, folder=folder)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=False)
    assert CANARY not in "".join(shown.format()) + repr(caught.value) + str(caught.value.fields)
    assert not isinstance(caught.value.__context__, LookupError), "the function's own error has the value in its text"
    assert all(field in str(caught.value) for field in caught.value.fields)
    return caught.value.fields


@pytest.mark.anyio
@pytest.mark.holds_secrets("key", "binary")
@pytest.mark.usefixtures("passwords")
async def test_each_kind_of_value_is_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Environment, files, keyring, functions of both colours and secrets become texts, wherever they stand."""
    monkeypatch.setenv("ACME_KEY", CANARY)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(f"{CANARY}\n", "utf-8")
    (tmp_path / "key").chmod(0o600)
    values = {
        "inline": CANARY,
        "environment": "env:ACME_KEY",
        "absolute": f"file:{tmp_path / 'key'}",
        "url": f"file://{tmp_path / 'key'}",
        "home": "file:~/key",
        "relative": "file:key",
        "keyring": "keyring:https://acme.example/v1/me",
        "literal": f"literal:{CANARY}",
        "secret": Secret(CANARY),
        "sealed reference": Secret("env:ACME_KEY"),
        "function": lambda: CANARY,
        "async function": answer,
        "object": Vault(),
        "partial": partial(answer),
        "makes a coroutine": lambda: answer(),  # noqa: PLW0108  a sync function that returns a coroutine
    }
    everything = {**values, "headers": dict(values), "list": [*values.values()]}
    assert await resolved(everything, folder=tmp_path) == {
        **dict.fromkeys(values, CANARY),
        "headers": dict.fromkeys(values, CANARY),
        "list": [CANARY] * len(values),
    }


@pytest.mark.anyio
async def test_everything_else_stays_as_it_is() -> None:
    """Numbers, switches, nothing, and texts with a colon are values."""
    values = {"a": 1, "b": False, "c": None, "d": "https://x:1", "e": 0.5, "f": "", "g": {"h": []}}
    assert await resolved(values) == values


@pytest.mark.anyio
async def test_what_comes_out_is_not_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that happens to look like a reference is not followed: whoever writes it must not read other files."""
    monkeypatch.setenv("FIRST", "env:SECOND")
    (tmp_path / "key").write_text("file:other", "utf-8")
    values = {"a": "env:FIRST", "b": "file:key", "c": lambda: "env:FIRST", "d": "literal:literal:x"}
    assert await resolved(values, folder=tmp_path) == {
        "a": "env:SECOND",
        "b": "file:other",
        "c": "env:FIRST",
        "d": "literal:x",
    }


@pytest.mark.anyio
@pytest.mark.holds_secrets("key", "binary")
@pytest.mark.usefixtures("passwords")
async def test_all_problems_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value that leads to nothing has its own line, by its path; no line has a value in it."""
    monkeypatch.delenv("ACME_KEY", raising=False)
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "empty").write_text("\n", "utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe" + CANARY.encode())
    (tmp_path / "long").write_bytes(b"x" * (1024 * 1024 + 1))
    values: dict[str, object] = {
        "unset": "env:ACME_KEY",
        "empty": "env:EMPTY",
        "pasted": f"env:{CANARY}",
        "missing": "file:nowhere",
        "blank": "file:empty",
        "binary": "file:binary",
        "long": "file:long",
        "folder": "file:.",
        "nul": "file:a\0b",
        "keyring": "keyring:acme/you",
        "locked": "keyring:locked/me",
        "shape": "keyring:me",
        "headers": {"X-Key": fails, "X-Later": fails_later, "X-None": lambda: None, "X-Empty": lambda: ""},
        "list": ["fine", "env:ACME_KEY"],
        "good": "fine",
    }
    assert await fields_of(values, tmp_path) == {
        "unset": "the environment variable ACME_KEY is not set",
        "empty": "the environment variable EMPTY is empty",
        "pasted": "what follows env: is no name of an environment variable",
        "missing": "the file nowhere cannot be read: No such file or directory",
        "blank": "the file empty is empty",
        "binary": "the file binary is not UTF-8 text",
        "long": f"the file {tmp_path / 'long'} has more than 1024 KiB",
        "folder": f"{tmp_path} is no regular file",
        "nul": "'a\\x00b' is no path of a file",
        "keyring": "the keyring has nothing for 'you' of 'acme'",
        "locked": "the keyring cannot be read (KeyringLocked)",
        "shape": "a reference to the keyring is keyring:SERVICE/USERNAME",
        "headers.X-Key": f"the function fails raised LookupError (test_references.py:{line_of(fails)})",
        "headers.X-Later": f"the function fails_later raised KeyError (test_references.py:{line_of(fails_later, 4)})",
        "headers.X-None": f"the function {name_of('all_problems')} returned a NoneType, not a text",
        "headers.X-Empty": f"the function {name_of('all_problems')} returned an empty text",
        "list.1": "the environment variable ACME_KEY is not set",
    }


def line_of(function: object, further: int = 2) -> int:
    """Return the line in which a function raises."""
    return int(function.__code__.co_firstlineno) + further  # type: ignore[attr-defined]  # it is a function


def name_of(test: str) -> str:
    """Return the name that a function made in a test goes by."""
    (name,) = (each for each in globals() if each.startswith(f"test_{test}"))
    return f"{name}.<locals>.<lambda>"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
@pytest.mark.anyio
async def test_a_file_of_others_cannot_be_read(tmp_path: Path) -> None:
    """What the system refuses is said in its words."""
    (tmp_path / "key").write_text("x", "utf-8")
    (tmp_path / "key").chmod(0)
    assert await fields_of({"key": "file:key"}, tmp_path) == {"key": "the file key cannot be read: Permission denied"}


@pytest.mark.skipif(os.name != "posix", reason="a named pipe")
@pytest.mark.anyio
async def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """A pipe that nobody writes to is refused, not waited for."""
    os.mkfifo(tmp_path / "pipe")
    with anyio.fail_after(10):
        assert await fields_of({"key": "file:pipe"}, tmp_path) == {"key": f"{tmp_path / 'pipe'} is no regular file"}


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.anyio
@pytest.mark.holds_secrets("key", "binary")
@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o622, True)]
)
async def test_a_file_open_to_others_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, mode: int, warned: bool
) -> None:
    """It is used, since containers mount secrets so; the log says what to do, without the value."""
    (tmp_path / "key").write_text(CANARY, "utf-8")
    (tmp_path / "key").chmod(mode)
    assert await resolved({"key": "file:key"}, folder=tmp_path) == {"key": CANARY}
    assert ("chmod 600" in caplog.text) is warned
    assert CANARY not in caplog.text


@pytest.mark.anyio
async def test_a_function_that_blocks_does_not_block_the_loop() -> None:
    """A sync function runs beside the loop, and the wait for it can be cancelled."""
    release = threading.Event()
    with anyio.move_on_after(0.2) as scope:
        await resolved({"key": lambda: str(release.wait(30))})
    assert scope.cancelled_caught
    release.set()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("env:A", True),
        ("file:a", True),
        ("keyring:a/b", True),
        (Secret("env:A"), True),
        ("literal:env:A", False),
        ("Env:A", False),
        ("https://a", False),
        ("", False),
        (None, False),
        (1, False),
    ],
)
def test_a_reference_is_known_by_its_prefix(*, value: object, expected: bool) -> None:
    """Only what leads elsewhere is one: what follows ``literal:`` is the value itself."""
    assert is_reference(value) is expected


def test_functions_are_found_wherever_they_stand() -> None:
    """A credential with a function in it may be another one at the next call."""
    assert is_dynamic({"a": "b", "headers": {"X": [lambda: "c"]}})
    assert not is_dynamic({"a": "env:B", "headers": {"X": ["c", Secret("d")]}})


@given(
    st.one_of(st.text(), st.builds(str.__add__, st.sampled_from(["env:", "file:", "keyring:", "literal:"]), st.text()))
)
def test_what_users_type_refers_to_nothing(text: str) -> None:
    """Whatever it looks like: it is taken as it is, wherever it stands, and nothing is read."""
    values = {"key": text, "sealed": Secret(text), "headers": {"X": [text, 1]}, "none": None}
    assert anyio.run(resolved, literal(values)) == {
        "key": text,
        "sealed": text,
        "headers": {"X": [text, 1]},
        "none": None,
    }


@given(st.text())
def test_any_text_can_be_given_literally(text: str) -> None:
    """The escape takes every text as it is, those that look like a reference too."""
    assert anyio.run(resolved, {"key": f"literal:{text}"}) == {"key": text}


@given(st.sampled_from(["env:", "file:", "keyring:"]), st.text())
def test_no_text_after_a_prefix_gives_anything_but_a_value_or_our_error(prefix: str, text: str) -> None:
    """Whatever stands behind a prefix: a text, or one line about the field."""
    outcome: object
    try:
        outcome = anyio.run(resolved, {"key": prefix + text})["key"]
    except CredentialsInvalid as error:
        outcome = error.fields["key"]
    assert isinstance(outcome, str)


WITHOUT_KEYRING = """
import sys
sys.modules["keyring"] = None
import anyio
from modelhub.credentials.references import resolved
from modelhub.errors import CredentialsInvalid
try:
    anyio.run(resolved, {"key": "keyring:a/b"})
except CredentialsInvalid as error:
    print(error.fields["key"])
"""


def test_a_missing_keyring_library_is_said() -> None:
    """The line says what to install."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_KEYRING], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "the library keyring is not installed: pip install 'modelhub-core[keyring]'"


@pytest.mark.anyio
async def test_a_key_that_is_given_as_a_variables_name_is_not_repeated() -> None:
    """Neither one that could be a name, nor one that could not."""
    for key in ("AIzaSyD0123456789abcdefghijk", "sk-0123456789abcdef", "hf_0123456789abcdefghijkl"):
        with pytest.raises(CredentialsInvalid) as caught:
            await resolved({"api_key": f"env:{key}"})
        assert key not in f"{caught.value} {caught.value.fields}"
