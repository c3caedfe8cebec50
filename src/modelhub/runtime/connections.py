"""What lasts longer than a call and belongs to one event loop: HTTP backends and plugins' sessions."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Collection
from typing import TYPE_CHECKING, TypeAlias, final

import anyio

from modelhub.errors import ConfigurationError
from modelhub.http.addresses import only
from modelhub.provider.threads import run_in_thread
from modelhub.rules.egress import AllowList, Egress
from modelhub.runtime.sessions import Sessions
from modelhub.runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from modelhub.http.addresses import Resolver
    from modelhub.http.seam import Backend
    from modelhub.rules.endpoint import Endpoint
    from modelhub.runtime.background import Background
    from modelhub.types.credential import Credential, CredentialKey

__all__ = ["Connections"]

_log = logging.getLogger("modelhub")

_Key: TypeAlias = "tuple[str, str, int, CredentialKey]"

_DRAIN_SECONDS = 0.25
"""How often it is looked whether connections of before a change carry answers still."""

_BACKENDS = 128
"""Origins and credentials with connections of their own, before those that are idle are closed."""


@final
class Connections:
    """One backend per origin and credential, one session per provider and credential; closed together.

    Args:
        allow: Where base URLs may lead beyond the rule.
        resolve: Looks names up; the system does by default.
        background: Closes sessions beside calls.

    Attributes:
        sessions: The plugins' sessions.
    """

    def __init__(
        self, allow: AllowList | None = None, resolve: Resolver | None = None, background: Background | None = None
    ) -> None:
        self._allow = AllowList() if allow is None else allow
        self._resolve = resolve
        self._backends: dict[_Key, Backend] = {}
        self._retired: list[Backend] = []
        self.sessions: Sessions = Sessions(background)
        self._closed = False
        self._draining = False
        self._tls: ssl.SSLContext | None = None
        self._flights = SingleFlight()

    async def backend(self, endpoint: Endpoint, credential: Credential) -> Backend:
        """Return the backend of an origin for a credential. Connections are not shared between credentials."""
        key = (endpoint.scheme, endpoint.host, endpoint.port, credential.key)
        known = self._backends.get(key)
        if known is not None:
            return known
        self._check_open()
        return await self._flights.run(key, lambda: self._opened(key, endpoint, credential))

    async def _opened(self, key: _Key, endpoint: Endpoint, credential: Credential) -> Backend:
        found = self._backends.get(key)
        if found is not None:
            return found
        needs_tls = endpoint.scheme == "https" and self._tls is None

        def load() -> type[Backend]:
            # In a thread: the HTTP library is imported at the first request of the process, and certificates are files.
            from modelhub.http.httpx_backend import HttpxBackend, tls_context  # noqa: PLC0415
            from modelhub.wire.json import loads  # noqa: PLC0415

            loads(b"{}")  # its parser is imported at its first use, which should not be on the loop
            if needs_tls:
                self._tls = tls_context()
            return HttpxBackend

        cls = await run_in_thread(load, name="http backend")
        self._check_open()
        await self._thin_out()
        egress = Egress(  # made last: the rule may have changed meanwhile
            tenant=credential.tenant_endpoint,
            secure=endpoint.scheme == "https",
            keyed=bool(credential.secrets),
            allow=self._allow,
            field=credential.endpoint_field,
        )
        resolve = self._resolve if credential.address is None else only(credential.address)
        more = {} if resolve is None else {"resolve": resolve}
        backend: Backend = cls(endpoint, context=self._tls, egress=egress, **more)  # type: ignore[call-arg]  # the class is a backend's own
        self._backends[key] = backend
        return backend

    async def _thin_out(self) -> None:
        """Close backends that nobody uses now, where there are many: tenants' credentials come with their calls."""
        if len(self._backends) < _BACKENDS:
            return
        idle = [key for key, backend in self._backends.items() if not backend.busy]
        for key in idle[: _BACKENDS // 2]:
            backend = self._backends.get(key)
            if backend is not None and not backend.busy:  # still: closing another one took a while
                del self._backends[key]
                await backend.aclose()

    def renew(self, allow: AllowList) -> None:
        """Have calls from now on open connections by another rule; those that are open end with the calls they serve.

        Args:
            allow: Where base URLs may lead beyond the rule.
        """
        self._allow = allow
        self.sessions.renew()
        self._retired += self._backends.values()
        self._backends.clear()

    def retire(self, credentials: Collection[CredentialKey]) -> bool:
        """Give up the connections of credentials that no call is sent with any more; returns whether there are any.

        Args:
            credentials: Their keys.
        """
        self.sessions.retire(credentials)
        left = [key for key in self._backends if key[-1] in credentials]
        self._retired += [self._backends.pop(key) for key in left]
        return bool(left)

    async def drain(self) -> None:
        """Close the connections that were given up, each once the answer that it carries has come.

        Where a task does that already, it does it for all.
        """
        if self._draining:
            return
        self._draining = True
        try:
            while self._retired:
                for backend in list(self._retired):
                    if backend in self._retired and not backend.busy:  # still: closing another one took a while
                        self._retired.remove(backend)
                        await _closed(backend)
                await anyio.sleep(_DRAIN_SECONDS)
        finally:
            self._draining = False

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("the hub was left while the call was under way", remedy="end the calls first")

    async def aclose(self) -> None:
        """Leave every session and close every connection; what one of them does at its end keeps no other from it."""
        self._closed = True
        try:
            await self.sessions.aclose()
        finally:
            backends = [*self._backends.values(), *self._retired]
            self._backends.clear()
            self._retired.clear()
            for backend in backends:
                await backend.aclose()

    def __repr__(self) -> str:
        return f"<Connections: {len(self._backends)} origins, {self.sessions!r}>"


async def _closed(backend: Backend) -> None:
    try:
        await backend.aclose()
    except Exception as error:  # noqa: BLE001  whatever it is, others are to be closed as well
        _log.warning("a connection that was given up did not close: %s", type(error).__name__, exc_info=error)
