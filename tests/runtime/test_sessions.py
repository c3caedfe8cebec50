"""Sessions of credentials that come with calls: as many as are worth keeping, none that is used closed."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio
import anyio.lowlevel
import pytest
import trio
from trio.testing import MockClock

from modelhub import ChatResult, ModelHub, ModelType, ProviderSchema
from modelhub.errors import ConfigurationError
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.requests import ChatRequest

pytestmark = pytest.mark.anyio

KEPT = 128
"""Sessions of credentials that came with calls, before those that are idle are closed."""

FORM = CredentialSchema((FormField("tenant", required=False),))


class Parrot(LargeLanguageModel):
    """Says who it is called for, in two pieces."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Answer with the session's name."""
        yield TextDelta(0, "I am ")
        await anyio.lowlevel.checkpoint()
        yield TextDelta(0, str(context.session))
        yield Finish(FinishReason.STOP)


class SessionProvider(ModelProvider):
    """Opens a session for each tenant, and remembers which are open; what happens as one opens or ends is given."""

    llm = Parrot

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.open_now: dict[str, int] = {}
        self.opening: Callable[[str], Awaitable[object]] = _nothing
        self.ending: Callable[[str], Awaitable[object]] = _nothing

    def provider_schema(self) -> ProviderSchema:
        """Describe a provider whose form names a tenant."""
        return ProviderSchema(
            "custom",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=FORM,
        )

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncGenerator[str, None]:
        """Open a session."""
        name = context.credential.text("tenant", "operator")
        await self.opening(name)
        self.opened.append(name)
        with self._counted(name):
            yield name
            await self.ending(name)

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        self.open_now[name] = self.open_now.get(name, 0) + 1
        try:
            yield
        finally:
            self.open_now[name] -= 1
            if not self.open_now[name]:
                del self.open_now[name]


async def _nothing(_: str) -> None:
    await anyio.lowlevel.checkpoint()


async def ask(hub: ModelHub, tenant: str) -> ChatResult[None]:
    """Make a call for a tenant."""
    return await hub.chat("custom/m", "Hi", credentials={"tenant": tenant})


async def settled(provider: SessionProvider, number: int) -> None:
    """Wait until so many sessions are open: they are closed beside calls."""
    with anyio.fail_after(10):
        while len(provider.open_now) != number:  # noqa: ASYNC110  nothing tells of it
            await anyio.sleep(0.01)


async def test_sessions_of_tenants_are_closed_that_were_used_longest_ago() -> None:
    """What the operator configured stays open, however seldom it is called; a tenant who comes back is served anew."""
    provider = SessionProvider()
    async with ModelHub({}, providers=[provider]) as hub:
        await hub.chat("custom/m", "Hi")
        for number in range(2 * KEPT):
            await ask(hub, f"tenant-{number}")
            assert (await ask(hub, "regular")).text == "I am regular"
        await settled(provider, KEPT + 1)
        assert {"operator", "regular", f"tenant-{2 * KEPT - 1}"} <= set(provider.open_now)
        assert "tenant-0" not in provider.open_now
        assert (await ask(hub, "tenant-0")).text == "I am tenant-0"
        assert (await hub.chat("custom/m", "Hi")).text == "I am operator"
        assert provider.opened.count("tenant-0") == 2
        assert provider.opened.count("operator") == provider.opened.count("regular") == 1
    assert provider.open_now == {}


async def test_a_session_is_not_closed_under_a_call() -> None:
    """However many tenants come while a stream is read."""
    provider = SessionProvider()
    async with ModelHub({}, providers=[provider]) as hub:
        async with hub.stream("custom/m", "Hi", credentials={"tenant": "first"}) as stream:
            for number in range(2 * KEPT):
                await ask(hub, f"tenant-{number}")
            await settled(provider, KEPT)
            assert "first" in provider.open_now
            assert "".join([text async for text in stream.text()]) == "I am first"
        del stream  # whoever keeps one keeps its session
        for number in range(KEPT):
            await ask(hub, f"late-{number}")
        await settled(provider, KEPT)
        assert "first" not in provider.open_now


async def test_more_calls_at_once_than_sessions_are_kept() -> None:
    """Each has its own until it is answered; then they are as many as are kept."""
    provider = SessionProvider()
    reading: list[int] = []
    everybody_reads = anyio.Event()

    async def call(number: int) -> None:
        async with hub.stream("custom/m", "Hi", credentials={"tenant": str(number)}) as stream:
            reading.append(number)
            if len(reading) == 2 * KEPT:
                everybody_reads.set()
            await everybody_reads.wait()
            assert len(provider.open_now) == 2 * KEPT
            assert [text async for text in stream.text()][-1] == str(number)

    async with ModelHub({}, providers=[provider]) as hub:
        async with anyio.create_task_group() as group:
            for number in range(2 * KEPT):
                group.start_soon(call, number)
        await ask(hub, "last")
        await settled(provider, KEPT)


