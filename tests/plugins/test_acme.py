"""A plugin that uses all of the contract, installed from its wheel, under every verb of the hub."""

import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import anyio
import pytest
from tests.canary import canary

from modelhub import (
    ChatRequest,
    FinishReason,
    ModelHub,
    ModelSchema,
    ModelType,
    PluginState,
    SpeechRequest,
    Usage,
    UserMessage,
    tool,
)
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    CredentialsInvalid,
    ModelNotFound,
    OutputInvalid,
    PluginError,
    QuotaExhausted,
    RateLimited,
    StreamInterrupted,
    UnknownModel,
    UnsupportedFeature,
)
from modelhub.testing.replies import Reply, Request, json_reply, ndjson_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.records import Progress

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("working")]


class Answering(Protocol):
    """The fixture `vendor`."""

    chat: list[Reply]
    sessions: int
    requests: list[Request]

    def __call__(self, request: Request) -> Reply:
        """Answer a request."""


@asynccontextmanager
async def entered(vendor: Answering, cache_dir: Path, **keywords: Any) -> AsyncIterator[ModelHub]:
    """Enter a hub that is configured for the vendor's server."""
    async with WireServer(vendor) as server:
        acme = {"base_url": f"{server.url}/v1/", "api_key": canary("acme-1"), "headers": {"X-Team": "t"}}
        config = {"credentials": {"acme": acme, "acme_events": {"base_url": server.url, "api_key": canary("events")}}}
        async with ModelHub({**config, **keywords.pop("config", {})}, cache_dir=cache_dir, **keywords) as hub:
            yield hub


def asked(vendor: Answering, path: str) -> list[Request]:
    """Return the requests for a path."""
    return [request for request in vendor.requests if request.path == path]


def body_of(request: Request) -> dict[str, Any]:
    """Return a request's body."""
    assert isinstance(request.json, dict)
    return dict(request.json)


@tool
def look(up: bool) -> str:  # noqa: FBT001  as the model calls it
    """Look somewhere."""
    return str(up)


async def test_chat(vendor: Answering, cache_dir: Path) -> None:
    """Text, reasoning, tool calls, usage, price by the manifest's YAML, and what was sent for it."""
    async with entered(vendor, cache_dir) as hub:
        reply = await hub.chat("acme/acme-1", "Hi", system="Be brief.", tools=[look], temperature=0.5)
    assert (reply.text, reply.reasoning, reply.model) == ("Hello there", "Say hi.", "acme/acme-1")
    assert [(call.id, call.name, call.arguments) for call in reply.tool_calls] == [("c1", "look", {"up": True})]
    assert (reply.finish_reason, reply.raw_finish_reason) == (FinishReason.TOOL_CALLS, "stop"), "it asks for a tool"
    assert reply.usage == Usage(7, 2)
    assert reply.cost is not None
    assert reply.cost.total == Decimal("0.000011")
    (request,) = asked(vendor, "/v1/chat")
    assert body_of(request) == {
        "model": "acme-1",
        "texts": ["Be brief.", "Hi"],
        "tools": ["look"],
        "stream": False,
        "region": "east",
        "temperature": 0.5,
    }
    sent = request.headers
    assert (sent["authorization"], sent["x-region"], sent["x-team"]) == (f"Bearer {canary('acme-1')}", "east", "t")
    assert "x-proxy" not in sent, "a header whose values are missing is left out"
    assert request.query["id"].startswith("call")


async def test_stream(vendor: Answering, cache_dir: Path) -> None:
    """The same answer in events, in lines of JSON; its parts keep their order."""
    async with entered(vendor, cache_dir) as hub:
        async with hub.stream("acme/acme-1", "Hi") as stream:
            kinds = [event.type async for event in stream]
        assert stream.result.text == "Hello there"
        assert [part.type for part in stream.result.message.parts] == ["reasoning", "text", "tool_call"]
        assert stream.result.usage == Usage(7, 2)
        whole = await hub.chat("acme/acme-1", "Hi")
    assert kinds == ["started", "reasoning", "reasoning", "text", "text", "tool_call", "tool_call", "finish"]
    assert whole.message == stream.result.message
    assert [body_of(request)["stream"] for request in asked(vendor, "/v1/chat")] == [True, False]


