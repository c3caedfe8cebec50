"""Which files of a package are manifests and models: both layouts, globs and positions, and nothing outside of it.

Two layouts: ours has ``provider.yaml`` at the top of the package; that of Dify's plugins has ``provider/<name>.yaml``
beside a ``manifest.yaml``. Models lie in ``models/`` in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, final

from modelhub.errors import PluginError
from modelhub.manifest.document import DocumentError, read_document, shortened
from modelhub.types.schema import ModelType

__all__ = ["MANIFEST", "MOST_FILES", "Oddity", "PackageFiles", "manifest_file"]

MANIFEST = "provider.yaml"

MOST_FILES = 5_000
"""Model files of one type that are read of a provider."""

_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something in a manifest that leads to no file.

    Attributes:
        message: What is odd.
        path: Where in the manifest it is; ``None`` where the message says the place.
    """

    message: str
    path: tuple[str | int, ...] | None = None


class _Boundary:
    """What lies inside of a package.

    Installers may link each file to one of a cache; then all of them, the manifest too, lie together there.

    Args:
        folder: The package's folder.
        manifest: Its manifest, as a path from there.
    """

    def __init__(self, folder: Path, manifest: str) -> None:
        depth = len(Path(manifest).parts)
        self._roots = {folder.resolve(), (folder / manifest).resolve().parents[depth - 1]}

    def holds(self, path: Path) -> bool:
        """Return whether a path, all links followed, lies inside."""
        try:
            real = path.resolve()
        except (OSError, RuntimeError, ValueError):  # a link that leads to itself, a name that no file can have
            return False
        return any(real.is_relative_to(root) for root in self._roots)

    def holds_file(self, path: Path) -> bool:
        """Return whether a path is that of a file inside."""
        return self.holds(path) and _is_file(path)


def manifest_file(folder: Path) -> tuple[str, tuple[str, ...]]:
    """Find the manifest of a package. Blocks.

    Returns:
        Its path from the folder, and notices.

    Raises:
        PluginError: There is none.
    """
    try:
        if (folder / MANIFEST).exists():
            return MANIFEST, ()
        found, notices = _declared(folder)
        if not found:
            found = [path.relative_to(folder).as_posix() for path in _yaml_in(folder / "provider")]
    except OSError as error:
        remedy = "mend its permissions, or reinstall it"
        raise PluginError(f"{folder} cannot be read: {error.strerror}", remedy=remedy) from error
    if not found:
        remedy = "it belongs into the plugin's top-level package, and into the wheel"
        raise PluginError(f"{MANIFEST} is missing in {folder}", remedy=remedy)
    if len(found) > 1:
        notices.append(f"{found[0]} is read; a plugin has one provider, and {', '.join(found[1:])} is left out")
    return found[0], tuple(shortened(notice) for notice in notices)


def _declared(folder: Path) -> tuple[list[str], list[str]]:
    """Return what ``manifest.yaml`` of Dify's layout names as providers, and notices."""
    try:
        value = read_document(folder / "manifest.yaml", "manifest.yaml").value
    except FileNotFoundError:
        return [], []
    except DocumentError as error:
        return [], [error.message]
    plugins = value.get("plugins") if isinstance(value, Mapping) else None
    names = plugins.get("models") if isinstance(plugins, Mapping) else None
    if not isinstance(names, list):
        return [], []
    boundary = _Boundary(folder, "manifest.yaml")
    found = [name for name in names if isinstance(name, str) and boundary.holds_file(folder / name)]
    lost = [str(name) for name in names if name not in found]
    return found, [f"manifest.yaml: plugins.models names {name!r}, which is no file of the plugin" for name in lost]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that nobody may look into
        return False


def _yaml_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS and path.name[0] not in "._")


