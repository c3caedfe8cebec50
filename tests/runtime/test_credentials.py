"""Where a credential's values come from, which counts, which are tried, and that no secret is ever shown."""

import logging
import pickle
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.canary import CANARY, canary

from modelhub import AssistantMessage, ChatResult, FinishReason, ModelHub, ModelSchema, TextPart
from modelhub.errors import (
    AuthenticationFailed,
    ConfigurationError,
    CredentialsInvalid,
    ModelHubError,
    PluginError,
    RateLimited,
)
from modelhub.provider import HttpCall, LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.testing.replies import Reply, Request, json_reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.forms import Condition, CredentialSchema, EndpointRule, FormField, FormOption
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ModelType, Operation, ProviderSchema
from modelhub.types.secret import Secret

pytestmark = pytest.mark.anyio

SECRET = CANARY
OTHER = canary("other")

FORM = (
    FormField("base_url", role="endpoint", default="http://localhost:9", endpoint=EndpointRule("http", 9)),
    FormField("kind", "select", default="key", options=[FormOption("key"), FormOption("token")]),
    FormField("api_key", "secret-input", show_on=[Condition("kind", "key")]),
    FormField("token", "secret-input", show_on=[Condition("kind", "token")]),
    FormField("region", role="option", default="eu", required=False),
    FormField("headers", "key-value", role="headers", required=False),
)


def _plain(value: object) -> object:
    return value.reveal() if isinstance(value, Secret) else value


class VaultLLM(LargeLanguageModel):
    """Does what the class says, with the credential in its hands."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Ask the server, or fail as the model's name says."""
        key = context.credential.secret("api_key").reveal() or context.credential.secret("token").reveal()
        if request.name == "raise":
            try:
                raise KeyError(key)
            except KeyError as error:
                raise RuntimeError(f"the key {key} is bad") from error
        if request.name == "ask":
            await context.http.request(HttpCall("/chat", json={}))
        text = "\n".join(f"{name}={_plain(value)}" for name, value in context.credential.items())
        return ChatResult(
            message=AssistantMessage((TextPart(text),)),
            finish_reason=FinishReason.STOP,
            output=None,
            usage=None,
        )


class Vault(ModelProvider):
    """A provider whose form has everything."""

    llm = VaultLLM
    auth = {"Authorization": "Bearer {api_key}", "X-Region": "{region}"}  # noqa: RUF012  as an author writes it

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema(
            "vault",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(FORM),
            operations={"leak": Operation()},
        )

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Refuse the key, and repeat it."""
        key = context.credential.secret("api_key").reveal()
        raise CredentialsInvalid(f"the key {key} is wrong", fields={"api_key": f"{key} is wrong"})

    async def list_models(self, context: ProviderContext) -> list[ModelSchema]:
        """Fail, and repeat the key."""
        raise RuntimeError(context.credential.secret("api_key").reveal())

    async def describe_model(self, model: str, context: ProviderContext) -> ModelSchema:
        """Describe any model but one."""
        if model == "undescribed":
            raise RuntimeError(context.credential.secret("api_key").reveal())
        return ModelSchema(model)

    async def operate(self, name: str, context: ProviderContext) -> AsyncIterator[Any]:
        """Fail, and repeat the key."""
        raise RuntimeError(context.credential.secret("api_key").reveal())
        yield


@asynccontextmanager
async def hub_of(config: Mapping[str, object] | None = None) -> AsyncIterator[ModelHub]:
    """Enter a hub with the provider."""
    async with ModelHub(config or {}, providers=[Vault]) as hub:
        yield hub


async def values(hub: ModelHub, **options: Any) -> dict[str, str]:
    """Return the credential that a call was made with."""
    reply = await hub.chat("vault/tell", "Hi", **options)
    return dict(line.split("=", 1) for line in reply.text.splitlines())


async def test_later_sources_go_over_earlier_ones_field_by_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """Form default, environment, configuration, bound model, call."""
    config: dict[str, object] = {}
    monkeypatch.setenv("MODELHUB_VAULT_API_KEY", "k1")
    async with hub_of(config) as hub:
        assert await values(hub) == {"base_url": "http://localhost:9", "kind": "key", "api_key": "k1", "region": "eu"}
    monkeypatch.setenv("MODELHUB_VAULT_REGION", "r1")
    monkeypatch.setenv("MODELHUB_VAULT_BASE_URL", "http://u1")
    config = {"credentials": {"vault": {"region": "r2", "base_url": "http://u2"}}}
    async with hub_of(config) as hub:
        assert (await values(hub)) | {"kind": ""} == {
            "base_url": "http://u2",
            "kind": "",
            "api_key": "k1",
            "region": "r2",
        }
        bound = hub.bind(
            {"provider": "vault", "model": "tell", "credentials": {"base_url": "http://u3", "api_key": "k3"}}
        )
        assert sorted((await bound.chat("Hi")).text.splitlines()) == [
            "api_key=k3",
            "base_url=http://u3",
            "kind=key",
            "region=r2",
        ]
        reply = await bound.chat("Hi", credentials={"api_key": "k4"})
        assert sorted(reply.text.splitlines()) == ["api_key=k4", "base_url=http://u3", "kind=key", "region=r2"]
        assert (await values(hub, credentials={"region": "r4"}))["region"] == "r4"
        assert (await values(hub))["region"] == "r2", "what a call gives is for that call"


async def test_an_empty_value_gives_way() -> None:
    """To the form's default: an empty text is no value."""
    async with hub_of({"credentials": {"vault": {"api_key": "k"}}}) as hub:
        assert (await values(hub, credentials={"region": ""}))["region"] == "eu"


