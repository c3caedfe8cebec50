"""What a schema leaves out and its own words imply: templates of parameter rules, and features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from modelhub.rules.templates import expanded
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema, TypeDefaults

__all__ = ["completed_defaults", "completed_rules", "with_implied_features"]


def completed_rules(rules: Sequence[ParameterRule] | None) -> Sequence[ParameterRule] | None:
    """Fill in what rules leave out, from the templates they name."""
    return None if rules is None else [expanded(rule) for rule in rules]


def completed_defaults(defaults: Mapping[str, TypeDefaults]) -> Mapping[str, TypeDefaults]:
    """Fill in the rules of what all models of a type have."""
    return {
        kind: replace(each, parameter_rules=completed_rules(each.parameter_rules)) for kind, each in defaults.items()
    }


def with_implied_features(schema: ModelSchema) -> ModelSchema:
    """Say that a model writes JSON by a schema where it takes one and says nothing of its features.

    A list of features, even an empty one, is the last word.
    """
    if schema.features is None and any(rule.name == "json_schema" for rule in schema.parameter_rules or ()):
        return replace(schema, features=["structured-output"])
    return schema
