"""One event loop after another: nothing of the first is left for the second."""

import asyncio
from collections.abc import Callable
from typing import Any

from modelhub import ModelHub
from modelhub.testing.wire_server import ThreadedWireServer


def test_two_loops_one_after_the_other_ask_once_each(ollama: Callable[..., Any]) -> None:
    """A client of the first loop would send the question in the second and then fail: it would be asked twice."""
    with ThreadedWireServer(ollama()) as server:

        async def ask() -> str:
            async with ModelHub() as hub:
                reply = await hub.chat("ollama_local/smollm2:135m", "Hi", credentials={"base_url": server.url})
                return reply.text

        answers = [asyncio.run(ask()) for _ in range(2)]
        server.all_closed()
    assert answers[0] == answers[1]
    assert [request.path for request in server.requests] == ["/api/show", "/api/ps", "/api/chat"] * 2


def test_one_hub_in_two_loops_asks_once_each(ollama: Callable[..., Any]) -> None:
    """A hub that was left may be entered again in another loop."""
    hub = ModelHub()
    with ThreadedWireServer(ollama()) as server:

        async def ask() -> None:
            async with hub:
                await hub.chat("ollama_local/smollm2:135m", "Hi", credentials={"base_url": server.url})

        for _ in range(2):
            asyncio.run(ask())
        server.all_closed()
    assert [request.path for request in server.requests].count("/api/chat") == 2
