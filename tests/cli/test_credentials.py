"""`credentials`: filled in by scripts, checked with the vendor, kept sealed, listed, changed and removed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY, canary, found_in
from tests.cli.conftest import WRONG_KEY

NEW_KEY = canary("a new key")
MASKED = f"***{CANARY[-4:]}"


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the user's own store will be; it belongs to one test."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "config"))
    return tmp_path / "config" / "modelhub" / "credentials.json"


@pytest.fixture
def add(harbour: Any, cli: Any) -> Any:
    """Return what adds a credential of `harbour` as a script does, its key from stdin."""

    def execute(*further: str, key: str = CANARY, environment: Any = None, by: Any = cli) -> Any:
        given = ("--set", f"base_url={harbour.url}", "--set", "api_key=-")
        words = ("credentials", "add", "harbour", *given, *further)
        return by(*words, stdin=f"{key}\n".encode(), environment=environment)

    return execute


def test_a_script_adds_a_credential(add: Any, harbour: Any, cli: Any, process: Any, store: Path) -> None:
    """The key from stdin, checked with the vendor, sealed in the store, and used by the hub from then on."""
    given = ("--set", "plan=large", "--set", "berths=3", "--set", "night=yes", "--set", "goods=fish,rope")
    ran = add(*given, by=process)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"✓ form\n✓ key accepted\nThe credential default of harbour is kept in {store}.\n"
    sent = {"base_url": harbour.url, "api_key": CANARY, "plan": "large", "berths": 3, "night": True}
    assert harbour.forms == [{**sent, "goods": ["fish", "rope"]}]
    assert found_in(store.read_bytes()) is None
    assert cli("validate", "harbour").code == 0
    assert harbour.forms[1] == harbour.forms[0]


def test_programs_are_told_what_was_kept(add: Any, harbour: Any, store: Path) -> None:
    """As one document, masked."""
    document = add("--name", "work", "--json").document
    assert document == {
        "provider": "harbour",
        "name": "work",
        "model": None,
        "kept": True,
        "store": str(store),
        "stages": ["form", "key accepted"],
        "values": {"base_url": harbour.url, "api_key": MASKED},
    }


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "✗ Server (base_url): it is required\n✗ API key (api_key): it is required\n"),
        ("id", "✗ Peladen (base_url): wajib diisi\n✗ Kunci API (api_key): wajib diisi\n"),
    ],
)
def test_what_is_missing_is_listed(cli: Any, harbour: Any, store: Path, language: str, expected: str) -> None:
    """Where nobody can be asked: all of it, with how to give it; nothing is kept and nobody is called."""
    ran = cli("credentials", "add", "harbour", environment={"MODELHUB_LANG": language})
    assert (ran.code, ran.out) == (1, expected)
    assert "--set base_url=… --set api_key=…" in ran.err
    assert not store.exists()
    assert harbour.forms == []


def test_what_is_wrong_is_told_all_at_once(cli: Any, harbour: Any) -> None:
    """Values and names of fields; programs get codes; a value in a name's place is not repeated."""
    given = ("--set", "plan=huge", "--set", "berths=99", "--set", f"base_url={harbour.url}")
    problems = cli("credentials", "add", "harbour", *given, "--json").document["error"]["problems"]
    assert [(each["path"], each["code"]) for each in problems] == [("api_key", "required"), ("plan", "not_option")]
    assert cli("credentials", "add", "harbour", "--set", "api_kye=x").out == "✗ api_kye: did you mean 'api_key'?\n"


def test_what_the_vendor_refuses_is_not_kept(add: Any, store: Path, cli: Any) -> None:
    """The field is told; without the check it is kept unseen."""
    ran = add(key=WRONG_KEY)
    assert ran.code == 1
    assert ran.out == "✓ form\n✗ API key (api_key): the vendor refuses it\n"
    assert ran.err == "nothing was kept\n"
    assert not store.exists()
    document = add("--json", key=WRONG_KEY).document
    assert (document["ok"], document["kept"]) == (False, False)
    assert document["errors"] == {"api_key": "the vendor refuses it"}
    assert add("--no-check", key=WRONG_KEY).code == 0
    assert cli("credentials", "test", "harbour").code == 1


