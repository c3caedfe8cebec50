"""Connections over real sockets: what is reused and what is not, what a broken answer still gives, limits of time."""

import socket
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest

from modelhub.errors import ConnectFailed, ConnectionLost, MalformedResponse, ModelHubError, Timeout
from modelhub.http.httpx_backend import HttpxBackend
from modelhub.http.seam import Exchange, HttpRequest, ReadLimits
from modelhub.rules.endpoint import endpoint_of
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "tls" / "localhost.pem"
OK = Reply(body="ok")
HEAD = b"HTTP/1.1 200 OK\r\n"


@asynccontextmanager
async def backend_to(url: str, context: ssl.SSLContext | None = None) -> AsyncGenerator[HttpxBackend, None]:
    """Give a backend and close it."""
    backend = HttpxBackend(endpoint_of(url), context=context)
    try:
        yield backend
    finally:
        await backend.aclose()


def limits(**seconds: float) -> ReadLimits:
    """Return limits of time, generous where none is given."""
    return ReadLimits(time.monotonic, **seconds)


def question(body: bytes = b"?", method: str = "POST") -> HttpRequest:
    """Return a request."""
    return HttpRequest(method, "/", [("Host", "localhost"), ("Content-Length", str(len(body)))], body)


async def body_of(exchange: Exchange) -> bytes:
    """Read an answer to its end and close it."""
    body = b"".join([piece async for piece in exchange])
    await exchange.aclose()
    return body


async def ask(backend: HttpxBackend, body: bytes = b"?", *, method: str = "POST") -> bytes:
    """Send a request and return the body of its answer."""
    return await body_of(await backend.open(question(body, method), limits()))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_a_connection_serves_one_request_after_another(method: str) -> None:
    """An answer that was read to its end leaves its connection to the next request, whatever the method."""
    async with WireServer(OK) as server, backend_to(server.url) as backend:
        bodies = [await ask(backend, method=method) for _ in range(3)]
        assert repr(backend) == f"<HttpxBackend {server.url}: <pool of 1 idle and 0 busy>>"
    assert bodies == [b"" if method == "HEAD" else b"ok"] * 3
    assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="ok", keep_alive=False),
        Reply(body="ok", keep_alive=False, headers={"connection": "keep-alive"}),
        Reply(body="ok", length=False),
        Reply(body="okHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong", headers={"content-length": "2"}),
    ],
    ids=["it says so", "it does not say so", "the end is the body's end", "it says too much"],
)
async def test_a_connection_that_cannot_serve_again_does_not(reply: Reply) -> None:
    """A server that ended the connection, or sent more than its answer, is asked again through a new one."""
    async with WireServer([reply, OK]) as server, backend_to(server.url) as backend:
        assert await ask(backend) == b"ok"
        await anyio.sleep(0.02)
        assert await ask(backend) == b"ok"
    assert server.connections == 2


async def test_a_connection_is_not_shared_while_it_is_busy() -> None:
    """Answers that come at once have a connection each; afterwards all of them are idle."""
    async with WireServer(Reply(body="ok", delay=0.05)) as server, backend_to(server.url) as backend:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, backend)
        assert "3 idle and 0 busy" in repr(backend)
    assert server.connections == 3


async def test_closing_an_exchange_again_does_not_touch_the_next_one() -> None:
    """An exchange that gave its connection back has no hand in it any more."""
    slow = Reply(chunks=["o", "k"], chunked=True, pause=0.05)
    async with WireServer([OK, slow]) as server, backend_to(server.url) as backend:
        first = await backend.open(question(), limits())
        await body_of(first)
        second = await backend.open(question(), limits())
        await first.aclose()
        first.abort()
        assert [piece async for piece in first] == []
        assert await body_of(second) == b"ok"
    assert server.connections == 1


