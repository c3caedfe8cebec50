"""How a model's way into memory is told of and stopped: progress records, and the exception of a stopped wait.

Blocking functions of this plugin take a ``threading.Event`` named ``stop``; whoever sets it, from any thread,
has the function end soon by raising `Stopped`. Owns these two values only; the steps themselves are in
`model_files`, `download` and `engines`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, final

__all__ = ["LoadProgress", "Phase", "Report", "Stopped"]

Phase: TypeAlias = Literal["locating", "downloading", "loading"]


@final
@dataclass(frozen=True, slots=True)
class LoadProgress:
    """How far a model is on its way into memory.

    Attributes:
        phase: ``locating`` the file, ``downloading`` it, or ``loading`` it into memory.
        done: Bytes of this phase that are done, where known.
        total: Bytes of this phase, where known.
    """

    phase: Phase
    done: int | None = None
    total: int | None = None

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1, where both numbers are known."""
        if self.done is None or not self.total:
            return None
        return min(1.0, self.done / self.total)


Report: TypeAlias = Callable[[LoadProgress], object]
"""Called with each step, from the thread that does the work; it must not block."""


@final
class Stopped(Exception):
    """The work was asked to end and has ended, leaving nothing half-done; who asked wants no result."""
