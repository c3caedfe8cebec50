"""Where a plugin keeps its files: a project, a package with its ``provider.yaml``, or a Dify plugin's root.

Nothing is imported or run to find out; a project says in its ``pyproject.toml`` what it installs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from modelhub.types.schema import ModelType

__all__ = [
    "MANIFEST",
    "TYPES",
    "YAML",
    "Entry",
    "Package",
    "Project",
    "files_below",
    "is_file",
    "kind_by_folder",
    "kind_of",
    "line_of",
    "packages_below",
    "plugins_below",
    "project_at",
]

MANIFEST = "provider.yaml"
_MARKS = ("pyproject.toml", "manifest.yaml", MANIFEST)
"""Files that a plugin's folder has."""
_GROUP = "modelhub.providers"
YAML = frozenset({".yaml", ".yml"})
"""Endings of YAML files."""

_PASSED_OVER = {"node_modules", "__pycache__", "build", "dist", "site-packages", "tests", "venv"}


TYPES: Sequence[str] = tuple(kind.value for kind in ModelType)
"""The model types, by the names that manifests use."""

_LEGACY: Mapping[str, str] = {"text-generation": "llm", "embeddings": "text-embedding", "reranking": "rerank"}


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """A provider that a project registers.

    Attributes:
        name: The entry point's name: the provider id.
        target: The module and the name in it, as ``package.module:Name``.
        line: Where in ``pyproject.toml``.
    """

    name: str
    target: str
    line: int

    @property
    def package(self) -> str:
        """The top-level package."""
        return re.split(r"[.:\s]", self.target.strip(), maxsplit=1)[0]


@final
@dataclass(frozen=True, slots=True)
class Project:
    """A folder with a ``pyproject.toml``.

    Attributes:
        folder: The folder.
        settings: What the file says; empty where it cannot be read.
        problem: Why it cannot be read, with its line.
        entries: The providers that it registers.
    """

    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    problem: tuple[int, str] | None = None
    entries: Sequence[Entry] = ()

    @property
    def file(self) -> Path:
        """The ``pyproject.toml``."""
        return self.folder / "pyproject.toml"


@final
@dataclass(frozen=True, slots=True)
class Package:
    """The files of one provider.

    Attributes:
        folder: Where the globs of the manifest begin: the package, or a Dify plugin's root.
        manifests: The provider's manifest; more than one only where there should not be.
        dify: Whether the files lie as in a Dify plugin.
        entry: How the project registers it; ``None`` where that is not known.
        project: The project that it belongs to, where that is known.
    """

    folder: Path
    manifests: Sequence[Path]
    dify: bool = False
    entry: Entry | None = None
    project: Project | None = None


def kind_of(text: str) -> str:
    """Return the model type that a name means, in Dify's old spelling too; the name itself where it is none."""
    plain = text.replace("_", "-")
    return _LEGACY.get(plain, plain)


def kind_by_folder(path: Path) -> str:
    """Return the model type that a file's folders say: ``models/<type>/…`` or ``<type>/…``; empty for none."""
    folders = path.parent.parts
    for number in reversed(range(len(folders))):
        below_models = number > 0 and folders[number - 1] == "models"
        if kind_of(folders[number]) in TYPES and (below_models or number == len(folders) - 1):
            return kind_of(folders[number])
    return ""


