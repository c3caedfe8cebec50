"""The tables of the settings and their keys: the one place that says what ``modelhub.toml`` may hold.

What a table cannot say by its types alone (names that must exist, circles) is in `modelhub.configuration.validation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

from modelhub.configuration.credentials import CredentialSource
from modelhub.configuration.limits import BudgetTable
from modelhub.rules.parameters import Policy
from modelhub.types.json import JSON
from modelhub.types.parameters import Vendor

__all__ = [
    "BudgetTable",
    "DeploymentTable",
    "EgressTable",
    "ModelOverlay",
    "Pick",
    "PlainTables",
    "PluginSettings",
    "PluginTable",
    "PolicyTable",
    "PricesTable",
    "RouteTable",
    "RoutingTable",
    "SettingsFile",
    "SharingTable",
    "StoreTable",
    "TimeoutTable",
]

Pick: TypeAlias = Literal["adaptive", "weighted", "round_robin", "priority", "sticky", "cheapest"]
"""How one deployment of a group is chosen.

``adaptive`` goes by how fast and how busy each is, ``weighted`` by chance, ``round_robin`` in turn, ``priority`` in the
order of the group, ``sticky`` by what the conversation began with, and ``cheapest`` by price.
"""

_ABOVE_ZERO: Mapping[str, Any] = {"exclusiveMinimum": 0}
_RATE: Mapping[str, Any] = {"exclusiveMinimum": 0, "finite": True}
_NONE_OR_MORE: Mapping[str, Any] = {"minimum": 0, "finite": True}
_ONE_OR_MORE: Mapping[str, Any] = {"minimum": 1}
_SHARE: Mapping[str, Any] = {"minimum": 0, "maximum": 1}
_PATH: Mapping[str, Any] = {"pattern": r"^[^\x00]*\S[^\x00]*$", "wanted": "the path of a file"}
_REFERENCE: Mapping[str, Any] = {
    "pattern": r"^(env|file|keyring):.",
    "wanted": "env:NAME, file:PATH or keyring:SERVICE/USERNAME: the key itself does not belong into settings",
}


_REDIS: Mapping[str, Any] = {
    "pattern": r"^((env|file|keyring):.|(redis|rediss|unix)://.)",
    "wanted": "redis://…, rediss://… or unix://…, or where that is: env:NAME, file:PATH or keyring:SERVICE/USERNAME",
}
_NAMESPACE: Mapping[str, Any] = {
    "pattern": r"^[A-Za-z0-9_.:-]+$",
    "wanted": "letters, digits and the signs _ . : -",
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
class RoutingTable:
    """How calls find a deployment that answers.

    Attributes:
        pick: How one deployment of a group is chosen, where its route does not say.
        retries: How often a call is tried again at most, after the first time; 0 for never.
        retry_budget: Retries that each successful call pays for, from 0 to 1; fallbacks and hedges come out of it too.
        retry_floor: Retries that are allowed whatever calls succeeded.
        eject_after: Faults in a row after which an endpoint is left out for a while.
        eject_seconds: How long it is left out the first time, in seconds; twice as long each time after.
        eject_longest: How long it is left out at most, in seconds.
        panic: Whether the one that failed longest ago is tried where all are left out.
        probe_seconds: Seconds between cheap checks of endpoints that are left out; 0 for no checks.
        probe_waiting: Seconds that a call waits for its first content before its endpoint is checked; 0 for never.
        hedge: Whether a call that waits unusually long for its first content is sent to a second deployment, which
            may cost twice.
        queue: Calls that may wait for a deployment that has as many as it takes; 0 where none may.
        concurrency: Calls that a deployment is given at once to begin with, where nothing else says.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    pick: Pick = "adaptive"
    retries: int = field(default=2, metadata=_NONE_OR_MORE)
    retry_budget: float = field(default=0.2, metadata=_SHARE)
    retry_floor: int = field(default=10, metadata=_NONE_OR_MORE)
    eject_after: int = field(default=3, metadata=_ONE_OR_MORE)
    eject_seconds: float = field(default=5.0, metadata=_RATE)
    eject_longest: float = field(default=300.0, metadata=_RATE)
    panic: bool = True
    probe_seconds: float = field(default=10.0, metadata=_NONE_OR_MORE)
    probe_waiting: float = field(default=5.0, metadata=_NONE_OR_MORE)
    hedge: bool = False
    queue: int = field(default=1000, metadata=_NONE_OR_MORE)
    concurrency: int = field(default=16, metadata=_ONE_OR_MORE)


