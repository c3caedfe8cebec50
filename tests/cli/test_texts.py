"""The two languages of the command line: which one is chosen, and that neither lacks a word."""

import ast
import gettext
import string
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from modelhub import cli, errors
from modelhub.cli.app import COMMANDS
from modelhub.cli.failures import KINDS
from modelhub.cli.parser import PARSER_WORDS
from modelhub.cli.states import STATES
from modelhub.cli.texts import LANGUAGES, label, language, locales
from modelhub.types.plugins import PluginState

SOURCES = sorted(Path(cli.__file__).parent.glob("*.py"))
CATALOGUES = Path(cli.__file__).parent / "locale"
VARIABLES = ("MODELHUB_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
OTHERS = [language for language in LANGUAGES if language != "en"]


def messages_of(path: Path) -> set[str]:
    """Return what a module marks for translation, wherever it stands: in f-strings too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"_", "N_", "n_"}:
            text = node.args[0]
            if isinstance(text, ast.Constant):
                found.add(str(text.value))
    return found


MESSAGES = set().union(*map(messages_of, SOURCES))


def catalogue_of(name: str) -> Catalog:
    """Return what translators wrote."""
    with (CATALOGUES / name / "LC_MESSAGES" / "modelhub.po").open("rb") as file:
        return read_po(file, abort_invalid=True)


def forms(message: object) -> tuple[str, ...]:
    """Return the texts of a message or a translation, in the singular and the plural."""
    return tuple(message) if isinstance(message, tuple | list) else (str(message),)


def placeholders(text: str) -> set[str]:
    """Return what a text leaves open, with how it is shown."""
    return {f"{name}:{form}" for _, name, form, _ in string.Formatter().parse(text) if name is not None}


def test_the_words_are_there() -> None:
    """The search finds the command line's words, so that the rules below are about something."""
    assert len(MESSAGES) > 150
    assert "error: {message}" in MESSAGES


@pytest.mark.parametrize("name", OTHERS)
def test_every_message_is_translated(name: str) -> None:
    """A catalogue has every message of the code, none more, none empty and none unsure."""
    translated = {forms(entry.id)[0]: entry for entry in catalogue_of(name) if entry.id}
    assert translated.keys() == MESSAGES
    assert [id for id, entry in translated.items() if not all(forms(entry.string))] == []
    assert [id for id, entry in translated.items() if entry.fuzzy] == []


@pytest.mark.parametrize("name", OTHERS)
def test_a_translation_leaves_the_same_open(name: str) -> None:
    """Names in braces are the code's; a translation uses those, and no others."""
    wrong = [
        text
        for entry in catalogue_of(name)
        if entry.id
        for text in forms(entry.string)
        if placeholders(text) != placeholders(forms(entry.id)[-1])
    ]
    assert wrong == []


@pytest.mark.parametrize("name", OTHERS)
def test_what_runs_is_what_translators_wrote(name: str) -> None:
    """The compiled catalogue is that of the text beside it."""
    compiled = gettext.translation("modelhub", CATALOGUES, languages=[name])
    written = {
        id: text for entry in catalogue_of(name) for id, text in zip(forms(entry.id), forms(entry.string), strict=False)
    }
    stale = [id for id, text in written.items() if id and compiled.gettext(id) != text]
    assert stale == [], "pybabel compile -D modelhub -d src/modelhub/cli/locale"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "en"),
        ({"LANG": "id_ID.UTF-8"}, "id"),
        ({"LANG": "in_ID"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "id_ID"}, "id"),
        ({"LC_MESSAGES": "id_ID", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US", "LANGUAGE": "id:en"}, "id"),
        ({"LANG": "id_ID", "LANGUAGE": "en:id"}, "en"),
        ({"LANG": "en_US", "LANGUAGE": "jv:id"}, "id"),
        ({"LANGUAGE": "id", "LC_ALL": "C"}, "en"),
        ({"LANGUAGE": "id", "LANG": "C"}, "id"),
        ({"LANG": "id_ID", "MODELHUB_LANG": "en"}, "en"),
        ({"LC_ALL": "C", "MODELHUB_LANG": "id"}, "id"),
        ({"MODELHUB_LANG": "", "LANG": "id-ID"}, "id"),
        ({"LC_ALL": "id_ID@latin"}, "id"),
    ],
)
def test_the_language_follows_the_environment(
    given: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`MODELHUB_LANG` first, then gettext's variables in their order; what is not spoken is passed over."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_a_label_may_be_in_a_language_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests speak more languages than the command line: the user's is taken where it is there."""
    monkeypatch.setenv("MODELHUB_LANG", "zh_CN")
    assert language() == "en"
    assert label({"en_US": "Acme", "zh_Hans": "阿克梅"}) == "阿克梅"
    assert label({"en_US": "Acme"}) == "Acme"
    assert label({}, "acme") == label(None, "acme") == "acme"
    assert label("plain") == "plain"
    assert next(locales()) == "zh_CN"


def test_every_error_and_state_has_a_name() -> None:
    """The kinds of failure are those of the error tree, the states those of plugins."""
    classes = {name for name in errors.__all__ if isinstance(getattr(errors, name), type)}
    raised = {name for name in classes if issubclass(getattr(errors, name), errors.ModelHubError)}
    assert set(KINDS) == raised
    assert set(STATES) == set(PluginState)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_is_in_one_language(command: str, cli: object) -> None:
    """In Indonesian no English line of help is left, the parser's own included."""
    ran = cli(*command.split(), "--help", environment={"MODELHUB_LANG": "id", "COLUMNS": "1000"})  # type: ignore[operator]
    assert ran.code == 0
    assert ran.out.startswith("Pemakaian: modelhub")
    english = {forms(entry.id)[0] for entry in catalogue_of("id") if entry.id and entry.id != entry.string}
    whole_lines = {text for text in english if " " in text or text in PARSER_WORDS}
    assert sorted(text for text in whole_lines if text.strip() in ran.out) == []
