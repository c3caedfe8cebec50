"""Four real processes keep one limit, whatever becomes of the server meanwhile."""

import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).with_name("worker.py")
PERIOD, LIMIT = 2.0, 1000.0
SECONDS = 5.0
"""Seconds of load, after which every process ends by itself: more than a period of it before the disturbance."""


def together(
    server: Any, *, every: float, seconds: float = SECONDS, disturb: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """Let four processes call for a while, disturb the server in the middle, and return what they printed."""
    given = {"url": server.url, "key": "k", "limit": LIMIT, "period": PERIOD, "seconds": seconds, "every": every}
    words = [sys.executable, str(WORKER), json.dumps(given)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        workers = [stack.enter_context(subprocess.Popen(words, **pipes)) for _ in range(4)]
        for worker in workers:
            stack.callback(worker.kill)
        assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * 4
        for worker in workers:
            worker.stdin.write("begin\n")
            worker.stdin.flush()
        time.sleep(seconds / 2)
        disturb()
        return [json.loads(worker.communicate(timeout=30)[0]) for worker in workers]


def most(grants: list[float]) -> int:
    """Return the most that was granted in any period."""
    window: deque[float] = deque()
    most = 0
    for grant in sorted(grants):
        window.append(grant)
        while window[0] <= grant - PERIOD:
            window.popleft()
        most = max(most, len(window))
    return most


@pytest.mark.parametrize("disturbance", ["flushed", "killed and started again", "killed"])
def test_four_processes_keep_a_limit(redis_server: Any, disturbance: str) -> None:
    """Offered more than the limit, all of them together exceed it by 5 % at most, and no call fails."""

    def disturb() -> None:
        if disturbance == "flushed":
            redis_server.command("FLUSHALL")
        else:
            redis_server.kill()
        if disturbance == "killed and started again":
            redis_server.start()

    told = together(redis_server, every=0.05, disturb=disturb)
    grants = [grant for each in told for grant in each["grants"]]
    assert most(grants) <= LIMIT * 1.05
    assert len(grants) >= LIMIT * SECONDS / PERIOD * 0.6
    assert all(each["grants"] and not each["failures"] for each in told)


def test_below_the_limit_nobody_waits(redis_server: Any) -> None:
    """Of calls that are within the limit, fewer than one in a hundred waits for as long as a millisecond."""
    told = together(redis_server, every=0.2, seconds=2.5)
    waits = sorted(wait for each in told for wait in each["waits"])
    assert len(waits) > 300
    assert waits[int(len(waits) * 0.99)] < 0.001
