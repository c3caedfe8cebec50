"""Whether a model can do what a request asks, decided before the wire.

A model of which nothing is known is given the chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from modelhub.errors import BadRequest, ContextLengthExceeded, UnsupportedFeature
from modelhub.rules.findings import Findings, Policy
from modelhub.rules.parameters import collect_parameters
from modelhub.rules.routing.tokens import texts_of
from modelhub.rules.rule_set import RuleSet
from modelhub.rules.vendor_words import format_word
from modelhub.types.json import JSON
from modelhub.types.messages import MediaPart
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.schema import ModelSchema

__all__ = ["check_length", "fit_to_model"]

_NEEDS = {"image": "vision", "audio": "audio", "video": "video", "document": "document"}
_TOOLS = frozenset({"tool-call", "multi-tool-call", "stream-tool-call"})
"""Any of these: who calls several tools calls one, and catalogues often write the greater feature alone."""

_WORDS = frozenset({"json", "json_schema"})

_MOST_CHARACTERS = 8
"""Characters of a token, on the average of any text that people write: four are usual."""


def fit_to_model(
    request: ChatRequest[None],
    schema: ModelSchema,
    *,
    policy: Policy,
    given: Mapping[str, object] | None = None,
    options: Mapping[str, JSON] | None = None,
    **others: Any,
) -> tuple[ChatRequest[None], tuple[Warning, ...]]:
    """Check a request against what its model can do and takes.

    Args:
        request: What is asked.
        schema: The model.
        policy: What becomes of what the model does not take so.
        given: Neutral parameters, where they are not the request's own.
        options: Vendor parameters for the provider, where they are not the request's own.
        others: What else to set on the request.

    Returns:
        The request, without what the policy allows to leave out, and what the caller should know.

    Raises:
        UnsupportedFeature: The model cannot do it: tools, media, or, under the strict policy, reasoning, a response
            format or a parameter.
        BadRequest: A parameter can never be right. ``problems`` has everything that is wrong.
    """
    findings = Findings(policy)
    features = schema.features
    if features is not None:
        _check_features(request, schema, features, findings)
    shape = request.response_format
    if shape is not None:
        shape = _fitting(shape, schema, findings)
    reasons = None if features is None else "reasoning" in features or "agent-thought" in features
    others["parameters"], others["options"] = collect_parameters(
        request.parameters if given is None else given,
        request.options if options is None else options,
        schema.parameter_rules,
        findings,
        reasons=reasons,
    )
    warnings = findings.settle()
    return replace(request, response_format=shape, schema=schema, **others), warnings


def _lacks(schema: ModelSchema, ability: str, parameter: str) -> UnsupportedFeature:
    remedy = "choose a model that can, or leave it out"
    return UnsupportedFeature(f"{schema.model} cannot {ability}", parameter=parameter, remedy=remedy)


def check_length(request: ChatRequest[Any], schema: ModelSchema) -> None:
    """Refuse a prompt that is certainly longer than the model takes, where another model could be asked instead.

    Raises:
        ContextLengthExceeded: It has more than eight characters for each token of the context.
    """
    size = schema.context_size
    if size is None:
        return
    characters = sum(map(len, texts_of(request)))
    if characters > size * _MOST_CHARACTERS:
        message = f"a prompt of {characters} characters does not fit into the {size} tokens that {schema.model} takes"
        raise ContextLengthExceeded(message, sent=False, remedy="shorten the messages, or take a model with more")


def _check_features(
    request: ChatRequest[None], schema: ModelSchema, features: Sequence[str], findings: Findings
) -> None:
    """Find what cannot be left out without changing the question."""
    if request.tools and request.tool_choice != "none" and _TOOLS.isdisjoint(features):
        findings.problems.append(_lacks(schema, "call tools", "tools"))
    for number, message in enumerate(request.messages):
        if isinstance(message.content, str):
            continue
        for part in message.content:
            if isinstance(part, MediaPart) and _NEEDS[part.kind] not in features:
                findings.problems.append(_lacks(schema, f"take {part.kind}s", f"messages[{number}]"))


def _fitting(shape: ResponseFormat, schema: ModelSchema, findings: Findings) -> ResponseFormat | None:
    """Return the response format that a model can hold to; a schema may become any JSON, as the policy says."""
    formats = _formats(schema)
    wanted = "json" if shape.schema is None else "json_schema"
    if formats is None or wanted in formats:
        return shape
    if wanted == "json_schema" and "json" in formats and findings.policy == "clamp":
        findings.changed("parameter_clamped", "response_format", wanted, "json", "was changed to")
        return replace(shape, schema=None)
    ability = "answer in JSON" if wanted == "json" else "hold its answer to a schema"
    try:
        findings.left_out("parameter_unsupported", _lacks(schema, ability, "response_format"), wanted)
    except BadRequest as error:
        findings.problems.append(error)
    return None


def _formats(schema: ModelSchema) -> AbstractSet[str] | None:
    """Return the response formats that a model has, by its features and its rules; ``None`` where nobody knows."""
    if schema.features is not None and "structured-output" in schema.features:
        return _WORDS
    lookup = RuleSet.of(schema.parameter_rules or ()).lookup
    word_rule = lookup.meant.get("response_format")
    found = set() if word_rule is None else {word for word in _WORDS if format_word(word, word_rule)}
    if "json_schema" in lookup.meant:
        found.add("json_schema")
    return found if found or schema.features is not None else None
