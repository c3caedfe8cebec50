"""A base URL alone is a whole credential, where the provider's form has one field for it."""

from collections.abc import Sequence
from typing import Any

import pytest

from modelhub import AssistantMessage, ChatResult, FinishReason, ModelHub, TextPart
from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.provider import HttpCall, LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.testing.replies import json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelType, ProviderSchema

pytestmark = pytest.mark.anyio

RULE = EndpointRule("http", 11434)
URL = FormField("base_url", role="endpoint", default="http://localhost:11434", endpoint=RULE)
OTHER_URL = FormField("region_url", role="endpoint", required=False)
KEY = FormField("api_key", "secret-input", required=False)


class SayingLLM(LargeLanguageModel):
    """Says what it was given."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Return the credential's id and base URL, or ask there."""
        if request.name == "ask":
            await context.http.request(HttpCall("/chat", json={}))
        typed = " typed" if context.credential.tenant_endpoint else ""
        text = f"{context.credential.id} {context.credential.get('base_url')}{typed}"
        message = AssistantMessage((TextPart(text),))
        return ChatResult(message=message, finish_reason=FinishReason.STOP, output=None, usage=None)


class Saying(ModelProvider):
    """A provider with the form that it is given."""

    llm = SayingLLM

    def __init__(self, *form: FormField) -> None:
        super().__init__()
        self._form = form

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema(
            "saying",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(self._form),
        )


def hub_with(credentials: object, *, form: Sequence[FormField] = (URL, KEY)) -> ModelHub:
    """Return a hub with credentials in its settings."""
    return ModelHub({"store": {"enabled": False}, "credentials": {"saying": credentials}}, providers=[Saying(*form)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["http://a:11434", "http://b:11434"], {"a:11434": "http://a:11434", "b:11434": "http://b:11434"}),
        (["http://b", {"base_url": "http://c"}], {"b": "http://b", "1": "http://c"}),
        ([{"id": "x", "values": {"base_url": "http://c"}}, "http://b"], {"x": "http://c", "b": "http://b"}),
    ],
)
async def test_settings_may_list_base_urls(given: object, said: dict[str, str]) -> None:
    """Alone, and beside tables; each has its host and port as its name, so that a target can name it."""
    async with hub_with(given) as hub:
        for name, url in said.items():
            assert (await hub.chat(f"saying/m#{name}", "Hi")).text == f"{name} {url}"
        assert (await hub.chat("saying/m", "Hi")).text in {f"{name} {url}" for name, url in said.items()}


async def test_a_url_may_be_kept_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named by its number then, and read before it is used."""
    monkeypatch.setenv("GPU_URL", "http://gpu:11434")
    async with hub_with(["env:GPU_URL", "http://b"]) as hub:
        assert (await hub.chat("saying/m#0", "Hi")).text == "0 http://gpu:11434"


async def test_bound_models_may_list_base_urls() -> None:
    """A key that comes with a call goes to the bound model's server, whose URL the operator gave."""
    async with WireServer(json_reply({})) as server, hub_with({}) as hub:
        bound = hub.bind({"provider": "saying", "model": "ask", "credentials": [server.url]})
        assert (await bound.chat("Hi")).text == f"{server.url.partition('//')[2]} {server.url}"
        assert (await bound.chat("Hi", credentials={"api_key": "k"})).text == f"default {server.url}"


async def test_a_url_that_comes_with_a_call_is_the_users() -> None:
    """So less is trusted, and it refers to nothing."""
    async with hub_with({}) as hub:
        assert (await hub.chat("saying/m", "Hi", credentials=["http://a"])).text == "a http://a typed"
        with pytest.raises(CredentialsInvalid, match="base_url: it refers to a value elsewhere"):
            await hub.chat("saying/ask", "Hi", credentials=["env:HOME"])


@pytest.mark.parametrize("form", [[KEY], [URL, OTHER_URL]])
async def test_a_form_without_one_field_for_it_refuses_it(form: list[FormField]) -> None:
    """Nobody can tell which value it is."""
    async with hub_with(["http://user:pw@a/", "http://b"], form=form) as hub:
        with pytest.raises(
            ConfigurationError, match="the credential '0' of provider 'saying' is a text alone"
        ) as caught:
            await hub.chat("saying/m", "Hi")
    assert caught.value.remedy == "the form has not one field for a base URL: give its values as a table"


async def test_a_url_with_a_password_is_refused_and_not_shown() -> None:
    """Neither in the credential's name nor in the message."""
    async with hub_with(["http://user:s3cr3t@a:11434/"]) as hub:
        with pytest.raises(CredentialsInvalid, match="it has a user name or password in it") as caught:
            await hub.chat("saying/m", "Hi")
    assert "s3cr3t" not in str(caught.value)
    assert "user:" not in str(caught.value)


async def test_a_models_own_credentials_may_be_base_urls() -> None:
    """Over those of the provider."""
    config: dict[str, Any] = {
        "store": {"enabled": False},
        "credentials": {"saying": {"base_url": "http://a"}},
        "models": {"saying/m": {"credentials": ["http://b", "http://c"]}},
    }
    async with ModelHub(config, providers=[Saying(URL, KEY)]) as hub:
        assert (await hub.chat("saying/m#b", "Hi")).text == "b http://b"
        assert (await hub.chat("saying/n", "Hi")).text == "default http://a"
