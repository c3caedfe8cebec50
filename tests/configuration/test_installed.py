"""Settings beside what is installed: each question that a file cannot answer by itself, and no value in any answer."""

import os
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.canary import CANARY

from modelhub.configuration.installed import Finding, Installed, installed_findings
from modelhub.configuration.settings import read_settings
from modelhub.credentials import StoredCredential
from modelhub.provider.threads import run_in_thread
from modelhub.types.forms import CredentialSchema, FormField, ModelCredentialSchema
from modelhub.types.plugins import PluginState, ProviderInfo
from modelhub.types.pricing import Pricing
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema
from modelhub.types.secret import Secret

pytestmark = [pytest.mark.anyio, pytest.mark.holds_secrets("*.toml")]

FORM = (FormField("base_url", role="endpoint"), FormField("api_key", "secret-input"))
OWN = ModelCredentialSchema(credential_form_schemas=(FormField("window", "number"),))
ACME = ProviderSchema("acme", provider_credential_schema=CredentialSchema(FORM), model_credential_schema=OWN)
THERE = {"acme": ProviderInfo("acme", PluginState.DISCOVERED, ACME)}


async def found(
    config: Mapping[str, Any] | Path, *, environ: Mapping[str, str] | None = None, **there: Any
) -> list[tuple[str, str, str]]:
    """Return severity, path and message of what is found."""
    settings = await run_in_thread(partial(read_settings, config, {}), name="settings")
    installed = Installed(there.pop("providers", THERE), **there)
    findings: list[Finding] = await installed_findings(settings, installed, environ or {})
    assert CANARY not in f"{findings}"
    return [(each.severity, each.problem.path, each.problem.message) for each in findings]


async def test_what_stands_below_a_credential_counts() -> None:
    """What the environment or the store gives is not missing; what a call may bring is a warning."""
    config = {"credentials": {"acme": {"base_url": "http://127.0.0.1:1"}}}
    assert await found(config) == [("warning", "credentials.acme", "api_key: it is required")]
    assert await found(config, environ={"MODELHUB_ACME_API_KEY": CANARY}) == []
    kept = {"base_url": "http://127.0.0.1:1/", "api_key": Secret(CANARY)}
    assert await found(config, stored=[StoredCredential("acme", values=kept)]) == []
    assert await found(config, stored=[StoredCredential("acme", "other", kept)]) == [
        ("warning", "credentials.acme", "api_key: it is required")
    ]


async def test_what_a_form_complains_of_has_its_remedy() -> None:
    """Where else a missing value may stand, and which fields there are."""
    config = {"credentials": {"acme": {"base_ulr": "http://127.0.0.1:1"}}}
    settings = await run_in_thread(partial(read_settings, config, {}), name="settings")
    findings = await installed_findings(settings, Installed(THERE), {})
    missing = "give it there, set {0}, or run `modelhub credentials add acme`"
    assert {finding.problem.message: finding.problem.remedy for finding in findings} == {
        "did you mean 'base_url'?": "fields: base_url, api_key",
        "base_url: it is required": missing.format("MODELHUB_ACME_BASE_URL"),
        "api_key: it is required": missing.format("MODELHUB_ACME_API_KEY"),
    }


async def test_what_the_environment_gives_is_looked_at_too() -> None:
    """By its variable, whatever the file says of the provider; what is not there is not missing."""
    assert await found({}, environ={"MODELHUB_ACME_API_KEY": CANARY}) == []
    told = await found({}, environ={"MODELHUB_ACME_BASE_URL": "ftp://acme.example"})
    assert [(severity, path) for severity, path, _message in told] == [("error", "MODELHUB_ACME_BASE_URL")]
    assert "neither http nor https" in told[0][2]


async def test_a_stored_secret_follows_to_no_other_server() -> None:
    """As in a call: where the settings move the base URL, the key of the store is missing."""
    stored = [StoredCredential("acme", values={"base_url": "http://127.0.0.1:1", "api_key": Secret(CANARY)})]
    config = {"credentials": {"acme": {"base_url": "http://127.0.0.1:2"}}}
    assert await found(config, stored=stored) == [("warning", "credentials.acme", "api_key: it is required")]


async def test_a_models_credentials_inherit_those_of_its_provider() -> None:
    """Only the model's own field can be wrong there."""
    provider = {"base_url": "http://127.0.0.1:1", "api_key": CANARY}
    config = {"credentials": {"acme": provider}, "models": {"acme/m": {"credentials": {"window": "wide"}}}}
    assert await found(config) == [("error", 'models."acme/m".credentials.window', "it must be a number")]


async def test_references_are_looked_up_where_the_file_is(tmp_path: Path) -> None:
    """Each that leads to nothing is an error at its own line, nested ones too."""
    (tmp_path / "key").write_text(CANARY)
    (tmp_path / "key").chmod(0o600)
    file = tmp_path / "modelhub.toml"
    file.write_text('[credentials.acme]\nbase_url = "env:NO_SUCH_URL"\napi_key = "file:key"\n')
    assert await found(file) == [
        ("error", "credentials.acme.base_url", "the environment variable NO_SUCH_URL is not set")
    ]
    (tmp_path / "key").unlink()
    assert [path for _severity, path, _message in await found(file)] == [
        "credentials.acme.base_url",
        "credentials.acme.api_key",
    ]


