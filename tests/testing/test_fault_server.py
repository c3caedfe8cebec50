"""Every fault is what it claims to be, seen from the socket and by a client library; the node notes what it saw."""

import gzip
import json
import random
import re
import socket
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from tests.ollama_node import OLLAMA, ollama_dialect

from modelhub.testing.bodies import Repeated, gzip_bomb
from modelhub.testing.dialects import Pace, completions_dialect
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault, at_random, by_call, by_time
from modelhub.testing.replies import Reply

pytestmark = pytest.mark.anyio

CERTIFICATE = Path(__file__).parents[1] / "fixtures" / "tls" / "localhost.pem"
QUESTION = {"model": "llama3", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
OF_ONE_MODEL = ollama_dialect(["mine"])
HANGS = "and then nothing"


def question(*, stream: bool = True, path: str = "/api/chat") -> bytes:
    """Return a request's bytes."""
    body = json.dumps({**QUESTION, "stream": stream, "input": ["a", "b"]}).encode()
    return b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


async def seen(node: FaultServer, *, stream: bool = True, patience: float = 0.15) -> tuple[bytes, str]:
    """Ask, and return what came and how it ended: "fin", "rst" or not at all."""
    async with await anyio.connect_tcp("127.0.0.1", node.port) as client:
        received = b""
        try:
            await client.send(question(stream=stream))
            with anyio.fail_after(patience):
                while True:
                    received += await client.receive()
        except TimeoutError:
            return received, HANGS
        except anyio.EndOfStream:
            return received, "fin"
        except anyio.BrokenResourceError:
            return received, "rst"


async def seen_with(fault: Fault, *, stream: bool = True, tokens: int = 3) -> tuple[bytes, str]:
    """Ask a node that has a fault."""
    async with FaultServer(OLLAMA, pace=Pace(tokens), fault=fault) as node:
        return await seen(node, stream=stream)


async def answer_with(fault: Fault | None, *, stream: bool = True, path: str = "/api/chat") -> httpx.Response:
    """Ask a node that has a fault with a client library, and return the whole answer."""
    async with FaultServer(OLLAMA, fault=fault) as node, httpx.AsyncClient(base_url=node.url, timeout=2) as client:
        return await client.post(path, json={**QUESTION, "stream": stream, "input": ["a", "b"]})


def documents(response: httpx.Response) -> list[Any]:
    """Return the lines of a stream, parsed."""
    return [json.loads(line) for line in response.content.splitlines()]


def events(received: bytes) -> int:
    """Count the events in what came of a stream."""
    return received.count(b'"created_at"')


# Healthy


async def test_a_healthy_node_answers_as_its_dialect_says() -> None:
    """Whole or as a stream, as long as the pace says, on the paths that the dialect has."""
    stream, whole = documents(await answer_with(None)), (await answer_with(None, stream=False)).json()
    assert [line["done"] for line in stream] == [False] * 8 + [True]
    assert (whole["done"], whole["message"]["role"]) == (True, "assistant")
    assert len((await answer_with(None, path="/api/embed")).json()["embeddings"]) == 2
    missing = await answer_with(None, path="/nowhere")
    assert (missing.status_code, missing.json()) == (404, {"error": "no route for POST /nowhere"})


async def test_the_pace_can_be_changed_while_it_runs() -> None:
    """Tokens, the seconds before the first, which the head waits for too, and those between two."""
    async with FaultServer(OLLAMA, pace=Pace(2)) as node, httpx.AsyncClient(base_url=node.url) as client:
        assert len(documents(await client.post("/api/chat", json=QUESTION))) == 3
        node.pace = Pace(4, first=0.1, pause=0.03)
        begun = time.monotonic()
        async with client.stream("POST", "/api/chat", json=QUESTION) as response:
            assert time.monotonic() - begun >= 0.1
            parts = [part async for part in response.aiter_raw()]
        assert time.monotonic() - begun >= 0.1 + 3 * 0.03
        assert len(parts) >= 4
        begun = time.monotonic()
        await client.post("/api/chat", json={**QUESTION, "stream": False})
        assert time.monotonic() - begun >= 0.1 + 4 * 0.03
        begun = time.monotonic()
        await client.get("/api/version")
        assert time.monotonic() - begun < 0.1


async def test_a_node_counts_probes_apart() -> None:
    """Requests by path, calls, and looks at cheap paths; connections too."""
    async with FaultServer(OLLAMA) as node, httpx.AsyncClient(base_url=node.url) as client:
        assert repr(node) == "<FaultServer ollama unused: healthy, 0 calls, 0 probes>"
        for path in ("/api/version", "/api/tags", "/api/ps", "/"):
            assert (await client.get(path)).status_code == 200
        for model in ("llama3", "all-minilm"):
            assert (await client.post("/api/show", json={"model": model})).status_code == 200
        await client.post("/api/chat", json=QUESTION)
        assert (node.calls, node.probes, node.counts["/api/chat"], node.counts["/api/show"]) == (1, 6, 1, 2)
        assert (node.connections, node.open_connections, node.answering, node.most_answering) == (1, 1, 0, 1)
        assert [request.path for request in node.requests][-1] == "/api/chat"
        assert repr(node) == f"<FaultServer ollama {node.url}: healthy, 1 calls, 6 probes>"
        node.fault = Fault.hang("headers")
        assert "hang at headers" in repr(node)
        node.fault = by_call()
        assert "on a schedule" in repr(node)


async def test_a_dialect_may_name_its_models() -> None:
    """What the node lists is what the test wants to be there."""
    async with FaultServer(OF_ONE_MODEL) as node, httpx.AsyncClient() as client:
        assert [row["name"] for row in (await client.get(f"{node.url}/api/tags")).json()["models"]] == ["mine"]


async def test_the_dialect_that_many_servers_share() -> None:
    """Conversations whole and streamed, embeddings, ranking, transcription, speech, and two cheap paths."""
    async with FaultServer(completions_dialect("m")) as node, httpx.AsyncClient(base_url=node.url) as client:

        async def post(path: str, **body: Any) -> Any:
            return (await client.post(path, json=body)).json()

        whole = await post("/v1/chat/completions")
        assert whole["choices"][0]["message"]["content"].split() == ["token"] * 8
        stream = (await client.post("/v1/chat/completions", json={"stream": True})).text
        assert stream.count("data: ") == 1 + 8 + 3
        assert stream.endswith("data: [DONE]\n\n")
        assert len((await post("/v1/embeddings", input="one"))["data"]) == 1
        assert len((await post("/v1/embeddings", input=["one", "two"]))["data"]) == 2
        assert len((await post("/v1/rerank", documents=["one", "two"]))["results"]) == 2
        form = await client.post("/v1/audio/transcriptions", files={"file": b"sound"}, data={"stream": "false"})
        assert form.json() == {"text": "one two three"}
        spoken = await client.post("/v1/audio/speech", json={"input": "one"})
        assert (spoken.headers["content-type"], len(spoken.content)) == ("audio/pcm", 8 * 480)
        for body in (b'"stream"', b'{"stream"'):
            assert spoken.content == (await client.post("/v1/audio/speech", content=body)).content
        assert (await client.get("/health")).json() == {"status": "ok"}
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == "m"
        node.fault = Fault.error_in_stream("out of memory")
        stream = (await client.post("/v1/chat/completions", json={"stream": True})).text
        assert json.loads(stream.split("data: ")[2])["error"]["message"] == "out of memory"
        assert (node.calls, node.probes) == (10, 2)


# Connections


@pytest.mark.parametrize("listening", [False, True])
async def test_refused(*, listening: bool) -> None:
    """Nobody gets in; whoever was there is lost; afterwards it is healthy at the same port."""
    async with FaultServer(OLLAMA) as node, httpx.AsyncClient(base_url=node.url) as client:
        assert (await client.get("/api/version")).status_code == 200
        url = node.url
        node.fault = Fault.refused(listening=listening)
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError if listening else httpx.ConnectError):
                await client.get("/api/version")
        node.fault = None
        assert (await client.get("/api/version")).status_code == 200
        assert node.url == url
        assert (node.probes, node.disconnects) == (2, [])


