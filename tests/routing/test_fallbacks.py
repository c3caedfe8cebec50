"""Groups in order: other models and other vendors stand in for those that are out or cannot do it."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import anyio
import pytest
from tests.canary import CANARY
from tests.ollama_node import OLLAMA
from tests.routing.completions import CompletionsProvider

from modelhub import MediaPart, ModelHub, Tool, UserMessage
from modelhub.errors import ContextLengthExceeded, ModelHubError, UnsupportedFeature
from modelhub.testing.dialects import Pace, completions_dialect
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.testing.replies import json_reply

GREEN = MediaPart("image/png", data=b"\x89PNG")
WEATHER = Tool("weather", "The weather of a place.", {"type": "object", "properties": {}})
RULES = [{"name": "max_tokens", "use_template": "max_tokens"}, {"name": "temperature", "use_template": "temperature"}]


@dataclass
class Place:
    """Two local nodes, a vendor, and the hub that has them as one route in two groups."""

    hub: ModelHub
    local: list[FaultServer]
    vendor: FaultServer


@asynccontextmanager
async def place(**tables: Any) -> AsyncGenerator[Place]:
    """Enter a hub with a route ``chat``: two local nodes, and a model of a vendor as their fallback."""
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(FaultServer(OLLAMA)) for _ in range(2)]
        vendor = await stack.enter_async_context(FaultServer(completions_dialect("big")))
        config = {
            "credentials": {
                "ollama_local": [one.url, two.url],
                "acme": [{"id": "main", "values": {"base_url": vendor.url, "api_key": CANARY}}],
            },
            "routes": {"chat": {"groups": [["ollama_local/llama3"], ["acme/big"]]}},
            "models": {"acme/big": {"parameter_rules": RULES}},
            **tables,
        }
        hub = ModelHub(config, providers=[CompletionsProvider()], random=Random(1))
        yield Place(await stack.enter_async_context(hub), [one, two], vendor)


def asked(node: FaultServer) -> Mapping[str, Any]:
    """Return the newest conversation that a node was asked to go on with."""
    (body,) = [each.json for each in node.requests if each.method == "POST" and each.path != "/api/show"][-1:]
    return body


@pytest.mark.anyio
@pytest.mark.parametrize("fault", [Fault.refused(), Fault.status(500), Fault.reset()], ids=repr)
async def test_another_vendor_stands_in_while_all_nodes_of_a_group_are_out(fault: Fault) -> None:
    """The vendor answers while both nodes are sick, after which nothing is wasted on them; then they serve again."""
    async with place(routing={"eject_seconds": 0.2, "probe_seconds": 0.0}) as here:
        for node in here.local:
            node.fault = fault
        for _ in range(20):
            assert (await here.hub.chat("chat", "Hi")).model == "acme/big"
        assert here.vendor.calls == 20
        assert all(node.calls <= 4 for node in here.local)
        for node in here.local:
            node.fault = None
        await anyio.sleep(0.3)
        assert (await here.hub.chat("chat", "Hi")).model == "ollama_local/llama3"


@pytest.mark.anyio
async def test_a_stream_falls_back_before_its_first_content() -> None:
    """What the caller sees of a stream that another vendor had to begin again is one whole answer."""
    async with place() as here:
        for node in here.local:
            node.fault = Fault.cut(events=0)
        async with here.hub.stream("chat", "Hi") as stream:
            events = [event async for event in stream]
        assert stream.result.text == " token" * 8
        assert [event.type for event in events].count("finish") == 1
        assert [each.error for each in stream.result.attempts] == ["ConnectionLost"] * 2 + [None]


@pytest.mark.anyio
async def test_parameters_are_resolved_anew_for_the_target() -> None:
    """Each vendor gets its own words: neutral parameters in its spelling, and of the vendor's own only its own."""
    vendor = {"ollama_local": {"num_ctx": 4096}}
    async with place() as here:
        options: Any = {"max_tokens": 33, "temperature": 0.5, "vendor": vendor}
        await here.hub.chat("chat", "Hi", **options)
        node = next(node for node in here.local if node.calls)
        assert asked(node)["options"] == {"num_predict": 33, "temperature": 0.5, "num_ctx": 4096}
        for node in here.local:
            node.fault = Fault.status(500)
        await here.hub.chat("chat", "Hi", **options)
        body = dict(asked(here.vendor))
        assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
        assert body == {"model": "big", "stream": False, "max_tokens": 33, "temperature": 0.5}


LACKS = {
    "tools": ({"features": []}, {"tools": [WEATHER]}, "Hi"),
    "vision": ({"features": ["tool-call"]}, {}, [UserMessage([GREEN])]),
    "context": ({"model_properties": {"context_size": 16}}, {}, "word " * 200),
}


