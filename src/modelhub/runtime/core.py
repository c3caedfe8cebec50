"""The parts of a hub between entering and leaving it, and how they make what a call needs: deployments and contexts."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import final

from modelhub.configuration.settings import CredentialSource, Settings, credentials_of_environment
from modelhub.errors import ConfigurationError, ModelHubError, UnknownModel
from modelhub.http.client import HttpClient
from modelhub.http.seam import Backend, ReadLimits
from modelhub.provider.context import ProviderContext
from modelhub.provider.threads import LoopHandle
from modelhub.rules.auth import auth_headers
from modelhub.rules.endpoint import Endpoint
from modelhub.rules.forms import endpoint_in, filled, layered
from modelhub.rules.redaction import clean
from modelhub.runtime.connections import Connections
from modelhub.runtime.plugins import Plugin, PluginRegistry
from modelhub.runtime.registration import BoundProvider
from modelhub.types.credential import Credential
from modelhub.types.records import Attempt, Progress

__all__ = ["Deployment", "GivenCredentials", "Runtime", "redacted", "split_target"]

_REMEMBERED = 1024
"""Credentials whose endpoint and headers are kept ready."""

_UNARY_SECONDS = 600.0
"""How long a whole answer may take to begin: it comes when the last token is made."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A provider, a model and a credential: what one attempt calls."""

    plugin: Plugin
    model: str
    credential: Credential

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
@dataclass(frozen=True, slots=True, eq=False)
class GivenCredentials:
    """Credentials that a call or a bound model brings; the same object is the same credentials.

    Attributes:
        provider: Whose they are: no other provider of the call sees them.
        sources: In the order to try them.
        lasting: Whether they will be used again.
    """

    provider: str
    sources: Sequence[CredentialSource]
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class _Filled:
    """A provider's credentials that can be used, and the ids of those that cannot."""

    credentials: tuple[Credential, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """What all requests with one credential share."""

    endpoint: Endpoint
    headers: list[tuple[str, str]] = field(repr=False)
    backend: Callable[[], Awaitable[Backend]]


@final
class Runtime:
    """What a hub works with on one event loop.

    Args:
        registry: The plugins.
        settings: The application's settings.
        cache_dir: Where plugins keep what they fetched.
        progress: Told how far long things have come.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        settings: Settings,
        *,
        cache_dir: Path,
        progress: Callable[[Progress], None] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registry = registry
        self.settings = settings
        self.connections: Connections = Connections()
        self.clock = clock
        self._cache_dir = cache_dir
        self._progress = progress
        self._loop = LoopHandle()
        self._filled: dict[tuple[str, GivenCredentials | None], _Filled] = {}
        self._folders: dict[str, Path] = {}
        self._lines: dict[tuple[str, object], _Line | None] = {}

    async def deployments(
        self, targets: Iterable[str], given: GivenCredentials | None
    ) -> tuple[list[Deployment], tuple[Attempt, ...]]:
        """Return what may be tried for the targets named, in order: for each model each of its credentials.

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
        for target in targets:
            id, model = split_target(target)
            try:
                plugin = await self.registry.find(id)
                model = model or self._default_model(plugin)
                usable = self._usable(plugin, given)
            except ModelHubError as error:
                first_error = first_error or error
                skipped.append(Attempt(target, type(error).__name__, 0.0))
                continue
            found += [Deployment(plugin, model, credential) for credential in usable.credentials]
            skipped += [Attempt(f"{plugin.id}/{model}#{name}", "CredentialsInvalid", 0.0) for name in usable.refused]
        if not found:
            raise first_error or ConfigurationError("no model is named", remedy='name one as "provider/model"')
        return found, tuple(skipped)

    def _default_model(self, plugin: Plugin) -> str:
        if plugin.schema.default_model:
            return plugin.schema.default_model
        remedy = f'write it as "{plugin.id}/model"; `modelhub models {plugin.id}` lists them'
        raise UnknownModel(f"no model of provider {plugin.id!r} is named", remedy=remedy)

    def credentials(self, plugin: Plugin, given: GivenCredentials | None) -> tuple[Credential, ...]:
        """Return a provider's credentials, filled in.

        Those given, else those configured, else what the environment says.

        Raises:
            CredentialsInvalid: None of them can be used; the first one's complaint.
        """
        return self._usable(plugin, given).credentials

    def _usable(self, plugin: Plugin, given: GivenCredentials | None) -> _Filled:
        if given is not None and given.provider != plugin.id:
            given = None
        key = (plugin.id, given)
        usable = self._filled.get(key)
        if usable is None:
            usable = self._filled_in(plugin, None if given is None else given.sources)
            if given is None or given.lasting:
                self._filled[key] = usable
        return usable

    def _filled_in(self, plugin: Plugin, sources: Sequence[CredentialSource] | None) -> _Filled:
        form = plugin.schema.form
        environment = credentials_of_environment(plugin.id, form)
        configured = self.settings.credentials.get(plugin.id) or (CredentialSource(),)
        if sources is None:
            layers = [(source.id, {**environment, **source.values}) for source in configured]
        else:
            # What a bound model or a call gives stands over the first configured credential.
            own = {**environment, **configured[0].values}
            layers = [(each.id, layered(form, own, *each.layers)) for each in sources]
        credentials: list[Credential] = []
        refused: list[str] = []
        first_error: ModelHubError | None = None
        for name, values in layers:
            try:
                credentials.append(filled(form, values, provider=plugin.id, id=name))
            except ModelHubError as error:
                first_error = first_error or error
                refused.append(name)
        if first_error is not None and not credentials:
            raise first_error
        return _Filled(tuple(credentials), tuple(refused))

    def limits(self, plugin: Plugin, *, deadline: float | None, total: float | None, streaming: bool) -> ReadLimits:
        """Return the limits of time of one attempt: the application's, else the provider's, else the defaults."""
        own, given = plugin.schema.timeouts, self.settings.timeouts
        first_token = given.first_token or own.get("first_token", 300.0)
        return ReadLimits(
            self.clock,
            connect=given.connect or own.get("connect", 5.0),
            first_token=first_token if streaming or given.first_token else max(first_token, _UNARY_SECONDS),
            idle=given.idle or own.get("idle", 60.0),
            deadline=deadline,
            total=total,
        )

    async def context(
        self,
        bound: BoundProvider,
        deployment: Deployment,
        limits: ReadLimits,
        *,
        progress: Callable[[Progress], None] | None = None,
    ) -> ProviderContext:
        """Make the context of one attempt."""
        context = self._made(bound, deployment, limits, progress or self._progress)
        if bound.open is not None:
            lasting = partial(self._lasting, bound, deployment)
            context.session = await self.connections.session(bound, deployment.credential, lasting)
        return context

    def _lasting(self, bound: BoundProvider, deployment: Deployment) -> ProviderContext:
        """Make the context of a session: it outlives the call that opened it, so no caller's deadline is in it."""
        limits = self.limits(deployment.plugin, deadline=None, total=None, streaming=False)
        context = self._made(bound, deployment, limits, self._progress)
        if context.open_http is not None:
            context.open_http.renews_limits = True
        return context

    def _made(
        self,
        bound: BoundProvider,
        deployment: Deployment,
        limits: ReadLimits,
        progress: Callable[[Progress], None] | None,
    ) -> ProviderContext:
        line = self._line(bound, deployment)
        http = None
        if line is not None:
            http = HttpClient(line.backend, line.endpoint, headers=line.headers, limits=limits, classify=bound.classify)
        return ProviderContext(
            provider=deployment.provider_id,
            credential=deployment.credential,
            limits=limits,
            clock=self.clock,
            cache_dir=self._folder(deployment.provider_id),
            progress=partial(self._report, progress),
            http=http,
        )

    def _folder(self, provider: str) -> Path:
        # Remembered, because joining paths costs as much as making the rest of a context.
        folder = self._folders.get(provider)
        if folder is None:
            folder = self._folders[provider] = self._cache_dir / provider
        return folder

    def _line(self, bound: BoundProvider, deployment: Deployment) -> _Line | None:
        credential = deployment.credential
        key = (bound.id, credential.key)
        if key not in self._lines:
            if len(self._lines) >= _REMEMBERED:
                self._lines.clear()  # tenants' credentials come with their calls and may never come again
            endpoint = endpoint_in(credential)
            if endpoint is None:
                self._lines[key] = None
            else:
                headers = auth_headers(bound.auth, deployment.plugin.schema.form, credential)
                self._lines[key] = _Line(endpoint, headers, partial(self.connections.backend, endpoint, credential))
        return self._lines[key]

    def _report(self, sink: Callable[[Progress], None] | None, progress: Progress) -> None:
        if sink is not None:
            self._loop.post(_tell, sink, progress)

    async def aclose(self) -> None:
        """Close everything that belongs to the loop."""
        await self.connections.aclose()


def _tell(sink: Callable[[Progress], None], progress: Progress) -> None:
    try:
        sink(progress)
    except Exception as error:
        logging.getLogger("modelhub").warning("the progress callback raised %s", type(error).__name__, exc_info=error)


def redacted(error: ModelHubError, credential: Credential) -> ModelHubError:
    """Take a credential's secrets out of an error and of what lies behind it."""
    clean(error, credential.secrets)
    return error