async def test_a_node_may_be_down_from_the_start() -> None:
    """Nothing listens before it is told to."""
    async with FaultServer(OLLAMA, fault=Fault.refused()) as node, httpx.AsyncClient(base_url=node.url) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


async def test_closed_and_reset_before_the_head() -> None:
    """The request was taken, and then the connection ends, one way or the other."""
    assert await seen_with(Fault.cut()) == (b"", "fin")
    assert await seen_with(Fault.reset()) == (b"", "rst")


@pytest.mark.parametrize("stream", [False, True])
async def test_reset_in_the_body(*, stream: bool) -> None:
    """A reset is no end, however much came before it."""
    received, end = await seen_with(Fault.reset(after=40), stream=stream)
    assert end == "rst"
    assert len(received.partition(b"\r\n\r\n")[2]) <= 40
    with pytest.raises(httpx.ReadError):
        await answer_with(Fault.reset(after=40), stream=stream)


@pytest.mark.parametrize(
    ("phase", "head", "expected"),
    [("hello", False, 0), ("answer", False, 0), ("headers", True, 0), ("event", True, 1), ("body", True, 3)],
)
async def test_hanging(phase: Any, expected: int, *, head: bool) -> None:
    """The connection stays open, and nothing more is said than the phase allows."""
    received, end = await seen_with(Fault.hang(phase), tokens=4)
    assert (received.startswith(STREAM), events(received), end) == (head, expected, HANGS)
    if phase == "event":
        assert received.endswith(b"}\n\r\n")
    received, end = await seen_with(Fault.hang(phase), stream=False)
    assert (received.startswith(b"HTTP/1.1 200 OK"), end) == (head, HANGS)


