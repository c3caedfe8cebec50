"""Which keys are taken, which are too weak, and a key file that its owner alone may read."""

import base64
import os
import pickle
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.canary import CANARY

from modelhub.credentials.keys import KeyFile, KeySource, Passphrase, RandomKey, new_key
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

KEY = bytes(range(7, 39))
BAD = f"{CANARY}!"
"""A secret that is no key."""
POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes")


def refused(source: KeySource, *, make: bool = False) -> ConfigurationError:
    """Return the error of a source that has no key."""
    with pytest.raises(ConfigurationError) as caught:
        source.materials(make=make)
    assert caught.value.remedy
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, OSError)
    return caught.value


def test_a_new_key_is_one() -> None:
    """What is made for people to keep is taken, and no two are the same."""
    first, second = new_key(), new_key()
    assert first != second
    assert [each.kdf for each in RandomKey(first).materials()] == ["hkdf-sha256"]


@given(st.binary(min_size=32, max_size=64).filter(lambda key: len(set(key)) >= 16))
def test_a_key_is_the_same_in_every_spelling(key: bytes) -> None:
    """Bytes, hex, base64 and base64url with and without padding."""
    standard, url = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
    spellings = [key, key.hex(), key.hex().upper(), standard, url, standard.rstrip("="), url.rstrip("="), f"{url}\n"]
    assert {RandomKey(each).materials()[0].secret for each in spellings} == {key}


def test_a_key_is_read_from_where_a_reference_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anew at each use, so that a key that was changed is taken."""
    monkeypatch.setenv("STORE_KEY", KEY.hex())
    (tmp_path / "key").write_text(f"{KEY.hex()}\n", "utf-8")
    sources = [RandomKey("env:STORE_KEY"), RandomKey(Secret("env:STORE_KEY")), RandomKey("file:key", folder=tmp_path)]
    assert {source.materials()[0].secret for source in sources} == {KEY}
    monkeypatch.setenv("STORE_KEY", KEY[::-1].hex())
    assert sources[0].materials()[0].secret == KEY[::-1]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"", "has 0 bytes, fewer than 32"),
        (KEY[:31], "has 31 bytes, fewer than 32"),
        (KEY[:31].hex(), "fewer than 32"),
        (bytes(32), "not random"),
        ("0" * 64, "not random"),
        (b"ab" * 32, "not random"),
        ("hunter2", "fewer than 32"),
        ("correct horse battery staple", "neither base64 nor hex"),
        ("é" * 40, "neither base64 nor hex"),
        ("env:MODELHUB_TEST_NOT_SET", "MODELHUB_TEST_NOT_SET is not set"),
    ],
)
def test_a_weak_key_is_refused(key: bytes | str, reason: str) -> None:
    """The message says what is wrong with it, and does not repeat it."""
    error = refused(RandomKey(key))
    assert reason in error.message
    assert isinstance(key, bytes) or key.startswith("env:") or key not in str(error)


@pytest.mark.parametrize(
    "source",
    [
        *(RandomKey(BAD), RandomKey(Secret(BAD)), RandomKey(f"literal:{BAD}"), RandomKey("env:WEAK")),
        *(RandomKey(b"weak"), RandomKey("file:weak", folder=Path("nowhere")), Passphrase("env:MODELHUB_NOT_SET")),
    ],
)
def test_no_error_holds_a_key(source: KeySource, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in its text, nor in the variables of the functions that it came through: see tests/canary.py."""
    monkeypatch.setenv("WEAK", BAD)
    refused(source)


@pytest.mark.holds_secrets("key")
def test_no_error_holds_the_content_of_a_key_file(tmp_path: Path) -> None:
    """A secret that was written into the wrong file is not shown."""
    (tmp_path / "key").write_text(BAD, "utf-8")
    (tmp_path / "key").chmod(0o600)
    refused(KeyFile(tmp_path / "key"))