async def test_what_is_not_shown_is_neither_wanted_nor_given() -> None:
    """The kind decides which of two secrets the plugin gets."""
    async with hub_of({"credentials": {"vault": {"kind": "token", "token": "t", "api_key": "k"}}}) as hub:
        found = await values(hub)
    assert found["token"] == "t"
    assert "api_key" not in found


async def test_every_complaint_comes_at_once_with_the_nearest_names() -> None:
    """Before anything is sent, and with no value in it."""
    async with hub_of() as hub:
        with pytest.raises(CredentialsInvalid) as caught:
            await hub.chat(
                "vault/tell", "Hi", credentials={"base_url": "http://h:0", "kind": "none", "api_kye": SECRET, "x": 1}
            )
        report = await hub.validate("vault", {"api_kye": SECRET})
    assert caught.value.fields.keys() == {"base_url", "kind", "api_kye", "x"}
    assert caught.value.fields["api_kye"] == "did you mean 'api_key'?"
    assert not report.ok
    assert report.stages == ()
    assert report.errors == {"api_kye": "did you mean 'api_key'?", "api_key": "it is required"}
    with pytest.raises(CredentialsInvalid):
        report.raise_for_errors()
    assert SECRET not in str(caught.value) + repr(report) + repr(pickle.dumps(caught.value))


async def test_what_is_missing_comes_with_the_places_to_give_it() -> None:
    """Whoever meets it first has set up nothing yet; what a call brings is mended where the call is made."""
    async with hub_of() as hub:
        with pytest.raises(CredentialsInvalid) as caught:
            await hub.chat("vault/tell", "Hi")
        with pytest.raises(CredentialsInvalid) as given:
            await hub.chat("vault/tell", "Hi", credentials={"api_key": ""})
    assert caught.value.remedy == (
        "run `modelhub credentials add vault`, set MODELHUB_VAULT_API_KEY,"
        " or fill in [credentials.vault] in modelhub.toml"
    )
    assert given.value.remedy is None


async def test_credentials_are_tried_in_order() -> None:
    """The next one after a refusal or a limit; each attempt says which, by a name without secrets."""

    def answer(request: Request) -> Reply:
        status = {"Bearer first": 401, "Bearer second": 429}.get(request.headers["authorization"], 200)
        return json_reply({}, status)

    async with WireServer(answer) as server, hub_of({"routing": {"pick": "priority"}}) as hub:
        credentials: list[dict[str, Any]] = [
            {"base_url": server.url, "api_key": "first"},
            {"id": "named", "values": {"base_url": server.url, "api_key": "second"}},
            {"base_url": server.url, "api_key": "third"},
        ]
        reply = await hub.chat("vault/ask", "Hi", credentials=credentials)
    async with WireServer(answer) as server, hub_of({"routing": {"pick": "priority", "retries": 1}}) as hub:
        for row in credentials:
            row.get("values", row)["base_url"] = server.url
        with pytest.raises(RateLimited) as caught:
            await hub.chat("vault/ask", "Hi", credentials=credentials[:2])
    tried = [("vault/ask#0", "AuthenticationFailed"), ("vault/ask#named", "RateLimited")]
    assert [(each.deployment, each.error) for each in reply.attempts] == [*tried, ("vault/ask#2", None)]
    assert [(each.deployment, each.error) for each in caught.value.attempts] == [*tried, tried[1]]  # after a pause


async def test_headers_are_sent_and_the_users_own_go_first() -> None:
    """Templates are filled in; a header of the user's replaces ours."""
    async with WireServer(json_reply({})) as server, hub_of() as hub:
        given = {"base_url": server.url, "api_key": SECRET, "headers": {"x-region": "mine", "X-Team": "t"}}
        await hub.chat("vault/ask", "Hi", credentials=given)
        sent = server.requests[0].headers
    assert (sent["authorization"], sent["x-region"], sent["x-team"]) == (f"Bearer {SECRET}", "mine", "t")


