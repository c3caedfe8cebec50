"""Processes with one Redis server keep a limit together and tell each other what they found out; a call never waits."""

import logging
import math
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import anyio
import pytest
import trio
from tests.canary import canary

from modelhub.errors import ConfigurationError
from modelhub.shared import Disabled, RedisState, SharedState

pytestmark = pytest.mark.anyio
PATIENCE = 10.0


@asynccontextmanager
async def running(*states: RedisState) -> AsyncGenerator[None, None]:
    """Let states take their turns, as the runtime does."""
    async with anyio.create_task_group() as tasks:
        for state in states:
            tasks.start_soon(state.run)
        try:
            yield
        finally:
            for state in states:
                await state.aclose()


async def until(fact: Callable[[], Any]) -> None:
    """Wait for something to be so."""
    with anyio.fail_after(PATIENCE):
        while not fact():  # noqa: ASYNC110  nothing tells when a server has done something
            await anyio.sleep(0.01)


def leased(server: Any, key: str) -> float:
    """Return what a bucket counts, by the server."""
    return sum(float(value) for value in server.command("HVALS", f"test:rate:{key}").split()[2::2])


async def test_a_limit_holds_for_all_processes_together(redis_server: Any, state_at: Any) -> None:
    """What one took is not there for another; what is there is taken without a wait."""
    one, other = state_at(), state_at()
    mine, others = one.bucket("k", 100.0), other.bucket("k", 100.0)
    assert one.bucket("k", 100.0) is mine
    async with running(one, other):
        taken = [0.0, 0.0]
        with anyio.move_on_after(2.0):
            while True:
                for number, bucket in enumerate((mine, others)):
                    taken[number] += bucket.reserve(1.0, time.monotonic()) == 0.0
                await anyio.sleep(0.002)
        assert 50 <= sum(taken) <= 103
        assert min(taken) > 5
        assert 50 < mine.wait(1.0, time.monotonic()) <= 60.5
        assert mine.reserve(100.5, time.monotonic()) == math.inf
        assert mine.reserve(0.0, time.monotonic()) == 0.0
    assert leased(redis_server, "k") == pytest.approx(sum(taken))


async def test_the_first_call_after_a_pause_does_not_wait(state_at: Any) -> None:
    """A process that has leased nothing takes a little in advance, and tells it with its next turn."""
    state = state_at(clock=lambda: 7.0)
    bucket = state.bucket("k", 1000.0)
    await state.flush()
    assert bucket.reserve(1.0, 7.0) == 0.0
    assert 0 < bucket.wait(500.0, 7.0) < 0.2
    await state.flush()
    assert bucket.reserve(500.0, 7.0) == 0.0
    await state.aclose()


async def test_who_asks_for_nothing_leases_nothing(redis_server: Any, state_at: Any) -> None:
    """An idle process is counted as one, and holds nothing; what is leased and not used is given back."""
    state, idle = state_at(), state_at()
    bucket, untouched = state.bucket("k", 1000.0), idle.bucket("k", 1000.0)
    async with running(state, idle):
        bucket.wait(300.0, time.monotonic())
        await until(lambda: leased(redis_server, "k") >= 300.0)
        assert bucket.reserve(300.0, time.monotonic()) == 0.0
        await until(lambda: leased(redis_server, "k") == 300.0)
        assert "0 leased" in repr(untouched)
    assert redis_server.command("ZCARD", "test:peers") == ":0"


async def test_a_correction_reaches_the_others(redis_server: Any, state_at: Any) -> None:
    """What was reserved too much is there for all again, what was used beyond is gone for all."""
    state = state_at()
    bucket = state.bucket("k", 100.0)
    await state.flush()
    begun = time.monotonic()
    bucket.wait(80.0, begun)
    await state.flush()
    assert bucket.reserve(80.0, begun) == 0.0
    bucket.settle(80.0, 30.0, time.monotonic(), since=begun)
    await state.flush()
    assert leased(redis_server, "k") == 30.0
    bucket.settle(30.0, 150.0, time.monotonic(), since=begun)
    await state.flush()
    assert leased(redis_server, "k") == 150.0
    assert bucket.wait(1.0, time.monotonic()) > 0
    await state.flush()
    assert 50 < bucket.wait(1.0, time.monotonic()) <= 60.5
    await state.aclose()


