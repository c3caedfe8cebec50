"""What providers are beyond their manifests: rows of a family, rows of the settings, and what the settings change.

A row is a provider id that needs no code of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from modelhub.configuration.settings import PluginSettings
from modelhub.errors import PluginError
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.manifest.merging import overlaid_source
from modelhub.manifest.reading import Manifest
from modelhub.manifest.shapes import schema_from, unknown_keys
from modelhub.rules.names import did_you_mean
from modelhub.runtime.loading import LoadFailure, failure_of
from modelhub.runtime.plugin import Plugin, denied
from modelhub.types.forms import FormField
from modelhub.types.schema import ProviderSchema

__all__ = ["add_configured_rows", "add_family_rows", "overlaid_manifest"]

_OWN_KEYS = ("preset", "extends")


def add_family_rows(plugins: MutableMapping[str, Plugin], settings: PluginSettings) -> None:
    """Add the rows of every family. A row whose id is taken is left out, which the family's notices tell."""
    for family in list(plugins.values()):
        if family.manifest is None or family.failure is not None or not family.schema.family:
            continue
        for row in family.schema.providers:
            id = str(row.get("provider", ""))
            if not id or id in plugins:
                why = "taken" if id else "missing"
                family.notices += (f"row {id!r} of providers is left out: the id is {why}",)
            else:
                plugins[id] = _made(family, id, row, settings)


def overlaid_manifest(manifest: Manifest, id: str, row: Mapping[str, Any]) -> Manifest:
    """Put what the settings say of an installed provider over its manifest.

    Raises:
        PluginError: What comes out is no manifest.
    """
    own = {key: value for key, value in row.items() if key != "preset"}
    source = {**overlaid_source(manifest.source, own), "provider": manifest.schema.provider}
    schema, _ = schema_from(ProviderSchema, source, f"[providers.{id}]")
    preset = row.get("preset", {})
    return replace(manifest, schema=_with_preset(schema, preset, id), source=source)


def add_configured_rows(plugins: MutableMapping[str, Plugin], settings: PluginSettings) -> None:
    """Add the rows of the configuration. One whose id belongs to a plugin that works is left out, with a notice.

    What the configuration changes of a provider that is not there becomes a provider that cannot be used, and says so.
    """
    rows = dict(settings.rows)
    for id in settings.rows:
        taken = plugins.get(id)
        if taken is not None and taken.failure is None:
            taken.notices += (f"the configured provider {id!r} is left out: the id is taken",)
            del rows[id]
    # A row comes after the one that it extends, wherever they stand in the settings; in a circle none does.
    while ready := [id for id, row in rows.items() if row["extends"] not in rows]:
        for id in ready:
            plugins[id] = _configured(id, rows.pop(id), plugins, settings)
    for id, row in rows.items():
        why = f"it extends {row['extends']!r}, which leads back to itself"
        plugins[id] = _failing(id, LoadFailure(why, "name the id of an installed provider in one of them"))
    for id in settings.overlays:
        if id not in plugins:
            plugins[id] = _failing(id, _without_provider(id, plugins))


def _configured(id: str, row: Mapping[str, Any], plugins: Mapping[str, Plugin], settings: PluginSettings) -> Plugin:
    family = plugins.get(row["extends"])
    if family is not None and family.manifest is not None and family.failure is None:
        return _made(family, id, row, settings)
    return _failing(id, _without_family(row, plugins))


def _failing(id: str, failure: LoadFailure) -> Plugin:
    plugin = Plugin(id)
    if plugin.failure is None:
        plugin.fail(failure)
    return plugin


def _without_provider(id: str, plugins: Mapping[str, Plugin]) -> LoadFailure:
    usable = [name for name, other in plugins.items() if other.failure is None]
    hint = did_you_mean(id, usable, what="providers")
    remedy = f'install it, or say extends = "…" to make it a provider of your own; {hint}'
    return LoadFailure(f"[providers.{id}] changes a provider that is not installed", remedy)


def _without_family(row: Mapping[str, Any], plugins: Mapping[str, Plugin]) -> LoadFailure:
    usable = [name for name, plugin in plugins.items() if plugin.failure is None]
    family = str(row["extends"])
    if family in plugins:
        return LoadFailure(f"it extends {family!r}, which does not work", f"mend the plugin of {family!r} first")
    return LoadFailure(f"it extends {family!r}, which is not installed", did_you_mean(family, usable, what="providers"))


def _made(family: Plugin, id: str, row: Mapping[str, Any], settings: PluginSettings) -> Plugin:
    """Make a row's plugin: the family's manifest with the row's keys over it, ``preset`` as the form's defaults."""
    plugin = Plugin(id, entry_point=family.entry_point, target=family.target)
    if plugin.failure is None:
        refusal = denied(id, settings)
        if refusal is not None:
            plugin.fail(refusal)
    if plugin.failure is None:
        try:
            plugin.manifest = _manifest(family, id, row)
        except PluginError as error:
            plugin.fail(failure_of(error))
    return plugin


def _manifest(family: Plugin, id: str, row: Mapping[str, Any]) -> Manifest:
    assert family.manifest is not None  # noqa: S101  the callers have looked
    given = row.get("preset", {})
    if not isinstance(given, Mapping):
        raise PluginError(f"row {id}: preset must map fields to values", remedy=AUTHOR_MENDS)
    preset = {**family.manifest.source.get("preset", {}), **given}  # of a row that extends a row
    own = {key: value for key, value in row.items() if key not in _OWN_KEYS}
    source = {
        **family.manifest.source,
        "family": False,
        "providers": [],
        **own,
        "provider": id,
        "extends": family.id,
        "preset": preset,
    }
    schema, _ = schema_from(ProviderSchema, source, f"row {id}")
    schema = _with_preset(schema, preset, id)
    notices = (*unknown_keys(ProviderSchema, own, f"row {id}"), *_unknown_fields(schema, given, id))
    return Manifest(schema, family.manifest.folder, source, notices)


def _with_preset(schema: ProviderSchema, preset: Mapping[str, Any], id: str) -> ProviderSchema:
    if schema.provider_credential_schema is None:
        return schema
    form = [_preset(field, preset, id) for field in schema.form]
    credentials = replace(schema.provider_credential_schema, credential_form_schemas=form)
    return replace(schema, provider_credential_schema=credentials)


def _preset(field: FormField, preset: Mapping[str, Any], id: str) -> FormField:
    if field.variable not in preset:
        return field
    if field.secret:  # defaults of forms are shown
        message = f"row {id}: preset: the field {field.variable!r} is secret, and a preset is not"
        raise PluginError(message, remedy=f"give it as a credential: [credentials.{id}] {field.variable} = …")
    return replace(field, default=preset[field.variable])


def _unknown_fields(schema: ProviderSchema, preset: Mapping[str, Any], id: str) -> Iterator[str]:
    known = [field.variable for field in schema.form]
    for name in preset:
        if name not in known:
            yield f"row {id}: preset: unknown field {name!r}; {did_you_mean(str(name), known, what='fields')}"
