"""``config check``, ``config show``, ``config schema``: what the settings say, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED, one_line
from modelhub.cli.options import flag
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, n_
from modelhub.errors import ConfigurationError, PluginError

if TYPE_CHECKING:
    from modelhub.configuration.installed import Finding, Installed
    from modelhub.configuration.installed_routes import Described
    from modelhub.configuration.settings import Settings
    from modelhub.credentials import StoredCredential
    from modelhub.runtime.plugins import PluginRegistry

__all__ = ["config_check", "config_schema", "config_show"]

_COLOURS = {"error": "red", "warning": "yellow"}
_DEFAULT = "default"


async def config_check(
    command: Command,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar=_("FILE"), help=_("The settings file; the one in use where it is left out."), show_default=False
        ),
    ] = None,
) -> int:
    """Tell everything that is wrong with the settings."""
    source, findings = await _checked(file or command.config)
    errors = [each for each in findings if each.severity == "error"]
    if command.terminal.json:
        rows = [{**_document(each), "severity": each.severity} for each in findings]
        command.terminal.document({"ok": not errors, "file": source, "problems": rows})
    else:
        _show_findings(command.terminal, source, findings)
    return FAILED if errors else 0


async def _checked(file: Path | None) -> tuple[Path | None, Sequence[Finding]]:
    """Return the file that the settings were read from, and what is wrong."""
    from modelhub.configuration.environment import environment  # noqa: PLC0415  --help does without
    from modelhub.configuration.installed import Finding, installed_findings  # noqa: PLC0415
    from modelhub.configuration.problems import ConfigProblem, SettingsInvalid  # noqa: PLC0415
    from modelhub.configuration.settings import read_settings  # noqa: PLC0415
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415

    try:
        settings = await run_in_thread(partial(read_settings, file), name="settings")
    except SettingsInvalid as error:
        return file, [Finding(each) for each in error.problems]
    installed, failure = await _installed(settings)
    findings = await installed_findings(settings, installed, environment())
    if failure is not None:
        problem = ConfigProblem(settings.document.name, None, "store", failure.message, failure.remedy)
        findings = [Finding(problem), *findings]
    return settings.source, findings


async def _installed(settings: Settings) -> tuple[Installed, ConfigurationError | None]:
    """Return what is installed and stored, and why the store cannot be read."""
    from modelhub.configuration.installed import Installed  # noqa: PLC0415  as above
    from modelhub.configuration.store import configured_store  # noqa: PLC0415
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415
    from modelhub.runtime.plugins import PluginRegistry  # noqa: PLC0415

    failure: ConfigurationError | None = None
    stored: Sequence[StoredCredential] = ()
    try:
        store = await run_in_thread(partial(configured_store, settings), name="store")
        stored = await store.list() if store is not None else ()
    except ConfigurationError as error:
        failure = error
    registry = PluginRegistry(settings.plugins)
    infos = {each.id: each for each in await registry.infos()}
    named = {table.provider for table in settings.deployments.values()}
    named |= {
        entry.partition("/")[0] for route in settings.routes.values() for group in route.groups for entry in group
    }
    known = [id for id in named if id in infos]
    models = {id: names for id in known if (names := await _all_models(registry, id)) is not None}
    described = {id: await _described(registry, id) for id in known}
    return Installed(infos, models, stored, described), failure


async def _described(registry: PluginRegistry, id: str) -> Described:
    """Return the models that a provider's files describe, which takes none of its code."""
    try:
        return await registry.models(await registry.find(id))
    except PluginError:
        return {}


async def _all_models(registry: PluginRegistry, id: str) -> Sequence[str] | None:
    """Return the names of all models of a provider; ``None`` where it may have others than its manifest says."""
    try:
        plugin = await registry.find(id)
        if "customizable-model" in plugin.schema.configurate_methods:
            return None
        bound = await registry.bound(plugin)
        if bound.describe_model is not None:
            return None
        return [name for _kind, name in await registry.models(plugin)]
    except PluginError:
        return None


def _document(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {name: getattr(problem, name) for name in ("file", "line", "path", "message", "remedy")}


def _show_findings(terminal: Terminal, source: Path | None, findings: Sequence[Finding]) -> None:
    for each in findings:
        problem = each.problem
        text = one_line(problem.path, problem.message)
        kind = _("error") if each.severity == "error" else _("warning")
        terminal.finding(problem.place, kind, text, colour=_COLOURS[each.severity])
        if problem.remedy:
            terminal.say("    " + _("remedy: {remedy}").format(remedy=one_line(problem.remedy)))
    if findings:
        terminal.say()
        terminal.say(_verdict(findings))
    elif source is None:
        terminal.say(_("Nothing is wrong. There is no settings file; what counts is the environment and the defaults."))
    else:
        terminal.say(_("Nothing is wrong with {file}.").format(file=source))


def _verdict(findings: Sequence[Finding]) -> str:
    errors = sum(1 for each in findings if each.severity == "error")
    warnings = len(findings) - errors
    parts = []
    if errors:
        parts.append(n_("{number} error", "{number} errors", errors).format(number=errors))
    if warnings:
        parts.append(n_("{number} warning", "{number} warnings", warnings).format(number=warnings))
    return ", ".join(parts) + "."


async def config_show(
    command: Command,
    *,
    all: Annotated[bool, flag("--all", _("Show the defaults too of what is not set."))] = False,
) -> None:
    """Show what is set, and where."""
    from modelhub.configuration.description import described  # noqa: PLC0415  --help does without
    from modelhub.configuration.environment import environment  # noqa: PLC0415
    from modelhub.configuration.settings import read_settings  # noqa: PLC0415
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415
    from modelhub.runtime.plugins import PluginRegistry  # noqa: PLC0415

    settings = await run_in_thread(partial(read_settings, command.config), name="settings")
    infos = await PluginRegistry(settings.plugins).infos()
    forms = {each.id: each.schema.form for each in infos if each.schema is not None}
    shown = await run_in_thread(partial(described, settings, forms, environment()), name="settings")
    rows = [each for each in shown if all or each.origin != _DEFAULT]
    if command.terminal.json:
        command.terminal.document({"file": settings.source, "settings": rows})
        return
    from modelhub.cli.model_texts import property_text  # noqa: PLC0415  wanted only here

    cells = [(each.path, property_text(each.value), _origin(each.origin)) for each in rows]
    command.terminal.table((_("Setting"), _("Value"), _("Where")), cells)
    if not rows:
        command.terminal.hint(_("nothing is set; --all shows the defaults"))


def _origin(origin: str) -> str:
    return _("default") if origin == _DEFAULT else origin


def config_schema(command: Command) -> None:
    """Write the JSON Schema of modelhub.toml, for editors."""
    from modelhub.configuration.json_schema import json_schema  # noqa: PLC0415  --help does without

    command.terminal.document(json_schema())