async def test_a_node_may_hang_in_the_handshake() -> None:
    """After the client's hello nothing comes, and no request is ever seen."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with FaultServer(OLLAMA, tls=context) as node:
        async with httpx.AsyncClient(verify=trusting, base_url=node.url, timeout=0.3) as client:
            assert (await client.get("/api/version")).status_code == 200
        async with httpx.AsyncClient(base_url=node.url) as client:  # which trusts other certificates
            with pytest.raises(httpx.ConnectError):
                await client.get("/api/version")
        node.fault = Fault.hang("hello")
        async with httpx.AsyncClient(verify=trusting, base_url=node.url, timeout=0.1) as client:
            with pytest.raises(httpx.ConnectTimeout):
                await client.get("/api/version")
        assert (node.url[:8], node.connections, node.probes) == ("https://", 3, 1)


async def test_one_hangs_and_the_next_is_healthy() -> None:
    """An answer has the fault of the moment at which it was asked for; later ones do not."""
    async with (
        FaultServer(OLLAMA, pace=Pace(3), fault=Fault.hang("event")) as node,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(seen, node)
        await node.until(lambda node: node.answering == 1)
        node.fault = None
        received, _ = await seen(node)
        assert events(received) == 4


# Time


async def test_slow_drip() -> None:
    """So many bytes of the body come in a second, or of the whole answer."""
    received, end = await seen_with(Fault.drip(40))
    assert received.startswith(STREAM)
    assert (2 <= len(received) - len(STREAM) <= 8, end) == (True, HANGS)
    received, end = await seen_with(Fault.drip(40, head=True))
    assert (2 <= len(received) <= 8, end) == (True, HANGS)
    begun = time.monotonic()
    assert len(documents(await answer_with(Fault.drip(10_000)))) == 9
    assert 0.05 < time.monotonic() - begun < 1.5


async def test_late() -> None:
    """The answer is proper, and so many seconds later."""
    begun = time.monotonic()
    assert len(documents(await answer_with(Fault.late(0.1)))) == 9
    assert time.monotonic() - begun >= 0.1


# Statuses


@pytest.mark.parametrize("code", [400, 401, 404, 408, 429, 500, 502, 503, 504, 529])
async def test_statuses(code: int) -> None:
    """Any status comes with an error in the dialect's words."""
    response = await answer_with(Fault.status(code, "no"))
    assert (response.status_code, response.json()) == (code, {"error": "no"})
    assert response.headers["content-type"] == "application/json"


