"""From what somebody typed as a base URL to the one URL that is meant, or one clear error."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from modelhub.errors import ConfigurationError
from modelhub.types.schema import EndpointRule

__all__ = ["Endpoint", "endpoint_of"]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104  bind addresses that people paste as URLs
_HOST = re.compile(r"^[A-Za-z0-9._-]+$")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name or an address, without brackets.
        port: Always given.
        prefix: The path that every request's path is joined to, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header wants them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole base URL."""
        return f"{self.scheme}://{self.authority}{self.prefix}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by its address or the name ``localhost``."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def __str__(self) -> str:
        return self.url


def endpoint_of(text: str, rule: EndpointRule | None = None) -> Endpoint:
    """Read a base URL.

    A missing scheme and port are filled in by the provider's rule, ``0.0.0.0`` (an address to listen on) becomes the
    loopback address, a path that belongs to the API itself is cut off, and any other path is kept as a prefix.

    Raises:
        ConfigurationError: It cannot be a base URL; the message says why.
    """
    rule = rule or EndpointRule()
    given = text.strip()
    has_scheme = _SCHEME.match(given) is not None
    parts = _split(given if has_scheme else f"{rule.scheme}://{_bracketed(given)}", given)
    port = _port(parts, given)
    if port is None:
        port = rule.port if rule.port and not has_scheme else _DEFAULT_PORTS[parts.scheme]
    return Endpoint(parts.scheme, _host(parts, given), port, _prefix(parts, rule))


def _bracketed(given: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(given)}]"
    except ValueError:
        return given


def _refuse(given: str, why: str, remedy: str = "give it as http://host:port") -> ConfigurationError:
    shown = re.sub(r"//[^/@]*@", "//***@", given)
    return ConfigurationError(f"{shown!r} is not a base URL: {why}", remedy=remedy)


def _split(url: str, given: str) -> SplitResult:
    if not given:
        raise _refuse(given, "it is empty")
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
        raise _refuse(given, "it has a blank or a backslash in it")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise _refuse(given, str(error)) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refuse(given, f"its scheme is {parts.scheme!r}, not http or https")
    if parts.username is not None or parts.password is not None:
        raise _refuse(given, "it has a user name or password in it", "put them in a header or the key's own field")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise _refuse(given, "it has a query or a fragment")
    return parts


def _port(parts: SplitResult, given: str) -> int | None:
    try:
        port = parts.port
    except ValueError as error:
        raise _refuse(given, "its port is not a number from 1 to 65535") from error
    if port == 0:
        raise _refuse(given, "port 0 cannot be called")
    return port


def _host(parts: SplitResult, given: str) -> str:
    host = (parts.hostname or "").rstrip(".")
    host = _ANY_ADDRESS.get(host, host)
    if ":" in host:
        return host
    try:
        host = host.encode("idna").decode("ascii") if host else ""
    except UnicodeError as error:
        raise _refuse(given, "its host name cannot be one") from error
    if not _HOST.match(host):
        raise _refuse(given, "it has no host name" if not host else "its host name cannot be one")
    return host


def _prefix(parts: SplitResult, rule: EndpointRule) -> str:
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    for ending in sorted(rule.strip, key=len, reverse=True):
        if path == ending or path.endswith(ending):
            path = path.removesuffix(ending).rstrip("/")
            break
    return quote(path, safe="/%:@!$&'()*+,;=~-._")
