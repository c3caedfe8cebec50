"""`config check`, `config show` and `config schema`: what the settings say, and everything that is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY

pytestmark = [pytest.mark.usefixtures("harbour"), pytest.mark.holds_secrets("*.toml")]

WRONG = f"""\
[credentials.harbuor]
api_key = "x"

[credentials.harbour]
base_url = "http://127.0.0.1:1"
api_kye = "{CANARY}"

[[credentials.acme]]
id = "team"
values = {{ api_key = "env:UNSET_KEY", region = "north" }}

[models."harbour/crane".credentials]
window = "wide"

[deployments.gone]
target = "acmee/echo"

[deployments.named]
target = "acme/echo"
credential = "taem"
vendor.nobody = {{ a = 1 }}

[models."acme/hidden"]
remove = true

[deployments.hidden]
provider = "acme"
model = "hidden"

[routes.all]
targets = ["acme/echo#nobodys", "named"]
"""


def written(folder: Path, text: str, name: str = "modelhub.toml") -> str:
    """Write settings and return their path."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_everything_that_is_wrong_is_told_with_its_line(cli: Any, tmp_path: Path) -> None:
    """What only plugins, store and environment know too; each with what to do, and no value among it."""
    written(tmp_path, WRONG)
    ran = cli("config", "check", environment={"MODELHUB_TIMEOUTS_CONECT": "3"})
    assert ran.code == 1
    told = [line for line in ran.out.splitlines() if line.startswith(("modelhub.toml", "the environment"))]
    assert told == [
        "modelhub.toml:1: error credentials.harbuor: there is no provider 'harbuor'",
        "modelhub.toml:4: warning credentials.harbour: api_key: it is required",
        "modelhub.toml:6: error credentials.harbour.api_kye: did you mean 'api_key'?",
        "modelhub.toml:10: error credentials.acme[0].values.api_key: the environment variable UNSET_KEY is not set",
        "modelhub.toml:10: error credentials.acme[0].values.region: it must be one of west, east",
        "modelhub.toml:12: error models.\"harbour/crane\".credentials: api_kye: did you mean 'api_key'?",
        'modelhub.toml:12: warning models."harbour/crane".credentials: api_key: it is required',
        "modelhub.toml:16: error deployments.gone.target: there is no provider 'acmee'",
        "modelhub.toml:20: error deployments.named.credential: 'acme' has no credential 'taem'",
        "modelhub.toml:21: error deployments.named.vendor.nobody: there is no provider 'nobody'",
        "modelhub.toml:27: error deployments.hidden.provider: [models] takes 'acme/hidden' away",
        "modelhub.toml:31: error routes.all.targets[0]: 'acme' has no credential 'nobodys'",
        "the environment: warning MODELHUB_TIMEOUTS_CONECT: the variable means nothing",
    ]
    assert "    remedy: did you mean 'harbour'?\n" in ran.out
    assert "    remedy: did you mean MODELHUB_TIMEOUTS_CONNECT" in ran.out
    assert ran.out.endswith("\n10 errors, 3 warnings.\n")


def test_programs_get_the_problems_one_by_one(cli: Any, tmp_path: Path) -> None:
    """With file, line, path, remedy and how bad it is; the file may be named."""
    document = cli("config", "check", written(tmp_path, WRONG, "other.toml"), "--json").document
    assert document["ok"] is False
    assert document["problems"][0] == {
        "file": document["file"],
        "line": 1,
        "path": "credentials.harbuor",
        "message": "there is no provider 'harbuor'",
        "remedy": "did you mean 'harbour'?",
        "severity": "error",
    }


def test_a_model_that_no_manifest_has_is_told(cli: Any, site: Any, tmp_path: Path) -> None:
    """Where the manifest knows them all; one that the settings add is there."""
    manifest = (
        "provider: fixed\nlabel: {en_US: fixed}\nsupported_model_types: [llm]\n"
        "configurate_methods: [predefined-model]\nmodels: {llm: {predefined: [one.yaml]}}\n"
    )
    code = (
        "from modelhub.provider import LargeLanguageModel, ModelProvider\n"
        "class LLM(LargeLanguageModel):\n    async def stream(self, request, context):\n        yield\n"
        "class Provider(ModelProvider):\n    contract = 1\n    llm = LLM\n"
    )
    site.write("fixed", code, manifest=manifest)
    (site.folder / "fixed_plugin" / "one.yaml").write_text("model: one-large\nmodel_type: llm\n")
    text = '[deployments.a]\ntarget = "fixed/one-lagre"\n[deployments.b]\ntarget = "fixed/one-large"\n'
    written(tmp_path, f'{text}[deployments.c]\ntarget = "fixed/two"\n[models."fixed/two"]\nmodel_type = "llm"\n')
    ran = cli("config", "check")
    assert ran.out == (
        "modelhub.toml:2: error deployments.a.target: the provider 'fixed' has no model 'one-lagre'\n"
        "    remedy: did you mean 'one-large'?\n\n1 error.\n"
    )


def test_good_settings_have_nothing_wrong(cli: Any, tmp_path: Path) -> None:
    """With references that lead somewhere; and so have none at all."""
    assert cli("config", "check").out.startswith("Nothing is wrong. There is no settings file")
    (tmp_path / "key").write_text("hb-1\n")
    (tmp_path / "key").chmod(0o600)
    text = '[credentials.harbour]\nbase_url = "http://127.0.0.1:1"\napi_key = "file:key"\n'
    written(tmp_path, f'{text}[deployments.fast]\ntarget = "harbour/crane"\ncredential = "default"\n')
    ran = cli("config", "check")
    assert (ran.code, ran.out) == (0, "Nothing is wrong with modelhub.toml.\n")


