"""Embeddings: the request, every recorded answer, and what an answer must not be."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from modelhub import ModelHub
from modelhub.errors import (
    BadRequest,
    ContextLengthExceeded,
    MalformedResponse,
    ModelNotFound,
    Overloaded,
    ServerError,
    UnsupportedFeature,
)
from modelhub.provider import Credential
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.requests import EmbedRequest
from modelhub.types.schema import ModelSchema, ModelType
from modelhub.wire.json import dumps
from modelhub_ollama_local.embedding import OllamaEmbedding

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

SMALL = ModelSchema("m", ModelType.TEXT_EMBEDDING, model_properties={"context_size": 16})


def sent(*texts: str, **fields: Any) -> dict[str, Any]:
    """Return what a request sends."""
    request = EmbedRequest(**{"model": "all-minilm", "texts": texts, **fields})
    call = OllamaEmbedding().encode(request, Credential({}))
    body: dict[str, Any] = json.loads(dumps(call.json))
    assert call.path == "/api/embed"
    return body


def answered(document: Any, *texts: str, **fields: Any) -> Any:
    """Decode a document."""
    return OllamaEmbedding().decode(document, EmbedRequest(texts=texts, **fields))


def told(recordings: Recordings, name: str) -> Any:
    """Return the document of a recording."""
    return json.loads(recordings[name]["response"]["body"])


def test_texts_are_a_list_and_nothing_is_cut_in_silence() -> None:
    """A bare text has another meaning where it is empty; the server cuts long texts by default."""
    assert sent("hello") == {"model": "all-minilm", "input": ["hello"], "truncate": False}
    assert sent("a", "", "b")["input"] == ["a", "", "b"]


def test_dimensions_and_options_are_sent_where_they_were_set() -> None:
    """`truncate: true` allows the cut."""
    body = sent("a", dimensions=8, options={"truncate": True, "num_ctx": 512, "keep_alive": "300"})
    assert body["dimensions"] == 8
    assert body["truncate"] is True
    assert body["keep_alive"] == 300
    assert body["options"] == {"num_ctx": 512}


@pytest.mark.parametrize("name", ["temperature", "dimension", "think", "num_predict"])
def test_an_option_that_embeddings_do_not_have_is_refused(name: str) -> None:
    """It would be ignored."""
    with pytest.raises(BadRequest) as caught:
        sent("a", options={name: 1})
    assert caught.value.parameter == name


@pytest.mark.parametrize(
    ("model", "input_type", "expected"),
    [
        ("nomic-embed-text", "query", "search_query: x"),
        ("nomic-embed-text:v1.5", "document", "search_document: x"),
        ("me/NOMIC-embed-text", "document", "search_document: x"),
        ("mxbai-embed-large", "document", "x"),
        ("all-minilm", "query", "x"),
        ("nomic-embed-text", None, "x"),
    ],
)
def test_queries_and_documents_begin_as_the_models_authors_want(model: str, input_type: Any, expected: str) -> None:
    """Only where the caller says which of them a text is."""
    assert sent("x", model=model, input_type=input_type)["input"] == [expected]


def test_a_text_that_cannot_fit_is_refused_with_the_figures() -> None:
    """The server says neither which text is too long nor by how much."""
    with pytest.raises(
        ContextLengthExceeded, match="199 characters has 80 tokens at least; the model takes 16"
    ) as caught:
        sent("short", "a " * 99 + "b", schema=SMALL)
    assert caught.value.context_size == 16
    assert caught.value.sent is False
    assert "truncate" in str(caught.value)


def test_a_text_that_may_fit_or_may_be_cut_is_sent() -> None:
    """Where nobody knows the model's length the server decides."""
    assert sent("a " * 99, schema=SMALL, options={"truncate": True})
    assert sent("a " * 99)
    assert sent("a" * 40, schema=SMALL)


@pytest.mark.parametrize(
    ("name", "count", "dimensions", "tokens"),
    [
        ("embed-one", 1, 384, 3),
        ("embed-batch", 3, 16, 13),
        ("embed-dimensions", 1, 8, 3),
        ("embed-long-truncate", 1, 8, 512),
        ("busy-embed", 1, 4, 3),
        ("embed-empty-list", 0, 0, None),
        ("embed-empty-string", 0, 0, None),
    ],
)
def test_a_recorded_answer_has_its_vectors_in_order_and_its_count(
    recordings: Recordings, name: str, count: int, dimensions: int, tokens: int | None
) -> None:
    """A count that is absent is unknown."""
    document = told(recordings, name)
    result = answered(document)
    assert (len(result.vectors), result.dimensions) == (count, dimensions)
    assert result.vectors == document["embeddings"]
    assert (result.usage.input_tokens if result.usage else None) == tokens
    if tokens is not None:
        assert result.timing.load == pytest.approx(document["load_duration"] / 1e9)


