"""What models are: asked of the plugin once, remembered per credential, filled in from the manifest."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from trio.testing import MockClock

from modelhub import ModelHub, ModelSchema, ModelType
from modelhub.configuration.settings import CredentialSource, PluginSettings, Settings
from modelhub.errors import (
    AuthenticationFailed,
    ConfigurationError,
    ModelHubError,
    ModelNotFound,
    Overloaded,
    PluginError,
    UnknownModel,
)
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.deployments import Deployment
from modelhub.runtime.plugins import Plugin, PluginRegistry
from modelhub.types.credential import Credential
from modelhub.types.events import ChatEvent, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.parameters import ParameterRule
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ProviderSchema, TypeDefaults

pytestmark = pytest.mark.anyio


class Listing(ModelProvider):
    """A provider that lists and describes models, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.pause = 0.0

    def provider_schema(self) -> ProviderSchema:
        """Describe it: two types, a key, and what all chat models have."""
        defaults = TypeDefaults(parameter_rules=(ParameterRule("temperature"),), features=("tool-call",))
        return ProviderSchema(
            "listing",
            supported_model_types=(ModelType.LLM, ModelType.TEXT_EMBEDDING),
            provider_credential_schema=CredentialSchema((FormField("api_key", "secret-input", required=False),)),
            defaults={"llm": defaults},
        )

    async def list_models(self, context: ProviderContext) -> Sequence[ModelSchema]:
        """List."""
        self.asked.append("list")
        if self.failure is not None:
            raise self.failure
        return [ModelSchema("small"), ModelSchema("large"), ModelSchema("vectors", ModelType.TEXT_EMBEDDING)]

    async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> ModelSchema | None:
        """Describe."""
        self.asked.append(f"{model_type.value} {model} {context.credential.secret('api_key').reveal()}".strip())
        await anyio.sleep(self.pause)
        if self.failure is not None:
            raise self.failure
        if model not in {"small", "large"} or model_type is not ModelType.LLM:
            return None
        return ModelSchema(model, model_type, model_properties={"context_size": 8192})


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def described(runtime: Runtime, catalogue: Catalogue, model: str, key: str = "") -> ModelSchema:
    """Describe a chat model as a call does."""
    given = GivenCredentials("listing", [CredentialSource({"api_key": key})])
    found = await runtime.deployments.find([f"listing/{model}"], ModelType.LLM, given)
    deployment = found.route.options[0].deployment
    bound = await runtime.registry.bound(deployment.plugin)
    limits = runtime.limits(deployment.plugin, deadline=None, total=None, streaming=False)
    context = await runtime.context(bound, deployment, limits)
    return await catalogue.describe(deployment, ModelType.LLM, bound, context)


def made(provider: Listing, tmp_path: Path) -> tuple[Runtime, Catalogue, Clock]:
    """Return a runtime and a catalogue with a clock of its own."""
    runtime = Runtime(PluginRegistry(PluginSettings(), [provider]), Settings(), cache_dir=tmp_path, progress=None)
    clock = Clock()
    return runtime, Catalogue(runtime.registry, clock=clock), clock


async def test_a_model_is_asked_for_once_in_five_minutes(tmp_path: Path) -> None:
    """Whatever it is used for; after that it may have changed."""
    provider = Listing()
    runtime, catalogue, clock = made(provider, tmp_path)
    schemas = [await described(runtime, catalogue, "small") for _ in range(3)]
    assert provider.asked == ["llm small"]
    assert schemas[0].context_size == 8192
    clock.now += 299
    await described(runtime, catalogue, "small")
    assert len(provider.asked) == 1
    clock.now += 2
    await described(runtime, catalogue, "small")
    assert len(provider.asked) == 2
    await runtime.aclose()


async def test_what_one_key_sees_says_nothing_of_another(tmp_path: Path) -> None:
    """Vendors show each key its own models."""
    provider = Listing()
    runtime, catalogue, _ = made(provider, tmp_path)
    for key in ("k1", "k2", "k1"):
        await described(runtime, catalogue, "small", key)
    assert provider.asked == ["llm small k1", "llm small k2"]
    await runtime.aclose()


