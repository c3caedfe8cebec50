"""Which of several deployments that could be called is called: pure functions of what is known of them.

The default, `adaptive`, scans all of them for the lowest latency × (in flight + 1) ÷ weight. The time that an answer
takes varies by the request more than by the server, so latencies are shrunk towards each other (`Latency.relative`),
and what is nearly equal is decided at random: choosing the lowest latency alone sends everything to one server.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from hashlib import blake2b
from random import Random
from typing import Protocol, TypeVar

from modelhub.rules.routing.latency import Latency

__all__ = ["Member", "adaptive", "cheapest", "priority", "rendezvous", "round_robin", "sticky", "weighted"]

_NEAR = 1.1
"""Scores up to a tenth above the best count as equal to it."""

_FULL_SCAN = 64
"""Above so many deployments, two at random are compared in place of all of them."""

_BOUND = 1.25
"""How far above its share of what is in flight a deployment may be that a session sticks to."""


class Member(Protocol):
    """What is known of a deployment."""

    @property
    def id(self) -> str:
        """Its name, the same in every process."""

    @property
    def weight(self) -> float:
        """Its share beside the others', above 0."""

    @property
    def in_flight(self) -> int:
        """Calls it has now."""

    @property
    def latencies(self) -> Mapping[str, Latency]:
        """How fast it was, by what was measured."""


M = TypeVar("M", bound=Member)


def adaptive(members: Sequence[M], signal: str, random: Random) -> M:
    """Return the one that should answer soonest.

    Args:
        members: At least one.
        signal: Which of their latencies counts for this call.
        random: Decides between those that are nearly equal.
    """
    if len(members) > _FULL_SCAN:
        members = random.sample(members, 2)
    latencies = [member.latencies.get(signal) for member in members]
    total = samples = 0.0
    for latency in latencies:
        if latency is not None:
            total += latency.log * latency.samples
            samples += latency.samples
    log = total / samples if samples else 0.0
    scores = [
        (member.in_flight + 1) / member.weight * (1.0 if latency is None else latency.relative(log))
        for member, latency in zip(members, latencies, strict=True)
    ]
    limit = min(scores) * _NEAR
    near = [member for member, score in zip(members, scores, strict=True) if score <= limit]
    return near[0] if len(near) == 1 else near[int(random.random() * len(near))]


def weighted(members: Sequence[M], random: Random) -> M:
    """Return one at random, by weight."""
    return random.choices(members, [member.weight for member in members])[0]


def round_robin(members: Sequence[M], turns: MutableMapping[str, float]) -> M:
    """Return the one whose turn it is: by weight, and spread as evenly as that allows.

    Source: nginx's smooth weighted round robin. Each turn gives every member its weight; the one with the most is
    picked and pays for all.

    Args:
        members: At least one.
        turns: What each has saved up, by id; changed in place. Those who are not there save nothing.
    """
    total = sum(member.weight for member in members)
    best = members[0]
    for member in members:
        turns[member.id] = turns.get(member.id, 0.0) + member.weight
        if turns[member.id] > turns[best.id]:
            best = member
    turns[best.id] -= total
    return best


def priority(members: Sequence[M]) -> M:
    """Return the first: the others are there for when it cannot be called."""
    return members[0]


def cheapest(members: Sequence[M], prices: Mapping[str, float], signal: str, random: Random) -> M:
    """Return the one that costs least; of several the one that should answer soonest. Unknown prices are highest.

    Args:
        members: At least one.
        prices: What a usual call costs, by id; in one currency.
        signal: As for `adaptive`.
        random: As for `adaptive`.
    """
    least = min(prices.get(member.id, math.inf) for member in members)
    return adaptive([member for member in members if prices.get(member.id, math.inf) <= least], signal, random)


def rendezvous(members: Sequence[M], key: str) -> list[M]:
    """Return all of them in an order that depends on the key and their names alone, so that every process agrees.

    One that goes takes no key of the others with it, and one that comes takes its share of each. Source: weighted
    rendezvous hashing, https://datatracker.ietf.org/doc/html/draft-ietf-bess-weighted-hrw.
    """
    return sorted(members, key=lambda member: (-_drawn(member, key), member.id))


def _drawn(member: Member, key: str) -> float:
    digest = blake2b(f"{key}\0{member.id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    share = (int.from_bytes(digest) + 1) / (2**64 + 2)  # above 0 and below 1
    return -member.weight / math.log(share)


def sticky(members: Sequence[M], order: Sequence[M]) -> M:
    """Return the first of ``order`` that is not much busier than its share of what is in flight.

    Args:
        members: All that could be called.
        order: The same, the ones to stick to first.
    """
    share = _BOUND * sum(member.in_flight for member in members) / sum(member.weight for member in members)
    return next((member for member in order if member.in_flight <= share * member.weight + 1), order[0])
