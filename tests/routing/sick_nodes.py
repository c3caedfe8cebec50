"""Three nodes of which some are sick, and callers who should not notice: what the tests and the benchmark both run.

Owns how a run is made and what is counted in it; what must hold is said by those who run it.
"""

import math
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

import anyio
from tests.ollama_node import OLLAMA

from modelhub import ModelHub
from modelhub.errors import ModelHubError, StreamInterrupted
from modelhub.testing.dialects import Pace
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.types.telemetry import AttemptEnded, AttemptStarted, DeploymentEjected, DeploymentRecovered, FirstContent

MODEL = "ollama_local/llama3"
TOKENS = 8

SICKNESSES: Mapping[str, tuple[Fault, Fault]] = {
    "refuses": (Fault.refused(), Fault.refused()),
    "cuts off": (Fault.cut(after=60), Fault.cut(events=5)),
    "hangs": (Fault.hang(), Fault.hang()),
    "answers 500": (Fault.status(500), Fault.status(500)),
    "answers a web page": (Fault.html(), Fault.html()),
    "answers 503": (Fault.status(503), Fault.status(503)),
}
"""What a node does that is sick: to whole answers, and to streams."""


@dataclass
class Run:
    """What came of one run.

    Attributes:
        sickness, streamed, calls: What was run.
        answered: Calls that were answered.
        interrupted: Streams that broke off after their first content: what had come cannot be unsaid.
        failures: What the others failed with.
        sent: Tries at the sick nodes after they fell sick.
        requests: Requests that the sick nodes saw after they fell sick, cheap ones included.
        in_flight: Calls that the sick nodes had when the first fault came back: nobody could know before.
        ejected: Ejections of the sick nodes.
        wrongly: Ejections of the others.
        attempts: All tries at all nodes.
        took: Seconds that each call took, sorted.
        seconds: How long it all took.
    """

    sickness: str
    streamed: bool
    calls: int
    answered: int = 0
    interrupted: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    requests: int = 0
    in_flight: int = 0
    ejected: int = 0
    wrongly: int = 0
    attempts: int = 0
    took: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cycles(self) -> int:
        """How often a sick node was found out: its ejections, and at least once each."""
        return max(self.ejected, 1)

    @property
    def wasted(self) -> int:
        """Calls that the sick nodes were sent, beyond those that went before anybody could know."""
        return max(0, max(self.sent, self.requests) - self.in_flight)

    def hear(self, ears: "Ears", bad: Collection[str], since: float) -> None:
        """Count what the records of the run say of the nodes that were sick since then, and of the others."""
        faults = [each.at for each in ears.ended if each.deployment in bad and each.at > since and each.error]
        self.sent, self.in_flight = ears.sent(bad, since), ears.in_flight(bad, min(faults) if faults else since)
        self.ejected = sum(each.deployment in bad for each in ears.ejections)
        self.wrongly = len(ears.ejections) - self.ejected
        self.attempts = len(ears.started)
        self.took.sort()

    def percentile(self, share: float) -> float:
        """Return the seconds that this share of the calls took at most."""
        return self.took[math.ceil(share * len(self.took)) - 1]