@pytest.mark.anyio
@pytest.mark.parametrize("what", LACKS)
async def test_a_model_that_cannot_do_it_is_passed_over(what: str) -> None:
    """Nothing is sent to a model that lacks what is asked, and it is no fault of its node: the next group answers."""
    overlay, options, messages = LACKS[what]
    able = {"acme/big": {"features": ["tool-call", "vision"], "parameter_rules": RULES}}
    async with place(models={"ollama_local/llama3": overlay, **able}) as here:
        reply = await here.hub.chat("chat", messages, **options)
        assert reply.model == "acme/big"
        assert reply.attempts[0].error in {"UnsupportedFeature", "ContextLengthExceeded"}
        assert not any(node.calls for node in here.local)
        for _ in range(5):
            await here.hub.chat("chat", messages, **options)
        assert (await here.hub.chat("chat", "Hi")).model == "ollama_local/llama3"


@pytest.mark.anyio
async def test_a_schema_that_a_model_cannot_hold_to_is_left_to_the_next() -> None:
    """A model that is known to give no shape is passed over for one that does."""
    shape = {"title": "Answer", "type": "object", "properties": {"a": {"type": "string"}}}
    models = {
        "ollama_local/llama3": {"features": []},
        "acme/big": {"features": ["structured-output"], "parameter_rules": RULES},
    }
    async with place(models=models) as here:
        answer = {"choices": [{"message": {"content": '{"a": "yes"}'}, "finish_reason": "stop"}]}
        here.vendor.fault = Fault.answer(json_reply(answer))
        reply = await here.hub.chat("chat", "Hi", response_format=shape)
        assert reply.output == {"a": "yes"}
        assert [each.error for each in reply.attempts] == ["UnsupportedFeature", None]


@pytest.mark.anyio
async def test_where_no_model_can_do_it_the_caller_hears_what_is_missing() -> None:
    """The last refusal is raised, nothing was sent, and no node is worse off for it."""
    none = {"features": []}
    async with place(models={"ollama_local/llama3": none, "acme/big": none}) as here:
        with pytest.raises(UnsupportedFeature, match="cannot call tools") as raised:
            await here.hub.chat("chat", "Hi", tools=[WEATHER])
        assert [each.error for each in raised.value.attempts] == ["UnsupportedFeature"] * 2
        assert not any(node.calls for node in (*here.local, here.vendor))
        assert (await here.hub.chat("chat", "Hi")).model == "ollama_local/llama3"


@pytest.mark.anyio
async def test_a_context_that_the_server_finds_too_long_goes_to_another_model() -> None:
    """A vendor's word that a prompt is too long sends it to another model, and counts against nobody."""
    async with place(routes={"chat": {"groups": [["acme/big"], ["ollama_local/llama3"]]}}) as here:
        body = '{"error": {"message": "too long", "code": "context_length_exceeded"}}'
        here.vendor.fault = Fault.status(400, body=body)
        for _ in range(6):
            reply = await here.hub.chat("chat", "Hi")
            assert reply.attempts[0].error == "ContextLengthExceeded"
            assert reply.model == "ollama_local/llama3"
        with pytest.raises(ContextLengthExceeded):
            await here.hub.chat("acme/big", "Hi")


@pytest.mark.anyio
async def test_keys_of_one_vendor_stand_in_for_each_other() -> None:
    """A key that is refused is left alone, a second key of the vendor serves, and the endpoint is not blamed."""
    async with FaultServer(completions_dialect()) as node:

        def refuse(healthy: Any) -> Any:
            if healthy.request.headers["authorization"].endswith("old"):
                return Fault.status(401).change(healthy)  # type: ignore[misc]
            return healthy.reply

        node.fault = Fault.answer(refuse)
        rows = [{"id": key, "values": {"base_url": node.url, "api_key": f"{CANARY}-{key}"}} for key in ("old", "new")]
        config = {"credentials": {"acme": rows}}
        async with ModelHub(config, providers=[CompletionsProvider()], random=Random(1)) as hub:
            keys: Counter[str] = Counter()
            for _ in range(30):
                reply = await hub.chat("acme/any", "Hi")
                keys.update(each.deployment for each in reply.attempts)
            assert keys == {"acme/any#old": 1, "acme/any#new": 30}


@pytest.mark.anyio
async def test_a_group_that_is_merely_busy_is_waited_for() -> None:
    """The fallback costs money: it is asked where the group before it is out, not where it has its hands full."""
    async with place(deployments={"small": {"target": "ollama_local/llama3", "concurrency": 1}}) as here:
        for node in here.local:
            node.pace = Pace(first=0.02)
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(here.hub.chat, ["small", "acme/big"], "Hi")
        assert sum(node.calls for node in here.local) == 12
        assert all(node.most_answering <= 2 for node in here.local)


@pytest.mark.anyio
async def test_a_call_that_fails_everywhere_names_every_attempt() -> None:
    """The first group is tried at both nodes, then the next; what is repeated comes after that, within the budget."""
    async with place() as here:
        for node in here.local:
            node.fault = Fault.refused()
        here.vendor.fault = Fault.status(500)
        with pytest.raises(ModelHubError) as raised:
            await here.hub.chat("chat", "Hi")
        found = [(each.deployment.split("/")[0], each.error) for each in raised.value.attempts]
        assert found[:3] == [("ollama_local", "ConnectFailed")] * 2 + [("acme", "ServerError")]
        assert len(found) <= 5
