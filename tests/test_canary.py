"""A secret that a test wrote anywhere is found, in whatever form, and fails that test and no other."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.canary import CANARY, RUN, canary, found_in, holders

from modelhub.types.secret import Secret

REPOSITORY = Path(__file__).parent.parent

FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "upper case": str.upper,
    "url": lambda text: quote(text, safe=""),
    "every byte in a url": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "json": json.dumps,
    "escaped": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "hex": lambda text: text.encode().hex(),
    "upper hex": lambda text: text.encode().hex().upper(),
    "spaced hex": lambda text: text.encode().hex(" "),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "basic authentication": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "cut short": lambda text: text[:25],
}

LEAKS = """
import base64
import logging
import warnings

import pytest

from modelhub.errors import ServerError
from tests.canary import CANARY, canary

LOG = logging.getLogger("modelhub.somewhere")


def failing():
    key = CANARY
    raise KeyError(len(key))


def test_printed():
    print(f"the key is {CANARY}")


def test_printed_to_stderr_and_read(capsys):
    import sys
    sys.stderr.write(CANARY)
    capsys.readouterr()


def test_logged():
    LOG.warning("the key is %s", CANARY)


def test_logged_where_nobody_listens():
    LOG.debug("the key is %r", {"a": [CANARY]})
    logging.getLogger("httpcore.http11").debug("sent %s", CANARY.encode())


def test_logged_with_an_error():
    LOG.error("it failed", exc_info=ValueError(CANARY))


def test_said_by_an_error():
    with pytest.raises(ServerError):
        raise ServerError("no", excerpt=canary("another"))


def test_said_by_what_lies_behind_an_error():
    with pytest.raises(ServerError):
        raise ServerError("no") from KeyError(CANARY)


def test_held_by_an_error():
    error = ServerError("no")
    error.document = {"key": CANARY}
    with pytest.raises(ServerError):
        raise error


def test_clean_but_warns():
    warnings.warn(CANARY)


@pytest.mark.holds_secrets("*.toml")
def test_written(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "cache.bin").write_bytes(b"\\0\\xff" + base64.b64encode(f"user:{CANARY}".encode()))
    (tmp_path / "modelhub.toml").write_text(CANARY)


def test_left_in_a_variable():
    from outside import connected
    with pytest.raises(ServerError):
        connected(CANARY)


def test_clean_error():
    with pytest.raises(ServerError):
        raise ServerError("no")


@pytest.mark.holds_secrets("modelhub.toml", "store/*")
def test_clean_files(tmp_path):
    (tmp_path / "store").mkdir()
    for name in ("modelhub.toml", "store/keys.json"):
        (tmp_path / name).write_text(CANARY)
    (tmp_path / "cache").write_text("nothing")


def test_clean_output(capsys):
    print("nothing")
    LOG.warning("nothing of %s", "it")
"""

OUTSIDE = """
from modelhub.errors import ServerError


def connected(key):
    raise ServerError("no")
"""


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    """Inside of other text, and what is said of it does not hold it."""
    around = found_in(f"before {FORMS[form](CANARY)} after")
    assert around is not None
    assert "<HERE>" in around
    assert RUN not in around
    assert found_in(f"before {FORMS[form](canary('other'))} after") is not None


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_base64_is_found_wherever_its_bits_fall(before: bytes, after: bytes) -> None:
    """Whatever stands before and behind the secret."""
    data = before + CANARY.encode() + after
    assert found_in(base64.b64encode(data))
    assert found_in(base64.urlsafe_b64encode(data))


@given(st.text(max_size=200))
def test_nothing_else_is_found(text: str) -> None:
    """No other text holds what a run made up."""
    assert found_in(text) is None
    assert found_in(base64.b64encode(text.encode())) is None


class Box:
    """Has something."""

    __slots__ = ("content",)

    def __init__(self, content: object) -> None:
        self.content = content


def begun(secret: str) -> Iterator[str]:
    """Return a generator that has a secret in a variable."""

    def generator() -> Iterator[str]:
        key = secret.lower()
        yield ""
        yield key

    made = generator()
    next(made)
    return made


def raised(secret: str) -> BaseException:
    """Return an error that came through a function with a secret in a variable."""
    try:
        raise LookupError
    except LookupError as error:
        assert secret
        return error


def everywhere(secret: str) -> list[object]:
    """Return a secret in all that can hold one."""
    return [
        [f"Bearer {secret}"],
        {"headers": {"authorization": secret.encode()}},
        Box(((secret, 1), 2)),
        {secret, 1},
        Box(bytearray(secret.encode())),
        Secret(secret),
        begun(secret),
        lambda: secret,
        raised(secret),
    ]


def test_what_has_a_secret_in_memory_is_found() -> None:
    """Deep in whatever it is, and no longer once nobody has it."""
    held = everywhere(canary("memory"))
    kinds = {each.rpartition(".")[2] for each in holders("memory")}
    assert kinds >= {"list", "dict", "tuple", "set", "Box", "Secret", "generator", "cell", "frame"}
    del held
    assert holders("memory") == []


def test_a_run_fails_where_a_secret_was_written(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test that wrote one, and none that did not; the report says where, and not what."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)  # its secrets are its own
    pytester.makepyfile(test_leaks=LEAKS, outside=OUTSIDE)
    result = pytester.runpytest_subprocess("-p", "tests.canary", "-p", "no:cacheprovider", "-rA")
    wrote, clean = LEAKS.count("def test_") - LEAKS.count("def test_clean"), LEAKS.count("def test_clean")
    result.assert_outcomes(passed=wrote + clean, errors=wrote, warnings=1)
    said = result.stdout.str()
    for where in (
        "test_printed",
        "what was printed",
        "the log of modelhub.somewhere",
        "the log of httpcore.http11",
        "an error logged by modelhub.somewhere",
        "an error that the test caught",
        "the file cache.bin",
        "key in connected",
        "a secret was written into a warning: test_leaks.py::test_clean_but_warns",
    ):
        assert where in said
    assert "modelhub.toml" not in said
    assert "ERROR test_leaks.py::test_clean" not in said


def test_a_run_that_only_warns_of_a_secret_fails_too(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning is told after the end of its test, which can no longer fail."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("PYTEST_XDIST_TESTRUNUID", raising=False)
    pytester.makepyfile(LEAKS[: LEAKS.index("def test_printed")] + "def test_warns():\n    warnings.warn(CANARY)\n")
    result = pytester.runpytest_subprocess("-p", "tests.canary", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, warnings=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
