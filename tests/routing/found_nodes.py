"""A runtime that looks names up in a name server of the test, and nodes that listen at several addresses."""

import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import anyio
from tests.routing.completions import CompletionsProvider

from modelhub.configuration.credentials import CredentialSource, credential_sources
from modelhub.configuration.settings import PluginSettings, read_settings
from modelhub.http.addresses import Address, looked_up
from modelhub.runtime.answers import invoked
from modelhub.runtime.background import Background
from modelhub.runtime.call import Call
from modelhub.runtime.catalogue import Catalogue
from modelhub.runtime.core import Runtime
from modelhub.runtime.credentials import GivenCredentials
from modelhub.runtime.plugins import PluginRegistry
from modelhub.runtime.server import Server
from modelhub.testing.dialects import completions_dialect
from modelhub.testing.fault_server import FaultServer
from modelhub.types.deployments import DeploymentInfo
from modelhub.types.messages import UserMessage
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult
from modelhub.types.schema import ModelType

MODEL = "acme/any"
REFRESH = 0.05
"""Seconds between two look-ups: settings allow no fewer than five."""


class Names:
    """A name server with one name.

    Attributes:
        answer: The addresses that it has, or what is wrong.
        delay: Seconds that an answer takes.
        asked: The names that were looked up.
    """

    def __init__(self, *answer: str) -> None:
        self.answer: Sequence[str] | Exception = answer
        self.delay = 0.0
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Look a name up; an address is itself."""
        if host[0].isdigit():
            return await looked_up(host, port)
        self.asked.append(host)
        await anyio.sleep(self.delay)
        if isinstance(self.answer, Exception):
            raise self.answer
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in self.answer
        ]

    async def answers(self, *answer: str) -> None:
        """Change the answer, and wait until it was given and what follows from it is done."""
        self.answer = answer
        await self.rounds()

    async def rounds(self, number: int = 2) -> None:
        """Wait until it was asked so many times more."""
        wanted = len(self.asked) + number
        with anyio.fail_after(5.0):
            while len(self.asked) < wanted:  # noqa: ASYNC110  what is waited for has no event
                await anyio.sleep(0.005)


def quick(sources: Sequence[CredentialSource], refresh: float = REFRESH) -> list[CredentialSource]:
    """Return credentials that are looked up more often than settings allow."""
    return [
        replace(each, discovery=replace(each.discovery, refresh=refresh)) if each.discovery else each
        for each in sources
    ]


class Caller:
    """Makes calls as a hub does.

    Attributes:
        runtime: What they go through.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._server = Server(runtime, Catalogue(runtime.registry, runtime.settings.models))

    async def chat(
        self, given: GivenCredentials | None = None, *, target: str = MODEL, timeout: float = 5.0
    ) -> ChatResult[None]:
        """Make a call; what was tried before its targets were found is not in its attempts."""
        deadline = self.runtime.clock() + timeout
        found = await self.runtime.deployments.find([target], ModelType.LLM, given)
        request: ChatRequest[None] = ChatRequest(model=target, messages=(UserMessage("Hi"),))
        return await invoked(self._server, Call(request, found.route, deadline, "strict", skipped=found.skipped))

    def renew(self) -> None:
        """Read the same settings anew."""
        self.runtime = self.runtime.renewed(self.runtime.settings, None)
        self._server = Server(self.runtime, self._server.catalogue)

    async def used(self, calls: int = 20, given: GivenCredentials | None = None) -> set[str]:
        """Make calls, and return which deployments answered them, without the model's name."""
        results = [await self.chat(given) for _ in range(calls)]
        return {str(result.attempts[-1].deployment).removeprefix(f"{MODEL}#") for result in results}

    def known(self) -> dict[str, DeploymentInfo]:
        """Return what is known of each deployment, by its name without the model's."""
        return {info.id.removeprefix(f"{MODEL}#"): info for info in self.runtime.balancer.infos()}


def by_dns(port: int, **more: Any) -> dict[str, Any]:
    """Return the entry of a credential whose addresses are looked up."""
    return {"id": "nodes", "discover": "dns", "values": {"base_url": f"http://nodes.test:{port}"}, **more}


def given(credentials: object, *, tenant: bool = False) -> GivenCredentials:
    """Return what a bound model brings."""
    return GivenCredentials("acme", quick(credential_sources(credentials, "acme")), lasting=True, tenant=tenant)


@asynccontextmanager
async def caller(
    credentials: object,
    folder: Path,
    resolve: Callable[..., Any] | None = None,
    *,
    tables: Mapping[str, Any] = MappingProxyType({}),
    refresh: float = REFRESH,
    **options: Any,
) -> AsyncIterator[Caller]:
    """Enter what is behind a hub; each node gets its turn.

    Args:
        credentials: Those of the one provider, as the settings have them; none where it is empty.
        folder: Where plugins may keep something.
        resolve: Looks names up.
        tables: More of the settings.
        refresh: Seconds between two look-ups.
        options: Of the runtime.
    """
    config = {"routing": {"pick": "round_robin"}, "credentials": {"acme": credentials} if credentials else {}, **tables}
    settings = await anyio.to_thread.run_sync(read_settings, config, {})
    settings = replace(settings, credentials={id: quick(each, refresh) for id, each in settings.credentials.items()})
    registry = PluginRegistry(PluginSettings(), [CompletionsProvider])
    runtime = Runtime(
        registry,
        settings,
        cache_dir=folder,
        progress=None,
        resolve=resolve,
        random=Random(1),
        background=Background(),
        **options,
    )
    try:
        yield Caller(runtime)
    finally:
        await runtime.aclose()


@asynccontextmanager
async def nodes_at(*hosts: str) -> AsyncIterator[dict[str, FaultServer]]:
    """Enter nodes that listen at several addresses of this machine, all at one port."""
    async with AsyncExitStack() as stack:
        found: dict[str, FaultServer] = {}
        port = None
        for host in hosts:
            node = FaultServer(completions_dialect(), host=host, port=port)
            found[host] = await stack.enter_async_context(node)
            port = node.port
        yield found