async def test_headers_of_errors() -> None:
    """Whatever headers; how long to wait in each form; another body."""
    own = {"x-should-retry": "false", "x-ratelimit-remaining-requests": "0", "retry-after": "never"}
    response = await answer_with(Fault.status(429, headers=own, body="<html>"))
    assert response.text == "<html>"
    assert {name: response.headers[name] for name in own} == own

    async def told(form: Any) -> dict[str, str]:
        headers = (await answer_with(Fault.status(429, retry_after=2.5, form=form))).headers
        return {name: value for name, value in headers.items() if name.startswith("retry")}

    assert await told("seconds") == {"retry-after": "3"}
    assert await told("decimal") == {"retry-after": "2.5"}
    assert await told("milliseconds") == {"retry-after-ms": "2500"}
    date = parsedate_to_datetime((await told("date"))["retry-after"])
    assert -1 <= date.timestamp() - time.time() <= 3


# Broken bodies


async def test_cut_after_a_byte() -> None:
    """So many bytes of the body come, and then a clean end of the connection."""
    received, end = await seen_with(Fault.cut(after=7))
    assert (len(received), end) == (len(STREAM) + 7, "fin")
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        await answer_with(Fault.cut(after=7))


async def test_cut_after_an_event() -> None:
    """Whole events come and the last chunk is missing; or it is there, and nobody misses anything but the end."""
    received, end = await seen_with(Fault.cut(events=2))
    assert (events(received), received[-3:], end) == (2, b"\n\r\n", "fin")
    assert [line["done"] for line in documents(await answer_with(Fault.cut(events=2, ended=True)))] == [False, False]
    assert (await answer_with(Fault.cut(after=9, ended=True))).content == b'{"model":'
    whole = await answer_with(Fault.cut(after=9, ended=True), stream=False)
    assert (whole.content, whole.headers["content-length"]) == (b'{"model":', "9")


async def test_an_error_inside_a_stream() -> None:
    """Under status 200, after some events, and then a proper end; or in place of a whole answer."""
    first, second, error = documents(await answer_with(Fault.error_in_stream("runner has died", events=2)))
    assert (first["done"], second["done"], error) == (False, False, {"error": "runner has died"})
    whole = await answer_with(Fault.error_in_stream("runner has died"), stream=False)
    assert (whole.status_code, whole.json()) == (200, {"error": "runner has died"})


async def test_other_bodies() -> None:
    """A web page, nothing at all, nesting without end, another content type."""
    page = await answer_with(Fault.html())
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!DOCTYPE html>")
    assert (await answer_with(Fault.html(502))).status_code == 502
    for stream in (False, True):
        nothing = await answer_with(Fault.empty(), stream=stream)
        assert (nothing.status_code, nothing.content) == (200, b"")
    assert (await answer_with(Fault.body(b"[" * 1000, status=500))).content == b"[" * 1000
    plain = await answer_with(Fault.wrong_type())
    assert (plain.headers["content-type"], len(documents(plain))) == ("text/plain", 9)
    own = await answer_with(Fault.answer(Reply(204)))
    assert (own.status_code, own.content) == (204, b"")
    doubled = await answer_with(Fault.answer(lambda healthy: Reply(body=healthy.parts()[0] * 2), "twice"))
    assert len(documents(doubled)) == 2


async def test_half_a_document() -> None:
    """The framing is right, the JSON is not."""
    whole = (await answer_with(Fault.half_document(), stream=False)).content
    assert whole.startswith(b'{"model"')
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(whole)
    first, half = (await answer_with(Fault.half_document())).content.splitlines()
    assert json.loads(first)["done"] is False
    assert half
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(half)


@pytest.mark.parametrize("stream", [False, True])
async def test_bad_utf8(*, stream: bool) -> None:
    """Every part has bytes that are no text, inside of a string."""
    for line in (await answer_with(Fault.bad_utf8(), stream=stream)).content.splitlines():
        assert b'":"\xff\xfe' in line
        with pytest.raises(UnicodeDecodeError):
            line.decode()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_length(*, stream: bool) -> None:
    """Too long: the connection ends before. Too short: more comes than was said, and stays in the connection."""
    received, end = await seen_with(Fault.wrong_length(3), stream=stream)
    assert (declared(received), end) == (len(received.partition(b"\r\n\r\n")[2]) + 3, "fin")
    with pytest.raises(httpx.RemoteProtocolError):
        await answer_with(Fault.wrong_length(3), stream=stream)
    received, end = await seen_with(Fault.wrong_length(-3), stream=stream)
    assert (declared(received), end) == (len(received.partition(b"\r\n\r\n")[2]) - 3, HANGS)


