"""A place in the queue of calls that wait for a deployment to be free."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from modelhub.rules.routing.course import Course, Option
    from modelhub.rules.routing.pool import Lease

__all__ = ["Ticket", "first"]

_LEFT_BEHIND = 32
"""Calls that a queue may hold beside those that wait still: they are removed from its middle all at once."""


@final
class Ticket:
    """One call that waits. It stands in the queue of each deployment it could be served by, and leaves them together.

    Args:
        course: The call's way.
        wake: Called when there is something new for it: a lease, or a reason to look again.

    Attributes:
        lease: What it waited for, once it is there.
        done: Whether it waits no more.
    """

    __slots__ = ("_wake", "course", "done", "lease", "options")

    def __init__(self, course: Course[Any], wake: Callable[[], None]) -> None:
        self.course: Course[Any] = course
        self.options: dict[Option[Any], None] = {}
        self.lease: Lease[Any] | None = None
        self.done: bool = False
        self._wake = wake

    def stand(self, option: Option[Any]) -> None:
        """Stand in a deployment's queue too."""
        if option not in self.options:
            self.options[option] = None
            option.vitals.waiting.append(self)
            option.vitals.queued += 1

    def leave(self) -> None:
        """Leave every queue; the next in each of them is told where it was the first. Idempotent."""
        if self.done:
            return
        self.done = True
        for option in self.options:
            vitals = option.vitals
            vitals.queued -= 1
            if vitals.waiting and vitals.waiting[0] is self:
                following = first(vitals.waiting)
                if following is not None:
                    following.nudge()
            elif len(vitals.waiting) > _LEFT_BEHIND + 2 * vitals.queued:
                waiting = [ticket for ticket in vitals.waiting if not ticket.done]
                vitals.waiting.clear()
                vitals.waiting.extend(waiting)

    def nudge(self) -> None:
        """Look again: something has changed."""
        self._wake()

    def until(self, now: float) -> float:
        """Return when to look again, if nothing happens before that.

        Only the first of a queue has to look: it is served before those behind it, who are told when they are first.
        """
        times = [math.inf]
        for option in self.course.left:
            pause = self.course.paused_until(option)
            if now < pause:
                times.append(pause)
            elif option in self.options and first(option.vitals.waiting) is self:
                block = self.course.block(option, now)
                times.append(now if block is None else block.until)
        return min(times)

    def __repr__(self) -> str:
        state = "served" if self.lease is not None else "left" if self.done else "waiting"
        return f"<Ticket {state} for {len(self.options)} deployments>"


def first(waiting: Any) -> Ticket | None:
    """Return the first of a queue that waits still, and forget those before it."""
    while waiting and waiting[0].done:
        waiting.popleft()
    return waiting[0] if waiting else None
