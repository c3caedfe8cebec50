"""What a call may try: from the names that an application gives to groups of deployments with their credentials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final
from weakref import WeakKeyDictionary

from modelhub.configuration.credentials import CredentialSource
from modelhub.configuration.limits import BudgetTable
from modelhub.configuration.settings import DeploymentTable, Settings
from modelhub.errors import ConfigurationError, ModelHubError, UnknownModel
from modelhub.rules.names import did_you_mean
from modelhub.rules.routing.course import Pick, Route
from modelhub.runtime.balancer import Balancer
from modelhub.runtime.credentials import Credentials, GivenCredentials, Usable
from modelhub.runtime.plugin import Plugin
from modelhub.runtime.plugins import PluginRegistry
from modelhub.types.credential import Credential
from modelhub.types.json import JSON
from modelhub.types.records import Attempt
from modelhub.types.schema import ModelType

__all__ = ["Deployment", "DeploymentLimits", "Deployments", "Found", "split_target"]

_NOTHING: Mapping[str, JSON] = {}
_REMEMBERED = 1024
"""Routes that are kept ready: their names come with calls, and there may be any number of them."""


@dataclass(frozen=True, slots=True)
class DeploymentLimits:
    """How much one deployment may be used; ``None`` where nobody said.

    Attributes:
        rpm: Requests a minute.
        tpm: Tokens a minute.
        concurrency: Calls at once.
    """

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None


_UNLIMITED = DeploymentLimits()


@dataclass(frozen=True, slots=True)
class Deployment:
    """A provider, a model and a credential: what one attempt calls.

    Attributes:
        plugin: The provider.
        model: The model, as the provider knows it.
        credential: What it is called with.
        parameters: Neutral parameters that calls may override.
        options: The provider's own parameters that calls may override.
        weight: Its share beside the others of its group.
        limits: How much it may be used.
        budget: What calls with its credential may cost; ``None`` for any money.
        brought: Whether its credential came with a call or a bound model, and may never come again.
    """

    plugin: Plugin
    model: str
    credential: Credential
    parameters: Mapping[str, JSON] = field(default_factory=dict, compare=False)
    options: Mapping[str, JSON] = field(default_factory=dict, compare=False)
    weight: float = 1.0
    limits: DeploymentLimits = _UNLIMITED
    budget: BudgetTable | None = None
    brought: bool = field(default=False, compare=False)

    @property
    def provider_id(self) -> str:
        """The provider's id."""
        return self.plugin.id

    @property
    def name(self) -> str:
        """``provider/model``."""
        return f"{self.plugin.id}/{self.model}"

    @property
    def id(self) -> str:
        """Name and credential as one word, without secrets."""
        return self.name if self.credential.id == "default" else f"{self.name}#{self.credential.id}"