@final
class PackageFiles:
    """The files of one provider's models.

    Args:
        folder: The package's folder.
        manifest: Its manifest, as a path from there.
        source: What the manifest says.
        most: How many files of a type are read.
    """

    def __init__(self, folder: Path, manifest: str, source: Mapping[str, Any], *, most: int = MOST_FILES) -> None:
        self._folder = folder
        self._source = source
        self._most = most
        self._boundary = _Boundary(folder, manifest)

    def models(self, kind: ModelType) -> tuple[list[Path], list[Oddity]]:
        """Find the model files of one type: by the manifest's globs, or else in the type's folder. Blocks."""
        name, declared = self._declared(kind)
        given = declared.get("predefined")
        if not isinstance(given, str | list) or not given:
            return self._found([f"models/{each}/**/*" for each in _names(kind)], ("models",))
        files: set[Path] = set()
        oddities: list[Oddity] = []
        for number, pattern in enumerate([given] if isinstance(given, str) else given):
            path = ("models", name, "predefined", *(() if isinstance(given, str) else (number,)))
            problem = _problem(pattern)
            if problem is None:
                found, odd = self._found([pattern], path)
            else:
                found, odd = [], [Oddity(f"{str(pattern)!r} {problem} and is left out", path)]
            files.update(found)
            oddities += odd
        return sorted(files), oddities

    def _declared(self, kind: ModelType) -> tuple[str, Mapping[str, Any]]:
        """Return what ``models`` says of a type, and under which spelling of it."""
        models = self._source.get("models")
        for name in _names(kind):
            declared = models.get(name) if isinstance(models, Mapping) else None
            if isinstance(declared, Mapping):
                return name, declared
        return kind.value, {}

    def _found(self, patterns: Iterable[str], path: tuple[str | int, ...]) -> tuple[list[Path], list[Oddity]]:
        files: set[Path] = set()
        for pattern in patterns:
            try:
                files.update(islice(filter(_is_model, self._folder.glob(pattern)), self._most + 1))
            except (ValueError, NotImplementedError) as error:
                return [], [Oddity(f"{pattern!r} is no pattern: {error}", path)]
            except OSError as error:
                return [], [Oddity(f"{pattern!r} leads nowhere: {error.strerror}", path)]
        return self._within(sorted(files), path)

    def _within(self, files: Sequence[Path], path: tuple[str | int, ...]) -> tuple[list[Path], list[Oddity]]:
        inside = [file for file in files if self._boundary.holds(file)]
        oddities = [
            Oddity(f"{file.relative_to(self._folder).as_posix()} leads out of the package and is left out", path)
            for file in files
            if len(inside) < len(files) and not self._boundary.holds(file)
        ]
        if len(inside) > self._most:
            oddities.append(Oddity(f"there are more than {self._most} model files; the others are left out", path))
        return inside[: self._most], oddities

    def order(self, kind: ModelType) -> tuple[list[str], list[Oddity]]:
        """Return the names of models in the order of listings. Blocks.

        From ``position`` of the manifest or of its ``models``, each a list or the path of a file with one; else from
        ``_position.yaml`` in the type's folder.
        """
        name, declared = self._declared(kind)
        given = declared.get("position")
        path: tuple[str | int, ...] = ("models", name, "position")
        of_types = self._source.get("position")
        for each in _names(kind):
            if given is None and isinstance(of_types, Mapping):
                given, path = of_types.get(each), ("position", each)
        if isinstance(given, list | tuple):
            return [str(each) for each in given], []
        if isinstance(given, str):
            return self._order_in(given, path)
        usual = [f"models/{each}/_position.yaml" for each in _names(kind)]
        return next((self._order_in(each, path) for each in usual if _is_file(self._folder / each)), ([], []))

    def _order_in(self, name: str, path: tuple[str | int, ...]) -> tuple[list[str], list[Oddity]]:
        if _leads_out(name) or not self._boundary.holds_file(self._folder / name):
            return [], [Oddity(f"{name!r} is no file of the package", path)]
        try:
            document = read_document(self._folder / name, name)
        except (FileNotFoundError, DocumentError) as error:
            return [], [Oddity(error.message if isinstance(error, DocumentError) else f"{name} is gone")]
        if not isinstance(document.value, list):
            return [], [Oddity(f"{document.place()}: must be a list of models")]
        return [document.text([number]) or str(each) for number, each in enumerate(document.value)], []


def _names(kind: ModelType) -> Sequence[str]:
    return list(dict.fromkeys((kind.value, kind.value.replace("-", "_"))))


def _is_model(path: Path) -> bool:
    return path.suffix in _ENDINGS and path.name[0] not in "._"


def _problem(pattern: object) -> str | None:
    if not isinstance(pattern, str) or not pattern.strip():
        return "is no pattern"
    return "leads out of the package" if _leads_out(pattern) else None


def _leads_out(path: str) -> bool:
    return Path(path).is_absolute() or ".." in Path(path).parts
