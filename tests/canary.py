"""Secrets that are planted in every run, and the watch that fails a test after which one of them was written somewhere.

Tests use `CANARY` (and `canary("name")` where they need several) as keys. After each test the watch looks for them in
what was printed, logged and warned of, in the errors that the test caught, with the variables of their tracebacks, and
in the files below its ``tmp_path``: as they are, cut short, and in base64, hex, URL and JSON escapes. Owns no rule
about where a secret may lawfully be: a test whose files hold some says so with
``@pytest.mark.holds_secrets("*.toml")``. What is still in memory is looked through where a test asks: `holders`.

It looks at pytest's own seams for what tests caught and printed, so those are wrapped for the length of the run.
"""

import base64
import gc
import hashlib
import logging
import os
import pickle
import re
import secrets
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    GetSetDescriptorType,
    MemberDescriptorType,
    NoneType,
    TracebackType,
)
from typing import Any

import pytest

from modelhub.errors import ModelHubError

__all__ = ["CANARY", "RUN", "canary", "found_in", "holders"]

# The workers that share a run collect the same tests, some of which have a secret in their names.
RUN = hashlib.sha256(os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(8)).encode()).hexdigest()[:16]
"""What all secrets of a run have in common, and nothing else has."""

_HOLD_NOTHING = (
    *(int, float, complex, NoneType),
    *(CodeType, BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType),
)
_LARGEST = 1024 * 1024
_TESTS = re.compile(r"(^|/)(tests?|_pytest|pluggy)/|/conftest\.py$")
_NOISY = ("httpcore.connection", "httpcore.http11", "httpcore.proxy", "httpcore.socks")


def canary(name: str) -> str:
    """Return a secret of this run, the same one for the same name."""
    return f"mh-canary-{RUN}{hashlib.sha256(name.encode()).hexdigest()[:16]}/+"


CANARY = canary("")


def _needles() -> Iterator[bytes]:
    for token in (RUN, RUN.upper()):
        data = token.encode()
        yield data
        yield data[:10]
        for digits in (data.hex(), data.hex().upper()):
            pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
            for mark in ("", "%", "\\x", "\\u00", ":", " "):
                yield mark.join(pairs).encode()
        for before in range(3):
            # What stands before it decides how its bits fall into letters; the outermost letters are shared.
            yield base64.b64encode(bytes(before) + data)[4:20]
            yield base64.urlsafe_b64encode(bytes(before) + data)[4:20]


_ANY = re.compile(b"|".join(re.escape(needle) for needle in sorted(set(_needles()), key=len, reverse=True)))


