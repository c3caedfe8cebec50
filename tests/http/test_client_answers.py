"""What is read: whole answers, encoded answers, refusals of every shape, and bodies that lie about themselves."""

import gzip
import json
import time
import zlib
from typing import Any

import anyio
import pytest

from modelhub.errors import (
    AuthenticationFailed,
    ConnectionLost,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    Overloaded,
    RateLimited,
    ServerError,
    UnclassifiedError,
)
from modelhub.http.seam import HttpCall
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

CALL = HttpCall("/x", json={})
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html; charset=utf-8"}
TEXT = json.dumps({"text": "é日本🙂 " * 200}).encode()


async def answered(client_to: Any, reply: Reply, **seconds: float) -> Any:
    """Ask for a JSON document."""
    async with WireServer(reply) as server, client_to(server.url, **seconds) as client:
        return await client.json(CALL)


async def refused(client_to: Any, reply: Reply, **seconds: float) -> ModelHubError:
    """Return the error that an answer stands for."""
    with pytest.raises(ModelHubError) as caught:
        await answered(client_to, reply, **seconds)
    return caught.value


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=TEXT),
        Reply(body=TEXT, split="bytes"),
        Reply(body=TEXT, chunked=True),
        Reply(chunks=[TEXT[at : at + 7] for at in range(0, len(TEXT), 7)], chunked=True),
        Reply(body=TEXT, length=False),
        Reply(body=TEXT, headers={"content-type": "text/plain"}),
        Reply(body=b"\xef\xbb\xbf \n" + TEXT + b"\n\n"),
        Reply(body=gzip.compress(TEXT, mtime=0), headers={"content-encoding": "gzip"}),
        Reply(body=gzip.compress(TEXT, mtime=0), headers={"content-encoding": "GZIP"}, split="bytes"),
        Reply(body=zlib.compress(TEXT), headers={"content-encoding": "deflate"}, chunked=True),
        Reply(body=TEXT, headers={"content-encoding": "identity"}),
        Reply(body=TEXT, headers={"content-encoding": ""}),
        Reply(raw=b"HTTP/1.0 200 OK\r\n\r\n" + TEXT),
        Reply(raw=b"HTTP/1.1 200\r\n\r\n" + TEXT),
        Reply(raw=b"HTTP/1.1 200 OK\nContent-Length: " + str(len(TEXT)).encode() + b"\n\n" + TEXT),
    ],
)
async def test_a_document_is_read_however_it_comes(client_to: Any, reply: Reply) -> None:
    """In one piece or in bytes, chunked, encoded, ended by the connection, by an old server."""
    assert await answered(client_to, reply) == json.loads(TEXT)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"OK", {}),
        (b'{"a": 1', JSON),
        (b"{'a': 1}", JSON),
        (b'{"a": NaN}', JSON),
        (b'{"a": "\xff"}', JSON),
        (b"[" * 100_000, JSON),
        (b"<html><title>Sign in</title></html>", HTML),
        (b'{"a": 1}', HTML),
        (b"\x1f\x8b not gzip", {"content-encoding": "gzip"}),
        (TEXT, {"content-encoding": "br"}),
        (TEXT, {"content-encoding": "gzip, gzip"}),
    ],
)
async def test_what_is_no_document_is_malformed(client_to: Any, body: bytes, headers: dict[str, str]) -> None:
    """Never a parser's own exception."""
    error = await refused(client_to, Reply(body=body, headers=headers))
    assert isinstance(error, MalformedResponse)
    assert len(str(error)) < 1000


async def test_a_document_that_ends_inside_its_compression_broke_off(client_to: Any) -> None:
    """The connection ended well, and the answer did not."""
    body = gzip.compress(TEXT, mtime=0)[:-9]
    error = await refused(client_to, Reply(body=body, headers={"content-encoding": "gzip"}))
    assert isinstance(error, ConnectionLost)
    assert error.sent is True


@pytest.mark.parametrize("reply", [Reply(body="<html>", headers=HTML), Reply(body="no json")])
async def test_an_answer_of_another_server_names_the_url(client_to: Any, reply: Reply) -> None:
    """A captive portal, or a wrong base URL."""
    async with WireServer(reply) as server, client_to(f"{server.url}/v1") as client:
        with pytest.raises(MalformedResponse) as caught:
            await client.json(CALL)
    assert f"{server.url}/v1/x" in str(caught.value)
    assert caught.value.status == 200


