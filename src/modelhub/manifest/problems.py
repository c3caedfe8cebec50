"""What is wrong in a manifest or a model file, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from modelhub.manifest.document import Document, KeyPath

__all__ = ["Problem", "ProblemCode", "WrongValue", "dotted"]

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
        return f"{place}: {where}{': ' if where else ''}{self.message}{cost}"


class WrongValue(Exception):
    """A value cannot be what it must be; never leaves this package."""

    def __init__(self, path: tuple[str | int, ...], message: str, code: ProblemCode = "wrong-value") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.code: ProblemCode = code


def dotted(path: KeyPath) -> str:
    """Return a path as people write it: ``parameter_rules[0].max``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
