"""What every store does behind the port: the one in memory and the one in a file, held to the same."""

import math
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.canary import CANARY, canary, found_in

from modelhub.credentials.file_store import EncryptedFileStore
from modelhub.credentials.keys import KeyFile, RandomKey, new_key
from modelhub.credentials.store import CredentialStore, MemoryStore, StoredCredential, storable
from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.types.secret import Secret

START = datetime(2026, 1, 1, tzinfo=UTC)


def clock() -> Callable[[], datetime]:
    """Return a clock that goes on by a second whenever it is looked at."""
    seconds = iter(range(1_000_000))
    return lambda: START + timedelta(seconds=next(seconds))


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> CredentialStore:
    """Return an empty store, one of each kind."""
    if request.param == "memory":
        return MemoryStore(now=clock())
    return EncryptedFileStore(tmp_path / "store.json", KeyFile(tmp_path / "key"), now=clock())


VALUES = {
    "base_url": "https://acme.example/v1",
    "api_key": Secret(CANARY),
    "reference": "env:ACME_KEY",
    "headers": {"X-Team": "red", "X/Key~": Secret(canary("2")), "X": Secret("")},
    "list": [Secret(canary("3")), "plain", None, {"deep": Secret(canary("4"))}],
    "number": 0.1,
    "large": 2**70,
    "switch": False,
    "nothing": None,
    "empty": {},
    "": "an empty name",
    "text": "é\ud800\u2028\0",
}


@pytest.mark.anyio
class TestEveryStore:
    """The four methods."""

    async def test_what_was_put_comes_back(self, store: CredentialStore) -> None:
        """Values of every kind, secrets as secrets, and when it was put."""
        given = StoredCredential("acme", "work", VALUES, "large-1", "llm")
        kept = await store.put(given)
        assert kept == StoredCredential("acme", "work", VALUES, "large-1", "llm", START, START)
        assert await store.get("acme", "work", "large-1") == kept
        assert await store.list() == [kept]
        headers = kept.values["headers"]
        assert isinstance(headers, dict)
        assert isinstance(headers["X"], Secret)

    async def test_putting_again_replaces(self, store: CredentialStore) -> None:
        """Values and the time of the change are new, the time of the first is kept."""
        await store.put(StoredCredential("acme", values={"a": "1", "b": Secret("2")}))
        await store.put(StoredCredential("acme", values={"a": "3"}))
        (kept,) = await store.list()
        assert kept.values == {"a": "3"}
        assert (kept.created, kept.updated) == (START, START + timedelta(seconds=1))

    async def test_times_are_the_stores_own(self, store: CredentialStore) -> None:
        """What a caller says of them does not count."""
        long_ago = datetime(1999, 1, 1, tzinfo=UTC)
        kept = await store.put(StoredCredential("acme", created=long_ago, updated=long_ago))
        assert (kept.created, kept.updated) == (START, START)

    async def test_name_model_and_provider_tell_them_apart(self, store: CredentialStore) -> None:
        """A credential of a model is another one than that of its provider; an empty model is none of both."""
        keys = [
            *[("acme", None, "default"), ("acme", None, "other"), ("acme", "", "default")],
            *[("acme", "m", "default"), ("acme", "m", "other"), ("acme:m", None, "default")],
        ]
        for number, (provider, model, name) in enumerate(keys):
            await store.put(StoredCredential(provider, name, {"n": number, "key": Secret(str(number))}, model))
        for number, (provider, model, name) in enumerate(keys):
            assert (await store.get(provider, name, model)).values == {"n": number, "key": Secret(str(number))}
        assert len(await store.list()) == len(keys)
        assert [each.key for each in await store.list("acme:m")] == [keys[-1]]
        assert await store.list("acm") == []

    async def test_the_order_is_by_provider_model_and_name(self, store: CredentialStore) -> None:
        """Whatever the order they were put in."""
        for provider, model, name in [("b", "m", "a"), ("b", None, "z"), ("a", None, "b"), ("b", None, "a")]:
            await store.put(StoredCredential(provider, name, {}, model))
        found = [each.key for each in await store.list()]
        assert found == [("a", None, "b"), ("b", None, "a"), ("b", None, "z"), ("b", "m", "a")]

    async def test_what_was_removed_is_gone(self, store: CredentialStore) -> None:
        """That one, and no other."""
        await store.put(StoredCredential("acme", "a"))
        await store.put(StoredCredential("acme", "b"))
        await store.remove("acme", "a")
        assert [each.name for each in await store.list()] == ["b"]
        with pytest.raises(ConfigurationError):
            await store.get("acme", "a")

    async def test_a_name_that_is_not_there_is_told_with_the_nearest(self, store: CredentialStore) -> None:
        """To read and to remove, in an empty store too."""
        for ask in store.get, store.remove:
            with pytest.raises(ConfigurationError, match="no stored credential 'work' of acme"):
                await ask("acme", "work")
        await store.put(StoredCredential("acme", "works", model="m"))
        for ask in store.get, store.remove:
            with pytest.raises(ConfigurationError) as caught:
                await ask("acme", "work", "m")
            assert caught.value.remedy == "did you mean 'works'?"
            with pytest.raises(ConfigurationError, match="there are no stored credentials of acme"):
                await ask("acme", "works")

    async def test_what_cannot_be_kept_is_refused_all_at_once(self, store: CredentialStore) -> None:
        """Each by its path; nothing of the credential is kept, and no value is shown."""
        deep: dict[str, Any] = {}
        deep["deep"] = deep
        values: dict[str, Any] = {
            "fine": "x",
            "function": lambda: "x",
            "nan": math.nan,
            "long": 10**5000,
            "nested": {"list": [b"canary", object()]},
            "names": {1: "x"},
            "deep": deep,
            7: "x",
        }
        with pytest.raises(CredentialsInvalid) as caught:
            await store.put(StoredCredential("", "", values))
        fields = caught.value.fields
        paths = ["provider", "name", "function", "nan", "long", "nested.list.0", "nested.list.1", "names", "deep", "7"]
        assert sorted(fields) == sorted(paths)
        assert "env:NAME" in fields["function"]
        assert fields["nested.list.0"] == "a bytes cannot be stored"
        assert "canary" not in str(caught.value)
        assert await store.list() == []

    async def test_what_is_kept_is_the_stores_own(self, store: CredentialStore) -> None:
        """Changing what was given, or what came back, changes nothing that is kept."""
        headers: dict[str, Any] = {"X": "1"}
        kept = await store.put(StoredCredential("acme", values=MappingProxyType({"headers": headers})))
        for values in (kept.values, (await store.get("acme")).values, (await store.list())[0].values):
            found: Any = values["headers"]
            found["X"] = "2"
            headers["X"] = "3"
            assert (await store.get("acme")).values == {"headers": {"X": "1"}}

    async def test_tasks_at_once_lose_nothing(self, store: CredentialStore) -> None:
        """Each of many credentials put at the same time is there afterwards."""
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(store.put, StoredCredential("acme", str(number), {"key": Secret(str(number))}))
        assert {each.name: each.values["key"] for each in await store.list()} == {
            str(number): Secret(str(number)) for number in range(10)
        }

    async def test_a_repr_shows_no_secret(self, store: CredentialStore) -> None:
        """Neither of the store nor of what it holds."""
        kept = await store.put(StoredCredential("acme", values=VALUES))
        assert found_in(repr(store) + repr(kept) + str(await store.list())) is None
        assert "acme.example" in repr(kept)


