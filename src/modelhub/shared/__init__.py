"""What several processes that use the same credentials share: rates, ejections and refused keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelhub.lazy import names_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelhub.shared.fingerprints import fingerprint
    from modelhub.shared.redis_state import RedisState
    from modelhub.shared.seam import Disabled, Hints, SharedState

__all__ = ["Disabled", "Hints", "RedisState", "SharedState", "fingerprint"]

__getattr__: Callable[[str], object] = names_from(
    __name__,
    {
        "fingerprints": ("fingerprint",),
        "redis_state": ("RedisState",),
        "seam": ("Disabled", "Hints", "SharedState"),
    },
)


def __dir__() -> list[str]:
    return __all__
