"""Event streams are read by the specification, with the tolerance that model servers need."""

import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.testing.splits import pieces
from modelhub.wire.decoder import Decoder, TruncatedResponse
from modelhub.wire.sse import ServerSentEvent, SseDecoder, SseJsonDecoder

CUTS = st.lists(st.integers(0, 120), max_size=30)
STREAM = st.lists(
    st.sampled_from(
        [
            b"data: x",
            b"data:y",
            b"data:  z",
            b"data",
            b": ping",
            b":",
            b"event: e",
            b"id: 7",
            b"id: \0",
            b"retry: 30",
            b"retry: x",
            b"error: {}",
            b"other: 1",
            b"\n",
            b"\r",
            b"\r\n",
            b"\n\n",
            b"\r\n\r\n",
            b"\r\r",
            b"data: \xc3\xa9\n\n",
        ]
    ),
    max_size=20,
).map(b"".join)


def read(decoder: Decoder, chunks: list[bytes]) -> tuple[list[object], MalformedResponse | None]:
    """Read chunks to the end or to the first error."""
    found: list[object] = []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
            if decoder.error is not None:
                raise decoder.error
        found += decoder.flush()
    except MalformedResponse as error:
        return found, error
    return found, None


def by_the_book(stream: bytes) -> list[ServerSentEvent]:
    """Read a whole stream as the specification says, plus the error field and the unfinished event."""
    events: list[ServerSentEvent] = []
    data, event, last_id, retry = [], "", None, None
    lines = re.split("\r\n|\n|\r", stream.decode())
    for line in [*(lines if lines[-1] else lines[:-1]), ""]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append(ServerSentEvent(event or "message", "\n".join(data), last_id, retry))
            data, event, retry = [], "", None
        elif name == "data":
            data.append(value)
        elif name == "error":
            event = "error"
            data.append(value)
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and value.isdigit():
            retry = int(value)
    return events


@given(STREAM, CUTS)
@example(b"data: x\n\ndata: y\n\n", [9])
@example(b"data: x\r\n\r\ndata: y\n\n", [9, 10, 11])
@example(b"data: x\n\n\rdata: y\n\n", [9, 10])
def test_any_cut_gives_the_events_of_the_specification(stream: bytes, cuts: list[int]) -> None:
    """All three line ends, comments, ids, types and several data lines are read the same at any cut."""
    assert read(SseDecoder(), pieces(stream, cuts)) == (by_the_book(stream), None)


@given(st.binary(max_size=40) | STREAM, CUTS)
def test_any_cut_of_any_bytes_gives_the_same_events_and_error(stream: bytes, cuts: list[int]) -> None:
    """Hostile bytes too are read the same way however they are cut."""
    for new in (SseDecoder, SseJsonDecoder, lambda: SseDecoder(max_event=12)):
        whole, cut = read(new(), [stream]), read(new(), pieces(stream, cuts))
        assert cut[0] == whole[0]
        assert (type(cut[1]), str(cut[1])) == (type(whole[1]), str(whole[1]))


def test_an_event_does_not_wait_for_what_follows_its_carriage_return() -> None:
    r"""A line that ends in \r ends there: the \n that may follow is not worth a wait."""
    decoder = SseDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [ServerSentEvent("message", "a")]
    assert decoder.feed(b"\ndata: b\r\r") == [ServerSentEvent("message", "b")]


@pytest.mark.parametrize("comment", [b": ping\n\n", b":\n", b": OPENROUTER PROCESSING\n\n", b": keep-alive\n"])
def test_comments_are_no_events(comment: bytes) -> None:
    """Comments before, between and after events are ignored."""
    decoder = SseJsonDecoder()
    stream = comment + b'data: {"a":1}\n\n' + comment + b'data: {"a":2}\n\n' + comment
    assert read(decoder, [stream]) == ([{"a": 1}, {"a": 2}], None)


def test_one_space_is_stripped_at_most() -> None:
    """A value may follow its colon directly, and keeps a second space."""
    events = SseDecoder().feed(b'data:{"x":1}\n\ndata:  two\n\n')
    assert [event.data for event in events] == ['{"x":1}', " two"]


def test_json_over_several_data_lines_is_one_document() -> None:
    """Pretty-printed data is joined by newlines and parsed."""
    document = {"choices": [{"delta": {"content": "a\u2028b"}}]}
    lines = json.dumps(document, indent=1, ensure_ascii=False).encode().split(b"\n")
    stream = b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"
    assert len(lines) > 5
    assert SseJsonDecoder().feed(stream) == [document]


