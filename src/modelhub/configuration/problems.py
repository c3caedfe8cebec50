"""What is wrong with settings: each problem with its place, and the one error that holds them all."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from modelhub.errors import ConfigurationError

__all__ = ["Complaint", "ConfigProblem", "Keys", "SettingsInvalid", "path_text", "shown_key"]

Keys: TypeAlias = tuple[str | int, ...]
"""Where something stands: the keys that lead to it, and the numbers of list items."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MOST_LISTED = 50
"""Problems that the message lists; ``problems`` has all of them."""

_LONGEST = 80
"""Characters of a key that are shown: what is longer is no name."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something wrong, before anybody looked which line it stands in.

    Attributes:
        keys: Where it stands.
        message: What is wrong, without any value.
        remedy: How to mend it.
    """

    keys: Keys
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """Something wrong with the settings.

    Attributes:
        file: The file, or ``the configuration`` for a dict, or ``the environment``.
        line: The line in the file, from 1; ``None`` where there is no file or the line is not known.
        path: The keys that lead there, as TOML writes them; in the environment, the variable.
        message: What is wrong. It repeats no value.
        remedy: Who must act and how.
    """

    file: str
    line: int | None
    path: str
    message: str
    remedy: str | None = None

    @property
    def place(self) -> str:
        """The file and the line, as ``modelhub.toml:12``."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def __str__(self) -> str:
        return ": ".join(word for word in (self.place, self.path, self.message) if word)


class SettingsInvalid(ConfigurationError):
    """The settings must be mended; all that is wrong with them is said at once.

    Attributes:
        problems: What is wrong, in the order of the file.
    """

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        if len(problems) == 1:
            super().__init__(str(problems[0]), remedy=problems[0].remedy)
            return
        lines = [f"{each} ({each.remedy})" if each.remedy else str(each) for each in problems[:_MOST_LISTED]]
        more = [f"… and {len(problems) - len(lines)} more"] if len(problems) > len(lines) else []
        super().__init__("\n  ".join([f"the settings have {len(problems)} problems:", *lines, *more]))


def shown_key(key: object) -> str:
    """Return a key as messages show it: in quotes, and cut where it is too long for a name."""
    text = key if isinstance(key, str) else str(key)
    shown = repr(text if len(text) <= _LONGEST else f"{text[:8]}…")
    return shown if isinstance(key, str) else shown.strip("'\"")


def path_text(keys: Keys) -> str:
    """Return keys as TOML writes them: ``credentials.acme[1].values``, in quotes where they must be.

    Example:
        >>> path_text(("models", "acme/large", "features", 0))
        'models."acme/large".features[0]'
    """
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
            continue
        short = key if len(key) <= _LONGEST else f"{key[:8]}…"
        text += ("." if text else "") + (short if _BARE.fullmatch(short) else json.dumps(short, ensure_ascii=False))
    return text
