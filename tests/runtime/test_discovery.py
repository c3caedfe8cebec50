"""Which provider plugins there are, which may be used, and that their code is imported once, when it is wanted."""

import logging
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import anyio
import pytest

from modelhub import ModelHub, PluginState, ProviderInfo
from modelhub.configuration.settings import PluginSettings
from modelhub.errors import ConfigurationError, PluginError, UnknownProvider
from modelhub.provider import ModelProvider, hookimpl
from modelhub.runtime.plugins import Plugin, PluginRegistry, scan
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.schema import ModelType, ProviderSchema

pytestmark = pytest.mark.anyio

PROVIDER = "class Provider(ModelProvider): pass"


class Installing(Protocol):
    """The fixture `installation`."""

    folder: Path

    def add(self, id: str, **how: Any) -> Path:
        """Install a provider plugin."""

    def metadata(self, distribution: str, entry_points: str, *, version: str = "1.0") -> Path:
        """Write what an installer writes about a distribution."""


async def infos(settings: PluginSettings | None = None, *, load: bool = False) -> dict[str, ProviderInfo]:
    """Return every provider as it stands, by id."""
    registry = PluginRegistry(settings or PluginSettings())
    if load:
        await registry.load_all()
    return {info.id: info for info in await registry.infos()}


def one_line(info: ProviderInfo) -> str:
    """Return why a plugin cannot be used, having seen that it is one line with a remedy."""
    assert info.reason is not None
    assert info.remedy
    assert "\n" not in info.reason + info.remedy
    assert not info.usable
    return info.reason


async def test_listing_imports_no_plugin(installation: Installing) -> None:
    """It knows id, label, forms, types, distribution and version all the same."""
    installation.add(
        "lister",
        code="raise RuntimeError('imported')",
        manifest="label: {en_US: Lister}\nsupported_model_types: [llm]",
        distribution="Lister-Plugin",
        version="2.5",
    )
    info = (await infos())["lister"]
    assert info.state is PluginState.DISCOVERED
    assert info.usable
    assert (info.distribution, info.version) == ("Lister-Plugin", "2.5")
    assert info.schema is not None
    assert info.schema.supported_model_types == [ModelType.LLM]
    assert not [name for name in sys.modules if name.startswith("lister")]


async def test_an_unknown_provider_is_answered_with_the_nearest_names(installation: Installing) -> None:
    """Rows of families among them, which are only known from manifests."""
    installation.add("lister", manifest="family: true\nproviders: [{provider: lister_west}]", code=PROVIDER)
    registry = PluginRegistry(PluginSettings())
    with pytest.raises(UnknownProvider, match="there is no provider 'lister_wst'") as caught:
        await registry.find("lister_wst")
    assert "'lister_west'" in str(caught.value)


async def test_a_plugin_that_works_becomes_ready(installation: Installing) -> None:
    """Its code is imported when it is wanted, and its models read."""
    folder = installation.add("readier", code=PROVIDER)
    (folder / "models" / "llm").mkdir(parents=True)
    (folder / "models" / "llm" / "m.yaml").write_text("model: m\nodd: 1\n")
    registry = PluginRegistry(PluginSettings())
    plugin = await registry.find("readier")
    assert repr(plugin) == "<plugin readier: discovered>"
    bound = await registry.bound(plugin)
    assert await registry.bound(plugin) is bound
    assert list(await registry.models(plugin)) == [(ModelType.LLM, "m")]
    assert repr(plugin) == "<plugin readier: ready>"
    assert plugin.notices == ("models/llm/m.yaml:2: unknown key 'odd'",)


COUNTING = """
from pathlib import Path
with Path(__file__).with_name("imports").open("a") as file:
    file.write("x")
import time
time.sleep(0.05)
class Provider(ModelProvider):
    made = 0
    def __init__(self):
        super().__init__()
        type(self).made += 1
"""


