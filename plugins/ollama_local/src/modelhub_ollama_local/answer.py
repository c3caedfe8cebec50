"""From the documents of an answer to events: those of ``/api/chat`` and of ``/api/generate``, streamed or whole.

Owns the meaning of the fields. Whoever reads the stream joins the events; a document is an answer's piece, and the
one with ``done`` its end, which may carry content of its own.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md (2026-11), and recordings of a server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

from modelhub.errors import MalformedResponse
from modelhub.provider import DecodeState
from modelhub.types.events import (
    ChatEvent,
    Finish,
    FinishReason,
    Notice,
    ReasoningDelta,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
)
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest
from modelhub.types.usage import Timing, Usage
from modelhub.wire.json import UnencodableValue, dumps
from modelhub_ollama_local.notices import warnings_for
from modelhub_ollama_local.tokens import characters, least_prompt

__all__ = ["events_in"]

_REASONS: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "error": FinishReason.ERROR,
}
_NO_ANSWER = ("load", "unload")
_COUNTS = ("prompt_eval_count", "eval_count")
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_FIGURES = (*_COUNTS, *_DURATIONS)
_NANOSECONDS = 1_000_000_000
_TAG = "<think>"
_PLAIN_FIELDS = 4  # model, created_at, message, done: a piece of text and nothing else
_TEXT_ONLY = 2  # role, content
_DENSEST = 5  # characters for each token: a prompt that was read whole has fewer, but for odd texts
_EMPTY_ANSWER = 1  # tokens: the one that ends it


@final
class Reading:
    """What is known of an answer while it comes.

    Attributes:
        begun: Whether its first document was read.
        wrote: Whether it has had any content.
        calls: How many tool calls it has had.
        head: Its first characters, where it matters whether they are ``<think>``; ``None`` where it does not.
        logprobs: Probabilities that wait for the text they belong to.
    """

    __slots__ = ("begun", "calls", "head", "logprobs", "wrote")

    def __init__(self, request: ChatRequest[None]) -> None:
        unwanted = request.options.get("think", request.parameters.get("reasoning")) in (False, "none")
        self.begun = False
        self.wrote = False
        self.calls = 0
        self.head: str | None = "" if unwanted else None
        self.logprobs: tuple[TokenLogprob, ...] = ()


def events_in(document: Mapping[str, Any], state: DecodeState) -> Iterable[ChatEvent]:
    """Return the events in one document; those before something wrong in it come first.

    Raises:
        ModelHubError: The document is an error.
        MalformedResponse: It is nothing that Ollama answers with.
    """
    reading: Reading | None = state.values.get("reading")
    if reading is None:
        reading = state.values["reading"] = Reading(state.request)
    message = document.get("message")
    # Nearly every document of a stream is this one: it is worth the shorter way.
    if (
        reading.wrote
        and type(message) is dict
        and len(document) == _PLAIN_FIELDS
        and document.get("done") is False
        and len(message) == _TEXT_ONLY
        and type(text := message.get("content")) is str
        and reading.head is None
    ):
        return (TextDelta(state.part("text"), text),) if text else ()
    return _events(document, reading, state)


def _events(document: Mapping[str, Any], reading: Reading, state: DecodeState) -> Iterator[ChatEvent]:
    if document.get("error"):
        # The answer had begun well: its status says nothing of the error.
        raise state.error(document, status=200)
    message = document.get("message")
    if message is None and "response" in document:
        message = {**document, "content": document["response"]}
    if message is None and "done" not in document:
        text = "the answer is none of Ollama's: it has neither message nor response"
        raise MalformedResponse(text, remedy="check the base URL", sent=True)
    if not reading.begun:
        reading.begun = True
        yield from _beginning(document, state.request)
    yield from _pieces(message if isinstance(message, dict) else {}, document, reading, state)
    if document.get("done") is True:
        yield from _ending(document, reading, state)


def _beginning(document: Mapping[str, Any], request: ChatRequest[None]) -> Iterator[ChatEvent]:
    model = document.get("model")
    yield Started(model=model if isinstance(model, str) else None)
    for warning in warnings_for(request):
        yield Notice(warning)
    remote = document.get("remote_model")
    if remote:
        where = document.get("remote_host") or "another server"
        text = f"the answer is of {remote} at {where}: the conversation has left this Ollama server"
        yield Notice(Warning("served_remotely", text))


def _pieces(
    message: Mapping[str, Any], document: Mapping[str, Any], reading: Reading, state: DecodeState
) -> Iterator[ChatEvent]:
    thinking = _text(message, "thinking")
    if thinking:
        reading.wrote = True
        yield ReasoningDelta(state.part("reasoning"), thinking)
    text = _text(message, "content")
    if (found := document.get("logprobs")) and not thinking:
        reading.logprobs += tuple(_logprobs(found))
    if text:
        reading.wrote = True
        if reading.head is not None:
            _watch(reading, text)
        logprobs, reading.logprobs = reading.logprobs, ()
        yield TextDelta(state.part("text"), text, logprobs or None)
    for call in message.get("tool_calls") or ():
        reading.wrote = True
        yield _call(call, reading, state)


def _watch(reading: Reading, text: str) -> None:
    """Keep the first characters for as long as they may be the tag."""
    if reading.head is not None and len(reading.head) < len(_TAG):
        head = (reading.head + text).lstrip()[: len(_TAG)]
        reading.head = head if _TAG.startswith(head) else None


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if value is None or isinstance(value, str):
        return value or ""
    raise MalformedResponse(f"{name} of the answer is a {type(value).__name__}, not a text", sent=True)


def _call(call: object, reading: Reading, state: DecodeState) -> ToolCallDelta:
    """Read one call. Each entry of a list is a call of its own, whatever index it bears: servers give 0 to all."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise MalformedResponse("a tool call of the answer has no function", sent=True)
    number, reading.calls = reading.calls, reading.calls + 1
    arguments = function.get("arguments")
    try:
        written = arguments if isinstance(arguments, str) else dumps({} if arguments is None else arguments).decode()
    except UnencodableValue as error:
        raise MalformedResponse(f"the arguments of a tool call are no JSON: {error}", sent=True) from error
    name = function.get("name")
    return ToolCallDelta(state.part("tool_call", number), call.get("id") or None, str(name or ""), written)


