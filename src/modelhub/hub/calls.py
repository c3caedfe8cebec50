"""A hub between entering and leaving: the runtime of one event loop, and every kind of call into it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import anyio
import anyio.lowlevel

from modelhub.configuration.settings import Settings, check_config, read_settings
from modelhub.configuration.sharing import shared_url
from modelhub.configuration.store import configured_store
from modelhub.errors import (
    BadRequest,
    ConfigurationError,
    Timeout,
)
from modelhub.hub.asked import Asked, Binding, binding_of, chat_asked, request_asked
from modelhub.hub.bound import BoundModel
from modelhub.hub.cache_folder import user_cache_dir
from modelhub.hub.inquiries import Inquiries
from modelhub.provider.base import REQUEST_TYPES
from modelhub.provider.threads import run_in_thread
from modelhub.runtime.answers import counted, invoked
from modelhub.runtime.background import Background
from modelhub.runtime.call import Call, new_call_id
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.deadlines import in_time, seconds_left
from modelhub.runtime.extensions import Extensions
from modelhub.runtime.plugins import PluginRegistry
from modelhub.runtime.prices import PriceBook
from modelhub.runtime.server import Server
from modelhub.runtime.stream import Stream
from modelhub.shared import RedisState
from modelhub.types.plugins import ExtensionInfo, ProviderInfo
from modelhub.types.records import Progress
from modelhub.types.requests import Request
from modelhub.types.results import Result

if TYPE_CHECKING:
    from modelhub.credentials import CredentialStore
    from modelhub.provider.middleware import Middleware, Sink
    from modelhub.rules.parameters import Policy
    from modelhub.runtime.observation import Observation
    from modelhub.shared import SharedState
    from modelhub.types.deployments import DeploymentInfo
    from modelhub.types.messages import Messages
    from modelhub.types.usage import TokenCount

__all__ = ["Calls", "user_cache_dir"]

R = TypeVar("R", bound=Result)


@final
class Calls:
    """Everything behind the hub's verbs.

    Args:
        config: Settings as a dict or a file; see `modelhub.configuration.settings.read_settings`.
        providers: Providers registered in code.
        cache_dir: Where plugins keep what they fetched; the user's cache folder by default.
        progress: Told how far long things have come.
        policy: What becomes of parameters that a model does not take; over the settings.
        store: Where credentials are kept, in place of the one that the settings name.
        middleware: What every call passes through, beside what is installed.
        sinks: What hears of every call, beside what is installed.
        clock: A monotonic clock, in seconds.
        random: The random source.

    Attributes:
        inquiries: What is asked besides calls.
    """

    def __init__(
        self,
        *,
        config: Mapping[str, object] | Path | str | None,
        providers: Iterable[object],
        cache_dir: Path | None,
        progress: Callable[[Progress], None] | None,
        policy: str | None,
        store: CredentialStore | None = None,
        middleware: Sequence[Middleware] = (),
        sinks: Sequence[Sink] = (),
        clock: Callable[[], float] | None = None,
        random: Random | None = None,
    ) -> None:
        if policy not in {None, "strict", "clamp", "drop"}:
            raise ConfigurationError(f"policy is {policy!r}: it must be strict, clamp or drop")
        check_config(config)
        self._config = config
        self._providers = tuple(providers)
        self._cache_dir = cache_dir or user_cache_dir()
        self._progress = progress
        self._policy = policy
        self._store = store
        self._middleware = middleware
        self._sinks = sinks
        self._clock = clock or time.monotonic
        self._random = random
        self._extensions: Extensions | None = None
        self._registry: PluginRegistry | None = None
        self._server: Server | None = None
        self._loop: object = None
        self._entering = False
        self._reloading = anyio.Lock()
        self.inquiries: Inquiries = Inquiries(lambda: self.server)

    async def enter(self) -> None:
        """Read the settings, if that was not done before, and belong to this event loop.

        Raises:
            ConfigurationError: The settings cannot be used, or the hub is entered already.
        """
        if self._server is not None or self._entering:
            raise ConfigurationError("the hub is entered already", remedy="make one hub per event loop")
        self._entering = True
        try:
            await self._enter()
        finally:
            self._entering = False

    async def _enter(self) -> None:
        settings, store = await run_in_thread(self._read, name="settings")
        if self._registry is None:
            registry = partial(PluginRegistry, settings.plugins, self._providers)
            self._registry = await run_in_thread(registry, name="providers given in code")
        if self._extensions is None:
            self._extensions = Extensions(settings.plugins)
        prices = await run_in_thread(partial(PriceBook, settings.prices.source), name="price list")
        background = Background()
        try:
            runtime = Runtime(
                self._registry,
                settings,
                cache_dir=self._cache_dir,
                progress=self._progress,
                store=store,
                clock=self._clock,
                random=self._random,
                background=background,
                shared=await _shared_state(settings, self._clock),
                observers=await self._extensions.observers(
                    self._middleware, self._sinks, background=background, clock=self._clock
                ),
            )
        except BaseException:
            await background.aclose()
            raise
        self._reloading = anyio.Lock()  # of this event loop
        self._server = Server(runtime, Catalogue(self._registry, settings.models), prices)
        self._loop = anyio.lowlevel.current_token()

    def _read(self) -> tuple[Settings, CredentialStore | None]:
        settings = read_settings(self._config)
        return settings, self._store or configured_store(settings)

    async def reload(self) -> None:
        """Read the settings anew, for all calls from now on.

        Raises:
            ConfigurationError: They cannot be used; those of before stay.
        """
        async with self._reloading:  # one after the other: the last one has read last
            entered = self.server
            settings, store = await run_in_thread(self._read, name="settings")
            if entered is self._server:  # else the hub was left meanwhile
                runtime = entered.runtime.renewed(settings, store)
                self._server = Server(runtime, Catalogue(runtime.registry, settings.models), entered.prices)

    async def leave(self) -> None:
        """Close everything that belongs to the loop."""
        server, self._server = self._server, None
        if server is not None:
            await server.runtime.aclose()

    @property
    def server(self) -> Server:
        """What serves calls.

        Raises:
            ConfigurationError: The hub is not entered, or was entered in another event loop.
        """
        if self._server is None:
            remedy = "write: async with ModelHub() as hub: …"
            raise ConfigurationError("the hub is used outside its async with", remedy=remedy)
        if self._loop != anyio.lowlevel.current_token():
            remedy = "a hub belongs to the event loop it was entered in: use one per loop, each with its async with"
            raise ConfigurationError("the hub is used in another event loop than it was entered in", remedy=remedy)
        return self._server

    async def _call(self, runtime: Runtime, asked: Asked[R], begun: float) -> Call[R]:
        request, left = _limited(runtime, asked.request, begun)
        deadline = None if left is None else runtime.clock() + left
        finding = runtime.deployments.find(_targets(request), REQUEST_TYPES[type(request)], asked.credentials)
        # A credential may come from a function, a keyring or a server that takes its time.
        found = await in_time(finding, left, request)
        policy = cast("Policy", self._policy or runtime.settings.policy)  # checked in __init__
        return Call(request, found.route, deadline, policy, asked.progress, skipped=found.skipped)

    async def answered(self, asked: Asked[R]) -> R:
        """Answer a request, all at once."""
        server = self.server
        runtime, begun = server.runtime, server.runtime.clock()
        observation = self._observation(server, asked, streamed=False)
        if observation is None:
            return await invoked(server, await self._call(runtime, asked, begun))

        async def work() -> R:
            call = await self._observed(runtime, asked, begun, observation)
            return await invoked(server, call)

        return await observation.around(work)

    async def _observed(self, runtime: Runtime, asked: Asked[R], begun: float, observation: Observation) -> Call[R]:
        """Pass a call through the middleware, which takes of its time, and make what comes out of that."""
        given, left = _limited(runtime, asked.request, begun)
        request = await in_time(observation.before(asked.request), left, given)
        call = await self._call(runtime, replace(asked, request=request), begun)
        return replace(call, id=observation.id, observation=observation)

    def _observation(self, server: Server, asked: Asked[Any], *, streamed: bool) -> Observation | None:
        observers = server.runtime.observers
        if observers is None or not observers.listening:
            return None
        request = asked.request
        kind = REQUEST_TYPES[type(request)]
        return observers.begin(new_call_id(), targets=request.model, model_type=kind, streamed=streamed)

    def bind(self, config: object) -> BoundModel:
        """Bind a model; see `modelhub.hub.asked.binding_of`."""
        return BoundModel(self, binding_of(config))

    async def invoked(self, request: Request[R]) -> R:
        """Answer a request that names its own models."""
        return await self.answered(request_asked(request))

    def stream(
        self, model: object, messages: Messages, response_format: object, options: Mapping[str, Any]
    ) -> Stream[Any, Any]:
        """Make a stream: of a request that names its own models, or of a conversation."""

        async def asked() -> Asked[Any]:
            if options or response_format is not None or messages != ():
                raise BadRequest("a request is given, and something beside it", remedy="put it into the request")
            return request_asked(cast("Request[Any]", model))

        if isinstance(model, Request):
            return self._streamed(asked)
        return self._streamed(lambda: _conversation(binding_of(model), messages, response_format, options))

    def conversation(
        self, binding: Binding, messages: Messages, response_format: object, options: Mapping[str, Any]
    ) -> Stream[Any, Any]:
        """Make the stream of a conversation with a bound model."""
        return self._streamed(lambda: _conversation(binding, messages, response_format, options))

    def _streamed(self, asked: Callable[[], Awaitable[Asked[Any]]]) -> Stream[Any, Any]:
        async def resolve() -> Call[Any]:
            server, given = self.server, await asked()
            runtime, begun = server.runtime, server.runtime.clock()
            observation = self._observation(server, given, streamed=True)
            if observation is None:
                return await self._call(runtime, given, begun)
            try:
                return await self._observed(runtime, given, begun, observation)
            except BaseException as error:
                await observation.failed(error)
                raise

        return Stream(lambda: self.server, resolve)

    async def counted(self, asked: Asked[Any]) -> TokenCount:
        """Count the tokens of a request's prompt."""
        server = self.server
        return await counted(server, await self._call(server.runtime, asked, server.runtime.clock()))

    async def infos(self, *, load: bool) -> list[ProviderInfo]:
        """Return every provider as it stands."""
        registry = self.server.runtime.registry
        if load:
            await registry.load_all()
        return await registry.infos()

    async def extension_infos(self) -> list[ExtensionInfo]:
        """Return every middleware and sink as it stands."""
        observers = self.server.runtime.observers
        assert self._extensions is not None  # noqa: S101  entering made it
        return await self._extensions.infos(observers)

    def deployment_infos(self) -> list[DeploymentInfo]:
        """Return every deployment that is known as it stands."""
        return self.server.runtime.balancer.infos()

    def __repr__(self) -> str:
        return f"<Calls {'entered' if self._server is not None else 'not entered'}>"


