"""What a server may make the client hold or wait for: every answer has a bound, and reaching it costs one error."""

import functools
import gzip
import json
import time
import tracemalloc
import zlib
from typing import Any

import anyio
import pytest

from modelhub.errors import ConnectionLost, MalformedResponse, ModelHubError, ServerError, Timeout
from modelhub.http.client import HttpClient
from modelhub.http.httpx_backend import HttpxBackend
from modelhub.http.seam import HttpCall, HttpRequest, ReadLimits
from modelhub.rules.endpoint import endpoint_of
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
CALL = HttpCall("/x", json={})
SSE = HttpCall("/x", json={}, framing="sse")
HEAD = b"HTTP/1.1 200 OK\r\n"


async def read(client: HttpClient, call: HttpCall, way: str) -> None:
    """Read an answer to its end."""
    if way == "json":
        await client.json(call)
    else:
        async for _ in getattr(client, way)(call):
            pass


async def failing(
    client_to: Any, reply: Reply, call: HttpCall = CALL, *, way: str = "json", grows: int = 100 * MIB
) -> ModelHubError:
    """Return the error that an answer ends with.

    Args:
        client_to: Makes the client.
        reply: The answer.
        call: What is asked.
        way: How the client reads it.
        grows: The memory that may be held at once, the server's in this process included.
    """
    error: ModelHubError | None = None
    async with WireServer(reply) as server, client_to(server.url) as client:
        tracemalloc.start()
        try:
            await read(client, call, way)
        except ModelHubError as raised:  # not pytest.raises: what looks for secrets there takes memory of its own
            error = raised
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
    assert error is not None
    assert peak < grows
    return error


async def test_a_whole_answer_has_64_mib(client_to: Any) -> None:
    """A body of a gigabyte is left there, and memory holds the bound and little more."""
    piece = b" " * MIB
    error = await failing(client_to, Reply(chunks=[piece] * 1024, chunked=True), grows=(64 + 10) * MIB)
    assert isinstance(error, MalformedResponse)
    assert "64 MiB" in error.message
    assert "whoever runs the server" in (error.remedy or "")


async def test_an_error_has_64_kib(client_to: Any) -> None:
    """The rest of what a refusal says is not read."""
    piece = b"x" * MIB
    reply = Reply(500, {"content-type": "text/plain"}, chunks=[piece] * 256, chunked=True)
    error = await failing(client_to, reply, grows=10 * MIB)
    assert isinstance(error, ServerError)
    assert len(error.excerpt or "") <= 2048


@pytest.mark.parametrize("start", [b"", b"data: ", b": "])
@pytest.mark.parametrize("call", [CALL, SSE])
async def test_a_line_of_a_stream_has_8_mib(client_to: Any, call: HttpCall, start: bytes) -> None:
    """One that never ends is an error, whatever it is a line of."""
    pieces = [start, *[b"x" * MIB] * 64]
    reply = Reply(chunks=[each for each in pieces if each], chunked=True)
    error = await failing(client_to, reply, call, way="stream", grows=30 * MIB)
    assert isinstance(error, MalformedResponse)
    assert "longer than 8388608" in error.message


async def test_an_event_of_many_lines_has_8_mib(client_to: Any) -> None:
    """No line of it is long; the event is."""
    pieces = [b"data: " + b"x" * MIB + b"\n"] * 64
    error = await failing(client_to, Reply(chunks=pieces, chunked=True), SSE, way="stream", grows=40 * MIB)
    assert isinstance(error, MalformedResponse)
    assert "8388608" in error.message


@pytest.mark.parametrize("way", ["json", "stream"])
@pytest.mark.parametrize("body", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * 300 + b"]" * 300])
async def test_json_has_a_depth(client_to: Any, body: bytes, way: str) -> None:
    """A million brackets are an error, not the end of the process."""
    error = await failing(client_to, Reply(body=body + b"\n"), way=way, grows=30 * MIB)
    assert isinstance(error, MalformedResponse)


@functools.cache
def bomb(encoding: str) -> bytes:
    """Return a quarter of a megabyte that unfolds into 256."""
    engine = zlib.compressobj(9, wbits=zlib.MAX_WBITS | (16 if encoding == "gzip" else 0))
    zeros = bytes(16 * MIB)
    return b"".join([engine.compress(zeros) for _ in range(16)]) + engine.flush()


