"""``doctor``: what is installed and what is broken, with who must act and how. It works whatever is broken."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from modelhub.cli.command import Command
from modelhub.cli.failures import FAILED, error_document, kind_of, one_line, told
from modelhub.cli.progress import Display
from modelhub.cli.states import extension_document, provider_document, shown_state
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, language, n_
from modelhub.errors import ModelHubError
from modelhub.types.json import JSON
from modelhub.types.plugins import ExtensionInfo, PluginState, ProviderInfo
from modelhub.types.records import Progress

__all__ = ["doctor"]

_BROKEN = {PluginState.FAILED, PluginState.INCOMPATIBLE}
_DISTRIBUTIONS = ("modelhub-core", "anyio", "httpx", "pluggy", "pydantic", "typer")


@dataclass(frozen=True, slots=True)
class _Findings:
    """What was found.

    Attributes:
        facts: About the surroundings, by name.
        providers: Every plugin, loaded.
        extensions: Every middleware and sink that is installed, loaded.
        left_out: Whether the settings file cannot be used.
        unusable: Why the settings cannot be used.
        failure: Why the list of plugins could not be read.
    """

    facts: dict[str, str]
    providers: Sequence[ProviderInfo] = ()
    extensions: Sequence[ExtensionInfo] = ()
    left_out: bool = False
    unusable: ModelHubError | None = None
    failure: Exception | None = None

    @property
    def broken(self) -> list[ProviderInfo]:
        """The providers that somebody must mend."""
        return [each for each in self.providers if each.state in _BROKEN]

    @property
    def broken_extensions(self) -> list[ExtensionInfo]:
        """The extensions that somebody must mend."""
        return [each for each in self.extensions if each.state in _BROKEN]

    @property
    def ok(self) -> bool:
        """Whether nobody must mend anything."""
        return not (self.broken or self.broken_extensions or self.unusable or self.failure)


async def doctor(command: Command) -> int:
    """Tell what is installed, and what is broken."""
    findings = await _examined(command)
    if command.terminal.json:
        command.terminal.document(_document(findings, debug=command.debug))
    else:
        _show(command.terminal, findings, debug=command.debug)
    return 0 if findings.ok else FAILED


async def _examined(command: Command) -> _Findings:
    from modelhub.cli.probe import probed  # noqa: PLC0415  the runtime, which --help does without
    from modelhub.configuration.environment import environment  # noqa: PLC0415
    from modelhub.configuration.salvage import salvaged  # noqa: PLC0415
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415
    from modelhub.runtime.extensions import Extensions  # noqa: PLC0415
    from modelhub.runtime.plugins import PluginRegistry  # noqa: PLC0415

    found = await run_in_thread(partial(salvaged, command.config, environment()), name="settings")
    settings = found.settings
    facts = await run_in_thread(partial(_surroundings, found.file), name="versions")
    findings = _Findings(facts, left_out=found.left_out, unusable=found.failure)
    try:
        infos = await PluginRegistry(settings.plugins).infos()
        extensions = await Extensions(settings.plugins).infos()
    except Exception as error:  # noqa: BLE001  a broken installation is what this command is for
        return replace(findings, failure=error)
    config: Path | Mapping[str, object] | None = {} if found.left_out else found.file
    with Display(command.terminal) as display:

        def trying(id: str) -> None:
            display.update(Progress(_("importing {id}").format(id=id)))

        common: dict[str, Any] = {"config": config, "settings": settings, "environ": found.environ, "trying": trying}
        infos = await probed(infos, **common)
        extensions = await probed(extensions, **common)
    return replace(findings, providers=infos, extensions=extensions)


def _surroundings(source: Path | None) -> dict[str, str]:
    from modelhub.hub.calls import user_cache_dir  # noqa: PLC0415  see `_examined`

    return {
        "python": f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
        "language": language(),
        "config": str(source.absolute()) if source else "",
        "cache": str(user_cache_dir()),
        **{name: _version(name) for name in _DISTRIBUTIONS},
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _document(findings: _Findings, *, debug: bool) -> dict[str, JSON]:
    document: dict[str, JSON] = {"ok": findings.ok, **findings.facts}
    document["providers"] = [
        {**provider_document(each), **({"traceback": each.traceback} if debug else {})} for each in findings.providers
    ]
    document["extensions"] = [
        {**extension_document(each), **({"traceback": each.traceback} if debug else {})} for each in findings.extensions
    ]
    failure = findings.unusable or findings.failure
    if failure is not None:
        document["error"] = error_document(failure)
    return document


def _show(terminal: Terminal, findings: _Findings, *, debug: bool) -> None:
    names = {
        "python": "Python",
        "platform": _("Platform"),
        "language": _("Language"),
        "config": _("Settings"),
        "cache": _("Cache"),
    }
    empty = {"config": _("none (no modelhub.toml here, no --config, no MODELHUB_CONFIG)")}
    width = max(len(names.get(name, name)) for name in findings.facts)
    for name, fact in findings.facts.items():
        text = _("{file} (cannot be used, see below)") if name == "config" and findings.left_out else "{file}"
        terminal.say(f"{names.get(name, name):<{width}}  {text.format(file=fact) or empty.get(name, '-')}")
    terminal.say()
    for failure in filter(None, (findings.unusable, findings.failure)):
        _show_problem(terminal, failure)
    for each in findings.providers:
        _show_plugin(terminal, each, each.id, debug=debug)
    for extension in findings.extensions:
        kind = {"middleware": _("middleware"), "sink": _("sink")}.get(extension.kind or "", _("extension"))
        _show_plugin(terminal, extension, f"{extension.id} ({kind})", debug=debug)
    terminal.say()
    if findings.unusable is not None:
        terminal.say(_("The settings cannot be used."))
    terminal.say(_verdict(findings))
    if findings.broken_extensions:
        number = len(findings.broken_extensions)
        text = n_("{number} extension is broken.", "{number} extensions are broken.", number)
        terminal.say(text.format(number=number))


def _show_plugin(terminal: Terminal, info: ProviderInfo | ExtensionInfo, name: str, *, debug: bool) -> None:
    good = True if info.state is PluginState.READY else False if info.state in _BROKEN else None
    where = " ".join(word for word in (info.distribution, info.version) if word)
    terminal.item("  ".join(word for word in (name, shown_state(info.state), where) if word), good=good)
    if info.reason:
        terminal.say("    " + one_line(info.reason))
    if info.remedy:
        terminal.say("    " + _("remedy: {remedy}").format(remedy=one_line(info.remedy)))
    for notice in info.notices:
        terminal.say("    " + _("note: {notice}").format(notice=one_line(notice)))
    if debug and info.traceback:
        terminal.say("    " + info.traceback.rstrip().replace("\n", "\n    "))


def _show_problem(terminal: Terminal, failure: Exception) -> None:
    if not isinstance(failure, ModelHubError):
        terminal.item(one_line(type(failure).__name__, str(failure)), good=False)
        return
    text, below = told(failure)
    terminal.item(one_line(kind_of(failure), text), good=False)
    for line in below:
        terminal.say(f"    {line}")


def _verdict(findings: _Findings) -> str:
    number = len(findings.broken)
    if number:
        return n_("{number} provider is broken.", "{number} providers are broken.", number).format(number=number)
    if findings.failure is not None:
        return _("The list of plugins cannot be read.")
    if not findings.providers:
        return _("No provider is installed; for one: pip install modelhub-ollama-local")
    number = sum(1 for each in findings.providers if each.state is PluginState.READY)
    return n_("{number} provider works.", "All {number} providers work.", number).format(number=number)
