"""Validation of a form in stages, each failure a complaint about the field that is wrong."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from tests.canary import CANARY

from modelhub import ModelHub
from modelhub.errors import (
    CredentialsInvalid,
    ModelHubError,
    ModelNotFound,
    ServerError,
    Timeout,
    UnsupportedFeature,
)
from modelhub.provider import ModelProvider, ProviderContext
from modelhub.testing.replay import recorded
from modelhub.testing.replies import Reply, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.plugins import ValidationReport
from modelhub.types.schema import ModelType, ProviderSchema
from modelhub_ollama_local.faults import refusal
from modelhub_ollama_local.validation import validate_model, validate_server

pytestmark = pytest.mark.anyio

Recordings = Mapping[str, Any]
Routes = Callable[..., dict[tuple[str, str], Any]]

NO_ROUTE = Reply(404, {"content-type": "text/plain"}, "404 page not found")
PAGE = Reply(200, {"content-type": "text/html"}, "<html><title>Sign in</title></html>")
UNAUTHORIZED = json_reply({"error": "unauthorized"}, 401)


async def report(routes: Any, *, model: str | None = None, **credentials: Any) -> ValidationReport:
    """Validate a form against a server."""
    async with WireServer(routes) as server, ModelHub() as hub:
        return await hub.validate("ollama_local", {"base_url": server.url, **credentials}, model=model)


async def test_a_good_server_passes_every_stage(ollama: Routes) -> None:
    """Each stage says what it found; the model comes last."""
    found = await report(ollama(), model="smollm2:135m")
    assert found.ok
    assert found.stages[:5] == ("form", "reachable", "Ollama 0.33.0-rc2", "4 models", "authenticated")
    assert "smollm2:135m is installed" in found.stages


async def test_validating_loads_no_model_and_asks_no_question(ollama: Routes) -> None:
    """The request that finds out about the key names no model."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        await hub.validate("ollama_local", {"base_url": server.url, "api_key": CANARY})
    assert [(request.method, request.path) for request in server.requests] == [
        ("GET", "/api/version"),
        ("GET", "/api/tags"),
        ("POST", "/api/chat"),
    ]
    assert server.requests[-1].json == {}
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {CANARY}"}


async def test_a_server_without_models_is_good(ollama: Routes) -> None:
    """The next step is named."""
    found = await report(ollama(tags=json_reply({"models": None})))
    assert found.ok
    assert "no models yet: pull one" in found.stages


async def test_nothing_that_listens_is_the_base_url() -> None:
    """The hint names the command and the variable."""
    async with ModelHub() as hub:
        found = await hub.validate("ollama_local", {"base_url": "http://127.0.0.1:9"})
    assert found.stages == ("form",)
    assert "ollama serve" in found.errors["base_url"]
    assert "OLLAMA_HOST" in found.errors["base_url"]


async def test_a_base_url_that_cannot_be_one_is_the_base_url() -> None:
    """Nothing is sent."""
    async with ModelHub() as hub:
        found = await hub.validate("ollama_local", {"base_url": "ftp://x"})
    assert found.errors.keys() == {"base_url"}


@pytest.mark.parametrize("ending", ["", "/", "/api", "/v1/", "/api/chat"])
async def test_a_pasted_path_of_the_api_is_cut_off(ollama: Routes, ending: str) -> None:
    """One correct URL, whatever part of the API was pasted along."""
    async with WireServer(ollama()) as server, ModelHub() as hub:
        found = await hub.validate("ollama_local", {"base_url": server.url + ending})
    assert found.ok
    assert server.requests[0].path == "/api/version"


async def test_a_path_of_a_proxy_is_kept(recordings: Recordings) -> None:
    """Everything is asked below it."""
    async with WireServer(lambda _: recorded(recordings["not-found"])) as server, ModelHub() as hub:
        await hub.validate("ollama_local", {"base_url": f"{server.url}/ollama/"})
    assert {request.path.rpartition("/ollama/")[0] for request in server.requests} == {""}
    assert all(request.path.startswith("/ollama/") for request in server.requests)


@pytest.mark.parametrize("status", [200, 302])
async def test_a_web_page_is_the_base_url(ollama: Routes, status: int) -> None:
    """A captive portal, a login page: no API."""
    page = PAGE if status == 200 else Reply(302, {"location": "https://login.example/"}, "")
    found = await report(ollama(version=page))
    assert found.errors.keys() == {"base_url"}
    words = "web page" if status == 200 else "login.example"
    assert words in found.errors["base_url"]


@pytest.mark.parametrize(
    "routes",
    [
        {"version": NO_ROUTE, "root": NO_ROUTE, "tags": NO_ROUTE},
        {"version": NO_ROUTE, "root": json_reply({"ok": True}), "tags": NO_ROUTE},
        {"version": json_reply({"status": "ok"})},
        {"version": json_reply(["ok"])},
        {"version": json_reply({"version": ""})},
        {"version": json_reply({"version": 2})},
        {"version": Reply(body="hello")},
    ],
)
async def test_another_program_is_the_base_url(ollama: Routes, routes: dict[str, Any]) -> None:
    """It answers, and not as Ollama does."""
    found = await report(ollama(**routes))
    assert found.errors.keys() == {"base_url"}
    assert "not Ollama" in found.errors["base_url"]


