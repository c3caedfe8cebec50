"""Which of the parameters given are sent: checked before the wire, everything that is wrong at once.

What is unset is not sent, except what a model's rules require. Neutral parameters have ranges of their own, since a
value outside them is a mistake with every provider; a model's rules narrow them, and say which it takes at all. This
owns the order of the questions; what a value must be is `modelhub.rules.limits`, `.values` and `.reasoning`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, cast

from modelhub.errors import BadRequest
from modelhub.rules.findings import LEFT_OUT, Findings, Policy
from modelhub.rules.hiding import leave_out_hidden
from modelhub.rules.limits import NEUTRAL, Limits, checked
from modelhub.rules.names import did_you_mean
from modelhub.rules.reasoning import fitted_reasoning, is_off, reasoning_of
from modelhub.rules.rule_set import Lookup, RuleSet
from modelhub.rules.templates import meaning
from modelhub.rules.values import check_json, check_text, number_in_range
from modelhub.types.json import JSON
from modelhub.types.parameters import ChatParameters, ParameterRule
from modelhub.types.records import Warning

__all__ = ["NEUTRAL", "Policy", "Resolved", "check_text", "collect_parameters", "number_in_range", "resolve_parameters"]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What is sent, and what the caller should know."""

    parameters: ChatParameters
    options: Mapping[str, JSON]
    warnings: tuple[Warning, ...] = ()


def resolve_parameters(
    given: Mapping[str, object],
    options: Mapping[str, JSON],
    rules: Sequence[ParameterRule] | None,
    *,
    policy: Policy = "strict",
    reasons: bool | None = None,
) -> Resolved:
    """Check parameters against a model's rules. What comes out would come out unchanged again.

    Args:
        given: Neutral parameters.
        options: Vendor parameters meant for this provider, by the vendor's names.
        rules: What the model takes; ``None`` where nobody knows, and then everything is sent. A `RuleSet` is looked up
            in at once; any other sequence is put in order first.
        policy: What becomes of a parameter that the model does not take so.
        reasons: Whether the model can reason; ``None`` where nobody knows.

    Returns:
        What is sent, and a warning for each change.

    Raises:
        BadRequest: A value can never be right, or a required one is missing; ``parameter`` names the first and
            ``problems`` them all.
        UnsupportedFeature: The model does not take the parameter, and the policy is strict.
    """
    if not given and not options and (rules is None or not RuleSet.of(rules).lookup.required):
        return Resolved(ChatParameters(), options)
    findings = Findings(policy)
    parameters, sent = collect_parameters(given, options, rules, findings, reasons=reasons)
    return Resolved(parameters, sent, findings.settle())


def collect_parameters(
    given: Mapping[str, object],
    options: Mapping[str, JSON],
    rules: Sequence[ParameterRule] | None,
    findings: Findings,
    *,
    reasons: bool | None = None,
) -> tuple[ChatParameters, Mapping[str, JSON]]:
    """Do as `resolve_parameters` does, and leave it to the caller to settle what was found."""
    lookup = None if rules is None else RuleSet.of(rules).lookup
    if not given and not options and (lookup is None or not lookup.required):
        return ChatParameters(), options
    parameters: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        try:
            sent = _neutral(name, value, lookup, findings, reasons=reasons)
        except BadRequest as error:
            findings.problems.append(error)
            continue
        if sent is not LEFT_OUT:
            parameters[name] = sent
    sent_options = _options(options, lookup, findings) if options else {}
    if lookup is not None and (lookup.conditional or lookup.required):
        hidden = leave_out_hidden(parameters, sent_options, lookup, findings)
        _add_required(parameters, sent_options, lookup, findings, hidden)
    return cast("ChatParameters", parameters), sent_options


