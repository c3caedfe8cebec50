"""A credential: the filled-in form of a provider, whose secrets are given as `Secret` and shown nowhere."""

from __future__ import annotations

import functools
import hmac
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn, TypeAlias, cast, final

from modelhub.errors import PluginError
from modelhub.types.json import JSON
from modelhub.types.secret import Secret

__all__ = ["Credential", "CredentialKey", "CredentialValue", "OperatorValues"]

CredentialValue: TypeAlias = JSON | Secret | Mapping[str, Secret] | Sequence[Secret]
"""What a field of a credential form holds: a `Secret`, or several, where the field is secret."""


@final
class OperatorValues(dict[str, JSON]):
    """Values of a form that come with a call and are the operator's all the same, as on the command line.

    Where values that come with a call name a base URL, it is taken for one that a user of the application typed.
    """


@final
class Credential(Mapping[str, CredentialValue]):
    """The values of a credential form, by ``variable``. Secret ones are `Secret`, however they are asked for.

    Args:
        values: The values.
        id: A name without secrets.
        secret_names: Which values are secret. A mapping or list among them becomes one of secrets.
        endpoint: The base URL.
        key: Makes the credential the same one whatever its values are; for secrets that change while it stays.
        tenant_endpoint: Whether a user of the application gave the base URL.
        endpoint_field: The field that it stands in.
        address: The one address of the endpoint's host that requests go to.

    Attributes:
        id: A name without secrets, for logs and attempts.
        endpoint: The base URL, without a slash at its end, where the form has one.
        tenant_endpoint: Whether a user of the application gave it, and not the operator: where it may lead is narrower.
        endpoint_field: The ``variable`` of the field that it stands in.
        address: The one address of the endpoint's host that requests go to; ``None`` for whichever answers.
        account: What a vendor counts together: the `key` of the credential that this is `at` an address, else its own.
        key: Equal for credentials with equal values, hashable, and without any value in it.

    Example:
        >>> credential = Credential(
        ...     {"api_key": "sk-0123456789abcdef", "team": "a"}, secret_names=frozenset({"api_key"})
        ... )
        >>> credential.text("team"), credential["api_key"], credential.secret("api_key").masked
        ('a', <Secret ***>, '***cdef')
    """

    __slots__ = (
        "_secret_names",
        "_values",
        "account",
        "address",
        "endpoint",
        "endpoint_field",
        "id",
        "key",
        "tenant_endpoint",
    )

    def __init__(
        self,
        values: Mapping[str, CredentialValue],
        *,
        id: str = "default",
        secret_names: frozenset[str] = frozenset(),
        endpoint: str | None = None,
        key: object | None = None,
        tenant_endpoint: bool = False,
        endpoint_field: str | None = None,
        address: str | None = None,
    ) -> None:
        self._values: dict[str, CredentialValue] = {
            name: _sealed(value) if name in secret_names else value for name, value in values.items()
        }
        self._secret_names = secret_names
        self.id: str = id
        self.endpoint: str | None = endpoint
        self.endpoint_field: str | None = endpoint_field
        self.tenant_endpoint: bool = tenant_endpoint
        self.address: str | None = address
        # The trust is a part of it: what is connected for the operator must not serve a user who names the same place.
        parts = (id, endpoint, tenant_endpoint, address, self._values if key is None else "given")
        self.key: CredentialKey = CredentialKey(parts, key)
        self.account: CredentialKey = self.key

    def at(self, address: str) -> Credential:
        """Return the same for one address of the endpoint's host: another credential, with the same account.

        Args:
            address: An address as the system writes it; it becomes a part of the name.
        """
        made = Credential(
            self._values,
            id=f"{self.id}@{address}",
            secret_names=self._secret_names,
            endpoint=self.endpoint,
            key=self.key,
            tenant_endpoint=self.tenant_endpoint,
            endpoint_field=self.endpoint_field,
            address=address,
        )
        made.account = self.account
        return made

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """The secrets, those inside of mappings too, for taking them out of what is shown."""
        return tuple(_secrets_in(self._values))

    def __getitem__(self, name: str) -> CredentialValue:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str, default: str = "") -> str:
        """Return a value that is no secret as text; the default where it is missing or empty.

        Raises:
            PluginError: It is a secret.
        """
        if name in self._secret_names:
            message = f"{name!r} is a secret, which is not given as text"
            remedy = f'the plugin\'s author must write credential["{name}"].reveal() where it is sent'
            raise PluginError(message, remedy=f"{remedy}; credential.secret({name!r}) is there without a value too")
        value = self._values.get(name)
        if isinstance(value, Secret):  # the application's own choice, in a field that is none by the form
            return value.reveal() or default
        return default if value is None or value == "" else str(value)

    def secret(self, name: str) -> Secret:
        """Return a value as a secret; an empty one, which is false, where it is missing.

        Raises:
            PluginError: It is a mapping or a list, whose members are secrets.
        """
        value = self._values.get(name)
        if value is None or isinstance(value, Secret):
            return value or Secret("")
        if isinstance(value, Mapping | list | tuple):
            raise PluginError(
                f"{name!r} holds several secrets", remedy=f"the plugin's author must take credential[{name!r}]"
            )
        return Secret(str(value))

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if name in self._secret_names else repr(value)}" for name, value in self._values.items()
        )
        return f"<Credential {self.id!r}{': ' if shown else ''}{shown}>"

    def __reduce__(self) -> NoReturn:
        message = "a credential holds secrets and cannot be pickled"
        raise TypeError(message)


@final
class CredentialKey:
    """Stands for a credential in lookups: equal for equal values, without the values, meaningless elsewhere.

    Args:
        values: Plain data and secrets; of these a keyed digest is kept.
        given: Compared as it is, and never shown.
    """

    __slots__ = ("_digest", "_given")

    def __init__(self, values: Sequence[object], given: object | None = None) -> None:
        self._given = given
        self._digest = hmac.digest(_process_key(), repr(_plain(values)).encode("utf-8", "surrogatepass"), "sha256")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CredentialKey):
            return NotImplemented
        return hmac.compare_digest(self._digest, other._digest) and self._given == other._given

    def __hash__(self) -> int:
        return hash((self._digest, self._given))

    def __repr__(self) -> str:
        return f"<CredentialKey {self._digest[:4].hex()}>"

    def __reduce__(self) -> NoReturn:
        message = "the key of a credential means nothing in another process"
        raise TypeError(message)


@functools.cache
def _process_key() -> bytes:
    return os.urandom(32)


def _sealed(value: CredentialValue) -> CredentialValue:
    """Make secrets of every value in a value."""
    if value is None or isinstance(value, Secret):
        return value
    if isinstance(value, Mapping):
        return {name: cast("Secret", _sealed(item)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [cast("Secret", _sealed(item)) for item in value]
    return Secret(value if isinstance(value, str) else str(value))


def _plain(value: object) -> object:
    """Return what equal values have alike: mappings as pairs in order, secrets as their texts."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return sorted((repr(name), _plain(item)) for name, item in value.items())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _secrets_in(value: object) -> Iterator[Secret]:
    if isinstance(value, Secret):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secrets_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _secrets_in(item)
