"""Where connections may lead. Owns which addresses and names are refused, and to whom; connects and resolves nothing.

There are two levels of trust. What the operator configures may lead to private addresses: a model server at home is
the usual case. What users of an application typed may lead to public addresses over https alone, and to what the
operator allows. The metadata services of clouds, which give machine keys to whoever asks, are refused to both.

Own tables, and not ``ipaddress``'s ``is_global``: that changes with Python's versions, calls multicast global and
does not look into addresses that hold others. Sources: the IANA registries of special-purpose addresses of IPv4 and
IPv6 (2026-11), RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TypeAlias, final

from modelhub.errors import ConfigurationError, EgressRefused

__all__ = ["AllowList", "Egress", "is_metadata", "is_public"]

Address: TypeAlias = IPv4Address | IPv6Address
_Network: TypeAlias = IPv4Network | IPv6Network

_MAX_4 = 2**32 - 1


@final
class _Ranges:
    """Networks of one version that have nothing in common, to be asked often."""

    __slots__ = ("_first", "_last")

    def __init__(self, *networks: str) -> None:
        given = sorted((ipaddress.ip_network(each) for each in networks), key=lambda each: int(each.network_address))
        self._first = [int(each.network_address) for each in given]
        self._last = [int(each.broadcast_address) for each in given]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number)
        return at > 0 and number <= self._last[at - 1]


_NOT_PUBLIC_4 = _Ranges(
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",  # multicast and reserved
)
_PUBLIC_6 = _Ranges("2000::/3")
_NOT_PUBLIC_6 = _Ranges("2001::/23", "2001:db8::/32", "3fff::/20")

_METADATA_4 = _Ranges(
    "169.254.0.0/16",  # most clouds, and what they keep beside it
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure's WireServer
    "192.0.0.0/24",  # Oracle Cloud has 192.0.0.192
)
_METADATA_6 = _Ranges(
    "fd00:ec2::/32",  # AWS
    "fd20:ce::254/128",  # Google Cloud
    "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
    "fd00:42::42/128",  # Scaleway
    "fd00:a9fe:a9fe::1/128",  # Akamai
    "fd00:100::100:200/128",  # Alibaba Cloud
    "fe80::a9fe:a9fe/128",  # OpenStack
)
_METADATA_NAMES = frozenset(
    {
        "metadata.google.internal",
        "metadata.goog",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
    }
)

_EMBEDDING_96 = _Ranges(
    "::/96",  # IPv4-compatible (RFC 4291), which nobody should use any more
    "::ffff:0:0/96",  # IPv4-mapped
    "::ffff:0:0:0/96",  # IPv4-translated (RFC 7915)
    "64:ff9b::/96",  # NAT64 (RFC 6052)
)
_NAT64_LOCAL = _Ranges("64:ff9b:1::/48")
_SIX_TO_FOUR = _Ranges("2002::/16")
_TEREDO = _Ranges("2001::/32")
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet; of one that holds others, all of those."""
    return all(_is_public(each) for each in _meant(address))


def is_metadata(address: Address) -> bool:
    """Whether a cloud's metadata service is at an address, or at one that it holds."""
    return any(int(each) in (_METADATA_4 if each.version == 4 else _METADATA_6) for each in _held(address))  # noqa: PLR2004  the version's name


def _is_public(address: Address) -> bool:
    number = int(address)
    if isinstance(address, IPv4Address):
        return number not in _NOT_PUBLIC_4 and number not in _METADATA_4
    return number in _PUBLIC_6 and number not in _NOT_PUBLIC_6


