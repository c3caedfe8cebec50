"""Conversations on the wire: roles, parts, images, tool calls and results, and the one text of /api/generate."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.provider import Credential
from modelhub.types.messages import (
    AssistantMessage,
    MediaPart,
    ReasoningPart,
    SystemMessage,
    TextPart,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool
from modelhub_ollama_local.llm import OllamaLLM

Body = Callable[..., dict[str, Any]]
PNG = b"\x89PNG not really"
WEATHER = Tool(
    "get_weather", "Current weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}}
)
COMPLETION = ModelSchema("base", model_properties={"mode": "completion"})


def test_every_role_has_its_message(body: Body) -> None:
    """System, user and assistant keep their order and their text."""
    sent = body(SystemMessage("Be brief."), UserMessage("Hi"), AssistantMessage("Hello"), UserMessage("Bye"))
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]


@pytest.mark.parametrize(
    "image",
    [
        MediaPart("image/png", PNG),
        MediaPart("image/png", url="data:image/png;base64," + base64.b64encode(PNG).decode()),
    ],
)
def test_an_image_is_bare_base64_beside_a_content_of_text(body: Body, image: MediaPart) -> None:
    """A content of parts is a type error of the server's, and a data: prefix is no base64."""
    sent = body(UserMessage([TextPart("What is this?"), image, TextPart("Say it.")]))
    assert sent["messages"] == [
        {"role": "user", "content": "What is this?\nSay it.", "images": [base64.b64encode(PNG).decode()]}
    ]


def test_an_image_elsewhere_is_refused_with_what_to_do(body: Body) -> None:
    """The server fetches nothing; the URL would be taken for base64."""
    image = MediaPart("image/png", url="https://example.org/a.png")
    with pytest.raises(UnsupportedFeature, match="bytes") as caught:
        body(UserMessage("Look:"), UserMessage([image]))
    assert caught.value.parameter == "messages[1]"


@pytest.mark.parametrize("mime", ["audio/wav", "video/mp4", "application/pdf"])
def test_what_is_neither_text_nor_image_is_refused(body: Body, mime: str) -> None:
    """The server has no field for it."""
    with pytest.raises(UnsupportedFeature, match=mime):
        body(UserMessage([MediaPart(mime, b"x")]))


def test_a_call_and_its_result_go_back_as_the_server_gave_them(body: Body) -> None:
    """Arguments are an object; the result names the tool, found through the call's id."""
    call = ToolCall("call_1", "get_weather", {"city": "Rome"}, '{"city":"Rome"}')
    sent = body(UserMessage("Weather?"), AssistantMessage([call]), ToolMessage("21C", "call_1"))
    assert sent["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "call_1", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}],
        },
        {"role": "tool", "content": "21C", "tool_name": "get_weather", "tool_call_id": "call_1"},
    ]


def test_a_result_may_name_its_tool_itself(body: Body) -> None:
    """What the caller says counts; a call that the history does not have leaves the name out."""
    sent = body(ToolMessage("1", "a", name="mine"), ToolMessage("2", "b"))
    assert [message.get("tool_name") for message in sent["messages"]] == ["mine", None]


