"""Streams over real sockets: when they begin, how they end, what is left when they break."""

import json
import time
from collections.abc import Callable

import anyio
import pytest
from tests.canary import CANARY

from modelhub import ModelHub, StreamInterrupted
from modelhub.errors import (
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MalformedResponse,
    ModelHubError,
    Overloaded,
    ServerError,
    StreamNotFinished,
    Timeout,
)
from modelhub.testing.replies import Reply, ndjson_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

ONCE = {"routing": {"retries": 0}}
"""The settings of a hub that tries a call once, for what is not about trying again and would wait for it."""

ONCE = {"routing": {"retries": 0}}  # so that every request of a test is a call of its own
TEXTS = ["Halo", " dunia", " é日本🙂‍↕️", " a\u2028b\u0085c"]


def line(document: object) -> bytes:
    """Return a document as a line of the protocol."""
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def whole() -> list[bytes]:
    """Return the lines of a whole answer."""
    return [*(line({"text": text}) for text in TEXTS), line({"end": "stop", "tokens": 4})]


async def read(hub: ModelHub, url: str, model: str = "lines/m", **options: object) -> tuple[str, object]:
    """Read a stream to its end."""
    async with hub.stream(model, "Hi", credentials={"base_url": url}, **options) as stream:  # type: ignore[call-overload]
        text = "".join([piece async for piece in stream.text()])
    return text, stream.result


@pytest.mark.parametrize("split", [None, "bytes"])
async def test_one_byte_per_write_gives_what_one_write_gives(lines: type, split: object) -> None:
    """How the bytes are cut on their way changes nothing."""
    async with WireServer(Reply(body=b"".join(whole()), split=split)) as server, ModelHub(providers=[lines]) as hub:  # type: ignore[arg-type]
        text, result = await read(hub, server.url)
    assert text == "".join(TEXTS)
    assert result.usage.output_tokens == 4  # type: ignore[attr-defined]
    assert result.text == text  # type: ignore[attr-defined]


def whole_documents() -> list[dict[str, object]]:
    """Return the documents of a whole answer."""
    texts: list[dict[str, object]] = [{"text": text} for text in TEXTS]
    return [*texts, {"end": "stop", "tokens": 4}]


async def test_cut_after_every_byte(lines: type) -> None:
    """Before the first content the classified error; after it all that came; success only with the last document."""
    body = b"".join(whole())
    first_content = len(line({"text": TEXTS[0]})) - 1  # whole without its newline
    last_document = len(body) - 1
    replies = [Reply(body=body, length=False, cut_after=cut) for cut in range(len(body) + 1)]
    async with WireServer(replies) as server, ModelHub(ONCE, providers=[lines]) as hub:
        for cut in range(len(body) + 1):
            text, outcome = await outcome_of(hub, server.url)
            if cut < first_content:
                assert isinstance(outcome, ConnectionLost | MalformedResponse), cut
            elif cut < last_document:
                assert isinstance(outcome, StreamInterrupted), cut
                assert outcome.partial is not None
                assert outcome.partial.text == text != ""  # type: ignore[attr-defined]
            else:
                assert outcome is None, cut
                assert text == "".join(TEXTS)


async def outcome_of(hub: ModelHub, url: str) -> tuple[str, ModelHubError | None]:
    """Return the text that a stream gave and what it ended with."""
    text = ""
    try:
        async with hub.stream("lines/m", "Hi", credentials={"base_url": url}) as stream:
            async for piece in stream.text():
                text += piece
    except ModelHubError as error:
        return text, error
    return text, None


@pytest.mark.parametrize("ending", ["fin", "rst"])
async def test_a_broken_connection_after_content_is_an_interruption(lines: type, ending: str) -> None:
    """A chunked body that ends inside a chunk is never taken for a whole answer."""
    reply = Reply(chunks=whole(), chunked=True, cut_after=40, cut=ending)  # type: ignore[arg-type]
    async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
        with pytest.raises(StreamInterrupted) as caught:
            await read(hub, server.url)
    assert caught.value.scope == "endpoint"
    assert caught.value.partial.text.startswith("Halo")  # type: ignore[union-attr]
    assert caught.value.attempts[-1].error == "ConnectionLost"
    assert isinstance(caught.value.__cause__, ConnectionLost)


async def test_an_error_document_after_content_is_raised_with_what_came(lines: type) -> None:
    """The vendor's error inside a 200 keeps its words, and the text before it is not lost."""
    documents = [{"text": "one"}, {"error": "the model crashed"}]
    async with WireServer(ndjson_reply(documents)) as server, ModelHub(providers=[lines]) as hub:
        with pytest.raises(StreamInterrupted, match="the model crashed") as caught:
            await read(hub, server.url)
    assert caught.value.partial.text == "one"  # type: ignore[union-attr]
    assert isinstance(caught.value.__cause__, ServerError)


