"""How connections are made: to every kind of address, through proxies, and what is said where they cannot be."""

import base64
import gc
import socket
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub.errors import ConfigurationError, ConnectFailed, ConnectionLost, MalformedResponse, ModelHubError, Timeout
from modelhub.http.addresses import addresses_of, connected_socket, fastest, only
from modelhub.http.httpx_backend import HttpxBackend, tls_context
from modelhub.http.seam import Exchange, HttpCall, HttpRequest, ReadLimits
from modelhub.rules.endpoint import endpoint_of
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

CERTIFICATE = Path(__file__).parent.parent / "fixtures" / "tls" / "localhost.pem"
OK = Reply(body=b"{}")
CALL = HttpCall("/x", json={})
REMOTE = "http://api.example.org/v1"


@pytest.fixture(autouse=True)
def no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_addresses_of_both_kinds_are_reached(client_to: Any, host: str) -> None:
    """And named to the server as URLs name them."""
    async with WireServer(OK, host=host) as server, client_to(server.url) as client:
        assert await client.json(CALL) == {}
    assert server.requests[0].headers["host"] == server.url.removeprefix("http://")


async def test_a_name_is_looked_up(client_to: Any) -> None:
    """And stands in the request as it was given."""
    async with WireServer(OK) as server, client_to(f"http://localhost:{server.port}") as client:
        assert await client.json(CALL) == {}
    assert server.requests[0].headers["host"] == f"localhost:{server.port}"


async def failing(client_to: Any, url: str, **seconds: float) -> ModelHubError:
    """Return the error of a request that cannot be sent."""
    async with client_to(url, **seconds) as client:
        with pytest.raises(ModelHubError) as caught:
            await client.json(CALL)
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_a_refused_connection_was_not_sent(client_to: Any, host: str) -> None:
    """The message has the address, and who must act."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = await failing(client_to, f"http://{host}:{port}")
    assert isinstance(error, ConnectFailed)
    assert error.sent is False
    assert f"{host}:{port}" in error.message
    assert "server runs" in (error.remedy or "")


async def test_a_name_that_does_not_exist_is_no_connection(client_to: Any) -> None:
    """The message has the name."""
    error = await failing(client_to, "http://no-such-host.localhost:9")
    assert isinstance(error, ConnectFailed)
    assert error.sent is False
    assert "no-such-host.localhost" in error.message


async def test_a_server_that_speaks_no_tls_is_no_connection(client_to: Any) -> None:
    """`https` in front of a server without it is told as such, and nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = threading.Thread(target=refuse_what_is_no_request, args=(listener,))
        plain.start()
        error = await failing(client_to, f"https://127.0.0.1:{listener.getsockname()[1]}")
        plain.join()
    assert isinstance(error, ConnectFailed)
    assert error.sent is False
    assert "https://127.0.0.1" in error.message


def refuse_what_is_no_request(listener: socket.socket) -> None:
    """Answer one handshake as web servers do."""
    peer, _ = listener.accept()
    with peer:
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nthis is no HTTP request")


def go_at_once(listener: socket.socket) -> None:
    """Close one connection without a word."""
    listener.accept()[0].close()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_that_goes_before_anything_is_said(client_to: Any, scheme: str) -> None:
    """Without a word, during the handshake or after the request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        goes = threading.Thread(target=go_at_once, args=(listener,))
        goes.start()
        error = await failing(client_to, f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        goes.join()
    assert isinstance(error, ConnectFailed if scheme == "https" else ConnectionLost)


async def test_tls_has_the_limit_of_connecting(client_to: Any) -> None:
    """A server that accepts and never shakes hands is left, and no socket with it."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        error = await failing(client_to, f"https://127.0.0.1:{deaf.getsockname()[1]}", connect=0.2)
    assert isinstance(error, Timeout)
    assert (error.phase, error.sent) == ("connect", False)


@pytest.fixture
def full() -> Iterator[int]:
    """Give the port of a server whose queue of connections is full, so that it answers no more of them."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for waiting in (first, second):
            waiting.settimeout(0)
            with suppress(BlockingIOError):
                waiting.connect(("127.0.0.1", port))
        time.sleep(0.05)
        yield port


async def test_connecting_has_a_limit_of_its_own(client_to: Any, full: int) -> None:
    """Long before that of the answer; the caller's own deadline is told apart from it."""
    start = time.monotonic()
    error = await failing(client_to, f"http://127.0.0.1:{full}", connect=0.2)
    assert time.monotonic() - start < 1
    assert isinstance(error, Timeout)
    assert (error.phase, error.seconds, error.sent) == ("connect", 0.2, False)
    error = await failing(client_to, f"http://127.0.0.1:{full}", deadline=time.monotonic() + 0.2, total=0.2)
    assert isinstance(error, Timeout)
    assert error.phase == "total"


