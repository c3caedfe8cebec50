"""An answer that broke off is continued only where it is plain text, and the two parts become one."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.rules.fold import ChatFold, folded
from modelhub.rules.resuming import Splice, continued, emitted_tokens, family, joined, may_continue, summed
from modelhub.types.events import (
    ChatEvent,
    Citation,
    Finish,
    FinishReason,
    MediaDelta,
    Notice,
    ReasoningDelta,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    UsageUpdate,
)
from modelhub.types.messages import AssistantMessage, ReasoningPart, TextPart, ToolCall, UserMessage
from modelhub.types.parameters import ParameterRule
from modelhub.types.records import Warning
from modelhub.types.requests import ChatRequest, ResponseFormat
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelSchema
from modelhub.types.tools import Tool
from modelhub.types.usage import Usage

SCHEMA = ModelSchema("small")
RULES = (
    ParameterRule("num_predict", "max_tokens"),
    ParameterRule("output_format", "response_format"),
    ParameterRule("think", "reasoning"),
)
REQUEST: ChatRequest[None] = ChatRequest(
    model="small", messages=(UserMessage("Tell a story."),), schema=ModelSchema("small", parameter_rules=RULES)
)
TEXT = "Once upon a time there was a fox. "
HALF = folded([Started("a", "small"), TextDelta(0, TEXT)])
WEATHER = Tool("weather", "Tells the weather.", {})


def asking(**changes: Any) -> ChatRequest[None]:
    """Return a request for something else."""
    return replace(REQUEST, **changes)


def test_plain_text_may_be_continued() -> None:
    """With tools that need not be called, thinking that is switched off, and tokens left."""
    for request in (
        REQUEST,
        asking(tools=(WEATHER,), tool_choice="auto"),
        asking(parameters={"reasoning": "none", "max_tokens": 100, "temperature": 1}),
        asking(options={"think": False, "num_predict": 100}),
        asking(schema=None),
    ):
        assert may_continue(request, HALF, SCHEMA) is None


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (asking(response_format=ResponseFormat()), "must have a shape"),
        (asking(options={"output_format": "json"}), "must have a shape"),
        (asking(options={"json_schema": {}}), "must have a shape"),
        (asking(tools=(WEATHER,), tool_choice="required"), "a tool must be called"),
        (asking(tools=(WEATHER,), tool_choice="weather"), "a tool must be called"),
        (asking(parameters={"reasoning": "low"}), "thinks"),
        (asking(parameters={"reasoning": True}), "thinks"),
        (asking(options={"think": "high"}), "thinks"),
        (asking(parameters={"logprobs": True}), "probabilities"),
        (asking(parameters={"top_logprobs": 2}), "probabilities"),
        (asking(parameters={"max_tokens": 12}), "max_tokens are used up"),
        (asking(options={"num_predict": 12}), "max_tokens are used up"),
        (asking(options={"max_tokens": 1}), "max_tokens are used up"),
    ],
)
def test_what_was_asked_for_may_forbid_it(request_: ChatRequest[None], reason: str) -> None:
    """A shape, a tool, thinking, probabilities: a prefill would break them."""
    assert reason in (may_continue(request_, HALF, SCHEMA) or "")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([], "nothing was received"),
        ([Started("a")], "nothing was received"),
        ([TextDelta(0, " \n")], "nothing was received"),
        ([ReasoningDelta(0, "Hm")], "nothing but reasoning"),
        ([ToolCallDelta(0, "c", "weather", '{"ci')], "nothing but tool_call"),
        ([MediaDelta(0, "image/png", b"x")], "nothing but media"),
        ([ReasoningDelta(0, "Hm"), TextDelta(1, "Well")], "more than plain text"),
        ([TextDelta(0, "Well"), ToolCallDelta(1, "c", "weather", '{"ci')], "more than plain text"),
        ([TextDelta(0, "Well"), MediaDelta(1, "image/png", b"x")], "more than plain text"),
        ([TextDelta(0, "Well"), TextDelta(1, "then")], "more than plain text"),
        ([TextDelta(0, "Well", (TokenLogprob("Well", -1),))], "more than plain text"),
        ([TextDelta(0, "Well", state={"signature": "x"})], "more than plain text"),
        ([TextDelta(0, "Well"), Finish(FinishReason.STOP)], "at its end"),
    ],
)
def test_what_came_may_forbid_it(events: list[ChatEvent], reason: str) -> None:
    """Inside of calls, thinking and media nothing is continued."""
    assert reason in (may_continue(REQUEST, folded(events), SCHEMA) or "")


def test_the_model_may_forbid_it() -> None:
    """One that is not known, and one that begins a new answer instead."""
    assert "not known" in (may_continue(REQUEST, HALF, None) or "")
    refusing = ModelSchema("small", model_properties={"prefill": False})
    assert "does not go on" in (may_continue(REQUEST, HALF, refusing) or "")
    assert may_continue(REQUEST, HALF, ModelSchema("small", model_properties={"prefill": True})) is None


def test_a_family_is_what_the_data_says() -> None:
    """The property of that name; else only the same model of the same provider is of it."""
    llama = ModelSchema("llama3:8b", model_properties={"family": "llama3-8b"})
    assert family("one", llama) == family("two", replace(llama, model="meta/llama-3-8b")) == "llama3-8b"
    assert family("one", SCHEMA) == family("one", ModelSchema("small"))
    assert len({family("one", SCHEMA), family("two", SCHEMA), family("one", ModelSchema("large"))}) == 3
    assert family("one", ModelSchema("small", model_properties={"family": 3})) == "one/small"


def test_tokens_are_counted_rather_too_high() -> None:
    """By the vendor where it says so; else a token for every three bytes, a begun one counted whole."""
    assert emitted_tokens(replace(HALF, usage=Usage(5, 7))) == 7
    assert emitted_tokens(replace(HALF, usage=Usage(5, None))) == emitted_tokens(HALF) == 12
    assert emitted_tokens(folded([TextDelta(0, "狐狸")])) == 2
    assert emitted_tokens(folded([])) == 0


def test_the_rest_is_asked_for_with_the_beginning_last() -> None:
    """Without white space at its end, and with as many tokens fewer as came."""
    request = asking(parameters={"max_tokens": 100, "seed": 3}, options={"num_predict": 50, "num_ctx": 9})
    rest = continued(request, HALF, 12)
    assert rest.messages == (*REQUEST.messages, AssistantMessage(TEXT.rstrip()))
    assert rest.parameters == {"max_tokens": 88, "seed": 3}
    assert rest.options == {"num_predict": 38, "num_ctx": 9}
    assert request.parameters["max_tokens"] == 100
    assert continued(REQUEST, HALF, 12).parameters == {}


def test_both_usages_are_summed_and_kept() -> None:
    """What either does not say is unknown in the sum; the figures of each are still there."""
    both = summed(Usage(5, 7), Usage(9, 2, cached_tokens=1))
    assert both is not None
    assert (both.input_tokens, both.output_tokens, both.cached_tokens, both.requests) == (14, 9, None, 2)
    assert both.raw == {
        "parts": [
            {"input_tokens": 5, "output_tokens": 7, "requests": 1},
            {"input_tokens": 9, "output_tokens": 2, "cached_tokens": 1, "requests": 1},
        ]
    }
    lacking = summed(None, Usage(9, 2))
    assert lacking is not None
    assert (lacking.input_tokens, lacking.requests) == (None, 2)
    assert lacking.raw == {"parts": [None, {"input_tokens": 9, "output_tokens": 2, "requests": 1}]}
    assert summed(None, None) is None


def test_two_parts_become_one() -> None:
    """Their text is one text; warnings are told once; how it ended is the second's."""
    slow, odd = Warning("slow", "It is slow."), Warning("odd", "That was odd.")
    first = replace(HALF, warnings=(slow,), usage=Usage(5, 7), citations=(Citation(0, "http://one"),))
    after: list[ChatEvent] = [
        TextDelta(0, "It ran."),
        Citation(0, "http://two"),
        ToolCallDelta(1, "c", "weather", "{}"),
        Notice(slow),
        Notice(odd),
        Finish(FinishReason.TOOL_CALLS, "tools", Usage(9, 2)),
    ]
    rest = folded(after)
    whole = joined(first, rest)
    assert whole.message.parts == (TextPart(f"{TEXT}It ran."), ToolCall("c", "weather", {}, "{}"))
    assert (whole.finish_reason, whole.raw_finish_reason, whole.resumed) == (FinishReason.TOOL_CALLS, "tools", True)
    assert whole.usage is not None
    assert whole.usage.total_tokens == 23
    assert whole.warnings == (slow, odd)
    assert whole.citations == (Citation(0, "http://one"), Citation(0, "http://two"))
    assert not HALF.resumed


