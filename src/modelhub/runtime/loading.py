"""Imports one plugin's code and makes its object; survives whatever it does but holding the interpreter's lock.

Whatever a plugin raises becomes a `PluginError` whose message is one line, in the thread where it was raised: not even
a cancellation that a plugin makes up reaches the caller as what it pretends to be.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import TypeVar

import anyio

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT
from modelhub.manifest.contract import AUTHOR_MENDS, IncompatibleContract, check_contract
from modelhub.provider.base import ModelProvider
from modelhub.provider.threads import run_in_thread
from modelhub.types.plugins import PluginState
from modelhub.wire.excerpt import clean as printable

__all__ = [
    "LoadFailure",
    "failure_of",
    "in_time",
    "instance_of",
    "load",
    "module_of",
    "shielded",
]

T = TypeVar("T")

_LINE = 300
"""Characters of a foreign message that a line has room for."""


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a plugin cannot be used.

    Attributes:
        reason: One line.
        remedy: Who must act and how.
        state: ``failed``, ``disabled`` or ``incompatible``.
        traceback: For the plugin's author; empty where it tells nothing.
    """

    reason: str
    remedy: str
    state: PluginState = PluginState.FAILED
    traceback: str = ""


def failure_of(error: PluginError) -> LoadFailure:
    """Return why a plugin cannot be used, from what an attempt to use it raised."""
    state = PluginState.INCOMPATIBLE if isinstance(error, IncompatibleContract) else PluginState.FAILED
    cause = error.__cause__
    trace = "" if cause is None else "".join(traceback.format_exception(cause))
    return LoadFailure(" ".join(error.message.split()), error.remedy or AUTHOR_MENDS, state, trace)


async def in_time(work: Callable[[], T], *, what: str, seconds: float) -> T:
    """Run a plugin's code in a daemon thread.

    Args:
        work: What to run.
        what: What that is, in words.
        seconds: How long it may take; the thread is left behind then.

    Raises:
        PluginError: It took longer.
    """
    with anyio.move_on_after(seconds):
        return await run_in_thread(work, name=what)
    raise PluginError(
        f"{what} took longer than {seconds:g} s",
        remedy="the plugin's author must not do slow work at import; restart after it was mended or removed",
    )


@contextmanager
def shielded(what: str) -> Iterator[None]:
    """Turn whatever a plugin's code raises into one line.

    Args:
        what: What the code was run for.

    Raises:
        PluginError: From what it raised.
    """
    try:
        yield
    except PluginError:
        raise
    except SystemExit as error:
        raise PluginError(f"{what} called sys.exit({error.code!r})", remedy=AUTHOR_MENDS) from error
    except BaseException as error:
        raise PluginError(f"{what} failed: {_line(error)}", remedy=AUTHOR_MENDS) from error


def _line(error: BaseException) -> str:
    text = printable(str(error))
    text = text if len(text) <= _LINE else f"{text[:_LINE]}…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def module_of(entry_point: EntryPoint) -> str:
    """Return the module that an entry point names.

    Raises:
        PluginError: It names none.
    """
    try:
        return entry_point.module
    except (AttributeError, ValueError):  # the latter of newer versions, and of the backport that others may import
        message = f"its entry point is {entry_point.value!r}, which is not module:object"
        raise PluginError(message, remedy="the plugin's author must mend it in its pyproject.toml") from None


def load(entry_point: EntryPoint) -> object:
    """Import what an entry point names and make the plugin object. Blocks for as long as the import does.

    Raises:
        PluginError: The code cannot be imported or the object not be made; the message is one line that says why.
        IncompatibleContract: It declares another contract.
    """
    module = module_of(entry_point)
    with shielded(f"importing {module}"):
        try:
            target = entry_point.load()
        except ModuleNotFoundError as error:
            raise _not_found(error, module) from error
        except ImportError as error:
            message = f"importing {module} failed: {_line(error)}"
            raise PluginError(message, remedy="check the versions of its dependencies") from error
        except AttributeError as error:
            if isinstance(error.obj, ModuleType) and error.obj.__name__ == module:
                message = f"{module} has no {entry_point.attr!r}, which its entry point names"
                raise PluginError(message, remedy="the plugin's author must mend it in its pyproject.toml") from None
            raise
    return instance_of(target)


def _not_found(error: ModuleNotFoundError, module: str) -> PluginError:
    missing = error.name or "?"
    if module == missing or module.startswith(f"{missing}."):
        remedy = "reinstall the distribution; if that does not help, its author must mend the entry point"
        return PluginError(f"module {module!r} does not exist", remedy=remedy)
    remedy = f"install what brings the module {missing!r}; the plugin's author should declare it"
    return PluginError(f"importing {module} failed: module {missing!r} is not installed", remedy=remedy)


def instance_of(target: object) -> object:
    """Return the plugin object: the one instance of a `ModelProvider` class, or the object itself.

    Raises:
        PluginError: The class cannot be made without arguments, or making it failed.
        IncompatibleContract: It declares another contract.
    """
    declared = getattr(target, "contract", CONTRACT)
    if not isinstance(declared, ModuleType):  # of a package whose submodule has that name
        check_contract(declared)
    if not (isinstance(target, type) and issubclass(target, ModelProvider)):
        return target
    try:
        inspect.signature(target).bind()
    except TypeError as error:
        raise PluginError(
            f"{target.__name__}() cannot be made without arguments: {error}", remedy=AUTHOR_MENDS
        ) from None
    with shielded(f"making {target.__name__}()"):
        return target()
