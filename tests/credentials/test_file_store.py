"""The encrypted file: what it shows, what it refuses, and that nothing of it is lost."""

import base64
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from tests.canary import CANARY, canary

from modelhub.credentials.envelope import KeyMaterial
from modelhub.credentials.file_store import EncryptedFileStore, default_store
from modelhub.credentials.keys import KeyFile, KeySource, Passphrase, RandomKey, new_key
from modelhub.credentials.store import StoredCredential
from modelhub.errors import ConfigurationError, ModelHubError
from modelhub.types.secret import Secret

KEY = RandomKey(bytes(range(7, 39)))
OTHER = RandomKey(bytes(range(8, 40)))
CANARIES = (CANARY, canary("headers"), canary("b"))
URL = "https://acme.example/v1"
A = StoredCredential("acme", "a", {"base_url": URL, "api_key": Secret(CANARIES[0]), "more": {"X": Secret(CANARIES[1])}})
B = StoredCredential("acme", "b", {"base_url": URL, "api_key": Secret(CANARIES[2]), "more": {"X": Secret("x")}}, "m")
POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes and links")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return the file of a store with two credentials."""
    store = EncryptedFileStore(tmp_path / "store.json", KEY)
    await store.put(A)
    await store.put(B)
    return store.path


def spellings(text: str) -> list[bytes]:
    """Return a text in every form in which it could have got into a file, digests of it too."""
    raw = text.encode()
    pairs = (f"{name}:{text}".encode() for name in ("api_key", "X"))
    digests = [hashlib.new(way, each).hexdigest() for way in ("md5", "sha1", "sha256") for each in (raw, *pairs)]
    encoded = [base64.b64encode(b"\0" * shift + raw)[4 : -4 if shift else None] for shift in range(3)]
    return [
        *(raw, raw[:8], raw[-8:], quote(text).encode(), json.dumps(text)[1:-1].encode(), raw.hex().encode()),
        *(base64.b64encode(raw), base64.urlsafe_b64encode(raw), *filter(None, encoded)),
        *(digest.encode() for digest in digests),
    ]


def all_bytes(folder: Path) -> bytes:
    """Return what is in all files below a folder."""
    return b"".join(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file())


def content_of(path: Path) -> bytes:
    """Return what is in a file."""
    return path.read_bytes()


