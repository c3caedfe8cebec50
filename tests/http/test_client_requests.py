"""What is sent: joined to the endpoint, authenticated, one of each header, and nothing that a server could misread."""

import email.parser
import email.policy
import math
from email.message import EmailMessage
from typing import Any

import pytest

from modelhub.errors import BadRequest, ConfigurationError
from modelhub.http.seam import FilePart, HttpCall
from modelhub.testing.replies import Reply, Request
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

OK = Reply(body=b"{}")


async def sent(client_to: Any, call: HttpCall, *headers: tuple[str, str], prefix: str = "") -> Request:
    """Send a request and return it as the server saw it."""
    async with WireServer(OK) as server, client_to(f"{server.url}{prefix}", *headers) as client:
        await client.json(call)
        return server.requests[0]


async def test_a_document_is_sent_as_json(client_to: Any) -> None:
    """UTF-8, compact, with its length; the server is named and nothing encoded is asked for."""
    request = await sent(client_to, HttpCall("/chat", json={"text": "é日本🙂\u2028", "n": [1, None, True]}))
    assert (request.method, request.target) == ("POST", "/chat")
    assert request.body == '{"text":"é日本🙂\u2028","n":[1,null,true]}'.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(request.body))
    assert request.headers["host"].startswith("127.0.0.1:")
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "modelhub"


@pytest.mark.parametrize(
    ("call", "prefix", "target"),
    [
        (HttpCall("/api/chat"), "", "/api/chat"),
        (HttpCall("/api/chat"), "/v1/", "/v1/api/chat"),
        (HttpCall("chat"), "/v1", "/v1/chat"),
        (HttpCall("/models/a b/é?#x"), "", "/models/a%20b/%C3%A9%3F%23x"),
        (HttpCall("/a:b@c", query={"alt": "sse", "q": "a b&c=é"}), "", "/a:b@c?alt=sse&q=a+b%26c%3D%C3%A9"),
        (HttpCall("/x\r\nEvil: 1"), "", "/x%0D%0AEvil:%201"),
    ],
)
async def test_a_path_is_joined_and_quoted(client_to: Any, call: HttpCall, prefix: str, target: str) -> None:
    """Whatever a model's name holds, it is one path, and one line."""
    assert (await sent(client_to, call, prefix=prefix)).target == target


@pytest.mark.parametrize(
    ("method", "length"), [("GET", None), ("HEAD", None), ("DELETE", None), ("POST", "0"), ("PUT", "0")]
)
async def test_a_request_without_a_body(client_to: Any, method: str, length: str | None) -> None:
    """Only methods that usually have one say that they have none."""
    async with WireServer(OK) as server, client_to(server.url) as client:
        await client.request(HttpCall("/x", method=method))
        request = server.requests[0]
    assert request.headers.get("content-length") == length
    assert "content-type" not in request.headers


async def test_bytes_are_sent_as_they_are(client_to: Any) -> None:
    """With the type that the plugin says."""
    call = HttpCall("/x", content=b"\x00\xff", headers={"Content-Type": "audio/wav"})
    request = await sent(client_to, call)
    assert (request.body, request.headers["content-type"]) == (b"\x00\xff", "audio/wav")


async def test_a_header_is_sent_once_and_the_last_word_counts(client_to: Any) -> None:
    """The call's over the credential's over ours, whatever their case: two `Authorization` lines are an error."""
    headers = {"user-agent": "acme", "ACCEPT": "text/event-stream", "content-type": "application/json; charset=utf-8"}
    call = HttpCall("/x", json={}, headers=headers)
    request = await sent(client_to, call, ("Authorization", "Bearer a"), ("authorization", "Bearer b"), ("X-Own", "1"))
    assert request.headers["authorization"] == "Bearer b"
    assert request.headers["user-agent"] == "acme"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["content-type"] == "application/json; charset=utf-8"
    assert request.headers["x-own"] == "1"


