"""A form on a terminal: asked field by field, in the user's language, each answer checked, no secret shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY, canary
from tests.cli.conftest import WRONG_KEY

PROMPT = "> "
NEW_KEY = canary("a new key")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return the folder of the user's own store."""
    return tmp_path / "config"


@pytest.fixture
def answered(screen: Any, store: Path) -> Any:
    """Return what runs a command on a terminal and types one answer at each prompt."""

    def execute(*words: str, typed: Sequence[str], language: str = "en") -> Any:
        environment = {"XDG_CONFIG_HOME": str(store), "APPDATA": str(store), "MODELHUB_LANG": language}
        shown = screen(*words, environment=environment)
        for answer in typed:
            shown.wait_for(PROMPT)
            shown.type(f"{answer}\n")
        return shown

    return execute


WORDS = {
    "en": ("Server (required)", "API key (required; not shown while you type)", "it must be 9 or less", "is kept in"),
    "id": ("Peladen (wajib)", "Kunci API (wajib; tidak tampak saat diketik)", "harus 9 atau kurang", "disimpan di"),
}


@pytest.mark.parametrize("language", WORDS)
def test_every_type_of_field_is_asked_for(answered: Any, harbour: Any, tmp_path: Path, language: str) -> None:
    """Choices by number, switches by yes, pairs, JSON and texts of several lines, files; wrong answers again."""
    (tmp_path / "account.json").write_text('{"id": 1}')
    typed = [
        *("no url at all", harbour.url, CANARY),
        *("2", "20", "3"),
        "ya",
        *("X-Team", "vermilion", ""),
        "1, salt",
        *('{"a":', "1}"),
        *("first line", "second line", ""),
        *("nowhere.json", str(tmp_path / "account.json"), "1"),
    ]
    shown = answered("credentials", "add", "harbour", typed=typed, language=language)
    assert shown.end() == 0
    for words in WORDS[language]:
        assert words in shown.plain
    assert "vermilion" not in shown.plain
    assert harbour.forms == [
        {
            "base_url": harbour.url,
            "api_key": CANARY,
            "plan": "large",
            "berths": 3,
            "night": True,
            "headers": {"X-Team": "vermilion"},
            "goods": ["fish", "salt"],
            "limits": {"a": 1},
            "note": "first line\nsecond line",
            "account": '{"id": 1}',
        }
    ]


def test_a_pair_may_be_typed_in_one_line(answered: Any, harbour: Any) -> None:
    """As the example beside the question has it; a name alone is asked for its value."""
    typed = [harbour.url, CANARY, "", "", "X-Team: blue", "X-Dock", "4:1", *[""] * 5]
    assert answered("credentials", "add", "harbour", typed=typed).end() == 0
    assert harbour.forms[0]["headers"] == {"X-Team": "blue", "X-Dock": "4:1"}


def test_only_what_is_shown_is_asked_for(answered: Any, harbour: Any) -> None:
    """A field whose condition does not hold is not; Enter takes the default, and leaves out what is optional."""
    typed = [harbour.url, CANARY, *[""] * 7]
    shown = answered("credentials", "add", "harbour", typed=typed)
    assert shown.end() == 0
    assert "Berths" not in shown.plain
    assert harbour.forms == [{"base_url": harbour.url, "api_key": CANARY, "plan": "small"}]


def test_a_reference_may_be_typed_anywhere(answered: Any, harbour: Any, tmp_path: Path) -> None:
    """In place of a secret, and for a file that is read when it is wanted; one to nothing is told at once."""
    path = tmp_path / "account.json"
    path.write_text("{}")
    path.chmod(0o600)
    typed = [harbour.url, "env:NOT_SET", "env:MODELHUB_ACME_API_KEY", *[""] * 6, str(path), "2"]
    shown = answered("credentials", "add", "harbour", typed=typed)
    assert shown.end() == 0
    assert "the environment variable NOT_SET is not set" in shown.plain
    assert (harbour.forms[0]["api_key"], harbour.forms[0]["account"]) == (CANARY, "{}")
    listed = answered("credentials", "list", "harbour", "--json", typed=())
    assert listed.end() == 0
    assert f"file:{path}" in listed.plain
    assert "env:MODELHUB_ACME_API_KEY" in listed.plain


