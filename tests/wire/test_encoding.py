"""Compressed bodies are decoded as they come, exactly, and never into a bomb."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import MalformedResponse
from modelhub.testing.splits import pieces
from modelhub.wire.decoder import TruncatedResponse
from modelhub.wire.encoding import MAX_BODY, MAX_RATIO, ContentDecoder
from modelhub.wire.ndjson import NdjsonDecoder

CUTS = st.lists(st.integers(0, 200), max_size=20)


def raw_deflate(data: bytes) -> bytes:
    """Compress without zlib's header, as some servers do for `deflate`."""
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


ENCODERS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "GZIP": gzip.compress, "deflate": zlib.compress}


@given(st.binary(max_size=300), CUTS)
def test_any_cut_gives_the_body(body: bytes, cuts: list[int]) -> None:
    """Every encoding gives back the body however the compressed bytes were cut."""
    for name, encoded in [
        *((name, encode(body)) for name, encode in ENCODERS.items()),
        ("deflate", raw_deflate(body)),
    ]:
        decoder = ContentDecoder(name)
        assert b"".join(decoder.feed(piece) for piece in pieces(encoded, cuts)) == body
        decoder.flush()


def test_identity_passes_through() -> None:
    """No encoding, no change, no bound."""
    for name in ("identity", ""):
        decoder = ContentDecoder(name)
        assert decoder.feed(b"abc") == b"abc"
        decoder.flush()


def test_a_stream_is_decoded_line_by_line() -> None:
    """What the server flushed is a document at once, before the next one is sent."""
    engine = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    content, documents = ContentDecoder("gzip"), NdjsonDecoder()
    for n in range(3):
        sent = engine.compress(b'{"n":%d}\n' % n) + engine.flush(zlib.Z_SYNC_FLUSH)
        assert documents.feed(content.feed(sent)) == [{"n": n}]
    content.feed(engine.flush())
    content.flush()


def test_several_gzip_members_are_one_body() -> None:
    """RFC 1952 lets members follow one another, wherever they are cut."""
    encoded = gzip.compress(b"one ") + gzip.compress(b"two")
    decoder = ContentDecoder("gzip")
    assert b"".join(decoder.feed(piece) for piece in pieces(encoded, range(len(encoded)))) == b"one two"


def test_a_cut_body_is_a_truncated_response() -> None:
    """The compressed data has an end of its own; without it something is missing."""
    encoded = gzip.compress(b"x" * 1000)
    for name, cut in (("gzip", encoded[:-1]), ("gzip", encoded[:5]), ("deflate", zlib.compress(b"x")[:1])):
        decoder = ContentDecoder(name)
        decoder.feed(cut)
        with pytest.raises(TruncatedResponse, match="broke off inside its"):
            decoder.flush()


def test_an_empty_body_is_whole() -> None:
    """Answers without a body bear the header as well."""
    decoder = ContentDecoder("gzip")
    decoder.flush()
    assert repr(decoder) == "<ContentDecoder gzip received=0 decoded=0>"


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_other_bytes_than_the_header_says_are_malformed(name: str) -> None:
    """A server that claims an encoding and sends plain text is told apart from a bug here."""
    with pytest.raises(MalformedResponse, match=f"not the {name} data"):
        ContentDecoder(name).feed(b'{"plain": "text"}' * 10)


@pytest.mark.parametrize("name", ["br", "zstd", "gzip, br", "gzip, gzip", "\x1b[31m"])
def test_an_unknown_encoding_is_named(name: str) -> None:
    """The message names what came, printable whatever it is."""
    with pytest.raises(MalformedResponse, match="is not supported") as caught:
        ContentDecoder(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["gzip", "deflate"])
def test_a_bomb_is_refused_before_it_unfolds(name: str) -> None:
    """Past 1 MiB the ratio counts, and no more than the bound is ever held."""
    bomb = ENCODERS[name](b"\0" * 100_000_000)
    decoder = ContentDecoder(name)
    held: list[int] = []
    with pytest.raises(MalformedResponse, match="decode to more than"):
        held.extend(len(decoder.feed(piece)) for piece in pieces(bomb, range(0, len(bomb), 1000)))
    assert sum(held) <= len(bomb) * MAX_RATIO
    assert max(held) <= 1024 * 1024


def test_a_small_body_may_compress_well() -> None:
    """Below 1 MiB any ratio is innocent: an answer may repeat itself."""
    body = b"ha" * 500_000
    assert ContentDecoder("gzip").feed(gzip.compress(body)) == body


def test_the_absolute_bound_holds() -> None:
    """A generous ratio does not lift the bound on the whole."""
    assert MAX_BODY == 512 * 1024 * 1024
    decoder = ContentDecoder("gzip", max_ratio=10**6, max_body=2_000_000)
    with pytest.raises(MalformedResponse, match="decode to more than 2000000"):
        decoder.feed(gzip.compress(b"\0" * 3_000_000))
