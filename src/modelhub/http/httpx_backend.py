"""The default backend: the connections of httpcore, the engine inside httpx, without httpx's client layers.

httpx's own client spends most of a call's time on redirects, cookies, URL merging and a pool that scans every
connection for every request; an inference call wants none of them. httpx still brings the TLS configuration.
Environment proxies are honoured except for loopback addresses.

Where a connection may lead is judged where it is made, by `modelhub.http.network`. A proxy looks names up itself: there
the name is looked up here as well and judged before, which is all that can be done on this side of it.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, final

import anyio
import httpcore
import httpx

from modelhub.errors import (
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MalformedResponse,
    ModelHubError,
)
from modelhub.http.addresses import Resolver, looked_up
from modelhub.http.network import Connection, Network
from modelhub.http.proxies import Maker, handshakes_of_tunnel, proxy_for, through_proxy
from modelhub.http.seam import Connecting, HttpRequest, ReadLimits
from modelhub.rules.egress import Egress
from modelhub.rules.endpoint import Endpoint
from modelhub.rules.frames import clear_locals
from modelhub.types.secret import Secret
from modelhub.wire.excerpt import clean as printable

__all__ = ["HttpxBackend", "tls_context"]

_KEEPALIVE_SECONDS = 15.0
_CLOSE_SECONDS = 2.0

_LOGGERS = ("httpcore.http11", "httpcore.proxy", "httpcore.socks")
_sending = ContextVar("_sending", default=False)
"""Whether what the library logs is about a request of ours."""


def _without_values(record: logging.LogRecord) -> bool:
    """Keep only the first word of what the library says: servers repeat keys in headers, and proxies have passwords."""
    if _sending.get():
        record.msg, record.args = str(record.msg).partition(" ")[0], ()
    return True


def tls_context() -> ssl.SSLContext:
    """Build the TLS configuration; reads certificate files, so call it in a thread."""
    return httpx.create_ssl_context()


@final
class _Pool:
    """Idle connections of one origin, the last used first; finding one costs the same however many are busy.

    Args:
        make: Makes a connection.
        network: Makes what a connection reads and writes by.
        before: Waited for before a connection is made.
    """

    def __init__(
        self, make: Maker, network: Callable[[], Network], before: Callable[[Connecting], Awaitable[None]] | None = None
    ) -> None:
        self._make = make
        self._network = network
        self._before = before
        self._idle: list[httpcore.AsyncConnectionInterface] = []
        self._networks: dict[httpcore.AsyncConnectionInterface, Network] = {}

    async def acquire(self, connecting: Connecting) -> httpcore.AsyncConnectionInterface:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            del self._networks[connection]
            await connection.aclose()
        if self._before is not None:
            await self._before(connecting)
        network = self._network()
        fresh = self._make(network)
        self._networks[fresh] = network
        return fresh

    def release(self, connection: httpcore.AsyncConnectionInterface, *, sound: bool = True) -> bool:
        """Take a connection back; returns whether it is kept. One that is not is broken, and still to be closed.

        Args:
            connection: One that `acquire` gave.
            sound: Whether it can serve again, as far as the answer says.
        """
        if connection not in self._networks:
            return True
        if sound and connection.is_idle() and not _says_more(connection):
            self._idle.append(connection)
            return True
        # The library closes what failed, but not where its task is cancelled once more while it does.
        self._networks.pop(connection).abort()
        return False

    @property
    def busy(self) -> bool:
        return len(self._networks) > len(self._idle)

    async def aclose(self) -> None:
        networks = self._networks.copy()
        self._idle.clear()
        self._networks.clear()
        for network in networks.values():
            network.abort()
        for connection in networks:
            await connection.aclose()

    def __repr__(self) -> str:
        return f"<pool of {len(self._idle)} idle and {len(self._networks) - len(self._idle)} busy>"


def _says_more(connection: httpcore.AsyncConnectionInterface) -> bool:
    """Whether something came behind the answer: the library would take it for the answer to the next request."""
    inner: object = connection
    while inner is not None:  # one through a proxy has another inside
        parser = getattr(inner, "_h11_state", None)
        if parser is not None:
            return bool(parser.trailing_data[0])
        inner = getattr(inner, "_connection", None)
    return False


@final
class _Body:
    """A request's body. An object, because the library leaves a generator behind where sending breaks off."""

    __slots__ = ("_pieces",)

    def __init__(self, body: bytes) -> None:
        self._pieces = iter((body,) if body else ())

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