async def test_fifty_first_calls_load_a_plugin_once(installation: Installing) -> None:
    """They all get the same hooks; models are read once, and said once."""
    folder = installation.add("counter", code=COUNTING)
    (folder / "models" / "llm").mkdir(parents=True)
    (folder / "models" / "llm" / "m.yaml").write_text("model: m\nodd: 1\n")
    registry = PluginRegistry(PluginSettings())
    bound: list[object] = []

    async def call() -> None:
        plugin = await registry.find("counter")
        bound.append(await registry.bound(plugin))
        await registry.models(plugin)

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(call)
    assert len(bound) == 50
    assert len(set(map(id, bound))) == 1
    assert (folder / "imports").read_text() == "x"
    assert sys.modules["counter.provider"].Provider.made == 1
    assert len((await registry.find("counter")).notices) == 1


async def test_a_load_that_is_cancelled_does_not_break_the_next(installation: Installing) -> None:
    """Nor those that wait for it."""
    folder = installation.add("counter", code=COUNTING)
    registry = PluginRegistry(PluginSettings())
    plugin = await registry.find("counter")
    bound: list[object] = []

    async def call() -> None:
        bound.append(await registry.bound(plugin))

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.01) as scope:
            await registry.bound(plugin)
        group.start_soon(call)
        group.start_soon(call)
    assert scope.cancelled_caught
    assert bound == [plugin.bound] * 2
    assert plugin.state is PluginState.READY
    assert (folder / "imports").read_text() == "x", "the import that was left behind is waited for, not repeated"


async def test_a_plugin_that_fails_is_not_tried_again(installation: Installing) -> None:
    """All who use it get the line; what it did at import it does once."""
    folder = installation.add("counter", code=COUNTING + "\nraise RuntimeError('no')")
    registry = PluginRegistry(PluginSettings())
    plugin = await registry.find("counter")
    messages: list[str] = []

    async def call() -> None:
        with pytest.raises(PluginError) as caught:
            await registry.bound(plugin)
        messages.append(caught.value.message)
        assert caught.value.distribution == "counter 1.0"

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(call)
    await call()
    line = "the plugin of provider 'counter' is failed (distribution counter 1.0): importing counter.provider failed"
    assert messages == [f"{line}: RuntimeError: no"] * 11
    assert (folder / "imports").read_text() == "x"
    with pytest.raises(PluginError, match=r"importing counter\.provider failed"):
        await registry.find("counter")


async def test_a_hanging_import_costs_its_limit_and_no_more(installation: Installing) -> None:
    """The others load meanwhile and afterwards."""
    installation.add("hanger", code="import time; time.sleep(1)")
    installation.add("quick", code=PROVIDER)
    found = await infos(PluginSettings(load_seconds=0.1), load=True)
    assert one_line(found["hanger"]) == "importing hanger.provider:Provider took longer than 0.1 s"
    assert found["quick"].state is PluginState.READY


SCHEMA = "from modelhub import ProviderSchema\nclass Provider(ModelProvider):\n    def provider_schema(self):"


@pytest.mark.parametrize(
    ("code", "manifest", "reason"),
    [
        (
            "class Provider(ModelProvider):\n    def provider_schema(self): raise OSError('no\\nluck')",
            "",
            "its hook provider_schema failed: OSError: no luck",
        ),
        (
            "class Provider(ModelProvider):\n    def provider_schema(self): return {'provider': 'broken'}",
            "",
            "its hook provider_schema returned a dict, not a ProviderSchema",
        ),
        (
            f"{SCHEMA} return ProviderSchema('other')",
            "",
            "its provider_schema says provider: 'other', and its entry point 'broken'",
        ),
        (
            "class Provider(ModelProvider):\n    auth = {'X-Key': '{apikey}'}",
            "provider_credential_schema: {credential_form_schemas: [{variable: api_key}]}",
            "auth: header 'X-Key' wants {apikey}, which is no field of the form; did you mean 'api_key'?",
        ),
        (
            "class Provider(ModelProvider):\n    def __init__(self): pass",
            "",
            "registering it failed: AttributeError: 'Provider' object has no attribute 'models'",
        ),
        (
            "class Provider(ModelProvider):\n    async def list_model(self): return []",
            "",
            "hook list_model: there is no such hook; did you mean 'list_models'?",
        ),
    ],
)
async def test_a_plugin_that_cannot_be_registered_says_why(
    installation: Installing, code: str, manifest: str, reason: str
) -> None:
    """In one line, found when its code is wanted."""
    installation.add("broken", code=code, manifest=manifest)
    assert one_line((await infos(load=True))["broken"]) == reason