@pytest.mark.parametrize("way", ["json", "stream", "bytes"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_bomb_does_not_unfold(client_to: Any, encoding: str, way: str) -> None:
    """By its ratio, long before it is as large as an answer may be."""
    body = bomb(encoding)
    error = await failing(client_to, Reply(headers={"content-encoding": encoding}, body=body), way=way, grows=40 * MIB)
    assert isinstance(error, MalformedResponse)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip, br", "compress"])
@pytest.mark.parametrize("way", ["json", "stream", "bytes"])
async def test_an_encoding_that_nobody_asked_for_is_not_undone(client_to: Any, encoding: str, way: str) -> None:
    """Layers of them neither."""
    body = gzip.compress(gzip.compress(b"{}"))
    error = await failing(client_to, Reply(headers={"content-encoding": encoding}, body=body), way=way)
    assert isinstance(error, MalformedResponse)
    assert "not supported" in error.message


async def test_no_encoding_is_asked_for(client_to: Any) -> None:
    """A stream is not held back to be compressed, and nothing unfolds."""
    async with WireServer(Reply(body=b"{}")) as server, client_to(server.url) as client:
        await client.json(CALL)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"x: " + b"y" * (4 * MIB),
        HEAD + b"".join(b"x-%d: y\r\n" % number for number in range(400_000)),
        b"HTTP/1.1 200 " + b"O" * (4 * MIB),
        HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"1;" + b"x" * (4 * MIB),
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n" + b"x: y\r\n" * 700_000,
    ],
    ids=["one header", "many headers", "reason", "chunk", "trailers"],
)
async def test_headers_without_end_are_no_answer(client_to: Any, raw: bytes) -> None:
    """A hundred kilobytes of them are enough, wherever they come."""
    error = await failing(client_to, Reply(raw=raw), grows=15 * MIB)
    assert isinstance(error, MalformedResponse)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b" " * 1000, split="bytes", pause=0.02),
        Reply(raw=HEAD + b"x" * 1000, split="bytes", pause=0.02),
        Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, split=range(0, 25_000, 25), pause=0.02),
    ],
    ids=["body", "headers", "hints"],
)
async def test_a_drip_ends_at_the_callers_deadline(client_to: Any, reply: Reply) -> None:
    """Each byte comes in time; all of them together do not."""
    start = time.monotonic()
    async with WireServer(reply) as server, client_to(server.url, deadline=start + 0.5, total=0.5) as client:
        with pytest.raises(Timeout) as caught:
            await client.json(CALL)
        assert time.monotonic() - start < 3
        await server.all_closed()
    assert caught.value.phase == "total"


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 2\r\ncontent-length: 3\r\n",
        b"content-length: 2, 3\r\n",
        b"content-length: -2\r\n",
        b"content-length: +2\r\n",
        b"content-length: 0x2\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        b"content-length : 2\r\n",
        b"content-length\x0b: 2\r\n",
        b"x: a\x00b\r\ncontent-length: 2\r\n",
    ],
)
async def test_an_answer_whose_end_is_in_doubt_is_none(client_to: Any, head: bytes) -> None:
    """Where two readers could see two ends, nothing is read, and the connection is closed."""
    error = await failing(client_to, Reply(raw=HEAD + head + b"\r\n2\r\n{}\r\n0\r\n\r\n"))
    assert isinstance(error, MalformedResponse | ConnectionLost)


@pytest.mark.parametrize("size", [b"x", b"-1", b"1\x0b", b" 2", b"2 2", b"0x2", b"f" * 30, b""])
async def test_a_chunk_whose_size_is_none(client_to: Any, size: bytes) -> None:
    """It is not guessed."""
    raw = HEAD + b"transfer-encoding: chunked\r\n\r\n" + size + b"\r\n{}\r\n0\r\n\r\n"
    error = await failing(client_to, Reply(raw=raw))
    assert isinstance(error, MalformedResponse | ConnectionLost)


async def told(backend: HttpxBackend) -> bytes:
    """Return the body of an answer."""
    exchange = await backend.open(HttpRequest("GET", "/", [("Host", "localhost")]), ReadLimits(time.monotonic))
    body = b"".join([piece async for piece in exchange])
    await exchange.aclose()
    return body


@pytest.mark.parametrize(
    "first",
    [
        HEAD + b"content-length: 2\r\n\r\nok" + HEAD + b"content-length: 6\r\n\r\nforged",
        HEAD + b"content-length: 2\r\n\r\nok" + b"x",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + HEAD + b"content-length: 6\r\n\r\nforged",
        HEAD + b"content-length: 60\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("late", [False, True])
async def test_nothing_behind_an_answer_becomes_the_next_one(first: bytes, *, late: bool) -> None:
    """Neither what came with it, nor what comes while nobody asks, nor what two lengths leave in doubt."""
    at = first.index(b"ok") + 2
    replies = [Reply(raw=first, split=[at] if late else None, pause=0.05), Reply(body=b"right")]
    async with WireServer(replies) as server:
        backend = HttpxBackend(endpoint_of(server.url))
        assert await told(backend) == b"ok"
        await anyio.sleep(0.1)
        assert await told(backend) == b"right"
        await backend.aclose()
    assert server.connections == 2


async def test_what_is_said_twice_in_a_row_is_still_read() -> None:
    """The bounds take nothing from answers that keep them."""
    document = json.dumps({"text": "x" * MIB}).encode()
    async with WireServer(Reply(body=document)) as server:
        backend = HttpxBackend(endpoint_of(server.url))
        assert [await told(backend) for _ in range(2)] == [document] * 2
        await backend.aclose()
    assert server.connections == 1
