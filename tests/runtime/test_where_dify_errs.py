"""What was measured to go wrong with Dify's manifests in Dify's own runtime, done right with the same files here.

The plugin's manifest and models are written in Dify's format and nothing else. Each test goes the whole way: from the
files through the hub to what a vendor would be sent, and to what the caller is told.
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.runtime.conftest import Installation

from modelhub import ChatResult, ModelHub
from modelhub.credentials import EncryptedFileStore, MemoryStore, RandomKey, StoredCredential, masked, new_key
from modelhub.errors import BadRequest, ConfigurationError, CredentialsInvalid, ModelHubError, UnsupportedFeature
from modelhub.rules.pricing import sum_costs
from modelhub.types.i18n import label_for
from modelhub.types.secret import Secret

pytestmark = pytest.mark.anyio

MANIFEST = """
provider: echo
label: {en_US: Echo, id_ID: Gema}
supported_model_types: [llm]
configurate_methods: [predefined-model, customizable-model]
provider_credential_schema:
  credential_form_schemas:
    - {variable: api_key, type: secret-input, required: true, label: {en_US: API key, id_ID: Kunci API}}
    - {variable: api_base, type: text-input, required: true, default: "http://home.example", label: {en_US: Base}}
    - {variable: stream_auth, type: switch, required: false, label: {en_US: Stream}}
    - variable: mode
      type: select
      required: true
      default: chat
      options: [{value: chat, label: {en_US: Chat}}, {value: completion, label: {en_US: Completion}}]
      label: {en_US: Mode}
    - {variable: context_size, type: text-input, required: true, default: "4096", label: {en_US: Size},
       show_on: [{variable: mode, value: chat}, {variable: __model_type, value: llm}]}
    - {variable: context_size, type: text-input, required: true, default: "512", label: {en_US: Size},
       show_on: [{variable: mode, value: completion}]}
"""
MODELS = {
    "priced": """
model: priced
model_type: llm
label: {en_US: Priced}
model_properties: {mode: chat, context_size: 4096}
parameter_rules:
  - {name: temperature, use_template: temperature}
  - {name: top_p, use_template: top_p, precision: 2}
  - {name: top_k, use_template: top_k, required: false, min: 0, default: 0, max: 100}
  - {name: num_predict, use_template: max_tokens, min: 0, default: 0, max: 100}
  - {name: style, type: string, options: [plain, rich]}
  - {name: mirostat, type: int, min: 0, max: 2}
  - {name: region, type: string, required: true, default: eu}
  - {name: enable_thinking, type: boolean}
  - {name: thinking_budget, type: int, min: 1, show_on: [{variable: enable_thinking, value: "true"}]}
pricing: {input: "3", output: "15", unit: "0.000001", currency: USD}
""",
    "yuan": """
model: yuan
model_type: llm
label: {en_US: Yuan}
model_properties: {mode: chat}
pricing: {input: "1", output: "1", unit: "0.001", currency: RMB}
""",
    "broken-unit": """
model: broken-unit
model_type: llm
label: {en_US: Broken}
model_properties: {mode: chat}
pricing: {input: "1", output: "1", unit: "0.000", currency: USD}
""",
    "unpriced": "{model: unpriced, model_type: llm, label: {en_US: Unpriced}, model_properties: {mode: chat}}",
}
CODE = """
import json
import anyio
from modelhub.provider import vendor_parameters

class EchoLLM(LargeLanguageModel):
    async def invoke(self, request, context):
        for message in request.messages:
            await anyio.sleep(float(message.content) if message.content.isdecimal() else 0)
        given = context.credential.items()
        values = {name: value.reveal() if hasattr(value, "reveal") else value for name, value in given}
        text = json.dumps({"sent": vendor_parameters(request), "credential": values})
        usage = Usage(input_tokens=1_000, output_tokens=7, cached_tokens=900)
        return ChatResult(
            message=AssistantMessage((TextPart(text),)), finish_reason=FinishReason.STOP, output=None, usage=usage
        )

class Provider(ModelProvider):
    llm = EchoLLM

    async def list_models(self, context):
        return [ModelSchema("listed")]
