"""A credential: the filled-in form of a provider, with its secrets masked wherever it could be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn, final

from modelhub.types.json import JSON

__all__ = ["Credential"]


@final
class Credential(Mapping[str, JSON]):
    """The values of a credential form, by ``variable``.

    Attributes:
        id: A name without secrets, for logs and attempts.
        endpoint: The base URL, without a slash at its end, where the form has one.
        key: Equal for credentials with equal values; it holds secrets, so it is for lookups in memory only.
        secrets: The secret values, for redaction; never to be shown.
    """

    __slots__ = ("_secret_names", "_values", "endpoint", "id", "key")

    def __init__(
        self,
        values: Mapping[str, JSON],
        *,
        id: str = "default",
        secret_names: frozenset[str] = frozenset(),
        endpoint: str | None = None,
    ) -> None:
        self._values = dict(values)
        self._secret_names = secret_names
        self.id: str = id
        self.endpoint: str | None = endpoint
        self.key: object = (id, endpoint, tuple(sorted((name, repr(value)) for name, value in self._values.items())))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secret values."""
        texts: list[str] = []
        for name in sorted(self._secret_names):
            value = self._values.get(name)
            if isinstance(value, Mapping):
                texts.extend(str(item) for item in value.values())
            elif value:
                texts.append(str(value))
        return tuple(texts)

    def __getitem__(self, name: str) -> JSON:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str, default: str = "") -> str:
        """Return a value as text; the default where it is missing or empty."""
        value = self._values.get(name)
        return default if value is None or value == "" else str(value)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={'***' if name in self._secret_names else repr(value)}" for name, value in self._values.items()
        )
        return f"<Credential {self.id!r}{': ' if shown else ''}{shown}>"

    def __reduce__(self) -> NoReturn:
        message = "a credential holds secrets and cannot be pickled"
        raise TypeError(message)
