"""The parts of a hub between entering and leaving it, and how they make an attempt's limits and context."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, final

from modelhub.configuration.settings import Settings
from modelhub.http.addresses import Resolver, looked_up
from modelhub.http.client import HttpClient
from modelhub.http.seam import Backend, HttpCall, ReadLimits
from modelhub.provider.context import ProviderContext
from modelhub.provider.threads import LoopHandle
from modelhub.rules.auth import auth_headers
from modelhub.rules.egress import AllowList
from modelhub.rules.endpoint import Endpoint
from modelhub.rules.forms import endpoint_in, model_form
from modelhub.runtime.balancer import Balancer
from modelhub.runtime.connections import Connections
from modelhub.runtime.credentials import Credentials
from modelhub.runtime.deployments import Deployment, Deployments
from modelhub.runtime.node_lists import NodeList, NodeLists
from modelhub.runtime.plugin import Plugin
from modelhub.runtime.plugins import PluginRegistry
from modelhub.runtime.registration import BoundProvider
from modelhub.runtime.sharing import Sharing
from modelhub.types.credential import Credential
from modelhub.types.records import Progress
from modelhub.types.secret import Secret

if TYPE_CHECKING:
    from modelhub.credentials.store import CredentialStore
    from modelhub.runtime.background import Background
    from modelhub.runtime.observers import Observers
    from modelhub.shared.seam import SharedState

__all__ = ["Runtime"]

_REMEMBERED = 1024
"""Credentials whose endpoint and headers are kept ready."""

_CHECK_SECONDS = 2.0
"""How long each step of a cheap check of an endpoint may take."""

_UNARY_SECONDS = 600.0
"""How long a whole answer may take to begin: it comes when the last token is made."""


@dataclass(frozen=True, slots=True)
class _Line:
    """What all requests with one credential share."""

    credential: Credential
    endpoint: Endpoint
    headers: Sequence[tuple[str, Secret]]
    backend: Callable[[], Awaitable[Backend]]


@final
class Runtime:
    """What a hub works with on one event loop.

    Args:
        registry: The plugins.
        settings: The application's settings.
        cache_dir: Where plugins keep what they fetched.
        progress: Told how far long things have come.
        store: Where credentials are kept beside the settings.
        clock: A monotonic clock, in seconds.
        resolve: Looks names of hosts up; the system does by default.
        random: Decides between equals, and spreads waits.
        background: Runs what goes on beside calls.
        observers: Who hears of calls.
        shared: What other processes share with this one.

    Attributes:
        observers: Who hears of calls; ``None`` where nobody can.
        balancer: What is known of deployments, and who waits for them.
        credentials: What providers may be called with.
        deployments: What calls may try.
        connections: Backends and sessions.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        settings: Settings,
        *,
        cache_dir: Path,
        progress: Callable[[Progress], None] | None,
        store: CredentialStore | None = None,
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolver | None = None,
        random: Random | None = None,
        background: Background | None = None,
        observers: Observers | None = None,
        shared: SharedState | None = None,
    ) -> None:
        self.registry = registry
        self.settings = settings
        self.clock = clock
        random = random or Random()
        self._lists = NodeLists(background, clock=clock, random=random, resolve=resolve or looked_up)
        self._lists.changed = self._discovered
        self.credentials: Credentials = Credentials(settings, store, self._lists)
        self.balancer: Balancer = Balancer(
            settings.routing,
            clock=clock,
            random=random,
            on_change=None if observers is None else observers.changed,
            background=background,
            ask=self._check,
            sharing=self._joined(shared, background),
        )
        self._shared = shared
        self.deployments: Deployments = Deployments(registry, settings, self.credentials, self.balancer)
        self.connections: Connections = Connections(AllowList.of(settings.egress.allow), resolve, background)
        self.observers: Observers | None = observers
        self._background = background
        self._cache_dir = cache_dir
        self._progress = progress
        self._loop = LoopHandle()
        self._folders: dict[str, Path] = {}
        self._lines: dict[tuple[str, object], _Line] = {}

    def renewed(self, settings: Settings, store: CredentialStore | None) -> Runtime:
        """Return the same with other settings. What is known of deployments stays; calls under way end as they began.

        Args:
            settings: The settings from now on; plugins, extensions and sharing stay as they were.
            store: Where credentials are kept beside them.
        """
        fresh = copy(self)
        fresh.settings = settings
        fresh.credentials = Credentials(settings, store, self._lists)
        fresh._lists.changed = fresh._discovered  # noqa: SLF001  of its own class
        fresh.deployments = Deployments(self.registry, settings, fresh.credentials, self.balancer)
        fresh._lines = {}  # noqa: SLF001  of its own class
        self.balancer.adopt(settings.routing)
        self.connections.renew(AllowList.of(settings.egress.allow))
        self._drain("connections of before the settings changed")
        return fresh

    def _drain(self, what: str) -> None:
        if self._background is not None:
            self._background.start(what, self.connections.drain)

    async def _discovered(self, nodes: NodeList[Any]) -> None:
        """A list of nodes was looked up: calls from now on go by it; those under way end as they began."""
        await self.credentials.renew()
        gone = nodes.gone()
        self.balancer.gone(gone)
        if self.connections.retire(gone):
            self._drain("connections of nodes that are gone")

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
            own = partial(self._lasting, bound, deployment)
            await self.connections.sessions.lend(bound, context, own, lasting=not deployment.brought)
        return context

    def _joined(self, shared: SharedState | None, background: Background | None) -> Sharing | None:
        """Begin to share; what goes on beside calls needs a background to run in."""
        if shared is None or background is None:
            return None
        sharing = Sharing(shared, self.settings.sharing.namespace, clock=self.clock)
        background.start("shared state", shared.run)
        background.start("what other processes found out", lambda: sharing.listen(self.balancer.pool))
        return sharing

    async def _check(self, deployment: Deployment) -> None:
        """Ask an endpoint for the path that its provider names as the cheapest, with little patience.

        Raises:
            ModelHubError: What it ended with.
        """
        probe = deployment.plugin.schema.probe
        bound = deployment.plugin.bound or await self.registry.bound(deployment.plugin)
        limits = ReadLimits(self.clock, connect=_CHECK_SECONDS, first_token=_CHECK_SECONDS, idle=_CHECK_SECONDS)
        http = self._made(bound, deployment, limits, None).open_http
        if http is not None and probe is not None:
            await http.request(HttpCall(probe, method="GET"))

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
        line = self._lines.get(key)
        if line is not None and line.credential is credential:
            return line
        endpoint = endpoint_in(credential)
        if endpoint is None:
            return None
        if len(self._lines) >= _REMEMBERED:
            self._lines.clear()  # tenants' credentials come with their calls and may never come again
        headers = auth_headers(bound.auth, model_form(deployment.plugin.schema), credential)
        backend = partial(self.connections.backend, endpoint, credential)
        line = self._lines[key] = _Line(credential, endpoint, headers, backend)
        return line

    def _report(self, sink: Callable[[Progress], None] | None, progress: Progress) -> None:
        if sink is not None:
            self._loop.post(_tell, sink, progress)

    async def aclose(self) -> None:
        """Close everything that belongs to the loop."""
        try:
            if self.observers is not None:
                await self.observers.aclose()
        finally:
            try:
                await self.connections.aclose()
                if self._shared is not None:
                    await self._shared.aclose()
            finally:
                if self._background is not None:
                    await self._background.aclose()


def _tell(sink: Callable[[Progress], None], progress: Progress) -> None:
    try:
        sink(progress)
    except Exception as error:
        logging.getLogger("modelhub").warning("the progress callback raised %s", type(error).__name__, exc_info=error)
