"""Replies are the bytes they say, and requests are read out of any cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.testing.replies import Reply, RequestReader, json_reply, ndjson_reply, sse_reply
from modelhub.testing.splits import pieces
from modelhub.wire.ndjson import NdjsonDecoder
from modelhub.wire.sse import SseJsonDecoder


@given(st.binary(max_size=50), st.lists(st.integers(-5, 60)))
def test_pieces_are_the_whole(data: bytes, at: list[int]) -> None:
    """Cutting loses nothing, and cuts only inside."""
    cut = pieces(data, at)
    assert b"".join(cut) == data
    assert all(cut) or not data


def test_a_reply_declares_its_length() -> None:
    """Unless told otherwise the head says how long the body is, in bytes."""
    reply = Reply(headers={"X-A": "1"}, body="é")
    assert reply.head() == b"HTTP/1.1 200 OK\r\nX-A: 1\r\ncontent-length: 2\r\n\r\n"
    assert reply.writes() == ["é".encode()]
    assert not reply.ends_connection


def test_a_length_may_be_wrong_missing_or_of_an_unknown_status() -> None:
    """A server's mistakes can be told: what the headers say is not corrected."""
    assert Reply(headers={"Content-Length": "99"}).head() == b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    assert Reply(599, length=False).head() == b"HTTP/1.1 599 Unregistered\r\n\r\n"
    assert Reply(length=False).ends_connection


def test_chunks_are_framed_one_by_one() -> None:
    """Each part is a chunk and a write; an empty part would end the body and is left out."""
    reply = Reply(chunks=[b"abc", b"", "d" * 17], chunked=True, keep_alive=False)
    assert reply.head() == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    assert reply.writes() == [b"3\r\nabc\r\n", b"11\r\n" + b"d" * 17 + b"\r\n", b"0\r\n\r\n"]


def test_the_body_is_cut_into_writes() -> None:
    """After every byte, at offsets of the wire's bytes, or not at all."""
    assert Reply(body=b"abc", split="bytes").writes() == [b"a", b"b", b"c"]
    assert Reply(body=b"abcdef", split=[2, 5]).writes() == [b"ab", b"cde", b"f"]
    assert Reply(chunks=[b"a"], chunked=True, split=[1]).writes() == [b"1", b"\r\na\r\n0\r\n\r\n"]
    assert Reply(raw=b"junk", split="bytes").writes() == [b"j", b"u", b"n", b"k"]


def test_an_answer_breaks_off_after_so_many_bytes() -> None:
    """The count is of the wire's bytes; zero leaves the head alone."""
    assert Reply(chunks=[b"abc", b"def"], cut_after=4).writes() == [b"abc", b"d"]
    assert Reply(body=b"abc", cut_after=0).writes() == []
    assert Reply(body=b"abc", cut_after=99).writes() == [b"abc"]
    assert Reply(cut_after=1).ends_connection


def test_some_answers_have_no_body() -> None:
    """HEAD, 204 and 304 end with their heads, and a raw answer has none."""
    assert Reply(body=b"abc").writes("HEAD") == []
    assert Reply(204, body=b"abc").writes() == []
    assert Reply(raw=b"x").head() == b""


def test_waits_come_between_writes_or_as_listed() -> None:
    """One figure is the wait between writes; a list is the wait before each."""
    for pause, waits in ((2, [0.5, 0, 2, 2]), ([1, 3], [0.5, 1, 3, 0])):
        reply = Reply(chunks=[b"a", b"b", b"c"], delay=0.5, pause=pause)
        assert [wait for wait, _ in reply.steps()] == waits
        assert [write for _, write in reply.steps()] == [reply.head(), b"a", b"b", b"c"]


def test_ready_made_replies_are_what_decoders_read() -> None:
    """JSON, lines and events hold the documents they were given."""
    documents = [{"text": "a\u2028é"}, {"n": 2}]
    assert json_reply({"error": "x"}, 404, {"x-request-id": "1"}).writes() == [b'{"error":"x"}']
    assert NdjsonDecoder().feed(b"".join(map(bytes, ndjson_reply(documents).chunks or ()))) == documents
    events = SseJsonDecoder()
    assert events.feed(b"".join(map(bytes, sse_reply(documents).chunks or ()))) == documents
    assert events.done
    assert len(sse_reply(documents, done=False).chunks or ()) == 2


PIPELINED = (
    b'POST /v1/chat?a=1&b=%20 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 7\r\n\r\n{"a":1}'
    b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
    b"GET /last HTTP/1.1\r\n\r\n"
)


@given(st.lists(st.integers(0, len(PIPELINED)), max_size=30))
def test_requests_are_read_out_of_any_cut(cuts: list[int]) -> None:
    """Lengths and chunks delimit bodies; what follows is the next request."""
    reader = RequestReader(connection=3)
    found = []
    for piece in pieces(PIPELINED, cuts):
        reader.feed(piece)
        while (request := reader.next()) is not None:
            found.append(request)
    chat, put, last = found
    assert (chat.method, chat.path, chat.query) == ("POST", "/v1/chat", {"a": "1", "b": " "})
    assert (chat.json, chat.headers["x-a"], chat.connection) == ({"a": 1}, "1, 2", 3)
    assert (put.body, last.target) == (b"abcd", "/last")
    assert repr(reader) == "<RequestReader connection=3 pending=0>"


@pytest.mark.parametrize("data", [b"junk\r\n\r\n", b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n"])
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """A client that sends nonsense is told so."""
    reader = RequestReader(connection=1)
    reader.feed(data)
    with pytest.raises(ValueError, match=r"no HTTP/1\.1 request"):
        reader.next()