async def test_ten_round_trips_a_second_at_most(redis_server: Any, state_at: Any) -> None:
    """However much is asked for and told, a process makes ten calls a second, and one when there is nothing."""
    state = state_at()
    buckets = [state.bucket(f"k{number}", 1e6) for number in range(5)]
    async with running(state):
        await until(lambda: "in touch" in repr(state))
        before, begun = redis_server.calls(), time.monotonic()
        while time.monotonic() < begun + 2.0:
            for bucket in buckets:
                bucket.reserve(100.0, time.monotonic())
            state.ejected(f"d{time.monotonic()}", time.monotonic() + 5)
            await anyio.sleep(0.001)
        assert redis_server.calls() - before <= 10 * (time.monotonic() - begun) + 1


async def test_hints_travel(state_at: Any) -> None:
    """An ejection and a refused credential are known to all within a turn or two, and so is that they are over."""
    clock = partial(lambda ahead: time.monotonic() + ahead, 5000.0)
    one, other = state_at(), state_at(clock=clock)
    async with running(one, other):
        one.ejected("node-1", time.monotonic() + 30.0)
        one.ejected("node-2", time.monotonic() + 0.4)
        one.disabled("0123abcd", time.monotonic() + 60.0, "AuthenticationFailed")
        assert one.hints().ejected.keys() == {"node-1", "node-2"}
        await until(lambda: other.hints().disabled)
        assert other.hints().ejected["node-1"] == pytest.approx(clock() + 30.0, abs=2.0)
        (refused,) = other.hints().disabled.items()
        assert refused == ("0123abcd", Disabled(pytest.approx(clock() + 60.0, abs=2.0), "AuthenticationFailed"))
        other.ejected("node-1", clock() + 1.0)
        await until(lambda: "node-2" not in other.hints().ejected)
        assert other.hints().ejected["node-1"] > clock() + 20.0  # a shorter one does not count against a longer one
        other.ejected("node-1", clock())
        other.disabled("0123abcd", clock() - 1.0, "")
        assert not other.hints().ejected
        assert not other.hints().disabled
        await until(lambda: not one.hints().ejected and not one.hints().disabled)


async def test_a_full_table_still_takes_news_of_what_is_in_it(state_at: Any) -> None:
    """More ejections than are kept: new names find no room, and those that are there are kept up to date."""
    one, other = state_at(), state_at()
    async with running(one, other):
        for number in range(1000):
            one.ejected(f"node-{number}", time.monotonic() + 60.0)
        await until(lambda: len(other.hints().ejected) == 1000)
        one.ejected("node-7", time.monotonic() + 600.0)
        other.ejected("one too many", time.monotonic() + 60.0)
        await until(lambda: other.hints().ejected.get("node-7", 0.0) > time.monotonic() + 500.0)
        await other.flush()
        await one.flush()
        assert "one too many" not in one.hints().ejected


async def test_a_dead_process_is_missed(state_at: Any) -> None:
    """Processes are counted as long as they take turns."""
    state, other = state_at(), state_at()
    await other.flush()
    await state.flush()
    assert "2 processes" in repr(state)
    await other.aclose()
    await other.aclose()
    await state.flush()
    assert "1 processes" in repr(state)
    await state.aclose()


async def test_without_redis_each_process_goes_on_alone(dead_server: Any, caplog: Any) -> None:
    """Nothing fails where no server is; one line says so, and another one when it is there."""
    caplog.set_level(logging.INFO, "modelhub.sharing")
    state = RedisState(dead_server.url, namespace="test")
    bucket = state.bucket("k", 100.0)
    async with running(state):
        await until(lambda: caplog.records)
        assert sum(bucket.reserve(1.0, time.monotonic()) == 0.0 for _ in range(150)) == 100
        state.ejected("node-1", time.monotonic() + 30.0)
        await anyio.sleep(0.6)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert caplog.messages == [
            "Redis does not answer (ConnectionError): this process goes on with all of each limit"
        ]
        dead_server.start()
        await until(lambda: len(caplog.records) == 2)
        await until(lambda: leased(dead_server, "k") == 100.0)
        assert dead_server.command("HLEN", "test:ejected") == ":1"
        assert bucket.reserve(1.0, time.monotonic()) > 0