def test_a_secret_in_the_arguments_is_warned_of(cli: Any, harbour: Any) -> None:
    """Not a reference, and no value that is no secret."""
    given = ("credentials", "add", "harbour", "--set", f"base_url={harbour.url}", "--replace", "--set")
    assert "note: the value of api_key was in the arguments" in cli(*given, f"api_key={CANARY}").err
    ran = cli(*given, "api_key=env:HARBOUR_KEY", environment={"HARBOUR_KEY": CANARY})
    assert (ran.code, ran.err) == (0, "")


def test_a_name_is_taken_once(add: Any, cli: Any) -> None:
    """`--replace` takes its place, another name stands beside it."""
    assert add().code == 0
    ran = add(key=NEW_KEY)
    assert ran.code == 1
    assert "there is a stored credential 'default' of harbour already" in ran.err
    assert "--replace" in ran.err
    assert add("--replace", key=NEW_KEY).code == 0
    assert add("--name", "other").code == 0
    listed = cli("credentials", "list", "harbour", "--json").document["credentials"]
    assert [(each["name"], each["values"]["api_key"]) for each in listed] == [
        ("default", f"***{NEW_KEY[-4:]}"),
        ("other", MASKED),
    ]


def test_references_are_kept_as_they_are(cli: Any, harbour: Any) -> None:
    """And read for the check; one that leads to nothing is told, unless nothing is to be checked."""
    given = ("credentials", "add", "harbour", "--set", f"base_url={harbour.url}", "--set", "api_key=env:HARBOUR_KEY")
    ran = cli(*given)
    assert ran.code == 1
    assert "the environment variable HARBOUR_KEY is not set" in ran.out
    assert cli(*given, "--no-check").code == 0
    with_key = {"HARBOUR_KEY": CANARY}
    assert cli(*given, "--replace", environment=with_key).code == 0
    assert harbour.forms[-1]["api_key"] == CANARY
    assert "api_key=env:HARBOUR_KEY" in cli("credentials", "list").out
    assert cli("credentials", "test", "harbour", environment=with_key).code == 0


def test_a_model_has_credentials_of_its_own(add: Any, cli: Any, harbour: Any) -> None:
    """Its form stands beside the provider's; which fields are shown may depend on its type."""
    assert add("--model", "crane").code == 2
    ran = add("--model", "crane", "--type", "llm")
    assert ran.out.startswith("✗ Window (window): it is required\n")
    assert add("--model", "crane", "--type", "llm", "--set", "window=512").code == 0
    assert harbour.forms[-1]["api_key"] == CANARY
    (known,) = cli("credentials", "list", "harbour", "--json").document["credentials"]
    assert (known["model"], known["values"]["window"]) == ("crane", 512)
    tested = cli("credentials", "test", "harbour", "--json").document["credentials"]
    assert [(each["name"], each["model"], each["ok"]) for each in tested] == [("default", "crane", True)]


def test_a_model_inherits_what_its_provider_has(add: Any, cli: Any, harbour: Any) -> None:
    """Its form wants only what is new; a key follows it to no other server."""
    add()
    given = ("credentials", "add", "harbour", "--model", "crane", "--type", "llm", "--set", "window=512")
    assert cli(*given).code == 0
    assert harbour.forms[-1] == {"base_url": harbour.url, "api_key": CANARY, "window": 512, "plan": "small"}
    kept = {each["model"]: each["values"] for each in cli("credentials", "list", "--json").document["credentials"]}
    assert kept["crane"] == {"window": 512}
    moved = cli(*given, "--replace", "--set", "base_url=http://127.0.0.1:1")
    assert (moved.code, moved.out) == (1, "✗ API key (api_key): it is required\n")


def test_what_the_environment_gives_need_not_be_given_again(cli: Any, harbour: Any) -> None:
    """It stands under all credentials of the provider."""
    environment = {"MODELHUB_HARBOUR_API_KEY": CANARY}
    ran = cli("credentials", "add", "harbour", "--set", f"base_url={harbour.url}", environment=environment)
    assert ran.code == 0
    assert harbour.forms[-1]["api_key"] == CANARY
    assert "api_key" not in cli("credentials", "list", "harbour").out


