"""Where a credential's values come from, and which count: environment, store, settings, model, bound model, call."""

import gc
import json
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from modelhub import AssistantMessage, ChatResult, FinishReason, ModelHub, ModelSchema, ModelType, TextPart
from modelhub.credentials import MemoryStore, StoredCredential, literal, resolved
from modelhub.errors import AuthenticationFailed, ConfigurationError, CredentialsInvalid, Timeout
from modelhub.provider import LargeLanguageModel, ModelProvider, ProviderContext
from modelhub.types.forms import Condition, CredentialSchema, EndpointRule, FormField, ModelCredentialSchema
from modelhub.types.requests import ChatRequest
from modelhub.types.schema import ProviderSchema
from modelhub.types.secret import Secret

pytestmark = pytest.mark.anyio

FORM = (
    FormField("base_url", role="endpoint", default="http://home.example", endpoint=EndpointRule("http", 80)),
    FormField("api_key", "secret-input", required=False),
    FormField("region", role="option", required=False),
)
MODEL_FORM = (
    FormField("deployment", role="option"),
    FormField("voice", role="option", show_on=[Condition("__model_type", "tts")]),
)


class ShowLLM(LargeLanguageModel):
    """Shows the values that it is given, to those who may see them."""

    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer with the credential's values as JSON; refuse a key that is out of date."""
        values = {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in context.credential.items()
        }
        if values.get("api_key") == "expired":
            raise AuthenticationFailed("the key is out of date")
        return ChatResult(
            message=AssistantMessage((TextPart(json.dumps(values)),)),
            finish_reason=FinishReason.STOP,
            output=None,
            usage=None,
        )


class Show(ModelProvider):
    """A provider with a form of its own and one for each model."""

    llm = ShowLLM

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema(
            "show",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(FORM),
            model_credential_schema=ModelCredentialSchema(credential_form_schemas=MODEL_FORM),
        )


async def shown(
    config: Mapping[str, object], *stored: StoredCredential, model: str = "show/m", **options: Any
) -> dict[str, Any]:
    """Return the values that a call was made with."""
    async with ModelHub(config, providers=[Show], store=MemoryStore(stored)) as hub:
        values: dict[str, Any] = json.loads((await hub.chat(model, "Hi", **options)).text)
    return values


async def test_each_layer_stands_over_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Form default, environment, store, settings, call: field by field."""
    monkeypatch.setenv("MODELHUB_SHOW_REGION", "of the environment")
    monkeypatch.setenv("MODELHUB_SHOW_API_KEY", "key of the environment")
    assert await shown({}) == {
        "base_url": "http://home.example",
        "api_key": "key of the environment",
        "region": "of the environment",
    }
    stored = StoredCredential("show", values={"api_key": Secret("key of the store"), "region": "of the store"})
    assert (await shown({}, stored))["api_key"] == "key of the store"
    settings = {"credentials": {"show": {"region": "of the settings"}}}
    found = await shown(settings, stored)
    assert (found["region"], found["api_key"]) == ("of the settings", "key of the store")
    assert (await shown(settings, stored, credentials={"region": "of the call"}))["region"] == "of the call"


async def test_a_stored_key_does_not_follow_the_settings_to_another_server() -> None:
    """It was stored for one origin; the settings that name another must bring their own."""
    stored = StoredCredential("show", values={"api_key": Secret("key of the store"), "region": "x"})
    found = await shown({"credentials": {"show": {"base_url": "http://elsewhere.example"}}}, stored)
    assert found == {"base_url": "http://elsewhere.example", "region": "x"}
    same = await shown({"credentials": {"show": {"base_url": "http://home.example/path"}}}, stored)
    assert same["api_key"] == "key of the store"


async def test_stored_credentials_are_tried_after_those_of_the_settings() -> None:
    """Those of one name are one."""
    stored = [
        StoredCredential("show", "b", {"api_key": Secret("b of the store")}),
        StoredCredential("show", "c", {"api_key": Secret("c of the store")}),
        StoredCredential("other", "d", {"api_key": Secret("d")}),
    ]
    config = {
        "credentials": {"show": [{"id": "a", "values": {"api_key": "a"}}, {"id": "b", "values": {"region": "x"}}]}
    }
    for name, key in {"a": "a", "b": "b of the store", "c": "c of the store"}.items():
        assert (await shown(config, *stored, model=f"show/m#{name}"))["api_key"] == key


async def test_a_model_has_values_of_its_own_over_its_providers() -> None:
    """The provider's key is inherited; what only the model's form wants is wanted for such a model alone."""
    config = {
        "credentials": {"show": {"api_key": "k1"}},
        "models": {"show/mine": {"credentials": {"deployment": "d1"}}},
    }
    assert (await shown(config, model="show/mine")) == {
        "base_url": "http://home.example",
        "api_key": "k1",
        "deployment": "d1",
    }
    assert "deployment" not in await shown(config, model="show/m")
    stored = StoredCredential("show", values={"deployment": "d2"}, model="kept")
    assert (await shown(config, stored, model="show/kept"))["deployment"] == "d2"


async def test_a_model_form_knows_the_type_of_the_model() -> None:
    """A field that is for speech alone is not wanted of a chat model, which `__model_type` tells."""
    config = {"models": {"show/mine": {"credentials": {"region": "x"}}}}
    with pytest.raises(CredentialsInvalid) as caught:
        await shown(config, model="show/mine")
    assert list(caught.value.fields) == ["deployment"]


async def test_values_may_stand_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the environment, in a file beside the settings, behind a function."""
    monkeypatch.setenv("SOME_KEY", "from the environment")
    (tmp_path / "region").write_text("from a file\n")
    settings = tmp_path / "modelhub.toml"
    settings.write_text('[credentials.show]\napi_key = "env:SOME_KEY"\nregion = "file:region"\n')
    async with ModelHub(settings, providers=[Show], store=MemoryStore()) as hub:
        values = json.loads((await hub.chat("show/m", "Hi")).text)
    assert (values["api_key"], values["region"]) == ("from the environment", "from a file")


