"""Takes the local variables out of the tracebacks of exceptions: keys that were given or sent stand in some of them.

Tools that report errors print the variables of every frame. Owns which frames can be emptied: those that have ended.
Does not know what a secret is.
"""

from __future__ import annotations

import functools
import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypeVar, cast

__all__ = ["chain", "clear_locals", "hides_arguments"]

F = TypeVar("F", bound=Callable[..., Any])

_READERS = frozenset({"modelhub", "cryptography", "json", "keyring", "pydantic", "tomllib", "yaml"})
"""Packages whose functions are given settings whole, before anybody knows what in them is secret."""

_REFUSES = sys.version_info >= (3, 13)
"""Whether emptying the frame of a generator that still waits is refused; before, it would close the generator."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and every one behind it: causes, contexts, members of groups; each once."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [behind for behind in (each.__cause__, each.__context__) if behind is not None]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def hides_arguments(function: F) -> F:
    """Keep what a function is called with out of the tracebacks of what it raises.

    For the functions that an application calls with keys in its hands. The frames of plugins keep their variables:
    they are given secrets as such, and their authors want to see the rest.
    """

    @functools.wraps(function)
    async def awaited(*arguments: Any, **keywords: Any) -> Any:
        try:
            return await function(*arguments, **keywords)
        except BaseException as error:
            del arguments, keywords
            clear_locals(error, packages=_READERS)
            raise

    @functools.wraps(function)
    def called(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*arguments, **keywords)
        except BaseException as error:
            del arguments, keywords
            clear_locals(error, packages=_READERS)
            raise

    return cast("F", awaited if inspect.iscoroutinefunction(function) else called)


def clear_locals(error: BaseException, *, packages: frozenset[str] | None = None) -> None:
    """Empty every ended frame in the tracebacks of an exception and of all behind it.

    Frames that still run, or wait, keep their variables: an exception may have come through several tasks.

    Args:
        error: The exception.
        packages: Empty only frames of modules of these; of all by default.
    """
    for each in chain(error):
        traceback = each.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if (packages is None or _package(frame) in packages) and (_REFUSES or _has_ended(frame)):
                _clear(frame)
            traceback = traceback.tb_next


def _has_ended(frame: FrameType) -> bool:
    # A frame that still runs or waits belongs to its function call or generator; the collector sees what is in it only
    # when it belongs to nobody else (CPython, Objects/frameobject.c, frame_traverse).
    return any(each is frame.f_code for each in gc.get_referents(frame))


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _clear(frame: FrameType) -> None:
    try:
        frame.clear()
    except RuntimeError:
        return  # it still runs
