"""The plugins: which there are, what they say of themselves, and, once they are wanted, their code.

Two stages. Listing reads entry points and manifests and imports nothing; code is imported when a provider is first
called. A plugin that fails in either stage is a state with a reason, and no other plugin notices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any, final

from modelhub.errors import ConfigurationError, ModelHubError, PluginError, UnknownProvider
from modelhub.hookspecs import GROUP
from modelhub.provider.threads import run_in_thread
from modelhub.rules.names import did_you_mean
from modelhub.runtime.loading import IncompatibleContract, LoadFailure, check_contract, instance_of, load_code
from modelhub.runtime.manifest import Manifest, manifest_folder, read_manifest, read_models, schema_from
from modelhub.runtime.registration import BoundProvider, bind
from modelhub.runtime.single_flight import SingleFlight
from modelhub.types.plugins import PluginState, ProviderInfo
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["Plugin", "PluginRegistry", "PluginSettings", "scan"]


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Which plugins may be used.

    Attributes:
        allow: Distributions that may; ``None`` for all.
        deny: Distributions or provider ids that may not.
        prefer: For an id that two distributions claim: the one that has it.
        rows: Providers made by configuration alone, each with ``extends``, by id.
        load_seconds: How long importing a plugin may take.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    load_seconds: float = 30.0


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

    @property
    def schema(self) -> ProviderSchema:
        """The manifest's content; only where the manifest was read."""
        assert self.manifest is not None  # noqa: S101  every path to here has read it
        return self.manifest.schema

    def fail(self, state: PluginState, failure: LoadFailure) -> None:
        """Mark the plugin as not usable."""
        self.state = state
        self.failure = failure

    def error(self) -> PluginError:
        """Build the error of using it."""
        assert self.failure is not None  # noqa: S101  only failed plugins are asked
        name, version = distribution_of(self.entry_point)
        where = f" (distribution {name} {version})" if name else ""
        error = PluginError(f"the plugin of provider {self.id!r} is {self.state.value}{where}: {self.failure.reason}")
        error.remedy = self.failure.remedy
        error.provider = None
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
    return (distribution.name, distribution.version) if distribution is not None else (None, None)


def scan() -> dict[str, list[EntryPoint]]:
    """Return the entry points of all installed provider plugins, by id. Blocks; imports no plugin."""
    found: dict[str, list[EntryPoint]] = {}
    for entry_point in entry_points(group=GROUP):
        found.setdefault(entry_point.name, []).append(entry_point)
    return found


