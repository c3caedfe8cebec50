"""From a host name to a socket that is connected, on asyncio: every address, the first that answers.

Owns the race between a name's addresses (RFC 8305). The event loop's own race loses a socket where its caller is
cancelled just as a connection is made; here whoever opened a socket closes it, unless it is handed on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import anyio

__all__ = ["connected_socket", "fastest"]

Address: TypeAlias = tuple[Any, Any, int, str, Any]
"""Family, type, protocol, canonical name and target, as ``getaddrinfo`` gives them."""

_NEXT_ADDRESS_SECONDS = 0.25
"""RFC 8305 §5: how long one address may take before the next is tried beside it."""


async def connected_socket(host: str, port: int, local_address: str | None = None) -> socket.socket:
    """Return a socket that is connected, and is the caller's to close.

    Raises:
        OSError: The name has no address, or none of its addresses answers.
    """
    return await fastest(await _addresses(host, port), local_address)


async def _addresses(host: str, port: int) -> Sequence[Address]:
    try:
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # RFC 8305 §4: the families take turns, the one that the system prefers first.
    preferred = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    return [address for pair in zip_longest(preferred, others) for address in pair if address is not None]


async def fastest(addresses: Sequence[Address], local_address: str | None = None) -> socket.socket:
    """Return a socket connected to the first address that answers; see `connected_socket`."""
    if len(addresses) == 1:
        return await _connected(addresses[0], local_address)
    won: list[socket.socket] = []
    errors: list[OSError] = []

    async def attempt(address: Address, over: anyio.Event) -> None:
        try:
            sock = await _connected(address, local_address)
        except OSError as error:
            errors.append(error)
            over.set()
            return
        won.append(sock)
        group.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as group:
            for address in addresses:
                over = anyio.Event()
                group.start_soon(attempt, address, over)
                with anyio.move_on_after(_NEXT_ADDRESS_SECONDS):
                    await over.wait()
    except BaseException:
        for sock in won:
            sock.close()
        raise
    for late in won[1:]:
        late.close()
    if not won:
        raise errors[0]
    return won[0]


async def _connected(address: Address, local_address: str | None) -> socket.socket:
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
