"""All that is wrong with settings is said at once, each with file, line, path and remedy, and without any value."""

import dataclasses
import pickle
import tomllib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub.configuration.credentials import Discovery
from modelhub.configuration.problems import ConfigProblem, SettingsInvalid, path_text
from modelhub.configuration.settings import Settings, read_settings
from modelhub.errors import ConfigurationError

SECRET = "sk-s3cr3t-0123456789"
NOTHING: Mapping[str, str] = {}


def problems_of(config: Any, environ: Mapping[str, str] = NOTHING) -> tuple[ConfigProblem, ...]:
    """Return what is wrong with settings, having seen that it shows no secret, not even with the frames' variables."""
    caught: SettingsInvalid | None = None
    try:
        read_settings(config, environ)
    except SettingsInvalid as error:
        caught = error
    config = None
    if caught is None:
        return ()
    frames = traceback.TracebackException.from_exception(caught, capture_locals=True)
    shown = "".join(frames.format()) + repr(caught) + repr(caught.problems) + repr(pickle.dumps(caught))
    assert SECRET not in shown
    return caught.problems


def said(toml: str, folder: Path) -> list[tuple[int | None, str, str, str | None]]:
    """Return what is wrong with a file: line, path, message, remedy."""
    path = folder / "modelhub.toml"
    path.write_text(toml, "utf-8")
    found = problems_of(path)
    assert all(each.file == str(path) for each in found)
    return [(each.line, each.path, each.message, each.remedy) for each in found]


