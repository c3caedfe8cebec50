"""Takes the local variables out of the tracebacks of exceptions: a key that was sent stands in some of them.

Tools that report errors print the variables of every frame. Owns which frames can be emptied: those that have ended.
Does not know what a secret is.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import FrameType

__all__ = ["chain", "clear_locals"]

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


def clear_locals(error: BaseException) -> None:
    """Empty every ended frame in the tracebacks of an exception and of all behind it.

    Frames that still run, or wait, keep their variables: an exception may have come through several tasks.
    """
    for each in chain(error):
        traceback = each.__traceback__
        while traceback is not None:
            frame = traceback.tb_frame
            if _REFUSES or _has_ended(frame):
                _clear(frame)
            traceback = traceback.tb_next


def _has_ended(frame: FrameType) -> bool:
    # A frame that still runs or waits belongs to its function call or generator; the collector sees what is in it only
    # when it belongs to nobody else (CPython, Objects/frameobject.c, frame_traverse).
    return any(each is frame.f_code for each in gc.get_referents(frame))


def _clear(frame: FrameType) -> None:
    try:
        frame.clear()
    except RuntimeError:
        return  # it still runs
