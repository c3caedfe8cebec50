"""Nodes that a function of the application finds: in the settings, and with a bound model."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.canary import CANARY, canary
from tests.routing.completions import CompletionsProvider
from tests.routing.found_nodes import MODEL, Caller, caller, given, nodes_at

from modelhub import ModelHub
from modelhub.errors import ConfigurationError, EgressRefused, ModelHubError
from modelhub.runtime.nodes import Returned
from modelhub.testing.faults import Fault
from modelhub.types.forms import FormField
from modelhub.types.secret import Secret

pytestmark = pytest.mark.anyio

ONE, TWO = "127.0.0.1", "127.0.0.2"
DEAD = "http://127.0.0.1:9"


class Registry:
    """What an application asks for its nodes.

    Attributes:
        answer: What is returned, or raised.
        asked: How often it was asked.
    """

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def nodes(self) -> Any:
        """Return the nodes."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def __call__(self) -> Any:
        """Return the nodes, later."""
        await anyio.sleep(0.001)
        return self.nodes()

    async def later(self) -> Any:
        """Return the nodes, later."""
        return await self()

    async def answers(self, answer: Any) -> None:
        """Change the answer, and wait until it was given and what follows from it is done."""
        self.answer = answer
        wanted = self.asked + 2
        with anyio.fail_after(5.0):
            while self.asked < wanted:  # noqa: ASYNC110  what is waited for has no event
                await anyio.sleep(0.005)


async def failure(hub: Caller, *arguments: Any) -> ModelHubError:
    """Return the error of a call."""
    with pytest.raises(ModelHubError) as caught:
        await hub.chat(*arguments)
    return caught.value


@pytest.mark.parametrize("how", [lambda r: r.nodes, lambda r: r.later, lambda r: r], ids=["sync", "async", "object"])
@pytest.mark.parametrize("bound", [False, True])
async def test_a_function_stands_for_what_it_returns(
    tmp_path: Path, how: Callable[[Registry], Any], *, bound: bool
) -> None:
    """URLs are called after their hosts, entries as they say; it is asked again, and never by a call."""
    async with nodes_at(ONE, TWO) as nodes:
        port = nodes[ONE].port
        registry = Registry([nodes[ONE].url])
        mine = given(how(registry)) if bound else None
        async with caller([] if bound else how(registry), tmp_path) as hub:
            assert await hub.used(5, mine) == {f"{ONE}:{port}"}
            await registry.answers([nodes[ONE].url, {"id": "two", "values": {"base_url": nodes[TWO].url}}])
            assert await hub.used(10, mine) == {f"{ONE}:{port}", "two"}
            await registry.answers([{"base_url": nodes[TWO].url}])
            assert await hub.used(10, mine) == {f"{TWO}:{port}"}
            assert [*hub.known()] == [f"{TWO}:{port}"]
            if not bound:
                assert await hub.used(3) == {f"{TWO}:{port}"}
                await hub.chat(target=f"{MODEL}#{TWO}:{port}")


async def test_it_is_asked_as_often_as_is_said() -> None:
    """Once for all calls and all models, with `refresh` beside it as well."""
    async with nodes_at(ONE) as nodes:
        registry = Registry([nodes[ONE].url])
        config = {"credentials": {"acme": {"discover": registry.nodes, "refresh": 60}}}
        async with ModelHub(config, providers=[CompletionsProvider]) as hub:
            for number in range(10):
                await hub.chat(f"acme/{number}", "Hi")
            bound = hub.bind({"provider": "acme", "model": "any", "credentials": [{"discover": registry.nodes}]})
            for _ in range(3):
                await bound.chat("Hi")
        assert registry.asked == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RuntimeError(CANARY), "raised RuntimeError (test_found_by_function.py:"),
        ([], "returned nothing"),
        (None, "a NoneType is no credential of 'acme'"),
        (7, "a int is no credential"),
        (b"http://a", "a bytes is no credential"),
        (CANARY, "credential 0 of 'acme' is a text that is no base URL"),
        ([["http://a"]], "credential 0 of 'acme' is a list, not a table"),
        ([{"api_key": "x"}, {"api_key": "y"}], "credential 0 of 'acme' has neither an id nor a base URL"),
        ([{"base_url": lambda: "http://a"}], "has a function in it"),
        ([{"discover": lambda: "http://a"}], "is to be found in its turn"),
        ([{"discover": "dns", "values": {"base_url": "http://a"}}], "is to be found in its turn"),
        ([{"nase_url": "http://a"}], "did you mean 'base_url'"),
        ([{"id": "a#b", "values": {}}], "is empty or has a #"),
        ([{"id": "a", "values": {}, "wieght": 1}], "unknown key 'wieght'"),
        (["env:HOME"], "'default': base_url"),
        (["http://user@a"], "'default': base_url"),
        ([{"base_url": DEAD, "api_key": "1"}, {"base_url": DEAD, "api_key": "2"}], None),
    ],
    ids=lambda value: value if isinstance(value, str) and value != CANARY else "answer",
)
async def test_what_cannot_be_used_is_said(tmp_path: Path, answer: Any, said: str | None) -> None:
    """With the function's name and who must act, and nothing of what it returned or raised."""
    registry = Registry(answer)
    async with caller(registry.nodes, tmp_path) as hub:
        error = await failure(hub)
        if said is None:  # the first of two that are called the same is used
            assert not isinstance(error, ConfigurationError)
            return
        assert isinstance(error, ConfigurationError)
        assert "the credentials of provider 'acme' cannot be found" in error.message
        assert said in error.message
        assert error.remedy == "whoever wrote the function Registry.nodes must mend it"
        assert CANARY not in repr(error)


