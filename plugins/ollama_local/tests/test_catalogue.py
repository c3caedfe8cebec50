"""Discovery: what models a server has and what each of them is, asked of a server and read from odd answers."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from modelhub import ModelHub, ModelType
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionLost,
    ModelNotFound,
    ServerError,
    UnsupportedFeature,
)
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub_ollama_local.show import listed_names, loaded_windows, model_type_of, schema_of

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

TOOLS = ["tool-call", "multi-tool-call", "stream-tool-call"]
NO_ROUTE = Reply(404, {"content-type": "text/plain"}, "404 page not found")


def told(recordings: Recordings, name: str) -> Any:
    """Return the document of a recording."""
    return json.loads(recordings[name]["response"]["body"])


# -- reading


def test_capabilities_are_features(recordings: Recordings) -> None:
    """Tools mean all three features of tools, thinking means reasoning, and any chat model holds a grammar."""
    chat = schema_of("m", told(recordings, "show-chat"))
    assert (chat.model_type, list(chat.features or ())) == (ModelType.LLM, [*TOOLS, "structured-output"])
    thinking = schema_of("m", told(recordings, "show-thinking"))
    assert list(thinking.features or ()) == ["reasoning", "structured-output"]
    everything = {"capabilities": ["completion", "tools", "vision", "thinking", "insert", "audio"]}
    assert list(schema_of("m", everything).features or ()) == [*TOOLS, "vision", "reasoning", "structured-output"]


def test_properties_are_what_the_server_tells(recordings: Recordings) -> None:
    """Trained context, size of the vectors, family, and the mode."""
    properties = schema_of("m", told(recordings, "show-chat")).model_properties
    assert properties == {
        "mode": "chat",
        "context_size": 8192,
        "trained_context_size": 8192,
        "dimensions": 576,
        "family": "llama",
        "parameter_size": "134.52M",
        "quantization_level": "Q4_1",
        "counts_cached_tokens": True,
    }
    embedding = schema_of("m", told(recordings, "show-embedding"))
    assert embedding.model_type is ModelType.TEXT_EMBEDDING
    assert (embedding.model_properties["dimensions"], embedding.context_size) == (384, 512)
    assert "mode" not in embedding.model_properties


def test_figures_are_those_of_the_model_and_not_of_its_parts() -> None:
    """A model that sees has an encoder with lengths of its own; where no architecture is named any length will do."""
    lengths = {"gemma3.vision.embedding_length": 1152, "gemma3.embedding_length": 2560}
    known = schema_of("m", {"model_info": {"general.architecture": "gemma3", **lengths}})
    assert known.model_properties["dimensions"] == 2560
    assert schema_of("m", {"model_info": {"llama.context_length": 4096}}).context_size == 4096


def test_the_window_that_is_loaded_goes_before_what_the_model_could_take(recordings: Recordings) -> None:
    """First what the server has loaded, then the Modelfile's num_ctx, then the trained length."""
    show = {**told(recordings, "show-chat"), "parameters": 'stop "x"\nnum_ctx                        2048\n'}
    assert schema_of("m", show, window=4096).context_size == 4096
    assert schema_of("m", show).context_size == 2048
    assert schema_of("m", show).model_properties["trained_context_size"] == 8192


def test_a_model_of_the_cloud_says_where_it_is_and_holds_no_grammar() -> None:
    """Structured output is not served there."""
    show = {
        "capabilities": ["completion", "tools"],
        "remote_model": "gpt-oss:120b",
        "remote_host": "https://ollama.com",
    }
    schema = schema_of("gpt-oss:120b-cloud", show)
    assert list(schema.features or ()) == TOOLS
    assert schema.model_properties["remote_host"] == "https://ollama.com"


@pytest.mark.parametrize(
    ("show", "features"),
    [
        ({"template": "{{ .System }} {{ .Prompt }}"}, ["structured-output"]),
        ({"template": "{{ if .Tools }}x{{ end }}"}, [*TOOLS, "structured-output"]),
        ({"template": "x", "details": {"families": ["llama", "clip"]}}, ["vision", "structured-output"]),
        ({"template": "x", "projector_info": {"clip.has_vision_encoder": True}}, ["vision", "structured-output"]),
        ({"template": ""}, None),
        ({"model_info": {"general.architecture": "llama"}}, None),
        ({}, None),
    ],
)
def test_without_capabilities_the_template_tells_or_nobody_does(
    show: dict[str, Any], features: list[str] | None
) -> None:
    """Servers before 0.6.4 look into the template themselves; a proxy's answer tells nothing, which refuses nothing."""
    found = schema_of("m", show).features
    assert (None if found is None else list(found)) == features