def write(path: Path, content: bytes) -> None:
    """Write a file, as somebody without a store does."""
    path.write_bytes(content)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change the file as somebody with an editor does."""
    document = json.loads(content_of(path))
    change(document)
    write(path, json.dumps(document).encode())


async def refused(store: EncryptedFileStore, *credential: str | None) -> ModelHubError:
    """Return the error of a credential, or of all of them; it says who must act, and shows no secret."""
    with pytest.raises(ConfigurationError) as caught:
        await (store.get(*credential) if credential else store.list())  # type: ignore[arg-type]  # provider, name, model
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not any(canary in shown for canary in CANARIES)
    assert caught.value.remedy
    return caught.value


@pytest.mark.anyio
class TestWhatTheFileShows:
    """Everything but the secrets."""

    async def test_no_secret_in_any_spelling(self, path: Path) -> None:
        """Not in the file nor beside it: raw, encoded, or as a digest that could be guessed at."""
        content = all_bytes(path.parent)
        assert [(text, each) for text in CANARIES for each in spellings(text) if each in content] == []

    async def test_no_secret_is_left_by_reading_changing_and_rotating(
        self, path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """No cache, no backup, no log: what was opened stays in memory."""
        store = EncryptedFileStore(path, KEY)
        await store.list()
        await store.put(replace(A, values={**A.values, "api_key": Secret(canary("new"))}))
        await store.remove("acme", "b", "m")
        await store.rotate(OTHER)
        assert {each.name for each in path.parent.iterdir()} == {"store.json", "store.json.lock"}
        output = capfd.readouterr()
        content = all_bytes(path.parent) + (output.out + output.err + caplog.text).encode()
        assert [each for text in (*CANARIES, canary("new")) for each in spellings(text) if each in content] == []

    async def test_the_key_is_never_beside_it_in_clear_unless_asked_for(self, path: Path) -> None:
        """Only a `KeyFile` writes a key, into its own file."""
        assert spellings_of_key(KEY) & set(all_bytes(path.parent).split(b'"')) == set()
        store = default_store(folder=path.parent / "own")
        await store.put(A)
        key = (path.parent / "own" / "credentials.key").read_bytes().strip()
        assert len(key) == 43
        assert key not in content_of(store.path)

    async def test_everything_else_can_be_read(self, path: Path) -> None:
        """A person sees what there is: providers, names, models, times, base URLs."""
        document = json.loads(content_of(path))
        assert document["format"] == "modelhub credentials"
        assert [each["name"] for each in document["credentials"]] == ["a", "b"]
        assert document["credentials"][0]["values"] == {"base_url": URL, "api_key": None, "more": {"X": None}}
        assert document["credentials"][1]["model"] == "m"

    async def test_the_same_secret_is_never_sealed_the_same(self, path: Path) -> None:
        """Putting it again, or in another place, gives another text: nobody sees that two keys are equal."""
        before = json.loads(content_of(path))["credentials"][0]["secrets"]
        store = EncryptedFileStore(path, KEY)
        await store.put(A)
        await store.put(replace(A, name="same"))
        records = json.loads(content_of(path))["credentials"]
        sealed = [each["secrets"]["/api_key"] for each in records if each["name"] in {"a", "same"}]
        assert len({*sealed, before["/api_key"]}) == 3


def spellings_of_key(source: RandomKey) -> set[bytes]:
    """Return a key's bytes in the forms that keys are written in."""
    key = source.materials()[0].secret
    return {key, key.hex().encode(), base64.b64encode(key), base64.urlsafe_b64encode(key).rstrip(b"=")}


EDITS: dict[str, Callable[[Any], None]] = {
    "another server": lambda it: it["values"].update(base_url="https://evil.example/v1"),
    "one letter of the server": lambda it: it["values"].update(base_url="https://acme.examplé/v1"),
    "no server": lambda it: it["values"].pop("base_url"),
    "one more value": lambda it: it["values"].update(proxy="https://evil.example"),
    "another provider": lambda it: it.update(provider="evil"),
    "another name": lambda it: it.update(name="c"),
    "a model": lambda it: it.update(model="m"),
    "an empty model": lambda it: it.update(model=""),
    "a model type": lambda it: it.update(model_type="llm"),
    "created": lambda it: it.update(created="2020-01-01T00:00:00+00:00"),
    "updated": lambda it: it.update(updated="2020-01-01T00:00:00+00:00"),
    "fields swapped": lambda it: it.update(
        secrets={"/api_key": it["secrets"]["/more/X"], "/more/X": it["secrets"]["/api_key"]}
    ),
    "a field less": lambda it: it["secrets"].pop("/more/X"),
    "a field more": lambda it: it["secrets"].update({"/base_url": it["secrets"]["/api_key"]}),
    "a field elsewhere": lambda it: it.update(secrets={"/base_url": it["secrets"]["/api_key"]}),
    "a secret in clear": lambda it: it["secrets"].update({"/api_key": canary("clear")}),
    "a secret among the values": lambda it: (it["values"].update(api_key=canary("clear")), it["secrets"].clear()),
    "an empty secret": lambda it: it["secrets"].update({"/api_key": ""}),
    "seal in clear": lambda it: it.update(seal=""),
    "seal from a secret": lambda it: it.update(seal=it["secrets"]["/api_key"]),
    "secret from the seal": lambda it: it["secrets"].update({"/api_key": it["seal"]}),
    "another version": lambda it: it.update(seal=it["seal"].replace("mh1:", "mh2:")),
    "another key's name": lambda it: it.update(seal=f"mh1:{'0' * 16}:{it['seal'][21:]}"),
}


