"""What is sealed opens in its place with its key, and nothing else opens at all."""

import base64
import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.canary import CANARY

from modelhub.credentials.envelope import Envelope, KeyEncryptionKey, KeyMaterial, KeyParameters, derived
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

SECRET = Secret(CANARY)
KEY = KeyEncryptionKey(bytes(range(32)))
OTHER = KeyEncryptionKey(bytes(range(1, 33)))
PLACE = ("secret", "acme", "", "default", "/api_key")
SEALED = Envelope([KEY]).seal(SECRET, bound_to=PLACE)

words = st.lists(st.text(max_size=6), max_size=5)


def refused(sealed: str, *keys: KeyEncryptionKey, bound_to: tuple[str, ...] = PLACE) -> ConfigurationError:
    """Return the error for what does not open; it shows neither the text nor what was given, and leads to nothing."""
    with pytest.raises(ConfigurationError) as caught:
        Envelope(keys or (KEY,)).open(sealed, bound_to=bound_to)
    assert caught.value.remedy
    assert CANARY not in str(caught.value)
    assert len(sealed) < 20 or sealed not in str(caught.value)
    assert caught.value.__context__ is None
    return caught.value


@given(st.text(), words)
def test_any_text_comes_back(text: str, bound_to: list[str]) -> None:
    """In its place, with its key."""
    envelope = Envelope([KEY])
    assert envelope.open(envelope.seal(Secret(text), bound_to=bound_to), bound_to=bound_to) == Secret(text)


def test_a_lone_surrogate_comes_back() -> None:
    """JSON can bring one, which UTF-8 has no bytes for."""
    envelope = Envelope([KEY])
    assert envelope.open(envelope.seal(Secret("\ud800"), bound_to=["\udfff"]), bound_to=["\udfff"]) == Secret("\ud800")


@given(words, words)
def test_another_place_opens_nothing(here: list[str], there: list[str]) -> None:
    """No two lists of words are the same place, however their letters are spread over the words."""
    sealed = Envelope([KEY]).seal(SECRET, bound_to=here)
    if here == there:
        assert Envelope([KEY]).open(sealed, bound_to=there) == SECRET
    else:
        refused(sealed, bound_to=tuple(there))


