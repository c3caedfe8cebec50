"""``pull`` and ``operate``: what a provider can do besides answering, with its progress."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.options import provider_argument
from modelhub.cli.progress import Display
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, label
from modelhub.cli.values import arguments_of
from modelhub.types.json import JSON
from modelhub.types.records import Progress

__all__ = ["operate", "pull"]

_TAKEN = frozenset({"provider", "name", "credentials"})
"""Words of the call itself, which no operation can have for its arguments."""


async def pull(
    command: Command,
    provider: Annotated[str, provider_argument()],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar=_("MODEL"), help=_("The model's name; also as provider/model, in one word."), show_default=False
        ),
    ] = None,
) -> None:
    """Have a provider fetch a model."""
    provider, slash, name = provider.partition("/") if model is None else (provider, "", model)
    if model is None and not slash:
        raise typer.BadParameter(_("it is missing"), param_hint=_("MODEL"))
    await _run(command, provider, "pull", {"model": name})


async def operate(
    command: Command,
    provider: Annotated[str, provider_argument()],
    name: Annotated[
        str | None,
        typer.Argument(metavar=_("NAME"), help=_("The operation; without it, they are listed."), show_default=False),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=_("KEY=VALUE"), help=_("What the operation takes, such as model=llama3."), show_default=False
        ),
    ] = None,
) -> None:
    """Run another of a provider's operations, or list them."""
    if name is None:
        await _list(command, provider)
        return
    given = arguments_of(arguments or (), option=_("KEY=VALUE"))
    await _run(command, provider, name, given)


async def _run(command: Command, provider: str, name: str, arguments: Mapping[str, JSON]) -> None:
    terminal = command.terminal
    for key in _TAKEN.intersection(arguments):
        raise typer.BadParameter(_("no operation takes {key}").format(key=key), param_hint=_("KEY=VALUE"))
    last = ""
    async with command.hub() as hub:
        with Display(terminal, after=0, kept=True) as display:
            async with aclosing(hub.operate(provider, name, credentials=command.credentials, **arguments)) as reports:
                async for report in reports:
                    display.update(report)
                    _tell(terminal, report, news=report.message != last)
                    last = report.message
    if terminal.json:
        terminal.line({"type": "done", "message": last})
    elif terminal.notes_shown or not last:
        terminal.say(last or _("done"))


def _tell(terminal: Terminal, report: Progress, *, news: bool) -> None:
    """Tell of a report where nobody watches the bars: each as JSON, or a line on stderr for each step."""
    if terminal.json:
        facts = {name: getattr(report, name) for name in ("message", "completed", "total", "unit", "data")}
        terminal.line({"type": "progress", **facts})
    elif news and not terminal.notes_shown:
        terminal.note(report.message)


async def _list(command: Command, provider: str) -> None:
    async with command.hub() as hub:
        infos = {each.id: each for each in await hub.providers()}
        if provider not in infos:
            await hub.models(provider)  # the core says which names are near
    schema = infos[provider].schema
    operations = schema.operations if schema else {}
    if command.terminal.json:
        command.terminal.document({"provider": provider, "operations": operations})
        return
    titles = (_("Operation"), _("Name"), _("Arguments"), _("Meaning"))
    rows = [(name, label(each.label), " ".join(each.arguments), label(each.help)) for name, each in operations.items()]
    command.terminal.table(titles, rows)
    if not rows:
        command.terminal.hint(_("it has none"))