async def test_a_body_without_end_is_cut_off(client_to: Any) -> None:
    """Memory is bounded, the connection is closed, and the server hears of it."""
    endless = Reply(chunks=[b" " * (1024 * 1024)] * 80, chunked=True)
    async with WireServer(endless) as server, client_to(server.url) as client:
        with pytest.raises(MalformedResponse, match="64 MiB"):
            await client.json(CALL)
        gone = await server.disconnected()
    assert gone.sent < 80 * 1024 * 1024


async def test_a_body_that_grows_when_decoded_is_cut_off(client_to: Any) -> None:
    """A few kilobytes do not become gigabytes."""
    bomb = gzip.compress(b" " * (128 * 1024 * 1024), compresslevel=9)
    error = await refused(client_to, Reply(body=bomb, headers={"content-encoding": "gzip"}))
    assert isinstance(error, MalformedResponse)
    assert "decode to more" in error.message


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=TEXT, headers={"content-length": str(len(TEXT) + 1)}, keep_alive=False),
        Reply(body=TEXT, cut_after=len(TEXT) // 2),
        Reply(body=TEXT, cut_after=0),
        Reply(body=TEXT, cut_after=10, cut="rst"),
        Reply(body=TEXT, chunked=True, cut_after=20),
        Reply(body=TEXT, chunked=True, cut_after=len(TEXT) + 8),
    ],
)
async def test_a_body_that_ends_too_soon_is_a_lost_connection(client_to: Any, reply: Reply) -> None:
    """Even where what came is a whole document: the server meant to say more."""
    error = await refused(client_to, reply)
    assert isinstance(error, ConnectionLost)
    assert error.sent is True


async def test_a_body_is_not_read_beyond_its_length(client_to: Any) -> None:
    """What comes behind it belongs to nobody, and the connection is not used again."""
    reply = Reply(body=b'{"a": 1}{"b": 2}', headers={"content-length": "8"})
    async with WireServer(reply) as server, client_to(server.url) as client:
        assert await client.json(CALL) == {"a": 1}
        assert await client.json(CALL) == {"a": 1}
    assert server.connections == 2


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "text"),
    [
        (400, {"error": {"message": "no such thing"}}, JSON, ModelHubError, "no such thing"),
        (401, {"error": {"message": "bad key", "code": "invalid_api_key"}}, JSON, AuthenticationFailed, "bad key"),
        (404, "404 page not found", {"content-type": "text/plain"}, ModelNotFound, "404 page not found"),
        (404, {"error": "model 'x' not found"}, JSON, ModelNotFound, "model 'x' not found"),
        (429, {"message": "slow down"}, {**JSON, "retry-after": "1.5"}, RateLimited, "slow down"),
        (502, "<html><h1>Bad Gateway</h1></html>", HTML, ServerError, "Bad Gateway"),
        (503, "", {}, Overloaded, "503"),
        (500, "x" * 2_000_000, {"content-type": "text/plain"}, ServerError, "xxx"),
        (500, b"\xff\xfe\x00", {}, ServerError, "500"),
        (500, json.dumps({"error": "boom"}).encode(), {**JSON, "x-request-id": "r-1"}, ServerError, "boom"),
        (299, "{", JSON, MalformedResponse, "JSON"),
        (302, "", {"location": "http://elsewhere/"}, MalformedResponse, "http://elsewhere/"),
        (307, "", {"location": "/x/"}, MalformedResponse, "/x/"),
        (304, "", {}, MalformedResponse, "304"),
        (600, "", {}, UnclassifiedError, "600"),
    ],
)
async def test_a_refusal_is_classified(
    *, client_to: Any, status: int, body: Any, headers: dict[str, str], kind: type[ModelHubError], text: str
) -> None:
    """By what the answer says, whatever shape it has, in a message that can be shown."""
    given = body if isinstance(body, bytes | str) else json.dumps(body)
    error = await refused(client_to, Reply(status, headers, given))
    assert isinstance(error, kind)
    assert text in error.message
    assert error.status == status
    assert len(str(error)) < 1200
    assert len(error.excerpt or "") <= 2048
    assert error.sent is not False
    if status == 429:
        assert error.retry_after == 1.5
    if "x-request-id" in headers:
        assert error.request_id == "r-1"


