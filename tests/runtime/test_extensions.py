"""Installed middleware and sinks: found without an import, imported when the hub is entered, and isolated."""

import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from modelhub import ExtensionInfo, PluginState
from modelhub.configuration.settings import PluginSettings
from modelhub.provider import Middleware
from modelhub.runtime.background import Background
from modelhub.runtime.extensions import Extensions
from modelhub.types.schema import ModelType

pytestmark = pytest.mark.anyio

RECORDS = "records = []\n"
MIDDLEWARE = """
from modelhub.provider import Middleware
class Mine(Middleware):
    order = 5
    async def before(self, call):
        return None
"""


class Installing(Protocol):
    """The fixture `installation`."""

    folder: Path

    def metadata(self, distribution: str, entry_points: str, *, version: str = "1.0") -> Path:
        """Write what an installer writes about a distribution."""


def install(installation: Installing, id: str, code: str, *, target: str = "Mine", distribution: str = "") -> None:
    """Install an extension with a module of its own."""
    (installation.folder / f"{id}_extension.py").write_text(code)
    entry = f"\n[modelhub.extensions]\n{id} = {id}_extension:{target}"
    installation.metadata(distribution or f"Dist-{id}", entry, version="1.5")


async def infos(settings: PluginSettings | None = None) -> dict[str, ExtensionInfo]:
    """Import the extensions that may be, and return all as they stand."""
    extensions = Extensions(settings or PluginSettings())
    await extensions.loaded()
    return {info.id: info for info in await extensions.infos()}


async def test_listing_imports_none(installation: Installing) -> None:
    """Name, distribution and version are known all the same."""
    install(installation, "lister", "raise RuntimeError('imported')")
    extensions = Extensions(PluginSettings())
    assert repr(extensions) == "<Extensions: not looked for>"
    (info,) = await extensions.infos()
    assert (info.id, info.state, info.kind) == ("lister", PluginState.DISCOVERED, None)
    assert (info.distribution, info.version) == ("Dist-lister", "1.5")
    assert info.usable
    assert "lister_extension" not in sys.modules
    assert repr(extensions) == "<Extensions: 1>"
    assert [repr(each) for each in await extensions.found()] == ["<extension lister: discovered>"]


SINKS = {
    "function": ("def Mine(record): records.append(record)", "Mine"),
    "coroutine": ("async def Mine(record): records.append(record)", "Mine"),
    "maker": ("class Mine:\n    async def emit(self, record): records.append(record)", "Mine"),
    "callables": ("class Mine:\n    def __call__(self, record): records.append(record)", "Mine"),
    "instance": ("class Mine:\n    def emit(self, record): records.append(record)\nmine = Mine()", "mine"),
}


@pytest.mark.parametrize("id", SINKS)
async def test_a_sink_of_each_shape(installation: Installing, id: str) -> None:
    """Functions, objects, and classes that are made without arguments."""
    code, target = SINKS[id]
    install(installation, id, RECORDS + code, target=target)
    extensions, background = Extensions(PluginSettings()), Background()
    observers = await extensions.observers(background=background)
    observation = observers.begin("x", targets="a/b", model_type=ModelType.LLM, streamed=False)
    assert observation is not None
    await observation.failed(ValueError())
    await observers.aclose()
    await background.aclose()
    records = sys.modules[f"{id}_extension"].records
    assert [type(record).__name__ for record in records] == ["CallStarted", "CallEnded"]
    (info,) = await extensions.infos(observers)
    assert (info.state, info.kind, info.dropped, info.failed) == (PluginState.READY, "sink", 0, 0)


async def test_what_is_installed_and_what_is_given_stand_together(installation: Installing) -> None:
    """In the order of the middleware, and in one listing; objects are made once, however often a hub is entered."""

    class Given(Middleware):
        order = 7

    def given(_: object) -> None:
        raise ValueError("x")

    install(installation, "ware", MIDDLEWARE)
    install(installation, "sinker", "def Mine(record): raise ValueError('y')")
    extensions = Extensions(PluginSettings())
    made = []
    for _ in range(2):
        background = Background()
        observers = await extensions.observers([Given()], [given], background=background)
        observation = observers.begin("x", targets="a/b", model_type=ModelType.LLM, streamed=False)
        assert observation is not None
        await observers.aclose()
        await background.aclose()
        made.append(observers.middleware[0])
    assert [type(each).__name__ for each in observers.middleware] == ["Mine", "Given"]
    assert made[0] is made[1]
    listed = [(info.id, info.kind, info.failed, info.distribution) for info in await extensions.infos(observers)]
    assert listed == [
        ("sinker", "sink", 2, "Dist-sinker"),
        ("ware", "middleware", 0, "Dist-ware"),
        ("Given", "middleware", 0, None),
        ("given", "sink", 2, None),
    ]