"""
IMPORTS = """
from modelhub import AssistantMessage, ChatResult, FinishReason, ModelSchema, TextPart, Usage
from modelhub.provider import LargeLanguageModel
"""


@pytest.fixture
def echo(installation: Installation) -> Path:
    """Install the plugin."""
    folder = installation.add("echo", manifest=MANIFEST, code=IMPORTS + CODE)
    (folder / "models" / "llm").mkdir(parents=True)
    for name, text in MODELS.items():
        (folder / "models" / "llm" / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def plugin(echo: Path) -> None:
    """Have it for every test."""


@asynccontextmanager
async def hub(
    values: Mapping[str, object] | None = None, *stored: StoredCredential, **policy: Any
) -> AsyncIterator[ModelHub]:
    """Enter a hub that has a key."""
    config = {"credentials": {"echo": {"api_key": "k", **(values or {})}}}
    async with ModelHub(config, store=MemoryStore(stored), **policy) as entered:
        yield entered


async def answered(model: str = "priced", policy: Any = None, **parameters: Any) -> ChatResult[None]:
    """Ask the model."""
    async with hub(policy=policy) as entered:
        return await entered.chat(f"echo/{model}", "0", **parameters)


async def sent(policy: Any = None, **parameters: Any) -> dict[str, Any]:
    """Return what the vendor is sent, beside the required region."""
    found: dict[str, Any] = json.loads((await answered(policy=policy, **parameters)).text)["sent"]
    assert found.pop("region") == "eu"
    return found


async def credential(values: Mapping[str, object]) -> dict[str, Any]:
    """Return what the plugin gets of the values given."""
    async with hub(values) as entered:
        found: dict[str, Any] = json.loads((await entered.chat("echo/priced", "0")).text)["credential"]
    return found


async def refused(values: Mapping[str, object]) -> dict[str, str]:
    """Return the complaints about the values given."""
    with pytest.raises(CredentialsInvalid) as caught:
        await credential(values)
    return dict(caught.value.fields)


def contents(folder: Path) -> list[bytes]:
    """Return what stands in the files of a folder, the plugin's own left out."""
    files = [file for file in folder.rglob("*") if file.is_file() and "site-packages" not in file.parts]
    return [file.read_bytes() for file in files]


class TestForms:
    """Fields, conditions and labels."""

    async def test_a_label_of_any_language_is_kept(self) -> None:
        """Those beyond the four that Dify knows are not dropped, and a missing one is not made up from English."""
        async with hub() as entered:
            (info,) = [each for each in await entered.providers() if each.id == "echo"]
        assert info.schema is not None
        assert label_for(info.schema.label, "id-ID") == "Gema"
        assert info.schema.form[0].label == {"en_US": "API key", "id_ID": "Kunci API"}
        assert info.schema.form[1].label == {"en_US": "Base"}

    async def test_a_default_satisfies_required(self) -> None:
        """A required field with a default need not be filled in."""
        assert (await credential({}))["api_base"] == "http://home.example"

    async def test_the_condition_on_the_models_type_changes_nothing_of_the_callers(self) -> None:
        """The type is not written into the values that were given."""
        given = {"api_key": "k"}
        async with ModelHub({}, store=MemoryStore()) as entered:
            await entered.chat("echo/priced", "0", credentials=given)
        assert given == {"api_key": "k"}

    async def test_a_variable_may_be_declared_for_several_cases(self) -> None:
        """The field that is shown counts, with its own default."""
        assert (await credential({}))["context_size"] == "4096"
        assert (await credential({"mode": "completion"}))["context_size"] == "512"

    async def test_an_unknown_key_is_a_complaint(self) -> None:
        """It is not dropped: a misspelt key would otherwise never be missed."""
        assert "api_bse" in await refused({"api_bse": "http://x.example"})

    async def test_values_need_not_be_texts(self) -> None:
        """JSON has numbers and booleans, and so have settings."""
        found = await credential({"stream_auth": True, "context_size": 8192})
        assert (found["stream_auth"], found["context_size"]) == (True, "8192")

    async def test_no_is_an_answer(self) -> None:
        """A switch that is off is off, and not a field that nobody filled in."""
        assert (await credential({"stream_auth": "false"}))["stream_auth"] is False

    async def test_an_empty_text_is_nothing_and_all_that_is_wrong_is_said_at_once(self) -> None:
        """One complaint for each field."""
        found = await refused({"api_key": "", "mode": "loud", "stream_auth": "perhaps"})
        assert set(found) == {"api_key", "mode", "stream_auth"}


