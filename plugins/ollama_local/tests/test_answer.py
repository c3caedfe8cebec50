"""Answers: every recording of a whole one, and the forms that no recording has, to events and results."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from modelhub.errors import MalformedResponse, ModelHubError, ServerError
from modelhub.provider import DecodeState, folded
from modelhub.types.events import Finish, FinishReason, Notice, ReasoningDelta, Started, TextDelta, ToolCallDelta
from modelhub.types.messages import AssistantMessage, ReasoningPart, TextPart, UserMessage
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool
from modelhub_ollama_local.llm import OllamaLLM
from modelhub_ollama_local.show import schema_of

Recordings = Mapping[str, Any]
Events = Callable[..., list[Any]]
Result = Callable[..., ChatResult[None]]

THOUGHT = "I add 3 and 4. The sum is 7."
WHOLE = {  # text, thinking, finish, input and output tokens
    "chat": ("I'm so glad you're here. " * 3, "", "length", 12, 24),
    "chat-assistant-prefill": ("", "", "stop", 16, 1),
    "chat-bad-role": ("Hi", "", "stop", 12, 2),
    "chat-empty-content": ("The original sentence is", "", "length", 9, 4),
    "chat-extra-field": ("The phrase", "", "length", 10, 2),
    "chat-keep-alive-forever": ('The phrase "The', "", "length", 10, 4),
    "chat-length": ("The number of ways to arrange the first", "", "length", 14, 8),
    "chat-num-ctx-too-big": ("The phrase", "", "length", 10, 2),
    "chat-stop-list": ("1. 1\n2. 2\n", "", "stop", 17, 11),
    "chat-stream-default": ('The phrase "The Greatest', "", "length", 10, 6),
    "chat-system": (
        "The answer to this question is a classic example of a linguistic",
        "",
        "length",
        34,
        12,
    ),
    "chat-think": ("7", THOUGHT, "stop", 133, 22),
    "chat-think-off": (f"<think>{THOUGHT}</think>7", "", "stop", 133, 22),
    "chat-think-stream": ("7", THOUGHT, "stop", 133, 22),
    "chat-tools-two-stream": (
        "Hello! I'm here to help with your data analysis. What can I do",
        "",
        "length",
        86,
        16,
    ),
    "chat-unknown-option": ('The phrase "The Greatest', "", "length", 10, 6),
    "generate": ("I'm so glad you're here. I'm so glad", "", "length", 12, 12),
    "generate-raw-stream": (" Paris.\n\nThe United States has", "", "length", 5, 8),
    "runner-killed-next": ("I'm so glad you're", "", "length", 12, 6),
}
BEGINNINGS = {
    "chat-json": ('{\n  "name": "Mike"', "length", 21, 60),
    "chat-schema": ('{\n  "city": "Paris",\n  "celsius": 21', "stop", 23, 46),
    "chat-schema-stream": ('{\n  "city": "Rome",\n  "celsius": 30', "stop", 23, 46),
    "chat-stream": ("The two most popular colours in the world are:\n\n- Red", "length", 13, 40),
}
DONE = {"model": "m", "message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


def piece(**message: Any) -> dict[str, Any]:
    """Return a document that is not the last."""
    return {
        "model": "m",
        "created_at": "2026-11-22T00:00:00Z",
        "message": {"role": "assistant", **message},
        "done": False,
    }


def done(**fields: Any) -> dict[str, Any]:
    """Return the last document of an answer."""
    return {**DONE, **fields}


def codes(result: ChatResult[None]) -> list[str]:
    """Return the warnings' codes."""
    return [warning.code for warning in result.warnings]


@pytest.mark.parametrize("name", WHOLE)
def test_a_recorded_answer_has_its_text_reasoning_reason_and_counts(
    recordings: Recordings, result: Result, name: str
) -> None:
    """Whole or streamed, chat or generate: the same result."""
    text, thinking, reason, given, made = WHOLE[name]
    answer = result(recordings[name])
    assert (answer.text.rstrip(" "), answer.reasoning) == (text.rstrip(" "), thinking)
    assert (answer.finish_reason, answer.raw_finish_reason) == (FinishReason(reason), reason)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (given, made)


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_long_recorded_answer_begins_and_ends_as_it_was_sent(
    recordings: Recordings, result: Result, name: str
) -> None:
    """The rest of the text is as long as the server's own."""
    beginning, reason, given, made = BEGINNINGS[name]
    answer = result(recordings[name])
    assert answer.text.startswith(beginning)
    assert answer.raw_finish_reason == reason
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (given, made)


