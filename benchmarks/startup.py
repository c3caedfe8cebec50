"""CPU time of fresh processes: what importing costs, and what finding the plugins costs.

Every figure is a process of its own, in turns, and counts the CPU time of that process. The first turn may have to
compile modules; the median does not care.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from processes import GROUP, install, turns

__all__ = ["discovery", "imports"]

_DISTRIBUTIONS = 100

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

_PRINT_ALL = "\nprint(clock())"

_ENTRY_POINTS = f"""
from importlib.metadata import entry_points
start = clock()
found = len(list(entry_points(group={GROUP!r})))
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


def imports(count: int) -> dict[str, list[float]]:
    """Return what importing costs, in ms by what is imported, less the bare interpreter of the same turn."""
    programs = {name: statement + _PRINT_ALL for name, statement in _IMPORTS.items()}
    with tempfile.TemporaryDirectory() as folder:
        found = turns(programs, count, Path(folder))
    bare = found.pop("python")
    return {name: [one - without for one, without in zip(took, bare, strict=True)] for name, took in found.items()}


def discovery(count: int) -> dict[str, list[float]]:
    """Return what finding 100 installed plugins costs, in ms by the way it is done."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_DISTRIBUTIONS):
            install(f"bench_provider_{number}", Path(folder))
        return turns(_DISCOVERY, count, Path(folder))
