"""Fresh interpreters find plugins installed from wheels and from sources, and import them when they are used."""

import json
import os
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelhub.testing.replies import Reply, Request
from modelhub.testing.wire_server import ThreadedWireServer

PLUGINS = {
    "acme": ("modelhub-acme", "1.2.3"),
    "acme_east": ("modelhub-acme", "1.2.3"),
    "acme_events": ("modelhub-acme", "1.2.3"),
    "acme_functions": ("acme-functions", "0.1.0"),
    "acme_local": ("acme-local", "3.0"),
    "acme_object": ("Acme.Object", "2.0"),
    "acme_west": ("modelhub-acme", "1.2.3"),
}
PACKAGES = ("modelhub_acme", "modelhub_acme_events", "acme_functions", "acme_local", "acme_object")
LIST = """
import json, sys
import anyio
from modelhub import ModelHub

async def main():
    async with ModelHub() as hub:
        infos = await hub.providers()
        names = sorted(
            name for name in sys.modules if name.partition(".")[0] in {packages!r} or name.startswith("broken_")
        )
        clients = [name for name in ("httpx", "httpcore", "aiohttp") if name in sys.modules]
        listed = {{info.id: [info.state, info.distribution, info.version, info.notices] for info in infos}}
        reply = await hub.chat("acme_local", "it works")
        imported = sorted(name for name in sys.modules if name.partition(".")[0] in {packages!r})
        models = {{}}
        for id in ("acme_local", "acme_events"):
            credentials = {{"base_url": "http://127.0.0.1:9"}} if id == "acme_events" else None
            models[id] = [schema.model for schema in await hub.models(id, credentials=credentials)]
    print(json.dumps(
        dict(names=names, clients=clients, listed=listed, text=reply.text, imported=imported, models=models)
    ))

anyio.run(main, backend={backend!r})
"""

Run = Callable[..., str]


def listed(run: Run, python: Path | str, backend: str, **environment: str) -> dict[str, Any]:
    """Return what a fresh interpreter lists, answers and has imported."""
    code = LIST.format(packages=PACKAGES, backend=backend)
    found: dict[str, Any] = json.loads(run(python, "-c", code, **environment))
    return found


@pytest.fixture(scope="module")
def editable(sources: list[Path], run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment in which the working plugins are installed from their sources."""
    folder = tmp_path_factory.mktemp("editable") / "venv"
    venv.create(folder, symlinks=True, with_pip=False)
    python = folder / "bin" / "python"
    (site_packages,) = folder.glob("lib/python*/site-packages")
    here = sysconfig.get_path("purelib")
    # Whatever these tests run with is there too, editable installations included.
    (site_packages / "base.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    projects = [word for project in sources for word in ("-e", project)]
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *projects)
    return python


def check(found: dict[str, Any]) -> None:
    """Look at what a fresh interpreter found."""
    assert found["names"] == [], "listing imports no plugin"
    assert found["clients"] == [], "nor an HTTP client"
    plugins = {id: tuple(facts[1:3]) for id, facts in found["listed"].items() if id in PLUGINS}
    assert plugins == PLUGINS
    assert {facts[0] for id, facts in found["listed"].items() if id in PLUGINS} == {"discovered"}
    assert all(facts[3] == [] for id, facts in found["listed"].items() if id in PLUGINS)
    assert found["text"] == "IT WORKS"
    assert found["imported"] == ["acme_local", "acme_local.provider"], "a call imports its own plugin"
    assert found["models"] == {"acme_local": ["shouter"], "acme_events": ["acme-talk"]}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_from_wheels(run: Run, working_site: Path, broken_site: Path, backend: str) -> None:
    """Manifests and models are in the wheels; the broken ones beside them are listed and not imported."""
    found = listed(run, sys.executable, backend, PYTHONPATH=os.pathsep.join([str(working_site), str(broken_site)]))
    check(found)
    assert found["listed"]["broken_raise"][0] == "discovered"
    assert found["listed"]["broken_yaml"][0] == "failed"


def test_from_sources(run: Run, editable: Path) -> None:
    """An editable installation is found by the same means."""
    check(listed(run, editable, "asyncio"))


def test_a_manifest_that_was_changed_is_seen_at_the_next_start(run: Run, editable: Path, sources: list[Path]) -> None:
    """Which is what an editable installation is for."""
    (project,) = (project for project in sources if project.name == "acme_local")
    model = project / "src" / "acme_local" / "models" / "llm" / "whisperer.yaml"
    model.write_text("model: whisperer\n")
    try:
        found = listed(run, editable, "asyncio")
    finally:
        model.unlink()
    assert found["models"]["acme_local"] == ["shouter", "whisperer"]


VERBS = """
import sys
import anyio
from modelhub import ModelHub

async def main(url):
    async with ModelHub({{"credentials": {{"acme": {{"base_url": url, "api_key": "k"}}}}}}) as hub:
        async with hub.stream("acme/acme-1", "Hi") as stream:
            texts = [text async for text in stream.text()]
        print((await hub.chat("acme", "Hi")).text, texts)
        print((await hub.embed("acme/acme-embed", ["a", "bb", "ccc"])).vectors)
        print((await hub.rerank("acme/acme-rank", "q", ["a", "bb"])).documents[0].document)
        print((await hub.transcribe("acme/acme-hear", b"RIFF")).language)
        print(len((await hub.speak("acme/acme-speak", "Hi")).audio))
        print((await hub.moderate("acme/acme-judge", "Hi")).flagged)
        print((await hub.count_tokens("acme", "one two")).tokens)
        print((await hub.validate("acme", model="acme-1")).stages)
        print([report.message async for report in hub.operate("acme", "warm", model="acme-1", layers=1)])

anyio.run(main, sys.argv[1], backend={backend!r})
"""
SAID = """Hello there ['Hello', ' there']
[[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]
bb
en
204
True
2
('form', 'reachable', 'account', 'model acme-1')
['layer', 'warm']
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_verb_of_a_plugin_installed_from_its_sources(
    run: Run, editable: Path, vendor: Callable[[Request], Reply], backend: str, tmp_path: Path
) -> None:
    """As from its wheel."""
    with ThreadedWireServer(vendor) as server:
        said = run(editable, "-c", VERBS.format(backend=backend), server.url, XDG_CACHE_HOME=str(tmp_path))
    assert said == SAID


EXIT = """
import sys, time
import anyio
from modelhub import ModelHub

async def main():
    async with ModelHub({{"plugins": {{"load_seconds": 0.2}}}}) as hub:
        infos = {{info.id: info for info in await hub.providers(load=True)}}
        print(infos["broken_hang"].state, infos["broken_exit"].state, infos["acme"].state)

anyio.run(main, backend={backend!r})
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_broken_plugins_neither_end_nor_hold_up_the_program(
    run: Run, working_site: Path, broken_site: Path, backend: str
) -> None:
    """One that hangs at import is left behind at the exit, one that calls sys.exit does not cause it."""
    path = os.pathsep.join([str(working_site), str(broken_site)])
    assert run(sys.executable, "-c", EXIT.format(backend=backend), PYTHONPATH=path) == "failed failed ready\n"
