"""Very many calls to nodes that fail at random, and what is left behind: memory, sockets, tasks.

``python benchmarks/soak.py`` makes a million calls, whole answers and streams in turn, several hundred at once, to
three nodes in a process of their own that fail one call in ten. ``--calls``, ``--at-once``, ``--faults`` and ``--seed``
change that. It prints what came of the calls and what the process has; it fails where that has grown.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

sys.path.insert(0, str(Path(__file__).parent.parent))  # for tests.ollama_node

from tests.ollama_node import OLLAMA

from modelhub import ModelHub
from modelhub.errors import ModelHubError
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault, at_random

MODEL = "ollama_local/llama3"
NODES = 3
FAULTS = [
    Fault.status(500),
    Fault.status(503),
    Fault.status(429, retry_after=0.05, form="decimal"),
    Fault.reset(),
    Fault.cut(),
    Fault.cut(after=40),
    Fault.cut(events=3),
    Fault.half_document(),
    Fault.error_in_stream(),
    Fault.html(),
]
ROUTING = {"eject_seconds": 0.05, "eject_longest": 0.5, "retry_floor": 100, "probe_seconds": 0.5, "queue": 10_000}
"""Nodes that fail so often are ejected again and again: that is soaked too, and must not take minutes each time."""

WARM = 0.2
"""The share of the calls after which memory must not grow."""

GROWTH = 5.0
"""How many MiB it may grow all the same."""

ABANDONED = 50
"""One call in so many is a stream that its caller leaves after the first event."""


@dataclass
class Found:
    """What came of the calls so far, and what the process has.

    Attributes:
        ended: Calls by how they ended.
        rss: Memory in MiB after the warm-up.
        begun: When they began.
    """

    ended: Counter[str] = field(default_factory=Counter)
    rss: float = 0.0
    begun: float = field(default_factory=time.monotonic)

    @property
    def calls(self) -> int:
        """How many have ended."""
        return sum(self.ended.values())


def rss() -> float:
    """Return the memory that this process has, in MiB, without what is garbage."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def sockets() -> int:
    """Return how many sockets this process has."""
    found = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found += str(descriptor.readlink()).startswith("socket:")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return found


def state(what: str) -> str:
    """Return a line that says what this process has."""
    return f"{what:>12}: {rss():7.1f} MiB, {sockets():4} sockets, {len(asyncio.all_tasks()):4} tasks"


@asynccontextmanager
async def nodes(faults: float, seed: int) -> AsyncGenerator[list[FaultServer]]:
    """Enter the nodes, which fail this share of their calls."""
    async with AsyncExitStack() as stack:
        made = []
        for number in range(NODES):
            node = FaultServer(OLLAMA, pace=Pace(tokens=8), keep=10)
            made.append(await stack.enter_async_context(node))
            calls = [fault.on("/api/chat") for fault in FAULTS]
            node.fault = at_random(faults, calls, random.Random(seed + number))
        yield made


async def serve(faults: float, seed: int) -> None:
    """Be the process of the nodes: print where they are, and go on until there is nobody to serve."""
    async with nodes(faults, seed) as made:
        print(*(node.url for node in made), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


@contextmanager
def served(faults: float, seed: int) -> Iterator[list[str]]:
    """Start the process of the nodes; give their addresses."""
    command = [sys.executable, __file__, "--serve", "--faults", str(faults), "--seed", str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().split()
        process.stdin.close()


async def call(hub: ModelHub, number: int) -> str:
    """Make a call; return how it ended."""
    try:
        if number % 2:
            await hub.chat(MODEL, "Hi", timeout=30.0)
        else:
            how = "restart" if number % 4 else "raise"
            async with hub.stream(MODEL, "Hi", timeout=30.0, on_interrupt=how) as stream:
                async for _ in stream:
                    if number % ABANDONED == 0:
                        return "left early"
    except ModelHubError as error:
        return type(error).__name__
    return "whole" if number % 2 else "streamed"


async def soak(urls: list[str], calls: int, at_once: int) -> Found:
    """Make the calls; print how it goes."""
    found = Found()
    numbers = iter(range(calls))
    mark = max(1, calls // 10)
    config = {"credentials": {"ollama_local": urls}, "routing": ROUTING}
    async with ModelHub(config, sinks=[lambda _: None]) as hub:

        async def caller() -> None:
            for number in numbers:
                found.ended[await call(hub, number)] += 1
                if found.calls == int(calls * WARM):
                    found.rss = rss()
                if found.calls % mark == 0:
                    rate = found.calls / (time.monotonic() - found.begun)
                    print(state(f"{found.calls}"), f"{rate:8.0f} calls/s", flush=True)

        async with anyio.create_task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(caller)
        print(state("all ended"))
    return found


async def run(urls: list[str], calls: int, at_once: int) -> bool:
    """Soak, print what came of it, and return whether all is as it was."""
    await asyncio.sleep(0)
    before = sockets(), len(asyncio.all_tasks())
    print(state("start"))
    found = await soak(urls, calls, at_once)
    after = sockets(), len(asyncio.all_tasks())
    print(state("hub left"))
    seconds = time.monotonic() - found.begun
    print(f"{found.calls} calls in {seconds:.1f} s: {found.calls / seconds:.0f} calls/s")
    for name, count in found.ended.most_common():
        print(f"{name:>24} {count:9} {count / found.calls:8.3%}")
    grown = rss() - found.rss
    print(f"memory since {WARM:.0%} of the calls: {grown:+.1f} MiB")
    kept = [
        text for text, bad in (("memory grew", grown > GROWTH), ("sockets or tasks are left", after > before)) if bad
    ]
    for text in kept:
        print(f"FAILED: {text}", file=sys.stderr)
    return not kept and found.calls == calls


def main() -> int:
    """Read the command line, soak, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--at-once", type=int, default=300)
    parser.add_argument("--faults", type=float, default=0.1, help="the share of the calls that nodes fail")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="what the faults follow from")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        anyio.run(serve, given.faults, given.seed)
        return 0
    print(f"seed {given.seed}")
    with served(given.faults, given.seed) as urls:
        return 0 if anyio.run(run, urls, given.calls, given.at_once) else 1


if __name__ == "__main__":
    sys.exit(main())
