"""From what somebody typed as a base URL to the one URL that is meant, or one clear error."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import SplitResult, quote, unquote, urlsplit

from modelhub.errors import ConfigurationError
from modelhub.types.forms import EndpointRule

__all__ = ["REASONS", "Endpoint", "EndpointRefused", "endpoint_of"]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?!.{254})[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMERIC = re.compile(r"(.*\.)?(0x[0-9a-f]*|[0-9]+)")
_BRACKETED = re.compile(r"\[(?P<address>[^]%]*)(%(25(?!]))?(?P<zone>[A-Za-z0-9._~-]+))?](:.*)?")
_TWO_WAYS = frozenset("ßς")  # the two IDNA standards make different hosts of them; the joiners are not printable
_SHOWN = 200

REASONS: Mapping[str, str] = MappingProxyType(
    {
        "it is empty": "kosong",
        "its scheme is not followed by ://": "skemanya tidak diikuti ://",
        "its scheme is neither http nor https": "skemanya bukan http atau https",
        "it has a blank, a control character or a backslash in it": (
            "mengandung spasi, karakter kontrol, atau garis miring terbalik"
        ),
        "it has a user name or password in it": "mengandung nama pengguna atau kata sandi",
        "it has a query or a fragment": "mengandung kueri atau fragmen",
        "an IPv6 address needs brackets": "alamat IPv6 harus di dalam kurung siku",
        "an IPv4 address is four decimal numbers": "alamat IPv4 terdiri atas empat angka desimal",
        "its port is not a number from 1 to 65535": "porta-nya bukan angka dari 1 sampai 65535",
        "port 0 cannot be called": "porta 0 tidak dapat dihubungi",
        "it has no host name": "tidak memiliki nama host",
        "its host name cannot be one": "nama host-nya tidak sah",
        "its host name can be read in two ways": "nama host-nya dapat dibaca dengan dua cara",
        "its path has a % that begins no code": "jalurnya memuat % yang bukan awal sebuah kode",
        "its path has . or .. in it": "jalurnya memuat . atau ..",
    }
)
"""Why a text is no base URL, in English and in Indonesian; forms show them in the reader's language."""


class EndpointRefused(ConfigurationError):
    """A text cannot be a base URL.

    Attributes:
        why: The reason, a key of `REASONS`; it holds nothing of the text.
    """

    def __init__(self, message: str, *, why: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.why = why


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name or an address, without brackets; a link-local address with its zone.
        port: Always given.
        prefix: The path that every request's path is joined to, without a slash at its end.
    """

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header wants them: without a zone (RFC 6874, section 4)."""
        return self._with_port(self.host.partition("%")[0])

    @property
    def url(self) -> str:
        """The whole base URL."""
        return f"{self.scheme}://{self._with_port(self.host.replace('%', '%25'))}{self.prefix}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a secret is given for."""
        return self.scheme, self.host, self.port

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine, by its address or the name ``localhost``."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def _with_port(self, host: str) -> str:
        host = f"[{host}]" if ":" in host else host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return self.url


def endpoint_of(text: str, rule: EndpointRule | None = None) -> Endpoint:
    """Read a base URL.

    A missing scheme and port are filled in by the provider's rule, ``0.0.0.0`` (an address to listen on) becomes the
    loopback address, a path that belongs to the API itself is cut off, and any other path is kept as a prefix. An
    address has one spelling; those that only resolvers understand (``127.1``, ``0x7f000001``) are refused.

    Raises:
        EndpointRefused: It cannot be a base URL; the message says why, and shows no password and no query.
    """
    rule = rule or EndpointRule()
    given = text.strip()
    has_scheme = _SCHEME.match(given) is not None
    parts = _split(given if has_scheme else f"{rule.scheme}://{_bracketed(given.removeprefix('//'))}", given)
    port = _port(parts, given)
    if port is None:
        port = rule.port if rule.port and not has_scheme else _DEFAULT_PORTS[parts.scheme]
    host = _host(parts, given)
    if host in _DEFAULT_PORTS and (not has_scheme or parts.path.startswith("//")):
        raise _refuse(given, "its scheme is not followed by ://")
    return Endpoint(parts.scheme, host, port, _prefix(parts, rule, given))


def _bracketed(given: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(given)}]"
    except ValueError:
        return given