async def test_what_a_call_or_a_bound_model_gives_refers_to_nothing(tmp_path: Path) -> None:
    """It may be what users typed, who would have the application's files sent to a server of theirs."""
    (tmp_path / "secret").write_text("of the application")
    reference = f"file:{tmp_path / 'secret'}"
    async with ModelHub({}, providers=[Show], store=MemoryStore()) as hub:
        for values in ({"api_key": reference, "base_url": "http://evil.example"}, {"region": "env:HOME"}):
            bound = hub.bind({"provider": "show", "model": "m", "credentials": values})
            for call in (bound.chat("Hi"), hub.chat("show/m", "Hi", credentials=values)):
                with pytest.raises(CredentialsInvalid, match="only settings and store") as caught:
                    await call
                assert list(caught.value.fields) == [next(iter(values))]
            report = await hub.validate("show", values)
            assert not report.ok
        own = await resolved({"api_key": reference})
        assert json.loads((await hub.chat("show/m", "Hi", credentials=own)).text)["api_key"] == "of the application"
        typed = literal({"region": "env:HOME"})
        assert json.loads((await hub.chat("show/m", "Hi", credentials=typed)).text)["region"] == "env:HOME"


async def test_a_function_is_asked_at_every_call() -> None:
    """So a token that lasts minutes is always a fresh one; the connections stay the same credential's."""
    asked: list[int] = []

    async def token() -> Secret:
        asked.append(len(asked))
        return Secret(f"token {len(asked)}")

    config = {"credentials": {"show": {"api_key": token}}}
    async with ModelHub(config, providers=[Show], store=MemoryStore()) as hub:
        keys = [json.loads((await hub.chat("show/m", "Hi")).text)["api_key"] for _ in range(3)]
    assert keys == ["token 1", "token 2", "token 3"]


async def test_a_key_that_was_refused_is_read_anew(tmp_path: Path) -> None:
    """A file that was written over meanwhile is believed from the next call on, without a restart."""
    (tmp_path / "key").write_text("expired")
    config = {"credentials": {"show": {"api_key": f"file:{tmp_path / 'key'}"}}}
    async with ModelHub(config, providers=[Show], store=MemoryStore()) as hub:
        with pytest.raises(AuthenticationFailed):
            await hub.chat("show/m", "Hi")
        (tmp_path / "key").write_text("fresh")
        assert json.loads((await hub.chat("show/m", "Hi")).text)["api_key"] == "fresh"


async def test_a_reference_that_leads_nowhere_costs_one_credential() -> None:
    """The others are tried; if it was the only one, the error names the field and no value."""
    broken = {"id": "broken", "values": {"api_key": "env:MODELHUB_NOT_SET_ANYWHERE"}}
    config = {"credentials": {"show": [broken, {"id": "good", "values": {"api_key": "k"}}]}}
    assert (await shown(config))["api_key"] == "k"
    with pytest.raises(CredentialsInvalid) as caught:
        await shown({"credentials": {"show": [broken]}})
    assert list(caught.value.fields) == ["api_key"]
    assert "the credential 'broken' of provider 'show'" in caught.value.message
    assert "whoever runs this program" in (caught.value.remedy or "")


@pytest.mark.parametrize("nothing", ["", None])
async def test_taking_the_base_url_away_does_not_send_the_key_to_the_default_server(nothing: str | None) -> None:
    """The form's default is another origin than the one that the key was given with."""
    config = {"credentials": {"show": {"base_url": "http://own.example", "api_key": "key of the settings"}}}
    assert await shown(config, credentials={"base_url": nothing}) == {"base_url": "http://home.example"}
    same = {"credentials": {"show": {"base_url": "http://home.example", "api_key": "key of the settings"}}}
    assert (await shown(same, credentials={"base_url": nothing}))["api_key"] == "key of the settings"


