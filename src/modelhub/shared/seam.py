"""What the runtime asks of shared state. Nothing here waits but `run`, `flush` and `aclose`: a call never does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelhub.rules.routing.rates import Bucket

__all__ = ["Disabled", "Hints", "SharedState"]


@dataclass(frozen=True, slots=True)
class Disabled:
    """A credential that a vendor refused.

    Attributes:
        until: When it may be tried again, by this process's clock.
        reason: The class of the error that said so.
    """

    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Hints:
    """What any of the processes found out, this one included. They are hints: nobody has to follow them.

    Attributes:
        ejected: Until when deployments are left alone, by their ids and this process's clock. What lies in the past
            counts no more.
        disabled: The credentials that were refused, by their fingerprints.
    """

    ejected: Mapping[str, float] = field(default_factory=dict)
    disabled: Mapping[str, Disabled] = field(default_factory=dict)


class SharedState(Protocol):
    """State that several processes share. All times are those of the clock that the state was made with."""

    def bucket(self, key: str, limit: float, period: float = 60.0) -> Bucket:
        """Return the bucket that all processes have in common under a key; the same one for the same key.

        Args:
            key: Tells it from others, in every process alike; without secrets.
            limit: What all of them together may take in a period.
            period: Seconds.
        """

    def ejected(self, deployment: str, until: float) -> None:
        """Tell the others that a deployment is left alone; with a time that is not in the future, that it is back."""

    def disabled(self, fingerprint: str, until: float, reason: str) -> None:
        """Tell the others that a vendor refused a credential; with a time that is not in the future, that it does not.

        Args:
            fingerprint: See `modelhub.shared.fingerprints`.
            until: When it may be tried again.
            reason: The class of the error.
        """

    def hints(self) -> Hints:
        """Return what the processes found out."""

    async def prepare(self) -> None:
        """Find out whether it can work here, without asking anybody.

        Raises:
            ConfigurationError: It cannot: something is not installed, or the event loop is another.
        """

    async def run(self) -> None:
        """Keep in step with the others, until cancelled or closed; never raises for what the others' place does.

        Raises:
            ConfigurationError: It cannot work here: something is not installed, or the event loop is another.
        """

    async def flush(self) -> None:
        """Tell and hear at once what `run` would with its next turn."""

    async def aclose(self) -> None:
        """Give back what is not used, leave, and close. Idempotent; never raises, and takes a second at most."""
