"""Events fold to the one answer they stand for, however they were cut and mixed on their way."""

import json
import random
import tracemalloc
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import PluginError
from modelhub.provider.models import chat_events
from modelhub.rules.fold import ChatFold, SpeechFold, Weight, folded, is_content, tool_arguments
from modelhub.rules.messages import messages_from
from modelhub.types.events import (
    AudioDelta,
    ChatEvent,
    Citation,
    Finish,
    FinishReason,
    MediaDelta,
    Notice,
    ReasoningDelta,
    Reset,
    Started,
    TextDelta,
    TokenLogprob,
    ToolCallDelta,
    UsageUpdate,
)
from modelhub.types.messages import (
    AssistantMessage,
    AssistantPart,
    MediaPart,
    ReasoningPart,
    TextPart,
    ToolCall,
    UserMessage,
)
from modelhub.types.records import Warning
from modelhub.types.results import ChatResult
from modelhub.types.usage import Usage

STATES = st.none() | st.text(max_size=5) | st.dictionaries(st.text(max_size=3), st.binary(max_size=3).map(repr))
OBJECTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=3)


def calls(identifiers: st.SearchStrategy[str]) -> st.SearchStrategy[ToolCall]:
    """Tool calls whose arguments are written as a model writes them."""
    return st.builds(
        lambda call, name, arguments, state: ToolCall(call, name, arguments, json.dumps(arguments), state),
        identifiers,
        st.text(min_size=1, max_size=5),
        OBJECTS,
        STATES,
    )


IDS = st.uuids().map(str)
PARTS: st.SearchStrategy[list[AssistantPart]] = st.lists(
    st.builds(TextPart, st.text(max_size=12), STATES)
    | st.builds(ReasoningPart, st.text(max_size=12), STATES)
    | st.builds(MediaPart, st.just("image/png"), st.binary(min_size=1, max_size=12))
    | calls(IDS),
    max_size=5,
)


def pieces(number: int, part: AssistantPart, cut: random.Random) -> list[ChatEvent]:
    """Cut one part into deltas; what identifies it comes with the first of them, its state with the last."""
    match part:
        case TextPart():
            texts = slices(part.text, cut)
            return [TextDelta(number, text, state=part.state if text is texts[-1] else None) for text in texts]
        case ReasoningPart():
            return [ReasoningDelta(number, text, part.state) for text in slices(part.text, cut)]
        case MediaPart():
            return [MediaDelta(number, part.mime, part.data or b"")]
        case ToolCall():
            first, *rest = slices(part.raw_arguments, cut)
            deltas = [ToolCallDelta(number, part.id, part.name, first, part.state)]
            return [*deltas, *(ToolCallDelta(number, arguments=text) for text in rest)]


