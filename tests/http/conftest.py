"""A client as a plugin is given one, without a hub around it."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest

from modelhub.http.client import HttpClient
from modelhub.http.httpx_backend import HttpxBackend
from modelhub.http.seam import Backend, ReadLimits
from modelhub.rules.endpoint import endpoint_of
from modelhub.wire.status import classify, error_facts

ClientTo: TypeAlias = Callable[..., AbstractAsyncContextManager[HttpClient]]


@pytest.fixture
def client_to() -> ClientTo:
    """Give what makes a client for a base URL, with headers as a credential brings them."""

    @asynccontextmanager
    async def client_to(url: str, *headers: tuple[str, str], **seconds: float) -> AsyncGenerator[HttpClient, None]:
        endpoint = endpoint_of(url)
        backend = HttpxBackend(endpoint)

        async def opened() -> Backend:
            return backend

        client = HttpClient(
            opened,
            endpoint,
            headers=headers,
            limits=ReadLimits(time.monotonic, **seconds),
            classify=lambda status, head, body: classify(status, error_facts(status, head, body)),
        )
        try:
            yield client
        finally:
            client.abort()
            await client.aclose()
            await backend.aclose()

    return client_to