@pytest.mark.parametrize("name", ["chat-tools", "chat-tools-stream"])
def test_a_recorded_tool_call_is_whole(recordings: Recordings, result: Result, name: str) -> None:
    """Its id is the server's; the answer ended to have it run, though the server says `stop`."""
    answer = result(recordings[name])
    (call,) = answer.tool_calls
    assert call.id.startswith("call_")
    assert (call.name, call.arguments) == ("get_weather", {"city": "Paris"})
    assert (answer.finish_reason, answer.raw_finish_reason) == (FinishReason.TOOL_CALLS, "stop")


def test_every_recorded_answer_of_a_model_is_decoded_here(recordings: Recordings) -> None:
    """A new recording needs a line above."""
    answers = {
        name
        for name, recording in recordings.items()
        if recording["request"]["path"] in {"/api/chat", "/api/generate"} and recording["response"]["status"] == 200
    }
    elsewhere = {"chat-tools", "chat-tools-stream", "runner-killed", "load", "unload"}
    assert answers == {*WHOLE, *BEGINNINGS, *elsewhere}


def test_a_recorded_stream_has_one_event_for_each_piece(recordings: Recordings, events: Events) -> None:
    """Started, then a text for each line in order, all of one part, then the finish."""
    started, *texts, finish = events(recordings["chat-length"])
    assert started == Started(model="smollm2:135m")
    assert [event.text for event in texts] == ["The", " number", " of", " ways", " to", " arrange", " the", " first"]
    assert {event.part for event in texts} == {0}
    assert isinstance(finish, Finish)


def test_a_runner_that_dies_is_an_error_after_what_came(recordings: Recordings, events: Events) -> None:
    """The last line under status 200 is an error of the server's, and everything before it was delivered."""
    with pytest.raises(ServerError, match="an error was encountered while running the model") as caught:
        events(recordings["runner-killed"])
    assert caught.value.status == 200
    body = recordings["runner-killed"]["response"]["body"].splitlines(keepends=True)
    before = {"response": {"body": "".join(body[:-1])}}
    assert folded(events(before)).text == "The river was a life-"


@pytest.mark.parametrize("name", ["load", "unload"])
def test_loading_a_model_is_no_answer(recordings: Recordings, events: Events, name: str) -> None:
    """An empty completion would be taken for what the model said."""
    with pytest.raises(MalformedResponse, match=f"{name}ed"):
        events(recordings[name])


def test_thinking_and_text_are_parts_in_order(events: Events) -> None:
    """Thinking that comes again after text is a part of its own."""
    answer = folded(
        events([piece(thinking="a", content=""), piece(thinking="b"), piece(content="c"), piece(thinking="d"), done()])
    )
    assert answer.message.parts == (ReasoningPart("ab"), TextPart("c"), ReasoningPart("d"))


def test_the_last_document_may_have_content(events: Events) -> None:
    """Text, thinking and calls of the done line are not lost."""
    call = {"function": {"name": "f", "arguments": {}}}
    last = done(message={"role": "assistant", "content": "end", "thinking": "so", "tool_calls": [call]})
    answer = folded(events([piece(content="the "), last]))
    assert (answer.text, answer.reasoning, len(answer.tool_calls)) == ("the end", "so", 1)


def test_calls_are_never_merged(events: Events) -> None:
    """Two calls of index 0 without ids, in one list and across lines, are three calls with ids of their own."""

    def call(city: str) -> dict[str, Any]:
        return {"function": {"index": 0, "name": "get_weather", "arguments": {"city": city}}}

    answer = folded(
        events([piece(content="", tool_calls=[call("Rome"), call("Paris")]), piece(tool_calls=[call("Oslo")]), done()])
    )
    assert [part.arguments for part in answer.tool_calls] == [{"city": "Rome"}, {"city": "Paris"}, {"city": "Oslo"}]
    assert len({part.id for part in answer.tool_calls}) == 3
    assert answer.finish_reason is FinishReason.TOOL_CALLS


