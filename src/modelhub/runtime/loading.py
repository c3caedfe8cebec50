"""Imports one plugin's code and makes its object; survives whatever it does but holding the interpreter's lock."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from types import ModuleType

import anyio

from modelhub.errors import PluginError
from modelhub.hookspecs import CONTRACT, CONTRACTS
from modelhub.provider.base import ModelProvider
from modelhub.provider.threads import run_in_thread

__all__ = ["IncompatibleContract", "LoadFailure", "check_contract", "instance_of", "load_code"]


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """Why a plugin could not be used.

    Attributes:
        reason: One line.
        remedy: Who must act and how.
        traceback: For the plugin's author; empty where it tells nothing.
    """

    reason: str
    remedy: str
    traceback: str = ""


class IncompatibleContract(PluginError):
    """The plugin was written for a contract that this core cannot serve."""


def check_contract(declared: object) -> None:
    """Refuse a contract that this core cannot serve.

    Raises:
        IncompatibleContract: Too new, too old, or no number.
    """
    if isinstance(declared, int) and declared in CONTRACTS:
        return
    if isinstance(declared, int) and declared > CONTRACT:
        message = f"it was written for contract {declared}; this modelhub serves {CONTRACT} at most"
        raise IncompatibleContract(message, remedy="upgrade modelhub-core, or install an older version of the plugin")
    message = f"it was written for contract {declared!r}; this modelhub serves {CONTRACTS.start} to {CONTRACT}"
    raise IncompatibleContract(message, remedy="install a newer version of the plugin")


async def load_code(entry_point: EntryPoint, *, seconds: float) -> object | LoadFailure:
    """Import what an entry point names, in a daemon thread, and make the plugin object.

    Args:
        entry_point: Where the plugin is.
        seconds: How long that may take; the thread is left behind then.
    """

    def load() -> object:
        return instance_of(entry_point.load())

    with anyio.move_on_after(seconds):
        return await _guarded(lambda: run_in_thread(load, name=f"import {entry_point.value}"), entry_point)
    remedy = "the plugin's author must not do slow work at import; restart after it was mended or removed"
    return LoadFailure(f"importing {entry_point.module} took longer than {seconds:g} s", remedy)


async def _guarded(run: Callable[[], Awaitable[object]], entry_point: EntryPoint) -> object | LoadFailure:
    try:
        return await run()
    except PluginError as error:
        return LoadFailure(error.message, error.remedy or "the plugin's author must mend it")
    except ModuleNotFoundError as error:
        return _module_not_found(error, entry_point)
    except ImportError as error:
        return _failure(
            f"importing {entry_point.module} failed: {_line(error)}",
            "check its dependencies' versions",
            error,
        )
    except AttributeError as error:
        if error.obj is not None and isinstance(error.obj, ModuleType) and error.obj.__name__ == entry_point.module:
            message = f"{entry_point.module} has no {entry_point.attr!r}, which its entry point names"
            return LoadFailure(message, "the plugin's author must mend the entry point in its pyproject.toml")
        return _failure(
            f"importing {entry_point.module} failed: {_line(error)}",
            "the plugin's author must mend it",
            error,
        )
    except SystemExit as error:
        message = f"importing {entry_point.module} called sys.exit({error.code!r})"
        return _failure(message, "the plugin's author must mend it", error)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises is its own
        return _failure(
            f"importing {entry_point.module} failed: {_line(error)}",
            "the plugin's author must mend it",
            error,
        )


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _failure(reason: str, remedy: str, error: BaseException) -> LoadFailure:
    return LoadFailure(reason, remedy, "".join(traceback.format_exception(error)))


def _module_not_found(error: ModuleNotFoundError, entry_point: EntryPoint) -> LoadFailure:
    missing = error.name or "?"
    if entry_point.module == missing or entry_point.module.startswith(f"{missing}."):
        remedy = "reinstall the distribution; if that does not help, its author must mend the entry point"
        return LoadFailure(f"module {entry_point.module!r} does not exist", remedy)
    remedy = f"install what brings the module {missing!r}; the plugin's author should declare it"
    return _failure(f"importing {entry_point.module} failed: module {missing!r} is not installed", remedy, error)


def instance_of(target: object) -> object:
    """Return the plugin object: the one instance of a `ModelProvider` class, or the object itself.

    Raises:
        PluginError: The class cannot be made without arguments.
        IncompatibleContract: The class declares another contract.
    """
    check_contract(getattr(target, "contract", CONTRACT))
    if isinstance(target, type) and issubclass(target, ModelProvider):
        try:
            return target()
        except TypeError as error:
            raise PluginError(f"{target.__name__}() cannot be made without arguments: {error}") from error
    return target
