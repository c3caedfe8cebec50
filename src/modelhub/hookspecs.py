"""The contract between the core and its plugins: the hooks, what they take, and what they return.

A plugin implements any of them, as a `modelhub.provider.ModelProvider` (which dispatches to one class per model
type), as an object, or as a module of functions marked with `hookimpl`. All hooks are ``firstresult``; a plugin may
take fewer arguments than the hook has. Contract versions count changes of the data (requests, events, manifest) as
well as of the signatures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from modelhub.provider.context import ProviderContext
    from modelhub.types.events import Event
    from modelhub.types.json import JSON
    from modelhub.types.records import Progress
    from modelhub.types.requests import Request
    from modelhub.types.results import Result
    from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema
    from modelhub.types.usage import TokenCount

__all__ = ["CONTRACT", "CONTRACTS", "EXTENSION_GROUP", "GROUP", "HOOKS", "PROJECT", "ProviderHooks", "hookimpl"]

PROJECT = "modelhub"
GROUP = "modelhub.providers"

EXTENSION_GROUP = "modelhub.extensions"
"""The entry points of middleware and sinks."""

CONTRACT = 1
"""The version of the contract that this core was written for."""

CONTRACTS = range(1, CONTRACT + 1)
"""The versions that this core can serve."""

hookspec: pluggy.HookspecMarker = pluggy.HookspecMarker(PROJECT)
hookimpl: pluggy.HookimplMarker = pluggy.HookimplMarker(PROJECT)


class ProviderHooks(Protocol):
    """Every hook of a provider plugin."""

    @hookspec(firstresult=True)
    def provider_schema(self) -> ProviderSchema:
        """Return the provider's schema. Rarely implemented: ``provider.yaml`` says it without code."""
        ...

    @hookspec(firstresult=True)
    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Check ``context.credential`` against the vendor, as cheaply as can be; never with a call that costs money.

        Report each stage passed with ``context.progress``.

        Raises:
            CredentialsInvalid: With ``fields`` saying what is wrong with which form field.
            ModelHubError: What the attempt to reach the vendor ended with.
        """
        ...

    @hookspec(firstresult=True)
    async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
        """Check that this model can be used with ``context.credential``; see `validate_provider_credentials`."""
        ...

    @hookspec(firstresult=True)
    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """Return the models that the vendor has now for this credential, beyond those of the manifest."""
        ...

    @hookspec(firstresult=True)
    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Return what one model is and takes, or ``None`` if there is no such model."""
        ...

    @hookspec(firstresult=True)
    async def invoke(self, request: Request[Result], context: ProviderContext) -> Result:
        """Answer a request, all at once. The hub adds price, warnings and attempts to the result."""
        ...

    @hookspec(firstresult=True)
    def stream(self, request: Request[Result], context: ProviderContext) -> AsyncGenerator[Event, None]:
        """Answer a request in events, `modelhub.types.events.Finish` last and once. Written as an async generator."""
        ...

    @hookspec(firstresult=True)
    async def count_tokens(self, request: Request[Result], context: ProviderContext) -> TokenCount | None:
        """Return how many tokens the request's prompt has, or ``None`` where the provider cannot tell."""
        ...

    @hookspec(firstresult=True)
    def operate(
        self, name: str, arguments: Mapping[str, JSON], context: ProviderContext
    ) -> AsyncGenerator[Progress, None]:
        """Do something besides answering, such as pulling a model, and say how far it has come."""
        ...

    @hookspec(firstresult=True)
    def open(self, context: ProviderContext) -> AbstractAsyncContextManager[object]:
        """Open what lasts longer than a call: tokens, an SDK's client, a loaded model.

        Entered once per event loop and credential; what it yields is ``context.session``. Left when the hub is, in
        whatever task that happens. Where a credential came with a call it may be left earlier, while no call has it,
        and entered anew when it is wanted again.
        """
        ...


HOOKS: tuple[str, ...] = (
    "provider_schema",
    "validate_provider_credentials",
    "validate_model_credentials",
    "list_models",
    "describe_model",
    "invoke",
    "stream",
    "count_tokens",
    "operate",
    "open",
)
"""The names of all hooks, in the order of the contract."""