CASES = {
    "unknown table": ("\n[plugin]", 2, "plugin", "unknown table", "did you mean 'plugins'?"),
    "unknown key": ("[plugins]\nalow = []", 2, "plugins.alow", "unknown key", "did you mean 'allow'?"),
    "a table is a value": ("timeouts = 3", 1, "timeouts", "it must be a table, not a number", None),
    "a text for a number": ('[timeouts]\nidle = "3"', 2, "timeouts.idle", "it must be a number", None),
    "true for a number": ("[timeouts]\nidle = true", 2, "timeouts.idle", "it must be a number", None),
    "no time": ("[timeouts]\ntotal = 0.0", 2, "timeouts.total", "it must be above 0", None),
    "nan": ("[timeouts]\ntotal = nan", 2, "timeouts.total", "it must be above 0", None),
    "a text for a list": ('[plugins]\nallow = "a"', 2, "plugins.allow", "it must be a list", None),
    "a number in a list": ('[plugins]\ndeny = [\n"a",\n1]', 4, "plugins.deny[1]", "it must be a text", None),
    "a number for a text": ("[plugins.prefer]\nacme = 1", 2, "plugins.prefer.acme", "it must be a text", None),
    "unknown policy": (
        '[policy]\nparameters = "lax"',
        2,
        "policy.parameters",
        "it must be 'strict', 'clamp' or 'drop'",
        None,
    ),
    "unknown source of prices": (
        '[prices]\nsource = "web"',
        2,
        "prices.source",
        "it must be 'manifest' or 'genai-prices'",
        None,
    ),
    "a key for the store": (
        f'[store]\nkey = "{SECRET}"',
        2,
        "store.key",
        "it must be env:NAME, file:PATH or keyring:SERVICE/USERNAME: the key itself does not belong into settings",
        None,
    ),
    "no path": ('[store]\npath = " "', 2, "store.path", "it must be the path of a file", None),
    "a text for true": ('[store]\nenabled = "yes"', 2, "store.enabled", "it must be true or false", None),
    "the schema is a number": (
        '"$schema" = 1',
        1,
        '"$schema"',
        "it must be a text",
        "name a JSON Schema, or leave it out",
    ),
    "credentials are a text": (
        f'[credentials]\nacme = "{SECRET}"',
        2,
        "credentials.acme",
        "the credentials of 'acme' are a str",
        "give the form's values as a table, or a list of tables, or of base URLs",
    ),
    "a weight of nothing": (
        f'[[credentials.acme]]\nvalues = {{ api_key = "{SECRET}" }}\nweight = 0',
        3,
        "credentials.acme[0].weight",
        "the weight of credential 0 of 'acme' is no number above 0",
        "1 is the usual share",
    ),
    "an unknown key of a credential": (
        f'[[credentials.acme]]\nvalue = {{}}\nvalues = {{ api_key = "{SECRET}" }}',
        2,
        "credentials.acme[0].value",
        "credential 0 of 'acme' has an unknown key 'value'",
        "did you mean 'values'?",
    ),
    "found in an unknown way": (
        '[[credentials.acme]]\nvalues = {}\ndiscover = "srv"',
        3,
        "credentials.acme[0].discover",
        "discover of credential 0 of 'acme' is not dns",
        'write discover = "dns"; in code it may be a function too',
    ),
    "found too often": (
        '[[credentials.acme]]\nvalues = {}\ndiscover = "dns"\nrefresh = 1',
        4,
        "credentials.acme[0].refresh",
        "refresh of credential 0 of 'acme' is no number from 5",
        "seconds between two look-ups, 5 at least",
    ),
    "looked up again, and not at first": (
        "[[credentials.acme]]\nvalues = {}\nrefresh = 30",
        3,
        "credentials.acme[0].refresh",
        "credential 0 of 'acme' has refresh without discover",
        'write discover = "dns"; in code it may be a function too',
    ),
    "an id with a mark": (
        '[credentials.acme]\nid = "a#b"\nvalues = {}',
        2,
        "credentials.acme.id",
        "the id of credential 0 of 'acme' is empty or has a #",
        "give it a name of its own without #",
    ),
    "a date for a key": (
        "[credentials.acme]\napi_key = 2026-01-01",
        2,
        "credentials.acme.api_key",
        "'api_key' of credential 0 of 'acme' is a date",
        "write it in quotes",
    ),
    "two of one id": (
        '[[credentials.acme]]\nid = "a"\nvalues = {}\n[[credentials.acme]]\nid = "a"\nvalues = {}',
        4,
        "credentials.acme[1]",
        "two credentials of 'acme' have the id 'a'",
        "give each its own id",
    ),
    "a model without a provider": (
        '[models.acme.large]\nlabel = "L"',
        1,
        "models.acme",
        "its name is no provider/model",
        'write the table as [models."provider/model"], in quotes',
    ),
    "a model is a value": (
        '[models]\n"acme/large" = 1',
        2,
        'models."acme/large"',
        "it must be a table, not a number",
        None,
    ),
    "an unknown field of a model": (
        '[models."acme/large"]\nfeatuers = []',
        2,
        'models."acme/large".featuers',
        "unknown key",
        "did you mean 'features'?",
    ),
    "a wrong field of a model": (
        '[models."acme/large"]\nlabel = "L"\ndeprecated = "no way"',
        3,
        'models."acme/large".deprecated',
        "it must be true or false",
        None,
    ),
    "an unknown type of a model": (
        '[models."acme/large"]\nmodel_type = "chat"',
        2,
        'models."acme/large".model_type',
        "it must be one of llm, text-embedding, rerank, speech2text, tts, moderation",
        None,
    ),
    "a rule without a name": (
        '[models."acme/large"]\nparameter_rules = [\n  { name = "top_p" },\n  { max = 1 },\n]',
        4,
        'models."acme/large".parameter_rules[1].name',
        "'name' is missing",
        None,
    ),
    "a model's credentials are empty": (
        '[models."acme/large"]\ncredentials = []',
        2,
        'models."acme/large".credentials',
        "the credentials of 'acme/large' are empty",
        "give the form's values as a table, or a list of tables, or of base URLs",
    ),
    "hidden and changed": (
        '[models."acme/large"]\nremove = true\nlabel = "L"',
        2,
        'models."acme/large".remove',
        "a model that is hidden has other keys",
        "leave out one or all",
    ),
    "hidden by a text": (
        '[models."acme/large"]\nremove = "yes"',
        2,
        'models."acme/large".remove',
        "it must be true or false",
        None,
    ),
    "a provider extends itself": (
        '[providers.mine]\nextends = "mine"',
        2,
        "providers.mine.extends",
        "it extends itself",
        "name the id of an installed provider",
    ),
    "a provider extends a number": (
        "[providers.mine]\nextends = 1",
        2,
        "providers.mine.extends",
        "it must be a text",
        "name the id of an installed provider",
    ),
    "a preset is a text": (
        '[providers.mine]\npreset = "x"',
        2,
        "providers.mine.preset",
        "it must be a table",
        "give the form's fields and their defaults",
    ),
    "a provider's limits are texts": (
        '[providers.mine.timeouts]\nconnect = "soon"',
        2,
        "providers.mine.timeouts.connect",
        "it must be a number",
        None,
    ),
    "a provider's limit is none": (
        "[providers.mine.limits]\nrpm = -1",
        2,
        "providers.mine.limits.rpm",
        "it must be a number above 0",
        None,
    ),
    "a provider's limit is misspelt": (
        "[providers.mine.limits]\nconcurency = 1",
        2,
        "providers.mine.limits.concurency",
        "unknown key",
        "did you mean 'concurrency'?",
    ),
    "a provider's probe has a query": (
        '[providers.mine]\nprobe = "/a?key=b"',
        2,
        "providers.mine.probe",
        "it must be a path without a query: anybody may read it",
        None,
    ),
    "a provider with a slash": (
        '[providers."a/b"]\nlabel = "x"',
        1,
        'providers."a/b"',
        "its id is empty or has a slash",
        "an id is a word, as in [providers.my_server]",
    ),
}


