"""The command line under test: in this process for its words, as a process of its own for everything else."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelhub.cli.app import run

PLUGINS = Path(__file__).parent / "plugins"
PATIENCE = 60


@dataclass(frozen=True)
class Ran:
    """What came of a run."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The output as one JSON document."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The output as a JSON document on each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Site:
    """A folder that plugins are installed in, as an installer does it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = [folder]

    def register(self, id: str, target: str, *, distribution: str = "", version: str = "1.0") -> None:
        """Write the metadata of a distribution with one provider."""
        name = distribution or f"modelhub-{id}"
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[modelhub.providers]\n{id} = {target}\n")

    def write(self, id: str, code: str, *, manifest: str | None = None, attribute: str = "Provider") -> None:
        """Install a plugin of one module, with a manifest that suits it unless another is given."""
        package = self.folder / f"{id}_plugin"
        package.mkdir()
        (package / "__init__.py").write_text(code)
        (package / "provider.yaml").write_text(
            manifest or f"provider: {id}\nlabel: {{en_US: {id}}}\nsupported_model_types: [llm]\n"
        )
        self.register(id, f"{id}_plugin:{attribute}")

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that is to see the plugins, and no settings of whoever runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MODELHUB_", "LC_"))}
        for name in ("LANG", "LANGUAGE", "NO_COLOR", "FORCE_COLOR"):
            kept.pop(name, None)
        return {**kept, "PYTHONPATH": os.pathsep.join(map(str, self.paths)), "COLUMNS": "100", "TERM": "xterm"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Return an empty folder for plugins."""
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(folder)


@pytest.fixture
def acme(site: Site) -> Site:
    """Return a folder where the provider `acme` is installed."""
    site.paths.append(PLUGINS / "acme")
    site.register("acme", "acme_provider:AcmeProvider", version="2.5")
    return site


Cli = Callable[..., Ran]


@pytest.fixture
def cli(acme: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Return the command line, run in this process with `acme` installed."""
    for path in acme.paths:
        monkeypatch.syspath_prepend(path)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("MODELHUB_", "LC_")) or name == "LANG":
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", acme.environment["PYTHONPATH"])

    def execute(*arguments: str, environment: Mapping[str, str] | None = None) -> Ran:
        with monkeypatch.context() as patch:
            patch.setenv("LANGUAGE", "")  # a run writes there; this is also what puts it back
            for name, value in (environment or {}).items():
                patch.setenv(name, value)
            code = run(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return execute


@pytest.fixture
def process(acme: Site, tmp_path: Path) -> Cli:
    """Return the command line as the installed script, in a process of its own with `acme` installed."""
    script = Path(sys.executable).with_name("modelhub")

    def execute(*arguments: str, stdin: bytes | None = None, environment: Mapping[str, str] | None = None) -> Ran:
        ended = subprocess.run(
            [script, *arguments],
            input=b"" if stdin is None else stdin,
            capture_output=True,
            env={**acme.environment, **(environment or {})},
            cwd=tmp_path,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return execute
