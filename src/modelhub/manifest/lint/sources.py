"""Python files, read and not run: which class a name stands for, what it inherits, what it says in its body.

Owns following names through a package's own modules. What leads out of the package, or is made at run time, is not
known, and whoever asks is told so.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from modelhub.manifest.lint.layout import is_file

__all__ = ["Class", "Foreign", "Module", "Modules", "absolute"]

_MOST_BYTES = 1024 * 1024
_DEEPEST = 20


@final
@dataclass(frozen=True, slots=True)
class Module:
    """A Python file.

    Attributes:
        name: Its dotted name.
        path: Where it is.
        tree: What it says; ``None`` where it is no Python.
        problem: Why it is none, with its line.
    """

    name: str
    path: Path
    tree: ast.Module | None
    problem: tuple[int, str] | None = None

    @property
    def package(self) -> str:
        """The package that its relative imports begin at."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


@final
@dataclass(frozen=True, slots=True)
class Class:
    """A class in a package.

    Attributes:
        module: Where it stands.
        node: What it says.
    """

    module: Module
    node: ast.ClassDef


@final
@dataclass(frozen=True, slots=True)
class Foreign:
    """A name that another package gives.

    Attributes:
        module: The module that it is imported from.
        name: The name there.
    """

    module: str
    name: str


@final
@dataclass(slots=True)
class Modules:
    """The Python files of a package, read when they are asked for.

    Attributes:
        folder: The package.
        package: Its dotted name; empty where dotted names begin inside of it.
    """

    folder: Path
    package: str
    _read: dict[Path, Module] = field(default_factory=dict)

    def named(self, name: str) -> Module | None:
        """Return the module of a dotted name; ``None`` where it is not in the package."""
        parts = name.split(".")
        if self.package and parts[0] != self.package:
            return None
        inside = parts[1:] if self.package else parts
        if not all(part.isidentifier() for part in inside):
            return None
        places = [self.folder.joinpath(*inside, "__init__.py")]
        if inside:
            places.append(self.folder.joinpath(*inside[:-1], f"{inside[-1]}.py"))
        return next((self.at(path) for path in places if is_file(path)), None)

    def at(self, path: Path) -> Module:
        """Return the module that a file of the package is."""
        if path not in self._read:
            inside = path.relative_to(self.folder).with_suffix("").parts
            parts = inside[:-1] if path.name == "__init__.py" else inside
            self._read[path] = _module(path, ".".join([self.package, *parts] if self.package else parts))
        return self._read[path]

    def resolved(self, module: Module, name: str, depth: int = 0) -> Class | Foreign | None:
        """Return the class that a name stands for in a module, or the class of the instance.

        Returns:
            ``None`` where it is not known: there is no such name, or it is made at run time.
        """
        if module.tree is None or depth > _DEEPEST:
            return None
        for node in reversed(module.tree.body):
            match node:
                case ast.ClassDef(name=found) if found == name:
                    return Class(module, node)
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    return self._value(module, value, depth)
                case ast.AnnAssign(target=ast.Name(id=found), value=ast.expr() as value) if found == name:
                    return self._value(module, value, depth)
                case ast.ImportFrom() if any((alias.asname or alias.name) == name for alias in node.names):
                    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
                    return self._imported(module, node, original, depth)
        return None

    def _value(self, module: Module, value: ast.expr, depth: int) -> Class | Foreign | None:
        name = _dotted(value.func if isinstance(value, ast.Call) else value)
        return self.expression(module, name, depth + 1) if name else None

    def expression(self, module: Module, dotted: str, depth: int = 0) -> Class | Foreign | None:
        """Return the class that a name or a dotted name stands for in a module."""
        first, dot, rest = dotted.partition(".")
        if not dot:
            return self.resolved(module, first, depth)
        place, name = rest.rpartition(".")[::2]
        for imported in _imports(module, first):
            target = ".".join(part for part in (imported, place) if part)
            inner = self.named(target)
            return Foreign(target, name) if inner is None else self.resolved(inner, name, depth + 1)
        return None

    def _imported(self, module: Module, node: ast.ImportFrom, name: str, depth: int) -> Class | Foreign | None:
        source = absolute(module, node)
        inner = self.named(source) if source else None
        if inner is None:
            return Foreign(source, name)
        return self.resolved(inner, name, depth + 1)

    def bases(self, found: Class) -> list[Class | Foreign | None]:
        """Return what a class inherits from, in order; ``None`` for what is not known."""
        names = [_dotted(base.value if isinstance(base, ast.Subscript) else base) for base in found.node.bases]
        return [self.expression(found.module, name) if name else None for name in names]

    def lineage(self, found: Class, depth: int = 0) -> Iterator[Class | Foreign | None]:
        """Yield a class and everything that it inherits from, as far as it is known."""
        yield found
        for base in self.bases(found) if depth < _DEEPEST else [None]:
            if isinstance(base, Class):
                yield from self.lineage(base, depth + 1)
            else:
                yield base


def _module(path: Path, name: str) -> Module:
    try:
        data = path.read_bytes()
        if len(data) > _MOST_BYTES:
            return Module(name, path, None)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the compiler thinks of its style is the author's affair
            return Module(name, path, ast.parse(data))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        line = getattr(error, "lineno", None) or 1
        return Module(name, path, None, (line, f"it cannot be read: {getattr(error, 'msg', None) or error}"))


def _dotted(node: ast.expr) -> str:
    """Return a dotted name; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = _dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def absolute(module: Module, node: ast.ImportFrom) -> str:
    """Return the dotted name of what ``from … import`` imports from."""
    if not node.level:
        return node.module or ""
    parents = module.package.split(".")
    kept = parents[: len(parents) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _imports(module: Module, name: str) -> Iterator[str]:
    """Yield the modules that a name stands for."""
    for node in module.tree.body if module.tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname == name or (alias.asname is None and alias.name.partition(".")[0] == name):
                    yield alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    yield ".".join(part for part in (absolute(module, node), alias.name) if part)
