"""The application's settings: ``modelhub.toml`` or a dict, and what the environment says over it.

Settings, later wins: default < file < environment. Credentials, later wins: form default < environment
(``MODELHUB_<PROVIDER>_<FIELD>``) < store < file < bound model < call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from modelhub.configuration.checks import together
from modelhub.configuration.credentials import CredentialSource, credential_sources
from modelhub.configuration.environment import (
    credentials_of_environment,
    environment,
    overrides,
    problem_of_overrides,
    variable_of,
)
from modelhub.configuration.problems import ConfigProblem, Keys, SettingsInvalid
from modelhub.configuration.reading import Document, check_config, document_of
from modelhub.configuration.routes import expanded
from modelhub.configuration.tables import (
    BudgetTable,
    DeploymentTable,
    EgressTable,
    ModelOverlay,
    Pick,
    PluginSettings,
    PluginTable,
    PolicyTable,
    PricesTable,
    RouteTable,
    RoutingTable,
    SettingsFile,
    SharingTable,
    StoreTable,
    TimeoutTable,
)
from modelhub.configuration.validation import Tables, validated
from modelhub.errors import ConfigurationError
from modelhub.rules.parameters import Policy

__all__ = [
    "BudgetTable",
    "ConfigProblem",
    "CredentialSource",
    "DeploymentTable",
    "EgressTable",
    "ModelOverlay",
    "PluginSettings",
    "PluginTable",
    "PolicyTable",
    "PricesTable",
    "RouteTable",
    "RoutingTable",
    "Settings",
    "SettingsFile",
    "SettingsInvalid",
    "SharingTable",
    "StoreTable",
    "TimeoutTable",
    "check_config",
    "credential_sources",
    "credentials_of_environment",
    "read_settings",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the runtime is set up with.

    Attributes:
        plugins: Which plugins may be used, and what goes over their manifests.
        policy: What becomes of parameters that a model does not take.
        timeouts: Limits of time over the providers' own.
        credentials: By provider id, in the order to try them.
        source: The file it was read from.
        models: What goes over models, by ``provider/model``.
        deployments: By name; what each calls is in its ``target``, ``provider`` and ``model`` alike.
        routes: By name; what each leads to is in its ``groups``, without circles. A word that is no deployment and no
            route there stands for a provider.
        prices: Where prices come from.
        store: The encrypted store of credentials.
        routing: How calls find a deployment that answers.
        egress: Where URLs may lead that users typed.
        sharing: What processes tell each other.
        document: What the settings were read from, for `place`.
        overridden: The variables that stand over the file, by table and key.
    """

    plugins: PluginSettings = field(default_factory=PluginSettings)
    policy: Policy = "strict"
    timeouts: TimeoutTable = field(default_factory=TimeoutTable)
    credentials: Mapping[str, Sequence[CredentialSource]] = field(default_factory=dict)
    source: Path | None = None
    models: Mapping[str, ModelOverlay] = field(default_factory=dict)
    deployments: Mapping[str, DeploymentTable] = field(default_factory=dict)
    routes: Mapping[str, RouteTable] = field(default_factory=dict)
    prices: PricesTable = field(default_factory=PricesTable)
    store: StoreTable = field(default_factory=StoreTable)
    routing: RoutingTable = field(default_factory=RoutingTable)
    egress: EgressTable = field(default_factory=EgressTable)
    sharing: SharingTable = field(default_factory=SharingTable)
    document: Document = field(default_factory=lambda: Document({}), repr=False, compare=False)
    overridden: Mapping[Keys, str] = field(default_factory=dict)

    def place(self, *keys: str | int) -> str:
        """Return where something is said, as ``modelhub.toml:12``: for errors that are found later than here.

        Args:
            keys: What leads there, such as ``"deployments", "fast"``.
        """
        return self.document.place(keys)

    def total(self, targets: Sequence[str]) -> float | None:
        """Return the seconds that a call may take which does not say it itself.

        Args:
            targets: What it names; a deployment that is named first brings its own limit.
        """
        named = self.deployments.get(targets[0]) if targets else None
        return self.timeouts.total if named is None or named.timeout is None else named.timeout

    def groups(self, route: str) -> tuple[tuple[str, ...], ...]:
        """Return what a route leads to, group by group: deployments, ``provider/model[#credential]``, and providers.

        A route alone in a group brings its own groups; one beside others brings its deployments into theirs.

        Args:
            route: Its name, one of ``routes``.
        """
        return tuple(group for _, group in expanded(self.routes, route))

    def picks(self, route: str) -> tuple[Pick, ...]:
        """Return how one deployment is chosen of each of a route's `groups`.

        What a route says itself counts for the groups it brings, then the one that leads to it, then ``[routing]``.

        Args:
            route: Its name, one of ``routes``.
        """
        return tuple(pick or self.routing.pick for pick, _ in expanded(self.routes, route))


