"""Labels in several languages, as manifests hold them: a mapping from locale to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

__all__ = ["Labels", "label_for"]

Labels: TypeAlias = Mapping[str, str]


def label_for(labels: Labels, locale: str = "en_US") -> str | None:
    """Return the text for a locale: the locale itself, its language, English, then any; ``None`` where there is none.

    Args:
        labels: Texts by locale; ``en_US`` and ``en-US`` are the same.
        locale: The locale wanted.
    """
    texts = {name.replace("-", "_").lower(): text for name, text in labels.items()}
    wanted = locale.replace("-", "_").lower()
    language = wanted.partition("_")[0]
    for name in (
        wanted,
        language,
        *(other for other in texts if other.partition("_")[0] == language),
        "en_us",
        "en",
    ):
        if name in texts:
            return texts[name]
    return next(iter(texts.values()), None)
