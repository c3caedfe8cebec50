"""Which store the settings name, and what is told where it cannot be one."""

from pathlib import Path
from typing import Any

import pytest

from modelhub.configuration.settings import read_settings
from modelhub.configuration.store import configured_store
from modelhub.credentials import EncryptedFileStore, KeyFile
from modelhub.errors import ConfigurationError


def store_of(**table: Any) -> EncryptedFileStore | None:
    """Return the store of settings with this table."""
    return configured_store(read_settings({"store": table}, {}))


@pytest.mark.parametrize("path", ["~nobody-has-this-name/store.json", ".", "/", "..", "folder/.."])
def test_a_path_that_is_no_files_is_told(path: str) -> None:
    """With the key of the settings, and who must act."""
    with pytest.raises(ConfigurationError, match=r"\[store\] path") as caught:
        store_of(path=path)
    assert caught.value.remedy is not None


def test_the_store_and_its_key_are_two_files(tmp_path: Path) -> None:
    """One would be written over the other, and what was kept would be lost."""
    with pytest.raises(ConfigurationError, match="its own key file"):
        store_of(path=str(tmp_path / "secrets.key"))
    assert store_of(path=str(tmp_path / "secrets.key"), key="env:STORE_KEY") is not None
    with pytest.raises(ConfigurationError, match="its own key file"):
        EncryptedFileStore(tmp_path / "store", [KeyFile(tmp_path / "key"), KeyFile(tmp_path / "store")])


def test_a_store_that_is_switched_off_is_none(tmp_path: Path) -> None:
    """Also where it has a path; a relative one is beside the settings."""
    assert store_of(path="store.json", enabled=False) is None
    settings = tmp_path / "modelhub.toml"
    settings.write_text('[store]\npath = "kept/store.json"\n')
    store = configured_store(read_settings(settings, {}))
    assert store is not None
    assert store.path == tmp_path / "kept" / "store.json"
