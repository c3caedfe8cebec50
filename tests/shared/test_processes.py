"""Four real processes keep one limit, whatever becomes of the server meanwhile."""

import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("worker.py")
PERIOD, LIMIT = 2.0, 1000.0
STRETCH = 2.5
"""Seconds of load before the first disturbance and after each: more than a period."""


def together(server: Any, *, every: float, disturbances: Sequence[Callable[[], None]] = ()) -> list[dict[str, Any]]:
    """Let four processes call for a while, disturb the server now and then, and return what they printed."""
    seconds = STRETCH * (len(disturbances) + 1)
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
        for disturb in disturbances:
            time.sleep(STRETCH)
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


def test_four_processes_keep_a_limit(redis_server: Any) -> None:
    """Offered more than the limit, all of them together exceed it by 5 % at most, and no call fails.

    Whatever becomes of the server: it is emptied, killed and started again, and killed for good.
    """

    def start_again() -> None:
        redis_server.kill()
        redis_server.start()

    disturbances = [lambda: redis_server.command("FLUSHALL"), start_again, redis_server.kill]
    told = together(redis_server, every=0.05, disturbances=disturbances)
    grants = [grant for each in told for grant in each["grants"]]
    assert most(grants) <= LIMIT * 1.05
    assert len(grants) >= LIMIT * STRETCH * 4 / PERIOD * 0.6
    assert all(each["grants"] and not each["failures"] for each in told)


def test_below_the_limit_nobody_waits(redis_server: Any) -> None:
    """Of calls that are within the limit, fewer than one in a hundred waits for as long as a millisecond."""
    told = together(redis_server, every=0.2)
    waits = sorted(wait for each in told for wait in each["waits"])
    assert len(waits) > 300
    assert waits[int(len(waits) * 0.99)] < 0.001
