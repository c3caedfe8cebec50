"""Prices that no plugin gives: those that the package ``genai-prices`` keeps, in the words of our own.

Nothing is fetched: the prices are those of the installed version. An application that has the package keep itself up
to date, or gives it prices of its own, is served those. Loading it takes half a second, so it is for threads, and for
those alone who need it.

A provider is looked for by the exact id. The package itself would also take one whose name only contains another's,
which is right for vendors and wrong for the many servers that call themselves compatible with one.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from modelhub.rules.price_checks import check_pricing
from modelhub.types.pricing import PricePeriod, PriceTier, Pricing

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider

__all__ = ["NAME", "installed", "listed_price", "loaded", "pricing_from"]

NAME = "genai-prices"
_MODULE = "genai_prices"
_log = logging.getLogger("modelhub.prices")

_KEYS: Mapping[str, tuple[str, ...]] = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cached_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok", "cache_write_5m_mtok"),
    "reasoning": ("output_reasoning_mtok",),
    "audio_input": ("input_audio_mtok",),
    "audio_output": ("output_audio_mtok",),
    "image_input": ("input_image_mtok",),
    "request": ("requests_kcount", "rerank_searches_kcount"),
    "hour": ("audio_hours", "input_audio_hours", "output_audio_hours"),
    "character": ("input_mchars",),
}
"""Our names and the list's, of which the first that has a price counts."""

_UNITS = {"request": Decimal("0.001"), "character": Decimal("0.000001")}


def installed() -> bool:
    """Whether the package is there. Blocks, shortly."""
    return find_spec(_MODULE) is not None


@cache
def loaded() -> bool:
    """Load the package. Blocks for half a second the first time.

    Returns:
        Whether it can be used.
    """
    try:
        from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  wanted only where a plugin has no prices

        get_snapshot()
    except Exception as error:  # noqa: BLE001  whatever is wrong with it: prices are unknown then, and calls go on
        _log.warning("%s cannot be used, so prices it would know are unknown: %s", NAME, error)
        return False
    return True


def listed_price(provider: str, model: str) -> Pricing | None:
    """Return the listed prices of a model, or ``None`` where there are none. Blocks: call it in a thread.

    Args:
        provider: The id by which the list knows the provider. Case does not matter, nor ``-`` or ``_``.
        model: The model's name, as calls give it; the list says which names mean which model.
    """
    if not loaded():
        return None
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  likewise

    try:
        known = get_snapshot().providers
        wanted = _spelt(provider)
        found = next((each for each in known if _spelt(each.id) == wanted), None)
        info = None if found is None else _model(found, model, known)
        pricing = None if info is None else pricing_from(info)
    except Exception as error:  # noqa: BLE001  another version may be made in another way
        _log.warning("%s could not say the prices of %s: %s: %s", NAME, model, type(error).__name__, error)
        return None
    return pricing


def _spelt(id: str) -> str:
    return id.strip().lower().replace("_", "-")


def _model(provider: Provider, model: str, known: list[Provider]) -> ModelInfo | None:
    return provider.find_model(model, all_providers=known)


def pricing_from(model: ModelInfo) -> Pricing | None:
    """Return what the list says of a model in our own words; ``None`` where nothing of it is a price that we know."""
    listed: list[ConditionalPrice] | ModelPrice = model.prices
    if not isinstance(listed, list):
        base, periods = _period(listed), []
    else:
        base, *periods = [_conditional(each) for each in listed] or [PricePeriod()]
    said = {name: getattr(base, name) for name in PricePeriod.__dataclass_fields__}
    pricing = Pricing(**said, units=_UNITS, periods=tuple(periods), source=f"{NAME} {version(NAME)}")
    complaints = check_pricing(pricing)
    if complaints:
        _log.debug("the listed prices of %s cannot be used: %s", model.id, "; ".join(complaints))
        return None
    return pricing


def _conditional(listed: ConditionalPrice) -> PricePeriod:
    period = _period(listed.prices)
    condition: Any = listed.constraint
    if condition is None:
        return period
    if hasattr(condition, "start_date"):
        return replace(period, effective_from=condition.start_date)
    return replace(period, hours=f"{_in_utc(condition.start_time)}-{_in_utc(condition.end_time)}")


def _in_utc(time: dt.time) -> str:
    moment = dt.datetime.combine(dt.date(2000, 1, 2), time)
    return moment.astimezone(dt.UTC).strftime("%H:%M") if time.tzinfo is not None else moment.strftime("%H:%M")


def _period(listed: ModelPrice) -> PricePeriod:
    found = {name: price for name, keys in _KEYS.items() if (price := _first(listed, keys)) is not None}
    bounds = sorted({tier.start for price in found.values() for tier in _tiers(price)})
    tiers = [PriceTier(**_prices_above(found, bound), above=bound) for bound in bounds]
    plain = {name: getattr(price, "base", price) for name, price in found.items()}
    return PricePeriod(**plain, tiers=tuple(tiers))


def _first(listed: ModelPrice, keys: Iterable[str]) -> Any:
    return next((price for key in keys if (price := vars(listed).get(key)) is not None), None)


def _tiers(price: Any) -> Iterable[Any]:
    tiers: Iterable[Any] = getattr(price, "tiers", ())
    return tiers


def _prices_above(found: Mapping[str, Any], bound: int) -> dict[str, Decimal]:
    return {name: tier.price for name, price in found.items() for tier in _tiers(price) if tier.start == bound}
