"""Proxies of the environment: which one a request goes through, and how a connection through it is made."""

from __future__ import annotations

import logging
import ssl
import urllib.request
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import httpcore
import httpx

from modelhub.errors import ConfigurationError
from modelhub.http.network import Network
from modelhub.rules.egress import Egress
from modelhub.rules.endpoint import Endpoint

__all__ = ["Maker", "handshakes_of_tunnel", "proxy_for", "through_proxy"]

Maker: TypeAlias = Callable[[Network], httpcore.AsyncConnectionInterface]
"""Makes a connection, not yet connected, that reads and writes by a network."""


def proxy_for(endpoint: Endpoint) -> str | None:
    """Return the URL of the proxy that the environment names for an origin; this machine is never behind one."""
    if endpoint.is_loopback or urllib.request.proxy_bypass(endpoint.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(endpoint.scheme) or proxies.get("all")


def handshakes_of_tunnel(url: str, endpoint: Endpoint) -> int:
    """Return how many TLS handshakes there are before a proxy's tunnel leads to an origin; 0 where it makes none.

    Args:
        url: The proxy's URL.
        endpoint: The origin.
    """
    scheme = urlsplit(url).scheme
    if endpoint.scheme != "https" or scheme.startswith("socks"):
        return 0
    return 2 if scheme == "https" else 1


def through_proxy(url: str, endpoint: Endpoint, context: ssl.SSLContext | None, *, keepalive: float) -> Maker:
    """Return what makes connections to an origin through a proxy.

    Args:
        url: The proxy's URL; it may hold a password.
        endpoint: The origin.
        context: The TLS configuration for the origin.
        keepalive: Seconds that an idle connection is kept.

    Raises:
        ConfigurationError: It is no proxy's URL, or its kind needs a package that is not installed.
    """
    variable = f"{endpoint.scheme.upper()}_PROXY (or ALL_PROXY)"
    try:
        proxy = httpx.Proxy(url)
    except (ValueError, httpx.InvalidURL):
        proxy = None
    if proxy is None or not proxy.url.host:
        # The URL may hold a password: neither it nor what the library says of it is shown.
        message = f"the environment's {variable} is no URL of a proxy"
        raise ConfigurationError(message, remedy="give it as http://host:port, or take it out") from None
    target = str(proxy.url)
    common: dict[str, Any] = {"proxy_auth": proxy.raw_auth, "ssl_context": context, "keepalive_expiry": keepalive}
    kind = httpcore.AsyncSOCKSProxy if target.startswith("socks5") else httpcore.AsyncHTTPProxy
    origin = httpcore.Origin(endpoint.scheme.encode(), endpoint.host.encode(), endpoint.port)

    def make(network: Network) -> httpcore.AsyncConnectionInterface:
        # The library's pool is left out: it would give what came behind an answer to the next request.
        made: httpcore.AsyncConnectionInterface = kind(target, network_backend=network, **common).create_connection(
            origin
        )
        return made

    try:
        make(Network(Egress()))
    except RuntimeError as error:
        message = "the environment names a SOCKS proxy, which needs the package socksio"
        raise ConfigurationError(message, remedy="pip install socksio") from error
    where = urlsplit(target)
    logging.getLogger("modelhub").info("%s goes through the proxy %s of %s", endpoint.url, where.hostname, variable)
    return make
