"""What a call cost: a pure function of usage and price. Unknown is ``None``, never 0."""

from __future__ import annotations

from modelhub.types.pricing import Pricing
from modelhub.types.usage import Cost, Usage

__all__ = ["cost_of"]


def cost_of(usage: Usage | None, pricing: Pricing | None) -> Cost | None:
    """Return the cost, or ``None`` where a count or a price that it needs is unknown."""
    if usage is None or pricing is None or usage.input_tokens is None or usage.estimated:
        return None
    paid_input = usage.input_tokens * pricing.input * pricing.unit
    if pricing.output is None:
        return Cost(paid_input, 0 * pricing.input, pricing.currency) if not usage.output_tokens else None
    if usage.output_tokens is None:
        return None
    return Cost(paid_input, usage.output_tokens * pricing.output * pricing.unit, pricing.currency)
