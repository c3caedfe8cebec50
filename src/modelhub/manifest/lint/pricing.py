"""Prices: that each is a number, that the unit is a factor, that the currency exists."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from decimal import Decimal
from functools import cache

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node
from modelhub.manifest.lint.shape import keys_of, misshapen, unknown_key
from modelhub.types.pricing import Pricing
from modelhub.types.schema import ModelType

__all__ = ["prices"]

_UNITS: Mapping[str, str] = {"M": "0.000001", "K": "0.001"}
_CURRENCIES: Mapping[str, str] = {"RMB": "CNY", "YUAN": "CNY", "$": "USD", "€": "EUR", "US$": "USD", "RP": "IDR"}
"""What people write in place of the code."""

_OURS: Mapping[str, str] = {
    "tiered_pricing": "tiers",
    "tiered": "tiers",
    "cached": "cached_read",
    "cache": "cached_read",
    "cached_input": "cached_read",
    "cache_read": "cached_read",
    "input_cached": "cached_read",
    "cached_write": "cache_write",
    "cache_creation": "cache_write",
    "thinking": "reasoning",
    "audio": "audio_input",
    "image": "image_input",
    "per_request": "request",
}
"""Keys of other price lists, with the ones that modelhub reads."""


def prices(node: Node, kind: str) -> Iterator[Defect]:
    """Yield what is wrong with a model's prices.

    Args:
        node: ``pricing``.
        kind: The model's type.
    """
    if node.value is None:
        return
    if not isinstance(node.value, Mapping):
        yield from misshapen(Pricing, node)
        return
    keys = keys_of(Pricing)
    for key, item in node.entries():
        if key in keys:
            yield from _value(key, item, keys[key])
        elif key in _OURS and _OURS[key] in keys:
            remedy = f"write {_OURS[key]!r}, and see its table in the contract"
            yield item.defect("price-key", f"pricing: nobody reads the key {key!r}", remedy)
        else:
            yield unknown_key(key, item, keys)
    if not node.has("input") and Pricing.__dataclass_fields__["input"].default is MISSING:
        yield node.defect("missing-key", "pricing: 'input' is missing", "add 'input'")
    if kind == ModelType.LLM.value and node.has("input") and not node.has("output") and not node.has("periods"):
        message = "pricing: an answer's tokens have no price, so that the cost of every call is unknown"
        yield node.defect("output-price-missing", message, "add 'output'; \"0\" where they are free")


def _value(key: str, node: Node, hint: object) -> Iterator[Defect]:
    if node.value is None:
        return
    if key == "currency":
        yield from _currency(node)
    elif key == "unit" or key.endswith("_unit"):
        yield from _unit(node)
    elif isinstance(node.value, str | int | float):
        yield from _price(key, node, hint)
    else:
        yield from misshapen(hint, node)
        yield from _nested(node)


def _nested(node: Node) -> Iterator[Defect]:
    """Yield the wrong numbers inside of tiers and periods; their shape is checked already."""
    for key, item in node.entries():
        if key == "currency" and item.value is not None:
            yield from _currency(item)
        elif key == "unit" and item.value is not None:
            yield from _unit(item)
        elif item.number is not None and not isinstance(item.value, bool):
            yield from _price(key, item, Decimal)
        else:
            yield from _nested(item)
    for item in node.items():
        yield from _nested(item)


def _price(key: str, node: Node, hint: object) -> Iterator[Defect]:
    if Decimal not in (hint, *getattr(hint, "__args__", ())):
        yield from misshapen(hint, node)
        return
    number = node.number
    if number is None or not number.is_finite():
        message = f"pricing: {key} {node.text!r} is no amount, so that the price is unknown"
        yield node.defect("price", message, 'write a number, such as "0.15"')
    elif number < 0:
        yield node.defect("price", f"pricing: {key} {node.text} is less than nothing", 'write a number from "0" on')


def _unit(node: Node) -> Iterator[Defect]:
    number = node.number
    factor = "a factor: 0.000001 for prices per million tokens, 0.001 per thousand"
    if number is None or not number.is_finite() or number < 0:
        short = re.fullmatch(r"\s*(?:1|per)?\s*([MK])\s*", node.text, re.IGNORECASE)
        remedy = f"write {_UNITS[short[1].upper()]!r}" if short else f"write {factor}"
        yield node.defect("unit", f"pricing: unit {node.text!r} is no factor, so that the price is unknown", remedy)
    elif number == 0:
        yield node.defect("unit-zero", f"pricing: with the unit {node.text} every call costs 0", f"write {factor}")
    elif number > 1:
        message = f"pricing: with the unit {node.text} a token costs {node.text} times its price"
        yield node.defect("unit", message, f"write {1 / number:f}" if number == 10**6 else f"write {factor}")


def _currency(node: Node) -> Iterator[Defect]:
    if node.text not in _codes() if _codes() else not re.fullmatch("[A-Z]{3}", node.text):
        meant = _CURRENCIES.get(node.text.upper()) or (node.text.upper() if node.text.upper() in _codes() else "")
        remedy = f"write {meant}" if meant else "write three letters, such as USD, EUR or IDR"
        yield node.defect("currency", f"pricing: {node.text!r} is no currency of ISO 4217", remedy)


@cache
def _codes() -> frozenset[str]:
    """Return the currencies that there are; none where the library that knows them is not installed."""
    try:
        from babel.numbers import list_currencies  # noqa: PLC0415  an extra's
    except ImportError:
        return frozenset()
    return frozenset(list_currencies())
