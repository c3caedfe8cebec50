"""Values that are kept elsewhere: in the environment, a file, the system's keyring, or behind a function.

Owns what the prefixes ``env:``, ``file:``, ``keyring:`` and ``literal:`` mean. Knows no form: which values there may
be is not asked here. No message repeats a value; what a reference says itself may be shown.
"""

from __future__ import annotations

import inspect
import logging
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeAlias, cast

from modelhub.errors import CredentialsInvalid
from modelhub.provider.threads import run_in_thread
from modelhub.rules.names import looks_like_a_secret
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = [
    "ReferenceUnreadable",
    "is_dynamic",
    "is_open_to_others",
    "is_reference",
    "leaves",
    "literal",
    "may_be_shown",
    "name_of",
    "read_reference",
    "resolved",
    "returned_by",
]

_LOG = logging.getLogger("modelhub.credentials")
_ENV, _FILE, _KEYRING, _LITERAL = "env:", "file:", "keyring:", "literal:"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_BYTES = 1024 * 1024
_SHOWN = 200
_DEEPEST = 32
_MENDS = "whoever runs this program must put the value there, or say where it is"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOUNTED = ("/run/secrets/", "/var/run/secrets/")
"""Where containers mount secrets, for every user of the container."""

_Place: TypeAlias = tuple[str, ...]


class ReferenceUnreadable(Exception):
    """A reference leads to nothing; the text says why, without the value. Never raised to callers of a hub."""


def is_reference(value: object) -> bool:
    """Tell whether a value only says where the value is: ``env:``, ``file:`` or ``keyring:``.

    What begins with ``literal:`` is the value itself, and so no reference.

    Args:
        value: Any value of a credential; a `Secret` is looked into.
    """
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and text.startswith((_ENV, _FILE, _KEYRING))


def may_be_shown(reference: str) -> bool:
    """Tell whether what stands behind a prefix is no secret that somebody wrote there in place of a variable's name.

    Args:
        reference: What `is_reference` says is one.
    """
    name = reference.removeprefix(_ENV)
    if name == reference:
        return True
    as_usual = name.isupper() and "_" in name
    return _VARIABLE.fullmatch(name) is not None and (as_usual or not looks_like_a_secret(name))


def is_dynamic(values: Mapping[str, object]) -> bool:
    """Tell whether any of the values, nested ones too, comes from a function and may be another one next time."""
    return any(callable(leaf) for _, leaf in leaves(values))


def literal(values: Mapping[str, object]) -> dict[str, object]:
    """Return values in which no text refers to anything: for those that users of an application have typed.

    Whoever may write ``file:…`` or ``env:…`` into a credential, and a base URL beside it, has this program send them
    its own files and variables.

    Args:
        values: The values of a credential form, with mappings and lists in them.

    Example:
        >>> literal({"api_key": "env:HOME", "region": "eu"})
        {'api_key': 'literal:env:HOME', 'region': 'eu'}
    """
    return {name: _literal(value) for name, value in values.items()}


