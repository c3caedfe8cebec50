"""Streams of documents as they come: framed either way, encoded, cut, and given back when they are done."""

import gzip
import json
import time
import zlib
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import anyio
import pytest

from modelhub.errors import ConnectionLost, MalformedResponse, ModelHubError, Overloaded, Timeout
from modelhub.http.seam import Framing, HttpCall
from modelhub.testing.replies import Reply, ndjson_reply, sse_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

DOCUMENTS = [{"text": "Halo é日本🙂"}, {"text": "a\u2028b\u0085c"}, {"end": True}]
NDJSON = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in DOCUMENTS).encode()
SSE = "".join(f"data: {json.dumps(each, ensure_ascii=False)}\n\n" for each in DOCUMENTS).encode()
DONE = b"data: [DONE]\n\n"
EVENTS = {"content-type": "text/event-stream"}


def call(framing: Framing) -> HttpCall:
    """Return a request for a stream."""
    return HttpCall("/x", json={}, framing=framing)


async def read(client_to: Any, reply: Reply, framing: Framing = "ndjson") -> tuple[list[Any], ModelHubError | None]:
    """Read a stream, and return its documents and what it ended with."""
    found: list[Any] = []
    async with WireServer(reply) as server, client_to(server.url) as client:
        try:
            async with aclosing(client.stream(call(framing))) as batches:
                async for batch in batches:
                    found.extend(batch)
        except ModelHubError as error:
            return found, error
    return found, None


