"""A credential is read like a mapping; its secrets are `Secret`, however they are asked for, and shown nowhere."""

import pickle
import traceback
from typing import Any

import pytest

from modelhub.errors import PluginError
from modelhub.types.credential import Credential, CredentialKey
from modelhub.types.secret import Secret

KEY, TOKEN = "k-secret-0123456789", "k-secret-9876543210"
VALUES: dict[str, Any] = {
    "base_url": "http://a",
    "api_key": KEY,
    "headers": {"X": TOKEN},
    "keys": ["k-secret-a", "k-secret-b"],
    "pin": 123456,
    "empty": "",
    "on": False,
}
SECRETS = frozenset({"api_key", "headers", "keys", "pin", "empty", "missing"})


def credential(**more: Any) -> Credential:
    """Return a credential with secrets of every shape."""
    return Credential({**VALUES, **more}, id="b", secret_names=SECRETS, endpoint="http://a")


def test_it_is_a_mapping_of_the_forms_variables() -> None:
    """What is no secret is as it was given."""
    assert set(credential()) == set(VALUES)
    assert len(credential()) == len(VALUES)
    assert credential()["base_url"] == "http://a"
    assert credential().get("on") is False
    assert credential().get("absent") is None


def test_secrets_are_secrets_however_they_are_asked_for() -> None:
    """By name, by get, by items and values; those inside of a mapping or a list each by itself."""
    made = credential()
    items, values = dict(made.items()), list(made.values())
    for got in (made["api_key"], made.get("api_key"), items["api_key"], made.secret("api_key")):
        assert got == Secret(KEY)
    assert made["headers"] == {"X": Secret(TOKEN)}
    assert made["keys"] == [Secret("k-secret-a"), Secret("k-secret-b")]
    assert made.secret("pin").reveal() == "123456"
    assert "k-secret" not in f"{items}{values}"
    assert Credential({"api_key": Secret(KEY)}, secret_names=SECRETS)["api_key"] == Secret(KEY)


def test_text_is_for_what_is_no_secret() -> None:
    """A number comes as text; what is missing or empty gives the default."""
    made = credential(size=5)
    assert (made.text("base_url"), made.text("size"), made.text("on")) == ("http://a", "5", "False")
    assert (made.text("absent", "none"), credential(base_url="").text("base_url", "none")) == ("none", "none")
    assert Credential({"team": Secret("t")}).text("team") == "t"
    assert Credential({"team": Secret("")}).text("team", "none") == "none"


@pytest.mark.parametrize("name", ["api_key", "headers", "empty", "missing"])
def test_text_of_a_secret_is_refused(name: str) -> None:
    """Whether it has a value or not, so that the author hears of it at the first call; the error says what to write."""
    with pytest.raises(PluginError, match=rf'credential\["{name}"\]\.reveal\(\)') as caught:
        credential().text(name)
    assert "k-secret" not in str(caught.value)


def test_a_secret_that_is_missing_is_false() -> None:
    """An optional key needs no second question."""
    assert not credential().secret("absent")
    assert not credential().secret("empty")
    assert credential().secret("base_url").reveal() == "http://a"
    with pytest.raises(PluginError, match="several secrets"):
        credential().secret("headers")


def test_no_text_of_it_has_a_secret() -> None:
    """Neither repr nor str nor a format, nor a traceback with variables; what is no secret is shown."""
    made = credential()
    try:
        raise ValueError(made)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    for text in (repr(made), str(made), f"{made}", shown):
        assert "k-secret" not in text
        assert "123456" not in text
        assert "http://a" in text
        assert "'b'" in text


def test_its_secrets_are_known_for_redaction() -> None:
    """Every one, those inside of others too, as secrets; an empty one would redact everything."""
    secrets = credential().secrets
    assert {secret.reveal() for secret in secrets} == {KEY, TOKEN, "k-secret-a", "k-secret-b", "123456"}
    assert "k-secret" not in repr(secrets)
    assert Credential({"team": Secret("given-as-one")}).secrets == (Secret("given-as-one"),)


def test_it_cannot_be_pickled() -> None:
    """A secret does not get into a file or a queue by accident."""
    for each in (credential(), credential().key):
        with pytest.raises(TypeError, match=r"cannot be pickled|means nothing"):
            pickle.dumps(each)


def test_equal_values_are_the_same_credential() -> None:
    """Connections are shared by what is sent, not by which object sends it, nor in which order it was given."""
    again = Credential(dict(reversed(VALUES.items())), id="b", secret_names=SECRETS, endpoint="http://a")
    assert again.key == credential().key
    assert hash(again.key) == hash(credential().key)
    for other in (
        credential(api_key="k-secret-3"),
        credential(headers={"X": KEY}),
        credential(keys=["k-secret-b", "k-secret-a"]),
        Credential(VALUES, id="c", secret_names=SECRETS, endpoint="http://a"),
        Credential(VALUES, id="b", secret_names=SECRETS, endpoint="http://b"),
    ):
        assert other.key != credential().key
    assert credential().key != "key"


def test_who_gave_the_base_url_is_a_part_of_it() -> None:
    """What is connected for the operator serves no user, whose values may be the same."""
    for key in (None, "given"):
        of_operator, of_user = (
            Credential(VALUES, endpoint="http://a", key=key, tenant_endpoint=tenant) for tenant in (False, True)
        )
        assert of_operator.key != of_user.key
        assert (of_operator.tenant_endpoint, of_user.tenant_endpoint) == (False, True)


def test_a_key_that_is_given_stands_for_values_that_change() -> None:
    """A token that is renewed does not make another credential; where it is sent to does."""
    source = object()

    def made(token: str, *, key: object = source, endpoint: str = "http://a") -> CredentialKey:
        return Credential({"api_key": token}, secret_names=SECRETS, endpoint=endpoint, key=key).key

    assert made("one") == made("two")
    assert made("one") != made("one", key=object())
    assert made("one") != made("one", endpoint="http://b")


def test_a_key_shows_no_value() -> None:
    """It stands in dicts whose repr people print."""
    shown = repr({credential().key: 1, Credential({}, key="k-secret-given").key: 2})
    assert "k-secret" not in shown
    assert "http" not in shown


def test_at_an_address_it_is_another_with_the_same_account() -> None:
    """Equal for equal addresses and values, and called after the address."""
    made = credential()
    here, there = made.at("10.0.0.1"), made.at("fd00::1")
    assert (here.id, there.id) == ("b@10.0.0.1", "b@fd00::1")
    assert (made.address, here.address, there.address) == (None, "10.0.0.1", "fd00::1")
    assert dict(here) == dict(made)
    assert (here.endpoint, here.endpoint_field, here.tenant_endpoint) == ("http://a", None, False)
    assert here.secret("api_key").reveal() == KEY
    assert made.account == made.key == here.account == there.account
    assert len({made.key, here.key, there.key, credential().at("10.0.0.1").key}) == 3
    assert credential(api_key="k-other").at("10.0.0.1").key != here.key