@dataclass(frozen=True, slots=True)
class EgressTable:
    """Where URLs may lead that the users of an application typed.

    Attributes:
        allow: Networks such as ``10.1.0.0/16``, and hosts, that may be reached although they are not public.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    allow: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class SharingTable:
    """What processes that use the same credentials tell each other: rates, faults and what was spent.

    Attributes:
        redis: The URL of a Redis server, or where that is: ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/USERNAME``.
            Without it, each process keeps to itself. It may hold a password, and is never shown.
        namespace: What the keys there begin with; processes share what has the same.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    redis: str | None = field(default=None, repr=False, metadata=_REDIS)
    namespace: str = field(default="modelhub", metadata=_NAMESPACE)


@dataclass(frozen=True, slots=True)
class DeploymentTable:
    """A model with what it is called with, under a name.

    Attributes:
        target: ``provider/model``, or a provider alone for its default model.
        provider: The provider's id, in place of ``target``.
        model: The model, beside ``provider``.
        credential: The id of one of the provider's named credentials; without it, all of them share its calls.
        weight: How much it counts beside the others of its group.
        parameters: Neutral parameters that a call may override.
        vendor: Provider-specific parameters by provider id, that a call may override.
        timeout: Seconds for a whole call of this name, where the call does not say.
        rpm: Requests a minute at most.
        tpm: Tokens a minute at most, of questions and answers together.
        concurrency: Calls at once at most.
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
    rpm: float | None = field(default=None, metadata=_RATE)
    tpm: float | None = field(default=None, metadata=_RATE)
    concurrency: int | None = field(default=None, metadata=_ONE_OR_MORE)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Deployments in groups, to be tried group by group, under a name.

    Attributes:
        groups: Each a list of deployments, routes, ``provider/model`` with or without ``#credential``, or
            providers for their default models. The next group is asked where one fails.
        targets: In place of ``groups``: each is a group of its own, and stands in ``groups`` too once it was read.
        pick: How one deployment of a group is chosen; without it, as ``[routing]`` says.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    groups: Sequence[Sequence[str]] = ()
    targets: Sequence[str] = ()
    pick: Pick | None = None


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
class PlainTables:
    """The tables that have their keys from a class each, and no names of the application's own."""

    plugins: PluginTable = field(default_factory=PluginTable)
    policy: PolicyTable = field(default_factory=PolicyTable)
    timeouts: TimeoutTable = field(default_factory=TimeoutTable)
    prices: PricesTable = field(default_factory=PricesTable)
    store: StoreTable = field(default_factory=StoreTable)
    routing: RoutingTable = field(default_factory=RoutingTable)
    egress: EgressTable = field(default_factory=EgressTable)
    sharing: SharingTable = field(default_factory=SharingTable)


@dataclass(frozen=True, slots=True)
class SettingsFile(PlainTables):
    """The settings of an application that uses modelhub.

    Attributes:
        plugins: Which plugins may be used.
        policy: What is done about what a model does not take.
        timeouts: Limits of time in seconds.
        prices: Where prices come from.
        store: The encrypted store of credentials.
        routing: How calls find a deployment that answers.
        egress: Where URLs may lead that users typed.
        sharing: What processes tell each other.
        credentials: Credentials by provider id: a form's values, or a list of them, of ``{id, values, weight}`` with
            limits, or of base URLs.
        models: What goes over models, by ``provider/model``.
        providers: Providers of your own with ``extends``, and what goes over installed ones, by provider id.
        deployments: Models with what they are called with, by name.
        routes: Deployments in groups, by name.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    credentials: Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any] | str]] = field(
        default_factory=dict, repr=False
    )
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    providers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentTable] = field(default_factory=dict)
    routes: Mapping[str, RouteTable] = field(default_factory=dict)