@pytest.mark.parametrize(
    "show",
    [
        {},
        {"model_info": {}, "details": {}, "capabilities": None, "parameters": None, "template": None},
        {"model_info": None, "details": None, "capabilities": []},
        {"model_info": {"general.architecture": "llama"}, "details": {"family": "", "families": None}},
        {"model_info": {"llama.context_length": "8192"}, "details": {"parameter_size": ""}},
        {"model_info": {"llama.context_length": 0}, "details": "none"},
    ],
)
def test_what_is_missing_or_empty_is_unknown(show: dict[str, Any]) -> None:
    """Null, empty and wrong values are no crash and no fact."""
    schema = schema_of("m", show)
    assert schema.context_size is None
    assert schema.model_properties.keys() <= {"mode"}


@pytest.mark.parametrize(
    ("show", "expected"),
    [
        ({}, None),
        ({"capabilities": ["embedding"]}, ModelType.TEXT_EMBEDDING),
        ({"capabilities": ["completion"]}, ModelType.LLM),
        ({"details": {"family": "nomic-bert"}}, ModelType.TEXT_EMBEDDING),
        ({"details": {"family": "qwen3"}, "model_info": {"qwen3.pooling_type": 3}}, ModelType.TEXT_EMBEDDING),
        ({"details": {"family": "llama"}}, ModelType.LLM),
    ],
)
def test_a_model_is_of_the_type_that_its_capability_or_its_architecture_says(
    show: dict[str, Any], expected: ModelType | None
) -> None:
    """Older servers do not say; families and pooling do."""
    assert model_type_of(show) is expected


@pytest.mark.parametrize(
    ("show", "mode"),
    [
        ({"template": "{{ .Prompt }}", "capabilities": ["completion"]}, "completion"),
        ({"template": "{{- .Prompt -}}"}, "completion"),
        ({"template": "{{ .Prompt }}", "capabilities": ["completion", "tools"]}, "chat"),
        ({"template": "{{ .Prompt }}", "modelfile": "FROM x\nRENDERER qwen3-coder\n"}, "chat"),
        ({"template": "{{ .Prompt }}", "remote_model": "x"}, "chat"),
        ({"template": "{{ .System }}{{ .Prompt }}"}, "chat"),
        ({}, "chat"),
    ],
)
def test_a_bare_template_alone_makes_no_base_model(show: dict[str, Any], mode: str) -> None:
    """Models that the server renders by itself, and those of the cloud, have the same template."""
    assert schema_of("m", show).model_properties["mode"] == mode


@pytest.mark.parametrize("document", [None, [], {}, {"models": None}, {"models": {}}, {"models": [None, "x", {}]}])
def test_a_list_of_nothing_is_empty(document: Any) -> None:
    """`models` may be null."""
    assert listed_names(document) == []
    assert loaded_windows(document) == {}


def test_names_and_windows_are_read_from_either_field() -> None:
    """Older servers have `name` alone."""
    assert listed_names({"models": [{"name": "a:1"}, {"model": "b:2", "name": "b"}]}) == ["a:1", "b:2"]
    entries = [{"model": "a:1", "context_length": 4096}, {"name": "b:2"}, {"name": "c", "context_length": 0}]
    assert loaded_windows({"models": entries}) == {"a:1": 4096}


# -- asking a server


@pytest.mark.anyio
async def test_models_are_listed_as_show_describes_them(ollama: Routes) -> None:
    """The list calls the embedding model a completing one; only /api/show is believed. The order is the list's."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        models = await hub.models("ollama_local", credentials={"base_url": server.url})
    # smollm2-plain is in the list and not among the recorded descriptions: as if it had been deleted meanwhile
    assert [schema.model for schema in models] == ["smollm2-think:135m", "all-minilm:22m", "smollm2:135m"]
    assert [schema.model_type for schema in models] == [ModelType.LLM, ModelType.TEXT_EMBEDDING, ModelType.LLM]
    assert [schema.context_size for schema in models] == [8192, 512, 4096]
    assert all(schema.parameter_rules for schema in models)


@pytest.mark.anyio
@pytest.mark.parametrize("damaged", [json_reply({"error": "unable to load"}, 500), NO_ROUTE])
async def test_a_model_that_cannot_be_described_is_listed_all_the_same(ollama: Routes, damaged: Reply) -> None:
    """A damaged file, or a proxy without descriptions: the names are known, what the models can do is not."""
    async with WireServer(ollama(show=damaged, ps=NO_ROUTE)) as server, ModelHub() as hub:
        models = await hub.models("ollama_local", credentials={"base_url": server.url})
    assert len(models) == 4
    assert all(schema.features is None for schema in models)


@pytest.mark.anyio
async def test_a_list_that_is_refused_is_an_error(ollama: Routes) -> None:
    """One failing description of many comes out bare, not as a group."""
    refused = json_reply({"error": "unauthorized"}, 401)
    many = json_reply({"models": [{"name": f"m{number}"} for number in range(9)]})
    async with WireServer(ollama(show=refused, tags=many)) as server, ModelHub() as hub:
        with pytest.raises(AuthenticationFailed):
            await hub.models("ollama_local", credentials={"base_url": server.url})


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [NO_ROUTE, json_reply({"error": "no"}, 500), json_reply({"error": "no"}, 404)])
async def test_windows_that_the_server_does_not_tell_are_done_without(ollama: Routes, answer: Reply) -> None:
    """What is loaded is good to know and needed for nothing."""
    async with WireServer(ollama(ps=answer)) as server, ModelHub() as hub:
        models = await hub.models("ollama_local", credentials={"base_url": server.url})
    assert [schema.context_size for schema in models] == [8192, 512, 8192]


@pytest.mark.anyio
async def test_a_server_that_goes_meanwhile_is_an_error(ollama: Routes) -> None:
    """No answer at all is no answer of a server."""
    async with WireServer(ollama(ps=Reply(raw=b""))) as server, ModelHub() as hub:
        with pytest.raises(ConnectionLost):
            await hub.models("ollama_local", credentials={"base_url": server.url})


@pytest.mark.anyio
async def test_a_model_is_described_with_its_loaded_window_and_the_rules_of_the_manifest(ollama: Routes) -> None:
    """Asked once, then remembered."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        bound = hub.bind({"provider": "ollama_local", "model": "smollm2:135m", "credentials": {"base_url": server.url}})
        schema = await bound.info()
        assert await bound.info() == schema
    assert schema.context_size == 4096
    assert schema.model_properties["trained_context_size"] == 8192
    assert schema.parameter_rules is not None
    assert {"num_predict", "think", "num_ctx"} <= {rule.name for rule in schema.parameter_rules}
    assert [request.path for request in server.requests] == ["/api/show", "/api/ps"]


