"""The plugins: which there are, what they say of themselves, and, once they are wanted, their code.

Two stages. Listing reads entry points and manifests and imports nothing; code is imported when a provider is first
called. A plugin that fails in either stage is a state with a reason, and no other plugin notices.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from importlib.metadata import EntryPoint, distributions, entry_points
from typing import final

from modelhub.configuration.settings import PluginSettings
from modelhub.errors import ConfigurationError, PluginError, UnknownProvider
from modelhub.hookspecs import GROUP
from modelhub.manifest.contract import AUTHOR_MENDS, check_contract
from modelhub.manifest.reading import Manifest, manifest_folder, read_manifest, read_models
from modelhub.provider.threads import run_in_thread
from modelhub.rules.auth import template_variables
from modelhub.rules.forms import model_form
from modelhub.rules.names import did_you_mean
from modelhub.runtime.loading import LoadFailure, failure_of, in_time, instance_of, load, module_of, shielded
from modelhub.runtime.plugin import Plugin, admitted
from modelhub.runtime.registration import BoundProvider, bind
from modelhub.runtime.rows import add_configured_rows, add_family_rows, overlaid_manifest
from modelhub.runtime.single_flight import SingleFlight
from modelhub.types.plugins import PluginState, ProviderInfo
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

__all__ = ["Plugin", "PluginRegistry", "PluginSettings", "scan"]

_log = logging.getLogger("modelhub.plugins")


def scan(group: str = GROUP) -> dict[str, list[EntryPoint]]:
    """Return the entry points of all installed plugins of a group, by id. Blocks; imports no plugin."""
    try:
        claims: Iterable[EntryPoint] = entry_points(group=group)
    except Exception:  # noqa: BLE001  one distribution that cannot be read must not hide all the others
        claims = _readable(group)
    found: dict[str, list[EntryPoint]] = {}
    for entry_point in claims:
        found.setdefault(entry_point.name, []).append(entry_point)
    return found


def _readable(group: str) -> Iterator[EntryPoint]:
    for distribution in distributions():
        try:
            yield from distribution.entry_points.select(group=group)
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, it has no plugin then
            _log.warning("the entry points of %s cannot be read: %s", distribution.metadata["Name"], error)


@final
class PluginRegistry:
    """All plugins of one hub.

    Args:
        settings: Which of them may be used.
        providers: Providers registered in code; they go before installed ones of the same id. Their manifests are
            files: make the registry in a thread where there are any.

    Raises:
        ConfigurationError: A provider given in code cannot be used.
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
            self._overlay(plugin)

    async def find(self, id: str) -> Plugin:
        """Return the plugin of a provider id, its manifest read.

        Raises:
            UnknownProvider: There is none; the message gives the nearest names.
            PluginError: It cannot be used.
        """
        plugin = self._plugins.get(id)
        if plugin is None or (plugin.manifest is None and plugin.failure is None) or self._stands_in(id):
            plugin = await self._flights.run(("find", id), lambda: self._found(id))
        if plugin.failure is not None:
            raise await run_in_thread(plugin.error, name=f"metadata {id}")
        return plugin

    async def _found(self, id: str) -> Plugin:
        await self._scan()
        if id not in self._plugins or self._stands_in(id):
            await self._read_all()
        plugin = self._plugins.get(id)
        if plugin is None:
            remedy = did_you_mean(id, self._plugins, what="providers")
            if not self._plugins:
                remedy = "no provider plugin is installed: pip install modelhub-ollama-local, for one"
            raise UnknownProvider(f"there is no provider {id!r}", remedy=remedy)
        if plugin.manifest is None and plugin.failure is None:
            await run_in_thread(lambda: self._read(plugin), name=f"manifest {id}")
        return plugin

    def _read(self, plugin: Plugin) -> None:
        """Read a plugin's manifest, if that was not done yet."""
        if plugin.manifest is None and plugin.failure is None:
            _read(plugin)
            self._overlay(plugin)

    def _read_each(self) -> None:
        for plugin in list(self._plugins.values()):
            self._read(plugin)

    def _overlay(self, plugin: Plugin) -> None:
        """Put what the settings say of a provider over its manifest."""
        overlay = self._settings.overlays.get(plugin.id)
        if overlay is None or plugin.manifest is None:
            return
        try:
            plugin.manifest = overlaid_manifest(plugin.manifest, plugin.id, overlay)
        except PluginError as error:
            plugin.fail(LoadFailure(" ".join(error.message.split()), "change it in the settings"))

    def _stands_in(self, id: str) -> bool:
        """Whether a configured row may take the place of an installed plugin, once all are read."""
        return not self._all_read and id in self._settings.rows

    async def bound(self, plugin: Plugin) -> BoundProvider:
        """Return a plugin's hooks, importing its code if that was not done yet.

        Raises:
            PluginError: It cannot be loaded or registered.
        """
        if plugin.bound is not None:
            return plugin.bound
        return await self._flights.run(("load", plugin.id), lambda: self._load(plugin))

    async def _load(self, plugin: Plugin) -> BoundProvider:
        if plugin.bound is None and plugin.failure is None:
            what = f"importing {plugin.entry_point.value}" if plugin.entry_point is not None else "registering it"
            try:
                bound, schema = await in_time(lambda: _made(plugin), what=what, seconds=self._settings.load_seconds)
            except PluginError as error:
                plugin.fail(failure_of(error))
            else:
                assert plugin.manifest is not None  # noqa: S101  `_made` has used it
                if schema is not plugin.manifest.schema:
                    plugin.manifest = replace(plugin.manifest, schema=schema, source=asdict(schema))
                    self._overlay(plugin)
                plugin.bound, plugin.state = bound, PluginState.READY
        if plugin.bound is None:
            raise await run_in_thread(plugin.error, name=f"metadata {plugin.id}")
        return plugin.bound

    async def models(self, plugin: Plugin) -> Mapping[tuple[ModelType, str], ModelSchema]:
        """Return a provider's predefined models."""
        if plugin.models is not None:
            return plugin.models
        return await self._flights.run(("models", plugin.id), lambda: _with_models(plugin))

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
            await self._flights.run("scan", self._scan_once)

    async def _scan_once(self) -> None:
        if not self._scanned:
            settings, known = self._settings, set(self._plugins)

            def find() -> list[Plugin]:
                return [admitted(id, claims, settings) for id, claims in scan().items() if id not in known]

            self._plugins.update((plugin.id, plugin) for plugin in await run_in_thread(find, name="plugin discovery"))
            self._scanned = True

    async def _read_all(self) -> None:
        if not self._all_read:
            await self._flights.run("read", self._read_once)

    async def _read_once(self) -> None:
        if not self._all_read:
            await run_in_thread(self._read_each, name="manifests")
            add_family_rows(self._plugins, self._settings)
            add_configured_rows(self._plugins, self._settings)
            self._all_read = True


