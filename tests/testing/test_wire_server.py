"""The server sends exactly the bytes it is told to, breaks off where it is told to, and notices who goes."""

import inspect
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
import sniffio

from modelhub.testing.connections import Connection, reset_on_close
from modelhub.testing.replies import Reply, Request, json_reply, ndjson_reply
from modelhub.testing.wire_server import ThreadedWireServer, WireServer

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def ask(server: WireServer, data: bytes = GET) -> anyio.abc.SocketStream:
    """Connect, send a request and return the connection."""
    stream = await anyio.connect_tcp("127.0.0.1", server.port)
    await stream.send(data)
    return stream


async def rest(stream: anyio.abc.SocketStream) -> bytes:
    """Receive to the end of a connection that the server closes."""
    received = b""
    async with stream:
        async for part in stream:
            received += part
    return received


async def test_the_client_gets_the_exact_bytes() -> None:
    """Head and body arrive as the reply says, nothing more and nothing less."""
    reply = Reply(201, {"X-Odd": "é"}, b"a\x00b", keep_alive=False)
    async with WireServer(reply) as server:
        received = await rest(await ask(server))
    assert received == b"HTTP/1.1 201 Created\r\nX-Odd: \xe9\r\ncontent-length: 3\r\nconnection: close\r\n\r\na\x00b"


async def test_one_byte_per_write_arrives_byte_by_byte() -> None:
    """With a pause the client receives every byte by itself, in order."""
    reply = Reply(body="日本", split="bytes", pause=0.01, keep_alive=False)
    async with WireServer(reply) as server, await ask(server) as stream:
        parts = [part async for part in stream]
    assert [len(part) for part in parts[-5:]] == [1] * 5
    assert b"".join(parts).endswith("日本".encode())


async def test_a_large_answer_arrives_whole() -> None:
    """What does not fit into the socket at once is waited for."""
    body = bytes(range(256)) * 40_000
    async with WireServer(Reply(body=body, keep_alive=False)) as server:
        received = await rest(await ask(server))
    assert received.endswith(body)