def test_a_passphrase_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inline or by reference, of any letters, without the blanks at its ends."""
    monkeypatch.setenv("PASSPHRASE", "kata sandi yang panjang é\n")
    inline, referred = Passphrase("kata sandi yang panjang é", cost=2**15), Passphrase("env:PASSPHRASE", cost=2**15)
    assert inline.materials() == referred.materials()
    assert inline.materials()[0].kdf == "scrypt"
    assert inline.materials()[0].cost == 2**15


@pytest.mark.parametrize("passphrase", ["", "short", "eleven char", "env:MODELHUB_TEST_NOT_SET"])
def test_a_short_passphrase_is_refused(passphrase: str) -> None:
    """Twelve characters are the least."""
    error = refused(Passphrase(passphrase))
    assert "passphrase" in error.message


def test_a_key_file_is_made_where_it_is_wanted(tmp_path: Path) -> None:
    """Once, with folder, for its owner alone; never where a store is there that it could not open."""
    source = KeyFile(tmp_path / "a" / "b" / "key")
    assert "No such file" in refused(source).message
    assert not (tmp_path / "a").exists()
    (made,) = source.materials(make=True)
    assert [*source.materials(), *source.materials(make=True)] == [made, made]
    assert len(made.secret) == 32
    if os.name == "posix":
        assert stat.S_IMODE(source.path.stat().st_mode) == 0o600
        assert [stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "a", tmp_path / "a" / "b")] == [0o700] * 2


def test_a_key_file_is_made_once_by_many(tmp_path: Path) -> None:
    """All who come first at once have the same key."""
    found, start = [], threading.Barrier(8)

    def make() -> None:
        start.wait()
        found.extend(KeyFile(tmp_path / "key").materials(make=True))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({each.secret for each in found}) == 1


def test_a_key_file_changes_its_key_in_two_steps(tmp_path: Path) -> None:
    """In between the old key still opens what it has sealed."""
    source = KeyFile(tmp_path / "key")
    (old,) = source.materials(make=True)
    source.begin_change()
    new, still = source.materials()
    assert still == old
    assert new != old
    source.end_change()
    assert source.materials() == [new]


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """As an SSH key is: the message says the command that closes it."""
    source = KeyFile(tmp_path / "key")
    source.materials(make=True)
    source.path.chmod(mode)
    error = refused(source)
    assert "open to other users" in error.message
    assert f"chmod 600 {source.path}" in str(error.remedy)
    source.path.chmod(0o400)
    assert source.materials()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe", "neither base64 nor hex"),
        (b"A" * 43, "not random"),
        (b"x" * 70_000, "more than 64 KiB"),
    ],
)
def test_a_damaged_key_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """It is not made anew: what it has sealed would be lost."""
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert reason in refused(KeyFile(path), make=True).message
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_our_error(tmp_path: Path) -> None:
    """A file in the way is said in the system's words."""
    (tmp_path / "file").write_text("", "utf-8")
    assert "cannot be made" in refused(KeyFile(tmp_path / "file" / "key"), make=True).message


def test_sources_show_themselves_nowhere(tmp_path: Path) -> None:
    """A repr names the kind; a pickle is refused."""
    sources = [RandomKey(KEY), Passphrase("kata sandi yang panjang"), KeyFile(tmp_path)]
    assert [repr(source) for source in sources] == ["<RandomKey>", "<Passphrase>", f"<KeyFile {tmp_path}>"]
    for source in sources:
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(source)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_to_a_key_file_stays_one(tmp_path: Path) -> None:
    """Whoever keeps the key on another disk must not find a second one beside the store, nor the old one left there."""
    real, link = tmp_path / "disk" / "key", tmp_path / "link"
    link.symlink_to(real)
    source = KeyFile(link)
    first = source.materials(make=True)
    source.begin_change()
    assert source.materials()[1:] == first
    source.end_change()
    assert (link.is_symlink(), real.is_file(), len(real.read_text().splitlines())) == (True, True, 1)
    assert source.materials() != first
