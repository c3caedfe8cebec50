"""Takes secrets out of exceptions before anybody sees them: vendors, and the libraries of plugins, repeat keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["clean"]

_SHORTEST = 4
"""Shorter secrets are no keys, and stand in ordinary words."""


def clean(error: BaseException, secrets: Iterable[str]) -> None:
    """Replace secrets by ``***`` in the texts of an exception and of every exception behind it.

    One that shows a secret all the same, because its text is not made of what it was given, is cut off from the
    exceptions that it led to.
    """
    words = sorted((secret for secret in secrets if len(secret) >= _SHORTEST), key=len, reverse=True)
    if not words:
        return
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        seen.add(id(each))
        _scrub(each, words)
        waiting.extend(behind for behind in _behind(each) if id(behind) not in seen)
    _cut(error, words, set())


def _behind(error: BaseException) -> Iterator[BaseException]:
    if error.__cause__ is not None:
        yield error.__cause__
    if error.__context__ is not None:
        yield error.__context__
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions


def _scrub(error: BaseException, words: list[str]) -> None:
    with suppress(Exception):  # what cannot be scrubbed is cut off afterwards where it shows a secret
        error.args = _without(error.args, words)
        for name, value in list(vars(error).items()):
            vars(error)[name] = _without(value, words)


def _without(value: Any, words: list[str]) -> Any:
    match value:
        case str():
            for word in words:
                value = value.replace(word, "***")
            return value
        case bytes():
            for word in words:
                value = value.replace(word.encode(errors="replace"), b"***")
            return value
        case tuple() if type(value) is tuple:
            return tuple(_without(item, words) for item in value)
        case list() if type(value) is list:
            return [_without(item, words) for item in value]
        case Mapping() if type(value) is dict:
            return {_without(key, words): _without(item, words) for key, item in value.items()}
        case _:
            return value


def _cut(error: BaseException, words: list[str], seen: set[int]) -> None:
    """Cut what still shows a secret off from what it led to."""
    seen.add(id(error))
    for behind in _behind(error):
        if id(behind) in seen:
            continue
        _cut(behind, words, seen)
        if _shows(behind, words):
            error.__cause__ = error.__context__ = None
            error.__suppress_context__ = True


def _shows(error: BaseException, words: list[str]) -> bool:
    try:
        shown = f"{error} {error!r}"
    except Exception:  # noqa: BLE001  it cannot be shown, and so cannot be known to be clean
        return True
    return any(word in shown for word in words)
