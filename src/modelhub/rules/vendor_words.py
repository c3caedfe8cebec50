"""From the neutral parameters to the vendor's own names and values, by nothing but the model's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from modelhub.rules.reasoning import reasoning_words
from modelhub.rules.rule_set import Lookup
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule

__all__ = ["format_word", "format_words", "vendor_words"]

_WORDS: Mapping[str, Sequence[str]] = {"json": ("json_object", "json"), "json_schema": ("json_schema",)}
"""What vendors call a response format, in lower case; the commonest first."""


def vendor_words(parameters: Mapping[str, Any], lookup: Lookup) -> dict[str, JSON]:
    """Return neutral parameters by the vendor's names; one that no rule is for keeps its own."""
    words: dict[str, JSON] = {}
    for name, value in parameters.items():
        if name == "reasoning" and lookup.reasoning:
            words |= reasoning_words(value, lookup.reasoning, max_tokens=parameters.get("max_tokens"))
        elif name in lookup.meant:
            rule = lookup.meant[name]
            words[rule.name] = _word(value, rule)
        else:
            words[name] = value
    return words


def _word(value: JSON, rule: ParameterRule) -> JSON:
    key = str(value).lower() if isinstance(value, bool) else str(value)
    if rule.values and key in rule.values:
        return rule.values[key]
    if rule.type not in {"string", "text"}:
        return value
    match value:
        case [str(only)]:
            return only
        case int() | float():
            return key
        case _:
            return value


def format_word(wanted: str, rule: ParameterRule) -> Sequence[JSON]:
    """Return how a rule says ``json`` or ``json_schema``; empty where it cannot."""
    if wanted in rule.values:
        return [rule.values[wanted]]
    folded = {option.casefold(): option for option in reversed(rule.options)}
    return [folded[word] for word in _WORDS[wanted] if word in folded][:1]


def format_words(schema: Mapping[str, JSON] | None, lookup: Lookup) -> dict[str, JSON]:
    """Return a response format by the vendor's names.

    Args:
        schema: Its JSON Schema; ``None`` for any JSON.
        lookup: The model's rules. A rule for ``response_format`` says the word, one for ``json_schema`` takes the
            schema: as a text, or as it is where its type is ``object``.
    """
    words: dict[str, JSON] = {}
    word_rule, schema_rule = lookup.meant.get("response_format"), lookup.meant.get("json_schema")
    if word_rule is not None:
        said = format_word("json" if schema is None else "json_schema", word_rule)
        if not said and schema is not None and schema_rule is None:
            said = format_word("json", word_rule)
        words |= dict.fromkeys([word_rule.name] if said else [], *said[:1])
    if schema_rule is not None and schema is not None:
        as_text = schema_rule.type in {"string", "text", None}
        words[schema_rule.name] = json.dumps(schema, ensure_ascii=False, default=dict) if as_text else schema
    return words