async def test_a_plugins_own_schema_goes_before_its_manifest(installation: Installing) -> None:
    """None leaves the manifest as it is."""
    own = f"{SCHEMA} return ProviderSchema('teller', label='its own')"
    installation.add("teller", code=own, manifest="label: the manifest")
    installation.add("silent", code=f"{SCHEMA} return None", manifest="label: the manifest")
    found = await infos(load=True)
    assert [found[id].state for id in ("teller", "silent")] == [PluginState.READY] * 2
    assert found["teller"].schema is not None
    assert found["teller"].schema.label == "its own"
    assert found["silent"].schema is not None
    assert found["silent"].schema.label == "the manifest"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("odd = odd-package.provider:Provider", "its entry point is 'odd-package.provider:Provider', which is not"),
        ("odd = ", "its entry point is '', which is not module:object"),
        ("o/d = odd.provider:Provider", "'o/d' cannot be the id of a provider: it may have letters, digits and _ . -"),
        ("-d = odd.provider:Provider", "'-d' cannot be the id of a provider: it may have letters, digits and _ . -"),
        ("odd = gone.provider:Provider", "package 'gone' is not installed"),
    ],
)
async def test_an_odd_entry_point_is_a_state_of_its_id(installation: Installing, entry: str, reason: str) -> None:
    """And of no other."""
    installation.add("odd", entry=entry)
    found = await infos(load=True)
    assert one_line(found[entry.partition(" =")[0]]).startswith(reason)
    assert found["local_model"].usable


async def test_a_manifest_that_names_another_provider(installation: Installing) -> None:
    """The entry point's name is the id, and both must agree."""
    installation.add("called", manifest="provider: named", code=PROVIDER)
    reason = "its entry point is named 'called' and its manifest says provider: 'named'"
    assert one_line((await infos())["called"]) == reason


async def test_a_contract_of_the_future_is_incompatible(installation: Installing) -> None:
    """By the manifest without an import, by the class with one."""
    installation.add("future", manifest="contract: 99\nproviders: what", code="raise RuntimeError('imported')")
    installation.add("later", code=f"{PROVIDER[:-4]}contract = 99")
    listed = await infos()
    assert listed["future"].state is PluginState.INCOMPATIBLE
    assert one_line(listed["future"]) == "it was written for contract 99; this modelhub serves 1 at most"
    assert listed["later"].usable
    loaded = await infos(load=True)
    assert loaded["later"].state is PluginState.INCOMPATIBLE
    assert "upgrade modelhub-core" in str(loaded["later"].remedy)


async def test_a_failure_keeps_its_traceback_for_the_author(installation: Installing) -> None:
    """Not in the line, and not in the repr."""
    installation.add("raiser", code="raise RuntimeError('here')")
    info = (await infos(load=True))["raiser"]
    assert info.traceback is not None
    assert "raiser/provider.py" in info.traceback
    assert "Traceback" not in repr(info)


def claims(installation: Installing) -> None:
    """Install two distributions that claim one id."""
    installation.add("claimed", distribution="First.Claim", code=PROVIDER)
    installation.metadata("second-claim", "claimed = claimed.provider:Provider", version="2.0")


async def test_two_distributions_that_claim_an_id_block_that_id_alone(installation: Installing) -> None:
    """The error names both, with their versions, and how to decide."""
    claims(installation)
    installation.add("bystander", code=PROVIDER)
    found = await infos()
    reason = "2 distributions claim the id 'claimed': First.Claim 1.0 and second-claim 2.0"
    assert one_line(found["claimed"]) == reason
    assert '[plugins.prefer] claimed = "…"' in str(found["claimed"].remedy)
    assert found["bystander"].usable
    with pytest.raises(PluginError, match=reason):
        await PluginRegistry(PluginSettings()).find("claimed")


