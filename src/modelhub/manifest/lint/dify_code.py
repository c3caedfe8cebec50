"""Code in Dify's way: one source file for each model type, named in the manifest or by convention."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.layout import Package, files_below, is_file, kind_of
from modelhub.manifest.lint.nodes import Node
from modelhub.manifest.lint.sources import Class, Foreign, Module, Modules, absolute

__all__ = ["dify_code", "every_module"]

_ABSTRACT: Mapping[str, Sequence[str]] = {
    "LargeLanguageModel": ("_invoke", "validate_credentials", "get_num_tokens", "_invoke_error_mapping"),
    "TextEmbeddingModel": ("_invoke", "validate_credentials", "get_num_tokens", "_invoke_error_mapping"),
    "RerankModel": ("_invoke", "validate_credentials", "_invoke_error_mapping"),
    "Speech2TextModel": ("_invoke", "validate_credentials", "_invoke_error_mapping"),
    "TTSModel": ("_invoke", "validate_credentials", "_invoke_error_mapping"),
    "ModerationModel": ("_invoke", "validate_credentials", "_invoke_error_mapping"),
}
"""Dify's base classes, and what a subclass must define before it can be made."""

_DIFY = ("dify_plugin", "core.model_runtime")
_REMOVED = "core.model_runtime"
_SCHEMAS = {"get_provider_schema", "get_simple_provider_schema"}


def dify_code(
    package: Package, root: Node, declared: Sequence[Node], modules: Modules, *, conventional: bool
) -> Iterator[Defect]:
    """Yield the declared types that no source serves.

    Args:
        package: The plugin.
        root: Its manifest.
        declared: The types that it declares.
        modules: Its code.
        conventional: Whether sources are looked for where they usually lie; else the manifest must name them.
    """
    listed = root.at("extra", "python", "model_sources")
    for item in declared:
        kind = kind_of(item.text)
        paths = _conventional(package.folder, kind) if conventional else _listed(listed, kind)
        if not paths and not conventional:
            message = f"extra.python.model_sources names no source for the type {kind}"
            yield item.defect(
                "type-not-implemented", message, f"add models/{kind.replace('-', '_')}/…, or remove the type"
            )
        for path in paths:
            yield from _source(item, kind, package.folder / path, modules)


def _conventional(folder: Path, kind: str) -> list[str]:
    name = kind.replace("-", "_")
    return [path for path in (f"{name}/{name}.py", f"models/{name}/{name}.py") if (folder / path).is_file()]


def _listed(sources: Node, kind: str) -> list[str]:
    names = {kind, kind.replace("-", "_")}
    return [text for text in sources.texts() if names & {*Path(text).parts, Path(text).stem}]


def _source(item: Node, kind: str, path: Path, modules: Modules) -> Iterator[Defect]:
    shown = path.as_posix()
    if not is_file(path):
        message = f"the source {path.name} of the type {kind} is not there"
        yield item.defect("type-not-implemented", message, f"add {shown}, or mend extra.python.model_sources")
        return
    module = modules.at(path)
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)] if module.tree is not None else []
    if module.tree is not None and not any(node.bases for node in classes) and not _star(module):
        message = f"it has no model class: the type {kind} is declared and not served"
        yield defect(shown, 1, "type-not-implemented", message, "write the class, or remove the type from the manifest")
    for node in classes:
        yield from _abstract(Class(module, node), modules)


def _star(module: Module) -> bool:
    """Return whether a module takes its classes from another one."""
    return any(isinstance(node, ast.ImportFrom) for node in (module.tree.body if module.tree is not None else ())) and (
        not any(isinstance(node, ast.ClassDef) for node in (module.tree.body if module.tree is not None else ()))
    )


def _abstract(found: Class, modules: Modules) -> Iterator[Defect]:
    """Yield what a class leaves out that its base in Dify wants; nothing where another base may have it."""
    lineage = list(modules.lineage(found))
    bases = [each for each in lineage if not isinstance(each, Class)]
    foreign = [each for each in bases if isinstance(each, Foreign) and each.module.startswith(_DIFY)]
    if len(foreign) != len(bases) or len(foreign) != 1 or foreign[0].name not in _ABSTRACT:
        return
    members = {_name(node) for each in lineage if isinstance(each, Class) for node in each.node.body}
    for name in _ABSTRACT[foreign[0].name]:
        if name not in members:
            place = (found.module.path.as_posix(), found.node.lineno)
            message = f"{found.node.name} cannot be made: {foreign[0].name} wants {name}"
            yield defect(*place, "method-missing", message, f"write {found.node.name}.{name}")


def _name(node: ast.stmt) -> str:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name), *_]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
        case _:
            return ""


def every_module(package: Package, modules: Modules) -> Iterator[Defect]:
    """Yield code that cannot be read, was written for the inside of Dify's server, or repeats the manifest."""
    for path in files_below(package.folder, {".py"}):
        module = modules.at(path)
        if module.problem is not None:
            yield defect(path.as_posix(), module.problem[0], "code-unreadable", module.problem[1], "mend the syntax")
        for node in ast.walk(module.tree) if module.tree is not None else ():
            if isinstance(node, ast.ImportFrom) and absolute(module, node).startswith(_REMOVED):
                message = f"{absolute(module, node)} is a part of Dify's own server, which nobody can install"
                remedy = "import from modelhub.provider; the tutorial shows how"
                yield defect(path.as_posix(), node.lineno, "foreign-import", message, remedy)
                break
        yield from _schemas(module)


def _schemas(module: Module) -> Iterator[Defect]:
    for node in ast.walk(module.tree) if module.tree is not None else ():
        if isinstance(node, ast.FunctionDef) and node.name in _SCHEMAS:
            message = f"{node.name} repeats in code what the manifest says"
            yield defect(
                module.path.as_posix(), node.lineno, "schema-in-code", message, "remove it: the manifest is read"
            )
