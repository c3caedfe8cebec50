"""What is looked up for lists of nodes: the addresses of a name, and what a function of the application returns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, final

from modelhub.errors import ConfigurationError, ConnectFailed, ModelHubError
from modelhub.http.addresses import Resolver, addresses_of
from modelhub.provider.threads import run_in_thread
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.rules.endpoint import Endpoint

__all__ = ["Addresses"]


@final
class Addresses:
    """The addresses of an endpoint's host, each by itself; a host that is an address is its own.

    Args:
        endpoint: Whose.
        name: What the credential is called in errors.
        refresh: Seconds between two look-ups, about.
        resolve: Looks the name up.
    """

    __slots__ = ("_endpoint", "_name", "_resolve", "refresh")

    def __init__(self, endpoint: Endpoint, name: str, *, refresh: float, resolve: Resolver) -> None:
        self._endpoint = endpoint
        self._name = name
        self._resolve = resolve
        self.refresh: float = refresh

    async def __call__(self) -> Mapping[str, str]:
        """Return the addresses by themselves.

        Raises:
            ConnectFailed: There are none.
            ConfigurationError: A proxy looks the name up.
        """
        if await run_in_thread(partial(_behind_proxy, self._endpoint), name="modelhub-proxies"):
            message = f"{self._name} is to be found by DNS, and a proxy of the environment looks its name up instead"
            remedy = f"add {self._endpoint.host} to NO_PROXY, or take discover out"
            raise ConfigurationError(message, remedy=remedy)
        try:
            found = addresses_of(await self._resolve(self._endpoint.host, self._endpoint.port))
        except Exception as error:  # one of the application's own may raise anything
            reason = printable(str(error)) or type(error).__name__
            raise self.failure(reason) from error
        if not found:
            raise self.failure("it has no address")
        return {address: address for address in found}

    def failure(self, why: str) -> ModelHubError:
        """Return an error that names the credential and its host."""
        message = f"the host {self._endpoint.host!r} of {self._name} cannot be looked up: {why}"
        return ConnectFailed(message, sent=False, remedy="check that the name is right and the DNS server answers")

    def __repr__(self) -> str:
        return f"<Addresses of {self._endpoint.host}>"


def _behind_proxy(endpoint: Endpoint) -> bool:
    from modelhub.http.proxies import proxy_for  # noqa: PLC0415  with the HTTP library, which takes long to import

    return proxy_for(endpoint) is not None