@final
class HttpxBackend:
    """A `modelhub.http.seam.Backend` over httpcore's connections.

    Args:
        endpoint: The origin; its prefix is ignored here.
        context: The TLS configuration; needed for ``https``.
        trust_env: Whether proxies of the environment are used; loopback addresses never use one.
        egress: Judges what every connection leads to; by default it is the operator's.
        resolve: Looks names up.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        egress: Egress | None = None,
        resolve: Resolver = looked_up,
    ) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_without_values)  # one filter, however often it is added
        self._endpoint = endpoint
        self._scheme = endpoint.scheme.encode()
        self._host = endpoint.host.encode()
        self._egress = Egress(secure=endpoint.scheme == "https") if egress is None else egress
        self._resolve = resolve
        proxy = proxy_for(endpoint) if trust_env else None
        self._proxied = proxy is not None
        if proxy is None:
            self._pool = _Pool(_direct(endpoint, context), lambda: Network(self._egress, resolve))
        else:
            make = through_proxy(proxy, endpoint, context, keepalive=_KEEPALIVE_SECONDS)
            # Where the proxy is says the operator.
            handshakes = handshakes_of_tunnel(proxy, endpoint)
            network = partial(Network, Egress(), resolve, handshakes=handshakes)
            self._pool = _Pool(make, network, self._judge_behind_proxy)

    async def _judge_behind_proxy(self, connecting: Connecting) -> None:
        """Judge the origin before a proxy is asked for it.

        What it finds is not what the proxy will find: a name may mean something else there, and something else the
        next moment. Only a proxy that judges itself closes that gap.

        Raises:
            EgressRefused: No connection may be made there.
        """
        host = self._endpoint.host
        self._egress.judge_name(host)
        if not self._egress.needs_addresses or self._egress.allows_host(host):
            return
        try:
            with anyio.fail_after(connecting.remaining()):
                found = await self._resolve(host, self._endpoint.port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except OSError:
            found = ()
        self._egress.judge(host, [str(address[4][0]) for address in found])

    async def open(self, request: HttpRequest, limits: ReadLimits) -> HttpxExchange:
        """See `modelhub.http.seam.Backend.open`."""
        sending = _sending.set(True)
        connecting = limits.connecting()
        try:
            return await self._opened(self._outgoing(request, limits, connecting), limits, connecting)
        except BaseException as error:
            clear_locals(error)  # of the library: it holds the headers and the bytes that were sent
            if not isinstance(error, Exception) or isinstance(error, ModelHubError):
                raise
            raise _translated(error, limits, self._endpoint) from error
        finally:
            _sending.reset(sending)

    def _outgoing(self, request: HttpRequest, limits: ReadLimits, connecting: Connecting) -> httpcore.Request:
        return httpcore.Request(
            request.method.encode("ascii"),
            httpcore.URL(
                scheme=self._scheme,
                host=self._host,
                port=self._endpoint.port,
                target=request.target.encode("ascii"),
            ),
            headers=[
                (name.encode("ascii"), (value.reveal() if isinstance(value, Secret) else value).encode("latin-1"))
                for name, value in request.headers
            ],
            content=_Body(request.body),
            extensions={"timeout": {"connect": connecting, "read": limits, "write": limits, "pool": None}},
        )

    async def _opened(self, outgoing: httpcore.Request, limits: ReadLimits, connecting: Connecting) -> HttpxExchange:
        connection = await self._pool.acquire(connecting)
        try:
            response = await connection.handle_async_request(outgoing)
        except BaseException:
            self._pool.release(connection)
            raise
        return HttpxExchange(response, limits, self._pool, connection)

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return self._pool.busy

    async def aclose(self) -> None:
        """Close every connection."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._pool.aclose()

    def __repr__(self) -> str:
        proxied = "through a proxy, " if self._proxied else ""
        return f"<HttpxBackend {self._endpoint.url}: {proxied}{self._pool!r}>"