@pytest.mark.anyio
async def test_an_embedding_model_is_described_as_one(ollama: Routes) -> None:
    """Asked for without a type it is found as what it is; asked for as a chat model it is refused."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        bound = hub.bind(
            {"provider": "ollama_local", "model": "all-minilm:22m", "credentials": {"base_url": server.url}}
        )
        assert (await bound.info()).model_type is ModelType.TEXT_EMBEDDING
        with pytest.raises(UnsupportedFeature, match="embeddings"):
            await bound.chat("Hi")
    assert "/api/chat" not in [request.path for request in server.requests]


@pytest.mark.anyio
async def test_a_model_that_is_not_there_is_missing_with_the_nearest_names(ollama: Routes) -> None:
    """Nothing is asked of it."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        with pytest.raises(ModelNotFound, match=r"smollm2:135m") as caught:
            await hub.chat("ollama_local/smollm:135m", "Hi", credentials={"base_url": server.url})
    assert caught.value.provider == "ollama_local"
    assert "/api/chat" not in [request.path for request in server.requests]


@pytest.mark.anyio
async def test_a_proxy_without_descriptions_serves_what_it_lists(ollama: Routes, recordings: Recordings) -> None:
    """Neither /api/show nor /api/ps: the model is used as it is, and nothing refused for what nobody knows."""
    tags = json_reply({"models": [{"name": "m:latest"}]})
    answer = recorded(recordings["chat"])
    async with WireServer(ollama(show=NO_ROUTE, ps=NO_ROUTE, tags=tags, chat=answer)) as server, ModelHub() as hub:
        reply = await hub.chat("ollama_local/M", "Hi", credentials={"base_url": server.url})
        assert reply.text.startswith("I'm so glad")
        with pytest.raises(ModelNotFound):
            await hub.chat("ollama_local/other", "Hi", credentials={"base_url": server.url})


@pytest.mark.anyio
async def test_a_proxy_without_a_list_is_asked_all_the_same(ollama: Routes, recordings: Recordings) -> None:
    """Only the answer tells whether the model is there."""
    answer = recorded(recordings["chat-missing-model"])
    async with WireServer(ollama(show=NO_ROUTE, ps=NO_ROUTE, tags=NO_ROUTE, chat=answer)) as server, ModelHub() as hub:
        with pytest.raises(ModelNotFound, match="ollama pull"):
            await hub.chat("ollama_local/nosuch:1b", "Hi", credentials={"base_url": server.url})


@pytest.mark.anyio
async def test_a_list_that_fails_is_not_taken_for_a_missing_model(ollama: Routes) -> None:
    """The error of the list is the caller's to hear."""
    broken = json_reply({"error": "disk"}, 500)
    async with WireServer(ollama(show=NO_ROUTE, tags=broken)) as server, ModelHub() as hub:
        with pytest.raises(ServerError):
            await hub.chat("ollama_local/m", "Hi", credentials={"base_url": server.url})


@pytest.mark.anyio
async def test_a_name_that_cannot_be_one_is_refused(ollama: Routes) -> None:
    """The message says so, whatever the server would."""
    async with WireServer(ollama(show=json_reply({"error": "invalid model name"}, 400))) as server, ModelHub() as hub:
        with pytest.raises(BadRequest, match="cannot be the name"):
            await hub.chat("ollama_local/a b//c", "Hi", credentials={"base_url": server.url})
