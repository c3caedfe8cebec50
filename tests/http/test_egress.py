"""Where a backend connects to: what it looked up is what it judges, and what it judged is what it connects to."""

import logging
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub.errors import ConnectFailed, EgressRefused, ModelHubError, Timeout
from modelhub.http.addresses import Address
from modelhub.http.httpx_backend import HttpxBackend, tls_context
from modelhub.http.seam import HttpRequest, ReadLimits
from modelhub.rules.egress import AllowList, Egress
from modelhub.rules.endpoint import Endpoint, endpoint_of
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

CERTIFICATES = Path(__file__).parent.parent / "fixtures" / "tls"
OK = Reply(body=b"{}")
TENANT = Egress(tenant=True, secure=False, allow=AllowList.of(["127.0.0.2/32"]))
"""It may reach one address of this machine, which stands for a public one, and none of its others."""


@pytest.fixture(autouse=True)
def no_proxy_but_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Names:
    """A name server: each look-up gets the next answer, and the last one from then on."""

    def __init__(self, *answers: Sequence[str] | Exception, delay: float = 0.0) -> None:
        self.answers = list(answers)
        self.delay = delay
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Look a name up."""
        self.asked.append(host)
        await anyio.sleep(self.delay)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in answer]


@asynccontextmanager
async def backend_to(url: str | Endpoint, egress: Egress, **more: Any) -> AsyncGenerator[HttpxBackend, None]:
    """Give a backend and close it."""
    endpoint = endpoint_of(url) if isinstance(url, str) else url
    backend = HttpxBackend(endpoint, egress=egress, **more)
    try:
        yield backend
    finally:
        await backend.aclose()


async def ask(backend: HttpxBackend, **seconds: float) -> int:
    """Send a request with a key, and return the status."""
    request = HttpRequest("GET", "/x", [("Host", "api.example.org"), ("Authorization", "Bearer k")])
    exchange = await backend.open(request, ReadLimits(time.monotonic, **{"connect": 2.0, **seconds}))
    _ = [piece async for piece in exchange]
    await exchange.aclose()
    return exchange.status


async def refused(url: str | Endpoint, egress: Egress = TENANT, **more: Any) -> ModelHubError:
    """Return the error of a request that is not sent."""
    async with backend_to(url, egress, **more) as backend:
        with pytest.raises(ModelHubError) as caught:
            await ask(backend)
        assert not backend.busy
    assert caught.value.__cause__ is not caught.value
    return caught.value


async def test_a_name_leads_where_it_was_judged_to_lead() -> None:
    """It is looked up once for each connection, and a connection that is used again is not judged again."""
    names = Names(["127.0.0.2"])
    async with (
        WireServer(OK, host="127.0.0.2") as server,
        backend_to(f"http://api.example.org:{server.port}", TENANT, resolve=names) as backend,
    ):
        assert [await ask(backend) for _ in range(3)] == [200] * 3
    assert names.asked == ["api.example.org"]
    assert server.connections == 1


async def test_a_name_that_means_something_else_the_next_time_is_judged_again() -> None:
    """The first answer is harmless, the second is this machine: no request gets there, whatever was right before."""
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    once = Reply(body=b"{}", keep_alive=False)
    async with (
        WireServer(once, host="127.0.0.2") as harmless,
        backend_to(f"http://api.example.org:{harmless.port}", TENANT, resolve=names) as backend,
    ):
        assert await ask(backend) == 200
        with pytest.raises(EgressRefused):
            await ask(backend)
    assert (names.asked, harmless.connections) == (["api.example.org"] * 2, 1)


@pytest.mark.parametrize("answer", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "::1"]])
async def test_a_mixed_answer_is_refused_whole(answer: list[str]) -> None:
    """Not even the harmless address is connected to."""
    async with WireServer(OK) as one, WireServer(OK, host="127.0.0.2") as other:
        for port in (one.port, other.port):
            error = await refused(f"http://api.example.org:{port}", resolve=Names(answer))
            assert isinstance(error, EgressRefused)
    assert one.connections == other.connections == 0


async def test_the_first_of_several_addresses_that_answers_serves() -> None:
    """On every event loop, and nothing is looked up for that."""
    names = Names(["127.0.0.3", "127.0.0.2"])
    egress = Egress(tenant=True, secure=False, allow=AllowList.of(["127.0.0.2/31"]))
    async with (
        WireServer(OK, host="127.0.0.2") as server,
        backend_to(f"http://api.example.org:{server.port}", egress, resolve=names) as backend,
    ):
        assert await ask(backend) == 200
        error = await refused(f"http://api.example.org:{server.port}", egress, resolve=Names(["127.0.0.3"] * 2))
    assert isinstance(error, ConnectFailed)
    assert len(names.asked) == 1


@pytest.mark.parametrize("answer", [["169.254.169.254"], ["127.0.0.1", "169.254.169.254"], ["fd00:ec2::254"]])
async def test_a_name_of_a_metadata_service_is_refused_to_the_operator_too(answer: list[str]) -> None:
    """Whole, before anything is connected to."""
    async with WireServer(OK) as server:
        error = await refused(f"http://api.example.org:{server.port}", Egress(secure=False), resolve=Names(answer))
    assert "metadata" in error.message
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_this_machine_is_refused_to_users(host: str) -> None:
    """By its addresses and by its name, looked up as the system does."""
    async with WireServer(OK) as server:
        error = await refused(Endpoint("http", host, server.port))
    assert isinstance(error, EgressRefused)
    assert (error.sent, server.connections) == (False, 0)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0"])
async def test_an_address_is_judged_as_the_system_reads_it(host: str) -> None:
    """Base URLs take no such spelling; if one came here all the same, what it means is what counts."""
    meant = socket.inet_ntoa(socket.inet_aton(host))
    async with WireServer(OK) as server:
        error = await refused(Endpoint("http", host, server.port), resolve=Names([meant]))
    assert isinstance(error, EgressRefused)
    assert server.connections == 0


async def test_the_operator_reaches_this_machine() -> None:
    """That is where model servers are."""
    async with WireServer(OK) as server, backend_to(server.url, Egress(secure=False, keyed=True)) as backend:
        assert await ask(backend) == 200


async def test_a_name_without_an_address_is_no_connection() -> None:
    """As one that nobody knows."""
    for names in (Names([]), Names(socket.gaierror(-2, "Name or service not known"))):
        error = await refused("http://api.example.org", resolve=names)
        assert isinstance(error, ConnectFailed)
        assert error.sent is False


async def test_looking_up_has_the_limit_of_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a proxy."""
    for proxy in ("", "http://127.0.0.1:9"):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        async with backend_to("http://api.example.org", TENANT, resolve=Names(["127.0.0.2"], delay=30)) as backend:
            with pytest.raises(Timeout) as caught:
                await ask(backend, connect=0.1)
        assert (caught.value.phase, caught.value.sent) == ("connect", False)