BROKEN = {
    "raises": ("raise ValueError('an accident')", "importing raises_extension failed: ValueError: an accident"),
    "exits": ("import sys; sys.exit(3)", "importing exits_extension called sys.exit(3)"),
    "misses": ("import nothing_like_it", "module 'nothing_like_it' is not installed"),
    "empty": ("", "has no 'Mine', which its entry point names"),
    "neither": (
        "Mine = 7",
        "neither_extension:Mine is a int, which is neither modelhub.provider.Middleware nor a sink",
    ),
    "unfit": ("class Mine: pass", "is the class Mine, which is neither"),
    "wanting": ("class Mine:\n    def __init__(self, url): ...\n    def emit(self, record): ...", "without arguments"),
    "refuses": ("class Mine:\n    def __init__(self): 1 / 0\n    def emit(self, record): ...", "ZeroDivisionError"),
    "future": (MIDDLEWARE + "    contract = 99", "contract"),
    "plain": (MIDDLEWARE + "    def end(self, record): ...", "end must be a coroutine (async def)"),
    "narrow": (MIDDLEWARE + "    async def end(self): ...", "end must take one argument"),
    "misspelt": (
        MIDDLEWARE + "    async def attempt_end(self, record): ...",
        "there is no hook 'attempt_end'; did you mean 'attempt_ended'?",
    ),
    "sleeps": ("import time; time.sleep(1000)", "took longer than 0.3 s"),
}


async def test_one_that_fails_harms_nobody(installation: Installing, caplog: pytest.LogCaptureFixture) -> None:
    """It is a state with a reason in one line and a remedy; the log says so, and the others are used."""
    for id, (code, _) in BROKEN.items():
        install(installation, id, code)
    install(installation, "works", MIDDLEWARE + "    async def look_up(self, record): ...")
    found = await infos(PluginSettings(load_seconds=0.3))
    for id, (_, reason) in BROKEN.items():
        info = found[id]
        assert info.state is (PluginState.INCOMPATIBLE if id == "future" else PluginState.FAILED), id
        assert not info.usable
        assert info.reason is not None
        assert reason in info.reason
        assert "\n" not in info.reason
        assert info.remedy
        assert f"the extension {id!r} (distribution Dist-{id} 1.5) is not used: {info.reason}" in caplog.text
    assert "an accident" in (found["raises"].traceback or "")
    assert found["works"].state is PluginState.READY


@pytest.mark.parametrize(
    ("settings", "refused", "why"),
    [
        (PluginSettings(deny=["dist.A"]), {"a"}, "distribution dist-a is on the list plugins.deny"),
        (PluginSettings(allow=["Dist_A"]), {"b"}, "distribution dist-b is not on the list plugins.allow"),
        (PluginSettings(deny=["a"]), set(), ""),  # ids are those of providers
    ],
)
async def test_the_settings_say_which_may_be_used(
    installation: Installing, settings: PluginSettings, refused: set[str], why: str
) -> None:
    """By distribution, exactly; the others are not imported."""
    for id in "ab":
        install(installation, id, MIDDLEWARE)
    found = await infos(settings)
    assert {id for id, info in found.items() if info.state is PluginState.DISABLED} == refused
    assert {id for id in found if f"{id}_extension" not in sys.modules} == refused
    assert [found[id].reason for id in refused] == [why] * len(refused)


async def test_where_nothing_is_allowed_nothing_is_looked_for(installation: Installing) -> None:
    """Entering a hub costs nothing for extensions then."""
    install(installation, "a", MIDDLEWARE)
    assert await infos(PluginSettings(allow=[])) == {}


async def test_two_distributions_may_use_one_name(installation: Installing) -> None:
    """Names of extensions identify nobody: both are used."""
    install(installation, "a", MIDDLEWARE)
    installation.metadata("other", "\n[modelhub.extensions]\na = a_extension:Mine")
    loaded: list[Any] = list(await Extensions(PluginSettings()).loaded())
    assert [(each.id, each.distribution) for each in loaded] in (
        [("a", "Dist-a"), ("a", "other")],
        [("a", "other"), ("a", "Dist-a")],
    )
