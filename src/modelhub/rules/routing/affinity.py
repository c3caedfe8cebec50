"""Which deployment has seen the beginning of a prompt before, and may have it in its cache still."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import final

__all__ = ["PrefixIndex", "blocks"]

_BLOCK = 64
"""Characters in a block: about the 16 tokens by which engines keep their caches."""

_MOST_BLOCKS = 256
_REMEMBERED = 32_768
"""Blocks remembered of each deployment; the oldest is forgotten."""


def blocks(texts: Iterable[str]) -> list[bytes]:
    """Return a prompt's beginning as digests, each of all text up to the end of its block.

    Equal beginnings have equal digests; only whole blocks count, 256 at most.

    Args:
        texts: The prompt's texts in order.
    """
    text = "\n".join(texts)
    found: list[bytes] = []
    digest = blake2b(digest_size=8)
    for at in range(0, min(len(text) // _BLOCK, _MOST_BLOCKS) * _BLOCK, _BLOCK):
        digest.update(text[at : at + _BLOCK].encode("utf-8", "surrogatepass"))
        found.append(digest.digest())
    return found


@final
class PrefixIndex:
    """The beginnings of prompts that one deployment has seen."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def depth(self, prompt: Sequence[bytes]) -> int:
        """Return how many of the prompt's blocks it has seen, from the first on."""
        seen = self._seen
        for number, block in enumerate(prompt):
            if block not in seen:
                return number
        return len(prompt)

    def add(self, prompt: Sequence[bytes]) -> None:
        """It sees a prompt."""
        seen = self._seen
        for block in reversed(prompt):  # the first block last: it is forgotten last, being the one that counts most
            seen[block] = None
            seen.move_to_end(block)
        while len(seen) > _REMEMBERED:
            seen.popitem(last=False)

    def __len__(self) -> int:
        return len(self._seen)

    def __repr__(self) -> str:
        return f"<PrefixIndex: {len(self._seen)} blocks>"