async def test_a_reference_in_a_list_is_one() -> None:
    """However deep it stands in what a call gives, it is refused, not read."""
    async with ModelHub({}, providers=[Show], store=MemoryStore()) as hub:
        for value in (["env:HOME"], [{"name": "file:/etc/hostname"}], {"names": ["keyring:a/b"]}):
            with pytest.raises(CredentialsInvalid, match="only settings and store"):
                await hub.chat("show/m", "Hi", credentials={"region": value})


async def test_tenants_share_nothing_where_a_value_comes_from_a_function() -> None:
    """Their keys make their credentials different ones, though the function that all of them use is the same."""
    opened: list[str] = []

    class Sessions(Show):
        """Keeps a session for each credential."""

        @asynccontextmanager
        async def open(self, context: ProviderContext) -> AsyncIterator[str]:
            """Remember whose it is."""
            opened.append(context.credential.secret("api_key").reveal())
            yield opened[-1]

    config = {"credentials": {"show": {"region": lambda: "eu"}}}
    async with ModelHub(config, providers=[Sessions], store=MemoryStore()) as hub:
        for key in ("tenant one", "tenant two", "tenant one"):
            await hub.chat("show/m", "Hi", credentials={"api_key": Secret(key)})
        for name in ("three", "four"):
            await hub.chat("show/m", "Hi", credentials={"api_key": Named(name)})
    assert opened == ["tenant one", "tenant two", "three", "four"]


