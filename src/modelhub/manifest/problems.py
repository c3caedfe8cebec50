"""What is wrong in a manifest or a model file, what it costs, and where a reading of it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from modelhub.manifest.document import Document, KeyPath, shortened

__all__ = ["Problem", "ProblemCode", "Reading", "WrongValue", "dotted"]

_WORD = re.compile(r"[\w-]{1,60}")
"""A key that stands in a path as it is."""

ProblemCode: TypeAlias = Literal["unknown-key", "odd-value", "wrong-value", "missing"]
"""``unknown-key`` and ``odd-value`` cost nothing."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a document that was not understood.

    Attributes:
        path: Where it stands.
        message: What is wrong, without the place.
        cost: What is left out because of it; ``None`` for nothing.
    """

    path: tuple[str | int, ...]
    code: ProblemCode
    message: str
    cost: tuple[str | int, ...] | None = None

    def text(self, source: Document | str) -> str:
        """Say it in one line.

        Args:
            source: The document it is in, for its line; or what else messages call the source.
        """
        place = source.place(self.path) if isinstance(source, Document) else source
        path = self.path[:-1] if self.code in {"unknown-key", "missing"} else self.path
        where = dotted(path)
        cost = ""
        if self.cost is not None:
            cost = "; it is left out" if self.cost == path else f"; {dotted(self.cost) or 'all'} is left out"
        return f"{place}: {where}{': ' if where else ''}{shortened(self.message)}{cost}"


class WrongValue(Exception):
    """A value cannot be what it must be; never leaves this package."""

    def __init__(self, path: tuple[str | int, ...], message: str, code: ProblemCode = "wrong-value") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.code: ProblemCode = code


@final
class Reading:
    """One value being read: where in it the reading stands, and what was wrong so far.

    Args:
        document: The document it comes from, for its texts; ``None`` for a mapping of the application's.
    """

    def __init__(self, document: Document | None) -> None:
        self.path: list[str | int] = []
        self.problems: list[Problem] = []
        self.undivided = 0
        self._document = document

    def written(self, value: Any) -> str:
        """Return the scalar at the path as it was written."""
        text = self._document.text(self.path) if self._document is not None else None
        if text is not None:
            return text
        return str(value).lower() if isinstance(value, bool) else str(value)

    def wrong(self, message: str) -> WrongValue:
        """Return the error that the value at the path cannot be what it must be."""
        return WrongValue(tuple(self.path), message)

    def note(self, code: Literal["unknown-key", "odd-value"], message: str, *inside: str) -> None:
        """Add a problem that costs nothing."""
        self.problems.append(Problem((*self.path, *inside), code, message))

    @contextmanager
    def at(self, step: str | int) -> Iterator[None]:
        """Stand one step further in."""
        self.path.append(step)
        try:
            yield
        finally:
            self.path.pop()

    def cost(self, error: WrongValue) -> None:
        """Leave out what stands at the path, for what is wrong in it.

        Raises:
            WrongValue: The path is inside of something that is whole or nothing.
        """
        if self.undivided:
            raise error
        self.problems.append(Problem(error.path, error.code, error.message, cost=tuple(self.path)))


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: ``parameter_rules[0].max``."""
    return "".join(_step(step) for step in path).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _WORD.fullmatch(step) else f"[{shortened(repr(step))}]"
