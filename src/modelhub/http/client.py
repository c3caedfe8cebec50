"""``context.http``: what a plugin sends requests through.

Joined to the credential's endpoint, authenticated, classified.

One client serves one attempt. It knows every answer that is still open, so that closing the attempt can break the
connection before anything else is closed.
"""

from __future__ import annotations

import re
import secrets as random_source
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from typing import Any, final
from urllib.parse import quote, urlencode

import anyio

from modelhub.errors import BadRequest, ConfigurationError, ConnectionLost, MalformedResponse, ModelHubError
from modelhub.http.seam import Backend, Exchange, FilePart, HttpCall, HttpRequest, HttpResponse, ReadLimits
from modelhub.rules.endpoint import Endpoint
from modelhub.rules.parameters import check_text
from modelhub.types.secret import Secret
from modelhub.wire.decoder import TruncatedResponse
from modelhub.wire.encoding import ContentDecoder
from modelhub.wire.excerpt import clean as printable
from modelhub.wire.json import UnencodableValue, dumps, loads
from modelhub.wire.ndjson import NdjsonDecoder
from modelhub.wire.rate_headers import RateFacts, rate_facts
from modelhub.wire.sse import SseJsonDecoder

__all__ = ["Classifier", "HttpClient"]

_BODY_CAP = 64 * 1024 * 1024
_ERROR_BODY_CAP = 64 * 1024
_SETTLE_SECONDS = 0.05
_REASON_SECONDS = 2.0
_USER_AGENT = "modelhub"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, section 5.6.2."""
_FRAMING = frozenset({"content-length", "transfer-encoding"})
"""Headers that say where the body ends: a second opinion would let a request be read as two."""

Classifier = Callable[[int, Mapping[str, str], bytes], ModelHubError]
"""From status, headers and body of a refused request to the error to raise."""


@final
class HttpClient:
    """Sends requests of one attempt.

    Args:
        backend: Gives the origin's backend; it is asked for at the first request only.
        endpoint: Where requests go.
        headers: Sent with every request: authentication and the user's own.
        limits: The attempt's limits of time.
        classify: Turns a status of 400 and more into an error.
        wall: Unix time, for dates in answers that do not say what time it is there.

    Attributes:
        limits: The limits of time.
        renews_limits: Whether each request has as long as the first one, as in a session.
        can_be_given_up: Whether somebody may `give_up` or `abort` requests that wait for their answer; to be set before
            they are sent.
        on_rates: Told what an answer's headers say of rate limits, a refusal's too, when its head comes.
    """

    __slots__ = (
        "_backend",
        "_classify",
        "_endpoint",
        "_given_up",
        "_headers",
        "_open",
        "_opening",
        "_wall",
        "can_be_given_up",
        "limits",
        "on_rates",
        "renews_limits",
    )

    def __init__(
        self,
        backend: Callable[[], Awaitable[Backend]],
        endpoint: Endpoint,
        *,
        headers: Sequence[tuple[str, str | Secret]],
        limits: ReadLimits,
        classify: Classifier,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._backend = backend
        self._endpoint = endpoint
        self._headers = headers
        self._classify = classify
        self._wall = wall
        self._open: list[Exchange] = []
        self.limits: ReadLimits = limits
        self.renews_limits: bool = False
        self.can_be_given_up: bool = False
        self._given_up: ModelHubError | None = None
        self._opening: list[anyio.CancelScope] = []
        self.on_rates: Callable[[RateFacts], None] | None = None

    async def request(self, call: HttpCall) -> HttpResponse:
        """Send a request and read the whole answer.

        Raises:
            ModelHubError: Classified: by the answer's status, or by how the connection failed.
            MalformedResponse: The body is larger than 64 MiB or cannot be decoded.
        """
        async with self._exchange(call) as exchange:
            body = await _read(exchange, _BODY_CAP)
            return HttpResponse(exchange.status, exchange.headers, body)

    async def json(self, call: HttpCall) -> Any:
        """Send a request and parse the answer as JSON.

        Raises:
            ModelHubError: As `request`.
            MalformedResponse: The body is no JSON; the message names the URL.
        """
        response = await self.request(call)
        return self.parse(response, call)

    def parse(self, response: HttpResponse, call: HttpCall) -> Any:
        """Parse the body of an answer as JSON; see `json`."""
        self.check_no_page(response.headers, call)
        try:
            return loads(response.body)
        except MalformedResponse as error:
            error.message = f"{self._url(call)} answered something that is not JSON: {error.message}"
            error.status = response.status
            raise

    async def stream(self, call: HttpCall) -> AsyncGenerator[list[Any], None]:
        """Send a request and yield the documents of the answer, in the batches they come in.

        A server that answers with one JSON document although a stream was asked for is understood.

        Raises:
            ModelHubError: As `request`; a broken stream raises after everything that came was yielded.
        """
        async with self._exchange(call) as exchange:
            self.check_no_page(exchange.headers, call)
            content_type = exchange.headers.get("content-type", "")
            if call.framing == "sse" and "application/json" in content_type:
                yield [loads(await _read(exchange, _BODY_CAP))]
                return
            documents: NdjsonDecoder | SseJsonDecoder = SseJsonDecoder() if call.framing == "sse" else NdjsonDecoder()
            content = _content_decoder(exchange)
            async for chunk in exchange:
                batch = documents.feed(content.feed(chunk) if content else chunk)
                if batch:
                    yield batch
                if documents.error is not None:
                    raise documents.error
                if documents.done:
                    return
            if content:
                content.flush()
            batch = documents.flush()
            if batch:
                yield batch

    async def bytes(self, call: HttpCall) -> AsyncGenerator[bytes, None]:
        """Send a request and yield the answer's bytes as they come.

        Raises:
            ModelHubError: As `request`, and where JSON or a web page comes in place of bytes.
        """
        async with self._exchange(call) as exchange:
            if "json" in exchange.headers.get("content-type", ""):
                raise await self._refused(exchange)
            self.check_no_page(exchange.headers, call)
            content = _content_decoder(exchange)
            async for chunk in exchange:
                piece = content.feed(chunk) if content else chunk
                if piece:
                    yield piece
            if content:
                content.flush()

    def classified(self, status: int, headers: Mapping[str, str], document: object) -> ModelHubError:
        """Build the error that a document inside an answer stands for, as if it had come alone with ``status``."""
        return self._classify(status, headers, dumps(document))

    def check_no_page(self, headers: Mapping[str, str], call: HttpCall) -> None:
        """Refuse an answer that is a web page: whatever was asked for, it is not that.

        Raises:
            MalformedResponse: It is one.
        """
        content_type = headers.get("content-type", "")
        if "html" in content_type:
            raise MalformedResponse(
                f"{self._url(call)} answered a web page ({printable(content_type, limit=100)}), not the API",
                remedy="check the base URL: a login page or another server stands there",
                status=200,
                sent=True,
            )

    async def settle(self) -> None:
        """The answer is complete: read what little may follow it, so that the connection can serve again.

        A server that sends its last bytes late, keeps the body open or breaks it off is not waited for.
        """
        for exchange in tuple(self._open):
            with anyio.move_on_after(_SETTLE_SECONDS), suppress(ModelHubError):
                size = 0
                async for chunk in exchange:
                    size += len(chunk)
                    if size > _ERROR_BODY_CAP:
                        break

    def abort(self) -> None:
        """Break every connection that carries an answer, or that waits for one; at once, without waiting."""
        for scope in self._opening:
            scope.cancel()
        for exchange in self._open:
            exchange.abort()

    def give_up(self, error: ModelHubError) -> None:
        """Break what is under way, an answer that has not begun too, and send nothing more: each gets this error."""
        self._given_up = error
        self.abort()

    async def aclose(self) -> None:
        """Give back every connection."""
        while self._open:
            await self._open.pop().aclose()

    def __repr__(self) -> str:
        return f"<HttpClient of {self._endpoint.url}: {len(self._open)} answers open>"

    @asynccontextmanager
    async def _exchange(self, call: HttpCall) -> AsyncGenerator[Exchange, None]:
        request = self._prepared(call)
        backend = await self._made_in_time()
        if self._given_up is not None:
            raise copy(self._given_up)
        if self.renews_limits:
            self.limits.restart()
        exchange = await self._opened(backend, request)
        self._open.append(exchange)
        if self.on_rates is not None and (facts := rate_facts(exchange.headers, self._wall())) is not None:
            self.on_rates(facts)
        try:
            if exchange.status >= 300:  # noqa: PLR2004  redirects are refused too: a key must not follow one
                raise await self._refused(exchange)
            yield exchange
        except ModelHubError as error:
            if self._given_up is not None:
                raise copy(self._given_up) from error
            if not isinstance(error, TruncatedResponse):
                if isinstance(error, MalformedResponse):
                    error.status = error.status or exchange.status
                raise
            # An end that the server, or what stands before it, did not mean: as good as a connection that broke.
            lost = ConnectionLost(error.message, excerpt=error.excerpt, sent=True)
            raise lost from error
        finally:
            if exchange in self._open:
                self._open.remove(exchange)
            await exchange.aclose()

    async def _made_in_time(self) -> Backend:
        """Wait for the origin's backend: making the first one imports a library."""
        if self.limits.deadline is None:
            return await self._backend()
        with anyio.move_on_after(self.limits.remaining()):
            return await self._backend()
        raise self.limits.expired("read", sent=False)

    async def _opened(self, backend: Backend, request: HttpRequest) -> Exchange:
        if not self.can_be_given_up:
            return await backend.open(request, self.limits)
        with anyio.CancelScope() as scope:
            self._opening.append(scope)
            try:
                return await backend.open(request, self.limits)
            finally:
                self._opening.remove(scope)
        raise copy(self._given_up) if self._given_up is not None else ConnectionLost("it was given up", sent=True)

    async def _refused(self, exchange: Exchange) -> ModelHubError:
        pieces: list[bytes] = []
        # The status says more than a body that breaks off, or does not come.
        with anyio.move_on_after(_REASON_SECONDS), suppress(ModelHubError):
            await _gather(exchange, pieces, _ERROR_BODY_CAP)
        return self._classify(exchange.status, exchange.headers, b"".join(pieces)[:_ERROR_BODY_CAP])

    def _prepared(self, call: HttpCall) -> HttpRequest:
        body, content_type = _body(call)
        given = [(name, _sealed(value)) for name, value in (*self._headers, *call.headers.items())]
        _check_headers(given)
        # By their names in lower case: of two that are named alike, the later one is sent alone.
        headers: dict[str, tuple[str, str | Secret]] = {
            "host": ("Host", self._endpoint.authority),
            "user-agent": ("User-Agent", _USER_AGENT),
            "accept": ("Accept", "*/*"),
            "accept-encoding": ("Accept-Encoding", "identity"),
        }
        if content_type:
            headers["content-type"] = ("Content-Type", content_type)
        for header in given:
            headers[header[0].lower()] = header
        if body or call.method not in {"GET", "HEAD", "DELETE"}:
            headers["content-length"] = ("Content-Length", str(len(body)))
        target = self._endpoint.prefix + quote(_path(call), safe="/%:@!$&'()*+,;=~-._")
        if call.query:
            target = f"{target}?{_query(call.query)}"
        return HttpRequest(call.method, target, [*headers.values()], body)

    def _url(self, call: HttpCall) -> str:
        return f"{self._endpoint.url}{_path(call)}"


