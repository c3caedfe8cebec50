"""Lines are cut at newlines only, in linear time and bounded memory, however the bytes arrive."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.testing.splits import pieces
from modelhub.wire.lines import MAX_LINE, LineDecoder

CUTS = st.lists(st.integers(0, 60), max_size=20)
HOSTILE = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\r\n", "é".encode(), "\u2028\u0085".encode()])).map(b"".join)


def read(chunks: list[bytes], max_line: int = MAX_LINE) -> tuple[list[bytes], str | None]:
    """Read chunks to the end or to the first error."""
    decoder = LineDecoder(max_line)
    found: list[bytes] = []
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
            if decoder.error is not None:
                raise decoder.error
        found += decoder.flush()
    except MalformedResponse as error:
        return found, error.message
    return found, None


@given(HOSTILE, CUTS)
@example(b"a\r\nb", [2])
def test_any_cut_gives_the_lines_of_the_whole(data: bytes, cuts: list[int]) -> None:
    r"""Lines end at \n and \r\n, also where the two arrive apart; nothing else ends one."""
    *lines, rest = data.split(b"\n")
    expected = [line.removesuffix(b"\r") for line in lines] + [rest] * bool(rest)
    assert read(pieces(data, cuts)) == (expected, None)


@given(HOSTILE, CUTS)
def test_the_limit_falls_at_the_same_line_for_any_cut(data: bytes, cuts: list[int]) -> None:
    """A line over the limit is an error after the lines before it, and only if it is over the limit."""
    *lines, rest = (line.removesuffix(b"\r") for line in data.split(b"\n"))
    good: list[bytes] = []
    for line in lines:
        if len(line) > 5:
            break
        good.append(line)
    found, error = read(pieces(data, cuts), max_line=5)
    if len(good) < len(lines) or len(rest) > 5:
        assert found == good
        assert error == "a line of the answer is longer than 5 bytes"
    else:
        assert found[: len(good)] == good
        assert error is None


def test_one_whole_line_a_chunk() -> None:
    """The usual chunk comes back without its terminator, of either form."""
    decoder = LineDecoder()
    assert decoder.feed(b'{"a":1}\n') == [b'{"a":1}']
    assert decoder.feed(b'{"a":1}\r\n') == [b'{"a":1}']
    assert decoder.feed(b"\n") == [b""]
    assert decoder.feed(b"") == []


def test_a_megabyte_in_one_line() -> None:
    """A line of 1 MB is read whole, byte by byte as well as at once."""
    line = b"x" * 1_000_000
    assert read([line + b"\n"]) == ([line], None)
    assert read(pieces(line + b"\n", range(1_000_001))) == ([line], None)


def test_an_endless_line_is_refused_with_its_memory() -> None:
    """Past the limit the decoder holds nothing any more, and every further call raises the same error."""
    decoder = LineDecoder(max_line=100)
    for _ in range(10):
        decoder.feed(b"x" * 10)
    with pytest.raises(MalformedResponse, match="longer than 100 bytes"):
        decoder.feed(b"x")
    assert decoder.pending == 0
    with pytest.raises(MalformedResponse):
        decoder.feed(b"y\n")
    with pytest.raises(MalformedResponse):
        decoder.flush()


def test_repr_reads_as_a_status_line() -> None:
    """The state shows what is held and what may be."""
    decoder = LineDecoder(max_line=9)
    decoder.feed(b"abc")
    assert repr(decoder) == "<LineDecoder pending=3 max_line=9>"
