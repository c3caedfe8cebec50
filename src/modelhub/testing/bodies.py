"""Bodies that are larger than they should be, made as they are sent. Owns no fault."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import final, overload

__all__ = ["Repeated", "gzip_bomb"]

_BLOCK = 1024 * 1024


@final
class Repeated(Sequence[bytes]):
    """One part many times over, between two others, in the memory of one.

    Args:
        part: What is repeated.
        times: How often.
        before: The first part.
        after: The last part.
    """

    __slots__ = ("_after", "_before", "_part", "_times")

    def __init__(self, part: bytes, times: int, *, before: bytes = b"", after: bytes = b"") -> None:
        self._part = part
        self._times = times
        self._before = before
        self._after = after

    def __repr__(self) -> str:
        return f"<Repeated {self._times} × {len(self._part)} bytes>"

    def __len__(self) -> int:
        return self._times + 2

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        """Return a part, or some."""
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        place = range(len(self))[index]
        return self._before if place == 0 else self._after if place == len(self) - 1 else self._part

    def __iter__(self) -> Iterator[bytes]:
        yield self._before
        for _ in range(self._times):
            yield self._part
        yield self._after


def gzip_bomb(size: int) -> Repeated:
    """Return a gzip file of ``size`` spaces, in whole MiB, with the right check sum; it is a thousandth as long.

    Only one MiB is ever compressed: blocks that end with a full flush are repeatable.
    """
    times = max(1, size // _BLOCK)
    spaces = b" " * _BLOCK
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(spaces) + packer.flush(zlib.Z_FULL_FLUSH)
    check = _check_sum(spaces, times).to_bytes(4, "little")
    length = (times * _BLOCK % 2**32).to_bytes(4, "little")
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    return Repeated(block, times, before=head, after=packer.flush() + check + length)


def _check_sum(block: bytes, times: int) -> int:
    """Return the CRC-32 of a block many times over: what a block does to it is linear in its bits."""
    none = zlib.crc32(block, 0)
    effects = [zlib.crc32(block, 1 << bit) ^ none for bit in range(32)]
    total = 0
    for _ in range(times):
        before, total = total, none
        for bit, effect in enumerate(effects):
            if before >> bit & 1:
                total ^= effect
    return total