async def test_it_is_asked_again_where_there_is_nothing_yet(tmp_path: Path) -> None:
    """By itself, after a second."""
    registry = Registry(RuntimeError("not yet"))
    async with nodes_at(ONE) as nodes, caller(registry.nodes, tmp_path) as hub:
        for _ in range(3):
            await failure(hub)
        assert registry.asked == 1
        registry.answer = nodes[ONE].url
        with anyio.fail_after(5.0):
            while registry.asked < 2:  # noqa: ASYNC110  what is waited for has no event
                await anyio.sleep(0.01)
        await anyio.sleep(0.01)
        await hub.chat()


@pytest.mark.parametrize("sick", [RuntimeError("no"), [], 7, [{"nase_url": "x"}], ["rubbish"]], ids=repr)
async def test_the_last_list_stays_where_there_is_no_better_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sick: Any
) -> None:
    """What fails or returns rubbish costs no call, and is complained of once; another order is no change."""
    async with nodes_at(ONE, TWO) as nodes:
        names = {f"{host}:{node.port}" for host, node in nodes.items()}
        good = [node.url for node in nodes.values()]
        registry = Registry(good)
        async with caller(registry.nodes, tmp_path) as hub:
            assert await hub.used(4) == names
            edition = hub.runtime.credentials.edition
            with caplog.at_level(logging.INFO, "modelhub"):
                await registry.answers(sick)
                await registry.answers(sick)
                assert await hub.used(4) == names
                await registry.answers(good[::-1])
                assert await hub.used(4) == names
            assert hub.runtime.credentials.edition == edition
    assert [record.levelname for record in caplog.records if record.name == "modelhub"] == ["WARNING", "INFO"]