def test_a_byte_order_mark_and_an_event_without_data_are_ignored() -> None:
    """The mark counts at the very start only; an event of id and retry alone is no document."""
    stream = b'\xef\xbb\xbfid: 1\nretry: 3000\n\ndata: {"a":1}\n\ndata:\n\n'
    assert read(SseJsonDecoder(), pieces(stream, [1, 2])) == ([{"a": 1}], None)
    assert SseDecoder().feed(stream)[0] == ServerSentEvent("message", '{"a":1}', "1")


def test_done_ends_the_stream_and_the_rest_is_ignored() -> None:
    """Nothing after [DONE] counts, not even nonsense, in the same chunk or later."""
    decoder = SseJsonDecoder()
    assert decoder.feed(b'data: {"a":1}\n\ndata: [DONE] \n\ndata: {nonsense\n\n') == [{"a": 1}]
    assert decoder.done
    assert decoder.feed(b"data: {nonsense\n\n") == []
    assert decoder.flush() == []


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data:[DONE]\n"])
def test_done_needs_no_blank_line(end: bytes) -> None:
    """Gateways leave out the last blank line."""
    decoder = SseJsonDecoder()
    assert read(decoder, [b'data: {"a":1}\n\n', end]) == ([{"a": 1}], None)
    assert decoder.done


def test_an_event_unfinished_at_the_end_counts_if_it_is_whole_json() -> None:
    """The last event needs no blank line; half of a document is a truncated response."""
    assert read(SseJsonDecoder(), [b'data: {"a":1}\n\ndata: {"b":2}']) == ([{"a": 1}, {"b": 2}], None)
    found, error = read(SseJsonDecoder(), [b'data: {"a":1}\n\ndata: {"b":'])
    assert found == [{"a": 1}]
    assert isinstance(error, TruncatedResponse)
    assert isinstance(read(SseDecoder(), [b"data: \xc3"])[1], TruncatedResponse)
    assert type(read(SseJsonDecoder(), [b"data: sorry, busy"])[1]) is MalformedResponse


@pytest.mark.parametrize("end", [b"data: [DO", b"data: ", b"data", b"da", b"event: x\nid: 1"])
def test_an_unfinished_end_without_a_document_loses_nothing(end: bytes) -> None:
    """Neither half of [DONE] nor a field without data is an error."""
    decoder = SseJsonDecoder()
    assert read(decoder, [b'data: {"a":1}\n\n' + end]) == ([{"a": 1}], None)
    assert not decoder.done


@pytest.mark.parametrize(
    ("stream", "document"),
    [
        (
            b'error: {"code":500,"message":"x","type":"server_error"}\n\n',
            {"error": {"code": 500, "message": "x", "type": "server_error"}},
        ),
        (b'event: error\ndata: {"error":{"message":"x"}}\n\n', {"error": {"message": "x"}}),
        (b'event: error\ndata: {"type":"error","message":"x"}\n\n', {"type": "error", "message": "x"}),
        (b'event: error\ndata: {"message":"x"}\n\n', {"error": {"message": "x"}}),
        (b"event: error\ndata: upstream timed out\n\n", {"error": "upstream timed out"}),
        (b"event: error\ndata: upstream timed out", {"error": "upstream timed out"}),
    ],
)
def test_an_error_event_never_looks_like_an_ordinary_document(stream: bytes, document: object) -> None:
    """Whatever way a server has of saying error in a stream, the document says it too."""
    assert read(SseJsonDecoder(), [stream]) == ([document], None)


def test_bad_data_is_raised_after_what_came_before_it() -> None:
    """The documents before it are delivered first, then the error."""
    for bad in (b"data: {nope}\n\n", b'data: "\xff"\n\n'):
        decoder = SseJsonDecoder()
        assert decoder.feed(b'data: {"a":1}\n\n' + bad) == [{"a": 1}]
        with pytest.raises(MalformedResponse):
            decoder.feed(b'data: {"a":2}\n\n')


def test_an_endless_event_is_refused() -> None:
    """Many data lines count together, so that memory stays bounded."""
    decoder = SseDecoder(max_event=1000)
    with pytest.raises(MalformedResponse, match="an event of the answer is longer than 1000 bytes"):
        decoder.feed(b"data: 0123456789\n" * 1000)


def test_reprs_read_as_status_lines() -> None:
    """The state shows what is held."""
    decoder = SseJsonDecoder(max_event=99)
    decoder.feed(b"event: e\ndata: abc\nda")
    lines = "<LineDecoder pending=2 max_line=99>"
    assert repr(decoder) == f"<SseJsonDecoder done=False over <SseDecoder event='e' data=4 over {lines}>>"