def test_arguments_that_are_no_json_are_shown_to_the_model(body: Body) -> None:
    """The server takes objects only, and the model must see what it wrote to do better."""
    sent = body(UserMessage("?"), AssistantMessage([ToolCall("c", "f", None, '{"ci')]), ToolMessage("no", "c"))
    assert sent["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"invalid_json": '{"ci'}


def test_reasoning_goes_back_beside_the_text(body: Body) -> None:
    """Thinking has a field of its own, and several parts of text are one content."""
    parts: list[Any] = [ReasoningPart("I add "), ReasoningPart("2 and 3."), TextPart("It is "), TextPart("5.")]
    sent = body(UserMessage("2+3?"), AssistantMessage(parts), UserMessage("Sure?"))
    assert sent["messages"][1] == {"role": "assistant", "content": "It is 5.", "thinking": "I add 2 and 3."}


def test_tools_are_sent_in_openais_shape(body: Body) -> None:
    """Both without a choice and with `auto`."""
    expected = [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "description": "Current weather of a city",
                "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    ]
    assert body(tools=[WEATHER])["tools"] == expected
    assert body(tools=[WEATHER], tool_choice="auto")["tools"] == expected


def test_tool_choice_none_leaves_the_tools_out(body: Body) -> None:
    """The server has no choice of tools: without tools none is called."""
    assert "tools" not in body(tools=[WEATHER], tool_choice="none")


@pytest.mark.parametrize("choice", ["required", "get_weather"])
def test_a_choice_that_the_server_would_ignore_is_refused(body: Body, choice: str) -> None:
    """A tool that must be called cannot be demanded of Ollama."""
    with pytest.raises(UnsupportedFeature) as caught:
        body(tools=[WEATHER], tool_choice=choice)
    assert caught.value.parameter == "tool_choice"


def test_a_response_format_is_the_bare_schema_or_the_word_json(body: Body) -> None:
    """OpenAI's wrapper around a schema would be a schema without any rule."""
    schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
    assert body(response_format=ResponseFormat(schema))["format"] == schema
    assert body(response_format=ResponseFormat())["format"] == "json"


def test_an_empty_conversation_is_refused(body: Body) -> None:
    """The server would load the model and call that an answer; an empty message is one all the same."""
    with pytest.raises(BadRequest, match="no messages"):
        OllamaLLM().encode(ChatRequest(model="llama3"), Credential({}))
    with pytest.raises(BadRequest, match="no text"):
        OllamaLLM().encode(ChatRequest(model="llama3", options={"raw": True}), Credential({}))
    assert body(UserMessage(""))["messages"] == [{"role": "user", "content": ""}]


def test_a_name_that_cannot_be_one_is_refused_before_the_wire(body: Body) -> None:
    """The server's own complaint would come one request later."""
    with pytest.raises(BadRequest) as caught:
        body(model="a b/c//d")
    assert caught.value.parameter == "model"


@pytest.mark.parametrize("options", [{"raw": True}, {"suffix": "return x"}, {"template": "{{ .Prompt }}"}])
def test_options_of_generate_ask_generate(body: Body, options: dict[str, Any]) -> None:
    """raw, suffix and template exist there only; the text is the prompt."""
    sent = body(UserMessage("def f("), options=options, parameters={"max_tokens": 8}, stream=True)
    expected = {"path": "/api/generate", "model": "llama3", "prompt": "def f(", "stream": True}
    assert sent == {**expected, **options, "options": {"num_predict": 8}}


def test_generate_takes_instructions_images_and_a_format(body: Body) -> None:
    """Everything that one text may have goes along."""
    image = MediaPart("image/png", PNG)
    sent = body(
        SystemMessage("Be brief."),
        UserMessage([TextPart("Look"), image]),
        options={"template": "{{ .Prompt }}"},
        response_format=ResponseFormat(),
    )
    assert (sent["system"], sent["prompt"], sent["format"]) == ("Be brief.", "Look", "json")
    assert sent["images"] == [base64.b64encode(PNG).decode()]


def test_instructions_in_ollamas_own_words_go_before_the_message(body: Body) -> None:
    """The option system replaces the Modelfile's, where one text is continued."""
    sent = body(SystemMessage("a"), UserMessage("b"), options={"template": "t", "system": "c"})
    assert sent["system"] == "c"


def test_a_model_made_for_completion_is_asked_to_continue(body: Body) -> None:
    """One text goes to /api/generate; a conversation still goes where it can be said."""
    assert body(UserMessage("Once upon"), schema=COMPLETION)["path"] == "/api/generate"
    history = (UserMessage("a"), AssistantMessage("b"), UserMessage("c"))
    assert body(*history, schema=COMPLETION)["path"] == "/api/chat"
    assert body(UserMessage("a"), schema=COMPLETION, tools=[WEATHER])["path"] == "/api/chat"


@pytest.mark.parametrize(
    ("messages", "fields", "parameter"),
    [
        ([UserMessage("a"), AssistantMessage("b"), UserMessage("c")], {"options": {"raw": True}}, "messages"),
        ([UserMessage("")], {"options": {"raw": True}}, "messages"),
        ([SystemMessage("a"), UserMessage("b")], {"options": {"raw": True}}, "messages"),
        ([UserMessage("a")], {"options": {"raw": True}, "tools": [WEATHER]}, "tools"),
        ([UserMessage("a")], {"options": {"system": "b"}}, "system"),
    ],
)
def test_what_one_text_cannot_have_is_refused(
    body: Body, messages: list[Any], fields: dict[str, Any], parameter: str
) -> None:
    """A history, an empty text, instructions in raw text, tools, and the option system without the others."""
    with pytest.raises(BadRequest) as caught:
        body(*messages, **fields)
    assert caught.value.parameter == parameter
