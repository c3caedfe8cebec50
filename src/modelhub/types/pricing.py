"""What a model costs, as manifests and price lists say it: prices by kind, their tiers, and when they hold.

The keys ``input``, ``output``, ``unit`` and ``currency`` are Dify's; the others are optional and ours.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Literal, TypeAlias

__all__ = ["PricePeriod", "PriceSource", "PriceTier", "Prices", "Pricing", "Tiering"]

Tiering: TypeAlias = Literal["whole", "marginal"]
"""What a tier's prices are for: the whole request, or only the tokens of the prompt that lie above its bound."""

PriceSource: TypeAlias = Literal["manifest", "genai-prices"]
"""Where prices may come from: plugins alone, or, where a plugin gives none, also that package."""

_UNSAID: tuple[object, ...] = (None, (), [], {})


@dataclass(frozen=True, slots=True, repr=False)
class Prices:
    """A price for each kind of thing that is paid for; ``None`` where none is known, which is not 0.

    Attributes:
        input: A token of the prompt.
        output: A token of the answer.
        cached_read: (ours) A token of the prompt that was read from a cache.
        cache_write: (ours) A token of the prompt that was written to a cache.
        reasoning: (ours) A token of reasoning; without it, reasoning costs what ``output`` says.
        audio_input: (ours) A token of sound in the prompt.
        audio_output: (ours) A token of sound in the answer.
        image_input: (ours) A token of images in the prompt; without it, they cost what ``input`` says.
        image: (ours) An image in the prompt, where vendors count images and not their tokens.
        request: (ours) A request.
        second, minute, hour: (ours) A second, minute or hour of sound; at most one of the three.
        character: (ours) A character of the text to be spoken.
    """

    input: Decimal | None = None
    output: Decimal | None = None
    cached_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    audio_input: Decimal | None = None
    audio_output: Decimal | None = None
    image_input: Decimal | None = None
    image: Decimal | None = None
    request: Decimal | None = None
    second: Decimal | None = None
    minute: Decimal | None = None
    hour: Decimal | None = None
    character: Decimal | None = None

    def __repr__(self) -> str:
        said = [f"{each.name}={value}" for each in fields(self) if (value := getattr(self, each.name)) not in _UNSAID]
        return f"<{type(self).__name__} {' '.join(said)}>"


@dataclass(frozen=True, slots=True, repr=False)
class PriceTier(Prices):
    """(ours) Prices of long prompts. Those it leaves out are as below its bound.

    Attributes:
        above: The prompt has more tokens than this.
    """

    above: int = field(kw_only=True)


@dataclass(frozen=True, slots=True, repr=False)
class PricePeriod(Prices):
    """(ours) Prices that hold for a time.

    Of several that hold at once, those of certain hours count before those of whole days; then the period that
    began last counts.

    Attributes:
        tiers: Prices of long prompts.
        effective_from: The first day on which they hold, in UTC.
        until: The first day on which they do not hold any more, in UTC.
        hours: The hours of each day in which they hold, in UTC, such as ``16:30-00:30``.
    """

    tiers: Sequence[PriceTier] = ()
    effective_from: dt.date | None = None
    until: dt.date | None = None
    hours: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Pricing(PricePeriod):
    """The prices of a model: ``count × price × unit`` in ``currency``.

    Attributes:
        unit: A factor for the prices of tokens, such as ``0.000001`` for prices per million.
        currency: ISO 4217 code.
        units: (ours) Factors for single prices, by their names. Without one, prices of tokens have ``unit`` and all
            others are for one piece.
        tiering: (ours) What the prices of a tier are for.
        periods: (ours) The prices of other times, in the same units and currency.
        source: (ours) Who says so: ``manifest`` for the plugin, ``overlay`` for the settings, or a package with its
            version. It is filled in and not written in YAML.
    """

    unit: Decimal = field(default=Decimal("0.000001"), kw_only=True)
    currency: str = field(default="USD", kw_only=True)
    units: Mapping[str, Decimal] = field(default_factory=dict, kw_only=True)
    tiering: Tiering = field(default="whole", kw_only=True)
    periods: Sequence[PricePeriod] = field(default=(), kw_only=True)
    source: str = field(default="manifest", kw_only=True)
