"""Plugins with defects, each marked where it is reported, and plugins with none."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelhub.manifest.lint import CODES, lint

REPOSITORY = Path(__file__).parents[2]
CORPUS = REPOSITORY / "tests" / "fixtures" / "lint"
BROKEN = sorted((CORPUS / "broken").iterdir())
CLEAN = [
    *sorted((CORPUS / "clean").iterdir()),
    *sorted(path.parent for path in REPOSITORY.glob("plugins/*/pyproject.toml")),
    REPOSITORY / "examples" / "own_provider",
]
ELSEWHERE = {"unreadable", "code-unreadable"}
"""Defects that other tools would stumble over too if they lay here; test_lint.py makes them."""

Place = tuple[str, int, str]


def marked(folder: Path) -> Iterator[Place]:
    """Yield file, line and code of each defect that a folder's files say they have."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".yaml", ".yml", ".py", ".toml"}:
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                found = re.search(r"# expect: (.+)$", line)
                for code in found[1].split() if found else ():
                    yield path.as_posix(), number, code


@pytest.mark.parametrize("folder", BROKEN, ids=lambda path: path.name)
def test_every_marked_defect_is_found_and_no_other(folder: Path) -> None:
    """File, line and code are those that the files are marked with, all in one run."""
    found = [(each.file, each.line, each.code) for each in lint(folder)]
    assert sorted(set(found)) == sorted(marked(folder))


@pytest.mark.parametrize("folder", CLEAN, ids=lambda path: path.name)
def test_a_plugin_in_order_has_no_defects(folder: Path) -> None:
    """No error and no warning: of what is loosely spelt, of what is unusual, and of the plugins that are shipped."""
    assert lint(folder) == []


FILE = re.compile(r"<!-- file: (?P<path>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial-provider.md", "docs/id/menulis-provider.md"])
def test_plugins_that_pages_show_have_no_defects(page: str, tmp_path: Path) -> None:
    """What a reader copies is in order."""
    files = {found["path"]: found["text"] for found in FILE.finditer((REPOSITORY / page).read_text("utf-8"))}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert any(name.endswith("provider.yaml") for name in files)
    assert lint(tmp_path) == []


def test_the_corpus_has_every_defect() -> None:
    """Each code stands in at least one file."""
    assert {code for folder in BROKEN for _, _, code in marked(folder)} | ELSEWHERE == set(CODES)


@pytest.mark.parametrize("folder", BROKEN, ids=lambda path: path.name)
def test_a_defect_says_what_to_do(folder: Path) -> None:
    """Message and remedy are one line each, and how bad it is follows from the code."""
    for each in lint(folder):
        assert each.message.strip(), each
        assert each.remedy.strip(), each
        assert "\n" not in each.message + each.remedy
        assert each.severity == CODES[each.code]


def test_a_file_of_a_plugin_can_be_checked_alone() -> None:
    """What can be told from one file is told of it: the same defects, without those that need other files."""
    folder = CORPUS / "broken" / "prices"
    path = folder / "models" / "llm" / "million.yaml"
    assert lint(path) == [each for each in lint(folder) if each.file == path.as_posix()]
    alone = {each.code for each in lint(CORPUS / "broken" / "provider" / "provider.yaml")}
    assert {"unknown-key", "help-url", "configurator", "icon-missing"} <= alone
    assert {"glob-empty", "unknown-position", "unknown-default-model"}.isdisjoint(alone)


def test_an_id_that_repeats_is_told_with_both_files() -> None:
    """The message names the file that has the name already."""
    found = [each for each in lint(CORPUS / "broken" / "files") if each.code == "duplicate-model"]
    assert {Path(each.message.split()[-2]).name for each in found} == {"first-again.yaml", "second-again.yml"}
