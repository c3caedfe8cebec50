"""Everything that the README and the pages in docs/ show, done: code run, output compared, settings and manifests read.

A block is marked by an HTML comment on the line before it, which no reader sees:

* ``not run: REASON``: the code must compile, and is not run
* ``prints``: what the last code printed
* ``file: PATH``: a file of a project, see test_projects.py; below ``examples/`` a file of this repository
* ``model``: YAML of a model instead of keys of provider.yaml

Of the commands in a block of ``console``, ``make`` must have its target, and ``modelhub`` is run.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from sybil import Document, Example, Region
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from modelhub.cli.app import run
from modelhub.configuration.settings import read_settings
from modelhub.manifest.shapes import schema_from
from modelhub.types.schema import ModelSchema, ProviderSchema

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    REPOSITORY / "README.md",
    *sorted(page for page in (REPOSITORY / "docs").rglob("*.md") if "_build" not in page.parts),
]
MARK = re.compile(r"<!-- (?P<mark>[^\n]*?) -->\n\s*\Z")
TRANSLATED = {"getting-started": "memulai", "tutorial-provider": "menulis-provider"}
NOT_CHECKED = {"text"}
NOT_RUN = {"cd", "export", "git", "mkdir", "ollama", "pip", "python3", "uvicorn"}
PART = re.compile(
    r"^(?:(?P<level>#+) [^\n]+|(?P<mark><!--[^\n]*-->\n)?```(?P<language>\w+)\n.*?^```)$", re.DOTALL | re.MULTILINE
)
SHELL = re.compile(r"^(?!modelhub )|[|<>&;$`\\*?]")  # what a shell has a part in
TARGETS = re.compile(r"^([a-z]+):", re.MULTILINE)


@dataclass
class Session:
    """What the blocks of a page share.

    Attributes:
        runner: The event loop of code that awaits at its top level, as in a notebook.
        printed: What the last code printed.
    """

    runner: asyncio.Runner
    printed: str = ""
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})

    def run(self, example: Example) -> None:
        """Run code, with its place on the page in tracebacks."""
        code = compiled(example)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            if code.co_flags & inspect.CO_COROUTINE:
                self.runner.run(eval(code, self.names))
            else:
                exec(code, self.names)
        self.printed = output.getvalue()

    def compare(self, example: Example) -> None:
        """Compare what the page says was printed; what varies is written as an ellipsis."""
        expected = str(example.parsed).strip()
        pattern = ".*?".join(re.escape(piece) for piece in expected.split("…"))
        assert re.fullmatch(pattern, self.printed.strip(), re.DOTALL), f"printed was:\n{self.printed}"


def compiled(example: Example) -> Any:
    """Compile code, allowing `await` at its top level."""
    source = "\n" * example.line + str(example.parsed)
    return compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def do_commands(example: Example) -> None:
    """Do the commands of a block, those that can be done here."""
    for line in example.parsed.splitlines():
        if line.startswith("$ "):
            do_command(line.removeprefix("$ "))


def do_command(command: str) -> None:
    """Run a command of ours; of the others check what can be checked."""
    words = [word for word in shlex.split(command, comments=True) if not re.match(r"\w+=", word)]
    match words:
        case ["make", target, *_]:
            assert target in TARGETS.findall((REPOSITORY / "Makefile").read_text("utf-8"))
        case [*words] if "modelhub" in words:
            command = command.replace("http://127.0.0.1:11434", os.environ["MODELHUB_OLLAMA_LOCAL_BASE_URL"])
            code, said = (in_a_shell if SHELL.search(command) else in_this_process)(command)
            assert code == 0, f"{command}\n{said}"
        case [name, *_] if name in NOT_RUN:
            return
        case _:
            raise AssertionError(f"nobody knows what to do with the command {command!r}")


def in_a_shell(command: str) -> tuple[int, str]:
    """Run a command as it is written, pipes and all, and return its exit code and what it said."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "PATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout


def in_this_process(command: str) -> tuple[int, str]:
    """Run our program alone, which loads everything once for all commands, and return what a shell would."""
    written = io.BytesIO()
    said = io.TextIOWrapper(written, encoding="utf-8", write_through=True)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.setenv("LANGUAGE", "")  # a run writes there; this is also what puts it back
        code = run(shlex.split(command, comments=True)[1:])
    return code, written.getvalue().decode()


def read_toml(example: Example) -> None:
    """Read settings."""
    read_settings(tomllib.loads(example.parsed))


def read_manifest(example: Example) -> None:
    """Read keys of provider.yaml; each must be known."""
    _, notices = schema_from(ProviderSchema, {"provider": "page", **yaml.safe_load(example.parsed)}, example.path)
    assert notices == ()


def read_model(example: Example) -> None:
    """Read the YAML of a model; each key must be known."""
    _, notices = schema_from(ModelSchema, yaml.safe_load(example.parsed), example.path)
    assert notices == ()


def compare_file(path: str) -> Callable[[Example], None]:
    """Compare a file of the repository with what the page shows of it."""

    def compare(example: Example) -> None:
        assert (REPOSITORY / path).read_text("utf-8") == example.parsed

    return compare


def evaluator(language: str, mark: str, session: Session) -> Callable[[Example], None] | None:
    """Say what is done with a block; nothing with those of text."""
    if mark.startswith("file: "):
        path = mark.removeprefix("file: ")
        return compare_file(path) if path.startswith("examples/") else None
    match language, mark:
        case "python", "":
            return session.run
        case "python", mark if mark.startswith("not run: "):
            return lambda example: compiled(example) and None
        case _, "prints":
            return session.compare
        case "console", "":
            return do_commands
        case "toml", "":
            return read_toml
        case "yaml", "":
            return read_manifest
        case "yaml", "model":
            return read_model
        case language, "" if language in NOT_CHECKED:
            return None
        case _:
            raise AssertionError(f"nobody knows what to do with a block of {language!r} marked {mark!r}")


def blocks(page: Path, session: Session) -> Iterator[Example]:
    """Yield the blocks of a page that something is done with, in order."""

    def parse(document: Document) -> Iterator[Region]:
        for region in FencedCodeBlockLexer(r"[^\n{]+")(document):
            mark = MARK.search(document.text[: region.start])
            found = evaluator(region.lexemes["language"], mark["mark"] if mark else "", session)
            if found is not None:
                yield Region(region.start, region.end, region.lexemes["source"], found)

    yield from Document.parse(str(page), parse).examples()


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("own_folder")
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(REPOSITORY)) for page in PAGES])
def test_what_a_page_shows_is_so(page: Path) -> None:
    """Every block does what the page says, in its order, in one session."""
    with asyncio.Runner() as runner:
        for block in blocks(page, Session(runner)):
            block.evaluate()


def outline(page: Path) -> list[tuple[str, str]]:
    """Return what a page has in order: the levels of its headings, and its blocks with their marks."""
    text = page.read_text("utf-8")
    return [(part["level"] or part["language"], part["mark"] or "") for part in PART.finditer(text)]


@pytest.mark.parametrize("page", TRANSLATED)
def test_the_translation_of_a_page_is_in_step(page: str) -> None:
    """It has the same headings and blocks, in the same order."""
    docs = REPOSITORY / "docs"
    assert outline(docs / "id" / f"{TRANSLATED[page]}.md") == outline(docs / f"{page}.md")