async def test_a_connection_serves_many_requests() -> None:
    """Kept alive, one connection is counted once and its requests are recorded in order."""
    async with WireServer(lambda request: Reply(body=request.path)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert [(await client.get(path)).text for path in ("/a", "/b?c=d")] == ["/a", "/b"]
            assert server.open_connections == 1
        await server.all_closed(timeout=1)
        assert (server.connections, server.open_connections) == (1, 0)
    assert [(request.method, request.target) for request in server.requests] == [("GET", "/a"), ("GET", "/b?c=d")]


async def test_requests_are_recorded_with_their_bodies() -> None:
    """Method, headers and body are as the client sent them."""
    async with WireServer(json_reply({"ok": True})) as server, httpx.AsyncClient() as client:
        response = await client.post(f"{server.url}/api/chat", json={"model": "é"}, headers={"X-Key": "k"})
    (request,) = server.requests
    assert response.json() == {"ok": True}
    assert (request.method, request.path, request.json) == ("POST", "/api/chat", {"model": "é"})
    assert request.headers["x-key"] == "k"


async def test_answers_come_by_route_from_queues_and_functions() -> None:
    """Each route has its own answer: a reply, replies in turn, or a function, plain or async."""

    async def later(request: Request) -> Reply:
        await anyio.lowlevel.checkpoint()
        return Reply(body=request.body)

    routes = {
        ("GET", "/always"): Reply(body="1"),
        ("GET", "/turns"): [Reply(503), Reply(body="2")],
        ("POST", "/echo"): later,
    }
    async with WireServer(routes) as server, httpx.AsyncClient(base_url=server.url) as client:
        assert [(await client.get("/always")).text for _ in range(2)] == ["1", "1"]
        assert [(await client.get("/turns")).status_code for _ in range(2)] == [503, 200]
        assert (await client.post("/echo", content=b"3")).text == "3"
        assert server.unanswered == []


async def test_what_nothing_answers_is_told_and_listed() -> None:
    """A missing route is 404, a queue run dry 500; both say which request."""
    async with WireServer({("GET", "/one"): [Reply()]}) as server, httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/one")).status_code == 200
        missing, dry = await client.post("/one"), await client.get("/one")
    assert (missing.status_code, missing.text) == (404, "no route for POST /one")
    assert (dry.status_code, dry.text) == (500, "no reply is left for GET /one")
    assert [request.method for request in server.unanswered] == ["POST", "GET"]


async def test_a_mistake_in_an_answering_function_reaches_the_test() -> None:
    """It is raised where the server was entered, as it is."""

    def wrong(_: Request) -> Reply:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with WireServer(wrong) as server, await ask(server):
            await anyio.sleep(5)


async def test_what_a_test_raises_comes_out_bare() -> None:
    """The server wraps nobody's exception in a group; only what was raised at both ends stays one."""
    with pytest.raises(KeyError, match="mine"):
        async with WireServer():
            raise KeyError("mine")

    async def wrong(_: Request) -> Reply:
        await anyio.sleep(0.02)
        raise ZeroDivisionError

    async def fail_too(server: WireServer) -> None:
        try:
            async with await ask(server):
                await anyio.sleep(5)
        finally:
            raise KeyError("mine")

    with pytest.raises(ExceptionGroup) as caught:
        async with WireServer(wrong) as server:
            await fail_too(server)
    assert {type(error) for error in caught.value.exceptions} == {ZeroDivisionError, KeyError}


async def test_a_request_may_be_sent_before_the_answer_to_the_last() -> None:
    """What comes while an answer is sent is the next request."""
    async with WireServer(Reply(body=b"abc", delay=0.05)) as server, await ask(server) as stream:
        await anyio.sleep(0.02)
        await stream.send(GET)
        received = b""
        while received.count(b"abc") < 2:
            received += await stream.receive()
    assert len(server.requests) == 2


async def test_a_cut_with_fin_looks_like_an_end() -> None:
    """The client reads the bytes up to the cut, then a clean end of the connection."""
    async with WireServer(Reply(chunks=[b"abc", b"def"], chunked=True, cut_after=10)) as server:
        received = await rest(await ask(server))
    assert received.endswith(b"\r\n\r\n3\r\nabc\r\n3\r")


async def test_a_cut_with_rst_is_a_broken_connection() -> None:
    """The client reads the bytes up to the cut, then a reset, not an end."""
    received: list[bytes] = []
    async with WireServer(Reply(body=b"abcdef", cut_after=3, cut="rst")) as server, await ask(server) as stream:
        with pytest.raises(anyio.BrokenResourceError):
            received.extend([part async for part in stream])


async def test_a_client_library_reports_the_cut() -> None:
    """Cut in mid-chunk or below the declared length, the answer is incomplete for a real client."""
    cut = ndjson_reply([{"n": n} for n in range(5)])
    for reply in (
        Reply(headers=cut.headers, chunks=cut.chunks, chunked=True, cut_after=20),
        Reply(body=b"abc", cut_after=1),
    ):
        async with WireServer(reply) as server, httpx.AsyncClient() as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(server.url)


async def test_no_answer_at_all() -> None:
    """A raw reply of nothing closes the connection before the head."""
    async with WireServer(Reply(raw=b"")) as server:
        assert await rest(await ask(server)) == b""


async def test_a_body_may_end_with_the_connection() -> None:
    """Without a length the end of the connection is the end of the body."""
    async with WireServer(Reply(body=b"abc", length=False)) as server, httpx.AsyncClient() as client:
        assert (await client.get(server.url)).content == b"abc"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"abc", cut_after=1, cut="hang"),
        Reply(body=b"abc", delay=60),
        Reply(chunks=[b"a"] * 1000, pause=0.02),
        Reply(body=b"x" * 50_000_000),
    ],
    ids=["hanging", "waiting", "sending", "blocked"],
)
async def test_a_client_that_goes_is_noticed_at_once(reply: Reply) -> None:
    """Whatever the server is doing, it knows within 250 ms, and says how far it had come."""
    async with WireServer(reply) as server:
        stream = await ask(server)
        await anyio.sleep(0.05)
        left = time.monotonic()
        await stream.aclose()
        gone = await server.disconnected(timeout=1)
        assert 0 <= gone.at - left < 0.25
        assert gone.request.path == "/"
        assert gone.sent < 50_000_000
        await server.all_closed(timeout=1)


async def test_a_client_that_stays_to_the_end_is_no_disconnect() -> None:
    """Closing a connection whose answer is complete is nothing to report."""
    async with WireServer(Reply(body=b"abc")) as server:
        async with httpx.AsyncClient() as client:
            await client.get(server.url)
        await server.all_closed(timeout=1)
        with pytest.raises(TimeoutError, match=r"no client broke off its answer after 0\.05 s: <WireServer http"):
            await server.disconnected(timeout=0.05)


async def test_a_wait_for_closing_says_what_is_open() -> None:
    """The error shows how many connections are left."""
    async with WireServer(Reply()) as server, await ask(server):
        with pytest.raises(TimeoutError, match=r"connections are still open after 0\.05 s: .* open=1>"):
            await server.all_closed(timeout=0.05)


async def test_leaving_the_server_closes_what_hangs() -> None:
    """No connection outlives the server, whatever its answer was waiting for."""
    async with WireServer(Reply(delay=60)) as server:
        stream = await ask(server)
        await anyio.sleep(0.05)
    with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
        await stream.receive()
    await stream.aclose()
    assert server.open_connections == 0


