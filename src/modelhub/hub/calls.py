"""A hub between entering and leaving: the runtime of one event loop, and every kind of call into it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

import anyio
import anyio.lowlevel

from modelhub.configuration.settings import Settings, check_config, credential_sources, read_settings
from modelhub.configuration.sharing import shared_url
from modelhub.configuration.store import configured_store
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConfigurationError,
    CredentialsInvalid,
    ModelHubError,
    ModelNotFound,
    PluginError,
    UnknownModel,
    UnsupportedFeature,
)
from modelhub.hub.asked import Asked, Binding, binding_of, chat_asked, request_asked
from modelhub.hub.bound import BoundModel
from modelhub.hub.cache_folder import user_cache_dir
from modelhub.provider.base import REQUEST_TYPES
from modelhub.provider.threads import run_in_thread
from modelhub.rules.form_schema import form_schema
from modelhub.rules.forms import model_form
from modelhub.rules.frames import clear_locals, hides_arguments
from modelhub.rules.names import did_you_mean
from modelhub.runtime.answers import counted, invoked
from modelhub.runtime.background import Background
from modelhub.runtime.call import Call, new_call_id
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.deadlines import seconds_left
from modelhub.runtime.deployments import Deployment, split_target
from modelhub.runtime.extensions import Extensions
from modelhub.runtime.failures import attributed, foreign, redacted, too_late
from modelhub.runtime.plugins import Plugin, PluginRegistry
from modelhub.runtime.prices import PriceBook
from modelhub.runtime.server import Server, released
from modelhub.runtime.stream import Stream
from modelhub.shared import RedisState
from modelhub.types.plugins import ExtensionInfo, ProviderInfo, ValidationReport
from modelhub.types.records import Progress
from modelhub.types.requests import Request
from modelhub.types.results import Result
from modelhub.types.schema import ModelSchema, ModelType

if TYPE_CHECKING:
    from modelhub.credentials import CredentialStore
    from modelhub.provider.context import ProviderContext
    from modelhub.provider.middleware import Middleware, Sink
    from modelhub.rules.parameters import Policy
    from modelhub.runtime.observation import Observation
    from modelhub.runtime.registration import BoundProvider
    from modelhub.shared import SharedState
    from modelhub.types.credential import Credential
    from modelhub.types.json import JSON
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
        server = self.server
        settings, store = await run_in_thread(self._read, name="settings")
        if server is not self._server:
            return  # the hub was left, or another one was faster
        runtime = server.runtime.renewed(settings, store)
        self._server = Server(runtime, Catalogue(runtime.registry, settings.models), server.prices)

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

    async def _call(self, runtime: Runtime, asked: Asked[R]) -> Call[R]:
        request = asked.request
        targets = (request.model,) if isinstance(request.model, str) else request.model
        total = runtime.settings.total(targets)
        if request.timeout is None and total is not None:
            request = replace(request, timeout=total)
        left = seconds_left()
        if left is not None and (request.timeout is None or left < request.timeout):
            request = replace(request, timeout=left)
        deadline = None if request.timeout is None else runtime.clock() + request.timeout
        kind = REQUEST_TYPES[type(request)]
        finding = partial(runtime.deployments.find, targets, kind, asked.credentials)
        if deadline is None:
            found = await finding()
        else:  # a credential may come from a function, a keyring or a server that takes its time
            with anyio.move_on_after(deadline - runtime.clock()) as scope:
                found = await finding()
            if scope.cancelled_caught:
                raise too_late(request)
        policy = cast("Policy", self._policy or runtime.settings.policy)  # checked in __init__
        return Call(request, found.route, deadline, policy, asked.progress, skipped=found.skipped)

    async def answered(self, asked: Asked[R]) -> R:
        """Answer a request, all at once."""
        server = self.server
        observation = self._observation(server, asked, streamed=False)
        if observation is None:
            return await invoked(server, await self._call(server.runtime, asked))

        async def work(request: Request[R]) -> R:
            call = await self._call(server.runtime, replace(asked, request=request))
            return await invoked(server, replace(call, id=observation.id, observation=observation))

        return await observation.around(asked.request, work)

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
            observation = self._observation(server, given, streamed=True)
            if observation is None:
                return await self._call(server.runtime, given)
            try:
                request = await observation.before(given.request)
                call = await self._call(server.runtime, replace(given, request=request))
            except BaseException as error:
                await observation.failed(error)
                raise
            return replace(call, id=observation.id, observation=observation)

        return Stream(lambda: self.server, resolve)

    async def counted(self, asked: Asked[Any]) -> TokenCount:
        """Count the tokens of a request's prompt."""
        server = self.server
        return await counted(server, await self._call(server.runtime, asked))

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

    async def listed(
        self, provider: str, kind: ModelType | None, credentials: object, *, refresh: bool
    ) -> Sequence[ModelSchema]:
        """Return a provider's models."""
        kind = _type_named(kind)
        deployment = await self._named(provider, "", credentials)
        models = await self.server.catalogue.list(deployment, self._using, kind, refresh=refresh)
        return await self.server.prices.priced(models, deployment.plugin.schema)

    async def form(
        self, provider: str, kind: ModelType | None, locale: str | Sequence[str] | None
    ) -> Mapping[str, JSON]:
        """Return a credential form as JSON Schema."""
        kind = _type_named(kind)
        id, _ = split_target(provider)
        schema = (await self.server.runtime.registry.find(id)).schema
        fields = schema.form if kind is None else model_form(schema)
        return form_schema(fields, locale=locale, model_type=kind)

    async def described(self, binding: Binding, kind: ModelType | None) -> ModelSchema:
        """Return what the first model of a binding is and takes."""
        kind = _type_named(kind)
        found = await self.server.runtime.deployments.find(binding.targets[:1], kind, binding.credentials)
        deployment = found.route.options[0].deployment
        schema = await self._described(deployment, kind)
        (priced,) = await self.server.prices.priced([schema], deployment.plugin.schema)
        return priced

    async def _described(self, deployment: Deployment, kind: ModelType | None) -> ModelSchema:
        kinds = [kind] if kind is not None else deployment.plugin.schema.supported_model_types
        first_error: ModelHubError | None = None
        for each in kinds:
            try:
                async with self._using(deployment) as (bound, context):
                    return await self.server.catalogue.describe(deployment, each, bound, context)
            except (ModelNotFound, UnknownModel, UnsupportedFeature) as error:
                first_error = first_error or error
        raise first_error or UnknownModel(f"provider {deployment.provider_id!r} serves no models")

    async def validated(
        self, provider: str, credentials: object, model: str | None, kind: ModelType | None, name: str | None
    ) -> ValidationReport:
        """Check a credential: the form, then the vendor, then the model."""
        report = await self._checked(provider, credentials, model, _type_named(kind), name)
        if report.error is not None:
            clear_locals(report.error)  # the report keeps it, with the functions that were given the credential
        return report

    async def _checked(
        self, provider: str, credentials: object, model: str | None, kind: ModelType | None, name: str | None
    ) -> ValidationReport:
        if isinstance(credentials, Sequence) and len(credentials) > 1:
            raise ConfigurationError("several credentials are given", remedy="validate one at a time")
        if credentials is not None and name is not None:
            raise ConfigurationError("values and a credential's name are given", remedy="give one of them")
        plugin = await self.server.runtime.registry.find(provider)
        if credentials is None and name is None:
            name = (await self.server.runtime.credentials.names(plugin, model or ""))[0]
        try:
            credential = await self._credential(plugin, model or "", credentials, kind, name)
            deployment = Deployment(plugin, model or "", credential)
        except CredentialsInvalid as error:
            return ValidationReport.of(provider, (), error)
        await self.server.runtime.registry.bound(plugin)
        stages = ["form"]
        try:
            async with self._using(deployment, lambda progress: stages.append(progress.message)) as (bound, context):
                if bound.validate_provider_credentials is not None:
                    await bound.validate_provider_credentials(context)
                    self.server.runtime.balancer.accepted(plugin.id, credential)
                if model:
                    await self._validated_model(bound, deployment, context, kind)
                    stages.append(f"model {model}")
        except ModelHubError as error:
            return ValidationReport.of(provider, tuple(stages), error)
        return ValidationReport.of(provider, tuple(stages), None)

    async def _validated_model(
        self, bound: BoundProvider, deployment: Deployment, context: ProviderContext, kind: ModelType | None
    ) -> None:
        if bound.validate_model_credentials is None:
            await self._described(deployment, kind)
            return
        first_error: ModelHubError | None = None
        for each in deployment.plugin.schema.supported_model_types if kind is None else [kind]:
            try:
                await bound.validate_model_credentials(deployment.model, each, context)
            except ModelHubError as error:
                first_error = first_error or error
            else:
                return
        if first_error is not None:
            raise first_error

    async def operated(
        self, provider: str, name: str, arguments: Mapping[str, JSON], credentials: object
    ) -> AsyncGenerator[Progress, None]:
        """Run one of a provider's operations."""
        naming = self._named(provider, str(arguments.get("model", "")), credentials)
        del credentials  # this frame is in the traceback of whatever the operation raises
        deployment = await naming
        operations = deployment.plugin.schema.operations
        if name not in operations:
            remedy = did_you_mean(name, operations, what="operations")
            raise ConfigurationError(f"provider {provider!r} has no operation {name!r}", remedy=remedy)
        unknown = [each for each in arguments if each not in operations[name].arguments]
        if unknown:
            remedy = did_you_mean(unknown[0], operations[name].arguments, what="arguments")
            raise ConfigurationError(f"operation {name!r} takes no argument {unknown[0]!r}", remedy=remedy)
        async with self._using(deployment) as (bound, context):
            if bound.operate is None:
                raise PluginError(f"the manifest names the operation {name!r}, and the plugin has no operations")
            async with aclosing(bound.operate(name, arguments, context)) as reports:
                async for report in reports:
                    yield report

    @hides_arguments
    async def _named(self, provider: str, model: str, credentials: object) -> Deployment:
        id, _ = split_target(provider)
        plugin = await self.server.runtime.registry.find(id)
        return Deployment(plugin, model, await self._credential(plugin, model, credentials))

    @asynccontextmanager
    async def _using(
        self, deployment: Deployment, progress: Callable[[Progress], None] | None = None
    ) -> AsyncGenerator[tuple[BoundProvider, ProviderContext], None]:
        """Make the context of a hook. What the hook raises comes out as ours, attributed and without secrets."""
        runtime = self.server.runtime
        limits = runtime.limits(deployment.plugin, deadline=None, total=None, streaming=False)
        context: ProviderContext | None = None
        try:
            bound = await runtime.registry.bound(deployment.plugin)
            context = await runtime.context(bound, deployment, limits, progress=progress)
            yield bound, context
        except Exception as raised:  # noqa: BLE001  whatever a plugin raises is its own
            error = redacted(foreign(raised, deployment), deployment.credential)
            if isinstance(error, AuthenticationFailed):
                runtime.credentials.forget(deployment.plugin)
            raise attributed(error, deployment, ()) from error.__cause__
        except BaseException as cancelled:
            clear_locals(cancelled)  # as in the loop of attempts
            raise
        finally:
            if context is not None:
                await released(context)

    async def _credential(
        self,
        plugin: Plugin,
        model: str,
        credentials: object,
        kind: ModelType | None = None,
        name: str | None = None,
    ) -> Credential:
        if name is not None:
            return await self.server.runtime.credentials.named(plugin, name, model, kind)
        given = None
        if credentials is not None:
            given = GivenCredentials(plugin.id, credential_sources(credentials, plugin.id))
        return (await self.server.runtime.credentials.usable(plugin, model, kind, given=given)).credentials[0]

    def __repr__(self) -> str:
        return f"<Calls {'entered' if self._server is not None else 'not entered'}>"


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


def _type_named(kind: ModelType | None) -> ModelType | None:
    """Return a model type, also where its wire name was given in place of it."""
    if kind is None:
        return None
    try:
        return ModelType(kind)
    except ValueError as error:
        remedy = f"the types are {', '.join(ModelType)}"
        raise ConfigurationError(f"{kind!r} is no model type", remedy=remedy) from error
