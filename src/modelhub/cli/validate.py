"""``validate``: whether credentials work, stage by stage."""

from __future__ import annotations

from typing import Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED, error_document, one_line
from modelhub.cli.options import provider_argument
from modelhub.cli.progress import Display
from modelhub.cli.texts import _, label, language
from modelhub.types.plugins import ProviderInfo, ValidationReport

__all__ = ["validate"]


async def validate(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    model: Annotated[
        str | None, typer.Option("--model", metavar=_("MODEL"), help=_("Check this model too."), show_default=False)
    ] = None,
) -> int:
    """Check the credentials of a provider."""
    async with command.hub() as hub:
        with Display(command.terminal, waiting=_("checking {provider}").format(provider=provider)):
            report = await hub.validate(provider, command.credentials, model=model)
        infos = {each.id: each for each in await hub.providers()}
    if command.terminal.json:
        command.terminal.document(
            {
                "provider": provider,
                "ok": report.ok,
                "stages": report.stages,
                "errors": report.errors,
                "problems": [
                    {"path": each.path, "code": each.code, "message": each.text(language())} for each in report.problems
                ],
                "error": None if report.error is None else error_document(report.error),
            }
        )
    else:
        _show(command, report, infos.get(provider))
    return 0 if report.ok else FAILED


def _show(command: Command, report: ValidationReport, info: ProviderInfo | None) -> None:
    terminal = command.terminal
    for stage in report.stages:
        terminal.item(_("form") if stage == "form" else stage, good=True)
    if report.error is None:
        terminal.say(_("The credentials of {provider} work.").format(provider=report.provider))
        return
    if command.debug:
        command.failed(report.error)
    form = info.schema.form if info and info.schema else ()
    labels = {field.variable: label(field.label) for field in form}
    for problem in report.problems:
        own = label(problem.labels)
        name = f"{own} ({problem.path})" if own else problem.path
        terminal.item(one_line(name, problem.text(language())), good=False)
    for variable, message in () if report.problems else report.errors.items():
        name = f"{labels[variable]} ({variable})" if labels.get(variable) else variable
        terminal.item(one_line(name, message if variable else report.error.message), good=False)
    if report.error.remedy:
        terminal.say("  " + _("remedy: {remedy}").format(remedy=one_line(report.error.remedy)))
