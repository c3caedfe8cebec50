"""Whatever goes wrong inside the answer, however a model is called: the body breaks off, stops, or cannot be read.

A stream that has delivered something is interrupted, from the very error that a whole answer fails with.
"""

import gzip
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.canary import CANARY
from tests.runtime.matrix import (
    CALLS,
    CERTIFICATE,
    EACH_CALL,
    GOOD,
    ON_ONE_LOOP,
    Expected,
    check,
    failure,
    hub_at,
    server_tls,
    short,
)

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectionLost,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    Overloaded,
    PluginError,
    QuotaExhausted,
    RateLimited,
    Retry,
    Scope,
    ServerError,
    StreamInterrupted,
    Timeout,
)
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

LOST = Expected(ConnectionLost, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT)
MALFORMED = Expected(MalformedResponse, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, status=200)
UNREADABLE = replace(MALFORMED, status=None)
"""What a plugin, or the hub, finds in a document that was read well."""
NO_CONTENT = Expected(Timeout, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, phase="first_token")
INTERRUPTED = Expected(StreamInterrupted, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT)

STREAMS = ("chat-stream", "speech-stream")
IN_JSON = ("chat", "embed", "rerank", "transcribe")
SOUND = ("speak", "speech-stream")


def good(call: str) -> Reply:
    """Answer well."""
    content_type, body = GOOD[call]
    return Reply(200, {"content-type": content_type}, body)


@EACH_CALL
async def test_without_a_fault_every_call_is_answered(call: str) -> None:
    """Each cell of the matrix fails for its own reason."""
    async with WireServer(good(call)) as server, hub_at(server.url) as hub:
        await CALLS[call](hub)


CUTS: Mapping[str, tuple[Reply, Expected]] = {
    "closed": (Reply(cut="fin"), LOST),
    "reset": (Reply(cut="rst"), LOST),
    "closed between chunks": (Reply(cut="fin", chunked=True), LOST),
    "silence": (Reply(cut="hang"), NO_CONTENT),
}


