"""``validate``: whether credentials work, stage by stage."""

from __future__ import annotations

from typing import Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED
from modelhub.cli.options import provider_argument
from modelhub.cli.problems import report_document, show_report
from modelhub.cli.progress import Display
from modelhub.cli.texts import _

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
        command.terminal.document(report_document(report))
    else:
        schema = infos[provider].schema if provider in infos else None
        show_report(command, report, schema.form if schema else ())
        if report.ok:
            command.terminal.say(_("The credentials of {provider} work.").format(provider=report.provider))
    return 0 if report.ok else FAILED