def test_what_was_given_is_not_asked_for(answered: Any, harbour: Any) -> None:
    """Unless it cannot be used, which is told."""
    given = ("--set", "plan=huge", "--set", f"base_url={harbour.url}")
    shown = answered("credentials", "add", "harbour", *given, typed=[CANARY, "1", *[""] * 6])
    assert shown.end() == 0
    assert "✗ Plan (plan): it must be one of small, large" in shown.plain
    assert "Server (required)" not in shown.plain


@pytest.mark.usefixtures("harbour")
def test_ctrl_c_and_ctrl_d_end_it(answered: Any, store: Path) -> None:
    """Nothing is kept, there is no traceback, and the exit code is that of Ctrl-C."""
    for end in ("\x03", "\x04"):
        shown = answered("credentials", "add", "harbour", typed=["https://harbour.example"])
        shown.wait_for(PROMPT)
        shown.type(end)
        assert shown.end() == 130
        assert "Traceback" not in shown.written
    assert not list(store.rglob("credentials.json"))


@pytest.mark.parametrize(("answer", "code"), [("n", 1), ("y", 0)])
def test_what_the_vendor_refuses_may_be_kept_all_the_same(
    answered: Any, harbour: Any, store: Path, answer: str, code: int
) -> None:
    """After a form was typed, it is asked, and not thrown away."""
    shown = answered("credentials", "add", "harbour", typed=[harbour.url, WRONG_KEY, *[""] * 7, answer])
    assert shown.end() == code
    assert "✗ API key (api_key): the vendor refuses it" in shown.plain
    assert bool(list(store.rglob("credentials.json"))) is (code == 0)


def test_a_credential_is_edited_field_by_field(answered: Any, harbour: Any) -> None:
    """Enter keeps what there is, a dash empties what is optional, and what is secret is shown by its end alone."""
    given = ("--set", f"base_url={harbour.url}", "--set", "plan=large", "--set", "berths=3", "--set", "night=yes")
    assert answered("credentials", "add", "harbour", *given, typed=[CANARY, *[""] * 5]).end() == 0
    shown = answered("credentials", "rotate", "harbour", typed=["", NEW_KEY, "", "4", "-", *[""] * 5])
    assert shown.end() == 0
    assert f"API key (Enter keeps ***{CANARY[-4:]}; not shown while you type)" in shown.plain
    expected = {"base_url": harbour.url, "api_key": NEW_KEY, "plan": "large", "berths": 4}
    assert harbour.forms[-1] == expected


def test_replacing_and_removing_are_asked_for(answered: Any, harbour: Any) -> None:
    """The answer is no unless it is yes."""
    given = ("credentials", "add", "harbour", "--set", f"base_url={harbour.url}")
    assert answered(*given, typed=[CANARY, *[""] * 7]).end() == 0
    refused = answered(*given, typed=[""])
    assert refused.end() == 1
    assert "Replace it?" in refused.plain
    assert answered(*given, typed=["yes", NEW_KEY, *[""] * 7]).end() == 0
    assert harbour.forms[-1]["api_key"] == NEW_KEY
    assert answered("credentials", "remove", "harbour", typed=["no"]).end() == 1
    assert answered("credentials", "remove", "harbour", typed=["y"]).end() == 0


def test_the_type_of_a_model_is_asked_for(answered: Any, harbour: Any) -> None:
    """Where the form wants to know; the model's own fields stand beside the provider's."""
    given = ("--set", f"base_url={harbour.url}", "--model", "crane", "--no-check")
    shown = answered("credentials", "add", "harbour", *given, typed=["1", CANARY, *[""] * 7, "512"])
    assert shown.end() == 0
    assert "Window (required; a number)" in shown.plain
    assert "The credential default of harbour/crane is kept" in shown.plain
