"""What ``reasoning`` means in a vendor's own words, read from the rules of a model.

A model may have a switch, a level, a budget of tokens, or several of these. Owns what each can say and how it says it.
It does not own which of them there are: a rule is for ``reasoning`` by its template or by its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.findings import Findings
from modelhub.rules.templates import LEVELS
from modelhub.rules.values import is_finite, shown
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule, Reasoning

__all__ = ["fitted_reasoning", "is_off", "reasoning_of", "reasoning_words"]

_GRADES = LEVELS[1:]
_SHARES: Mapping[str, float] = {"minimal": 1 / 16, "low": 1 / 4, "medium": 1 / 2, "high": 3 / 4, "max": 1}
"""How much of the greatest budget a level is."""

_UTMOST = "xhigh"
"""What several vendors call the greatest level; some have ``max`` above it."""

_OFF = ("none", "off", "disabled", "disable", "false", "no")
_ON = ("on", "enabled", "enable", "true", "yes", "auto")
_TEXT = {None, "string", "text"}


def reasoning_of(name: str, value: object, findings: Findings) -> Reasoning:
    """Read how hard to think.

    Raises:
        BadRequest: It is neither a level nor ``True`` or ``False``.
    """
    if isinstance(value, bool) or (isinstance(value, str) and value in LEVELS):
        return cast("Reasoning", value)
    if isinstance(value, str) and value in {"true", "false"}:
        return bool(findings.changed("parameter_coerced", name, value, value == "true", "was read as"))
    message = f"{name} is {shown(value)}: it must be True, False or one of {', '.join(LEVELS)}"
    raise BadRequest(message, parameter=name)


def is_off(value: Reasoning) -> bool:
    """Whether it says not to think."""
    return value is False or value == "none"


def fitted_reasoning(value: Reasoning, rules: Sequence[ParameterRule], findings: Findings) -> object:
    """Return the nearest that a model can be told, or that nothing is.

    Args:
        value: What was given.
        rules: The model's rules for it, one at least.
        findings: Where changes are written down.

    Raises:
        UnsupportedFeature: The policy is strict and the model cannot answer without thinking.
        BadRequest: The policy is strict and the model has no such level.
    """
    grades = _grades(rules)
    if is_off(value):
        if any(_off(rule) for rule in rules):
            return value
        complaint: BadRequest = UnsupportedFeature(
            "this model cannot answer without reasoning",
            parameter="reasoning",
            remedy=f"give one of {', '.join(grades)}, or leave it out" if grades else "leave it out",
        )
    elif value is True or value in grades:
        return value
    else:
        words = ("True", "False", *grades) if any(_off(rule) for rule in rules) else ("True", *grades)
        message = f"reasoning is {shown(value)}: this model takes one of {', '.join(words)}"
        complaint = BadRequest(message, parameter="reasoning")
    if findings.policy == "clamp" and grades:
        nearest = _nearest(grades[0] if is_off(value) else str(value), grades)
        return findings.changed("parameter_clamped", "reasoning", value, nearest, "was changed to")
    return findings.left_out("parameter_dropped", complaint, value)


def reasoning_words(
    value: Reasoning, rules: Sequence[ParameterRule], *, max_tokens: int | None = None
) -> dict[str, JSON]:
    """Return what to send for it, by the vendor's names.

    Nothing is sent for ``True`` where the model has no switch and thinks anyway. A budget that is worked out stays
    below ``max_tokens``: vendors that count thinking among the tokens of the answer refuse it otherwise.
    """
    switch = next((rule for rule in rules if _is_switch(rule)), None)
    if is_off(value):
        able = [rule for rule in (*((switch,) if switch else ()), *rules) if _off(rule)]
        return {rule.name: _off(rule)[0] for rule in able[:1]}
    words: dict[str, JSON] = {} if switch is None else dict.fromkeys([switch.name], _on(switch)[0])
    graded = [rule for rule in rules if not _is_switch(rule)]
    if value is True:
        return words if switch is not None else _by_itself(graded, max_tokens)
    grade = next((rule for rule in graded if value in _grades((rule,))), None)
    return words if grade is None else {**words, grade.name: _grade(grade, str(value), max_tokens)}


def _by_itself(rules: Sequence[ParameterRule], max_tokens: int | None) -> dict[str, JSON]:
    """Say to think as hard as the model does by itself, where that needs saying."""
    found = _on(rules[0], max_tokens) if rules else ()
    return {rules[0].name: word for word in found}  # noqa: B035  there is one word or none


def _is_switch(rule: ParameterRule) -> bool:
    if _levels(rule) or _is_budget(rule):
        return False
    says_on = rule.type in _TEXT and bool(_said(rule, _ON))
    return rule.type == "boolean" or "true" in rule.values or says_on


def _said(rule: ParameterRule, words: Sequence[str]) -> list[str]:
    """Return the first of some words that is among a rule's options, as the vendor writes it: ``High``, ``Disabled``.

    Empty where none is.
    """
    options = {option.casefold(): option for option in reversed(rule.options)}
    return [options[word] for word in words if word in options][:1]


def _levels(rule: ParameterRule) -> tuple[str, ...]:
    """Return the levels that a rule of words can say."""
    if rule.type in _TEXT and not rule.options and not rule.values:
        return _GRADES
    own = {*(map(str.casefold, rule.options) if rule.type in _TEXT else ()), *rule.values}
    return tuple(level for level in _GRADES if level in own or (level == "max" and _UTMOST in own))


def _grades(rules: Sequence[ParameterRule]) -> tuple[str, ...]:
    """Return the levels that rules can say between them, in order."""
    graded = [rule for rule in rules if not _is_switch(rule)]
    if not graded:
        return _GRADES  # every one of them turns a switch on
    found = {level for rule in graded for level in (_GRADES if _is_budget(rule) else _levels(rule))}
    return tuple(level for level in _GRADES if level in found)


def _is_budget(rule: ParameterRule) -> bool:
    """Whether a level can be told by a share of the greatest number of tokens."""
    return rule.type in {"int", "float"} and not _levels(rule) and rule.max is not None and is_finite(rule.max)


def _nearest(level: str, grades: Sequence[str]) -> str:
    """Return the level nearest to one; of two, the lesser, which costs no more than what was asked for."""
    place = _GRADES.index(level)
    return min(grades, key=lambda each: (abs(_GRADES.index(each) - place), _GRADES.index(each)))


def _grade(rule: ParameterRule, level: str, max_tokens: int | None) -> JSON:
    if level in rule.values:
        return rule.values[level]
    if level == "max" and _UTMOST in rule.values:
        return rule.values[_UTMOST]
    if not _is_budget(rule):
        return next(iter(_said(rule, (level, _UTMOST) if level == "max" else (level,))), level)
    least, most = max(rule.min, 0) if rule.min is not None and is_finite(rule.min) else 0, rule.max or 0
    if max_tokens is not None:
        most = max(least, min(most, max_tokens - 1))
    return round(least + (most - least) * _SHARES[level])


def _off(rule: ParameterRule) -> Sequence[JSON]:
    """Return how a rule says not to think; empty where it cannot."""
    for word in ("none", "false"):
        if word in rule.values:
            return [rule.values[word]]
    if rule.type == "boolean":
        return [False]
    if rule.type in {"int", "float"}:
        return [0] if rule.min is not None and rule.min <= 0 and (rule.max is None or rule.max >= 0) else []
    if rule.type not in _TEXT:
        return []
    if not rule.options:
        return ["none"] if rule.type is not None else [False]
    if rule.type is None and _said(rule, ("none",)):
        return [False]
    return _said(rule, _OFF)


def _on(rule: ParameterRule, max_tokens: int | None = None) -> Sequence[JSON]:
    """Return how a rule says to think as hard as the model does by itself; empty where nothing need be said."""
    if "true" in rule.values:
        return [rule.values["true"]]
    if rule.type == "boolean" or (rule.type is None and not rule.values):
        return [True]
    words = _said(rule, _ON)
    if words and rule.type in _TEXT:
        return words
    grades = _grades((rule,))
    if not grades or not (_off(rule) or rule.required):
        return []
    usual = (
        rule.default.casefold() in (*grades, _UTMOST)
        if isinstance(rule.default, str)
        else _is_budget(rule) and bool(rule.default)
    )
    return [rule.default] if usual else [_grade(rule, _nearest("medium", grades), max_tokens)]
