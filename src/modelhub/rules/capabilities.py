"""Whether a model can do what a request asks, decided before the wire.

A model of which nothing is known is given the chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelhub.errors import UnsupportedFeature
from modelhub.rules.parameters import Policy
from modelhub.types.messages import MediaPart, Message
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelSchema

__all__ = ["fit_to_model"]

_NEEDS = {"image": "vision", "audio": "audio", "video": "video", "document": "document"}


def fit_to_model(
    request: ChatRequest[None], schema: ModelSchema, *, policy: Policy
) -> tuple[ChatRequest[None], tuple[Warning, ...]]:
    """Check a request against a model's features.

    Returns:
        The request, without what the policy allows to leave out, and what the caller should know.

    Raises:
        UnsupportedFeature: The model cannot do it: tools, media, or, under the strict policy, reasoning or a
            response format.
    """
    features = schema.features
    if features is None:
        return request, ()
    if request.tools and request.tool_choice != "none" and "tool-call" not in features:
        raise _lacks(schema, "call tools", "tools")
    _check_media(request.messages, schema, features)
    request = _without_idle_reasoning(request, features)
    wanted = []
    if request.parameters.get("reasoning") is not None and not _reasons(features):
        wanted.append(("reasoning", "reason on demand"))
    if request.response_format is not None and "structured-output" not in features:
        wanted.append(("response_format", "hold its answer to a schema"))
    if wanted and policy == "strict":
        parameter, ability = wanted[0]
        raise _lacks(schema, ability, parameter)
    for parameter, _ in wanted:
        request = _without(request, parameter)
    notes = (
        Warning("parameter_unsupported", f"{schema.model} cannot {ability}: it was left out", name)
        for name, ability in wanted
    )
    return request, tuple(notes)


def _lacks(schema: ModelSchema, ability: str, parameter: str) -> UnsupportedFeature:
    remedy = "choose a model that can, or leave it out"
    return UnsupportedFeature(f"{schema.model} cannot {ability}", parameter=parameter, remedy=remedy)


def _reasons(features: Sequence[str]) -> bool:
    return "reasoning" in features or "agent-thought" in features


def _check_media(messages: Sequence[Message], schema: ModelSchema, features: Sequence[str]) -> None:
    for number, message in enumerate(messages):
        if isinstance(message.content, str):
            continue
        for part in message.content:
            if isinstance(part, MediaPart) and _NEEDS[part.kind] not in features:
                raise _lacks(schema, f"take {part.kind}s", f"messages[{number}]")


def _without_idle_reasoning(request: ChatRequest[None], features: Sequence[str]) -> ChatRequest[None]:
    # "Do not reason" is what a model that cannot reason does anyway.
    if request.parameters.get("reasoning") in (False, "none") and not _reasons(features):
        return _without(request, "reasoning")
    return request


def _without(request: ChatRequest[None], parameter: str) -> ChatRequest[None]:
    if parameter == "response_format":
        return replace(request, response_format=None)
    kept = request.parameters.copy()
    kept.pop("reasoning", None)
    return replace(request, parameters=kept)
