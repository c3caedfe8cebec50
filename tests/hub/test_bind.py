"""A bound model is an application's own configuration: a dict, credentials in order, parameters to be overridden."""

import json
from typing import Any

import pytest

from modelhub import ModelHub, ModelType
from modelhub.errors import BadRequest, ConfigurationError, CredentialsInvalid, UnknownProvider
from modelhub.testing.replies import Reply
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio


async def test_the_applications_dict_is_enough(acme: Any, vendor: Any) -> None:
    """Provider, model, credentials, parameters, vendor options and a limit of time; every verb has them."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind(
            {
                "provider": "acme",
                "model": "large",
                "credentials": {"base_url": server.url, "api_key": "k-1"},
                "parameters": {"temperature": 0.7, "max_tokens": 2048},
                "vendor": {"acme": {"num_ctx": 4096, "top_a": 0.5}},
                "timeout": 30,
            }
        )
        assert repr(model) == "<BoundModel acme/large with 1 credentials>"
        await model.chat("Hi", temperature=0.1, vendor={"acme": {"num_ctx": 8192}})
        async with model.stream("Hi") as stream:
            assert [text async for text in stream.text()] == ["Hi"]
        assert (await model.count_tokens("Hi")).tokens == 7
        assert (await model.info(ModelType.LLM)).model == "large"
    first, second = server.requests[0].json, server.requests[1].json
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    shown = {"model", "temperature", "max_tokens", "num_ctx", "top_a"}
    assert {key: value for key, value in first.items() if key in shown} == {
        "model": "large",
        "temperature": 0.1,
        "max_tokens": 2048,
        "num_ctx": 8192,
        "top_a": 0.5,
    }
    assert (second["temperature"], second["num_ctx"]) == (0.7, 4096)
    assert server.requests[0].headers["authorization"] == "Bearer k-1"


async def test_a_type_without_parameters_ignores_the_chats(acme: Any, vendor: Any) -> None:
    """One configuration serves a provider's chat and its embeddings."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        credentials = {"base_url": server.url}
        model = hub.bind({"provider": "acme", "credentials": credentials, "parameters": {"temperature": 0.7}})
        assert (await model.embed("x")).dimensions == 2
        assert (await model.moderate("x")).flagged


@pytest.mark.parametrize(
    "credentials",
    [
        [{"base_url": "{bad}"}, {"base_url": "{good}"}],
        [{"id": "a", "values": {"base_url": "{bad}"}}, {"id": "b", "values": {"base_url": "{good}"}}],
        [{"base_url": "{bad}"}, {"id": "b", "values": {"base_url": "{good}"}}],
    ],
)
async def test_credentials_are_tried_in_order(acme: Any, vendor: Any, credentials: Any) -> None:
    """Where the settings say so; flat or with an id, which is what attempts are named by."""
    config = {"routing": {"pick": "priority"}}
    async with WireServer(Reply(503)) as bad, WireServer(vendor) as good, ModelHub(config, providers=[acme]) as hub:
        filled = json.loads(json.dumps(credentials).replace("{bad}", bad.url).replace("{good}", good.url))
        model = hub.bind({"provider": "acme", "model": "m", "credentials": filled})
        reply = await model.chat("Hi")
        async with model.stream("Hi") as stream:
            _ = [event async for event in stream]
    ids = [row.get("id", str(number)) for number, row in enumerate(filled)]
    expected = [(f"acme/m#{ids[0]}", "Overloaded"), (f"acme/m#{ids[1]}", None)]
    assert [(each.deployment, each.error) for each in reply.attempts] == expected
    assert [(each.deployment, each.error) for each in stream.result.attempts] == expected[1:]  # the first one rests


async def test_a_call_stands_over_the_model_and_that_over_the_settings(acme: Any, vendor: Any) -> None:
    """Field by field: later wins."""
    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url, "api_key": "of-settings"}}}
        async with ModelHub(config, providers=[acme]) as hub:
            model = hub.bind({"provider": "acme", "credentials": {"api_key": "of-model"}})
            await hub.chat("acme/m", "Hi")
            await model.chat("Hi")
            await model.chat("Hi", credentials={"api_key": "of-call"})
            plain = hub.bind({"provider": "acme", "credentials": {"base_url": server.url, "api_key": "bound"}})
            await plain.chat("Hi", credentials={"api_key": "of-call"})
    keys = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
    assert keys == ["of-settings", "of-model", "of-call", "of-call"]


async def test_several_models_are_bound_in_order() -> None:
    """As a call's own list is."""
    scripted = ScriptedProvider("ok")
    async with ModelHub(providers=[scripted]) as hub:
        model = hub.bind(["nobody/m", "scripted/m"])
        assert repr(model) == "<BoundModel nobody/m → scripted/m>"
        reply = await model.chat("Hi")
        with pytest.raises(UnknownProvider):
            await hub.bind("nobody/m").chat("Hi")
    assert reply.model == "scripted/m"
    assert reply.attempts[0].error == "UnknownProvider"


async def test_a_model_can_be_bound_before_the_hub_is_entered(acme: Any, vendor: Any) -> None:
    """Applications make their objects at import; calling it then says what is missing."""
    hub = ModelHub(providers=[acme])
    model = hub.bind("acme")
    with pytest.raises(ConfigurationError, match="async with"):
        await model.chat("Hi")
    async with WireServer(vendor) as server, hub:
        reply = await model.chat("Hi", credentials={"base_url": server.url})
    assert reply.model == "acme/small"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({}, "provider"),
        ({"provider": 7}, "provider"),
        ({"provider": "acme", "model": 7}, "model"),
        ({"provider": "acme", "modell": "m"}, "'model'"),
        ({"provider": "acme", "parameters": [1]}, "parameters"),
        ({"provider": "acme", "vendor": {"acme": 7}}, r"vendor\.acme"),
        ({"provider": "acme", "vendor": 7}, "vendor"),
        ({"provider": "acme", "timeout": 0}, "timeout"),
        ({"provider": "acme", "credentials": []}, "credentials"),
        ({"provider": "acme", "credentials": "k-secret"}, "credentials"),
        ({"provider": "acme", "credentials": [7]}, "credential 0"),
        ([], "names no model"),
        (["acme/m", 7], "names no model"),
        (7, "names no model"),
    ],
)
def test_what_cannot_be_bound_says_why(config: Any, said: str) -> None:
    """Where it is bound, and without repeating values that may be secret."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        ModelHub().bind(config)
    assert "k-secret" not in str(caught.value)


def test_what_is_empty_is_absent() -> None:
    """Configurations are often written with all their keys."""
    config = {
        "provider": "acme",
        "model": None,
        "credentials": None,
        "parameters": None,
        "vendor": None,
        "timeout": None,
    }
    assert repr(ModelHub().bind(config)) == "<BoundModel acme>"


async def test_a_form_that_is_not_filled_in(acme: Any) -> None:
    """All complaints at once, by field, before anything is sent."""
    async with ModelHub(providers=[acme]) as hub:
        with pytest.raises(CredentialsInvalid) as caught:
            await hub.bind({"provider": "acme", "credentials": {"base_ulr": "x"}}).chat("Hi")
        assert set(caught.value.fields) == {"base_ulr", "base_url"}
        with pytest.raises(CredentialsInvalid) as caught:
            await hub.chat("acme/m", "Hi", credentials={"base_url": "ftp://x"})
        assert set(caught.value.fields) == {"base_url"}
        with pytest.raises((ConfigurationError, BadRequest)):
            await hub.chat("acme/m", "Hi", credentials="k-secret")  # type: ignore[arg-type]