def test_a_part_of_another_kind_follows_the_text() -> None:
    """A continuation that thinks first, or says nothing, changes nothing of what was said."""
    thinking = joined(HALF, folded([ReasoningDelta(0, "Hm"), TextDelta(1, "It ran."), Citation(1, "http://two")]))
    assert thinking.message.parts == (TextPart(TEXT), ReasoningPart("Hm"), TextPart("It ran."))
    assert thinking.citations == (Citation(2, "http://two"),)
    assert joined(HALF, folded([])).message == HALF.message


def spliced(before: list[ChatEvent], after: list[ChatEvent]) -> ChatResult[None]:
    """Fold what was delivered and what its continuation becomes."""
    fold = ChatFold()
    for event in before:
        fold.add(event)
    splice = Splice(fold.result())
    for event in after:
        for each in splice.take(event):
            fold.add(each)
    for each in splice.flush():
        fold.add(each)
    return fold.result()


BEFORE: list[ChatEvent] = [Started("a", "small"), TextDelta(0, TEXT)]


def test_a_continuation_goes_on_in_the_same_text() -> None:
    """Its own beginning is not told again, its end is that of the whole, with both usages."""
    after: list[ChatEvent] = [
        Started("b", "large"),
        TextDelta(0, "there was"),
        TextDelta(0, " a fox. It"),
        TextDelta(0, " ran."),
        ToolCallDelta(1, "c", "weather", "{}"),
        Citation(0, "http://x"),
        Finish(FinishReason.STOP, "s", Usage(9, 2)),
    ]
    whole = spliced(BEFORE, after)
    assert whole.message.parts == (TextPart(f"{TEXT}It ran."), ToolCall("c", "weather", {}, "{}"))
    assert whole.id == "a"
    assert whole.citations == (Citation(0, "http://x"),)
    assert whole.usage is not None
    assert whole.usage.raw == {"parts": [None, {"input_tokens": 9, "output_tokens": 2, "requests": 1}]}