@pytest.mark.parametrize(
    ("settings", "distribution"),
    [
        (PluginSettings(prefer={"claimed": "second_claim"}), "second-claim"),
        (PluginSettings(prefer={"claimed": "first-claim"}), "First.Claim"),
        (PluginSettings(deny=["FIRST_CLAIM"]), "second-claim"),
        (PluginSettings(allow=["first-claim"]), "First.Claim"),
        (PluginSettings(allow=["first-claim", "second-claim"], prefer={"claimed": "second-claim"}), "second-claim"),
    ],
)
async def test_settings_decide_between_two_claims(
    installation: Installing, settings: PluginSettings, distribution: str
) -> None:
    """By preferring one, or by refusing all others; names are normalised as installers do."""
    claims(installation)
    info = (await infos(settings, load=True))["claimed"]
    assert (info.state, info.distribution) == (PluginState.READY, distribution)


async def test_preferring_what_is_not_installed_decides_nothing(installation: Installing) -> None:
    """Nor what is denied."""
    claims(installation)
    for settings in (
        PluginSettings(prefer={"claimed": "third"}),
        PluginSettings(prefer={"other": "second-claim"}),
    ):
        assert "claim the id" in one_line((await infos(settings))["claimed"])
    denied = PluginSettings(deny=["first-claim", "second-claim"], prefer={"claimed": "second-claim"})
    assert (await infos(denied))["claimed"].state is PluginState.DISABLED


async def test_one_distribution_found_twice_is_no_conflict(installation: Installing) -> None:
    """An installer that was interrupted leaves such remains; the first on the path is the one imported."""
    installation.add("twice", distribution="twice-plugin", code=PROVIDER)
    remains = installation.metadata("~wice-plugin", "twice = twice.provider:Provider")
    (remains / "METADATA").write_text("Metadata-Version: 2.1\nName: twice_plugin\nVersion: 0.9\n")
    assert (await infos(load=True))["twice"].state is PluginState.READY


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (PluginSettings(deny=["denied-plugin"]), "distribution denied-plugin is on the list plugins.deny"),
        (PluginSettings(deny=["Denied.Plugin"]), "distribution denied-plugin is on the list plugins.deny"),
        (PluginSettings(deny=["denied"]), "provider denied is on the list plugins.deny"),
        (PluginSettings(allow=[]), "distribution denied-plugin is not on the list plugins.allow"),
        (PluginSettings(allow=["denied"]), "distribution denied-plugin is not on the list plugins.allow"),
        (
            PluginSettings(allow=["denied-plugin"], deny=["denied_plugin"]),
            "distribution denied-plugin is on the list plugins.deny",
        ),
    ],
)
async def test_a_plugin_that_may_not_be_used_is_disabled(
    installation: Installing, settings: PluginSettings, reason: str
) -> None:
    """It is listed as such, and not even its manifest is read."""
    installation.add("denied", distribution="Denied_Plugin", manifest="[", code="raise RuntimeError('imported')")
    info = (await infos(settings, load=True))["denied"]
    assert info.state is PluginState.DISABLED
    assert one_line(info) == reason
    assert "MODELHUB_PLUGINS_" in str(info.remedy)
    with pytest.raises(PluginError, match="the plugin of provider 'denied' is disabled"):
        await PluginRegistry(settings).find("denied")


async def test_a_plugin_that_is_allowed_works(installation: Installing) -> None:
    """And those that are not on the list do not."""
    installation.add("allowed", distribution="Allowed.Plugin", code=PROVIDER)
    found = await infos(PluginSettings(allow=["allowed_plugin"]), load=True)
    assert found["allowed"].state is PluginState.READY
    assert found["local_model"].state is PluginState.DISABLED


FAMILY = """
label: {en_US: Family}
family: true
provider_credential_schema:
  credential_form_schemas:
    - {variable: base_url, role: endpoint, endpoint: {scheme: http}}
    - {variable: api_key, type: secret-input}
providers:
  - {provider: east, label: {en_US: East}, preset: {base_url: "http://east.example"}}
  - {provider: west, preset: {base_ulr: "http://west.example"}, lable: typo}
  - {provider: taken}
  - {label: nameless}
  - {provider: "o/d"}
  - {provider: spoilt, preset: 5}
  - {provider: wrong, supported_model_types: 7}
"""


