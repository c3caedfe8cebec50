"""What the command line loads before it is asked for anything, and how it is called."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEAVY = {"aiohttp", "anyio", "httpcore", "httpx", "pluggy", "pydantic", "rich", "yaml"}
NAMES_OF_LOADED_MODULES = """
import io, json, sys
from modelhub.cli.app import run
shown, sys.stdout = sys.stdout, io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
code = run(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=shown)
"""


def loaded(acme: Any, folder: Path, *arguments: str) -> set[str]:
    """Return the packages that a run of the command line has loaded at its end."""
    command = [sys.executable, "-c", NAMES_OF_LOADED_MODULES, *arguments]
    program = subprocess.run(command, capture_output=True, check=True, env=acme.environment, cwd=folder, timeout=60)
    code, names = json.loads(program.stdout)
    assert code == 0
    return set(names)


def test_help_loads_nothing_heavy(acme: Any, tmp_path: Path) -> None:
    """Neither an event loop nor a client nor a plugin; and nothing that draws, where nobody looks."""
    names = loaded(acme, tmp_path, "--help")
    assert names & HEAVY == set()
    assert "modelhub" in names
    assert {name for name in names if name.startswith(("modelhub_", "acme_"))} == set()


def test_listing_loads_no_client_and_no_plugin(acme: Any, tmp_path: Path) -> None:
    """Manifests are read, which takes YAML and pydantic; no code of a plugin is imported."""
    names = loaded(acme, tmp_path, "providers")
    assert names & {"aiohttp", "httpcore", "httpx", "rich"} == set()
    assert {name for name in names if name.startswith(("modelhub_", "acme_"))} == set()


def test_only_the_named_command_is_imported(acme: Any, tmp_path: Path) -> None:
    """The others are names with a line of help."""
    program = "import sys; from modelhub.cli.app import run; run(['pull', '--help']); print(sorted(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=acme.environment, cwd=tmp_path, timeout=60
    )
    assert b"modelhub.cli.operate'" in ran.stdout
    assert b"modelhub.cli.chat'" not in ran.stdout


@pytest.mark.parametrize(("locale", "word"), [("en_US.UTF-8", "error"), ("id_ID.UTF-8", "galat")])
def test_without_typer_one_line_says_what_to_install(acme: Any, tmp_path: Path, locale: str, word: str) -> None:
    """No traceback, exit code 1."""
    (tmp_path / "typer.py").write_text("raise ModuleNotFoundError('typer', name='typer')")
    acme.paths.insert(0, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-m", "modelhub", "providers"],
        capture_output=True,
        check=False,
        env={**acme.environment, "LANG": locale},
        text=True,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [ran.stderr.strip()]
    assert ran.stderr.startswith(f"{word}: ")
    assert "pip install 'modelhub-core[cli]'" in ran.stderr


def test_the_script_and_the_module_are_the_same(acme: Any, tmp_path: Path, process: Any) -> None:
    """`modelhub` and `python -m modelhub`; both tell the version, in JSON too."""
    module = subprocess.run(
        [sys.executable, "-m", "modelhub", "--version"],
        capture_output=True,
        check=True,
        env=acme.environment,
        cwd=tmp_path,
        text=True,
        timeout=60,
    )
    assert module.stdout == process("--version").out
    assert module.stdout.startswith("modelhub ")
    assert process("--version", "--json").document == {"version": module.stdout.split()[1]}


def test_without_a_command_there_is_help(cli: Any) -> None:
    """The commands, and what exit codes mean."""
    ran = cli()
    assert ran.code == 0
    assert ran.out == cli("--help").out
    assert "doctor" in ran.out
    assert "130 stopped" in " ".join(ran.out.split())


def test_a_shell_completes_providers(process: Any) -> None:
    """Commands, options and the ids of installed providers."""
    completing = {"_MODELHUB_COMPLETE": "complete_bash"}
    for words, expected in (("modelhub models list ac", "acme"), ("modelhub chat --temp", "--temperature")):
        typed = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert process(environment={**completing, **typed}).out.split() == [expected]
