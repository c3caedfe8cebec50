"""When to come again may be said as a date: what time it is says the answer, and where it does not, the clock here."""

import time
from email.utils import formatdate
from typing import Any

import pytest

from modelhub import ModelHub, ModelType, ProviderSchema
from modelhub.errors import Overloaded
from modelhub.provider import HttpCall, ProviderContext, hookimpl
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer
from modelhub.types.forms import CredentialSchema, EndpointRule, FormField
from modelhub.types.requests import Request

pytestmark = pytest.mark.anyio


class Hooks:
    """A provider that is no `ModelProvider`."""

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Describe it."""
        return ProviderSchema(
            "acme",
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema(
                (FormField("base_url", role="endpoint", endpoint=EndpointRule("http")),)
            ),
        )

    @hookimpl
    async def invoke(self, request: Request[Any], context: ProviderContext) -> Any:
        """Ask."""
        return await context.http.json(HttpCall("/chat", json={"model": request.name}))


def then(seconds: float) -> str:
    """Return the date in so many seconds."""
    return formatdate(time.time() + seconds, usegmt=True)


async def wait_of(provider: Any, **headers: str) -> float | None:
    """Return how long a refusal asks to wait; its server says what time it is only where it is told to."""
    settings: dict[str, Any] = {"routing": {"retries": 0}}
    reply = Reply(503, {name.replace("_", "-"): value for name, value in headers.items()})
    async with WireServer(reply) as server, ModelHub(settings, providers=[provider]) as hub:
        with pytest.raises(Overloaded) as caught:
            await hub.chat("acme/m", "Hi", credentials={"base_url": server.url})
    return caught.value.retry_after


@pytest.mark.parametrize("kind", ["model classes", "hooks"])
async def test_a_date_counts_without_the_servers_own_clock(acme: type, kind: str) -> None:
    """However the plugin is written."""
    wait = await wait_of(acme if kind == "model classes" else Hooks(), retry_after=then(30))
    assert wait is not None
    assert 20 < wait <= 30


async def test_the_servers_own_clock_goes_before(acme: type) -> None:
    """It is the one that the date is of."""
    assert await wait_of(acme, retry_after=then(3630), date=then(3600)) == pytest.approx(30, abs=1)