async def test_a_family_serves_each_row_under_an_id_of_its_own(installation: Installing) -> None:
    """A row has the family's manifest with its own keys over it, and presets as the form's defaults."""
    installation.add("kin", manifest=FAMILY, code=PROVIDER, distribution="kin-plugin")
    installation.add("taken", code=PROVIDER, distribution="taken-plugin")
    found = await infos(load=True)
    east, west = found["east"], found["west"]
    assert east.state is PluginState.READY
    assert east.schema is not None
    assert east.schema.label == {"en_US": "East"}
    assert (east.schema.extends, east.schema.family, east.schema.provider) == ("kin", False, "east")
    assert [field.default for field in east.schema.form] == ["http://east.example", None]
    assert (east.distribution, east.notices) == ("kin-plugin", ())
    assert west.state is PluginState.READY
    assert west.notices == (
        "row west: unknown key 'lable'; did you mean 'label'?",
        "row west: preset: unknown field 'base_ulr'; did you mean 'base_url'?",
    )
    assert found["taken"].distribution == "taken-plugin"
    assert found["kin"].state is PluginState.READY
    assert found["kin"].notices == (
        "row 'taken' of providers is left out: the id is taken",
        "row '' of providers is left out: the id is missing",
    )
    assert one_line(found["o/d"]).startswith("'o/d' cannot be the id of a provider")
    assert one_line(found["spoilt"]) == "row spoilt: preset must map fields to values"
    assert one_line(found["wrong"]).startswith("row wrong: supported_model_types")


async def test_listing_twice_at_once_tells_nothing_twice(installation: Installing) -> None:
    """However many ask first."""
    installation.add("kin", manifest=FAMILY, code=PROVIDER)
    registry = PluginRegistry(PluginSettings())
    notices: list[tuple[str, ...]] = []

    async def call() -> None:
        notices.extend(info.notices for info in await registry.infos() if info.id == "kin")

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(call)
    assert notices == [("row '' of providers is left out: the id is missing",)] * 10


async def test_a_row_is_found_by_its_id_alone(installation: Installing) -> None:
    """And may be denied by it."""
    installation.add("kin", manifest=FAMILY, code=PROVIDER)
    plugin = await PluginRegistry(PluginSettings()).find("east")
    assert plugin.schema.provider == "east"
    with pytest.raises(PluginError, match="provider east is on the list"):
        await PluginRegistry(PluginSettings(deny=["east"])).find("east")
    with pytest.raises(UnknownProvider):
        await PluginRegistry(PluginSettings(deny=["kin"])).find("east")


async def test_a_rows_schema_is_not_replaced_by_the_familys_own(installation: Installing) -> None:
    """The hook speaks for the family's own id."""
    installation.add("kin", manifest=FAMILY, code=f"{SCHEMA} return ProviderSchema('kin', label='own')")
    found = await infos(load=True)
    assert found["kin"].schema is not None
    assert found["kin"].schema.label == "own"
    assert found["east"].schema is not None
    assert found["east"].schema.provider == "east"


