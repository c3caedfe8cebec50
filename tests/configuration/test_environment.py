"""What the environment says stands over the file, and is named where it is wrong or means nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from modelhub.configuration.environment import (
    credential_variable,
    credentials_of_environment,
    overrides,
    setting_variables,
    unknown_variables,
)
from modelhub.configuration.problems import SettingsInvalid
from modelhub.configuration.settings import read_settings
from modelhub.types.forms import FormField

FORMS = {
    "acme": [FormField("api_key", "secret-input"), FormField("base_url")],
    "acme-eu": [FormField("api_key", "secret-input")],
}


def test_every_plain_setting_has_a_variable() -> None:
    """Of the tables whose keys are the same for everybody; a table in a table has none."""
    assert list(setting_variables()) == [
        "MODELHUB_PLUGINS_ALLOW",
        "MODELHUB_PLUGINS_DENY",
        "MODELHUB_PLUGINS_LOAD_SECONDS",
        "MODELHUB_POLICY_PARAMETERS",
        "MODELHUB_TIMEOUTS_CONNECT",
        "MODELHUB_TIMEOUTS_FIRST_TOKEN",
        "MODELHUB_TIMEOUTS_IDLE",
        "MODELHUB_TIMEOUTS_TOTAL",
        "MODELHUB_PRICES_SOURCE",
        "MODELHUB_STORE_PATH",
        "MODELHUB_STORE_KEY",
        "MODELHUB_STORE_ENABLED",
        "MODELHUB_ROUTING_PICK",
        "MODELHUB_ROUTING_RETRIES",
        "MODELHUB_ROUTING_RETRY_BUDGET",
        "MODELHUB_ROUTING_RETRY_FLOOR",
        "MODELHUB_ROUTING_EJECT_AFTER",
        "MODELHUB_ROUTING_EJECT_SECONDS",
        "MODELHUB_ROUTING_EJECT_LONGEST",
        "MODELHUB_ROUTING_PANIC",
        "MODELHUB_ROUTING_PROBE_SECONDS",
        "MODELHUB_ROUTING_PROBE_WAITING",
        "MODELHUB_ROUTING_HEDGE",
        "MODELHUB_ROUTING_QUEUE",
        "MODELHUB_ROUTING_CONCURRENCY",
        "MODELHUB_EGRESS_ALLOW",
        "MODELHUB_SHARING_REDIS",
        "MODELHUB_SHARING_NAMESPACE",
    ]


def test_the_environment_stands_over_the_file(tmp_path: Path) -> None:
    """For each setting; what it leaves out is the file's."""
    path = tmp_path / "m.toml"
    path.write_text('[timeouts]\nidle = 3\ntotal = 4\n[policy]\nparameters = "drop"\n[store]\npath = "a"\n')
    environ = {
        "MODELHUB_TIMEOUTS_TOTAL": "30",
        "MODELHUB_POLICY_PARAMETERS": " clamp ",
        "MODELHUB_PLUGINS_LOAD_SECONDS": "1.5",
        "MODELHUB_PRICES_SOURCE": "manifest",
        "MODELHUB_STORE_ENABLED": "false",
        "MODELHUB_STORE_KEY": "env:KEY",
        "MODELHUB_CONFIG": str(path),
    }
    found = read_settings(None, environ)
    assert found.source == path
    assert (found.timeouts.idle, found.timeouts.total) == (3, 30)
    assert found.policy == "clamp"
    assert found.plugins.load_seconds == 1.5
    assert found.prices.source == "manifest"
    assert (found.store.path, found.store.key, found.store.enabled) == ("a", "env:KEY", False)
    assert found.overridden["timeouts", "total"] == "MODELHUB_TIMEOUTS_TOTAL"
    assert ("timeouts", "idle") not in found.overridden


def test_a_variable_that_is_set_to_nothing_is_as_good_as_unset() -> None:
    """As shells and containers have them."""
    environ = {"MODELHUB_TIMEOUTS_TOTAL": "", "MODELHUB_POLICY_PARAMETERS": "  ", "MODELHUB_CONFIG": ""}
    assert read_settings({"timeouts": {"total": 3}}, environ).timeouts.total == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MODELHUB_TIMEOUTS_TOTAL", "s3cr3t", "it must be a number"),
        ("MODELHUB_TIMEOUTS_TOTAL", "0", "it must be above 0"),
        ("MODELHUB_TIMEOUTS_TOTAL", "nan", "it must be above 0"),
        ("MODELHUB_PLUGINS_LOAD_SECONDS", "-1", "it must be above 0"),
        ("MODELHUB_POLICY_PARAMETERS", "s3cr3t", "it must be 'strict', 'clamp' or 'drop'"),
        ("MODELHUB_STORE_ENABLED", "s3cr3t", "it must be true or false"),
        (
            "MODELHUB_STORE_KEY",
            "s3cr3t",
            "it must be env:NAME, file:PATH or keyring:SERVICE/USERNAME: the key itself does not belong into settings",
        ),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str, message: str) -> None:
    """And not itself."""
    with pytest.raises(SettingsInvalid) as caught:
        read_settings({}, {name: value})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.path, problem.message) == ("the environment", None, name, message)
    assert problem.remedy
    assert "s3cr3t" not in str(caught.value)


