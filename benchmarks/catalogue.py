"""CPU time of a catalogue of 2,000 models of 70 providers: one model looked up, and all of them listed.

Beside it stands what nobody can do without: parsing the YAML of the same files with the same parser. Each figure is a
process of its own that has used the parser and the catalogue for another provider before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from processes import install, turns

__all__ = ["catalogue"]

_PROVIDERS = 70
_MODELS = 2000

_MODEL = """
model: {name}
label: {{en_US: {name}, id_ID: {name}}}
model_type: llm
features: [tool-call, multi-tool-call, stream-tool-call, vision]
model_properties: {{mode: chat, context_size: 131072}}
parameter_rules:
  - {{name: temperature, use_template: temperature}}
  - {{name: top_p, use_template: top_p}}
  - {{name: max_tokens, use_template: max_tokens, default: 4096, min: 1, max: 16384}}
  - {{name: seed, type: int, help: {{en_US: For answers that can be repeated}}}}
  - {{name: reasoning_effort, type: string, options: [low, medium, high]}}
pricing: {{input: "0.50", output: "1.50", unit: "0.000001", currency: USD}}
"""

_BARE = """
import yaml
from pathlib import Path
def read(pattern):
    return [yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader) for path in sorted(Path(".").glob(pattern))]
read("bench_catalogue_0/**/*.yaml")
start = clock()
found = read("{pattern}")
print(clock() - start)
assert len(found) == {files}, len(found)
"""
_LOOKUP = """
import asyncio, sys
from modelhub.configuration.settings import PluginSettings
from modelhub.runtime.plugins import PluginRegistry
from modelhub.types.schema import ModelType
opened = []
sys.addaudithook(lambda event, given: event == "open" and str(given[0]).endswith(".yaml") and opened.append(given[0]))
async def main():
    registry = PluginRegistry(PluginSettings())
    await registry.models(await registry.find("bench_catalogue_0"))
    opened.clear()
    start = clock()
    models = await registry.models(await registry.find("bench_catalogue_50"))
    found = models[ModelType.LLM, "model-1450"]
    print(clock() - start)
    assert found.model_properties["context_size"] == 131072
    assert {path for path in opened if "bench_catalogue_50" not in str(path)} == set(), opened
asyncio.run(main())
"""
_LIST = """
import asyncio
from modelhub.configuration.settings import PluginSettings
from modelhub.runtime.plugins import PluginRegistry
async def main():
    registry = PluginRegistry(PluginSettings())
    await registry.models(await registry.find("bench_catalogue_0"))
    start = clock()
    count = 0
    for number in range(70):
        count += len(await registry.models(await registry.find(f"bench_catalogue_{number}")))
    print(clock() - start)
    assert count == 2000, count
asyncio.run(main())
"""
_PROGRAMS = {
    "its YAML parsed": _BARE.format(pattern="bench_catalogue_50/**/*.yaml", files=30),
    "one of 2,000 models looked up": _LOOKUP,
    "all YAML parsed": _BARE.format(pattern="bench_catalogue_*/**/*.yaml", files=_MODELS + _PROVIDERS),
    "all 2,000 models read": _LIST,
}


def catalogue(count: int) -> dict[str, list[float]]:
    """Return what looking up and listing cost, in ms by what was done."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_PROVIDERS):
            name = f"bench_catalogue_{number}"
            install(name, Path(folder))
            models = Path(folder) / name / "models" / "llm"
            models.mkdir(parents=True)
            first, after = (_MODELS * at // _PROVIDERS for at in (number, number + 1))
            for model in range(first, after):
                (models / f"model-{model}.yaml").write_text(_MODEL.format(name=f"model-{model}"))
        return turns(_PROGRAMS, count, Path(folder))
