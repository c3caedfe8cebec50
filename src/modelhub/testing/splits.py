"""Cutting bytes where no polite network would. Owns nothing else."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["pieces"]


def pieces(data: bytes, at: Iterable[int]) -> list[bytes]:
    """Cut ``data`` at the offsets ``at``, in any order; those outside of it cut nothing.

    Example:
        >>> pieces(b"abcdef", [1, 4])
        [b'a', b'bcd', b'ef']
    """
    offsets = sorted({offset for offset in at if 0 < offset < len(data)})
    return [data[start:end] for start, end in zip([0, *offsets], [*offsets, len(data)], strict=True)]
