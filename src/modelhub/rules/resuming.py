"""How an answer that broke off is continued: whether it can be, what is asked then, and how two parts become one.

Only plain text is continued. Owns no call: which deployment continues is decided by the runtime, with `family`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import cast, final

from modelhub.rules.overlap import Overlap
from modelhub.rules.rule_set import RuleSet
from modelhub.types.events import (
    ChatEvent,
    Citation,
    Finish,
    MediaDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from modelhub.types.json import JSON
from modelhub.types.messages import AssistantMessage, TextPart
from modelhub.types.parameters import ChatParameters
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelSchema
from modelhub.types.usage import Usage

__all__ = ["Splice", "continued", "emitted_tokens", "family", "joined", "may_continue", "summed"]

_BYTES_PER_TOKEN = 3
"""Fewer than a token has in any language that models are trained on: the estimate is rather too high."""

_SHAPES = ("response_format", "json_schema")
_UNFORCED = (None, "auto", "none")
_NO_THINKING = (None, False, "none", "off", "disabled")


def family(provider: str, schema: ModelSchema) -> str:
    """Return a word that is the same for two models where one may continue the other's answer.

    It is the model's property ``family``, where the manifest or the settings give one; else the provider and the
    model's name, so that only another server or key of the same model continues an answer.
    """
    named = schema.model_properties.get("family")
    return named if isinstance(named, str) and named else f"{provider}/{schema.model}"


def emitted_tokens(partial: ChatResult[None]) -> int:
    """Return how many tokens an answer has so far: the vendor's count, or an estimate that is rather too high."""
    if partial.usage is not None and partial.usage.output_tokens is not None:
        return partial.usage.output_tokens
    return -(-len(partial.text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def may_continue(request: ChatRequest[None], partial: ChatResult[None], schema: ModelSchema | None) -> str | None:
    """Return why an answer cannot be continued, or ``None`` where it can.

    Args:
        request: What was asked, as it was prepared for the deployment that broke off.
        partial: What came of the answer.
        schema: The model that would continue it; ``None`` where nothing is known of it.
    """
    return (
        _unknown(schema) or _asked_for_more_than_text(request) or _more_than_text(partial) or _no_room(request, partial)
    )


def _unknown(schema: ModelSchema | None) -> str | None:
    if schema is None:
        return "the family of the model is not known"
    if schema.model_properties.get("prefill") is False:
        return f"{schema.model} does not go on with an answer that it is given"
    return None


def _asked_for_more_than_text(request: ChatRequest[None]) -> str | None:
    rules = () if request.schema is None else request.schema.parameter_rules or ()
    lookup = RuleSet.of(rules).lookup
    shapes = {*_SHAPES, *(lookup.meant[shape].name for shape in _SHAPES if shape in lookup.meant)}
    if request.response_format is not None or not shapes.isdisjoint(request.options):
        return "the answer must have a shape"
    if request.tools and request.tool_choice not in _UNFORCED:
        return "a tool must be called"
    thinking = [request.options.get(rule.name, False) for rule in lookup.reasoning]
    if any(value not in _NO_THINKING for value in (request.parameters.get("reasoning", False), *thinking)):
        return "the model thinks before it answers"
    if request.parameters.get("logprobs") or request.parameters.get("top_logprobs"):
        return "the probabilities of its tokens were asked for"
    return None


def _more_than_text(partial: ChatResult[None]) -> str | None:
    if partial.finish_reason is not None:
        return "the answer is at its end"
    if not partial.text.strip():
        found = {part.type for part in partial.message.parts} - {"text"}
        return f"nothing but {', '.join(sorted(found))} was received" if found else "nothing was received"
    match partial.message.parts:
        case [TextPart(state=None)] if partial.logprobs is None:
            return None
        case _:
            return "more than plain text was received"


def _no_room(request: ChatRequest[None], partial: ChatResult[None]) -> str | None:
    emitted = emitted_tokens(partial)
    if any(limit <= emitted for limit in _limits(request).values()):
        return "max_tokens are used up"
    return None


def _limits(request: ChatRequest[None]) -> Mapping[str, int]:
    """Return the limits of the answer's length, by the names they are given under."""
    rules = () if request.schema is None else request.schema.parameter_rules or ()
    meant = RuleSet.of(rules).lookup.meant.get("max_tokens")
    names = {"max_tokens", *(() if meant is None else (meant.name,))}
    found: dict[str, object] = {name: request.options[name] for name in names if name in request.options}
    if "max_tokens" in request.parameters:
        found["parameters"] = request.parameters["max_tokens"]
    return {name: value for name, value in found.items() if isinstance(value, int) and value > 0}


def continued(request: ChatRequest[None], partial: ChatResult[None], emitted: int) -> ChatRequest[None]:
    """Return the request for the rest of an answer: its beginning as the last message, and fewer tokens.

    Args:
        request: What was asked, as it was prepared.
        partial: What came; `may_continue` has allowed it.
        emitted: Tokens that came; see `emitted_tokens`.
    """
    # White space at the end is refused by some vendors, and no model goes on from it as from words.
    begun = AssistantMessage(partial.text.rstrip())
    left = {name: limit - emitted for name, limit in _limits(request).items()}
    parameters: dict[str, object] = dict(request.parameters)
    if "parameters" in left:
        parameters["max_tokens"] = left.pop("parameters")
    return replace(
        request,
        messages=(*request.messages, begun),
        parameters=cast("ChatParameters", parameters),
        options={**request.options, **left} if left else request.options,
    )


def summed(first: Usage | None, second: Usage | None) -> Usage | None:
    """Add what both parts of an answer used; ``raw`` holds the figures of each, ``None`` where it has none.

    A figure that either lacks is ``None`` in the sum: a stream that broke off rarely tells its own.
    """
    if first is None and second is None:
        return None
    raw: dict[str, JSON] = {"parts": [_figures(first), _figures(second)]}
    return replace((first or Usage()).plus(second or Usage()), raw=raw)


def _figures(usage: Usage | None) -> JSON:
    if usage is None:
        return None
    figures = {each.name: getattr(usage, each.name) for each in fields(usage) if each.name != "raw"}
    return {name: value for name, value in figures.items() if value is not None and value is not False}


def joined(first: ChatResult[None], second: ChatResult[None]) -> ChatResult[None]:
    """Make one answer of two parts, of which the second continues the text of the first without repeating it.

    How it ended and what it is called are the second's. It has no price: that is found for the whole.
    """
    parts = [*first.message.parts]
    rest = [*second.message.parts]
    shift = len(parts)
    match parts[-1:] + rest[:1]:
        case [TextPart() as last, TextPart() as more]:
            parts[-1:] = [TextPart(last.text + more.text, more.state)]
            rest = rest[1:]
            shift -= 1
        case _:
            pass
    known = {(each.code, each.message) for each in first.warnings}
    return replace(
        second,
        message=AssistantMessage((*parts, *rest)),
        usage=summed(first.usage, second.usage),
        cost=None,
        warnings=first.warnings + tuple(each for each in second.warnings if (each.code, each.message) not in known),
        citations=first.citations + tuple(replace(each, part=each.part + shift) for each in second.citations),
        resumed=True,
    )


@final
class Splice:
    """Turns the events of a continuation into events that go on after those that were delivered.

    What they fold to, together with those, is the whole answer but for ``resumed``.

    Args:
        partial: What was delivered; `may_continue` has allowed it.
        part: The number of its text.

    Attributes:
        partial: What was delivered.
        usage: What the continuation alone used, as far as it has been told.
    """

    __slots__ = ("_begun", "_overlap", "_part", "_parts", "partial", "usage")

    def __init__(self, partial: ChatResult[None], *, part: int = 0) -> None:
        self.partial: ChatResult[None] = partial
        self.usage: Usage | None = None
        self._overlap = Overlap(partial.text)
        self._part = part
        self._parts: dict[int, int] = {}
        self._begun: int | None = None

    def take(self, event: ChatEvent) -> tuple[ChatEvent, ...]:
        """Return the events that the next one becomes: none, itself, or what was held back before it."""
        match event:
            case TextDelta() if not self._parts or self._begun == event.part:
                return self._text(event)
            case Started():
                return ()
            case Citation() if not self._parts or self._begun == event.part:
                return (replace(event, part=self._part),)
            case UsageUpdate():
                self.usage = event.usage
                return (replace(event, usage=summed(self.partial.usage, event.usage) or event.usage),)
            case Finish():
                self.usage = event.usage or self.usage
                return (*self._rest(), replace(event, usage=summed(self.partial.usage, self.usage)))
            case TextDelta() | ReasoningDelta() | ToolCallDelta() | MediaDelta() | Citation():
                return (*self._rest(), replace(event, part=self._number(event.part)))
            case _:
                return (event,)

    def flush(self) -> tuple[ChatEvent, ...]:
        """Return what is held back still, where the continuation broke off too."""
        return self._rest()

    def _text(self, event: TextDelta) -> tuple[ChatEvent, ...]:
        self._begun = event.part
        self._parts[event.part] = self._part
        text = self._overlap.feed(event.text)
        if not text and event.state is None and event.logprobs is None:
            return ()
        return (replace(event, part=self._part, text=text),)

    def _rest(self) -> tuple[ChatEvent, ...]:
        text = self._overlap.flush()
        return (TextDelta(self._part, text),) if text else ()

    def _number(self, part: int) -> int:
        """Return the number of a part of the continuation in the whole: they follow in the order they come in."""
        return self._parts.setdefault(part, self._part + len({self._part, *self._parts.values()}))

    def __repr__(self) -> str:
        return f"<Splice after part {self._part}: {self._overlap!r}>"
