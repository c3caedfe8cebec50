"""Regular expressions in JSON schemas, written so that the engine holds an answer to them.

Owns the translation of the keyword ``pattern``. The engine knows expressions that are anchored at both ends
and have no escapes for classes; for any other it prints a warning to the terminal and accepts every string
(llama.cpp's common/json-schema-to-grammar.cpp), which would be a schema that is not kept. What cannot be
translated is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from modelhub.errors import UnsupportedFeature

__all__ = ["with_engine_patterns"]

_DATA: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords whose values are data, in which nothing is a keyword."""
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Keywords whose values hold schemas by names, which are no keywords either."""
_CLASSES: Final[Mapping[str, str]] = {"d": "0-9", "w": "A-Za-z0-9_", "s": r" \t\r\n"}
_PIECE: Final = re.compile(r"\\(?P<escaped>.)|(?P<group>\(\?)(?!:)|(?P<open>\[\^?)|(?P<close>\])", re.DOTALL)
_LITERAL_ESCAPES: Final = frozenset("nrt")


def with_engine_patterns(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request, with every pattern in the schemas of its answer and its tools as the engine takes it.

    Raises:
        UnsupportedFeature: A pattern that the engine cannot keep to.
    """
    changed = dict(request)
    for keyword in ("response_format", "json_schema", "tools"):
        if keyword in changed:
            changed[keyword] = _schema(changed[keyword])
    return changed


def _schema(node: Any) -> Any:
    if isinstance(node, list | tuple):
        return [_schema(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {key: _keyword(key, value) for key, value in node.items()}


def _keyword(key: str, value: Any) -> Any:
    if key == "pattern" and isinstance(value, str):
        return _translated(value)
    if key in _DATA:
        return value
    if key in _NAMED and isinstance(value, Mapping):
        return {name: _schema(schema) for name, schema in value.items()}
    return _schema(value)


def _translated(pattern: str) -> str:
    inside = False

    def piece(match: re.Match[str]) -> str:
        nonlocal inside
        if match["open"] or match["close"]:
            inside = bool(match["open"]) or (inside and not match["close"])
            return match[0]
        if match["group"]:
            raise _unsupported(pattern, "a group that is more than a group")
        return _escape(pattern, match["escaped"], inside=inside)

    return _anchored(_PIECE.sub(piece, pattern))


def _escape(pattern: str, escaped: str, *, inside: bool) -> str:
    if escaped in _CLASSES:
        return _CLASSES[escaped] if inside else f"[{_CLASSES[escaped]}]"
    if not inside and escaped.lower() in _CLASSES:
        return f"[^{_CLASSES[escaped.lower()]}]"
    if escaped.isalnum() and escaped not in _LITERAL_ESCAPES:
        raise _unsupported(pattern, f"the escape \\{escaped}")
    return f"\\{escaped}"


def _anchored(pattern: str) -> str:
    """An unanchored pattern may match anywhere in the string; the engine matches the whole string."""
    begins = pattern.startswith("^")
    ends = re.search(r"(?<!\\)(?:\\\\)*\$$", pattern) is not None
    if begins and ends:
        return pattern
    core = pattern[begins : len(pattern) - ends]
    return f"^{'' if begins else '.*'}({core}){'' if ends else '.*'}$"


def _unsupported(pattern: str, what: str) -> UnsupportedFeature:
    return UnsupportedFeature(
        f"The engine cannot keep to the pattern {pattern!r}: it has {what}",
        parameter="response_format",
        remedy="write the pattern without it",
    )
