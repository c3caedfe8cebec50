"""The default backend: what is inside httpx, without httpx's client layers.

httpx's own client spends most of a call's time on redirects, cookies, URL merging and a pool that scans every
connection for every request; an inference call wants none of them. h11 speaks to servers, httpcore to proxies, and
httpx brings the TLS configuration. Environment proxies are honoured except for loopback addresses.
"""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, final

import anyio
import httpcore
import httpx

from modelhub.http.direct import DirectPool
from modelhub.http.faults import translated
from modelhub.http.network import Connection, Network
from modelhub.http.seam import Exchange, HttpRequest, ReadLimits
from modelhub.rules.endpoint import Endpoint

__all__ = ["HttpxBackend", "tls_context"]

_KEEPALIVE_SECONDS = 15.0
_CLOSE_SECONDS = 2.0


def tls_context() -> ssl.SSLContext:
    """Build the TLS configuration; reads certificate files, so call it in a thread."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class _Pool(Protocol):
    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response: ...
    async def aclose(self) -> None: ...


@final
class HttpxBackend:
    """A `modelhub.http.seam.Backend` for one origin, straight or through the proxy that the environment names.

    Args:
        endpoint: The origin; its prefix is ignored here.
        context: The TLS configuration; needed for ``https``.
        trust_env: Whether proxies of the environment are used; loopback addresses never use one.
    """

    def __init__(self, endpoint: Endpoint, *, context: ssl.SSLContext | None = None, trust_env: bool = True) -> None:
        self._endpoint = endpoint
        self._direct = DirectPool(endpoint, context)
        proxy = _proxy_for(endpoint) if trust_env and not endpoint.is_loopback else None
        self._proxied = _proxy_pool(proxy, context) if proxy else None

    async def open(self, request: HttpRequest, limits: ReadLimits) -> Exchange:
        """See `modelhub.http.seam.Backend.open`."""
        try:
            if self._proxied is None:
                return await self._direct.open(request, limits)
            outgoing = _outgoing(request, self._endpoint, limits)
            return ProxiedExchange(await self._proxied.handle_async_request(outgoing), limits)
        except Exception as error:
            raise translated(error, limits, self._endpoint) from error

    async def aclose(self) -> None:
        """Close every connection."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._direct.aclose()
            if self._proxied is not None:
                await self._proxied.aclose()

    def __repr__(self) -> str:
        return f"<HttpxBackend {self._endpoint.url}: {self._direct!r}>"


def _outgoing(request: HttpRequest, endpoint: Endpoint, limits: ReadLimits) -> httpcore.Request:
    return httpcore.Request(
        request.method.encode("ascii"),
        httpcore.URL(
            scheme=endpoint.scheme.encode(),
            host=endpoint.host.encode(),
            port=endpoint.port,
            target=request.target.encode("ascii"),
        ),
        headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers],
        content=request.body,
        extensions={"timeout": {"connect": limits.connecting(), "read": limits, "write": limits, "pool": None}},
    )


@final
class ProxiedExchange:
    """An answer that comes through a proxy and whose body is still coming."""

    __slots__ = ("_body", "_closed", "_finished", "_limits", "_response", "headers", "status")

    def __init__(self, response: httpcore.Response, limits: ReadLimits) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = {
            name.decode("ascii").lower(): value.decode("latin-1") for name, value in response.headers
        }
        self._response = response
        self._limits = limits
        self._body: AsyncIterator[bytes] | None = None
        self._closed = False
        self._finished = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._body is None:
            stream: Any = self._response.stream
            self._body = stream.__aiter__()
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._finished = True
            raise
        except Exception as error:
            raise translated(error, self._limits) from error

    def abort(self) -> None:
        """Break the connection at once."""
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

    async def _drain(self, body: AsyncIterator[bytes]) -> None:
        # The library's generators are nested: only running them out ends all of them without leaving one to the
        # collector.
        # After `abort` that takes what is already in memory and no more.
        try:
            async for _ in body:
                pass
        except Exception as error:  # noqa: BLE001  the broken connection that was asked for
            del error


def _proxy_for(endpoint: Endpoint) -> str | None:
    if urllib.request.proxy_bypass(endpoint.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(endpoint.scheme) or proxies.get("all")


def _proxy_pool(url: str, context: ssl.SSLContext | None) -> _Pool:
    proxy = httpx.Proxy(url)
    target = str(proxy.url)
    if target.startswith("socks5"):
        return httpcore.AsyncSOCKSProxy(
            target, proxy_auth=proxy.raw_auth, ssl_context=context, network_backend=Network()
        )
    return httpcore.AsyncHTTPProxy(
        target,
        proxy_auth=proxy.raw_auth,
        ssl_context=context,
        keepalive_expiry=_KEEPALIVE_SECONDS,
        network_backend=Network(),
    )
