"""Which plugins work, found out in a process of its own: whatever a plugin does there, this one goes on.

A plugin may raise, hang, print, hold the interpreter, call ``os._exit`` or crash the process while its code is
imported. One child process (``python -m modelhub.cli.probe``) imports them one after the other and reports each; when
it dies or hangs, the plugin that it was at is the culprit, and another child goes on with those after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from modelhub.cli.texts import _
from modelhub.configuration.settings import Settings, read_settings
from modelhub.errors import ModelHubError
from modelhub.runtime.extensions import Extension, Extensions
from modelhub.runtime.plugins import PluginRegistry
from modelhub.types.plugins import ExtensionInfo, PluginState, ProviderInfo

__all__ = ["probed"]

_REPORT_LIMIT = 1 << 24
_GRACE = 5.0
"""Seconds that a child gets beyond the time that one import may take, to start and to end."""
_NO_SETTINGS = "-"
_FACTS = ("state", "reason", "remedy", "traceback", "notices")
_EXTENSION = "extension:"
"""Before the names of extensions, where those of providers stand too: no provider's has a colon."""

I = TypeVar("I", ProviderInfo, ExtensionInfo)  # noqa: E741  infos of either kind


async def probed(
    infos: Sequence[I],
    *,
    config: Path | Mapping[str, object] | None,
    settings: Settings,
    environ: Mapping[str, str] | None = None,
    trying: Callable[[str], object] = str,
) -> list[I]:
    """Return the providers or the extensions with what importing their code showed.

    Args:
        infos: As listed.
        config: The settings file that was named, which the child reads too; an empty mapping for no settings.
        settings: What they say.
        environ: The environment of the child; this process's where it is not given.
        trying: Told which one is next; nobody, by default.
    """
    found = {_name(each): each for each in infos}
    waiting = [_name(each) for each in infos if each.usable]
    seconds = settings.plugins.load_seconds + _GRACE
    named = _NO_SETTINGS if isinstance(config, Mapping) else str(config or "")
    while waiting:
        reports, failure = await _child(waiting, named, environ, seconds=seconds, trying=trying)
        for id, report in reports.items():
            found[id] = replace(found[id], **report)
        waiting = waiting[len(reports) :]
        if waiting:
            culprit = waiting.pop(0)
            remedy = _("uninstall it or put it on the list plugins.deny; its author must mend it")
            found[culprit] = replace(found[culprit], state=PluginState.FAILED, reason=failure, remedy=remedy)
    return list(found.values())


def _name(info: ProviderInfo | ExtensionInfo) -> str:
    """Return what the child knows it by. Several distributions may use one name for their extensions."""
    return info.id if isinstance(info, ProviderInfo) else f"{_EXTENSION}{info.distribution}:{info.id}"


async def _child(
    ids: Sequence[str],
    config: str,
    environ: Mapping[str, str] | None,
    *,
    seconds: float,
    trying: Callable[[str], object],
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return what a child reported, and how it ended."""
    # -P: a file in the working directory must not pass for a module.
    command = [sys.executable, "-P", "-m", "modelhub.cli.probe", config, *ids]
    reports: dict[str, dict[str, Any]] = {}
    nowhere = subprocess.DEVNULL
    async with await anyio.open_process(command, stdin=nowhere, stderr=nowhere, env=environ) as process:
        assert process.stdout is not None  # noqa: S101  it is piped
        lines = BufferedByteReceiveStream(process.stdout)
        try:
            for id in ids:
                trying(id.rpartition(":")[2])
                with anyio.fail_after(seconds):
                    reports[id] = _report(await lines.receive_until(b"\n", _REPORT_LIMIT))
        except TimeoutError:
            process.kill()
            return reports, _("its import took longer than {seconds:g} s and could not be stopped").format(
                seconds=seconds
            )
        except (anyio.IncompleteRead, anyio.ClosedResourceError):
            pass  # the child is gone; how it went says its exit code
        with anyio.move_on_after(_GRACE):
            await process.wait()
        if process.returncode is None:
            process.kill()
        return reports, _("its import ended the process ({how})").format(how=_ending(process.returncode))


def _report(line: bytes) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(line)
    return {**report, "state": PluginState(report["state"]), "notices": tuple(report["notices"])}


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return _("exit code {code}").format(code=code)


def main(config: str, ids: Sequence[str]) -> None:
    """Report on plugins, a JSON line for each; the whole work of the child, which ends here.

    What a plugin prints goes nowhere, and what it leaves running does not hold up the end.
    """
    reports = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())

    async def try_all() -> None:
        settings = read_settings({} if config == _NO_SETTINGS else Path(config) if config else None)
        registry = PluginRegistry(settings.plugins)
        extensions: dict[str, Extension] = {}
        if any(id.startswith(_EXTENSION) for id in ids):
            extensions = {_name(each.info()): each for each in await Extensions(settings.plugins).found()}
        else:
            await registry.infos()
        for id in ids:
            report: dict[str, object]
            if id in extensions:
                await extensions[id].load(seconds=settings.plugins.load_seconds)
                report = _facts(extensions[id].info(), "kind")
            else:
                report = _facts(await _tried(registry, id))
            os.write(reports, json.dumps(report).encode() + b"\n")

    anyio.run(try_all)
    os._exit(0)


def _facts(info: object, *more: str) -> dict[str, object]:
    return {name: getattr(info, name) for name in (*_FACTS, *more)}


async def _tried(registry: PluginRegistry, id: str) -> ProviderInfo:
    try:
        plugin = await registry.find(id)
        with suppress(ModelHubError):  # its state says so
            await registry.bound(plugin)
            await registry.models(plugin)
        return plugin.info()
    except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
        return ProviderInfo(id, PluginState.FAILED, reason=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