async def test_a_killed_server_fails_no_call(redis_server: Any, state_at: Any) -> None:
    """Calls go on through death and return of the server, at the process's share, and none waits for it."""
    one, other = state_at(), state_at()
    bucket = one.bucket("k", 1e6)
    async with running(one, other):
        await until(lambda: "2 processes" in repr(one))
        waits = []
        for moment in range(400):
            if moment == 100:
                redis_server.kill()
            if moment == 250:
                redis_server.start()
            waits.append(bucket.reserve(100.0, time.monotonic()))
            await anyio.sleep(0.005)
        assert waits == [0.0] * 400
        await until(lambda: "in touch, 2 processes" in repr(one))
        await until(lambda: leased(redis_server, "k") >= 40_000.0)


async def test_a_slow_server_fails_no_call(redis_server: Any, state_at: Any) -> None:
    """With half a second to each answer, calls are served from the share, and hints still travel."""
    async with slow(redis_server.port, 0.25) as port:
        state, other = state_at(f"redis://127.0.0.1:{port}/0"), state_at()
        bucket = state.bucket("k", 1e6)
        async with running(state, other):
            await until(lambda: "in touch" in repr(state))
            waits = []
            for _ in range(300):
                waits.append(bucket.reserve(100.0, time.monotonic()))
                await anyio.sleep(0.005)
            assert waits == [0.0] * 300
            state.ejected("node-1", time.monotonic() + 30.0)
            await until(lambda: other.hints().ejected)
            await until(lambda: leased(redis_server, "k") >= 30_000.0)


@asynccontextmanager
async def slow(port: int, delay: float) -> AsyncGenerator[int, None]:
    """Forward connections to a port of this machine, each piece late."""

    async def forward(source: Any, target: Any) -> None:
        async for piece in source:
            await anyio.sleep(delay)
            await target.send(piece)

    async def serve(client: Any) -> None:
        async with client, await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(forward, server, client)
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await forward(client, server)
            tasks.cancel_scope.cancel()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def test_a_server_that_hangs_is_left_soon(redis_server: Any, state_at: Any) -> None:
    """Closing takes a second at most, whatever the server does."""
    state = state_at()
    await state.flush()
    redis_server.command("CLIENT", "PAUSE", "3000")
    with anyio.fail_after(2.5):
        await state.aclose()


async def test_headers_bound_this_process(state_at: Any) -> None:
    """What a vendor said to one process holds for that one until it wears off."""
    state = state_at(clock=lambda: 7.0)
    bucket = state.bucket("k", 1000.0)
    await state.flush()
    bucket.tighten(7.0, limit=None, remaining=3.0, reset=20.0)
    assert [bucket.reserve(1.0, 7.0) for _ in range(3)] == [0.0] * 3
    assert bucket.reserve(1.0, 7.0) == 20.0
    await state.aclose()


def test_trio_is_told_that_it_cannot() -> None:
    """The client of Redis works on asyncio alone: that is said, with what to do."""
    with pytest.raises(ConfigurationError, match="on asyncio only") as caught:
        trio.run(RedisState("redis://127.0.0.1:1/0").run)
    assert "leave [sharing] redis out" in str(caught.value.remedy)


@pytest.mark.parametrize("url", ["http://:{}@h", "redis://:{}@h:port/0", "{}"])
async def test_what_is_no_url_is_not_shown(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigurationError, match="no URL of a Redis server"):
        await RedisState(url.format(canary("redis"))).run()


def test_the_package_is_named_where_it_is_missing() -> None:
    """Without the client, the error says what to install."""
    code = (
        "import sys, anyio; sys.modules['redis.asyncio'] = None\n"
        "from modelhub.errors import ConfigurationError\n"
        "from modelhub.shared import RedisState\n"
        "try: anyio.run(RedisState('redis://127.0.0.1:1/0').flush)\n"
        "except ConfigurationError as error: print(error.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "install it: pip install 'modelhub-core[redis]'"


def test_it_is_what_the_runtime_asks_for() -> None:
    """The state satisfies the seam, and shows no URL."""
    state: SharedState = RedisState(f"redis://:{canary('redis')}@127.0.0.1:1/0")
    bucket = state.bucket("k", 5.0)
    assert repr(state) == "<RedisState modelhub: <Link: alone, 4 processes, 2 ms>, 1 buckets>"
    assert repr(bucket) == "<LeasedBucket k: 0 leased, limit 5 in 60 s>"
