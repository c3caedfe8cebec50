"""What is looked up for lists of nodes: the addresses of a name, and what a function of the application returns."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, final

from modelhub.configuration.credentials import CredentialSource, found_credentials
from modelhub.credentials.references import ReferenceUnreadable, name_of, resolved, returned_by
from modelhub.errors import ConfigurationError, ConnectFailed, ModelHubError
from modelhub.http.addresses import Resolver, addresses_of
from modelhub.provider.threads import run_in_thread
from modelhub.rules.forms import problems
from modelhub.wire.excerpt import clean as printable

if TYPE_CHECKING:
    from modelhub.rules.endpoint import Endpoint
    from modelhub.types.forms import FormField

__all__ = ["Addresses", "Returned"]

_log = logging.getLogger("modelhub")


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


@final
class Returned:
    """What a function of the application returns in the place of credentials.

    Those that cannot be used are left out, and logged when they are others than before.

    Args:
        function: Sync or async, without arguments.
        provider: Whose credentials they are.
        form: The fields that there may be.
        refresh: Seconds between two look-ups, about.
    """

    __slots__ = ("_form", "_function", "_left_out", "_name", "_provider", "_running", "refresh")

    def __init__(
        self, function: Callable[[], object], provider: str, form: Sequence[FormField], *, refresh: float
    ) -> None:
        self._function = function
        self._name = name_of(function)
        self._provider = provider
        self._form = form
        self._left_out = ""
        self._running = threading.Lock()
        self.refresh: float = refresh

    async def __call__(self) -> Mapping[str, CredentialSource]:
        """Return the credentials by their ids.

        Raises:
            ConfigurationError: There are none that can be used.
        """
        try:
            given = await returned_by(self._function, self._running)
        except ReferenceUnreadable as error:
            raise self.failure(str(error)) from None
        found, complaints = found_credentials(given, self._provider)
        wrong = [f"{each.message} ({each.remedy})" if each.remedy else each.message for each in complaints]
        usable: dict[str, CredentialSource] = {}
        for each in found:
            complaint = await self._complaint(each)
            if complaint:
                wrong.append(complaint)
            else:
                usable[each.id] = each
        if not usable:
            what = f"what the function {self._name} returned cannot be used: {wrong[0]}" if wrong else ""
            raise self.failure(what or f"the function {self._name} returned nothing")
        said = "; ".join(wrong)
        if said != self._left_out and said:
            _log.warning("of what the function %s returned, some cannot be used: %s", self._name, said)
        self._left_out = said
        return usable

    async def _complaint(self, source: CredentialSource) -> str:
        """Say what is wrong with one by the form; what it lacks may stand below it."""
        try:
            values = await resolved(source.placed(self._form, self._provider).values)
        except ModelHubError as error:
            return error.message
        found = [each for each in problems(self._form, values) if each.code != "required"]
        return f"the credential {source.id!r}: {found[0].path}: {found[0].message}" if found else ""

    def failure(self, why: str) -> ModelHubError:
        """Return an error that names the provider and says who must act."""
        message = f"the credentials of provider {self._provider!r} cannot be found: {why}"
        return ConfigurationError(message, remedy=f"whoever wrote the function {self._name} must mend it")

    def __repr__(self) -> str:
        return f"<Returned by {self._name}>"


def _behind_proxy(endpoint: Endpoint) -> bool:
    from modelhub.http.proxies import proxy_for  # noqa: PLC0415  with the HTTP library, which takes long to import

    return proxy_for(endpoint) is not None
