"""Defaults, ranges and options, as fields of a form and parameters of a model have them alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import final

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node

__all__ = ["Range", "decimals", "duplicates"]


@final
@dataclass(frozen=True, slots=True)
class Range:
    """The least and the greatest value of something.

    Attributes:
        name: What it is of, as messages say it.
        least, most: The bounds; ``None`` where there is none.
    """

    name: str
    least: Decimal | None
    most: Decimal | None

    def upside_down(self, node: Node) -> Iterator[Defect]:
        """Yield whether the bounds, written at ``node``, leave no value between them."""
        if _finite(self.least) and _finite(self.most) and self.least > self.most:  # type: ignore[operator]  # as said
            message = f"{self.name}: min {self.least} is greater than max {self.most}"
            place = node.get("max") if node.has("max") else node.get("min")
            yield place.defect("min-above-max", message, "exchange them, or mend the wrong one")

    def excludes(self, node: Node) -> Iterator[Defect]:
        """Yield whether a default lies outside."""
        number = node.number
        if number is None or not number.is_finite():
            return
        if _finite(self.least) and number < self.least:  # type: ignore[operator]  # as said
            message = f"{self.name}: the default {node.text} is less than min {self.least}"
            yield node.defect("default-range", message, f"write {self.least} or more, or lower min")
        elif _finite(self.most) and number > self.most:  # type: ignore[operator]  # as said
            message = f"{self.name}: the default {node.text} is greater than max {self.most}"
            yield node.defect("default-range", message, f"write {self.most} or less, or raise max")


def _finite(number: Decimal | None) -> bool:
    return number is not None and number.is_finite()


def decimals(number: Decimal) -> int:
    """Return how many decimals a number has, zeros at its end left out."""
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def duplicates(places: Sequence[tuple[str, Node]]) -> Iterator[tuple[str, Node, Node]]:
    """Yield each place whose name an earlier one has: the name, the place, the earlier one."""
    first: dict[str, Node] = {}
    for name, node in places:
        if name in first:
            yield name, node, first[name]
        first.setdefault(name, node)
