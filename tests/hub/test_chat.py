"""What a conversation may ask for: parameters before the wire, tools, shapes, vendor options, policies."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from modelhub import (
    AssistantMessage,
    Event,
    MediaPart,
    Message,
    ModelHub,
    TextPart,
    Tool,
    ToolMessage,
    UserMessage,
    tool,
)
from modelhub.errors import BadRequest, ConfigurationError, OutputInvalid, UnsupportedFeature
from modelhub.provider import ModelProvider, ProviderContext
from modelhub.testing.replies import json_reply, sse_reply
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer
from modelhub.types.events import Finish, FinishReason, TextDelta
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema

pytestmark = pytest.mark.anyio

END = {"end": "stop", "in": 1, "out": 1}


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temprature": 1}, "temprature"),
        ({"top_p": 0.5}, "top_p"),
        ({"vendor": {"acme": {"num_ctx": "8k"}}}, "num_ctx"),
        ({"vendor": {"acme": {"num_cxt": 8192}}}, "num_cxt"),
        ({"vendor": {"acme": {"top_a": float("inf")}}}, "top_a"),
        ({"vendor": {"acme": 7}}, "vendor.acme"),
        ({"vendor": 7}, "vendor"),
        ({"system": "\ud800"}, "system"),
        ({"system": 7}, "system"),
        ({"tools": 7}, "tools"),
        ({"tools": {"name": "f"}}, "tools"),
        ({"tools": [print]}, "tools"),
        ({"tools": [{}]}, "tools"),
        ({"tools": [Tool("f"), Tool("f")]}, "tools"),
        ({"tool_choice": "f"}, "tool_choice"),
        ({"timeout": 0}, "timeout"),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_mistake_is_refused_before_the_wire(
    *, acme: Any, options: dict[str, Any], parameter: str, streamed: bool
) -> None:
    """Naming the parameter; the server sees no request, streamed or not."""

    async def ask(hub: ModelHub, url: str) -> None:
        options["credentials"] = {"base_url": url}
        if not streamed:
            await hub.chat("acme/m", "Hi", **options)
        async with hub.stream("acme/m", "Hi", **options):
            pytest.fail("entered")

    async with WireServer() as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(BadRequest) as caught:
            await ask(hub, server.url)
        assert caught.value.parameter == parameter
        assert server.connections == 0


async def test_a_lenient_policy_leaves_out_and_says_so(acme: Any, vendor: Any) -> None:
    """By keyword of the hub or by the settings; what can never be right is still an error."""
    for config, policy in (({}, "drop"), ({"policy": {"parameters": "clamp"}}, None)):
        async with WireServer(vendor) as server, ModelHub(config, providers=[acme], policy=policy) as hub:  # type: ignore[arg-type]
            options: dict[str, Any] = {"credentials": {"base_url": server.url}, "vendor": {"acme": {"x": 1}}}
            reply = await hub.chat("acme/m", "Hi", top_p=0.5, temperature=0.1, **options)
            assert [warning.parameter for warning in reply.warnings] == ["top_p", "x"]
            async with hub.stream("acme/m", "Hi", top_p=0.5, credentials={"base_url": server.url}) as stream:
                _ = [event async for event in stream]
            assert [warning.parameter for warning in stream.result.warnings] == ["top_p"]
            with pytest.raises(BadRequest):
                await hub.chat("acme/m", "Hi", top_p=True, **options)
        body: Any = server.requests[0].json
        assert body["temperature"] == 0.1
        assert "top_p" not in body
        assert "x" not in body
    with pytest.raises(ConfigurationError, match="strict, clamp or drop"):
        async with ModelHub(policy="lax"):  # type: ignore[arg-type]
            pytest.fail("entered")


async def test_vendor_options_reach_their_vendor_only(acme: Any, vendor: Any) -> None:
    """The other provider of the call is not asked to understand them."""
    scripted = ScriptedProvider("ok")
    async with WireServer(vendor) as server, ModelHub(providers=[acme, scripted]) as hub:
        options: dict[str, Any] = {"vendor": {"acme": {"num_ctx": 8192}, "nobody": {"x": 1}}}
        await hub.chat("acme/m", "Hi", credentials={"base_url": server.url}, **options)
        await hub.chat("scripted/m", "Hi", **options)
    assert server.requests[0].json["num_ctx"] == 8192  # type: ignore[index,call-overload]
    assert scripted.requests[0].options == {}


@tool
def weather(city: str) -> str:
    """Forecast the weather."""
    return f"{city}: sun"


async def test_tools_there_and_back(acme: Any) -> None:
    """Given in any shape, called by the model, answered, and the whole conversation goes back."""
    call = {"call": {"id": "c1", "name": "weather", "arguments": '{"city": "Bandung"}'}}
    replies = [json_reply({**call, **END}), sse_reply([call, END], done=False), json_reply({"text": "sun", **END})]
    tools: list[Any] = [
        weather,
        Tool("ping", "Ping."),
        {"type": "function", "function": {"name": "time", "parameters": {"type": "object"}}},
        {"name": "date", "description": None},
    ]
    async with WireServer(replies) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind({"provider": "acme", "credentials": {"base_url": server.url}})
        reply = await model.chat("Weather?", tools=tools, tool_choice="weather")
        async with model.stream("Weather?", tools=tools) as stream:
            _ = [event async for event in stream]
        for result in (reply, stream.result):
            assert result.finish_reason is FinishReason.TOOL_CALLS
            assert result.tool_calls[0].arguments == {"city": "Bandung"}
        answer = weather(**reply.tool_calls[0].arguments)  # type: ignore[arg-type]
        history: list[Message] = [UserMessage("Weather?"), reply.message, ToolMessage(answer, reply.tool_calls[0].id)]
        assert (await model.chat(history, tools=tools)).text == "sun"
    first, _, third = (request.json for request in server.requests)
    assert [each["name"] for each in first["tools"]] == ["weather", "ping", "time", "date"]  # type: ignore[index,call-overload,union-attr]
    assert first["choice"] == "weather"  # type: ignore[index,call-overload]
    assert third["messages"][1:] == [  # type: ignore[index,call-overload]
        {"role": "assistant", "text": "", "calls": [["c1", "weather", {"city": "Bandung"}]]},
        {"role": "tool", "text": "Bandung: sun", "answers": "c1"},
    ]


class Invoice(BaseModel):
    """A shape."""

    number: str
    total: float


@dataclass
class Point:
    """Another."""

    x: int


class Person(TypedDict):
    """And another."""

    name: str


SHAPES: list[tuple[Any, str, Any]] = [
    (Invoice, '{"number": "A-1", "total": 7}', Invoice(number="A-1", total=7)),
    (Point, '{"x": 1}', Point(1)),
    (Person, '{"name": "Budi"}', {"name": "Budi"}),
    ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
    ("json", "[1, 2]", [1, 2]),
]


@pytest.mark.parametrize(("shape", "text", "output"), SHAPES)
async def test_an_answer_in_a_shape(acme: Any, shape: Any, text: str, output: Any) -> None:
    """The vendor is told the schema, and the answer comes as the type; streamed it is the same."""
    replies = [json_reply({"text": text, **END}), sse_reply([{"text": text}, END], done=False)]
    async with WireServer(replies) as server, ModelHub(providers=[acme]) as hub:
        model = hub.bind({"provider": "acme", "credentials": {"base_url": server.url}})
        reply = await model.chat("?", response_format=shape)
        async with model.stream("?", response_format=shape) as stream:
            _ = [event async for event in stream]
    assert reply.output == stream.result.output == output
    schema: Any = server.requests[0].json["schema"]  # type: ignore[index,call-overload]
    assert (schema is None) is (shape == "json")


async def test_an_answer_of_another_shape_goes_to_the_next_model() -> None:
    """What each one said is in the error of the last."""
    scripted = ScriptedProvider("no", "nor this", "no", '{"x": 1}')
    async with ModelHub(providers=[scripted]) as hub:
        with pytest.raises(OutputInvalid) as caught:
            await hub.chat(["scripted/a", "scripted/b"], "?", response_format=Point)
        assert caught.value.partial is not None
        assert caught.value.partial.text == "nor this"  # type: ignore[attr-defined]
        assert len(caught.value.attempts) == 2
        assert (await hub.chat(["scripted/a", "scripted/b"], "?", response_format=Point)).output == Point(1)


async def test_an_answer_that_was_cut_is_kept() -> None:
    """The error says that it was cut, and holds it."""
    cut: list[Event] = [TextDelta(0, '{"x": '), Finish(FinishReason.LENGTH, "max_tokens")]
    async with ModelHub(providers=[ScriptedProvider(cut)]) as hub:
        with pytest.raises(OutputInvalid, match="length") as caught:
            await hub.chat("scripted/m", "?", response_format=Point)
    assert caught.value.partial is not None
    assert caught.value.partial.text == '{"x": '  # type: ignore[attr-defined]


async def test_a_shape_that_cannot_be_described() -> None:
    """Is refused before anything is sent."""
    scripted = ScriptedProvider()
    async with ModelHub(providers=[scripted]) as hub:
        with pytest.raises(ConfigurationError, match="response_format"):
            await hub.chat("scripted/m", "?", response_format=object())  # type: ignore[call-overload]
    assert scripted.requests == []


async def test_what_was_changed_is_on_the_result(acme: Any, vendor: Any) -> None:
    """With what was given and what went on the wire, after a stream too; the strict policy lists everything at once."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme], policy="clamp") as hub:
        options: dict[str, Any] = {"credentials": {"base_url": server.url}, "temperature": "5", "max_tokens": 0}
        reply = await hub.chat("acme/m", "Hi", **options)
        async with hub.stream("acme/m", "Hi", **options) as stream:
            _ = [event async for event in stream]
        for warnings in (reply.warnings, stream.result.warnings):
            assert [(each.code, each.parameter, each.given, each.sent) for each in warnings] == [
                ("parameter_coerced", "temperature", "5", 5.0),
                ("parameter_clamped", "temperature", 5.0, 2),
                ("parameter_clamped", "max_tokens", 0, 1),
            ]
    bodies: list[Any] = [request.json for request in server.requests]
    assert [(body["temperature"], body["max_tokens"]) for body in bodies] == [(2, 1), (2, 1)]
    async with ModelHub(providers=[acme]) as hub:
        with pytest.raises(BadRequest) as caught:
            await hub.chat("acme/m", "Hi", temperature=5, max_tokens=0, top_k=1, credentials={"base_url": server.url})
    assert [problem.parameter for problem in caught.value.problems] == ["temperature", "max_tokens", "top_k"]


