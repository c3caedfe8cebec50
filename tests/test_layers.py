"""The import direction of the packages, read from the source: nothing is imported to find out.

Layers are numbered from the bottom. At run time a module imports lower layers and the siblings of its own
folder, inside functions too; imports under TYPE_CHECKING are free. The top `modelhub/__init__.py` only names
what lies below, lazily, so it is not looked into; whoever imports from it stands above the façade.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PLUGINS = sorted(project.parent for project in REPOSITORY.glob("plugins/*/pyproject.toml"))

LAYERS = [
    {"dify", "errors", "lazy", "types"},
    {"wire", "rules"},
    {"http"},
    {"hookspecs", "provider"},
    {"manifest", "credentials", "shared"},
    {"configuration"},
    {"runtime", "telemetry"},
    {"hub"},
    {"cli", "server", "testing"},
    {"__main__"},
]
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts}
FACADE = LAYER["hub"]
WITHIN_A_LAYER = {("errors", "dify"), ("provider", "hookspecs"), ("types", "errors")}
HTTP_CLIENTS = {"aiohttp", "httpcore", "httpx", "pyreqwest", "requests", "urllib3"}
PURE = {"wire", "rules"}  # these do no I/O on any event loop
FOR_PLUGINS = {"provider", "types", "errors", "wire"}
FOR_PLUGIN_TESTS = FOR_PLUGINS | {"testing", ""}  # and the public names, as any application has them


@dataclass(frozen=True, slots=True)
class Import:
    """One module that one line imports, or one name from it."""

    line: int
    module: str
    name: str | None = None


def is_type_checking(test: ast.expr) -> bool:
    """Tell `TYPE_CHECKING` and `typing.TYPE_CHECKING`."""
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree without what only a type checker sees."""
    children = ast.iter_child_nodes(tree)
    if isinstance(tree, ast.If) and is_type_checking(tree.test):
        children = iter(tree.orelse)
    for child in children:
        yield child
        yield from run_time_nodes(child)


def imports(source: str, package: str) -> Iterator[Import]:
    """Yield what a module of `package` imports when it runs, whatever the spelling."""
    for node in run_time_nodes(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                parents = package.split(".")[: len(package.split(".")) - level + 1] if level else []
                base = ".".join([*parents, *([module] if module else [])])
                yield from (Import(node.lineno, base, alias.name) for alias in names)
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                yield Import(node.lineno, name)


def modules(source: Path) -> dict[str, Path]:
    """Return the modules below a source folder by their dotted names."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str, path: Path) -> list[Import]:
    """Return what one module file imports when it runs."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return list(imports(path.read_text(encoding="utf-8"), package))


def target(found: Import, known: Iterable[str]) -> str:
    """Return the dotted name of the module an import reaches: `from a import b` may name a module."""
    submodule = f"{found.module}.{found.name}"
    return submodule if submodule in known else found.module


def part(module: str) -> str:
    """Return the part of modelhub a module is in: `types` for `modelhub.types.events`, "" for the top."""
    return [*module.split("."), ""][1]


def upward(importer: str, imported: str) -> str | None:
    """Say what is wrong with one arrow inside modelhub, if anything."""
    here, there = part(importer), part(imported)
    if here not in LAYER:
        return f"{here} has no layer"
    if there and there not in LAYER:
        return f"{there} has no layer"
    height = LAYER.get(there, FACADE)
    if here == there or height < LAYER[here] or (here, there) in WITHIN_A_LAYER:
        return None
    return f"{there or 'the public names'} (layer {height}) is not below {here} (layer {LAYER[here]})"


def foreign(importer: str, imported: str) -> str | None:
    """Say what is wrong with a part of modelhub importing somebody else's package, if anything."""
    here, package = part(importer), imported.partition(".")[0]
    if package in HTTP_CLIENTS and here != "http":
        return "HTTP clients stay inside http"
    if package in {"anyio", "asyncio", "trio"} and here in PURE:
        return f"{here} is pure: no event loop"
    return None


def core_violations(source: Path) -> list[str]:
    """Return one line for every import in `source/modelhub` that points the wrong way, and for a cycle."""
    known = modules(source)
    known.pop("modelhub", None)
    lines = []
    graph: dict[str, set[str]] = {}
    for module, path in known.items():
        for found in imports_of(module, path):
            imported = target(found, known)
            ours = imported.partition(".")[0] == "modelhub"
            if reason := (upward if ours else foreign)(module, imported):
                lines.append(f"{path.relative_to(source)}:{found.line} imports {imported}: {reason}")
            if imported in known and imported != module:
                graph.setdefault(module, set()).add(imported)
    return lines + cycle(graph)


def cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return one line that names a cycle of modules, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["cycle: " + " imports ".join(reversed(error.args[1]))]
    return []


def plugin_violations(plugin: Path) -> list[str]:
    """Return one line for every import of modelhub in a plugin beyond what plugins are given."""
    lines = []
    for folder, allowed in (("src", FOR_PLUGINS), ("tests", FOR_PLUGIN_TESTS)):
        for module, path in modules(plugin / folder).items():
            for found in imports_of(module, path):
                top, _, rest = found.module.partition(".")
                reached = rest.partition(".")[0] or (found.name if found.name in LAYER else "")
                if top == "modelhub" and reached not in allowed:
                    lines.append(
                        f"{path.relative_to(plugin)}:{found.line} imports modelhub.{reached}".rstrip(".")
                        + ": not for plugins"
                    )
    return lines


def test_the_core_imports_downwards() -> None:
    """No module of modelhub imports a layer above or beside its own, and there is no cycle."""
    assert core_violations(REPOSITORY / "src") == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_what_authors_are_given(plugin: Path) -> None:
    """A plugin reaches neither runtime nor hub, only the modules written for authors."""
    assert plugin_violations(plugin) == []


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write a small source tree."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "types/a.py",
            "import modelhub.wire",
            "imports modelhub.wire: wire (layer 1) is not below types (layer 0)",
        ),
        (
            "rules/a.py",
            "from modelhub import wire",
            "imports modelhub.wire: wire (layer 1) is not below rules (layer 1)",
        ),
        (
            "rules/a.py",
            "def f():\n    from ..http import x",
            "2 imports modelhub.http: http (layer 2) is not below",
        ),
        (
            "rules/__init__.py",
            "from .. import http",
            "imports modelhub.http: http (layer 2) is not below rules",
        ),
        ("errors.py", "from .types import x", "types (layer 0) is not below errors (layer 0)"),
        ("hookspecs.py", "import modelhub.provider.a", "provider (layer 3) is not below hookspecs (layer 3)"),
        (
            "runtime/a.py",
            "from modelhub.telemetry import x",
            "telemetry (layer 6) is not below runtime (layer 6)",
        ),
        (
            "runtime/a.py",
            "from modelhub import ModelHub",
            "the public names (layer 7) is not below runtime (layer 6)",
        ),
        (
            "types/a.py",
            "import importlib\nimportlib.import_module('modelhub.hub')",
            "hub (layer 7) is not below types",
        ),
        (
            "types/a.py",
            "if TYPE_CHECKING:\n    pass\nelse:\n    import modelhub.hub",
            ":4 imports modelhub.hub",
        ),
        ("runtime/a.py", "import httpx._client", "imports httpx._client: HTTP clients stay inside http"),
        ("hub.py", "from aiohttp import web", "imports aiohttp: HTTP clients stay inside http"),
        ("wire/a.py", "from anyio.abc import ByteStream", "imports anyio.abc: wire is pure: no event loop"),
        ("helpers.py", "import modelhub.types", "helpers has no layer"),
        ("hub.py", "import modelhub.helpers", "helpers has no layer"),
    ],
)
def test_an_import_in_the_wrong_direction_is_named(tmp_path: Path, file: str, text: str, reason: str) -> None:
    """Each spelling of an import is read, and the line that comes out names file, line, target and rule."""
    write(tmp_path / "modelhub", {"http/__init__.py": "", "wire/__init__.py": "", file: text})
    lines = core_violations(tmp_path)
    assert len(lines) == 1
    assert lines[0].startswith(f"modelhub/{file}:")
    assert reason in lines[0]


