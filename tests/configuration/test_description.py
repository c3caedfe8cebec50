"""What is set is told with where it was set, and secrets show their last four characters at most."""

from pathlib import Path

from modelhub.configuration.description import SettingShown, described
from modelhub.configuration.settings import read_settings
from modelhub.types.forms import FormField

SECRET = "sk-0123456789abcdef"
FORMS = {"acme": [FormField("api_key", "secret-input"), FormField("base_url"), FormField("region")]}
WHOLE = f"""
[plugins]
deny = ["bad"]
[timeouts]
idle = 3
total = 4
[credentials.acme]
api_key = "{SECRET}"
base_url = "http://acme.example"
[[credentials.other]]
id = "a"
weight = 2
values = {{ token = "{SECRET}", note = "env:NOTE" }}
[models."acme/large"]
label = "Large"
credentials = {{ api_key = "{SECRET}", base_url = "http://large.example" }}
deprecation = {{ date = 2027-01-31 }}
[providers.mine]
extends = "acme"
preset = {{ base_url = "http://mine.example", hidden = "{SECRET}" }}
[deployments.fast]
target = "acme/large"
vendor = {{ acme = {{ header = "{SECRET}" }} }}
[routes.main]
targets = ["fast"]
"""


def test_every_setting_is_told_with_its_place(tmp_path: Path) -> None:
    """File and line, variable, or default; masked where it is or may be a secret."""
    path = tmp_path / "m.toml"
    path.write_text(WHOLE)
    environ = {"MODELHUB_TIMEOUTS_TOTAL": "9", "MODELHUB_ACME_API_KEY": SECRET, "MODELHUB_ACME_REGION": "eu"}
    found = described(read_settings(path, environ), FORMS, environ)
    assert SECRET not in repr(found)
    shown = {
        each.path: (each.value, each.origin.removeprefix(f"{path}:")) for each in found if each.origin != "default"
    }
    assert shown == {
        "plugins.deny": (["bad"], "3"),
        "timeouts.idle": (3, "5"),
        "timeouts.total": (9, "MODELHUB_TIMEOUTS_TOTAL"),
        "credentials.acme.api_key": ("***cdef", "MODELHUB_ACME_API_KEY"),
        "credentials.acme.base_url": ("http://acme.example", "9"),
        "credentials.acme.region": ("eu", "MODELHUB_ACME_REGION"),
        "credentials.other[0].id": ("a", "11"),
        "credentials.other[0].weight": (2, "12"),
        "credentials.other[0].values.token": ("***cdef", "13"),
        "credentials.other[0].values.note": ("env:NOTE", "13"),
        'models."acme/large".label': ("Large", "15"),
        'models."acme/large".credentials.api_key': ("***cdef", "16"),
        'models."acme/large".credentials.base_url': ("http://large.example", "16"),
        'models."acme/large".deprecation': ({"date": "2027-01-31"}, "17"),
        "providers.mine.extends": ("acme", "19"),
        "providers.mine.preset.base_url": ("http://mine.example", "20"),
        "providers.mine.preset.hidden": ("***cdef", "20"),
        "deployments.fast.target": ("acme/large", "22"),
        "deployments.fast.vendor.acme": ({"header": "***cdef"}, "23"),
        "routes.main.targets": (["fast"], "25"),
    }
    assert [each for each in found if each.path == "credentials.acme.api_key"] == [
        SettingShown("credentials.acme.api_key", "***cdef", f"{path}:8"),
        SettingShown("credentials.acme.api_key", "***cdef", "MODELHUB_ACME_API_KEY"),
    ]


def test_defaults_are_told_as_such() -> None:
    """Every key of the tables that are the same for everybody is there."""
    found = {each.path: each for each in described(read_settings({}, {}), {}, {})}
    assert {each.origin for each in found.values()} == {"default"}
    assert found["policy.parameters"].value == "strict"
    assert found["store.enabled"].value is True
    assert list(found)[:4] == ["plugins.allow", "plugins.deny", "plugins.prefer", "plugins.load_seconds"]


def test_a_dict_is_told_as_the_configuration() -> None:
    """It has no lines; functions have no value to show."""
    settings = read_settings({"timeouts": {"idle": 3}, "credentials": {"acme": {"api_key": lambda: SECRET}}}, {})
    found = {each.path: (each.value, each.origin) for each in described(settings, FORMS, {})}
    assert found["timeouts.idle"] == (3, "the configuration")
    assert found["credentials.acme.api_key"] == ("(a function)", "the configuration")


def test_what_functions_return_is_not_told() -> None:
    """Only that there is one: nobody asks it."""
    rows = [{"id": "a", "discover": "dns", "values": {"base_url": "http://a"}}, {"discover": lambda: SECRET}]
    settings = read_settings({"credentials": {"acme": rows, "other": lambda: SECRET}}, {})
    found = {each.path: each.value for each in described(settings, FORMS, {})}
    assert found["credentials.other"] == found["credentials.acme[1]"] == "(a function)"
    assert (found["credentials.acme[0].discover"], found["credentials.acme[0].id"]) == ("dns", "a")
