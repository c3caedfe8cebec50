"""How much money a key may spend in a minute, an hour, a day or a month.

Owns the sum of a period; not who asks for it. Periods are those of the calendar in UTC, as bills have them, so the time
here is a wall clock's: ``wall`` is Unix time in seconds.

What a call costs is known when it is over, and nothing is set aside while it is under way. So the amount may be
exceeded by what the calls cost that were in flight when it was reached: at most the number of calls at once, times the
dearest call. Limits of concurrency and of output tokens bound both.
"""

from __future__ import annotations

import calendar
import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias, final

from modelhub.types.cost import Cost, exactly

__all__ = ["Allowance", "Counted", "Per"]

Per: TypeAlias = Literal["minute", "hour", "day", "month"]

Counted: TypeAlias = Literal["all", "part", "other currency", "unknown"]
"""What became of a cost: it counts; only the part of it that is known counts; nothing counts, because it is in another
currency, or because nobody knows what it was."""

_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_LAST = 253_402_300_799.0
"""The end of the year 9999, after which there is no calendar."""


@dataclass(frozen=True, slots=True)
class _Period:
    """A period of the calendar: from one Unix time to another, the second one left out."""

    start: float
    end: float


@final
class Allowance:
    """What may be spent per period, and what was spent in the present one.

    A wall clock that is set back a little stays in the period it was in, so that no period comes twice; one that is set
    back by more than a period had been wrong before.

    Args:
        amount: The money.
        currency: Its ISO 4217 code. Costs in another one do not count.
        per: The period.

    Attributes:
        spent_now: What was spent in the period that was last asked about.
    """

    __slots__ = ("_period", "amount", "currency", "per", "spent_now")

    def __init__(self, amount: Decimal, currency: str, per: Per) -> None:
        self.amount: Decimal = amount
        self.currency: str = currency
        self.per: Per = per
        self.spent_now: Decimal = Decimal()
        self._period = _Period(0.0, 0.0)

    def spent(self, cost: Cost | None, wall: float) -> Counted:
        """Count what a call cost, in the period in which it ended.

        Args:
            cost: The cost; ``None`` where nothing is known of it.
            wall: Unix time.

        Returns:
            What of it counts, for a warning where that is not all.
        """
        self._turn(wall)
        if cost is None or (not cost.items and cost.unknown):
            return "unknown"
        if cost.currency != self.currency:
            return "other currency"
        with exactly():
            self.spent_now += max(cost.known, Decimal())
        return "part" if cost.unknown else "all"

    def exhausted(self, wall: float) -> float | None:
        """Return the seconds until the period ends, if its money is spent; ``None`` if some is left."""
        self._turn(wall)
        return None if self.spent_now < self.amount else max(self._period.end - wall, 0.0)

    def left(self, wall: float) -> Decimal:
        """Return what may still be spent in this period; never negative."""
        self._turn(wall)
        with exactly():
            return max(self.amount - self.spent_now, Decimal())

    def _turn(self, wall: float) -> None:
        """Begin a new period where the present one is over."""
        start, end = self._period.start, self._period.end
        if wall >= end or wall < start - (end - start):
            self._period = _period(wall, self.per)
            self.spent_now = Decimal()

    def __repr__(self) -> str:
        return f"<Allowance: {self.spent_now} of {self.amount} {self.currency} per {self.per}>"


def _period(wall: float, per: Per) -> _Period:
    """Return the period of the calendar that a time lies in."""
    if per != "month":
        length = _SECONDS[per]
        start = wall // length * length
        return _Period(start, start + length)
    day = dt.datetime.fromtimestamp(min(max(wall, 0.0), _LAST), dt.UTC)
    start = day.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    days = calendar.monthrange(day.year, day.month)[1]
    return _Period(start, start + days * _SECONDS["day"])