async def test_many_who_want_it_at_once_ask_once(tmp_path: Path) -> None:
    """The one that asks is cancelled: that stops only itself, and the next in line asks."""
    provider = Listing()
    provider.pause = 0.05
    runtime, catalogue, _ = made(provider, tmp_path)
    found: list[ModelSchema] = []
    first = anyio.CancelScope()

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await described(runtime, catalogue, "small"))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, first)
        while not provider.asked:  # noqa: ASYNC110  the provider tells nobody
            await anyio.sleep(0.005)
        for _ in range(20):
            group.start_soon(ask, anyio.CancelScope())
        first.cancel()
    assert len(found) == 20
    assert provider.asked == ["llm small", "llm small"]
    await runtime.aclose()


async def test_a_failure_is_not_remembered(tmp_path: Path) -> None:
    """The next call asks again."""
    provider = Listing()
    runtime, catalogue, _ = made(provider, tmp_path)
    provider.failure = Overloaded("busy")
    with pytest.raises(Overloaded):
        await described(runtime, catalogue, "small")
    provider.failure = None
    assert (await described(runtime, catalogue, "small")).model == "small"
    await runtime.aclose()


async def test_what_was_known_is_used_while_the_server_does_not_answer(tmp_path: Path) -> None:
    """For a day; the server is asked again every half minute, and what it then says counts."""
    provider = Listing()
    runtime, catalogue, clock = made(provider, tmp_path)
    await described(runtime, catalogue, "small")
    provider.failure = Overloaded("busy")
    clock.now += 301
    for _ in range(3):
        assert (await described(runtime, catalogue, "small")).context_size == 8192
    assert provider.asked == ["llm small"] * 2
    clock.now += 31
    await described(runtime, catalogue, "small")
    assert len(provider.asked) == 3
    clock.now += 24 * 3600
    with pytest.raises(Overloaded):
        await described(runtime, catalogue, "small")
    await runtime.aclose()


async def test_a_refusal_is_no_outage(tmp_path: Path) -> None:
    """A key that is refused now must not see what it saw before."""
    provider = Listing()
    runtime, catalogue, clock = made(provider, tmp_path)
    await described(runtime, catalogue, "small")
    provider.failure = AuthenticationFailed("no")
    clock.now += 301
    with pytest.raises(AuthenticationFailed):
        await described(runtime, catalogue, "small")
    await runtime.aclose()


async def test_a_list_is_asked_for_once_and_kept_while_the_vendor_fails() -> None:
    """However many want it; `refresh` asks at once, and then a failure is told."""
    provider = Listing()
    async with ModelHub(providers=[provider]) as hub:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(hub.models, "listing")
        await hub.models("listing", ModelType.LLM)
        assert provider.asked == ["list"]
        await hub.models("listing", refresh=True)
        assert provider.asked == ["list"] * 2
        provider.failure = Overloaded("busy")
        assert len(await hub.models("listing")) == 3
        with pytest.raises(Overloaded):
            await hub.models("listing", refresh=True)


CLOCK = MockClock()


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": CLOCK})], ids=["trio"])  # asyncio has no such clock
async def test_a_call_does_not_wait_for_a_list() -> None:
    """Nor for its failure: what a model is, the plugin is asked; which there are, only people want to know."""

    class Hanging(Listing):
        async def list_models(self, context: ProviderContext) -> Any:
            await anyio.sleep_forever()

    async with ModelHub(providers=[Hanging]) as hub:
        assert (await hub.info("listing/small")).model == "small"
        CLOCK.autojump_threshold = 0.0  # from here on nothing is waited for but what hangs
        with anyio.fail_after(5), pytest.raises(ModelNotFound):
            await hub.info("listing/medium", ModelType.LLM)


OVERLAYS: dict[str, Any] = {
    "models": {
        "listing/small": {"features": ["vision"], "model_properties": {"context_size": 1024}},
        "listing/large": {"remove": True},
        "listing/mine": {"label": "Mine", "model_type": "llm"},
    }
}