@final
class PluginRegistry:
    """All plugins of one hub.

    Args:
        settings: Which of them may be used.
        providers: Providers registered in code; they go before installed ones of the same id.
    """

    def __init__(self, settings: PluginSettings, providers: Iterable[object] = ()) -> None:
        self._settings = settings
        self._plugins: dict[str, Plugin] = {}
        self._scanned = False
        self._all_read = False
        self._flights = SingleFlight()
        for target in providers:
            plugin = _registered(target)
            if plugin.id in self._plugins:
                message = f"two providers given in code have the id {plugin.id!r}"
                raise ConfigurationError(message, remedy="give each its own id")
            self._plugins[plugin.id] = plugin

    async def find(self, id: str) -> Plugin:
        """Return the plugin of a provider id, its manifest read.

        Raises:
            UnknownProvider: There is none; the message gives the nearest names.
            PluginError: It cannot be used.
        """
        plugin = self._plugins.get(id)
        if plugin is None or (plugin.manifest is None and plugin.state is PluginState.DISCOVERED):
            plugin = await self._flights.run(("find", id), lambda: self._found(id))
        if plugin.failure is not None:
            raise plugin.error()
        return plugin

    async def _found(self, id: str) -> Plugin:
        await self._scan()
        if id not in self._plugins:
            await self._read_all()
        plugin = self._plugins.get(id)
        if plugin is None:
            remedy = did_you_mean(id, self._plugins, what="providers")
            if not self._plugins:
                remedy = "no provider plugin is installed: pip install modelhub-ollama-local, for one"
            raise UnknownProvider(f"there is no provider {id!r}", remedy=remedy)
        if plugin.manifest is None and plugin.state is PluginState.DISCOVERED:
            await run_in_thread(lambda: _read(plugin), name=f"manifest {id}")
        return plugin

    async def bound(self, plugin: Plugin) -> BoundProvider:
        """Return a plugin's hooks, importing its code if that was not done yet.

        Raises:
            PluginError: It cannot be loaded or registered.
        """
        if plugin.bound is not None:
            return plugin.bound
        if plugin.failure is not None:
            raise plugin.error()
        return await self._flights.run(("load", plugin.id), lambda: self._load(plugin))

    async def _load(self, plugin: Plugin) -> BoundProvider:
        if plugin.bound is None and plugin.failure is None:
            target = plugin.target
            if plugin.entry_point is not None:
                target = await load_code(plugin.entry_point, seconds=self._settings.load_seconds)
            if isinstance(target, LoadFailure):
                plugin.fail(PluginState.FAILED, target)
            else:
                _bind(plugin, target)
        if plugin.bound is None:
            raise plugin.error()
        return plugin.bound

    async def models(self, plugin: Plugin) -> Mapping[tuple[ModelType, str], ModelSchema]:
        """Return a provider's predefined models."""
        if plugin.models is None:
            manifest = plugin.manifest
            assert manifest is not None  # noqa: S101  `find` has read it
            found, notices = await run_in_thread(lambda: read_models(manifest), name=f"models {plugin.id}")
            plugin.models = found
            plugin.notices = (*plugin.notices, *notices)
            return found
        return plugin.models

    async def infos(self) -> list[ProviderInfo]:
        """Return every plugin as it stands, usable or not. Imports no plugin code."""
        await self._scan()
        await self._read_all()
        plugins = [self._plugins[id] for id in sorted(self._plugins)]
        return await run_in_thread(lambda: [plugin.info() for plugin in plugins], name="plugin infos")

    async def load_all(self) -> None:
        """Import the code of every plugin, so that `infos` tells which of them work."""
        await self._scan()
        await self._read_all()
        for plugin in list(self._plugins.values()):
            if plugin.failure is None:
                try:
                    await self.bound(plugin)
                    await self.models(plugin)
                except PluginError:
                    continue  # its state says so

    async def _scan(self) -> None:
        if not self._scanned:
            found = await run_in_thread(scan, name="plugin discovery")
            needs_names = (
                self._settings.allow is not None or self._settings.deny or any(len(same) > 1 for same in found.values())
            )
            if needs_names:
                await run_in_thread(lambda: self._admit(found), name="plugin rules")
            else:
                self._admit(found)
            self._scanned = True

    def _admit(self, found: Mapping[str, Sequence[EntryPoint]]) -> None:
        for id, same in found.items():
            if id in self._plugins:
                continue
            plugin = self._plugins[id] = Plugin(id, entry_point=same[0])
            if len(same) > 1:
                self._choose(plugin, same)
            self._judge(plugin)

    def _choose(self, plugin: Plugin, same: Sequence[EntryPoint]) -> None:
        names = {_normal(distribution_of(each)[0] or ""): each for each in same}
        preferred = names.get(_normal(self._settings.prefer.get(plugin.id, "")))
        if preferred is not None:
            plugin.entry_point = preferred
            return
        shown = " and ".join(sorted(f"{name} {version}" for name, version in map(distribution_of, same)))
        remedy = f'uninstall one of them, or say which in modelhub.toml: [plugins.prefer] {plugin.id} = "…"'
        plugin.fail(PluginState.FAILED, LoadFailure(f"two distributions claim the id {plugin.id!r}: {shown}", remedy))

    def _judge(self, plugin: Plugin) -> None:
        name = (
            _normal(distribution_of(plugin.entry_point)[0] or "")
            if self._settings.allow is not None or self._settings.deny
            else ""
        )
        denied = {_normal(word) for word in self._settings.deny}
        if name in denied or _normal(plugin.id) in denied:
            plugin.fail(
                PluginState.DISABLED,
                LoadFailure("it is on the list plugins.deny", "take it off the list to use it"),
            )
        elif self._settings.allow is not None and name not in {_normal(word) for word in self._settings.allow}:
            failure = LoadFailure(
                f"distribution {name} is not on the list plugins.allow", "put it on the list to use it"
            )
            plugin.fail(PluginState.DISABLED, failure)

    async def _read_all(self) -> None:
        if self._all_read:
            return
        plugins = [plugin for plugin in self._plugins.values() if plugin.manifest is None and plugin.failure is None]

        def read() -> None:
            for plugin in plugins:
                _read(plugin)

        await run_in_thread(read, name="manifests")
        for plugin in list(self._plugins.values()):
            if plugin.manifest is not None and plugin.schema.family:
                for row in plugin.schema.providers:
                    self._add_row(plugin, dict(row))
        for id, row in self._settings.rows.items():
            self._add_configured_row(id, row)
        self._all_read = True

    def _add_row(self, family: Plugin, row: dict[str, Any]) -> None:
        id = str(row.get("provider", ""))
        if not id or id in self._plugins:
            family.notices = (
                *family.notices,
                f"row {id!r} of providers is left out: the id is {'taken' if id else 'missing'}",
            )
            return
        self._plugins[id] = _row_plugin(family, id, row)

    def _add_configured_row(self, id: str, row: Mapping[str, Any]) -> None:
        family = self._plugins.get(str(row.get("extends")))
        if id in self._plugins and self._plugins[id].failure is None:
            return
        if family is None or family.manifest is None:
            plugin = self._plugins[id] = Plugin(id)
            remedy = did_you_mean(str(row.get("extends")), self._plugins, what="providers")
            reason = f"it extends {row.get('extends')!r}, which is not installed or does not work"
            plugin.fail(PluginState.FAILED, LoadFailure(reason, remedy))
            return
        self._plugins[id] = _row_plugin(family, id, dict(row))