@pytest.mark.parametrize("bad", [b'{"text": nope}\n', b'{"text": "\xff"}\n', b"[1]\n"])
async def test_a_malformed_line_is_an_error_and_never_skipped(lines: type, bad: bytes) -> None:
    """What came before a bad line is delivered and kept; the stream does not go on behind it."""
    body = line({"text": "one"}) + bad + line({"end": "stop"})
    async with WireServer(Reply(body=body)) as server, ModelHub(providers=[lines]) as hub:
        with pytest.raises(StreamInterrupted) as caught:
            await read(hub, server.url)
    assert isinstance(caught.value.__cause__, MalformedResponse)
    assert caught.value.partial.text == "one"  # type: ignore[union-attr]


async def test_entering_raises_before_any_content(lines: type) -> None:
    """A web handler can still answer with the right status: errors come when the stream is entered."""
    reply = Reply(503, {"content-type": "application/json"}, b'{"error": "server busy"}')
    async with WireServer(reply) as server, ModelHub(ONCE, providers=[lines]) as hub:
        with pytest.raises(Overloaded):
            async with hub.stream("lines/m", "Hi", credentials={"base_url": server.url}):
                pytest.fail("entered")


async def test_refused_connection_names_the_host(lines: type) -> None:
    """Nothing was sent, and the message says where to."""
    async with WireServer() as server:
        url = server.url
    async with ModelHub(ONCE, providers=[lines]) as hub:
        with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1") as caught:
            await read(hub, url)
    assert caught.value.sent is False
    assert caught.value.provider == "lines"


async def test_a_web_page_is_no_answer(lines: type) -> None:
    """A captive portal or a wrong base URL is told by name, not by a parser's error."""
    reply = Reply(200, {"content-type": "text/html"}, b"<html>Welcome</html>")
    async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
        for run in (read, chat):
            with pytest.raises(MalformedResponse, match="web page") as caught:
                await run(hub, server.url)
            assert server.url in str(caught.value)


async def chat(hub: ModelHub, url: str) -> object:
    """Ask without streaming."""
    return await hub.chat("lines/m", "Hi", credentials={"base_url": url})


async def test_break_closes_the_connection_at_once(lines: type) -> None:
    """The server sees the disconnect within 250 ms of leaving the stream."""
    reply = Reply(chunks=[line({"text": "x"})] * 1000, chunked=True, pause=0.01)
    async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
        async with hub.stream("lines/m", "Hi", credentials={"base_url": server.url}) as stream:
            async for _ in stream:
                break
        left = time.monotonic()
        gone = await server.disconnected()
        assert gone.at - left < 0.25
        with pytest.raises(StreamNotFinished):
            _ = stream.result
        assert stream.partial.text == "x"


async def test_cancel_closes_the_connection_at_once(lines: type) -> None:
    """The server sees a cancelled reader go within 250 ms, and cancellation does not become an error of ours."""
    reply = Reply(chunks=[line({"text": "x"})], chunked=True, cut_after=20, cut="hang")
    async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
        with anyio.move_on_after(0.2) as scope:
            await read(hub, server.url)
        left = time.monotonic()
        assert scope.cancelled_caught
        assert (await server.disconnected()).at - left < 0.25


async def test_aclose_from_another_task_ends_the_reader_with_an_error(lines: type) -> None:
    """A stream closed under its reader never looks complete to it."""
    reply = Reply(chunks=[line({"text": "x"})], chunked=True, cut_after=20, cut="hang")
    errors: list[ModelHubError] = []
    async with (
        WireServer(reply) as server,
        ModelHub(providers=[lines]) as hub,
        hub.stream("lines/m", "Hi", credentials={"base_url": server.url}) as stream,
        anyio.create_task_group() as group,
    ):

        async def reader() -> None:
            try:
                async for _ in stream:
                    pass
            except ModelHubError as error:
                errors.append(error)

        group.start_soon(reader)
        await anyio.sleep(0.1)
        await stream.aclose()
    assert isinstance(errors[0], StreamInterrupted)
    assert "closed" in str(errors[0])


