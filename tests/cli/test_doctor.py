"""`doctor`: what is broken, whatever it is, with who must act and how."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORKS = """
from modelhub.provider import LargeLanguageModel, ModelProvider

class LLM(LargeLanguageModel):
    async def stream(self, request, context):
        yield

class Provider(ModelProvider):
    llm = LLM
"""
MANIFEST = "provider: {id}\nlabel: {{en_US: {id}}}\nsupported_model_types: [llm]\n"
BROKEN = {
    "raises": ("raise ValueError('an accident')", "ValueError: an accident"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "misses": ("import nothing_like_it", "'nothing_like_it' is not installed"),
    "misspelt": ("def f(:", "SyntaxError"),
    "exits": ("import sys; sys.exit(0)", "sys.exit(0)"),
    "dies": ("import os; os._exit(3)", "exit code 3"),
    "crashes": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
    "sleeps": ("import time; time.sleep(1000)", "took longer than 1 s"),
    "holds": ("import ctypes; ctypes.PyDLL(None).sleep(1000)", "could not be stopped"),
    "empty": ("", "no 'Provider'"),
    "refuses": (f"{WORKS}\n    def __init__(self): raise RuntimeError('not today')", "RuntimeError: not today"),
    "strange": ("class Provider:\n    def stream(self, request): ...", ""),
    "unfinished": (f"{WORKS}\n    async def stream(self, request, context, more): yield", ""),
}
WORKING = {
    "prints": f"print('hello'); import sys; print('there', file=sys.stderr)\n{WORKS}",
    "lingers": f"import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()\n{WORKS}",
    "closes": f"import os; os.closerange(0, 3)\n{WORKS}",
}
ALONE = {"MODELHUB_PLUGINS_DENY": "modelhub-local-model,modelhub-ollama-local"}
"""For what is about a plugin of the test: the doctor imports each of the others in a process of its own."""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return settings under which a plugin has one second to load."""
    path = tmp_path / "modelhub.toml"
    path.write_text('[plugins]\nload_seconds = 1.0\ndeny = ["denied"]\n')
    return path


def write_all(site: Any) -> None:
    """Install every kind of broken plugin, and some that only look so."""
    for id, (code, _) in BROKEN.items():
        site.write(id, code)
    for id, code in WORKING.items():
        site.write(id, code)
    site.write("denied", WORKS)
    site.write("future", WORKS, manifest=MANIFEST.format(id="future") + "contract: 99\n")
    site.write("renamed", WORKS, manifest=MANIFEST.format(id="other"))
    site.write("garbled", WORKS, manifest="provider: [\n")
    site.write("bare", WORKS, manifest="7\n")
    site.register("lost", "nowhere_plugin:Provider")
    site.write("twice", WORKS)
    site.register("twice", "twice_plugin:Provider", distribution="modelhub-twice-again")


