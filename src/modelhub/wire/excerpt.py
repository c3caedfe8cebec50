"""Pieces of an answer, fit for an error message or a log: short, one line, printable, without secrets.

Owns shortening, escaping, stripping HTML and masking. Does not know what an answer means.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["EXCERPT_LIMIT", "clean", "excerpt"]

EXCERPT_LIMIT = 2048
"""The longest excerpt that an error carries, in bytes of UTF-8."""

_LOOK_AT = 64 * 1024
_MASK = "***"
_SHORTEST_SECRET = 4
# What no message may hold even when nobody says which value is secret: a token after its scheme, a key in a
# URL.
_CREDENTIAL = re.compile(r"(?i)((?:bearer|basic)\s+|[?&](?:api[-_]?key|key|access_token|token)=)[\w.~+/=%-]{8,}")
_INVISIBLE_ELEMENTS = frozenset({"script", "style", "head"})
_HTML_START = re.compile(r"(?is)\s*(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body)\b")
_LAST_ASCII = 0x7F


def excerpt(
    body: bytes | str, content_type: str = "", *, secrets: Sequence[str] = (), limit: int = EXCERPT_LIMIT
) -> str:
    """Return the beginning of ``body`` as one printable line.

    Args:
        body: The whole body, or what came of it.
        content_type: The answer's media type; HTML is reduced to its text, also where only the body shows it.
        secrets: Values that must not appear: keys, tokens.
        limit: The longest result in bytes of UTF-8.
    """
    text = body[:_LOOK_AT].decode("utf-8", "replace") if isinstance(body, bytes) else body[:_LOOK_AT]
    if "html" in content_type.lower() or _HTML_START.match(text[:1024]):
        text = _text_of_html(text)
    return clean(text, secrets=secrets, limit=limit)


def clean(text: str, *, secrets: Sequence[str] = (), limit: int = EXCERPT_LIMIT) -> str:
    """Mask secrets, fold white space, escape what is not printable and cut to ``limit`` bytes of UTF-8.

    In this order: a secret that was cut in two would no longer be found.
    """
    shown = " ".join(_mask(text[:_LOOK_AT], secrets).split())
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else _escape(char) for char in shown)
    return _cut(shown, limit)


def _mask(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if len(secret) < _SHORTEST_SECRET:
            continue
        # The forms in which servers echo a value: as it is, in JSON that escapes its slashes, in a URL.
        for form in (secret, secret.replace("/", "\\/"), quote(secret, safe="")):
            text = text.replace(form, _MASK)
    return _CREDENTIAL.sub(lambda match: match[1] + _MASK, text)


def _escape(char: str) -> str:
    if ord(char) <= _LAST_ASCII:
        return f"\\x{ord(char):02x}"
    return char.encode("ascii", "backslashreplace").decode("ascii")


def _cut(text: str, limit: int) -> str:
    encoded = text.encode("utf-8")
    if len(encoded) <= limit:
        return text
    mark = "…"
    return encoded[: limit - len(mark.encode())].decode("utf-8", "ignore") + mark


def _text_of_html(text: str) -> str:
    """Drop tags and what is not shown. One pass: a pattern over hostile HTML can take quadratic time."""
    shown: list[str] = []
    hidden = ""
    title = ""
    pieces = text.split("<")
    shown.append(pieces[0])
    for piece in pieces[1:]:
        tag, _, rest = piece.partition(">")
        name = tag.strip("/").split(None, 1)[0].lower() if tag.strip("/").strip() else ""
        if name == "title" and not tag.startswith("/"):
            title = rest
        elif hidden:
            hidden = "" if tag.startswith("/") and name == hidden else hidden
        elif name in _INVISIBLE_ELEMENTS and not tag.startswith("/"):
            hidden = name
        if not hidden:
            shown.append(rest)
    visible = " ".join(" ".join(shown).split())
    return html.unescape(visible or title)