async def test_configuration_adds_providers_without_code(installation: Installing) -> None:
    """To any provider, a row of another family included; what cannot be is a state of that id."""
    installation.add("kin", manifest=FAMILY, code=PROVIDER)
    installation.add("broken", manifest="[", code=PROVIDER)
    rows = {
        "mine": {"extends": "kin", "preset": {"base_url": "http://mine.example"}, "label": {"en_US": "Mine"}},
        "nearby": {"extends": "east"},
        "kin": {"extends": "east"},
        "broken": {"extends": "kin"},
        "lost": {"extends": "kinn"},
        "hopeless": {"extends": "spoilt"},
        "o/d2": {"extends": "nowhere"},
        "unwanted": {"extends": "kin"},
        "telling": {"extends": "kin", "preset": {"api_key": "sk-s3cr3t"}},
    }
    found = await infos(PluginSettings(rows=rows, overlays={"aimless": {"label": "x"}}, deny=["unwanted"]), load=True)
    assert found["mine"].state is PluginState.READY
    assert found["mine"].schema is not None
    assert [field.default for field in found["mine"].schema.form] == ["http://mine.example", None]
    assert found["nearby"].schema is not None
    assert [field.default for field in found["nearby"].schema.form] == ["http://east.example", None]
    assert "the configured provider 'kin' is left out: the id is taken" in found["kin"].notices
    assert found["broken"].state is PluginState.READY, "configuration stands in for a plugin that does not work"
    assert one_line(found["lost"]) == "it extends 'kinn', which is not installed"
    assert str(found["lost"].remedy).startswith("did you mean 'kin'")
    assert one_line(found["aimless"]) == "[providers.aimless] changes a provider that is not installed"
    assert one_line(found["hopeless"]) == "it extends 'spoilt', which does not work"
    assert one_line(found["o/d2"]).startswith("'o/d2' cannot be the id of a provider")
    assert found["unwanted"].state is PluginState.DISABLED
    assert one_line(found["telling"]) == "row telling: preset: the field 'api_key' is secret, and a preset is not"
    assert "sk-s3cr3t" not in repr(found["telling"])


