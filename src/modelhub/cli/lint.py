"""``lint``: what is wrong with a plugin's files, each with its place and what to do; and their JSON Schemas."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED, one_line
from modelhub.cli.options import option
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, n_
from modelhub.manifest.json_schema import FileKind, json_schema

if TYPE_CHECKING:
    from modelhub.manifest.lint import Defect, Severity

__all__ = ["lint"]

_COLOURS = {"error": "red", "warning": "yellow"}


def _kind(text: str) -> FileKind:
    """Read a kind of file.

    Raises:
        BadParameter: It is none.
    """
    if text not in get_args(FileKind):
        known = ", ".join(get_args(FileKind))
        raise typer.BadParameter(_("{text} is none of {known}").format(text=repr(text), known=known))
    return cast("FileKind", text)


def lint(
    command: Command,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar=_("PATH"),
            help=_(
                "A plugin's project, its package, a Dify plugin, or one YAML file; this folder where none is given."
            ),
            show_default=False,
        ),
    ] = None,
    *,
    schema: Annotated[
        str | None,
        option(
            "--schema", _("KIND"), _("Write the JSON Schema of a kind of file instead: provider or model."), read=_kind
        ),
    ] = None,
) -> int:
    """Check a plugin's files."""
    if schema is not None:
        command.terminal.document(json_schema(cast("FileKind", schema)))
        return 0
    from modelhub.manifest.lint import lint as checked  # noqa: PLC0415  --schema and --help do without

    found: list[Defect] = []
    given = paths or [Path()]
    for path in given:
        if not path.exists():
            raise typer.BadParameter(_("there is no {path}").format(path=repr(str(path))), param_hint=_("PATH"))
    for path in given:
        found += (each for each in checked(path) if each not in found)
    if command.terminal.json:
        command.terminal.document(found)
    else:
        _show(command.terminal, found)
    return FAILED if any(each.severity == "error" for each in found) else 0


def _show(terminal: Terminal, defects: Sequence[Defect]) -> None:
    for _file, group in groupby(defects, key=lambda each: each.file):
        for each in group:
            kind = f"{each.severity}[{each.code}]"
            terminal.finding(f"{each.file}:{each.line}", kind, one_line(each.message), colour=_COLOURS[each.severity])
            terminal.say("    " + _("remedy: {remedy}").format(remedy=one_line(each.remedy)))
        terminal.say()
    terminal.say(_verdict(defects))


def _verdict(defects: Sequence[Defect]) -> str:
    errors, warnings = _number(defects, "error"), _number(defects, "warning")
    parts = []
    if errors:
        parts.append(n_("{number} error", "{number} errors", errors).format(number=errors))
    if warnings:
        parts.append(n_("{number} warning", "{number} warnings", warnings).format(number=warnings))
    return ", ".join(parts) + "." if parts else _("Nothing is wrong.")


def _number(defects: Sequence[Defect], severity: Severity) -> int:
    return sum(1 for each in defects if each.severity == severity)
