"""What is remembered of deployments where there are very many of them."""

import time
from dataclasses import replace
from decimal import Decimal
from random import Random

import anyio
import pytest
from tests.runtime.test_deployments import Tell

from modelhub import FinishReason, ModelHub, Usage
from modelhub.configuration.limits import BudgetTable
from modelhub.configuration.settings import PluginSettings, RoutingTable
from modelhub.errors import BudgetExceeded, ConnectFailed, OutputInvalid, ServerError
from modelhub.provider import Credential
from modelhub.rules.routing.course import Course
from modelhub.rules.routing.pool import Lease
from modelhub.rules.routing.verdict import verdict
from modelhub.rules.routing.vitals import Vitals
from modelhub.runtime.balancer import Balancer
from modelhub.runtime.deployments import Deployment, DeploymentLimits
from modelhub.runtime.plugin import Plugin
from modelhub.runtime.plugins import PluginRegistry
from modelhub.testing.scripted import ScriptedProvider
from modelhub.types.cost import Cost
from modelhub.types.messages import AssistantMessage
from modelhub.types.results import ChatResult
from modelhub.wire.rate_headers import RateFact, RateFacts

pytestmark = pytest.mark.anyio

MANY = 5000


@pytest.fixture
async def plugin() -> Plugin:
    """Return the provider that is called."""
    return await PluginRegistry(PluginSettings(), [Tell]).find("tell")


def balancer() -> Balancer:
    """Make one as a hub does, that nothing goes on beside."""
    return Balancer(RoutingTable(), clock=time.monotonic, random=Random(1))


def tenants(made: Balancer, plugin: Plugin, number: int = MANY) -> None:
    """Route to so many deployments of as many tenants, once each."""
    for each in range(number):
        deployment = Deployment(plugin, "m", Credential({"region": f"tenant {each}"}), budget=BudgetTable(1.0, "USD"))
        made.route("tell/m", [(None, [deployment])])


async def test_what_a_route_leads_to_is_not_forgotten(plugin: Plugin) -> None:
    """Another route to the same deployment has the same slots, limits and health, however many tenants came between."""
    made = balancer()
    own = Deployment(plugin, "m", Credential({"region": "home"}), limits=DeploymentLimits(rpm=3))
    kept = made.route("tell/m", [(None, [own])])
    tenants(made, plugin)
    assert made.route("again", [(None, [own])]).options[0].vitals is kept.options[0].vitals


async def test_tenants_are_forgotten(plugin: Plugin) -> None:
    """Neither their deployments nor their keys nor what they may spend grows without bound."""
    made = balancer()
    tenants(made, plugin)
    assert 2000 < len(made.infos()) <= 4096
    assert len(made._keys) <= 4096  # noqa: SLF001  nothing else shows what is kept of them
    assert len(made._spending._allowances) <= 4096  # noqa: SLF001  likewise


async def test_a_budget_is_kept_however_many_tenants_came_between(plugin: Plugin) -> None:
    """The money of a call that ends after they came counts, and nothing fails for it."""
    made = balancer()
    own = Deployment(plugin, "m", Credential({"region": "home"}), budget=BudgetTable(1.0, "USD"))
    route = made.route("tell/m", [(None, [own])])
    tenants(made, plugin)
    lease = await made.lease(Course(route))
    made.succeeded(lease)
    cost = Cost({"output": Decimal(2)}, "USD")
    made.settled(lease, None, cost)
    assert [info.state for info in made.infos() if info.id == own.id and info.state != "ready"] == ["budget"]


@pytest.mark.parametrize("verb", ["chat", "stream"])
async def test_an_answer_of_the_wrong_shape_is_paid_for(verb: str) -> None:
    """It was generated: its money counts, and so do its tokens."""
    reply = ChatResult(message=AssistantMessage("no JSON"), finish_reason=FinishReason.STOP, output=None)
    reply = replace(reply, usage=Usage(1, 1))
    config = {
        "credentials": {"scripted": [{"id": "a", "values": {}, "budget": {"amount": 1, "per": "month"}}]},
        "models": {"scripted/m": {"pricing": {"input": "1", "output": "1", "unit": "1", "currency": "USD"}}},
    }
    async with ModelHub(config, providers=[ScriptedProvider(lambda _: reply)]) as hub:
        if verb == "stream":
            async with hub.stream("scripted/m", "Hi", response_format="json") as stream:
                assert [event async for event in stream]
        else:
            with pytest.raises(OutputInvalid):
                await hub.chat("scripted/m", "Hi", response_format="json")
        with pytest.raises(BudgetExceeded):
            await hub.chat("scripted/m", "Hi")


async def test_other_settings_count_for_what_is_known_already(plugin: Plugin) -> None:
    """How many may wait, and what ejects: as the errors say to change."""
    made = balancer()
    route = made.route("tell/m", [(None, [Deployment(plugin, "m", Credential({"region": "home"}))])])
    made.adopt(RoutingTable(queue=3, eject_after=1))
    (option,) = route.options
    assert option.vitals.queue == 3
    error = ServerError("x", sent=True)
    made.failed(await made.lease(Course(route)), error, verdict(error))
    assert not option.vitals.breaker.closed


