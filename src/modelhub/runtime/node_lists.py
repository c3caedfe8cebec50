"""Lists of nodes that stand behind one credential, found when they are first wanted and anew while calls go there.

Owns when a list is looked up, and what becomes of it where that fails: the last one that was found stays. No call waits
but for the first. What is looked up is in `modelhub.runtime.nodes`. What is made of the nodes, and what happens to
those that are gone, is up to whoever is told of each look-up.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, final

import anyio

from modelhub.errors import ConfigurationError, ModelHubError
from modelhub.http.addresses import Resolver, looked_up

if TYPE_CHECKING:
    from modelhub.runtime.background import Background
    from modelhub.types.credential import Credential, CredentialKey

__all__ = ["Lookup", "NodeList", "NodeLists"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_SPREAD = 0.2
_LONGEST_SECONDS = 30.0
"""How long one look-up may take."""

_AGAIN_SECONDS = 1.0
_AGAIN_LONGEST = 5.0
"""How soon it is tried again where there is no list yet: doubled each time, so long at most."""

_IN_USE_SECONDS = 600.0
"""For how long after the last call to it a list is kept up to date."""

_REMEMBERED = 256
"""Lists that are kept up to date: there are as many as bound models with functions of their own."""

_MOST_KEYS = 1024
"""Credentials of one node whose connections are closed once it is gone; those of others end when room is made."""

_log = logging.getLogger("modelhub")


class Lookup(Protocol[T_co]):
    """How a list is found, and how often.

    Attributes:
        refresh: Seconds between two look-ups, about.
    """

    refresh: float

    async def __call__(self) -> Mapping[str, T_co]:
        """Return the nodes by their names, one at least.

        Raises:
            ModelHubError: There are none, or they cannot be found; made by `failure`.
        """

    def failure(self, why: str) -> ModelHubError:
        """Return an error that says whose list it is, why it cannot be found and who must act."""


@final
class NodeList(Generic[T]):
    """Nodes that were found, and how to find them anew.

    Attributes:
        items: The nodes by name; none before they were found.
        edition: Another number once they are others.
        error: Why the last look-up failed; ``None`` where it did not.
        keys: The credentials that were made of each node.
        dropped: Whether others need its room more: it is not kept up to date until it is used again.
        used: When a call went there last.
        due: When it is looked up next.
        kept: Whether a task looks it up.
        found: Set once it was looked up, whatever came of it.
        since: When somebody began to wait for that.
    """

    __slots__ = (
        "_left",
        "_left_before",
        "_lookup",
        "_misses",
        "dropped",
        "due",
        "edition",
        "error",
        "found",
        "items",
        "kept",
        "keys",
        "since",
        "used",
    )

    def __init__(self, lookup: Lookup[T]) -> None:
        self._lookup = lookup
        self._misses = 0
        self._left: set[CredentialKey] = set()
        self._left_before: set[CredentialKey] = set()
        self.items: Mapping[str, T] = {}
        self.edition: int = 0
        self.error: ModelHubError | None = None
        self.keys: dict[str, set[CredentialKey]] = {}
        self.used: float = -math.inf
        self.due: float = -math.inf
        self.kept: bool = False
        self.dropped: bool = False
        self.found: anyio.Event = anyio.Event()
        self.since: float = -math.inf

    async def look(self) -> bool:
        """Look it up; returns whether the nodes are others now.

        What fails is kept as ``error``, and logged when it begins to fail and no more.
        """
        self._left, self._left_before = set(), self._left
        try:
            with anyio.fail_after(_LONGEST_SECONDS):
                found = await self._lookup()
        except TimeoutError:
            self._failed(self._lookup.failure(f"it took longer than {_LONGEST_SECONDS:g} seconds"))
            return False
        except ModelHubError as error:
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001  a mistake in it must neither end the task nor look like anything else
            name = type(error).__name__
            if self.error is None:
                _log.error("looking up nodes raised %s", name, exc_info=error)
            self._failed(self._lookup.failure(f"it raised {name}"))
            return False
        if self.error is not None and self.items:
            _log.info("nodes are found again: %s", ", ".join(found))
        self.error, self._misses = None, 0
        if found == self.items:
            return False
        left = [name for name, item in self.items.items() if name not in found or found[name] != item]
        self._left = {key for name in left for key in self.keys.pop(name, ())}
        self.items = found
        self.edition += 1
        return True

    def _failed(self, error: ModelHubError) -> None:
        if self.error is None and self.items:
            _log.warning("%s; the nodes that were found last stay: %s", error, ", ".join(self.items))
        self.error, self._misses = error, self._misses + 1

    def wait(self, jitter: float) -> float:
        """Return the seconds until it should be looked up again.

        Args:
            jitter: A factor about 1, at random.
        """
        if self.items:
            return self._lookup.refresh * jitter
        return min(_AGAIN_SECONDS * 2.0 ** min(self._misses - 1, 8), _AGAIN_LONGEST) * jitter

    def made(self, name: str, credentials: Iterable[Credential]) -> None:
        """Remember what was made of a node."""
        keys = self.keys.setdefault(name, set())
        if len(keys) < _MOST_KEYS:
            keys.update(each.key for each in credentials)

    def gone(self) -> set[CredentialKey]:
        """Return the credentials of nodes that are gone since the last look-up or the one before it.

        Both, because calls that had chosen such a node just before may have opened a connection just after.
        """
        return (self._left | self._left_before).difference(*self.keys.values())

    def failure(self, seconds: float) -> ModelHubError:
        """Return why there are no nodes, for one more caller.

        Args:
            seconds: Until it is tried again.
        """
        why = "the hub was left" if self.found.is_set() else "the look-up has not ended yet"
        error = copy.copy(self.error or self._lookup.failure(why))
        error.retry_after = seconds
        return error

    def __repr__(self) -> str:
        return f"<NodeList: {', '.join(self.items) or 'nothing found'}>"


@final
class NodeLists:
    """The lists of a hub on its event loop.

    Args:
        background: Looks lists up; without it each is found once, by who wants it.
        clock: A monotonic clock, in seconds.
        random: Spreads look-ups.
        resolve: Looks up names of hosts.

    Attributes:
        edition: Another number once any list is another.
        changed: Told of a list after each look-up of it.
        resolve: Looks up names of hosts.
    """

    def __init__(
        self,
        background: Background | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        resolve: Resolver = looked_up,
    ) -> None:
        self._background = background
        self._clock = clock
        self._random = random or Random()
        self._lists: dict[Hashable, NodeList[Any]] = {}
        self.resolve: Resolver = resolve
        self.edition: int = 0
        self.changed: Callable[[NodeList[Any]], Awaitable[None]] | None = None

    async def find(self, key: Hashable, lookup: Lookup[T], patience: float = math.inf) -> NodeList[T]:
        """Return a list; only the first who wants one waits until it is looked up.

        Where it has never been found it has no nodes, and `failure` says why. It is tried again beside calls.

        Args:
            key: What makes it the same list.
            lookup: How it is found, where it is not known.
            patience: Seconds that all who want it wait at most; then it is looked up beside them.
        """
        nodes: NodeList[T] | None = self._lists.get(key)
        if nodes is None:
            if len(self._lists) >= _REMEMBERED:
                self._thin_out()
            nodes = self._lists[key] = NodeList(lookup)
        self.use(nodes)
        if not nodes.items:
            if self._background is None:
                await self._look(nodes)
            else:  # beside the call, whose own deadline may come before the end of it
                with anyio.move_on_after(max(nodes.since + patience - self._clock(), 0.0)):
                    await nodes.found.wait()
        return nodes

    def failure(self, nodes: NodeList[Any]) -> ModelHubError:
        """Return why a list has no nodes, for one more caller; ``retry_after`` says when it is tried again."""
        return nodes.failure(max(nodes.due - self._clock(), 0.0))

    def use(self, nodes: NodeList[Any]) -> None:
        """A call goes to a list's nodes: keep it up to date."""
        nodes.used, nodes.dropped = self._clock(), False
        if nodes.kept or self._background is None:
            return
        if not nodes.items:
            nodes.found, nodes.since = anyio.Event(), nodes.used
        try:
            self._background.start("looking up nodes", partial(self._keep, nodes))
        except ConfigurationError:
            nodes.found.set()  # the hub was left, and a stream goes on: nothing is looked up any more
        else:
            nodes.kept = True

    def _thin_out(self) -> None:
        """Forget the lists that were not used for longest; who still holds one keeps it, and may use it again."""
        for key in sorted(self._lists, key=lambda key: self._lists[key].used)[: _REMEMBERED // 2]:
            self._lists.pop(key).dropped = True

    async def _keep(self, nodes: NodeList[Any]) -> None:
        """Look a list up again and again, for as long as calls go there."""
        try:
            # Once in any case: somebody waits for it, also where others needed its room before it was looked up.
            while not nodes.found.is_set() or (self._clock() - nodes.used < _IN_USE_SECONDS and not nodes.dropped):
                seconds = nodes.due - self._clock()
                if seconds > 0.0:
                    await anyio.sleep(seconds)
                else:
                    await self._look(nodes)
        finally:
            nodes.kept = False
            nodes.found.set()

    async def _look(self, nodes: NodeList[Any]) -> None:
        if await nodes.look():
            self.edition += 1
        nodes.due = self._clock() + nodes.wait(self._random.uniform(1.0 - _SPREAD, 1.0 + _SPREAD))
        nodes.found.set()
        if self.changed is not None:
            await self.changed(nodes)

    def __repr__(self) -> str:
        return f"<NodeLists: {len(self._lists)}>"
