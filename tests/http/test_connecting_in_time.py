"""Making a connection has one limit of time: looking up, connecting, handshakes and tunnels share it."""

import socket
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import httpcore
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

from modelhub.errors import Timeout
from modelhub.http.addresses import Address
from modelhub.http.client import HttpClient
from modelhub.http.httpx_backend import HttpxBackend
from modelhub.http.network import Network
from modelhub.http.seam import Backend, HttpCall, HttpRequest, ReadLimits
from modelhub.rules.egress import Egress
from modelhub.rules.endpoint import Endpoint, endpoint_of
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer
from modelhub.wire.status import classify, error_facts

pytestmark = pytest.mark.anyio

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "tls" / "localhost.pem"
REMOTE = endpoint_of("https://api.example.org")
LIMIT = 1.0
LATE = 0.5
"""How much later a connection may be given up, on a busy machine; what a second limit would add is more."""


EACH_ON_ONE_LOOP = pytest.mark.parametrize(("anyio_backend", "by_the_caller"), [("asyncio", False), ("trio", True)])
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""Each takes as long as its limit, and both kinds are shown on both event loops."""


@pytest.fixture(autouse=True)
def no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def slowly(seconds: float) -> Any:
    """Return a resolver to which every name is this machine, after a while."""

    async def resolve(_host: str, port: int) -> Sequence[Address]:
        await anyio.sleep(seconds)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    return resolve


@asynccontextmanager
async def deaf_end(
    *, grants: bool = False, pause: float = 0.0, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[int, None]:
    """Give the port of a server that lets everybody in, and says no word to them.

    Args:
        grants: It is a proxy: it says yes to the first request, and no word after that.
        pause: How long it takes for that.
        tls: What it encrypts what it says with.
    """

    async def serve(client: ByteStream) -> None:
        async with client:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                if grants:
                    await client.receive()
                    await anyio.sleep(pause)
                    await client.send(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    await client.receive()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as tcp, anyio.create_task_group() as group:
        group.start_soon((tcp if tls is None else TLSListener(tcp, tls, standard_compatible=False)).serve, serve)
        yield tcp.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def given_up(endpoint: Endpoint, *, by_the_caller: bool = False, **more: Any) -> Timeout:
    """Return how a request ends that never gets a connection, soon after its limit."""
    backend = HttpxBackend(endpoint, context=ssl.create_default_context(), **more)
    start = time.monotonic()
    limits = limited(by_the_caller=by_the_caller)
    with pytest.raises(Timeout) as caught:
        await backend.open(HttpRequest("POST", "/x", [("Host", endpoint.authority)]), limits)
    assert LIMIT - 0.02 < time.monotonic() - start < LIMIT + LATE
    assert not backend.busy
    await backend.aclose()
    assert caught.value.sent is False
    return caught.value


def limited(*, by_the_caller: bool = False) -> ReadLimits:
    """Return limits under which a connection must be there soon, and an answer need not."""
    if by_the_caller:
        return ReadLimits(time.monotonic, connect=60.0, deadline=time.monotonic() + LIMIT, total=LIMIT)
    return ReadLimits(time.monotonic, connect=LIMIT)


@EACH_ON_ONE_LOOP
async def test_looking_up_and_shaking_hands_share_it(*, by_the_caller: bool) -> None:
    """A slow name server has taken of the time that a silent server gets; by the caller's deadline too."""
    async with deaf_end() as port:
        endpoint = Endpoint("https", "api.example.org", port)
        error = await given_up(endpoint, by_the_caller=by_the_caller, resolve=slowly(0.8))
    assert error.phase == ("total" if by_the_caller else "connect")
    assert error.seconds == LIMIT


@EACH_ON_ONE_LOOP
async def test_all_steps_through_a_proxy_share_it(monkeypatch: pytest.MonkeyPatch, *, by_the_caller: bool) -> None:
    """Judging the name, looking the proxy up, the tunnel, and the handshake at its other end."""
    async with deaf_end(grants=True, pause=0.3) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://proxy.example.org:{port}")

        async def resolve(host: str, port: int) -> Sequence[Address]:
            await anyio.sleep(0.25)
            address = "8.8.8.8" if host == REMOTE.host else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        error = await given_up(REMOTE, by_the_caller=by_the_caller, egress=Egress(tenant=True), resolve=resolve)
    assert error.phase == ("total" if by_the_caller else "connect")


@ON_ASYNCIO
async def test_a_proxy_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says to a tunnel is no answer of the server: the time for that is not its own."""
    async with deaf_end() as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        error = await given_up(REMOTE)
    assert error.phase == "connect"


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_secure_proxy_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own handshake does not make the tunnel yet."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    async with deaf_end(tls=tls) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{port}")
        error = await given_up(REMOTE, resolve=slowly(0.6))
    assert error.phase == "connect"


@ON_ASYNCIO
async def test_what_is_said_to_a_proxy_without_a_limit_has_that_of_connecting() -> None:
    """As the library greets SOCKS proxies."""
    async with deaf_end() as port:
        network = Network(Egress(), slowly(0.6))
        start = time.monotonic()
        connecting: Any = limited().connecting()
        connection = await network.connect_tcp("proxy.example.org", port, connecting)
        await connection.write(b"\x05\x01\x00")
        await connection.write(b"")
        with pytest.raises(httpcore.ConnectTimeout):
            await connection.read(4096)
        assert time.monotonic() - start < LIMIT + LATE
        await connection.aclose()


@ON_ASYNCIO
async def test_an_answer_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy and without one: once the connection is there, its limit has no say."""
    async with WireServer(Reply(body=b"{}", delay=0.6)) as server:
        for name, endpoint in (("", endpoint_of(server.url)), ("HTTP_PROXY", endpoint_of("http://api.example.org"))):
            if name:
                monkeypatch.setenv(name, server.url)
            backend = HttpxBackend(endpoint)
            request = HttpRequest("POST", "/x", [("Host", endpoint.authority)])
            exchange = await backend.open(request, ReadLimits(time.monotonic, connect=0.3))
            assert b"".join([piece async for piece in exchange]) == b"{}"
            await exchange.aclose()
            await backend.aclose()


async def test_getting_a_backend_takes_of_the_callers_time() -> None:
    """The first of a process imports a library; nothing was sent meanwhile."""

    async def never() -> Backend:
        await anyio.sleep_forever()
        raise AssertionError

    client = HttpClient(
        never,
        REMOTE,
        headers=(),
        limits=ReadLimits(time.monotonic, deadline=time.monotonic() + 0.1, total=0.1),
        classify=lambda status, head, body: classify(status, error_facts(status, head, body)),
    )
    with pytest.raises(Timeout) as caught, anyio.fail_after(5):
        await client.json(HttpCall("/x", json={}))
    assert (caught.value.phase, caught.value.seconds, caught.value.sent) == ("total", 0.1, False)
