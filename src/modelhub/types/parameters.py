"""The neutral parameters of every model type, as typed keywords. What is left out is not sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypedDict

from modelhub.types.json import JSON

__all__ = ["ChatParameters", "Reasoning", "Vendor"]

Reasoning: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "max"] | bool
"""How hard to think: a level, ``True`` for the model's own default, ``False`` or ``none`` for not at all."""

Vendor: TypeAlias = Mapping[str, Mapping[str, JSON]]
"""Provider-specific parameters by provider id; each reaches that provider only."""


class ChatParameters(TypedDict, total=False):
    """Parameters that mean the same with every provider that has them.

    Attributes:
        temperature: Randomness, 0 and more.
        top_p, top_k, min_p: What to sample from.
        max_tokens: Tokens to generate at most, 1 and more.
        stop: Texts that end the answer; one text or several.
        seed: For answers that can be repeated, where the provider can.
        presence_penalty, frequency_penalty, repeat_penalty: Against repetition.
        reasoning: How hard to think.
        logprobs: Whether to give the probability of each token.
        top_logprobs: How many of the likeliest tokens to give.
        parallel_tool_calls: Whether several tools may be called at once.
        user: Your own id of the end user, for the vendor's abuse detection.
    """

    temperature: float
    top_p: float
    top_k: int
    min_p: float
    max_tokens: int
    stop: str | Sequence[str]
    seed: int
    presence_penalty: float
    frequency_penalty: float
    repeat_penalty: float
    reasoning: Reasoning
    logprobs: bool
    top_logprobs: int
    parallel_tool_calls: bool
    user: str