@pytest.mark.usefixtures("settings")
@pytest.mark.timeout(120)
def test_whatever_a_plugin_does_the_doctor_tells_it(process: Callable[..., Any], acme: Any) -> None:
    """Each broken plugin has its state, a reason in one line and a remedy; those that work are ready."""
    write_all(acme)
    ran = process("doctor", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert ran.document["ok"] is False
    found = {each["id"]: each for each in ran.document["providers"]}
    for id, (_, reason) in BROKEN.items():
        assert (id, found[id]["state"]) == (id, "failed")
        assert reason in found[id]["reason"]
        assert "\n" not in found[id]["reason"]
        assert found[id]["remedy"]
    states = {id: each["state"] for id, each in found.items()}
    assert {id: states[id] for id in (*WORKING, "acme")} == dict.fromkeys((*WORKING, "acme"), "ready")
    assert (states["denied"], states["future"]) == ("disabled", "incompatible")
    assert [states[id] for id in ("renamed", "garbled", "bare", "lost", "twice")] == ["failed"] * 5


def test_the_doctor_shows_the_surroundings(cli: Any, settings: Path) -> None:
    """Versions, the settings that are in use and the cache; nothing broken is exit code 0."""
    ran = cli("doctor")
    assert ran.code == 0
    facts = dict(line.split(maxsplit=1) for line in ran.out.splitlines()[:11])
    assert facts["Python"].startswith("CPython 3.")
    assert facts["Settings"] == str(settings)
    assert facts["Cache"].endswith("modelhub")
    assert facts["modelhub-core"]
    assert "✓ acme  ready  modelhub-acme 2.5" in ran.out
    assert ran.out.endswith("All 3 providers work.\n")


def test_the_doctor_speaks_indonesian(cli: Any, acme: Any) -> None:
    """States, remedies and the verdict."""
    acme.write("dies", "import os; os._exit(3)")
    ran = cli("doctor", environment={"LANG": "id_ID.UTF-8"})
    assert ran.code == 1
    assert "✗ dies  gagal  modelhub-dies 1.0\n    impornya mengakhiri proses (kode keluar 3)\n    solusi: " in ran.out
    assert ran.out.endswith("1 penyedia rusak.\n")


@pytest.mark.parametrize("text", ["[plugins\n", "[plugin]\n", "[plugins]\nload_seconds = 'long'\n"])
def test_broken_settings_hide_no_plugin(cli: Any, tmp_path: Path, text: str) -> None:
    """What is wrong with them is told, and the plugins are looked at without them."""
    (tmp_path / "modelhub.toml").write_text(text)
    ran = cli("doctor", environment=ALONE)
    assert ran.code == 1
    assert "✗ modelhub.toml" in ran.out
    assert "✓ acme  ready" in ran.out
    assert ran.out.endswith("The settings cannot be used.\n1 provider works.\n")
    document = cli("doctor", "--json", environment=ALONE).document
    assert (document["ok"], document["error"]["type"]) == (False, "SettingsInvalid")


@pytest.mark.parametrize("named", ["found", "option", "environment"])
def test_settings_that_cannot_be_used_are_named(cli: Any, tmp_path: Path, named: str) -> None:
    """Where they are, which line is wrong, and that they were left out; in both languages, and in JSON."""
    file = tmp_path / ("modelhub.toml" if named == "found" else "other.toml")
    file.write_text("[routing]\nretries = 'x'\n")
    options = ["--config", str(file)] if named == "option" else []
    variables = {**ALONE, **({"MODELHUB_CONFIG": str(file)} if named == "environment" else {})}
    ran = cli("doctor", *options, environment=variables)
    assert f"Settings       {file} (cannot be used, see below)\n" in ran.out
    assert f"{file.name}:2: routing.retries: it must be a whole number\n" in ran.out
    ran = cli("doctor", *options, environment={"LANG": "id_ID.UTF-8", **variables})
    assert f"Pengaturan     {file} (tidak dapat dipakai, lihat di bawah)\n" in ran.out
    assert "✗ pengaturan atau argumen tidak dapat dipakai: " in ran.out
    assert f"{file.name}:2: routing.retries: " in ran.out
    assert ran.out.endswith("Pengaturan tidak dapat dipakai.\nSemua penyedia berfungsi (1).\n")
    document = cli("doctor", "--json", *options, environment=variables).document
    assert document["config"] == str(file)
    (problem,) = document["error"]["problems"]
    assert (problem["line"], problem["path"]) == (2, "routing.retries")


def test_a_settings_file_that_is_not_there_is_named(cli: Any, tmp_path: Path) -> None:
    """It was asked for."""
    file = tmp_path / "nowhere.toml"
    ran = cli("doctor", "--config", str(file))
    assert ran.code == 1
    assert f"Settings       {file} (cannot be used, see below)\n" in ran.out
    assert f"✗ {file} cannot be read: No such file or directory\n" in ran.out


@pytest.mark.parametrize(
    "variables",
    [
        {"MODELHUB_TIMEOUTS_TOTAL": "long"},
        {"MODELHUB_ROUTING_EJECT_SECONDS": "100", "MODELHUB_ROUTING_EJECT_LONGEST": "1"},
    ],
)
def test_variables_that_cannot_be_used_are_named(cli: Any, settings: Path, variables: dict[str, str]) -> None:
    """They alone are left out: the file counts, and what other variables deny is not imported."""
    ran = cli("doctor", environment={"MODELHUB_PLUGINS_DENY": "modelhub-acme", **variables})
    assert ran.code == 1
    assert f"Settings       {settings}\n" in ran.out
    assert "✗ the environment: MODELHUB_" in ran.out
    assert "acme  disabled" in ran.out
    assert "✓ local_model  ready" in ran.out
    assert "The settings cannot be used.\n" in ran.out


def test_broken_settings_and_broken_plugins_are_both_told(cli: Any, acme: Any, tmp_path: Path) -> None:
    """One does not hide the other."""
    acme.write("raises", "raise ValueError('an accident')")
    (tmp_path / "modelhub.toml").write_text("[plugins\n")
    assert cli("doctor", environment=ALONE).out.endswith("The settings cannot be used.\n1 provider is broken.\n")


def test_tracebacks_are_for_authors(cli: Any, acme: Any) -> None:
    """With `--debug` only, in text and in JSON."""
    acme.write("raises", "raise ValueError('an accident')")
    assert "Traceback" not in cli("doctor", environment=ALONE).out
    assert "Traceback" in cli("doctor", "--debug", environment=ALONE).out
    document = cli("doctor", "--json", "--debug", environment=ALONE).document
    found = {each["id"]: each for each in document["providers"]}
    assert "an accident" in found["raises"]["traceback"]


@pytest.mark.parametrize("content", [b"[modelhub.providers\nx", b"[modelhub.providers]\nx = !!!\n"])
def test_garbled_entry_points_hide_no_plugin(cli: Any, acme: Any, content: bytes) -> None:
    """A distribution whose entry points mean nothing is its own problem."""
    acme.register("garbled", "x:y")
    (acme.folder / "modelhub_garbled-1.0.dist-info" / "entry_points.txt").write_bytes(content)
    assert "✓ acme  ready" in cli("doctor", environment=ALONE).out


def test_an_unreadable_installation_is_no_crash(process: Any, acme: Any) -> None:
    """Metadata that is no text at all is named, whatever else in the environment stumbles over it."""
    acme.register("garbled", "x:y")
    (acme.folder / "modelhub_garbled-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe\x00")
    # pydantic stumbles too, once there is a setting to read: over what it looks for itself among the entry points
    ran = process("doctor", environment={"PYDANTIC_DISABLE_PLUGINS": "1"})
    assert ran.code in {0, 1}
    assert "note: the entry points of modelhub-garbled cannot be read" in ran.err
    assert "Traceback" not in ran.out + ran.err


def extend(site: Any, id: str, code: str) -> None:
    """Install a middleware or a sink."""
    (site.folder / f"{id}_extension.py").write_text(code)
    info = site.folder / f"modelhub_{id}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: modelhub-{id}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[modelhub.extensions]\n{id} = {id}_extension:Mine\n")