async def test_what_is_wrong_beside_good_ones_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And complained of once."""
    async with nodes_at(ONE) as nodes:
        registry = Registry([nodes[ONE].url, "rubbish", {"id": "a", "values": {"nase_url": "x"}}, nodes[ONE].url])
        async with caller(registry.nodes, tmp_path) as hub:
            assert await hub.used(3) == {f"{ONE}:{nodes[ONE].port}"}
            await registry.answers(registry.answer)
    (said,) = [record.message for record in caplog.records if record.name == "modelhub"]
    assert "of what the function Registry.nodes returned, some cannot be used" in said
    assert "credential 1 of 'acme' is a text that is no base URL" in said
    assert "the credential 'a': nase_url" in said


async def test_what_is_known_of_a_node_stays(tmp_path: Path) -> None:
    """As long as it is the same node; with other values it is another."""
    async with nodes_at(ONE, TWO) as nodes:
        nodes[ONE].fault = Fault.status(500)
        bad, good = ({"base_url": node.url} for node in nodes.values())
        registry, name = Registry([bad, good]), f"{ONE}:{nodes[ONE].port}"
        async with caller(registry.later, tmp_path, tables={"routing": {"eject_seconds": 300.0}}) as hub:
            await hub.used(10)
            assert hub.known()[name].state == "ejected"
            calls = nodes[ONE].calls
            for answer in ([good], [good, bad], [bad, good]):
                await registry.answers(answer)
                await hub.used(5)
            assert hub.known()[name].state == "ejected"
            assert nodes[ONE].calls == calls
            await registry.answers([{**bad, "api_key": "other"}, good])
            await hub.used(5)
            assert nodes[ONE].calls > calls


async def test_each_has_its_own_key_weight_and_limits(tmp_path: Path) -> None:
    """As in the settings; a key that is changed is used by the next call, and the connections of before are closed."""
    old, new = canary("old"), canary("new")
    async with nodes_at(ONE, TWO) as nodes:

        def row(host: str, key: Any, **more: Any) -> dict[str, Any]:
            return {"id": host, "values": {"base_url": nodes[host].url, "api_key": key}, **more}

        registry = Registry([row(ONE, Secret(old), weight=0.5), row(TWO, f"literal:{old}", rpm=1000)])
        async with caller(registry.nodes, tmp_path) as hub:
            await hub.used(9)
            assert (nodes[ONE].calls, nodes[TWO].calls) == (3, 6)
            await registry.answers([row(ONE, new), row(TWO, f"literal:{old}", rpm=1000)])
            await hub.used(4)
            await registry.answers(registry.answer)
            with anyio.fail_after(5.0):
                while nodes[ONE].open_connections > 1:  # noqa: ASYNC110  a socket that closes has no event
                    await anyio.sleep(0.01)
    keys = [request.headers["authorization"].removeprefix("Bearer ") for request in nodes[ONE].requests]
    assert keys == [old] * 3 + [new] * 2
    # What comes out of a function is not looked at again: it is the key itself.
    assert {request.headers["authorization"] for request in nodes[TWO].requests} == {f"Bearer literal:{old}"}


async def test_beside_others(tmp_path: Path) -> None:
    """What is configured by the same name stands in its place; where the function fails, the others serve."""
    async with nodes_at(ONE, TWO) as nodes:
        fixed = {"id": "fixed", "values": {"base_url": nodes[ONE].url}}
        registry = Registry([{"id": "fixed", "values": {"base_url": DEAD}}, nodes[TWO].url])
        async with caller([fixed, {"discover": registry.nodes}], tmp_path) as hub:
            assert await hub.used(6) == {"fixed", f"{TWO}:{nodes[TWO].port}"}
        registry.answer = RuntimeError("no")
        async with caller([fixed, {"discover": registry.nodes}], tmp_path) as hub:
            reply = await hub.chat()
            assert [(each.deployment, each.error) for each in reply.attempts] == [
                (f"{MODEL}#1", "ConfigurationError"),
                (f"{MODEL}#fixed", None),
            ]
            await registry.answers(nodes[TWO].url)
            assert await hub.used(6) == {"fixed", f"{TWO}:{nodes[TWO].port}"}


async def test_for_one_model_alone(tmp_path: Path) -> None:
    """The credentials of a model may be found as well."""
    async with nodes_at(ONE, TWO) as nodes:
        registry = Registry(nodes[TWO].url)
        config = {
            "credentials": {"acme": {"base_url": nodes[ONE].url, "api_key": CANARY}},
            "models": {MODEL: {"credentials": registry.nodes}},
        }
        async with ModelHub(config, providers=[CompletionsProvider], cache_dir=tmp_path) as hub:
            await hub.chat(MODEL, "Hi")
            await hub.chat("acme/other", "Hi")
    assert [node.calls for node in nodes.values()] == [1, 1]
    assert nodes[TWO].requests[0].headers.get("authorization") != f"Bearer {CANARY}"


async def test_one_that_hangs_is_not_asked_again_until_it_has_come_back() -> None:
    """Its thread cannot be ended: each further one would stay as well."""
    asked, go = [], threading.Event()

    def nodes() -> str:
        asked.append(threading.current_thread())
        go.wait(10.0)
        return DEAD

    lookup = Returned(nodes, "acme", [FormField("base_url", role="endpoint")], refresh=5.0)
    with anyio.move_on_after(0.1):
        await lookup()
    for _ in range(3):
        with pytest.raises(ConfigurationError, match="called before and has not come back"):
            await lookup()
    assert len(asked) == 1
    go.set()
    with anyio.fail_after(5.0):
        while asked[0].is_alive():  # noqa: ASYNC110  a thread that ends has no event
            await anyio.sleep(0.005)
    assert [*await lookup()] == ["127.0.0.1:9"]


@pytest.mark.parametrize("sick", ["raises", "hangs"])
@pytest.mark.parametrize(
    ("anyio_backend", "model"), [("asyncio", False), ("trio", True)], ids=["asyncio-provider", "trio-model"]
)
async def test_those_beside_a_function_serve_whatever_becomes_of_it(*, model: bool, sick: str) -> None:
    """Also a model's own, where the provider has none; they wait a moment for a list, and no longer."""

    async def nodes() -> list[str]:
        if sick == "hangs":
            await anyio.sleep_forever()
        raise RuntimeError

    async with nodes_at(ONE) as found:
        mixed: list[Any] = [{"discover": nodes}, {"id": "fixed", "values": {"base_url": found[ONE].url}}]
        config = {"models": {MODEL: {"credentials": mixed}}} if model else {"credentials": {"acme": mixed}}
        async with ModelHub(config, providers=[CompletionsProvider]) as hub:
            with anyio.fail_after(15.0):
                reply = await hub.chat(MODEL, "Hi", timeout=10.0)
    assert [(each.deployment, each.error) for each in reply.attempts] == [
        (f"{MODEL}#0", "ConfigurationError"),
        (f"{MODEL}#fixed", None),
    ]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes more than two seconds
