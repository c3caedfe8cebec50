"""What models cost here: the plugin's prices, else those of a maintained list, looked up beside a call."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, final

from modelhub.errors import ConfigurationError
from modelhub.provider.threads import run_in_thread
from modelhub.rules.price_checks import check_pricing
from modelhub.rules.pricing import cost_of
from modelhub.rules.usage import billable
from modelhub.runtime.price_list import NAME, installed, listed_price, loaded

if TYPE_CHECKING:
    from modelhub.types.cost import Cost
    from modelhub.types.pricing import PriceSource, Pricing
    from modelhub.types.requests import Request
    from modelhub.types.results import Result
    from modelhub.types.schema import ModelSchema, ProviderSchema

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

    Raises:
        ConfigurationError: The package is wanted and not installed.
    """

    def __init__(self, source: PriceSource | None = None, *, now: Callable[[], dt.datetime] = _now) -> None:
        self._listed = source != "manifest" and installed()
        if source == NAME and not self._listed:
            message = f"prices are to come from {NAME}, which is not installed"
            raise ConfigurationError(message, remedy='run: pip install "modelhub-core[prices]"')
        self._now = now
        self._loading = False
        self._known: dict[tuple[str, str, str], tuple[Pricing | None, Pricing | None]] = {}

    def begin(self, schema: ModelSchema, provider: ProviderSchema) -> None:
        """Have the list loaded beside what follows, where the model's prices will be looked for in it."""
        if self._loading or schema.pricing is not None or not self._in_list(provider):
            return
        self._loading = True
        threading.Thread(target=loaded, name="price list", daemon=True).start()

    async def pricing_for(self, schema: ModelSchema, provider: ProviderSchema) -> Pricing | None:
        """Return a model's prices, or ``None`` where they are unknown.

        A plugin's own prices go before listed ones. Where they are wrong they are unknown, and so not listed ones
        instead: the plugin may sell under the name of a listed model at another price.
        """
        key = (provider.provider, schema.model, schema.model_type)
        known = self._known.get(key)
        if known is not None and known[0] is schema.pricing:
            return known[1]
        if schema.pricing is not None:
            found = _checked(schema.pricing, f"{provider.provider}/{schema.model}")
        elif self._in_list(provider):
            self._loading = True
            found = await run_in_thread(partial(listed_price, _listed_id(provider), schema.model), name="price list")
        else:
            found = None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = (schema.pricing, found)
        return found

    async def priced(self, schemas: Sequence[ModelSchema], provider: ProviderSchema) -> Sequence[ModelSchema]:
        """Return models with the prices that their calls are charged by."""
        missing = [schema.model for schema in schemas if schema.pricing is None]
        listed: dict[str, Pricing | None] = {}
        if missing and self._in_list(provider):
            self._loading = True
            id = _listed_id(provider)
            found = await run_in_thread(lambda: [listed_price(id, model) for model in missing], name="price list")
            listed = dict(zip(missing, found, strict=True))
        return [self._with(schema, listed.get(schema.model)) for schema in schemas]

    @staticmethod
    def _with(schema: ModelSchema, listed: Pricing | None) -> ModelSchema:
        pricing = listed if schema.pricing is None else _checked(schema.pricing, schema.model)
        return schema if pricing is schema.pricing else replace(schema, pricing=pricing)

    async def cost(
        self,
        request: Request[Any],
        result: Result,
        schema: ModelSchema,
        provider: ProviderSchema,
        *,
        seconds: float = 0.0,
    ) -> Cost | None:
        """Return what an answer cost, or ``None`` where nothing of it is known.

        Args:
            request: What was asked.
            result: What came.
            schema: The model that answered.
            provider: Its provider.
            seconds: How long ago it was asked: the prices of that time count.
        """
        pricing = await self.pricing_for(schema, provider)
        if pricing is None:
            return None
        at = self._now() - dt.timedelta(seconds=seconds)
        return cost_of(billable(request, result), pricing, at=at)

    def _in_list(self, provider: ProviderSchema) -> bool:
        return self._listed and bool(_listed_id(provider))

    def __repr__(self) -> str:
        return f"<PriceBook {'with ' + NAME if self._listed else 'of plugins alone'}: {len(self._known)} models>"


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