@pytest.mark.parametrize(
    "document",
    [{}, [], None, {"embedding": [0.5]}, {"embeddings": None}, {"embeddings": {"0": []}}, {"embeddings": [0.5]}],
)
def test_an_answer_without_vectors_is_none_of_ollamas(document: Any) -> None:
    """That of the legacy endpoint included: its vectors do not go with these."""
    with pytest.raises(MalformedResponse, match="base URL"):
        answered(document, "a")


def test_an_error_in_a_good_answer_is_an_error() -> None:
    """Proxies put it there."""
    with pytest.raises(ServerError, match="crashed"):
        answered({"error": "the runner crashed"}, "a")


def test_dimensions_that_the_model_does_not_have_are_noticed() -> None:
    """The server gives what it has."""
    result = answered({"embeddings": [[0.5, 0.5]]}, "a", dimensions=3)
    assert [warning.code for warning in result.warnings] == ["dimensions_ignored"]
    assert answered({"embeddings": [[0.5, 0.5]]}, "a", dimensions=2).warnings == ()
    assert answered({"embeddings": []}, dimensions=2).warnings == ()


# -- over the wire


@pytest.mark.anyio
async def test_vectors_come_through_the_hub(ollama: Routes, recordings: Recordings) -> None:
    """With the server's own count, and one request for the batch."""
    async with WireServer(ollama(embed=recorded(recordings["embed-batch"]))) as server, ModelHub() as hub:
        result = await hub.embed(
            "ollama_local/all-minilm:22m",
            ["hello", "world", "selamat pagi"],
            dimensions=16,
            credentials={"base_url": server.url},
        )
    assert result.vectors == told(recordings, "embed-batch")["embeddings"]
    assert result.usage is not None
    assert result.usage.input_tokens == 13
    asked = [request.json for request in server.requests if request.path == "/api/embed"]
    body = {"input": ["hello", "world", "selamat pagi"], "truncate": False, "dimensions": 16}
    assert asked == [{"model": "all-minilm:22m", **body}]


@pytest.mark.anyio
async def test_many_texts_keep_their_order(ollama: Routes) -> None:
    """Batches are answered apart and put together again; counts are added."""

    def embed(request: Any) -> Reply:
        texts = request.json["input"]
        return json_reply({"embeddings": [[float(text)] for text in texts], "prompt_eval_count": len(texts)})

    async with WireServer(ollama(embed=embed)) as server, ModelHub() as hub:
        texts = [str(number) for number in range(150)]
        result = await hub.embed("ollama_local/all-minilm:22m", texts, credentials={"base_url": server.url})
        assert (await hub.embed("ollama_local/all-minilm:22m", [], credentials={"base_url": server.url})).vectors == []
    assert [vector[0] for vector in result.vectors] == list(range(150))
    assert result.usage is not None
    assert result.usage.input_tokens == 150
    assert len([request for request in server.requests if request.path == "/api/embed"]) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("embeddings", [[[1.0]], [[1.0], [2.0], [3.0]], [[1.0], [2.0, 3.0]], [[1.0], [None]], [[], []]])
async def test_vectors_that_do_not_fit_the_texts_are_refused(ollama: Routes, embeddings: list[Any]) -> None:
    """Too few, too many, of different lengths, with holes, or empty."""
    async with WireServer(ollama(embed=json_reply({"embeddings": embeddings}))) as server, ModelHub() as hub:
        with pytest.raises(MalformedResponse):
            await hub.embed("ollama_local/all-minilm:22m", ["a", "b"], credentials={"base_url": server.url})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("recording", "cls"),
    [
        ("embed-long-error", ContextLengthExceeded),
        ("embed-missing-model", ModelNotFound),
        ("busy", Overloaded),
        ("embed-bad-input", BadRequest),
    ],
)
async def test_refusals_have_their_class(ollama: Routes, recordings: Recordings, recording: str, cls: Any) -> None:
    """The same as of conversations."""
    once = {"routing": {"retries": 0}}
    async with WireServer(ollama(embed=recorded(recordings[recording]))) as server, ModelHub(once) as hub:
        with pytest.raises(cls):
            await hub.embed("ollama_local/all-minilm:22m", "a", credentials={"base_url": server.url})


@pytest.mark.anyio
async def test_a_chat_model_makes_no_embeddings(ollama: Routes) -> None:
    """The server's 501 is the caller's mistake, and no fault of the endpoint's."""
    refused = json_reply({"error": "This server does not support embeddings. Start it with `--embeddings`"}, 501)
    async with WireServer(ollama(embed=refused)) as server, ModelHub() as hub:
        with pytest.raises(UnsupportedFeature):
            await hub.embed("ollama_local/smollm2:135m", "a", credentials={"base_url": server.url})
