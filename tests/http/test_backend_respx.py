"""The backend under a mocked engine: what it asks of httpcore, and what it makes of each of its exceptions."""

import time

import httpcore
import pytest
import respx

from modelhub.errors import ConfigurationError, ConnectFailed, ConnectionLost, MalformedResponse, ModelHubError, Timeout
from modelhub.http.httpx_backend import HttpxBackend
from modelhub.http.seam import HttpRequest, ReadLimits
from modelhub.rules.endpoint import endpoint_of

pytestmark = pytest.mark.anyio

ENDPOINT = endpoint_of("https://api.example.org")
FAILURES: list[tuple[Exception, type[ModelHubError], bool | None]] = [
    (httpcore.ConnectError("[Errno 111] refused"), ConnectFailed, False),
    (httpcore.ProxyError("407"), ConnectFailed, False),
    (httpcore.ConnectTimeout(), Timeout, False),
    (httpcore.PoolTimeout(), Timeout, False),
    (httpcore.ReadTimeout(), Timeout, True),
    (httpcore.WriteTimeout(), Timeout, True),
    (httpcore.ReadError("reset"), ConnectionLost, True),
    (httpcore.WriteError("broken pipe"), ConnectionLost, True),
    (httpcore.RemoteProtocolError("Server disconnected without sending a response."), ConnectionLost, True),
    (httpcore.RemoteProtocolError("illegal status line"), MalformedResponse, True),
    (httpcore.LocalProtocolError("illegal header name"), ConfigurationError, None),
    (httpcore.UnsupportedProtocol("ftp"), ConfigurationError, None),
    (httpcore.ConnectionNotAvailable(), ConnectionLost, None),
    (RuntimeError("something new"), ConnectionLost, None),
]
REQUEST = HttpRequest("POST", "/v1/chat?x=1", [("Host", "api.example.org"), ("X-Own", "1")], b'{"a": 1}')


@respx.mock(using="httpcore")
async def test_a_request_reaches_the_engine_as_it_is(respx_mock: respx.MockRouter) -> None:
    """Method, URL, headers and body; the answer's headers are in lower case."""
    headers = {"X-Answer": "Yes", "Content-Type": "application/json"}
    route = respx_mock.post("https://api.example.org/v1/chat?x=1").respond(201, content=b'{"b": 2}', headers=headers)
    backend = HttpxBackend(ENDPOINT, trust_env=False)
    exchange = await backend.open(REQUEST, ReadLimits(time.monotonic))
    body = b"".join([piece async for piece in exchange])
    await exchange.aclose()
    await backend.aclose()
    assert (exchange.status, body) == (201, b'{"b": 2}')
    assert exchange.headers["x-answer"] == "Yes"
    request = route.calls.last.request
    assert request.headers["x-own"] == "1"
    assert request.content == b'{"a": 1}'


@pytest.mark.parametrize(("raised", "kind", "sent"), FAILURES)
async def test_every_exception_of_the_engine_becomes_ours(
    *, raised: Exception, kind: type[ModelHubError], sent: bool | None
) -> None:
    """One wall without holes; the engine's own is the cause, and the message has the address."""
    with respx.mock(using="httpcore") as router:
        router.post("https://api.example.org/v1/chat").mock(side_effect=raised)
        backend = HttpxBackend(ENDPOINT, trust_env=False)
        with pytest.raises(kind) as caught:
            await backend.open(REQUEST, ReadLimits(time.monotonic))
        await backend.aclose()
    assert caught.value.__cause__ is raised
    assert caught.value.sent is sent
    assert isinstance(caught.value, Timeout | ConfigurationError) or "api.example.org" in caught.value.message


def test_the_wall_has_no_holes() -> None:
    """Every exception that the engine raises is in the table."""
    exported = [each for each in vars(httpcore).values() if isinstance(each, type) and issubclass(each, Exception)]
    raised = {each for each in exported if not each.__subclasses__()}
    assert raised <= {type(error) for error, _, _ in FAILURES}