async def test_the_settings_change_hide_and_add_models() -> None:
    """In lists and where one is asked for; without forking a plugin."""
    async with ModelHub(OVERLAYS, providers=[Listing]) as hub:
        models = {schema.model: schema for schema in await hub.models("listing")}
        assert list(models) == ["small", "vectors", "mine"]
        assert (models["small"].context_size, list(models["small"].features or ())) == (1024, ["vision"])
        assert models["mine"].fetch_from == "customizable-model"
        assert (await hub.info("listing/small")).context_size == 1024
        with pytest.raises(UnknownModel, match="settings"):
            await hub.info("listing/large", ModelType.LLM)


async def test_who_calls_a_model_that_ends_is_warned() -> None:
    """On every answer, streamed or not; the settings can say it before the plugin does."""

    class EchoLLM(LargeLanguageModel):
        async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[ChatEvent, None]:
            yield TextDelta(0, "hello")
            yield Finish(FinishReason.STOP)

    class Answering(Listing):
        llm = EchoLLM

    config = {"models": {"listing/small": {"deprecation": {"date": "2001-02-03", "replacement": "large"}}}}
    async with ModelHub(config, providers=[Answering]) as hub:
        reply = await hub.chat("listing/small", "Hi")
        async with hub.stream("listing/small", "Hi") as stream:
            assert [text async for text in stream.text()] == ["hello"]
        assert (await hub.chat("listing/large", "Hi")).warnings == ()
    for warnings in (reply.warnings, stream.result.warnings):
        assert [warning.code for warning in warnings] == ["model_deprecated"]
        assert "2001-02-03; use 'large'" in warnings[0].message


async def test_a_provider_can_be_changed_without_a_fork() -> None:
    """Its own keys and the defaults of its form, whatever way it came."""
    config = {"providers": {"listing": {"label": "Ours", "default_model": "small"}}}
    async with ModelHub(config, providers=[Listing]) as hub:
        (info,) = [info for info in await hub.providers(load=True) if info.id == "listing"]
        assert info.schema is not None
        assert (info.schema.label, info.schema.default_model) == ("Ours", "small")
        assert (await hub.info("listing")).model == "small"


async def test_memory_does_not_grow_with_the_keys_that_were_used(tmp_path: Path) -> None:
    """A server for many tenants sees keys come and go; what is out of date is forgotten."""
    provider = Listing()
    runtime, catalogue, clock = made(provider, tmp_path)
    for number in range(3000):
        await described(runtime, catalogue, "small", f"key-{number}")
        clock.now += 1
    assert int(repr(catalogue).split()[1]) < 1500
    await runtime.aclose()


async def test_a_model_is_filled_in_from_the_manifest() -> None:
    """What the plugin does not say of a model, its provider says of all."""
    async with ModelHub(providers=[Listing]) as hub:
        schema = await hub.info("listing/small")
        with pytest.raises(ModelHubError, match="top_k"):
            await hub.chat("listing/small", "Hi", top_k=5)
    assert schema.features == ("tool-call",)
    assert [rule.name for rule in schema.parameter_rules or ()] == ["temperature"]


async def test_a_missing_model_is_told_with_the_nearest_names() -> None:
    """Of its own type; the listing's failure does not hide that the model is missing."""
    provider = Listing()
    async with ModelHub(providers=[provider]) as hub:
        with pytest.raises(ModelNotFound, match="smal") as caught:
            await hub.chat("listing/smal", "Hi")
        assert "'small'" in (caught.value.remedy or "")
        assert "vectors" not in (caught.value.remedy or "")
        assert (caught.value.provider, caught.value.model) == ("listing", "smal")


async def test_models_are_listed_as_the_vendor_has_them() -> None:
    """All of them, or those of one type; filled in like any."""
    async with ModelHub(providers=[Listing]) as hub:
        every = await hub.models("listing")
        chat = await hub.models("listing", ModelType.LLM)
        assert await hub.models("listing/whatever", ModelType.TTS) == []
    assert [schema.model for schema in every] == ["small", "large", "vectors"]
    assert [schema.model for schema in chat] == ["small", "large"]
    assert chat[0].features == ("tool-call",)


