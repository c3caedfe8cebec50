"""Icons: that each file is there, and lies inside the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from modelhub.manifest.lint.codes import Defect
from modelhub.manifest.lint.layout import is_file
from modelhub.manifest.lint.nodes import Node

__all__ = ["icons"]

_KEYS = ("icon_small", "icon_large", "icon_small_dark", "icon_large_dark")
_ASSETS = "_assets"


def icons(root: Node, folder: Path) -> Iterator[Defect]:
    """Yield icons that are missing or lie elsewhere.

    Args:
        root: The provider's manifest.
        folder: The package's folder.
    """
    for key in _KEYS:
        node = root.get(key)
        places = [item for _, item in node.entries()] if isinstance(node.value, Mapping) else [node]
        for place in places:
            if place.text:
                yield from _icon(key, place, folder)


def _icon(key: str, place: Node, folder: Path) -> Iterator[Defect]:
    name = place.text
    if "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name:
        yield place.defect("icon-outside", f"{key}: {name!r} leads out of the package", f"put it into {_ASSETS}/")
        return
    found = [path for path in (folder / _ASSETS / name, folder / name) if is_file(path)]
    if not found:
        message = f"{key}: there is no {name!r}, neither in {_ASSETS}/ nor beside the manifest"
        yield place.defect("icon-missing", message, f"add {_ASSETS}/{name}, or remove the key")
    elif not found[0].resolve().is_relative_to(folder.resolve()):
        message = f"{key}: {name!r} is a link that leads out of the package"
        yield place.defect("icon-outside", message, f"put the file itself into {_ASSETS}/")
