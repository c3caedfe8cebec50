"""What a schema leaves out and its own words imply: templates of parameter rules, and features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from modelhub.manifest.problems import Problem
from modelhub.rules.names import nearest
from modelhub.rules.parameters import NEUTRAL
from modelhub.rules.templates import TEMPLATES, expanded
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema, TypeDefaults

__all__ = ["completed_defaults", "completed_rules", "template_problems", "with_implied_features"]


def completed_rules(rules: Sequence[ParameterRule] | None) -> Sequence[ParameterRule] | None:
    """Fill in what rules leave out, from the templates they name; a template that does not exist is left out."""
    if rules is None:
        return None
    return [expanded(rule if _known(rule) else replace(rule, use_template=None)) for rule in rules]


def completed_defaults(defaults: Mapping[str, TypeDefaults]) -> Mapping[str, TypeDefaults]:
    """Fill in the rules of what all models of a type have."""
    return {
        kind: replace(each, parameter_rules=completed_rules(each.parameter_rules)) for kind, each in defaults.items()
    }


def template_problems(rules: Sequence[ParameterRule] | None, *path: str | int) -> Iterator[Problem]:
    """Yield a problem for each template that does not exist.

    Args:
        rules: The rules.
        path: Where in their document they stand.
    """
    for number, rule in enumerate(rules or ()):
        if not _known(rule):
            near = nearest(rule.use_template or "", TEMPLATES, most=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            place = (*path, number, "use_template")
            yield Problem(place, "odd-value", f"there is no template {rule.use_template!r}{hint}")


def _known(rule: ParameterRule) -> bool:
    return rule.use_template is None or rule.use_template in TEMPLATES or rule.use_template in NEUTRAL


def with_implied_features(schema: ModelSchema) -> ModelSchema:
    """Say that a model writes JSON by a schema where it takes one and says nothing of its features.

    A list of features, even an empty one, is the last word.
    """
    if schema.features is None and any(rule.name == "json_schema" for rule in schema.parameter_rules or ()):
        return replace(schema, features=["structured-output"])
    return schema