def project_at(folder: Path) -> Project | None:
    """Read a folder's ``pyproject.toml``; ``None`` where there is none."""
    path = folder / "pyproject.toml"
    if not path.is_file():
        return None
    try:
        text = path.read_text("utf-8")
        settings = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        return Project(folder, problem=(1, f"it cannot be read: {error}"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        return Project(folder, problem=(int(found[1]) if found else 1, f"it is no TOML: {error}"))
    return Project(folder, settings, entries=tuple(_entries(settings, text)))


def _entries(settings: Mapping[str, Any], text: str) -> Iterator[Entry]:
    group = _table(settings, "project", "entry-points", _GROUP) or _table(settings, "tool", "poetry", "plugins", _GROUP)
    for name, target in group.items():
        if isinstance(target, str):
            yield Entry(name, target, line_of(text, f"^[\"']?{re.escape(name)}[\"']?\\s*="))


def _table(settings: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    table: Any = settings
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table if isinstance(table, Mapping) else {}


def line_of(text: str, pattern: str) -> int:
    """Return the line, counted from 1, of the first place where a pattern is found; 1 where it is not."""
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def packages_below(folder: Path) -> list[Package]:
    """Return the providers that a folder holds: those of a project, a package's own, or a Dify plugin's."""
    project = project_at(folder)
    registered = [] if project is None else list(_registered(project))
    if registered:
        return registered
    own = _package(folder)
    if own is None and project is not None:
        found = [_package(path.parent, project=project) for path in _search(folder, MANIFEST)]
        return [package for package in found if package is not None and _project_of(package.folder) == folder]
    if own is None:
        return []
    return [_with_entry(own)] if not own.dify else [own]


def plugins_below(folder: Path) -> list[Path]:
    """Return the folders below one that are plugins by themselves, as of a repository of several; outermost first."""
    found = {path.parent for path in _search(folder, *_MARKS, depth=5) if path.parent != folder}
    plugins: list[Path] = []
    for path in sorted(found, key=lambda path: (len(path.parts), path)):
        if not any(path.is_relative_to(plugin) for plugin in plugins) and packages_below(path):
            plugins.append(path)
    return sorted(plugins)


def _project_of(folder: Path) -> Path | None:
    """Return the nearest folder around a package that has a ``pyproject.toml``."""
    return next((parent for parent in folder.parents if (parent / "pyproject.toml").is_file()), None)


def _registered(project: Project) -> Iterator[Package]:
    for entry in project.entries:
        folder = _package_folder(project, entry.package)
        package = None if folder is None else _package(folder, entry=entry, project=project)
        yield package or Package(folder or project.folder, (), entry=entry, project=project)


def _package_folder(project: Project, package: str) -> Path | None:
    """Return where a top-level package lies in its project, by convention or by what its build says."""
    tool = project.settings.get("tool", {})
    hatch = _table(tool if isinstance(tool, Mapping) else {}, "hatch", "build", "targets", "wheel").get("packages", [])
    named = [each for each in (hatch if isinstance(hatch, list) else []) if isinstance(each, str)]
    conventional = [f"src/{package}", package, f"lib/{package}", f"python/{package}"]
    for place in (*(each for each in named if Path(each).name == package), *conventional):
        folder = project.folder / place
        if folder.is_dir():
            return folder
    return next(iter(sorted(path for path in _search(project.folder, package) if path.is_dir())), None)


def _package(folder: Path, *, entry: Entry | None = None, project: Project | None = None) -> Package | None:
    if (folder / MANIFEST).exists():
        return Package(folder, (folder / MANIFEST,), entry=entry, project=project)
    manifests = sorted(
        path for path in (folder / "provider").glob("*") if path.suffix in YAML and path.name[0] not in "._"
    )
    if manifests:
        return Package(folder, manifests, dify=True, entry=entry, project=project)
    return None


def _with_entry(package: Package) -> Package:
    """Add what the project around a package says of it."""
    for parent in list(package.folder.absolute().parents)[:2]:
        project = project_at(parent)
        for entry in () if project is None else project.entries:
            if entry.package == package.folder.absolute().name:
                return Package(package.folder, package.manifests, entry=entry, project=project)
    return package


def _search(folder: Path, *names: str, depth: int = 4) -> Iterator[Path]:
    """Yield what has one of some names below a folder, not looking into what is no source."""
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return
    for child in children:
        if child.name in names:
            yield child
        elif depth and child.is_dir() and not child.name.startswith(".") and child.name not in _PASSED_OVER:
            yield from _search(child, *names, depth=depth - 1)


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files below a folder that end in one of some ways, in order; links to folders are not followed."""
    return sorted(path for path in _below(folder, 8) if path.suffix in suffixes and not path.is_dir())


def is_file(path: Path) -> bool:
    """Return whether there is a file; a name that no file system takes is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _below(folder: Path, depth: int) -> Iterable[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return
    for child in children:
        yield child
        looked_into = not child.name.startswith(".") and child.name not in _PASSED_OVER
        if depth and looked_into and child.is_dir() and not child.is_symlink():
            yield from _below(child, depth - 1)
