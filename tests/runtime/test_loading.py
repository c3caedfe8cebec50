"""Whatever a plugin's code does when it is imported is its own state, in one line that says who must act."""

import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import anyio
import pytest

from modelhub.errors import PluginError
from modelhub.manifest.contract import IncompatibleContract, check_contract
from modelhub.provider import ModelProvider
from modelhub.runtime.loading import failure_of, in_time, instance_of, load, module_of, shielded
from modelhub.types.plugins import PluginState


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder on the path whose modules are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "loaded_plugin", raising=False)
    return tmp_path


def failure(folder: Path, code: str, *, value: str = "loaded_plugin:Provider") -> PluginError:
    """Return what loading a module with that code raises."""
    (folder / "loaded_plugin.py").write_text(code)
    sys.modules.pop("loaded_plugin", None)
    with pytest.raises(PluginError) as caught:
        load(EntryPoint("x", value, "modelhub.providers"))
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("code", "message", "remedy"),
    [
        (
            "import surely_not_installed.at_all",
            "importing loaded_plugin failed: module 'surely_not_installed' is not installed",
            "install what brings the module 'surely_not_installed'",
        ),
        (
            "from pathlib import surely_not_there",
            "importing loaded_plugin failed: ImportError: cannot import name 'surely_not_there' from 'pathlib'",
            "check the versions of its dependencies",
        ),
        (
            "raise RuntimeError('two\\n  lines')",
            "importing loaded_plugin failed: RuntimeError: two lines",
            "the plugin's author must mend it",
        ),
        ("raise ValueError", "importing loaded_plugin failed: ValueError", "the plugin's author must mend it"),
        ("1 +", "importing loaded_plugin failed: SyntaxError: invalid syntax", "the plugin's author must mend it"),
        ("import sys; sys.exit(3)", "importing loaded_plugin called sys.exit(3)", "the plugin's author must mend it"),
        (
            "raise KeyboardInterrupt",
            "importing loaded_plugin failed: KeyboardInterrupt",
            "the plugin's author must mend it",
        ),
        (
            "import asyncio; raise asyncio.CancelledError",
            "importing loaded_plugin failed: CancelledError",
            "the plugin's author must mend it",
        ),
        (
            "None.nothing",
            "importing loaded_plugin failed: AttributeError: 'NoneType' object has no attribute 'nothing'",
            "the plugin's author must mend it",
        ),
        ("", "loaded_plugin has no 'Provider', which its entry point names", "mend it in its pyproject.toml"),
        (
            "from modelhub.errors import PluginError\nraise PluginError('not on this system', remedy='buy another')",
            "not on this system",
            "buy another",
        ),
    ],
)
def test_what_an_import_raises_is_one_line(folder: Path, code: str, message: str, remedy: str) -> None:
    """It says what failed and who must act; not even an exit or a made-up cancellation passes."""
    error = failure(folder, code)
    assert error.message.startswith(message)
    assert remedy in (error.remedy or "")


def test_a_long_message_is_cut(folder: Path) -> None:
    """A line has room for the beginning."""
    assert len(failure(folder, "raise RuntimeError('x' * 10_000)").message) < 400


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("not_there_at_all:Provider", "module 'not_there_at_all' does not exist"),
        ("not_there.at_all:Provider", "module 'not_there.at_all' does not exist"),
        ("loaded_plugin.sub:Provider", "module 'loaded_plugin.sub' does not exist"),
        ("loaded_plugin:Provider.attribute", "loaded_plugin has no 'Provider.attribute', which its entry point names"),
        ("loaded-plugin:Provider", "its entry point is 'loaded-plugin:Provider', which is not module:object"),
        ("", "its entry point is '', which is not module:object"),
    ],
)
def test_an_entry_point_that_leads_nowhere_says_where(folder: Path, value: str, message: str) -> None:
    """The distribution is broken, or its author has misspelt it."""
    assert failure(folder, "", value=value).message == message


