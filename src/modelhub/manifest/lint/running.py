"""Checks a path: finds out what it is, reads every file once, and collects what is wrong with all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelhub.manifest.lint.code import code
from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.files import Catalogue, catalogue
from modelhub.manifest.lint.icons import icons
from modelhub.manifest.lint.layout import (
    MANIFEST,
    TYPES,
    Package,
    is_file,
    kind_by_folder,
    kind_of,
    packages_below,
    plugins_below,
    project_at,
)
from modelhub.manifest.lint.models import model
from modelhub.manifest.lint.nodes import YamlFile
from modelhub.manifest.lint.opening import opened
from modelhub.manifest.lint.packaging import packaging
from modelhub.manifest.lint.providers import METHODS, own_server, provider

__all__ = ["lint"]


def lint(path: Path | str) -> Sequence[Defect]:
    """Check a plugin's files. Blocks: call it in a thread. Nothing is imported, and nothing but files is read.

    Args:
        path: A project (with ``pyproject.toml``), a package (with ``provider.yaml``), the root of a Dify plugin, or one
            YAML file.

    Returns:
        Every defect of every file, by file and line.
    """
    path = Path(path)
    found = _folder(path) if path.is_dir() else _file(path)
    return sorted(set(found))


def _folder(folder: Path) -> Iterator[Defect]:
    project, packages = project_at(folder), packages_below(folder)
    own = [package.folder for package in packages]
    below = [path for path in plugins_below(folder) if not any(path.is_relative_to(each) for each in own)]
    for plugin in below:
        yield from _folder(plugin)
    if below and not packages:
        return
    if project is not None:
        yield from packaging(project, packages)
    if not packages and (project is None or project.problem is None):
        message = "there is no provider here: no provider.yaml, no provider/*.yaml, no entry point"
        remedy = f"name a plugin's folder, or add {MANIFEST} to its top-level package"
        yield defect(folder.as_posix(), 1, "no-manifest", message, remedy)
    for package in packages:
        yield from _package(package)


def _package(package: Package) -> Iterator[Defect]:
    if not package.manifests and package.entry is not None and package.project is not None:
        message = f"the package {package.entry.package!r} has no {MANIFEST}"
        remedy = f"add {(package.folder / MANIFEST).as_posix()}, and to the wheel"
        yield defect(package.project.file.as_posix(), package.entry.line, "no-manifest", message, remedy)
    for path in package.manifests[1:]:
        message = f"a plugin has one provider, and {package.manifests[0].name} is read"
        yield defect(path.as_posix(), 1, "several-manifests", message, "make a plugin of its own of it")
    for path in package.manifests:
        file = opened(path)
        yield from file.defects
        if file.yaml is not None:
            yield from provider(file.yaml, dify=package.dify)
            yield from icons(file.yaml.root, package.folder)
            yield from _id(package, file.yaml)
            models = catalogue(package, file.yaml)
            yield from models.defects
            yield from _declared(package, file.yaml, models)
    yield from _manifest_of_dify(package)


def _manifest_of_dify(package: Package) -> Iterator[Defect]:
    """Yield what is wrong with a Dify plugin's ``manifest.yaml``; most of its keys are Dify's own affair."""
    path = package.folder / "manifest.yaml"
    if not package.dify or not path.exists():
        return
    file = opened(path)
    yield from file.defects
    for item in file.yaml.root.at("plugins", "models").items() if file.yaml is not None else ():
        if item.text and not is_file(package.folder / item.text):
            message = f"plugins.models names {item.text!r}, which is not there"
            yield item.defect("no-manifest", message, "add the file, or mend the path")


def _id(package: Package, file: YamlFile) -> Iterator[Defect]:
    node = file.root.get("provider")
    if package.entry is not None and node.text and node.text != package.entry.name:
        message = f"the provider is {node.text!r} here, and {package.entry.name!r} by its entry point"
        yield node.defect("provider-mismatch", message, "give both the same name")
    elif package.dify and package.entry is None and node.text and node.text.rpartition("/")[2] != file.path.stem:
        message = f"the provider is {node.text!r} here, and {file.path.stem!r} by its file's name"
        yield node.defect("provider-mismatch", message, "give both the same name")


def _declared(package: Package, file: YamlFile, models: Catalogue) -> Iterator[Defect]:
    """Yield types that are declared and have nothing behind them, and the other way round."""
    root = file.root
    types = root.get("supported_model_types")
    declared: Mapping[str, object] = {
        kind_of(item.text): item for item in (types.items() if isinstance(types.value, list) else [types]) if item.text
    }
    for kind in TYPES:
        if kind in models.models and kind not in declared:
            first = models.models[kind][0]
            message = f"it is of the type {kind}, which the manifest does not declare, so that nobody finds it"
            yield defect(first.shown, 1, "undeclared-type", message, f"add {kind} to supported_model_types")
    facts = code(package, root)
    yield from facts.defects
    if facts.lists_models:
        return
    yield from own_server(root)
    methods = root.get("configurate_methods").texts()
    for item in types.items():
        kind = kind_of(item.text)
        if kind in TYPES and kind not in models.models and METHODS[1] not in methods:
            message = f"no file describes a model of the type {kind}, and users cannot name one"
            yield item.defect("type-without-models", message, "add model files, or customizable-model")
    default = root.get("default_model")
    names = {name for kind in TYPES for name in models.names(kind)}
    if default.text and default.text not in names and METHODS[1] not in methods:
        message = f"default_model: no file describes {default.text!r}"
        yield default.defect("unknown-default-model", message, "name one of the models that have files")


def _file(path: Path) -> Iterator[Defect]:
    """Yield what is wrong with one file; what it is, its name and its keys say."""
    file = opened(path, mapping=not path.name.startswith("_position"))
    yield from file.defects
    if file.yaml is None or path.name.startswith("_position"):
        return
    root = file.yaml.root
    in_dify = path.absolute().parent.name == "provider"
    if path.name == MANIFEST or root.has("provider") or root.has("supported_model_types"):
        yield from provider(file.yaml, dify=in_dify)
        folder = path.parent.parent if in_dify else path.parent
        yield from icons(root, folder)
    elif not _other(file.yaml):
        yield from model(file.yaml, kind_by_folder(path.absolute()))


def _other(file: YamlFile) -> bool:
    """Return whether a file is a Dify plugin's own manifest, which is about its packaging."""
    return file.root.get("type").text == "plugin" and file.root.has("plugins")