def _path(call: HttpCall) -> str:
    return call.path if call.path.startswith("/") else f"/{call.path}"


def _sealed(value: str | Secret) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def _query(query: Mapping[str, str | Secret]) -> str:
    return urlencode({name: _sealed(value).reveal() for name, value in query.items()})


def _content_decoder(exchange: Exchange) -> ContentDecoder | None:
    encoding = exchange.headers.get("content-encoding", "identity")
    return None if encoding == "identity" else ContentDecoder(encoding)


async def _read(exchange: Exchange, cap: int) -> bytes:
    pieces: list[bytes] = []
    if await _gather(exchange, pieces, cap):
        return b"".join(pieces)
    raise MalformedResponse(
        f"the answer is larger than {cap // (1024 * 1024)} MiB",
        remedy="ask for less at once; where it should be small, whoever runs the server must see why it sends so much",
        status=exchange.status,
        sent=True,
    )


async def _gather(exchange: Exchange, pieces: list[bytes], cap: int) -> bool:
    """Read a body, decoded, piece by piece; returns whether that was all of it."""
    content = _content_decoder(exchange)
    size = 0
    async for chunk in exchange:
        piece = content.feed(chunk) if content else chunk
        pieces.append(piece)
        size += len(piece)
        if size > cap:
            return False
    if content:
        content.flush()
    return True


