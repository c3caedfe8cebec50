"""How a run ends when something is wrong: exit codes, one clear line, no traceback, no secret."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY

from modelhub.cli.failures import failed_attempts, show_failure
from modelhub.cli.terminal import Terminal
from modelhub.errors import AuthenticationFailed
from modelhub.types.records import Attempt

SECRET = CANARY


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["chta", "acme"], "there is no command chta; did you mean chat?"),
        (["chat"], "MODEL is missing"),
        (["chat", "acme", "x", "--temprature", "1"], "there is no option --temprature; did you mean --temperature?"),
        (["chat", "acme", "x", "--seed"], "--seed needs a value"),
        (["chat", "acme", "x", "--usage=yes"], "--usage takes no value"),
        (["chat", "acme", "x", "y"], "unexpected argument: y"),
        (["chat", ",", "x"], "MODEL: it names no model"),
        (["--nonsense"], "there is no option --nonsense"),
    ],
)
def test_arguments_that_cannot_be_used(cli: Any, arguments: list[str], complaint: str) -> None:
    """One line says what is wrong; exit code 2."""
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert [line for line in ran.err.splitlines() if line.startswith("error: ")] == [f"error: {complaint}"]


def test_arguments_that_cannot_be_used_bring_the_help(cli: Any) -> None:
    """Above the error the usage line of the command, below it where its help is."""
    assert cli("chat").err.splitlines() == [
        "Usage: modelhub chat [OPTIONS] {MODEL} [PROMPT]",
        "error: MODEL is missing",
        "  help: modelhub chat --help",
    ]


def test_arguments_are_refused_in_the_users_language(cli: Any) -> None:
    """The parser's complaints are translated too."""
    indonesian = {"MODELHUB_LANG": "id"}
    assert "galat: tidak ada perintah chta; maksudnya chat?" in cli("chta", environment=indonesian).err
    assert "galat: MODEL belum diisi" in cli("chat", environment=indonesian).err
    assert "galat: --seed memerlukan nilai" in cli("chat", "m", "x", "--seed", environment=indonesian).err


def test_an_error_of_the_core_has_its_kind_in_the_users_language(cli: Any) -> None:
    """The core speaks English; what kind of failure it is, the user can read."""
    ran = cli("models", "list", "acne", environment={"MODELHUB_LANG": "id"})
    assert ran.err == ("galat: penyedia tidak dikenal: there is no provider 'acne'\n  solusi: did you mean 'acme'?\n")


def test_usage_errors_in_json_are_documents(cli: Any) -> None:
    """On stdout, like every failure."""
    ran = cli("chat", "--json")
    assert (ran.code, ran.err) == (2, "")
    assert ran.document == {"error": {"type": "UsageError", "message": "MODEL is missing"}}


def test_common_options_stand_before_and_after_the_command(cli: Any) -> None:
    """`--json` and `--config` count in both places."""
    assert cli("--json", "providers").document == cli("providers", "--json").document
    for arguments in (["--config", "no.toml", "providers"], ["providers", "--config", "no.toml"]):
        ran = cli(*arguments)
        assert ran.code == 1
        assert ran.err.startswith("error: no.toml cannot be read: No such file")


def test_problems_of_settings_stand_one_below_the_other(cli: Any, tmp_path: Path) -> None:
    """Each with its line and its remedy; in JSON each is an object."""
    (tmp_path / "modelhub.toml").write_text("[plugin]\n[timeouts]\nidel = 3\nidle = 0\n")
    ran = cli("providers")
    assert (ran.code, ran.err.splitlines()) == (
        1,
        [
            "error: the settings have 3 problems:",
            "  modelhub.toml:1: plugin: unknown table",
            "    remedy: did you mean 'plugins'?",
            "  modelhub.toml:3: timeouts.idel: unknown key",
            "    remedy: did you mean 'idle'?",
            "  modelhub.toml:4: timeouts.idle: it must be above 0",
        ],
    )
    assert "✗ the settings have 3 problems:\n    modelhub.toml:1: plugin: unknown table\n" in cli("doctor").out
    assert cli("providers", "--json").document["error"]["problems"][1] == {
        "file": "modelhub.toml",
        "line": 3,
        "path": "timeouts.idel",
        "message": "unknown key",
        "remedy": "did you mean 'idle'?",
    }


