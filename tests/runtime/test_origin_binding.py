"""A configured key is for the origin it was configured with: it is never sent to another that a call names."""

import json

import pytest
from tests.canary import CANARY

from modelhub import ModelHub
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

ANSWER = Reply(body=json.dumps({"text": "x", "end": "stop"}))


async def test_a_call_that_names_another_server_does_not_bring_the_applications_key(lines: type) -> None:
    """Whoever may give a base URL gets no key of the application's; a key given with it is sent."""
    async with WireServer(ANSWER) as own, WireServer(ANSWER) as other:
        config = {"credentials": {"lines": {"base_url": own.url, "api_key": "app-secret-key"}}}
        async with ModelHub(config, providers=[lines]) as hub:
            await hub.chat("lines/m", "Hi")
            await hub.chat("lines/m", "Hi", credentials={"base_url": other.url})
            await hub.chat("lines/m", "Hi", credentials={"base_url": other.url, "api_key": "their-own-key"})
            await hub.chat("lines/m", "Hi", credentials={"base_url": f"{own.url}/prefix"})
            bound = hub.bind({"provider": "lines", "model": "m", "credentials": {"base_url": other.url}})
            await bound.chat("Hi")
    assert [request.headers.get("authorization") for request in own.requests] == ["Bearer app-secret-key"] * 2
    default = f"Bearer {CANARY}"  # the form's own, which is nobody's
    sent = [request.headers.get("authorization") for request in other.requests]
    assert sent == [default, "Bearer their-own-key", default]


async def test_connections_of_credentials_that_come_with_calls_do_not_pile_up(lines: type) -> None:
    """Three hundred tenants leave some idle connections behind, not one each."""
    async with WireServer(ANSWER) as server, ModelHub(providers=[lines]) as hub:
        for tenant in range(300):
            await hub.chat("lines/m", "Hi", credentials={"base_url": server.url, "api_key": f"tenant-key-{tenant}"})
        assert server.open_connections < 200