async def test_nonsense_is_refused() -> None:
    """What is no request gets status 400, and the connection is closed."""
    async with WireServer(Reply()) as server:
        received = await rest(await ask(server, b"nonsense\r\n\r\n"))
        assert received.startswith(b"HTTP/1.1 400 Bad Request")
        assert b"this is no HTTP/1.1 request" in received
        assert server.requests == []


async def test_a_server_serves_again_at_its_address() -> None:
    """Entered again, it has the same port: a node that comes back."""
    server = WireServer(Reply(keep_alive=False))
    assert repr(server) == "<WireServer not entered requests=0 open=0>"
    with pytest.raises(RuntimeError, match="enter it"):
        _ = server.url
    urls = []
    for _ in range(2):
        async with server:
            urls.append(server.url)
            await rest(await ask(server))
    assert urls[0] == urls[1]
    assert len(server.requests) == 2


async def test_both_event_loops_are_meant(anyio_backend_name: str) -> None:
    """These tests run on asyncio and on trio."""
    assert sniffio.current_async_library() == anyio_backend_name


async def test_it_listens_on_ipv6() -> None:
    """The URL has the brackets that an address with colons needs."""
    async with WireServer(Reply(body=b"six"), host="::1") as server, httpx.AsyncClient() as client:
        assert server.url.startswith("http://[::1]:")
        assert (await client.get(server.url)).content == b"six"


def test_a_thread_serves_code_that_blocks() -> None:
    """Synchronous clients have the same server, its lists and its waits."""
    with ThreadedWireServer(Reply(body=b"abc")) as server:
        assert httpx.get(f"{server.url}/x").content == b"abc"
        server.all_closed(timeout=1)
        assert [request.path for request in server.requests] == ["/x"]
        assert repr(server).startswith("<ThreadedWireServer of <WireServer http://127.0.0.1:")
    with ThreadedWireServer(Reply(delay=60)) as server:
        with socket.create_connection(("127.0.0.1", server.server.port)) as client:
            client.sendall(GET)
            time.sleep(0.05)
        assert server.disconnected(timeout=1).sent == 0


def test_a_thread_that_was_not_entered_says_so() -> None:
    """Before and after, there is nothing to wait for."""
    with pytest.raises(RuntimeError, match="enter it with `with` first"):
        ThreadedWireServer().all_closed()


def test_the_public_waits_are_seconds() -> None:
    """Both waits have the same default, so that no test hangs."""
    waits: list[Callable[..., object]] = [WireServer.disconnected, WireServer.all_closed]
    assert [inspect.signature(wait).parameters["timeout"].default for wait in waits] == [5.0, 5.0]


CERTIFICATE = Path(__file__).parents[1] / "fixtures" / "tls" / "localhost.pem"


def server_context() -> ssl.SSLContext:
    """Encrypt with the fixtures' certificate, which nobody vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


async def test_it_serves_over_tls() -> None:
    """Requests and replies of any size go through, one after another, and an end is a proper end."""
    body = bytes(range(256)) * 20_000
    replies = [Reply(body=body), Reply(chunks=[b"a", b"b"], chunked=True, pause=0.01), Reply(body=b"c", length=False)]
    async with WireServer(replies, tls=server_context()) as server:
        trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
        async with httpx.AsyncClient(base_url=f"https://localhost:{server.port}", verify=trusting) as client:
            given = [(await client.post("/", content=body)).content for _ in replies]
    assert server.url.startswith("https://127.0.0.1:")
    assert given == [body, b"ab", b"c"]
    assert [request.body for request in server.requests] == [body] * 3
    assert server.connections == 1


async def test_a_client_that_does_not_trust_it_asks_nothing() -> None:
    """A handshake that fails is a connection without a request."""
    async with WireServer(Reply(), tls=server_context()) as server:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(server.url)
        await server.all_closed(timeout=1)
        assert (server.connections, server.requests) == (1, [])
        assert await rest(await ask(server)) == b""  # in clear
        await server.all_closed(timeout=1)


async def test_over_tls_a_client_that_goes_is_noticed() -> None:
    """As in clear, with a goodbye or without."""
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    for goodbye in (True, False):
        async with WireServer(Reply(delay=60), tls=server_context()) as server:
            stream = await anyio.connect_tcp(
                "localhost", server.port, ssl_context=trusting, tls_standard_compatible=goodbye
            )
            await stream.send(GET)
            while not server.requests:  # noqa: ASYNC110  the server tells nobody
                await anyio.sleep(0.01)
            await stream.aclose()
            assert (await server.disconnected(timeout=1)).sent == 0


async def test_a_shut_door_refuses_and_can_be_opened_again() -> None:
    """The port stays the server's, connections that were there are lost, and it serves again."""
    async with WireServer(Reply(body=b"abc")) as server, httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/")).text == "abc"
        server.door = "shut"
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                await client.get("/")
        assert server.open_connections == 0
        server.door = "open"
        assert (await client.get("/")).text == "abc"
        server.door = "closing"
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/")
        server.door = "resetting"
        async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
    assert (server.connections, server.disconnects) == (4, [])