def _refuse(given: str, why: str, remedy: str = "give it as http://host:port") -> EndpointRefused:
    scheme = _SCHEME.match(given)
    start = scheme.end() if scheme is not None else 0
    _, at, rest = given[start:].rpartition("@")
    rest = re.sub(r"([?#]).*", r"\1***", rest, flags=re.DOTALL)
    shown = f"{given[:start]}{'***@' if at else ''}{rest}"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return EndpointRefused(f"{shown!r} is not a base URL: {why}", why=why, remedy=remedy)


def _split(url: str, given: str) -> SplitResult:
    if not given:
        raise _refuse(given, "it is empty")
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
        raise _refuse(given, "it has a blank, a control character or a backslash in it")
    try:
        parts = urlsplit(url)
    except ValueError:
        # What the library says repeats what was given, a password included.
        raise _refuse(given, "its host name cannot be one") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refuse(given, "its scheme is neither http nor https")
    if parts.username is not None or parts.password is not None:
        raise _refuse(given, "it has a user name or password in it", "put them in a header or the key's own field")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise _refuse(given, "it has a query or a fragment")
    if "[" not in parts.netloc and parts.netloc.startswith(":") and parts.netloc.count(":") > 1:
        raise _refuse(given, "an IPv6 address needs brackets", "give it as http://[address]:port")
    return parts


def _port(parts: SplitResult, given: str) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise _refuse(given, "its port is not a number from 1 to 65535") from None
    if port == 0:
        raise _refuse(given, "port 0 cannot be called")
    return port


def _host(parts: SplitResult, given: str) -> str:
    try:
        if "[" in parts.netloc:
            return _address_6(parts.netloc)
        name = (parts.hostname or "").rstrip(".")
        if not _TWO_WAYS.isdisjoint(name):
            raise _refuse(given, "its host name can be read in two ways", "give it in its xn-- form")
        host = name.encode("idna").decode("ascii").lower().rstrip(".")
    except ValueError:
        raise _refuse(given, "its host name cannot be one") from None
    if not host:
        raise _refuse(given, "it has no host name")
    if _NUMERIC.fullmatch(host):
        return _address_4(host, given)
    if not _HOST.fullmatch(host):
        raise _refuse(given, "its host name cannot be one")
    return host


def _address_6(netloc: str) -> str:
    """Read an address between brackets, its zone after ``%`` or, as in a URL, ``%25``.

    Raises:
        ValueError: It is none.
    """
    bracketed = _BRACKETED.fullmatch(netloc)
    if bracketed is None:
        raise ValueError(netloc)
    address = ipaddress.IPv6Address(bracketed["address"])
    if bracketed["zone"]:
        return f"{address}%{bracketed['zone']}"
    return _callable(address.ipv4_mapped or address)


def _address_4(text: str, given: str) -> str:
    try:
        return _callable(ipaddress.IPv4Address(text))
    except ValueError:
        raise _refuse(given, "an IPv4 address is four decimal numbers") from None


def _callable(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return an address that can be called: people paste those that servers listen on."""
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004  the version's name
    return str(address)


def _prefix(parts: SplitResult, rule: EndpointRule, given: str) -> str:
    path = re.sub(r"/{2,}", "/", parts.path).rstrip("/")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise _refuse(given, "its path has a % that begins no code")
    if any(unquote(piece) in {".", ".."} for piece in path.split("/")):
        raise _refuse(given, "its path has . or .. in it")
    for ending in sorted((f"/{each.strip('/')}" for each in rule.strip), key=len, reverse=True):
        if path.endswith(ending):
            path = path.removesuffix(ending).rstrip("/")
            break
    return quote(path, safe="/%:@!$&'()*+,;=~-._")
