"""CPU time of fresh processes: what importing costs, and what finding the plugins costs.

Every figure is a process of its own, in turns, and counts the CPU time of that process. The first turn may have to
compile modules; the median does not care.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

__all__ = ["discovery", "imports"]

_DISTRIBUTIONS = 100

_GROUP = "modelhub.providers"

_ENTERED = """
import asyncio
async def main():
    async with {}:
        pass
asyncio.run(main())
"""
_IMPORTS = {
    "python": "pass",
    "import httpx": "import httpx",
    "AsyncClient()": "import httpx" + _ENTERED.format("httpx.AsyncClient()"),
    "modelhub": "from modelhub import ModelHub, UserMessage",
    "  … and a hub entered": "from modelhub import ModelHub, UserMessage" + _ENTERED.format("ModelHub({})"),
}

_CLOCK = "from time import process_time_ns as clock\n"
_PRINT_ALL = "\nprint(clock())"

_ENTRY_POINTS = f"""
from importlib.metadata import entry_points
start = clock()
found = len(list(entry_points(group={_GROUP!r})))
print(clock() - start)
assert found >= {_DISTRIBUTIONS}, found
"""
_SCAN = f"""
from modelhub.runtime.plugins import scan
start = clock()
found = len(scan())
print(clock() - start)
assert found >= {_DISTRIBUTIONS}, found
"""
# A manifest and a thread are used beforehand: what they import is not counted with the lookup.
_FIND = """
import asyncio
from modelhub.provider.threads import run_in_thread
from modelhub.manifest.reading import manifest_folder, read_manifest
from modelhub.configuration.settings import PluginSettings
from modelhub.runtime.plugins import PluginRegistry
async def main():
    await run_in_thread(lambda: read_manifest(manifest_folder("bench_provider_0.provider")), name="warm")
    start = clock()
    plugin = await PluginRegistry(PluginSettings()).find("bench_provider_50")
    print(clock() - start)
    assert plugin.schema.provider == "bench_provider_50"
asyncio.run(main())
"""
_DISCOVERY = {"entry_points()": _ENTRY_POINTS, "100 plugins found": _SCAN, "  … and one looked up": _FIND}


def _took(program: str, folder: Path) -> float:
    """Run a program that prints nanoseconds in a fresh interpreter; return milliseconds."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", _CLOCK + program]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603  ours
    return int(done.stdout) / 1e6


def _turns(programs: Mapping[str, str], turns: int, folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(turns):
        for name, program in programs.items():
            found[name].append(_took(program, folder))
    return found


def imports(turns: int) -> dict[str, list[float]]:
    """Return what importing costs, in ms by what is imported, less the bare interpreter of the same turn."""
    programs = {name: statement + _PRINT_ALL for name, statement in _IMPORTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = _turns(programs, turns, Path(folder))
    bare = found.pop("python")
    return {name: [one - without for one, without in zip(took, bare, strict=True)] for name, took in found.items()}


def discovery(turns: int) -> dict[str, list[float]]:
    """Return what finding 100 installed plugins costs, in ms by the way it is done."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_DISTRIBUTIONS):
            _install(f"bench_provider_{number}", Path(folder))
        return _turns(_DISCOVERY, turns, Path(folder))


def _install(name: str, folder: Path) -> None:
    """Write what an installer would write of a provider plugin."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "provider.py").write_text("from modelhub.provider import ModelProvider\n")
    (package / "provider.yaml").write_text(
        f"provider: {name}\ncontract: 1\nlabel: {{en_US: {name}}}\nsupported_model_types: [llm]\n"
        "configurate_methods: [predefined-model]\n"
    )
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: modelhub-core\n"
    )
    (metadata / "entry_points.txt").write_text(f"[{_GROUP}]\n{name} = {name}.provider:Provider\n")
    (metadata / "RECORD").write_text(f"{name}/__init__.py,,\n{name}/provider.py,,\n{name}/provider.yaml,,\n")
