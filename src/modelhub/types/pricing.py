"""What a model costs, as manifests say it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Pricing"]


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices: ``tokens × price × unit`` in ``currency``.

    Attributes:
        input, output: The price per unit.
        unit: A factor, such as ``0.000001`` for prices per million tokens.
    """

    input: Decimal
    output: Decimal | None = None
    unit: Decimal = Decimal("0.000001")
    currency: str = "USD"
