"""What the reader of manifests complains of and no other check has told, so that neither knows more than the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.nodes import YamlFile
from modelhub.manifest.problems import Problem, ProblemCode, Reading, WrongValue
from modelhub.manifest.readers import read_class

__all__ = ["unread"]

_SAID: Mapping[ProblemCode, tuple[str, str]] = {
    "unknown-key": ("unknown-key", "mend its spelling, or remove it"),
    "odd-value": ("wrong-type", "write a list"),
    "wrong-value": ("wrong-type", "write what is wanted there, or remove the key"),
    "missing": ("missing-key", "add it"),
}


def unread(cls: type, file: YamlFile, told: Sequence[Defect]) -> Iterator[Defect]:
    """Yield what the reader complains of, except where a defect is told of the same line.

    Args:
        cls: The schema class that the file is read as.
        file: The file.
        told: What was found before.
    """
    document = file.document
    lines = {each.line for each in told if each.file == file.shown and each.severity == "error"}
    reading = Reading(document)
    try:
        read_class(cls, document.value, reading)
    except WrongValue as error:
        reading.problems.append(Problem(error.path, error.code, error.message))
    for problem in reading.problems:
        line = document.line(problem.path)
        if line not in lines:
            code, remedy = _SAID[problem.code]
            message = problem.text(document).removeprefix(document.place(problem.path)).removeprefix(": ")
            yield defect(file.shown, line, code, message, remedy)
