"""How the layers of what is known about a model or a provider stand over each other.

For a model, what counts more first: the application's overlay, what the plugin says of it, its own YAML, what its
provider says of all models of its type. For a provider: the overlay, then the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from modelhub.errors import ConfigurationError, PluginError
from modelhub.manifest.shapes import schema_from
from modelhub.rules.templates import meaning
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema, ProviderSchema

__all__ = ["merged", "overlaid", "overlaid_source"]

_BY = {
    "parameter_rules": "name",
    "credential_form_schemas": "variable",
    "options": "value",
}
"""Lists whose items are known by a key: an overlay changes the item that it names, and adds what is new."""


def merged(schema: ModelSchema, provider: ProviderSchema, predefined: ModelSchema | None = None) -> ModelSchema:
    """Fill in what a model leaves out: from its own YAML, then from what its provider says of all models of its type.

    A model's own parameter rules stand; rules that the provider has besides are added.
    """
    if predefined is not None:
        schema = replace(
            schema,
            label=predefined.label or schema.label,
            features=predefined.features if schema.features is None else schema.features,
            model_properties={**predefined.model_properties, **schema.model_properties},
            parameter_rules=schema.parameter_rules or predefined.parameter_rules,
            pricing=schema.pricing or predefined.pricing,
            deprecated=schema.deprecated or predefined.deprecated,
            deprecation=schema.deprecation or predefined.deprecation,
        )
    defaults = provider.defaults.get(schema.model_type.value)
    if defaults is None:
        return schema
    rules = schema.parameter_rules
    if defaults.parameter_rules is not None:
        own = {_meant(rule) for rule in rules or ()}
        rules = [*(rules or ()), *(rule for rule in defaults.parameter_rules if _meant(rule) not in own)]
    return replace(
        schema,
        features=defaults.features if schema.features is None else schema.features,
        parameter_rules=rules,
        model_properties={**defaults.model_properties, **schema.model_properties},
    )


def _meant(rule: ParameterRule) -> str:
    """Return what a rule is for; several rules may be for ``reasoning``, and each of them stands for itself."""
    meant = meaning(rule)
    return rule.neutral if meant == "reasoning" else meant


def overlaid(schema: ModelSchema, overlay: Mapping[str, Any], where: str) -> ModelSchema:
    """Put an application's overlay over a model.

    Tables are merged key by key, parameter rules by their name (``remove = true`` takes one away); everything else in
    the overlay replaces what was there.

    Args:
        schema: What is known of the model without it.
        overlay: Any of the keys of a model.
        where: What the overlay is called in errors.

    Raises:
        ConfigurationError: What comes out is no model.
    """
    if not overlay:
        return schema
    source = overlaid_source(asdict(schema), overlay)
    try:
        changed, _ = schema_from(ModelSchema, source, where)
    except PluginError as error:
        raise ConfigurationError(error.message, remedy="change it in the settings") from error
    pricing = changed.pricing
    if pricing is not None and "pricing" in overlay:
        pricing = replace(pricing, source="overlay")
    # The name is what calls go by, and a model of another type would be another model.
    return replace(changed, model=schema.model, model_type=schema.model_type, pricing=pricing)


def overlaid_source(source: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping over another, tables key by key and known lists item by item; see `overlaid`."""
    return {**source, **{key: _over(key, source.get(key), value) for key, value in overlay.items()}}


def _over(key: str, below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return overlaid_source(below, above)
    if key == "label" and isinstance(below, str) and below and isinstance(above, Mapping):
        return {"en_US": below, **above}
    name = _BY.get(key)
    if name is not None and _are_tables(below) and _are_tables(above):
        return _by_name(name, below, above)
    return above


def _are_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(row, Mapping) for row in value)


def _by_name(
    name: str, below: Sequence[Mapping[str, Any]], above: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    rows = list(below)
    for row in above:
        named = row.get(name)
        own = {each: value for each, value in row.items() if each != "remove"}
        if row.get("remove") is True:
            rows = [each for each in rows if each.get(name) != named]
        elif any(each.get(name) == named for each in rows):
            # A form may have several fields of one variable: what the overlay says goes for all of them.
            rows = [overlaid_source(each, own) if each.get(name) == named else each for each in rows]
        else:
            rows.append(own)
    return rows
