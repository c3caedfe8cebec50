"""One deadline for several calls, whoever makes them."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from tests.canary import CANARY

from modelhub import Middleware, ModelHub, deadline
from modelhub.errors import BadRequest, Timeout
from modelhub.provider.middleware import PendingCall
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.events import Finish, FinishReason, TextDelta
from modelhub.types.telemetry import AttemptStarted, CallEnded

pytestmark = pytest.mark.anyio

SLOW = [TextDelta(0, "a"), *(TextDelta(0, "b") for _ in range(50)), Finish(FinishReason.STOP)]


async def read(hub: ModelHub, model: str = "scripted/m", **options: Any) -> None:
    """Read a stream to its end."""
    async with hub.stream(model, "Hi", **options) as stream:
        async for _ in stream:
            pass


async def test_calls_share_it() -> None:
    """What the first has used is not there for the second; after the block it is gone."""
    async with ModelHub(providers=[ScriptedProvider(lambda _: SLOW, pause=0.1)]) as hub:
        with deadline(0.3):
            async with hub.stream("scripted/m", "Hi") as stream:
                await stream.__anext__()
            await anyio.sleep(0.15)
            start = anyio.current_time()
            with pytest.raises(Timeout) as caught:
                await read(hub)
            assert anyio.current_time() - start < 0.25
        assert caught.value.phase == "total"
        async with hub.stream("scripted/m", "Hi") as stream:
            for _ in range(4):
                await stream.__anext__()


async def test_the_earlier_of_two_counts() -> None:
    """A block inside another, and a call's own timeout inside a block, cannot extend it."""
    async with ModelHub(providers=[ScriptedProvider(lambda _: SLOW, pause=0.2)]) as hub:
        with deadline(0.1), deadline(10.0), pytest.raises(Timeout):
            await read(hub, timeout=20.0)
        with deadline(10.0), pytest.raises(Timeout):
            await read(hub, timeout=0.1)


async def test_tasks_that_are_started_in_it_have_it() -> None:
    """And those that are not have none."""
    errors: list[Exception] = []

    async def call(hub: ModelHub) -> None:
        try:
            await read(hub)
        except Timeout as error:
            errors.append(error)

    provider = ScriptedProvider(lambda _: [TextDelta(0, "a"), Finish(FinishReason.STOP)], pause=0.2)
    async with ModelHub(providers=[provider]) as hub, anyio.create_task_group() as group:
        with deadline(0.1):
            group.start_soon(call, hub)
        group.start_soon(call, hub)
    assert len(errors) == 1


@pytest.mark.parametrize("seconds", [0, -1, True, "soon"])
async def test_what_is_no_time(seconds: object) -> None:
    """It is refused where it is written."""
    with pytest.raises(BadRequest, match="timeout"), deadline(seconds):  # type: ignore[arg-type]
        pass


async def test_a_call_after_it_is_not_made() -> None:
    """It says that the time was over before it began, and nothing is sent."""
    provider = ScriptedProvider("never")
    async with ModelHub(providers=[provider]) as hub:
        with deadline(0.05):
            await anyio.sleep(0.1)
            with pytest.raises(Timeout, match="before it began"):
                await hub.chat("scripted/m", "Hi")
    assert provider.requests == []


class Dawdling(Middleware):
    """Takes its time wherever a call waits for it."""

    def __init__(self, hook: str) -> None:
        self.hook = hook

    async def before(self, call: PendingCall) -> None:
        """Be waited for before anything is done."""
        if self.hook == "before":
            await anyio.sleep_forever()

    async def attempt(self, record: AttemptStarted) -> None:
        """Be waited for before a deployment is tried."""
        if self.hook == "attempt":
            await anyio.sleep_forever()


@pytest.mark.parametrize("hook", ["before", "attempt"])
@pytest.mark.parametrize("streamed", [False, True])
async def test_middleware_takes_of_the_time_of_a_call(hook: str, *, streamed: bool) -> None:
    """What it takes is not added to the caller's timeout, and the deployment is not blamed for it."""
    records: list[Any] = []
    provider = ScriptedProvider("never")
    async with ModelHub(providers=[provider], middleware=[Dawdling(hook)], sinks=[records.append]) as hub:
        with pytest.raises(Timeout) as caught, anyio.fail_after(5):
            await (read(hub, timeout=0.05) if streamed else hub.chat("scripted/m", "Hi", timeout=0.05))
        assert (caught.value.phase, caught.value.sent) == ("total", False)
        assert [info.state for info in await hub.deployments()] == ["ready"] * (hook == "attempt")
    assert not provider.requests
    assert [(each.outcome, each.error) for each in records if isinstance(each, CallEnded)] == [("failure", "Timeout")]


async def test_what_middleware_has_taken_is_gone() -> None:
    """A call has what is left of its time, and an answer in it is an answer."""

    class Quick(Middleware):
        async def before(self, call: PendingCall) -> None:
            await anyio.sleep(0.2)

    async with ModelHub(providers=[ScriptedProvider(lambda _: SLOW, pause=0.3)], middleware=[Quick()]) as hub:
        with pytest.raises(Timeout):
            await read(hub, timeout=0.4)
    async with ModelHub(providers=[ScriptedProvider("yes")], middleware=[Quick()]) as hub:
        assert (await hub.chat("scripted/m", "Hi", timeout=30.0)).text == "yes"


@asynccontextmanager
async def slow_proxy(pause: float) -> AsyncGenerator[str, None]:
    """Give the URL of a proxy that takes its time to make a tunnel, at whose other end nobody says a word."""

    async def serve(client: ByteStream) -> None:
        async with client:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await client.receive()
                await anyio.sleep(pause)
                await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    await client.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as group:
        group.start_soon(tcp.serve, serve)
        yield f"http://127.0.0.1:{tcp.extra(SocketAttribute.local_port)}"
        group.cancel_scope.cancel()


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_connecting_takes_is_gone_too(
    acme: type, monkeypatch: pytest.MonkeyPatch, *, streamed: bool
) -> None:
    """A proxy, and the handshake behind it, have what is left of the call's time and not each of them all of it."""
    settings = {"credentials": {"acme": {"base_url": "https://api.example.org", "api_key": CANARY}}}
    async with slow_proxy(0.8) as url, ModelHub(settings, providers=[acme]) as hub:
        monkeypatch.setenv("HTTPS_PROXY", url)
        start = time.monotonic()
        with pytest.raises(Timeout) as caught:
            await (read(hub, "acme/m", timeout=1.2) if streamed else hub.chat("acme/m", "Hi", timeout=1.2))
        assert time.monotonic() - start < 1.2 + 0.5
        assert (caught.value.phase, caught.value.sent, len(caught.value.attempts)) == ("total", False, 1)
        assert [info.state for info in await hub.deployments()] == ["ready"]
