"""Whether the keys and values of a file are those of the schema classes, read from the classes' own annotations.

Dify's loose spellings are no defects: a quoted number is a number, and a number where a text is wanted is its text.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node, text_of
from modelhub.manifest.spellings import LIKE
from modelhub.rules.names import nearest

__all__ = ["keys_of", "labelled", "misshapen", "shown", "unknown_key"]

_LABELS = Mapping[str, str]
_AUTHOR = "see the table of keys in the contract"
_WORDS: Mapping[object, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    dt.date: "a date, such as 2026-12-31",
}


def _key_of(name: str) -> str:
    """Return the key of a field; the names of those that are words of Python's end with an underscore."""
    return name.rstrip("_")


@cache
def keys_of(cls: type) -> Mapping[str, Any]:
    """Return the keys of a schema class with the types of their values."""
    hints = get_type_hints(cls)
    return {_key_of(each.name): hints[each.name] for each in fields(cls)}


@cache
def _required(cls: type) -> frozenset[str]:
    bare = (each for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING)
    return frozenset(_key_of(each.name) for each in bare)


def misshapen(hint: Any, node: Node, *, apart: frozenset[str] = frozenset()) -> Iterator[Defect]:
    """Yield the keys that nobody reads, those that are missing, and the values of another type than they must have.

    Args:
        hint: What the value must be: a schema class, or any other annotation of one of their fields.
        node: The value.
        apart: Keys, at any depth, that another check knows more about.
    """
    if isinstance(hint, type) and is_dataclass(hint):
        yield from _object(hint, node, apart)
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        yield from _union([each for each in arguments if each is not type(None)], node, apart)
    elif origin is Sequence and isinstance(node.value, list):
        for item in node.items():
            yield from misshapen(arguments[0], item, apart=apart)
    elif origin is Mapping and isinstance(node.value, Mapping):
        for _, item in node.entries():
            if item.value is not None:
                yield from misshapen(arguments[1], item, apart=apart)
    elif not _fits(hint, node):
        yield _wrong(hint, node)


def _object(cls: type, node: Node, apart: frozenset[str]) -> Iterator[Defect]:
    if not isinstance(node.value, Mapping):
        yield _wrong(cls, node)
        return
    hints = keys_of(cls)
    for key, item in node.entries():
        if key not in hints and key not in apart:
            yield unknown_key(key, item, hints)
        elif key not in apart and item.value is not None:
            yield from misshapen(hints[key], _plain(item, hints[key]), apart=apart)
    for key in sorted(_required(cls) - apart):
        if not node.has(key):
            yield node.defect("missing-key", f"{_what(node)}{key!r} is missing", f"add {key!r}")


def _plain(node: Node, hint: Any) -> Node:
    """Return where the labels of a help are; some of Dify's plugins write ``{title: {…}, text: {…}}``."""
    if node.key == "help" and _LABELS in get_args(hint):
        return next((node.get(key) for key in ("text", "title") if isinstance(node.get(key).value, Mapping)), node)
    return node


def unknown_key(key: str, node: Node, hints: Iterable[str]) -> Defect:
    """Make the defect of a key that nobody reads."""
    hints = sorted(hints)
    near = nearest(key, hints, most=1, least=LIKE)
    remedy = f"did you mean {near[0]!r}?" if near else f"remove it; the keys here are {', '.join(hints)}"
    return node.defect("unknown-key", f"nobody reads the key {key!r}", remedy)


def _what(node: Node) -> str:
    key = node.key
    return f"{key}: " if key else ""


def _union(hints: Sequence[Any], node: Node, apart: frozenset[str]) -> Iterator[Defect]:
    """Yield what is wrong by the alternative that was meant: the one that the value's own shape shows."""
    for hint in hints:
        if _same_shape(hint, node.value):
            yield from misshapen(hint, node, apart=apart)
            return
    if not any(_fits(hint, node) for hint in hints):
        yield _wrong(Union[tuple(hints)], node)  # noqa: UP007  they are values here


def _same_shape(hint: Any, value: object) -> bool:
    if isinstance(hint, type) and is_dataclass(hint):
        return isinstance(value, Mapping)
    origin = get_origin(hint)
    return (origin is Mapping and isinstance(value, Mapping)) or (origin is Sequence and isinstance(value, list))


def _fits(hint: Any, node: Node) -> bool:
    if hint is object or hint is Any:
        return True
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return node.text in _choices(hint)
    match hint:
        case _ if hint is str:
            return text_of(node.value) is not None
        case _ if hint is bool:
            return node.flag is not None
        case _ if hint is int:
            return node.whole is not None
        case _ if hint in {float, Decimal}:
            return node.number is not None
        case _ if hint is dt.date:
            return _is_date(node.text)
        case _:
            return False


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return [str(choice.value) for choice in cast("type[Enum]", hint)]


def _is_date(text: str) -> bool:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _wrong(hint: Any, node: Node) -> Defect:
    key = node.key or "the file"
    if (get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum))) and node.text:
        choices = _choices(hint)
        near = nearest(node.text, choices, most=1)
        remedy = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(choices)}"
        return node.defect("unknown-value", f"{key}: {shown(node)} is not known", remedy)
    return node.defect("wrong-type", f"{key}: {shown(node)} is not {_word(hint)}", f"write {_word(hint)}; {_AUTHOR}")


def _word(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(_word(each) for each in arguments if each is not type(None)))
    if origin is Sequence:
        return "a list"
    if hint == _LABELS:
        return "texts by locale"
    if origin is Mapping or (isinstance(hint, type) and is_dataclass(hint)):
        return "a mapping"
    if origin is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return f"one of {', '.join(_choices(hint))}"
    return _WORDS.get(hint, "what is wanted here")


def shown(node: Node) -> str:
    """Return what stands at a place, as messages say it."""
    match node.value:
        case list():
            return "a list"
        case Mapping():
            return "a mapping"
        case None:
            return "nothing"
        case bool():
            return node.text or str(node.value).lower()
        case _:
            text = node.text
            return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004  as much as helps to find it


def labelled(hint: Any, node: Node) -> Iterator[Node]:
    """Yield every place below a value where the schema classes have a label: a text, or texts by locale."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        if _LABELS in arguments:
            yield node
            return
        hint = next((each for each in arguments if _same_shape(each, node.value)), None)
        yield from labelled(hint, node)
    elif isinstance(hint, type) and is_dataclass(hint):
        for key, item in node.entries():
            inner = keys_of(hint).get(key)
            yield from labelled(inner, _plain(item, inner))
    elif origin is Sequence:
        for item in node.items():
            yield from labelled(arguments[0], item)
    elif origin is Mapping:
        for _, item in node.entries():
            yield from labelled(arguments[1], item)
