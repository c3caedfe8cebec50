"""What providers and models say of themselves: the values behind ``provider.yaml`` and model YAML.

The field names are those of Dify's YAML, which is read unchanged; what modelhub adds is optional and marked so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from modelhub.types.forms import CredentialSchema, FormField, ModelCredentialSchema
from modelhub.types.i18n import Labels
from modelhub.types.json import JSON
from modelhub.types.parameters import ParameterRule
from modelhub.types.pricing import Pricing

__all__ = [
    "Deprecation",
    "Feature",
    "ModelSchema",
    "ModelType",
    "Operation",
    "ProviderHelp",
    "ProviderSchema",
    "TypeDefaults",
]


class ModelType(StrEnum):
    """The six model types, by the names that manifests use."""

    LLM = "llm"
    TEXT_EMBEDDING = "text-embedding"
    RERANK = "rerank"
    SPEECH2TEXT = "speech2text"
    TTS = "tts"
    MODERATION = "moderation"


Feature: TypeAlias = str
"""What a model can do.

``tool-call``, ``multi-tool-call``, ``stream-tool-call``, ``agent-thought``, ``vision``, ``audio``,
``video``, ``document``, ``structured-output``, ``reasoning``, and what vendors add."""


@dataclass(frozen=True, slots=True)
class Deprecation:
    """(ours) When a model ends and what takes its place.

    Attributes:
        date: The day from which it is not served any more; ``None`` where nobody said.
        replacement: The model to use instead, as the same provider knows it, or as ``provider/model``.
        reason: Anything else that its users should know.
    """

    date: dt.date | None = None
    replacement: str | None = None
    reason: Labels | str | None = None


@dataclass(frozen=True, slots=True)
class ModelSchema:
    """What a model is and takes.

    Attributes:
        model: Its name as the provider knows it.
        model_type: Its type.
        features: What it can do; ``None`` where nobody knows, in which case nothing is refused for the lack of a
            feature.
        model_properties: ``mode``, ``context_size``, ``max_chunks``, … by Dify's keys.
        parameter_rules: The parameters it takes; ``None`` where nobody knows.
        fetch_from: ``predefined-model``, ``customizable-model``, or (ours) ``remote-model``.
        deprecated: Whether it should not be used any more.
        deprecation: (ours) Since when, and what to use instead; a model that has it is deprecated.
    """

    model: str
    model_type: ModelType = ModelType.LLM
    label: Labels | str = ""
    features: Sequence[Feature] | None = None
    model_properties: Mapping[str, JSON] = field(default_factory=dict)
    parameter_rules: Sequence[ParameterRule] | None = None
    pricing: Pricing | None = None
    fetch_from: str = "predefined-model"
    deprecated: bool = False
    deprecation: Deprecation | None = None

    @property
    def context_size(self) -> int | None:
        """Tokens that fit in, prompt and answer together; ``None`` where nobody knows."""
        value = self.model_properties.get("context_size")
        return value if isinstance(value, int) else None


@dataclass(frozen=True, slots=True)
class Operation:
    """Something a provider can do besides answering, such as pulling a model."""

    label: Labels | str = ""
    help: Labels | str | None = None
    arguments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TypeDefaults:
    """(ours) What all models of a type have that do not say otherwise."""

    features: Sequence[Feature] | None = None
    parameter_rules: Sequence[ParameterRule] | None = None
    model_properties: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderHelp:
    """Where to get a key."""

    title: Labels | str = ""
    url: Labels | str = ""


@dataclass(frozen=True, slots=True)
class ProviderSchema:
    """What a provider is: its manifest, ``provider.yaml``.

    Attributes:
        provider: Its id; equals the entry point's name.
        supported_model_types: What it serves.
        provider_credential_schema, model_credential_schema: Its forms.
        contract: (ours) The version of the plugin contract it was written for.
        family, providers: (ours) One plugin for many vendors: each row of ``providers`` is an id of its own.
        extends: (ours) The family a row belongs to.
        default_model: (ours) The model to use where none is named.
        operations: (ours) What it can do besides answering.
        timeouts: (ours) Limits in seconds by phase: ``connect``, ``first_token``, ``idle``.
        limits: (ours) How much one of its endpoints takes where nobody says otherwise: ``concurrency`` calls at once
            to begin with, ``rpm`` requests and ``tpm`` tokens a minute.
        probe: (ours) A path below the endpoint that a GET asks for to see whether it is alive, such as
            ``/api/version``: cheap, and never billed.
        defaults: (ours) What all its models have, by model type.
        prices_of: (ours) The id that public price lists know the provider by, where it is another than ``provider``;
            empty for one that costs nothing or has no public prices.
    """

    provider: str
    label: Labels | str = ""
    supported_model_types: Sequence[ModelType] = ()
    configurate_methods: Sequence[str] = ()
    description: Labels | str | None = None
    icon_small: Labels | str | None = None
    icon_large: Labels | str | None = None
    icon_small_dark: Labels | str | None = None
    icon_large_dark: Labels | str | None = None
    background: str | None = None
    help: ProviderHelp | None = None
    provider_credential_schema: CredentialSchema | None = None
    model_credential_schema: ModelCredentialSchema | None = None
    models: Mapping[str, JSON] = field(default_factory=dict)
    position: Mapping[str, Sequence[str]] | None = None
    provider_name: str | None = None
    extra: Mapping[str, JSON] = field(default_factory=dict)
    contract: int = 1
    family: bool = False
    providers: Sequence[Mapping[str, JSON]] = ()
    extends: str | None = None
    default_model: str | None = None
    operations: Mapping[str, Operation] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    timeouts: Mapping[str, float] = field(default_factory=dict)
    defaults: Mapping[str, TypeDefaults] = field(default_factory=dict)
    prices_of: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    probe: str | None = None

    @property
    def form(self) -> Sequence[FormField]:
        """The fields of the provider's credential form."""
        return self.provider_credential_schema.credential_form_schemas if self.provider_credential_schema else ()
