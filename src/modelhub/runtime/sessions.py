"""Plugins' sessions: what their ``open`` yields, one for each provider and credential, for as long as that is worth it.

Owns when sessions are entered and left. They are entered by the call that needs them first, and left beside calls or
with the hub: in another task. Those of the operator's own credentials last as long as the hub. Credentials that came
with calls belong to any number of tenants who may never come again: of theirs some are kept, and what was used longest
ago makes room for what comes. None is left while a call has it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, final
from weakref import WeakSet

import anyio

from modelhub.errors import ConfigurationError, ModelHubError, PluginError
from modelhub.rules.redaction import clean
from modelhub.runtime.single_flight import SingleFlight
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.provider.context import ProviderContext
    from modelhub.runtime.background import Background
    from modelhub.runtime.registration import BoundProvider
    from modelhub.types.credential import CredentialKey

__all__ = ["Sessions"]

_Key: TypeAlias = "tuple[str, CredentialKey]"

_KEPT = 128
"""Sessions of credentials that came with calls, before those that are idle are left."""

_CLOSE_SECONDS = 5.0


@final
class _Session:
    """One that is open, and who has it.

    Attributes:
        value: What the plugin yielded.
        holders: The contexts that it was given to, for as long as anybody has them: then a call may still use it. So
            no way in which a call may end can be forgotten.
        lasting: Whether it is the operator's.
        left: Set once it is closed.
    """

    __slots__ = ("_context", "_manager", "holders", "lasting", "left", "value")

    def __init__(self, value: object, manager: AbstractAsyncContextManager[object], context: ProviderContext) -> None:
        self.value = value
        self.holders: WeakSet[ProviderContext] = WeakSet()
        self.lasting = False
        self.left = anyio.Event()
        self._manager = manager
        self._context = context

    async def leave(self) -> None:
        """Close it. Whatever its plugin does meanwhile ends here, after some seconds at most."""
        log = self._context.log
        try:
            with anyio.move_on_after(_CLOSE_SECONDS, shield=True) as scope:
                await self._exited()
            if scope.cancelled_caught:
                log.warning("closing a session did not end within %.0f seconds, and was cancelled", _CLOSE_SECONDS)
            await _released(self._context)
        finally:
            self.left.set()

    async def _exited(self) -> None:
        stopping = (anyio.get_cancelled_exc_class(), GeneratorExit, KeyboardInterrupt)
        try:
            await self._manager.__aexit__(None, None, None)
        except stopping:
            raise
        except BaseException as error:  # not even a plugin that exits keeps others from being left
            clean(error, self._context.credential.secrets)
            self._context.log.warning("closing a session raised %s", type(error).__name__, exc_info=error)


@final
class Sessions:
    """The sessions of a hub on its event loop.

    Args:
        background: Leaves sessions beside calls; without it, the call that needs room does.
    """

    def __init__(self, background: Background | None = None) -> None:
        self._background = background
        self._open: dict[_Key, _Session] = {}  # the last: what was used longest ago makes room first
        self._leaving: dict[_Session, None] = {}
        self._flights = SingleFlight()
        self._closed = False

    async def lend(
        self,
        bound: BoundProvider,
        context: ProviderContext,
        own: Callable[[], ProviderContext],
        *,
        lasting: bool,
    ) -> None:
        """Give a context what its plugin's ``open`` yields for its credential, entering it at the first call.

        Args:
            bound: The plugin.
            context: What is given it: for as long as it exists, the session is not left.
            own: Makes the session's own context, which lasts as long as it does.
            lasting: Whether the credential is the operator's, who will use it again.

        Raises:
            PluginError: It cannot be opened.
            ConfigurationError: The hub was left.
        """
        key = (bound.id, context.credential.key)
        fresh = False
        while (session := self._open.pop(key, None)) is None:  # it may have made room before who waited for it ran
            fresh = True
            await self._flights.run(key, partial(self._entered, key, bound, own))
        self._open[key] = session  # the last now
        session.lasting = session.lasting or lasting
        session.holders.add(context)
        context.session = session.value
        if fresh:
            await self._make_room()

    async def _entered(self, key: _Key, bound: BoundProvider, own: Callable[[], ProviderContext]) -> None:
        if key in self._open or bound.open is None:
            return
        self._check_open()
        context = own()
        try:
            manager = bound.open(context)
            session = _Session(await manager.__aenter__(), manager, context)
        except BaseException as error:
            await _released(context)
            if isinstance(error, ModelHubError) or not isinstance(error, Exception):
                raise
            message = f"opening a session failed: {type(error).__name__}: {printable(str(error))}"
            raise PluginError(message) from error
        if self._closed:  # meanwhile
            await session.leave()
        self._check_open()
        self._open[key] = session

    async def _make_room(self) -> None:
        """Have sessions left that nobody has, where there are many."""
        passing = [key for key, session in self._open.items() if not session.lasting]
        surplus = len(passing) - _KEPT
        idle = [key for key in passing if not self._open[key].holders] if surplus > 0 else []
        for session in [self._open.pop(key) for key in idle[:surplus]]:
            self._leaving[session] = None
            if self._background is None:
                await self._leave(session)
            else:
                self._background.start("closing a session", partial(self._leave, session))

    async def _leave(self, session: _Session) -> None:
        try:
            await session.leave()
        finally:
            self._leaving.pop(session, None)

    def renew(self) -> None:
        """Have those of credentials make room that the operator uses no more: who still does, says so."""
        for session in self._open.values():
            session.lasting = False

    def retire(self, credentials: Collection[CredentialKey]) -> None:
        """Have those of some credentials make room, whose nodes are gone.

        Args:
            credentials: Their keys.
        """
        for (_, credential), session in self._open.items():
            if credential in credentials:
                session.lasting = False

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("the hub was left while the call was under way", remedy="end the calls first")

    async def aclose(self) -> None:
        """Leave every session at once; what one of them does at its end keeps no other from it."""
        self._closed = True
        leaving, still_open = list(self._leaving), list(self._open.values())
        self._open.clear()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as group:
                for session in reversed(still_open):
                    group.start_soon(session.leave)
                for session in leaving:
                    group.start_soon(session.left.wait)

    def __repr__(self) -> str:
        return f"<Sessions: {len(self._open)} open, {len(self._leaving)} being closed>"


async def _released(context: ProviderContext) -> None:
    """Give back the connections of a session, with some seconds for that."""
    if context.open_http is not None:
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await context.open_http.aclose()