@pytest.mark.parametrize("raises", [ValueError("clean-up"), SystemExit(3)])
async def test_a_session_that_raises_at_its_end_is_nobodys_affair(
    raises: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the call's that came when it was closed, nor another session's."""
    provider = SessionProvider()

    async def ending(_: str) -> None:
        raise type(raises)(*raises.args)  # one and the same would have a longer traceback each time

    provider.ending = ending
    async with ModelHub({}, providers=[provider]) as hub:
        for number in range(KEPT + 5):
            assert (await ask(hub, str(number))).text == f"I am {number}"
        await settled(provider, KEPT)
    assert provider.open_now == {}
    assert caplog.text.count(f"closing a session raised {type(raises).__name__}") == KEPT + 5


async def test_no_call_waits_for_a_session_to_end() -> None:
    """One that hangs is open beside the others, also where its own tenant comes back meanwhile."""
    provider = SessionProvider()
    going, ended = anyio.Event(), anyio.Event()

    async def ending(_: str) -> None:
        going.set()
        await ended.wait()

    provider.ending = ending
    async with ModelHub({}, providers=[provider]) as hub:
        for number in range(KEPT + 20):
            await ask(hub, str(number))
        await going.wait()
        assert len(provider.open_now) == KEPT + 20
        await ask(hub, "0")
        assert provider.open_now["0"] == 2
        ended.set()
        await settled(provider, KEPT)


CLOCK = MockClock()


NODES_CLOCK = MockClock()


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": NODES_CLOCK})], ids=["trio"])
async def test_sessions_of_nodes_that_are_gone_make_room() -> None:
    """Their credentials are the operator's, who uses them no more."""
    provider, names = SessionProvider(), [str(number) for number in range(KEPT + 2)]

    async def nodes() -> list[dict[str, object]]:
        return [{"id": name, "values": {"tenant": name}} for name in names]

    async with ModelHub({"credentials": {"custom": nodes}}, providers=[provider], clock=trio.current_time) as hub:
        for name in names:
            await hub.chat(f"custom/any#{name}", "Hi")
        assert len(provider.open_now) == KEPT + 2
        names[:] = ["new"]
        NODES_CLOCK.autojump_threshold = 0.0
        await anyio.sleep(40.0)
        await hub.chat("custom/any", "Hi")
        await settled(provider, KEPT + 1)


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": CLOCK})], ids=["trio"])  # asyncio has no such clock
async def test_sessions_that_hang_are_left_together(caplog: pytest.LogCaptureFixture) -> None:
    """Each has some seconds to end; a hub with a hundred of them is left in as many, not in a hundred times as many."""
    provider = SessionProvider()

    async def ending(_: str) -> None:
        await anyio.sleep_forever()

    provider.ending = ending
    async with ModelHub({}, providers=[provider]) as hub:
        for number in range(KEPT):
            await ask(hub, str(number))
        CLOCK.autojump_threshold = 0.0  # from here on nothing is waited for but what hangs
        begun = trio.current_time()
    assert 1.0 < trio.current_time() - begun < 10.0
    assert provider.open_now == {}
    assert caplog.text.count("closing a session did not end") == KEPT


async def test_a_hub_that_is_left_while_a_session_opens_leaves_it_too() -> None:
    """The call hears of the hub, and the session is closed as soon as it is open."""
    provider = SessionProvider()
    opening, left = anyio.Event(), anyio.Event()

    async def wait(_: str) -> None:
        opening.set()
        await left.wait()

    provider.opening = wait
    hub = ModelHub({}, providers=[provider])
    await hub.__aenter__()

    async def call() -> None:
        with pytest.raises(ConfigurationError, match="the hub was left"):
            await ask(hub, "a")

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await opening.wait()
        await hub.__aexit__(None, None, None)
        left.set()
    assert provider.opened == ["a"]
    assert provider.open_now == {}


async def test_sessions_of_before_the_settings_changed_are_closed_too() -> None:
    """A key that was changed is not the operator's any more; one that is still used stays."""
    provider = SessionProvider()
    config = {"credentials": {"custom": {"tenant": "old"}}}
    async with ModelHub(config, providers=[provider]) as hub:
        await hub.chat("custom/m", "Hi")
        config["credentials"]["custom"]["tenant"] = "new"
        await hub.reload()
        await hub.chat("custom/m", "Hi")
        for number in range(2 * KEPT):
            await ask(hub, str(number))
        await settled(provider, KEPT + 1)
        assert "new" in provider.open_now
        assert "old" not in provider.open_now


async def test_a_session_of_a_task_that_ended_is_left_in_another(caplog: pytest.LogCaptureFixture) -> None:
    """It may be entered by a call's task, and is left beside calls or with the hub."""
    provider = SessionProvider()
    caplog.set_level(logging.WARNING)
    async with ModelHub({}, providers=[provider]) as hub:
        async with anyio.create_task_group() as group:
            for number in range(KEPT + 10):
                group.start_soon(ask, hub, str(number))
        await ask(hub, "last")
        await settled(provider, KEPT)
    assert provider.open_now == {}
    assert not caplog.records
