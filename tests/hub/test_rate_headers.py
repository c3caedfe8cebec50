"""What vendors say of rate limits counts as soon as they say it, and what a call did not use is given back."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pytest

from modelhub import ModelHub
from modelhub.errors import BadRequest, LocalRateLimited, ModelHubError, RateLimited
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

USED_UP = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
Answer = Callable[[Request], Reply]


@asynccontextmanager
async def serving(answer: Answer, acme: Any, **limits: Any) -> AsyncGenerator[ModelHub]:
    """Enter a hub with one server, which is not asked twice by itself."""
    async with WireServer(answer) as server:
        row = {"id": "a", "values": {"base_url": server.url}, **limits}
        config = {"credentials": {"acme": [row]}, "routing": {"retries": 0, "eject_after": 100}}
        async with ModelHub(config, providers=[acme]) as hub:
            yield hub


def one_then(first: Callable[[Reply], Reply], vendor: Answer) -> Answer:
    """Return what answers one request in its own way, and the others as the vendor does."""
    left = [first]

    def answer(request: Request) -> Reply:
        reply = vendor(request)
        return left.pop()(reply) if left else reply

    return answer


async def read(hub: ModelHub) -> None:
    """Read a stream to its end."""
    async with hub.stream("acme/m", "Hi") as stream:
        async for _ in stream:
            pass


async def state(hub: ModelHub) -> str:
    """Return whether the server may be called now."""
    (info,) = await hub.deployments()
    return info.state


async def test_a_stream_is_heard_when_it_begins(acme: Any, vendor: Answer) -> None:
    """Not at its end, which may be minutes later, and the time that is said is counted from then."""
    async with serving(lambda request: replace(vendor(request), headers=told(vendor(request))), acme) as hub:
        async with hub.stream("acme/m", "Hi") as stream:
            assert await state(hub) == "rate limit"
            with pytest.raises(LocalRateLimited):
                await hub.chat("acme/m", "Hi", timeout=1.0)
            async for _ in stream:
                pass
        assert stream.result.text


def told(reply: Reply) -> dict[str, str]:
    """Return an answer's headers, and that there is nothing left."""
    return {**reply.headers, **USED_UP}


@pytest.mark.parametrize("ask", [read, lambda hub: hub.chat("acme/m", "Hi")], ids=["stream", "answer"])
async def test_a_refusal_is_heard(acme: Any, vendor: Answer, ask: Callable[[ModelHub], Awaitable[object]]) -> None:
    """Of a stream as of a whole answer."""
    refused = json_reply({"error": {"message": "slow down"}}, 429)
    first = replace(refused, headers=told(refused))
    async with serving(one_then(lambda _: first, vendor), acme) as hub:
        with pytest.raises(RateLimited):
            await ask(hub)
        assert await state(hub) == "rate limit"


async def leave(hub: ModelHub) -> None:
    """Go away after the first content."""
    async with hub.stream("acme/m", "Hi") as stream:
        async for _ in stream:
            break


async def give_up(hub: ModelHub) -> None:
    """Wait for an answer no longer."""
    with anyio.move_on_after(0.1):
        await hub.chat("acme/m", "Hi")


def refuse(status: int) -> Callable[[Reply], Reply]:
    """Refuse a call."""
    return lambda _: json_reply({"error": {"message": "no"}}, status)


def cut(reply: Reply) -> Reply:
    """Break an answer off."""
    return replace(reply, cut="fin", cut_after=60)


def hang(_: Reply) -> Reply:
    """Never answer."""
    return Reply(delay=30.0)


async def ask_twice(hub: ModelHub, ask: Callable[[ModelHub], Awaitable[None]]) -> None:
    """Make a call that fails or is given up, and another one after it."""
    try:
        await ask(hub)
    except ModelHubError as error:
        assert not isinstance(error, LocalRateLimited)  # noqa: PT017  the first call is within the limit
    assert (await hub.chat("acme/m", "Hi", timeout=5.0)).text


@pytest.mark.parametrize(
    ("first", "ask"),
    [
        pytest.param(refuse(500), read, id="a server failed"),
        pytest.param(refuse(429), read, id="refused"),
        pytest.param(refuse(400), lambda hub: hub.chat("acme/m", "Hi"), id="a bad request"),
        pytest.param(lambda reply: reply, leave, id="left"),
        pytest.param(cut, read, id="cut"),
        pytest.param(hang, give_up, id="given up"),
    ],
)
async def test_tokens_that_were_not_used_are_given_back(
    acme: Any, vendor: Answer, first: Callable[[Reply], Reply], ask: Callable[[ModelHub], Awaitable[None]]
) -> None:
    """A limit of one call at a time leaves room for the next: of a refusal no tokens count, of the rest what came."""
    async with serving(one_then(first, vendor), acme, tpm=600) as hub:
        await ask_twice(hub, ask)


async def test_counting_uses_no_tokens_and_its_limits_are_its_own(acme: Any, vendor: Answer) -> None:
    """Vendors limit it apart from answers, so what they say of it keeps no call away."""

    def answer(request: Request) -> Reply:
        reply = vendor(request)
        return replace(reply, headers=told(reply)) if "count" in request.path else reply

    async with serving(answer, acme, tpm=600) as hub:
        for _ in range(3):
            await hub.count_tokens("acme/m", "Hi")
        assert (await hub.chat("acme/m", "Hi", timeout=5.0)).text


async def test_what_was_never_sent_uses_nothing(acme: Any, vendor: Answer) -> None:
    """A parameter that is refused here leaves the limit of requests as it was."""
    async with serving(vendor, acme, rpm=1) as hub:
        for _ in range(3):
            with pytest.raises(BadRequest) as caught:
                await hub.chat("acme/m", "Hi", max_tokens=-5)
            assert caught.value.sent is False
        assert (await hub.chat("acme/m", "Hi", timeout=5.0)).text