def read_settings(
    config: Mapping[str, object] | Path | str | None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings. Blocks: call it in a thread.

    Args:
        config: A dict in the file's shape; a file; or ``None`` for the file that ``MODELHUB_CONFIG`` names, else
            ``modelhub.toml`` in the working directory, else none.
        environ: The environment; this process's where it is not given.

    Raises:
        ConfigurationError: The file cannot be read.
        SettingsInvalid: It says something that has no meaning; all of it is said, each with its place.
    """
    try:
        return _read(config, environment() if environ is None else environ)
    except ConfigurationError as error:
        failure = error.with_traceback(None)
    # Raised anew out here, so that no frame which holds what was read (and so secrets) is shown with it.
    config = environ = None
    raise failure


def _read(config: Mapping[str, object] | Path | str | None, variables: Mapping[str, str]) -> Settings:
    document = document_of(config, variables)
    tables, complaints = validated(document.value)
    over, problems = overrides(variables)
    if not complaints and not problems:
        problems = _problems_of_overrides(tables, over)
    if complaints or problems:
        raise SettingsInvalid([*document.problems(complaints), *problems])
    return _settings(tables, document, over)


def _problems_of_overrides(tables: Tables, over: Mapping[str, Mapping[str, object]]) -> list[ConfigProblem]:
    """Return what is wrong with tables once the environment stands over the file, which is right by itself."""
    return [
        problem_of_overrides(name, list(values), each)
        for name, values in over.items()
        for each in together(_overridden(getattr(tables, name), values))
    ]


def _settings(tables: Tables, document: Document, over: Mapping[str, Mapping[str, object]]) -> Settings:
    plugins = _overridden(tables.plugins, over.get("plugins"))
    return Settings(
        PluginSettings(
            allow=plugins.allow,
            deny=list(dict.fromkeys([*tables.plugins.deny, *plugins.deny])),  # nothing that the file denies is let in
            prefer=plugins.prefer,
            rows={id: row for id, row in tables.providers.items() if "extends" in row},
            load_seconds=plugins.load_seconds,
            overlays={id: row for id, row in tables.providers.items() if "extends" not in row},
        ),
        _overridden(tables.policy, over.get("policy")).parameters,
        _overridden(tables.timeouts, over.get("timeouts")),
        tables.credentials,
        document.source,
        models=tables.models,
        deployments=tables.deployments,
        routes=tables.routes,
        prices=_overridden(tables.prices, over.get("prices")),
        store=_overridden(tables.store, over.get("store")),
        routing=_overridden(tables.routing, over.get("routing")),
        egress=_overridden(tables.egress, over.get("egress")),
        sharing=_overridden(tables.sharing, over.get("sharing")),
        document=document,
        overridden={(table, key): variable_of(table, key) for table, values in over.items() for key in values},
    )


def _overridden(table: T, values: Mapping[str, object] | None) -> T:
    """Put what the environment says over a table; its values were read by the types of the table's keys."""
    return table if values is None else replace(table, **values)  # type: ignore[type-var]  # every table is a dataclass
