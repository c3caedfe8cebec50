"""One process of several that share a limit: takes what it can get, and prints when it got it.

Says when it is ready, and begins when it is told to. The argument is what `main` takes, as JSON. Times are monotonic
ones, which all processes of a machine share.
"""

import json
import math
import random
import sys
import time

import anyio
import anyio.to_thread

from modelhub.shared import RedisState


async def main(
    url: str, key: str, limit: float, period: float, *, seconds: float, every: float, callers: int = 8
) -> None:
    """Let several callers call, each once in so many seconds, when the word comes and for a while."""
    state = RedisState(url, namespace="test")
    bucket = state.bucket(key, limit, period)
    grants, waits, failures = [], [], []

    async def call() -> None:
        until = time.monotonic() + seconds
        await anyio.sleep(random.random() * every)
        while (asked := time.monotonic()) < until:
            while (wait := bucket.reserve(1.0, time.monotonic())) > 0 and time.monotonic() < until:
                if wait == math.inf:
                    failures.append(wait)
                await anyio.sleep(min(wait, 0.2))
            if wait == 0:
                grants.append(time.monotonic())
                waits.append(grants[-1] - asked)
            await anyio.sleep(every)

    async with anyio.create_task_group() as tasks:
        await state.flush()
        tasks.start_soon(state.run)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await anyio.to_thread.run_sync(sys.stdin.readline)
        async with anyio.create_task_group() as calls:
            for _ in range(callers):
                calls.start_soon(call)
        await state.aclose()
        tasks.cancel_scope.cancel()
    json.dump({"grants": grants, "waits": waits, "failures": failures}, sys.stdout)


anyio.run(lambda: main(**json.loads(sys.argv[1])))
