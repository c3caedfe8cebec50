"""State that processes share through a Redis server: the only module that knows one.

One coroutine does all of it, one round trip a turn: eight turns a second while there is something to do, ten at most,
and one a second otherwise. Where Redis is slow, gone or empty, that coroutine notices and waits; calls never do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from inspect import signature
from typing import TYPE_CHECKING, Any, cast, final
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread

from modelhub.errors import ConfigurationError
from modelhub.rules.routing.rates import RateBucket
from modelhub.shared.lease import LeasedBucket
from modelhub.shared.link import TURN, Link
from modelhub.shared.script import SCRIPT
from modelhub.shared.seam import Disabled, Hints
from modelhub.types.secret import Secret

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["RedisState"]

_log = logging.getLogger("modelhub.sharing")

_IDLE = 1.0
"""Seconds between two turns while there is nothing to do but to be counted."""
_ALIVE = 3.5
"""Seconds that a process counts as alive after its last turn."""
_TIMEOUT = 2.0
"""Seconds that a round trip may take. Buckets do not wait for it; see `Link`."""
_CONNECTING = 10.0
"""The same for the first one of a connection, before which there are some others."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
"""Seconds before Redis is tried again after a failure; doubles."""
_LEAVING = 1.0
_MOST_HINTS = 1000
_LONGEST_HINT = 24 * 3600.0