def test_an_entry_point_without_an_object_names_the_module(folder: Path) -> None:
    """The module itself is the plugin then."""
    (folder / "loaded_plugin.py").write_text("name = 'the module'")
    target = load(EntryPoint("x", "loaded_plugin", "modelhub.providers"))
    assert isinstance(target, ModuleType)
    assert module_of(EntryPoint("x", "a.b:C", "g")) == "a.b"


def test_the_traceback_is_kept_for_the_author(folder: Path) -> None:
    """It begins in the plugin's own module; where nothing was raised in it there is none."""
    found = failure_of(failure(folder, "def f():\n    raise RuntimeError('x')\nf()"))
    assert found.state is PluginState.FAILED
    assert 'loaded_plugin.py", line 2, in f' in found.traceback
    assert failure_of(failure(folder, "")).traceback == ""


def test_a_class_is_made_and_an_object_is_taken() -> None:
    """A `ModelProvider` class gives its one instance; anything else is the plugin itself."""

    class Acme(ModelProvider):
        pass

    assert isinstance(instance_of(Acme), Acme)
    acme = Acme()
    assert instance_of(acme) is acme
    assert instance_of(int) is int


def test_a_class_that_cannot_be_made_says_why() -> None:
    """Its constructor wants something, or fails by itself."""

    class Wanting(ModelProvider):
        def __init__(self, key: str) -> None:
            super().__init__()

    class Failing(ModelProvider):
        def __init__(self) -> None:
            raise TypeError("of its own")

    class Leaving(ModelProvider):
        def __init__(self) -> None:
            sys.exit("bye")

    for cls, message in (
        (Wanting, "Wanting() cannot be made without arguments: missing a required argument: 'key'"),
        (Failing, "making Failing() failed: TypeError: of its own"),
        (Leaving, "making Leaving() called sys.exit('bye')"),
    ):
        with pytest.raises(PluginError) as caught:
            instance_of(cls)
        assert caught.value.message == message


@pytest.mark.parametrize("declared", [99, 0, -1, "1", None, 1.5])
def test_another_contract_is_incompatible(declared: object) -> None:
    """Too new, too old and no number are told apart from a failure."""
    with pytest.raises(IncompatibleContract, match="contract") as caught:
        check_contract(declared)
    assert failure_of(caught.value).state is PluginState.INCOMPATIBLE
    wanted = "upgrade modelhub-core" if declared == 99 else "install a newer version of the plugin"
    assert wanted in (caught.value.remedy or "")


def test_the_class_may_declare_another_contract() -> None:
    """As may a module; a submodule of that name declares nothing."""

    class Newer(ModelProvider):
        contract = 99

    module = ModuleType("m")
    module.contract = 99  # type: ignore[attr-defined]
    for target in (Newer, module):
        with pytest.raises(IncompatibleContract, match="it was written for contract 99"):
            instance_of(target)
    module.contract = ModuleType("m.contract")  # type: ignore[attr-defined]
    assert instance_of(module) is module


def test_nothing_passes_the_shield_but_our_own_errors() -> None:
    """What is ours already says what it must."""
    own = PluginError("as it is")
    for raised in (own, GeneratorExit(), StopIteration("x"), BaseExceptionGroup("g", [SystemExit()])):
        with pytest.raises(PluginError) as caught, shielded("running it"):
            raise raised
        assert (caught.value is own) == (raised is own)
        assert caught.value.message.startswith("as it is" if raised is own else "running it failed: ")


@pytest.mark.anyio
async def test_work_that_takes_too_long_is_left_behind() -> None:
    """The caller hears in time; the thread ends when it likes."""
    release = threading.Event()
    start = anyio.current_time()
    with pytest.raises(PluginError, match=r"^importing slow took longer than 0\.05 s ") as caught:
        await in_time(lambda: release.wait(5), what="importing slow", seconds=0.05)
    assert anyio.current_time() - start < 2
    assert "at import" in (caught.value.remedy or "")
    release.set()


@pytest.mark.anyio
async def test_work_in_time_gives_its_value() -> None:
    """In another thread."""
    assert await in_time(threading.get_ident, what="it", seconds=5) != threading.get_ident()
