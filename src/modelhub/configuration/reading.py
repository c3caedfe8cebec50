"""The settings file: which one it is, and from its bytes to a document. What the document means is not looked at."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelhub.configuration.lines import lines_of
from modelhub.configuration.problems import Complaint, ConfigProblem, Keys, SettingsInvalid, path_text
from modelhub.configuration.shaping import what_is
from modelhub.errors import ConfigurationError

__all__ = ["DEEPEST", "FILE_NAME", "LARGEST", "Document", "check_config", "document_of", "settings_file"]

FILE_NAME = "modelhub.toml"

LARGEST = 1 << 20
"""Bytes that a settings file may have."""

DEEPEST = 32
"""Tables and lists that may stand in each other."""

_WITHOUT_FILE = "the configuration"
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Document:
    """Settings as they were written.

    Attributes:
        value: The tables.
        source: The file; ``None`` for a dict.
        text: What the file holds, for its lines.
    """

    value: Mapping[str, object] = field(repr=False)
    source: Path | None = None
    text: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The file's name, or what a dict is called."""
        return _WITHOUT_FILE if self.source is None else str(self.source)

    def lines(self, wanted: Sequence[Keys]) -> Mapping[Keys, int]:
        """Return the lines of what the keys lead to; empty for a dict."""
        return lines_of(self.text, wanted) if wanted and self.source is not None else {}

    def problems(self, complaints: list[Complaint]) -> list[ConfigProblem]:
        """Return complaints with the lines they are about, in the order of the file."""
        lines = self.lines([each.keys for each in complaints])
        found = [
            ConfigProblem(self.name, lines.get(each.keys), path_text(each.keys), each.message, each.remedy)
            for each in complaints
        ]
        return sorted(found, key=lambda problem: problem.line or math.inf)

    def place(self, keys: Keys) -> str:
        """Return the file and the line of what the keys lead to."""
        (problem,) = self.problems([Complaint(keys, "")])
        return problem.place


def check_config(config: object) -> None:
    """Look at what an application gives as its settings, without reading it.

    Raises:
        ConfigurationError: It can be no settings.
    """
    remedy = "give a dict, the path of a file, or nothing"
    if config is not None and not isinstance(config, Mapping | str | os.PathLike):
        raise ConfigurationError(f"config is {what_is(config)}", remedy=remedy)
    if config == "":
        raise ConfigurationError("config is an empty text", remedy=remedy)


def document_of(config: Mapping[str, object] | Path | str | None, environ: Mapping[str, str]) -> Document:
    """Return the settings that are given, or those of the file that is named or found. Blocks.

    Raises:
        ConfigurationError: The file cannot be read, or is no TOML.
    """
    check_config(config)
    if isinstance(config, Mapping):
        document = Document(config)
    else:
        path = settings_file(config, environ)
        text = _text(path) if path is not None else ""
        document = Document(_parsed(path, text) if path is not None else {}, path, text)
    if _deeper(document.value, DEEPEST):
        remedy = "no setting is as deep"
        raise SettingsInvalid(document.problems([Complaint((), f"it is more than {DEEPEST} tables deep", remedy)]))
    return document


def _deeper(value: object, most: int) -> bool:
    """Tell whether tables and lists go deeper; a dict may even hold itself."""
    level = [value]
    for _ in range(most):
        level = list({id(each): each for above in level for each in _items(above)}.values())
        if not level:
            return False
    return True


def _items(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def settings_file(config: Path | str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file that is named, else that of ``MODELHUB_CONFIG``, else the one here; ``None`` for none. Blocks."""
    if config is not None:
        return Path(config)
    named = environ.get("MODELHUB_CONFIG")
    if named:
        return Path(named)
    path = Path(FILE_NAME)
    return path if path.is_file() else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"{path} cannot be read: {why}", remedy=_readable(error)) from error
    if len(content) > LARGEST:
        message = f"{path} has more than {LARGEST >> 20} MiB"
        raise ConfigurationError(message, remedy="name the settings file: this one is too large to be it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    remedy = "save the file as UTF-8"
    raise SettingsInvalid([ConfigProblem(str(path), line, "", "it is no TOML: it is not UTF-8", remedy)])


def _readable(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "name a file that exists, or none"
    if isinstance(error, IsADirectoryError):
        return f"name the file in it, such as {FILE_NAME}"
    return "mend its permissions, or name another file"


def _parsed(path: Path, text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        what = "its lists and tables are too deep"
    except ValueError as error:  # tomllib's own is one; a number of thousands of digits gives a plain one
        what = str(error)
    # Raised out here, and so without the library's own error, which holds the whole text.
    found = _AT_LINE.search(what)
    line = int(found[1]) if found and found[1] else text.count("\n") + 1 if found else None
    message = f"it is no TOML: {_AT_LINE.sub('', what)}"
    raise SettingsInvalid([ConfigProblem(str(path), line, "", message, "mend the line, or the one before it")])
