"""Parameters: the neutral ones as typed keywords, and the rules by which a model takes them.

What is left out is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypedDict

from modelhub.types.forms import Condition
from modelhub.types.i18n import Labels
from modelhub.types.json import JSON

__all__ = ["ChatParameters", "ParameterRule", "ParameterType", "Reasoning", "Vendor"]

ParameterType: TypeAlias = Literal["float", "int", "string", "boolean", "text", "array", "object"]
"""What a parameter's value is. ``array`` and ``object`` are ours."""

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


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """A parameter that a model takes.

    Attributes:
        name: The vendor's name for it.
        use_template: The neutral name, where it differs; also the template that fills in what is left out here.
        type, min, max, precision, options: What values it takes; ``precision`` counts decimals, and more are rounded.
        required: Whether it must be in every request: left out, the default is sent.
        default: What forms show; not sent unless the parameter is required.
        show_on: (ours) When it is taken, by the values of other parameters.
        values: (ours) The vendor's value for each neutral one, such as a number of tokens for each level of
            ``reasoning``; ``true`` and ``false`` for a switch.
    """

    name: str
    use_template: str | None = None
    label: Labels | str = ""
    type: ParameterType | None = None
    help: Labels | str | None = None
    required: bool = False
    default: JSON = None
    min: float | None = None
    max: float | None = None
    precision: int | None = None
    options: Sequence[str] = ()
    show_on: Sequence[Condition] = ()
    values: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def neutral(self) -> str:
        """The name of its template; its own name where it has none."""
        return self.use_template or self.name
