"""What a model leaves out, filled in from what its provider says of all its models."""

from __future__ import annotations

from dataclasses import replace

from modelhub.types.schema import ModelSchema, ProviderSchema

__all__ = ["merged"]


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
        )
    defaults = provider.defaults.get(schema.model_type.value)
    if defaults is None:
        return schema
    rules = schema.parameter_rules
    if defaults.parameter_rules is not None:
        own = {rule.neutral for rule in rules or ()}
        rules = [*(rules or ()), *(rule for rule in defaults.parameter_rules if rule.neutral not in own)]
    return replace(
        schema,
        features=defaults.features if schema.features is None else schema.features,
        parameter_rules=rules,
        model_properties={**defaults.model_properties, **schema.model_properties},
    )
