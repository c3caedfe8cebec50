"""A key that was refused is left alone, until somebody has asked about it and heard that it is good."""

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from modelhub import ModelHub
from modelhub.errors import AuthenticationFailed, ModelHubError, ModelNotFound, QuotaExhausted
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio


async def test_validating_a_key_brings_it_back(acme: Any, vendor: Any) -> None:
    """The vendor's own word counts at once; without it the other key serves."""
    refused = True

    def answer(request: Request) -> Reply:
        if refused and request.headers["authorization"] == "Bearer first":
            return json_reply({"error": {"message": "no"}}, 401)
        reply: Reply = vendor(request)
        return reply

    async with WireServer(answer) as server:
        rows = [{"id": name, "values": {"base_url": server.url, "api_key": name}} for name in ("first", "second")]
        config = {"credentials": {"acme": rows}, "routing": {"pick": "priority"}}
        async with ModelHub(config, providers=[acme]) as hub:
            for _ in range(3):
                await hub.chat("acme/m", "Hi")
            refused = False
            await hub.chat("acme/m", "Hi")
            assert (await hub.validate("acme", credential="first")).ok
            await hub.chat("acme/m", "Hi")
    keys = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
    assert keys == ["first", "second", "second", "second", "second", "first", "first"]


class Vendor:
    """A vendor that refuses every key with a status, or knows no model, and counts what it is asked."""

    def __init__(self, status: int | None, vendor: Any) -> None:
        self.status = status
        self.asked: list[str] = []
        self._vendor = vendor

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""
        self.asked.append(request.headers["authorization"].removeprefix("Bearer "))
        if self.status is not None:
            return json_reply({"error": {"message": "no"}}, self.status)
        reply: Reply = self._vendor(request)
        return reply


def hub_with_keys(url: str, provider: Any, number: int, clock: Callable[[], float]) -> ModelHub:
    """Make a hub with so many keys of one vendor."""
    rows = [{"id": f"k{each}", "values": {"base_url": url, "api_key": f"k{each}"}} for each in range(number)]
    return ModelHub({"credentials": {"acme": rows}}, providers=[provider], clock=clock)


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationFailed), (402, QuotaExhausted)])
@pytest.mark.parametrize("keys", [1, 5])
async def test_keys_that_were_all_refused_are_left_alone(
    acme: Any, vendor: Any, status: int, error: type[ModelHubError], keys: int
) -> None:
    """Calls are told what the vendor said, without asking it each time; once in a while one call finds out."""
    now = [0.0]
    node = Vendor(status, vendor)
    async with WireServer(node) as server, hub_with_keys(server.url, acme, keys, lambda: now[0]) as hub:
        for number in range(20):
            with pytest.raises(error) as caught:
                await hub.chat("acme/m", "Hi")
            assert caught.value.sent is (number == 0)
        assert sorted(node.asked) == sorted(f"k{each}" for each in range(keys))
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 50.0
        assert "hub.validate" in (caught.value.remedy or "")
        node.asked.clear()
        now[0] += 6.0
        for _ in range(20):
            with pytest.raises(error):
                await hub.chat("acme/m", "Hi")
        assert len(node.asked) == keys  # each once, by one call each
        now[0] += 6.0
        node.status = None
        assert (await hub.chat("acme/m", "Hi")).text
        assert (await hub.chat("acme/m", "Hi")).text


async def test_who_waits_for_a_trial_hears_what_came_of_it(acme: Any, vendor: Any) -> None:
    """While one call tries a refused key the others wait for it, and then they are answered or refused with it."""
    now = [0.0]
    node = Vendor(401, vendor)
    for status in (None, 401):
        node.status = 401
        async with WireServer(node) as server, hub_with_keys(server.url, acme, 1, lambda: now[0]) as hub:
            with pytest.raises(AuthenticationFailed):
                await hub.chat("acme/m", "Hi")
            node.status = status
            node.asked.clear()
            now[0] += 6.0
            ended: list[object] = []

            async def call(hub: ModelHub, ended: list[object]) -> None:
                try:
                    ended.append((await hub.chat("acme/m", "Hi")).text)
                except ModelHubError as error:
                    ended.append(type(error))

            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(call, hub, ended)
            if status is None:
                assert all(isinstance(each, str) for each in ended)
            else:
                assert ended == [AuthenticationFailed] * 10
                assert node.asked == ["k0"]


async def test_a_model_that_nobody_has_is_asked_for_once_a_call(acme: Any, vendor: Any) -> None:
    """At one node, because it may be there by now: then it is used at once."""
    node = Vendor(404, vendor)
    async with WireServer(node) as server, hub_with_keys(server.url, acme, 3, time.monotonic) as hub:
        with pytest.raises(ModelNotFound):
            await hub.chat("acme/m", "Hi")
        first = len(node.asked)
        for _ in range(5):
            with pytest.raises(ModelNotFound):
                await hub.chat("acme/m", "Hi")
        assert len(node.asked) == first + 5
        node.status = None
        assert (await hub.chat("acme/m", "Hi")).text


async def test_a_stream_tells_that_a_key_is_taken_when_its_content_comes(acme: Any, vendor: Any) -> None:
    """The others do not wait for its end, which may be minutes away."""
    now = [0.0]
    node = Vendor(401, vendor)
    async with WireServer(node) as server, hub_with_keys(server.url, acme, 1, lambda: now[0]) as hub:
        with pytest.raises(AuthenticationFailed):
            await hub.chat("acme/m", "Hi")
        node.status = None
        now[0] += 61.0
        async with hub.stream("acme/m", "Hi"):
            with anyio.fail_after(5):
                assert (await hub.chat("acme/m", "Hi")).text