async def test_stream_of_server_sent_events(vendor: Answering, cache_dir: Path) -> None:
    """The distribution's second provider, whose finish is only known at the end."""
    async with entered(vendor, cache_dir) as hub:
        async with hub.stream("acme_events", "Hi") as stream:
            texts = [text async for text in stream.text()]
        reply = await hub.chat("acme_events", "Hi")
        described = await hub.info("acme_events/acme-talk")
    assert texts == ["Hello", " there"]
    assert (stream.result.raw_finish_reason, stream.result.usage) == ("enough", Usage(None, 2))
    assert (reply.text, reply.raw_finish_reason) == ("Hello there", "enough")
    assert asked(vendor, "/events")[0].headers["x-api-key"] == canary("events")
    assert described.context_size == 4096


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {}),
        ({"temperature": 0.123, "max_tokens": 9}, {"temperature": 0.12, "max_tokens": 9}),
        ({"reasoning": False}, {"enable_thinking": False}),
        ({"reasoning": True}, {"enable_thinking": True}),
        ({"reasoning": "low"}, {"enable_thinking": True, "thinking_budget": 128}),
        (
            {"reasoning": "low", "max_tokens": 4096},
            {"enable_thinking": True, "thinking_budget": 1024, "max_tokens": 4096},
        ),
        ({"vendor": {"acme_events": {"enable_thinking": True, "thinking_budget": 7}}}, None),
    ],
)
async def test_parameters_go_in_the_vendors_words(
    vendor: Answering, cache_dir: Path, options: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    """By the model's YAML alone, in Dify's own shape; what the vendor requires is there without asking."""
    async with entered(vendor, cache_dir) as hub:
        await hub.chat("acme_events", "Hi", **options)
    (request,) = asked(vendor, "/events")
    if sent is None:
        sent = options["vendor"]["acme_events"]
    assert body_of(request) == {"model": "acme-talk", "stream": False, "max_tokens": 512, **sent}


async def test_a_response_format_goes_in_the_vendors_words(vendor: Answering, cache_dir: Path) -> None:
    """A word and a schema in a text, as the rules say; the answer is no JSON, and that is told."""
    shape = {"type": "object", "properties": {"x": {"type": "integer"}}}
    async with entered(vendor, cache_dir) as hub:
        for given in ("json", shape):
            with pytest.raises(OutputInvalid):
                await hub.chat("acme_events", "Hi", response_format=given)
    any_json, whole = (body_of(request) for request in asked(vendor, "/events"))
    assert any_json["response_format"] == "json_object"
    assert "json_schema" not in any_json
    assert whole["response_format"] == "json_schema"
    assert json.loads(whole["json_schema"]) == shape


async def test_a_parameter_that_hangs_on_another_is_refused_before_the_wire(vendor: Answering, cache_dir: Path) -> None:
    """The complaint says on which; the others are listed with it."""
    async with entered(vendor, cache_dir) as hub:
        with pytest.raises(BadRequest, match="enable_thinking is true") as caught:
            await hub.chat("acme_events", "Hi", vendor={"acme_events": {"thinking_budget": 7}}, temperature=9)
    assert [problem.parameter for problem in caught.value.problems] == ["temperature", "thinking_budget"]
    assert asked(vendor, "/events") == []


async def test_requests_of_ones_own(vendor: Answering, cache_dir: Path) -> None:
    """`invoke` and `stream` take a request that names its models."""
    request: ChatRequest[None] = ChatRequest(model="acme/acme-1", messages=[UserMessage("Hi")])
    async with entered(vendor, cache_dir) as hub:
        reply = await hub.invoke(request)
        async with hub.stream(request) as stream:
            async for _ in stream:
                pass
        async with hub.stream(SpeechRequest(model="acme/acme-speak", text="Hi")) as speech:
            pieces = [event.data async for event in speech if event.type == "audio"]
    assert reply.message == stream.result.message
    assert b"".join(pieces) == speech.result.audio
    assert speech.result.mime == "audio/wav"


async def test_embed(vendor: Answering, cache_dir: Path) -> None:
    """Split by the model's own batch size, in order, and added up."""
    async with entered(vendor, cache_dir) as hub:
        result = await hub.embed("acme/acme-embed", ["a", "bb", "ccc", "dddd", "eeeee"], input_type="query")
    assert [vector[0] for vector in result.vectors] == [1, 2, 3, 4, 5]
    assert result.usage is not None
    assert result.usage.input_tokens == 5
    batches = sorted(len(body_of(request)["texts"]) for request in asked(vendor, "/v1/embed"))
    assert batches == [1, 2, 2], "the model's YAML says two at once, and goes before the class's three"
    assert body_of(asked(vendor, "/v1/embed")[0])["type"] == "query"


async def test_rerank(vendor: Answering, cache_dir: Path) -> None:
    """The hub sorts and cuts, and puts the documents in."""
    async with entered(vendor, cache_dir) as hub:
        result = await hub.rerank("acme/acme-rank", "which", ["one", "fourteen", "seven"], top_n=2)
    assert [(ranked.index, ranked.document) for ranked in result.documents] == [(1, "fourteen"), (2, "seven")]


async def test_transcribe(vendor: Answering, cache_dir: Path, tmp_path: Path) -> None:
    """Bytes or a file, as a form with a file."""
    recording = tmp_path / "talk.ogg"
    recording.write_bytes(b"OggS" + bytes(40))
    async with entered(vendor, cache_dir) as hub:
        result = await hub.transcribe("acme/acme-hear", recording, language="en")
        await hub.transcribe("acme/acme-hear", b"RIFF")
    assert result.text.startswith("heard ")
    assert result.language == "en"
    first, second = asked(vendor, "/v1/transcribe")
    assert b'filename="talk.ogg"' in first.body
    assert recording.read_bytes() in first.body
    assert b'name="model"\r\n\r\nacme-hear' in first.body
    assert b'filename="audio.wav"' in second.body


async def test_speak(vendor: Answering, cache_dir: Path) -> None:
    """The bytes of the answer are the sound."""
    async with entered(vendor, cache_dir) as hub:
        result = await hub.speak("acme/acme-speak", "Hi", voice="roadrunner", format="mp3")
    assert result.audio[:4] == b"RIFF"
    assert len(result.audio) == 204
    assert result.mime == "audio/mp3"
    assert body_of(asked(vendor, "/v1/speak")[0]) == {"text": "Hi", "voice": "roadrunner"}


async def test_moderate(vendor: Answering, cache_dir: Path) -> None:
    """Verdict, categories, scores."""
    async with entered(vendor, cache_dir) as hub:
        result = await hub.moderate("acme/acme-judge", "you!")
    assert result.flagged
    assert result.categories == {"rude": True, "cruel": False}
    assert result.scores["rude"] == 0.9


async def test_count_tokens(vendor: Answering, cache_dir: Path) -> None:
    """By the plugin, in a thread; what it cannot count says so."""
    async with entered(vendor, cache_dir) as hub:
        count = await hub.count_tokens("acme/acme-1", "one two three", tools=[look])
        with pytest.raises(UnsupportedFeature, match="cannot count tokens"):
            await hub.count_tokens("acme_events", "one two three")
    assert (count.tokens, count.estimated) == (13, True)
    assert asked(vendor, "/v1/chat") == []


async def test_models(vendor: Answering, cache_dir: Path) -> None:
    """As the vendor lists them, with what the manifest says of all of their type; of a manifest where nobody lists."""
    async with entered(vendor, cache_dir) as hub:
        models = {schema.model: schema for schema in await hub.models("acme")}
        speakers = await hub.models("acme", ModelType.TTS)
        events = await hub.models("acme_events")
    assert len(models) == 7
    assert models["acme-2"].features == ["tool-call", "vision"]
    assert [rule.name for rule in models["acme-2"].parameter_rules or ()] == ["temperature", "n_predict", "mirror"]
    assert names(speakers) == ["acme-speak"]
    assert names(events) == ["acme-talk"]
    assert asked(vendor, "/v1/models")[0].headers["x-session"] == "token-1"


def names(schemas: Sequence[ModelSchema]) -> list[str]:
    """Return the models' names."""
    return [schema.model for schema in schemas]


async def test_info(vendor: Answering, cache_dir: Path) -> None:
    """The server knows best what it serves; the nearest names are given for what it does not."""
    async with entered(vendor, cache_dir) as hub:
        assert (await hub.info("acme/acme-1")).context_size == 16384
        assert (await hub.info("acme/acme-rank")).model_type is ModelType.RERANK
        with pytest.raises(ModelNotFound, match="did you mean 'acme-speak'"):
            await hub.speak("acme/acme-speek", "Hi")
        with pytest.raises(UnknownModel, match="did you mean 'acme-talk'"):
            await hub.chat("acme_events/acme-tolk", "Hi")


async def test_validate(vendor: Answering, cache_dir: Path) -> None:
    """In stages: the form, the vendor's own, and the model."""
    async with entered(vendor, cache_dir) as hub:
        whole = await hub.validate("acme", model="acme-rank")
        unpaid = await hub.validate("acme", {"api_key": "unpaid"})
        form = await hub.validate("acme", {"region": "north", "apikey": "x"})
        model = await hub.validate("acme", model="acme-9")
    assert whole.ok
    assert whole.stages == ("form", "reachable", "account", "model acme-rank")
    assert (unpaid.ok, unpaid.stages) == (False, ("form", "reachable"))
    assert unpaid.errors == {"api_key": "its account is closed"}
    with pytest.raises(CredentialsInvalid):
        unpaid.raise_for_errors()
    assert form.stages == ()
    assert form.errors == {"apikey": "did you mean 'api_key'?", "region": "it must be one of east, west"}
    assert model.stages == ("form", "reachable", "account")
    assert isinstance(model.error, ModelNotFound)


async def test_a_session_that_cannot_be_opened_is_a_finding_too(vendor: Answering, cache_dir: Path) -> None:
    """A wrong key is found where the session is opened, and reported as any other."""
    async with entered(vendor, cache_dir) as hub:
        report = await hub.validate("acme", {"api_key": "wrong"})
        with pytest.raises(AuthenticationFailed) as caught:
            await hub.chat("acme/acme-1", "Hi", credentials={"api_key": "wrong"})
    assert not report.ok
    assert report.stages == ("form",)
    assert isinstance(report.error, AuthenticationFailed)
    assert caught.value.provider == "acme"


async def test_operate(vendor: Answering, cache_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Blocking work beside the loop, with progress, a folder, a clock, a log and the session."""
    async with entered(vendor, cache_dir) as hub:
        with caplog.at_level(logging.INFO, logger="modelhub.providers.acme"):
            reports = [report async for report in hub.operate("acme", "warm", model="acme-1", layers=2)]
    assert reports == [
        Progress("layer", 1, 2, "layers"),
        Progress("layer", 2, 2, "layers"),
        Progress("warm", data={"files": 2, "deadline": None, "token": "token-1"}),
    ]
    assert sorted(path.name for path in (cache_dir / "acme").iterdir()) == ["layer-1", "layer-2"]
    assert "warmed acme-1 in 0.0 s" in caplog.text


async def test_an_operation_that_is_left_early_ends_its_thread(vendor: Answering, cache_dir: Path) -> None:
    """Nothing goes on after the caller has gone."""
    async with entered(vendor, cache_dir) as hub:
        reports = hub.operate("acme", "warm", model="acme-1", layers=100_000)
        assert (await anext(reports)).completed == 1
        await reports.aclose()
        files = len(list((cache_dir / "acme").iterdir()))
        await anyio.sleep(0.02)
        assert len(list((cache_dir / "acme").iterdir())) == files


async def test_an_operation_that_is_not_declared_is_refused(vendor: Answering, cache_dir: Path) -> None:
    """As is an argument that it does not take."""
    async with entered(vendor, cache_dir) as hub:
        for call, message in (
            (hub.operate("acme", "wram", model="m"), "no operation 'wram'.*did you mean 'warm'"),
            (hub.operate("acme", "warm", modell="m"), "takes no argument 'modell'.*did you mean 'model'"),
            (hub.operate("acme_events", "warm"), "no operation 'warm'"),
        ):
            with pytest.raises(ConfigurationError, match=message):
                await anext(call)


async def test_bind(vendor: Answering, cache_dir: Path) -> None:
    """A bound model has the verbs, its own credentials over those configured, and its own parameters."""
    async with entered(vendor, cache_dir) as hub:
        config = {
            "provider": "acme",
            "model": "acme-1",
            "credentials": {"region": "west", "proxied": True, "proxy_name": "p1"},
            "parameters": {"max_tokens": 9, "temperature": 0.1},
            "vendor": {"acme": {"mirror": True}},
        }
        model = hub.bind(config)
        await model.chat("Hi", temperature=0.2)
        async with model.stream("Hi") as stream:
            async for _ in stream:
                pass
        assert (await model.count_tokens("one two")).tokens == 2
        assert (await model.info()).context_size == 16384
        vectors = await hub.bind("acme/acme-embed").embed("x")
    first, second = asked(vendor, "/v1/chat")
    assert (first.headers["x-region"], first.headers["x-proxy"]) == ("west", "p1")
    wanted = {"model": "acme-1", "region": "west", "n_predict": 9, "mirror": True}
    for request, temperature in ((first, 0.2), (second, 0.1)):
        body = body_of(request)
        assert {key: body[key] for key in wanted} == wanted
        assert body["temperature"] == temperature
    assert vectors.dimensions == 2


async def test_rows_of_the_family_are_providers(vendor: Answering, cache_dir: Path) -> None:
    """Each with its own presets, credentials and default model; the code is the family's."""
    async with WireServer(vendor) as server:
        config = {
            "credentials": {"acme_west": {"base_url": server.url, "api_key": canary("west")}},
            "egress": {"allow": ["127.0.0.0/8"]},
        }
        async with ModelHub(config, cache_dir=cache_dir) as hub:
            east = {"base_url": server.url, "api_key": canary("east")}
            assert (await hub.chat("acme_east/acme-1", "Hi", credentials=east)).text == "Hello there"
            assert (await hub.chat("acme_west/acme-2", "Hi")).model == "acme_west/acme-2"
            with pytest.raises(ModelNotFound, match="acme-west-1"):
                await hub.chat("acme_west", "Hi")
            with pytest.raises(CredentialsInvalid, match="api_key: it is required"):
                await hub.chat("acme_east", "Hi")
            found = {info.id: info for info in await hub.providers()}
    chats = asked(vendor, "/v1/chat")
    assert [request.headers["x-region"] for request in chats] == ["east", "west"]
    assert [request.headers["authorization"] for request in chats] == [
        f"Bearer {canary('east')}",
        f"Bearer {canary('west')}",
    ]
    assert found["acme_west"].state is PluginState.READY
    assert found["acme_west"].distribution == "modelhub-acme"
    assert found["acme"].state is PluginState.DISCOVERED, "each id is loaded by itself"


async def test_configuration_makes_a_provider_without_code(vendor: Answering, cache_dir: Path) -> None:
    """A row in modelhub.toml, with its credentials beside it."""
    async with WireServer(vendor) as server:
        config = {
            "providers": {"mine": {"extends": "acme", "preset": {"base_url": server.url, "region": "west"}}},
            "credentials": {"mine": {"api_key": canary("mine")}},
        }
        async with ModelHub(config, cache_dir=cache_dir) as hub:
            reply = await hub.chat("mine/acme-1", "Hi")
            found = {info.id: info for info in await hub.providers()}
    assert (reply.text, reply.model) == ("Hello there", "mine/acme-1")
    assert asked(vendor, "/v1/chat")[0].headers["x-region"] == "west"
    assert found["mine"].schema is not None
    assert found["mine"].schema.extends == "acme"


async def test_providers(vendor: Answering, cache_dir: Path) -> None:
    """Label, form and state, as they stand; loading tells which work."""
    async with entered(vendor, cache_dir) as hub:
        listed = {info.id: info for info in await hub.providers()}
        loaded = {info.id: info for info in await hub.providers(load=True)}
    for id in ("acme", "acme_events", "acme_east", "acme_west", "acme_functions", "acme_object", "acme_local"):
        assert listed[id].state is PluginState.DISCOVERED
        assert loaded[id].state is PluginState.READY, loaded[id].reason
        assert loaded[id].notices == ()
    acme = listed["acme"]
    assert (acme.distribution, acme.version) == ("modelhub-acme", "1.2.3")
    assert acme.schema is not None
    assert acme.schema.label == {"en_US": "Acme", "id_ID": "Acme"}
    assert [field.variable for field in acme.schema.form if field.secret] == ["api_key", "headers"]


async def test_a_session_is_opened_once_and_closed_with_the_hub(vendor: Answering, cache_dir: Path) -> None:
    """Once per credential, however many calls come first at once."""
    async with entered(vendor, cache_dir) as hub:
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(hub.chat, "acme/acme-1", "Hi")
        await hub.chat("acme/acme-1", "Hi", credentials={"api_key": "other"})
        sessions = sys.modules["modelhub_acme.provider"].Session.opened[-2:]
        assert [session.closed for session in sessions] == [False, False]
    assert vendor.sessions == 2
    assert [session.closed for session in sessions] == [True, True]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (json_reply({"error": {"code": "no_credit"}}, 400), QuotaExhausted),
        (Reply(418, body=b"teapot"), AuthenticationFailed),
        (json_reply({"error": "slow"}, 429), RateLimited),
    ],
)
async def test_refusals_are_classified_by_the_plugin_first(
    vendor: Answering, cache_dir: Path, reply: Reply, error: type[Exception]
) -> None:
    """By its codes, by its own rule, and by the core's tables for the rest."""
    async with entered(vendor, cache_dir, config={"routing": {"retries": 0}}) as hub:
        vendor.chat = [reply, reply]
        with pytest.raises(error):
            await hub.chat("acme/acme-1", "Hi")
        with pytest.raises(error):
            async with hub.stream("acme/acme-1", "Hi"):
                pass


