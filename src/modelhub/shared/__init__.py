"""What several processes that use the same credentials share: rates, ejections and refused keys."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelhub.shared.fingerprints import fingerprint
    from modelhub.shared.redis_state import RedisState
    from modelhub.shared.seam import Disabled, Hints, SharedState

__all__ = ["Disabled", "Hints", "RedisState", "SharedState", "fingerprint"]

_PLACES = {
    "fingerprints": ("fingerprint",),
    "redis_state": ("RedisState",),
    "seam": ("Disabled", "Hints", "SharedState"),
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> object:
    place = _PLACE_OF.get(name)
    if place is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
