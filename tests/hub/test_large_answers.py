"""An answer that is wanted whole has a bound, however it comes: reaching it costs one error, and no more memory."""

import json
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

import pytest

from modelhub import ModelHub, ModelType
from modelhub.errors import MalformedResponse, ModelHubError
from modelhub.provider import HttpCall, LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import ChatRequest, SpeechRequest
from modelhub.types.schema import ProviderSchema

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
ONCE: Mapping[str, Any] = {"routing": {"retries": 0}}


class Lines(LargeLanguageModel):
    """Streams alone: whole answers are folded from that."""

    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
        """Pass on what lines say."""
        async with aclosing(context.http.stream(HttpCall("/chat", json={}))) as batches:
            async for batch in batches:
                for line in batch:
                    yield TextDelta(0, line["text"])
        yield Finish(FinishReason.STOP)


class Provider(ModelProvider):
    """It says lines."""

    llm = Lines

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema(
            "lines",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(
                (FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),)
            ),
        )


class Peak:
    """The most memory that was held while it was entered, in bytes."""

    def __enter__(self) -> Self:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        _, self.bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()


async def refused(asked: Awaitable[object]) -> MalformedResponse:
    """Return the error of an answer that is too large; it is refused before much more of it is held."""
    error: ModelHubError | None = None
    with Peak() as peak:
        try:
            await asked
        except ModelHubError as raised:  # not pytest.raises: what looks for secrets there takes memory of its own
            error = raised
    assert isinstance(error, MalformedResponse)
    assert "64 MiB" in error.message
    assert "hub.stream" in (error.remedy or "")
    assert peak.bytes < (64 + 10) * MIB
    return error


def acme_at(acme: type, url: str) -> ModelHub:
    """Return a hub that has the vendor at a URL."""
    return ModelHub({**ONCE, "credentials": {"acme": {"base_url": url}}}, providers=[acme])


async def test_sound(acme: type) -> None:
    """300 MiB of it are left there."""
    sound = Reply(200, {"content-type": "audio/wav"}, chunks=[bytes(MIB)] * 300, chunked=True)
    async with WireServer(sound) as server, acme_at(acme, server.url) as hub:
        await refused(hub.speak("acme/m", "Hi"))
        await server.all_closed()


async def test_sound_in_pieces_has_none(acme: type) -> None:
    """Whoever takes it as it comes says where it ends."""
    sound = Reply(200, {"content-type": "audio/wav"}, chunks=[bytes(MIB)] * 70, chunked=True)
    request = SpeechRequest(model="acme/m", text="Hi")
    async with WireServer(sound) as server, acme_at(acme, server.url) as hub, hub.stream(request) as stream:
        assert sum([len(event.data) async for event in stream if event.type == "audio"]) == 70 * MIB


def lines(text: str, times: int) -> Sequence[bytes]:
    """Return the same line again and again."""
    return [json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n"] * times


@pytest.mark.parametrize("letter", ["x", "\N{ROCKET}"])
async def test_a_conversation(letter: str) -> None:
    """Folded from a stream: by the memory that its letters take."""
    answer = Reply(200, {"content-type": "application/x-ndjson"}, chunks=lines(letter * (MIB // 4), 1200), chunked=True)
    async with WireServer(answer) as server, ModelHub(ONCE, providers=[Provider]) as hub:
        await refused(hub.chat("lines/m", "Hi", credentials={"base_url": server.url}))
        await server.all_closed()


async def test_what_is_within_it_is_whole(acme: type) -> None:
    """Sound and conversations of some megabytes."""
    sound = Reply(200, {"content-type": "audio/wav"}, chunks=[bytes(MIB)] * 20, chunked=True)
    async with WireServer(sound) as server, acme_at(acme, server.url) as hub:
        spoken = await hub.speak("acme/m", "Hi")
        assert len(spoken.audio) == 20 * MIB
    answer = Reply(200, {"content-type": "application/x-ndjson"}, chunks=lines("x" * MIB, 20), chunked=True)
    async with WireServer(answer) as server, ModelHub(ONCE, providers=[Provider]) as hub:
        said = await hub.chat("lines/m", "Hi", credentials={"base_url": server.url})
        assert len(said.text) == 20 * MIB
