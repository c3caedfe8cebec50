"""What the settings say is what calls do: a file, the environment over it, deployments with their limits of time."""

from pathlib import Path

import pytest

from modelhub import ModelHub
from modelhub.testing.scripted import ScriptedProvider

pytestmark = pytest.mark.anyio

FILE = """
[timeouts]
total = 40
[deployments.fast]
target = "scripted/one"
timeout = 20
[deployments.slow]
target = "scripted/two"
[routes.main]
targets = ["slow", "fast"]
"""


@pytest.mark.parametrize(
    ("target", "timeout", "expected"),
    [
        ("fast", None, 20),
        ("fast", 5, 5),
        ("slow", None, 40),
        ("scripted/one", None, 40),
        ("main", None, 40),
        (["fast", "slow"], None, 20),
        (["slow", "fast"], None, 40),
    ],
)
async def test_a_deployment_brings_its_limit_of_time(
    target: str | list[str], timeout: float | None, expected: float, tmp_path: Path
) -> None:
    """Where it is named and the call does not say; otherwise that of all calls counts."""
    path = tmp_path / "m.toml"
    path.write_text(FILE)
    scripted = ScriptedProvider("Hello")
    async with ModelHub(path, providers=[scripted]) as hub:
        await hub.chat(target, "Hi", timeout=timeout)
    assert scripted.requests[0].timeout == expected


async def test_the_environment_stands_over_the_file_in_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever runs the application and does not own its file."""
    path = tmp_path / "m.toml"
    path.write_text(FILE)
    monkeypatch.setenv("MODELHUB_CONFIG", str(path))
    monkeypatch.setenv("MODELHUB_TIMEOUTS_TOTAL", "7")
    scripted = ScriptedProvider("Hello")
    async with ModelHub(providers=[scripted]) as hub:
        await hub.chat("main", "Hi")
    assert (scripted.requests[0].model, scripted.requests[0].timeout) == ("two", 7)
