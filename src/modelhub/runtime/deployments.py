"""What a call may try: from the names that an application gives to deployments with their credentials."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

from modelhub.configuration.settings import Settings
from modelhub.errors import ConfigurationError, ModelHubError, UnknownModel
from modelhub.rules.names import did_you_mean
from modelhub.runtime.credentials import Credentials, GivenCredentials, Usable
from modelhub.runtime.plugin import Plugin
from modelhub.runtime.plugins import PluginRegistry
from modelhub.types.credential import Credential
from modelhub.types.json import JSON
from modelhub.types.records import Attempt
from modelhub.types.schema import ModelType

__all__ = ["Deployment", "Deployments", "split_target"]

_NOTHING: Mapping[str, JSON] = {}


@dataclass(frozen=True, slots=True)
class Deployment:
    """A provider, a model and a credential: what one attempt calls.

    Attributes:
        plugin: The provider.
        model: The model, as the provider knows it.
        credential: What it is called with.
        parameters: Neutral parameters that calls may override.
        options: The provider's own parameters that calls may override.
    """

    plugin: Plugin
    model: str
    credential: Credential
    parameters: Mapping[str, JSON] = field(default_factory=dict, compare=False)
    options: Mapping[str, JSON] = field(default_factory=dict, compare=False)

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
    """

    asked: str
    provider: str
    model: str
    credential: str | None = None
    insists: bool = False
    parameters: Mapping[str, JSON] = field(default_factory=dict)
    options: Mapping[str, JSON] = field(default_factory=dict)


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
    """

    def __init__(self, registry: PluginRegistry, settings: Settings, credentials: Credentials) -> None:
        self._registry = registry
        self._settings = settings
        self._credentials = credentials

    async def find(
        self, targets: Iterable[str], kind: ModelType | None, given: GivenCredentials | None
    ) -> tuple[list[Deployment], tuple[Attempt, ...]]:
        """Return what may be tried for the targets named, in order: for each model each of its credentials.

        Args:
            targets: Names of routes or deployments, ``provider/model``, or ``provider/model#credential``.
            kind: The type of the model, where it is known.
            given: What the call or the bound model brings, for one provider of them alone.

        Returns:
            The deployments, and those targets and credentials that cannot be used beside them.

        Raises:
            UnknownProvider: No target's provider is known.
            PluginError: No target's plugin can be used.
            CredentialsInvalid: No credential can be used.
            ConfigurationError: A target cannot be one.
        """
        found: list[Deployment] = []
        skipped: list[Attempt] = []
        first_error: ModelHubError | None = None
        names = list(targets)
        given = self._for_its_provider(given, names)
        for target in self._expanded(names):
            try:
                usable, deployments = await self._of(target, kind, given)
            except ModelHubError as error:
                first_error = first_error or error
                skipped.append(Attempt(target.asked, type(error).__name__, 0.0))
                continue
            found += deployments
            skipped += [Attempt(f"{target.asked}#{name}", "CredentialsInvalid", 0.0) for name in usable.refused]
        if not found:
            raise first_error or ConfigurationError("no model is named", remedy='name one as "provider/model"')
        return found, tuple(skipped)

    async def _of(
        self, target: _Target, kind: ModelType | None, given: GivenCredentials | None
    ) -> tuple[Usable, list[Deployment]]:
        plugin = await self._registry.find(target.provider)
        model = target.model or _default_model(plugin)
        credential = target.credential
        if credential is not None:
            names = await self._credentials.names(plugin, model)
            if credential not in names:
                if target.insists:
                    raise _no_credential(plugin, credential, names)
                model, credential = f"{model}#{credential}", None
        usable = await self._credentials.usable(plugin, model, kind, given, credential)
        deployments = [
            Deployment(plugin, model, credential, target.parameters, target.options)
            for credential in usable.credentials
        ]
        return usable, deployments

    def _for_its_provider(self, given: GivenCredentials | None, names: Sequence[str]) -> GivenCredentials | None:
        """Return what a call gives; what it gives for a route or deployment is for the first provider there."""
        if given is None or names[:1] != [given.provider]:
            return given
        if given.provider not in self._settings.routes and given.provider not in self._settings.deployments:
            return given
        return replace(given, provider=next(self._expanded(names)).provider)

    def _expanded(self, targets: Iterable[str]) -> Iterator[_Target]:
        """Yield what the names stand for, routes in the order of their groups."""
        for name in targets:
            if name in self._settings.routes:
                for group in self._settings.groups(name):
                    yield from self._expanded(group)
                continue
            table = self._settings.deployments.get(name)
            if table is None:
                yield _plain(name)
                continue
            target = _plain(table.target)
            if table.credential is not None:
                target = replace(target, credential=table.credential, insists=True)
            options = table.vendor.get(target.provider, _NOTHING)
            yield replace(target, asked=name, parameters=table.parameters, options=options)

    def __repr__(self) -> str:
        return f"<Deployments: {len(self._settings.deployments)} named, {len(self._settings.routes)} routes>"


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