@pytest.mark.anyio
class TestChangedFiles:
    """Whoever can write the file and has not its key."""

    @pytest.mark.holds_secrets("store.json")
    @pytest.mark.parametrize("name", EDITS)
    async def test_an_edited_credential_is_refused(self, path: Path, name: str) -> None:
        """Whatever of it was changed; the other one is as good as before, and the message names this one."""
        edit(path, lambda document: EDITS[name](document["credentials"][0]))
        store = EncryptedFileStore(path, KEY)
        record = json.loads(content_of(path))["credentials"][0]
        error = await refused(store, record["provider"], record["name"], record["model"])
        assert f"the stored credential {record['name']!r} of {record['provider']}" in error.message
        assert error.message in (await refused(store)).message
        assert (await store.get("acme", "b", "m")).values == B.values

    async def test_what_is_swapped_between_two_credentials_is_refused(self, path: Path) -> None:
        """Secrets, seals or both: each opens in the credential that it was sealed in."""
        whole = content_of(path)
        for words in (["secrets"], ["seal"], ["secrets", "seal"], ["values", "secrets", "seal"]):

            def swap(document: Any, words: list[str] = words) -> None:
                first, second = document["credentials"]
                for word in words:
                    first[word], second[word] = second[word], first[word]

            write(path, whole)
            edit(path, swap)
            message = (await refused(EncryptedFileStore(path, KEY))).message
            assert "'a' of acme " in message
            assert "'b' of acme/m " in message

    async def test_a_secret_of_an_earlier_version_is_refused(self, path: Path) -> None:
        """Nobody can put a new key behind an old address, nor an old key behind a new one."""
        before = json.loads(content_of(path))["credentials"][0]
        moved = {**A.values, "base_url": "https://new.example", "api_key": Secret("new")}
        store = EncryptedFileStore(path, KEY)
        await store.put(replace(A, values=moved))
        whole = content_of(path)
        for words in (
            ["values"],
            ["secrets"],
            ["seal"],
            ["values", "seal"],
            ["secrets", "seal"],
            ["values", "secrets"],
        ):
            write(path, whole)
            edit(path, lambda it, words=words: it["credentials"][1].update({word: before[word] for word in words}))
            await refused(store, "acme", "a")

    async def test_another_files_credential_is_refused(self, path: Path) -> None:
        """A record from a store of somebody else's, under a key of theirs, does not open here."""
        theirs = EncryptedFileStore(path.with_name("theirs.json"), OTHER)
        await theirs.put(replace(A, values={**A.values, "base_url": "https://evil.example"}))
        other = json.loads(content_of(theirs.path))

        def plant(document: Any) -> None:
            document["credentials"][0] = other["credentials"][0]
            document["keys"].update(other["keys"])

        edit(path, plant)
        assert "not among the given ones" in (await refused(EncryptedFileStore(path, KEY), "acme", "a")).message

    async def test_a_file_cut_off_anywhere_is_refused(self, path: Path) -> None:
        """At every byte: all of it or none. It is not written over either, and an empty file is no empty store."""
        whole = content_of(path)
        store = EncryptedFileStore(path, KEY)

        def look() -> None:
            for length in range(len(whole)):
                write(path, whole[:length])
                assert "cannot be read" in store_error(path)

        await anyio.to_thread.run_sync(look)
        write(path, whole[: len(whole) // 2])
        assert "moved" not in (await refused(store)).message
        for change in store.put(A), store.remove("acme", "a"), store.rotate(OTHER):
            with pytest.raises(ConfigurationError, match="not all of one") as caught:
                await change
            assert "it was not touched" in str(caught.value.remedy)
        assert content_of(path) == whole[: len(whole) // 2]

    async def test_a_changed_bit_anywhere_is_refused_or_changes_nothing(self, path: Path) -> None:
        """One bit of every byte, each in turn: what still opens is what was put."""
        whole = content_of(path)
        store = EncryptedFileStore(path, KEY)
        expected = {each.key: each for each in await store.list()}
        refusals = 0

        def look() -> None:
            nonlocal refusals
            for place in range(len(whole)):
                write(path, whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
                try:
                    found = store._list(None)  # noqa: SLF001  what `list` does in its thread, two thousand times
                except ConfigurationError:
                    refusals += 1
                else:
                    assert {each.key: each for each in found} == expected

        await anyio.to_thread.run_sync(look)
        assert refusals > len(whole) * 0.99

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe",
            b'{"format": "modelhub credentials", "version": 1}',
            b'{"format": "modelhub credentials", "version": 2, "keys": {}, "credentials": []}',
            b'{"format": "modelhub credentials", "version": 1, "keys": {}, "credentials": [{"provider": "acme"}]}',
            b'{"format": "modelhub credentials", "version": 1, "keys": {}, "credentials": ["x"]}',
            b'{"format": "modelhub credentials", "version": 1, "keys": {"a": {"kdf": "md5"}}, "credentials": []}',
            b'{"format": "modelhub credentials", "version": 1, "keys": {"a": null}, "credentials": []}',
            b'{"format": ' + b"[" * 100_000,
            b'{"format": ' + b"1" * 10_000 + b"}",
            b'{"acme": {"api_key": "sk-in-clear"}}',
            b" " * (16 * 1024 * 1024 + 1),
        ],
        ids=lambda content: content[:20].decode("latin-1"),
    )
    async def test_garbage_is_our_error(self, path: Path, content: bytes) -> None:
        """Something else, of another version, in clear, or endless."""
        write(path, content)
        await refused(EncryptedFileStore(path, KEY))
        with pytest.raises(ConfigurationError):
            await EncryptedFileStore(path, KEY).put(A)
        assert content_of(path) == content

    async def test_two_of_one_name_are_refused(self, path: Path) -> None:
        """An old record beside the new one would leave it to chance which counts."""
        edit(path, lambda document: document["credentials"].append(document["credentials"][0]))
        assert "the same provider, model and name" in (await refused(EncryptedFileStore(path, KEY))).message

    async def test_what_is_damaged_can_be_put_anew_or_removed(self, path: Path) -> None:
        """Without touching the other; before that, changing keys is refused, since it would lose it."""
        store = EncryptedFileStore(path, KEY)
        edit(path, lambda document: document["credentials"][0]["secrets"].update({"/api_key": canary("clear")}))
        with pytest.raises(ConfigurationError, match="'a' of acme cannot be used"):
            await store.rotate(OTHER)
        await store.put(A)
        assert (await store.get("acme", "a")).values == A.values
        edit(path, lambda document: document["credentials"][1].update(seal="x"))
        await store.remove("acme", "a")
        assert [each.key for each in await store.list()] == [B.key]


def store_error(path: Path) -> str:
    """Return the error of a file, read as `list` reads it in its thread."""
    with pytest.raises(ConfigurationError) as caught:
        EncryptedFileStore(path, KEY)._list(None)  # noqa: SLF001  as many times as the file has bytes
    return caught.value.message


class ChangedMeanwhile(KeySource):
    """A key that another process changes each time just before it is read."""

    def __init__(self, keys: KeyFile, store: EncryptedFileStore, *, times: int) -> None:
        self.keys = keys
        self.store = store
        self.times = times

    def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
        """Change the key and return the new one."""
        if self.times:
            self.times -= 1
            anyio.run(self.store.rotate)
        return self.keys.materials(make=make)


@pytest.mark.anyio
class TestKeys:
    """Which key opens, and how it is changed."""

    async def test_a_wrong_key_opens_nothing_and_seals_nothing(self, path: Path) -> None:
        """A mistyped passphrase must not seal one credential beside those of the right one."""
        before = content_of(path)
        for wrong in OTHER, Passphrase("kata sandi yang salah", cost=2**15):
            store = EncryptedFileStore(path, wrong)
            assert "not among the given ones" in (await refused(store)).message
            with pytest.raises(ConfigurationError, match="sealed with a key that was not given"):
                await store.put(A)
            with pytest.raises(ConfigurationError, match="not among the given ones"):
                await store.rotate(RandomKey(new_key()))
        assert content_of(path) == before

    async def test_no_key_at_all_is_said(self, tmp_path: Path) -> None:
        """By putting; an empty store can be looked at."""
        store = EncryptedFileStore(tmp_path / "store.json", [])
        assert await store.list() == []
        with pytest.raises(ConfigurationError, match="no key to seal with"):
            await store.put(A)
        with pytest.raises(ConfigurationError, match="no key file"):
            await store.rotate()

    async def test_a_credential_can_be_removed_without_its_key(self, path: Path) -> None:
        """Whose key is lost begins anew: that the old one is gone must not lock him out."""
        store = EncryptedFileStore(path, OTHER)
        await store.remove("acme", "a")
        await store.remove("acme", "b", "m")
        await store.put(A)
        assert (await store.get("acme", "a")).values == A.values

    async def test_a_passphrase_opens_what_it_has_sealed(self, tmp_path: Path) -> None:
        """In another process too, where its salt comes from the file."""
        passphrase = Passphrase("kata sandi yang panjang", cost=2**15)
        await EncryptedFileStore(tmp_path / "store.json", passphrase).put(A)
        again = EncryptedFileStore(tmp_path / "store.json", Passphrase("kata sandi yang panjang"))
        assert (await again.get("acme", "a")).values == A.values
        (key,) = json.loads((tmp_path / "store.json").read_bytes())["keys"].values()
        assert key["kdf"] == "scrypt"
        assert key["cost"] == 2**15

    async def test_rotation_leaves_nothing_that_the_old_key_opens(self, path: Path) -> None:
        """The values are the same, sealed with other data keys: those who had the old ones have nothing."""
        before = content_of(path)
        store = EncryptedFileStore(path, KEY)
        expected = await store.list()
        await store.rotate(OTHER)
        assert await store.list() == expected
        assert await EncryptedFileStore(path, OTHER).list() == expected
        await refused(EncryptedFileStore(path, KEY))
        old, new = (json.loads(content) for content in (before, content_of(path)))
        assert not old["keys"].keys() & new["keys"].keys()
        tokens = [{token for each in it["credentials"] for token in each["secrets"].values()} for it in (old, new)]
        assert not tokens[0] & tokens[1]

    async def test_a_key_file_is_rotated_in_place(self, tmp_path: Path) -> None:
        """Another process that has the store open goes on: it reads the key anew."""
        store, other = default_store(folder=tmp_path), default_store(folder=tmp_path)
        await store.put(A)
        assert len(await other.list()) == 1
        before = (tmp_path / "credentials.key").read_bytes()
        await store.rotate()
        after = (tmp_path / "credentials.key").read_bytes()
        assert before != after
        assert len(after.split()) == 1
        assert (await other.get("acme", "a")).values == A.values
        (tmp_path / "credentials.key").write_bytes(before)
        assert "not among the given ones" in (await refused(default_store(folder=tmp_path))).message

    async def test_a_key_changed_while_reading_is_no_error(self, tmp_path: Path) -> None:
        """The file was read before the change and the key after it: both are read again."""
        keys = KeyFile(tmp_path / "key")
        other = EncryptedFileStore(tmp_path / "store.json", keys)
        await other.put(A)
        store = EncryptedFileStore(other.path, ChangedMeanwhile(keys, other, times=2))
        assert (await store.get("acme", "a")).values == A.values
        assert [each.values for each in await store.list()] == [A.values]

    async def test_a_key_file_is_not_changed_where_something_does_not_open(self, tmp_path: Path) -> None:
        """The damaged credential is named, and the key file is as it was, however often it is tried."""
        store = default_store(folder=tmp_path)
        await store.put(A)
        edit(store.path, lambda document: document["credentials"][0].update(model_type="llm"))
        before = content_of(tmp_path / "credentials.key")
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="'a' of acme cannot be used"):
                await store.rotate()
        assert content_of(tmp_path / "credentials.key") == before

    async def test_an_older_key_opens_until_it_is_rotated_away(self, path: Path) -> None:
        """With the new key before the old one, new credentials are sealed with the new, and both open."""
        store = EncryptedFileStore(path, [OTHER, KEY])
        await store.put(replace(A, name="c"))
        assert len(await store.list()) == 3
        assert len(json.loads(content_of(path))["keys"]) == 2
        assert (await EncryptedFileStore(path, OTHER).get("acme", "c")).values == A.values
        await store.rotate(OTHER)
        assert len(await EncryptedFileStore(path, OTHER).list()) == 3
        assert len(json.loads(content_of(path))["keys"]) == 1

    async def test_a_lost_key_file_is_not_made_anew(self, tmp_path: Path) -> None:
        """The store says what is missing; another key would only hide it."""
        store = default_store(folder=tmp_path)
        await store.put(A)
        (tmp_path / "credentials.key").unlink()
        for attempt in (store.list(), store.put(B), store.rotate(KEY)):
            with pytest.raises(ConfigurationError, match=r"key file .* cannot be read"):
                await attempt
        assert not (tmp_path / "credentials.key").exists()

    async def test_a_key_that_is_not_there_is_said_before_anything_is_changed(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A new key from a variable that is not set leaves the store as it is."""
        monkeypatch.delenv("NEW_KEY", raising=False)
        before = content_of(path)
        with pytest.raises(ConfigurationError, match="NEW_KEY is not set"):
            await EncryptedFileStore(path, KEY).rotate(RandomKey("env:NEW_KEY"))
        assert content_of(path) == before

    @pytest.mark.parametrize("name", ["salt", "cost", "kdf"])
    async def test_an_edited_key_derives_nothing(self, path: Path, name: str) -> None:
        """Nobody makes the next credential cheaper to guess by editing how its key is derived."""
        values = {"salt": "AAAAAAAAAAAAAAAAAAAAAA", "cost": 2, "kdf": "scrypt"}
        edit(path, lambda document: next(iter(document["keys"].values())).update({name: values[name]}))
        store = EncryptedFileStore(path, KEY)
        await refused(store)
        with pytest.raises(ConfigurationError):
            await store.put(A)


@pytest.mark.anyio
class TestFiles:
    """Where it is, and who may look."""

    async def test_looking_makes_nothing(self, tmp_path: Path) -> None:
        """No file, no folder and no key, before something is put."""
        store = default_store(folder=tmp_path / "a")
        assert await store.list() == []
        for attempt in (store.get("acme"), store.remove("acme")):
            with pytest.raises(ConfigurationError, match="no stored credential"):
                await attempt
        assert not (tmp_path / "a").exists()

    @POSIX
    async def test_its_owner_alone_may_look(self, tmp_path: Path) -> None:
        """Files 0600, new folders 0700, whatever the umask; a file opened wider is closed by the next change."""
        before = os.umask(0)
        try:
            store = default_store(folder=tmp_path / "a" / "b")
            await store.put(A)
        finally:
            os.umask(before)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "a").rglob("*")}
        assert modes.pop("b") == 0o700
        assert modes == dict.fromkeys(modes, 0o600)
        assert modes.keys() >= {"credentials.json", "credentials.key"}
        store.path.chmod(0o644)
        assert len(await store.list()) == 1
        await store.put(B)
        assert stat.S_IMODE(store.path.stat().st_mode) == 0o600

    @POSIX
    async def test_a_link_stays_one(self, path: Path, tmp_path: Path) -> None:
        """A store that is linked to is changed where it is."""
        (tmp_path / "elsewhere").mkdir()
        link = tmp_path / "elsewhere" / "link.json"
        link.symlink_to(path)
        await EncryptedFileStore(link, KEY).remove("acme", "a")
        assert link.is_symlink()
        assert [each.key for each in await EncryptedFileStore(path, KEY).list()] == [B.key]

    async def test_what_the_system_refuses_is_our_error(self, tmp_path: Path) -> None:
        """A folder in the place of the file, and a file in the place of the folder."""
        (tmp_path / "store.json").mkdir()
        (tmp_path / "file").write_text("", "utf-8")
        for path in (tmp_path / "store.json", tmp_path / "file" / "store.json"):
            store = EncryptedFileStore(path, KEY)
            assert str(path) in (await refused(store)).message
            with pytest.raises(ConfigurationError, match="must be able to read and write there"):
                await store.put(A)

    @pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
    async def test_the_folder_is_the_systems_own(self, system: str) -> None:
        """Where each system keeps what its users set up, or where they say."""
        script = f"""
import sys
from modelhub.credentials import user_config_dir
sys.platform = {system!r}
print(user_config_dir().as_posix())
"""
        expected = {"linux": "/h/.config", "darwin": "/h/Library/Application Support", "win32": "/h/AppData/Roaming"}
        named = {"linux": "XDG_CONFIG_HOME", "win32": "APPDATA"}
        environment = {"HOME": "/h", "PATH": os.environ["PATH"]}
        assert await printed(script, environment) == f"{expected[system]}/modelhub"
        if system in named:
            assert await printed(script, {**environment, named[system]: "/x"}) == "/x/modelhub"

    @POSIX
    async def test_who_reads_does_not_wait_for_a_disk_that_hangs(self, tmp_path: Path) -> None:
        """A key that never comes stands for a server of files that does not answer: a call ends with its own limit."""
        await EncryptedFileStore(tmp_path / "store.json", KEY).put(A)
        released = threading.Event()

        class Hanging(KeySource):
            def materials(self, *, make: bool = False) -> Sequence[KeyMaterial]:
                released.wait(20)
                return KEY.materials(make=make)

        store = EncryptedFileStore(tmp_path / "store.json", Hanging())
        for read in (store.list, lambda: store.get(A.provider, A.name)):
            with anyio.fail_after(5), anyio.move_on_after(0.1) as scope:
                await read()
            assert scope.cancelled_caught
        released.set()

    @POSIX
    async def test_a_user_without_a_home_is_told(self) -> None:
        """As in a container whose user has no entry; a folder in the environment is enough."""
        environment = {"PATH": os.environ["PATH"]}
        assert await printed(WITHOUT_HOME, environment) == "set HOME, or give the store a folder"
        if sys.platform == "linux":
            assert (
                await printed(WITHOUT_HOME, {**environment, "XDG_CONFIG_HOME": "/x"}) == "/x/modelhub/credentials.json"
            )


WITHOUT_HOME = """
import sys
sys.modules["pwd"] = None
from modelhub.credentials import default_store
from modelhub.errors import ConfigurationError
try:
    print(default_store().path)
except ConfigurationError as error:
    print(error.remedy)
"""


async def printed(script: str, environment: dict[str, str] | None = None) -> str:
    """Run a program and return what it prints."""
    done = await anyio.run_process([sys.executable, "-c", script], env=environment, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


WITHOUT_CRYPTOGRAPHY = """
import sys
sys.modules["cryptography"] = None
import anyio
from modelhub import ModelHub
from modelhub.credentials import EncryptedFileStore, KeyFile, StoredCredential
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret
store = EncryptedFileStore(sys.argv[1], KeyFile(sys.argv[1] + ".key"))
assert anyio.run(store.list) == []
try:
    anyio.run(store.put, StoredCredential("acme", values={"key": Secret("x")}))
except ConfigurationError as error:
    print(error.remedy)
"""


def test_a_missing_library_is_said(tmp_path: Path) -> None:
    """Everything can be imported without it; using the store says what to install."""
    command = [sys.executable, "-c", WITHOUT_CRYPTOGRAPHY, str(tmp_path / "store.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "install it: pip install 'modelhub-core[store]'"
    assert not (tmp_path / "store.json").exists()
