"""What the types and limits of keys cannot say: how the keys of a table stand to each other, and what lists hold."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from modelhub.configuration.problems import Complaint
from modelhub.configuration.tables import EgressTable, RoutingTable

__all__ = ["together"]

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.IGNORECASE)
_ALLOW = "write a network such as 10.1.0.0/16, or the name of a host"


def together(table: object) -> Iterator[Complaint]:
    """Yield what is wrong with a table each of whose keys is right, with the keys below the table."""
    if isinstance(table, RoutingTable):
        yield from _routing(table)
    elif isinstance(table, EgressTable):
        yield from _egress(table)


def _routing(table: RoutingTable) -> Iterator[Complaint]:
    if table.eject_longest < table.eject_seconds:
        at = "eject_longest" if table.eject_longest != RoutingTable().eject_longest else "eject_seconds"
        yield Complaint((at,), "eject_longest is below eject_seconds", "no ejection may be longer than the longest")


def _egress(table: EgressTable) -> Iterator[Complaint]:
    for number, entry in enumerate(table.allow):
        what = _not_allowable(entry)
        if what is not None:
            yield Complaint(("allow", number), what, _ALLOW)


def _not_allowable(entry: str) -> str | None:
    """Return why an entry is neither a network nor a host."""
    if "://" in entry or "@" in entry:
        return "it is a URL"
    slash, entry = "/" in entry, entry.strip("[]")
    if not slash and _HOST.fullmatch(entry) and not entry.rstrip(".").rpartition(".")[2].isdecimal():
        return None
    try:
        ipaddress.ip_network(entry)
    except ValueError:
        pass
    else:
        return None
    try:
        ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return f"it is no {'network' if slash else 'host'}"
    return "its address has bits beyond the length of its prefix"
