"""Labels: that their locales exist, that none is empty, and that the languages people expect are there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node
from modelhub.rules.names import nearest

__all__ = ["labels"]

_TAG = re.compile(r"[a-z]{2,3}(?:[_-][a-z]{4})?(?:[_-](?:[a-z]{2}|[0-9]{3}))?(?:[_-][a-z0-9]{5,8})*", re.IGNORECASE)
_EXPECTED: Mapping[str, str] = {"en": "en_US", "id": "id_ID"}
"""Languages that every label should have, each with the locale that manifests write it as."""
_NO_WORDS = ("icon_", "url")
_MOST_LINES = 8
_MEANT: Mapping[str, str] = {"jp": "ja", "cn": "zh", "kr": "ko", "in": "id", "gr": "el", "cz": "cs", "ua": "uk"}
"""Countries and old codes that are taken for languages."""


def labels(places: Iterable[Node]) -> Iterator[Defect]:
    """Yield what is wrong with the labels of a file.

    Args:
        places: Every place where a label stands.
    """
    missing: dict[str, list[Node]] = {language: [] for language in _EXPECTED}
    for node in places:
        yield from _empty(node)
        if not isinstance(node.value, Mapping):
            continue
        for locale, item in node.entries():
            yield from _locale(locale, item)
        texts = {re.split("[_-]", locale)[0].lower() for locale, item in node.entries() if item.text.strip()}
        if texts and not node.key.startswith(_NO_WORDS):
            for language, nodes in missing.items():
                if language not in texts:
                    nodes.append(node)
    for language, nodes in missing.items():
        yield from _missing(language, nodes)


def _empty(node: Node) -> Iterator[Defect]:
    if isinstance(node.value, Mapping):
        places = [item for _, item in node.entries() if item.value is not None]
        if not places:
            yield node.defect("label-empty", f"{node.key} has no text", "write one, or leave the key out")
        for item in places:
            if isinstance(item.value, str) and not item.value.strip():
                yield item.defect("label-empty", f"{node.key}: {item.key} is empty", "write a text, or leave it out")
    elif isinstance(node.value, str) and not node.value.strip():
        yield node.defect("label-empty", f"{node.key} is empty", "write a text, or leave the key out")


def _missing(language: str, nodes: list[Node]) -> Iterator[Defect]:
    if not nodes:
        return
    locale, places = _EXPECTED[language], sorted({node.line for node in nodes})
    lines = ", ".join(map(str, places[:_MOST_LINES])) + (", …" if len(places) > _MOST_LINES else "")
    where = f" (lines {lines})" if len(places) > 1 else ""
    count = f"{len(nodes)} labels have" if len(nodes) > 1 else f"{nodes[0].key} has"
    first = min(nodes, key=lambda node: node.line)
    remedy = f"add {locale}: others see another language there"
    yield first.defect("locale-missing", f"{count} no text for {locale}{where}", remedy)


def _locale(locale: str, node: Node) -> Iterator[Defect]:
    if not _TAG.fullmatch(locale):
        yield node.defect("locale", f"{locale!r} is no locale", "write a tag of BCP 47, such as en_US or id-ID")
        return
    problem = _unknown_part(locale)
    if problem:
        remedy = _meant(locale) or "write a tag of BCP 47, such as en_US or id-ID"
        yield node.defect("locale", f"{locale!r} is no locale: there is no {problem}", remedy)


def _unknown_part(locale: str) -> str:
    """Return the part of a tag that does not exist; empty where all do, or nobody is there to ask."""
    languages, scripts, territories = _known()
    if not languages:
        return ""
    language, *rest = re.split("[_-]", locale)
    if language.lower() not in languages:
        return f"language {language!r}"
    for part in rest:
        if len(part) == 4 and part.isalpha() and part.title() not in scripts:  # noqa: PLR2004  by BCP 47
            return f"script {part!r}"
        if len(part) in {2, 3} and part.upper() not in territories:
            return f"territory {part!r}"
    return ""


def _meant(locale: str) -> str:
    language, *rest = re.split("[_-]", locale)
    if language.lower() in _MEANT:
        return f"did you mean {'_'.join([_MEANT[language.lower()], *rest])!r}?"
    near = nearest(locale, ("en_US", "en_GB", "id_ID", "zh_Hans", "zh_Hant", "ja_JP", "ko_KR", "pt_BR"), most=1)
    return f"did you mean {near[0]!r}?" if near else ""


@cache
def _known() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the languages, scripts and territories that there are; none where nobody is installed to ask."""
    try:
        from babel import Locale  # noqa: PLC0415  an extra's
    except ImportError:
        return frozenset(), frozenset(), frozenset()
    english = Locale("en")
    languages = frozenset(str(name).partition("_")[0] for name in english.languages)
    return languages, frozenset(map(str, english.scripts)), frozenset(map(str, english.territories))