async def test_a_slow_function_is_waited_for_where_nothing_beside_it_can_be_used(tmp_path: Path) -> None:
    """As long as one that stands alone."""
    go = anyio.Event()

    async def nodes(url: str) -> list[str]:
        await go.wait()
        return [url]

    async with nodes_at(ONE) as found:
        mixed = [
            {"id": "bad", "values": {"base_url": "env:NOT_SET_ANYWHERE"}},
            {"discover": partial(nodes, found[ONE].url)},
        ]
        async with caller(mixed, tmp_path) as hub, anyio.create_task_group() as group:
            group.start_soon(partial(hub.used, 1))
            await anyio.sleep(2.2)
            assert not found[ONE].calls
            go.set()
        assert found[ONE].calls == 1


async def test_a_call_gives_over_the_first() -> None:
    """As it does over what is configured; over a bound model's function it cannot, and says so."""
    async with nodes_at(ONE, TWO) as nodes:
        registry = Registry([node.url for node in nodes.values()])
        async with ModelHub({"credentials": {"acme": registry}}, providers=[CompletionsProvider]) as hub:
            await hub.chat(MODEL, "Hi", credentials={"api_key": CANARY})
            assert [node.calls for node in nodes.values()] == [1, 0]
            assert nodes[ONE].requests[0].headers["authorization"] == f"Bearer {CANARY}"
            bound = hub.bind({"provider": "acme", "model": "any", "credentials": registry})
            with pytest.raises(ConfigurationError, match="come from a function"):
                await bound.chat("Hi", credentials={"api_key": CANARY})
            for brought in (registry, registry.nodes, {"discover": registry}):
                with pytest.raises(ConfigurationError, match=r"hub\.bind"):
                    await hub.chat(MODEL, "Hi", credentials=brought)  # type: ignore[arg-type]  # not meant to be given


async def test_a_tenants_nodes_lead_to_nothing_private(tmp_path: Path) -> None:
    """Where users typed what a function returns."""
    async with nodes_at(ONE) as nodes, caller([], tmp_path) as hub:
        error = await failure(hub, given(lambda: nodes[ONE].url, tenant=True))
        assert isinstance(error, EgressRefused)
        assert nodes[ONE].connections == 0


async def test_a_node_is_validated_and_listed_by_its_name() -> None:
    """Without a name, the first of them."""
    async with nodes_at(ONE) as nodes:
        rows = [{"id": "a", "values": {"base_url": nodes[ONE].url}}]
        async with ModelHub({"credentials": {"acme": lambda: rows}}, providers=[CompletionsProvider]) as hub:
            assert (await hub.validate("acme")).ok
            assert (await hub.validate("acme", credential="a")).ok
            with pytest.raises(ConfigurationError, match="no credential 'b'"):
                await hub.validate("acme", credential="b")
            await hub.chat(f"{MODEL}#a", "Hi")
            assert [info.id for info in await hub.deployments()] == [f"{MODEL}#a"]
