"""Operations: pull, preload, unload and delete, with their progress and their ends."""

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import pytest

from modelhub import ModelHub
from modelhub.errors import (
    BadRequest,
    ConfigurationError,
    MalformedResponse,
    ModelNotFound,
    ServerError,
    StreamInterrupted,
)
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.records import Progress

pytestmark = pytest.mark.anyio

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

LAYER = {"status": "pulling 8934d96d3f08", "digest": "sha256:8934d96d3f08", "total": 4000}
PULL = [
    {"status": "pulling manifest"},
    LAYER,
    {**LAYER, "completed": 1000},
    {**LAYER, "completed": 4000},
    {"status": "verifying sha256 digest"},
    {"status": "writing manifest"},
    {"status": "success"},
]


async def run(routes: Any, name: str, **arguments: Any) -> tuple[list[Progress], list[Any]]:
    """Run an operation; return its progress and what the server was sent."""
    async with WireServer(routes) as server, ModelHub() as hub:
        steps = [
            step async for step in hub.operate("ollama_local", name, credentials={"base_url": server.url}, **arguments)
        ]
    return steps, [(request.method, request.path, request.json) for request in server.requests]


async def test_a_pull_tells_how_far_each_layer_has_come(ollama: Routes) -> None:
    """In bytes; a count that the server leaves out is 0."""
    steps, asked = await run(ollama(pull=ndjson_reply(PULL)), "pull", model="llama3")
    assert asked == [("POST", "/api/pull", {"model": "llama3", "stream": True})]
    assert [(step.completed, step.total) for step in steps] == [
        (None, None),
        (0, 4000),
        (1000, 4000),
        (4000, 4000),
        (None, None),
        (None, None),
        (None, None),
    ]
    assert steps[2].fraction == 0.25
    assert steps[2].data == PULL[2]
    assert steps[-1].message == "llama3 is ready"


async def test_a_model_that_is_there_is_not_fetched_again(ollama: Routes) -> None:
    """Its layers are whole from the first."""
    there = [PULL[0], {**LAYER, "completed": 4000}, *PULL[4:]]
    steps, _ = await run(ollama(pull=ndjson_reply(there)), "pull", model="llama3")
    assert steps[-1].message == "llama3 was there already, and is up to date"


@pytest.mark.parametrize(
    ("documents", "cls", "words"),
    [
        ([PULL[0], {"error": "pull model manifest: file does not exist"}], ModelNotFound, "registry has no such model"),
        ([PULL[0], {"error": "max retries exceeded: dial tcp: no such host"}], ServerError, "dial tcp"),
        (PULL[:3], StreamInterrupted, "before it was done"),
        ([{"progress": 5}], MalformedResponse, "no status"),
        (["text"], MalformedResponse, "no status"),
    ],
)
async def test_a_pull_that_does_not_succeed_is_an_error(
    ollama: Routes, documents: list[Any], cls: type[Exception], words: str
) -> None:
    """An error line under status 200, an end without success, and what is no progress at all."""
    with pytest.raises(cls, match=words):
        await run(ollama(pull=ndjson_reply(documents)), "pull", model="llama3")


async def test_a_pull_may_be_silent_for_longer_than_an_answer(ollama: Routes) -> None:
    """The server says nothing while it checks a layer of many gigabytes."""
    quiet = Reply(chunks=ndjson_reply(PULL).chunks, chunked=True, pause=[0, 0, 0, 0, 0.4])
    async with WireServer(ollama(pull=quiet)) as server, ModelHub({"timeouts": {"idle": 0.1}}) as hub:
        steps = [
            step
            async for step in hub.operate("ollama_local", "pull", credentials={"base_url": server.url}, model="llama3")
        ]
    assert steps[-1].message == "llama3 is ready"


async def test_leaving_a_pull_stops_it(ollama: Routes) -> None:
    """The server sees the connection end at once, and keeps what it has for the next time."""
    slow = Reply(chunks=ndjson_reply(PULL).chunks, chunked=True, pause=30)
    async with WireServer(ollama(pull=slow)) as server, ModelHub() as hub:
        with anyio.move_on_after(0.3) as scope:
            async for _ in hub.operate("ollama_local", "pull", credentials={"base_url": server.url}, model="llama3"):
                pass
        assert scope.cancelled_caught
        await server.disconnected(timeout=1)


