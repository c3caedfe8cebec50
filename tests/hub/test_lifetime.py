"""A hub belongs to one event loop at a time, holds what it opened, and lets all of it go."""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from modelhub import ModelHub, ModelType, ProviderSchema, Stream
from modelhub.errors import (
    ConfigurationError,
    ModelHubError,
    PluginError,
    ServerError,
    StreamInterrupted,
    StreamNotFinished,
)
from modelhub.provider import ModelProvider, ProviderContext
from modelhub.testing.replies import Reply, sse_reply
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import ThreadedWireServer, WireServer

HANGING = Reply(
    200,
    {"content-type": "text/event-stream"},
    chunks=[b'data: {"text": "x"}\n\n'],
    chunked=True,
    cut_after=25,
    cut="hang",
)


async def ask(hub: ModelHub, url: str) -> str:
    """Enter a hub and ask once."""
    async with hub:
        return (await hub.chat("acme/m", "Hi", credentials={"base_url": url})).text


def test_one_hub_in_loops_one_after_the_other(acme: Any, vendor: Any) -> None:
    """Entered anew in each, on either library; every request is sent once and none fails."""
    hub = ModelHub(providers=[acme])
    with ThreadedWireServer(vendor) as server:
        for _ in range(2):
            assert asyncio.run(ask(hub, server.url)) == "Hi"
            assert trio.run(ask, hub, server.url) == "Hi"
        assert len(server.requests) == 4