@asynccontextmanager
async def exchange_with(
    url: str, context: ssl.SSLContext | None = None, **more: bool
) -> AsyncGenerator[Exchange, None]:
    """Send a request by a backend alone."""
    endpoint = endpoint_of(url)
    backend = HttpxBackend(endpoint, context=context, **more)
    request = HttpRequest("POST", "/v1/x", [("Host", endpoint.authority), ("Content-Length", "1")], b"?")
    try:
        exchange = await backend.open(request, ReadLimits(time.monotonic, connect=2))
        yield exchange
        await exchange.aclose()
    finally:
        await backend.aclose()


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the whole URL, with its own password and without ours in the clear to anybody else."""
    async with WireServer(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:p%40ss@"))
        async with exchange_with(REMOTE) as exchange:
            assert b"".join([piece async for piece in exchange]) == b"{}"
        request = proxy.requests[0]
    assert request.target == "http://api.example.org:80/v1/x"
    assert request.headers["host"] == "api.example.org"
    assert request.headers["proxy-authorization"] == "Basic " + base64.b64encode(b"user:p@ss").decode()


async def test_a_proxy_serves_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are calls: none waits for another's stream to end."""
    reply = Reply(chunks=["a", "b"], chunked=True, pause=0.3)
    async with WireServer(reply) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        backend = HttpxBackend(endpoint_of(REMOTE))
        request = HttpRequest("GET", "/", [("Host", "api.example.org")])

        async def ask() -> None:
            exchange = await backend.open(request, ReadLimits(time.monotonic))
            _ = [piece async for piece in exchange]
            await exchange.aclose()

        start = time.monotonic()
        async with anyio.create_task_group() as group:
            for _ in range(40):
                group.start_soon(ask)
        assert time.monotonic() - start < 1.1
        await backend.aclose()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_is_never_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str, variable: str
) -> None:
    """A local model server is not to be had from anywhere else."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    async with WireServer(OK) as server, exchange_with(f"http://{host}:{server.port}") as exchange:
        assert exchange.status == 200


async def test_hosts_can_be_taken_off_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `NO_PROXY`, or by not trusting the environment; then the name is looked up here."""
    async with WireServer(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert "proxy" in repr(HttpxBackend(endpoint_of(REMOTE)))
        assert "proxy" not in repr(HttpxBackend(endpoint_of(REMOTE), trust_env=False))
        assert "proxy" not in repr(HttpxBackend(endpoint_of("https://api.example.org")))
        monkeypatch.setenv("NO_PROXY", "example.org")
        assert "proxy" not in repr(HttpxBackend(endpoint_of(REMOTE)))


@pytest.mark.parametrize("proxy", ["nonsense", "ftp://user:secret@127.0.0.1:1", "http://user:secret@:x", "http://"])
async def test_a_proxy_that_cannot_be_one_is_the_settings_mistake(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """The variable is named and its password is not shown."""
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTP_PROXY") as caught:
        async with exchange_with(REMOTE):
            pytest.fail("opened")
    assert "secret" not in f"{caught.value} {caught.value!r}"


async def test_a_socks_proxy_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the error says what to install; with it the proxy is called."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises((ConfigurationError, ConnectFailed), match=r"socksio|no connection"):
        async with exchange_with(REMOTE):
            pytest.fail("opened")


async def test_a_proxy_that_is_not_there_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(ConnectFailed) as caught:
        async with exchange_with(REMOTE):
            pytest.fail("opened")
    assert caught.value.sent is False


async def test_a_proxy_that_refuses_a_tunnel_is_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is told, and nothing was sent to the server behind it."""
    async with WireServer(Reply(407, body="who are you?")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConnectFailed, match="407") as caught:
            async with exchange_with("https://api.example.org", ssl.create_default_context()):
                pytest.fail("opened")
        assert (proxy.requests[0].method, proxy.requests[0].target) == ("CONNECT", "api.example.org:443")
    assert caught.value.sent is False


@pytest.fixture
def tunnel() -> Iterator[tuple[str, list[bytes]]]:
    """Give the URL of a proxy that leads every tunnel to one secure server, and what arrived there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    server = threading.Thread(target=lead_through, args=(listener, context, seen))
    server.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    listener.shutdown(socket.SHUT_RDWR)
    server.join()
    listener.close()


def lead_through(listener: socket.socket, context: ssl.SSLContext, seen: list[bytes]) -> None:
    """Grant one tunnel after another, and answer what comes through it until it ends."""
    with suppress(OSError):  # the listener was shut down
        while True:
            bare, _ = listener.accept()
            with bare, suppress(OSError):
                seen.append(bare.recv(65536))
                bare.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                with context.wrap_socket(bare, server_side=True) as connection:
                    while data := connection.recv(65536):
                        seen.append(data)
                        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n")
                        connection.sendall(b"0\r\n\r\n" if b"/v1" in data else b"")


async def test_a_tunnel_through_a_proxy(monkeypatch: pytest.MonkeyPatch, tunnel: tuple[str, list[bytes]]) -> None:
    """What is said in it is for the server alone, and an aborted answer ends it at once."""
    url, seen = tunnel
    monkeypatch.setenv("HTTPS_PROXY", url)
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    context.check_hostname = False
    async with exchange_with("https://api.example.org", context) as exchange:
        assert b"".join([piece async for piece in exchange]) == b"{}"
    assert seen[0].startswith(b"CONNECT api.example.org:443 HTTP/1.1\r\n")
    assert seen[1].startswith(b"POST /v1/x HTTP/1.1\r\n")
    backend = HttpxBackend(endpoint_of("https://api.example.org"), context=context)
    exchange = await backend.open(HttpRequest("GET", "/endless", [("Host", "x")]), ReadLimits(time.monotonic))
    async for _ in exchange:
        break
    exchange.abort()
    with pytest.raises((ConnectionLost, MalformedResponse)):
        _ = [piece async for piece in exchange]
    await exchange.aclose()
    await backend.aclose()


def test_tls_is_checked_by_default() -> None:
    """Certificates, names, and no protocol older than TLS 1.2."""
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_cancelled_while_connecting(host: str) -> None:
    """Whenever that happens, no socket is left to the collector."""
    async with WireServer(Reply(delay=30)) as server:
        for step in range(100):
            with anyio.move_on_after(step / 25_000):
                async with exchange_with(f"http://{host}:{server.port}"):
                    pytest.fail("answered")
        await server.all_closed()
    gc.collect()


async def closed(sock: socket.socket) -> None:
    """Close a socket that came too late."""
    sock.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_next_address_is_tried_beside_a_silent_one(full: int) -> None:
    """A name with several addresses is reached by the first that answers; one that refuses is passed over at once."""
    silent = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", full))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as gone:
        answers = (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())
        refuses = (socket.AF_INET, socket.SOCK_STREAM, 6, "", gone.getsockname())
        gone.close()
        for addresses, seconds in (([refuses, answers], 0.1), ([silent, answers], 0.5)):
            start = time.monotonic()
            with anyio.fail_after(2):
                sock = await fastest(addresses, connected_socket, closed)
            with sock:
                assert sock.getpeername() == listener.getsockname()
            assert time.monotonic() - start < seconds
        with pytest.raises(ConnectionRefusedError):
            await fastest([refuses, refuses], connected_socket, closed)
    gc.collect()


@pytest.mark.parametrize(
    ("address", "family", "target"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 80)),
        ("::1", socket.AF_INET6, ("::1", 80, 0, 0)),
        ("fe80::1%lo", socket.AF_INET6, ("fe80::1%lo", 80, 0, socket.if_nametoindex("lo"))),
        ("fe80::1%7", socket.AF_INET6, ("fe80::1%7", 80, 0, 7)),
    ],
)
async def test_one_address_alone(address: str, family: int, target: tuple[object, ...]) -> None:
    """Whatever name it is asked for, and nothing is looked up."""
    ((found_family, kind, _, _, found),) = await only(address)("no-such-host.test", 80)
    assert (found_family, kind, found) == (family, socket.SOCK_STREAM, target)


def test_addresses_are_the_same_in_any_order() -> None:
    """Each once, the shorter kind first."""
    found = [(None, None, 0, "", (each, 80)) for each in ("::1", "10.0.0.10", "10.0.0.9", "10.0.0.10", "fe80::1%lo")]
    assert addresses_of(found) == addresses_of(found[::-1]) == ["10.0.0.9", "10.0.0.10", "::1", "fe80::1%lo"]
    with pytest.raises(ValueError, match="rubbish"):
        addresses_of([(None, None, 0, "", ("rubbish", 80))])
