"""What models cost here: the plugin's prices, else those of a maintained list, looked up beside a call."""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import anyio

from modelhub.errors import ConfigurationError
from modelhub.provider.threads import run_in_thread
from modelhub.rules.price_checks import check_pricing
from modelhub.rules.pricing import cost_of
from modelhub.rules.usage import billable
from modelhub.runtime.price_list import NAME, installed, listed_price, loaded
from modelhub.types.results import Result

if TYPE_CHECKING:
    from modelhub.types.cost import Cost
    from modelhub.types.pricing import PriceSource, Pricing
    from modelhub.types.requests import Request
    from modelhub.types.schema import ModelSchema, ProviderSchema
    from modelhub.types.usage import Usage

__all__ = ["PriceBook"]

_log = logging.getLogger("modelhub.prices")
_REMEMBERED = 4096
"""Models whose prices are remembered. Names of models come with calls, and there is no end to them."""


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@final
class PriceBook:
    """The prices of models. Making one blocks, shortly: do it in a thread.

    Args:
        source: ``manifest`` for plugins' own prices alone, ``genai-prices`` for that package besides; without it, the
            package where it is installed.
        now: The time of day.
        listed: Gives the listed prices of a provider's model; called in a thread.
        patience: Seconds that the list may take before it is done without.

    Raises:
        ConfigurationError: The package is wanted and not installed.
    """

    def __init__(
        self,
        source: PriceSource | None = None,
        *,
        now: Callable[[], dt.datetime] = _now,
        listed: Callable[[str, str], Pricing | None] = listed_price,
        patience: float = 10.0,
    ) -> None:
        self._listed = source != "manifest" and installed()
        if source == NAME and not self._listed:
            message = f"prices are to come from {NAME}, which is not installed"
            raise ConfigurationError(message, remedy='run: pip install "modelhub-core[prices]"')
        self._now = now
        self._list = listed
        self._patience = patience
        self._loading = False
        self._known: dict[tuple[str, str, str], tuple[Pricing | None, Pricing | None]] = {}

    def begin(self, schema: ModelSchema, provider: ProviderSchema) -> None:
        """Have the list loaded beside what follows, where the model's prices will be looked for in it."""
        if self._loading or schema.pricing is not None or not self._in_list(provider):
            return
        self._loading = True
        threading.Thread(target=loaded, name="price list", daemon=True).start()

    async def pricing_for(
        self, schema: ModelSchema, provider: ProviderSchema, *, patience: float = math.inf
    ) -> Pricing | None:
        """Return a model's prices, or ``None`` where they are unknown.

        A plugin's own prices go before listed ones. Where they are wrong they are unknown, and so not listed ones
        instead: the plugin may sell under the name of a listed model at another price.

        Args:
            schema: The model.
            provider: Its provider.
            patience: Seconds that looking them up may take; where it takes longer they are unknown this time.
        """
        known = self._known.get(_key(schema, provider))
        if known is not None and known[0] is schema.pricing:
            return known[1]
        if schema.pricing is not None:
            pricing = _checked(schema.pricing, f"{provider.provider}/{schema.model}")
        elif self._in_list(provider):
            return (await self._look_up([schema], provider, patience))[0]
        else:
            pricing = None
        self._remember(schema, provider, pricing)
        return pricing

    async def priced(self, schemas: Sequence[ModelSchema], provider: ProviderSchema) -> Sequence[ModelSchema]:
        """Return models with the prices that their calls are charged by."""
        if self._in_list(provider):
            missing = [each for each in schemas if each.pricing is None and _key(each, provider) not in self._known]
            await self._look_up(missing, provider)
        return [_with(schema, await self.pricing_for(schema, provider)) for schema in schemas]

    async def _look_up(
        self, schemas: Sequence[ModelSchema], provider: ProviderSchema, patience: float = math.inf
    ) -> Sequence[Pricing | None]:
        """Look models up in the list, or give the list up where it does not answer: it holds up whole answers."""
        if not schemas:
            return ()
        self._loading = True
        id = _listed_id(provider)
        with anyio.move_on_after(min(patience, self._patience)):
            found = await run_in_thread(lambda: [self._list(id, each.model) for each in schemas], name="price list")
            for schema, pricing in zip(schemas, found, strict=True):
                self._remember(schema, provider, pricing)
            return found
        if patience < self._patience:
            return [None] * len(schemas)  # a caller's own haste says nothing of the list
        _log.warning("%s did not load within %g s, so prices it would know are unknown", NAME, self._patience)
        self._listed = False
        return [None] * len(schemas)

    def _remember(self, schema: ModelSchema, provider: ProviderSchema, pricing: Pricing | None) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[_key(schema, provider)] = (schema.pricing, pricing)

    async def cost(
        self,
        request: Request[Any],
        result: Result,
        schema: ModelSchema,
        provider: ProviderSchema,
        *,
        seconds: float = 0.0,
        patience: float = math.inf,
    ) -> Cost | None:
        """Return what an answer cost, or ``None`` where nothing of it is known.

        Args:
            request: What was asked.
            result: What came.
            schema: The model that answered.
            provider: Its provider.
            seconds: How long ago it was asked: the prices of that time count.
            patience: Seconds that looking the prices up may take.
        """
        pricing = await self.pricing_for(schema, provider, patience=patience)
        return self._cost(request, result, pricing, f"{provider.provider}/{schema.model}", seconds=seconds)

    def cost_by(
        self, pricing: Pricing | None, request: Request[Any], usage: Usage, name: str, *, seconds: float
    ) -> Cost | None:
        """Return what a usage cost, by prices that have been looked up before; without waiting.

        Args:
            pricing: The prices.
            request: What was asked.
            usage: What was used.
            name: The model, for the log.
            seconds: How long ago it was asked: the prices of that time count.
        """
        return self._cost(request, Result(usage=usage), pricing, name, seconds=seconds)

    def _cost(
        self, request: Request[Any], result: Result, pricing: Pricing | None, name: str, *, seconds: float
    ) -> Cost | None:
        if pricing is None:
            return None
        at = self._now() - dt.timedelta(seconds=seconds)
        try:
            return cost_of(billable(request, result), pricing, at=at)
        except Exception as error:  # noqa: BLE001  plugins make usages of anything; the answer is paid for and must arrive
            _log.warning("the cost of an answer of %s cannot be told: %s: %s", name, type(error).__name__, error)
            return None

    def _in_list(self, provider: ProviderSchema) -> bool:
        return self._listed and bool(_listed_id(provider))

    def __repr__(self) -> str:
        return f"<PriceBook {'with ' + NAME if self._listed else 'of plugins alone'}: {len(self._known)} models>"


def _key(schema: ModelSchema, provider: ProviderSchema) -> tuple[str, str, str]:
    return provider.provider, schema.model, schema.model_type


def _with(schema: ModelSchema, pricing: Pricing | None) -> ModelSchema:
    return schema if pricing is schema.pricing else replace(schema, pricing=pricing)


def _listed_id(provider: ProviderSchema) -> str:
    return provider.provider if provider.prices_of is None else provider.prices_of


def _checked(pricing: Pricing, name: str) -> Pricing | None:
    try:
        complaints = check_pricing(pricing)
    except Exception as error:  # noqa: BLE001  a plugin may give anything, and its answers are worth more than prices
        complaints = [f"they cannot be read: {type(error).__name__}"]
    if not complaints:
        return pricing
    _log.warning("the prices of %s are taken as unknown: %s", name, "; ".join(complaints))
    return None
