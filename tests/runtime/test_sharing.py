"""What hubs of several processes tell each other: through the seam, with a state that two hubs of one process share."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from modelhub.configuration.settings import PluginSettings, read_settings
from modelhub.errors import AuthenticationFailed, LocalRateLimited, ModelHubError
from modelhub.rules.routing.course import Course
from modelhub.rules.routing.rates import RateBucket
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import Vitals
from modelhub.runtime.answers import invoked
from modelhub.runtime.background import Background
from modelhub.runtime.call import Call
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.plugins import PluginRegistry
from modelhub.runtime.server import Server
from modelhub.shared.seam import Disabled, Hints
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.messages import UserMessage
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelType

pytestmark = pytest.mark.anyio


class Board:
    """What two hubs share, without anything in between."""

    def __init__(self) -> None:
        self.buckets: dict[str, RateBucket] = {}
        self.found = Hints()
        self.closed = 0

    def bucket(self, key: str, limit: float, period: float = 60.0) -> RateBucket:
        """Return the one bucket of a key."""
        return self.buckets.setdefault(key, RateBucket(limit, period))

    def ejected(self, deployment: str, until: float) -> None:
        """Write it up."""
        self.found = Hints({**self.found.ejected, deployment: until}, self.found.disabled)

    def disabled(self, fingerprint: str, until: float, reason: str) -> None:
        """Write it up, or cross it out."""
        disabled = {name: found for name, found in self.found.disabled.items() if name != fingerprint}
        if until > time.monotonic():
            disabled[fingerprint] = Disabled(until, reason)
        self.found = Hints(self.found.ejected, disabled)

    def hints(self) -> Hints:
        """Return what is written there."""
        return self.found

    async def prepare(self) -> None:
        """Nothing is needed."""

    async def run(self) -> None:
        """Everything is there at once."""

    async def flush(self) -> None:
        """Likewise."""

    async def aclose(self) -> None:
        """Count how many have left."""
        self.closed += 1


@asynccontextmanager
async def served(lines: type, config: dict[str, Any], board: Board, tmp_path: Any) -> AsyncIterator[Server]:
    """Enter what is behind a hub, sharing a board."""
    settings = await anyio.to_thread.run_sync(read_settings, config, {})
    registry = PluginRegistry(PluginSettings(), [lines])
    background = Background()
    runtime = Runtime(registry, settings, cache_dir=tmp_path, progress=None, background=background, shared=board)
    try:
        yield Server(runtime, Catalogue(registry))
    finally:
        await runtime.aclose()


async def chat(server: Server, target: str = "lines/m") -> Any:
    """Make a call, as a hub does."""
    found = await server.runtime.deployments.find([target], ModelType.LLM, None)
    request: ChatRequest[None] = ChatRequest(model=target, messages=(UserMessage("Hi"),))
    return await invoked(server, Call(request, found.route, time.monotonic() + 5.0, "strict"))


def answer(request: Request) -> Reply:
    """Answer well, unless the key is wrong."""
    if request.headers["authorization"] == "Bearer wrong":
        return json_reply({"error": "no"}, 401)
    return json_reply({"text": "ok", "end": "stop"})


async def test_an_ejection_is_heard_by_the_others(lines: type, tmp_path: Any) -> None:
    """Who has not called the dead server itself leaves it alone, and one success brings it back."""
    board = Board()
    async with WireServer(json_reply({}, 500)) as dead, WireServer(answer) as well:
        rows = [{"id": "a", "values": {"base_url": dead.url}}, {"id": "b", "values": {"base_url": well.url}}]
        config = {"credentials": {"lines": rows}, "routing": {"pick": "priority"}}
        async with served(lines, config, board, tmp_path) as one, served(lines, config, board, tmp_path) as two:
            vitals, _ = await known(two)
            for _ in range(3):
                await chat(one)
            sent = len(dead.requests)
            assert sent == 3
            assert board.found.ejected
            await until(lambda: not vitals.breaker.closed)
            await chat(two)
            assert len(dead.requests) == sent
    assert board.closed == 2


async def test_what_another_finds_well_again_may_be_tried_at_once(lines: type, tmp_path: Any) -> None:
    """A hint that is taken back keeps nobody away any longer; one call finds out, as after any ejection."""
    board = Board()
    async with WireServer(answer) as well:
        rows = [{"id": "a", "values": {"base_url": well.url}}, {"id": "b", "values": {"base_url": well.url}}]
        config = {"credentials": {"lines": rows}, "routing": {"pick": "priority"}}
        async with served(lines, config, board, tmp_path) as one, served(lines, config, board, tmp_path) as two:
            await chat(one)
            vitals, _ = await known(two)
            names = two.runtime.balancer._sharing._names  # type: ignore[union-attr]  # noqa: SLF001  as others tell it
            board.ejected(names[vitals][0], time.monotonic() + 300.0)
            await until(lambda: not vitals.breaker.closed)
            assert not vitals.breaker.ready(time.monotonic())
            board.ejected(names[vitals][0], time.monotonic())
            await until(lambda: vitals.breaker.ready(time.monotonic()))
            await chat(two, "lines/m#a")
            assert vitals.breaker.closed


async def known(server: Server) -> list[Vitals]:
    """Have a hub know the model's deployments, and return what it knows of them."""
    route = (await server.runtime.deployments.find(["lines/m"], ModelType.LLM, None)).route
    return [option.vitals for option in route.options]


