"""Limits of a credential as they are configured: how often, how much at once, and for how much money."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from modelhub.configuration.problems import Complaint
from modelhub.configuration.shaping import shaped

__all__ = ["LIMIT_KEYS", "BudgetTable", "LimitTable", "limit_table"]

_ABOVE_ZERO: Mapping[str, Any] = {"exclusiveMinimum": 0, "finite": True}
_CURRENCY: Mapping[str, Any] = {"pattern": r"^[A-Z]{3}$", "wanted": "three capitals, such as USD"}


@dataclass(frozen=True, slots=True)
class BudgetTable:
    """What calls with a credential may cost.

    Attributes:
        amount: The money, above 0.
        currency: Its ISO code.
        per: The period after which it may be spent anew.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    amount: float = field(default=0.0, metadata=_ABOVE_ZERO)
    currency: str = field(default="USD", metadata=_CURRENCY)
    per: Literal["minute", "hour", "day", "month"] = "month"


@dataclass(frozen=True, slots=True)
class LimitTable:
    """How much one credential may be used.

    Attributes:
        rpm: Requests a minute at most.
        tpm: Tokens a minute at most, of questions and answers together.
        concurrency: Calls at once at most.
        budget: What its calls may cost.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    rpm: float | None = field(default=None, metadata=_ABOVE_ZERO)
    tpm: float | None = field(default=None, metadata=_ABOVE_ZERO)
    concurrency: int | None = field(default=None, metadata={"minimum": 1})
    budget: BudgetTable | None = None


LIMIT_KEYS = ("rpm", "tpm", "concurrency", "budget")


def limit_table(row: Mapping[Any, object]) -> tuple[LimitTable, list[Complaint]]:
    """Read the limits among the keys of a credential, and say all that is wrong with them.

    Args:
        row: The credential's table; its other keys are passed over.
    """
    given = {key: row[key] for key in LIMIT_KEYS if key in row}
    budget = given.pop("budget", None)
    table, complaints = shaped(LimitTable, given, ())
    if budget is None and "budget" not in row:
        return table, complaints
    read, found = shaped(BudgetTable, budget, ("budget",))
    found += _missing(budget)
    return replace(table, budget=read), [*complaints, *found]


def _missing(budget: object) -> Iterator[Complaint]:
    for key in ("amount", "per"):
        if isinstance(budget, Mapping) and key not in budget:
            remedy = 'write budget = { amount = 50, currency = "USD", per = "day" }'
            yield Complaint(("budget",), f"{key} is missing", remedy)
