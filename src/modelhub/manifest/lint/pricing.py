"""Prices: that each is a number, that the unit is a factor, that the currency exists."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TypeVar

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.nodes import Node
from modelhub.manifest.lint.shape import keys_of, misshapen, unknown_key
from modelhub.rules.price_checks import PRICE_NAMES, check_pricing
from modelhub.types.pricing import PricePeriod, Prices, PriceTier, Pricing
from modelhub.types.schema import ModelType

__all__ = ["prices"]

P = TypeVar("P", bound=Prices)

_PATH = re.compile(r"[a-z_]+(?:\[[0-9]+\])?(?:\.[a-z_]+(?:\[[0-9]+\])?)*")
_STEP = re.compile(r"([a-z_]+)|\[([0-9]+)\]")
_EMPTY = "there is no price in it"
_NOWHERE = 10**15
_FACTOR = "a factor: 0.000001 for prices per million tokens, 0.001 per thousand"
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
    misread = list(_misread(Pricing, node))
    yield from misread
    if not isinstance(node.value, Mapping):
        return
    yield from _currency(node.get("currency"))
    for complaint in check_pricing(_built(Pricing, node)):
        path, _, problem = complaint.partition(": ")
        if misread and problem == _EMPTY:
            continue
        if path != "currency" and (_PATH.fullmatch(path) or not misread):
            yield _complaint(node, path if _PATH.fullmatch(path) else "", problem or complaint)
    if kind == ModelType.LLM.value and node.has("input") and not node.has("output"):
        message = "pricing: the answer's tokens have no price, so that the cost of every call is unknown"
        yield node.defect("output-price-missing", message, "add 'output'; \"0\" where they are free")


def _complaint(pricing: Node, path: str, problem: str) -> Defect:
    """Make the defect of a complaint, at the place that its words begin with."""
    place = pricing
    for word, number in _STEP.findall(path):
        place = place.get(word) if word else Node(place.file, (*place.path, int(number)), None)
    where = f"pricing: {path}: " if path else "pricing: "
    if path.startswith("unit"):
        zero = "cost nothing" in problem and not place.text.strip().startswith("-")
        return place.defect("unit-zero" if zero else "unit", f"{where}{problem}", f"write {_FACTOR}")
    return place.defect("price", f"{where}{problem}", "mend it, or remove it: a price that is wrong is unknown")


def _misread(cls: type, node: Node) -> Iterator[Defect]:
    """Yield keys that nobody reads, and values that are no numbers where numbers are wanted."""
    if not isinstance(node.value, Mapping):
        yield from misshapen(cls, node)
        return
    keys = {key: hint for key, hint in keys_of(cls).items() if key != "source"}
    for key, item in node.entries():
        if key not in keys:
            yield _foreign(key, item, keys)
        elif item.value is not None:
            yield from _value(key, item, keys[key])
    missing = [key for key in ("above",) if key in keys and not node.has(key)]
    for key in missing:
        yield node.defect("missing-key", f"pricing: {key!r} is missing", f"add {key!r}")


def _foreign(key: str, node: Node, keys: Mapping[str, object]) -> Defect:
    if key in _OURS:
        remedy = f"write {_OURS[key]!r}, and see its table in the contract"
        return node.defect("price-key", f"pricing: nobody reads the key {key!r}", remedy)
    return unknown_key(key, node, keys)


def _value(key: str, node: Node, hint: object) -> Iterator[Defect]:
    if key == "units" and isinstance(node.value, Mapping):
        for _, item in node.entries():
            yield from _unit(item)
    elif key == "unit":
        yield from _unit(node)
    elif key in {"tiers", "periods"} and isinstance(node.value, list):
        for item in node.items():
            yield from _misread(PriceTier if key == "tiers" else PricePeriod, item)
    elif key in PRICE_NAMES and node.number is None:
        shown = repr(node.text) if node.text else "this"
        message = f"pricing: {key}: {shown} is no amount, so that the price is unknown"
        yield node.defect("price", message, 'write a number, such as "0.15"')
    elif key not in PRICE_NAMES:
        yield from misshapen(hint, node)


def _unit(node: Node) -> Iterator[Defect]:
    if node.number is None and node.value is not None:
        short = re.fullmatch(r"\s*(?:1|per)?\s*([MK])\s*", node.text, re.IGNORECASE)
        remedy = f"write {_UNITS[short[1].upper()]!r}" if short else f"write {_FACTOR}"
        message = f"pricing: unit {node.text!r} is no factor, so that the price is unknown"
        yield node.defect("unit", message, remedy)


def _built(cls: type[P], node: Node) -> P:
    """Make prices of what can be read; what cannot is left out, and told of elsewhere."""
    # A bound that cannot be read is told of elsewhere; this one is no other tier's.
    values: dict[str, object] = {"above": _NOWHERE + node.line} if cls is PriceTier else {}
    for key, item in node.entries():
        value = _read(key, item)
        if key in cls.__dataclass_fields__ and value is not None:
            values[key] = value
    return cls(**values)  # type: ignore[arg-type]  # `_read` gives each key what it holds


def _read(key: str, node: Node) -> object:
    match key:
        case "tiers" | "periods":
            return [_built(PriceTier if key == "tiers" else PricePeriod, item) for item in node.items()]
        case "units":
            return {name: item.number for name, item in node.entries() if item.number is not None}
        case "above":
            return node.whole
        case "effective_from" | "until":
            return _date(node.text)
        case "hours" | "tiering":
            return node.text or None
        case _:
            return node.number if key == "unit" or key in PRICE_NAMES else None


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _currency(node: Node) -> Iterator[Defect]:
    if node.value is None:
        return
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
