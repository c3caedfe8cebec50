"""What is known of the installed plugins, whether they work or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from modelhub.errors import CredentialsInvalid, EgressRefused, ModelHubError
from modelhub.types.problems import FieldProblem
from modelhub.types.schema import ProviderSchema

__all__ = ["ExtensionInfo", "PluginState", "ProviderInfo", "ValidationReport"]


class PluginState(StrEnum):
    """How far a plugin has come."""

    DISCOVERED = "discovered"
    READY = "ready"
    FAILED = "failed"
    DISABLED = "disabled"
    INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider as it stands.

    Attributes:
        id: Its id.
        state: ``discovered`` means that its code was not wanted yet.
        schema: Its manifest; ``None`` where that could not be read.
        distribution, version: What was installed, where known.
        reason: Why it cannot be used, in one line.
        remedy: Who must act and how.
        traceback: Where it failed, for the plugin's author.
        notices: What the manifest says that was not understood.
    """

    id: str
    state: PluginState
    schema: ProviderSchema | None = None
    distribution: str | None = None
    version: str | None = None
    reason: str | None = None
    remedy: str | None = None
    traceback: str | None = field(default=None, repr=False)
    notices: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether it can be called, as far as is known."""
        return self.state in {PluginState.DISCOVERED, PluginState.READY}


@dataclass(frozen=True, slots=True)
class ExtensionInfo:
    """A middleware or a sink as it stands.

    Attributes:
        id: The name of its entry point; of one given in code, what it is called.
        state: ``discovered`` means that its code was not imported yet.
        kind: What it is; ``None`` before its code was imported.
        distribution, version: What was installed; ``None`` of one given in code.
        reason: Why it cannot be used, in one line.
        remedy: Who must act and how.
        traceback: Where it failed, for its author.
        notices: What it says that was not understood.
        dropped: Of a sink: records that it was too slow for.
        failed: Of a sink: records for which it raised.
    """

    id: str
    state: PluginState
    kind: Literal["middleware", "sink"] | None = None
    distribution: str | None = None
    version: str | None = None
    reason: str | None = None
    remedy: str | None = None
    traceback: str | None = field(default=None, repr=False)
    notices: tuple[str, ...] = ()
    dropped: int = 0
    failed: int = 0

    @property
    def usable(self) -> bool:
        """Whether it hears of calls, as far as is known."""
        return self.state in {PluginState.DISCOVERED, PluginState.READY}


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What came of checking a credential.

    Attributes:
        provider: The provider's id.
        stages: What was checked and passed, in order.
        errors: What is wrong with which field; the key ``""`` is for what belongs to no field.
        error: The first thing that went wrong.
    """

    provider: str
    stages: tuple[str, ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    error: ModelHubError | None = None

    @property
    def ok(self) -> bool:
        """Whether everything passed."""
        return self.error is None

    @property
    def problems(self) -> tuple[FieldProblem, ...]:
        """What the form itself refused, with stable codes and in the reader's language."""
        return self.error.problems if isinstance(self.error, CredentialsInvalid) else ()

    def raise_for_errors(self) -> None:
        """Raise what went wrong, if anything did.

        Raises:
            CredentialsInvalid: A field is wrong.
            ModelHubError: The vendor could not be reached, or refused.
        """
        if self.error is not None:
            raise self.error

    @classmethod
    def of(cls, provider: str, stages: tuple[str, ...], error: ModelHubError | None) -> ValidationReport:
        """Build the report from what the check ended with."""
        if error is None:
            return cls(provider, stages)
        fields: Mapping[str, str] = {"": str(error)}
        if isinstance(error, CredentialsInvalid) and error.fields:
            fields = error.fields
        elif isinstance(error, EgressRefused) and error.field is not None:
            fields = {error.field: f"{error.message} ({error.remedy})"}
        return cls(provider, stages, fields, error)
