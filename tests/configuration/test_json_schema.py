"""The published JSON Schema is that of the code, and says of a document what the code says of it."""

import datetime as dt
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelhub.configuration.json_schema import json_schema
from modelhub.configuration.problems import SettingsInvalid
from modelhub.configuration.settings import read_settings

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "schemas" / "modelhub.schema.json"
SCHEMA: Any = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

WHOLE = """
"$schema" = "modelhub.schema.json"
[plugins]
allow = ["modelhub-acme"]
load_seconds = 5
[plugins.prefer]
acme = "modelhub-acme"
[policy]
parameters = "clamp"
[timeouts]
connect = 1
idle = 2.5
[prices]
source = "manifest"
[store]
path = "store.json"
key = "env:KEY"
enabled = true
[routing]
pick = "sticky"
retries = 1
retry_budget = 0.5
eject_seconds = 2
panic = false
queue = 10
[egress]
allow = ["10.1.0.0/16", "fd00::/8", "gpu.internal"]
[sharing]
redis = "env:REDIS_URL"
namespace = "team:a"
[credentials]
urls = ["http://a", { base_url = "http://b" }, "env:C"]
[credentials.acme]
api_key = "env:ACME"
[[credentials.other]]
base_url = "http://a"
[[credentials.other]]
id = "b"
weight = 2
rpm = 60
tpm = 10000.5
concurrency = 2
budget = { amount = 50, currency = "IDR", per = "day" }
discover = "dns"
refresh = 5
values = { base_url = "http://b", headers = { X-Team = "a" } }
[models."acme/large"]
model_type = "llm"
label = { en_US = "Large", id_ID = "Besar" }
features = ["vision"]
pricing = { output = 3.5 }
deprecation = { date = 2027-01-31, replacement = "acme/next" }
credentials = [{ api_key = "file:key" }]
parameter_rules = [{ name = "temperature", max = 1.5 }, { name = "top_k", remove = true }]
[models."acme/old"]
remove = true
[providers.mine]
extends = "acme"
label = "Mine"
preset = { base_url = "http://mine" }
[providers.acme]
timeouts = { connect = 2 }
limits = { concurrency = 2, rpm = 60.5 }
probe = "/api/version"
[deployments.fast]
target = "acme/large"
weight = 2
parameters = { temperature = 0.5, stop = ["a"], reasoning = "low" }
vendor = { acme = { num_ctx = 1 } }
timeout = 9
rpm = 60
tpm = 1000
concurrency = 3
[deployments.slow]
provider = "acme"
model = "small"
credential = "default"
[routes.main]
groups = [["fast"], ["slow", "acme/x#b"]]
pick = "round_robin"
[routes.plain]
targets = ["fast"]
"""


def plain(value: Any) -> Any:
    """Return a TOML document as JSON has it."""
    return json.loads(json.dumps(value, default=dt.date.isoformat))


def test_the_published_schema_is_the_codes() -> None:
    """Written anew with: python -m modelhub.configuration.json_schema > docs/schemas/modelhub.schema.json."""
    assert json.loads(PUBLISHED.read_text("utf-8")) == SCHEMA