def _normal(name: str) -> str:
    # https://packaging.python.org/en/latest/specifications/name-normalization/
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(plugin: Plugin) -> None:
    """Read a plugin's manifest; every failure becomes its state."""
    assert plugin.entry_point is not None  # noqa: S101  plugins of code have theirs from the start
    try:
        manifest = read_manifest(manifest_folder(plugin.entry_point.module))
        check_contract(manifest.source.get("contract", 1))
        if manifest.schema.provider != plugin.id:
            message = (
                f"its entry point is named {plugin.id!r} and its manifest says provider: {manifest.schema.provider!r}"
            )
            raise PluginError(message, remedy="the plugin's author must make them equal")
        plugin.manifest = manifest
    except IncompatibleContract as error:
        plugin.fail(PluginState.INCOMPATIBLE, LoadFailure(error.message, error.remedy or ""))
    except PluginError as error:
        plugin.fail(PluginState.FAILED, LoadFailure(error.message, error.remedy or "the plugin's author must mend it"))


def _bind(plugin: Plugin, target: object) -> None:
    try:
        plugin.bound = bind(plugin.id, target)
        plugin.state = PluginState.READY
        if plugin.bound.provider_schema is not None and plugin.manifest is not None:
            schema = plugin.bound.provider_schema()
            if isinstance(schema, ProviderSchema):
                plugin.manifest = replace(plugin.manifest, schema=schema)
    except IncompatibleContract as error:
        plugin.fail(PluginState.INCOMPATIBLE, LoadFailure(error.message, error.remedy or ""))
    except PluginError as error:
        plugin.fail(PluginState.FAILED, LoadFailure(error.message, error.remedy or ""))


def _registered(target: object) -> Plugin:
    """Make a plugin of a provider given in code.

    Its schema comes from its own hook, or from the manifest of its package.
    """
    try:
        instance = instance_of(target)
        bound = bind("in code", instance)
        schema = bound.provider_schema() if bound.provider_schema is not None else None
        if isinstance(schema, ProviderSchema):
            manifest = Manifest(schema, None, {})
        else:
            module = instance.__name__ if hasattr(instance, "__name__") else type(instance).__module__
            manifest = read_manifest(manifest_folder(str(module)))
    except ModelHubError as error:
        message = f"the provider {target!r} given in code cannot be used: {error.message}"
        raise ConfigurationError(message, remedy=error.remedy) from error
    plugin = Plugin(manifest.schema.provider, target=instance)
    plugin.manifest = manifest
    return plugin


def _row_plugin(family: Plugin, id: str, row: dict[str, Any]) -> Plugin:
    """Make the plugin of a family's row.

    The family's manifest with the row's keys over it, ``preset`` as the form's defaults.
    """
    assert family.manifest is not None  # noqa: S101  the callers have checked
    plugin = Plugin(id, entry_point=family.entry_point, target=family.target)
    preset = row.pop("preset", {})
    row.pop("extends", None)
    source = {
        **family.manifest.source,
        "family": False,
        "providers": [],
        **row,
        "provider": id,
        "extends": family.id,
    }
    try:
        schema, notices = schema_from(ProviderSchema, source, f"row {id}")
        form = [replace(each, default=preset.get(each.variable, each.default)) for each in schema.form]
        if schema.provider_credential_schema is not None:
            credentials = replace(schema.provider_credential_schema, credential_form_schemas=form)
            schema = replace(schema, provider_credential_schema=credentials)
        plugin.manifest = Manifest(schema, family.manifest.folder, source, notices)
    except PluginError as error:
        plugin.fail(PluginState.FAILED, LoadFailure(error.message, error.remedy or ""))
    return plugin
