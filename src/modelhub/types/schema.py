"""What providers and models say of themselves: the values behind ``provider.yaml`` and model YAML.

The field names are those of Dify's YAML, which is read unchanged; what modelhub adds is optional and marked so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal, TypeAlias

from modelhub.types.i18n import Labels
from modelhub.types.json import JSON

__all__ = [
    "Condition",
    "CredentialSchema",
    "EndpointRule",
    "Feature",
    "FormField",
    "FormOption",
    "ModelCredentialSchema",
    "ModelSchema",
    "ModelType",
    "Operation",
    "ParameterRule",
    "ParameterType",
    "Pricing",
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

ParameterType: TypeAlias = Literal["float", "int", "string", "boolean", "text", "array", "object"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A form field is shown where another one has this value."""

    variable: str
    value: str


@dataclass(frozen=True, slots=True)
class FormOption:
    """A choice of a ``select`` or ``radio`` field."""

    value: str
    label: Labels | str = ""
    show_on: Sequence[Condition] = ()


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """(ours) How a provider's base URL is read.

    Attributes:
        scheme: The scheme where none is given.
        port: The port where neither scheme nor port is given.
        strip: Endings of the path that belong to the API itself and that people paste along, such as ``/api``.
    """

    scheme: Literal["http", "https"] = "https"
    port: int | None = None
    strip: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FormField:
    """A field of a credential form.

    Attributes:
        variable: The name that the value goes by.
        type: ``text-input``, ``secret-input``, ``select``, ``radio`` or ``switch``; ours besides: ``number``,
            ``url``, ``key-value``.
        required: Whether it must be filled in; a ``default`` satisfies it.
        role: (ours) ``endpoint`` (the base URL), ``secret`` (masked), ``headers`` (sent with every request, masked)
            or ``option``.
        endpoint: (ours) How the base URL is read, for the field whose role is ``endpoint``.
    """

    variable: str
    type: str = "text-input"
    label: Labels | str = ""
    required: bool = True
    default: JSON = None
    options: Sequence[FormOption] = ()
    placeholder: Labels | str | None = None
    help: Labels | str | None = None
    url: Labels | str | None = None
    max_length: int = 0
    show_on: Sequence[Condition] = ()
    role: Literal["endpoint", "secret", "option", "headers"] | None = None
    endpoint: EndpointRule | None = None

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.role in {"secret", "headers"} or self.type == "secret-input"


@dataclass(frozen=True, slots=True)
class CredentialSchema:
    """A provider's credential form."""

    credential_form_schemas: Sequence[FormField] = ()


@dataclass(frozen=True, slots=True)
class ModelCredentialSchema:
    """The credential form of a customizable model."""

    model: Mapping[str, JSON] = field(default_factory=dict)
    credential_form_schemas: Sequence[FormField] = ()


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """A parameter that a model takes.

    Attributes:
        name: The vendor's name for it.
        use_template: The neutral name, where it differs; also the template that fills in what is left out here.
        type, min, max, precision, options, default, required: What values it takes.
    """

    name: str
    use_template: str | None = None
    label: Labels | str = ""
    type: ParameterType | None = None
    help: Labels | str | None = None
    required: bool = False
    default: JSON = None
    min: float | None = None
    max: float | None = None
    precision: int | None = None
    options: Sequence[str] = ()

    @property
    def neutral(self) -> str:
        """The name that an application gives it by."""
        return self.use_template or self.name


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices: ``tokens × price × unit`` in ``currency``.

    Attributes:
        input, output: The price per unit.
        unit: A factor, such as ``0.000001`` for prices per million tokens.
    """

    input: Decimal
    output: Decimal | None = None
    unit: Decimal = Decimal("0.000001")
    currency: str = "USD"


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
        defaults: (ours) What all its models have, by model type.
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

    @property
    def form(self) -> Sequence[FormField]:
        """The fields of the provider's credential form."""
        return self.provider_credential_schema.credential_form_schemas if self.provider_credential_schema else ()