def _neutral(name: str, value: object, lookup: Lookup | None, findings: Findings, *, reasons: bool | None) -> object:
    limits = NEUTRAL.get(name)
    if limits is None:
        remedy = f"{did_you_mean(name, NEUTRAL, what='parameters')} Vendor parameters go in vendor={{provider: {{…}}}}"
        raise BadRequest(f"there is no parameter {name!r}", parameter=name, remedy=remedy)
    if limits.kind == "reasoning":
        return _reasoning(name, value, lookup, findings, reasons=reasons)
    if lookup is None:
        return checked(name, value, limits, findings)
    narrower = lookup.neutral.get(name)
    if narrower is not None:
        return checked(name, value, narrower, findings)
    quiet = Findings("drop")  # only what can never be right is refused here
    if checked(name, value, limits, quiet) is LEFT_OUT and not quiet.warnings:
        return LEFT_OUT
    text = f"this model does not take the parameter {name!r}"
    return findings.unsupported(text, name, cast("JSON", value), [*lookup.neutral, *_of_reasoning(lookup)])


def _of_reasoning(lookup: Lookup) -> Sequence[str]:
    return ("reasoning",) if lookup.reasoning else ()


def _reasoning(name: str, given: object, lookup: Lookup | None, findings: Findings, *, reasons: bool | None) -> object:
    value = reasoning_of(name, given, findings)
    if reasons is False:
        if is_off(value):
            return LEFT_OUT  # not to reason is what a model that cannot does anyway
        return findings.unsupported("this model cannot reason on demand", name, value, ())
    if lookup is None:
        return value
    if lookup.reasoning:
        return fitted_reasoning(value, lookup.reasoning, findings)
    return findings.unsupported(f"this model does not take the parameter {name!r}", name, value, [*lookup.neutral])


def _options(options: Mapping[str, JSON], lookup: Lookup | None, findings: Findings) -> dict[str, JSON]:
    sent: dict[str, JSON] = {}
    for name, value in options.items():
        if value is None:
            continue
        try:
            fitting = _option(name, value, lookup, findings)
        except BadRequest as error:
            findings.problems.append(error)
            continue
        if fitting is not LEFT_OUT:
            sent[name] = cast("JSON", fitting)
    return sent


def _option(name: str, value: JSON, lookup: Lookup | None, findings: Findings) -> object:
    if lookup is None:
        check_json(name, value)
        return value
    limits = lookup.limits.get(name)
    if limits is not None:
        return checked(name, value, limits, findings)
    return findings.unsupported(f"this provider has no parameter {name!r}", name, value, [*lookup.limits])


def _add_required(
    parameters: dict[str, Any], options: dict[str, JSON], lookup: Lookup, findings: Findings, hidden: AbstractSet[str]
) -> None:
    """Send the default of what the vendor wants in every request, or complain that it is missing."""
    wrong = {error.parameter for error in findings.problems}
    for rule in lookup.required:
        name = meaning(rule)
        neutral = name in lookup.neutral and lookup.meant[name] is rule
        given = rule.name in options or (name in parameters and (neutral or name == "reasoning"))
        if given or rule.name in hidden or wrong & {name, rule.name}:
            continue
        told = name if neutral else rule.name
        own = not neutral or bool(rule.values)  # a default is in the vendor's words, which are not to be mapped again
        default = _default(rule, lookup.limits[rule.name] if own else lookup.neutral[name])
        if default is LEFT_OUT:
            remedy = f"give {told}=…" if neutral else f"give it in vendor={{provider: {{{told!r}: …}}}}"
            error = BadRequest(f"{told} is missing: this model requires it", parameter=told, remedy=remedy)
            findings.problems.append(error)
        else:
            (options if own else parameters)[rule.name if own else name] = cast("JSON", default)
            # Whoever gave ``reasoning`` knows none of the vendor's names for it.
            findings.stood_in(name if name == "reasoning" else told, cast("JSON", default))


def _default(rule: ParameterRule, limits: Limits) -> object:
    """Return what a rule says to send in place of nothing; one that the rule itself does not allow is none."""
    if rule.default is None:
        return LEFT_OUT
    try:
        return checked(rule.name, rule.default, limits, Findings("strict"))
    except BadRequest:
        return LEFT_OUT
