"""The installed extensions: middleware and sinks of other distributions, imported when the hub is entered.

They are found as providers are, without importing anything. One that fails is a state with a reason: the hub goes on
without it, and the log says so.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from functools import partial
from importlib.metadata import EntryPoint
from typing import Literal, cast, final

import anyio

from modelhub.configuration.settings import PluginSettings
from modelhub.errors import PluginError
from modelhub.hookspecs import EXTENSION_GROUP
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.provider.middleware import Middleware, Sink
from modelhub.provider.threads import run_in_thread
from modelhub.rules.names import nearest
from modelhub.runtime.background import Background
from modelhub.runtime.loading import LoadFailure, failure_of, in_time, load, shielded
from modelhub.runtime.observers import Observers
from modelhub.runtime.plugin import distribution_of, refused_distribution
from modelhub.runtime.plugins import scan
from modelhub.runtime.sinks import sink_problem
from modelhub.types.plugins import ExtensionInfo, PluginState

__all__ = ["Extension", "Extensions"]

_HOOKS = ("before", "attempt", "retry", "first_content", "attempt_ended", "end")
_MISSPELT = 0.8
"""How alike a method's name must be to a hook's to have been meant as it."""

_log = logging.getLogger("modelhub.plugins")


@final
class Extension:
    """One extension and how far it has come.

    Attributes:
        target: The middleware or the sink, once it was made.
        kind: Which of them it is.
    """

    __slots__ = ("distribution", "entry_point", "failure", "id", "kind", "state", "target", "version")

    def __init__(self, entry_point: EntryPoint, settings: PluginSettings) -> None:
        self.id: str = entry_point.name
        self.entry_point: EntryPoint = entry_point
        self.distribution: str | None
        self.version: str | None
        self.distribution, self.version = distribution_of(entry_point)
        self.failure: LoadFailure | None = refused_distribution(self.distribution, settings)
        self.state: PluginState = self.failure.state if self.failure else PluginState.DISCOVERED
        self.target: object = None
        self.kind: Literal["middleware", "sink"] | None = None

    async def load(self, *, seconds: float) -> None:
        """Import its code and make its object; a failure becomes its state."""
        try:
            what = f"importing {self.entry_point.value}"
            self.target, self.kind = await in_time(partial(_made, self.entry_point), what=what, seconds=seconds)
        except PluginError as error:
            self.failure = failure_of(error)
            self.state = self.failure.state
            where = f" (distribution {self.distribution} {self.version})" if self.distribution else ""
            _log.warning("the extension %r%s is not used: %s", self.id, where, self.failure.reason)
        else:
            self.state = PluginState.READY

    def info(self) -> ExtensionInfo:
        """Return it as it stands."""
        failure = self.failure
        return ExtensionInfo(
            id=self.id,
            state=self.state,
            kind=self.kind,
            distribution=self.distribution,
            version=self.version,
            reason=failure.reason if failure else None,
            remedy=failure.remedy if failure else None,
            traceback=failure.traceback or None if failure else None,
        )

    def __repr__(self) -> str:
        return f"<extension {self.id}: {self.state.value}>"


@final
class Extensions:
    """The installed extensions of one hub. Their objects are made once, however often it is entered.

    Args:
        settings: Which distributions may be used.
    """

    def __init__(self, settings: PluginSettings) -> None:
        self._settings = settings
        self._found: Sequence[Extension] | None = None

    async def found(self) -> Sequence[Extension]:
        """Return those that are installed, usable or not, by name. Imports none of them."""
        if self._found is None:
            self._found = await run_in_thread(self._scanned, name="extension discovery")
        return self._found

    def _scanned(self) -> Sequence[Extension]:
        if self._settings.allow is not None and not self._settings.allow:
            return ()  # nothing is allowed: nothing need be looked for
        return [
            Extension(each, self._settings) for _, claims in sorted(scan(EXTENSION_GROUP).items()) for each in claims
        ]

    async def loaded(self) -> Sequence[Extension]:
        """Import all that may be used, side by side, and return those that can be."""
        found = await self.found()
        waiting = [each for each in found if each.state is PluginState.DISCOVERED]
        if waiting:
            async with anyio.create_task_group() as group:
                for each in waiting:
                    group.start_soon(partial(each.load, seconds=self._settings.load_seconds))
        return [each for each in found if each.state is PluginState.READY]

    async def observers(
        self,
        middleware: Iterable[Middleware] = (),
        sinks: Iterable[Sink] = (),
        *,
        background: Background,
        clock: Callable[[], float] = time.monotonic,
    ) -> Observers:
        """Make the observers of a hub that is being entered, of what was given in code and what is installed.

        Raises:
            ConfigurationError: Something given in code is no middleware, or no sink.
        """
        loaded = await self.loaded()
        own = [cast("Middleware", each.target) for each in loaded if each.kind == "middleware"]
        more = [cast("Sink", each.target) for each in loaded if each.kind == "sink"]
        return Observers([*middleware, *own], [*sinks, *more], background=background, clock=clock)

    async def infos(self, observers: Observers | None = None) -> list[ExtensionInfo]:
        """Return every extension as it stands, those given in code after those installed. Imports none of them.

        Args:
            observers: Those of the entered hub, which know what was given in code, and what was dropped.
        """
        found = await self.found()
        infos = [each.info() for each in found]
        if observers is None:
            return infos
        installed = {id(each.target): place for place, each in enumerate(found) if each.target is not None}
        given = [each for each in observers.middleware if id(each) not in installed]
        infos += [ExtensionInfo(type(each).__name__, PluginState.READY, "middleware") for each in given]
        for queue in observers.queues:
            place = installed.get(id(queue.sink))
            if place is None:
                place = len(infos)
                infos.append(ExtensionInfo(queue.name, PluginState.READY, "sink"))
            infos[place] = replace(infos[place], dropped=queue.dropped, failed=queue.failed)
        return infos

    def __repr__(self) -> str:
        return f"<Extensions: {'not looked for' if self._found is None else len(self._found)}>"


def _made(entry_point: EntryPoint) -> tuple[object, Literal["middleware", "sink"]]:
    """Import an extension's code and make its object. Blocks.

    Raises:
        PluginError: Any of that failed, or it is neither middleware nor a sink; the message is one line.
    """
    target = load(entry_point)
    if isinstance(target, type) and (issubclass(target, Middleware) or _makes_sinks(target)):
        try:
            inspect.signature(target).bind()
        except TypeError as error:
            message = f"{target.__name__}() cannot be made without arguments: {error}"
            raise PluginError(message, remedy=AUTHOR_MENDS) from None
        with shielded(f"making {target.__name__}()"):
            target = target()
    if isinstance(target, Middleware):
        problems = list(_problems(target))
        if problems:
            raise PluginError("; ".join(problems), remedy=AUTHOR_MENDS)
        return target, "middleware"
    if sink_problem(target) is None:
        return target, "sink"
    shown = f"the class {target.__name__}" if isinstance(target, type) else f"a {type(target).__name__}"
    message = f"{entry_point.value} is {shown}, which is neither modelhub.provider.Middleware nor a sink"
    raise PluginError(message, remedy=AUTHOR_MENDS)


def _makes_sinks(target: type) -> bool:
    return any("emit" in vars(base) or "__call__" in vars(base) for base in target.__mro__)


def _problems(middleware: Middleware) -> Iterator[str]:
    """Yield what would fail at the first call, one line each."""
    for name in _HOOKS:
        function = getattr(middleware, name)
        if not inspect.iscoroutinefunction(function):
            yield f"{name} must be a coroutine (async def)"
            continue
        try:
            inspect.signature(function).bind(None)
        except TypeError as error:
            yield f"{name} must take one argument: {error}"
    for name in dir(middleware):
        if (
            name.startswith("_")
            or name in vars(Middleware)
            or not inspect.iscoroutinefunction(getattr(middleware, name))
        ):
            continue
        near = nearest(name, _HOOKS, most=1)
        if near and SequenceMatcher(None, name.casefold(), near[0]).ratio() >= _MISSPELT:
            yield f"there is no hook {name!r}; did you mean {near[0]!r}?"
