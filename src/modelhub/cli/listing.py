"""``providers``: what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.states import provider_document, shown_state
from modelhub.cli.texts import _, label
from modelhub.types.plugins import ProviderInfo

__all__ = ["providers"]


async def providers(
    command: Command,
    *,
    load: Annotated[
        bool, typer.Option("--load", help=_("Import their code too, which tells which of them work."))
    ] = False,
) -> None:
    """List the installed providers."""
    async with command.hub() as hub:
        infos: Sequence[ProviderInfo] = await hub.providers()
    if load:
        from modelhub.cli.probe import probed  # noqa: PLC0415  the runtime, which --help does without
        from modelhub.configuration.settings import read_settings  # noqa: PLC0415
        from modelhub.provider.threads import run_in_thread  # noqa: PLC0415

        settings = await run_in_thread(partial(read_settings, command.config), name="settings")
        infos = await probed(infos, config=command.config, settings=settings)
    if command.terminal.json:
        command.terminal.document({"providers": [provider_document(each) for each in infos]})
        return
    titles = (_("Provider"), _("Name"), _("Model types"), _("State"), _("Distribution"))
    rows = [
        (
            each.id,
            label(each.schema.label) if each.schema else "",
            ", ".join(each.schema.supported_model_types) if each.schema else "",
            shown_state(each.state),
            " ".join(word for word in (each.distribution, each.version) if word),
        )
        for each in infos
    ]
    command.terminal.table(titles, rows)
    broken = [each.id for each in infos if each.reason]
    if broken:
        command.terminal.hint(_("`modelhub doctor` tells what is wrong with: {ids}").format(ids=", ".join(broken)))
    elif not infos:
        command.terminal.hint(_("none is installed; for one: pip install modelhub-ollama-local"))
