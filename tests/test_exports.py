"""The public names of the package, and what it costs to import them."""

import json
import subprocess
import sys

import modelhub

HEAVY = {"aiohttp", "httpcore", "httpx", "pydantic", "requests", "yaml"}

NAMES_OF_LOADED_MODULES = """
import sys
from modelhub import ModelHub, UserMessage
import json
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_no_public_name_is_listed_twice() -> None:
    """`__all__` is an index; its order is the linter's."""
    assert len(modelhub.__all__) == len(set(modelhub.__all__))


def test_every_public_name_resolves() -> None:
    """Each name of `__all__` is there, lazily or not, and the package lists it in `dir()`."""
    assert [name for name in modelhub.__all__ if not hasattr(modelhub, name)] == []
    assert set(modelhub.__all__) <= set(dir(modelhub))


def test_importing_the_hub_loads_nothing_heavy() -> None:
    """The two names of every first line load no HTTP client, no pydantic, no YAML and no plugin."""
    program = subprocess.run(
        [sys.executable, "-c", NAMES_OF_LOADED_MODULES],
        capture_output=True,
        check=True,
        text=True,
        timeout=15,
    )
    loaded = set(json.loads(program.stdout))
    assert "modelhub" in loaded
    assert loaded & HEAVY == set()
    assert [name for name in loaded if name.startswith("modelhub_")] == []
