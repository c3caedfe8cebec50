"""How far a plugin has come, as users read it and as ``--json`` gives it."""

from __future__ import annotations

from modelhub.cli.texts import N_, _, label
from modelhub.types.json import JSON
from modelhub.types.plugins import ExtensionInfo, PluginState, ProviderInfo

__all__ = ["STATES", "extension_document", "provider_document", "shown_state"]

STATES = {
    PluginState.DISCOVERED: N_("installed"),
    PluginState.READY: N_("ready"),
    PluginState.FAILED: N_("failed"),
    PluginState.DISABLED: N_("disabled"),
    PluginState.INCOMPATIBLE: N_("incompatible"),
}


def shown_state(state: PluginState) -> str:
    """Return a state's word in the user's language."""
    return _(STATES[state])


def provider_document(info: ProviderInfo) -> dict[str, JSON]:
    """Return a provider as it stands, in JSON."""
    schema = info.schema
    return {
        "id": info.id,
        "label": label(schema.label, info.id) if schema else info.id,
        "model_types": [kind.value for kind in schema.supported_model_types] if schema else [],
        "operations": list(schema.operations) if schema else [],
        "default_model": schema.default_model if schema else None,
        "state": info.state.value,
        "distribution": info.distribution,
        "version": info.version,
        "reason": info.reason,
        "remedy": info.remedy,
        "notices": list(info.notices),
    }


def extension_document(info: ExtensionInfo) -> dict[str, JSON]:
    """Return an extension as it stands, in JSON."""
    return {
        "id": info.id,
        "kind": info.kind,
        "state": info.state.value,
        "distribution": info.distribution,
        "version": info.version,
        "reason": info.reason,
        "remedy": info.remedy,
    }