@pytest.mark.anyio
async def test_a_memory_store_may_hold_something_from_the_start() -> None:
    """As an application's tests want it."""
    store = MemoryStore([StoredCredential("acme", values={"key": Secret("x")})], now=clock())
    assert await store.get("acme") == StoredCredential(
        "acme", values={"key": Secret("x")}, created=START, updated=START
    )
    assert repr(store) == "<MemoryStore with 1 credentials>"


names = st.sampled_from(["default", "a", "a/b", "é", "=m"])
providers = st.sampled_from(["acme", "acme/a", "x"])
models = st.sampled_from([None, "", "m"])
texts = st.text(max_size=20)
numbers = st.one_of(st.integers(-(2**1000), 2**1000), st.floats(allow_nan=False, allow_infinity=False))
leaves = st.one_of(texts, texts.map(Secret), st.booleans(), st.none(), numbers)
trees = st.recursive(
    leaves, lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(texts, each, max_size=3))
)


class Stores(RuleBasedStateMachine):
    """Whatever is done to both stores and to a dict, all three say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "store.json"
        self.key_file = KeyFile(Path(self.folder.name) / "key")
        self.file = EncryptedFileStore(self.path, self.key_file)
        self.memory = MemoryStore()
        self.model: dict[tuple[str, str | None, str], Any] = {}

    @rule(provider=providers, name=names, model=models, values=st.dictionaries(texts, trees, max_size=3))
    def put(self, provider: str, name: str, model: str | None, values: dict[str, Any]) -> None:
        """Put one."""
        for store in (self.file, self.memory):
            anyio.run(store.put, StoredCredential(provider, name, values, model))
        self.model[provider, model, name] = values

    @rule(provider=providers, name=names, model=models)
    def remove(self, provider: str, name: str, model: str | None) -> None:
        """Remove one, whether it is there or not."""
        there = self.model.pop((provider, model, name), None) is not None
        for store in (self.file, self.memory):
            try:
                anyio.run(store.remove, provider, name, model)
            except ConfigurationError:
                assert not there
            else:
                assert there

    @rule()
    def rotate(self) -> None:
        """Change the key in the key file."""
        anyio.run(self.file.rotate)

    @rule()
    def rotate_to_another_source(self) -> None:
        """Go over to a key of another kind and back; the file's own key is no longer the one."""
        key = RandomKey(new_key())
        anyio.run(self.file.rotate, key)
        anyio.run(EncryptedFileStore(self.path, key).rotate, self.key_file)
        self.file = EncryptedFileStore(self.path, self.key_file)

    @rule()
    def open_again(self) -> None:
        """Begin anew, as another process does."""
        self.file = EncryptedFileStore(self.path, self.key_file)

    @invariant()
    def all_say_the_same(self) -> None:
        """Credentials and values; and nothing is left behind beside the files there have to be."""
        for store in (self.file, self.memory):
            assert {each.key: each.values for each in anyio.run(store.list)} == self.model
        assert {each.name for each in self.path.parent.iterdir()} <= {
            "store.json",
            "store.json.lock",
            "key",
            "key.lock",
        }

    def teardown(self) -> None:
        """Remove the folder."""
        self.folder.cleanup()


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize(
    ("credential", "field"),
    [
        (StoredCredential("show", "a#b"), "name"),
        (StoredCredential("show", " "), "name"),
        (StoredCredential(""), "provider"),
    ],
)
def test_what_could_not_be_called_by_its_name_is_not_kept(credential: StoredCredential, field: str) -> None:
    """As in settings, where `provider/model#name` asks for it."""
    with pytest.raises(CredentialsInvalid) as caught:
        storable(credential)
    assert list(caught.value.fields) == [field]
