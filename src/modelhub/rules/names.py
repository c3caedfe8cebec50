"""Names that somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["did_you_mean", "nearest"]


def nearest(name: str, names: Iterable[str], *, most: int = 3) -> list[str]:
    """Return the names most like ``name``, the likest first."""
    by_folded = {candidate.casefold(): candidate for candidate in names}
    return [by_folded[match] for match in get_close_matches(name.casefold(), by_folded, n=most, cutoff=0.5)]


def did_you_mean(name: str, names: Iterable[str], *, what: str) -> str:
    """Return the remedy for an unknown name: the nearest names, or all of them where none is near.

    Args:
        name: The unknown name.
        names: Those that exist.
        what: What the names are names of, in the plural.
    """
    known = sorted(names)
    near = nearest(name, known)
    if near:
        return f"did you mean {' or '.join(repr(match) for match in near)}?"
    if not known:
        return f"there are no {what}"
    shown = ", ".join(known[:10])
    return f"{what}: {shown}{', …' if len(known) > 10 else ''}"  # noqa: PLR2004  as many as a line holds