def test_a_plugins_accident_is_one_line(cli: Any) -> None:
    """Its traceback is shown with `--debug` only."""
    ran = cli("chat", "acme/bug", "x")
    assert ran.code == 1
    assert ran.err.splitlines()[0].startswith("error: acme/bug: the plugin failed: RuntimeError: an accident of two")
    assert "Traceback" not in ran.err
    assert "Traceback" in cli("chat", "acme/bug", "x", "--debug").err


@pytest.mark.holds_secrets("key", "modelhub.toml")
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_no_secret_is_shown(cli: Any, tmp_path: Path, debug: list[str]) -> None:
    """Neither in an error that repeats it nor in a traceback; given by option, file, environment or settings."""
    (tmp_path / "key").write_text(f"{SECRET}\n")
    (tmp_path / "modelhub.toml").write_text(f'[credentials.acme]\napi_key = "{SECRET}"\n')
    question = ["chat", "acme/leaky", "x", *debug]
    runs = [
        cli(*question, "--set", f"api_key={SECRET}"),
        cli(*question, "--set", "api_key=@key"),
        cli(*question, environment={"MODELHUB_ACME_API_KEY": SECRET}),
        cli(*question, "--json"),
    ]
    for ran in runs:
        assert ran.code == 1
        assert "the key *** is wrong" in ran.err + ran.out
        assert SECRET not in ran.err + ran.out


@pytest.mark.parametrize(
    "given",
    [f"={SECRET}", SECRET, f"@{SECRET}", f"api_key=@{SECRET}", f"api_kee={SECRET}"],
    ids=["no name", "no value", "a file of that name", "no such file", "misspelt"],
)
def test_a_mistake_in_a_credential_does_not_repeat_it(cli: Any, given: str) -> None:
    """Whatever is wrong with `--set`, what was written there stays unsaid."""
    ran = cli("chat", "acme/echo", "x", "--set", given)
    assert ran.code in {1, 2}
    assert SECRET not in ran.err + ran.out


def test_a_value_may_begin_with_an_at_sign(cli: Any) -> None:
    """Two of them are one."""
    assert "the key @@x is wrong" not in cli("chat", "acme/leaky", "x", "--set", "api_key=@@abc").err
    assert cli("validate", "acme", "--set", "region=@@west").code == 1


def test_a_closed_pipe_ends_the_run_without_a_word(acme: Any, tmp_path: Path) -> None:
    """Whoever reads one line and goes leaves no traceback behind."""
    script = Path(sys.executable).with_name("modelhub")
    reading, writing = os.pipe()
    with subprocess.Popen(
        [script, "chat", "acme/endless", "x"],
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        env=acme.environment,
        cwd=tmp_path,
    ) as running:
        os.close(writing)
        assert os.read(reading, 5)
        os.close(reading)
        _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (141, b"")


@pytest.mark.parametrize("name", ["acme/one", "acme/one#rack"])
def test_the_credential_that_was_refused_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever has several must know which of them to mend; the only one is not named."""
    monkeypatch.setenv("MODELHUB_LANG", "en")
    error = AuthenticationFailed("no such key", remedy="check the API key in the credential")
    error.provider, error.model, error.deployment = "acme", "one", name
    show_failure(Terminal(), error)
    assert capsys.readouterr().err.startswith(f"error: {name}: no such key\n")


@pytest.mark.parametrize(("spoken", "kind"), [("en", "the server failed"), ("id", "server gagal")])
def test_a_failed_attempt_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch, spoken: str, kind: str) -> None:
    """In the user's language; an error that is a plugin's own goes by its name, and what worked is not told."""
    monkeypatch.setenv("MODELHUB_LANG", spoken)
    attempts = [Attempt("a/b", "ServerError", 1.0), Attempt("c/d", "AcmeQuotaSpent", 1.0), Attempt("e/f", None, 1.0)]
    assert failed_attempts(attempts) == [f"a/b ({kind})", "c/d (AcmeQuotaSpent)"]
