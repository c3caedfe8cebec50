"""`lint`: what a user sees of a plugin's defects, and what a script reads of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelhub.manifest.json_schema import json_schema

MODEL = """\
model: acme-1
pricing:
  input: "0.15"
  output: "0.60"
  unit: "1M"
deprecated: true
"""
MANIFEST = """\
provider: acme
contract: 1
label: Acme
supported_model_types: [llm]
configurate_methods: [predefined-model]
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Return a plugin with an error and a warning in one file, and an error in the other."""
    folder = tmp_path / "acme"
    (folder / "models" / "llm").mkdir(parents=True)
    (folder / "provider.yaml").write_text(f"{MANIFEST}lable: Acme\n")
    (folder / "models" / "llm" / "acme-1.yaml").write_text(MODEL)
    return folder


@pytest.mark.usefixtures("plugin")
def test_defects_are_grouped_by_file(cli: Any) -> None:
    """Each with its place, how bad it is, its code and what to do; then how many there are. Errors are exit code 1."""
    ran = cli("lint", "acme")
    assert ran.code == 1
    assert ran.err == ""
    assert ran.out == (
        "acme/models/llm/acme-1.yaml:5: error[unit] "
        "pricing: unit '1M' is no factor, so that the price is unknown\n"
        "    remedy: write '0.000001'\n"
        "acme/models/llm/acme-1.yaml:6: warning[deprecated-replacement] "
        "acme-1 is deprecated, and nothing says what to use instead\n"
        "    remedy: add deprecation: {replacement: …}\n"
        "\n"
        "acme/provider.yaml:6: error[unknown-key] nobody reads the key 'lable'\n"
        "    remedy: did you mean 'label'?\n"
        "\n"
        "2 errors, 1 warning.\n"
    )


def test_warnings_alone_are_no_failure(cli: Any, plugin: Path) -> None:
    """The exit code is 0 then, and where nothing is wrong."""
    (plugin / "provider.yaml").write_text(MANIFEST)
    model = plugin / "models" / "llm" / "acme-1.yaml"
    model.write_text("model: acme-1\ndeprecated: true\n")
    ran = cli("lint", "acme")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 warning.")
    model.write_text("model: acme-1\n")
    ran = cli("lint", "acme")
    assert (ran.code, ran.out) == (0, "Nothing is wrong.\n")


def test_a_script_reads_an_array(cli: Any, plugin: Path) -> None:
    """With `--json`; an empty one where nothing is wrong."""
    ran = cli("lint", "acme", "--json")
    assert ran.code == 1
    assert [(each["line"], each["code"], each["severity"]) for each in ran.document] == [
        (5, "unit", "error"),
        (6, "deprecated-replacement", "warning"),
        (6, "unknown-key", "error"),
    ]
    assert ran.document[0] == {
        "file": "acme/models/llm/acme-1.yaml",
        "line": 5,
        "code": "unit",
        "message": "pricing: unit '1M' is no factor, so that the price is unknown",
        "remedy": "write '0.000001'",
        "severity": "error",
    }
    (plugin / "provider.yaml").write_text(MANIFEST)
    (plugin / "models" / "llm" / "acme-1.yaml").write_text("model: acme-1\n")
    assert (cli("lint", "acme", "--json").code, cli("lint", "acme", "--json").document) == (0, [])


def test_several_paths_are_one_run(cli: Any, plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their defects stand together, none twice; without a path the folder one is in is checked."""
    both = cli("lint", "acme/provider.yaml", "acme", "--json").document
    alone = cli("lint", "acme", "--json").document
    assert sorted(map(str, both)) == sorted(map(str, alone))
    monkeypatch.chdir(plugin)
    assert {each["file"] for each in cli("lint", "--json").document} == {"provider.yaml", "models/llm/acme-1.yaml"}


@pytest.mark.usefixtures("plugin")
def test_a_path_that_is_not_there_is_a_wrong_argument(cli: Any) -> None:
    """It is told by its name, before anything is checked."""
    ran = cli("lint", "acme", "acne")
    assert (ran.code, ran.out) == (2, "")
    assert "error: PATH: there is no 'acne'" in ran.err


@pytest.mark.parametrize("kind", ["provider", "model"])
def test_a_schema_is_written_whole(cli: Any, kind: str) -> None:
    """It is JSON and nothing besides, with `--json` and without."""
    ran = cli("lint", "--schema", kind)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out) == json_schema(kind)  # type: ignore[arg-type]  # one of the two
    assert cli("lint", "--schema", kind, "--json").out == ran.out


def test_a_schema_of_something_else_is_a_wrong_argument(cli: Any) -> None:
    """The message names the two kinds of files."""
    ran = cli("lint", "--schema", "pyproject")
    assert ran.code == 2
    assert "'pyproject' is none of provider, model" in ran.err


@pytest.mark.usefixtures("plugin")
def test_lint_speaks_indonesian(cli: Any) -> None:
    """What surrounds the defects is in the user's language; their codes are not."""
    ran = cli("lint", "acme", environment={"LANG": "id_ID.UTF-8"})
    assert "error[unit]" in ran.out
    assert "    solusi: write '0.000001'\n" in ran.out
    assert ran.out.endswith("2 kesalahan, 1 peringatan.\n")


@pytest.mark.usefixtures("plugin")
def test_errors_are_red_on_a_terminal(screen: Any) -> None:
    """Warnings are yellow, places are plain so that a terminal makes links of them."""
    shown = screen("lint", "acme")
    assert shown.end() == 1
    assert "acme/provider.yaml:6: \x1b[31merror[unknown-key]\x1b[0m nobody reads" in shown.written
    assert "\x1b[33mwarning[deprecated-replacement]\x1b[0m" in shown.written


def test_a_file_cannot_write_to_the_terminal(screen: Any, plugin: Path) -> None:
    """Control characters of a file's keys do not reach it."""
    (plugin / "provider.yaml").write_text(f'{MANIFEST}"\\e]0;owned\\a": 1\n')
    shown = screen("lint", "acme")
    assert shown.end() == 1
    assert "\x1b]0;" not in shown.written
