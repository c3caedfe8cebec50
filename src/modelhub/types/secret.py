"""`Secret`: a text that shows itself nowhere."""

from __future__ import annotations

import hmac
from typing import NoReturn, Self, final

__all__ = ["Secret"]

_MASK = "***"
_SHOWN = 4
_LONG_ENOUGH = 12
"""Characters that a secret must have before any of them are shown."""


@final
class Secret:
    """A text that is kept out of whatever is printed, logged, formatted, copied or pickled.

    Args:
        text: What must not be shown.

    Example:
        >>> key = Secret("sk-0123456789abcdef")
        >>> f"{key} {key!r} {key.masked}"
        '*** <Secret ***> ***cdef'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text. Keep it out of variables that live longer than the line that needs it."""
        return self._text

    @property
    def masked(self) -> str:
        """What people may see: the last four characters of a long secret, none of a short one."""
        return _MASK + (self._text[-_SHOWN:] if len(self._text) >= _LONG_ENOUGH else "")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __bool__(self) -> bool:
        return bool(self._text)

    def __repr__(self) -> str:
        return f"<Secret {_MASK}>"

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        message = "a secret cannot be pickled"
        raise TypeError(message)
