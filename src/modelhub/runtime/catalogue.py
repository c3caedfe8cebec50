"""What models are: from the manifest, or asked of the plugin once and remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import final

from modelhub.errors import ModelHubError, ModelNotFound, UnknownModel
from modelhub.manifest.merging import merged
from modelhub.provider.context import ProviderContext
from modelhub.rules.names import did_you_mean
from modelhub.runtime.core import Deployment, Runtime
from modelhub.runtime.registration import BoundProvider
from modelhub.runtime.single_flight import SingleFlight
from modelhub.types.schema import ModelSchema, ModelType

__all__ = ["Catalogue"]

_REMEMBER_SECONDS = 300.0


@final
class Catalogue:
    """Model schemas, remembered for five minutes per credential.

    Args:
        runtime: What contexts are made with.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, runtime: Runtime, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._runtime = runtime
        self._clock = clock
        self._known: dict[object, tuple[ModelSchema, float]] = {}
        self._flights = SingleFlight()

    def known(self, deployment: Deployment, kind: ModelType) -> ModelSchema | None:
        """Return a model's schema if it is remembered; costs a lookup."""
        entry = self._known.get((deployment.plugin.id, deployment.model, kind, deployment.credential.key))
        return entry[0] if entry is not None and entry[1] > self._clock() else None

    async def describe(
        self, deployment: Deployment, kind: ModelType, bound: BoundProvider, context: ProviderContext
    ) -> ModelSchema:
        """Return a model's schema: remembered, asked of the plugin, or from the manifest.

        A plugin that describes models is asked before the manifest is believed: the server knows better what it serves.

        Raises:
            ModelNotFound: The server does not have it; the message gives the nearest names.
            UnknownModel: The provider knows no such model.
            ModelHubError: What asking the plugin ended with.
        """
        known = self.known(deployment, kind)
        if known is not None:
            return known
        key = (deployment.plugin.id, deployment.model, kind, deployment.credential.key)
        return await self._flights.run(key, lambda: self._described(key, deployment, kind, bound, context))

    async def _described(
        self,
        key: object,
        deployment: Deployment,
        kind: ModelType,
        bound: BoundProvider,
        context: ProviderContext,
    ) -> ModelSchema:
        models = await self._runtime.registry.models(deployment.plugin)
        predefined = models.get((kind, deployment.model))
        schema = predefined
        if bound.describe_model is not None:
            asked = await bound.describe_model(deployment.model, kind, context)
            if asked is None:
                raise await self._missing(deployment, kind, bound, context)
            schema = merged(asked, deployment.plugin.schema, predefined)
        if schema is None:
            schema = self._customizable(deployment, kind)
        if schema is None:
            names = [name for of_kind, name in models if of_kind is kind]
            message = f"provider {deployment.provider_id!r} has no {kind.value} model {deployment.model!r}"
            raise UnknownModel(message, remedy=did_you_mean(deployment.model, names, what="models"))
        self._remember(key, schema)
        return schema

    def _remember(self, key: object, schema: ModelSchema) -> None:
        now = self._clock()
        self._known.pop(key, None)
        self._known[key] = (schema, now + _REMEMBER_SECONDS)
        # All are remembered for equally long, so those that are out of date stand first.
        while next(iter(self._known.values()))[1] <= now:
            del self._known[next(iter(self._known))]

    def _customizable(self, deployment: Deployment, kind: ModelType) -> ModelSchema | None:
        """A model that nobody described: possible where the manifest says that models are named by the user."""
        provider = deployment.plugin.schema
        if "customizable-model" not in provider.configurate_methods:
            return None
        return merged(ModelSchema(deployment.model, kind, fetch_from="customizable-model"), provider)

    async def _missing(
        self, deployment: Deployment, kind: ModelType, bound: BoundProvider, context: ProviderContext
    ) -> ModelHubError:
        names: list[str] = []
        if bound.list_models is not None:
            try:
                names = [schema.model for schema in await bound.list_models(context) if schema.model_type is kind]
            except Exception:  # noqa: BLE001  the model is missing all the same, and that is what the caller must hear
                names = []
        error = ModelNotFound(f"there is no {kind.value} model {deployment.model!r}")
        error.remedy = did_you_mean(deployment.model, names, what="models")
        return error

    async def list(self, deployment: Deployment, kind: ModelType | None = None) -> Sequence[ModelSchema]:
        """Return a provider's models: those the vendor lists now, or, where it lists none, those of the manifest.

        Raises:
            Exception: What the plugin ended with.
        """
        plugin = deployment.plugin
        predefined = await self._runtime.registry.models(plugin)
        bound = await self._runtime.registry.bound(plugin)
        found: Sequence[ModelSchema] = list(predefined.values())
        if bound.list_models is not None:
            limits = self._runtime.limits(plugin, deadline=None, total=None, streaming=False)
            context = await self._runtime.context(bound, deployment, limits)
            listed = await bound.list_models(context)
            found = [merged(each, plugin.schema, predefined.get((each.model_type, each.model))) for each in listed]
        return [schema for schema in found if kind is None or schema.model_type is kind]

    def __repr__(self) -> str:
        return f"<Catalogue: {len(self._known)} models>"