class TestProxies:
    """A proxy of the environment is the operator's; what it is asked for is judged before."""

    async def test_it_sees_no_request_of_a_user_for_a_private_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither by its address nor by a name, nor by one that cannot be looked up here."""
        nobody = Names(socket.gaierror(-2, "Name or service not known"))
        async with WireServer(OK) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            for url, names in (
                ("http://10.0.0.1", Names(["10.0.0.1"])),
                ("http://gpu.internal", Names(["10.0.0.1"])),
                ("http://gpu.internal", Names(["127.0.0.2", "10.0.0.1"])),
                ("http://gpu.internal", nobody),
                ("http://metadata.google.internal", nobody),
                ("http://169.254.169.254", Names(["127.0.0.2"])),
            ):
                assert isinstance(await refused(url, resolve=names), EgressRefused)
        assert proxy.connections == 0

    async def test_it_is_asked_for_what_is_allowed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name is judged once for each connection; one that is allowed by name is not looked up at all."""
        async with WireServer(OK) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            names = Names(["127.0.0.2"])
            async with backend_to("http://api.example.org", TENANT, resolve=through(names)) as backend:
                assert [await ask(backend) for _ in range(3)] == [200] * 3
            assert names.asked == ["api.example.org"]
            allowed = Egress(tenant=True, secure=False, allow=AllowList.of(["gpu.internal"]))
            names = Names(socket.gaierror(-2, "Name or service not known"))
            async with backend_to("http://gpu.internal", allowed, resolve=through(names)) as backend:
                assert await ask(backend) == 200
            assert names.asked == []
        assert {request.target for request in proxy.requests} == {
            "http://api.example.org:80/x",
            "http://gpu.internal:80/x",
        }

    async def test_the_operators_names_are_not_looked_up_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A network behind a proxy may know no others; a key in the clear is the exception."""
        async with WireServer(OK) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            names = Names(["8.8.8.8"])
            async with backend_to("http://api.example.org", Egress(secure=False), resolve=through(names)) as backend:
                assert await ask(backend) == 200
            assert names.asked == []
            keyed = Egress(secure=False, keyed=True)
            error = await refused("http://api.example.org", keyed, resolve=through(names))
            assert "unencrypted" in error.message
            async with backend_to("http://gpu", keyed, resolve=through(Names(["10.0.0.1"]))) as backend:
                assert await ask(backend) == 200
        assert len(proxy.requests) == 2

    async def test_it_is_not_used_for_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy in the environment sees no request for it, and a user's is refused here."""
        async with WireServer(OK) as sink, WireServer(OK) as server:
            for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, sink.url)
            async with backend_to(server.url, Egress(secure=False)) as backend:
                assert await ask(backend) == 200
            assert isinstance(await refused(server.url), EgressRefused)
        assert (sink.connections, server.connections) == (0, 1)

    async def test_it_is_told_in_the_log(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """By its host, without its password."""
        monkeypatch.setenv("HTTP_PROXY", "http://user:pass-word@127.0.0.1:9")
        with caplog.at_level(logging.INFO, "modelhub"):
            HttpxBackend(endpoint_of("http://api.example.org"))
        assert "goes through the proxy 127.0.0.1" in caplog.text
        assert "pass-word" not in caplog.text

    async def test_what_comes_behind_an_answer_is_not_the_next_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Through a proxy as without one."""
        forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
        twice = Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" + forged)
        async with WireServer([twice, Reply(body=b"right")]) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url)
            bodies = []
            async with backend_to("http://api.example.org", Egress(secure=False)) as backend:
                for _ in range(2):
                    exchange = await backend.open(HttpRequest("GET", "/", [("Host", "x")]), ReadLimits(time.monotonic))
                    bodies.append(b"".join([piece async for piece in exchange]))
                    await exchange.aclose()
        assert bodies == [b"ok", b"right"]
        assert proxy.connections == 2


def through(names: Names) -> Any:
    """Look names up, but the proxy's own address as the system does."""

    async def resolve(host: str, port: int) -> Sequence[Address]:
        if host == "127.0.0.1":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
        return await names(host, port)

    return resolve


def server_context(name: str) -> ssl.SSLContext:
    """Return what a server encrypts with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / name)
    return context


def trusting(name: str) -> ssl.SSLContext:
    """Return the hub's own TLS configuration, with one more authority in it."""
    context = tls_context()
    context.load_verify_locations(CERTIFICATES / name)
    return context


class TestTls:
    """Certificates, names, dates and versions are checked, whoever named the server."""

    async def test_a_server_that_is_vouched_for(self) -> None:
        """It is who it says it is."""
        async with WireServer(OK, tls=server_context("localhost.pem")) as server:
            url = f"https://localhost:{server.port}"
            async with backend_to(url, Egress(), context=trusting("localhost.pem")) as backend:
                assert await ask(backend) == 200

    @pytest.mark.parametrize(
        ("served", "trusted", "text"),
        [
            ("localhost.pem", "other-host.pem", "self-signed certificate"),
            ("other-host.pem", "other-host.pem", "not valid for 'localhost'"),
            ("expired.pem", "expired.pem", "expired"),
        ],
    )
    async def test_a_server_that_is_not(self, served: str, trusted: str, text: str) -> None:
        """Nothing is sent to it, and the reason is told."""
        async with WireServer(OK, tls=server_context(served)) as server:
            url = f"https://localhost:{server.port}"
            error = await refused(url, Egress(), context=trusting(trusted))
        assert isinstance(error, ConnectFailed)
        assert text in error.message
        assert (error.sent, server.requests) == (False, [])

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
    async def test_a_server_that_speaks_an_old_version(self) -> None:
        """TLS 1.2 is the oldest that is spoken."""
        old = server_context("localhost.pem")
        old.set_ciphers("DEFAULT@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1_1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        async with WireServer(OK, tls=old) as server:
            url = f"https://localhost:{server.port}"
            error = await refused(url, Egress(), context=trusting("localhost.pem"))
        assert isinstance(error, ConnectFailed)
        assert server.requests == []

    async def test_a_key_in_the_clear_stays_at_home(self) -> None:
        """To a public host it is not sent, and no connection is made."""
        keyed = Egress(secure=False, keyed=True)
        error = await refused("http://api.example.org", keyed, resolve=Names(["8.8.8.8"]))
        assert isinstance(error, EgressRefused)
        assert "unencrypted" in error.message