class Simple(ModelProvider):
    """A model that can do nothing but answer."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema("simple", supported_model_types=(ModelType.LLM,))

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema:
        """Describe a model without features."""
        return ModelSchema(model, model_type, features=(), parameter_rules=())

    async def invoke(self, request: Any, context: ProviderContext) -> Any:
        """Answer in the shape that was asked for, as a model may do of its own accord."""
        assert request.response_format is None
        return await ScriptedProvider(json.dumps({"x": 1})).invoke(request, context)


@pytest.mark.parametrize(
    ("messages", "options"),
    [
        ([UserMessage((TextPart("?"), MediaPart("image/png", b"x")))], {}),
        ("?", {"tools": [weather]}),
        ("?", {"reasoning": "high"}),
        ("?", {"response_format": Point}),
    ],
)
async def test_what_a_model_cannot_do_is_refused_before_the_wire(messages: Any, options: Any) -> None:
    """Images, tools, reasoning, shapes: by what the model's description says."""
    async with ModelHub(providers=[Simple]) as hub:
        with pytest.raises(UnsupportedFeature, match="simple/m"):
            await hub.chat("simple/m", messages, **options)


async def test_a_shape_that_the_model_is_not_held_to_is_still_checked() -> None:
    """A lenient policy asks without it; the answer that comes is in the shape, or it is an error."""
    async with ModelHub(providers=[Simple], policy="clamp") as hub:
        reply = await hub.chat("simple/m", "?", response_format=Point)
        assert reply.output == Point(1)
        assert reply.warnings[0].parameter == "response_format"
        with pytest.raises(OutputInvalid):
            await hub.chat("simple/m", "?", response_format=Invoice)


async def test_what_a_model_said_can_be_sent_back_in_any_form() -> None:
    """As the message it was, or as the dict that another library stores."""
    scripted = ScriptedProvider("Halo", "ok", "ok")
    async with ModelHub(providers=[scripted]) as hub:
        reply = await hub.chat("scripted/m", "Hi")
        await hub.chat("scripted/m", [UserMessage("Hi"), reply.message, UserMessage("And?")])
        stored = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": reply.text}]
        await hub.chat("scripted/m", [*stored, {"role": "user", "content": "And?"}])
    for request in scripted.requests[1:]:
        assert request.messages[1] == AssistantMessage((TextPart("Halo"),))
