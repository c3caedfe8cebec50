"""What a hub tells the other processes about deployments and keys, and what it makes of what they tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, final
from weakref import WeakKeyDictionary

import anyio

from modelhub.rules.routing.pool import Change, Pool
from modelhub.rules.routing.rates import Bucket
from modelhub.shared.fingerprints import fingerprint
from modelhub.shared.seam import Hints, SharedState

if TYPE_CHECKING:
    from modelhub.rules.routing.course import Option
    from modelhub.rules.routing.vitals import Vitals
    from modelhub.runtime.deployments import Deployment

__all__ = ["Sharing"]

_LISTEN_SECONDS = 0.25
_OWN_SECONDS = 2.0
"""For how long what this process found out itself goes before what is heard: that may be older."""


@final
class Sharing:
    """One hub among several processes.

    Args:
        state: What they share.
        namespace: What they share it under.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, state: SharedState, namespace: str, *, clock: Callable[[], float]) -> None:
        self._state = state
        self._namespace = namespace
        self._clock = clock
        self._names: WeakKeyDictionary[Vitals, tuple[str, str]] = WeakKeyDictionary()
        self._told: dict[str, float] = {}

    def joined(self, deployment: Deployment, vitals: Vitals) -> None:
        """A deployment is known here from now on, until it is forgotten."""
        key = fingerprint(deployment.credential, provider=deployment.provider_id, namespace=self._namespace)
        self._names[vitals] = (f"{key}:{deployment.model}", key)

    def bucket(self, deployment: Deployment, what: str, limit: float) -> Bucket:
        """Return what all processes may take of a deployment a minute; all addresses of its host share it.

        Args:
            deployment: The deployment.
            what: ``requests`` or ``tokens``.
            limit: How much all of them together may take. Who says another limit counts apart.
        """
        account = fingerprint(
            deployment.credential, provider=deployment.provider_id, namespace=self._namespace, whole=True
        )
        return self._state.bucket(f"{account}:{deployment.model}:{float(limit)}:{what}", limit)

    def changed(self, option: Option[Deployment], change: Change) -> None:
        """Something happened to a deployment here: tell the others."""
        names = self._names.get(option.vitals)
        if names is None:
            return
        name, key = names
        if change.what == "credential disabled":
            self._told[key] = self._clock()
            self._state.disabled(key, change.until, change.error)
        else:
            self._told[name] = self._clock()
            self._state.ejected(name, change.until if change.what == "ejected" else self._clock())

    def accepted(self, vitals: Vitals) -> None:
        """A vendor takes a key that it had refused: tell the others, and heed no older word of it any more."""
        names = self._names.get(vitals)
        if names is not None:
            _, key = names
            self._told[key] = self._clock()
            self._state.disabled(key, self._clock(), "")

    async def listen(self, pool: Pool) -> None:
        """Heed what the others find out, until cancelled: their hints keep calls away, and a probe may find otherwise.

        Args:
            pool: What is told.
        """
        heard: Hints | None = None
        while True:
            hints = self._state.hints()
            if hints is not heard:
                heard = hints
                self._heed(hints, pool)
            await anyio.sleep(_LISTEN_SECONDS)

    def _heed(self, hints: Hints, pool: Pool) -> None:
        now = self._clock()
        self._told = {name: at for name, at in self._told.items() if now - at < _OWN_SECONDS}
        for vitals, (name, key) in self._names.items():
            until = hints.ejected.get(name, now)
            if until > now and name not in self._told and vitals.breaker.closed:
                vitals.breaker.hint(until)
                pool.changed(vitals)
            elif until <= now and vitals.breaker.hinted:
                vitals.breaker.answered(now)  # who had ejected it has found it well
                pool.changed(vitals)
            refused = hints.disabled.get(key)
            if refused is not None and refused.until > now and key not in self._told:
                vitals.key.heard(refused.until, refused.reason)
                pool.changed(vitals)

    def __repr__(self) -> str:
        return f"<Sharing: {len(self._names)} deployments>"