class TestParameters:
    """What becomes of the parameters that an application gives."""

    async def test_an_unknown_parameter_is_never_dropped_in_silence(self) -> None:
        """An error, or a warning where the policy says so."""
        with pytest.raises(UnsupportedFeature, match="seed"):
            await answered(seed=1)
        (warning,) = (await answered(policy="drop", seed=1)).warnings
        assert (warning.code, warning.parameter, warning.given) == ("parameter_unsupported", "seed", 1)

    async def test_what_is_unset_is_not_sent(self) -> None:
        """Defaults of a form are for forms; only what the vendor requires is filled in."""
        assert await sent() == {}

    async def test_a_neutral_name_reaches_the_vendors(self) -> None:
        """By the rule's template, as Dify does."""
        assert await sent(max_tokens=5) == {"num_predict": 5}

    async def test_a_boolean_is_no_number(self) -> None:
        """``True`` is not sent as 1, nor as true."""
        with pytest.raises(BadRequest, match="max_tokens"):
            await sent(max_tokens=True)

    async def test_too_many_decimals_are_rounded(self) -> None:
        """To the rule's precision, and the caller is told."""
        reply = await answered(top_p=0.123)
        assert json.loads(reply.text)["sent"]["top_p"] == 0.12
        assert [(each.code, each.given, each.sent) for each in reply.warnings] == [("parameter_rounded", 0.123, 0.12)]

    async def test_not_a_number_is_refused(self) -> None:
        """Before the wire, by name, whatever the policy."""
        for value in (float("nan"), float("inf")):
            with pytest.raises(BadRequest, match="temperature"):
                await sent("drop", temperature=value)

    async def test_a_number_in_a_text_is_read(self) -> None:
        """As forms and environments give them."""
        assert await sent(temperature="0.5", max_tokens="8") == {"temperature": 0.5, "num_predict": 8}

    async def test_all_that_is_wrong_is_said_at_once_by_an_error_of_ours(self) -> None:
        """With each parameter's name."""
        with pytest.raises(ModelHubError) as caught:
            await sent(temperature=3, top_p=2, vendor={"echo": {"style": "loud", "mirostat": 9}})
        for name in ("temperature", "top_p", "style", "mirostat"):
            assert name in str(caught.value)

    async def test_a_parameter_may_hang_on_another(self) -> None:
        """``show_on`` of a rule is not ignored."""
        told = {"enable_thinking": True, "thinking_budget": 64}
        assert await sent(vendor={"echo": told}) == told
        with pytest.raises(ModelHubError, match="enable_thinking"):
            await sent(vendor={"echo": {"thinking_budget": 64}})

    async def test_0_is_a_value(self) -> None:
        """A rule's own 0 is not replaced by its template's 1, nor by its default."""
        async with hub() as entered:
            rules = {rule.name: rule for rule in (await entered.info("echo/priced")).parameter_rules or ()}
        assert (rules["num_predict"].min, rules["num_predict"].default) == (0, 0)
        assert (rules["top_k"].min, rules["top_k"].default) == (0, 0)
        assert await sent(top_k=0) == {"top_k": 0}

    async def test_templates_have_the_ranges_of_real_models(self) -> None:
        """A temperature of 2 is one; 2.5 is none."""
        assert await sent(temperature=2) == {"temperature": 2}
        assert await sent("clamp", temperature=2.5) == {"temperature": 2}


class TestPrices:
    """What a call cost."""

    async def test_what_has_no_price_has_no_cost(self) -> None:
        """Not a cost of zero in dollars."""
        assert (await answered("unpriced")).cost is None

    async def test_a_unit_of_nothing_is_no_price(self) -> None:
        """66 of Dify's models cost nothing by it; here their cost is unknown, and the manifest's notices say why."""
        assert (await answered("broken-unit")).cost is None
        async with hub() as entered:
            (info,) = [each for each in await entered.providers(load=True) if each.id == "echo"]
        assert any("broken-unit.yaml:" in notice and "unit" in notice for notice in info.notices)

    async def test_amounts_are_exact(self) -> None:
        """Not rounded to seven places."""
        cost = (await answered()).cost
        assert cost is not None
        assert cost.total == Decimal(1_000) * 3 / 1_000_000 + Decimal(7) * 15 / 1_000_000
        assert cost.items["output"] == Decimal("0.000105")

    async def test_currencies_are_not_added(self) -> None:
        """Each has a sum of its own."""
        dollars, yuan = await answered(), await answered("yuan")
        assert dollars.cost is not None
        assert yuan.cost is not None
        assert set(sum_costs([dollars, yuan, dollars]).totals) == {"USD", yuan.cost.currency}
        with pytest.raises(ConfigurationError, match="cannot be added"):
            dollars.cost.plus(yuan.cost)

    async def test_counts_are_the_vendors(self) -> None:
        """What came from a cache is told beside them and changes none of them."""
        usage = (await answered()).usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (1_000, 7, 900)

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it takes a second
    async def test_calls_at_once_have_times_of_their_own(self) -> None:
        """One provider object serves them all, and holds nothing of a call."""
        seconds: dict[str, float] = {}
        async with hub() as entered:

            async def ask(pause: str) -> None:
                reply = await entered.chat("echo/priced", pause)
                assert reply.timing is not None
                assert reply.timing.total is not None
                seconds[pause] = reply.timing.total

            await ask("0")
            async with anyio.create_task_group() as group:
                group.start_soon(ask, "1")
                group.start_soon(ask, "0")
        assert seconds["0"] < 0.9 < seconds["1"]


