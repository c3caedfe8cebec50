"""What models are, and which there are: from the manifest, or asked of the plugin and remembered.

A server that does not answer costs a call nothing that is known already: what was learned before goes on counting until
it can be asked again. Calls never wait for a list of models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias, final

import anyio

from modelhub.errors import ModelHubError, ModelNotFound, UnknownModel
from modelhub.manifest.merging import merged, overlaid
from modelhub.rules.names import did_you_mean
from modelhub.rules.rule_set import with_whole_rules
from modelhub.runtime.remembered import Remembered
from modelhub.types.schema import ModelSchema, ModelType

if TYPE_CHECKING:
    from modelhub.configuration.settings import ModelOverlay
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.deployments import Deployment
    from modelhub.runtime.plugin import Plugin
    from modelhub.runtime.plugins import PluginRegistry
    from modelhub.runtime.registration import BoundProvider

__all__ = ["Catalogue", "Opened"]

_SUGGEST_SECONDS = 2.0
"""How long the names of other models may take, for the message that one does not exist."""

Opened: TypeAlias = Callable[["Deployment"], AbstractAsyncContextManager[tuple["BoundProvider", "ProviderContext"]]]
"""Makes the context of a hook, and releases it."""


@final
class Catalogue:
    """Model schemas and lists of models, remembered for five minutes per credential.

    What is out of date is used for a day more while the vendor cannot be asked.

    Args:
        registry: Where predefined models are read.
        overlays: What the application says of models, by ``provider/model``.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        overlays: Mapping[str, ModelOverlay] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._overlays = overlays or {}
        self._known: Remembered[ModelSchema] = Remembered(clock)
        self._lists: Remembered[Sequence[ModelSchema]] = Remembered(clock)

    def known(self, deployment: Deployment, kind: ModelType) -> ModelSchema | None:
        """Return a model's schema if it is remembered; costs a lookup."""
        return self._known.fresh((deployment.plugin.id, deployment.model, kind, deployment.credential.key))

    def presumed(self, deployment: Deployment, kind: ModelType, listed: ModelSchema | None = None) -> ModelSchema:
        """Return what is known of a model without asking its server: what is remembered, else what the settings say.

        Args:
            deployment: Where the model is.
            kind: Its type.
            listed: The model as its provider's manifest has it, if it has.
        """
        known = self.known(deployment, kind)
        return known or self._overlaid(listed or ModelSchema(deployment.model, kind), deployment.name)

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
        key = (deployment.plugin.id, deployment.model, kind, deployment.credential.key)

        async def ask() -> ModelSchema:
            return await self._described(deployment, kind, bound, context)

        return await self._known.get(key, ask, what=f"the model {deployment.name}")

    async def _described(
        self, deployment: Deployment, kind: ModelType, bound: BoundProvider, context: ProviderContext
    ) -> ModelSchema:
        plugin = deployment.plugin
        models = await self._registry.models(plugin)
        overlay = self._overlays.get(deployment.name)
        schema = predefined = models.get((kind, deployment.model))
        if overlay is not None and overlay.remove:
            raise UnknownModel(f"the settings take the model {deployment.name!r} away", remedy="take `remove` out")
        if bound.describe_model is not None:
            asked = await bound.describe_model(deployment.model, kind, context)
            if asked is None:
                raise await self._missing(deployment, kind, bound, context)
            schema = merged(asked, plugin.schema, predefined)
        if schema is None and self._may_be(plugin, overlay, kind):
            schema = merged(ModelSchema(deployment.model, kind, fetch_from="customizable-model"), plugin.schema)
        if schema is None:
            names = [name for of_kind, name in models if of_kind is kind]
            message = f"provider {deployment.provider_id!r} has no {kind.value} model {deployment.model!r}"
            raise UnknownModel(message, remedy=did_you_mean(deployment.model, names, what="models"))
        return self._overlaid(schema, deployment.name)

    def _may_be(self, plugin: Plugin, overlay: ModelOverlay | None, kind: ModelType) -> bool:
        """Whether a model that nobody described can be one all the same.

        The manifest may leave it to users to name models, and the settings may name one.
        """
        if overlay is not None:
            return _kind(overlay) is kind
        return "customizable-model" in plugin.schema.configurate_methods

    def _overlaid(self, schema: ModelSchema, name: str) -> ModelSchema:
        overlay = self._overlays.get(name)
        if overlay is not None:
            schema = overlaid(schema, overlay.fields, f'models."{name}"')
        return with_whole_rules(schema)

    async def _missing(
        self, deployment: Deployment, kind: ModelType, bound: BoundProvider, context: ProviderContext
    ) -> ModelHubError:
        """Make the error of a model that the server does not have, with the nearest names if they come soon."""
        names: list[str] = []
        with anyio.move_on_after(_SUGGEST_SECONDS):
            try:
                listed = await self._listed(deployment, bound, context)
                names = [schema.model for schema in listed if schema.model_type is kind]
            except Exception:  # noqa: BLE001  the model is missing all the same, and that is what the caller must hear
                names = []
        error = ModelNotFound(f"there is no {kind.value} model {deployment.model!r}")
        error.remedy = did_you_mean(deployment.model, names, what="models")
        return error

    async def list(
        self, deployment: Deployment, opened: Opened, kind: ModelType | None = None, *, refresh: bool = False
    ) -> Sequence[ModelSchema]:
        """Return a provider's models: those the vendor lists, or, where it lists none, those of the manifest.

        Models that the settings name are among them, and those that they take away are not.

        Args:
            deployment: Whose models; its model does not matter.
            opened: Makes the context of a hook where the vendor must be asked.
            kind: Only those of this type.
            refresh: Whether to ask the vendor although a list is remembered.

        Raises:
            ModelHubError: They could not be listed, and were not before.
        """
        plugin = deployment.plugin
        key = (plugin.id, deployment.credential.key)
        bound = await self._registry.bound(plugin)
        found: Sequence[ModelSchema] = list((await self._registry.models(plugin)).values())
        if bound.list_models is not None:

            async def ask() -> Sequence[ModelSchema]:
                async with opened(deployment) as (bound, context):
                    return await self._asked_for_list(plugin, bound, context)

            found = await self._lists.get(key, ask, what=f"the models of {plugin.id}", now=refresh)
        return [schema for schema in self._as_configured(plugin, found) if kind is None or schema.model_type is kind]

    async def _listed(
        self, deployment: Deployment, bound: BoundProvider, context: ProviderContext
    ) -> Sequence[ModelSchema]:
        """Return the vendor's list within a context that is open already."""
        if bound.list_models is None:
            return ()
        key = (deployment.plugin.id, deployment.credential.key)

        async def ask() -> Sequence[ModelSchema]:
            return await self._asked_for_list(deployment.plugin, bound, context)

        return await self._lists.get(key, ask, what="the nearest names")

    async def _asked_for_list(
        self, plugin: Plugin, bound: BoundProvider, context: ProviderContext
    ) -> Sequence[ModelSchema]:
        assert bound.list_models is not None  # noqa: S101  the callers have looked
        predefined = await self._registry.models(plugin)
        listed = await bound.list_models(context)
        return [merged(each, plugin.schema, predefined.get((each.model_type, each.model))) for each in listed]

    def _as_configured(self, plugin: Plugin, found: Sequence[ModelSchema]) -> Sequence[ModelSchema]:
        """Put the settings over a list: what they change, take away, and add."""
        own = {overlay.model: overlay for overlay in self._overlays.values() if overlay.provider == plugin.id}
        removed = {model for model, overlay in own.items() if overlay.remove}
        models = [
            self._overlaid(schema, f"{plugin.id}/{schema.model}") for schema in found if schema.model not in removed
        ]
        known = removed.union(schema.model for schema in found)
        for model in [each for each in own if each not in known]:
            schema = merged(ModelSchema(model, _kind(own[model]), fetch_from="customizable-model"), plugin.schema)
            models.append(self._overlaid(schema, f"{plugin.id}/{model}"))
        return models

    def __repr__(self) -> str:
        return f"<Catalogue: {len(self._known)} models, {len(self._lists)} lists>"


def _kind(overlay: ModelOverlay) -> ModelType:
    """Return the type of a model that only the settings know."""
    return ModelType(overlay.fields.get("model_type") or ModelType.LLM)