def _literal(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _literal(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_literal(item) for item in value]
    text = value.reveal() if isinstance(value, Secret) else value
    if isinstance(text, str) and text.startswith((_ENV, _FILE, _KEYRING, _LITERAL)):
        return Secret(_LITERAL + text) if isinstance(value, Secret) else _LITERAL + text
    return value


async def resolved(
    values: Mapping[str, object], *, folder: Path | None = None, name: str = "the credential"
) -> dict[str, JSON]:
    """Return the values that references, functions and secrets stand for; everything else as it is.

    A text may be ``env:NAME``, ``file:PATH`` (its text, without the newlines at its end), ``keyring:SERVICE/USERNAME``
    or ``literal:TEXT``. A function, sync or async, takes no argument and returns a text or a `Secret`; one that is
    sync runs in a thread. What comes out of any of them is not looked at again. The result holds secrets in plain
    texts: keep it no longer than needed.

    Args:
        values: The values of a credential form, with mappings and lists in them.
        folder: What relative paths start from: the folder of the settings file. The working directory by default.
        name: What the values are called in the error.

    Raises:
        CredentialsInvalid: ``fields`` says what is wrong with which value, all at once, by dotted path.

    Example:
        >>> import anyio
        >>> anyio.run(resolved, {"api_key": "literal:env:not-a-reference", "headers": {"X-Team": lambda: "red"}})
        {'api_key': 'env:not-a-reference', 'headers': {'X-Team': 'red'}}
    """
    outcome = await _outcome_of(values, folder, name)
    del values  # the error's traceback must not hold what was given
    if isinstance(outcome, CredentialsInvalid):
        raise outcome
    return outcome


async def _outcome_of(
    values: Mapping[str, object], folder: Path | None, name: str
) -> dict[str, JSON] | CredentialsInvalid:
    texts: dict[_Place, str] = {}
    functions: dict[_Place, Callable[[], object]] = {}
    deep: dict[_Place, str | ReferenceUnreadable] = {}
    for place, leaf in leaves(values):
        if callable(leaf):
            functions[place] = leaf
        elif isinstance(leaf, str | Secret):
            texts[place] = leaf.reveal() if isinstance(leaf, Secret) else leaf
        elif isinstance(leaf, Mapping | list | tuple) and leaf:
            deep[place[:1]] = ReferenceUnreadable(f"it is nested more than {_DEEPEST} levels deep")
    outcomes = deep or await _read_all(texts, folder)
    for place, function in functions.items() if not deep else ():
        outcomes[place] = await _called(function)
    problems = {".".join(at): str(each) for at, each in outcomes.items() if isinstance(each, ReferenceUnreadable)}
    if problems:
        what = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
        return CredentialsInvalid(f"{name} cannot be read: {what}", fields=problems, remedy=_MENDS)
    return {key: _rebuilt(value, (key,), outcomes) for key, value in values.items()}


def leaves(value: object, place: _Place = ()) -> Iterator[tuple[_Place, object]]:
    """Yield every value that holds no others, with the way to it; what is nested too deep comes as it is.

    Args:
        value: The values of a credential form, with mappings and lists in them.
        place: Where it stands.
    """
    if not isinstance(value, Mapping | list | tuple) or not value or len(place) > _DEEPEST:
        yield place, value
        return
    for name, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from leaves(item, (*place, str(name)))


def _rebuilt(value: object, place: _Place, outcomes: Mapping[_Place, str | ReferenceUnreadable]) -> JSON:
    if isinstance(value, Mapping):
        return {str(name): _rebuilt(item, (*place, str(name)), outcomes) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rebuilt(item, (*place, str(number)), outcomes) for number, item in enumerate(value)]
    return cast("JSON", outcomes.get(place, cast("str", value)))


async def _read_all(texts: Mapping[_Place, str], folder: Path | None) -> dict[_Place, str | ReferenceUnreadable]:
    def read() -> dict[_Place, str | ReferenceUnreadable]:
        return {place: _outcome(text, folder) for place, text in texts.items()}

    if any(text.startswith((_FILE, _KEYRING)) for text in texts.values()):
        return await run_in_thread(read, name="modelhub-references")
    return read()


def _outcome(text: str, folder: Path | None) -> str | ReferenceUnreadable:
    try:
        return read_reference(text, folder=folder)
    except ReferenceUnreadable as error:
        return ReferenceUnreadable(*error.args)


def read_reference(text: str, *, folder: Path | None = None) -> str:
    """Return what one text stands for; a text that is no reference stands for itself. Blocks: call it in a thread.

    Args:
        text: What was given.
        folder: What relative paths start from; the working directory by default.

    Raises:
        ReferenceUnreadable: There is nothing where it leads to.
    """
    if text.startswith(_LITERAL):
        return text.removeprefix(_LITERAL)
    if text.startswith(_ENV):
        return _variable(text.removeprefix(_ENV))
    if text.startswith(_FILE):
        return _file(text.removeprefix(_FILE), folder)
    if text.startswith(_KEYRING):
        return _password(text.removeprefix(_KEYRING))
    return text


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        # Not shown: it may be the secret itself, written after the prefix.
        raise ReferenceUnreadable("what follows env: is no name of an environment variable")
    value = os.environ.get(name)
    shown = f"the environment variable {name}" if may_be_shown(f"{_ENV}{name}") else "the environment variable"
    if value is None:
        raise ReferenceUnreadable(f"{shown} is not set")
    if not value:
        raise ReferenceUnreadable(f"{shown} is empty")
    return value


def _file(given: str, folder: Path | None) -> str:
    shown = given if len(given) <= _SHOWN else f"{given[:_SHOWN]}…"
    try:
        path = (folder or Path()) / Path(given.removeprefix("//")).expanduser()
        text = _content(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = f"the file {shown} is not UTF-8 text"
    except OSError as error:
        problem = f"the file {shown} cannot be read: {error.strerror or type(error).__name__}"
    except (ValueError, RuntimeError):
        problem = f"{shown!r} is no path of a file"
    else:
        text = text.rstrip("\r\n")
        if text:
            return text
        problem = f"the file {shown} is empty"
    raise ReferenceUnreadable(problem)


def _content(path: Path) -> bytes:
    # Not blocking, so that a pipe that nobody writes to is seen for what it is.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ReferenceUnreadable(f"{path} is no regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(_MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise ReferenceUnreadable(f"the file {path} has more than {_MOST_BYTES // 1024} KiB")
    if is_open_to_others(path, facts):
        _LOG.warning("%s holds a credential and is open to other users: chmod 600 it", path)
    return content


def is_open_to_others(path: Path, facts: os.stat_result) -> bool:
    """Whether other users of the machine may read a file, other than one that is put there for this program alone."""
    return os.name == "posix" and bool(facts.st_mode & _OTHERS) and not str(path).startswith(_MOUNTED)


def _password(given: str) -> str:
    service, _, username = given.rpartition("/")
    if not service or not username:
        raise ReferenceUnreadable("a reference to the keyring is keyring:SERVICE/USERNAME")
    try:
        import keyring  # noqa: PLC0415  an extra, wanted only where it is referred to
    except ImportError:
        raise ReferenceUnreadable(
            "the library keyring is not installed: pip install 'modelhub-core[keyring]'"
        ) from None
    try:
        password = keyring.get_password(service, username)
    except Exception as error:  # noqa: BLE001  each system's keyring raises what it likes, and may say what it holds
        problem = f"the keyring cannot be read ({type(error).__name__})"
    else:
        if password:
            return password
        problem = f"the keyring has nothing for {username!r} of {service!r}"
    raise ReferenceUnreadable(problem)


def name_of(function: Callable[[], object]) -> str:
    """Return what a function of the application is called in messages."""
    return function.__qualname__ if inspect.isroutine(function) else type(function).__name__


async def returned_by(function: Callable[[], object], lock: threading.Lock | None = None) -> object:
    """Call a function of the application, in a thread unless it is async, and return what it returns.

    Args:
        function: Without arguments.
        lock: Held by the thread as long as it runs, which may be longer than anybody waits for it. While it is held,
            the function is not called: of one that never comes back, a thread stays each time.

    Raises:
        ReferenceUnreadable: It raised; the text says where, and nothing of what it said: there may be values in that.
            Or it still runs.
    """
    if lock is not None and lock.locked():
        raise ReferenceUnreadable(f"the function {name_of(function)} was called before and has not come back")
    try:
        return await _given(function, lock)
    except Exception as error:  # noqa: BLE001  it may raise anything
        failure = ReferenceUnreadable(f"the function {name_of(function)} raised {type(error).__name__}{_line(error)}")
    raise failure


async def _called(function: Callable[[], object]) -> str | ReferenceUnreadable:
    name = name_of(function)
    try:
        given = await returned_by(function)
    except ReferenceUnreadable as error:
        return error
    text = given.reveal() if isinstance(given, Secret) else given
    if not isinstance(text, str):
        return ReferenceUnreadable(f"the function {name} returned a {type(text).__name__}, not a text")
    return text or ReferenceUnreadable(f"the function {name} returned an empty text")


async def _given(function: Callable[[], object], lock: threading.Lock | None) -> object:
    def in_thread() -> object:
        with lock or nullcontext():
            return function()

    calling: Any = function if inspect.isroutine(function) else type(function).__call__
    is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(calling)
    given = function() if is_async else await run_in_thread(in_thread, name="modelhub-credential-function")
    return await given if inspect.isawaitable(given) else given


def _line(error: Exception) -> str:
    """Say where it was raised: without its text, that is what the application's author needs."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})" if trace is not None else ""
