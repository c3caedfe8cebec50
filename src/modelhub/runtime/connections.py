"""What lasts longer than a call and belongs to one event loop: HTTP backends and plugins' sessions."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, final

import anyio

from modelhub.errors import ModelHubError, PluginError
from modelhub.provider.threads import run_in_thread
from modelhub.runtime.single_flight import SingleFlight

if TYPE_CHECKING:
    from modelhub.http.seam import Backend
    from modelhub.provider.context import ProviderContext
    from modelhub.rules.endpoint import Endpoint
    from modelhub.runtime.registration import BoundProvider
    from modelhub.types.credential import Credential

__all__ = ["Connections"]

_CLOSE_SECONDS = 5.0


@final
class Connections:
    """One backend per origin and credential, one session per provider and credential; closed together."""

    def __init__(self) -> None:
        self._backends: dict[object, Backend] = {}
        self._sessions: dict[object, object] = {}
        self._stack = AsyncExitStack()
        self._tls: ssl.SSLContext | None = None
        self._flights = SingleFlight()

    async def backend(self, endpoint: Endpoint, credential: Credential) -> Backend:
        """Return the backend of an origin for a credential. Connections are not shared between credentials."""
        key = (endpoint.scheme, endpoint.host, endpoint.port, credential.key)
        known = self._backends.get(key)
        if known is not None:
            return known
        return await self._flights.run(key, lambda: self._opened(key, endpoint))

    async def _opened(self, key: object, endpoint: Endpoint) -> Backend:
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
        backend: Backend = cls(endpoint, context=self._tls)  # type: ignore[call-arg]  # the class is a backend's own
        self._backends[key] = backend
        return backend

    async def session(self, bound: BoundProvider, context: ProviderContext) -> object:
        """Return what a plugin's ``open`` yields for a credential, entering it at the first call."""
        if bound.open is None:
            return None
        key = (bound.id, context.credential.key)
        if key in self._sessions:
            return self._sessions[key]
        return await self._flights.run(("session", key), lambda: self._entered(key, bound, context))

    async def _entered(self, key: object, bound: BoundProvider, context: ProviderContext) -> object:
        if key not in self._sessions and bound.open is not None:
            try:
                self._sessions[key] = await self._stack.enter_async_context(bound.open(context))
            except ModelHubError:
                raise
            except Exception as error:
                raise PluginError(f"opening a session failed: {type(error).__name__}: {error}") from error
        return self._sessions[key]

    async def aclose(self) -> None:
        """Leave every session and close every connection."""
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            await self._stack.aclose()
        self._sessions.clear()
        backends = list(self._backends.values())
        self._backends.clear()
        for backend in backends:
            await backend.aclose()

    def __repr__(self) -> str:
        return f"<Connections: {len(self._backends)} origins, {len(self._sessions)} sessions>"
