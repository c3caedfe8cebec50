"""What stands for a credential where others can read it: equal in every process, and no way back to the key."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from modelhub.types.credential import Credential
from modelhub.types.secret import Secret

__all__ = ["fingerprint"]

_DOMAIN = b"modelhub credential fingerprint 1"


def fingerprint(credential: Credential, *, provider: str, namespace: str, whole: bool = False) -> str:
    """Return what a credential is called among processes that share a namespace.

    It depends on the provider, the endpoint, its address where it is for one alone, and all values, not on the
    credential's id. Whoever reads it learns whether
    two credentials are equal, and could confirm a guess: keys are too long to be guessed, passwords that people choose
    may not be, so the place where it is kept should be no public one.

    Args:
        credential: The credential, its references resolved.
        provider: The provider's id.
        namespace: What the processes share.
        whole: Whether it is the same for all addresses: for what a vendor counts together.

    Example:
        >>> key = Credential({"api_key": "sk-0123456789abcdef"}, secret_names=frozenset({"api_key"}))
        >>> len(fingerprint(key, provider="acme", namespace="modelhub"))
        32
    """
    key = hmac.digest(_DOMAIN, _text(namespace), hashlib.sha256)
    values = {name: _plain(value) for name, value in credential.items()}
    address = [] if whole or credential.address is None else [credential.address]
    content = json.dumps([provider, credential.endpoint, values, *address], sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, _text(content), hashlib.sha256).hex()[:32]


def _plain(value: object) -> object:
    """Return a value with its secrets as texts, in the one form that JSON has for it."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