def test_a_hub_for_each_loop_at_the_same_time(acme: Any, vendor: Any) -> None:
    """Threads with loops of their own do not disturb each other."""
    with ThreadedWireServer(vendor) as server:
        texts: list[str] = []
        threads = [
            threading.Thread(target=lambda: texts.append(asyncio.run(ask(ModelHub(providers=[acme]), server.url))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts == ["Hi"] * 8
        assert len(server.requests) == 8


@pytest.mark.anyio
async def test_a_hub_in_another_loop_than_it_was_entered_in() -> None:
    """Is an error that says so; the hub goes on in its own."""
    scripted = ScriptedProvider("ok")
    errors: list[str] = []

    async def stray() -> None:
        for call in (hub.chat("scripted/m", "Hi"), hub.embed("scripted/m", "x"), hub.providers()):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await call
            errors.append("raised")

    async with ModelHub(providers=[scripted]) as hub:
        await anyio.to_thread.run_sync(lambda: asyncio.run(stray()))
        assert errors == ["raised"] * 3
        assert (await hub.chat("scripted/m", "Hi")).text == "ok"


@pytest.mark.anyio
async def test_a_hub_outside_its_block() -> None:
    """Before and after: every verb says `async with`."""
    hub = ModelHub(providers=[ScriptedProvider("ok")])

    async def every_verb() -> None:
        calls: list[Any] = [
            hub.chat("scripted/m", "Hi"),
            hub.embed("scripted/m", "x"),
            hub.rerank("scripted/m", "?", ["x"]),
            hub.transcribe("scripted/m", b"x"),
            hub.speak("scripted/m", "x"),
            hub.moderate("scripted/m", "x"),
            hub.count_tokens("scripted/m", "x"),
            hub.providers(),
            hub.models("scripted"),
            hub.info("scripted/m"),
            hub.validate("scripted"),
            anext(hub.operate("scripted", "pull")),
            hub.stream("scripted/m", "Hi").__aenter__(),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="async with"):
                await call

    assert "not entered" in repr(hub)
    await every_verb()
    async with hub:
        assert "not entered" not in repr(hub)
        with pytest.raises(ConfigurationError, match="entered already"):
            await hub.__aenter__()
        assert (await hub.chat("scripted/m", "Hi")).text == "ok"
    await every_verb()


@pytest.mark.anyio
async def test_leaving_breaks_what_is_still_open(acme: Any) -> None:
    """A stream that outlives its hub ends in an error, not in silence, and its connection is closed."""
    stream: Stream[Any, Any]
    async with WireServer(HANGING) as server:
        async with ModelHub(providers=[acme]) as hub:
            stream = await hub.stream("acme/m", "Hi", credentials={"base_url": server.url}).__aenter__()
            await anext(stream)
        with anyio.fail_after(2):
            with pytest.raises((StreamInterrupted, StreamNotFinished, ConfigurationError)):
                await anext(stream)
        await server.all_closed()
        await stream.aclose()


@pytest.mark.anyio
async def test_leaving_on_an_error_closes_too(acme: Any, vendor: Any) -> None:
    """Whatever the block ended with comes out of it as it is."""

    async def fail(url: str) -> None:
        async with ModelHub(providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi", credentials={"base_url": url})
            raise ZeroDivisionError

    async with WireServer(vendor) as server:
        with pytest.raises(ZeroDivisionError):
            await fail(server.url)
        await server.all_closed()


@pytest.mark.anyio
async def test_cancelled_calls_leave_nothing_behind(acme: Any) -> None:
    """A hundred of them, whole and streamed, at every stage; the hub goes on."""
    async with WireServer(Reply(delay=30)) as silent, WireServer(HANGING) as hanging, ModelHub(providers=[acme]) as hub:

        async def read(url: str) -> None:
            async with hub.stream("acme/m", "Hi", credentials={"base_url": url}) as stream:
                async for _ in stream:
                    pass

        for step in range(25):
            with anyio.move_on_after(step / 500):
                async with anyio.create_task_group() as group:
                    group.start_soon(read, hanging.url)
                    group.start_soon(read, silent.url)
                    group.start_soon(lambda: hub.chat("acme/m", "Hi", credentials={"base_url": silent.url}))
                    group.start_soon(lambda: hub.embed("acme/m", ["x"] * 20, credentials={"base_url": silent.url}))
        await silent.all_closed()
        await hanging.all_closed()
    gc.collect()


class Session(ModelProvider):
    """A provider that keeps something open between calls."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self.fails = ""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        types, methods = (ModelType.LLM,), ("customizable-model",)
        return ProviderSchema("session", supported_model_types=types, configurate_methods=methods)

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncGenerator[str, None]:
        """Open it."""
        self.log.append("open")
        if self.fails == "open":
            raise KeyError("no licence")
        if self.fails == "open as ours":
            raise ServerError("no licence")
        yield f"session {self.log.count('open')}"
        self.log.append("close")
        if self.fails == "close":
            raise KeyError("cannot close")

    async def invoke(self, request: Any, context: ProviderContext) -> Any:
        """Answer with the session's name."""
        return await ScriptedProvider(str(context.session)).invoke(request, context)


@pytest.mark.anyio
async def test_a_session_is_opened_once_and_closed_with_the_hub() -> None:
    """At the first call, however many come at once; anew when the hub is entered again."""
    provider = Session()
    hub = ModelHub(providers=[provider])
    for round_ in (1, 2):
        texts: list[str] = []

        async def ask_it(texts: list[str]) -> None:
            texts.append((await hub.chat("session/m", "Hi")).text)

        async with hub:
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(ask_it, texts)
            assert texts == [f"session {round_}"] * 10
    assert provider.log == ["open", "close"] * 2


@pytest.mark.anyio
@pytest.mark.parametrize(("fails", "kind"), [("open", PluginError), ("open as ours", ServerError)])
async def test_a_session_that_cannot_be_opened(fails: str, kind: type[ModelHubError]) -> None:
    """Fails the call, and the next call tries again."""
    provider = Session()
    provider.fails = fails
    async with ModelHub({"routing": {"retries": 0}}, providers=[provider]) as hub:
        with pytest.raises(kind, match="no licence") as caught:
            await hub.chat("session/m", "Hi")
        assert caught.value.provider == "session"
        provider.fails = ""
        assert (await hub.chat("session/m", "Hi")).text == "session 2"


@pytest.mark.anyio
async def test_a_session_that_cannot_be_closed_holds_nothing_up(acme: Any, vendor: Any) -> None:
    """Connections are closed all the same, and the block ends as it would have."""
    provider = Session()
    provider.fails = "close"
    async with WireServer(vendor) as server:
        async with ModelHub(providers=[provider, acme]) as hub:
            await hub.chat("session/m", "Hi")
            await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
        await server.all_closed()


@pytest.mark.anyio
async def test_settings_are_read_when_the_hub_is_entered(tmp_path: Path) -> None:
    """A file that cannot be used is said then, and can be mended."""
    file = tmp_path / "modelhub.toml"
    hub = ModelHub(file, providers=[ScriptedProvider("ok")])
    with pytest.raises(ConfigurationError, match=r"modelhub\.toml"):
        await hub.__aenter__()
    file.write_text("[policy]\nparameters = 'drop'\n")
    async with hub:
        assert (await hub.chat("scripted/m", "Hi")).text == "ok"


@pytest.mark.anyio
async def test_a_broken_stream_leaves_the_hub_whole(acme: Any, vendor: Any) -> None:
    """The next call has a connection of its own."""
    cut = sse_reply([{"text": "x"}, {"text": "y"}])
    replies = [Reply(200, cut.headers, chunks=cut.chunks, chunked=True, cut_after=30, cut="rst")]
    async with WireServer(replies) as broken, WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(StreamInterrupted):
            async with hub.stream("acme/m", "Hi", credentials={"base_url": broken.url}) as stream:
                _ = [event async for event in stream]
        assert (await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})).text == "Hi"


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the folder in the environment")
async def test_a_user_without_a_home_is_told() -> None:
    """As in a container whose user has no entry; a folder in the environment or for the hub is enough."""
    script = """
import asyncio, sys
from pathlib import Path
sys.modules["pwd"] = None
from modelhub import ModelHub
from modelhub.errors import ConfigurationError
async def main():
    try:
        async with ModelHub():
            print("entered")
    except ConfigurationError as error:
        print(error.remedy)
    async with ModelHub(cache_dir=Path("here")):
        print("entered")
asyncio.run(main())
"""
    command = [sys.executable, "-c", script]
    for environment, said in (({}, "set HOME, or give the hub a cache_dir"), ({"HOME": "/h"}, "entered")):
        done = await anyio.run_process(command, env={"PATH": os.environ["PATH"], **environment})
        assert done.stdout.decode().split("\n")[:2] == [said, "entered"]