@pytest.mark.holds_secrets("*.toml")
def test_all_sources_are_listed(add: Any, cli: Any, harbour: Any, tmp_path: Path) -> None:
    """The store, a line of the settings, variables; with times where there are any."""
    add("--name", "kept")
    row = f'[[credentials.harbour]]\nid = "team"\nvalues = {{ api_key = "{CANARY}" }}\n'
    (tmp_path / "modelhub.toml").write_text(f'{row}[models."harbour/crane".credentials]\nwindow = 3\n')
    ran = cli("credentials", "list", "harbour", environment={"MODELHUB_HARBOUR_PLAN": "large"})
    stored, *others = (line.split("\t") for line in ran.out.splitlines())
    assert stored[:5] == ["harbour", "kept", "", f"base_url={harbour.url}, api_key={MASKED}", "store"]
    assert stored[5][:2] == "20"
    assert stored[5] <= stored[6]
    assert others == [
        ["harbour", "team", "", f"api_key={MASKED}", "settings: modelhub.toml:1", "", ""],
        ["harbour", "default", "crane", "window=3", "settings: modelhub.toml:4", "", ""],
        ["harbour", "", "", "plan=large", "environment: MODELHUB_HARBOUR_PLAN", "", ""],
    ]
    assert [line.split("\t")[0] for line in cli("credentials", "list").out.splitlines()].count("acme") == 1
    assert "there is no provider 'harbor'" in cli("credentials", "list", "harbor").err


@pytest.mark.holds_secrets("*.toml")
def test_what_counts_more_than_the_store_is_told(add: Any, tmp_path: Path) -> None:
    """The settings' values stand over those that are kept under the same name."""
    (tmp_path / "modelhub.toml").write_text(f'[credentials.harbour]\napi_key = "{NEW_KEY}"\n')
    ran = add()
    assert ran.code == 0
    assert "note: modelhub.toml:1 gives api_key too, and counts more" in ran.err


def test_each_credential_is_tested(add: Any, cli: Any) -> None:
    """One that fails fails all; one by its name."""
    add("--name", "good")
    add("--name", "bad", "--no-check", key=WRONG_KEY)
    ran = cli("credentials", "test", "harbour")
    assert ran.code == 1
    assert ran.out == ("bad\n✓ form\n✗ API key (api_key): the vendor refuses it\ngood\n✓ form\n✓ key accepted\n")
    assert cli("credentials", "test", "harbour", "--name", "good").code == 0
    document = cli("credentials", "test", "harbour", "--json").document
    assert {each["name"]: each["ok"] for each in document["credentials"]} == {"good": True, "bad": False}
    assert "did you mean 'good'?" in cli("credentials", "test", "harbour", "--name", "god").err


def test_a_secret_is_changed_after_the_new_one_was_checked(add: Any, cli: Any, harbour: Any) -> None:
    """A new one that the vendor refuses leaves the old one; everything else stays."""
    add("--set", "plan=large")
    change = ("credentials", "rotate", "harbour", "--set", "api_key=-")
    assert cli(*change, stdin=WRONG_KEY.encode()).code == 1
    cli("validate", "harbour")
    assert harbour.forms[-1]["api_key"] == CANARY
    assert cli(*change, stdin=NEW_KEY.encode()).code == 0
    cli("validate", "harbour")
    assert (harbour.forms[-1]["api_key"], harbour.forms[-1]["plan"]) == (NEW_KEY, "large")


def test_a_secret_that_is_kept_goes_to_no_other_server(add: Any, cli: Any, harbour: Any) -> None:
    """Where the base URL moves, the key must be given anew."""
    add()
    before = len(harbour.forms)
    ran = cli("credentials", "rotate", "harbour", "--set", "base_url=http://127.0.0.1:1")
    assert ran.code == 1
    assert "type it anew" in ran.err
    assert harbour.url in cli("credentials", "list", "harbour").out
    assert len(harbour.forms) == before


def test_rotating_wants_to_know_what(add: Any, cli: Any) -> None:
    """Which credential, and which value, where nobody can be asked."""
    none = cli("credentials", "rotate", "harbour").err
    assert "there is no stored credential 'default' of harbour" in none
    assert "remedy: `modelhub credentials add harbour` keeps one" in none
    add("--name", "one")
    assert "--set api_key=-" in cli("credentials", "rotate", "harbour").err
    add("--name", "two")
    assert "say which with --name: one, two" in cli("credentials", "rotate", "harbour").err
    assert cli("credentials", "rotate").code == 2


