"""What is wrong with prices, said before anybody is told a cost that is not one.

A price that is wrong is worse than none: whoever reads prices takes those that this module complains of as unknown.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal

from modelhub.types.pricing import PricePeriod, Prices, PriceTier, Pricing

__all__ = ["PER_PIECE", "PRICE_NAMES", "check_pricing", "hours_of"]

PRICE_NAMES: Sequence[str] = tuple(each.name for each in fields(Prices))
"""The kinds of prices, by the names that manifests use."""

PER_PIECE: Sequence[str] = ("image", "request", "second", "minute", "hour", "character")
"""Prices that are for one piece of something. All others are for tokens."""

_OF_SOUND = ("second", "minute", "hour")
_OF_THE_ANSWER = frozenset({"output", "reasoning", "audio_output", *PER_PIECE})
_CURRENCY = re.compile(r"[A-Z]{3}")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


def check_pricing(pricing: Pricing) -> list[str]:
    """Return what is wrong with a model's prices, one sentence for each; nothing where they can be used.

    The values may be of any type: plugins give prices too, and no type checker has to have seen them.
    """
    return list(_complaints(pricing))


def hours_of(text: str) -> tuple[dt.time, dt.time] | None:
    """Read the hours of a day: ``16:30-00:30``. The end is not part of them; ``None`` where it says no hours."""
    found = _HOURS.fullmatch(text)
    if found is None:
        return None
    begin, end = dt.time(int(found[1]), int(found[2])), dt.time(int(found[3]), int(found[4]))
    return None if begin == end else (begin, end)


def _complaints(pricing: Pricing) -> Iterator[str]:
    yield from _of_a_factor("unit", pricing.unit)
    for name, unit in pricing.units.items():
        if name in PRICE_NAMES:
            yield from _of_a_factor(f"units.{name}", unit)
        else:
            yield f"units.{name}: there is no price of that name"
    if not _CURRENCY.fullmatch(str(pricing.currency)):
        yield f"currency: {pricing.currency!r} is no code of three capital letters, such as USD"
    if pricing.tiering not in {"whole", "marginal"}:
        yield f"tiering: {pricing.tiering!r} is neither whole nor marginal"
    yield from _of_a_period("", pricing, pricing.tiering)
    for number, period in enumerate(pricing.periods):
        yield from _of_a_period(f"periods[{number}].", period, pricing.tiering)
    if not any(_named(each) for each in (pricing, *pricing.periods)):
        yield "there is no price in it"


def _of_a_factor(where: str, unit: object) -> Iterator[str]:
    if not isinstance(unit, Decimal) or not unit.is_finite():
        yield f"{where}: {_shown(unit)} is no number; for prices per million write 0.000001"
    elif unit <= 0:
        yield f"{where}: {unit} makes everything cost nothing; for prices per million write 0.000001"
    elif unit > 1:
        yield f"{where}: {unit} is above 1; it is a factor, and 0.000001 for prices per million"


def _of_a_period(where: str, period: PricePeriod, tiering: str) -> Iterator[str]:
    yield from _of_prices(where, period)
    begin, end = period.effective_from, period.until
    if begin is not None and end is not None and begin >= end:
        yield f"{where}until: {end} is not after effective_from, {begin}"
    if period.hours is not None and hours_of(period.hours) is None:
        yield f"{where}hours: {period.hours!r} is not like 16:30-00:30"
    bounds = [tier.above for tier in period.tiers]
    if len(set(bounds)) < len(bounds):
        yield f"{where}tiers: two of them begin above the same number of tokens"
    for number, tier in enumerate(period.tiers):
        yield from _of_a_tier(f"{where}tiers[{number}].", tier, tiering)


def _of_a_tier(where: str, tier: PriceTier, tiering: str) -> Iterator[str]:
    yield from _of_prices(where, tier)
    if type(tier.above) is not int or tier.above < 0:
        yield f"{where}above: {_shown(tier.above)} is no number of tokens"
    named = _named(tier)
    if not named:
        yield f"{where[:-1]}: there is no price in it"
    for name in named:
        if tiering == "marginal" and name in _OF_THE_ANSWER:
            yield f"{where}{name}: marginal tiers are of the prompt's tokens alone"


def _of_prices(where: str, prices: Prices) -> Iterator[str]:
    named = _named(prices)
    for name, price in named.items():
        if not isinstance(price, Decimal):
            yield f"{where}{name}: {_shown(price)} is no Decimal"
        elif not price.is_finite() or price < 0:
            yield f"{where}{name}: {price} is no price"
    if len([name for name in _OF_SOUND if name in named]) > 1:
        yield f"{where}{'/'.join(name for name in _OF_SOUND if name in named)}: give one of them"


def _named(prices: Prices) -> Mapping[str, object]:
    return {name: price for name in PRICE_NAMES if (price := getattr(prices, name)) is not None}


def _shown(value: object) -> str:
    return f"{value}" if isinstance(value, Decimal | int | float) else f"a {type(value).__name__}"
