"""``credentials list`` and ``credentials test``: which credentials there are, and which of them work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED
from modelhub.cli.options import option, provider_argument
from modelhub.cli.problems import report_document, show_report
from modelhub.cli.progress import Display
from modelhub.cli.texts import N_, _

if TYPE_CHECKING:
    from modelhub.cli.vault import Known, Vault
    from modelhub.types.plugins import ValidationReport

__all__ = ["credentials_list", "credentials_test"]

_SOURCES = {"store": N_("store"), "settings": N_("settings"), "environment": N_("environment")}


async def credentials_list(
    command: Command,
    provider: Annotated[
        str | None,
        typer.Argument(metavar=_("PROVIDER"), help=_("Only those of this provider."), show_default=False),
    ] = None,
) -> None:
    """List the credentials that there are, and where they come from."""
    from modelhub.cli.vault import opened  # noqa: PLC0415  --help does without

    vault = await opened(command)
    if provider is not None and not any(each.provider == provider for each in vault.stored):
        vault.schema(provider)
    known = list(vault.known(provider))
    if command.terminal.json:
        command.terminal.document({"credentials": known})
        return
    titles = (_("Provider"), _("Name"), _("Model"), _("Values"), _("From"), _("Created"), _("Changed"))
    shown = command.terminal.answers_shown
    command.terminal.table(titles, [_row(each, shown=shown) for each in known])
    if not known:
        command.terminal.hint(_("there are none; `modelhub credentials add PROVIDER` makes one"))


def _row(known: Known, *, shown: bool) -> tuple[str, ...]:
    """Return a credential's cells; times as the user writes them only where the user is looking."""
    from modelhub.cli.figures import moment_text  # noqa: PLC0415  languages' ways of writing, wanted only here
    from modelhub.cli.model_texts import property_text, short  # noqa: PLC0415

    pairs = [f"{name}={short(property_text(value))}" for name, value in known.values.items()]
    values = ("\n" if shown else ", ").join(pairs)
    created, changed = (
        "" if each is None else moment_text(each) if shown else each.isoformat(timespec="seconds")
        for each in (known.created, known.updated)
    )
    times = ("" if shown and created == changed else created, changed)
    source = _(_SOURCES[known.source]) + ("" if known.source == "store" else f": {known.place}")
    return known.provider, known.name or "", known.model or "", values, source, *times


async def credentials_test(
    command: Command,
    provider: Annotated[str, provider_argument()],
    *,
    name: Annotated[str | None, option("--name", _("NAME"), _("Only the one of this name."))] = None,
    model: Annotated[str | None, option("--model", _("MODEL"), _("Check this model too."))] = None,
) -> int:
    """Check each credential of a provider."""
    from modelhub.cli.vault import opened  # noqa: PLC0415  --help does without

    vault = await opened(command)
    vault.schema(provider)
    targets = list(dict.fromkeys(_targets(vault, provider, name, model)))
    reports: list[tuple[str, str | None, ValidationReport]] = []
    async with command.hub() as hub:
        for each, of_model in targets:
            with Display(command.terminal, waiting=_("checking {provider}").format(provider=f"{provider}#{each}")):
                kind = vault.type_of(provider, each, of_model)
                report = await hub.validate(provider, model=model or of_model, model_type=kind, credential=each)
            reports.append((each, of_model, report))
            if not command.terminal.json:
                _show_tested(command, vault, (each, of_model), report)
    if command.terminal.json:
        rows = [{"name": each, "model": of_model, **report_document(report)} for each, of_model, report in reports]
        command.terminal.document({"provider": provider, "credentials": rows})
    return 0 if all(report.ok for _name, _model, report in reports) else FAILED


def _targets(vault: Vault, provider: str, name: str | None, model: str | None) -> Iterable[tuple[str, str | None]]:
    """Yield the names of the credentials to check, each with the model that it is for.

    A model that has credentials of its own is called with those alone.
    """
    found = [(each.name, each.model) for each in vault.known(provider) if each.name is not None]
    own = model if any(of_model == model for _name, of_model in found) else None
    if model is not None:
        found = [(each, of_model) for each, of_model in found if of_model == own]
    if name is None:
        yield from found or [("default", None)]
    else:  # the hub says which names are near where there is none
        yield from [(each, of_model) for each, of_model in found if each == name] or [(name, model)]


def _show_tested(command: Command, vault: Vault, target: tuple[str, str | None], report: ValidationReport) -> None:
    name, model = target
    command.terminal.heading(name, "" if model is None else f"({model})")
    show_report(command, report, vault.form(report.provider, model))
