"""JSON, in one place: exact values in, exact bytes out, and errors that say what to do.

Owns parsing and writing. Does not know where a document begins or ends in a stream (``ndjson``, ``sse``), nor
what it means.

The engine is pydantic-core, which pydantic brings along: on a chunk of 250 bytes it parses twice as fast as
the standard library and writes five times as fast, and it bounds depth and digits by itself. It is imported
at the first call, not with this module.
"""

from __future__ import annotations

import math
import re
from codecs import getincrementaldecoder
from functools import cache
from typing import TYPE_CHECKING, Any

from modelhub.errors import MalformedResponse
from modelhub.wire.excerpt import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelhub.types.json import JSON

__all__ = ["UnencodableValue", "dumps", "is_cut_off", "loads", "loads_partial"]

_BOM = b"\xef\xbb\xbf"
_EXCERPT = 200
_SURROGATE = re.compile("[\ud800-\udfff]")


class UnencodableValue(ValueError):
    """The value given cannot be written as JSON: whoever made it must change it.

    Attributes:
        path: Where in the value, such as ``messages[0].content``; empty for the value itself or where
            unknown.
        reason: What is wrong there.
    """

    def __init__(self, reason: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


def loads(data: bytes | str) -> JSON:
    """Parse one JSON document.

    White space around it and a byte order mark before it are allowed; of duplicate keys the last wins;
    integers are exact up to 4300 digits; a number too large for a float is infinite, as in the standard
    library.

    Raises:
        MalformedResponse: Not JSON, not UTF-8, the word ``NaN`` or ``Infinity``, half a surrogate pair, or
            nested more than 200 deep.
    """
    try:
        return _from_json()(data, allow_inf_nan=False)
    except (ValueError, TypeError) as error:
        if isinstance(data, bytes) and data.startswith(_BOM):
            return loads(data[len(_BOM) :])
        # The engine's message names the fault and its place, never a piece of the document.
        message = f"the answer is not valid JSON: {error}"
        raise MalformedResponse(message, excerpt=excerpt(data, limit=_EXCERPT)) from error


def loads_partial(data: bytes | str) -> JSON:
    """Parse what is there of a JSON document that may have been cut off, for example of a long error.

    Raises:
        MalformedResponse: Not the beginning of a JSON document.
    """
    try:
        return _from_json()(data, allow_inf_nan=False, allow_partial="trailing-strings")
    except (ValueError, TypeError) as error:
        message = f"the answer does not begin as JSON: {error}"
        raise MalformedResponse(message, excerpt=excerpt(data, limit=_EXCERPT)) from error


def is_cut_off(data: bytes | str) -> bool:
    """Whether this, which is no JSON document, is the beginning of one."""
    try:
        text = data if isinstance(data, str) else getincrementaldecoder("utf-8")().decode(data)
        loads_partial(text)
    except (UnicodeDecodeError, MalformedResponse):
        return False
    try:
        loads(text)
    except MalformedResponse as error:
        return "trailing characters" not in error.message  # two documents are no beginning of one
    return True


def dumps(value: object) -> bytes:
    """Write ``value`` as compact UTF-8.

    What is not JSON's own (dates, enums, dataclasses, pydantic models) is written as pydantic does.

    Raises:
        UnencodableValue: NaN or an infinity, half a surrogate pair, a type without a JSON form, a cycle, or
            nested more than 250 deep.
    """
    try:
        data = _to_json()(value)
    except (ValueError, RecursionError) as error:
        raise _why(value) or UnencodableValue(f"not a JSON value: {error}") from error
    # The engine writes NaN as a bare word. Inside a string it is so rare that looking twice costs nothing.
    if b"NaN" in data or b"Infinity" in data:
        try:
            _from_json()(data, allow_inf_nan=False)
        except ValueError as error:
            raise _why(value) or UnencodableValue(f"not a JSON value: {error}") from error
    return data


def _why(value: object) -> UnencodableValue | None:
    """Find the first value that JSON cannot hold."""
    for path, item in _walk(value):
        if isinstance(item, float) and not math.isfinite(item):
            return UnencodableValue(f"JSON has no {item}", path=path)
        if isinstance(item, str) and (found := _SURROGATE.search(item)):
            reason = f"half a surrogate pair (U+{ord(found[0]):04X}) at character {found.start()} is no text"
            return UnencodableValue(reason, path=path)
    return None


def _walk(value: object) -> Iterator[tuple[str, object]]:
    """Yield what ``value`` holds with its path, each container once; a key has the path of its dict."""
    seen: set[int] = set()
    stack: list[tuple[str, object]] = [("", value)]
    while stack:
        path, item = stack.pop()
        if not isinstance(item, (dict, list, tuple)):
            yield path, item
        elif id(item) not in seen:
            seen.add(id(item))
            stack.extend(reversed(list(_parts(path, item))))


def _parts(path: str, item: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, object]]:
    if isinstance(item, dict):
        for key, held in item.items():
            yield path, key
            yield f"{path}.{key}".lstrip("."), held
    else:
        for position, held in enumerate(item):
            yield f"{path}[{position}]", held


@cache
def _from_json() -> Callable[..., JSON]:
    from pydantic_core import from_json  # noqa: PLC0415  with the first document, not before

    return from_json


@cache
def _to_json() -> Callable[..., bytes]:
    from pydantic_core import to_json  # noqa: PLC0415  with the first document, not before

    return to_json
