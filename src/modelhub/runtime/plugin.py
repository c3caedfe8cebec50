"""One provider id: which distribution may have it, and how far its plugin has come. Imports no plugin."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint
from typing import final

from modelhub.configuration.settings import PluginSettings
from modelhub.errors import PluginError
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.manifest.reading import Manifest
from modelhub.runtime.loading import LoadFailure
from modelhub.runtime.registration import BoundProvider
from modelhub.types.plugins import PluginState, ProviderInfo
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["Plugin", "admitted", "denied", "distribution_of", "refused_distribution"]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@final
class Plugin:
    """One provider id and how far its plugin has come."""

    __slots__ = ("bound", "entry_point", "failure", "id", "manifest", "models", "notices", "state", "target")

    def __init__(self, id: str, *, entry_point: EntryPoint | None = None, target: object = None) -> None:
        self.id: str = id
        self.entry_point: EntryPoint | None = entry_point
        self.target: object = target
        self.state: PluginState = PluginState.DISCOVERED
        self.failure: LoadFailure | None = None
        self.manifest: Manifest | None = None
        self.bound: BoundProvider | None = None
        self.models: dict[tuple[ModelType, str], ModelSchema] | None = None
        self.notices: tuple[str, ...] = ()
        if not _ID.fullmatch(id):
            reason = f"{id!r} cannot be the id of a provider: it may have letters, digits and _ . -"
            self.fail(LoadFailure(reason, AUTHOR_MENDS))

    @property
    def schema(self) -> ProviderSchema:
        """The manifest's content; only where the manifest was read."""
        assert self.manifest is not None  # noqa: S101  every path to here has read it
        return self.manifest.schema

    def fail(self, failure: LoadFailure) -> None:
        """Mark the plugin as not usable."""
        self.state = failure.state
        self.failure = failure

    def error(self) -> PluginError:
        """Build the error of using it."""
        assert self.failure is not None  # noqa: S101  only failed plugins are asked
        name, version = distribution_of(self.entry_point)
        where = f" (distribution {name} {version})" if name else ""
        error = PluginError(f"the plugin of provider {self.id!r} is {self.state.value}{where}: {self.failure.reason}")
        error.remedy = self.failure.remedy
        error.distribution = f"{name} {version}" if name else None
        return error

    def info(self) -> ProviderInfo:
        """Return it as it stands. Reads the distribution's metadata: call it in a thread."""
        name, version = distribution_of(self.entry_point)
        return ProviderInfo(
            id=self.id,
            state=self.state,
            schema=self.manifest.schema if self.manifest else None,
            distribution=name,
            version=version,
            reason=self.failure.reason if self.failure else None,
            remedy=self.failure.remedy if self.failure else None,
            traceback=self.failure.traceback or None if self.failure else None,
            notices=(*(self.manifest.notices if self.manifest else ()), *self.notices),
        )

    def __repr__(self) -> str:
        return f"<plugin {self.id}: {self.state.value}>"


def distribution_of(entry_point: EntryPoint | None) -> tuple[str | None, str | None]:
    """Return name and version of the distribution that an entry point came with."""
    distribution = entry_point.dist if entry_point is not None else None
    if distribution is None:
        return None, None
    try:
        metadata = distribution.metadata  # of a half-removed distribution it may be empty
    except Exception:  # noqa: BLE001  or not there, by what each version of the finder raises then
        return None, None
    return (metadata["Name"], metadata["Version"]) if "Name" in metadata and "Version" in metadata else (None, None)


def admitted(id: str, claims: Sequence[EntryPoint], settings: PluginSettings) -> Plugin:
    """Make the plugin of an id from the entry points that claim it.

    Reads the distributions' metadata where the settings or several claims ask for it: call it in a thread then.

    Returns:
        The plugin of the one distribution that may have the id, or, with its failure, of none.
    """
    plugin = Plugin(id, entry_point=claims[0])
    if plugin.failure is not None or (len(claims) == 1 and settings.allow is None and not settings.deny):
        return plugin
    named: dict[str, EntryPoint] = {}
    for claim in claims:
        named.setdefault(_normal(distribution_of(claim)[0] or ""), claim)  # the first on the path is the one imported
    refusals = {name: _refusal(id, name, settings) for name in named}
    open_to = {name: claim for name, claim in named.items() if refusals[name] is None}
    preferred = open_to.get(_normal(settings.prefer.get(id, "")))
    plugin.entry_point = preferred or next(iter((open_to or named).values()))
    if not open_to:
        plugin.fail(next(failure for failure in refusals.values() if failure is not None))
    elif len(open_to) > 1 and preferred is None:
        plugin.fail(_conflict(id, open_to.values()))
    return plugin


def denied(id: str, settings: PluginSettings) -> LoadFailure | None:
    """Return why an id may not be used by its own name, if it may not."""
    if _normal(id) in {_normal(word) for word in settings.deny}:
        return _disabled(f"provider {id} is on the list plugins.deny", "take it off")
    return None


def _refusal(id: str, name: str, settings: PluginSettings) -> LoadFailure | None:
    return denied(id, settings) or refused_distribution(name, settings)


def refused_distribution(name: str | None, settings: PluginSettings) -> LoadFailure | None:
    """Return why nothing of a distribution may be used, if it may not."""
    name = _normal(name or "")
    if name in {_normal(word) for word in settings.deny}:
        return _disabled(f"distribution {name} is on the list plugins.deny", "take it off")
    if settings.allow is not None and name not in {_normal(word) for word in settings.allow}:
        return _disabled(f"distribution {name} is not on the list plugins.allow", "put it on")
    return None


def _disabled(reason: str, act: str) -> LoadFailure:
    remedy = f"{act} the list to use it (modelhub.toml, MODELHUB_PLUGINS_ALLOW, MODELHUB_PLUGINS_DENY)"
    return LoadFailure(reason, remedy, PluginState.DISABLED)


def _conflict(id: str, claims: Iterable[EntryPoint]) -> LoadFailure:
    shown = sorted(f"{name} {version}" for name, version in map(distribution_of, claims))
    remedy = f'uninstall all but one of them, or say which in modelhub.toml: [plugins.prefer] {id} = "…"'
    return LoadFailure(f"{len(shown)} distributions claim the id {id!r}: {' and '.join(shown)}", remedy)


def _normal(name: str) -> str:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", name).lower()