def declared(received: bytes) -> int:
    """Return the length that an answer says it has."""
    (length,) = re.findall(rb"content-length: (\d+)", received)
    return int(length)


async def test_conflicting_framing() -> None:
    """Two things are said about where the body ends, and clients refuse it."""
    for conflict, said in (
        ("both", (1, 1)),
        ("lengths", (2, 0)),
        ("chunk", (0, 1)),
    ):
        received, _ = await seen_with(Fault.conflicting_framing(conflict))  # type: ignore[arg-type]
        head, _, body = received.lower().partition(b"\r\n\r\n")
        assert (head.count(b"content-length"), head.count(b"transfer-encoding")) == said
        assert body.startswith(b"zz\r\n") == (conflict == "chunk")
        if conflict != "both":  # which the client reads in chunks
            with pytest.raises(httpx.RemoteProtocolError):
                await answer_with(Fault.conflicting_framing(conflict))  # type: ignore[arg-type]


async def test_a_long_line_is_made_as_it_is_sent() -> None:
    """It has no end before its size; one that no memory could hold can be begun."""
    line = (await answer_with(Fault.long_line(200_000))).content
    assert (line[:9], line[-3:], line.count(b"\n")) == (b'{"text":"', b'"}\n', 1)
    assert 200_000 <= len(line) <= 300_000
    async with FaultServer(OLLAMA, fault=Fault.long_line(1 << 50)) as node:
        async with await anyio.connect_tcp("127.0.0.1", node.port) as client:
            await client.send(question())
            received = 0
            while received <= 1_000_000:
                received += len(await client.receive())
        await node.until(lambda node: node.disconnects != [])
        assert node.disconnects[0].sent > 1_000_000


async def test_a_gzip_bomb() -> None:
    """It is small on the wire, a thousand times that when it is unpacked, and right."""
    response = await answer_with(Fault.bomb(3 << 20))
    assert response.content == b" " * (3 << 20)
    assert response.headers["content-encoding"] == "gzip"


def test_a_bomb_costs_nothing_to_make() -> None:
    """One MiB is compressed once; ten thousand of them are ten megabytes that stand in the memory of one."""
    bomb = gzip_bomb(10 << 30)
    assert sum(map(len, bomb)) < 11_000_000
    assert (len(bomb), repr(bomb)) == (10_242, f"<Repeated 10240 × {len(bomb[1])} bytes>")
    for size in (0, 1 << 20, 5 << 20):
        assert gzip.decompress(b"".join(gzip_bomb(size))) == b" " * max(size, 1 << 20)


def test_a_repeated_part_is_a_sequence() -> None:
    """By index and slice, from both ends."""
    parts = Repeated(b"b", 2, before=b"a", after=b"c")
    assert list(parts) == [parts[0], parts[1], parts[2], parts[3]] == [b"a", b"b", b"b", b"c"]
    assert (parts[-1], parts[1:]) == (b"c", [b"b", b"b", b"c"])
    with pytest.raises(IndexError):
        parts[4]


# Load


async def test_a_busy_node_lets_calls_wait_before_their_head() -> None:
    """As many as it has slots are answered at a time, in the order in which they came; cheap paths answer."""
    async with FaultServer(OLLAMA, pace=Pace(4, pause=0.03), fault=Fault.busy(1)) as node:
        ends: dict[int, tuple[float, float]] = {}

        async def ask(number: int) -> None:
            async with httpx.AsyncClient(base_url=node.url) as client:
                async with client.stream("POST", "/api/chat", json=QUESTION) as response:
                    begun = time.monotonic()
                    await response.aread()
                ends[number] = (begun, time.monotonic())

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(ask, number)
                await node.until(lambda node: node.calls == number + 1)  # noqa: B023  awaited here
            async with httpx.AsyncClient(base_url=node.url) as client:
                assert (await client.get("/api/version")).status_code == 200
            assert len(ends) < 3
        assert [ends[later][0] - ends[sooner][1] > -0.01 for sooner, later in ((0, 1), (1, 2))] == [True, True]
        assert node.most_answering >= 3