async def test_a_reset_hits_whoever_is_connected() -> None:
    """With the door, an answer in progress is reset too, which is no disconnect of the client's."""
    async with WireServer(Reply(delay=60)) as server, await ask(server) as stream:
        while not server.requests:  # noqa: ASYNC110  the server tells nobody
            await anyio.sleep(0.01)
        server.door = "resetting"
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
    assert server.disconnects == []


async def test_a_silent_server_says_nothing_not_even_hello() -> None:
    """It accepts, takes what comes, and notices who goes; a connection that was there gets no answer any more."""
    async with WireServer(Reply(body=b"abc"), tls=server_context()) as server:
        server.door = "silent"
        with pytest.raises(TimeoutError), anyio.fail_after(0.1):
            await anyio.connect_tcp("localhost", server.port, tls=True)
        await server.all_closed(timeout=1)
        assert (server.connections, server.requests) == (1, [])
    async with WireServer(Reply(body=b"abc")) as server, httpx.AsyncClient(base_url=server.url, timeout=0.1) as client:
        assert (await client.get("/")).text == "abc"
        server.door = "silent"
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")
        assert (await server.disconnected(timeout=1)).sent == 0


async def test_a_server_may_begin_shut() -> None:
    """Nobody gets in before it is opened."""
    server = WireServer(Reply(body=b"abc"))
    server.door = "shut"
    async with server, httpx.AsyncClient(base_url=server.url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
        server.door = "open"
        assert (server.door, (await client.get("/")).text) == ("open", "abc")


async def test_an_answer_may_hold_something_until_it_is_sent() -> None:
    """A context manager is left when the reply was sent, or when the client has gone, also while it is waited for."""
    held = []

    @asynccontextmanager
    async def answer(request: Request) -> AsyncGenerator[Reply, None]:
        held.append(request.path)
        try:
            await anyio.sleep(60 if request.path == "/never" else 0)
            yield Reply(delay=60 if request.path == "/slow" else 0)
        finally:
            held.remove(request.path)

    async with WireServer(answer) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=0.1) as client:
            assert (await client.get("/")).status_code == 200
            assert held == []
            for path in ("/never", "/slow"):
                with pytest.raises(httpx.ReadTimeout):
                    await client.get(path)
        for _ in range(2):
            await server.disconnected(timeout=1)
        assert held == []


async def test_only_as_many_records_are_kept_as_is_said() -> None:
    """A long run needs no more memory for them."""
    async with WireServer(Reply(), keep=2) as server, httpx.AsyncClient(base_url=server.url) as client:
        for number in range(9):
            await client.get(f"/{number}")
        assert [request.path for request in server.requests][-2:] == ["/7", "/8"]
        assert len(server.requests) <= 4


async def test_a_client_may_be_gone_before_its_answer() -> None:
    """It is noticed, with nothing sent; one that resets before it asks is no disconnect."""
    async with WireServer(Reply(body=b"abc")) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(GET)
        assert (await server.disconnected(timeout=1)).sent == 0
        await server.all_closed(timeout=1)
        server.door = "silent"
        client = socket.create_connection(("127.0.0.1", server.port))
        while server.connections == 1:  # noqa: ASYNC110  the server tells nobody
            await anyio.sleep(0.01)
        reset_on_close(client)
        client.close()
        await server.all_closed(timeout=1)
        assert (server.connections, len(server.disconnects)) == (2, 1)


async def test_a_server_may_go_while_it_answers() -> None:
    """Whoever it throws out has not gone by himself."""

    def answer(_: Request) -> Reply:
        server.door = "closing"
        return Reply(body=b"abc")

    async with WireServer(answer) as server:
        assert await rest(await ask(server)) == b""
        assert (len(server.requests), server.disconnects) == (1, [])


async def test_an_address_of_another_machine_is_told() -> None:
    """Nothing is left open."""
    with pytest.raises(OSError, match="assign"):
        async with WireServer(host="192.0.2.1"):
            pass


def test_a_connection_says_how_far_it_is() -> None:
    """Its repr has what was sent and what waits to be read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert repr(Connection(ours, 3)) == "<Connection <RequestReader connection=3 pending=0> sent=0>"
