"""Money and prices as the user's language writes them. Rounded for the eye alone: ``--json`` has every digit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency, get_currency_precision

from modelhub.cli.figures import day_text, number_text, users_locale
from modelhub.cli.texts import N_, _
from modelhub.rules.price_checks import PER_PIECE, PRICE_NAMES
from modelhub.rules.pricing import period_at, prices_above
from modelhub.types.cost import Cost, exactly
from modelhub.types.pricing import PricePeriod, Prices, Pricing

__all__ = ["cost_text", "money", "price_rows", "price_text"]

_SIGNIFICANT = 4
"""Digits that small amounts are shown with."""

_MILLION = Decimal(1_000_000)
_NAMES = {
    "input": N_("prompt"),
    "output": N_("answer"),
    "cached_read": N_("prompt, read from the cache"),
    "cache_write": N_("prompt, written to the cache"),
    "reasoning": N_("reasoning"),
    "audio_input": N_("sound in the prompt"),
    "audio_output": N_("sound in the answer"),
    "image_input": N_("images in the prompt"),
}
_EACH = {
    "image": N_("{amount} per image"),
    "request": N_("{amount} per request"),
    "second": N_("{amount} per second"),
    "minute": N_("{amount} per minute"),
    "hour": N_("{amount} per hour"),
    "character": N_("{amount} per million characters"),
}


def money(amount: Decimal, currency: str) -> str:
    """Return an amount in the user's language: to the currency's own digits, or to four that count if it is small."""
    digits = get_currency_precision(currency)
    with exactly():
        if amount:
            digits = max(digits, _SIGNIFICANT - 1 - amount.adjusted())
        rounded = amount.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP).normalize()
    text: str = format_currency(rounded, currency, locale=users_locale(), decimal_quantization=False)
    return text.replace("\N{NO-BREAK SPACE}", " ")


def cost_text(cost: Cost) -> str:
    """Return what a call cost, and whether that is all of it and exact."""
    amount = money(cost.known, cost.currency)
    if cost.unknown:
        return _("at least {amount}").format(amount=amount)
    return _("about {amount}").format(amount=amount) if cost.estimated else amount


def price_text(pricing: Pricing | None, now: dt.datetime) -> str:
    """Return the prices of a model that hold now in a few words; empty where they are unknown."""
    period = None if pricing is None else period_at(pricing, now)
    if pricing is None or period is None:
        return ""
    if not any(getattr(each, name) for each in (period, *period.tiers) for name in PRICE_NAMES):
        return _("free")
    tokens = [_amount(pricing, period, name) for name in ("input", "output") if getattr(period, name) is not None]
    parts = [_("{amounts} per million tokens").format(amounts=" / ".join(tokens))] if tokens else []
    parts += [
        _(template).format(amount=_amount(pricing, period, name))
        for name, template in _EACH.items()
        if getattr(period, name) is not None
    ]
    return ", ".join(parts)


def price_rows(pricing: Pricing, now: dt.datetime) -> Sequence[tuple[str, str, str]]:
    """Return all prices of a model, one a row: what for, how much, and when; those that hold now first."""
    holding = period_at(pricing, now)
    periods = sorted((pricing, *pricing.periods), key=lambda each: each is not holding)
    return [row for period in periods for row in _rows_of(pricing, period)]


def _rows_of(pricing: Pricing, period: PricePeriod) -> Iterator[tuple[str, str, str]]:
    bounds = [0, *sorted(tier.above for tier in period.tiers)]
    for bound in bounds:
        prices = prices_above(period, bound + 1 if bound else 0)
        for name in PRICE_NAMES:
            if getattr(prices, name) is None or (bound and getattr(prices, name) == getattr(period, name)):
                continue
            amount = _amount(pricing, prices, name)
            if name in _EACH:
                yield "", _(_EACH[name]).format(amount=amount), _when(period, bound)
            else:
                yield _(_NAMES[name]), _("{amounts} per million tokens").format(amounts=amount), _when(period, bound)


def _when(period: PricePeriod, bound: int) -> str:
    parts = []
    if bound:
        parts.append(_("above {number} tokens").format(number=number_text(bound)))
    if period.effective_from is not None:
        parts.append(_("from {date}").format(date=day_text(period.effective_from)))
    if period.until is not None:
        parts.append(_("until {date}").format(date=day_text(period.until)))
    if period.hours is not None:
        parts.append(_("{hours} UTC").format(hours=period.hours))
    return ", ".join(parts)


def _amount(pricing: Pricing, prices: Prices, name: str) -> str:
    unit = pricing.units.get(name, Decimal(1) if name in PER_PIECE else pricing.unit)
    with exactly():
        many = _MILLION if name not in PER_PIECE or name == "character" else Decimal(1)
        amount = getattr(prices, name) * unit * many
    return money(amount, pricing.currency)
