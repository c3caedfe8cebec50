"""A bucket that several processes have in common, of which each leases a little ahead and takes from that.

Sans-I/O: `ask` says what the shared state must be told and asked, and `answer` takes in what it says. Between the two a
call is served from leases, which are entered in the shared state when they are granted; from an advance, which is told
with the next turn, so small that all processes together stay within 5 % of the limit; or, while the shared state is not
to be had, from this process's share of what was left of the limit when it was last seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

from modelhub.rules.routing.capped import CappedBucket
from modelhub.rules.routing.rates import RateBucket
from modelhub.rules.routing.sliding import SlidingLog
from modelhub.shared.link import LIFE, TURN, Link
from modelhub.shared.script import CELLS

__all__ = ["LeasedBucket"]

_ADVANCE = 0.03
"""The share of the limit that all processes together may use before they tell."""
_KEEP = 2.0
"""Seconds after the last call until nothing is leased ahead any more."""
_AHEAD = 0.3
"""Seconds of calls that are leased ahead: more than pass between two turns."""
_FULL = 1.0
"""Seconds that a limit that was reached counts as reached, where nobody asked for how long it is."""
_USABLE = 0.2
"""Seconds of life that a lease must have left to count as one for the next turn."""


@final
class _Lease:
    __slots__ = ("cell", "left", "until")

    def __init__(self, left: float, until: float, cell: int) -> None:
        self.left: float = left
        self.until: float = until
        self.cell: int = cell


@final
class _Demand:
    """What calls want, since the last time somebody asked for it."""

    __slots__ = ("asked", "largest", "least", "missed", "rate", "since", "taken", "until")

    def __init__(self) -> None:
        self.asked: float | None = None
        self.since = -math.inf
        self.until = -math.inf
        self.taken = 0.0
        self.missed = 0.0
        self.least = math.inf
        self.largest = 0.0
        self.rate = 0.0

    def took(self, amount: float, now: float) -> None:
        self.taken += amount
        self.largest = max(self.largest, amount)
        self.until = max(self.until, now + _KEEP)

    def refused(self, amount: float, now: float, wait: float) -> None:
        self.missed += amount
        self.least = min(self.least, amount)
        self.until = max(self.until, now + max(_KEEP, wait + 1.0))
        if self.asked is None:
            self.asked = now

    def turn(self, now: float, limit: float) -> tuple[float, float]:
        """Return how much should be at hand for what comes, and the least that is of any use."""
        if now >= self.until:
            self.rate = self.largest = 0.0
            return 0.0, 0.0
        passed = min(max(now - self.since, TURN / 4), 1.0)
        self.rate += (self.taken / passed - self.rate) * min(passed / (2 * TURN), 1.0)
        target = self.rate * _AHEAD + max(self.largest, min(self.missed, limit / 4))
        least = min(self.least, limit) if self.least < math.inf else min(max(self.largest, limit * 1e-6), limit)
        self.largest *= 0.98
        self.taken = self.missed = 0.0
        self.least = math.inf
        self.since = now
        return max(target, least), least


@final
class LeasedBucket(CappedBucket):
    """A limit that all processes keep together; see `modelhub.rules.routing.rates.Bucket`.

    Args:
        key: Tells it from others.
        limit: What all processes together may take in a period.
        period: Seconds.
        link: How things stand with the shared state.
    """

    __slots__ = (
        "__weakref__", "_demand", "_dry_until", "_leases", "_link", "_local", "_own", "_refunds", "_seen", "_under_way",
        "_untold", "key",
    )  # fmt: skip

    def __init__(self, key: str, limit: float, period: float, link: Link) -> None:
        super().__init__(limit, period)
        self.key: str = key
        self._link = link
        self._demand = _Demand()
        self._dry_until = -math.inf
        self._leases: list[_Lease] = []
        self._local: RateBucket | None = None
        self._own = SlidingLog(period)
        self._untold = SlidingLog(period)
        self._under_way = SlidingLog(period)
        self._refunds = SlidingLog(period)
        self._seen: list[tuple[float, float]] = []

    def _until_free(self, amount: float, now: float) -> float:
        """Return how long to wait; what is not 0 counts as asked for, so that it may be there then."""
        told = self._told
        held = told.wait(amount, now, self._own) if told.until > now else 0.0
        if held > 0:
            return held
        if self._leased(now) >= amount:
            return 0.0
        if self._link.alone(now, self._demand.asked):
            local = self._share(now)
            return local.wait(min(amount, local.limit), now)
        self._local = None
        # Where there was nothing left, none of it is there in advance: turn by turn that would add up.
        if now >= self._dry_until and self._leased(now) + self._advance() >= amount:
            return 0.0
        return self._missed(amount, now)

    def settle(self, reserved: float, actual: float, now: float, *, since: float | None = None) -> None:
        """Correct what was taken; see `Bucket.settle`."""
        more = actual - reserved
        since = now if since is None else since
        self._own.forget(now)
        if more > 0:
            self._own.add(more, now)
            self._untold.add(more, now)
            self._told.take(more)
        elif more < 0:
            back = self._own.remove(-more, since)
            self._told.give_back(back, since)
            untold = self._untold.remove(back, since)
            if back > untold and not self._put_back(back - untold, since, now):
                self._refunds.add(back - untold, since)
            more = -back
        if self._local is not None:
            self._local.settle(max(-more, 0.0), max(more, 0.0), now, since=since)

    def ask(self, now: float) -> dict[str, Any] | None:
        """Return what the shared state must be told and asked now, or ``None`` where there is nothing."""
        want, least = self._demand.turn(now, self.limit)
        if self._link.alone(now):
            want = 0.0
        usable = sum(lease.left for lease in self._leases if lease.until > now + _USABLE)
        unused = [lease for lease in self._leases if lease.until <= now]
        self._leases = [lease for lease in self._leases if lease.until > now]
        self._untold.forget(now)
        self._under_way, self._untold = self._untold, SlidingLog(self.period)
        refunds, self._refunds = self._refunds, SlidingLog(self.period)
        question = {
            "limit": self.limit,
            "period": _milliseconds(self.period),
            "life": _milliseconds(LIFE),
            "width": max(1, _milliseconds(self.period / CELLS)),
            "want": max(want - usable, least) if want > usable else 0.0,
            "least": least,
            "used": [[_milliseconds(now - time), amount] for time, amount in self._under_way.entries()],
            "refunds": [[_milliseconds(now - time), amount] for time, amount in refunds.entries()],
            "unused": [[lease.cell, lease.left] for lease in unused if lease.left > 0],
        }
        return question if any(question[part] for part in ("want", "used", "refunds", "unused")) else None

    def answer(self, sent: float, now: float, answer: Sequence[Any]) -> None:
        """Take in what the shared state says: granted, in which cell, else how long to wait, and what all have used."""
        granted, cell, wait, groups = answer
        self._under_way = SlidingLog(self.period)
        self._demand.asked = None
        if granted > 0:
            self._leases.append(_Lease(float(granted), sent + LIFE, int(cell)))
        full = sum(amount for _, amount in groups) >= self.limit
        self._dry_until = now + max(wait / 1000, _FULL if full else 0.0)
        if not self._link.alone(now):  # until all have told what they used after a loss, the older picture is the truer
            self._seen = [(now + end / 1000, float(amount)) for end, amount in groups]

    def unanswered(self) -> None:
        """What was told may not have arrived: it is told again. What was given back is not, lest it be twice."""
        later, self._untold = self._untold, SlidingLog(self.period)
        for log in (self._under_way, later):
            for time, amount in log.entries():
                self._untold.add(amount, time)
        self._under_way = SlidingLog(self.period)

    def begin_anew(self, now: float) -> None:
        """The shared state was lost: leases with it, and what was used is told once more."""
        self._share(now)
        self._leases.clear()
        self._refunds = SlidingLog(self.period)
        self._untold, self._under_way = SlidingLog(self.period), SlidingLog(self.period)
        for time, amount in self._own.entries():
            self._untold.add(amount, time)

    def busy(self, now: float) -> bool:
        """Whether there is something to ask for, to tell or to give back."""
        return now < self._demand.until or bool(self._leases) or self._untold.total > 0

    def leave(self) -> None:
        """Give up every lease; the next `ask` gives them back."""
        self._demand = _Demand()
        for lease in self._leases:
            lease.until = -math.inf

    def _leased(self, now: float) -> float:
        return sum(lease.left for lease in self._leases if lease.until > now) if self._leases else 0.0

    def _advance(self) -> float:
        untold = self._untold.total + self._under_way.total
        return max(self.limit * _ADVANCE / self._link.peers - untold, 0.0)

    def _missed(self, amount: float, now: float) -> float:
        """Note what was not there, and return when it may be."""
        link, dry = self._link, self._dry_until - now
        wait = max(link.soon(now), dry)
        self._demand.refused(amount, now, wait)
        if dry <= TURN:
            link.wake()
        return wait

    def _take(self, amount: float, now: float) -> None:
        self._demand.took(amount, now)
        self._told.take(amount)
        self._own.forget(now)
        self._own.add(amount, now)
        local = self._local
        if local is not None and self._leased(now) < amount:
            local.settle(0.0, amount, now)
            self._untold.add(amount, now)
            return
        for lease in self._leases:
            if lease.until > now and amount > 0:
                taken = min(lease.left, amount)
                lease.left -= taken
                amount -= taken
        if amount > 0:
            self._untold.add(amount, now)
            self._link.wake()

    def _put_back(self, amount: float, since: float, now: float) -> bool:
        """Put what was taken just now back into a lease, where there is one."""
        if since == now and self._leases and self._leases[-1].until > now:
            self._leases[-1].left += amount
            return True
        return False

    def _share(self, now: float) -> RateBucket:
        """Return this process's share of the limit, and of what all had used of it when that was last seen."""
        peers = self._link.peers
        if self._local is None:
            self._local = RateBucket(self.limit / peers, self.period)
            for time, amount in self._seen:
                if time + self.period > now:
                    self._local.settle(0.0, amount / peers, time)
            for log in (self._under_way, self._untold):
                for time, amount in log.entries():
                    self._local.settle(0.0, amount, time)
        self._local.limit = self.limit / peers
        return self._local

    def __repr__(self) -> str:
        leased = sum(lease.left for lease in self._leases)
        return f"<LeasedBucket {self.key}: {leased:g} leased, limit {self.limit:g} in {self.period:g} s>"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