def test_the_schema_is_one() -> None:
    """Of the dialect that it names, without a reference that leads nowhere."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    text = json.dumps(SCHEMA)
    names = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names == set(SCHEMA["$defs"])


def test_every_table_and_key_has_its_description() -> None:
    """Which is what an editor shows."""
    tables = [definition for name, definition in SCHEMA["$defs"].items() if name.endswith("Table")]
    for definition in [SCHEMA, *tables]:
        assert definition["description"]
        assert [key for key, each in definition["properties"].items() if not each.get("description")] == []


def test_a_whole_file_is_taken_by_both() -> None:
    """Every table and nearly every key."""
    document = tomllib.loads(WHOLE)
    read_settings(document, {})
    VALIDATOR.validate(plain(document))


@pytest.mark.parametrize(
    "toml",
    [
        "[plugin]",
        "[plugins]\nalow = []",
        '[plugins]\nallow = "a"',
        "[plugins]\nload_seconds = 0",
        '[policy]\nparameters = "lax"',
        '[timeouts]\nidle = "3"',
        "[timeouts]\nidle = -1",
        '[prices]\nsource = "web"',
        '[store]\nkey = "plain"',
        '[store]\npath = ""',
        '[credentials]\nacme = "k"',
        "[credentials]\nacme = []",
        "[[credentials.acme]]\nvalues = {}\nx = 1",
        "[[credentials.acme]]\nvalues = {}\nweight = 0",
        "[[credentials.acme]]\nvalues = {}\nrpm = 0",
        '[[credentials.acme]]\nvalues = {}\ndiscover = "srv"',
        "[[credentials.acme]]\nvalues = {}\nrefresh = 30",
        '[[credentials.acme]]\nvalues = {}\ndiscover = "dns"\nrefresh = 4.9',
        '[[credentials.acme]]\nvalues = {}\ndiscover = "dns"\nrefresh = "30"',
        "[[credentials.acme]]\nvalues = {}\nconcurrency = 0",
        "[[credentials.acme]]\nvalues = {}\nbudget = 5",
        "[[credentials.acme]]\nvalues = {}\nbudget = { amount = 5 }",
        '[[credentials.acme]]\nvalues = {}\nbudget = { amount = 5, per = "week" }',
        '[[credentials.acme]]\nvalues = {}\nbudget = { amount = 5, per = "day", currency = "usd" }',
        '[credentials]\nacme = ["key"]',
        '[routing]\npick = "fastest"',
        "[routing]\nretries = -1",
        "[routing]\nretry_budget = 2",
        "[routing]\neject_after = 0",
        '[egress]\nallow = ["https://a"]',
        '[egress]\nallow = "a"',
        '[sharing]\nredis = "a"',
        '[sharing]\nnamespace = "a b"',
        '[deployments.fast]\ntarget = "a/b"\nconcurrency = 0.5',
        '[routes.main]\ntargets = ["a/b"]\npick = "fast"',
        "[providers.acme]\nlimits = { rmp = 1 }",
        "[providers.acme]\nlimits = { rpm = 0 }",
        '[providers.acme]\nprobe = "/a?b"',
        '[models.acme]\nlabel = "x"',
        '[models."acme/x"]\nlabl = "x"',
        '[models."acme/x"]\nmodel_type = "chat"',
        '[models."acme/x"]\nparameter_rules = [{ max = 1 }]',
        '[models."acme/x"]\nparameter_rules = [{ name = "x", mx = 1 }]',
        "[providers.acme]\ncontract = 2",
        "[providers.acme]\npreset = 1",
        "[deployments.fast]\nweight = 2",
        '[deployments.fast]\ntarget = "a/b"\nprovider = "a"',
        '[deployments.fast]\ntarget = "a/b"\nparameters = { temprature = 1 }',
        "[routes.main]",
        "[routes.main]\ntargets = [1]",
    ],
)
def test_what_the_code_refuses_the_schema_refuses(toml: str) -> None:
    """Whatever a schema can say."""
    document = tomllib.loads(toml)
    with pytest.raises(SettingsInvalid):
        read_settings(document, {})
    assert not VALIDATOR.is_valid(plain(document))


WORDS = st.sampled_from(["", " ", "a", "a#b", "strict", "drop", "manifest", "env:KEY", "file:", "literal:x"])
NUMBERS = st.sampled_from([0, 1, -1, 0.5, 1e300, True, False])
VALUES = st.one_of(
    WORDS, NUMBERS, st.lists(WORDS | NUMBERS, max_size=2), st.dictionaries(st.just("a"), WORDS | NUMBERS)
)


def table_of(*keys: str) -> st.SearchStrategy[Any]:
    """Make a table that may have these keys and a misspelt one, or what is no table."""
    return VALUES | st.dictionaries(st.sampled_from([*keys, "x"]), VALUES, max_size=3)


CREDENTIAL = st.one_of(
    st.dictionaries(st.sampled_from(["api_key", "id"]), VALUES, max_size=2),
    st.fixed_dictionaries(
        {"values": st.dictionaries(st.just("api_key"), VALUES)},
        optional={"id": VALUES, "weight": VALUES, "rpm": VALUES, "tpm": VALUES, "x": VALUES},
    ),
)
TARGETS = st.sampled_from([["a/b"], ["a/b", "c/d"], [], [1], "a/b", 1, {}])
TABLES = {
    "plugins": table_of("allow", "deny", "prefer", "load_seconds"),
    "policy": table_of("parameters"),
    "timeouts": table_of("connect", "first_token", "idle", "total"),
    "prices": table_of("source"),
    "store": table_of("path", "key", "enabled"),
    "routing": table_of("pick", "retry_budget", "panic", "probe_seconds", "probe_waiting", "hedge"),
    "egress": table_of("allow"),
    "sharing": table_of("redis", "namespace"),
    "credentials": VALUES
    | st.fixed_dictionaries({"acme": VALUES | CREDENTIAL | st.lists(CREDENTIAL | WORDS, max_size=1)}),
    "deployments": VALUES
    | st.fixed_dictionaries(
        {
            "d": st.fixed_dictionaries(
                {"target": st.just("a/b")},
                optional={"weight": VALUES, "timeout": VALUES, "vendor": VALUES, "rpm": VALUES, "tpm": VALUES},
            )
        }
    ),
    "routes": VALUES
    | st.fixed_dictionaries({"r": st.fixed_dictionaries({"targets": TARGETS}, optional={"pick": VALUES})}),
    "$schema": VALUES,
}
DOCUMENTS = st.sampled_from(list(TABLES)).flatmap(lambda name: st.fixed_dictionaries({name: TABLES[name]}))


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS)
def test_the_code_and_the_schema_agree(document: dict[str, Any]) -> None:
    """On every table whose keys are not a manifest's: neither takes what the other refuses."""
    try:
        read_settings(document, {})
    except SettingsInvalid:
        taken = False
    else:
        taken = True
    assert VALIDATOR.is_valid(document) == taken
