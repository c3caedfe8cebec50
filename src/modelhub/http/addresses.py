"""From a host name to a connection: every address of the name, the first that answers.

Owns looking names up and the race between a name's addresses (RFC 8305). The event loops' own ways do both in one
step; here they are two, so that what a name was found to mean is what is judged, and what is judged is what is
connected to. asyncio's own race also loses a socket where its caller is cancelled just as a connection is made; here
whoever opened a socket closes it, unless it is handed on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from itertools import zip_longest
from typing import Any, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

__all__ = ["Address", "Resolver", "addresses_of", "connected_socket", "fastest", "looked_up", "only"]

C = TypeVar("C")

Address: TypeAlias = tuple[Any, Any, int, str, Any]
"""Family, type, protocol, canonical name and target, as ``getaddrinfo`` gives them."""
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[Address]]]
"""From a host and a port to its addresses, in the order to try them; raises `OSError` where there is none."""

_NEXT_ADDRESS_SECONDS = 0.25
"""RFC 8305 §5: how long one address may take before the next is tried beside it."""


async def looked_up(host: str, port: int) -> Sequence[Address]:
    """Return a host's addresses, as a `Resolver`.

    Raises:
        OSError: The name has no address.
    """
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    except socket.gaierror:
        pass
    loop = anyio.lowlevel.current_token().native_token
    found: Sequence[Address]
    if isinstance(loop, asyncio.AbstractEventLoop):
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    else:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # RFC 8305 §4: the families take turns, the one that the system prefers first.
    preferred = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    return [address for pair in zip_longest(preferred, others) for address in pair if address is not None]


def only(address: str) -> Resolver:
    """Return a resolver that knows one address, whatever it is asked for; it looks nothing up.

    Args:
        address: An address of IPv4 or IPv6, with a zone or without.
    """

    async def resolve(_host: str, port: int) -> Sequence[Address]:
        if ":" not in address:
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]
        zone = address.partition("%")[2]
        number = int(zone) if zone.isdigit() else socket.if_nametoindex(zone) if zone else 0
        return [(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, number))]

    return resolve


def addresses_of(found: Sequence[Address]) -> list[str]:
    """Return each address that a resolver gave, once, in an order that is not the resolver's.

    Raises:
        ValueError: It gave something else.
    """
    each = {str(address[4][0]) for address in found}
    return sorted(each, key=lambda text: (":" in text, ipaddress.ip_address(text).packed, text))


async def fastest(
    addresses: Sequence[Address],
    connect: Callable[[Address], Awaitable[C]],
    close: Callable[[C], Awaitable[None]],
) -> C:
    """Return what is connected to the first address that answers.

    Args:
        addresses: At least one.
        connect: Connects to one of them; raises `OSError` where it does not answer.
        close: Ends a connection that came too late.

    Raises:
        OSError: None of them answers; what the first one to fail said.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    won: list[C] = []
    errors: list[OSError] = []

    async def attempt(address: Address, over: anyio.Event) -> None:
        try:
            made = await connect(address)
        except OSError as error:
            errors.append(error)
            over.set()
            return
        won.append(made)
        group.cancel_scope.cancel()

    kept = 0
    try:
        async with anyio.create_task_group() as group:
            for address in addresses:
                over = anyio.Event()
                group.start_soon(attempt, address, over)
                with anyio.move_on_after(_NEXT_ADDRESS_SECONDS):
                    await over.wait()
        kept = 1
    finally:
        with anyio.CancelScope(shield=True):
            for late in won[kept:]:
                await close(late)
    if not won:
        raise errors[0]
    return won[0]


async def connected_socket(address: Address, local_address: str | None = None) -> socket.socket:
    """Return a socket that asyncio connected, and is the caller's to close.

    Raises:
        OSError: The address does not answer.
    """
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003  the standard library's own signature
        if local_address is not None:
            sock.bind((local_address, 0))
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock
