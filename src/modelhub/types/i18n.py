"""Labels in several languages, as manifests hold them, and the choice of the one that a reader understands best.

The choice is the lookup of RFC 4647, section 3.4, with two things that readers expect of it: Chinese is found by its
script (``zh-TW`` is ``zh-Hant``), and another region's text of a language goes before another language. Owns no
translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

__all__ = ["Label", "Labels", "label_for", "label_found"]

Labels: TypeAlias = Mapping[str, str]

_RENAMED = {"in": "id", "iw": "he", "ji": "yi", "jw": "jv"}
"""Languages by the codes that they had until 1989, which some systems still give."""

_USUAL_SCRIPTS = MappingProxyType({"az": "latn", "pa": "guru", "sr": "cyrl", "uz": "latn", "zh": "hans"})
"""Languages that are written in two scripts, with the one that goes without saying."""

_TRADITIONAL = frozenset({"tw", "hk", "mo"})
"""The regions that write Chinese in the traditional script; the others write the simplified one."""

_SCRIPT = 4
"""The letters of a script's code (RFC 5646, section 2.2.3)."""

_Tag: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """A text and where it comes from.

    Attributes:
        text: What to show.
        locale: The locale that it was found under, as the manifest spells it; ``None`` for a text that is the same in
            every locale. Comparing it with the locale that was wanted tells a translation from a fallback.
    """

    text: str
    locale: str | None = None


def label_for(labels: Labels | str | None, locale: str | Sequence[str] = "en_US") -> str | None:
    """Return the text for a locale, or for the best of several; ``None`` where there is no text at all.

    Args:
        labels: Texts by locale, or one text for all of them.
        locale: The locale wanted, or several, best first; see `label_found`.
    """
    found = label_found(labels, locale)
    return None if found is None else found.text


def label_found(labels: Labels | str | None, locale: str | Sequence[str] = "en_US") -> Label | None:
    """Return the text for a locale together with the locale that it was found under.

    For each locale wanted: the locale itself, without its region, its language, then another region of that language;
    after the last one ``en-US``, any other English, and any text at all. Empty texts are none.

    Args:
        labels: Texts by locale, or one text for all of them.
        locale: The locale wanted, or several, best first: any BCP 47 tag, in any case. ``en_US`` is ``en-US``, and what
            POSIX puts behind it (``id_ID.UTF-8``) does not count.

    Returns:
        The label; ``None`` where there is no text at all.

    Example:
        >>> label_found({"en_US": "Server", "id_ID": "Peladen"}, ["ms", "id"])
        Label(text='Peladen', locale='id_ID')
    """
    if labels is None or isinstance(labels, str):
        return Label(labels) if labels and labels.strip() else None
    there = [name for name, text in labels.items() if text and text.strip()]
    tags = {name: _tag(name) for name in there}
    for wanted in (*([locale] if isinstance(locale, str) else locale), "en_US"):
        name = next(_matches(_tag(wanted), tags), None)
        if name is not None:
            return Label(labels[name], name)
    return Label(labels[there[0]], there[0]) if there else None


def _matches(wanted: _Tag, tags: Mapping[str, _Tag]) -> Iterator[str]:
    """Yield the names of the tags of the wanted one's language, the best first."""
    if not wanted:
        return
    script = _script(wanted)
    same = {name: tag for name, tag in tags.items() if tag and tag[0] == wanted[0]}
    alike = {name: tag for name, tag in same.items() if script == _script(tag) or "" in {script, _script(tag)}}
    for shorter in _shortened(wanted):
        yield from (name for name, tag in alike.items() if tag == shorter)
        yield from (name for name, tag in alike.items() if _without_script(tag) == _without_script(shorter))
    yield from alike
    yield from (name for name, tag in same.items() if len(tag) == 1)
    yield from same


def _shortened(tag: _Tag) -> Iterator[_Tag]:
    """Yield a tag and what is left of it when its last parts are taken away, one by one.

    A part of one letter goes together with what it begins (RFC 4647, section 3.4).
    """
    while tag:
        yield tag
        tag = tag[:-1]
        while tag and len(tag[-1]) == 1:
            tag = tag[:-1]


def _tag(name: str) -> _Tag:
    """Return the parts of a locale's name in lower case; none for one that names no language."""
    plain = name.partition(".")[0].partition("@")[0].replace("_", "-").strip().lower()
    parts = tuple(part for part in plain.split("-") if part)
    if not parts or not parts[0].isalpha() or parts[0] in {"c", "posix", "und"}:
        return ()
    return (_RENAMED.get(parts[0], parts[0]), *parts[1:])


def _script(tag: _Tag) -> str:
    """Return the script that a tag names, or that goes without saying; empty for a language that has one script."""
    if len(tag) > 1 and len(tag[1]) == _SCRIPT and tag[1].isalpha():
        return tag[1]
    if tag[0] == "zh" and _TRADITIONAL.intersection(tag[1:]):
        return "hant"
    return _USUAL_SCRIPTS.get(tag[0], "")


def _without_script(tag: _Tag) -> _Tag:
    return (tag[0], *tag[2:]) if len(tag) > 1 and len(tag[1]) == _SCRIPT and tag[1].isalpha() else tag