async def test_whoever_goes_frees_a_slot_at_once() -> None:
    """Whether it was being answered or waited, the next one is served."""
    async with FaultServer(OLLAMA, pace=Pace(1000, pause=0.05), slots=1) as node:
        async with await anyio.connect_tcp("127.0.0.1", node.port) as first:
            await first.send(question())
            await first.receive()
            waiting = await anyio.connect_tcp("127.0.0.1", node.port)
            await waiting.send(question())
            await node.until(lambda node: node.answering == 2)
            await waiting.aclose()
            await node.until(lambda node: node.answering == 1)
        received, _ = await seen(node)
        assert events(received) >= 1
        assert [gone.sent > 0 for gone in node.disconnects[:2]] == [False, True]


async def test_a_full_queue_is_told() -> None:
    """With a limit, one more gets status 503; when the fault ends, those who wait are served at once."""
    slow = Pace(1000, pause=0.05)
    async with (
        FaultServer(OLLAMA, pace=slow, fault=Fault.busy(1, queue=1)) as node,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(2):
            tasks.start_soon(seen_for_ever, node)
        await node.until(lambda node: node.answering == 2)
        async with httpx.AsyncClient(base_url=node.url) as client:
            response = await client.post("/api/chat", json=QUESTION)
            assert (response.status_code, response.json()) == (503, {"error": "busy: the queue is full"})
        node.fault = None
        received, _ = await seen(node)
        assert events(received) >= 1
        tasks.cancel_scope.cancel()
    async with FaultServer(OLLAMA, slots=1, queue=0) as node:
        received, _ = await seen(node)
        assert received.startswith(STREAM)


async def seen_for_ever(node: FaultServer) -> None:
    """Ask, and stay."""
    await seen(node, patience=60)


async def test_a_loading_node_is_slow_once() -> None:
    """The first call and those meanwhile wait; cheap paths answer; then it is healthy."""
    async with FaultServer(OLLAMA, fault=Fault.loading(0.4)) as node, httpx.AsyncClient(base_url=node.url) as client:
        took: list[float] = []

        async def ask() -> None:
            begun = time.monotonic()
            assert (await client.post("/api/chat", json=QUESTION)).status_code == 200
            took.append(time.monotonic() - begun)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await node.until(lambda node: node.calls == 1)
            await anyio.sleep(0.05)
            tasks.start_soon(ask)
            await client.get("/api/version")
            assert took == []
        await ask()
        first, last, later = sorted(took, reverse=True)
        assert first >= 0.4
        assert first >= last >= 0.25 > later


async def test_a_fault_may_have_some_paths_or_spare_the_cheap_ones() -> None:
    """The others are healthy."""
    async with FaultServer(OLLAMA, fault=Fault.status(500).on("/api/embed", "/api/ps")) as node:
        assert repr(node.fault) == "<Fault status 500 on /api/embed, /api/ps>"
        async with httpx.AsyncClient(base_url=node.url) as client:
            statuses = [(await client.get(path)).status_code for path in ("/api/ps", "/api/tags")]
            assert [*statuses, (await client.post("/api/chat", json=QUESTION)).status_code] == [500, 200, 200]
            node.fault = Fault.status(500).sparing_probes()
            assert repr(node.fault) == "<Fault status 500 but not on cheap paths>"
            assert (await client.get("/api/tags")).status_code == 200
            assert (await client.post("/api/chat", json=QUESTION)).status_code == 500


# Schedules


async def test_a_schedule_by_calls() -> None:
    """Each fault begins with its call; probes are no calls."""
    schedule = by_call((2, Fault.status(503)), (4, None))
    async with FaultServer(OLLAMA, fault=schedule) as node, httpx.AsyncClient(base_url=node.url) as client:
        statuses = []
        for _ in range(5):
            await client.get("/api/version")
            statuses.append((await client.post("/api/chat", json=QUESTION)).status_code)
    assert statuses == [200, 503, 503, 200, 200]


async def test_a_schedule_by_time_opens_and_shuts_the_door() -> None:
    """Also while nobody comes; the time counts from when the schedule was set."""
    async with FaultServer(OLLAMA) as node, httpx.AsyncClient(base_url=node.url) as client:
        node.fault = by_time((0.1, Fault.refused()), (0.3, None))
        assert (await client.get("/")).status_code == 200
        await node.until(lambda node: node.open_connections == 0)
        with pytest.raises(httpx.ConnectError):
            await client.get("/")
        await anyio.sleep(0.3)
        assert (await client.get("/")).status_code == 200
        node.fault = Fault.refused()
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


def test_a_random_schedule_can_be_repeated() -> None:
    """A part of the calls has a fault, the same one however often it is asked for."""
    faults = [Fault.status(500), Fault.hang()]
    runs = []
    for _ in range(2):
        schedule = at_random(0.25, faults, random.Random(7))
        runs.append([(schedule(number, 0.0), schedule(number, 1.0)) for number in range(1, 1001)])
    assert runs[0] == runs[1]
    assert all(one is other for one, other in runs[0])
    assert 200 < sum(fault is not None for fault, _ in runs[0]) < 300


# What it notes


async def test_a_thousand_clients_that_go_at_once_are_each_noticed() -> None:
    """Within 250 ms, with the bytes that were sent, and the request that says which it was."""
    async with FaultServer(OLLAMA, pace=Pace(2, pause=60)) as node:
        clients = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(1000)]
        for number, client in enumerate(clients):
            client.sendall(question().replace(b"Host: x", b"Host: %d" % number))
        await node.until(lambda node: node.answering == 1000, timeout=20)
        await anyio.sleep(0.1)
        left = {}
        for number, client in enumerate(clients, 1):
            left[str(number - 1)] = time.monotonic()
            client.close()
            if number % 100 == 0:  # this loop and the server have one processor between them, and others want it too
                await node.until(lambda node, number=number: len(node.disconnects) == number)
        assert {gone.request.headers["host"] for gone in node.disconnects} == set(left)
        late = [gone.at - left[gone.request.headers["host"]] for gone in node.disconnects]
        assert max(late) < 0.25
        assert min(gone.sent for gone in node.disconnects) > 0
        await node.until(lambda node: node.open_connections == 0)