def test_routes_and_base_urls_are_looked_at(cli: Any, site: Any, tmp_path: Path) -> None:
    """Types that do not go together, prices that nobody knows, and a text that no form has a field for."""
    manifest = "provider: {0}\nlabel: {{en_US: x}}\nsupported_model_types: [{1}]\nprices_of: ''\n"
    manifest += "configurate_methods: [customizable-model]\n"
    for id, kind in (("talker", "llm"), ("vectors", "text-embedding")):
        site.write(id, "", manifest=manifest.format(id, kind))
    routes = '[routes.mixed]\ntargets = ["talker/a", "vectors/b"]\n'
    cheap = '[routes.cheap]\ngroups = [["talker/a", "talker/b"]]\npick = "cheapest"\n'
    written(tmp_path, f'{routes}{cheap}[credentials]\ntalker = ["http://127.0.0.1:1"]\n')
    ran = cli("config", "check")
    told = [line for line in ran.out.splitlines() if line.startswith("modelhub.toml")]
    mixed = "'vectors/b' is of type text-embedding, and what stands before it of llm"
    alone = "the credential '127.0.0.1:1' of provider 'talker' is a text alone"
    cheapest = "nothing says what 'talker/{0}' costs, so that pick = 'cheapest' takes it last"
    assert told == [
        f"modelhub.toml:1: warning routes.mixed: {mixed}",
        f"modelhub.toml:4: warning routes.cheap.groups[0][0]: {cheapest.format('a')}",
        f"modelhub.toml:4: warning routes.cheap.groups[0][1]: {cheapest.format('b')}",
        f"modelhub.toml:7: error credentials.talker[0]: {alone}",
    ]


def test_base_urls_are_shown_and_listed(cli: Any, tmp_path: Path) -> None:
    """Each by its host and port; what has a password in it is a secret."""
    urls = f'"http://127.0.0.1:1", "http://user:{CANARY}@127.0.0.1:2"'
    written(tmp_path, f"[credentials]\nharbour = [{urls}]\n[sharing]\nredis = 'redis://:{CANARY}@127.0.0.1'\n")
    shown = {each["path"]: each["value"] for each in cli("config", "show", "--json").document["settings"]}
    assert shown["credentials.harbour[0]"] == "http://127.0.0.1:1"
    assert CANARY not in f"{shown}"
    assert shown["sharing.redis"].startswith("***")
    listed = cli("credentials", "list", "--json").document
    assert "'127.0.0.1:1'" in f"{listed}"
    assert CANARY not in f"{listed}"


def test_warnings_alone_fail_nothing(cli: Any, tmp_path: Path) -> None:
    """Exit code 0."""
    written(tmp_path, '[credentials.harbour]\nbase_url = "http://127.0.0.1:1"\n')
    ran = cli("config", "check", environment={"MODELHUB_LANG": "id"})
    assert ran.code == 0
    assert ran.out.startswith("modelhub.toml:1: peringatan credentials.harbour: api_key: ")
    assert ran.out.endswith("1 peringatan.\n")


def test_settings_that_cannot_be_read_are_told_the_same_way(cli: Any, tmp_path: Path) -> None:
    """Every problem of the file itself, with its line."""
    written(tmp_path, "[timeouts]\nconect = 1\ntotal = 'long'\n")
    ran = cli("config", "check")
    assert ran.code == 1
    assert "modelhub.toml:2: error timeouts.conect: " in ran.out
    assert "modelhub.toml:3: error timeouts.total: " in ran.out


def test_a_plugin_that_is_broken_is_told_where_it_is_named(cli: Any, site: Any, tmp_path: Path) -> None:
    """With its reason; what the settings do not name is the doctor's."""
    site.register("lost", "no_such_module:Provider")
    site.register("unnamed", "no_such_module:Provider")
    written(tmp_path, '[deployments.a]\ntarget = "lost/x"\n')
    ran = cli("config", "check")
    assert ran.code == 1
    assert "modelhub.toml:2: error deployments.a.target: the provider 'lost' cannot be used: " in ran.out
    assert "unnamed" not in ran.out


def test_a_store_that_cannot_be_read_is_one_problem(cli: Any, tmp_path: Path) -> None:
    """The others are told all the same."""
    (tmp_path / "store.json").write_text("no JSON")
    written(tmp_path, '[store]\npath = "store.json"\n[credentials.nobody]\na = "b"\n')
    out = cli("config", "check").out
    assert "modelhub.toml: error store: " in out
    assert "modelhub.toml:3: error credentials.nobody: " in out


def test_what_is_set_is_shown_with_its_place(cli: Any, tmp_path: Path) -> None:
    """Masked; the defaults only where they are asked for."""
    written(tmp_path, f'[timeouts]\ntotal = 90\n[credentials.harbour]\napi_key = "{CANARY}"\nplan = "large"\n')
    ran = cli("config", "show", environment={"MODELHUB_POLICY_PARAMETERS": "clamp"})
    lines = ran.out.splitlines()
    assert "timeouts.total\t90\tmodelhub.toml:2" in lines
    assert "policy.parameters\tclamp\tMODELHUB_POLICY_PARAMETERS" in lines
    assert f"credentials.harbour.api_key\t***{CANARY[-4:]}\tmodelhub.toml:4" in lines
    assert "credentials.harbour.plan\tlarge\tmodelhub.toml:5" in lines
    assert "timeouts.idle" not in ran.out
    every = cli("config", "show", "--all", "--json").document["settings"]
    assert {"path": "timeouts.idle", "value": None, "origin": "default"} in every


def test_the_schema_is_that_of_the_settings(cli: Any) -> None:
    """For editors, as one document."""
    schema = cli("config", "schema").document
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "credentials" in schema["properties"]
