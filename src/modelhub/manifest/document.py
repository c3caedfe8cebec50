"""Reads one YAML file into plain values that remember where they stand and how they were written.

The parser's events are built into values here, and not by the YAML library, for three reasons: each value keeps its
line and its text (``1.10`` is a number to YAML and may be a version to its author), nesting and aliases are bounded
while they are read (the library's own composer overflows the stack), and no tag makes anything but a plain value.
What a document means is for `modelhub.manifest.shapes` to say.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, final

from modelhub.errors import PluginError
from modelhub.manifest.contract import AUTHOR_MENDS

__all__ = [
    "MOST_BYTES",
    "Document",
    "DocumentError",
    "KeyPath",
    "Remark",
    "parse_document",
    "read_document",
    "shortened",
]

MOST_BYTES = 1024 * 1024
"""Bytes of the longest file that is read."""

_MOST_VALUES = 100_000
"""Values that a document may come to once its aliases are written out."""

_DEEPEST = 50
"""How deep values may be nested. Manifests need eight levels."""

_LONGEST_LINE = 300
"""Characters of a message; what it quotes may be a megabyte."""

KeyPath: TypeAlias = Sequence[str | int]
"""Where in a document: the keys of mappings and the numbers in lists, from the outside in."""

_PREFIX = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(
    ("!", *(_PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge")))
)
_NULL = _PREFIX + "null"
_READERS: Mapping[str, str] = {_PREFIX + name: f"construct_yaml_{name}" for name in ("bool", "int", "float")}
_MERGE = "<<"


class DocumentError(PluginError):
    """A file cannot be read, is no YAML, or is too much of it.

    Attributes:
        line: Where, counted from 1; ``None`` where it is no one line's fault.
    """

    line: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is odd in a document and was read all the same.

    Attributes:
        line: Where, counted from 1.
        code: ``duplicate-key`` or ``several-documents``.
        path: The key that stands twice; empty for the document as a whole.
        message: What is odd, in one sentence.
    """

    line: int
    code: str
    path: tuple[str | int, ...]
    message: str


@dataclass(slots=True)
class _Node:
    """A value with its place.

    Attributes:
        size: How many values it comes to, those inside of it and of its aliases included.
        depth: How many levels are inside of it, 0 for a scalar.
        text: A scalar as it was written, without its quotes.
        children: The nodes inside, by key or in order.
        key_lines: The lines of a mapping's keys.
    """

    value: Any
    line: int
    size: int = 1
    depth: int = 0
    text: str | None = None
    children: dict[str, _Node] | list[_Node] | None = None
    key_lines: Mapping[str, int] | None = None


@final
class Document:
    """A YAML file, read.

    Attributes:
        name: What messages call it: its path from the package's folder.
        value: What it says: mappings with texts as keys, lists, texts, numbers, booleans and ``None``. Dates are texts.
        remarks: What is odd in it.
    """

    __slots__ = ("_root", "name", "remarks", "value")

    def __init__(self, name: str, root: _Node, remarks: tuple[Remark, ...] = ()) -> None:
        self._root = root
        self.name: str = name
        self.value: Any = root.value
        self.remarks: tuple[Remark, ...] = remarks

    def line(self, path: KeyPath = ()) -> int:
        """Return the line, counted from 1, of the key or list item at a path, or of the nearest value around it."""
        node, line = self._root, self._root.line
        for step in path:
            inside = _inside(node, step)
            if inside is None:
                break
            line = node.key_lines[step] if node.key_lines and isinstance(step, str) else inside.line
            node = inside
        return line

    def text(self, path: KeyPath) -> str | None:
        """Return the scalar at a path as it was written, without its quotes; ``None`` where there is none."""
        node: _Node | None = self._root
        for step in path:
            node = _inside(node, step) if node is not None else None
        return node.text if node is not None else None

    def place(self, path: KeyPath = ()) -> str:
        """Return where a path leads, as messages begin: ``models/llm/x.yaml:12``."""
        return f"{self.name}:{self.line(path)}"

    def __repr__(self) -> str:
        return f"<Document {self.name}: {self._root.size} values>"


def _inside(node: _Node, step: str | int) -> _Node | None:
    if isinstance(node.children, dict):
        return node.children.get(step) if isinstance(step, str) else None
    if isinstance(node.children, list) and isinstance(step, int) and 0 <= step < len(node.children):
        return node.children[step]
    return None