def test_the_key_of_the_store_is_changed(add: Any, cli: Any, store: Path) -> None:
    """Everything is sealed anew under it, and opens."""
    add()
    before = store.read_bytes()
    ran = cli("credentials", "rotate", "--key")
    assert ran.out == f"Everything in {store} is sealed with a new key.\n"
    old, new = (json.loads(content)["keys"] for content in (before, store.read_bytes()))
    assert not old.keys() & new.keys()
    assert cli("credentials", "test", "harbour").code == 0


def test_the_key_of_the_store_may_be_kept_elsewhere(add: Any, cli: Any) -> None:
    """From then on the settings say where, and without them nothing opens; the user changes such a key."""
    add()
    key = {"STORE_KEY": hashlib.sha256(b"of nobody").hexdigest()}
    ran = cli("credentials", "rotate", "--key", "--to", "env:STORE_KEY", environment=key)
    assert '[store] key = "env:STORE_KEY"' in ran.out
    assert cli("credentials", "list", "harbour").code == 1
    settings = {**key, "MODELHUB_STORE_KEY": "env:STORE_KEY"}
    assert cli("credentials", "test", "harbour", environment=settings).code == 0
    refused = cli("credentials", "rotate", "--key", environment=settings)
    assert refused.code == 1
    assert "--to" in refused.err


def test_a_credential_is_removed(add: Any, cli: Any) -> None:
    """Only with `--yes` where nobody can be asked; one that is not there is told."""
    add()
    assert cli("credentials", "remove", "harbour").code == 2
    ran = cli("credentials", "remove", "harbour", "--yes")
    assert (ran.code, ran.out) == (0, "The credential default of harbour is removed.\n")
    assert cli("credentials", "list", "harbour").out == ""
    assert "there is no stored credential" in cli("credentials", "remove", "harbour", "--yes").err
    add()
    removed = cli("credentials", "remove", "harbour", "--yes", "--json").document
    assert removed == {"provider": "harbour", "name": "default", "model": None, "removed": True}


def test_what_is_damaged_can_be_replaced_and_removed(add: Any, cli: Any, store: Path) -> None:
    """It is told, by its name; listing and checking want it mended."""
    for name in ("good", "bad", "worse"):
        add("--name", name)
    document = json.loads(store.read_text())
    for record in document["credentials"]:
        if record["name"] != "good":
            record["values"]["base_url"] = "https://elsewhere.example"
    store.write_text(json.dumps(document))
    listed = cli("credentials", "list", "harbour")
    assert listed.code == 1
    assert "bad" in listed.err
    assert add("--name", "good").code == 1
    removed = cli("credentials", "remove", "harbour", "--name", "bad", "--yes")
    assert (removed.code, removed.out) == (0, "The credential bad of harbour is removed.\n")
    assert "note: " in removed.err
    assert add("--name", "worse", "--replace").code == 0
    assert len(cli("credentials", "list", "harbour").out.splitlines()) == 2
    assert (
        "there is no stored credential 'bad'" in cli("credentials", "remove", "harbour", "--name", "bad", "--yes").err
    )


def test_a_store_that_is_switched_off_takes_nothing(add: Any, cli: Any) -> None:
    """Which the settings say; what there is elsewhere is listed all the same."""
    off = {"MODELHUB_STORE_ENABLED": "false", "MODELHUB_HARBOUR_PLAN": "large"}
    ran = add(environment=off)
    assert ran.code == 1
    assert "the settings switch the store of credentials off" in ran.err
    assert "plan=large" in cli("credentials", "list", "harbour", environment=off).out


def test_the_store_is_where_the_settings_say(add: Any, cli: Any, tmp_path: Path) -> None:
    """For the commands as for the hub."""
    (tmp_path / "modelhub.toml").write_text('[store]\npath = "here/keys.json"\n')
    assert add().code == 0
    assert (tmp_path / "here" / "keys.json").exists()
    assert cli("validate", "harbour").code == 0


def test_an_unknown_provider_has_no_form(cli: Any) -> None:
    """The nearest name is told, before anything is asked."""
    ran = cli("credentials", "add", "harbuor", "--json")
    assert ran.document["error"]["message"] == "there is no provider 'harbuor'"
