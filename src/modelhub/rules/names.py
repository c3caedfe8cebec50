"""Names that somebody may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

__all__ = ["did_you_mean", "looks_like_a_secret", "nearest"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,39}")
_KEY_PREFIX = re.compile(r"(sk|pk|rk)[-_]|hf_|gh[a-z]_|xox|AIza|AKIA|eyJ")
_LONG = 12
_UNBROKEN = 20
_MUCH = 0.2
"""A name that is this much less like than the nearest was hardly meant."""


def nearest(name: str, names: Iterable[str], *, most: int = 3, least: float = 0.5) -> list[str]:
    """Return the names most like ``name``, the likest first; those much less like it than the first are left out.

    Args:
        name: The name.
        names: Those that exist.
        most: How many to return at most.
        least: How like they must be, from 0 to 1.
    """
    by_folded = {candidate.casefold(): candidate for candidate in names}
    folded = name.casefold()
    near = get_close_matches(folded, by_folded, n=most, cutoff=least)
    floor = _likeness(near[0], folded) - _MUCH if near else 0.0
    return [by_folded[match] for match in near if _likeness(match, folded) >= floor]


def _likeness(candidate: str, name: str) -> float:
    return SequenceMatcher(None, candidate, name).ratio()


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


def looks_like_a_secret(name: str) -> bool:
    """Return whether what stands in a name's place may be a key that was pasted there, and must not be repeated.

    It is one if it is no name at all, begins as vendors' keys do, or is long and mixed.
    """
    if not _NAME.fullmatch(name) or _KEY_PREFIX.match(name):
        return True
    digits = sum(character.isdigit() for character in name)
    mixed = digits and (name.lower() != name or digits > 3)  # noqa: PLR2004  a year, or a version, is in many names
    return bool(len(name) >= _LONG and mixed) or max(map(len, re.split(r"[_.-]", name))) > _UNBROKEN