async def test_a_provider_that_is_switched_off_is_a_warning() -> None:
    """Somebody did that on purpose; one that is broken is an error."""
    config = {"deployments": {"a": {"target": "acme/m"}}}
    for state, severity in ((PluginState.DISABLED, "warning"), (PluginState.FAILED, "error")):
        there = {"acme": ProviderInfo("acme", state, ACME, reason="it is so")}
        expected = (severity, "deployments.a.target", "the provider 'acme' cannot be used: it is so")
        assert await found(config, providers=there) == [expected]


@pytest.mark.parametrize(
    ("model", "expected"),
    [("acme/one", []), ("acme/two", ["the provider 'acme' has no model 'two'"]), ("acme/three", [])],
)
async def test_models_are_known_where_all_of_them_are(model: str, expected: list[str]) -> None:
    """And one that the settings name is one; a provider that may have others is not asked."""
    config = {"deployments": {"a": {"target": model}}, "models": {"acme/three": {"label": "Three"}}}
    told = await found(config, models={"acme": ["one"]})
    assert [message for _severity, _path, message in told] == expected
    assert await found(config) == []


async def test_a_deployment_names_a_model_or_has_a_default_one() -> None:
    """A provider alone stands for its default model."""
    config = {"deployments": {"a": {"provider": "acme"}}}
    assert [message for _severity, _path, message in await found(config)] == [
        "it names no model, and the provider has no default one"
    ]


async def test_credentials_are_named_by_store_and_settings() -> None:
    """Those of the model, of the provider, and in the store; the nearest is told."""
    config = {
        "credentials": {"acme": [{"id": "red", "values": {"base_url": "http://a", "api_key": "k"}}]},
        "deployments": {"a": {"target": "acme/m", "credential": "red"}, "b": {"target": "acme/m#blue"}},
        "routes": {"all": {"groups": [["acme/m#bleu", "a"]]}},
    }
    stored = [StoredCredential("acme", "blue", {"base_url": "http://a", "api_key": Secret("k")}, "m")]
    assert await found(config, stored=stored) == [
        ("error", "routes.all.groups[0][0]", "'acme' has no credential 'bleu'")
    ]
    assert [path for _severity, path, _message in await found(config)] == [
        "deployments.b.target",
        "routes.all.groups[0][0]",
    ]


async def test_nodes_that_are_to_be_found_are_not_looked_up() -> None:
    """What stands in the entry is checked as in others; what a function returns is not known."""
    values = {"base_url": "http://a", "api_key": "k"}
    entry = {"id": "red", "discover": "dns", "values": values}
    deployments = {"a": {"target": "acme/m#red@10.0.0.1"}, "b": {"target": "acme/m#blue@10.0.0.1"}}
    config = {"credentials": {"acme": [entry]}, "deployments": deployments}
    assert [path for _severity, path, _message in await found(config)] == ["deployments.b.target"]
    wrong = {**entry, "values": {**values, "base_ulr": "x"}}
    told = await found({"credentials": {"acme": [wrong]}})
    assert told == [("error", "credentials.acme[0].values.base_ulr", "did you mean 'base_url'?")]

    def function() -> list[str]:
        raise NotImplementedError

    for given in (function, [{"discover": function}], [entry, {"discover": function}]):
        assert await found({"credentials": {"acme": given}, "deployments": {"a": {"target": "acme/m#any"}}}) == []


async def test_a_provider_alone_in_a_route_must_be_one_with_a_default_model() -> None:
    """What is no provider may have been meant as a deployment or a route."""
    config = {"deployments": {"fast": {"target": "talk/x"}}, "routes": {"main": {"targets": ["talk"]}}}
    assert await found(config, providers=ROUTED) == []
    for name, message in (
        ("both", "it names no model, and the provider has no default one"),
        ("nobody", "there is no deployment, route or provider 'nobody'"),
    ):
        config["routes"] = {"main": {"targets": [name]}}
        assert await found(config, providers=ROUTED) == [("error", "routes.main.targets[0]", message)]


async def test_what_an_overlay_says_in_vain_is_a_warning() -> None:
    """As the manifest's reader noticed it."""
    there = {"acme": ProviderInfo("acme", PluginState.DISCOVERED, ACME, notices=("unknown key 'lable'",))}
    assert await found({"providers": {"acme": {"label": "A"}}}, providers=there) == [
        ("warning", "providers.acme", "unknown key 'lable'")
    ]
    assert await found({}, providers=there) == []


def provider(id: str, *kinds: ModelType, **more: Any) -> ProviderInfo:
    """Return a provider that serves some types."""
    return ProviderInfo(id, PluginState.DISCOVERED, ProviderSchema(id, supported_model_types=kinds, **more))