def test_all_that_is_wrong_in_the_environment_is_said_at_once() -> None:
    """Beside what is right in it."""
    found, problems = overrides(
        {"MODELHUB_TIMEOUTS_TOTAL": "x", "MODELHUB_TIMEOUTS_IDLE": "y", "MODELHUB_TIMEOUTS_CONNECT": "1"}
    )
    assert [each.path for each in problems] == ["MODELHUB_TIMEOUTS_IDLE", "MODELHUB_TIMEOUTS_TOTAL"]
    assert found["timeouts"]["connect"] == 1


def test_fields_of_forms_come_from_the_environment_that_is_given() -> None:
    """By the provider and the field."""
    environ = {"MODELHUB_ACME_EU_API_KEY": "k", "MODELHUB_ACME_BASE_URL": ""}
    assert credential_variable("acme-eu", "api_key") == "MODELHUB_ACME_EU_API_KEY"
    assert credentials_of_environment("acme-eu", FORMS["acme-eu"], environ) == {"api_key": "k"}
    assert credentials_of_environment("acme", FORMS["acme"], environ) == {}


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("MODELHUB_TIMEOUT_TOTAL", "did you mean MODELHUB_TIMEOUTS_TOTAL"),
        ("MODELHUB_CONFG", "did you mean MODELHUB_CONFIG"),
        ("MODELHUB_ACME_APIKEY", "did you mean MODELHUB_ACME_API_KEY"),
        ("MODELHUB_ACME_EU_KEY", "did you mean MODELHUB_ACME_EU_API_KEY?"),
        ("MODELHUB_XYZ_QWV", "unset it: no setting, and no field of an installed provider's form, is called so"),
    ],
)
def test_a_variable_that_means_nothing_is_found(name: str, remedy: str) -> None:
    """With the nearest that means something."""
    (problem,) = unknown_variables({name: "x", "PATH": "/bin", "modelhub_config": "x"}, FORMS)
    assert (problem.file, problem.path, problem.message) == ("the environment", name, "the variable means nothing")
    assert problem.remedy is not None
    assert problem.remedy.startswith(remedy)


def test_a_variable_that_means_something_is_let_be() -> None:
    """Settings, fields, those that others know, and what a plugin may read itself."""
    environ = {
        **dict.fromkeys(setting_variables(), "x"),
        "MODELHUB_CONFIG": "x",
        "MODELHUB_LANG": "id",
        "MODELHUB_ACME_API_KEY": "k",
        "MODELHUB_ACME_WEIGHTS": "/models",
        "MODELHUB_KNOWN_ELSEWHERE": "x",
    }
    assert unknown_variables(environ, FORMS, known=["MODELHUB_KNOWN_ELSEWHERE"]) == []


@pytest.mark.parametrize(
    ("forms", "name", "meanings"),
    [
        (
            {"acme_x": [FormField("key")], "acme": [FormField("x_key")]},
            "MODELHUB_ACME_X_KEY",
            "key of acme_x and x_key of acme",
        ),
        ({"a-b": [FormField("key")], "a.b": [FormField("key")]}, "MODELHUB_A_B_KEY", "key of a-b and key of a.b"),
        ({"store": [FormField("key")]}, "MODELHUB_STORE_KEY", "[store] key and key of store"),
    ],
)
def test_a_variable_that_means_two_things_is_found(
    forms: dict[str, Sequence[FormField]], name: str, meanings: str
) -> None:
    """Where it is set: one value would go to two places."""
    found = unknown_variables({name: "x"}, forms)
    assert [(each.path, each.message) for each in found] == [(name, f"it means {meanings}, which all get its value")]
    assert unknown_variables({}, forms) == []


def test_two_fields_of_one_variable_are_one_meaning() -> None:
    """Forms show one of them at a time."""
    forms = {"acme": [FormField("key"), FormField("key")]}
    assert unknown_variables({"MODELHUB_ACME_KEY": "x"}, forms) == []