def _body(call: HttpCall) -> tuple[bytes, str | None]:
    if call.files or call.form:
        return _multipart(call.form, call.files)
    if call.content is not None:
        return call.content, None
    if call.json is None:
        return b"", None
    try:
        return dumps(call.json), "application/json"
    except UnencodableValue as error:
        raise BadRequest(f"the request cannot be sent: {error}", parameter=error.path or None) from error


def _multipart(form: Mapping[str, str], files: Sequence[FilePart]) -> tuple[bytes, str]:
    for name, value in form.items():
        check_text(value, name)
    for file in files:
        if not _is_printable(file.mime):
            raise ConfigurationError(f"the media type of file {file.name!r} has characters that none can have")
    boundary = random_source.token_hex(16)
    return b"".join(_multipart_pieces(boundary, form, files)), f"multipart/form-data; boundary={boundary}"


def _multipart_pieces(boundary: str, form: Mapping[str, str], files: Sequence[FilePart]) -> Iterator[bytes]:
    for name, value in form.items():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'.encode()
    for file in files:
        disposition = f'form-data; name="{_quoted(file.name)}"; filename="{_quoted(file.filename)}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {file.mime}\r\n\r\n"
        yield head.encode("utf-8", "replace")  # the name of a file need not be text
        yield file.data
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _quoted(text: str) -> str:
    # https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _check_headers(headers: Sequence[tuple[str, Secret]]) -> None:
    for name, value in headers:
        if _TOKEN.fullmatch(name) is None:
            # Neither name nor value is shown: whoever puts a whole line into one of them has put the key there.
            message = f"a header has a name of {len(name)} characters that cannot be one"
            raise ConfigurationError(message, remedy="the name is what stands before the colon, such as X-Team")
        if not _is_printable(value.reveal()):
            message = f"the value of header {name!r} has characters that a header cannot carry"
            raise ConfigurationError(
                message, remedy="a key must be plain printable ASCII: paste it again without line breaks"
            )
        if name.lower() in _FRAMING:
            raise ConfigurationError(f"the header {name!r} cannot be given", remedy="it is made with the request")


def _is_printable(value: str) -> bool:
    return value.isascii() and value.isprintable() and value == value.strip()