def found_in(text: str | bytes) -> str | None:
    """Return what stands around a secret in a text, without it; ``None`` where there is none."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    match = _ANY.search(data)
    if match is None:
        return None
    before, after = data[max(match.start() - 60, 0) : match.start()], data[match.end() : match.end() + 30]
    return _ANY.sub(b"***", before + b"<HERE>" + after).decode("utf-8", "backslashreplace")


def holders(name: str) -> list[str]:
    """Return the types of what has the secret of this name in a text or in bytes, as far as the collector can see.

    Whoever asks must not have it in a variable.
    """
    secret = canary(name)
    data = secret.encode()
    gc.collect()
    found: list[str] = []
    waiting: list[Any] = [sys.modules, *gc.get_objects()]
    seen = {id(waiting), id(found)}
    kinds: dict[type, type] = {}
    while waiting:
        holder = waiting.pop()
        if id(holder) in seen:
            continue
        seen.add(id(holder))
        for each in gc.get_referents(holder):
            kind = kinds.get(type(each)) or kinds.setdefault(type(each), _kind_of(type(each)))
            if kind is object:
                waiting.append(each)  # the collector itself does not look at what has texts alone
            elif kind is not NoneType and (secret if kind is str else data) in each:
                found.append(f"{type(holder).__module__}.{type(holder).__qualname__}")
    return found


def _kind_of(cls: type) -> type:
    """Say what objects of a class are: texts, bytes, objects to look into, or nothing that can hold either.

    Into numbers and code nobody looks, nor into what pytest has of thousands of tests.
    """
    if issubclass(cls, str):
        return str
    if issubclass(cls, bytes | bytearray):
        return bytes
    return NoneType if issubclass(cls, _HOLD_NOTHING) or str(cls.__module__).startswith("_pytest.") else object


class Watch:
    """Notes where secrets were written, test by test."""

    def __init__(self) -> None:
        self._leaks: list[str] = []
        self._warnings: list[str] = []
        self._undo: list[Callable[[], object]] = []

    def start(self) -> None:
        """Wrap what tests catch and print with, and see every log record."""
        factory = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self._recording(factory))
        self._undo.append(lambda: logging.setLogRecordFactory(factory))
        self._wrap(pytest.RaisesExc, "__exit__", self._caught)
        self._wrap(pytest.CaptureFixture, "readouterr", self._printed)
        logging.getLogger("modelhub").setLevel(logging.DEBUG)
        for name in _NOISY:  # nobody wants to read them beside a test's failure
            logger = logging.getLogger(name)
            logger.setLevel(logging.DEBUG)
            quiet = _Quiet(self, logger)
            logger.addFilter(quiet)
            self._undo.append(partial(logger.removeFilter, quiet))

    def stop(self) -> None:
        """Undo it."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, owner: Any, name: str, look: Callable[..., None]) -> None:
        original = getattr(owner, name)

        def wrapped(this: Any, *arguments: Any) -> Any:
            given = original(this, *arguments)
            look(given, *arguments)
            return given

        setattr(owner, name, wrapped)
        self._undo.append(lambda: setattr(owner, name, original))

    def _note(self, where: str, text: str | bytes) -> None:
        around = found_in(text)
        if around is not None:
            self._leaks.append(f"{where}: {around}")

    def _recording(self, factory: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
        def record_of(*arguments: Any, **keywords: Any) -> logging.LogRecord:
            record = factory(*arguments, **keywords)
            if record.name not in _NOISY:
                self.record(record)
            return record

        return record_of

    def record(self, record: logging.LogRecord) -> None:
        """Look at what is logged."""
        with suppress(Exception):  # a message that does not fit its arguments is the logging module's to report
            self._note(f"the log of {record.name}", f"{record.getMessage()} {record.args!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.error(record.exc_info[1], f"an error logged by {record.name}")

    def _caught(self, given: object, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        del given, kind, trace
        if isinstance(error, ModelHubError):
            self.error(error, "an error that the test caught")

    def _printed(self, given: Any, *arguments: object) -> None:
        del arguments
        self._note("what was printed", f"{given.out}{given.err}")

    def error(self, error: BaseException, where: str) -> None:
        """Look at an error, at those behind it and at the variables of the functions it came through."""
        self._note(where, f"{error} {error!r} {error.args!r}")
        for each in _chain(error):
            self._note(f"{where}: {type(each).__name__}", f"{_shown(each)} {_shown(vars(each))}")
            for frame, _ in traceback.walk_tb(each.__traceback__):
                if not _TESTS.search(frame.f_code.co_filename):
                    for name, value in frame.f_locals.items():
                        self._note(f"{where}: {name} in {frame.f_code.co_qualname}", _shown(value))
        if isinstance(error, ModelHubError):
            with suppress(Exception):  # not every error can be pickled
                self._note(f"{where}, pickled", pickle.dumps(error))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Fail a test at its end where a secret was written."""
        report = yield
        if report.when == "teardown":
            for title, text in report.sections:
                self._note(title, text)
            for path in _files(item):
                self._note(f"the file {path.name}", path.read_bytes()[:_LARGEST])
            leaks, self._leaks = self._leaks, []
            if leaks:
                report.outcome = "failed"
                report.longrepr = "\n".join(["a secret was written where none may be:", *dict.fromkeys(leaks)])
                report.sections.clear()
        return report

    def pytest_warning_recorded(self, warning_message: Any, nodeid: str) -> None:
        """Look at a warning. It is told after the end of its test: the run fails in its place."""
        around = found_in(f"{warning_message.message}")
        if around is not None:
            self._warnings.append(f"a secret was written into a warning: {nodeid}: {around}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run whose warnings hold a secret."""
        if self._warnings:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say which."""
        for line in self._warnings:
            terminalreporter.write_line(line)


class _Quiet(logging.Filter):
    """Shows the watch what a logger's other filters leave of a record, and nobody else."""

    def __init__(self, watch: Watch, logger: logging.Logger) -> None:
        super().__init__()
        self._watch = watch
        self._logger = logger

    def filter(self, record: logging.LogRecord) -> bool:
        """Look at it."""
        for other in self._logger.filters:
            if callable(other):
                other(record)
        self._watch.record(record)
        return False


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a broken repr shows nothing
        return f"<{type(error).__name__}>"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        waiting += each.exceptions if isinstance(each, BaseExceptionGroup) else ()


def _files(item: pytest.Item) -> Iterator[Path]:
    """Yield the files that a test left, but those that may hold secrets."""
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if not isinstance(folder, Path):
        return
    lawful = [pattern for mark in item.iter_markers("holds_secrets") for pattern in mark.args]
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not _is_any(path.relative_to(folder).as_posix(), lawful) and path.is_file():
                yield path


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) or fnmatch(name.rpartition("/")[2], pattern) for pattern in patterns)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.addinivalue_line("markers", "holds_secrets(*patterns): files of the test that may hold planted secrets")
    watch = Watch()
    watch.start()
    config.pluginmanager.register(watch, "canary-watch")
    config.add_cleanup(watch.stop)