async def test_early_hints_are_passed_over() -> None:
    """Answers that only announce the answer are not it."""
    raw = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + HEAD + b"content-length: 2\r\n\r\nok"
    async with WireServer(Reply(raw=raw)) as server, backend_to(server.url) as backend:
        assert await ask(backend) == b"ok"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", ConnectionLost),
        (b"HTTP/1.1 200", ConnectionLost),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", MalformedResponse),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", MalformedResponse),
        (HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok", MalformedResponse),
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_endpoint(raw: bytes, kind: type[ModelHubError]) -> None:
    """Silence is a lost connection, and what is no HTTP is malformed; both know that the request was sent."""
    async with WireServer(Reply(raw=raw)) as server, backend_to(server.url) as backend:
        with pytest.raises(kind) as caught:
            await ask(backend)
        assert caught.value.sent
        assert "0 idle and 0 busy" in repr(backend)


@pytest.mark.parametrize(
    ("rest", "kind"),
    [(b"", ConnectionLost), (b"no size\r\n", MalformedResponse)],
    ids=["cut off", "not chunked any more"],
)
async def test_what_came_before_a_fault_is_delivered_first(rest: bytes, kind: type[ModelHubError]) -> None:
    """The pieces of a body come before the error though they came with it; whoever reads on gets the error again."""
    raw = HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n" + rest
    async with WireServer(Reply(raw=raw)) as server, backend_to(server.url) as backend:
        exchange = await backend.open(question(), limits())
        pieces, error = await read_until_error(exchange)
        nothing, same = await read_until_error(exchange)
        await exchange.aclose()
    assert b"".join(pieces) == b"ok"
    assert nothing == []
    assert type(error) is type(same) is kind


async def test_large_bodies_both_ways() -> None:
    """Four megabytes go and come whole, though the server's answer waits for whoever reads it slowly."""
    async with WireServer(lambda request: Reply(body=request.body)) as server, backend_to(server.url) as backend:
        sent = bytes(range(256)) * 16 * 1024
        exchange = await backend.open(question(sent), limits())
        pieces: list[bytes] = []
        async for piece in exchange:
            pieces.append(piece)
            await anyio.sleep(0.001)
        await exchange.aclose()
    assert b"".join(pieces) == sent


async def test_a_server_that_takes_no_request() -> None:
    """Sending has the limits that waiting for the answer has."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with backend_to(f"http://127.0.0.1:{deaf.getsockname()[1]}") as backend:
            with pytest.raises(Timeout) as caught:
                await backend.open(question(bytes(32 * 1024 * 1024)), limits(first_token=0.2))
    assert caught.value.phase == "first_token"


async def test_the_limit_between_pieces_begins_anew_with_each() -> None:
    """A stream may take longer than the limit between its pieces, and ends by it once nothing comes."""
    reply = Reply(chunks=["a", "b", "c", "d"], chunked=True, pause=0.1, cut_after=20, cut="hang")
    async with WireServer(reply) as server, backend_to(server.url) as backend:
        given = limits(idle=0.25)
        given.content_came()
        exchange = await backend.open(question(), given)
        start = time.monotonic()
        pieces, error = await read_until_error(exchange)
        await exchange.aclose()
    assert pieces == [b"a", b"b", b"c"]
    assert isinstance(error, Timeout)
    assert error.phase == "idle"
    assert 0.44 < time.monotonic() - start < 2


async def test_abort_ends_a_read_in_another_task() -> None:
    """Whoever reads hears of it at once, and the server does."""
    hanging = Reply(chunks=["a", "b"], chunked=True, cut_after=6, cut="hang")
    async with WireServer(hanging) as server, backend_to(server.url) as backend:
        exchange = await backend.open(question(), limits())
        async with anyio.create_task_group() as group:
            group.start_soon(abort_soon, exchange)
            with anyio.fail_after(2):
                pieces, error = await read_until_error(exchange)
        await server.disconnected(timeout=1)
        await exchange.aclose()
    assert pieces == [b"a"]
    assert isinstance(error, ConnectionLost)


async def abort_soon(exchange: Exchange) -> None:
    """Break an exchange while another task reads it."""
    await anyio.sleep(0.02)
    exchange.abort()


async def read_until_error(exchange: Exchange) -> tuple[list[bytes], ModelHubError | None]:
    """Read what comes, and return it with the error that it ends with."""
    pieces: list[bytes] = []
    try:
        async for piece in exchange:
            pieces.append(piece)  # noqa: PERF401  an error must not lose what came
    except ModelHubError as error:
        return pieces, error
    return pieces, None


@pytest.fixture
def secure_port() -> Iterator[int]:
    """Give the port of a server that answers every connection over TLS, with a certificate of its own making."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=serve_securely, args=(listener, context))
    server.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    server.join()
    listener.close()


def serve_securely(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Answer one connection after another, until each ends."""
    with suppress(OSError):  # the listener was shut down
        while True:
            bare, _ = listener.accept()
            with bare, suppress(OSError), context.wrap_socket(bare, server_side=True) as connection:
                while connection.recv(64 * 1024):
                    connection.sendall(HEAD + b"content-length: 2\r\n\r\nok")


async def test_over_tls(secure_port: int) -> None:
    """An encrypted connection is checked by its certificate and serves one request after another."""
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with backend_to(f"https://localhost:{secure_port}", trusting) as backend:
        assert [await ask(backend) for _ in range(3)] == [b"ok"] * 3
        assert "1 idle and 0 busy" in repr(backend)


async def test_a_certificate_that_nobody_vouches_for(secure_port: int) -> None:
    """It is no connection, and nothing was sent."""
    async with backend_to(f"https://localhost:{secure_port}", ssl.create_default_context()) as backend:
        with pytest.raises(ConnectFailed, match="certificate") as caught:
            await ask(backend)
    assert caught.value.sent is False
