"""Settings come from a dict, a file or the environment; what has no meaning is refused with its place."""

import copy
import pickle
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from modelhub.configuration.settings import (
    CredentialSource,
    credential_sources,
    credentials_of_environment,
    read_settings,
)
from modelhub.errors import ConfigurationError
from modelhub.types.forms import FormField

SECRET = "sk-s3cr3t-0123456789"
WHOLE = f"""
[plugins]
allow = ["modelhub-acme"]
deny = ["bad"]
load_seconds = 5
[plugins.prefer]
acme = "modelhub-acme"
[policy]
parameters = "clamp"
[timeouts]
connect = 1
idle = 2.5
[credentials.acme]
api_key = "{SECRET}"
[[credentials.other]]
base_url = "http://a"
[[credentials.other]]
id = "b"
weight = 2
values = {{ base_url = "http://b" }}
[providers.mine]
extends = "acme"
"""


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a folder of its own, with none of our variables set."""
    monkeypatch.chdir(tmp_path)
    for name in ("MODELHUB_CONFIG", "MODELHUB_PLUGINS_ALLOW", "MODELHUB_PLUGINS_DENY"):
        monkeypatch.delenv(name, raising=False)


def refused(config: Any) -> ConfigurationError:
    """Return what reading the settings raises, having seen that it shows no secret."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(config)
    shown = str(caught.value) + "".join(traceback.format_exception(caught.value)) + repr(pickle.dumps(caught.value))
    assert SECRET not in shown
    assert "\n" not in str(caught.value)
    return caught.value


def test_nothing_given_and_nothing_there_is_the_default() -> None:
    """No file is needed."""
    for config in (None, {}):
        settings = read_settings(config)
        assert settings.source is None
        assert settings.plugins.allow is None
        assert settings.policy == "strict"
        assert settings.credentials == {}


