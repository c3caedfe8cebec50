"""Every way in which a plugin can be broken, all installed at once: a state and a line each, and the others work."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelhub import ModelHub, PluginState, ProviderInfo
from modelhub.errors import PluginError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("all_installed")]

FAILED, READY, INCOMPATIBLE = PluginState.FAILED, PluginState.READY, PluginState.INCOMPATIBLE
MENDS = "the plugin's author must mend it"
FUTURE = "it was written for contract 99; this modelhub serves 1 at most"

LISTED: dict[str, tuple[PluginState, str, str]] = {
    "broken_yaml": (FAILED, r"provider\.yaml:\d+: it is no YAML: .*", MENDS),
    "broken_manifest": (FAILED, r"provider\.yaml is missing in .*broken_manifest", "into the wheel"),
    "broken_id": (
        FAILED,
        "its entry point is named 'broken_id' and its manifest says provider: 'broken_idea'",
        "the plugin's author must make them equal",
    ),
    "broken_contract": (INCOMPATIBLE, FUTURE, "upgrade modelhub-core"),
    "broken_claimed": (
        FAILED,
        "2 distributions claim the id 'broken_claimed': broken-claimed 0.9 and broken-rival 0.9",
        r'\[plugins.prefer\] broken_claimed = "…"',
    ),
}
"""What is known without importing anything."""

LOADED: dict[str, tuple[PluginState, str, str]] = {
    "broken_dependency": (
        FAILED,
        "importing broken_dependency.provider failed: module 'acme_client_that_nobody_has' is not installed",
        "install what brings the module 'acme_client_that_nobody_has'",
    ),
    "broken_import": (
        FAILED,
        (
            "importing broken_import.provider failed: ImportError: cannot import name 'SomethingOfTheFuture' from "
            r"'modelhub.provider' \(.*\)"
        ),
        "check the versions of its dependencies",
    ),
    "broken_raise": (FAILED, "importing broken_raise.provider failed: RuntimeError: no luck today", MENDS),
    "broken_exit": (FAILED, r"importing broken_exit.provider called sys\.exit\('good bye'\)", MENDS),
    "broken_interrupt": (FAILED, "importing broken_interrupt.provider failed: KeyboardInterrupt", MENDS),
    "broken_hang": (
        FAILED,
        r"importing broken_hang.provider:Provider took longer than 0\.2 s",
        "must not do slow work at import",
    ),
    "broken_module": (FAILED, "module 'broken_module.nowhere' does not exist", "reinstall the distribution"),
    "broken_object": (
        FAILED,
        "broken_object.provider has no 'Provider', which its entry point names",
        "mend it in its pyproject.toml",
    ),
    "broken_marked": (FAILED, r"hook list_model: there is no such hook; did you mean 'list_models'\?", MENDS),
    "broken_unmarked": (
        FAILED,
        (
            "hook validate_provider_credential: there is no such hook; did you mean 'validate_provider_credentials'"
            r"\?"
        ),
        MENDS,
    ),
    "broken_argument": (
        FAILED,
        r"hook list_models: argument 'contxt' is not one of the hook's; did you mean 'context'\?",
        MENDS,
    ),
    "broken_keyword": (
        FAILED,
        "hook list_models: argument 'context' is keyword-only; it must be an ordinary one",
        MENDS,
    ),
    "broken_stream": (
        FAILED,
        r"hook stream: it is a coroutine; it must be an async generator \(async def with yield\)",
        MENDS,
    ),
    "broken_invoke": (FAILED, r"hook invoke: it is a function; it must be a coroutine \(async def\)", MENDS),
    "broken_class": (
        FAILED,
        (
            "Provider is a class where an instance is meant: make it a subclass of modelhub.provider.ModelProvider, or "
            "name an instance"
        ),
        MENDS,
    ),
    "broken_constructor": (
        FAILED,
        r"Provider\(\) cannot be made without arguments: missing a required argument: 'key'",
        MENDS,
    ),
    "broken_class_contract": (INCOMPATIBLE, FUTURE, "upgrade modelhub-core"),
    "broken_schema": (
        FAILED,
        r"its hook provider_schema failed: PermissionError: \[Errno 13\] Permission denied: '/etc/acme\.yaml'",
        MENDS,
    ),
}
"""What is known once the code was imported."""

WITH_NOTICES: Mapping[str, tuple[str, ...]] = {
    "broken_keys": (
        "provider.yaml:5: unknown key 'suported_model_types'; did you mean 'supported_model_types'?",
        (
            "provider.yaml:7: provider_credential_schema.credential_form_schemas[0]: unknown key 'requird'; "
            "did you mean 'required'?"
        ),
    ),
    "broken_row": ("row 'acme' of providers is left out: the id is taken",),
}
"""What works all the same."""

SETTINGS: dict[str, Any] = {"plugins": {"load_seconds": 0.2}}


def check(info: ProviderInfo, expected: tuple[PluginState, str, str]) -> None:
    """Look at a plugin's state, its line and its remedy."""
    state, reason, remedy = expected
    assert info.state is state, info
    assert not info.usable
    assert info.reason is not None
    assert re.fullmatch(reason, info.reason), info.reason
    assert info.remedy is not None
    assert re.search(remedy, info.remedy), info.remedy
    assert "\n" not in info.reason + info.remedy
    assert (info.distribution, info.version) == (info.id.replace("_", "-"), "0.9")


def names() -> list[str]:
    """Return what was imported of the broken plugins."""
    return [name for name in sys.modules if name.startswith("broken_")]


def test_every_case_is_expected_here() -> None:
    """A new one must say what it leads to."""
    cases = {path.name for path in (Path(__file__).parent / "broken").iterdir()} - {"broken_rival"}
    assert cases == LISTED.keys() | LOADED.keys() | WITH_NOTICES.keys()


