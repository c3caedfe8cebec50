"""What the package offers, and that it is loaded only when it is asked for."""

import subprocess
import sys

import pytest

from modelhub import credentials


def test_every_name_is_there() -> None:
    """Each once, and listed."""
    assert [name for name in credentials.__all__ if not hasattr(credentials, name)] == []
    assert dir(credentials) == sorted(credentials.__all__)
    assert len(set(credentials.__all__)) == len(credentials.__all__)


def test_any_other_name_is_not() -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Vault'"):
        credentials.Vault  # noqa: B018  looking it up is the test


def test_references_cost_nothing_of_the_store() -> None:
    """Neither the store nor a library for it is loaded by whoever resolves references."""
    script = "import sys, modelhub.credentials.references\nprint(*(name for name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "modelhub.credentials" in loaded
    assert {"modelhub.credentials.file_store", "cryptography", "keyring"} & set(loaded) == set()