def test_a_cycle_among_siblings_is_named(tmp_path: Path) -> None:
    """A cycle inside one folder is found through function-local and relative imports."""
    write(
        tmp_path / "modelhub/types",
        {
            "__init__.py": "",
            "a.py": "from modelhub.types.b import x",
            "b.py": "def f():\n    from . import c",
            "c.py": "import modelhub.types.a",
        },
    )
    (line,) = core_violations(tmp_path)
    assert line.startswith("cycle: ")
    assert {"modelhub.types.a", "modelhub.types.b", "modelhub.types.c"} <= set(line.split())


def test_a_tree_in_order_passes(tmp_path: Path) -> None:
    """Downward arrows, siblings, typing-only imports, the arrows inside a layer and the lazy top are fine."""
    write(
        tmp_path / "modelhub",
        {
            "__init__.py": "from modelhub import hub",
            "errors.py": "import typing\nif typing.TYPE_CHECKING:\n    from modelhub.hub import ModelHub",
            "types/__init__.py": "",
            "types/events.py": "from modelhub.errors import ModelHubError",
            "types/messages.py": "from modelhub.types import events\nfrom .events import Event",
            "wire/sse.py": "import json\nfrom modelhub.types.events import Event",
            "http/client.py": "import httpx, anyio\nfrom modelhub.wire import sse",
            "hookspecs.py": "import pluggy",
            "provider/__init__.py": "from modelhub.hookspecs import spec",
            "hub.py": "from modelhub.provider import ModelProvider",
            "cli/__init__.py": "from modelhub import ModelHub",
        },
    )
    assert core_violations(tmp_path) == []


def test_a_plugin_that_reaches_inside_is_named(tmp_path: Path) -> None:
    """Runtime, hub and the public names are refused in a plugin's code; its tests may use the public ones."""
    write(
        tmp_path,
        {
            "src/acme/good.py": "from modelhub import provider\nimport modelhub.wire.sse\nimport modelhubs",
            "src/acme/bad.py": "import modelhub.runtime.a\nfrom modelhub import Model, hub",
            "tests/test_acme.py": "from modelhub import Model, testing\nimport modelhub.rules.a",
        },
    )
    assert plugin_violations(tmp_path) == [
        "src/acme/bad.py:1 imports modelhub.runtime: not for plugins",
        "src/acme/bad.py:2 imports modelhub: not for plugins",
        "src/acme/bad.py:2 imports modelhub.hub: not for plugins",
        "tests/test_acme.py:2 imports modelhub.rules: not for plugins",
    ]
