"""The provider against a server that answers as Ollama does, on asyncio and on trio."""

import json
from pathlib import Path

import modelhub_my_ollama
import pytest

from modelhub import ChatResult, ModelHub, ModelType
from modelhub.errors import BadRequest, CredentialsInvalid, ModelNotFound, StreamInterrupted
from modelhub.manifest.lint import lint
from modelhub.testing.replies import Reply, Request, json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

LINES = [
    {"message": {"role": "assistant", "content": "Hello"}, "done": False},
    {"message": {"role": "assistant", "content": " world"}, "done": False},
    {
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 10,
        "eval_count": 2,
    },
]
WHOLE = {**LINES[-1], "message": {"role": "assistant", "content": "Hello world"}}
CAPABILITIES = {"llama3:latest": ["completion"], "all-minilm:latest": ["embedding"]}


def chat(request: Request) -> Reply:
    """Answer whole or in lines, as the request wants it."""
    return ndjson_reply(LINES) if json.loads(request.body)["stream"] else json_reply(WHOLE)


def catalogue(request: Request) -> Reply:
    """Answer what models there are, and what one of them can do."""
    if request.path == "/api/tags":
        return json_reply({"models": [{"name": name} for name in CAPABILITIES]})
    return json_reply({"capabilities": CAPABILITIES[json.loads(request.body)["model"]]})


def hub(server: WireServer, **values: str) -> ModelHub:
    """Make a hub whose provider talks to the test's server, with further values for the form."""
    return ModelHub({"credentials": {"my_ollama": {"base_url": server.url, **values}}})


async def streamed(models: ModelHub) -> list[str]:
    """Read a stream to its end and return its pieces."""
    async with models.stream("my_ollama/llama3", "Hi") as stream:
        pieces = [text async for text in stream.text()]
    assert stream.result.text == "".join(pieces)
    return pieces


async def test_a_whole_answer() -> None:
    """Text, usage, cost and finish reason arrive, and the parameters have Ollama's names on the wire."""
    own = {"my_ollama": {"num_ctx": 8192}}
    async with WireServer(chat) as server, hub(server) as models:
        reply = await models.chat("my_ollama/llama3", "Hi", max_tokens=16, temperature=0.5, vendor=own)
    assert reply.text == "Hello world"
    assert reply.finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 12
    assert reply.cost is not None
    assert reply.cost.total == 0
    options = json.loads(server.requests[0].body)["options"]
    assert options == {"num_predict": 16, "temperature": 0.5, "num_ctx": 8192}
    assert "authorization" not in server.requests[0].headers


async def test_a_stream() -> None:
    """The pieces come in order, and the result is that of the whole answer."""
    async with WireServer(chat) as server, hub(server) as models:
        assert await streamed(models) == ["Hello", " world"]


async def test_a_stream_that_breaks_off() -> None:
    """An answer without its last line is an error that holds what came."""
    async with WireServer(ndjson_reply(LINES[:2])) as server, hub(server) as models:
        with pytest.raises(StreamInterrupted) as caught:
            await streamed(models)
    assert isinstance(caught.value.partial, ChatResult)
    assert caught.value.partial.text == "Hello world"


async def test_a_missing_model() -> None:
    """The server's refusal becomes the error that says what it is."""
    refusal = json_reply({"error": "model 'llama3' not found"}, status=404)
    async with WireServer(refusal) as server, hub(server) as models:
        with pytest.raises(ModelNotFound, match="not found"):
            await models.chat("my_ollama/llama3", "Hi")


async def test_a_parameter_out_of_range() -> None:
    """The manifest's rule is kept before anything is sent."""
    async with WireServer(chat) as server, hub(server) as models:
        with pytest.raises(BadRequest, match="temperature is 3"):
            await models.chat("my_ollama/llama3", "Hi", temperature=3)
    assert server.requests == []


async def test_a_key() -> None:
    """It goes out with every request; where it is wanted and not there, nothing goes out."""
    async with WireServer(chat) as server, hub(server, access="key", api_key="k-123456") as models:
        await models.chat("my_ollama/llama3", "Hi")
    assert server.requests[0].headers["authorization"] == "Bearer k-123456"
    async with WireServer(chat) as server, hub(server, access="key") as models:
        with pytest.raises(CredentialsInvalid) as caught:
            await models.chat("my_ollama/llama3", "Hi")
    assert list(caught.value.fields) == ["api_key"]
    assert server.requests == []


async def test_embeddings() -> None:
    """Texts go in the batches that the model's YAML allows, and the vectors come back in order."""

    def embed(request: Request) -> Reply:
        return json_reply({"embeddings": [[float(text)] for text in json.loads(request.body)["input"]]})

    async with WireServer(embed) as server, hub(server) as models:
        result = await models.embed("my_ollama/all-minilm", [str(number) for number in range(40)])
    assert [vector[0] for vector in result.vectors] == [float(number) for number in range(40)]
    assert sorted(len(json.loads(request.body)["input"]) for request in server.requests) == [8, 32]


async def test_validation() -> None:
    """Each stage that passed is named; a server that is not there is the fault of the field base_url."""
    async with WireServer(catalogue) as server, hub(server) as models:
        report = await models.validate("my_ollama", model="llama3")
        listed = await models.models("my_ollama", ModelType.TEXT_EMBEDDING)
    assert report.stages == ("form", "2 models", "model llama3")
    assert [schema.model for schema in listed] == ["all-minilm:latest"]
    async with hub(server) as models:
        report = await models.validate("my_ollama")
    assert "base_url" in report.errors


def test_the_files() -> None:
    """`modelhub lint` has nothing to say about them."""
    assert list(lint(Path(modelhub_my_ollama.__file__).parent)) == []
