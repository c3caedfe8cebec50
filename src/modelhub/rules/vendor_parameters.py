"""What a provider puts on the wire for the parameters of a request, by the vendor's own names."""

from __future__ import annotations

from typing import Any

from modelhub.rules.hiding import hidden_names
from modelhub.rules.rule_set import RuleSet
from modelhub.rules.vendor_words import format_words, vendor_words
from modelhub.types.json import JSON
from modelhub.types.requests import ChatRequest, Request
from modelhub.types.results import Result

__all__ = ["vendor_parameters"]


def vendor_parameters(request: Request[Result]) -> dict[str, JSON]:
    """Return a request's parameters as its model's rules say them: the vendor's names, the vendor's values.

    The neutral parameters go by the rules that are for them (``use_template``), ``reasoning`` and the response format
    included where there are rules for these. A vendor option goes before the neutral parameter that it equals.

    Args:
        request: As a provider gets it: checked against the rules already.

    Returns:
        Only what was set. Without rules, the names and values are those of the request.
    """
    options = {name: value for name, value in request.options.items() if value is not None}
    chat = request if isinstance(request, ChatRequest) else None
    parameters: dict[str, Any] = {}
    if chat is not None:
        parameters = {name: value for name, value in chat.parameters.items() if value is not None}
    if request.schema is None or request.schema.parameter_rules is None:
        return parameters | options
    lookup = RuleSet.of(request.schema.parameter_rules).lookup
    words = vendor_words(parameters, lookup)
    if lookup.reasoning and "reasoning" in parameters and lookup.conditional:
        # Of several rules for one parameter only those are said that are taken now.
        hidden = hidden_names(parameters, options, lookup) & {rule.name for rule in lookup.reasoning}
        words = {name: value for name, value in words.items() if name not in hidden}
    if chat is not None and chat.response_format is not None:
        words |= format_words(chat.response_format.schema, lookup)
    return words | options
