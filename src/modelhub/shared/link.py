"""How things stand with the place where state is shared, as buckets need to know it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import final

__all__ = ["LIFE", "SLOW", "TURN", "Link"]

LIFE = 0.25
"""Seconds that a lease may be used for."""
TURN = 0.125
"""Seconds between two turns while there is something to do: 8 a second, with two to spare for what is urgent."""
SLOW = 0.1
"""Seconds of a round trip beyond which leases are of no use: too little of their life would be left."""
_PATIENCE = 0.05
"""Seconds that a turn may be under way before calls go on without it."""
_FIRST, _FIRST_TURN = 3.0, 0.5
"""The same before the first turn: the others may be using the whole limit, and a connection is yet to be made."""
_STALLED = 2 * TURN
"""Seconds after which nobody seems to be asking any more."""
_AFTER_SLOW, _AFTER_FLUSH, _AFTER_FAILURE = 2.0, 1.5, 6.0
"""Seconds that a process keeps to its own share after trouble, until the others have told what they used: each is back
within the longest pause after a failure, 5 s, and after a flush with its next turn, 1 s."""
_GUESS = 4
"""Processes that there may be before any was seen. One that cannot see any takes itself for the only one."""


@final
class Link:
    """Whether leases can be had now, and how many processes there are.

    Args:
        wake: Asks for a turn soon.

    Attributes:
        epoch: What the shared state was made with; another one means that it was lost.
        peers: Live processes, as last seen; before anything was seen a guess.
        round_trip: Seconds that the last one took.
        wake: Asks for a turn soon.
        next_turn: When the next turn may begin.
    """

    __slots__ = (
        "_done_at",
        "_local_until",
        "_sent_at",
        "_tried",
        "_was_lost",
        "epoch",
        "next_turn",
        "peers",
        "round_trip",
        "wake",
    )

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake: Callable[[], None] = wake
        self.epoch: str = ""
        self.peers: int = _GUESS
        self.round_trip: float = 0.002
        self.next_turn: float = -math.inf
        self._local_until = math.inf
        self._sent_at: float | None = None
        self._done_at = -math.inf
        self._was_lost = False
        self._tried = False

    def started(self, now: float) -> None:
        """Somebody takes turns from now on."""
        self._local_until = now + _AFTER_FAILURE if self._was_lost else -math.inf
        self._done_at = now

    def stopped(self) -> None:
        """Nobody takes turns any more."""
        self._sent_at = None
        self._was_lost = bool(self.epoch)
        self._local_until = math.inf

    def sent(self, now: float) -> None:
        """A turn is under way."""
        self._sent_at = now

    def answered(self, now: float, *, epoch: str, peers: int) -> bool:
        """A turn succeeded; returns whether the shared state is another than before."""
        sent_at = now if self._sent_at is None else self._sent_at
        lost = self.epoch not in {"", epoch}
        self._tried = True
        self.round_trip = now - sent_at
        if self._local_until == math.inf:
            self._local_until = now + _AFTER_FAILURE if self.epoch else now
        if lost:
            self._local_until = max(self._local_until, now + _AFTER_FLUSH)
        if self.round_trip > SLOW:
            self._local_until = max(self._local_until, now + _AFTER_SLOW)
        self.epoch, self.peers = epoch, max(peers, 1)
        self._sent_at, self._done_at = None, now
        return lost

    def failed(self, now: float) -> None:
        """A turn failed: everybody is alone until one succeeds."""
        self.peers = self.peers if self.epoch else 1
        self._tried = True
        self._sent_at, self._done_at = None, now
        self._local_until = math.inf

    def alone(self, now: float, asked: float | None = None) -> bool:
        """Whether calls must do with this process's own share.

        Args:
            now: The time.
            asked: Since when a bucket has been waiting for an answer.
        """
        if not self._tried:
            under_way = self._sent_at is not None and now - self._sent_at > _FIRST_TURN
            return under_way or (asked is not None and now - asked > _FIRST)
        if now < self._local_until:
            return True
        if self._sent_at is not None:
            return now - self._sent_at > _PATIENCE
        return asked is not None and now - max(asked, self._done_at) > _STALLED

    def soon(self, now: float) -> float:
        """Return the seconds until an answer to what is asked now may be here."""
        began = max(self.next_turn, now) if self._sent_at is None else self._sent_at
        return max(began + 1.5 * min(self.round_trip, SLOW) - now, 0.002)

    def __repr__(self) -> str:
        where = "alone" if self._local_until == math.inf else "in touch" if self.epoch else "starting"
        return f"<Link: {where}, {self.peers} processes, {self.round_trip * 1000:.0f} ms>"