@pytest.mark.parametrize(
    ("failure", "raised"), [(Overloaded("busy: k-secret-1"), Overloaded), (KeyError("k-secret-1"), PluginError)]
)
@pytest.mark.parametrize("verb", ["models", "info"])
async def test_asking_fails_as_a_call_fails(verb: str, failure: Exception, raised: type[ModelHubError]) -> None:
    """Ours or wrapped, attributed, and without the key."""
    provider = Listing()
    provider.failure = failure
    config = {"credentials": {"listing": {"api_key": "k-secret-1"}}}
    async with ModelHub(config, providers=[provider]) as hub:
        asked: Any = hub.models("listing") if verb == "models" else hub.info("listing/small")
        with pytest.raises(raised) as caught:
            await asked
    assert caught.value.provider == "listing"
    assert "k-secret-1" not in str(caught.value)
    assert caught.value.__cause__ is (failure if raised is PluginError else None)


async def test_a_list_that_is_none_is_the_plugins_mistake() -> None:
    """Whatever it returns instead."""

    class Wrong(Listing):
        async def list_models(self, context: ProviderContext) -> Any:
            return None

    async with ModelHub(providers=[Wrong]) as hub:
        with pytest.raises(PluginError):
            await hub.models("listing")


async def test_a_missing_model_is_missing_whatever_listing_says() -> None:
    """A plugin that cannot list, or breaks while it does, does not hide it."""

    class Breaks(Listing):
        async def list_models(self, context: ProviderContext) -> Any:
            raise KeyError("models")

    async with ModelHub(providers=[Breaks]) as hub:
        with pytest.raises(ModelNotFound, match="'medium'"):
            await hub.info("listing/medium", ModelType.LLM)


class Fixed(ModelProvider):
    """A provider that says nothing of its models."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema("fixed", supported_model_types=(ModelType.LLM, ModelType.TTS))


async def test_a_model_that_nobody_knows_is_unknown() -> None:
    """No manifest, no listing, no models named by the user."""
    async with ModelHub(providers=[Fixed]) as hub:
        with pytest.raises(UnknownModel, match="'m'"):
            await hub.chat("fixed/m", "Hi")
        with pytest.raises(UnknownModel):
            await hub.info("fixed/m")
        assert await hub.models("fixed") == []


async def test_a_provider_without_a_default_model_wants_one_named() -> None:
    """And says how to find one."""
    async with ModelHub(providers=[Fixed]) as hub:
        for name in ("fixed", "fixed/"):
            with pytest.raises(UnknownModel, match="no model"):
                await hub.chat(name, "Hi")
        with pytest.raises(ConfigurationError, match="names no provider"):
            await hub.chat("/m", "Hi")


def test_a_deployment_is_named_without_its_key() -> None:
    """Provider, model, and the credential's own name where there are several."""
    plain = Deployment(Plugin("a"), "m/n", Credential({"api_key": "k-secret-1"}))
    named = Deployment(Plugin("a"), "m", Credential({"api_key": "k-secret-1"}, id="team"))
    assert (plain.name, plain.id, named.id) == ("a/m/n", "a/m/n", "a/m#team")


async def test_a_key_without_a_value_says_nothing_of_a_model() -> None:
    """As a dict of settings may have it; the model is a chat model, as it is where the key is left out."""
    config = {"models": {"plain/own": {"model_type": None, "features": ["vision"]}}}

    class Plain(ModelProvider):
        """A provider that knows no models of its own."""

        llm = LargeLanguageModel

        def provider_schema(self) -> ProviderSchema:
            """Describe it."""
            return ProviderSchema("plain", supported_model_types=(ModelType.LLM,))

    async with ModelHub(config, providers=[Plain()]) as hub:
        assert [(each.model, each.model_type) for each in await hub.models("plain")] == [("own", ModelType.LLM)]
        assert (await hub.info("plain/own")).model_type is ModelType.LLM