def _targets(request: Request[Any]) -> Sequence[str]:
    return (request.model,) if isinstance(request.model, str) else request.model


def _limited(runtime: Runtime, request: Request[R], begun: float) -> tuple[Request[R], float | None]:
    """Return a request with the time that it has in all, and the seconds that are left of that; ``None`` for any time.

    Args:
        runtime: What knows the settings.
        request: What is asked.
        begun: When it was, by the runtime's clock.

    Raises:
        Timeout: A deadline around it had passed before it began.
    """
    total = request.timeout if request.timeout is not None else runtime.settings.total(_targets(request))
    around = seconds_left()
    if around == 0.0:
        message = "the deadline around the call had passed before it began"
        raise Timeout(message, phase="total", seconds=None, sent=False)
    spent = runtime.clock() - begun if total is not None or around is not None else 0.0
    if around is not None and (total is None or around < total - spent):
        total = spent + around
    limited = request if total == request.timeout else replace(request, timeout=total)
    return limited, None if total is None else total - spent


async def _shared_state(settings: Settings, clock: Callable[[], float]) -> SharedState | None:
    """Make what is shared with other processes, where the settings want that.

    Raises:
        ConfigurationError: It cannot work here.
    """
    url = await shared_url(settings)
    if url is None:
        return None
    state = RedisState(url, namespace=settings.sharing.namespace, clock=clock)
    await state.prepare()
    return state


async def _conversation(
    binding: Binding, messages: Messages, response_format: object, options: Mapping[str, Any]
) -> Asked[Any]:
    own = {key: value for key, value in options.items() if key != "on_interrupt"}
    how = options.get("on_interrupt", "raise")
    return await chat_asked(binding, messages, response_format, own, on_interrupt=how)
