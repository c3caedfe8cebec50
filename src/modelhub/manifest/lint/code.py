"""Whether the code behind a manifest serves what the manifest declares, read from its source and never run.

Where that cannot be told, because a class comes from elsewhere or is put together at run time, nothing is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from modelhub.manifest.lint.codes import Defect, defect
from modelhub.manifest.lint.dify_code import dify_code, every_module
from modelhub.manifest.lint.layout import TYPES, Package, kind_of
from modelhub.manifest.lint.nodes import Node
from modelhub.manifest.lint.sources import Class, Foreign, Module, Modules

__all__ = ["CodeFacts", "code"]

_ANSWERING = {"invoke", "stream"}
"""Hooks that serve every type by themselves."""

_LISTING = {"list_models", "describe_model"}
_NEEDED: Mapping[str, tuple[frozenset[str], ...]] = {
    "LargeLanguageModel": (frozenset({"stream", "invoke"}),),
    "TTSModel": (frozenset({"stream", "invoke"}),),
    "TextEmbeddingModel": (frozenset({"invoke"}),),
    "RerankModel": (frozenset({"invoke"}),),
    "Speech2TextModel": (frozenset({"invoke"}),),
    "ModerationModel": (frozenset({"invoke"}),),
    "HttpLargeLanguageModel": (frozenset({"encode", "stream", "invoke"}), frozenset({"decode", "stream", "invoke"})),
    "HttpTTSModel": (frozenset({"encode", "stream", "invoke"}),),
    "HttpTextEmbeddingModel": (frozenset({"encode", "invoke"}), frozenset({"decode", "invoke"})),
    "HttpRerankModel": (frozenset({"encode", "invoke"}), frozenset({"decode", "invoke"})),
    "HttpSpeech2TextModel": (frozenset({"encode", "invoke"}), frozenset({"decode", "invoke"})),
    "HttpModerationModel": (frozenset({"encode", "invoke"}), frozenset({"decode", "invoke"})),
}
"""The base classes, and of which methods a subclass must have at least one each."""


@final
@dataclass(slots=True)
class CodeFacts:
    """What the code says.

    Attributes:
        defects: What is wrong with it.
        lists_models: Whether it tells models that no file describes.
    """

    defects: list[Defect] = field(default_factory=list)
    lists_models: bool = False


def code(package: Package, root: Node) -> CodeFacts:
    """Compare a provider's code with its manifest.

    Args:
        package: Where both lie.
        root: The manifest.
    """
    types = root.get("supported_model_types")
    declared = [item for item in types.items() if kind_of(item.text) in TYPES]
    modules = Modules(package.folder, package.folder.absolute().name)
    facts = CodeFacts()
    if package.entry is not None and package.project is not None:
        facts = _registered(package, declared, modules)  # whatever layout its files have
    elif package.dify:
        modules = Modules(package.folder, "")
        facts.defects += dify_code(package, root, declared, modules, conventional=False)
    else:
        facts.defects += dify_code(package, root, declared, modules, conventional=True)
    facts.defects += every_module(package, modules)
    return facts


def _registered(package: Package, declared: Sequence[Node], modules: Modules) -> CodeFacts:
    assert package.entry is not None  # noqa: S101  the caller has looked
    assert package.project is not None  # noqa: S101  likewise
    facts = CodeFacts()
    target = package.entry.target.partition("[")[0]
    module_name, _, attribute = target.strip().partition(":")
    module = modules.named(module_name.strip())
    place = (package.project.file.as_posix(), package.entry.line)
    if module is None:
        remedy = f"add the module, or mend the entry point {package.entry.name}"
        facts.defects.append(defect(*place, "entry-point", f"there is no module {module_name!r}", remedy))
    elif not attribute or module.tree is None:
        facts.lists_models = True  # a module of functions may do anything, and what cannot be read too
    else:
        found = modules.expression(module, attribute.strip())
        if isinstance(found, Class):
            _class(found, declared, modules, facts)
        elif found is None and not _may_have(module, attribute.partition(".")[0].strip()):
            message = f"the module {module_name!r} has no {attribute!r}"
            facts.defects.append(defect(*place, "entry-point", message, "name the ModelProvider class"))
    return facts


def _may_have(module: Module, name: str) -> bool:
    """Return whether a module may have a name, in ways that are not followed here."""
    assert module.tree is not None  # noqa: S101  the caller has looked
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if (node.id if isinstance(node, ast.Name) else node.name) in {name, "globals", "setattr", "__getattr__"}:
                return True
        elif isinstance(node, ast.alias) and (node.name == "*" or (node.asname or node.name) == name):
            return True
    return False


def _class(provider: Class, declared: Sequence[Node], modules: Modules, facts: CodeFacts) -> None:
    lineage = list(modules.lineage(provider))
    known = all(_is_ours(each) for each in lineage if not isinstance(each, Class))
    members = {
        name: (each, value) for each in reversed(lineage) if isinstance(each, Class) for name, value in _members(each)
    }
    facts.lists_models = not known or not _LISTING.isdisjoint(members)
    if "provider_schema" in members:
        holder, node = members["provider_schema"]
        message = "provider_schema repeats in code what provider.yaml says, and goes before it"
        place = (holder.module.path.as_posix(), getattr(node, "lineno", 1))
        facts.defects.append(defect(*place, "schema-in-code", message, "remove one of the two"))
    if known and _ANSWERING.isdisjoint(members) and not provider.node.decorator_list and not provider.node.keywords:
        for item in declared:
            name = kind_of(item.text).replace("-", "_")
            if name not in members and not _assigned_later(provider, name):
                message = f"{provider.node.name} has no {name}: the type {item.text} is declared and not served"
                remedy = f"add {name} = … to the class, or remove the type"
                facts.defects.append(item.defect("type-not-implemented", message, remedy))
    for name in (kind.replace("-", "_") for kind in TYPES):
        if name in members:
            holder, value = members[name]
            facts.defects += _model(holder, value, modules)


def _is_ours(base: Class | Foreign | None) -> bool:
    return isinstance(base, Foreign) and base.module.split(".")[0] == "modelhub" and base.name == "ModelProvider"


def _members(found: Class) -> Iterator[tuple[str, ast.AST]]:
    """Yield what a class defines in its body, with the value where it is an assignment."""
    for node in found.node.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node
            case ast.Assign(targets=targets, value=value):
                yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.If() | ast.For() | ast.With() | ast.Try():
                yield from _inside(node)


def _inside(node: ast.stmt) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that a block in a class's body may define."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            yield inner.id, inner
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield inner.name, inner


def _assigned_later(provider: Class, name: str) -> bool:
    """Return whether the module gives the class an attribute after it was defined, or may do so."""
    tree = provider.module.tree
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node.attr == name:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
            return True
    return False


def _model(holder: Class, value: ast.AST, modules: Modules) -> Iterator[Defect]:
    """Yield the methods that a model class must have and has not."""
    if isinstance(value, ast.ClassDef):
        found: Class | Foreign | None = Class(holder.module, value)
    elif isinstance(value, ast.Name):
        found = modules.resolved(holder.module, value.id)
    else:
        return
    if not isinstance(found, Class):
        return
    lineage = list(modules.lineage(found))
    bases = [each for each in lineage if not isinstance(each, Class)]
    names = {each.name for each in bases if isinstance(each, Foreign) and each.module.split(".")[0] == "modelhub"}
    if len(names) != 1 or len(names) != len({id(each) for each in bases}) or not names <= _NEEDED.keys():
        return
    members = {name for each in lineage if isinstance(each, Class) for name, _ in _members(each)}
    (base,) = names
    for alternatives in _NEEDED[base]:
        if alternatives.isdisjoint(members):
            wanted = next(name for name in ("encode", "decode", "stream", "invoke") if name in alternatives)
            message = f"{found.node.name} is a {base} and has no {wanted}"
            yield defect(
                _file(found), found.node.lineno, "method-missing", message, f"write {found.node.name}.{wanted}"
            )


def _file(found: Class) -> str:
    return Path(found.module.path).as_posix()