def _meant(address: Address) -> tuple[Address, ...]:
    """Return what a connection to an address may reach: the addresses that it holds by its form, else itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    number = int(address)
    if number in _EMBEDDING_96 and number > 1:  # :: and ::1 are none
        return (IPv4Address(number & _MAX_4),)
    if number in _SIX_TO_FOUR:
        return (IPv4Address(number >> 80 & _MAX_4),)
    if number in _TEREDO:  # the server, and the client behind it, whose bits are turned
        return IPv4Address(number >> 64 & _MAX_4), IPv4Address(~number & _MAX_4)
    return (address,)


def _held(address: Address) -> Iterator[Address]:
    """Yield an address and every one that may be in it, by whatever prefix a translator may have been given."""
    yield address
    yield from _meant(address)
    if isinstance(address, IPv4Address):
        return
    number = int(address)
    if number in _NAT64_LOCAL:
        # RFC 6052 §2.2: behind 48, 56, 64 or 96 bits, and never over the bits 64 to 71.
        yield IPv4Address((number >> 64 & 0xFFFF) << 16 | number >> 40 & 0xFFFF)
        yield IPv4Address((number >> 64 & 0xFF) << 24 | number >> 32 & 0xFFFFFF)
        yield IPv4Address(number >> 24 & _MAX_4)
        yield IPv4Address(number & _MAX_4)
    elif number >> 32 & _MAX_4 in _ISATAP:
        yield IPv4Address(number & _MAX_4)


@final
@dataclass(frozen=True, slots=True)
class AllowList:
    """What may be reached although it is not public, or without https.

    Attributes:
        networks: Every address in them.
        hosts: Names, whatever addresses they have.
    """

    networks: tuple[_Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[str]) -> AllowList:
        """Read networks, addresses and names of hosts.

        Raises:
            ConfigurationError: An entry is none of these.
        """
        networks: list[_Network] = []
        hosts: list[str] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip().strip("[]")))
            except ValueError:
                if not entry.strip() or not set("/:@").isdisjoint(entry):
                    message = f"egress.allow has {entry!r}, which is neither a network nor a host"
                    raise ConfigurationError(message, remedy="write 10.1.0.0/16, or the name of a host") from None
                hosts.append(_name(entry))
        return cls(tuple(networks), frozenset(hosts))

    def has_host(self, host: str) -> bool:
        """Whether a name is in it."""
        return host in self.hosts

    def has_address(self, address: Address) -> bool:
        """Whether an address is in it."""
        return any(address in network for network in self.networks)


def _name(host: str) -> str:
    return host.strip().rstrip(".").lower()


@final
@dataclass(frozen=True, slots=True)
class Egress:
    """What one backend may connect to; asked with the very addresses that are to be connected to.

    Attributes:
        tenant: Whether the base URL was typed by a user of the application.
        secure: Whether the connection is encrypted.
        keyed: Whether a secret goes with the requests.
        allow: The operator's exceptions.
        field: The field of the credential form that the base URL stands in.
    """

    tenant: bool = False
    secure: bool = True
    keyed: bool = False
    allow: AllowList = AllowList()
    field: str | None = None

    @property
    def needs_addresses(self) -> bool:
        """Whether a name alone does not say enough: where somebody else looks it up, it is looked up here before."""
        return self.tenant or (self.keyed and not self.secure)

    def allows_host(self, host: str) -> bool:
        """Whether a name is allowed whatever its addresses are, but those of metadata services."""
        return self.allow.has_host(_name(host))

    def judge_name(self, host: str) -> None:
        """Check a host by its name alone, or by its address where it is one.

        Raises:
            EgressRefused: No connection may be made there.
        """
        if _literal(host) is not None:
            self.judge(host, [host])
        elif _name(host) in _METADATA_NAMES:
            raise self._named(_metadata(host))

    def judge(self, host: str, addresses: Sequence[str]) -> None:
        """Check a host with all addresses that its name has, or with itself where it is an address.

        One address that is refused refuses all of them: whoever gives a name several addresses decides which one is
        connected to.

        Args:
            host: As it stands in the base URL.
            addresses: As the resolver gave them; none where a name cannot be looked up here, but by a proxy.

        Raises:
            EgressRefused: No connection may be made there.
        """
        refusal = self._refusal(host, [_literal(each) for each in addresses])
        if refusal is not None:
            raise self._named(refusal)

    def _named(self, error: EgressRefused) -> EgressRefused:
        error.field = self.field
        return error

    def _refusal(self, host: str, found: Sequence[Address | None]) -> EgressRefused | None:
        known = [each for each in found if each is not None]
        if _name(host) in _METADATA_NAMES or any(map(is_metadata, known)):
            return _metadata(host)
        if self.allows_host(host):
            return None
        if len(known) < len(found) or (not found and self.needs_addresses):
            return _unknown(host)
        if self.tenant:
            return self._refusal_for_tenant(host, known)
        if (
            self.keyed
            and not self.secure
            and any(is_public(each) and not self.allow.has_address(each) for each in known)
        ):
            return _unencrypted(host)
        return None

    def _refusal_for_tenant(self, host: str, addresses: Sequence[Address]) -> EgressRefused | None:
        for address in addresses:
            if self.allow.has_address(address):
                continue
            for each in _meant(address):
                if self.allow.has_address(each):
                    continue
                if not _is_public(each):
                    return _not_public(host)
                if not self.secure:
                    return _not_secure(host)
        return None


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _metadata(host: str) -> EgressRefused:
    remedy = "whoever gave the base URL must give another: nothing allows this"
    return _refused(host, ": it leads to a cloud's metadata service, which gives out machine keys", remedy)


def _not_public(host: str) -> EgressRefused:
    return _refused(host, ": its address is not public, and the base URL came with the call", _allowing(host))


def _not_secure(host: str) -> EgressRefused:
    remedy = f"give it as https://…, or {_allowing(host)}"
    return _refused(host, " without https: the base URL came with the call", remedy)


def _unencrypted(host: str) -> EgressRefused:
    remedy = f"give the base URL as https://…, or {_in_settings(host)}"
    return _refused(host, ": the key would go over the public internet unencrypted", remedy)


def _unknown(host: str) -> EgressRefused:
    return _refused(host, ": its address is not known here, so it cannot be judged", _in_settings(host))


def _refused(host: str, why: str, remedy: str) -> EgressRefused:
    return EgressRefused(f"no connection is made to {host!r}{why}", sent=False, remedy=remedy)


def _allowing(host: str) -> str:
    return (
        f"{_in_settings(host)}, or configure the base URL in the settings or with hub.bind, where it is the operator's"
    )


def _in_settings(host: str) -> str:
    return f'the operator may write allow = ["{host}"] below [egress] in modelhub.toml'