def _direct(endpoint: Endpoint, context: ssl.SSLContext | None) -> Maker:
    origin = httpcore.Origin(endpoint.scheme.encode(), endpoint.host.encode(), endpoint.port)

    def make(network: Network) -> httpcore.AsyncConnectionInterface:
        return httpcore.AsyncHTTPConnection(
            origin=origin, ssl_context=context, keepalive_expiry=_KEEPALIVE_SECONDS, network_backend=network
        )

    return make


@final
class HttpxExchange:
    """An answer whose body is still coming."""

    __slots__ = (
        "_body",
        "_closed",
        "_connection",
        "_error",
        "_finished",
        "_limits",
        "_pool",
        "_response",
        "headers",
        "status",
    )

    def __init__(
        self,
        response: httpcore.Response,
        limits: ReadLimits,
        pool: _Pool,
        connection: httpcore.AsyncConnectionInterface,
    ) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = {
            name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers
        }
        self._response = response
        self._limits = limits
        self._pool = pool
        self._connection = connection
        self._body: AsyncIterator[bytes] | None = None
        self._closed = False
        self._finished = False
        self._error: ModelHubError | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise StopAsyncIteration
        if self._body is None:
            stream: Any = self._response.stream
            self._body = stream.__aiter__()
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._finished = True
            raise
        except BaseException as error:
            clear_locals(error)
            if not isinstance(error, Exception):
                raise
            self._error = _translated(error, self._limits, None)
            raise self._error from error

    def abort(self) -> None:
        """Break the connection at once."""
        if self._closed and self._finished:
            return  # it serves another by now
        stream = self._response.extensions.get("network_stream")
        if isinstance(stream, Connection):
            stream.abort()

    async def aclose(self) -> None:
        """Give the connection back, or close it where the body was not read to its end."""
        if self._closed:
            return
        self._closed = True
        if not self._finished:
            self.abort()
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            try:
                if self._body is not None:
                    await self._drain(self._body)
                await self._response.aclose()
            except Exception as error:  # noqa: BLE001  the connection is given up; what its closing says helps nobody
                del error
            finally:
                if not self._pool.release(self._connection, sound=not self._has_two_lengths()):
                    await self._connection.aclose()

    def _has_two_lengths(self) -> bool:
        """Whether the answer says twice where it ends (RFC 9112, section 6.3): the next one may not begin there."""
        return "content-length" in self.headers and "transfer-encoding" in self.headers

    async def _drain(self, body: AsyncIterator[bytes]) -> None:
        # The library's generators are nested: only running them out ends all of them without leaving one to the
        # collector.
        # After `abort` that takes what is already in memory and no more.
        try:
            async for _ in body:
                pass
        except Exception as error:  # noqa: BLE001  the broken connection that was asked for
            del error


def _translated(error: Exception, limits: ReadLimits, endpoint: Endpoint | None) -> ModelHubError:
    """The one wall between the library's exceptions and ours."""
    where = f" to {endpoint.url}" if endpoint else ""
    reason = printable(str(error)) or type(error).__name__
    match error:
        case ModelHubError():
            return error
        case httpcore.ConnectTimeout() | httpcore.PoolTimeout():
            return limits.expired("connect", sent=False)
        case httpcore.TimeoutException():
            return limits.expired("read", sent=True)
        case httpcore.ConnectError() | httpcore.ProxyError() | ssl.SSLError():
            return ConnectFailed(
                f"no connection{where}: {reason}",
                sent=False,
                remedy="check that the server runs and the address is right",
            )
        case httpcore.RemoteProtocolError() if "closed connection" not in reason and "disconnected" not in reason:
            return MalformedResponse(f"the server{where} does not speak HTTP as it must: {reason}", sent=True)
        case httpcore.NetworkError() | httpcore.RemoteProtocolError() | OSError():
            return ConnectionLost(f"the connection{where} broke: {reason}", sent=True)
        case httpcore.LocalProtocolError() | httpcore.UnsupportedProtocol() | UnicodeError() | TypeError():
            return ConfigurationError(
                f"the request cannot be sent: {reason}", remedy="mend the header or path that it names"
            )
        case _:
            return ConnectionLost(f"the connection{where} failed: {reason}", sent=None)