@final
class RedisState:
    """What processes with the same namespace share through one Redis server. On asyncio only.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``; it may hold a password, and is shown nowhere.
        namespace: What the keys begin with.
        clock: A monotonic clock, in seconds; the times that buckets and hints are given are its.

    Raises:
        ConfigurationError: It is no URL of a Redis server.
    """

    def __init__(
        self, url: str | Secret, *, namespace: str = "modelhub", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url if isinstance(url, Secret) else Secret(url)
        self._namespace = namespace
        self._clock = clock
        self._me = secrets.token_hex(8)
        self._buckets: WeakValueDictionary[str, LeasedBucket] = WeakValueDictionary()
        self._hints = Hints()
        self._news: dict[tuple[str, str], tuple[float, str]] = {}
        self._link = Link(self._wake)
        self._pace = RateBucket(10.0, 1.0, burst=3.0)
        self._woken = anyio.Event()
        self._turns = anyio.Lock()
        self._client: Redis | None = None
        self._sha = ""
        self._failures = 0
        self._closed = False
        del url  # the error's traceback must not hold it
        if not _is_url(self._url):
            raise _no_url()

    def bucket(self, key: str, limit: float, period: float = 60.0) -> LeasedBucket:
        """Return the bucket that all processes have in common; see `SharedState.bucket`."""
        found = self._buckets.get(key)
        if found is None or found.period != period:
            found = self._buckets[key] = LeasedBucket(key, limit, period, self._link)
        found.limit = limit
        return found

    def ejected(self, deployment: str, until: float) -> None:
        """Tell the others that a deployment is left alone, or back; see `SharedState.ejected`."""
        self._tell("ejected", deployment, until, "")

    def disabled(self, fingerprint: str, until: float, reason: str) -> None:
        """Tell the others that a credential was refused, or is not; see `SharedState.disabled`."""
        self._tell("disabled", fingerprint, until, reason)

    def hints(self) -> Hints:
        """Return what the processes found out, as of the last turn."""
        return self._hints

    async def run(self) -> None:
        """Take turns until cancelled or closed; see `SharedState.run`."""
        self._link.started(self._clock())
        try:
            await self.prepare()
            while not self._closed:
                self._woken = anyio.Event()
                await self._turn()
                await self._pause()
        finally:
            self._link.stopped()

    async def flush(self) -> None:
        """Take a turn at once."""
        await self.prepare()
        await self._turn()

    async def aclose(self) -> None:
        """Give back what is not used, leave, and close."""
        if self._closed:
            return
        self._closed = True
        self._woken.set()
        with anyio.move_on_after(_LEAVING, shield=True):
            if self._client is not None:
                for bucket in list(self._buckets.values()):
                    bucket.leave()
                await self._turn()
        await self._disconnect()

    async def prepare(self) -> None:
        """Make the client, which a thread imports: it is not small. Connects to nothing; see `SharedState.prepare`."""
        if not isinstance(anyio.lowlevel.current_token().native_token, asyncio.AbstractEventLoop):
            message = "state is shared through Redis on asyncio only, and this event loop is another"
            raise ConfigurationError(message, remedy="run on asyncio, or leave [sharing] redis out of the settings")
        if self._client is None:
            self._client = await anyio.to_thread.run_sync(_client_of, self._url)

    async def _turn(self) -> None:
        """Tell and hear everything, in one round trip."""
        async with self._turns:
            begun = self._clock()
            asked = [(bucket, bucket.ask(begun)) for bucket in list(self._buckets.values())]
            asks = {bucket: ask for bucket, ask in asked if ask is not None}
            news, self._news = self._news, {}
            self._pace.settle(0.0, 1.0, begun)
            self._link.sent(begun)
            try:
                answer = await self._exchange(self._question(asks, news, begun), [bucket.key for bucket in asks])
                self._heard(answer, list(asks), begun)
            except BaseException as error:
                self._news = {**news, **self._news}
                for bucket in asks:
                    bucket.unanswered()
                self._link.failed(self._clock())
                if not isinstance(error, Exception):
                    raise
                await self._failed(error)  # whatever the client raises: it is no call's business

    def _question(
        self, asks: Mapping[LeasedBucket, Any], news: Mapping[tuple[str, str], tuple[float, str]], now: float
    ) -> str:
        told = {
            table: [
                [name, round(min(until - now, _LONGEST_HINT) * 1000), reason]
                for (which, name), (until, reason) in news.items()
                if which == table
            ]
            for table in ("ejected", "disabled")
        }
        question = {
            "me": self._me,
            "alive": round(_ALIVE * 1000),
            "leave": self._closed,
            "epoch": self._link.epoch,
            "new": secrets.token_hex(8),
            "most": _MOST_HINTS,
            "buckets": list(asks.values()),
        }
        return json.dumps(question | told)

    async def _exchange(self, question: str, keys: list[str]) -> Any:
        from redis.exceptions import NoScriptError  # noqa: PLC0415  who shares nothing need not have it

        client = self._client
        if client is None:
            client = self._client = _client_of(self._url)
        names = [*("epoch", "peers", "ejected", "disabled"), *(f"rate:{key}" for key in keys)]
        names = [f"{self._namespace}:{name}" for name in names]
        with anyio.fail_after(_TIMEOUT if self._sha else _CONNECTING):
            try:
                text: Any = await client.evalsha(self._sha, len(names), *names, question) if self._sha else None
            except NoScriptError:
                text = None
            if text is None:
                self._sha = str(await client.script_load(SCRIPT))
                text = await client.evalsha(self._sha, len(names), *names, question)
        return json.loads(text)

    def _heard(self, answer: Any, buckets: list[LeasedBucket], begun: float) -> None:
        now = self._clock()
        lost = self._link.answered(now, epoch=str(answer["epoch"]), peers=int(answer["peers"]))
        if lost:
            for bucket in list(self._buckets.values()):
                bucket.begin_anew(now)
        else:
            for bucket, heard in zip(buckets, answer["buckets"], strict=True):
                bucket.answer(begun, now, heard)
        self._hints = Hints(
            {str(name): now + left / 1000 for name, left, _ in answer["ejected"]},
            {str(name): Disabled(now + left / 1000, str(reason)) for name, left, reason in answer["disabled"]},
        )
        for (table, name), (until, reason) in self._news.items():  # told while the turn was under way
            self._apply(table, name, until, reason)
        if self._failures:
            self._failures = 0
            _log.info("Redis answers again: limits are shared with the other processes once more")

    async def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == 1:
            share = f"1/{self._link.peers}" if self._link.peers > 1 else "all"
            name = type(error).__name__
            _log.warning("Redis does not answer (%s): this process goes on with %s of each limit", name, share)
        await self._disconnect()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        self._sha = ""
        if client is not None:
            with anyio.move_on_after(_LEAVING, shield=True), suppress(Exception):
                await client.aclose()

    async def _pause(self) -> None:
        """Wait for the next turn: until something is to be told or asked, but not too often."""
        now = self._clock()
        if self._failures:
            pause = min(_FIRST_PAUSE * 2.0 ** (self._failures - 1), _LONGEST_PAUSE)
            self._woken = anyio.Event()  # what calls want does not bring Redis back: only being closed ends the wait
        else:
            busy = self._news or any(bucket.busy(now) for bucket in list(self._buckets.values()))
            pause = TURN if busy else _IDLE
        self._link.next_turn = now + self._pace.wait(1.0, now)
        with anyio.move_on_after(pause):
            await self._woken.wait()
        if not self._closed:
            await anyio.sleep(self._pace.wait(1.0, self._clock()))

    def _tell(self, table: str, name: str, until: float, reason: str) -> None:
        self._apply(table, name, until, reason)
        if len(self._news) < _MOST_HINTS or (table, name) in self._news:
            self._news[table, name] = (until, reason)
            self._wake()

    def _apply(self, table: str, name: str, until: float, reason: str) -> None:
        """Do to our own hints what the script does to all: the longer word counts, and one in the past ends it."""
        ejected, disabled = dict(self._hints.ejected), dict(self._hints.disabled)
        over = until <= self._clock()
        if table == "ejected":
            until = max(until, ejected.pop(name, until))
            ejected |= {} if over else {name: until}
        else:
            held = disabled.pop(name, None)
            longer = held if held is not None and held.until > until else Disabled(until, reason)
            disabled |= {} if over else {name: longer}
        self._hints = Hints(ejected, disabled)

    def _wake(self) -> None:
        if not self._failures:
            self._woken.set()

    def __repr__(self) -> str:
        return f"<RedisState {self._namespace}: {self._link!r}, {len(self._buckets)} buckets>"


def _client_of(url: Secret) -> Redis:
    try:
        from redis.asyncio import Redis  # noqa: PLC0415  heavy, and only for who shares
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError:
        message = "sharing state through Redis needs the package redis"
        raise ConfigurationError(message, remedy="install it: pip install 'modelhub-core[redis]'") from None
    # Telling the server its name makes the client look for its version on the disk, with every connection.
    names = ("driver_info",) if "driver_info" in signature(Redis).parameters else ("lib_name", "lib_version")
    with suppress(ValueError):
        # One try per turn: the turns themselves are the retries.
        return Redis.from_url(
            url.reveal(),
            decode_responses=True,
            socket_timeout=_TIMEOUT,
            socket_connect_timeout=_TIMEOUT / 2,
            retry=Retry(NoBackoff(), 0),
            **cast("dict[str, Any]", dict.fromkeys(names)),
        )
    raise _no_url()  # outside of what the client raised, which has the URL in it


def _is_url(url: Secret) -> bool:
    with suppress(ValueError):
        return urlsplit(url.reveal()).scheme in {"redis", "rediss", "unix"}
    return False


def _no_url() -> ConfigurationError:
    return ConfigurationError(
        "[sharing] redis is no URL of a Redis server",  # which may hold a password, so it is not shown
        remedy="write redis://HOST:PORT/NUMBER, rediss:// for TLS, or env:NAME for where it stands",
    )
