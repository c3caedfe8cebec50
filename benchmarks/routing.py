"""Where calls go: the hub's own pool beside what is usual, in simulated time, and what a pick costs in real time.

``python benchmarks/routing.py`` takes one to two minutes. Servers work on four calls at once and queue the others;
calls take a second on the average, log-normally distributed, and come at 70 % of what all servers can do. Several
clients, or processes, share the servers and know nothing of each other. Figures are the mean and the 99th percentile of
the seconds that a call takes: the median of the seeds. ``--plot FILE`` draws them as SVG.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from chart import chart
from simulation import Client, Outcome, Server, World, option, poisson

from modelhub.errors import ModelHubError
from modelhub.rules.routing.budget import RetryBudget
from modelhub.rules.routing.course import Course, Group, Pick, Route
from modelhub.rules.routing.pool import Pool

LOAD = 0.7
SLOTS = 4
SLOWER = 3.0
CASES = [(1, 8, False), (1, 8, True), (16, 3, True), (16, 8, True), (64, 8, False), (64, 8, True)]
"""Clients, servers, and whether one server is three times as slow."""


@dataclass
class Known:
    """What a client that picks in a usual way knows of a server."""

    server: Server
    in_flight: int = 0
    peak: float = 0.0
    stamp: float = 0.0

    def cost(self) -> float:
        """Return a latency that rises at once and sinks slowly, by what is in flight.

        Finagle's forgets a latency by time alone too, and is worse where each of many clients calls seldom.
        """
        if self.peak == 0.0 and self.in_flight:
            return 1e9 + self.in_flight
        return self.peak * (self.in_flight + 1)

    def observe(self, seconds: float, now: float) -> None:
        """Learn how long a call took."""
        share = math.exp(-(now - self.stamp) / 10.0)
        self.stamp = now
        self.peak = seconds if seconds > self.peak else self.peak * share + seconds * (1.0 - share)


Picker = Callable[[Sequence[Known], float, Random], Known]


def at_random(known: Sequence[Known], _now: float, random: Random) -> Known:
    """Pick any."""
    return random.choice(known)


def in_turn(random: Random) -> Picker:
    """Return a picker that takes one after the other, from any one on."""
    turn = random.randrange(64)

    def pick(known: Sequence[Known], _now: float, _random: Random) -> Known:
        nonlocal turn
        turn = (turn + 1) % len(known)
        return known[turn]

    return pick


def least(known: Sequence[Known], _now: float, random: Random) -> Known:
    """Pick the one with the fewest calls of one's own, any of several."""
    fewest = min(each.in_flight for each in known)
    return random.choice([each for each in known if each.in_flight == fewest])


def of_two(known: Sequence[Known], _now: float, random: Random) -> Known:
    """Pick the one of two with the fewer calls: the power of two choices."""
    return min(random.sample(known, 2), key=lambda each: each.in_flight)


def peak_ewma(known: Sequence[Known], _now: float, random: Random) -> Known:
    """Pick the one of two with the lower cost."""
    return min(random.sample(known, 2), key=Known.cost)


PICKERS: dict[str, Callable[[Random], Picker]] = {
    "random": lambda _: at_random,
    "round robin": in_turn,
    "least in flight": lambda _: least,
    "P2C": lambda _: of_two,
    "P2C-PeakEWMA": lambda _: peak_ewma,
}
OURS = "adaptive"
COLUMNS = (*PICKERS, OURS)


@dataclass
class Usual:
    """A client that picks in a usual way, and tries again at once where a call fails."""

    world: World
    servers: Sequence[Server]
    picker: Picker
    outcome: Outcome
    retries: int = 2
    known: list[Known] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = [Known(server) for server in self.servers]

    def call(self) -> None:
        """Begin a call."""
        self._attempt(self.world.now, self.retries)

    def _attempt(self, begun: float, retries: int) -> None:
        known, sent = self.picker(self.known, self.world.now, self.world.random), self.world.now
        known.in_flight += 1
        self.outcome.attempts += 1

        def answered(error: ModelHubError | None, _first: float) -> None:
            known.in_flight -= 1
            now = self.world.now
            if error is None:
                known.observe(now - sent, now)
                self.outcome.seconds.append(now - begun)
            elif retries:
                self._attempt(begun, retries - 1)
            else:
                self.outcome.errors[type(error).__name__] += 1

        known.server.ask(answered)


def clients(world: World, name: str, servers: Sequence[Server], number: int, outcome: Outcome) -> list[Client | Usual]:
    """Return clients that pick in one way."""
    if name != OURS:
        return [Usual(world, servers, PICKERS[name](world.random), outcome) for _ in range(number)]
    return [
        Client(world, [(option(f"e{at}", queue=0), each) for at, each in enumerate(servers)], outcome=outcome)
        for _ in range(number)
    ]


