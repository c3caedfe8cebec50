"""Names of a package that are loaded when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module

__all__ = ["names_from"]


def names_from(package: str, places: Mapping[str, Iterable[str]]) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a package, which loads its names and keeps them there.

    Args:
        package: The package's name.
        places: The names by the module of the package that each comes from, such as ``"types.events"``.
    """
    place_of = {name: place for place, names in places.items() for name in names}

    def found(name: str) -> object:
        place = place_of.get(name)
        if place is None:
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        value = getattr(import_module(f"{package}.{place}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return found
