"""Whatever goes wrong before the answer, however a model is called: the same class, scope and retry come out.

Connecting, TLS, the head of the answer, and every status. Real sockets; the server repeats the key wherever it can.
"""

import json
from collections.abc import Callable, Mapping

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from tests.canary import CANARY
from tests.runtime.matrix import CALLS, CERTIFICATE, EACH_CALL, ON_ONE_LOOP, Expected, check, failure, server_tls, short

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ConnectionLost,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    ModelRetired,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    RegionBlocked,
    RequestTooLarge,
    Retry,
    Scope,
    ServerError,
    Timeout,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub.testing.replies import Reply, Request
from modelhub.testing.wire_server import Door, WireServer

pytestmark = pytest.mark.anyio

REFUSED = Expected(ConnectFailed, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, sent=False)
LOST = Expected(ConnectionLost, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT)
MALFORMED = Expected(MalformedResponse, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT)
NO_CONNECTION = Expected(Timeout, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, sent=False, phase="connect")
NO_CONTENT = Expected(Timeout, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT, phase="first_token")


@EACH_CALL
@pytest.mark.parametrize(
    ("door", "tls", "expected"),
    [
        ("shut", False, REFUSED),
        ("shut", True, REFUSED),
        ("closing", False, LOST),
        ("resetting", False, LOST),
        ("silent", False, NO_CONTENT),
        ("closing", True, REFUSED),
        ("resetting", True, REFUSED),
        ("silent", True, NO_CONNECTION),
    ],
)
async def test_a_server_that_lets_nobody_in(call: str, door: Door, *, tls: bool, expected: Expected) -> None:
    """Before a connection nothing was sent; in clear, the request is on its way before anybody can tell."""
    async with WireServer(Reply(), tls=server_tls() if tls else None) as server:
        server.door = door
        check(await failure(call, server.url, **short(expected, "connect", "first_token")), expected)


@EACH_CALL
async def test_a_name_that_leads_nowhere(call: str) -> None:
    """Nothing was sent."""
    check(await failure(call, "http://no-such-host.localhost:9"), REFUSED)


@EACH_CALL
async def test_a_certificate_that_nobody_vouches_for(call: str) -> None:
    """The key is not sent to whoever that is."""
    async with WireServer(Reply(), tls=server_tls()) as server:
        check(await failure(call, server.url), REFUSED)
    assert server.requests == []