@pytest.mark.parametrize(("toml", "expected"), [(case[0], case[1:]) for case in CASES.values()], ids=CASES)
def test_what_is_wrong_is_said_with_its_line(
    toml: str, expected: tuple[int, str, str, str | None], tmp_path: Path
) -> None:
    """One problem each: the line it stands in, the keys that lead there, what is wrong and what to do."""
    assert said(toml, tmp_path) == [expected]


@pytest.mark.parametrize("key", ["contract", "provider", "family", "providers"])
def test_what_a_manifest_says_of_its_code_is_no_setting(key: str) -> None:
    """It would be a lie about what is installed."""
    (problem,) = problems_of({"providers": {"mine": {key: 1}}})
    assert (problem.path, problem.message) == (f"providers.mine.{key}", "unknown key")


@pytest.mark.parametrize(
    "fields",
    [
        {"pricing": {"unit": 0.001}},
        {"pricing": {"currency": "EUR"}},
        {"parameter_rules": [{"name": "temperature", "remove": True}]},
        {"deprecation": {"replacement": "acme/new"}},
        {"label": {"id_ID": "Besar"}},
        {"features": "vision"},
    ],
)
def test_an_overlay_says_no_more_than_it_wants_to_change(fields: dict[str, Any]) -> None:
    """What it leaves out of a table is the manifest's, and a list of one may be its item."""
    assert read_settings({"models": {"acme/large": fields}}, NOTHING).models["acme/large"].fields == fields


@pytest.mark.parametrize("toml", [case[0] for case in CASES.values()], ids=CASES)
def test_a_dict_is_read_as_the_file_is(toml: str, tmp_path: Path) -> None:
    """The same problems, without a line; where nothing is wrong, the same settings."""
    from_dict = problems_of(tomllib.loads(toml))
    from_file = said(toml, tmp_path)
    assert {(each.file, each.line) for each in from_dict} == {("the configuration", None)}
    assert sorted((each.path, each.message, each.remedy) for each in from_dict) == sorted(
        (path, message, remedy) for _, path, message, remedy in from_file
    )


