"""Records of what the runtime did: attempts and warnings."""

from __future__ import annotations

from dataclasses import dataclass

from modelhub.types.json import JSON

__all__ = ["Attempt", "ParameterProblem", "Progress", "Warning"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at one deployment.

    Attributes:
        deployment: Provider, model and credential as one word, without secrets.
        error: The class name of what it failed with, or ``None``.
        seconds: How long it took.
    """

    deployment: str
    error: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Warning:
    """Something the caller should know, and that did not stop the call.

    Attributes:
        code: A stable word to branch on, such as ``parameter_unsupported``.
        message: One sentence.
        parameter: The parameter it is about, where it is about one.
        given: The value before the change, where a value was changed or left out.
        sent: The value after it; ``None`` where it was left out.
    """

    code: str
    message: str
    parameter: str | None = None
    given: JSON = None
    sent: JSON = None


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """One of the things that are wrong with a request.

    Attributes:
        parameter: The parameter or field at fault; empty where it is none.
        message: What is wrong with it.
        remedy: What to do about it, where the message does not say.
    """

    parameter: str
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long operation has come.

    Attributes:
        message: What is being done now.
        completed, total: In ``unit``, where known.
        unit: ``bytes``, ``layers``, …
        data: What the provider reports beyond that.
    """

    message: str
    completed: int | None = None
    total: int | None = None
    unit: str = "bytes"
    data: JSON = None

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1, where the total is known."""
        if self.completed is None or not self.total:
            return None
        return min(1.0, self.completed / self.total)
