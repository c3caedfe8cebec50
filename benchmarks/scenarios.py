"""Three local nodes of which some are sick, and what callers notice of it.

``python benchmarks/scenarios.py`` makes 10,000 calls for each line, 20 at once, and takes some ten minutes; ``--calls``
says how many, and names of sicknesses which of them. ``wasted`` are the calls that sick nodes were sent, beyond those
that went before anybody could know; ``cycles`` is how often one was ejected, or its one probe failed. One that answers
503 is not ejected: it is sent one call after each of its pauses, which are of up to eight seconds in the end. It fails
where a call failed of which nothing had come although a node was well, or where an outage of all nodes was made worse
than by a fifth.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))  # for tests.routing

from tests.routing.sick_nodes import SICKNESSES, Run, run

OUTAGE = 0.1
"""The share of the calls that the outages get: each of them fails, and those of hanging nodes take their time."""

HEAD = "which node           mode      calls failed   cut  sent wasted cycles   p50 ms   p99 ms"


def line(title: str, found: Run) -> str:
    """Return a line of the table."""
    mode, failed = "streamed" if found.streamed else "whole", sum(found.failures.values())
    counts = f"{found.calls:6} {failed:6} {found.interrupted:5} {found.sent:5} {found.wasted:6} {found.cycles:6}"
    return f"{title:20} {mode:8} {counts} {found.percentile(0.5) * 1000:8.1f} {found.percentile(0.99) * 1000:8.1f}"


async def one(sickness: str, calls: int, *, streamed: bool) -> bool:
    """Make the runs of a sickness, print their lines, and return whether callers noticed nothing."""
    sound = True
    for title, sick, after in (("sick before", 1, 0), ("falls sick", 1, calls // 4), ("two of three", 2, 0)):
        found = await run(sickness, streamed=streamed, calls=calls, sick=sick, after=after)
        print(line(title, found), flush=True)
        sound &= not found.failures
    if sickness == "cuts off" and streamed:
        for how in ("restart", "continue"):
            found = await run(sickness, streamed=True, calls=calls, on_interrupt=how)
            print(line(f"on_interrupt={how}", found), flush=True)
            sound &= found.answered == calls
    patience = {"timeout": 1.0} if sickness == "answers 503" else {}  # nodes that are busy are waited for
    found = await run(sickness, streamed=streamed, calls=int(calls * OUTAGE), sick=3, first_token=0.05, **patience)
    print(line("all of them", found), f"  {found.attempts / found.calls:.2f} tries a call", flush=True)
    return sound and found.attempts <= 1.2 * found.calls + 10


async def table(calls: int, names: Sequence[str]) -> bool:
    """Print the table; return whether callers noticed nothing that they need not."""
    sound = True
    for sickness in names:
        print(f"\nA node {sickness}\n{HEAD}")
        for streamed in (False, True):
            sound &= await one(sickness, calls, streamed=streamed)
    return sound


def main() -> int:
    """Read the command line, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("sickness", nargs="*", help=f"of: {', '.join(SICKNESSES)}")
    given = parser.parse_args()
    sound = anyio.run(table, given.calls, given.sickness or list(SICKNESSES))
    print("\nno caller noticed what need not be noticed" if sound else "\nFAILED: see above")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