@pytest.mark.parametrize("routes", [{"version": NO_ROUTE}, {"version": NO_ROUTE, "root": Reply(body="My gateway")}])
async def test_a_proxy_without_a_version_is_known_by_its_greeting_or_its_list(
    ollama: Routes, routes: dict[str, Any]
) -> None:
    """The rest of the API is there."""
    found = await report(ollama(**routes))
    assert found.ok
    assert "Ollama's API" in found.stages


async def test_one_model_is_no_plural(ollama: Routes) -> None:
    """As people write it."""
    found = await report(ollama(tags=json_reply({"models": [{"name": "llama3:latest"}]})))
    assert found.stages[3] == "1 model"


@pytest.mark.parametrize(("key", "words"), [(CANARY, "refuses this key"), ("", "wants a key")], ids=["a key", "none"])
async def test_a_key_is_found_wrong_though_the_list_is_public(ollama: Routes, key: str, words: str) -> None:
    """A 200 of /api/tags proves nothing: a question is asked that costs nothing."""
    found = await report(ollama(chat=UNAUTHORIZED), api_key=key)
    assert found.errors == {"api_key": f"the server {words}"}
    assert found.stages[-1] == "4 models"


async def test_a_refused_host_is_the_base_url(ollama: Routes) -> None:
    """Ollama refuses names that it does not know, without a word."""
    found = await report(ollama(version=Reply(403)))
    assert "host name" in found.errors["base_url"]


@pytest.mark.parametrize(
    "answer", [json_reply({"error": "model not found"}, 404), json_reply({"error": "no body"}, 400)]
)
async def test_a_question_that_is_refused_for_itself_has_passed_the_key(ollama: Routes, answer: Reply) -> None:
    """Whoever refuses the question has let the caller in."""
    assert (await report(ollama(chat=answer), api_key=CANARY)).ok


async def test_what_is_wrong_with_no_field_is_reported_as_it_is(ollama: Routes) -> None:
    """A server that fails is no mistake in the form."""
    found = await report(ollama(tags=json_reply({"error": "disk"}, 500)))
    assert isinstance(found.error, ServerError)
    assert found.errors.keys() == {""}


async def test_an_old_server_is_good(ollama: Routes, caplog: pytest.LogCaptureFixture) -> None:
    """What it cannot say is logged."""
    assert (await report(ollama(version=json_reply({"version": "0.5.7"})))).ok
    assert "0.6.4" in caplog.text


async def test_a_model_that_is_missing_is_named_with_what_was_meant(ollama: Routes) -> None:
    """The remedy has the nearest name and the command."""
    found = await report(ollama(), model="smollm:135m")
    assert isinstance(found.error, ModelNotFound)
    assert "did you mean smollm2:135m" in str(found.error)
    assert "ollama pull smollm:135m" in str(found.error)


async def test_a_model_is_found_under_any_way_to_write_it(ollama: Routes) -> None:
    """Letter case and the registry's own name do not matter."""
    assert (await report(ollama(), model="SMOLLM2:135m")).ok


async def test_an_embedding_model_passes_as_one(ollama: Routes) -> None:
    """It is tried as every type that the provider serves."""
    assert (await report(ollama(), model="all-minilm:22m")).ok


class Probe(ModelProvider):
    """Hands the plugin's checks a context, as a provider of its own, with little patience."""

    def __init__(self, check: Callable[[ProviderContext], Awaitable[None]]) -> None:
        super().__init__()
        self.check = check

    def provider_schema(self) -> ProviderSchema:
        """Have a base URL."""
        form = (FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),)
        return ProviderSchema("probe", provider_credential_schema=CredentialSchema(form))

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Run the check."""
        context.http.limits.first_token = 0.2
        await self.check(context)

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
        """Classify as the plugin does."""
        return refusal(status, headers, body)


async def probed(check: Callable[[ProviderContext], Awaitable[None]], routes: Any) -> ValidationReport:
    """Run a check against a server."""
    async with WireServer(routes) as server, ModelHub(providers=[Probe(check)]) as hub:
        return await hub.validate("probe", {"base_url": server.url})


@pytest.mark.parametrize(
    ("model", "words"), [("smollm2:135m", "no embeddings"), ("all-minilm:22m", "no conversations")]
)
async def test_a_model_of_another_type_is_refused(ollama: Routes, model: str, words: str) -> None:
    """The error says what it is for."""
    wanted = ModelType.TEXT_EMBEDDING if model.startswith("smollm2") else ModelType.LLM
    found = await probed(lambda context: validate_model(model, wanted, context), ollama())
    assert isinstance(found.error, UnsupportedFeature)
    assert words in str(found.error)


async def test_a_server_that_accepts_and_says_nothing_is_the_base_url(ollama: Routes) -> None:
    """It is waited for, but not as long as for an answer of a model."""
    found = await probed(validate_server, ollama(version=Reply(body="", delay=5)))
    assert "does not answer" in found.errors["base_url"]
    assert isinstance(found.error, CredentialsInvalid)
    assert isinstance(found.error.__cause__, Timeout)