def slices(text: str, cut: random.Random) -> list[str]:
    """Cut a text at random places, empty pieces included."""
    places = sorted(cut.randint(0, len(text)) for _ in range(cut.randint(0, 4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def mixed(queues: list[list[ChatEvent]], cut: random.Random) -> list[ChatEvent]:
    """Mix the deltas of several parts, each part's own order kept."""
    events = []
    left = [queue for queue in queues if queue]
    while left:
        queue = cut.choice(left)
        events.append(queue.pop(0))
        left = [queue for queue in left if queue]
    return events


@given(PARTS, st.randoms(use_true_random=False))
def test_any_cut_and_any_mixture_of_the_deltas_folds_to_the_same_parts(
    parts: list[AssistantPart], cut: random.Random
) -> None:
    """Parts come out in their order, with their text, their calls and their opaque state as they were."""
    events = mixed([pieces(number, part, cut) for number, part in enumerate(parts)], cut)
    result = folded([*events, Finish(FinishReason.LENGTH)])
    assert result.message == AssistantMessage(tuple(parts))
    assert result.finish_reason is FinishReason.LENGTH


@given(PARTS, st.randoms(use_true_random=False))
def test_what_a_whole_answer_is_taken_apart_into_folds_to_it_again(
    parts: list[AssistantPart], cut: random.Random
) -> None:
    """A provider that only knows whole answers loses nothing when it is asked for a stream."""
    del cut
    result = ChatResult(
        id="vendor-1",
        message=AssistantMessage(tuple(parts)),
        finish_reason=FinishReason.LENGTH,
        raw_finish_reason="max_tokens",
        usage=Usage(3, 4),
        logprobs=(TokenLogprob("a", -0.5),) if any(isinstance(part, TextPart) for part in parts) else None,
        citations=(Citation(0, "http://one", "One"),),
        warnings=(Warning("odd", "That was odd."),),
        raw={"whole": True},
        output=None,
    )
    assert folded(chat_events(result)) == result


@given(PARTS, PARTS, st.randoms(use_true_random=False))
def test_nothing_is_left_of_what_came_before_a_reset(
    void: list[AssistantPart], parts: list[AssistantPart], cut: random.Random
) -> None:
    """The answer is folded as if it had begun there, whatever had come."""
    before = mixed([pieces(number, part, cut) for number, part in enumerate(void)], cut)
    before += [Started("old", "old"), Citation(0, "http://old"), Notice(Warning("old", "That was old."))]
    after = [*mixed([pieces(number, part, cut) for number, part in enumerate(parts)], cut), Finish(FinishReason.STOP)]
    assert folded([*before, Reset(), *after]) == folded(after)
    assert folded([*before, Reset()]) == folded([])
    assert not is_content(Reset())


def test_sound_begins_again_after_a_reset() -> None:
    """Nothing that was spoken before is in the whole, and the format stays."""
    fold = SpeechFold("audio/wav")
    for event in (AudioDelta(b"void"), Notice(Warning("old", "x")), Reset(), AudioDelta(b"RI"), AudioDelta(b"FF")):
        fold.add(event)
    assert (fold.result().audio, fold.result().mime, fold.result().warnings) == (b"RIFF", "audio/wav", ())


def test_a_call_given_without_its_text_keeps_its_arguments() -> None:
    """An author may build a call from parsed arguments alone."""
    message = AssistantMessage((ToolCall("1", "weather", {"city": "Bandung"}),))
    given_result = ChatResult(message=message, finish_reason=FinishReason.STOP, output=None)
    (call,) = folded(chat_events(given_result)).tool_calls
    assert call.arguments == {"city": "Bandung"}
    assert json.loads(call.raw_arguments) == {"city": "Bandung"}


def test_a_message_as_plain_text_is_taken_apart_too() -> None:
    """`AssistantMessage("…")` is a part of text like any other."""
    given_result = ChatResult(message=AssistantMessage("Halo"), finish_reason=FinishReason.STOP, output=None)
    assert folded(chat_events(given_result)).text == "Halo"


def test_parallel_calls_come_interleaved() -> None:
    """Fragments find their call by part, whatever comes between them."""
    result = folded(
        [
            ToolCallDelta(0, "a", "weather", '{"ci'),
            ToolCallDelta(1, "b", "time", '{"zo'),
            ToolCallDelta(0, arguments='ty": "Bandung"}'),
            ToolCallDelta(1, arguments='ne": "WIB"}'),
            Finish(FinishReason.TOOL_CALLS),
        ]
    )
    assert [(call.id, call.name, call.arguments) for call in result.tool_calls] == [
        ("a", "weather", {"city": "Bandung"}),
        ("b", "time", {"zone": "WIB"}),
    ]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        (" \n", {}),
        ("{}", {}),
        ('{"a": [1]}', {"a": [1]}),
        ('{"ci', None),
        ("[1]", None),
        ("null", None),
        ("7", None),
        ('{"a": 1} {"b": 2}', None),
        ("[" * 100_000, None),
    ],
)
def test_arguments_are_an_object_or_they_are_none(text: str, arguments: object) -> None:
    """A call is run only with what the model really wrote: nothing is mended, and nothing written is `{}`."""
    assert tool_arguments(text) == arguments
    (call,) = folded([ToolCallDelta(0, "a", "f", text)]).tool_calls
    assert call.arguments == arguments
    assert call.raw_arguments == text


@pytest.mark.parametrize(
    ("reason", "called", "neutral"),
    [
        (FinishReason.STOP, True, FinishReason.TOOL_CALLS),
        (FinishReason.STOP, False, FinishReason.STOP),
        (FinishReason.TOOL_CALLS, True, FinishReason.TOOL_CALLS),
        (FinishReason.TOOL_CALLS, False, FinishReason.STOP),
        (FinishReason.LENGTH, True, FinishReason.LENGTH),
        (FinishReason.CONTENT_FILTER, True, FinishReason.CONTENT_FILTER),
        (FinishReason.UNKNOWN, True, FinishReason.UNKNOWN),
    ],
)
def test_the_finish_reason_says_whether_tools_are_to_be_run(
    *, reason: FinishReason, called: bool, neutral: FinishReason
) -> None:
    """Vendors that say "stop" over calls are corrected; an answer that was cut is never said to be complete."""
    events: list[ChatEvent] = [ToolCallDelta(0, "a", "f", '{"ci')] if called else [TextDelta(0, "x")]
    result = folded([*events, Finish(reason, "word")])
    assert result.finish_reason is neutral
    assert result.raw_finish_reason == "word"


def test_an_answer_without_its_end_has_no_finish_reason() -> None:
    """What is left of a broken stream never looks whole."""
    result = folded([TextDelta(0, "half an ans")])
    assert result.finish_reason is None
    assert result.text == "half an ans"


def test_ids_are_unique_whatever_the_vendor_sends() -> None:
    """Missing ids are made up, and an id that came twice is not used twice."""
    fold = ChatFold("call_7f")
    for part, id in enumerate([None, "", "same", "same", None, "same"]):
        fold.add(ToolCallDelta(part, id, "f", "{}"))
    ids = [call.id for call in fold.result().tool_calls]
    assert len(set(ids)) == len(ids)
    assert all(ids)
    assert ids[2] == "same"
    assert [call.id for call in fold.result().tool_calls] == ids


def test_a_part_is_of_one_kind() -> None:
    """A plugin that numbers a call like a text is told so: the arguments do not end up in the text."""
    fold = ChatFold()
    fold.add(TextDelta(0, "I will look. "))
    with pytest.raises(PluginError, match=r"part 0 .* text .* tool_call"):
        fold.add(ToolCallDelta(0, "a", "f", "{}"))


def test_the_last_state_of_a_part_counts_and_an_absent_one_changes_nothing() -> None:
    """Signatures come with any delta of their part."""
    result = folded(
        [ReasoningDelta(0, "hm", {"n": 1}), ReasoningDelta(0, "", {"n": 2}), ReasoningDelta(0, "…"), TextDelta(1, "x")]
    )
    assert result.message.parts[0] == ReasoningPart("hm…", {"n": 2})


def test_everything_beside_the_message_is_kept() -> None:
    """Ids, probabilities, sources, warnings, usage and the vendor's document reach the result."""
    warning = Warning("odd", "That was odd.")
    result = folded(
        [
            Started("vendor-1", "model-x"),
            Notice(warning),
            TextDelta(0, "a", (TokenLogprob("a", -0.1),)),
            TextDelta(0, "b", (TokenLogprob("b", -0.2),)),
            Citation(0, "http://one"),
            Finish(FinishReason.STOP, "eos", Usage(1, 2), raw={"done": True}),
        ]
    )
    assert result.id == "vendor-1"
    assert result.warnings == (warning,)
    assert [each.token for each in result.logprobs or ()] == ["a", "b"]
    assert result.citations == (Citation(0, "http://one"),)
    assert result.usage == Usage(1, 2)
    assert result.raw == {"done": True}


def test_events_of_unknown_types_are_passed_over() -> None:
    """The union is open: an old consumer understands a new provider."""
    newer = SimpleNamespace(type="hologram")
    assert folded([TextDelta(0, "x"), newer, Finish(FinishReason.STOP)]).text == "x"  # type: ignore[list-item]
    fold = SpeechFold("audio/wav")
    fold.add(newer)  # type: ignore[arg-type]
    assert fold.result().audio == b""


@pytest.mark.parametrize("yielded", ["hello", object(), None])
def test_what_is_no_event_is_told_to_the_author(yielded: object) -> None:
    """Text yielded bare is the likeliest mistake of an author: it is never lost without a word."""
    with pytest.raises(PluginError, match="which is no event"):
        folded([yielded])  # type: ignore[list-item]
    with pytest.raises(PluginError, match="which is no event"):
        SpeechFold("audio/wav").add(yielded)  # type: ignore[arg-type]


def test_usage_that_did_not_come_is_none() -> None:
    """Absent is `None`, never 0."""
    assert folded([TextDelta(0, "x"), Finish(FinishReason.STOP)]).usage is None


def test_usage_that_was_told_before_the_end_counts_until_it() -> None:
    """The last that came, for what was left; the end's own goes before it, and a reset makes it void."""
    so_far: list[ChatEvent] = [UsageUpdate(Usage(9)), TextDelta(0, "x"), UsageUpdate(Usage(9, 1))]
    assert folded(so_far).usage == Usage(9, 1)
    assert folded([*so_far, Finish(FinishReason.STOP, usage=Usage(9, 2))]).usage == Usage(9, 2)
    assert folded([*so_far, Finish(FinishReason.STOP)]).usage == Usage(9, 1)
    assert folded([*so_far, Reset(), TextDelta(0, "y")]).usage is None
    fold = SpeechFold("audio/wav")
    fold.add(UsageUpdate(Usage(characters=3)))
    assert fold.result().usage == Usage(characters=3)
    fold.add(Reset())
    assert fold.result().usage is None


@given(PARTS)
def test_a_reply_goes_back_into_the_history_as_it_is(parts: list[AssistantPart]) -> None:
    """The folded message is a message that can be sent again, opaque state included."""
    message = folded(
        [*chat_events(ChatResult(message=AssistantMessage(tuple(parts)), finish_reason=None, output=None))]
    ).message
    assert messages_from([UserMessage("Hi"), message])[1] is message
    assert [part.state for part in message.parts if not isinstance(part, MediaPart)] == [
        part.state for part in parts if not isinstance(part, MediaPart)
    ]


@pytest.mark.parametrize(
    ("event", "content"),
    [
        (Started(), False),
        (TextDelta(0, ""), False),
        (TextDelta(0, "", state="sig"), True),
        (TextDelta(0, "x"), True),
        (ReasoningDelta(0, ""), False),
        (ReasoningDelta(0, "", "encrypted"), True),
        (ToolCallDelta(0, "a", "f"), True),
        (MediaDelta(0, "image/png", b""), True),
        (AudioDelta(b"x"), True),
        (Citation(0), False),
        (Notice(Warning("odd", "x")), False),
        (Finish(FinishReason.STOP), False),
    ],
)
def test_content_is_what_a_caller_has_in_hand(*, event: ChatEvent | AudioDelta, content: bool) -> None:
    """After content nothing may be tried again; before it everything may."""
    assert is_content(event) is content


def test_sound_is_joined() -> None:
    """A speech answer is its bytes in order, with what came beside them."""
    fold = SpeechFold("audio/mpeg")
    for event in (Started(), AudioDelta(b"ab"), Notice(Warning("odd", "x")), AudioDelta(b"c")):
        fold.add(event)
    assert fold.result().audio == b"abc"
    fold.add(Finish(FinishReason.STOP, usage=Usage(5, None)))
    result = fold.result()
    assert (result.mime, result.usage) == ("audio/mpeg", Usage(5, None))
    assert result.warnings[0].code == "odd"


WAYS: dict[str, Callable[[int], ChatEvent]] = {
    "pieces": lambda number: TextDelta(0, f"{number:02}"[-2:]),
    "parts": lambda number: ReasoningDelta(number, f"{number:02}"[-2:]),
    "calls": lambda number: ToolCallDelta(number, f"call_{number}", "look_up", f'{{"at": {number}}}'),
    "states": lambda number: TextDelta(number, "", state={"signature": [str(number)] * 20}),
    "tokens": lambda number: TextDelta(
        0, str(number), (TokenLogprob(str(number), -number / 7, (TokenLogprob(f"{number}x", -number / 3),) * 5),)
    ),
    "media": lambda number: MediaDelta(number, "image/png", b"x" * (number % 100)),
    "citations": lambda number: Citation(0, f"https://example.org/{number}", f"{number}", "x" * (number % 100)),
    "notices": lambda number: Notice(Warning("code", f"{number}", "parameter")),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_an_answer_weighs_is_what_is_held(way: str) -> None:
    """At least, and not many times that, whatever it is made of; what weighs is what is put together of it."""
    weight, fold = Weight(), ChatFold()
    tracemalloc.start()
    try:
        for number in range(4_000):
            event = WAYS[way](number)
            weight.add(event)
            fold.add(event)
            del event
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < weight.bytes < 6 * held


def test_sound_weighs_what_it_is() -> None:
    """And what is no event, or none that is known, weighs something too."""
    weight = Weight()
    assert 1000 < weight.add(AudioDelta(b"x" * 1000)) < 1500
    before = weight.bytes
    assert weight.add(SimpleNamespace(type="new")) > before
    assert str(weight.bytes) in repr(weight)