async def test_listing_shows_what_can_be_seen_from_outside() -> None:
    """It imports nothing; what only an import would show is not known yet."""
    before = names()
    async with ModelHub(SETTINGS) as hub:
        found = {info.id: info for info in await hub.providers()}
    assert names() == before
    for id, expected in LISTED.items():
        check(found[id], expected)
    for id in LOADED.keys() | WITH_NOTICES.keys():
        assert found[id].state is PluginState.DISCOVERED
        assert found[id].schema is not None
    for id, notices in WITH_NOTICES.items():
        assert found[id].notices == notices


async def test_loading_shows_what_is_wrong_with_each_and_the_others_work() -> None:
    """One state, one line, one remedy, the distribution with its version, and a traceback where code had run."""
    async with ModelHub(SETTINGS) as hub:
        found = {info.id: info for info in await hub.providers(load=True)}
    for id, expected in {**LISTED, **LOADED}.items():
        check(found[id], expected)
    for id in ("broken_raise", "broken_exit", "broken_interrupt", "broken_dependency"):
        trace = found[id].traceback
        assert trace is not None
        assert f"{id}/provider.py" in trace
    assert "in provider_schema" in str(found["broken_schema"].traceback)
    working = [*WITH_NOTICES, "broken_row_of_its_own", "acme", "acme_east", "acme_events", "acme_functions"]
    assert {id: found[id].state for id in working} == dict.fromkeys(working, READY)
    assert found["acme"].distribution == "modelhub-acme"


async def test_using_a_broken_one_says_the_same_line_and_the_others_answer() -> None:
    """For every verb that would need it; the next model in the list is tried."""
    async with ModelHub(SETTINGS) as hub:
        for id, (state, reason, _) in {**LISTED, **LOADED}.items():
            with pytest.raises(PluginError) as caught:
                await hub.chat(f"{id}/m", "Hi")
            error = caught.value
            where = f"the plugin of provider '{id}' is {state.value} \\(distribution {id.replace('_', '-')} 0\\.9\\): "
            assert re.fullmatch(where + reason, error.message), error.message
            assert "\n" not in str(error)
            assert error.distribution == f"{id.replace('_', '-')} 0.9"
            assert error.remedy
            reply = await hub.chat([f"{id}/m", "acme_local"], "hi")
            assert reply.text == "HI"
            assert reply.attempts[0].error == "PluginError"
        found = {info.id: info for info in await hub.providers()}
    for id, expected in {**LISTED, **LOADED}.items():
        check(found[id], expected)


async def test_every_verb_of_a_broken_one_raises_its_line() -> None:
    """Whatever is asked of it."""
    line = "importing broken_raise.provider failed: RuntimeError: no luck today"
    async with ModelHub(SETTINGS) as hub:
        verbs = (
            lambda: hub.embed("broken_raise/m", ["x"]),
            lambda: hub.models("broken_raise"),
            lambda: hub.info("broken_raise/m"),
            lambda: hub.validate("broken_raise"),
            lambda: hub.count_tokens("broken_raise/m", "x"),
            lambda: hub.bind("broken_raise/m").chat("x"),
            lambda: anext(hub.operate("broken_raise", "warm")),
            lambda: hub.stream("broken_raise/m", "x").__aenter__(),
        )
        for verb in verbs:
            with pytest.raises(PluginError, match=re.escape(line)):
                await verb()


@pytest.mark.parametrize(
    ("plugins", "distribution"),
    [
        ({"prefer": {"broken_claimed": "broken-claimed"}}, "broken-claimed"),
        ({"prefer": {"broken_claimed": "Broken_Rival"}}, "broken-rival"),
        ({"deny": ["broken-rival"]}, "broken-claimed"),
        ({"allow": ["broken-rival", "modelhub-acme"]}, "broken-rival"),
    ],
)
async def test_settings_settle_a_claim(plugins: dict[str, Any], distribution: str) -> None:
    """By preferring one, denying the other, or allowing only one of them."""
    async with ModelHub({"plugins": plugins}) as hub:
        found = {info.id: info for info in await hub.providers()}
        assert found["broken_claimed"].usable
        assert found["broken_claimed"].distribution == distribution


@pytest.mark.parametrize("by", ["settings", "environment"])
async def test_settings_keep_broken_ones_out(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is denied is not imported, and hangs nobody; what is not allowed neither."""
    settings: dict[str, Any] = {}
    if by == "environment":
        monkeypatch.setenv("MODELHUB_PLUGINS_DENY", "broken-hang, broken_exit")
        monkeypatch.setenv("MODELHUB_PLUGINS_ALLOW", "acme_local,acme-functions,broken_hang")
    else:
        settings = {"deny": ["broken-hang", "broken_exit"], "allow": ["acme-local", "acme-functions", "broken-hang"]}
    before = names()
    async with ModelHub({"plugins": settings}) as hub:
        found = {info.id: info for info in await hub.providers(load=True)}
        assert (await hub.chat("acme_local", "hi")).text == "HI"
    assert names() == before
    assert found["broken_hang"].reason == "provider broken_hang is on the list plugins.deny"
    assert found["broken_exit"].reason == "provider broken_exit is on the list plugins.deny"
    assert found["broken_raise"].reason == "distribution broken-raise is not on the list plugins.allow"
    assert {info.state for id, info in found.items() if id.startswith("broken")} == {PluginState.DISABLED}
    assert found["acme_functions"].state is READY


async def test_configuration_stands_in_for_a_plugin_that_does_not_work() -> None:
    """A row of the same id, made of one that works."""
    async with ModelHub({"providers": {"broken_yaml": {"extends": "acme_local"}}}) as hub:
        assert (await hub.chat("broken_yaml", "hi")).text == "HI"