MIDDLEWARE = "from modelhub.provider import Middleware\nclass Mine(Middleware): pass\n"


def test_the_doctor_lists_extensions(cli: Any, acme: Any, settings: Path) -> None:
    """With what they are, where they work; those that are denied are not imported."""
    extend(acme, "meter", "def Mine(record): print('hello')")
    extend(acme, "polite", MIDDLEWARE)
    extend(acme, "shut", "raise ValueError")
    settings.write_text('[plugins]\ndeny = ["modelhub-shut"]\n')
    ran = cli("doctor")
    assert ran.code == 0
    assert "✓ meter (sink)  ready  modelhub-meter 1.0\n" in ran.out
    assert "✓ polite (middleware)  ready  modelhub-polite 1.0\n" in ran.out
    assert "shut (extension)  disabled  modelhub-shut 1.0\n" in ran.out
    assert ran.out.endswith("All 3 providers work.\n")
    document = cli("doctor", "--json", environment=ALONE).document
    assert document["ok"] is True
    assert [(each["id"], each["kind"], each["state"]) for each in document["extensions"]] == [
        ("meter", "sink", "ready"),
        ("polite", "middleware", "ready"),
        ("shut", None, "disabled"),
    ]


def test_the_doctor_survives_extensions(cli: Any, acme: Any) -> None:
    """Whatever they do at their import; that is exit code 1, and said in the user's language."""
    extend(acme, "dies", "import os; os._exit(3)")
    extend(acme, "meter", MIDDLEWARE)
    extend(acme, "raises", "raise ValueError('an accident')")
    ran = cli("doctor", environment={"LANG": "id_ID.UTF-8", **ALONE})
    assert ran.code == 1
    assert "✗ dies (ekstensi)  gagal  modelhub-dies 1.0\n    impornya mengakhiri proses (kode keluar 3)\n" in ran.out
    assert "✓ meter (middleware)  siap" in ran.out
    assert ran.out.endswith("Semua penyedia berfungsi (1).\n2 ekstensi rusak.\n")
    document = cli("doctor", "--json", "--debug", environment=ALONE).document
    found = {each["id"]: each for each in document["extensions"]}
    assert "an accident" in found["raises"]["traceback"]
    assert "an accident" in found["raises"]["reason"]
