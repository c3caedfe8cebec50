"""What a hub says of providers, models and credentials, and the operations it runs."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import anyio
import pytest
from tests.canary import CANARY

from modelhub import ModelHub, ModelSchema, ModelType, PluginState, Progress, ProviderSchema
from modelhub.credentials import MemoryStore, StoredCredential
from modelhub.errors import (
    ConfigurationError,
    CredentialsInvalid,
    ModelHubError,
    ModelNotFound,
    PluginError,
    UnknownModel,
    UnknownProvider,
)
from modelhub.provider import ProviderContext
from modelhub.testing.replies import Reply
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer
from modelhub.types.forms import Condition, CredentialSchema, FormField
from modelhub.types.secret import Secret

pytestmark = pytest.mark.anyio


async def test_providers(acme: Any) -> None:
    """Those given in code among those installed, each as it stands."""
    async with ModelHub(providers=[acme, ScriptedProvider()]) as hub:
        infos = {info.id: info for info in await hub.providers()}
        loaded = {info.id: info for info in await hub.providers(load=True)}
    assert {"acme", "scripted"} <= set(infos)
    assert infos["acme"].schema is not None
    assert infos["acme"].usable
    assert loaded["acme"].state is PluginState.READY


async def test_a_provider_that_nobody_has() -> None:
    """The nearest names are given."""
    async with ModelHub(providers=[ScriptedProvider()]) as hub:
        calls: list[Any] = [
            hub.models("scriptd"),
            hub.validate("scriptd"),
            hub.info("scriptd/m"),
            anext(hub.operate("scriptd", "pull")),
        ]
        for call in calls:
            with pytest.raises(UnknownProvider) as caught:
                await call
            assert "'scripted'" in (caught.value.remedy or "")


async def test_models_and_info(acme: Any, vendor: Any) -> None:
    """As the vendor lists them now, filled in from the manifest; a bound model knows its own."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        credentials = {"base_url": server.url}
        models = await hub.models("acme", credentials=credentials)
        assert [model.model for model in models] == ["small", "large"]
        assert await hub.models("acme", ModelType.TTS, credentials=credentials) == []
        schema = await hub.bind({"provider": "acme", "credentials": credentials}).info()
    assert (schema.model, schema.model_type) == ("small", ModelType.LLM)
    assert [rule.name for rule in schema.parameter_rules or ()] == ["temperature", "max_tokens", "top_a", "num_ctx"]


async def test_models_of_a_server_that_is_down(acme: Any) -> None:
    """Attributed like any call."""
    async with WireServer(Reply(503)) as server, ModelHub(providers=[acme]) as hub:
        with pytest.raises(ModelHubError) as caught:
            await hub.models("acme", credentials={"base_url": server.url})
    assert (type(caught.value).__name__, caught.value.provider) == ("Overloaded", "acme")