def gzipped_by_document(flush: int = zlib.Z_SYNC_FLUSH) -> list[bytes]:
    """Return the lines as a server compresses them that flushes after each."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    chunks = [packer.compress(line) + packer.flush(flush) for line in NDJSON.splitlines(keepends=True)]
    return [*chunks, packer.flush()]


@pytest.mark.parametrize(
    ("framing", "reply"),
    [
        ("ndjson", ndjson_reply(DOCUMENTS)),
        ("ndjson", Reply(body=NDJSON, split="bytes")),
        ("ndjson", Reply(body=NDJSON.rstrip(b"\n"), length=False)),
        ("ndjson", Reply(body=NDJSON.replace(b"\n", b" \r\n\n"))),
        ("ndjson", Reply(body=gzip.compress(NDJSON, mtime=0), headers={"content-encoding": "gzip"}, split="bytes")),
        ("ndjson", Reply(raw=b"HTTP/1.0 200 OK\r\n\r\n" + NDJSON)),
        ("sse", sse_reply(DOCUMENTS)),
        ("sse", sse_reply(DOCUMENTS, done=False)),
        ("sse", Reply(200, EVENTS, SSE + DONE, split="bytes")),
        ("sse", Reply(200, EVENTS, SSE.replace(b"\n", b"\r\n") + DONE, split="bytes")),
        ("sse", Reply(200, EVENTS, b"\xef\xbb\xbf: hello\n\n" + SSE.replace(b"\n\n", b"\n\n: ping\n\n") + DONE)),
        ("sse", Reply(200, EVENTS, SSE.rstrip(b"\n"), length=False)),
        ("sse", Reply(body=SSE + DONE)),
    ],
)
async def test_documents_come_as_they_were_sent(client_to: Any, framing: Framing, reply: Reply) -> None:
    """Whatever the framing, the cuts, the encoding and the way the body ends."""
    assert await read(client_to, reply, framing) == (DOCUMENTS, None)


async def test_an_encoded_stream_is_decoded_as_it_comes(client_to: Any) -> None:
    """A document is there before the next one was sent."""
    chunks = gzipped_by_document()
    reply = Reply(200, {"content-encoding": "gzip"}, chunks=chunks, chunked=True, pause=0.1)
    came: list[float] = []
    async with (
        WireServer(reply) as server,
        client_to(server.url) as client,
        aclosing(client.stream(call("ndjson"))) as batches,
    ):
        async for _ in batches:
            came.append(time.monotonic())  # noqa: PERF401  when each came
    assert len(came) == 3
    assert all(later - sooner > 0.05 for sooner, later in pairwise(came))


async def test_a_stream_is_given_as_it_comes(client_to: Any) -> None:
    """The first document does not wait for the second."""
    reply = Reply(chunks=NDJSON.splitlines(keepends=True), chunked=True, cut_after=40, cut="hang")
    async with WireServer(reply) as server, client_to(server.url) as client:
        with anyio.fail_after(2):
            async with aclosing(client.stream(call("ndjson"))) as batches:
                assert await anext(batches) == DOCUMENTS[:1]
        assert (await server.disconnected()).sent <= 40


async def test_a_whole_document_answers_a_request_for_events(client_to: Any) -> None:
    """A server that does not stream, or answers with an error, is understood."""
    reply = Reply(200, {"content-type": "application/json; charset=utf-8"}, json.dumps(DOCUMENTS[0], indent=2))
    assert await read(client_to, reply, "sse") == (DOCUMENTS[:1], None)


@pytest.mark.parametrize(
    ("framing", "reply", "kind", "count"),
    [
        ("ndjson", Reply(body=NDJSON, cut_after=len(NDJSON) - 5), ConnectionLost, 2),
        ("ndjson", Reply(body=NDJSON[:-5], length=False), ConnectionLost, 2),
        ("ndjson", Reply(body=NDJSON, chunked=True, cut_after=len(NDJSON) + 4), ConnectionLost, 3),
        ("ndjson", Reply(chunks=[NDJSON, b"x" * 99], chunked=True, cut_after=len(NDJSON) + 7), ConnectionLost, 3),
        ("ndjson", Reply(body=b'{"text": "x"}\nnope\n{"end": 1}\n'), MalformedResponse, 1),
        ("ndjson", Reply(body=b'{"text": "x"}\n{"text": "\xff"}\n'), MalformedResponse, 1),
        ("ndjson", Reply(200, {"content-type": "text/html"}, b"<html>"), MalformedResponse, 0),
        ("ndjson", Reply(503, {}, b"busy"), Overloaded, 0),
        ("ndjson", Reply(200, {"content-encoding": "gzip"}, gzip.compress(NDJSON, mtime=0)[:-4]), ConnectionLost, 3),
        ("ndjson", Reply(200, {"content-encoding": "zstd"}, b"x"), MalformedResponse, 0),
        ("sse", Reply(200, EVENTS, b'data: {"a": 1}\n\ndata: {"b"\n\n'), MalformedResponse, 1),
        ("sse", Reply(200, {"content-type": "text/html"}, b"<html>"), MalformedResponse, 0),
        ("sse", Reply(200, {"content-type": "application/json"}, b"{nope"), MalformedResponse, 0),
        ("sse", Reply(529, {}, b"data: {}"), Overloaded, 0),
    ],
)
async def test_what_came_before_a_fault_is_given_first(
    *, client_to: Any, framing: Framing, reply: Reply, kind: type[ModelHubError], count: int
) -> None:
    """Then the error; a stream that breaks never just ends."""
    found, error = await read(client_to, reply, framing)
    assert isinstance(error, kind)
    assert len(found) == count


async def test_a_line_of_a_megabyte_is_read(client_to: Any) -> None:
    """Tools take large arguments."""
    document = {"arguments": "x" * 1_000_000}
    assert await read(client_to, ndjson_reply([document])) == ([document], None)


async def test_a_line_without_end_is_cut_off(client_to: Any) -> None:
    """Memory is bounded, and the server hears of it."""
    reply = Reply(chunks=[b"x" * (1024 * 1024)] * 40, chunked=True)
    async with WireServer(reply) as server, client_to(server.url) as client:
        with pytest.raises(MalformedResponse):
            _ = [batch async for batch in client.stream(call("ndjson"))]
        assert (await server.disconnected()).sent < 40 * 1024 * 1024


@pytest.mark.parametrize("after", [b"", b'data: {"more": 1}\n\n', b"\x00garbage" * 100])
async def test_what_comes_after_the_end_is_passed_over(client_to: Any, after: bytes) -> None:
    """`[DONE]` is the end, and the connection serves again."""
    reply = Reply(200, EVENTS, chunks=[SSE, DONE, after], chunked=True)
    async with WireServer(reply) as server, client_to(server.url) as client:
        for _ in range(2):
            found: list[Any] = []
            async for batch in client.stream(call("sse")):
                found.extend(batch)
                if {"end": True} in batch:
                    await client.settle()
            assert found[:3] == DOCUMENTS
    assert server.connections <= 2


async def test_settling_gives_the_connection_back(client_to: Any) -> None:
    """What little follows the last document is read, so that the next request need not connect anew."""
    reply = Reply(chunks=[NDJSON, b"\n"], chunked=True, pause=0.001)
    async with WireServer(reply) as server, client_to(server.url) as client:
        for _ in range(3):
            async with aclosing(client.stream(call("ndjson"))) as batches:
                await anext(batches)
                await client.settle()
    assert server.connections == 1


@pytest.mark.parametrize("cut", ["hang", "fin", "rst"])
async def test_settling_does_not_wait_and_does_not_fail(client_to: Any, cut: Any) -> None:
    """A server that keeps the body open, or breaks it off after the last document, has still answered."""
    reply = Reply(chunks=[NDJSON, b"more"], chunked=True, cut_after=len(NDJSON) + 7, cut=cut)
    async with WireServer(reply) as server, client_to(server.url) as client:
        start = time.monotonic()
        async with aclosing(client.stream(call("ndjson"))) as batches:
            assert await anext(batches) == DOCUMENTS
            await client.settle()
        assert time.monotonic() - start < 0.5
        await server.all_closed()


async def test_settling_takes_no_flood(client_to: Any) -> None:
    """A server that goes on and on is left."""
    reply = Reply(chunks=[NDJSON, *[b"x" * 65536] * 400], chunked=True)
    async with WireServer(reply) as server, client_to(server.url) as client:
        async with aclosing(client.stream(call("ndjson"))) as batches:
            await anext(batches)
            await client.settle()
        assert (await server.disconnected()).sent < 400 * 65536


async def test_pings_keep_a_stream_alive_up_to_the_first_token(client_to: Any) -> None:
    """They reset the limit between pieces, and not the limit to the first content, nor the caller's own."""
    reply = Reply(200, EVENTS, chunks=[b": ping\n\n"] * 100, chunked=True, pause=0.05)
    for seconds, phase in (({"first_token": 0.3}, "first_token"), ({"first_token": 9.0, "idle": 9.0}, "total")):
        async with WireServer(reply) as server, client_to(server.url, **seconds) as client:
            if phase == "total":
                client.limits.deadline, client.limits.total = time.monotonic() + 0.3, 0.3
            start = time.monotonic()
            with pytest.raises(Timeout) as caught:
                _ = [batch async for batch in client.stream(call("sse"))]
            assert caught.value.phase == phase
            assert 0.25 < time.monotonic() - start < 1


async def test_a_stream_after_content_may_take_any_time(client_to: Any) -> None:
    """Only silence ends it."""
    reply = Reply(200, EVENTS, chunks=[b"data: {}\n\n", *[b": ping\n\n"] * 6, DONE], chunked=True, pause=0.06)
    async with WireServer(reply) as server, client_to(server.url, first_token=0.2, idle=0.2) as client:
        async for _ in client.stream(call("sse")):
            client.limits.content_came()


async def test_closing_the_client_breaks_what_is_open(client_to: Any) -> None:
    """From any task: the reader hears of it at once."""
    reply = Reply(chunks=[b'{"text": "x"}\n'], chunked=True, cut_after=20, cut="hang")
    ended: list[ModelHubError] = []

    async def reader() -> None:
        try:
            async for _ in client.stream(call("ndjson")):
                pass
        except ModelHubError as error:
            ended.append(error)

    async with WireServer(reply) as server, client_to(server.url) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await anyio.sleep(0.1)
            client.abort()
        await server.disconnected()
    assert isinstance(ended[0], ConnectionLost)
