"""Whether it makes sense for a call to wait, and for which deployments: pure functions of what keeps it from each.

A call waits in the queue of every deployment that may serve it, so that whichever is free first does. There is room as
long as fewer wait for any of them than all of them together have places for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modelhub.errors import ModelHubError
from modelhub.rules.routing.backoff import LONGEST_WAIT
from modelhub.rules.routing.course import Course, Group, Option
from modelhub.rules.routing.failover import worth_trying
from modelhub.rules.routing.queue import Ticket

__all__ = ["crowded", "elsewhere", "hopeful", "in_question", "places", "promising", "worthwhile"]

Options = Sequence[Option[Any]]


def crowded(options: Options) -> bool:
    """Whether there is no room for one more to wait for any of several deployments."""
    waiting = max((option.vitals.queued for option in options), default=0)
    return waiting >= sum(option.vitals.queue for option in options)


def worthwhile(group: Group[Any], course: Course[Any], now: float, ticket: Ticket | None = None) -> bool:
    """Whether some of a group are well and merely busy, and will serve one more call in time.

    Args:
        group: The group.
        course: The call's way.
        now: The time.
        ticket: The place of a call that waits already: it keeps it.
    """
    busy = _busy(group, course, now)
    if not busy or (ticket is not None and any(option in ticket.options for option in busy)):
        return bool(busy)
    if crowded(busy):
        return False
    rate = sum(option.vitals.slots.rate for option in busy)
    waiting = min(option.vitals.queued for option in busy)
    return now + (waiting + 1) / rate < course.deadline


def places(course: Course[Any], now: float, ticket: Ticket) -> Options:
    """Return the deployments to wait for, none where that makes no sense.

    They are those of the groups down to the first one that is merely busy: those of it that are out now may be back
    before a slot is free. Where no group is, they are all, if one of them can be called soon.
    """
    found: list[Option[Any]] = []
    for group in course.groups:
        found += [option for option in group.options if in_question(option, course, now)]
        if worthwhile(group, course, now, ticket):
            return found
    waits_already = any(option in ticket.options for option in found)
    soon = any(_soon(option, course, now) for option in found)
    return found if soon and (waits_already or not crowded(found)) else ()


def _busy(group: Group[Any], course: Course[Any], now: float) -> Options:
    blocks = ((option, course.block(option, now)) for option in group.options)
    return [option for option, block in blocks if block is None or block.reason == "busy"]


def elsewhere(option: Option[Any], error: ModelHubError, course: Course[Any], now: float) -> bool:
    """Whether a call finds another place, if the one it has is given up with an error: at another endpoint, and soon.

    Args:
        option: Where it is.
        error: What it would fail with there.
        course: The call's way.
        now: The time.
    """

    def takes(other: Option[Any]) -> bool:
        if other.vitals.key is option.vitals.key or not worth_trying(error, option.deployment, other.deployment):
            return False
        block = course.block(other, now)
        if block is None:
            return True
        return block.reason == "busy" and course.deadline == math.inf and not crowded((other,))

    return any(map(takes, course.left))


def in_question(option: Option[Any], course: Course[Any], now: float) -> bool:
    """Whether it can serve the call at all, as far as that depends on time alone; nobody waits behind one it cannot."""
    if now < course.paused_until(option):
        return False
    block = course.block(option, now)
    return block is None or block.reason != "rate limit" or block.until < float("inf")


def promising(option: Option[Any], course: Course[Any], now: float) -> bool:
    """Whether one that is not well may be tried all the same, where no other is: it may have changed meanwhile.

    A call tries one refused key or missing model at most, and a refused key is tried once in a while at most. What is
    ejected is tried as often as the budget of retries allows.
    """
    vitals = option.vitals
    refused, lacks = now < vitals.key.refused_until, now < vitals.lacks_until
    if not (refused or lacks):
        return True
    return not course.hopeless and (not refused or vitals.key.tolerates_trial(now))


def hopeful(course: Course[Any], now: float) -> bool:
    """Whether it makes sense to wait where none is well: for a key that nobody is trying it does not."""
    return any(
        (now >= option.vitals.key.refused_until or option.vitals.key.on_trial(now))
        and not (course.hopeless and now < option.vitals.lacks_until)
        for option in course.left
    )


def _soon(option: Option[Any], course: Course[Any], now: float) -> bool:
    """Whether a time is known, near enough, when it can be called; or a probe, under way, tells."""
    block = course.block(option, now)
    latest = min(course.deadline, now + LONGEST_WAIT)
    if block is None or block.reason == "busy":
        return False
    return block.until <= latest or (block.reason == "ejected" and option.vitals.breaker.until <= now)
