"""A whole hub in virtual time: nodes that exist in code alone, and a clock that jumps to whatever happens next.

A day of calls takes seconds, and a seed says all that happens. trio has such a clock; asyncio has none.
"""

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio
import trio
from trio.testing import MockClock

from modelhub import ModelHub, ModelType, ProviderSchema, Usage
from modelhub.errors import ModelHubError
from modelhub.hookspecs import hookimpl
from modelhub.provider.context import ProviderContext
from modelhub.types.events import ChatEvent, Event, Finish, FinishReason, TextDelta
from modelhub.types.forms import CredentialSchema, FormField
from modelhub.types.messages import AssistantMessage
from modelhub.types.requests import ChatRequest
from modelhub.types.results import ChatResult

MODEL = "virtual/model"
Behaviour = Callable[["Node", float], ModelHubError | None]
"""What is wrong with a node at a time, if anything."""


@dataclass
class Node:
    """A server that exists in code alone.

    Attributes:
        seconds: How long it takes for a call.
        behaviour: What is wrong with it, and when.
        hangs: Whether, at a time, it says nothing for an hour.
        tokens: What an answer uses, its question included.
        asked: When it was asked, and what.
        in_flight, most: Calls that it has, and had at most.
    """

    seconds: Callable[[], float] = lambda: 0.1
    behaviour: Behaviour = lambda _node, _now: None
    hangs: Callable[[float], bool] = lambda _now: False
    tokens: int = 10
    asked: list[tuple[float, str]] = field(default_factory=list)
    in_flight: int = 0
    most: int = 0

    @property
    def times(self) -> list[float]:
        """When it was asked."""
        return [at for at, _ in self.asked]

    async def serve(self, question: str) -> None:
        """Take the time that a call takes, or fail."""
        now = trio.current_time()
        self.asked.append((now, question))
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            if self.hangs(now):
                await anyio.sleep(3600)
            error = self.behaviour(self, now)
            await anyio.sleep(0.005 if error else self.seconds())
            if error is not None:
                raise error
        finally:
            self.in_flight -= 1


class VirtualProvider:
    """A provider whose credentials name nodes."""

    id = "virtual"

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Ask which node it is."""
        return ProviderSchema(
            self.id,
            supported_model_types=(ModelType.LLM,),
            configurate_methods=("customizable-model",),
            provider_credential_schema=CredentialSchema((FormField("node"),)),
            prices_of="",
        )

    @hookimpl
    async def invoke(self, request: ChatRequest[None], context: ProviderContext) -> ChatResult[None]:
        """Answer after a while."""
        node = self._nodes[int(str(context.credential["node"]))]
        await node.serve(str(request.messages[-1].content))
        usage = Usage(node.tokens // 2, node.tokens - node.tokens // 2)
        return ChatResult(message=AssistantMessage("ok"), finish_reason=FinishReason.STOP, usage=usage, output=None)

    @hookimpl
    async def stream(self, request: ChatRequest[None], context: ProviderContext) -> AsyncGenerator[Event, None]:
        """Answer in two events after a while."""
        result = await self.invoke(request, context)
        events: list[ChatEvent] = [TextDelta(0, "ok"), Finish(FinishReason.STOP, "stop", result.usage)]
        for event in events:
            yield event


def in_virtual_time(
    nodes: Sequence[Node],
    body: Callable[[ModelHub], Awaitable[None]],
    *,
    seed: int,
    limits: Sequence[Mapping[str, Any]] = (),
    **tables: Any,
) -> float:
    """Run ``body`` with a hub that has these nodes; return how many seconds it seemed to take.

    Args:
        nodes: The nodes: credentials ``n0``, ``n1``, … of one provider.
        body: Makes calls.
        seed: What the hub's choices follow from.
        limits: What stands in each node's row of the settings beside its values.
        tables: More settings.
    """
    clock = MockClock()
    rows = [
        {"id": f"n{number}", "values": {"node": str(number)}, **(limits[number] if limits else {})}
        for number in range(len(nodes))
    ]
    config = {"credentials": {"virtual": rows}, **tables}
    took = math.nan

    async def main() -> None:
        nonlocal took
        hub = ModelHub(
            config,
            providers=[VirtualProvider(nodes)],
            clock=trio.current_time,
            random=Random(seed),
        )
        async with hub:
            await hub.info(MODEL)  # what is done in threads takes no virtual time, so it is done before
            clock.autojump_threshold = 0.0
            await body(hub)
            took = trio.current_time()

    trio.run(main, clock=clock)
    return took
