"""Tests of an application that calls models, on asyncio and trio: ``pytest testing_without_network.py``."""

import pytest

from modelhub import ModelHub, StreamInterrupted, TextDelta
from modelhub.errors import Overloaded
from modelhub.testing.scripted import ScriptedProvider

pytestmark = pytest.mark.anyio


async def summary(hub: ModelHub, text: str) -> str:
    """Shorten a text; the application under test."""
    reply = await hub.chat("ollama_local/llama3", text, system="Summarise in one sentence.", temperature=0)
    return reply.text.strip()


async def test_the_text_is_sent_as_it_is() -> None:
    """The provider in code takes the place of the installed one, and remembers what it was asked."""
    scripted = ScriptedProvider(" Short. ", id="ollama_local")
    async with ModelHub(providers=[scripted]) as hub:
        assert await summary(hub, "A long text.") == "Short."
    (request,) = scripted.requests
    assert [message.content for message in request.messages] == ["Summarise in one sentence.", "A long text."]
    assert request.parameters == {"temperature": 0}


async def test_an_error_comes_through() -> None:
    """A line of the script can be an error."""
    scripted = ScriptedProvider(Overloaded("busy"), id="ollama_local")
    async with ModelHub(providers=[scripted]) as hub:
        with pytest.raises(Overloaded):
            await summary(hub, "A long text.")


async def test_what_came_before_a_break_is_kept() -> None:
    """Events without an end are a stream that breaks off."""
    pieces: list[str] = []
    async with ModelHub(providers=[ScriptedProvider([TextDelta(0, "half ")])]) as hub:
        with pytest.raises(StreamInterrupted):  # noqa: PT012  reading is what raises
            async with hub.stream("scripted/any", "Hello") as stream:
                async for text in stream.text():
                    pieces.append(text)  # noqa: PERF401  they are kept though reading raises
    assert pieces == ["half "]
