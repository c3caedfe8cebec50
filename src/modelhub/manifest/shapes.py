"""From a mapping that came from outside to one of the schema classes, and what in it was not understood.

Two ways: what plugins ship is read as far as it can be (`read_shape`), what the application says itself must be right
(`schema_from`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from modelhub.errors import PluginError
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.manifest.document import Document, DocumentError
from modelhub.manifest.problems import Problem, Reading, WrongValue
from modelhub.manifest.readers import read_class

__all__ = ["Shape", "mapping_of", "problems_in", "read_shape", "schema_from", "unknown_keys"]

T = TypeVar("T")

_HARMLESS = {"unknown-key", "odd-value"}


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """A document, read as one of the schema classes.

    Attributes:
        value: What it says.
        problems: What was not understood.
    """

    value: T
    problems: tuple[Problem, ...]


def read_shape(cls: type[T], document: Document) -> Shape[T]:
    """Read a document as far as it can be read.

    What is wrong costs the smallest thing that can be left out.

    Raises:
        DocumentError: It is no mapping, or says nothing that can be one of the class. The message is one line.
    """
    source = mapping_of(document)
    reading = Reading(document)
    try:
        value = read_class(cls, source, reading)
    except WrongValue as error:
        raise _refused(document, [Problem(error.path, error.code, error.message)]) from error
    return Shape(value, tuple(reading.problems))


def mapping_of(document: Document) -> dict[str, Any]:
    """Return the mapping that a document is.

    Raises:
        DocumentError: It is none.
    """
    if isinstance(document.value, dict):
        return document.value
    kind = "empty" if document.value is None else f"a {type(document.value).__name__}"
    raise DocumentError(f"{document.place()}: must be a mapping, and it is {kind}", remedy=AUTHOR_MENDS)


def _refused(document: Document, problems: list[Problem]) -> DocumentError:
    error = DocumentError("; ".join(problem.text(document) for problem in problems), remedy=AUTHOR_MENDS)
    error.line = document.line(problems[0].path)
    return error


def schema_from(cls: type[T], source: Mapping[str, Any], name: str) -> tuple[T, tuple[str, ...]]:
    """Read a mapping as one of the schema classes.

    Args:
        cls: The class.
        source: The mapping.
        name: What messages call it.

    Returns:
        The value, and a line for each key that was not understood.

    Raises:
        PluginError: It cannot be one; the message names every wrong place, in one line.
    """
    value, problems = _read(cls, source)
    wrong = [problem for problem in problems if problem.code not in _HARMLESS]
    if value is None or wrong:
        said = "; ".join(Problem(each.path, each.code, each.message).text(name) for each in wrong)
        raise PluginError(said, remedy=AUTHOR_MENDS)
    return value, tuple(problem.text(name) for problem in problems)


def problems_in(cls: type, source: Mapping[str, Any]) -> list[Problem]:
    """Return all that is wrong with a mapping that must be one of the schema classes, and what in it has no meaning."""
    return [problem for problem in _read(cls, source)[1] if problem.code != "odd-value"]


def _read(cls: type[T], source: Mapping[str, Any]) -> tuple[T | None, list[Problem]]:
    reading = Reading(None)
    value: T | None = None
    try:
        value = read_class(cls, source, reading)
    except WrongValue as error:
        reading.problems.append(Problem(error.path, error.code, error.message))
    return value, reading.problems


def unknown_keys(cls: type, source: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a line for each key of a mapping, at any depth, that the schema class does not have."""
    yield from (problem.text(name) for problem in _read(cls, source)[1] if problem.code == "unknown-key")
