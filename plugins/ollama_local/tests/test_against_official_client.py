"""The same recorded server, asked by the vendor's own client and by this plugin: the same answers.

That the vendor's client reads the fixtures proves that they speak the protocol as it expects.
"""

from collections.abc import Callable, Mapping
from typing import Any

import ollama as official
import pytest

from modelhub import ModelHub
from modelhub.testing.replay import recorded
from modelhub.testing.wire_server import WireServer

# The vendor's client is httpx's, which works on both loops; it is asked on the one it is made for.
pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

STREAMS = [
    "chat-length",
    "chat-stream",
    "chat-stream-default",
    "chat-schema-stream",
    "chat-think-stream",
    "chat-tools-stream",
    "chat-tools-two-stream",
]
ANSWERS = ["chat", "chat-json", "chat-schema", "chat-stop-list", "chat-system", "chat-think", "chat-tools"]


def client_of(url: str) -> official.AsyncClient:
    """Return the vendor's client for a server."""
    return official.AsyncClient(host=url, trust_env=False)


def said(messages: list[Any]) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return text, thinking and calls of messages as the vendor's client gives them."""
    calls = [(call.function.name, dict(call.function.arguments)) for each in messages for call in each.tool_calls or ()]
    return "".join(each.content or "" for each in messages), "".join(each.thinking or "" for each in messages), calls


def ours(result: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    """Return the same of a result of ours."""
    return result.text, result.reasoning, [(call.name, call.arguments) for call in result.tool_calls]


@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_is_the_same(ollama: Routes, recordings: Recordings, name: str) -> None:
    """Text, thinking, calls, counts and the reason."""
    reply = recorded(recordings[name])
    async with WireServer(ollama(chat=reply)) as server, ModelHub() as hub:
        client = client_of(server.url)
        documents = [
            document async for document in await client.chat("m", [{"role": "user", "content": "x"}], stream=True)
        ]
        await client._client.aclose()  # noqa: SLF001  it has no public way to be closed
        async with hub.stream("ollama_local/smollm2:135m", "x", credentials={"base_url": server.url}) as stream:
            events = [event async for event in stream]
        result = stream.result
    assert ours(result) == said([document.message for document in documents])
    assert len([event for event in events if event.type == "text"]) == len(
        [document for document in documents if document.message.content]
    )
    last = documents[-1]
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (last.prompt_eval_count, last.eval_count)
    assert result.raw_finish_reason == last.done_reason


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_whole_answer_is_the_same(ollama: Routes, recordings: Recordings, name: str) -> None:
    """Text, thinking, calls, counts and the reason."""
    async with WireServer(ollama(chat=recorded(recordings[name]))) as server, ModelHub() as hub:
        client = client_of(server.url)
        document = await client.chat("m", [{"role": "user", "content": "x"}])
        await client._client.aclose()  # noqa: SLF001
        result = await hub.chat("ollama_local/smollm2:135m", "x", credentials={"base_url": server.url})
    assert ours(result) == said([document.message])
    assert result.usage is not None
    assert (result.usage.input_tokens, result.usage.output_tokens) == (document.prompt_eval_count, document.eval_count)
    assert result.raw_finish_reason == document.done_reason


@pytest.mark.parametrize("name", ["embed-batch", "embed-one"])
async def test_embeddings_are_the_same(ollama: Routes, recordings: Recordings, name: str) -> None:
    """Every number of every vector, and the count."""
    texts = recordings[name]["request"]["body"]["input"]
    async with WireServer(ollama(embed=recorded(recordings[name]))) as server, ModelHub() as hub:
        client = client_of(server.url)
        document = await client.embed("m", texts)
        await client._client.aclose()  # noqa: SLF001
        result = await hub.embed("ollama_local/all-minilm:22m", texts, credentials={"base_url": server.url})
    assert [list(vector) for vector in result.vectors] == [list(vector) for vector in document.embeddings]
    assert result.usage is not None
    assert result.usage.input_tokens == document.prompt_eval_count


async def test_requests_are_the_same(ollama: Routes) -> None:
    """What both are told to send, they send alike."""
    options = {"temperature": 0.5, "num_predict": 5, "stop": ["X"]}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with WireServer(ollama()) as server, ModelHub() as hub:
        client = client_of(server.url)
        await client.chat(
            "smollm2:135m",
            [{"role": "user", "content": "x"}],
            options=options,
            keep_alive="5m",
            format=schema,
        )
        await client._client.aclose()  # noqa: SLF001
        theirs: Any = server.requests[-1].json
        reply = await hub.chat(
            "ollama_local/smollm2:135m",
            "x",
            temperature=0.5,
            max_tokens=5,
            stop="X",
            vendor={"ollama_local": {"keep_alive": "5m"}},
            credentials={"base_url": server.url},
        )
        own: Any = server.requests[-1].json
    assert reply.text
    assert own == {key: value for key, value in theirs.items() if key in own}
    assert theirs.keys() - own.keys() <= {"tools", "format"}
