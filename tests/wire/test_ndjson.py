"""Documents come out of lines, none is lost before an error, and none is made up after one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.testing.splits import pieces
from modelhub.wire.decoder import TruncatedResponse
from modelhub.wire.ndjson import NdjsonDecoder

TEXT = "café 日本 👩‍👩‍👧 \u2028 \u2029 \u0085 \x7f"
CUTS = st.lists(st.integers(0, 400), max_size=30)
DOCUMENT = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.integers() | st.none(), max_size=3)


def read(chunks: list[bytes], **options: int) -> tuple[list[object], MalformedResponse | None]:
    """Read chunks to the end or to the first error."""
    decoder = NdjsonDecoder(**options)
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


def ndjson(documents: list[dict[str, object]], ends: list[bytes]) -> bytes:
    """Write documents a line each, non-ASCII characters as they are."""
    lines = [json.dumps(document, ensure_ascii=False).encode() for document in documents]
    return b"".join(line + ends[i % len(ends)] for i, line in enumerate(lines))


@given(
    st.lists(DOCUMENT, max_size=5),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n \n"]), min_size=1),
    CUTS,
)
def test_any_cut_gives_the_documents_in_order(
    documents: list[dict[str, object]], ends: list[bytes], cuts: list[int]
) -> None:
    """Line ends, blank lines and the network's cuts change nothing."""
    assert read(pieces(ndjson(documents, ends), cuts)) == (documents, None)


@given(
    st.lists(st.sampled_from([b'{"a":1}', b"\n", b'{"a', b"\xff", b" ", b"[", b"\r"]), max_size=8).map(b"".join),
    CUTS,
)
def test_any_cut_of_any_bytes_gives_the_same_documents_and_error(data: bytes, cuts: list[int]) -> None:
    """Hostile bytes too are read the same way however they are cut."""
    whole, cut = read([data]), read(pieces(data, cuts))
    assert cut[0] == whole[0]
    assert str(cut[1]) == str(whole[1])
    assert type(cut[1]) is type(whole[1])


def test_text_survives_one_byte_per_write() -> None:
    """Characters that Unicode calls line ends, and characters of many bytes, stay whole."""
    documents: list[dict[str, object]] = [{"text": TEXT}, {"text": TEXT * 2}]
    data = ndjson(documents, [b"\n"])
    assert read(pieces(data, range(len(data)))) == (documents, None)


def test_one_write_gives_one_document_a_line() -> None:
    """Twenty lines in one chunk are twenty documents."""
    documents: list[dict[str, object]] = [{"n": n} for n in range(20)]
    assert NdjsonDecoder().feed(ndjson(documents, [b"\n"])) == documents


def test_the_last_line_needs_no_newline() -> None:
    """A final document that is whole counts; trailing blanks are nothing."""
    assert read([b'{"a":1}\n{"done":true}']) == ([{"a": 1}, {"done": True}], None)
    assert read([b'{"a":1}\n  ']) == ([{"a": 1}], None)


def test_a_last_line_that_is_cut_is_a_truncated_response() -> None:
    """What is missing is missing: the end raises, after everything before it was delivered."""
    found, error = read([b'{"a":1}\n{"b":'])
    assert found == [{"a": 1}]
    assert isinstance(error, TruncatedResponse)
    assert error.excerpt == '{"b":'
    assert isinstance(read(['{"a":"日'.encode()[:-1]])[1], TruncatedResponse)


def test_a_last_line_that_is_no_json_was_not_cut() -> None:
    """Plain words in place of lines are another protocol, with their newline and without it."""
    for words in (b"sorry, busy", b"sorry, busy\n"):
        _, error = read([b'{"a":1}\n', words])
        assert type(error) is MalformedResponse
        assert error.excerpt == "sorry, busy"


@pytest.mark.parametrize("bad", [b"{nope}", b'{"a":"\xff"}', b"{'a':1}", b"<html>", b"NaN", b"[" * 10**6])
def test_a_bad_line_is_raised_after_what_came_before_it(bad: bytes) -> None:
    """The documents before it are delivered first, then the error, and nothing after it."""
    decoder = NdjsonDecoder()
    assert decoder.feed(b'{"a":1}\n{"a":2}\n' + bad + b'\n{"a":3}\n') == [{"a": 1}, {"a": 2}]
    assert isinstance(decoder.error, MalformedResponse)
    assert len(decoder.error.excerpt or "") <= 200
    with pytest.raises(MalformedResponse) as caught:
        decoder.feed(b'{"a":4}\n')
    assert caught.value is decoder.error
    with pytest.raises(MalformedResponse):
        decoder.flush()


def test_a_bad_line_with_nothing_before_it_is_raised_at_once() -> None:
    """Nobody has to ask for an error that is all there is to deliver."""
    with pytest.raises(MalformedResponse, match="not valid JSON"):
        NdjsonDecoder().feed(b"{nope}\n")


def test_a_line_over_the_limit_is_refused_after_what_came_before_it() -> None:
    """The limit counts bytes of one line, not of the body."""
    found, error = read([b'{"a":1}\n' * 50 + b'{"a":"' + b"x" * 100 + b'"}\n'], max_line=100)
    assert found == [{"a": 1}] * 50
    assert str(error).startswith("a line of the answer is longer than 100 bytes")


def test_a_megabyte_of_tool_arguments_is_one_document() -> None:
    """Lines may be long: the default limit is 8 MiB."""
    text = "x" * 1_000_000
    data = ndjson([{"arguments": text}], [b"\n"])
    assert read(pieces(data, range(0, len(data), 1400))) == ([{"arguments": text}], None)


def test_no_end_of_its_own() -> None:
    """Newline-delimited JSON has no terminator: what ends a stream, the documents say."""
    decoder = NdjsonDecoder()
    decoder.feed(b'{"done":true}\n')
    assert decoder.done is False
    assert repr(decoder) == "<NdjsonDecoder over <LineDecoder pending=0 max_line=8388608>>"
