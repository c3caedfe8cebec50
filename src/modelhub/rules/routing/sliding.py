"""What was taken within the last period: a sliding log of bounded size, which never forgets too early.

Owns the amounts and their times; not what is allowed. Times are seconds of any one clock that does not go back.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import final

__all__ = ["SlidingLog"]

_CELLS = 120
"""Cells that a period has at most. What is taken within one counts as taken at its end, so that a rate loses less than
1/120 of itself, and 60 s of any number of calls fit into a few kilobytes."""


@final
class _Cell:
    """What was taken between two times."""

    __slots__ = ("amount", "first", "last")

    def __init__(self, now: float, amount: float) -> None:
        self.first: float = now
        self.last: float = now
        self.amount: float = amount


@final
class SlidingLog:
    """Amounts of the last period. An amount taken at ``t`` counts until ``t + period``, and up to 1/120 longer.

    Args:
        period: Seconds.

    Attributes:
        total: All amounts that count, as of the last `forget`.
    """

    __slots__ = ("_cells", "_period", "_width", "total")

    def __init__(self, period: float) -> None:
        self._period = period
        self._width = period / _CELLS
        self._cells: deque[_Cell] = deque()
        self.total: float = 0.0

    def forget(self, now: float) -> None:
        """Drop what is older than a period."""
        cells, period = self._cells, self._period
        if cells and cells[0].last + period <= now:
            while cells and cells[0].last + period <= now:
                cells.popleft()
            self._sum()

    def add(self, amount: float, now: float) -> None:
        """Enter an amount that was taken at ``now``; of a time that lies back, as if it were the latest one."""
        if self._cells:
            newest = self._cells[-1]
            now = max(now, newest.last)
            if now - newest.first < self._width:
                newest.last = now
                newest.amount += amount
                self.total += amount
                return
        self._cells.append(_Cell(now, amount))
        self.total += amount

    def remove(self, amount: float, since: float) -> float:
        """Take back of an amount that was entered at ``since``; returns how much of it was still counted."""
        taken = 0.0
        for cell in reversed(self._cells):
            if cell.last < since:
                break
            if cell.first <= since:
                taken = min(cell.amount, amount)
                cell.amount -= taken
                self._sum()
                break
        return taken

    def until(self, total: float, now: float) -> float:
        """Return the seconds from ``now`` until no more than ``total`` counts; 0.0 where that is so already.

        The log as it is then is the one that `forget` leaves at ``now`` plus these seconds, rounding included.
        """
        left = self.total
        for cell in self._cells:
            if left <= total:
                break
            left -= cell.amount
            if left <= total or cell is self._cells[-1]:
                return _span(now, cell.last + self._period)
        return 0.0

    def entries(self) -> Iterator[tuple[float, float]]:
        """Yield the times at which amounts were taken, at the latest, and the amounts, oldest first."""
        for cell in self._cells:
            if cell.amount > 0:
                yield cell.last, cell.amount

    def _sum(self) -> None:
        # Anew, so that the roundings of many small corrections never add up.
        self.total = math.fsum(cell.amount for cell in self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def __repr__(self) -> str:
        return f"<SlidingLog: {self.total:g} in {self._period:g} s>"


def _span(now: float, then: float) -> float:
    """Return the least seconds that lead from ``now`` to ``then`` or beyond it, in floating point."""
    aim = then
    while now + (aim - now) < then:
        aim = math.nextafter(aim, math.inf)
    return max(aim - now, 0.0)
