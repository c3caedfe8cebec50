"""The files of a provider together: what its globs find, which types they are of, and the order of its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.layout import TYPES, YAML, Package, files_below, is_file, kind_by_folder, kind_of
from modelhub.manifest.lint.models import model
from modelhub.manifest.lint.nodes import Node, YamlFile
from modelhub.manifest.lint.opening import opened
from modelhub.manifest.lint.shape import misshapen, shown, unknown_key
from modelhub.rules.names import did_you_mean

__all__ = ["Catalogue", "catalogue"]

_MOST_NAMES = 5
_HINTS: Mapping[str, object] = {"position": Sequence[str] | str, "predefined": Sequence[str] | str}
"""What ``models`` says of a type."""
_NO_MODELS = {"manifest.yaml", "manifest.yml"}
"""YAML beside a provider's that is about something else."""


@final
@dataclass(slots=True)
class Catalogue:
    """The models of a provider that have files.

    Attributes:
        models: Their files, by type.
        defects: What is wrong with the files.
        files: Every file that a glob found.
    """

    models: dict[str, list[YamlFile]] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)
    files: set[Path] = field(default_factory=set)

    def names(self, kind: str) -> list[str]:
        """Return the names of the models of a type."""
        return [name for file in self.models.get(kind, ()) if (name := file.root.get("model").text)]


def catalogue(package: Package, manifest: YamlFile) -> Catalogue:
    """Read the models of a provider, and tell what is wrong with them."""
    found = Catalogue()
    found.defects += _declared(manifest.root.get("models"))
    for kind in TYPES:
        for path in _paths(package, manifest.root, kind, found):
            found.files.add(path)
            file = opened(path)
            found.defects += file.defects
            if file.yaml is not None:
                found.models.setdefault(kind, []).append(file.yaml)
                found.defects += model(file.yaml, kind)
    found.defects += _duplicates(found)
    found.defects += _positions(package, manifest.root, found)
    found.defects += _strays(package, found)
    return found


def _declared(models: Node) -> Iterator[Defect]:
    for key, item in models.entries():
        if kind_of(key) not in TYPES:
            remedy = did_you_mean(key, TYPES, what="model types")
            yield item.defect("unknown-model-type", f"models: there is no model type {key!r}", remedy)
        for inner, place in item.entries():
            if inner not in _HINTS:
                yield unknown_key(inner, place, _HINTS)
            elif place.value is not None:
                yield from misshapen(_HINTS[inner], place)


def _folders(kind: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((kind, kind.replace("-", "_"))))


def _declaration(root: Node, kind: str) -> Node:
    """Return the place of ``models: {<type>: …}``."""
    keys = [key for key, _ in root.get("models").entries() if kind_of(key) == kind]
    return root.at("models", keys[0] if keys else kind)


def _paths(package: Package, root: Node, kind: str, found: Catalogue) -> list[Path]:
    """Return the model files of a type: what the manifest's globs find, else what lies in the type's folder."""
    given = _declaration(root, kind).get("predefined")
    patterns = list(given.items()) if isinstance(given.value, list) else [given] if given.text else []
    paths: set[Path] = set()
    for item in patterns:
        outside = _outside(item.text)
        matches = [] if outside else [path for path in _glob(package.folder, item) if _is_model(path)]
        if outside:
            message = f"models: {item.text!r} leads out of the package"
            found.defects.append(item.defect("glob-outside", message, "keep model files inside of it"))
        elif not matches:
            message = f"models: no file matches {shown(item)}"
            found.defects.append(item.defect("glob-empty", message, "mend the pattern, or remove it"))
        paths.update(matches)
    if not patterns:
        everything = (path for name in _folders(kind) for path in package.folder.glob(f"models/{name}/**/*"))
        paths.update(path for path in everything if _is_model(path))
    for path in sorted(path for path in paths if not _holds(package, path)):
        found.files.add(path)
        message = "it is a link that leads out of the package, and is left out"
        found.defects.append(defect(path.as_posix(), 1, "glob-outside", message, "put the file itself there"))
    return sorted(path for path in paths if path not in found.files)


def _is_model(path: Path) -> bool:
    return path.suffix in YAML and path.name[0] not in "._"


def _holds(package: Package, path: Path) -> bool:
    """Return whether a file, all links followed, lies in the package, or where installers keep the package's files."""
    real = path.resolve()
    roots = {package.folder.resolve(), *(manifest.resolve().parent for manifest in package.manifests)}
    return any(real.is_relative_to(root) for root in roots)