def eject(made: Balancer, lease: Lease[Deployment]) -> None:
    """Have a call find out that an endpoint is down."""
    error = ConnectFailed("down")
    made.failed(lease, error, verdict(error))


async def test_names_with_limits_of_their_own_have_one_endpoint(plugin: Plugin) -> None:
    """Its health and how fast it is are one; slots and limits are each name's own; other credentials have their own."""
    made = balancer()
    home = Credential({"region": "home"})
    names = [
        Deployment(plugin, "m", home, limits=DeploymentLimits(concurrency=1, rpm=10)),
        Deployment(plugin, "m", home, limits=DeploymentLimits(concurrency=2, rpm=20)),
        Deployment(plugin, "m", Credential({"region": "other"}), limits=DeploymentLimits(concurrency=2)),
        Deployment(plugin, "n", home, limits=DeploymentLimits(concurrency=2)),
    ]
    routes = [made.route(str(number), [(None, [each])]) for number, each in enumerate(names)]
    one, two, *others = [route.options[0].vitals for route in routes]
    first = await made.lease(Course(routes[0]))
    made.succeeded(first, 0.25)
    assert two.latencies is one.latencies
    assert (one.slots.limit, two.slots.limit) == (1, 2)
    assert one.rates is not two.rates
    for _ in range(2):
        eject(made, await made.lease(Course(routes[0])))
    assert not two.ready(made.clock(), 0.0)
    assert [made.clock() < each.breaker.until for each in (one, two)] == [True, True]
    assert all(each.ready(made.clock(), 0.0) for each in others)
    one.breaker.answered(made.clock())
    probe = await made.lease(Course(routes[1]))
    assert probe.probe
    assert not one.ready(made.clock(), 0.0)


async def test_what_headers_say_of_a_key_counts_at_each_address_that_it_is_used_at(plugin: Plugin) -> None:
    """Also at one that is found later; not for another model, another key or a name with limits of its own."""
    made = balancer()
    home = Credential({"base_url": "http://a:1", "region": "home"}, endpoint_field="base_url")
    other = Credential({"base_url": "http://a:1", "region": "other"}, endpoint_field="base_url")

    def known(address: str, *, model: str = "m", of: Credential = home, concurrency: int | None = None) -> Vitals:
        limits = DeploymentLimits(concurrency=concurrency)
        return made.vitals(Deployment(plugin, model, of.at(address), limits=limits))

    heard, same = "10.0.0.1", [known("10.0.0.2")]
    apart = [
        known(heard, model="n"),
        known(heard, of=other),
        known(heard, concurrency=7),
    ]
    route = made.route("tell/m", [(None, [Deployment(plugin, "m", home.at(heard))])])
    made.learned(await made.lease(Course(route)), RateFacts(requests=RateFact(limit=10, remaining=0, reset=300.0)))
    same.append(known("10.0.0.3"))
    now = made.clock()
    assert [each.ready(now, 0.0) for each in (known(heard), *same)] == [False] * 3
    assert all(each.ready(now, 0.0) for each in apart)


async def test_names_with_other_limits_count_apart_at_the_same_address(plugin: Plugin) -> None:
    """Whichever of the limits is another; the addresses of one name count together."""
    made, home = balancer(), Credential({"base_url": "http://a:1"}, endpoint_field="base_url")

    def rates(address: str, concurrency: int) -> object:
        limits = DeploymentLimits(rpm=10, concurrency=concurrency)
        return made.vitals(Deployment(plugin, "m", home.at(address), limits=limits)).rates

    one = rates("10.0.0.1", 1)
    assert one is not None
    assert rates("10.0.0.2", 1) is one
    assert rates("10.0.0.1", 2) is not one


async def test_who_waits_at_another_name_of_an_endpoint_hears_that_it_is_down(plugin: Plugin) -> None:
    """And goes on to the next group, with nothing that ends where it waits."""
    made = balancer()
    home = Credential({"region": "home"})
    elsewhere = Deployment(plugin, "m", Credential({"region": "elsewhere"}))
    one = made.route("one", [(None, [Deployment(plugin, "m", home, limits=DeploymentLimits(concurrency=3))])])
    busy = Deployment(plugin, "m", home, limits=DeploymentLimits(concurrency=1))
    two = made.route("two", [(None, [busy]), (None, [elsewhere])])
    await made.lease(Course(two))
    found: list[Deployment] = []

    async def wait() -> None:
        lease = await made.lease(Course(two))
        found.append(lease.option.deployment)

    with anyio.fail_after(5.0):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            leases = [await made.lease(Course(one)) for _ in range(3)]
            await anyio.wait_all_tasks_blocked()
            assert not found
            for lease in leases:
                eject(made, lease)
    assert found == [elsewhere]