def test_where_nothing_is_configured_pydantic_is_not_loaded() -> None:
    """It costs more than everything else that entering a hub does."""
    code = (
        "import sys; from modelhub.configuration.settings import read_settings\n"
        "read_settings({'credentials': {'acme': {'api_key': 'k'}}, 'routes': {}}, {})\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    """Every table, and where it came from."""
    path = tmp_path / "modelhub.toml"
    path.write_text(WHOLE)
    settings = read_settings(None)
    assert settings.source == Path("modelhub.toml")
    assert settings.plugins.allow == ["modelhub-acme"]
    assert settings.plugins.deny == ["bad"]
    assert settings.plugins.prefer == {"acme": "modelhub-acme"}
    assert settings.plugins.rows == {"mine": {"extends": "acme"}}
    assert settings.plugins.load_seconds == 5
    assert settings.policy == "clamp"
    assert (settings.timeouts.connect, settings.timeouts.idle, settings.timeouts.total) == (1, 2.5, None)
    assert settings.credentials == {
        "acme": [CredentialSource({"api_key": SECRET})],
        "other": [
            CredentialSource({"base_url": "http://a"}, "0"),
            CredentialSource({"base_url": "http://b"}, "b", weight=2),
        ],
    }


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """Neither by repr nor by copies of their parts' reprs."""
    (tmp_path / "modelhub.toml").write_text(WHOLE)
    settings = read_settings(None)
    assert SECRET not in repr(settings) + repr(copy.copy(settings)) + repr(settings.credentials)


def test_the_file_is_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the argument, else by the environment, else by its name in the working directory."""
    for name in ("modelhub.toml", "by_variable.toml", "by_argument.toml"):
        (tmp_path / name).write_text(f'[plugins]\ndeny = ["{name}"]')
    assert read_settings(None).plugins.deny == ["modelhub.toml"]
    monkeypatch.setenv("MODELHUB_CONFIG", str(tmp_path / "by_variable.toml"))
    assert read_settings(None).plugins.deny == ["by_variable.toml"]
    for given in (tmp_path / "by_argument.toml", str(tmp_path / "by_argument.toml")):
        assert read_settings(given).plugins.deny == ["by_argument.toml"]
    assert read_settings({}).plugins.deny == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, a folder, no TOML, no text."""
    assert "no.toml cannot be read: No such file" in refused("no.toml").message
    assert "cannot be read: Is a directory" in refused(tmp_path).message
    monkeypatch.setenv("MODELHUB_CONFIG", "named.toml")
    assert "named.toml cannot be read" in refused(None).message
    (tmp_path / "bad.toml").write_text(f'[credentials.acme]\napi_key = "{SECRET}" x')
    assert refused("bad.toml").message.startswith("bad.toml:2: it is no TOML: ")
    (tmp_path / "bad.toml").write_bytes(b"[plugins]\n\xff\xfe")
    assert refused("bad.toml").message == "bad.toml:2: it is no TOML: it is not UTF-8"


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"plugin": {}}, "the configuration: plugin: unknown table"),
        ({"plugins": {"alow": []}}, "the configuration: plugins.alow: "),
        ({"plugins": {"allow": "modelhub-acme"}}, "the configuration: plugins.allow: "),
        ({"plugins": {"load_seconds": "soon"}}, "the configuration: plugins.load_seconds: "),
        ({"plugins": {"load_seconds": 0}}, "the configuration: plugins.load_seconds: "),
        ({"plugins": {"load_seconds": float("nan")}}, "the configuration: plugins.load_seconds: "),
        ({"plugins": []}, "the configuration: plugins: "),
        ({"policy": {"parameters": "lax"}}, "the configuration: policy.parameters: "),
        ({"timeouts": {"idle": -1}}, "the configuration: timeouts.idle: "),
        ({"timeouts": {"idle": 0}}, "the configuration: timeouts.idle: "),
        ({"timeouts": {"first": 1}}, "the configuration: timeouts.first: "),
        ({"providers": {"mine": "acme"}}, "the configuration: providers.mine: "),
        ({"credentials": SECRET}, "the configuration: credentials: "),
        ({"credentials": {"acme": SECRET}}, "the configuration: credentials.acme"),
        ({"credentials": {"acme": [SECRET]}}, "the configuration: credentials.acme"),
        ({"credentials": {"acme": []}}, "the configuration: credentials.acme: the credentials of 'acme' are empty"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(config: dict[str, Any], place: str) -> None:
    """Unknown tables and keys, wrong types, limits that can never be kept."""
    error = refused(config)
    assert error.message.startswith(place)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    """Of tables and of their keys."""
    assert str(refused({"plugin": {}}).remedy).startswith("did you mean 'plugins'")
    assert refused({"plugins": {"alow": []}}).remedy == "did you mean 'allow'?"
    assert refused({"timeouts": {"first": 1}}).remedy == "did you mean 'first_token'?"


def test_a_number_as_a_key_is_an_unknown_table() -> None:
    """A dict may hold anything."""
    assert refused({1: {}}).message == "the configuration: 1: unknown table"


@pytest.mark.parametrize(
    ("value", "allow"),
    [
        ("modelhub-acme", ["modelhub-acme"]),
        (" a , b ,, ", ["a", "b"]),
        (",", []),
        ("", None),
        ("  ", None),
    ],
)
def test_the_environment_allows_in_place_of_the_file(
    monkeypatch: pytest.MonkeyPatch, value: str, allow: list[str] | None
) -> None:
    """A variable that is set to nothing is as good as unset."""
    monkeypatch.setenv("MODELHUB_PLUGINS_ALLOW", value)
    assert read_settings({"plugins": {"allow": ["from-the-file"]}}).plugins.allow == (
        ["from-the-file"] if allow is None else allow
    )


def test_the_environment_denies_beside_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that the file denies is let in."""
    monkeypatch.setenv("MODELHUB_PLUGINS_DENY", "b, c")
    assert read_settings({"plugins": {"deny": ["a"]}}).plugins.deny == ["a", "b", "c"]
    monkeypatch.setenv("MODELHUB_PLUGINS_DENY", "")
    assert read_settings({"plugins": {"deny": ["a"]}}).plugins.deny == ["a"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"api_key": "k"}, [("default", {"api_key": "k"})]),
        ([{"api_key": "k"}], [("default", {"api_key": "k"})]),
        (({"api_key": "k"}, {"api_key": "l"}), [("0", {"api_key": "k"}), ("1", {"api_key": "l"})]),
        ({"id": "x", "values": {"api_key": "k"}}, [("x", {"api_key": "k"})]),
        (
            [{"values": {"api_key": "k"}, "weight": 2}, {"api_key": "l"}],
            [("0", {"api_key": "k"}), ("1", {"api_key": "l"})],
        ),
        ({}, [("default", {})]),
    ],
)
def test_credentials_are_flat_or_named_one_or_many(given: object, expected: list[tuple[str, dict[str, Any]]]) -> None:
    """In the order in which they are tried."""
    assert [(source.id, dict(source.values)) for source in credential_sources(given, "acme")] == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SECRET, "the credentials of 'acme' are a str"),
        (SECRET.encode(), "the credentials of 'acme' are a bytes"),
        (5, "the credentials of 'acme' are a int"),
        ([], "the credentials of 'acme' are empty"),
        ([SECRET], "credential 0 of 'acme' is a text that is no base URL"),
        (["http://a", ""], "credential 1 of 'acme' is a text that is no base URL"),
        (["http:// "], "credential 0 of 'acme' is a text that is no base URL"),
        (["localhost:11434"], "credential 0 of 'acme' is a text that is no base URL"),
        ([[SECRET]], "credential 0 of 'acme' is a list, not a table"),
        ({"": SECRET}, "credential 0 of 'acme' has an empty key"),
        ([{"api_key": SECRET}, None], "credential 1 of 'acme' is a NoneType, not a table"),
        ({"values": {"api_key": SECRET}, "idd": "x"}, "credential 0 of 'acme' has an unknown key 'idd'"),
        ({"values": {"api_key": SECRET}, "api_key": SECRET}, "credential 0 of 'acme' has an unknown key 'api_key'"),
        ({"values": {}, "id": 5}, "the id of credential 0 of 'acme' is a int, not a text"),
        ([{"values": {}, "id": "x"}, {"values": {}, "id": "x"}], "two credentials of 'acme' have the id 'x'"),
        ([{"values": {}, "id": "1"}, {"api_key": SECRET}], "two credentials of 'acme' have the id '1'"),
    ],
)
def test_credentials_that_cannot_be_are_refused_unseen(given: object, message: str) -> None:
    """The complaint names the provider and the number, and repeats no value."""
    with pytest.raises(ConfigurationError) as caught:
        credential_sources(given, "acme")
    assert caught.value.message == message
    assert caught.value.remedy
    assert SECRET not in "".join(traceback.format_exception_only(caught.value))


def test_what_refuses_a_credential_shows_it_nowhere() -> None:
    """Not with the frames' variables either."""
    with pytest.raises(ConfigurationError) as caught:
        credential_sources([{"api_key": SECRET}, 5], "acme")
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SECRET not in "".join(frames.format())


def test_a_credential_source_shows_no_value() -> None:
    """It is what errors and debuggers meet first."""
    shown = repr(CredentialSource({"api_key": SECRET}, "b", below={"api_key": SECRET}))
    assert shown.startswith("CredentialSource(id='b', weight=1.0, rpm=None, tpm=None, concurrency=None, budget=None")
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("provider", "variable", "name"),
    [
        ("acme", "api_key", "MODELHUB_ACME_API_KEY"),
        ("acme-eu", "api_key", "MODELHUB_ACME_EU_API_KEY"),
        ("acme.eu", "api-key", "MODELHUB_ACME_EU_API_KEY"),
    ],
)
def test_the_environment_gives_fields_by_their_names(
    monkeypatch: pytest.MonkeyPatch, provider: str, variable: str, name: str
) -> None:
    """Upper case, with underscores for what a variable cannot have; nothing where it is empty."""
    monkeypatch.setenv(name, "k")
    assert credentials_of_environment(provider, [FormField(variable), FormField("other")]) == {variable: "k"}
    monkeypatch.setenv(name, "")
    assert credentials_of_environment(provider, [FormField(variable)]) == {}