async def test_an_error_inside_an_answer_is_classified_too(vendor: Answering, cache_dir: Path) -> None:
    """Before the first content as what it is; after it as an interruption that carries what came."""
    error = {"error": {"code": "no_credit"}}
    vendor.chat = [ndjson_reply([error]), ndjson_reply([{"text": "Hel"}, error])]
    async with entered(vendor, cache_dir) as hub:
        with pytest.raises(QuotaExhausted):
            async with hub.stream("acme/acme-1", "Hi"):
                pass
    async with entered(vendor, cache_dir) as hub, hub.stream("acme/acme-1", "Hi") as stream:
        with pytest.raises(StreamInterrupted) as caught:
            async for _ in stream:
                pass
    assert isinstance(caught.value.__cause__, QuotaExhausted)
    assert stream.partial.text == "Hel"


async def test_what_a_plugin_refuses_itself_names_the_parameter(vendor: Answering, cache_dir: Path) -> None:
    """In its `encode`, and by the rules of its manifest, before anything is sent."""
    async with entered(vendor, cache_dir) as hub:
        with pytest.raises(UnsupportedFeature) as caught:
            await hub.chat("acme/acme-1", "Hi", response_format="json")
        assert caught.value.parameter == "response_format"
        with pytest.raises(BadRequest, match=r"temperature is 1\.5: it must be 1 or less"):
            await hub.chat("acme/acme-1", "Hi", temperature=1.5)
        with pytest.raises(UnsupportedFeature, match="top_k"):
            await hub.chat("acme/acme-1", "Hi", top_k=3)
        with pytest.raises(UnsupportedFeature, match=r"mirrow.*did you mean 'mirror'"):
            await hub.chat("acme/acme-1", "Hi", vendor={"acme": {"mirrow": True}})
    assert asked(vendor, "/v1/chat") == []


async def test_a_model_type_that_the_provider_lacks(vendor: Answering, cache_dir: Path) -> None:
    """Is told by name."""
    async with entered(vendor, cache_dir) as hub:
        with pytest.raises((UnsupportedFeature, UnknownModel)):
            await hub.embed("acme_events/acme-talk", ["x"])


async def test_a_bug_in_a_plugin_is_the_plugins(vendor: Answering, cache_dir: Path) -> None:
    """An answer that its decoder does not expect is no fault of the caller's."""
    async with entered(vendor, cache_dir) as hub:
        vendor.chat = [json_reply({"text": "Hi", "calls": [{}], "done": "stop"})]
        with pytest.raises(PluginError, match="KeyError"):
            await hub.chat("acme/acme-1", "Hi")