@EACH_CALL
async def test_a_certificate_of_another_host(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trusted, and is not for this address."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with WireServer(Reply(), host="::1", tls=server_tls()) as server:
        check(await failure(call, server.url), REFUSED)
    assert server.requests == []


@EACH_CALL
async def test_a_server_without_tls(call: str) -> None:
    """`https` before a server that speaks none, and says so in clear."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nthis is no HTTP request")

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer)
        port = listener.extra(SocketAttribute.local_port)
        check(await failure(call, f"https://127.0.0.1:{port}"), REFUSED)
        tasks.cancel_scope.cancel()


HEADS: Mapping[str, tuple[Reply, Expected]] = {
    "goes without a word": (Reply(raw=b""), LOST),
    "goes in the middle of it": (Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-ty"), LOST),
    "resets in the middle of it": (Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-ty", cut="rst", cut_after=20), LOST),
    "says nothing": (Reply(delay=60), NO_CONTENT),
    "stops in the middle of it": (Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-ty", cut="hang", cut_after=20), NO_CONTENT),
    "speaks something else": (Reply(raw=b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), MALFORMED),
    "contradicts itself": (
        Reply(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx"),
        MALFORMED,
    ),
    "does not end": (Reply(raw=b"HTTP/1.1 200 OK\r\nx-key: " + CANARY.encode() * 10_000), MALFORMED),
}


@EACH_CALL
@pytest.mark.parametrize("name", HEADS)
async def test_the_head_of_the_answer(call: str, name: str) -> None:
    """It breaks off, does not come, or is none."""
    reply, expected = HEADS[name]
    async with WireServer(reply) as server:
        check(await failure(call, server.url, **short(expected, "first_token")), expected)


@EACH_CALL
async def test_the_callers_own_time(call: str) -> None:
    """It ends everything, and nobody is at fault."""
    async with WireServer(Reply(delay=60)) as server:
        error = await failure(call, server.url, total=0.15)
    check(error, Expected(Timeout, Scope.CALLER, Retry.NO, phase="total"))


STATUSES: Mapping[tuple[int, str], tuple[type[ModelHubError], Scope, Retry]] = {
    (302, ""): (MalformedResponse, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (400, ""): (BadRequest, Scope.REQUEST, Retry.NO),
    (400, "context_length_exceeded"): (ContextLengthExceeded, Scope.REQUEST, Retry.OTHER_MODEL),
    (400, "content_filter"): (ContentFiltered, Scope.REQUEST, Retry.OTHER_MODEL),
    (400, "unsupported_parameter"): (UnsupportedFeature, Scope.REQUEST, Retry.OTHER_MODEL),
    (400, "api_key_invalid"): (AuthenticationFailed, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (401, ""): (AuthenticationFailed, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (402, ""): (QuotaExhausted, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (403, ""): (PermissionDenied, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (403, "unsupported_country_region_territory"): (RegionBlocked, Scope.CALLER, Retry.NO),
    (404, ""): (ModelNotFound, Scope.MODEL, Retry.OTHER_DEPLOYMENT),
    (408, ""): (Timeout, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (409, ""): (BadRequest, Scope.REQUEST, Retry.NO),
    (409, "resource_locked"): (BadRequest, Scope.REQUEST, Retry.SAME),
    (410, ""): (ModelRetired, Scope.MODEL, Retry.OTHER_MODEL),
    (413, ""): (RequestTooLarge, Scope.REQUEST, Retry.NO),
    (413, "context_length_exceeded"): (ContextLengthExceeded, Scope.REQUEST, Retry.OTHER_MODEL),
    (415, ""): (BadRequest, Scope.REQUEST, Retry.NO),
    (422, ""): (BadRequest, Scope.REQUEST, Retry.NO),
    (429, ""): (RateLimited, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (429, "insufficient_quota"): (QuotaExhausted, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (451, ""): (RegionBlocked, Scope.CALLER, Retry.NO),
    (498, ""): (AuthenticationFailed, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (499, ""): (UnclassifiedError, Scope.UNKNOWN, Retry.NO),
    (500, ""): (ServerError, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (501, ""): (UnsupportedFeature, Scope.REQUEST, Retry.OTHER_MODEL),
    (502, ""): (ServerError, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (503, ""): (Overloaded, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (503, "rate limit reached"): (RateLimited, Scope.CREDENTIAL, Retry.OTHER_CREDENTIAL),
    (504, ""): (ServerError, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
    (529, ""): (Overloaded, Scope.ENDPOINT, Retry.OTHER_DEPLOYMENT),
}


def expected_of(status: int, words: str) -> Expected:
    """Return what an answer of that status must become."""
    error, scope, retry = STATUSES[status, words]
    return Expected(error, scope, retry, status=status, phase="first_token" if error is Timeout else None)


def refusing(status: int, words: str, *, page: bool = False) -> Callable[[Request], Reply]:
    """Answer with a status, and repeat the key in every way."""

    def answer(request: Request) -> Reply:
        key = request.headers["authorization"]
        headers = {"x-echo": key, "location": f"/login?{key}"}
        if page:
            return Reply(status, {**headers, "content-type": "text/html"}, f"<html><title>sorry</title>{key}</html>")
        code = words if "_" in words else "other"
        document = {"error": {"message": f"{words or 'refused'}: {key}", "code": code, "key": key}}
        return Reply(status, {**headers, "content-type": "application/json"}, json.dumps(document))

    return answer


@ON_ONE_LOOP
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(("status", "words"), STATUSES, ids=lambda value: str(value) or "alone")
async def test_every_status_becomes_its_error(call: str, status: int, words: str) -> None:
    """By the vendor's code, by the status, and by the words last."""
    async with WireServer(refusing(status, words)) as server:
        check(await failure(call, server.url), expected_of(status, words))


@EACH_CALL
@pytest.mark.parametrize("status", [302, 401, 404, 429, 502, 503])
async def test_a_proxys_page_becomes_the_error_of_its_status(call: str, status: int) -> None:
    """So does a body that breaks off: the status has come."""
    async with WireServer(refusing(status, "", page=True)) as server:
        check(await failure(call, server.url), expected_of(status, ""))
    async with WireServer(Reply(status, body=b"x" * 100, cut_after=10)) as server:
        check(await failure(call, server.url), expected_of(status, ""))