async def test_a_distribution_that_cannot_be_read_hides_no_other(
    installation: Installing, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name is in the log."""
    installation.add("good", code=PROVIDER)
    installation.metadata("garbage", "no equals sign")
    with caplog.at_level(logging.WARNING, "modelhub.plugins"):
        found = await infos()
    assert found["good"].usable
    assert "the entry points of garbage cannot be read" in caplog.text


async def test_a_distribution_without_metadata_has_no_name(installation: Installing) -> None:
    """Its plugin works, and may not be allowed by name."""
    installation.add("nameless", code=PROVIDER)
    (installation.folder / "nameless-1.0.dist-info" / "METADATA").unlink()
    info = (await infos(load=True))["nameless"]
    assert (info.state, info.distribution, info.version) == (PluginState.READY, None, None)
    assert (await infos(PluginSettings(allow=["nameless"])))["nameless"].state is PluginState.DISABLED


async def test_a_backport_of_the_finder_changes_nothing(installation: Installing) -> None:
    """A library may import it, and from then on it finds the distributions of the whole process."""
    pytest.importorskip("importlib_metadata")
    installation.add("nameless", code=PROVIDER)
    (installation.folder / "nameless-1.0.dist-info" / "METADATA").unlink()
    installation.add("odd", code=PROVIDER, entry="odd = odd-package.provider:Provider")
    found = await infos(load=True)
    assert (found["nameless"].state, found["nameless"].distribution) == (PluginState.READY, None)
    assert "odd-package.provider:Provider" in one_line(found["odd"])


def test_scanning_lists_every_claim(installation: Installing) -> None:
    """By id, without imports."""
    claims(installation)
    assert len(scan()["claimed"]) == 2
    assert "claimed" not in sys.modules


class InCode(ModelProvider):
    """A provider given in code, with its schema."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        form = CredentialSchema((FormField("key", required=False),))
        rows = ({"provider": "in_code_row", "preset": {"key": "k"}},)
        return ProviderSchema("in_code", family=True, providers=rows, provider_credential_schema=form)


async def test_a_provider_may_be_given_in_code() -> None:
    """As a class, an instance or a module of marked functions; a family's rows included."""
    made = ModuleType("made")
    made.provider_schema = hookimpl(lambda: ProviderSchema("made"))  # type: ignore[attr-defined]
    async with ModelHub(providers=[InCode, made]) as hub:
        found = {info.id: info for info in await hub.providers(load=True)}
    assert [found[id].state for id in ("in_code", "in_code_row", "made")] == [PluginState.READY] * 3
    assert found["in_code"].distribution is None
    assert found["in_code_row"].schema is not None
    assert found["in_code_row"].schema.form[0].default == "k"
    async with ModelHub(providers=[InCode()]) as hub:
        assert "in_code" in {info.id for info in await hub.providers()}


async def test_a_provider_in_code_goes_before_an_installed_one(installation: Installing) -> None:
    """Of the same id."""
    installation.add("in_code", manifest="[", code="raise RuntimeError('imported')")
    async with ModelHub(providers=[InCode]) as hub:
        found = {info.id: info for info in await hub.providers(load=True)}
    assert found["in_code"].state is PluginState.READY


async def test_a_provider_in_code_may_have_its_manifest_beside_it(installation: Installing) -> None:
    """It is read in a thread."""
    installation.add("coded", manifest="label: from the file", code=PROVIDER)
    from coded.provider import Provider  # type: ignore[import-not-found]  # noqa: PLC0415  it has just been written

    async with ModelHub(providers=[Provider]) as hub:
        found = {info.id: info for info in await hub.providers()}
    assert found["coded"].schema is not None
    assert found["coded"].schema.label == "from the file"


class Unfit(ModelProvider):
    """One whose constructor fails."""

    def __init__(self) -> None:
        raise RuntimeError("unfit")


class Unnamed(InCode):
    """One whose id cannot be addressed."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema("un/named")


class Newer(InCode):
    """One whose schema is of another contract."""

    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema("newer", contract=99)


@pytest.mark.parametrize(
    ("providers", "message"),
    [
        ([InCode, InCode()], "two providers given in code have the id 'in_code'"),
        ([Unfit], "given in code cannot be used: making Unfit() failed: RuntimeError: unfit"),
        ([Unnamed], "'un/named' cannot be the id of a provider"),
        ([Newer], "it was written for contract 99"),
        ([object()], "it implements no hook"),
        ([5], "it implements no hook"),
        (["acme"], "it implements no hook"),
    ],
)
async def test_a_provider_in_code_that_cannot_be_used_is_the_applications_mistake(
    providers: list[object], message: str
) -> None:
    """It is told when the hub is entered, with what to do."""
    with pytest.raises(ConfigurationError) as caught:
        async with ModelHub(providers=providers):
            pass
    assert message in caught.value.message
    assert caught.value.remedy


async def test_a_hub_that_is_entered_again_knows_its_plugins(installation: Installing) -> None:
    """What was loaded stays loaded."""
    folder = installation.add("counter", code=COUNTING)
    hub = ModelHub()
    for _ in range(2):
        async with hub:
            found = {info.id: info for info in await hub.providers(load=True)}
            assert found["counter"].state is PluginState.READY
    assert (folder / "imports").read_text() == "x"


async def test_without_any_plugin_the_error_says_how_to_get_one() -> None:
    """A path without distributions has none."""
    code = textwrap.dedent("""
        import asyncio, sys
        from modelhub.errors import UnknownProvider
        from modelhub.configuration.settings import PluginSettings
        from modelhub.runtime.plugins import PluginRegistry
        async def main():
            await PluginRegistry(PluginSettings()).infos()
            sys.path.clear()
            try:
                await PluginRegistry(PluginSettings()).find("acme")
            except UnknownProvider as error:
                print(error)
        asyncio.run(main())
    """)
    done = await anyio.run_process([sys.executable, "-c", code])
    assert b"there is no provider 'acme' (no provider plugin is installed: pip install modelhub-" in done.stdout


def test_a_plugin_says_where_it_stands() -> None:
    """For logs and debuggers."""
    assert repr(Plugin("acme")) == "<plugin acme: discovered>"


async def test_the_order_of_configured_rows_does_not_matter(installation: Installing) -> None:
    """One may extend another that stands below it; those that lead in a circle say so, each of them."""
    installation.add("kin", manifest=FAMILY, code=PROVIDER)
    rows = {
        "far": {"extends": "middle"},
        "middle": {"extends": "near"},
        "near": {"extends": "kin", "preset": {"base_url": "http://near.example"}},
        "one": {"extends": "other"},
        "other": {"extends": "one"},
        "behind": {"extends": "other"},
        "lost": {"extends": "nowhere"},
    }
    found = await infos(PluginSettings(rows=rows))
    far = found["far"]
    assert far.schema is not None
    assert [field.default for field in far.schema.form][:1] == ["http://near.example"]
    for id in ("one", "other", "behind"):
        assert one_line(found[id]) == f"it extends {rows[id]['extends']!r}, which leads back to itself"
    assert "'lost'" not in (found["lost"].remedy or "")