async def test_validate_in_stages(acme: Any, vendor: Any) -> None:
    """The form, the vendor, the model: the report says how far it came and what is wrong with which field."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        good = {"base_url": server.url, "api_key": "k"}
        report = await hub.validate("acme", good)
        assert (report.ok, report.stages, report.errors) == (True, ("form", "reachable", "authenticated"), {})
        report.raise_for_errors()
        report = await hub.validate("acme", good, model="large")
        assert report.stages[-1] == "model large"
        report = await hub.validate("acme", {"base_url": server.url, "api_key": "wrong-key"})
        assert (report.ok, report.stages) == (False, ("form", "reachable"))
        assert report.errors == {"api_key": "it is refused"}
        with pytest.raises(CredentialsInvalid):
            report.raise_for_errors()
        report = await hub.validate("acme", {"api_key": "k", "modle": "x"})
        assert (report.stages, set(report.errors)) == ((), {"base_url", "modle"})
        sent = len(server.requests)
    async with ModelHub(providers=[acme]) as hub:
        report = await hub.validate("acme", good)
    assert (report.ok, report.stages) == (False, ("form", "reachable"))
    assert "127.0.0.1" in report.errors[""]
    assert sent == 3


async def test_a_model_is_validated_with_the_credentials_given(acme: Any, vendor: Any) -> None:
    """Not with those configured: whoever fills in a form wants to know of what stands in it."""
    seen: list[str] = []

    class Describing(acme):  # type: ignore[misc]
        async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> Any:
            seen.append(context.credential.secret("api_key").reveal())
            return ModelSchema(model, model_type) if model == "small" else None

    async with WireServer(vendor) as server:
        config = {"credentials": {"acme": {"base_url": server.url, "api_key": "configured"}}}
        async with ModelHub(config, providers=[Describing]) as hub:
            assert (await hub.validate("acme", {"api_key": "given"}, model="small")).ok
            report = await hub.validate("acme", {"api_key": "given"}, model="medium")
            assert isinstance(report.error, ModelNotFound)
            with pytest.raises(ModelNotFound):
                await hub.info("acme/medium")
    assert set(seen[:-6]) == {"given"}
    assert seen[-1] == "configured"


async def test_a_credential_is_validated_by_its_name(acme: Any, vendor: Any) -> None:
    """Whatever others there are, also those in the store; values beside the name would be another credential."""
    async with WireServer(vendor) as server:
        rows = [{"id": id, "values": {"base_url": server.url, "api_key": id}} for id in ("right", "wrong-key")]
        store = MemoryStore(
            [StoredCredential("acme", "kept", {"base_url": server.url, "api_key": Secret("wrong-key")})]
        )
        async with ModelHub({"credentials": {"acme": rows}}, providers=[acme], store=store) as hub:
            assert (await hub.validate("acme", credential="right")).ok
            for name in ("wrong-key", "kept"):
                assert (await hub.validate("acme", credential=name)).errors == {"api_key": "it is refused"}
            with pytest.raises(ConfigurationError, match="no credential 'rihgt'") as caught:
                await hub.validate("acme", credential="rihgt")
            assert caught.value.remedy == "did you mean 'right'?"
            with pytest.raises(ConfigurationError, match="values and a credential's name"):
                await hub.validate("acme", {"api_key": "k"}, credential="right")


async def test_a_models_type_decides_what_its_form_shows(acme: Any, vendor: Any) -> None:
    """Where it is said, the model is checked as one of that type alone."""
    seen: list[tuple[str, bool]] = []
    width = FormField("width", show_on=[Condition("__model_type", "tts")])
    form = [FormField("base_url", role="endpoint"), FormField("api_key", "secret-input"), width]

    class Shown(acme):  # type: ignore[misc]
        def provider_schema(self) -> ProviderSchema:
            return replace(super().provider_schema(), provider_credential_schema=CredentialSchema(form))

        async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
            seen.append((model_type.value, "width" in context.credential))

        async def validate_provider_credentials(self, context: ProviderContext) -> None:
            pass

    async with WireServer(vendor) as server, ModelHub(providers=[Shown]) as hub:
        values = {"base_url": server.url, "api_key": "k", "width": "3"}
        assert (await hub.validate("acme", values, model="m", model_type=ModelType.TTS)).ok
        assert (await hub.validate("acme", values, model="m")).ok
    assert seen == [("tts", True), ("llm", False)]


@pytest.mark.parametrize("allowed", [(ModelType.LLM,), (ModelType.TTS,), ()])
async def test_a_model_is_valid_if_it_is_of_any_type(acme: Any, vendor: Any, allowed: tuple[ModelType, ...]) -> None:
    """The application need not know which; the first complaint counts where none fits."""

    class Strict(acme):  # type: ignore[misc]
        async def validate_model_credentials(self, model: str, model_type: ModelType, context: ProviderContext) -> None:
            if model_type not in allowed:
                raise ModelNotFound(f"no {model_type.value}")

    async with WireServer(vendor) as server, ModelHub(providers=[Strict]) as hub:
        report = await hub.validate("acme", {"base_url": server.url}, model="m")
    assert report.ok is bool(allowed)
    assert report.ok or "no llm" in report.errors[""]


async def test_a_plugin_that_breaks_while_validating(acme: Any, vendor: Any) -> None:
    """Is in the report, without the key."""

    class Broken(acme):  # type: ignore[misc]
        async def validate_provider_credentials(self, context: ProviderContext) -> None:
            raise KeyError(context.credential.secret("api_key").reveal())

    async with WireServer(vendor) as server, ModelHub(providers=[Broken]) as hub:
        report = await hub.validate("acme", {"base_url": server.url, "api_key": CANARY})
    assert isinstance(report.error, PluginError)
    assert CANARY not in f"{report}"


async def test_operate(acme: Any, vendor: Any) -> None:
    """Progress as it comes, to the end."""
    async with WireServer(vendor) as server, ModelHub(providers=[acme]) as hub:
        credentials = {"base_url": server.url}
        reports = [each async for each in hub.operate("acme", "pull", model="m", credentials=credentials)]
    assert [(each.message, each.fraction) for each in reports] == [("pull m", 0.0), ("pull m", 0.5), ("pull m", 1.0)]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [("pul", {"model": "m"}, "'pull'"), ("pull", {"modle": "m"}, "'model'"), ("delete", {}, "pull")],
)
async def test_an_operation_that_there_is_not(acme: Any, name: str, arguments: dict[str, str], said: str) -> None:
    """Or an argument: the nearest is named."""
    async with ModelHub(providers=[acme]) as hub:
        with pytest.raises(ConfigurationError) as caught:
            await anext(hub.operate("acme", name, credentials={"base_url": "http://127.0.0.1:9"}, **arguments))
    assert said in (caught.value.remedy or "")


async def test_an_operation_that_is_left_is_ended(acme: Any) -> None:
    """On break, on cancellation and on an error of its own, which is attributed and has no key in it."""
    ended: list[str] = []

    class Slow(acme):  # type: ignore[misc]
        async def operate(
            self, name: str, arguments: Mapping[str, Any], context: ProviderContext
        ) -> AsyncGenerator[Progress, None]:
            try:
                yield Progress("begun")
                if arguments["model"] == "bad":
                    raise KeyError(context.credential.secret("api_key").reveal())
                await anyio.sleep_forever()
            finally:
                ended.append(arguments["model"])

    async with ModelHub(providers=[Slow]) as hub:
        options: dict[str, Any] = {"credentials": {"base_url": "http://127.0.0.1:9", "api_key": CANARY}}
        reports = hub.operate("acme", "pull", model="broken off", **options)
        await anext(reports)
        await reports.aclose()
        with anyio.move_on_after(0.05) as scope:
            async for _ in hub.operate("acme", "pull", model="cancelled", **options):
                pass
        assert scope.cancelled_caught
        with pytest.raises(PluginError) as caught:
            async for _ in hub.operate("acme", "pull", model="bad", **options):
                pass
    assert ended == ["broken off", "cancelled", "bad"]
    assert caught.value.provider == "acme"
    assert CANARY not in str(caught.value)


async def test_the_nearest_model_is_named(acme: Any, vendor: Any) -> None:
    """Where the provider describes its models, the vendor's own list gives the names."""

    class Describing(acme):  # type: ignore[misc]
        async def describe_model(self, model: str, model_type: ModelType, context: ProviderContext) -> Any:
            return None

    async with WireServer(vendor) as server, ModelHub(providers=[Describing]) as hub:
        with pytest.raises((ModelNotFound, UnknownModel)) as caught:
            await hub.chat("acme/smal", "Hi", credentials={"base_url": server.url})
    assert "'small'" in (caught.value.remedy or "")
