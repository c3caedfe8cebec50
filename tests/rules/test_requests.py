"""A request is checked whoever made it, each complaint naming its field."""

import math
from typing import Any

import pytest

from modelhub.errors import BadRequest
from modelhub.rules.requests import checked_choice, checked_request, checked_timeout
from modelhub.types.messages import SystemMessage, UserMessage
from modelhub.types.requests import (
    ChatRequest,
    EmbedRequest,
    ModerationRequest,
    RerankRequest,
    SpeechRequest,
    TranscriptionRequest,
)
from modelhub.types.tools import Tool

HI = (UserMessage("Hi"),)
TOOLS = (Tool("weather"), Tool("time"))


class Own(ChatRequest[None]):
    """A request of an application's own class."""


@pytest.mark.parametrize(
    ("request_", "checked"),
    [
        (ChatRequest(messages=HI), ChatRequest(messages=HI)),
        (ChatRequest(messages="Hi"), ChatRequest(messages=HI)),  # type: ignore[arg-type]
        (
            ChatRequest(messages=[{"role": "system", "content": "x"}, *HI]),  # type: ignore[list-item]
            ChatRequest(messages=(SystemMessage("x"), *HI)),
        ),
        (EmbedRequest(texts="one"), EmbedRequest(texts=("one",))),
        (EmbedRequest(texts=["one", "two"], dimensions=256), EmbedRequest(texts=("one", "two"), dimensions=256)),
        (EmbedRequest(texts=[]), EmbedRequest(texts=())),
        (
            RerankRequest(query="?", documents=["a"], top_n=0),
            RerankRequest(query="?", documents=("a",), top_n=0),
        ),
        (TranscriptionRequest(audio=bytearray(b"x")), TranscriptionRequest(audio=b"x")),  # type: ignore[arg-type]
        (TranscriptionRequest(audio=memoryview(b"x")), TranscriptionRequest(audio=b"x")),  # type: ignore[arg-type]
        (SpeechRequest(text="x", speed=1.5, voice="a"), SpeechRequest(text="x", speed=1.5, voice="a")),
        (ModerationRequest(text="", timeout=5), ModerationRequest(text="", timeout=5)),
    ],
)
def test_what_can_be_served_is_made_ready(request_: Any, checked: Any) -> None:
    """Texts in a tuple, messages read, bytes as bytes."""
    assert checked_request(request_) == checked


@pytest.mark.parametrize(
    ("request_", "parameter"),
    [
        (ChatRequest(messages=()), "messages"),
        (ChatRequest(messages=[UserMessage("\ud800")]), "messages[0].content"),
        (ChatRequest(messages=HI, timeout=0), "timeout"),
        (ChatRequest(messages=HI, tool_choice="weather"), "tool_choice"),
        (EmbedRequest(texts=["a", "\ud800"]), "texts[1]"),
        (EmbedRequest(texts=[1]), "texts[0]"),  # type: ignore[list-item]
        (EmbedRequest(texts=None), "texts"),  # type: ignore[arg-type]
        (EmbedRequest(texts=b"x"), "texts"),  # type: ignore[arg-type]
        (EmbedRequest(texts="x", dimensions=0), "dimensions"),
        (EmbedRequest(texts="x", dimensions=2.5), "dimensions"),  # type: ignore[arg-type]
        (RerankRequest(query=None, documents=["x"]), "query"),  # type: ignore[arg-type]
        (RerankRequest(query="?", documents=["x", {"text": "y"}]), "documents[1]"),  # type: ignore[list-item]
        (RerankRequest(query="?", documents=["x"], top_n=-1), "top_n"),
        (RerankRequest(query="?", documents=["x"], top_n=True), "top_n"),
        (TranscriptionRequest(audio="x"), "audio"),  # type: ignore[arg-type]
        (TranscriptionRequest(audio=b"x", prompt="\ud800"), "prompt"),
        (TranscriptionRequest(audio=b"x", language=7), "language"),  # type: ignore[arg-type]
        (SpeechRequest(text="\ud800"), "text"),
        (SpeechRequest(text="x", speed=math.nan), "speed"),
        (SpeechRequest(text="x", speed=-1), "speed"),
        (SpeechRequest(text="x", voice=7), "voice"),  # type: ignore[arg-type]
        (ModerationRequest(text=7), "text"),  # type: ignore[arg-type]
        ({"messages": "Hi"}, "request"),
        (Own(messages=HI), "request"),
    ],
)
def test_what_can_never_be_served_is_refused(request_: Any, parameter: str) -> None:
    """Before any model is looked at."""
    with pytest.raises(BadRequest) as caught:
        checked_request(request_)
    assert caught.value.parameter == parameter


@pytest.mark.parametrize("seconds", [0, -1, math.nan, True, "5", [5]])
def test_a_limit_of_time_is_a_number_of_seconds(seconds: Any) -> None:
    """Above 0; the smallest and the largest are fine."""
    with pytest.raises(BadRequest) as caught:
        checked_timeout(seconds)
    assert caught.value.parameter == "timeout"
    assert [checked_timeout(each) for each in (None, 1e-9, 5, math.inf)] == [None, 1e-9, 5, math.inf]


@pytest.mark.parametrize(
    ("choice", "checked"),
    [
        (None, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("weather", "weather"),
        ({"type": "function", "function": {"name": "time"}}, "time"),
        ({"type": "auto"}, "auto"),
        ({"name": "time"}, "time"),
    ],
)
def test_a_choice_names_a_tool_of_the_call(choice: Any, checked: str | None) -> None:
    """Or says how free the model is; OpenAI's dicts are understood."""
    assert checked_choice(choice, TOOLS) == checked


@pytest.mark.parametrize(
    ("choice", "tools"),
    [
        ("wether", TOOLS),
        ("required", ()),
        ("weather", ()),
        (True, TOOLS),
        (["auto"], TOOLS),
        ({}, TOOLS),
        ({"function": 7}, TOOLS),
        ({"function": {"name": ["x"]}}, TOOLS),
    ],
)
def test_a_choice_that_can_never_be_made_is_refused(choice: Any, tools: tuple[Tool, ...]) -> None:
    """A model told to call a tool that it was not given would do anything."""
    with pytest.raises(BadRequest) as caught:
        checked_choice(choice, tools)
    assert caught.value.parameter == "tool_choice"
    if choice == "wether":
        assert "'weather'" in (caught.value.remedy or "")


def test_tools_have_names_of_their_own() -> None:
    """A call could not be told apart."""
    with pytest.raises(BadRequest, match="weather") as caught:
        checked_choice(None, (*TOOLS, Tool("weather")))
    assert caught.value.parameter == "tools"
