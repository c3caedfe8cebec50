"""What calls cost: exact amounts, by what they were paid for. Unknown is ``None``, never 0; currencies stay apart."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal

from modelhub.errors import ConfigurationError

__all__ = ["Cost", "Costs", "exactly"]

_DIGITS = 60
"""More than any count of tokens times any price has. Only prices per minute or hour can need a rounding there."""


def exactly() -> AbstractContextManager[decimal.Context]:
    """Return a context in which amounts are computed exactly, whatever the application's own decimal context is."""
    return decimal.localcontext(decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_HALF_EVEN))


@dataclass(frozen=True, slots=True)
class Cost:
    """Money, exactly and not rounded.

    Attributes:
        items: Amounts by the names of the prices they were charged by: ``input``, ``output``, ``cached_read``, …
        currency: ISO 4217 code.
        unknown: What was paid for besides, by the same names, without anybody knowing how much.
        estimated: Whether the true amount may be another: counts were estimated, or it is not known how many tokens
            have a price of their own.
        source: Whose prices these are: ``manifest`` for the plugin's, ``overlay`` for those of the settings, or a
            package with its version. Of a sum, all of them.
        effective_from: The first day of the prices that were applied, where that is known.
    """

    items: Mapping[str, Decimal]
    currency: str
    unknown: tuple[str, ...] = ()
    estimated: bool = False
    source: str = "manifest"
    effective_from: dt.date | None = None

    @property
    def known(self) -> Decimal:
        """All items together: the least that it cost."""
        with exactly():
            return sum(self.items.values(), Decimal())

    @property
    def total(self) -> Decimal | None:
        """The whole amount, or ``None`` where a part of it is unknown."""
        return None if self.unknown else self.known

    def plus(self, other: Cost) -> Cost:
        """Add two costs, item by item; what is unknown in either is unknown in the sum.

        Raises:
            ConfigurationError: They are in two currencies.
        """
        if self.currency != other.currency:
            message = f"a cost in {self.currency} and one in {other.currency} cannot be added"
            raise ConfigurationError(message, remedy="add them with sum_costs, which keeps currencies apart")
        with exactly():
            items = {
                name: self.items.get(name, Decimal()) + other.items.get(name, Decimal())
                for name in dict.fromkeys((*self.items, *other.items))
            }
        return Cost(
            items,
            self.currency,
            unknown=tuple(dict.fromkeys((*self.unknown, *other.unknown))),
            estimated=self.estimated or other.estimated,
            source=", ".join(dict.fromkeys((*self.source.split(", "), *other.source.split(", ")))),
            effective_from=self.effective_from if self.effective_from == other.effective_from else None,
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """What several calls cost, each currency for itself.

    Attributes:
        by_currency: The sums, by ISO 4217 code.
        unpriced: Calls of whose cost nothing is known.
    """

    by_currency: Mapping[str, Cost] = field(default_factory=dict)
    unpriced: int = 0

    @property
    def totals(self) -> Mapping[str, Decimal | None]:
        """The total in each currency; ``None`` where a part of it is unknown."""
        return {currency: cost.total for currency, cost in self.by_currency.items()}

    @classmethod
    def of(cls, costs: Iterable[Cost | None]) -> Costs:
        """Add the costs of several calls; ``None`` counts as unpriced."""
        sums: dict[str, Cost] = {}
        unpriced = 0
        for cost in costs:
            if cost is None:
                unpriced += 1
            else:
                before = sums.get(cost.currency)
                sums[cost.currency] = cost if before is None else before.plus(cost)
        return cls(sums, unpriced)