@dataclass(frozen=True, slots=True)
class _Target:
    """What one name stands for, before its provider is looked up.

    Attributes:
        asked: The name.
        credential: The id of the one credential to use; ``None`` for all of the provider's.
        insists: Whether it is a mistake where there is no such credential; otherwise it is a part of the model's name.
        table: What the settings say of it, where it is a named deployment.
    """

    asked: str
    provider: str
    model: str
    credential: str | None = None
    insists: bool = False
    table: DeploymentTable | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a call may try.

    Attributes:
        route: The deployments, in their groups.
        skipped: Targets and credentials that cannot be used beside them.
        discovered: What of them stands in lists of nodes, which are kept up to date while calls go there.
    """

    route: Route[Deployment]
    skipped: tuple[Attempt, ...] = ()
    discovered: tuple[Usable, ...] = ()


def split_target(target: str) -> tuple[str, str]:
    """Split ``provider/model`` at the first slash; the model is empty where there is none.

    Raises:
        ConfigurationError: It names no provider.
    """
    provider, _, model = target.partition("/")
    if not provider:
        raise ConfigurationError(f"{target!r} names no provider", remedy='write it as "provider/model"')
    return provider, model


@final
class Deployments:
    """Finds what may be tried for a call.

    Args:
        registry: The plugins.
        settings: Where routes and deployments have their names.
        credentials: What each provider may be called with.
        balancer: What is known of each deployment.
    """

    def __init__(
        self, registry: PluginRegistry, settings: Settings, credentials: Credentials, balancer: Balancer
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._credentials = credentials
        self._balancer = balancer
        self._found: dict[object, Found] = {}
        self._given: WeakKeyDictionary[GivenCredentials, dict[object, Found]] = WeakKeyDictionary()
        self._edition = credentials.edition

    async def find(self, targets: Iterable[str], kind: ModelType | None, given: GivenCredentials | None) -> Found:
        """Return what may be tried for the targets named: a group for each target, a route's own groups.

        Several credentials of one target are in one group: they share its calls.

        Args:
            targets: Names of routes or deployments, ``provider/model``, or ``provider/model#credential``.
            kind: The type of the model, where it is known.
            given: What the call or the bound model brings, for one provider of them alone.

        Raises:
            UnknownProvider: No target's provider is known.
            PluginError: No target's plugin can be used.
            CredentialsInvalid: No credential can be used.
            ConfigurationError: A target cannot be one.
        """
        names = tuple(targets)
        if self._edition != self._credentials.edition:
            self._edition = self._credentials.edition
            self._found.clear()
            self._given.clear()
        if given is not None and not given.lasting:
            return (await self._looked_up(names, kind, given))[0]
        memory = self._found if given is None else self._given.setdefault(given, {})
        known = memory.get((names, kind))
        if known is not None:
            for usable in known.discovered:
                self._credentials.use(usable)
            return known
        edition = self._edition
        found, lasting = await self._looked_up(names, kind, given)
        if lasting and edition == self._credentials.edition:
            if len(memory) >= _REMEMBERED:
                memory.clear()
            memory[names, kind] = found
        return found

    async def _looked_up(
        self, names: Sequence[str], kind: ModelType | None, given: GivenCredentials | None
    ) -> tuple[Found, bool]:
        """Find what may be tried, and say whether that holds for later calls too."""
        groups: list[tuple[Pick | None, Sequence[Deployment]]] = []
        skipped: list[Attempt] = []
        discovered: list[Usable] = []
        first_error: ModelHubError | None = None
        lasting = True
        given = self._for_its_provider(given, names)
        for pick, targets in self._groups(names):
            group: list[Deployment] = []
            for target in targets:
                try:
                    usable, deployments = await self._of(target, kind, given)
                except ModelHubError as error:
                    first_error = first_error or error
                    skipped.append(Attempt(target.asked, type(error).__name__, 0.0))
                    lasting = False
                    continue
                lasting = lasting and not usable.changes and not usable.refused
                group += deployments
                skipped += [Attempt(f"{target.asked}#{name}", error, 0.0) for name, error in usable.refused.items()]
                if usable.nodes:
                    self._credentials.use(usable)
                    discovered.append(usable)
            if group:
                groups.append((pick, group))
        if not groups:
            raise first_error or ConfigurationError("no model is named", remedy='name one as "provider/model"')
        owner = None if given is None else groups[0][1][0].credential.key
        route = self._balancer.route(" → ".join(names), groups, owner=owner)
        return Found(route, tuple(skipped), tuple(discovered)), lasting

    async def _of(
        self, target: _Target, kind: ModelType | None, given: GivenCredentials | None
    ) -> tuple[Usable, list[Deployment]]:
        plugin = await self._registry.find(target.provider)
        model = target.model or _default_model(plugin)
        credential = target.credential
        if credential is not None and not await self._credentials.has(plugin, model, credential):
            if target.insists:
                raise _no_credential(plugin, credential, await self._credentials.names(plugin, model))
            model, credential = f"{model}#{credential}", None
        usable = await self._credentials.usable(plugin, model, kind, given, credential)
        deployments = [
            _deployment(plugin, model, each, target.table, usable.sources[each.id]) for each in usable.credentials
        ]
        if given is not None and given.provider == plugin.id:
            deployments = [replace(each, brought=True) for each in deployments]
        return usable, deployments

    def _for_its_provider(self, given: GivenCredentials | None, names: Sequence[str]) -> GivenCredentials | None:
        """Return what a call gives; what it gives for a route or deployment is for the first provider there."""
        if given is None or not names or names[0] != given.provider:
            return given
        if given.provider not in self._settings.routes and given.provider not in self._settings.deployments:
            return given
        first = next(target for _, targets in self._groups(names) for target in targets)
        return replace(given, provider=first.provider)

    def _groups(self, names: Iterable[str]) -> Iterator[tuple[Pick | None, Sequence[_Target]]]:
        """Yield what the names stand for: a group for each, a route's own groups for a route."""
        for name in names:
            if name not in self._settings.routes:
                yield None, [self._target(name)]
                continue
            for pick, group in zip(self._settings.picks(name), self._settings.groups(name), strict=True):
                yield pick, [self._target(each) for each in group]

    def _target(self, name: str) -> _Target:
        table = self._settings.deployments.get(name)
        if table is None:
            return _plain(name)
        target = replace(_plain(table.target), asked=name, table=table)
        return target if table.credential is None else replace(target, credential=table.credential, insists=True)

    def __repr__(self) -> str:
        return f"<Deployments: {len(self._settings.deployments)} named, {len(self._settings.routes)} routes>"


def _deployment(
    plugin: Plugin,
    model: str,
    credential: Credential,
    table: DeploymentTable | None,
    given: CredentialSource,
) -> Deployment:
    """Make a deployment; what its name says of limits counts more than what its credential says."""
    if table is None:
        limits = DeploymentLimits(given.rpm, given.tpm, given.concurrency)
        return Deployment(plugin, model, credential, weight=given.weight, limits=limits, budget=given.budget)
    limits = DeploymentLimits(table.rpm or given.rpm, table.tpm or given.tpm, table.concurrency or given.concurrency)
    return Deployment(
        plugin,
        model,
        credential,
        table.parameters,
        table.vendor.get(plugin.id, _NOTHING),
        given.weight * table.weight,
        limits,
        given.budget,
    )


def _plain(name: str) -> _Target:
    provider, model = split_target(name)
    model, sign, credential = model.rpartition("#")
    if not sign:
        return _Target(name, provider, credential)
    return _Target(name, provider, model, credential)


def _default_model(plugin: Plugin) -> str:
    if plugin.schema.default_model:
        return plugin.schema.default_model
    remedy = f'write it as "{plugin.id}/model"; `modelhub models list {plugin.id}` lists them'
    raise UnknownModel(f"no model of provider {plugin.id!r} is named", remedy=remedy)


def _no_credential(plugin: Plugin, credential: str, names: Iterable[str]) -> ConfigurationError:
    message = f"provider {plugin.id!r} has no credential {credential!r}"
    return ConfigurationError(message, remedy=did_you_mean(credential, list(names), what="credentials"))
