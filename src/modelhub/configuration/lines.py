"""Which line of a TOML text something stands in.

The library that reads TOML keeps no positions. But a statement (a table's head, or a key with its value) is TOML on its
own, and no beginning of it is: so a text is cut into statements by adding lines until they can be read. That is done
where there is something to complain of, and never otherwise; the work is bounded, and what lies behind the bound has no
line.
"""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelhub.configuration.problems import Keys

__all__ = ["lines_of"]

_MOST_WORK = 4 << 20
"""Characters that are given to the library at most, all attempts together."""

_DEEPEST_KEYS = 64
"""How many keys deep anything is looked for: what is deeper has the line of what is above it."""

_ENDS = ("]", "}", '"""', "'''")
"""What the last line of a statement of several lines has: only there is an attempt worth its while."""

_OPEN = ("", '"""', "'''")
_DEEPEST = 4
_CLOSERS = [
    text + "".join(signs)
    for text in _OPEN
    for depth in range(_DEEPEST + 1)
    for signs in itertools.product("]}", repeat=depth)
]
"""What may end a statement that breaks off: of several lines it can only be in lists, tables and long texts."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement of a TOML text.

    Attributes:
        line: Its first line, from 1.
        text: The statement, with all its lines.
        base: The table it stands in; of a head, the table that it opens.
        document: What the statement says on its own; nothing for a head.
    """

    line: int
    text: str
    base: Keys
    document: Mapping[str, object]


class _Work:
    """The library, with a bound on how much it is given."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _MOST_WORK

    @property
    def done(self) -> bool:
        """Whether nothing more is tried."""
        return self._left <= 0

    def parsed(self, text: str) -> Mapping[str, object] | None:
        """Return what a text says, or ``None`` where it is no TOML."""
        self._left -= len(text) + 1
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError):
            return None


def lines_of(text: str, wanted: Sequence[Keys]) -> dict[Keys, int]:
    """Find the lines of what stands in a TOML text.

    Args:
        text: A TOML text that can be read.
        wanted: The keys that lead to what is wanted.

    Returns:
        The line, from 1, of each; where there is no such key, that of what lies nearest above it. What is not found is
        left out.
    """
    work = _Work()
    first: dict[Keys, _Statement] = {}
    for statement in _statements(text, work):
        for keys in _paths(statement):
            first.setdefault(keys, statement)
    inner: dict[int, Mapping[Keys, int]] = {}
    found: dict[Keys, int] = {}
    for keys in wanted:
        near = next((keys[:depth] for depth in range(len(keys), 0, -1) if keys[:depth] in first), None)
        if near is None:
            continue
        statement = first[near]
        if statement.line not in inner:
            inner[statement.line] = _inner_lines(statement, work)
        found[keys] = inner[statement.line].get(near, statement.line)
    return found


def _statements(text: str, work: _Work) -> Iterator[_Statement]:
    """Yield the statements of a text, in order."""
    base: Keys = ()
    lists: dict[Keys, int] = {}
    held: list[str] = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not held and (not line.strip() or line.lstrip().startswith("#")):
            continue
        held.append(line)
        if len(held) > 1 and not any(end in line for end in _ENDS):
            continue
        if work.done:
            return
        whole = "\n".join(held)
        document = work.parsed(whole)
        if document is None:
            continue
        first, held = number - len(held) + 1, []
        if whole.lstrip().startswith("["):
            base = _opened(document, whole.lstrip().startswith("[["), lists)
            yield _Statement(first, whole, base, {})
        else:
            yield _Statement(first, whole, base, document)


def _opened(head: Mapping[str, object], in_list: bool, lists: dict[Keys, int]) -> Keys:  # noqa: FBT001  both heads
    """Return the keys of the table that a head opens, with the numbers of list items."""
    keys: Keys = ()
    value: object = head
    while isinstance(value, Mapping) and value:
        ((name, value),) = value.items()
        keys = (*keys, name)
        last = not isinstance(value, Mapping) or not value
        if last and in_list:
            lists[keys] = lists.get(keys, 0) + 1
        if keys in lists:
            keys = (*keys, lists[keys] - 1)
    return keys


def _paths(statement: _Statement) -> Iterator[Keys]:
    """Yield what a statement speaks of: the tables it stands in, and all that it says."""
    for depth in range(1, min(len(statement.base), _DEEPEST_KEYS) + 1):
        yield statement.base[:depth]
    yield from _below(statement.document, statement.base)


def _below(value: object, keys: Keys) -> Iterator[Keys]:
    if len(keys) > _DEEPEST_KEYS:
        return
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*keys, key)
        yield from _below(item, (*keys, key))


def _inner_lines(statement: _Statement, work: _Work) -> Mapping[Keys, int]:
    """Return the lines of all that a statement of several lines says; what is left out is in its first."""
    lines = statement.text.split("\n")
    found: dict[Keys, int] = {}
    for count in range(1, len(lines)):
        begun = "\n".join(lines[:count])
        document = next((ended for end in _CLOSERS if (ended := work.parsed(f"{begun}\n{end}")) is not None), None)
        if document is None or work.done:
            return {}  # it is deeper than is looked into, and its first line is what is sure
        for keys in _below(document, statement.base):
            found.setdefault(keys, statement.line + count - 1)
    for keys in _below(statement.document, statement.base):
        found.setdefault(keys, statement.line + len(lines) - 1)
    return found