async def test_a_wait_that_is_in_vain_says_how_the_node_is() -> None:
    """The error has the node's state."""
    async with FaultServer(OLLAMA) as node:
        with pytest.raises(TimeoutError, match=r"not so after 0\.01 s: <FaultServer ollama unused: healthy, 0 calls"):
            await node.until(lambda node: node.calls == 1, timeout=0.01)


async def test_only_so_many_records_are_kept() -> None:
    """Figures are right all the same."""
    async with FaultServer(OLLAMA, keep=0) as node, httpx.AsyncClient(base_url=node.url) as client:
        for _ in range(5):
            await client.post("/api/chat", json=QUESTION)
        assert (node.calls, node.requests) == (5, [])


def test_a_thread_serves_tests_that_block() -> None:
    """Entered with `with`, it runs by itself and is told what is wrong from outside; entered again, it is the same."""
    node = FaultServer(OLLAMA)
    threads = threading.active_count()
    for _ in range(2):
        with node, httpx.Client(base_url=node.url) as client:
            assert client.post("/api/chat", json=QUESTION).status_code == 200
            node.fault = Fault.refused()
            with pytest.raises(httpx.ConnectError):
                client.get("/")
            node.fault = Fault.status(503)
            assert client.get("/").status_code == 503
            node.fault = None
            with socket.create_connection(("127.0.0.1", node.port)) as bare:
                bare.sendall(question(stream=False))
                assert bare.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert threading.active_count() == threads
    assert node.calls == 4


async def test_it_is_fast_enough_for_a_million_calls() -> None:
    """A healthy answer, read by a client as simple as can be in the same event loop, takes less than a millisecond."""
    asked = question(stream=False)
    async with FaultServer(OLLAMA, keep=0) as node, await anyio.connect_tcp("127.0.0.1", node.port) as client:
        begun = time.process_time()
        for _ in range(500):
            await client.send(asked)
            received = await client.receive()
            size = received.index(b"\r\n\r\n") + 4 + declared(received)
            while len(received) < size:
                received += await client.receive()
        assert time.process_time() - begun < 0.5
