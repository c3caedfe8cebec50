"""Programs that measure themselves, each in a process of its own, and distributions made for them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["CLOCK", "GROUP", "install", "turns"]

GROUP = "modelhub.providers"
CLOCK = "from time import process_time_ns as clock\n"
"""What a program measures its CPU time with, in nanoseconds; it prints what it took."""


def _took(program: str, folder: Path) -> float:
    """Run a program that prints nanoseconds in a fresh interpreter; return milliseconds."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", CLOCK + program]
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603  ours
    return int(done.stdout) / 1e6


def turns(programs: Mapping[str, str], count: int, folder: Path) -> dict[str, list[float]]:
    """Run each program ``count`` times, in turns; return milliseconds by program."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(count):
        for name, program in programs.items():
            found[name].append(_took(program, folder))
    return found


def install(name: str, folder: Path) -> None:
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
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {name}.provider:Provider\n")
    (metadata / "RECORD").write_text(f"{name}/__init__.py,,\n{name}/provider.py,,\n{name}/provider.yaml,,\n")
