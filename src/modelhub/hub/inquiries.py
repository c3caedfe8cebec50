"""What a hub tells of providers and models, and does with them besides calls: lists, forms, validation, operations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, final

from modelhub.configuration.settings import credential_sources
from modelhub.errors import (
    AuthenticationFailed,
    ConfigurationError,
    CredentialsInvalid,
    ModelHubError,
    ModelNotFound,
    PluginError,
    Scope,
    UnknownModel,
    UnsupportedFeature,
)
from modelhub.hub.asked import Binding
from modelhub.rules.form_schema import form_schema
from modelhub.rules.forms import model_form
from modelhub.rules.frames import clear_locals, hides_arguments
from modelhub.rules.names import did_you_mean
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.deployments import Deployment, split_target
from modelhub.runtime.failures import attributed, foreign, redacted
from modelhub.runtime.plugins import Plugin
from modelhub.runtime.server import Server, released
from modelhub.types.plugins import ValidationReport
from modelhub.types.records import Progress
from modelhub.types.schema import ModelSchema, ModelType

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.registration import BoundProvider
    from modelhub.types.credential import Credential
    from modelhub.types.json import JSON

__all__ = ["Inquiries"]

_OF_ONE_CREDENTIAL = frozenset({Scope.ENDPOINT, Scope.CREDENTIAL})
"""Faults that another credential, which may lead to another server, need not have."""


@final
class Inquiries:
    """Everything behind the hub's verbs but calls.

    Args:
        server: Returns what an entered hub works with.
    """

    def __init__(self, server: Callable[[], Server]) -> None:
        self._server = server

    async def listed(
        self, provider: str, kind: ModelType | None, credentials: object, *, refresh: bool
    ) -> Sequence[ModelSchema]:
        """Return a provider's models."""
        kind = _type_named(kind)
        id, _ = split_target(provider)
        plugin = await self._server().runtime.registry.find(id)
        usable = await self._usable(plugin, "", credentials)
        for number, credential in enumerate(usable, start=1):
            deployment = Deployment(plugin, "", credential, brought=credentials is not None)
            try:
                models = await self._server().catalogue.list(deployment, self._using, kind, refresh=refresh)
            except ModelHubError as error:
                if number == len(usable) or error.scope not in _OF_ONE_CREDENTIAL:
                    raise
            else:
                return await self._server().prices.priced(models, plugin.schema)
        raise UnknownModel(f"provider {provider!r} has no credential to list models with")

    async def form(
        self, provider: str, kind: ModelType | None, locale: str | Sequence[str] | None
    ) -> Mapping[str, JSON]:
        """Return a credential form as JSON Schema."""
        kind = _type_named(kind)
        id, _ = split_target(provider)
        schema = (await self._server().runtime.registry.find(id)).schema
        fields = schema.form if kind is None else model_form(schema)
        return form_schema(fields, locale=locale, model_type=kind)

    async def described(self, binding: Binding, kind: ModelType | None) -> ModelSchema:
        """Return what the first model of a binding is and takes."""
        kind = _type_named(kind)
        found = await self._server().runtime.deployments.find(binding.targets[:1], kind, binding.credentials)
        deployment = found.route.options[0].deployment
        schema = await self._described(deployment, kind)
        (priced,) = await self._server().prices.priced([schema], deployment.plugin.schema)
        return priced

    async def _described(self, deployment: Deployment, kind: ModelType | None) -> ModelSchema:
        kinds = [kind] if kind is not None else deployment.plugin.schema.supported_model_types
        first_error: ModelHubError | None = None
        for each in kinds:
            try:
                async with self._using(deployment) as (bound, context):
                    return await self._server().catalogue.describe(deployment, each, bound, context)
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
        plugin = await self._server().runtime.registry.find(provider)
        if credentials is None and name is None:
            name = (await self._server().runtime.credentials.names(plugin, model or ""))[0]
        try:
            credential = await self._credential(plugin, model or "", credentials, kind, name)
            deployment = Deployment(plugin, model or "", credential, brought=credentials is not None)
        except CredentialsInvalid as error:
            return ValidationReport.of(provider, (), error)
        await self._server().runtime.registry.bound(plugin)
        stages = ["form"]
        try:
            async with self._using(deployment, lambda progress: stages.append(progress.message)) as (bound, context):
                if bound.validate_provider_credentials is not None:
                    await bound.validate_provider_credentials(context)
                    self._server().runtime.balancer.accepted(plugin.id, credential)
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
        plugin = await self._server().runtime.registry.find(id)
        credential = await self._credential(plugin, model, credentials)
        return Deployment(plugin, model, credential, brought=credentials is not None)

    @asynccontextmanager
    async def _using(
        self, deployment: Deployment, progress: Callable[[Progress], None] | None = None
    ) -> AsyncGenerator[tuple[BoundProvider, ProviderContext], None]:
        """Make the context of a hook. What the hook raises comes out as ours, attributed and without secrets."""
        runtime = self._server().runtime
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
            return await self._server().runtime.credentials.named(plugin, name, model, kind)
        return (await self._usable(plugin, model, credentials, kind))[0]

    async def _usable(
        self, plugin: Plugin, model: str, credentials: object, kind: ModelType | None = None
    ) -> Sequence[Credential]:
        given = None
        if credentials is not None:
            given = GivenCredentials(plugin.id, credential_sources(credentials, plugin.id))
        return (await self._server().runtime.credentials.usable(plugin, model, kind, given=given)).credentials

    def __repr__(self) -> str:
        return "<Inquiries>"


def _type_named(kind: ModelType | None) -> ModelType | None:
    """Return a model type, also where its wire name was given in place of it."""
    if kind is None:
        return None
    try:
        return ModelType(kind)
    except ValueError as error:
        remedy = f"the types are {', '.join(ModelType)}"
        raise ConfigurationError(f"{kind!r} is no model type", remedy=remedy) from error