class TestCredentials:
    """Where keys are kept, and who sees them."""

    KEY = "mh-0123456789-abcdefghij-9876"

    def stored(self) -> StoredCredential:
        """Return a credential with a key."""
        return StoredCredential("echo", values={"api_key": Secret(self.KEY), "mode": "chat"})

    async def test_what_is_at_rest_is_sealed(self, tmp_path: Path) -> None:
        """The file holds no key, and no other file or cache does."""
        path = tmp_path / "credentials.json"
        key = new_key()
        await EncryptedFileStore(path, RandomKey(key)).put(self.stored())
        async with ModelHub({}, store=EncryptedFileStore(path, RandomKey(key)), cache_dir=tmp_path) as entered:
            found = json.loads((await entered.chat("echo/priced", "0")).text)
        assert found["credential"]["api_key"] == self.KEY
        spellings = (self.KEY.encode(), base64.b64encode(self.KEY.encode()), self.KEY.encode().hex().encode())
        for written in contents(tmp_path):
            assert not any(spelling in written for spelling in spellings)

    async def test_what_cannot_be_opened_is_never_sent(self, tmp_path: Path) -> None:
        """A wrong key ends the call before anything is sent, and the error says what to do."""
        path = tmp_path / "credentials.json"
        await EncryptedFileStore(path, RandomKey(new_key())).put(self.stored())
        async with ModelHub({}, store=EncryptedFileStore(path, RandomKey(new_key()))) as entered:
            with pytest.raises(ConfigurationError) as caught:
                await entered.chat("echo/priced", "0")
        assert caught.value.remedy

    async def test_the_stores_key_can_be_changed(self, tmp_path: Path) -> None:
        """The old one opens nothing from then on."""
        path, old, new = tmp_path / "credentials.json", RandomKey(new_key()), RandomKey(new_key())
        store = EncryptedFileStore(path, old)
        await store.put(self.stored())
        await store.rotate(new)
        assert (await EncryptedFileStore(path, new).get("echo")).values == self.stored().values
        with pytest.raises(ConfigurationError):
            await EncryptedFileStore(path, old).get("echo")

    async def test_a_key_may_stay_where_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In the environment, for one."""
        monkeypatch.setenv("ECHO_KEY_ELSEWHERE", self.KEY)
        assert (await credential({"api_key": "env:ECHO_KEY_ELSEWHERE"}))["api_key"] == self.KEY

    async def test_people_see_four_characters_at_most(self) -> None:
        """Not eight."""
        async with hub() as entered:
            (info,) = [each for each in await entered.providers() if each.id == "echo"]
        assert info.schema is not None
        shown = str(masked(self.stored().values, info.schema.form)["api_key"])
        assert shown.strip("*") == self.KEY[-4:]

    async def test_what_is_remembered_by_a_credential_holds_nothing_of_it(self) -> None:
        """Its key in memory is no digest that could be guessed from outside this process."""
        async with hub({"api_key": self.KEY}) as entered:
            await entered.chat("echo/priced", "0")
            server = entered._calls.server  # noqa: SLF001  what is remembered is in there
            (usable,) = server.runtime.credentials._usable.values()  # noqa: SLF001  likewise
        key = repr(usable.credentials[0].key)
        assert self.KEY not in key
        assert hashlib.md5(self.KEY.encode()).hexdigest() not in key

    async def test_a_model_that_cannot_be_listed_does_not_hide_the_others(self) -> None:
        """Custom models stand in lists by the settings; vendors' models are listed too."""
        config = {
            "credentials": {"echo": {"api_key": "k"}},
            "models": {"echo/mine": {"label": {"en_US": "Mine"}}},
        }
        async with ModelHub(config, store=MemoryStore()) as entered:
            models = [schema.model for schema in await entered.models("echo")]
        assert models == ["listed", "mine"]