class Named:
    """A function that looks like any other of its kind."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self) -> str:
        """Return the name."""
        return self._name

    def __repr__(self) -> str:
        return "<Named>"


class SlowStore:
    """A store whose list waits until it is let go."""

    def __init__(self, *stored: StoredCredential) -> None:
        self.inner = MemoryStore(stored)
        self.asked = 0
        self.reading = anyio.Event()
        self.let_go = anyio.Event()
        self.let_go.set()

    async def list(self, provider: str | None = None) -> Sequence[StoredCredential]:
        """Read, then wait, then return what was read."""
        self.asked += 1
        found = await self.inner.list(provider)
        self.reading.set()
        await self.let_go.wait()
        return found

    async def get(self, provider: str, name: str = "default", model: str | None = None) -> StoredCredential:
        """Return one."""
        return await self.inner.get(provider, name, model)

    async def put(self, credential: StoredCredential) -> StoredCredential:
        """Keep one."""
        return await self.inner.put(credential)

    async def remove(self, provider: str, name: str = "default", model: str | None = None) -> None:
        """Forget one."""
        await self.inner.remove(provider, name, model)


async def test_what_was_read_before_a_refusal_is_not_remembered_after_it() -> None:
    """A reading that was under way while a key was refused may have seen the old one."""
    store = SlowStore(StoredCredential("show", values={"api_key": Secret("old")}))
    async with ModelHub({}, providers=[Show], store=store) as hub, anyio.create_task_group() as tasks:
        runtime = hub._calls.server.runtime  # noqa: SLF001  a refusal at this very moment
        plugin = await runtime.registry.find("show")
        store.let_go = anyio.Event()
        tasks.start_soon(hub.chat, "show/m", "Hi")
        await store.reading.wait()
        await store.put(StoredCredential("show", values={"api_key": Secret("new")}))
        runtime.credentials.forget(plugin)
        tasks.start_soon(hub.chat, "show/m", "Hi")
        await anyio.wait_all_tasks_blocked()
        assert store.asked == 2, "who asks after the refusal does not wait for what was read before"
        store.let_go.set()
        with anyio.fail_after(5):
            assert json.loads((await hub.chat("show/m", "Hi")).text)["api_key"] == "new"


async def test_a_store_is_read_once_however_many_ask() -> None:
    """A database need not answer the same question for every call that waits."""
    store = SlowStore(StoredCredential("show", values={"api_key": Secret("k")}))
    async with ModelHub({}, providers=[Show], store=store) as hub, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(hub.chat, f"show/m{number}", "Hi")
    assert store.asked == 1


async def test_a_key_that_is_stored_after_it_was_missed_is_found() -> None:
    """Whoever reads that a key is missing adds it, and needs no restart."""

    class Strict(Show):
        """Wants a key."""

        def provider_schema(self) -> ProviderSchema:
            """Describe it."""
            form = CredentialSchema((FormField("api_key", "secret-input"),))
            return replace(super().provider_schema(), provider_credential_schema=form)

    store = MemoryStore()
    async with ModelHub({}, providers=[Strict], store=store) as hub:
        with pytest.raises(CredentialsInvalid):
            await hub.chat("show/m", "Hi")
        await store.put(StoredCredential("show", values={"api_key": Secret("added")}))
        assert json.loads((await hub.chat("show/m", "Hi")).text) == {"api_key": "added"}


async def test_a_bound_model_that_is_gone_leaves_nothing_behind() -> None:
    """An application may bind a model for each of its users, whose keys must not stay."""
    key = Secret("key of a user")
    async with ModelHub({}, providers=[Show], store=MemoryStore()) as hub:
        values = {"api_key": key, "region": "x"}
        for number in range(50):
            await hub.bind({"provider": "show", "model": "m", "credentials": values}).chat(f"{number}")
        gc.collect()
        holders = [each for each in gc.get_referrers(key) if isinstance(each, dict) and "api_key" in each]
        assert len(holders) < 5


async def test_any_number_of_models_may_be_named() -> None:
    """Their names come with calls; what is remembered of them has a limit."""
    async with ModelHub({}, providers=[Show], store=MemoryStore()) as hub:
        credentials = hub._calls.server.runtime.credentials  # noqa: SLF001  nothing else shows what is kept
        plugin = await hub._calls.server.runtime.registry.find("show")  # noqa: SLF001
        for number in range(3000):
            await credentials.usable(plugin, f"m{number}")
        assert 0 < int(repr(credentials).split()[1]) <= 1024


async def test_a_function_that_hangs_ends_with_the_call() -> None:
    """The limit of a call holds for what its credential is made of too, on the loop and in a thread."""
    released = threading.Event()

    async def hangs() -> str:
        await anyio.sleep_forever()
        return ""

    for function in (hangs, released.wait):
        async with ModelHub({}, providers=[Show], store=MemoryStore()) as hub:
            with anyio.fail_after(5), pytest.raises(Timeout) as caught:
                await hub.chat("show/m", "Hi", credentials={"api_key": function}, timeout=0.1)
            assert caught.value.phase == "total"
            with anyio.fail_after(5), pytest.raises(Timeout):
                async with hub.stream("show/m", "Hi", credentials={"api_key": function}, timeout=0.1):
                    pass
    released.set()


async def test_a_store_of_the_applications_own_may_be_careless() -> None:
    """What it returns of other providers is passed over; what it raises comes out as ours, without its text."""

    class Careless(SlowStore):
        """Returns everything, or fails."""

        async def list(self, provider: str | None = None) -> Sequence[StoredCredential]:
            """Ignore what is asked for."""
            if provider == "show":
                return await self.inner.list()
            raise RuntimeError("postgres://user:password@db")

    class Other(Show):
        """Another provider."""

        def provider_schema(self) -> ProviderSchema:
            """Describe it."""
            return replace(super().provider_schema(), provider="other")

    store = Careless(StoredCredential("other", values={"api_key": Secret("of another")}))
    async with ModelHub({}, providers=[Show, Other], store=store) as hub:
        assert "api_key" not in json.loads((await hub.chat("show/m", "Hi")).text)
        with pytest.raises(ConfigurationError, match="raised RuntimeError") as caught:
            await hub.chat("other/m", "Hi")
        assert "password" not in f"{caught.value} {caught.value.remedy}"


async def test_a_key_that_is_refused_while_models_are_listed_is_read_anew(tmp_path: Path) -> None:
    """Whatever hook was told so; not by a call alone."""

    class Listing(Show):
        """Lists with the key."""

        async def list_models(self, context: ProviderContext) -> list[ModelSchema]:
            """Refuse a key that is out of date."""
            key = context.credential.secret("api_key").reveal()
            if key == "expired":
                raise AuthenticationFailed("the key is out of date")
            return [ModelSchema(key)]

    (tmp_path / "key").write_text("expired")
    config = {"credentials": {"show": {"api_key": f"file:{tmp_path / 'key'}"}}}
    async with ModelHub(config, providers=[Listing], store=MemoryStore()) as hub:
        with pytest.raises(AuthenticationFailed):
            await hub.models("show")
        (tmp_path / "key").write_text("fresh")
        assert [each.model for each in await hub.models("show")] == ["fresh"]


async def test_validating_without_a_name_checks_the_first() -> None:
    """Not the first of those that can be used: whoever asks wants to hear that it cannot."""
    broken = {"id": "broken", "values": {"api_key": "env:MODELHUB_NOT_SET_ANYWHERE"}}
    config = {"credentials": {"show": [broken, {"id": "good", "values": {"api_key": "k"}}]}}
    async with ModelHub(config, providers=[Show], store=MemoryStore()) as hub:
        report = await hub.validate("show")
        assert (report.ok, list(report.errors)) == (False, ["api_key"])
        assert (await hub.validate("show", credential="good")).ok