async def test_a_model_is_loaded(ollama: Routes, recordings: Recordings) -> None:
    """Nothing is asked of it; how long it stays and its context may be said."""
    routes = ollama(chat=recorded(recordings["load"]))
    steps, asked = await run(routes, "preload", model="smollm2:135m", keep_alive="-1", num_ctx=4096)
    assert asked == [
        (
            "POST",
            "/api/chat",
            {
                "model": "smollm2:135m",
                "messages": [],
                "stream": False,
                "keep_alive": -1,
                "options": {"num_ctx": 4096},
            },
        )
    ]
    assert [step.message for step in steps] == ["loading smollm2:135m", "smollm2:135m is loaded"]


async def test_an_embedding_model_is_loaded_in_its_own_way(ollama: Routes, recordings: Recordings) -> None:
    """It holds no conversations, and is asked for no vectors."""
    routes = ollama(chat=recorded(recordings["chat-embedding-model"]), embed=recorded(recordings["embed-empty-list"]))
    steps, asked = await run(routes, "preload", model="all-minilm:22m")
    assert asked[-1] == ("POST", "/api/embed", {"model": "all-minilm:22m", "input": []})
    assert steps[-1].message == "all-minilm:22m is loaded"


async def test_a_model_is_unloaded(ollama: Routes, recordings: Recordings) -> None:
    """By a keep_alive of 0."""
    steps, asked = await run(ollama(chat=recorded(recordings["unload"])), "unload", model="smollm2:135m")
    expected = {"model": "smollm2:135m", "messages": [], "stream": False, "keep_alive": 0}
    assert asked == [("POST", "/api/chat", expected)]
    assert steps[-1].message == "smollm2:135m is unloaded"


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (json_reply({"done": True, "done_reason": "load"}), MalformedResponse),
        (json_reply({"done": True}), MalformedResponse),
        (json_reply([]), MalformedResponse),
        (json_reply({"error": "the runner crashed"}), ServerError),
        (json_reply({"error": "model 'x' not found"}, 404), ModelNotFound),
    ],
)
async def test_an_answer_that_does_not_say_it_is_an_error(ollama: Routes, answer: Reply, cls: type[Exception]) -> None:
    """Unloading is done when the server says so."""
    with pytest.raises(cls):
        await run(ollama(chat=answer), "unload", model="smollm2:135m")


async def test_a_model_is_deleted(ollama: Routes, recordings: Recordings) -> None:
    """The server answers with nothing."""
    steps, asked = await run(ollama(delete=recorded(recordings["delete"])), "delete", model="copied:1")
    assert asked == [("DELETE", "/api/delete", {"model": "copied:1"})]
    assert steps[-1].message == "copied:1 is deleted"


async def test_deleting_what_is_not_there_is_an_error(ollama: Routes, recordings: Recordings) -> None:
    """The remedy is not to pull it."""
    with pytest.raises(ModelNotFound) as caught:
        await run(ollama(delete=recorded(recordings["delete-missing"])), "delete", model="nosuch:1b")
    assert "pull" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "arguments", "cls"),
    [
        ("push", {"model": "m"}, ConfigurationError),
        ("pull", {"model": "m", "modle": 1}, ConfigurationError),
        ("pull", {}, BadRequest),
        ("pull", {"model": ""}, BadRequest),
        ("pull", {"model": "a b//c"}, BadRequest),
        ("preload", {"model": "m", "keep_alive": "soon"}, BadRequest),
    ],
)
async def test_a_mistake_is_told_before_anything_is_sent(
    ollama: Routes, name: str, arguments: dict[str, Any], cls: type[Exception]
) -> None:
    """Unknown operations and arguments, and names that cannot be."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        with pytest.raises(cls):
            async for _ in hub.operate("ollama_local", name, credentials={"base_url": server.url}, **arguments):
                pass
    assert server.requests == []