def simulated(name: str, case: tuple[int, int, bool], *, calls: int, seed: int, fault: str = "") -> tuple[Outcome, int]:
    """Simulate one case; returns how calls went, and how many met with a fault.

    Args:
        name: How servers are picked.
        case: Clients, servers, and whether one is slow.
        calls: How many calls there are, about.
        seed: Decides everything.
        fault: What the first server does for two fifths of the time.
    """
    number, servers, slow = case
    world, outcome = World(seed), Outcome()
    group = [Server(world, SLOTS, slower=SLOWER if slow and not at else 1.0) for at in range(servers)]
    callers = clients(world, name, group, number, outcome)
    rate = LOAD * sum(SLOTS / server.slower for server in group)
    poisson(world, rate, calls / rate, lambda: world.random.choice(callers).call())
    if fault:
        world.at(0.3 * calls / rate, lambda: setattr(group[0], "fault", fault))
        world.at(0.7 * calls / rate, lambda: setattr(group[0], "fault", ""))
    world.run()
    return outcome, group[0].wasted


def titled(case: tuple[int, int, bool]) -> str:
    """Return a case in words."""
    number, servers, slow = case
    return f"{number} client{'s' if number > 1 else ''}, {servers} servers, {'one slow' if slow else 'equal'}"


def picked(calls: int, seeds: Sequence[int]) -> Iterator[tuple[str, dict[str, tuple[float, float]]]]:
    """Yield for each case the mean and the 99th percentile of each way to pick."""
    for case in CASES:
        row = {}
        for name in COLUMNS:
            outcomes = [simulated(name, case, calls=calls, seed=seed)[0] for seed in seeds]
            row[name] = (
                statistics.median(each.mean for each in outcomes),
                statistics.median(each.percentile(0.99) for each in outcomes),
            )
        yield titled(case), row


def faulty(calls: int, seeds: Sequence[int]) -> Iterator[tuple[str, str, int, float, float]]:
    """Yield fault, way to pick, and the medians of wasted calls, errors in percent and the 99th percentile."""
    for fault in ("broken", "refused", "hangs"):
        for name in ("random", "least in flight", OURS):
            runs = [simulated(name, (1, 8, False), calls=calls, seed=seed, fault=fault) for seed in seeds]
            yield (
                fault,
                name,
                int(statistics.median(wasted for _, wasted in runs)),
                statistics.median(100.0 * outcome.errors.total() / outcome.calls for outcome, _ in runs),
                statistics.median(outcome.percentile(0.99) for outcome, _ in runs),
            )


def pick_seconds(number: int, pick: Pick, rounds: int) -> float:
    """Return the least seconds that one of so many deployments was picked and counted in, on the average of a round."""
    options = tuple(option(f"e{at}") for at in range(number))
    for each in options:
        for _ in range(20):
            each.vitals.sample("seconds", 1.0)
    route, pool, best = Route("r", (Group(options, pick),), RetryBudget()), Pool(Random(1)), math.inf
    for _ in range(rounds):
        courses = [Course(route, signal="seconds", session="s") for _ in range(200)]
        begun = time.perf_counter()
        leases = [pool.choose(course, 1.0) for course in courses]
        best = min(best, (time.perf_counter() - begun) / len(courses))
        for lease in leases:
            if lease is not None:
                pool.succeeded(lease, 2.0, 1.0)
    return best


def main() -> int:
    """Read the arguments, simulate, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="little of everything; the figures mean nothing")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], metavar="SEED", help="1 2 3 by default")
    parser.add_argument("--calls", type=int, default=24_000, help="calls of each case and seed")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the 99th percentiles as SVG")
    given = parser.parse_args()
    calls, seeds, rounds = (400, given.seeds[:1], 3) if given.quick else (given.calls, given.seeds, 100)
    print(f"seeds {' '.join(map(str, seeds))}, {calls:,} calls each; mean / 99th percentile in seconds")
    print(f"{'':<33}" + "".join(f"{name:>17}" for name in COLUMNS))
    rows = {}
    for title, row in picked(calls, seeds):
        cells = (f"{mean:.2f} / {high:.1f}" if mean < 10 else f"{mean:.0f} / {high:.0f}" for mean, high in row.values())  # noqa: PLR2004  three figures
        print(f"{title:<33}" + "".join(f"{cell:>17}" for cell in cells), flush=True)
        rows[title] = {name: high for name, (_, high) in row.items()}
    print("\none of 8 servers at fault for 40 % of the time, 3 attempts a call")
    print(f"{'fault':<9}{'picked':<24}{'wasted calls':>12}{'errors':>9}{'99th percentile':>17}")
    for fault, name, wasted, errors, high in faulty(calls, seeds):
        ejects = f"{name}, ejecting" if name == OURS else name
        print(f"{fault:<9}{ejects:<24}{wasted:>12}{errors:>7.1f} %{high:>15.1f} s", flush=True)
    print("\none pick, in real time")
    for number, at_most in ((8, 10.0), (64, 60.0)):
        micros = pick_seconds(number, OURS, rounds) * 1e6
        print(f"of {number:<3} {micros:>6.1f} µs, at most {at_most:.0f}: {'met' if micros <= at_most else 'MISSED'}")
    if given.plot:
        title = "99th percentile of a call's seconds, by how servers are picked"
        given.plot.write_text(chart(title, rows, marked=OURS), "utf-8")
        print(f"drawn as {given.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
