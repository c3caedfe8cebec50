"""`Secret`: a text that shows itself nowhere."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NoReturn, Self, final

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["Secret"]

_MASK = "***"
_SHOWN = 4
_LONG_ENOUGH = 12
"""Characters that a secret must have before any of them are shown."""


@final
class Secret:
    """A text that is kept out of whatever is printed, logged, formatted, serialised, copied or pickled.

    It is no text itself: it has no length, no characters and nothing to search, and it cannot be put together with
    one. A field of a pydantic model may be one: it is read from a text and written as ``***``.

    Args:
        text: What must not be shown.

    Raises:
        TypeError: It is no text.

    Example:
        >>> key = Secret("sk-0123456789abcdef")
        >>> f"{key} {key!r} {key.masked}"
        '*** <Secret ***> ***cdef'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            # The value may be a key: it is not shown.
            message = f"a secret is a text, not a {type(text).__name__}"  # type: ignore[unreachable]  # given by mistake
            raise TypeError(message)
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
        # In bytes, because the comparison takes no other text; "surrogatepass", because any text can be a secret.
        mine, theirs = (each.encode("utf-8", "surrogatepass") for each in (self._text, other._text))
        return hmac.compare_digest(mine, theirs)

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

    def __getstate__(self) -> NoReturn:
        self.__reduce__()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415  only whoever has it asks

        return core_schema.no_info_plain_validator_function(
            _secret_of,
            json_schema_input_schema=core_schema.str_schema(metadata={"writeOnly": True}),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


def _secret_of(given: object) -> Secret:
    if isinstance(given, Secret):
        return given
    if isinstance(given, str):
        return Secret(given)
    message = f"a secret is a text, not a {type(given).__name__}"
    raise ValueError(message)
