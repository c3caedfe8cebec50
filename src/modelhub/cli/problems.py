"""What is wrong with a credential, field by field, as the terminal and ``--json`` tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelhub.cli.command import Command
from modelhub.cli.failures import error_document, one_line
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, label, language
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.plugins import ValidationReport
from modelhub.types.problems import FieldProblem

__all__ = ["Complaint", "report_document", "show_complaints", "show_report"]


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong with a field, in the user's language.

    Attributes:
        path: The field's variable, and where in its value.
        code: The kind of mistake.
        text: What is wrong.
        label: The field's label.
    """

    path: str
    code: str
    text: str
    label: str = ""

    @classmethod
    def of(cls, problem: FieldProblem) -> Complaint:
        """Return what the core says of a form, in the user's language."""
        return cls(problem.path, problem.code, problem.text(language()), label(problem.labels))

    @property
    def document(self) -> dict[str, JSON]:
        """What programs are told."""
        return {"path": self.path, "code": self.code, "message": self.text}


def show_complaints(terminal: Terminal, complaints: Iterable[Complaint]) -> None:
    """Write a line for each field that is wrong."""
    for each in complaints:
        name = f"{each.label} ({each.path})" if each.label else each.path
        terminal.item(one_line(name, each.text), good=False)


def report_document(report: ValidationReport) -> dict[str, object]:
    """Return in JSON what came of checking a credential."""
    return {
        "provider": report.provider,
        "ok": report.ok,
        "stages": report.stages,
        "errors": report.errors,
        "problems": [Complaint.of(each).document for each in report.problems],
        "error": None if report.error is None else error_document(report.error),
    }


def show_report(command: Command, report: ValidationReport, form: Sequence[FormField]) -> None:
    """Tell what came of checking a credential: what passed, what is wrong with which field, and what to do."""
    terminal = command.terminal
    for stage in report.stages:
        terminal.item(_("form") if stage == "form" else stage, good=True)
    if report.error is None:
        return
    if command.debug:
        command.failed(report.error)
    show_complaints(terminal, map(Complaint.of, report.problems) if report.problems else _of_vendor(report, form))
    if report.error.remedy:
        terminal.say("  " + _("remedy: {remedy}").format(remedy=one_line(report.error.remedy)))


def _of_vendor(report: ValidationReport, form: Sequence[FormField]) -> Iterable[Complaint]:
    labels: Mapping[str, str] = {field.variable: label(field.label) for field in form}
    for variable, message in report.errors.items():
        text = message if variable or report.error is None else report.error.message
        yield Complaint(variable, "refused", text, labels.get(variable, ""))