@EACH_CALL
@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("tls", [False, True])
async def test_a_body_that_breaks_off_before_its_content(
    call: str, name: str, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """In clear and encrypted; the head of the answer alone is no answer."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    reply, expected = CUTS[name]
    broken = replace(good(call), cut=reply.cut, chunked=reply.chunked, cut_after=0)
    async with WireServer(broken, tls=server_tls() if tls else None) as server:
        check(await failure(call, server.url, **short(expected, "first_token")), expected)


@pytest.mark.parametrize("call", [name for name in CALLS if name not in STREAMS])
@pytest.mark.parametrize("name", CUTS)
async def test_a_whole_answer_that_breaks_off_in_the_middle(call: str, name: str) -> None:
    """What came of it is nothing that a caller has seen: the same as if nothing had come."""
    reply, expected = CUTS[name]
    if call == "speak" and name == "silence":
        expected = replace(expected, phase="idle")  # it is put together from a stream
    async with WireServer(replace(good(call), cut=reply.cut, chunked=reply.chunked, cut_after=12)) as server:
        check(await failure(call, server.url, **short(expected, "first_token", "idle")), expected)


@pytest.mark.parametrize("call", STREAMS)
@pytest.mark.parametrize("name", CUTS)
@pytest.mark.parametrize("tls", [False, True])
async def test_a_stream_that_breaks_off_after_its_content(
    call: str, name: str, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """It is interrupted, from the error that was found, and holds what came."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    reply, expected = CUTS[name]
    broken = replace(good(call), cut=reply.cut, chunked=reply.chunked, cut_after=30)
    async with WireServer(broken, tls=server_tls() if tls else None) as server:
        error = await failure(call, server.url, **short(expected, "idle"))
    check(error, replace(INTERRUPTED, cause=expected.error))
    assert isinstance(error, StreamInterrupted)
    assert error.text == ("Hello" if call == "chat-stream" else "")
    cause = error.__cause__
    assert isinstance(cause, ModelHubError)
    if isinstance(cause, Timeout):
        assert cause.phase == "idle"


PARSED: Mapping[str, tuple[Reply, Expected]] = {
    "a page": (Reply(headers={"content-type": "text/html"}, body=f"<html>{CANARY}</html>"), MALFORMED),
    "bad chunks": (Reply(raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\nxx\r\n"), MALFORMED),
    "no gzip": (Reply(headers={"content-encoding": "gzip"}, body=b"this is no gzip"), MALFORMED),
    "half a gzip": (Reply(headers={"content-encoding": "gzip"}, body=gzip.compress(bytes(100))[:9]), LOST),
    "an encoding that nobody asked for": (Reply(headers={"content-encoding": "zzz"}, body=b"x"), MALFORMED),
}


@EACH_CALL
@pytest.mark.parametrize("name", PARSED)
async def test_a_body_that_is_none(call: str, name: str) -> None:
    """Whatever the call wants of it, it cannot be read."""
    reply, expected = PARSED[name]
    async with WireServer(reply) as server:
        check(await failure(call, server.url), expected)


NO_JSON = {
    "nothing": b"",
    "words": f"sorry, {CANARY} is unknown".encode(),
    "half": b'{"text": "Hel',
    "two": b'{"text": "Hello"} {"text": "Hello"}',
    "NaN": b'{"text": NaN}',
    "no UTF-8": b'{"text": "\xff"}',
    "too deep": b"[" * 100_000,
}


@ON_ONE_LOOP
@pytest.mark.parametrize("call", [*IN_JSON, "chat-stream"])
@pytest.mark.parametrize("name", NO_JSON)
async def test_json_that_is_none(call: str, name: str) -> None:
    """Nothing is guessed of it; a stream of nothing ended before its content."""
    async with WireServer(Reply(200, {"content-type": "application/json"}, NO_JSON[name])) as server:
        error = await failure(call, server.url)
    if call == "chat-stream":
        check(error, LOST if name in {"nothing", "half"} else MALFORMED)
    else:
        check(error, UNREADABLE if call == "transcribe" else MALFORMED)


@ON_ONE_LOOP
@pytest.mark.parametrize("call", SOUND)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", MALFORMED),
        (b'{"error": {"message": "x"}}', Expected(ServerError, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, status=200)),
        (
            b'{"error": {"message": "x", "code": "insufficient_quota"}}',
            Expected(QuotaExhausted, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL, status=200),
        ),
    ],
)
async def test_what_is_no_sound(call: str, body: bytes, expected: Expected) -> None:
    """A document in place of sound is an error, and silence is no answer."""
    content_type = "application/json" if body else "audio/wav"
    async with WireServer(Reply(200, {"content-type": content_type}, body)) as server:
        check(await failure(call, server.url), expected)


SHAPES = {
    "chat": b"[]",
    "chat-stream": b'"Hello"\n',
    "embed": b'{"vectors": [[1.0]]}',
    "rerank": b'{"ranked": [[7, 0.5]]}',
}


@ON_ONE_LOOP
@pytest.mark.parametrize("call", SHAPES)
async def test_json_of_another_shape(call: str) -> None:
    """A list where an object is, too few vectors, a document that does not exist."""
    async with WireServer(Reply(200, {"content-type": "application/json"}, SHAPES[call])) as server:
        check(await failure(call, server.url), UNREADABLE)


@pytest.mark.parametrize("call", ["embed", "rerank", "transcribe"])
async def test_what_a_plugin_stumbles_over_is_the_plugins(call: str) -> None:
    """Its own exception does not come out bare, and the endpoint is not blamed for it."""
    async with WireServer(Reply(200, {"content-type": "application/json"}, b'{"other": 1}')) as server:
        error = await failure(call, server.url)
    check(error, Expected(PluginError, Scope.LOCAL, Retry.OTHER_MODEL, sent=None))
    assert isinstance(error.__cause__, KeyError)


INSIDE: Mapping[str, tuple[type[ModelHubError], Scope, Retry]] = {
    "": (ServerError, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    "overloaded_error": (Overloaded, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    "rate_limit_error": (RateLimited, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    "insufficient_quota": (QuotaExhausted, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    "authentication_error": (AuthenticationFailed, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    "invalid_request_error": (BadRequest, Scope.REQUEST, Retry.NO),
    "context_length_exceeded": (ContextLengthExceeded, Scope.REQUEST, Retry.OTHER_MODEL),
}


@ON_ONE_LOOP
@pytest.mark.parametrize("call", ["chat", "chat-stream"])
@pytest.mark.parametrize("code", INSIDE)
async def test_an_error_in_a_good_answer_before_any_content(call: str, code: str) -> None:
    """Status 200 is no success: the words decide."""
    error, scope, retry = INSIDE[code]
    body = f'{{"error": {{"message": "no: {CANARY}", "code": "{code}"}}}}\n'
    async with WireServer(Reply(200, {"content-type": "application/json"}, body)) as server:
        check(await failure(call, server.url), Expected(error, scope, retry, status=200))


@pytest.mark.parametrize("code", INSIDE)
async def test_an_error_in_the_middle_of_a_stream(code: str) -> None:
    """The interruption has the scope and the retry of the error that it comes from."""
    error, scope, retry = INSIDE[code]
    lines = f'{{"text": "Hello"}}\n{{"error": {{"message": "no: {CANARY}", "code": "{code}"}}}}\n'
    async with WireServer(Reply(200, {"content-type": "application/x-ndjson"}, lines)) as server:
        found = await failure("chat-stream", server.url)
    check(found, Expected(StreamInterrupted, scope, retry, status=200, cause=error))


@pytest.mark.parametrize(
    ("rest", "cause", "status"),
    [
        (b"", None, None),
        (b'{"te', ConnectionLost, None),
        (b"sorry", MalformedResponse, 200),
        (b"sorry\n", MalformedResponse, 200),
        (b"[]\n", MalformedResponse, None),
    ],
)
async def test_a_stream_that_cannot_be_read_to_its_end(
    rest: bytes, cause: type[ModelHubError] | None, status: int | None
) -> None:
    """An end without the protocol's own is none; what cannot be read is not passed over."""
    async with WireServer(Reply(200, {}, b'{"text": "Hello"}\n' + rest)) as server:
        error = await failure("chat-stream", server.url)
    check(error, replace(INTERRUPTED, cause=cause, status=status))
    assert isinstance(error, StreamInterrupted)
    assert error.text == "Hello"


async def test_a_whole_answer_without_its_end() -> None:
    """It is interrupted as a stream is, with what came of it."""
    async with WireServer(Reply(200, {"content-type": "application/json"}, b'{"text": "Hello"}')) as server:
        error = await failure("chat", server.url)
    check(error, INTERRUPTED)
    assert isinstance(error, StreamInterrupted)
    assert error.text == "Hello"