def test_text_after_a_call_arrives_whole(events: Events) -> None:
    """It is a part after the call, word for word."""
    call = {"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}
    answer = folded(
        events(
            [
                piece(content="I will check. "),
                piece(tool_calls=[call]),
                piece(content="I"),
                piece(content=" am"),
                done(),
            ]
        )
    )
    assert [part.type for part in answer.message.parts] == ["text", "tool_call", "text"]
    assert answer.text == "I will check. I am"


@pytest.mark.parametrize(
    ("arguments", "raw", "read"),
    [
        ({"a": [1, "é", None, 1.5]}, '{"a":[1,"é",null,1.5]}', {"a": [1, "é", None, 1.5]}),
        ({}, "{}", {}),
        (None, "{}", {}),
        ('{"a":1}', '{"a":1}', {"a": 1}),
        ('{"ci', '{"ci', None),
    ],
)
def test_arguments_are_the_text_of_an_object(events: Events, arguments: object, raw: str, read: object) -> None:
    """An object as the server sends it, or the text that proxies make of it."""
    answer = folded(
        events([piece(tool_calls=[{"id": "c", "function": {"name": "f", "arguments": arguments}}]), done()])
    )
    (call,) = answer.tool_calls
    assert (call.raw_arguments, call.arguments) == (raw, read)


@pytest.mark.parametrize(
    "document",
    [
        piece(tool_calls=["f"]),
        piece(tool_calls=[{"id": "c"}]),
        piece(tool_calls=[{"function": {"name": "f", "arguments": {"a": float("inf")}}}]),
        piece(content=["a", "list"]),
        piece(thinking=5),
        {"status": "success"},
        {"choices": []},
    ],
)
def test_what_ollama_never_answers_is_named_as_that(events: Events, document: dict[str, Any]) -> None:
    """Another server behind the base URL is no silence and no crash."""
    with pytest.raises(MalformedResponse):
        events([document])


def test_what_came_before_something_wrong_in_a_document_is_kept(chat: Any) -> None:
    """Events of a document are given one by one."""
    decoded = iter(
        OllamaLLM().decode(
            piece(content="kept", tool_calls=["wrong"]), DecodeState(chat(), lambda *_: ModelHubError(""))
        )
    )
    assert [type(next(decoded)), next(decoded)] == [Started, TextDelta(0, "kept")]
    with pytest.raises(MalformedResponse):
        next(decoded)


@pytest.mark.parametrize("message", [None, {}, {"role": "assistant"}, {"role": "assistant", "content": None}])
def test_a_document_without_content_says_nothing(events: Events, message: object) -> None:
    """Null, nothing and an empty text are the same."""
    answer = folded(
        events([{"model": "m", "message": message, "done": False}, piece(content=""), done(message=message)])
    )
    assert answer.text == ""
    assert answer.message.parts == ()


@pytest.mark.parametrize(
    ("fields", "reason", "raw"),
    [
        ({"done_reason": None}, FinishReason.ERROR, None),
        ({"done_reason": ""}, FinishReason.ERROR, None),
        ({"done_reason": "length"}, FinishReason.LENGTH, "length"),
        ({"done_reason": "error"}, FinishReason.ERROR, "error"),
        ({"done_reason": "foo"}, FinishReason.UNKNOWN, "foo"),
    ],
)
def test_a_reason_that_is_missing_or_new_is_no_stop(
    events: Events, fields: dict[str, Any], reason: FinishReason, raw: str | None
) -> None:
    """Without a reason the runner's connection broke; a word that is not known is kept."""
    answer = folded(events([piece(content="a"), done(**fields)]))
    assert (answer.finish_reason, answer.raw_finish_reason) == (reason, raw)


def test_an_end_without_done_is_no_end(events: Events) -> None:
    """The server stops so after thirty equal tokens: nothing that is not `done: true` finishes an answer."""
    assert not [event for event in events([piece(content="a")]) if isinstance(event, Finish)]
    assert not [event for event in events([{**piece(content="a"), "done": "true"}]) if isinstance(event, Finish)]


def test_figures_that_are_missing_are_unknown(events: Events) -> None:
    """The server leaves out what is 0: absent is never 0."""
    answer = folded(events([done()]))
    assert (answer.usage, answer.timing) == (None, None)
    answer = folded(events([done(eval_count=3, prompt_eval_count="7", eval_duration=2_500_000_000)]))
    assert answer.usage is not None
    assert answer.timing is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (None, 3, None)
    assert (answer.timing.output, answer.timing.load) == (2.5, None)


def test_durations_are_seconds_and_the_figures_are_kept(recordings: Recordings, result: Result) -> None:
    """The server counts nanoseconds."""
    answer = result(recordings["chat"])
    assert answer.timing is not None
    assert answer.usage is not None
    assert answer.timing.load == pytest.approx(0.000995645)
    assert answer.timing.prompt == pytest.approx(0.048108)
    assert answer.timing.output == pytest.approx(0.254112)
    assert answer.usage.raw is not None
    assert answer.usage.raw["total_duration"] == 306482428


def test_probabilities_go_with_the_text_they_belong_to(events: Events) -> None:
    """Those of an empty piece wait for the next text; those of thinking are no text's."""

    def likely(token: str, *others: str) -> dict[str, Any]:
        top = [{"token": other, "logprob": -2.0} for other in others]
        return {"logprobs": [{"token": token, "logprob": -0.5, "bytes": [97], "top_logprobs": top}]}

    documents = [
        {**piece(thinking="x"), **likely("x")},
        {**piece(content=""), **likely("")},
        {**piece(content="a"), **likely("a", "b", "c")},
        {**piece(content=""), **likely("d")},
        done(logprobs=[{"token": "nonsense"}, "nonsense"]),
    ]
    answer = folded(events(documents))
    assert answer.logprobs is not None
    assert [each.token for each in answer.logprobs] == ["", "a", "d"]
    assert [each.token for each in answer.logprobs[1].top] == ["b", "c"]
    assert answer.message.parts == (ReasoningPart("x"), TextPart("a"))


def test_an_answer_from_elsewhere_says_so(events: Events) -> None:
    """A local server hands models of the cloud on: the caller is told that the conversation has left it."""
    documents = [
        {**piece(content="a"), "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"},
        done(),
    ]
    answer = folded(events(documents))
    assert codes(answer) == ["served_remotely"]
    assert "gpt-oss:120b at https://ollama.com:443" in answer.warnings[0].message


@pytest.mark.parametrize("texts", [["<think>so</think>7"], ["\n<", "thi", "nk>", "so</think>7"]])
@pytest.mark.parametrize("fields", [{"parameters": {"reasoning": False}}, {"options": {"think": False}}])
def test_reasoning_that_was_not_wanted_is_kept_and_named(
    events: Events, texts: list[str], fields: dict[str, Any]
) -> None:
    """A template that cannot suppress it puts it into the text; nothing is cut out of what the model said."""
    answer = folded(events([*(piece(content=text) for text in texts), done()], **fields))
    assert answer.text == "".join(texts)
    assert codes(answer) == ["reasoning_in_text"]


@pytest.mark.parametrize(
    ("texts", "fields"),
    [
        (["<thin", "king>"], {"parameters": {"reasoning": False}}),
        (["7 <think>"], {"parameters": {"reasoning": "none"}}),
        (["<think>"], {"parameters": {"reasoning": True}}),
        (["<think>"], {}),
    ],
)
def test_a_tag_elsewhere_is_text(events: Events, texts: list[str], fields: dict[str, Any]) -> None:
    """Only a text that begins with it, where no reasoning was wanted, is reasoning."""
    answer = folded(events([*(piece(content=text) for text in texts), done()], **fields))
    assert "reasoning_in_text" not in codes(answer)
    assert answer.text == "".join(texts)


def test_a_piece_of_text_takes_the_short_way_with_the_same_result(events: Events) -> None:
    """Fields beyond the usual ones, in any order, change nothing in the text."""
    usual = [piece(content=text) for text in ("a", "b", "", "c")]
    unusual = [{"extra": 1, **document} for document in usual]
    assert folded(events([*usual, done()])) == folded(events([*unusual, done()]))


# -- what the request gives rise to


def notices(found: list[Any]) -> list[str]:
    """Return the codes of the notices, all of which come before any content."""
    first = next(
        (number for number, event in enumerate(found) if isinstance(event, (TextDelta, ReasoningDelta, ToolCallDelta))),
        len(found),
    )
    return [event.warning.code for event in found[:first] if isinstance(event, Notice)]


ANSWER = [piece(content="a"), piece(content="b"), done()]
GPT_OSS = schema_of("gpt-oss:20b", {})
TRAINED = ModelSchema("m", model_properties={"trained_context_size": 8192})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"messages": [UserMessage("a"), AssistantMessage("b")]}, ["assistant_last"]),
        ({"messages": [UserMessage("a", name="Ann")]}, ["name_dropped"]),
        ({"options": {"num_ctx": 16384}, "schema": TRAINED}, ["num_ctx_clamped"]),
        ({"options": {"num_ctx": 8192}, "schema": TRAINED}, []),
        ({"options": {"num_ctx": 16384}}, []),
        ({"parameters": {"reasoning": "high"}}, ["reasoning_adjusted"]),
        ({"parameters": {"reasoning": True}}, []),
        ({"parameters": {"reasoning": "none"}}, []),
        ({"parameters": {"reasoning": "high"}, "options": {"think": True}}, []),
        ({"parameters": {"reasoning": "high"}, "schema": GPT_OSS}, []),
        ({"tools": [Tool("f", "", {"type": "object", "properties": {"a": {"minimum": 1}}})]}, ["tool_schema_reduced"]),
        ({"tools": [Tool("f")]}, []),
    ],
)
def test_the_caller_hears_what_will_be_other_than_asked(
    events: Events, fields: dict[str, Any], expected: list[str]
) -> None:
    """Once, before the first content, and only where there is something to hear."""
    assert notices(events(ANSWER, **fields)) == expected


