"""The package names what it offers, and loads it when it is asked for."""

import subprocess
import sys

import pytest

import modelhub.shared


def test_every_name_is_there() -> None:
    """Each exported name leads to something of that name; another one does not."""
    for name in modelhub.shared.__all__:
        assert getattr(modelhub.shared, name).__name__ == name
    assert dir(modelhub.shared) == modelhub.shared.__all__
    with pytest.raises(AttributeError, match="has no attribute 'nobody'"):
        modelhub.shared.nobody  # noqa: B018


def test_the_client_is_loaded_for_those_who_share() -> None:
    """Importing the part, and making a state, loads no client."""
    code = (
        "import sys; from modelhub.shared import RedisState\n"
        "RedisState('redis://127.0.0.1:1/0'); sys.exit('redis' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], timeout=30, check=True)