@pytest.mark.parametrize(
    ("timeouts", "reply", "phase"),
    [
        ({"first_token": 0.2}, Reply(delay=5, body=line({"end": "stop"})), "first_token"),
        ({"idle": 0.2}, Reply(chunks=[line({"text": "x"})], chunked=True, cut_after=20, cut="hang"), "idle"),
    ],
)
async def test_limits_of_time_name_their_phase(lines: type, timeouts: object, reply: Reply, phase: str) -> None:
    """A server that says nothing is left after the limit of the phase it is in."""
    async with WireServer(reply) as server, ModelHub({"timeouts": timeouts}, providers=[lines]) as hub:
        with pytest.raises((Timeout, StreamInterrupted)) as caught:
            await read(hub, server.url)
        cause = caught.value if isinstance(caught.value, Timeout) else caught.value.__cause__
        assert isinstance(cause, Timeout)
        assert cause.phase == phase


async def test_the_callers_own_deadline_is_total_and_is_not_tried_again(lines: type) -> None:
    """A drip that never pauses long still ends when the caller said."""
    reply = Reply(chunks=[line({"text": "x"})] * 500, chunked=True, pause=0.02)
    async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
        start = time.monotonic()
        with pytest.raises(StreamInterrupted) as caught:
            await read(hub, server.url, timeout=0.3)
        assert time.monotonic() - start < 1.0
        assert isinstance(caught.value.__cause__, Timeout)
        assert caught.value.__cause__.phase == "total"
        assert len(server.requests) == 1


async def test_the_next_credential_serves_until_the_first_content(lines: type) -> None:
    """Where the settings want an order, streamed or not, and the attempts tell."""
    async with (
        WireServer(Reply(503, body=b"{}")) as bad,
        WireServer(ndjson_reply(whole_documents())) as good,
        ModelHub({"routing": {"pick": "priority"}}, providers=[lines]) as hub,
    ):
        credentials = [{"base_url": bad.url}, {"base_url": good.url}]
        model = hub.bind({"provider": "lines", "model": "m", "credentials": credentials})
        async with model.stream("Hi") as stream:
            text = "".join([piece async for piece in stream.text()])
        assert text == "".join(TEXTS)
        assert [(each.deployment, each.error) for each in stream.result.attempts] == [
            ("lines/m#0", "Overloaded"),
            ("lines/m#1", None),
        ]


async def test_connections_serve_again(lines: type) -> None:
    """After a whole answer, streamed or not, its connection serves the next request."""
    reply = Reply(chunks=whole(), chunked=True)
    unary = Reply(body=json.dumps({"text": "x", "end": "stop"}))
    async with (
        WireServer({("POST", "/chat"): [reply, unary, reply, unary]}) as server,
        ModelHub(providers=[lines]) as hub,
    ):
        for _ in range(2):
            await read(hub, server.url)
            await chat(hub, server.url)
        assert server.connections == 1


async def test_an_unentered_stream_says_how_to_use_it(lines: type) -> None:
    """Iterating without `async with` is an error that teaches."""
    async with ModelHub(providers=[lines]) as hub:
        stream = hub.stream("lines/m", "Hi", credentials={"base_url": "http://127.0.0.1:9"})
        with pytest.raises(ConfigurationError, match="async with"):
            async for _ in stream:
                pass


@pytest.mark.parametrize("make", [lambda url: url, lambda url: f"{url}/prefix/"])
async def test_a_path_prefix_is_kept(lines: type, make: Callable[[str], str]) -> None:
    """The base URL's own path stands before the API's."""
    async with WireServer(ndjson_reply(whole_documents())) as server, ModelHub(providers=[lines]) as hub:
        await read(hub, make(server.url))
        assert server.requests[0].path in {"/chat", "/prefix/chat"}


async def test_a_redirect_is_refused_and_no_key_follows_it(lines: type) -> None:
    """An inference request is never sent anywhere but where it was meant to go."""
    async with WireServer(Reply(200, body=b"{}")) as evil:
        reply = Reply(307, {"location": f"{evil.url}/chat"})
        async with WireServer(reply) as server, ModelHub(providers=[lines]) as hub:
            with pytest.raises(ModelHubError):
                await hub.chat("lines/m", "Hi", credentials={"base_url": server.url, "api_key": CANARY})
            assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"
            assert evil.requests == []


async def test_a_vendor_that_echoes_the_key_does_not_get_it_into_our_errors(lines: type) -> None:
    """Secrets are in no message, whoever wrote it."""
    body = b'{"error": {"message": "Incorrect API key provided: %s"}}' % CANARY.encode()
    async with WireServer(Reply(401, body=body)) as server, ModelHub(providers=[lines]) as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.chat("lines/m", "Hi", credentials={"base_url": server.url, "api_key": CANARY})
    assert CANARY not in f"{caught.value} {caught.value!r} {caught.value.excerpt} {caught.value.args}"
