"""What a call cost: a pure function of usage, prices and time. Unknown is ``None``, never 0.

How counts and prices go together, where vendors and manifests leave something open:

* A kind of token that has a price of its own is taken out of ``input`` or ``output``, which include it. Where kinds
  overlap, those from the cache come first.
* Where it is not known how many tokens were of such a kind, all are charged by the plain price, and the cost is an
  estimate. So it is where tokens of a cache or of sound were counted that have no price of their own.
* What is free costs nothing, however much of it was used.
* What has a price and no count, or a count of tokens and no price, makes the total unknown. What is known is itemised.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import isfinite
from typing import final

from modelhub.rules.price_checks import PER_PIECE, PRICE_NAMES, hours_of
from modelhub.types.cost import Cost, Costs, exactly
from modelhub.types.pricing import PricePeriod, Prices, Pricing
from modelhub.types.results import Result
from modelhub.types.usage import Usage

__all__ = ["cost_of", "period_at", "prices_above", "sum_costs", "usual_price"]

_PROMPT = {
    "cached_read": "cached_tokens",
    "cache_write": "cache_write_tokens",
    "audio_input": "audio_input_tokens",
    "image_input": "image_input_tokens",
}
_ANSWER = {"reasoning": "reasoning_tokens", "audio_output": "audio_output_tokens"}
"""Parts of a plain count that may have a price of their own, in the order in which they are taken out of it."""

_PRICED_APART = frozenset({"cached_read", "cache_write", "audio_input", "audio_output"})
"""Parts that vendors hardly ever charge by the plain price."""

_COUNTS = {
    "image": "images",
    "request": "requests",
    "second": "seconds",
    "minute": "seconds",
    "hour": "seconds",
    "character": "characters",
}
_SECONDS = {"minute": Decimal(60), "hour": Decimal(3600)}
_CODES = {"RMB": "CNY"}
"""Names of currencies that manifests use, and their codes in ISO 4217."""


def cost_of(usage: Usage | None, pricing: Pricing | None, *, at: dt.datetime) -> Cost | None:
    """Return what a usage cost.

    Args:
        usage: What was used.
        pricing: The model's prices, which `check_pricing` has nothing against.
        at: When it was asked; days and hours are those of UTC.

    Returns:
        The cost, or ``None`` where nothing of it is known.
    """
    period = None if pricing is None else period_at(pricing, at)
    if usage is None or pricing is None or period is None:
        return None
    bill = _Bill(pricing, period, usage)
    with exactly():
        bill.charge_tokens()
        bill.charge_pieces()
    if not bill.items:
        return None
    return Cost(
        bill.items,
        _CODES.get(pricing.currency, pricing.currency),
        unknown=tuple(dict.fromkeys(bill.unknown)),
        estimated=bill.estimated or usage.estimated,
        source=pricing.source,
        effective_from=period.effective_from,
    )


def sum_costs(results: Iterable[Result]) -> Costs:
    """Add what several results cost, each currency for itself."""
    return Costs.of(result.cost for result in results)


def period_at(pricing: Pricing, at: dt.datetime) -> PricePeriod | None:
    """Return the prices that hold at a time, or ``None`` where none do.

    Args:
        pricing: A model's prices.
        at: The time; one without a time zone is one of UTC.
    """
    moment = at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at.astimezone(dt.UTC)
    holding = [each for each in (pricing, *pricing.periods) if _holds(each, moment) and _priced(each)]
    # `max` takes the first of equals, and what is written later should count: so from behind.
    return max(
        reversed(holding), key=lambda each: (each.hours is not None, each.effective_from or dt.date.min), default=None
    )


def _holds(period: PricePeriod, moment: dt.datetime) -> bool:
    day = moment.date()
    if period.effective_from is not None and day < period.effective_from:
        return False
    if period.until is not None and day >= period.until:
        return False
    if period.hours is None:
        return True
    hours = hours_of(period.hours)
    if hours is None:
        return False
    begin, end = hours
    now = moment.time()
    return begin <= now < end if begin < end else now >= begin or now < end


def _priced(prices: Prices) -> bool:
    return any(getattr(prices, name) is not None for name in PRICE_NAMES)


def prices_above(period: PricePeriod, tokens: int) -> Prices:
    """Return the prices of a prompt of so many tokens: those of the tiers it reaches, over the plain ones."""
    *_, (_begin, prices) = _bands(period, tokens)
    return prices


def _bands(period: PricePeriod, tokens: int) -> Iterator[tuple[int, Prices]]:
    """Yield the bands that a prompt reaches: above how many tokens each begins, and its prices."""
    prices: Prices = period
    yield 0, prices
    for tier in sorted(period.tiers, key=lambda tier: tier.above):
        if tokens > tier.above:
            own = {name: price for name in PRICE_NAMES if (price := getattr(tier, name)) is not None}
            prices = replace(prices, **own)
            yield tier.above, prices


@final
@dataclass(slots=True)
class _Bill:
    """What has been charged so far."""

    pricing: Pricing
    period: PricePeriod
    usage: Usage
    items: dict[str, Decimal] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    estimated: bool = False

    def charge_tokens(self) -> None:
        """Charge the prompt's tokens and the answer's."""
        tokens = _count(self.usage.input_tokens)
        if tokens is None and self.period.tiers:
            # Any of the tiers may be the one that counts.
            self.unknown += [name for name in ("input", "output") if getattr(self.period, name) is not None]
            return
        bands = list(_bands(self.period, tokens or 0))
        if self.pricing.tiering == "whole":
            bands = [(0, bands[-1][1])]
        pays_pieces_alone = not any(
            getattr(prices, name) is not None for _, prices in bands for name in PRICE_NAMES if name not in PER_PIECE
        )
        if pays_pieces_alone:
            return
        self._charge("input", _PROMPT, tokens, bands)
        self._charge("output", _ANSWER, _count(self.usage.output_tokens), [(0, bands[0][1])])

    def _charge(
        self, plain: str, parts: dict[str, str], count: int | None, bands: Sequence[tuple[int, Prices]]
    ) -> None:
        """Charge a count of tokens, its parts by prices of their own where they have one."""
        prices = [each for _, each in bands]
        names = [plain, *parts]
        if count is None:
            owed = [name for name in names if any(getattr(each, name) for each in prices)]
            free = [name for name in names if any(getattr(each, name) is not None for each in prices)]
            if owed:
                self.unknown.append(plain)
            elif free:
                self.items[plain] = Decimal()
            return
        done = 0
        for name, attribute in parts.items():
            part = _count(getattr(self.usage, attribute))
            own = any(getattr(each, name) is not None for each in prices)
            if count and ((own and part is None) or (part and not own and name in _PRICED_APART)):
                self.estimated = True
            if own and part:
                taken = min(part, count - done)
                self.estimated = self.estimated or taken < part
                self._lay(name, plain, done, done + taken, bands)
                done += taken
        self._lay(plain, plain, done, count, bands)

    def _lay(self, name: str, plain: str, begin: int, end: int, bands: Sequence[tuple[int, Prices]]) -> None:
        """Charge the tokens from ``begin`` to ``end``, each by the band it lies in."""
        for number, (bottom, prices) in enumerate(bands):
            top = bands[number + 1][0] if number + 1 < len(bands) else end
            tokens = min(end, top) - max(begin, bottom)
            by = name if getattr(prices, name) is not None else plain
            price: Decimal | None = getattr(prices, by)
            if price is None:
                if tokens > 0:
                    self.unknown.append(name)
            elif tokens >= 0:
                self.items[name] = self.items.get(name, Decimal()) + tokens * price * self._unit(by)

    def charge_pieces(self) -> None:
        """Charge what is paid by the piece."""
        prices = prices_above(self.period, _count(self.usage.input_tokens) or 0)
        for name, attribute in _COUNTS.items():
            price: Decimal | None = getattr(prices, name)
            if price is None:
                continue
            number = _number(getattr(self.usage, attribute))
            if not price:
                self.items[name] = Decimal()
            elif number is None:
                self.unknown.append(name)
            else:
                self.items[name] = number * price * self._unit(name) / _SECONDS.get(name, Decimal(1))

    def _unit(self, name: str) -> Decimal:
        plain = Decimal(1) if name in PER_PIECE else self.pricing.unit
        return self.pricing.units.get(name, plain)


def _count(value: object) -> int | None:
    """Return a count that can be one: plugins pass on whatever their vendor sent."""
    return value if type(value) is int and value >= 0 else None


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        return None
    return Decimal(str(value))


_USUAL = Usage(1000, 300, seconds=60.0, characters=1000, images=0)
"""What calls are compared by where the cheapest model is wanted: a prompt of 1,000 tokens and an answer of 300."""


def usual_price(pricing: Pricing) -> Decimal | None:
    """Return what a usual call costs, to compare models by; ``None`` where not even a part of that is known."""
    cost = cost_of(_USUAL, pricing, at=dt.datetime.now(dt.UTC))
    return None if cost is None or not cost.items else cost.known