def _outside(pattern: str) -> bool:
    return Path(pattern).is_absolute() or ".." in Path(pattern).parts or "\0" in pattern


def _glob(folder: Path, pattern: Node) -> list[Path]:
    if not isinstance(pattern.value, str) or not pattern.value.strip():
        return []
    try:
        return sorted(folder.glob(pattern.value))
    except (ValueError, NotImplementedError, OSError, IndexError):
        return []


def _duplicates(found: Catalogue) -> Iterator[Defect]:
    for kind, files in found.models.items():
        first: dict[str, YamlFile] = {}
        for file in files:
            node = file.root.get("model")
            if node.text and node.text in first:
                message = f"the {kind} model {node.text!r} is in {first[node.text].shown} already"
                yield node.defect("duplicate-model", message, "remove one of the files, or mend its name")
            first.setdefault(node.text, file)


def _positions(package: Package, root: Node, found: Catalogue) -> Iterator[Defect]:
    """Yield what is wrong with the order of models: in lists, in files that are named, or in those that usually are."""
    inline: dict[str, list[Node]] = {}
    for key, item in root.get("position").entries():
        if kind_of(key) in TYPES:
            inline.setdefault(kind_of(key), []).append(item)
        else:
            yield _no_type(key, item)
    for kind in TYPES:
        places = [_declaration(root, kind).get("position"), *inline.get(kind, [])]
        given = [place for place in places if place.value is not None]
        for place in given:
            named = isinstance(place.value, str)
            yield from _named(package, place, kind, found) if named else _order(place, kind, found)
        usual = [package.folder / f"models/{name}/_position.yaml" for name in _folders(kind)]
        for path in usual if not given else ():
            if path.is_file():
                yield from _listed(path, kind, found)


def _named(package: Package, place: Node, kind: str, found: Catalogue) -> Iterator[Defect]:
    path = package.folder / place.text
    if _outside(place.text) or not is_file(path):
        message = f"the position file {place.text!r} is not there"
        yield place.defect("unknown-position", message, "mend the path, or remove position")
    else:
        yield from _listed(path, kind, found)


def _listed(path: Path, kind: str, found: Catalogue) -> Iterator[Defect]:
    file = opened(path, mapping=False)
    found.files.add(path)
    yield from file.defects
    if file.yaml is not None:
        yield from _order(file.yaml.root, kind, found)


def _no_type(key: str, node: Node) -> Defect:
    """Make the defect of a key that should be a model type."""
    remedy = did_you_mean(key, TYPES, what="model types")
    return node.defect("unknown-model-type", f"{node.path[0]}: there is no model type {key!r}", remedy)


def _order(node: Node, kind: str, found: Catalogue) -> Iterator[Defect]:
    if not isinstance(node.value, list):
        yield node.defect("wrong-type", "the order of models is not a list", "write the names of models, one in a line")
        return
    names, listed = found.names(kind), node.texts()
    for item in node.items():
        if item.text and item.text not in names:
            remedy = did_you_mean(item.text, names, what=f"{kind} models")
            yield item.defect("unknown-position", f"the order names {item.text!r}, which has no file", remedy)
    left_out = [name for name in names if name not in listed]
    if left_out:
        shown = ", ".join(left_out[:_MOST_NAMES]) + (", …" if len(left_out) > _MOST_NAMES else "")
        message = f"the order leaves out {len(left_out)} of {len(names)} {kind} models: {shown}"
        yield node.defect("position-missing", message, "add them; those left out come last, by name")


def _strays(package: Package, found: Catalogue) -> Iterator[Defect]:
    """Yield files that look like models and that nothing finds; a file that is no YAML is a defect wherever it lies."""
    for path in files_below(package.folder, YAML):
        if path in found.files or path in package.manifests or path.name.startswith("_"):
            continue
        if package.dify and path.name in _NO_MODELS:
            continue
        file = opened(path, mapping=False)
        inside = path.relative_to(package.folder).parts[0] == "models"
        if inside:
            yield from file.defects
        if file.yaml is not None and file.yaml.root.has("model") and not file.yaml.root.has("provider"):
            message = "it describes a model, and nothing finds it"
            remedy = "move it to models/<type>/, end its name with .yaml, or name it under models: in the manifest"
            yield defect(file.yaml.shown, 1, "stray-model", message, remedy)
            yield from model(file.yaml, kind_by_folder(path.relative_to(package.folder)))