async def test_a_redirect_is_not_followed(client_to: Any) -> None:
    """Neither to another host nor on the same one: no key goes where nobody sent it."""
    async with WireServer(Reply(body="{}")) as evil, WireServer(Reply(307, {"location": evil.url})) as server:
        async with client_to(server.url, ("Authorization", "Bearer k"), ("x-api-key", "k")) as client:
            with pytest.raises(MalformedResponse) as caught:
                await client.json(CALL)
        assert "base URL" in (caught.value.remedy or "")
        assert evil.connections == 0
        assert len(server.requests) == 1


async def test_an_encoded_refusal_is_read(client_to: Any) -> None:
    """Proxies compress errors too."""
    body = gzip.compress(json.dumps({"error": {"message": "no quota", "code": "insufficient_quota"}}).encode())
    error = await refused(client_to, Reply(429, {**JSON, "content-encoding": "gzip"}, body))
    assert type(error).__name__ == "QuotaExhausted"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, JSON, b'{"error": "busy"}', cut_after=5),
        Reply(503, {"content-encoding": "br"}, b"busy"),
        Reply(503, {"content-encoding": "gzip"}, b"busy"),
        Reply(503, JSON, b'{"error": "busy"}', chunked=True, cut_after=3, cut="rst"),
    ],
)
async def test_the_status_of_a_broken_refusal_still_counts(client_to: Any, reply: Reply) -> None:
    """It says more than the body that cannot be read."""
    assert isinstance(await refused(client_to, reply), Overloaded)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes those seconds
async def test_a_refusal_whose_body_never_ends_is_not_waited_for(client_to: Any) -> None:
    """The status is known; the reason is worth some seconds, and not the limit of a whole answer."""
    reply = Reply(401, JSON, b'{"error": "bad', cut_after=8, cut="hang")
    start = time.monotonic()
    error = await refused(client_to, reply)
    assert isinstance(error, AuthenticationFailed)
    assert time.monotonic() - start < 4


async def test_a_large_refusal_is_read_in_part(client_to: Any) -> None:
    """And the rest is not waited for."""
    endless = Reply(500, {"content-type": "text/plain"}, chunks=[b"x" * 65536] * 1000, chunked=True, pause=0.01)
    with anyio.fail_after(5):
        assert isinstance(await refused(client_to, endless), ServerError)


async def test_bytes_are_given_as_they_come(client_to: Any) -> None:
    """Decoded, in order, nothing held back, no empty pieces."""
    sound = bytes(range(256)) * 50
    packed = gzip.compress(sound)
    for reply in (
        Reply(body=sound, headers={"content-type": "audio/mpeg"}, split=[1, 100], pause=0.01),
        Reply(body=packed, headers={"content-encoding": "gzip"}, split=range(0, len(packed), 50), pause=0.01),
    ):
        async with WireServer(reply) as server, client_to(server.url) as client:
            pieces = [piece async for piece in client.bytes(CALL)]
        assert b"".join(pieces) == sound
        assert len(pieces) > 1
        assert all(pieces)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, JSON, b'{"error": {"message": "no voice", "code": 503}}'), Overloaded),
        (Reply(200, HTML, b"<html>Sign in</html>"), MalformedResponse),
        (Reply(400, JSON, b'{"error": "no voice"}'), ModelHubError),
        (Reply(200, {"content-encoding": "gzip"}, gzip.compress(b"x" * 1000, mtime=0)[:-5]), ConnectionLost),
        (Reply(200, {}, b"x" * 100, cut_after=50), ConnectionLost),
    ],
)
async def test_what_is_not_the_bytes_asked_for_is_an_error(
    client_to: Any, reply: Reply, kind: type[ModelHubError]
) -> None:
    """An error in a 200, a web page, or half a sound."""
    async with WireServer(reply) as server, client_to(server.url) as client:
        with pytest.raises(kind):
            _ = [piece async for piece in client.bytes(CALL)]
