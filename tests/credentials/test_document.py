"""What each seal in a store's file is bound to, by itself: none of them leans on the others."""

from itertools import product
from typing import cast

import pytest

from modelhub.credentials import document
from modelhub.credentials.document import Document
from modelhub.credentials.envelope import Envelope, KeyEncryptionKey, KeyMaterial, KeyParameters
from modelhub.credentials.store import StoredCredential
from modelhub.errors import ConfigurationError
from modelhub.types.secret import Secret

ENVELOPE = Envelope([KeyEncryptionKey(bytes(range(32)))])


@pytest.mark.parametrize("model", [None, "", "m"])
def test_a_secret_is_bound_to_its_place_alone(model: str | None) -> None:
    """Among all places that share a word with it, it opens in its own."""
    values = {"api_key": Secret("canary"), "headers": {"a/b": Secret("canary")}}
    record = document.sealed_record(StoredCredential("acme", "work", values, model), ENVELOPE)
    token = cast("dict[str, str]", record["secrets"])["/api_key"]
    of_model = {None: "", "": "=", "m": "=m"}[model]
    words = product(["secret"], ["acme", "x"], ["", "=", "=m"], ["work", "x"], ["/api_key", "/headers/a~1b", "api_key"])
    opening = []
    for place in words:
        try:
            opening.append((place, ENVELOPE.open(token, bound_to=place).reveal()))
        except ConfigurationError:
            continue
    assert opening == [(("secret", "acme", of_model, "work", "/api_key"), "canary")]


def test_what_is_written_is_read() -> None:
    """Keys and records, whatever is in them."""
    keys = {
        "0" * 16: KeyParameters.new(KeyMaterial("hkdf-sha256", b"")),
        "1" * 16: KeyParameters("scrypt", b"x" * 16, 2**15),
    }
    record = document.sealed_record(StoredCredential("acme", values={"a": "\ud800é", "b": Secret("x")}), ENVELOPE)
    whole = Document(keys, [record])
    assert document.parsed(document.written(whole), "it") == whole


def test_keys_that_seal_nothing_are_forgotten() -> None:
    """The parameters of a key stay as long as anything is sealed with it; what is not sealed at all needs none."""
    record = document.sealed_record(StoredCredential("acme", values={"b": Secret("x")}), ENVELOPE)
    used = KeyEncryptionKey(bytes(range(32))).id
    parameters = KeyParameters.new(KeyMaterial("hkdf-sha256", b""))
    whole = Document({used: parameters, "f" * 16: parameters}, [record])
    assert whole.with_records([record]).keys == {used: parameters}
    assert whole.with_records([{**record, "seal": "plain", "secrets": {}}]).keys == {}
    assert Document().with_records([record], {used: parameters}).keys == {used: parameters}
