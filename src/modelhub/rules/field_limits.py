"""What the values of form fields may be at most, for the core's own evaluation and for the exported JSON Schema.

The patterns are regular expressions that Python and ECMAScript read alike.
"""

from __future__ import annotations

from modelhub.types.forms import FormField

__all__ = [
    "CHOICES",
    "CONTROL",
    "CONTROL_IN_LINES",
    "DEEPEST",
    "MOST_CHARACTERS",
    "NOT_IN_A_HEADER",
    "NOT_IN_A_NAME",
    "URL",
    "most_characters",
]

CHOICES = frozenset({"select", "radio", "multi-select"})
"""The types whose values are among a field's options, where it has any."""

MOST_CHARACTERS = 1_048_576
"""Characters that any text may have, also where a form sets no limit: forms hold keys and files of keys, not data."""

DEEPEST = 64
"""Lists and objects that may stand inside each other in a ``json`` field."""

CONTROL = r"[\u0000-\u001f\u007f\ud800-\udfff]"
"""What no text of one line has in it. Half a surrogate pair is no character and cannot be sent."""

CONTROL_IN_LINES = r"[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ud800-\udfff]"

NOT_IN_A_NAME = r"[^!#$%&'*+\-.^_`|~0-9A-Za-z]"
"""What no name of a header has in it (RFC 9110, section 5.6.2)."""

NOT_IN_A_HEADER = r"[^\t\u0020-\u007e\u0080-\u00ff]"
"""What no value of a header has in it (RFC 9110, section 5.5)."""

_NOT_IN_A_URL = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff\ud800-\udfff\\"
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
URL = (
    rf"^[Hh][Tt][Tt][Pp][Ss]?://(\[[0-9A-Fa-f:.]+\]|[^{_NOT_IN_A_URL}/?#@:\[\]]+)(:({_PORT}))?"
    rf"([/?#][^{_NOT_IN_A_URL}]*)?$(?!\n)"
)
"""A whole URL without a user name or password. Python's ``$`` also stands before a last line break."""


def most_characters(field: FormField) -> int:
    """Return how many characters the text of a field may have."""
    return min(field.max_length, MOST_CHARACTERS) if field.max_length > 0 else MOST_CHARACTERS
