"""CPU time of the client process per call and per piece of a stream, in many short slices that take turns.

Each slice is the same work by one client. The clients take turns (A B C D, B C D A, …), so that what else the machine
does falls on all of them alike; a ratio is the median of the ratios within a turn. What is counted is the CPU time of
this process, not the time on the clock: the server has its own process and, where there are two, its own core.

The garbage collector runs as in any application. Before a slice it has collected and what is left is frozen, so that
a slice pays for its own garbage only.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from canned_server import ANSWER, BURST_MODEL, PACED_MODEL
from clients import CLIENTS, OBSERVED, OURS, Client

__all__ = ["SECTIONS", "Effort", "Section", "measured"]

_SERVER = Path(__file__).with_name("canned_server.py")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for a figure.

    Attributes:
        turns: Slices per client.
        calls: Calls in a slice of calls one after another.
        calls_each: Calls of each of the callers in a slice of calls at once.
        burst, paced: Pieces of the streams; a slice is one stream.
        interval: Seconds between two pieces of the paced stream.
        paced_turns: Slices per client of the paced stream, which takes its time whoever reads it.
        processes: Fresh processes per figure of starting up.
    """

    turns: int = 15
    calls: int = 100
    calls_each: int = 4
    burst: int = 2000
    paced: int = 300
    interval: float = 0.002
    paced_turns: int = 9
    processes: int = 9


Slice = Callable[[Client, Effort], Awaitable[int]]
"""Does a slice of the work; returns how many units that was."""


@dataclass(frozen=True, slots=True)
class Section:
    """A line of the table.

    Attributes:
        group: What it belongs to.
        name: What it is called in results.
        title: What it is called in the table.
        work: A slice.
        targets: The clients to compare with, and what the hub may cost in proportion to each; ``None`` where no such
            target is set.
        ours: The client that is compared with them.
    """

    group: str
    name: str
    title: str
    work: Slice
    targets: Mapping[str, float | None]
    ours: str = OURS


async def _call(client: Client, times: int) -> None:
    for _ in range(times):
        length = await client.call()
        if length != len(ANSWER):
            message = f"{type(client).__name__} read {length} characters of an answer that has {len(ANSWER)}"
            raise RuntimeError(message)


async def _one_by_one(client: Client, effort: Effort) -> int:
    await _call(client, effort.calls)
    return effort.calls


async def _by_64(client: Client, effort: Effort) -> int:
    return await _at_once(client, effort, 64)


async def _by_500(client: Client, effort: Effort) -> int:
    return await _at_once(client, effort, 500)


async def _at_once(client: Client, effort: Effort, callers: int) -> int:
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(_call(client, effort.calls_each))
    return callers * effort.calls_each


async def _stream(client: Client, model: str, pieces: int) -> int:
    found = await client.stream(model)
    if found != pieces:
        message = f"{type(client).__name__} read {found} pieces of a stream that has {pieces}"
        raise RuntimeError(message)
    return pieces


async def _burst(client: Client, effort: Effort) -> int:
    return await _stream(client, BURST_MODEL, effort.burst)


async def _paced(client: Client, effort: Effort) -> int:
    return await _stream(client, PACED_MODEL, effort.paced)


def _targets(bare: float, official: float | None) -> Mapping[str, float | None]:
    return {"bare httpx": bare, "official client": official, "bare aiohttp": None}


SECTIONS = (
    Section("calls", "call_1", "a call, one at a time", _one_by_one, _targets(1.2, None)),
    Section("calls", "call_64", "a call, 64 at once", _by_64, _targets(1.2, None)),
    # With so many busy connections httpx takes milliseconds for a call: it would only hold up the others.
    Section("calls", "call_500", "a call, 500 at once", _by_500, {"bare aiohttp": None}),
    Section("calls", "observed", "a call that a sink hears of", _one_by_one, {OURS: 1.2}, OBSERVED),
    Section("streams", "burst", "a piece of a stream, in a burst", _burst, _targets(1.6, 1.0)),
    Section("streams", "paced", "a piece of a stream, paced", _paced, _targets(1.1, 1.0)),
)


def _cores() -> tuple[int, int] | None:
    """Return a core for the clients and one for the server, where the system has both and lets one choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else None


@contextlib.contextmanager
def _server(effort: Effort) -> Iterator[str]:
    """Run the server, each side on its core, and give its address."""
    arguments = ["--burst", str(effort.burst), "--paced", str(effort.paced), "--interval", str(effort.interval)]
    command = [sys.executable, str(_SERVER), *arguments]
    cores = _cores()
    before = os.sched_getaffinity(0) if cores else set()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  ours
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if cores:
                os.sched_setaffinity(0, {cores[0]})
                os.sched_setaffinity(process.pid, {cores[1]})
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            if cores:
                os.sched_setaffinity(0, before)


@contextlib.asynccontextmanager
async def _opened(section: Section, url: str) -> AsyncIterator[Mapping[str, Client]]:
    wanted = {name: client for name, client in CLIENTS.items() if name in section.targets or name == section.ours}
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(client(url)) for name, client in wanted.items()}


async def _slices(section: Section, effort: Effort, url: str) -> dict[str, list[float]]:
    async with _opened(section, url) as clients:
        names = list(clients)
        found: dict[str, list[float]] = {name: [] for name in names}
        for client in clients.values():
            await section.work(client, effort)  # connections, caches, imports
        for turn in range(effort.paced_turns if section.name == "paced" else effort.turns):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                gc.collect()
                gc.freeze()
                start = time.process_time_ns()
                units = await section.work(clients[name], effort)
                found[name].append((time.process_time_ns() - start) / 1000 / units)
        gc.unfreeze()
    return found


def measured(section: Section, effort: Effort) -> dict[str, list[float]]:
    """Return the CPU time of every slice in µs per unit, by client, in the order of the turns."""
    with _server(effort) as url:
        return asyncio.run(_slices(section, effort, url))