async def until(true: Any) -> None:
    """Wait until something is true, for two seconds."""
    with anyio.fail_after(2.0):
        while not true():  # noqa: ASYNC110  what is waited for has no event
            await anyio.sleep(0.01)


async def test_a_refused_key_is_heard_by_the_others(lines: type, tmp_path: Any) -> None:
    """It is not tried by those who have another."""
    board = Board()
    async with WireServer(answer) as server:
        rows = [
            {"id": "a", "values": {"base_url": server.url, "api_key": "wrong"}},
            {"id": "b", "values": {"base_url": server.url, "api_key": "right"}},
        ]
        config = {"credentials": {"lines": rows}, "routing": {"pick": "priority"}}
        async with served(lines, config, board, tmp_path) as one, served(lines, config, board, tmp_path) as two:
            vitals, _ = await known(two)
            await chat(one)
            assert [disabled.reason for disabled in board.found.disabled.values()] == ["AuthenticationFailed"]
            await until(lambda: vitals.key.refused_until > time.monotonic())
            await chat(two)
    keys = [request.headers["authorization"] for request in server.requests]
    assert keys == ["Bearer wrong", "Bearer right", "Bearer right"]


async def test_what_others_said_of_a_key_is_over_once_it_was_accepted(lines: type, tmp_path: Any) -> None:
    """No turn brings it back; whoever has heard of the refusal before finds out in time."""
    board = Board()
    async with WireServer(answer) as server:
        config = {"credentials": {"lines": {"base_url": server.url, "api_key": "wrong"}}}
        async with served(lines, config, board, tmp_path) as hub:
            (vitals,) = await known(hub)
            with pytest.raises(AuthenticationFailed):
                await chat(hub)
            assert board.found.disabled
            (option,) = (await hub.runtime.deployments.find(["lines/m"], ModelType.LLM, None)).route.options
            hub.runtime.balancer.accepted("lines", option.deployment.credential)
            assert not board.found.disabled
            assert vitals.key.refused_until < time.monotonic()


async def test_a_key_that_serves_again_is_told_of(lines: type, tmp_path: Any) -> None:
    """By a call that was sent since it was refused; one that was under way says nothing of now."""
    board = Board()
    async with WireServer(answer) as server:
        config = {"credentials": {"lines": {"base_url": server.url, "api_key": "right"}}}
        async with served(lines, config, board, tmp_path) as hub:
            (vitals,) = await known(hub)
            balancer = hub.runtime.balancer
            route = (await hub.runtime.deployments.find(["lines/m"], ModelType.LLM, None)).route
            old, first = [await balancer.lease(Course(route)) for _ in range(2)]
            refused = AuthenticationFailed("no", status=401, sent=True)
            balancer.failed(first, refused, verdict(refused))
            balancer.succeeded(old)
            assert board.found.disabled
            vitals.key.refused_until = time.monotonic()  # the minute is over
            balancer.succeeded(await balancer.lease(Course(route)))
            assert not board.found.disabled
            assert vitals.key.refused_until < time.monotonic()


async def test_limits_are_those_of_all_together(lines: type, tmp_path: Any) -> None:
    """What one has used up, the other has not; keys of buckets tell models apart, and hold no secret."""
    board = Board()
    async with WireServer(answer) as server:
        values = {"base_url": server.url, "api_key": "right"}
        config = {"credentials": {"lines": [{"id": "a", "values": values, "rpm": 3}]}}
        async with served(lines, config, board, tmp_path) as one, served(lines, config, board, tmp_path) as two:
            await chat(one)
            await chat(two)
            await chat(one)
            with pytest.raises(LocalRateLimited) as caught:
                await chat(two)
            assert caught.value.retry_after is not None
            assert 0 < caught.value.retry_after <= 60
            await chat(two, "lines/n")
    assert len(server.requests) == 4
    assert len([key for key in board.buckets if key.endswith(":requests")]) == 2
    assert not any("right" in key for key in board.buckets)


async def test_names_with_other_limits_count_apart(lines: type, tmp_path: Any) -> None:
    """As within a process: what the one has used, the other has not, and neither's limit becomes the other's."""
    board = Board()
    async with WireServer(answer) as server:
        values = {"base_url": server.url, "api_key": "right"}
        config = {
            "credentials": {"lines": [{"id": "a", "values": values}]},
            "deployments": {"few": {"target": "lines/m", "rpm": 1}, "more": {"target": "lines/m", "rpm": 2}},
        }
        async with served(lines, config, board, tmp_path) as one, served(lines, config, board, tmp_path) as two:
            await chat(one, "few")
            await chat(two, "more")
            await chat(one, "more")
            for name in ("few", "more"):
                with pytest.raises(LocalRateLimited):
                    await chat(two, name)
    assert sorted(bucket.limit for bucket in board.buckets.values()) == [1, 2]


async def test_a_state_that_fails_costs_no_call(lines: type, tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever becomes of what runs beside the calls."""

    class Broken(Board):
        async def run(self) -> None:
            raise ModelHubError("gone")

    async with WireServer(answer) as server:
        config = {"credentials": {"lines": {"base_url": server.url, "api_key": "right"}}}
        async with served(lines, config, Broken(), tmp_path) as one:
            assert (await chat(one)).text == "ok"
    assert "shared state" in caplog.text
