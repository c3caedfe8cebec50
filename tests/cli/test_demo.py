"""The demonstration, as `make demo` runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def run(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run it in an empty home."""
    home = folder / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name not in {"LANG", "LANGUAGE", "XDG_CACHE_HOME"}}
    return subprocess.run(
        [sys.executable, DEMO],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**kept, "HOME": str(home), **environment},
        text=True,
        timeout=110,
    )


@pytest.mark.timeout(120)
def test_the_demonstration_answers(tmp_path: Path) -> None:
    """A streamed answer with its figures, and one in the shape of a class; nothing on stderr."""
    ran = run(tmp_path, LANG="id_ID.UTF-8")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "A plugin is" in ran.stdout
    assert ran.stdout.count("token/d") == 2
    assert "→ Person(name='Siti', age=34, city='Bandung')" in ran.stdout


@pytest.mark.timeout(120)
def test_the_demonstration_fails_in_one_line(tmp_path: Path) -> None:
    """Whatever is missing, there is no traceback."""
    ran = run(tmp_path, MODELHUB_PLUGINS_DENY="local_model")
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.splitlines()) == 1