# -- a prompt that the server has cut

LONG = "word " * 4000
SCHEMA = ModelSchema("m", model_properties={"context_size": 2048})
MODERN = ModelSchema("m", model_properties={"context_size": 8192, "counts_cached_tokens": True})
EMPTY = {"prompt_eval_count": 1025, "eval_count": 1}


@pytest.mark.parametrize(
    ("documents", "fields"),
    [
        ([done(**EMPTY)], {}),
        ([piece(content="a"), done(**EMPTY)], {"schema": SCHEMA}),
        ([piece(content="a"), done(**EMPTY)], {"options": {"num_ctx": 2048}}),
        ([piece(content="a"), done(**EMPTY)], {"schema": MODERN}),
    ],
)
def test_a_prompt_that_was_cut_is_noticed(events: Events, documents: list[Any], fields: dict[str, Any]) -> None:
    """The count is the sign, far below what was sent: with an empty answer, a window too small, or a new server."""
    answer = folded(events(documents, messages=[UserMessage(LONG)], **fields))
    assert codes(answer) == ["prompt_truncated"]
    assert "1025" in answer.warnings[0].message


@pytest.mark.parametrize(
    ("documents", "text", "fields"),
    [
        ([piece(content="a"), done(prompt_eval_count=12, eval_count=5)], LONG, {}),  # an old server, from its cache
        ([piece(content="a"), done(eval_count=5)], LONG, {"schema": MODERN}),
        ([piece(content="a"), done(prompt_eval_count=4010, eval_count=5)], LONG, {"schema": MODERN}),
        ([piece(content="a"), done(**EMPTY)], LONG, {}),
        ([piece(thinking="a"), done(**EMPTY)], LONG, {}),
        ([piece(tool_calls=[{"function": {"name": "f"}}]), done(**EMPTY)], LONG, {}),
        ([done(prompt_eval_count=1025, eval_count=9)], LONG, {}),
        ([done(prompt_eval_count=12, eval_count=1)], "Hello", {"schema": MODERN}),
        ([done(prompt_eval_count=2500, eval_count=1)], "internationalization " * 1000, {"schema": MODERN}),
    ],
)
def test_a_low_count_alone_is_no_alarm(events: Events, documents: list[Any], text: str, fields: dict[str, Any]) -> None:
    """Servers before 0.4 count only what was not in their cache, or nothing."""
    assert codes(folded(events(documents, messages=[UserMessage(text)], **fields))) == []