def _logprobs(found: object) -> Iterator[TokenLogprob]:
    for item in found if isinstance(found, list) else ():
        if isinstance(item, dict) and isinstance(item.get("logprob"), int | float):
            top = tuple(_logprobs(item.get("top_logprobs")))
            yield TokenLogprob(str(item.get("token", "")), float(item["logprob"]), top)


def _ending(document: Mapping[str, Any], reading: Reading, state: DecodeState) -> Iterator[ChatEvent]:
    raw = document.get("done_reason") or None
    if raw in _NO_ANSWER:
        text = f"the server says that it {raw}ed the model, and answers nothing"
        raise MalformedResponse(text, remedy="operate('ollama_local', 'preload') and 'unload' are for that", sent=True)
    if reading.logprobs and reading.wrote:
        yield TextDelta(state.part("text"), "", reading.logprobs)
    if reading.head == _TAG:
        text = "the model was asked not to reason and does so in its text, between <think> and </think>"
        yield Notice(Warning("reasoning_in_text", text, "reasoning"))
    usage = _usage(document)
    if usage is not None and (cut := _cut(usage, reading, state.request)):
        yield Notice(cut)
    reason = FinishReason.ERROR if raw is None else _REASONS.get(str(raw), FinishReason.UNKNOWN)
    yield Finish(reason, None if raw is None else str(raw), usage, _timing(document))


def _figure(document: Mapping[str, Any], name: str) -> int | None:
    """Return a count or a duration; the server leaves out what is 0, and older ones what came from a cache."""
    value = document.get(name)
    return value if type(value) is int and value >= 0 else None


def _usage(document: Mapping[str, Any]) -> Usage | None:
    counts = {name: _figure(document, name) for name in _COUNTS}
    if all(count is None for count in counts.values()):
        return None
    raw = {name: document[name] for name in _FIGURES if name in document}
    return Usage(counts["prompt_eval_count"], counts["eval_count"], raw=raw)


def _timing(document: Mapping[str, Any]) -> Timing | None:
    took = {name: _figure(document, name) for name in _DURATIONS}
    if all(value is None for value in took.values()):
        return None
    seconds = {name: None if value is None else value / _NANOSECONDS for name, value in took.items()}
    return Timing(seconds["load_duration"], seconds["prompt_eval_duration"], seconds["eval_duration"])


def _cut(usage: Usage, reading: Reading, request: ChatRequest[None]) -> Warning | None:
    """Tell a prompt whose beginning the server left out: it says so by the count alone.

    Servers before 0.4 count what was not in their cache, so a low count is a sign only where it comes with
    another: an empty answer, a window that the prompt cannot fit in, or a server known to be newer.
    """
    read = usage.input_tokens
    if read is None:
        return None
    if characters(request) <= _DENSEST * read:
        return None  # as with nearly every prompt; looking closer takes time that grows with it
    least = least_prompt(request)
    if read >= least:
        return None
    properties = request.schema.model_properties if request.schema else {}
    window = request.options.get("num_ctx") or properties.get("context_size")
    empty = not reading.wrote and (usage.output_tokens or 0) <= _EMPTY_ANSWER
    too_long = isinstance(window, int) and least > window
    if not (empty or too_long or properties.get("counts_cached_tokens")):
        return None
    text = f"the server read {read} tokens of a prompt that has {least} at least: it has left out the beginning"
    remedy = "shorten the messages, or give a larger num_ctx"
    return Warning("prompt_truncated", f"{text} ({remedy})", "messages")