@pytest.mark.parametrize("place", [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c")])
def test_letters_do_not_move_between_words(place: tuple[str, ...]) -> None:
    """Provider ``ab`` with name ``c`` is not provider ``a`` with name ``bc``."""
    sealed = Envelope([KEY]).seal(SECRET, bound_to=["ab", "c"])
    if place == ("ab", "c"):
        assert Envelope([KEY]).open(sealed, bound_to=place) == SECRET
    else:
        refused(sealed, bound_to=place)


def test_each_seal_is_another() -> None:
    """Two seals of one text have nothing in common: not the nonces, not the data key, not the ciphertext."""
    datas = [base64.urlsafe_b64decode(Envelope([KEY]).seal(SECRET, bound_to=PLACE)[21:] + "==") for _ in range(200)]
    pieces = [data[start : start + 12] for data in datas for start in (0, 12, 24, 36, 48, 60, 72)]
    assert len(set(pieces)) == len(pieces)


def test_nothing_of_the_text_is_in_it() -> None:
    """Neither the text nor any common spelling of it; the prefix names version and key."""
    data = base64.urlsafe_b64decode(SEALED[21:] + "==")
    for spelling in (CANARY, base64.b64encode(CANARY.encode()).decode(), CANARY.encode().hex()):
        assert spelling not in SEALED
        assert spelling.encode() not in data
    assert SEALED.startswith(f"mh1:{KEY.id}:")


def test_a_change_of_any_letter_opens_nothing() -> None:
    """At every place of the sealed text, every other letter of its alphabet."""
    for place, letter in enumerate(SEALED):
        for other in (
            "A",
            "b",
            "0",
            "_",
            ":",
            " ",
            "é",
            chr(ord(letter) + 1),
            chr(ord(letter) ^ 1),
            chr(ord(letter) ^ 32),
        ):
            if other != letter:
                refused(SEALED[:place] + other + SEALED[place + 1 :])


def test_a_piece_opens_nothing() -> None:
    """Cut off anywhere, at either end, or with something after it."""
    for cut in range(len(SEALED)):
        refused(SEALED[:cut])
        refused(SEALED[cut + 1 :])
    for more in ("A", "=", "\n", ":"):
        refused(SEALED + more)


@pytest.mark.parametrize(
    "text", [CANARY, "", "mh1:", f"mh1:{KEY.id}:", "mh2:" + SEALED[4:], "HYBRID:abc", SEALED.upper()]
)
def test_plain_text_is_refused(text: str) -> None:
    """What is not sealed is never taken for the secret itself."""
    assert "not sealed" in refused(text).message


def test_another_key_opens_nothing() -> None:
    """The error names the key that is missing, which is no secret."""
    assert refused(SEALED, OTHER).message == f"it is sealed with the key {KEY.id}, which is not among the given ones"
    with pytest.raises(ConfigurationError, match="not among the given"):
        Envelope([]).open(SEALED, bound_to=PLACE)


def test_a_key_that_only_calls_itself_so_opens_nothing() -> None:
    """The id in the prefix chooses a key and proves nothing: it is part of what the seal holds together."""
    refused(SEALED.replace(KEY.id, OTHER.id), OTHER, KEY)


def test_the_first_key_seals_and_all_open() -> None:
    """So keys can be changed while texts of both are about."""
    both = Envelope([OTHER, KEY])
    assert both.open(SEALED, bound_to=PLACE) == SECRET
    assert both.seal(Secret("x"), bound_to=PLACE).startswith(f"mh1:{OTHER.id}:")
    with pytest.raises(ConfigurationError, match="no key to seal with"):
        Envelope([]).seal(Secret("x"), bound_to=PLACE)


def test_the_same_secret_derives_other_keys_with_other_salts() -> None:
    """Salt and way decide along with the secret, so that nothing can be computed beforehand."""
    random = KeyMaterial("hkdf-sha256", bytes(range(32)))
    passphrase = KeyMaterial("scrypt", bytes(range(32)), 2**15)
    first, second = KeyParameters.new(random), KeyParameters.new(random)
    slow = KeyParameters.new(passphrase)
    assert slow.cost == 2**15
    assert KeyParameters.new(KeyMaterial("scrypt", b"x")).cost == 2**17
    ids = [derived(random, first).id, derived(random, second).id, derived(passphrase, slow).id, KEY.id]
    assert len(set(ids)) == 4
    assert derived(random, first).id == ids[0]
    assert derived(passphrase, slow).id == ids[2]


@pytest.mark.parametrize(
    "parameters",
    [
        KeyParameters("hkdf-sha256", b"short"),
        KeyParameters("hkdf-sha256", bytes(16), 2**15),
        KeyParameters("scrypt", bytes(16)),
        KeyParameters("scrypt", bytes(16), 2**14),
        KeyParameters("scrypt", bytes(16), 2**15 + 1),
        KeyParameters("scrypt", bytes(16), 2**30),
        KeyParameters("scrypt", bytes(16), -(2**15)),
    ],
)
def test_parameters_that_protect_nothing_or_cost_too_much_are_refused(parameters: KeyParameters) -> None:
    """An edited file makes no key cheap to guess, and takes no machine's memory."""
    with pytest.raises(ConfigurationError, match="out of range"):
        derived(KeyMaterial(parameters.kdf, bytes(range(32))), parameters)


def test_a_key_has_its_length() -> None:
    """Anything else is a mistake of whoever made it."""
    with pytest.raises(ConfigurationError, match="32 bytes, not 31"):
        KeyEncryptionKey(bytes(31))


def test_keys_show_themselves_nowhere() -> None:
    """Not in a repr, and not in a pickle."""
    material = KeyMaterial("scrypt", CANARY.encode())
    assert repr(KEY) == f"<KeyEncryptionKey {KEY.id}>"
    assert repr(Envelope([KEY])) == f"<Envelope with the keys {KEY.id}>"
    assert repr(Envelope([])) == "<Envelope with the keys none>"
    assert CANARY not in repr(material)
    for each in (KEY, material):
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(each)
        with pytest.raises(TypeError, match="pickled"):
            copy.deepcopy(each)