@pytest.mark.parametrize(
    "header",
    [
        ("X-Key", "secret\r\nEvil: 1"),
        ("X-Key", "secret\nb"),
        ("X-Key", "secret\x00b"),
        ("X-Key", "secret-schlüssel"),
        ("X-Key", "secret\x7fb"),
        ("X-Key", " secret"),
        ("X-Key", "secret\t"),
        ("X Key", "secret"),
        ("X-Key:", "secret"),
        ("X-Key\r\nEvil", "secret"),
        ("", "secret"),
        ("Schlüssel", "secret"),
        ("Content-Length", "5"),
        ("transfer-encoding", "chunked"),
    ],
)
@pytest.mark.parametrize("given", ["credential", "call"])
async def test_a_header_that_could_be_misread_is_refused(client_to: Any, header: tuple[str, str], given: str) -> None:
    """Before the wire; the value may be a key and is not shown."""
    name, value = header
    headers = [header] if given == "credential" else []
    call = HttpCall("/x", headers={} if given == "credential" else {name: value})
    async with WireServer(OK) as server, client_to(server.url, *headers) as client:
        with pytest.raises(ConfigurationError) as caught:
            await client.json(call)
    assert server.requests == []
    assert "secret" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("document", [{"a": math.nan}, {"a": [1, "half \ud83d"]}, {"a": object()}])
async def test_what_json_cannot_hold_is_refused_at_its_place(client_to: Any, document: Any) -> None:
    """Before the wire, as a mistake in the request."""
    async with WireServer(OK) as server, client_to(server.url) as client:
        with pytest.raises(BadRequest, match="cannot be sent"):
            await client.json(HttpCall("/x", json=document))
    assert server.requests == []


def parts_of(request: Request) -> list[EmailMessage]:
    """Parse a multipart body as a server does."""
    head = f"Content-Type: {request.headers['content-type']}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    return [part for part in message.iter_parts() if isinstance(part, EmailMessage)]


async def test_a_form_with_files_is_read_back_as_it_was(client_to: Any) -> None:
    """Fields, files with their names and types, and bytes that look like a boundary or hold line ends."""
    sound = b"RIFF\r\n--boundary--\r\n\x00\xff" * 100
    call = HttpCall(
        "/transcribe",
        form={"model": "whisper-é", "prompt": "line\r\nline"},
        files=[FilePart("file", 'a "b".wav', sound, "audio/wav"), FilePart("more", "日本.bin", b"")],
    )
    request = await sent(client_to, call)
    parts = parts_of(request)
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert request.headers["content-length"] == str(len(request.body))
    dispositions = [part["content-disposition"].params for part in parts]
    assert [dict(params) for params in dispositions] == [
        {"name": "model"},
        {"name": "prompt"},
        {"name": "file", "filename": "a %22b%22.wav"},
        {"name": "more", "filename": "日本.bin"},
    ]
    contents = [part.get_payload(decode=True) for part in parts]
    assert contents == ["whisper-é".encode(), b"line\r\nline", sound, b""]
    assert [part.get_content_type() for part in parts[2:]] == ["audio/wav", "application/octet-stream"]


async def test_a_field_cannot_become_another_part(client_to: Any) -> None:
    """Names and types with line ends stay names and types."""
    call = HttpCall("/x", form={'a"\r\nEvil: 1': "v"}, files=[FilePart("f", "n\r\nEvil: 2", b"x", "a/b\r\nEvil: 3")])
    with pytest.raises(ConfigurationError, match="media type"):
        await sent(client_to, call)
    request = await sent(client_to, HttpCall("/x", form={'a"\r\nEvil: 1': "v"}, files=[FilePart("f", "n\r\nE", b"x")]))
    assert b"\r\nEvil" not in request.body
    assert len(parts_of(request)) == 2


async def test_a_form_with_half_a_character_is_refused(client_to: Any) -> None:
    """As a mistake in the request, naming the field."""
    with pytest.raises(BadRequest) as caught:
        await sent(client_to, HttpCall("/x", form={"prompt": "half \ud83d"}))
    assert caught.value.parameter == "prompt"
