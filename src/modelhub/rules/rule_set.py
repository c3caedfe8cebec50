"""A model's parameter rules, whole and indexed once: templates filled in, found by the vendor's name and by meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

from modelhub.rules.limits import NEUTRAL, Limits, narrowed, of_rule
from modelhub.rules.templates import expanded, meaning
from modelhub.types.forms import Condition
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema

__all__ = ["Lookup", "RuleSet", "with_whole_rules"]

_KEYS = {"True": "true", "False": "false"}


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rules by what they are looked up by.

    Attributes:
        rules: By the vendor's name.
        limits: What each can be, by the vendor's name.
        meant: By the neutral parameter that it is for; the first of several. Not those for ``reasoning``.
        neutral: What each neutral parameter can be.
        reasoning: Those for ``reasoning``: a switch, a level, a budget, or several of these.
        required: Those that must be sent.
        conditional: By the vendor's name, when those are taken that hang on others; one of several is enough.
    """

    rules: Mapping[str, ParameterRule]
    limits: Mapping[str, Limits]
    meant: Mapping[str, ParameterRule]
    neutral: Mapping[str, Limits]
    reasoning: tuple[ParameterRule, ...]
    required: tuple[ParameterRule, ...]
    conditional: Mapping[str, Sequence[Sequence[Condition]]]


@final
class RuleSet(tuple[ParameterRule, ...]):  # noqa: SLOT001  it keeps its lookup
    """Parameter rules that remember how they are looked up; a tuple in everything else.

    Making one fills in no template: `of` does.
    """

    @classmethod
    def of(cls, rules: Iterable[ParameterRule]) -> RuleSet:
        """Return rules with their templates filled in; the same object where it is a `RuleSet` already."""
        return rules if type(rules) is RuleSet else cls(map(_whole, rules))

    @cached_property
    def lookup(self) -> Lookup:
        """The rules, looked up."""
        meant: dict[str, ParameterRule] = {}
        for rule in sorted(self, key=_by_suggestion):
            meant.setdefault(meaning(rule), rule)
        meant.pop("reasoning", None)
        return Lookup(
            rules=_first(self),
            limits={rule.name: of_rule(rule) for rule in reversed(self)},
            meant=meant,
            neutral={name: narrowed(NEUTRAL[name], rule) for name, rule in meant.items() if name in NEUTRAL},
            reasoning=tuple(rule for rule in self if meaning(rule) == "reasoning"),
            required=tuple(rule for rule in self if rule.required),
            conditional=_conditional(self),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return RuleSet, (tuple(self),)


def _whole(rule: ParameterRule) -> ParameterRule:
    """Fill in a rule's template, and write the keys of its values as they are looked up: YAML has its own ``true``."""
    if not rule.values.keys().isdisjoint(_KEYS):
        rule = replace(rule, values={_KEYS.get(key, key): value for key, value in rule.values.items()})
    return expanded(rule)


def _by_suggestion(rule: ParameterRule) -> bool:
    """Order rules that only suggest a neutral parameter by their name after those that say it."""
    return meaning(rule) != rule.neutral


def _first(rules: Iterable[ParameterRule]) -> dict[str, ParameterRule]:
    found: dict[str, ParameterRule] = {}
    for rule in rules:
        found.setdefault(rule.name, rule)
    return found


def _conditional(rules: Iterable[ParameterRule]) -> dict[str, list[Sequence[Condition]]]:
    found: dict[str, list[Sequence[Condition]]] = {}
    for rule in rules:
        found.setdefault(rule.name, []).append(rule.show_on)
    return {name: conditions for name, conditions in found.items() if all(conditions)}


def with_whole_rules(schema: ModelSchema) -> ModelSchema:
    """Return a model whose rules have their templates filled in and are looked up in at once."""
    rules = schema.parameter_rules
    if rules is None or isinstance(rules, RuleSet):
        return schema
    return replace(schema, parameter_rules=RuleSet.of(rules))
