"""A place in a YAML file: its value, the way to it, and how a defect there is reported.

Checks are written against places, so that whatever stands in a file, they find a value of the type they ask for, or
none. Whether a value has the right type at all is for `modelhub.manifest.lint.shape` to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import final

from modelhub.manifest.document import Document
from modelhub.manifest.lint.codes import Defect, defect

__all__ = ["Node", "YamlFile", "number_of", "text_of"]

_MOST_DIGITS = 40


@final
@dataclass(frozen=True, slots=True)
class YamlFile:
    """A YAML file that could be read.

    Attributes:
        path: Where it is.
        shown: What defects call it.
        document: What it says.
    """

    path: Path
    shown: str
    document: Document = field(repr=False)

    @property
    def root(self) -> Node:
        """The place of the whole document."""
        return Node(self, (), self.document.value)


@final
@dataclass(frozen=True, slots=True)
class Node:
    """A place in a YAML file.

    Attributes:
        file: The file.
        path: The keys and numbers that lead there.
        value: What stands there.
    """

    file: YamlFile
    path: tuple[str | int, ...] = ()
    value: object = None

    @property
    def line(self) -> int:
        """Where it begins, counted from 1."""
        return self.file.document.line(self.path)

    @property
    def key(self) -> str:
        """The last key on the way there."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")

    @property
    def text(self) -> str:
        """A scalar as it was written; empty for anything else."""
        return self.file.document.text(self.path) or "" if text_of(self.value) is not None else ""

    @property
    def number(self) -> Decimal | None:
        """The number, quoted or not; ``None`` where it is none."""
        return number_of(self.text) if text_of(self.value) is not None and not isinstance(self.value, bool) else None

    @property
    def whole(self) -> int | None:
        """The whole number, quoted or not; ``None`` where it is none."""
        number = self.number
        return int(number) if number is not None and number.is_finite() and number == int(number) else None

    @property
    def flag(self) -> bool | None:
        """The truth value, quoted or not; ``None`` where it is none."""
        if isinstance(self.value, bool):
            return self.value
        return {"true": True, "false": False}.get(self.text.lower())

    def get(self, key: str) -> Node:
        """Return the place of a key; its value is ``None`` where there is no such key."""
        value = self.value.get(key) if isinstance(self.value, Mapping) else None
        return Node(self.file, (*self.path, key), value)

    def at(self, *keys: str) -> Node:
        """Return the place that keys lead to, one inside the other."""
        node = self
        for key in keys:
            node = node.get(key)
        return node

    def has(self, key: str) -> bool:
        """Return whether there is a key with a value."""
        return isinstance(self.value, Mapping) and self.value.get(key) is not None

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield the keys of a mapping with their places; nothing for anything else."""
        if isinstance(self.value, Mapping):
            for key, value in self.value.items():
                yield str(key), Node(self.file, (*self.path, key), value)

    def items(self) -> Iterator[Node]:
        """Yield the places of a list's items; nothing for anything else."""
        if isinstance(self.value, list):
            for number, value in enumerate(self.value):
                yield Node(self.file, (*self.path, number), value)

    def mappings(self) -> Iterator[Node]:
        """Yield the places of a list's items that are mappings."""
        yield from (item for item in self.items() if isinstance(item.value, Mapping))

    def texts(self) -> list[str]:
        """Return a list's items that are texts or numbers, as texts; the value itself where it is no list."""
        values: Iterable[object] = self.value if isinstance(self.value, list) else [self.value]
        return [text for text in map(text_of, values) if text is not None]

    def defect(self, code: str, message: str, remedy: str) -> Defect:
        """Make a defect of this place."""
        return defect(self.file.shown, self.line, code, message, remedy)


def text_of(value: object) -> str | None:
    """Return a scalar as Dify compares it: ``true`` for a truth value; ``None`` for what is no scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value) if isinstance(value, str | int | float) else None
    except ValueError:  # a number of more digits than Python writes out
        return None


def number_of(text: str) -> Decimal | None:
    """Return the number that a text is, infinities and NaN included; ``None`` for none, or one beyond reason."""
    number: Decimal | None
    try:
        number = Decimal(text.strip().replace("_", ""))
    except InvalidOperation:
        number = _of_base(text)
    if number is not None and number.is_snan():
        return None
    if number is not None and number.is_finite() and number and abs(number.adjusted()) > _MOST_DIGITS:
        return None
    return number


def _of_base(text: str) -> Decimal | None:
    """Return a number in YAML's other spellings: ``0x1F``, ``.5``, ``.inf``, ``-.inf``, ``.nan``."""
    plain = text.strip().lower().replace("_", "")
    special = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}.get(plain)
    if special is not None:
        return Decimal(special)
    try:
        return Decimal(int(plain, 0))
    except ValueError:
        return None