def _read(plugin: Plugin) -> None:
    """Read a plugin's manifest; every failure becomes its state."""
    assert plugin.entry_point is not None  # noqa: S101  plugins of code have theirs from the start
    try:
        with shielded("reading its manifest"):
            manifest = read_manifest(manifest_folder(module_of(plugin.entry_point)))
            if manifest.schema.provider != plugin.id:
                named = manifest.schema.provider
                message = f"its entry point is named {plugin.id!r} and its manifest says provider: {named!r}"
                raise PluginError(message, remedy="the plugin's author must make them equal")
            plugin.manifest = manifest
    except PluginError as error:
        plugin.fail(failure_of(error))


def _made(plugin: Plugin) -> tuple[BoundProvider, ProviderSchema]:
    """Import a plugin's code if it must be, register it, and ask it for its schema. Blocks.

    Raises:
        PluginError: Any of that failed; the message is one line.
    """
    target = plugin.target if plugin.entry_point is None else load(plugin.entry_point)
    with shielded("registering it"):
        bound = bind(plugin.id, target)
    schema = plugin.schema
    if (
        schema.extends is None and bound.provider_schema is not None
    ):  # a row's schema is the family's manifest and its own
        schema = _own_schema(bound) or schema
        if schema.provider != plugin.id:
            message = f"its provider_schema says provider: {schema.provider!r}, and its entry point {plugin.id!r}"
            raise PluginError(message, remedy="the plugin's author must make them equal")
    _check_auth(bound, schema)
    return bound, schema


def _own_schema(bound: BoundProvider) -> ProviderSchema | None:
    if bound.provider_schema is None:
        return None
    with shielded("its hook provider_schema"):
        schema = bound.provider_schema()
    if schema is not None and not isinstance(schema, ProviderSchema):
        message = f"its hook provider_schema returned a {type(schema).__name__}, not a ProviderSchema"
        raise PluginError(message, remedy=AUTHOR_MENDS)
    return schema


def _check_auth(bound: BoundProvider, schema: ProviderSchema) -> None:
    fields = [field.variable for field in model_form(schema)]
    for header, template in bound.auth.items():
        for name in template_variables(template):
            if name not in fields:
                hint = did_you_mean(name, fields, what="fields")
                message = f"auth: header {header!r} wants {{{name}}}, which is no field of the form; {hint}"
                raise PluginError(message, remedy=AUTHOR_MENDS)


async def _with_models(plugin: Plugin) -> Mapping[tuple[ModelType, str], ModelSchema]:
    if plugin.models is None:
        manifest = plugin.manifest
        assert manifest is not None  # noqa: S101  `find` has read it
        found, notices = await run_in_thread(lambda: read_models(manifest), name=f"models {plugin.id}")
        plugin.notices += notices
        plugin.models = found
    return plugin.models


def _registered(target: object) -> Plugin:
    """Make a plugin of a provider given in code: its schema is from its own hook, or the manifest of its package."""
    try:
        instance = instance_of(target)
        with shielded("registering it"):
            schema = _own_schema(bind("in code", instance))
        if schema is not None:
            check_contract(schema.contract)
            manifest = Manifest(schema, None, asdict(schema))
        else:
            module = instance.__name__ if hasattr(instance, "__name__") else type(instance).__module__
            manifest = read_manifest(manifest_folder(str(module)))
    except PluginError as error:
        message = f"the provider {target!r} given in code cannot be used: {error.message}"
        remedy = f"{error.remedy or AUTHOR_MENDS}; its schema is what its provider_schema returns, or its provider.yaml"
        raise ConfigurationError(message, remedy=remedy) from error
    plugin = Plugin(manifest.schema.provider, target=instance)
    plugin.manifest = manifest
    if plugin.failure is not None:
        raise ConfigurationError(plugin.failure.reason, remedy="give it another id")
    return plugin
