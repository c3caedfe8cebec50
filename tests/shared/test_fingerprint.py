"""A credential has one fingerprint in all processes, and it gives nothing away."""

import subprocess
import sys

import pytest

from modelhub.shared import fingerprint
from modelhub.types.credential import Credential
from modelhub.types.secret import Secret

CODE = """
from modelhub.shared import fingerprint
from modelhub.types.credential import Credential
credential = Credential({"team": "a", "api_key": "sk-1"}, id="other", secret_names=frozenset({"api_key"}))
print(fingerprint(credential, provider="acme", namespace="n"))
"""


def of(*, provider: str = "acme", namespace: str = "n", endpoint: str | None = None, **values: object) -> str:
    """Return the fingerprint of a credential."""
    secret = frozenset({"api_key", "headers"} & values.keys())
    credential = Credential({"team": "a", "api_key": "sk-1", **values}, secret_names=secret, endpoint=endpoint)
    return fingerprint(credential, provider=provider, namespace=namespace)


def test_it_is_the_same_in_every_process() -> None:
    """Neither the order of values nor the credential's id matters, nor who computes it."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == of() == of(api_key=Secret("sk-1"))


@pytest.mark.parametrize(
    "other",
    [
        {"api_key": "sk-2"},
        {"team": "b"},
        {"team": None},
        {"provider": "harbour"},
        {"namespace": "m"},
        {"endpoint": "https://acme.example"},
        {"headers": {"x-key": "sk-1"}},
        {"headers": ["sk-1"]},
        {"api_key": "\ud800"},
        {"lots": 5},
    ],
)
def test_anything_else_makes_another(other: dict[str, str]) -> None:
    """Two that differ in provider, endpoint, namespace or any value have two fingerprints, and show no value."""
    found = of(**other)
    assert found != of()
    assert len(found) == 32
    assert set(found) <= set("0123456789abcdef")


def test_each_address_has_its_own() -> None:
    """It is the same in all processes; what is counted for all addresses has the one without."""
    credential = Credential({"team": "a", "api_key": "sk-1"}, secret_names=frozenset({"api_key"}))
    here, there = credential.at("10.0.0.1"), credential.at("10.0.0.2")
    prints = [fingerprint(each, provider="acme", namespace="n") for each in (credential, here, there)]
    assert len(set(prints)) == 3
    again = Credential({"api_key": Secret("sk-1"), "team": "a"}, id="other").at("10.0.0.1")
    assert fingerprint(again, provider="acme", namespace="n") == prints[1]
    assert {fingerprint(each, provider="acme", namespace="n", whole=True) for each in (credential, here, there)} == {
        of()
    }
