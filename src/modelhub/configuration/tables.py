"""The tables of the settings and their keys: the one place that says what ``modelhub.toml`` may hold.

What a table cannot say by its types alone (names that must exist, circles) is in `modelhub.configuration.validation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from modelhub.configuration.credentials import CredentialSource
from modelhub.rules.parameters import Policy
from modelhub.types.json import JSON
from modelhub.types.parameters import Vendor

__all__ = [
    "DeploymentTable",
    "ModelOverlay",
    "PluginSettings",
    "PluginTable",
    "PolicyTable",
    "PricesTable",
    "RouteTable",
    "SettingsFile",
    "StoreTable",
    "TimeoutTable",
]

_ABOVE_ZERO: Mapping[str, Any] = {"exclusiveMinimum": 0}
_PATH: Mapping[str, Any] = {"pattern": r"^[^\x00]*\S[^\x00]*$", "wanted": "the path of a file"}
_REFERENCE: Mapping[str, Any] = {
    "pattern": r"^(env|file|keyring):.",
    "wanted": "env:NAME, file:PATH or keyring:SERVICE/USERNAME: the key itself does not belong into settings",
}


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """Which plugins may be used, and what the application changes in their manifests.

    Attributes:
        allow: Distributions that may; ``None`` for all.
        deny: Distributions or provider ids that may not.
        prefer: For an id that two distributions claim: the one that has it.
        rows: Providers made by configuration alone, each with ``extends``, by id.
        load_seconds: How long importing a plugin may take.
        overlays: What goes over the manifests of installed providers, key by key, by id.
    """

    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    load_seconds: float = 30.0
    overlays: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PluginTable:
    """Which plugins may be used.

    Attributes:
        allow: The distributions that may be used; without it, all.
        deny: Distributions or provider ids that may not.
        prefer: For an id that two distributions claim, the one that has it.
        load_seconds: How long importing a plugin may take, in seconds.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    allow: Sequence[str] | None = None
    deny: Sequence[str] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
    load_seconds: float = field(default=30.0, metadata=_ABOVE_ZERO)


@dataclass(frozen=True, slots=True)
class PolicyTable:
    """What is done about what a model does not take.

    Attributes:
        parameters: What becomes of a parameter that a model does not take, or not as it is given.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    parameters: Policy = "strict"


@dataclass(frozen=True, slots=True)
class TimeoutTable:
    """Limits of time in seconds; what is left out is the provider's own or the default.

    Attributes:
        connect: Making a connection.
        first_token: Until the first content.
        idle: Each wait after it.
        total: The whole call, where it does not say ``timeout`` itself.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    connect: float | None = field(default=None, metadata=_ABOVE_ZERO)
    first_token: float | None = field(default=None, metadata=_ABOVE_ZERO)
    idle: float | None = field(default=None, metadata=_ABOVE_ZERO)
    total: float | None = field(default=None, metadata=_ABOVE_ZERO)


@dataclass(frozen=True, slots=True)
class PricesTable:
    """Where prices come from that a provider's own manifest does not say.

    Attributes:
        source: ``manifest`` for manifests alone, ``genai-prices`` for that package besides; without it, the package
            where it is installed.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    source: Literal["manifest", "genai-prices"] | None = None


@dataclass(frozen=True, slots=True)
class StoreTable:
    """The encrypted store of credentials.

    Attributes:
        path: Its file; without it, the one in the user's configuration folder. A relative one is beside the settings.
        key: Where its key is: ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USERNAME``; without it, the key file
            beside the store.
        enabled: Whether credentials are looked up in it.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = field(default=None, metadata=_PATH)
    key: str | None = field(default=None, metadata=_REFERENCE)
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class DeploymentTable:
    """A model with what it is called with, under a name.

    Attributes:
        target: ``provider/model``, or a provider alone for its default model.
        provider: The provider's id, in place of ``target``.
        model: The model, beside ``provider``.
        credential: The id of one of the provider's named credentials; without it, all of them in order.
        weight: How much it counts beside the others of its group.
        parameters: Neutral parameters that a call may override.
        vendor: Provider-specific parameters by provider id, that a call may override.
        timeout: Seconds for a whole call of this name, where the call does not say.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    target: str = ""
    provider: str = ""
    model: str = ""
    credential: str | None = None
    weight: float = field(default=1.0, metadata=_ABOVE_ZERO)
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    vendor: Vendor = field(default_factory=dict)
    timeout: float | None = field(default=None, metadata=_ABOVE_ZERO)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Deployments in groups, to be tried group by group, under a name.

    Attributes:
        groups: Each a list of deployments, routes, or ``provider/model`` with or without ``#credential``. The
            next group is asked where one fails.
        targets: In place of ``groups``: each is a group of its own, and stands in ``groups`` too once it was read.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    groups: Sequence[Sequence[str]] = ()
    targets: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ModelOverlay:
    """What the application says of a model, over what its provider says.

    Attributes:
        provider: The provider's id.
        model: The model, as the provider knows it.
        fields: Fields of the model's schema that stand over the provider's; parameter rules by name.
        credentials: For this model alone, in the order to try them, over the provider's; empty for the provider's.
        remove: Whether the model is hidden.
    """

    provider: str
    model: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    credentials: Sequence[CredentialSource] = ()
    remove: bool = False

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The settings of an application that uses modelhub.

    Attributes:
        plugins: Which plugins may be used.
        policy: What is done about what a model does not take.
        timeouts: Limits of time in seconds.
        prices: Where prices come from.
        store: The encrypted store of credentials.
        credentials: Credentials by provider id: a form's values, or a list of ``{id, values, weight}``.
        models: What goes over models, by ``provider/model``.
        providers: Providers of your own with ``extends``, and what goes over installed ones, by provider id.
        deployments: Models with what they are called with, by name.
        routes: Deployments in groups, by name.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    plugins: PluginTable = field(default_factory=PluginTable)
    policy: PolicyTable = field(default_factory=PolicyTable)
    timeouts: TimeoutTable = field(default_factory=TimeoutTable)
    prices: PricesTable = field(default_factory=PricesTable)
    store: StoreTable = field(default_factory=StoreTable)
    credentials: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]]] = field(default_factory=dict, repr=False)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentTable] = field(default_factory=dict)
    routes: Mapping[str, RouteTable] = field(default_factory=dict)