def read_document(path: Path, name: str) -> Document:
    """Read a YAML file. Blocks: call it in a thread.

    Args:
        path: Where it is.
        name: What messages call it.

    Raises:
        FileNotFoundError: There is none.
        DocumentError: It cannot be read, is too big, or is no YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        remedy = "mend its permissions, or reinstall it"
        raise DocumentError(f"{name} cannot be read: {error.strerror}", remedy=remedy) from error
    return parse_document(data, name)


def parse_document(data: bytes, name: str) -> Document:
    """Read YAML.

    Args:
        data: UTF-8, with or without a byte order mark.
        name: What messages call it.

    Raises:
        DocumentError: It is too big, is no YAML, has a tag, or is nested or repeated beyond reason.
    """
    if len(data) > MOST_BYTES:
        raise DocumentError(f"{name} is longer than {MOST_BYTES // 1024} KiB", remedy="split it into smaller files")
    import yaml  # noqa: PLC0415  wanted in threads only, when a manifest is

    try:
        builder = _Builder(yaml, data, name)
        root = builder.document()
    except yaml.YAMLError as error:
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
        raise _refusal(name, _line_of(error, data), f"it is no YAML: {problem}") from error
    except (ValueError, OverflowError) as error:  # of escapes of no character, which the library lets through
        raise _refusal(name, None, f"it is no YAML: {error}") from error
    return Document(name, root, tuple(builder.remarks))


def _line_of(error: Exception, data: bytes) -> int | None:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    position = getattr(error, "position", None)  # of a byte that is no text
    return data.count(b"\n", 0, position) + 1 if isinstance(position, int) else None


def shortened(text: str) -> str:
    """Return a text in one line of bearable length, without what terminals take for commands."""
    line = "".join(character if character.isprintable() else "?" for character in " ".join(text.split()))
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 1]}…"


def _refusal(name: str, line: int | None, problem: str) -> DocumentError:
    place = name if line is None else f"{name}:{line}"
    error = DocumentError(f"{place}: {shortened(problem)}", remedy=AUTHOR_MENDS)
    error.line = line
    return error


@final
class _Builder:
    """Builds the first document of a stream of events.

    Args:
        yaml: The library.
        data: The stream.
        name: What messages call the document.
    """

    def __init__(self, yaml: Any, data: bytes, name: str) -> None:
        self._yaml = yaml
        # Its safe loader; only the parser and the meaning of plain scalars are used of it.
        self._loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(data)
        self._next = self._loader.get_event
        self._name = name
        self._anchors: dict[str, _Node | None] = {}
        self._values = 0
        self._path: list[str | int] = []
        self._resolved: dict[str, Any] = {}
        self.remarks: list[Remark] = []

    def document(self) -> _Node:
        """Return the first document; a stream that has none says ``None``."""
        self._next()
        if isinstance(self._next(), self._yaml.StreamEndEvent):
            return _Node(None, 1)
        root = self._node(self._next())
        self._next()
        more = self._next()
        if isinstance(more, self._yaml.DocumentStartEvent):
            message = "a second document begins here; only the first is read"
            self.remarks.append(Remark(_line(more), "several-documents", (), message))
        return root

    def _node(self, event: Any) -> _Node:
        kind = type(event)
        if kind is self._yaml.ScalarEvent:
            node = self._scalar(event)
        elif kind is self._yaml.AliasEvent:
            return self._aliased(event)
        else:
            self._check_depth(1, event)
            if event.anchor is not None:
                self._anchors[event.anchor] = None
            node = self._mapping(event) if kind is self._yaml.MappingStartEvent else self._sequence(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _refusal(self, event: Any, problem: str) -> DocumentError:
        return _refusal(self._name, _line(event), problem)

    def _count(self, size: int, event: Any) -> None:
        self._values += size
        if self._values > _MOST_VALUES:
            raise self._refusal(event, f"it comes to more than {_MOST_VALUES} values")

    def _check_depth(self, inside: int, event: Any) -> None:
        if len(self._path) + inside > _DEEPEST:
            raise self._refusal(event, f"values are nested more than {_DEEPEST} deep")

    def _aliased(self, event: Any) -> _Node:
        if event.anchor not in self._anchors:
            raise self._refusal(event, f"there is no anchor {event.anchor!r} before this alias")
        node = self._anchors[event.anchor]
        if node is None:
            raise self._refusal(event, f"the alias {event.anchor!r} stands inside of what it repeats")
        self._count(node.size, event)
        self._check_depth(node.depth, event)
        return node

    def _scalar(self, event: Any) -> _Node:
        text = self._text(event)
        if event.tag is not None:
            if event.tag not in _PLAIN_TAGS:
                raise self._tagged(event)
            value = self._meaning(event.tag, text)
        elif not event.implicit[0]:
            value = text
        elif text in self._resolved:
            value = self._resolved[text]
        else:
            tag = self._loader.resolve(self._yaml.ScalarNode, text, (True, False))
            value = self._resolved[text] = self._meaning(tag, text)
        return _Node(value, _line(event), text=text)

    def _meaning(self, tag: str, text: str) -> Any:
        """Return what a scalar means. A text that does not keep what its tag promises stays a text."""
        if tag == _NULL:
            return None
        read = _READERS.get(tag)
        if read is None:
            return text
        try:
            return getattr(self._loader, read)(self._yaml.ScalarNode(tag, text))
        except (ValueError, LookupError, OverflowError):  # such as a number of five thousand digits
            return text

    def _tagged(self, event: Any) -> DocumentError:
        return self._refusal(event, f"the tag {event.tag!r} is not allowed: values are plain")

    def _sequence(self, event: Any) -> _Node:
        if event.tag not in {None, "!", _PREFIX + "seq"}:
            raise self._tagged(event)
        self._count(1, event)
        children: list[_Node] = []
        path, end = self._path, self._yaml.SequenceEndEvent
        while type(item := self._next()) is not end:
            path.append(len(children))
            children.append(self._node(item))
            path.pop()
        return _Node([child.value for child in children], _line(event), *_extent(children), children=children)

    def _mapping(self, event: Any) -> _Node:
        if event.tag not in {None, "!", _PREFIX + "map"}:
            raise self._tagged(event)
        self._count(1, event)
        entries: dict[str, _Node] = {}
        lines: dict[str, int] = {}
        merged: list[_Node] = []
        path, end = self._path, self._yaml.MappingEndEvent
        while type(key := self._next()) is not end:
            name = self._key(key)
            path.append(name)
            child = self._node(self._next())
            if name == _MERGE and key.implicit[0]:
                merged.append(child)
            else:
                if name in entries:
                    self._twice(name, lines[name], key)
                entries[name], lines[name] = child, _line(key)
            path.pop()
        for source in merged:
            self._merge(entries, lines, source, event)
        value = {name: child.value for name, child in entries.items()}
        return _Node(value, _line(event), *_extent(entries.values()), children=entries, key_lines=lines)

    def _key(self, event: Any) -> str:
        """Return a key as it was written: ``no`` is a language and ``1.10`` a version before they are values."""
        if type(event) is not self._yaml.ScalarEvent:
            raise self._refusal(event, "a key must be a text")
        return self._text(event)

    def _text(self, event: Any) -> str:
        self._count(1, event)
        text: str = event.value
        if not text.isascii():
            text.encode()  # half of a character cannot be
        return text

    def _twice(self, name: str, before: int, event: Any) -> None:
        message = f"the key {shortened(repr(name))} stands here a second time; what line {before} says is lost"
        self.remarks.append(Remark(_line(event), "duplicate-key", tuple(self._path), message))

    def _merge(self, entries: dict[str, _Node], lines: dict[str, int], given: _Node, event: Any) -> None:
        """Add what ``<<`` brings in; what stands in the mapping itself, or came before, goes before it."""
        for source in given.children if isinstance(given.children, list) else [given]:
            if not isinstance(source.children, dict) or source.key_lines is None:
                raise self._refusal(event, "<< takes a mapping or a list of mappings")
            for name, child in source.children.items():
                if name not in entries:
                    entries[name], lines[name] = child, source.key_lines[name]


def _extent(children: Collection[_Node]) -> tuple[int, int]:
    """Return the size and the depth of what has these inside."""
    return 1 + sum([child.size for child in children]), 1 + max([child.depth for child in children], default=0)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