def seen(error: ModelHubError) -> str:
    """Return everything that an exception shows, without the lines of this file."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    shown = [line for line in lines if not line.startswith("    ")]
    return "\n".join([*shown, str(error), repr(error), repr(pickle.dumps(error)), repr(vars(error))])


async def test_a_vendor_that_repeats_the_key_shows_it_to_nobody() -> None:
    """Neither message nor excerpt nor pickle; the secret headers of the user's own count too."""
    body = json_reply({"error": {"message": f"bad key {SECRET} of {OTHER}", "code": SECRET}}, 401)
    async with WireServer(body) as server, hub_of() as hub:
        given = {"base_url": server.url, "api_key": SECRET, "headers": {"X-Other": OTHER}}
        with pytest.raises(AuthenticationFailed) as caught:
            await hub.chat("vault/ask", "Hi", credentials=given)
    assert "***" in caught.value.message
    assert SECRET not in seen(caught.value)
    assert OTHER not in seen(caught.value)


@pytest.mark.parametrize("verb", ["chat", "stream", "models", "info", "validate", "operate"])
async def test_a_plugin_that_repeats_the_key_shows_it_to_nobody(verb: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it was asked, and however deep behind the error it lies."""
    config = {"credentials": {"vault": {"api_key": SECRET}}}
    async with hub_of(config) as hub:
        with caplog.at_level(logging.DEBUG):
            if verb == "validate":
                report = await hub.validate("vault")
                assert SECRET not in repr(report)
                assert report.errors == {"api_key": "*** is wrong"}
                assert report.error is not None
                error = report.error
            else:
                with pytest.raises(PluginError) as caught:
                    await ask(hub, verb)
                error = caught.value
            logging.getLogger("application").error("failed", exc_info=error)
        assert SECRET not in repr(hub) + repr(hub.bind({"provider": "vault", "credentials": {"api_key": OTHER}}))
    assert "***" in seen(error)
    assert SECRET not in seen(error)
    logged = [line for line in caplog.text.splitlines() if not line.startswith("    ")]
    assert SECRET not in "\n".join(logged)


async def ask(hub: ModelHub, verb: str) -> None:
    """Ask for something that the plugin fails at."""
    match verb:
        case "chat":
            await hub.chat("vault/raise", "Hi")
        case "stream":
            async with hub.stream("vault/raise", "Hi"):
                pass
        case "models":
            await hub.models("vault")
        case "info":
            await hub.info("vault/undescribed")
        case _:
            async for _ in hub.operate("vault", "leak"):
                pass


async def test_credentials_in_a_shape_that_cannot_be_are_refused_unseen() -> None:
    """In the configuration, in a bound model and in a call."""
    with pytest.raises(ConfigurationError) as caught:
        async with hub_of({"credentials": {"vault": SECRET}}):
            pass
    assert SECRET not in seen(caught.value)
    async with hub_of() as hub:
        for attempt in (
            lambda: hub.bind({"provider": "vault", "model": "m", "credentials": SECRET}),
            lambda: hub.bind({"provider": "vault", "model": "m", "credentials": [SECRET]}),
        ):
            with pytest.raises(ConfigurationError) as caught:
                attempt()
            assert SECRET not in seen(caught.value)
        with pytest.raises(ConfigurationError) as caught:
            await hub.chat("vault/tell", "Hi", credentials=[SECRET])  # type: ignore[list-item]
        assert SECRET not in seen(caught.value)


async def test_a_key_that_no_header_can_carry_is_refused_unseen() -> None:
    """A pasted line break or a letter beyond ASCII is told before anything is sent."""
    async with WireServer(json_reply({})) as server, hub_of() as hub:
        for key in (f"{SECRET}é", f"{SECRET}\n"[:-1] + "\x7f"):
            with pytest.raises(ModelHubError) as caught:
                await hub.chat("vault/ask", "Hi", credentials={"base_url": server.url, "api_key": key})
            assert SECRET not in seen(caught.value)
        with pytest.raises(CredentialsInvalid) as caught:
            await hub.chat("vault/ask", "Hi", credentials={"base_url": server.url, "api_key": f"{SECRET}\nx"})
        assert SECRET not in seen(caught.value)
        assert server.requests == []


class Sessions(Vault):
    """A provider whose session holds the key that it was opened with."""

    @asynccontextmanager
    async def open(self, context: ProviderContext) -> AsyncIterator[str]:
        """Hold the key."""
        yield context.credential.secret("api_key").reveal()

    async def list_models(self, context: ProviderContext) -> list[ModelSchema]:
        """Name a model after the key."""
        return [ModelSchema("first" if context.session == SECRET else "second")]


async def test_tenants_whose_values_change_share_nothing() -> None:
    """A function that both have makes them no one: a key that is given as a secret is looked at too."""

    def region() -> str:
        return "eu"

    async with ModelHub({}, providers=[Sessions]) as hub:
        for key, name in ((SECRET, "first"), (OTHER, "second")):
            for value in (Secret(key), lambda key=key: key):
                models = await hub.models("vault", credentials={"api_key": value, "region": region})
                assert [model.model for model in models] == [name]
