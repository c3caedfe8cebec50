"""A key that was refused is left alone, until somebody has asked about it and heard that it is good."""

from typing import Any

import pytest

from modelhub import ModelHub
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