def test_everything_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Problems of every table, of the same table, and of the environment."""
    path = tmp_path / "modelhub.toml"
    whole = "\n".join(toml for toml, *_ in (CASES[name] for name in ("unknown table", "no time", "no path")))
    path.write_text(f"{whole}\nkay = 1\n[routes.main]\ntargets = ['fast#']\n[policy]\nparameters = 1")
    found = problems_of(path, {"MODELHUB_TIMEOUTS_IDLE": "soon"})
    assert [(each.line, each.path) for each in found] == [
        (2, "plugin"),
        (4, "timeouts.total"),
        (6, "store.path"),
        (7, "store.kay"),
        (9, "routes.main.targets[0]"),
        (11, "policy.parameters"),
        (None, "MODELHUB_TIMEOUTS_IDLE"),
    ]


def test_the_error_lists_all_of_them(tmp_path: Path) -> None:
    """One is one line; several are a list with their remedies; very many are counted."""
    path = tmp_path / "m.toml"
    path.write_text("[plugin]")
    with pytest.raises(SettingsInvalid) as one:
        read_settings(path, {})
    assert str(one.value) == f"{path}:1: plugin: unknown table (did you mean 'plugins'?)"
    path.write_text("[plugin]\n[timeouts]\nidle = 0")
    with pytest.raises(SettingsInvalid) as two:
        read_settings(path, {})
    assert str(two.value).splitlines() == [
        "the settings have 2 problems:",
        f"  {path}:1: plugin: unknown table (did you mean 'plugins'?)",
        f"  {path}:3: timeouts.idle: it must be above 0",
    ]
    path.write_text("".join(f"[x{number}]\n" for number in range(60)))
    with pytest.raises(SettingsInvalid) as many:
        read_settings(path, {})
    assert len(many.value.problems) == 60
    assert [each.line for each in many.value.problems] == list(range(1, 61))
    assert str(many.value).splitlines()[-1] == "  … and 10 more"


def test_the_error_is_a_configuration_error_that_can_be_carried_between_processes(tmp_path: Path) -> None:
    """With its problems."""
    path = tmp_path / "m.toml"
    path.write_text("[plugin]")
    with pytest.raises(ConfigurationError) as caught:
        read_settings(path, {})
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, SettingsInvalid)
    assert again.problems == caught.value.problems  # type: ignore[attr-defined]
    assert str(again) == str(caught.value)


def test_a_key_that_is_no_name_is_cut() -> None:
    """Whoever pastes a key into the wrong place does not find it in the log."""
    (problem,) = problems_of({"plugins": {f"{SECRET}{'x' * 100}": 1}})
    assert problem.path == 'plugins."sk-s3cr3…"'


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("a", "b-c", "d_1"), "a.b-c.d_1"),
        (("a", 0, "b", 12), "a[0].b[12]"),
        (("models", "acme/large"), 'models."acme/large"'),
        (("a b", ""), '"a b".""'),
        (("a\nb\x1b",), '"a\\nb\\u001b"'),
        ((), ""),
    ],
)
def test_paths_are_written_as_toml_writes_them(keys: tuple[str | int, ...], text: str) -> None:
    """In quotes where they must be, and never with a sign that a terminal would act on."""
    assert path_text(keys) == text


def test_a_whole_dict_is_read() -> None:
    """Deployments, routes, models, providers, prices, the store; with a schema for editors."""
    found = read_settings(
        {
            "$schema": "modelhub.schema.json",
            "credentials": {"acme": [{"id": "a", "values": {"api_key": lambda: SECRET}, "weight": 2}]},
            "models": {
                "acme/large": {
                    "label": "Large",
                    "features": ["vision"],
                    "parameter_rules": [{"name": "top_k", "remove": True}, {"name": "temperature", "max": 1.5}],
                    "pricing": {"output": 3.5},
                    "credentials": {"api_key": "env:LARGE"},
                },
                "acme/old": {"remove": True},
                "acme/v/2": {"model_type": "rerank"},
            },
            "providers": {"mine": {"extends": "acme", "preset": {"x": 1}}, "acme": {"label": "Our Acme"}},
            "prices": {"source": "manifest"},
            "store": {"path": "store.json", "key": "env:STORE_KEY", "enabled": False},
        },
        {},
    )
    large = found.models["acme/large"]
    assert (large.provider, large.model, large.name, large.remove) == ("acme", "large", "acme/large", False)
    assert set(large.fields) == {"label", "features", "parameter_rules", "pricing"}
    assert [(each.id, dict(each.values)) for each in large.credentials] == [("default", {"api_key": "env:LARGE"})]
    assert found.models["acme/old"].remove
    assert (found.models["acme/v/2"].provider, found.models["acme/v/2"].model) == ("acme", "v/2")
    assert found.plugins.rows == {"mine": {"extends": "acme", "preset": {"x": 1}}}
    assert found.plugins.overlays == {"acme": {"label": "Our Acme"}}
    assert found.prices.source == "manifest"
    assert (found.store.path, found.store.key, found.store.enabled) == ("store.json", "env:STORE_KEY", False)
    assert [(each.id, each.weight) for each in found.credentials["acme"]] == [("a", 2)]


async def later() -> list[str]:
    """Find nodes."""
    return []


def test_nodes_may_be_found() -> None:
    """By DNS, by functions in the place of one credential or of all of them; half a minute is usual."""
    entry = {"id": "a", "discover": "dns", "values": {"base_url": "http://a"}}
    rows = [entry, {**entry, "id": "b", "refresh": 5}, {"discover": later, "refresh": 60.5}]
    found = read_settings({"credentials": {"acme": rows, "other": later}}, {}).credentials
    assert [(each.id, each.discovery, each.function) for each in (*found["acme"], *found["other"])] == [
        ("a", Discovery(), None),
        ("b", Discovery(5.0), None),
        ("2", Discovery(60.5, later), later),
        ("default", Discovery(function=later), later),
    ]


@pytest.mark.parametrize("beside", [{"id": "a"}, {"values": {}}, {"weight": 2}, {"rpm": 5}, {"refresh": 4}])
def test_a_function_stands_alone(beside: dict[str, Any]) -> None:
    """What it returns says the rest."""
    with pytest.raises(SettingsInvalid, match="credential 0 of 'acme'"):
        read_settings({"credentials": {"acme": {"discover": later, **beside}}}, {})


@pytest.mark.parametrize(
    ("name", "known"), [("a", True), ("a@10.0.0.1", True), ("b", True), ("b@10.0.0.1", False), ("c", False)]
)
def test_a_deployment_may_name_a_node_that_is_to_be_found(name: str, *, known: bool) -> None:
    """Of an entry that stands for several; where there is a function, whichever it may return."""
    rows: list[Any] = [{"id": "a", "discover": "dns", "values": {}}, {"id": "b", "values": {}}]
    config = {"deployments": {"one": {"target": "acme/m", "credential": name}}, "store": {"enabled": False}}
    read_settings({**config, "credentials": {"acme": [*rows, {"discover": later}]}}, {})
    if known:
        read_settings({**config, "credentials": {"acme": rows}}, {})
    else:
        with pytest.raises(SettingsInvalid, match="has no credential"):
            read_settings({**config, "credentials": {"acme": rows}}, {})


def test_a_place_can_be_asked_for_later(tmp_path: Path) -> None:
    """For what turns out wrong only when plugins are known."""
    path = tmp_path / "m.toml"
    path.write_text('[deployments.fast]\ntarget = "acme/large"\n')
    assert read_settings(path, {}).place("deployments", "fast", "target") == f"{path}:2"
    assert read_settings(path, {}).place("deployments", "slow") == f"{path}:1"
    assert read_settings({}, {}).place("deployments", "fast") == "the configuration"
    assert Settings().place("routes") == "the configuration"


SECRETS = st.sampled_from([SECRET, f"{SECRET}\n", [SECRET], {"x": SECRET}, {"y": [SECRET]}])
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.dates()
    | SECRETS
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "values", "weight", "target", "groups", "a/b", "credentials", "pricing", "remove", "acme", ""]
            )
            | st.integers(0, 2),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
TABLES = st.dictionaries(
    st.sampled_from([*(each.name for each in dataclasses.fields(Settings)), "providers", "x", "$schema"]),
    ANYTHING,
    max_size=5,
)


@settings(max_examples=300, deadline=None)
@given(TABLES)
def test_no_dict_gives_anything_but_settings_or_our_error(document: dict[str, Any]) -> None:
    """Whatever stands wherever; and no value is ever repeated."""
    found = problems_of(document)
    assert all(each.message and each.path for each in found)
