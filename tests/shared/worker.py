"""One process of several that share a limit: takes what it can get, and prints when it got it.

Arguments as JSON: what `main` takes. Times are monotonic ones, which all processes of a machine share.
"""

import json
import math
import random
import sys
import time

import anyio

from modelhub.shared import RedisState


async def main(
    url: str, key: str, limit: float, period: float, until: float, *, begin: float, every: float, callers: int = 8
) -> None:
    """Let several callers call, each once in so many seconds, from a time until another."""
    state = RedisState(url, namespace="test")
    bucket = state.bucket(key, limit, period)
    grants, waits, failures = [], [], []

    async def call() -> None:
        await anyio.sleep(begin - time.monotonic() + random.random() * every)
        while (asked := time.monotonic()) < until:
            while (wait := bucket.reserve(1.0, time.monotonic())) > 0 and time.monotonic() < until:
                if wait == math.inf:
                    failures.append(wait)
                await anyio.sleep(min(wait, until - time.monotonic(), 0.5))
            if wait == 0:
                grants.append(time.monotonic())
                waits.append(grants[-1] - asked)
            await anyio.sleep(every)

    async with anyio.create_task_group() as tasks:
        await state.flush()
        tasks.start_soon(state.run)
        async with anyio.create_task_group() as calls:
            for _ in range(callers):
                calls.start_soon(call)
        await state.aclose()
        tasks.cancel_scope.cancel()
    json.dump({"grants": grants, "waits": waits, "failures": failures}, sys.stdout)


anyio.run(lambda: main(**json.loads(sys.argv[1])))