class Ears:
    """Hears the records of a hub, which come a little later than what they tell of, and say when that was."""

    def __init__(self) -> None:
        self.started: list[AttemptStarted] = []
        self.contents: list[FirstContent] = []
        self.ended: list[AttemptEnded] = []
        self.ejections: list[DeploymentEjected] = []
        self.recoveries: list[DeploymentRecovered] = []

    def __call__(self, record: object) -> None:
        """Hear a record."""
        match record:
            case AttemptStarted():
                self.started.append(record)
            case FirstContent():
                self.contents.append(record)
            case AttemptEnded():
                self.ended.append(record)
            case DeploymentEjected():
                self.ejections.append(record)
            case DeploymentRecovered():
                self.recoveries.append(record)
            case _:
                pass

    def sent(self, deployments: Collection[str], since: float = 0.0) -> int:
        """Return how many tries some deployments were given since then."""
        return sum(each.deployment in deployments and each.at >= since for each in self.started)

    def in_flight(self, deployments: Collection[str], at: float) -> int:
        """Return how many tries some deployments had then."""
        ended = sum(each.deployment in deployments and each.at < at for each in self.ended)
        return self.sent(deployments) - self.sent(deployments, at) - ended

    def most_probes(self) -> int:
        """Return how many tries that find out whether a deployment is well again were under way at once at most.

        One has ended with its first content: of a stream, the record of its end comes after its place is free.
        """
        probes = {(each.call, each.number): each.at for each in self.started if each.probe}
        ended = {(each.call, each.number): each.at for each in (*reversed(self.ended), *reversed(self.contents))}
        changes = [*((at, 1) for at in probes.values()), *((ended[each], -1) for each in probes if each in ended)]
        return max(accumulate(change for _, change in sorted(changes)), default=0)


def settings(nodes: Sequence[FaultServer], **tables: Any) -> dict[str, Any]:
    """Return the settings of a hub that has these nodes: credentials ``n0``, ``n1``, … of one provider."""
    rows = [{"id": f"n{number}", "values": {"base_url": node.url}} for number, node in enumerate(nodes)]
    return {"credentials": {"ollama_local": rows}, **tables}


def deployment(number: int) -> str:
    """Return what a node is called in records."""
    return f"{MODEL}#n{number}"


async def ask(hub: ModelHub, *, streamed: bool, model: str = MODEL, **options: Any) -> Any:
    """Ask once, to the end."""
    if not streamed:
        return await hub.chat(model, "Hi", **options)
    async with hub.stream(model, "Hi", **options) as stream:
        async for _ in stream:
            pass
    return stream.result


async def run(
    sickness: str,
    *,
    streamed: bool,
    calls: int,
    concurrency: int = 20,
    sick: int = 1,
    nodes: int = 3,
    after: int = 0,
    first_token: float = 1.0,
    seed: int = 1,
    **options: Any,
) -> Run:
    """Make calls to nodes of which some are sick.

    Args:
        sickness: What they have; see `SICKNESSES`.
        streamed: Whether the answers come in events.
        calls: How many in all.
        concurrency: How many at once.
        sick: How many nodes.
        nodes: Of how many.
        after: How many calls come before they fall sick; 0 where they are sick before the hub knows them.
        first_token: Seconds that an answer may take to begin, where they hang.
        seed: What the hub's choices follow from.
        options: What every call is given.
    """
    found = Run(sickness, streamed, calls)
    ears = Ears()
    since = 0.0
    bad = {deployment(number) for number in range(sick)}
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(FaultServer(OLLAMA, pace=Pace(TOKENS), keep=1)) for _ in range(nodes)]
        tables = {"timeouts": {"first_token": first_token}} if sickness == "hangs" else {}
        hub = ModelHub(settings(made, **tables), sinks=[ears], random=Random(seed))
        await stack.enter_async_context(hub)
        left = calls

        def fall_sick() -> None:
            nonlocal since
            since = time.time()
            for node in made[:sick]:
                node.fault = SICKNESSES[sickness][streamed]
                found.requests -= sum(node.counts.values())

        async def caller() -> None:
            nonlocal left
            while left > 0:
                if left == calls - after:
                    fall_sick()
                left -= 1
                begun = time.perf_counter()
                try:
                    await ask(hub, streamed=streamed, **options)
                    found.answered += 1
                except StreamInterrupted:
                    found.interrupted += 1
                except ModelHubError as error:
                    found.failures[type(error).__name__] += 1
                found.took.append(time.perf_counter() - begun)

        begun = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(concurrency):
                tasks.start_soon(caller)
        found.seconds = time.perf_counter() - begun
        found.requests += sum(sum(node.counts.values()) for node in made[:sick])
    found.hear(ears, bad, since)
    found.attempts = max(found.attempts, sum(node.calls for node in made))  # records may be dropped, requests not
    return found