def test_what_a_continuation_uses_is_told_for_the_whole() -> None:
    """Its own figures are known apart, because it alone is billed by where it comes from."""
    splice = Splice(replace(HALF, usage=Usage(5, 7)))
    (update,) = splice.take(UsageUpdate(Usage(20)))
    assert isinstance(update, UsageUpdate)
    assert (update.usage.input_tokens, update.usage.output_tokens) == (25, None)
    assert splice.usage == Usage(20)
    (end,) = splice.take(Finish(FinishReason.STOP))
    assert isinstance(end, Finish)
    assert end.usage is not None
    assert end.usage.input_tokens == 25
    splice.take(Finish(FinishReason.STOP, usage=Usage(20, 3)))
    assert splice.usage == Usage(20, 3)


def test_what_was_held_back_comes_before_what_follows_it() -> None:
    """A text that ends while it still repeats is no repetition: it stands before the next part, and before the end."""
    call = ToolCallDelta(1, "c", "weather", "{}")
    for end in ([call], [Finish(FinishReason.STOP)], []):
        whole = spliced(BEFORE, [TextDelta(0, "there was a"), *end])
        assert whole.text == f"{TEXT}there was a"
    splice = Splice(HALF)
    assert splice.take(TextDelta(0, "there was a")) == ()
    assert splice.take(call) == (TextDelta(0, "there was a"), call)
    assert repr(splice) == "<Splice after part 0: <Overlap with 33 characters: through, dropped 0>>"


def test_parts_of_other_kinds_get_numbers_of_their_own() -> None:
    """A continuation that thinks first writes a text of its own; warnings pass."""
    notice = Notice(Warning("odd", "That was odd."))
    whole = spliced(BEFORE, [Citation(0, "http://x"), ReasoningDelta(0, "Hm"), TextDelta(1, "It ran."), notice])
    assert whole.message.parts == (TextPart(TEXT), ReasoningPart("Hm"), TextPart("It ran."))
    assert whole.citations == (Citation(0, "http://x"),)
    assert whole.warnings == (notice.warning,)


def test_state_of_the_text_passes() -> None:
    """What the provider of the continuation gave with its text goes back to it, with the text or without."""
    whole = spliced(BEFORE, [TextDelta(0, "there was a fox. "), TextDelta(0, "", state="sig")])
    assert whole.message.parts == (TextPart(TEXT, "sig"),)


@given(st.text("ab .", max_size=30), st.lists(st.text("ab .", max_size=8), max_size=5))
def test_what_is_spliced_folds_to_what_is_joined(begun: str, rest: list[str]) -> None:
    """While it comes, and afterwards, it is the same text."""
    before: list[ChatEvent] = [TextDelta(0, begun)]
    after: list[ChatEvent] = [*(TextDelta(0, text) for text in rest), Finish(FinishReason.STOP)]
    streamed = spliced(before, after)
    new = streamed.text[len(begun) :]
    assert "".join(rest).endswith(new)
    events: list[ChatEvent] = [TextDelta(0, new), Finish(FinishReason.STOP)]
    assert joined(folded(before), folded(events)).text == streamed.text
