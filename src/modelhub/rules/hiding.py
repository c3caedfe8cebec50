"""Parameters that hang on others: left out, or complained about, where the others do not have the values for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, cast

from modelhub.errors import BadRequest
from modelhub.rules.conditions import hold
from modelhub.rules.findings import Findings
from modelhub.rules.rule_set import Lookup
from modelhub.rules.templates import meaning
from modelhub.rules.vendor_words import vendor_words
from modelhub.types.forms import Condition
from modelhub.types.json import JSON

__all__ = ["hidden_names", "leave_out_hidden"]


def hidden_names(parameters: Mapping[str, Any], options: Mapping[str, JSON], lookup: Lookup) -> AbstractSet[str]:
    """Return the vendor's names of the parameters that are not taken now.

    A condition sees what is given, by the vendor's name and by the neutral one, and the defaults of the rest. What is
    itself not taken has no value. The order of the rules does not matter.
    """
    if not lookup.conditional:
        return frozenset()
    values: dict[str, JSON] = {name: rule.default for name, rule in lookup.rules.items() if rule.default is not None}
    values |= {rule.name: rule.default for rule in lookup.required if rule.default is not None}
    values |= {name: rule.default for name, rule in lookup.meant.items() if rule.default is not None}
    values |= parameters
    values |= vendor_words(parameters, lookup)
    values |= options
    hidden: set[str] = set()
    while True:
        found = {
            name
            for name, ways in lookup.conditional.items()
            if name not in hidden and not any(hold(conditions, values) for conditions in ways)
        }
        if not found:
            return hidden
        hidden |= found
        for name in found:
            values.pop(name, None)
            neutral = meaning(lookup.rules[name])
            if neutral != "reasoning" or hidden.issuperset(rule.name for rule in lookup.reasoning):
                values.pop(neutral, None)


def leave_out_hidden(
    parameters: dict[str, Any], options: dict[str, JSON], lookup: Lookup, findings: Findings
) -> AbstractSet[str]:
    """Take out what is not taken now, as the policy says.

    Returns:
        The vendor's names of all parameters that are not taken now, given or not.
    """
    hidden = hidden_names(parameters, options, lookup)
    for name in [*parameters]:
        words = vendor_words({name: parameters[name]}, lookup)
        if words and hidden >= words.keys():
            _leave_out(name, next(iter(words)), parameters, lookup, findings)
    for name in [name for name in options if name in hidden]:
        _leave_out(name, name, options, lookup, findings)
    return hidden


def _leave_out(name: str, vendors: str, given: dict[str, Any], lookup: Lookup, findings: Findings) -> None:
    value = findings.forgotten(name, cast("JSON", given.pop(name)))
    when = " or ".join(" and ".join(map(_said, conditions)) for conditions in lookup.conditional[vendors])
    complaint = BadRequest(f"{name} is taken only when {when}", parameter=name, remedy=f"give that too, or no {name}")
    try:
        findings.left_out("parameter_hidden", complaint, value)
    except BadRequest as error:
        findings.problems.append(error)


def _said(condition: Condition) -> str:
    """Say a condition in words."""
    return " and ".join(_parts(condition)) or "always"


def _parts(condition: Condition) -> Iterator[str]:
    name = condition.variable
    if name is not None and condition.value is not None:
        yield f"{name} is {_word(condition.value)}"
    if name is not None and condition.in_ is not None:
        yield f"{name} is one of {', '.join(map(_word, condition.in_))}"
    if name is not None and condition.exists is not None:
        yield f"{name} is {'' if condition.exists else 'not '}given"
    if condition.all:
        yield _joined(condition.all, " and ")
    if condition.any is not None:
        yield _joined(condition.any, " or ") if condition.any else "never"
    if condition.not_ is not None:
        yield f"not ({_said(condition.not_)})"


def _joined(conditions: Sequence[Condition], word: str) -> str:
    return f"({word.join(map(_said, conditions))})"


def _word(value: JSON) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
