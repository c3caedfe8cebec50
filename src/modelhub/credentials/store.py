"""The port behind which credentials are kept, and a store in memory that shows how little it takes.

Owns what a stored credential is and which values can be one. A file (`EncryptedFileStore`), a database or a vault
serves the same four methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias, Union, cast, final

from modelhub.errors import ConfigurationError, CredentialsInvalid
from modelhub.rules.names import did_you_mean
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = ["CredentialStore", "CredentialValue", "MemoryStore", "StoredCredential", "not_stored", "storable"]

if TYPE_CHECKING:
    CredentialValue: TypeAlias = Union[JSON, Secret, Sequence["CredentialValue"], Mapping[str, "CredentialValue"]]  # noqa: UP007  "|" cannot take its own name
else:
    CredentialValue = object  # an alias that names itself exists for type checkers only; see types.json

_DEEPEST = 32
_Key: TypeAlias = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """A credential as it is kept: by provider, model and name.

    Attributes:
        provider: The provider's id.
        name: A name without secrets, such as ``default`` or ``team-red``.
        values: The values of the form, by ``variable``. What is a `Secret`, at any depth, is sealed; everything else is
            kept readable. References such as ``env:NAME`` are kept as they are.
        model: The model it is for; ``None`` for all models of the provider.
        model_type: That model's type.
        created, updated: When it was first and last put, in UTC; set by the store.
    """

    provider: str
    name: str = "default"
    values: Mapping[str, CredentialValue] = field(default_factory=dict)
    model: str | None = None
    model_type: str | None = None
    created: datetime | None = None
    updated: datetime | None = None

    @property
    def key(self) -> tuple[str, str | None, str]:
        """What there is one credential for: provider, model, name."""
        return self.provider, self.model, self.name


class CredentialStore(Protocol):
    """Where credentials are kept. All methods may be called by several tasks at once."""

    async def list(self, provider: str | None = None) -> Sequence[StoredCredential]:
        """Return the credentials, those of one provider or all of them, ordered by provider, model and name.

        Raises:
            ConfigurationError: The store cannot be read, or one of them is not what was put.
        """
        ...

    async def get(self, provider: str, name: str = "default", model: str | None = None) -> StoredCredential:
        """Return one credential.

        Raises:
            ConfigurationError: There is none of that name, or it is not what was put.
        """
        ...

    async def put(self, credential: StoredCredential) -> StoredCredential:
        """Keep a credential, in the place of one of the same provider, model and name; return it with its times.

        Raises:
            CredentialsInvalid: ``fields`` says which values cannot be kept, such as functions.
            ConfigurationError: The store cannot be written.
        """
        ...

    async def remove(self, provider: str, name: str = "default", model: str | None = None) -> None:
        """Forget a credential.

        Raises:
            ConfigurationError: There is none of that name, or the store cannot be written.
        """
        ...


@final
class MemoryStore:
    """A `CredentialStore` that forgets everything with the program: for tests, and for keys that are never written.

    Args:
        credentials: What it holds from the start.
        now: The clock.
    """

    __slots__ = ("_credentials", "_now")

    def __init__(
        self, credentials: Sequence[StoredCredential] = (), *, now: Callable[[], datetime] | None = None
    ) -> None:
        self._now = now or utc_now
        self._credentials: dict[_Key, StoredCredential] = {}
        for credential in credentials:
            self._credentials[credential.key] = stamped(storable(credential), None, self._now())

    async def list(self, provider: str | None = None) -> Sequence[StoredCredential]:
        """Return the credentials; see `CredentialStore`."""
        found = [each for each in self._credentials.values() if provider in {None, each.provider}]
        return sorted(map(storable, found), key=order)

    async def get(self, provider: str, name: str = "default", model: str | None = None) -> StoredCredential:
        """Return one credential; see `CredentialStore`."""
        found = self._credentials.get((provider, model, name))
        if found is None:
            raise not_stored(provider, name, model, self._credentials)
        return storable(found)

    async def put(self, credential: StoredCredential) -> StoredCredential:
        """Keep a credential; see `CredentialStore`."""
        checked = storable(credential)
        before = self._credentials.get(checked.key)
        kept = stamped(checked, before.created if before else None, self._now())
        self._credentials[kept.key] = kept
        return storable(kept)

    async def remove(self, provider: str, name: str = "default", model: str | None = None) -> None:
        """Forget a credential; see `CredentialStore`."""
        if self._credentials.pop((provider, model, name), None) is None:
            raise not_stored(provider, name, model, self._credentials)

    def __repr__(self) -> str:
        return f"<MemoryStore with {len(self._credentials)} credentials>"


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def order(credential: StoredCredential) -> tuple[str, str, str]:
    """Return what credentials are sorted by."""
    return credential.provider, credential.model or "", credential.name


def stamped(credential: StoredCredential, created: datetime | None, now: datetime) -> StoredCredential:
    """Return a credential with its times: ``created`` of the one it replaces, else now."""
    return replace(credential, created=created or now, updated=now)


def not_stored(provider: str, name: str, model: str | None, keys: Mapping[_Key, object]) -> ConfigurationError:
    """Return the error for a credential that is not there, with the nearest names."""
    names = {known for owner, of_model, known in keys if (owner, of_model) == (provider, model)}
    of = provider if model is None else f"{provider}/{model}"
    remedy = did_you_mean(name, names, what=f"stored credentials of {of}")
    return ConfigurationError(f"there is no stored credential {name!r} of {of}", remedy=remedy)


def storable(credential: StoredCredential) -> StoredCredential:
    """Return a credential whose values are plain JSON and secrets, copied.

    Raises:
        CredentialsInvalid: A value, provider or name cannot be kept; ``fields`` says which, all at once.
    """
    problems = {word: "it is empty" for word in ("provider", "name") if not getattr(credential, word).strip()}
    if "#" in credential.name:
        problems["name"] = "it has a #, which stands between a model and a name"
    fields = cast("Mapping[object, object]", credential.values)
    values = {str(name): _copied(value, (str(name),), problems) for name, value in fields.items()}
    problems.update({str(name): "its name is no text" for name in fields if not isinstance(name, str)})
    if problems:
        what = "; ".join(f"{place}: {problem}" for place, problem in problems.items())
        message = f"the credential {credential.name!r} of {credential.provider!r} cannot be stored: {what}"
        raise CredentialsInvalid(message, fields=problems)
    return replace(credential, values=values)


def _copied(value: object, place: tuple[str, ...], problems: dict[str, str]) -> CredentialValue:
    if len(place) > _DEEPEST:
        problems[place[0]] = f"it is nested more than {_DEEPEST} levels deep"
        return None
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            problems[".".join(place)] = "a name in it is no text"
        return {str(name): _copied(item, (*place, str(name)), problems) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item, (*place, str(number)), problems) for number, item in enumerate(value)]
    problem = _unkeepable(value)
    if problem is None and isinstance(value, bool | int | float | str | Secret | None):
        return value
    problems[".".join(place)] = problem or f"a {type(value).__name__} cannot be stored"
    return None


def _unkeepable(value: object) -> str | None:
    if callable(value):
        return "a function cannot be stored: give it in code, or store a reference such as env:NAME"
    if isinstance(value, float) and not math.isfinite(value):
        return "it is no finite number"
    if isinstance(value, int) and value.bit_length() > 1024:  # noqa: PLR2004  longer ones are not written as decimals
        return "the number is too long"
    return None