ROUTED = {
    "talk": provider("talk", ModelType.LLM, default_model="small", prices_of=""),
    "vectors": provider("vectors", ModelType.TEXT_EMBEDDING),
    "both": provider("both", ModelType.LLM, ModelType.TEXT_EMBEDDING),
    "rows": provider("rows"),
}
DESCRIBED = {
    "talk": {
        (ModelType.LLM, "small"): ModelSchema("small"),
        (ModelType.LLM, "dear"): ModelSchema("dear", pricing=Pricing(Decimal(1))),
    },
    "both": {(ModelType.TEXT_EMBEDDING, "embed"): ModelSchema("embed", ModelType.TEXT_EMBEDDING)},
}


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ([["talk/x", "both/x"], ["chat"]], None),
        ([["both/x", "vectors/x"]], None),
        ([["rows/x", "talk/x"], ["rows/y"]], None),
        ([["talk/x", "vectors/x"]], "'vectors/x' is of type text-embedding, and what stands before it of llm"),
        ([["talk/x"], ["vectors/x"]], "'vectors/x' is of type text-embedding, and what stands before it of llm"),
        ([["both/embed", "chat"]], "'chat' is of type llm, and what stands before it of text-embedding"),
        (
            [["both/x"], ["talk/x", "vectors/x"]],
            "'vectors/x' is of type text-embedding, and what stands before it of llm",
        ),
        ([["talk/own", "vectors/x"]], None),
    ],
)
async def test_what_a_route_leads_to_is_of_one_type(groups: list[list[str]], told: str | None) -> None:
    """Where manifests, or what goes over them, are sure of it; a default model is one too."""
    config = {
        "deployments": {"chat": {"target": "talk"}},
        "routes": {"main": {"groups": groups}},
        "models": {"talk/own": {"model_type": "embeddings"}},
    }
    complaints = await found(config, providers=ROUTED, described=DESCRIBED)
    assert complaints == ([] if told is None else [("warning", "routes.main", told)])


async def test_the_cheapest_is_told_by_prices() -> None:
    """Of a group of several, each whose price nothing can say is told."""
    routes = {
        "main": {"groups": [["talk/x", "talk/dear", "both/x"], ["talk/x"]], "pick": "cheapest"},
        "other": {"groups": [["talk/x", "talk/dear"]]},
    }
    unknown = "nothing says what {} costs, so that pick = 'cheapest' takes it last"
    there: dict[str, Any] = {"providers": ROUTED, "described": DESCRIBED}
    assert await found({"routes": routes}, **there) == [
        ("warning", "routes.main.groups[0][0]", unknown.format("'talk/x'"))
    ]
    alone = {"routes": routes, "prices": {"source": "manifest"}}
    assert [path for _, path, _ in await found(alone, **there)] == [
        *("routes.main.groups[0][0]", "routes.main.groups[0][2]"),
    ]
    priced = {"models": {"talk/x": {"pricing": {"input": 1}}}}
    assert await found({"routes": routes, **priced}, **there) == []
    through = {"routes": {**routes, "whole": {"targets": ["other"], "pick": "cheapest"}}}
    assert ("warning", "routes.whole", unknown.format("'talk/x'")) in await found(through, **there)


async def test_a_base_url_alone_needs_a_field_for_it() -> None:
    """It is looked at as the field's value is, for a provider and for a model."""
    urls = ["http://127.0.0.1:1", "env:UNSET_URL"]
    none = provider("talk", ModelType.LLM)
    config = {"credentials": {"acme": ["http://127.0.0.1:1"], "talk": ["http://127.0.0.1:1"]}}
    environ = {"MODELHUB_ACME_API_KEY": CANARY}
    assert await found(config, providers={**THERE, "talk": none}, environ=environ) == [
        ("error", "credentials.talk[0]", "the credential '127.0.0.1:1' of provider 'talk' is a text alone")
    ]
    for place in ({"credentials": {"acme": urls}}, {"models": {"acme/m": {"credentials": urls}}}):
        told = await found(place, environ=environ)
        assert ("the environment variable UNSET_URL is not set") in [message for _, _, message in told]


async def test_a_server_to_share_with_must_be_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its URL is read where it is, and shown nowhere."""
    config = {"sharing": {"redis": "env:REDIS_URL"}}
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@127.0.0.1")
    assert await found(config) == []
    monkeypatch.setenv("REDIS_URL", CANARY)
    wrong = "[sharing] redis cannot be used: it leads to no URL that begins with redis://, rediss:// or unix://"
    assert await found(config) == [("error", "sharing.redis", wrong)]


@pytest.mark.skipif(os.name != "posix", reason="files have no such permissions there")
async def test_a_secret_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    """Is warned of, by its place; one that is referred to is not, nor one in a file of one's own."""
    file = tmp_path / "modelhub.toml"
    file.write_text(f'[credentials.acme]\nbase_url = "http://127.0.0.1:1"\napi_key = "{CANARY}"\n')
    said = "it is a secret, and other users of this machine can read the file"
    for mode, findings in ((0o644, [("warning", "credentials.acme.api_key", said)]), (0o600, [])):
        file.chmod(mode)
        assert await found(file) == findings
    file.write_text('[credentials.acme]\nbase_url = "http://127.0.0.1:1"\napi_key = "env:KEY_OF_ACME"\n')
    file.chmod(0o644)
    assert said not in [message for _, _, message in await found(file)]
