"""Settings beside what is installed: each question that a file cannot answer by itself, and no value in any answer."""

from collections.abc import Mapping
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
from modelhub.types.schema import ProviderSchema
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


async def test_what_an_overlay_says_in_vain_is_a_warning() -> None:
    """As the manifest's reader noticed it."""
    there = {"acme": ProviderInfo("acme", PluginState.DISCOVERED, ACME, notices=("unknown key 'lable'",))}
    assert await found({"providers": {"acme": {"label": "A"}}}, providers=there) == [
        ("warning", "providers.acme", "unknown key 'lable'")
    ]
    assert await found({}, providers=there) == []
