"""Nodes that are found by DNS: each address of a name is a deployment, found anew while calls go there."""

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.canary import CANARY
from tests.routing.completions import CompletionsProvider
from tests.routing.found_nodes import MODEL, REFRESH, Caller, Names, by_dns, caller, given, nodes_at
from tests.runtime.test_sharing import Board

from modelhub import ModelHub
from modelhub.errors import (
    AuthenticationFailed,
    BudgetExceeded,
    ConfigurationError,
    ConnectFailed,
    EgressRefused,
    LocalRateLimited,
    ModelHubError,
)
from modelhub.provider import HttpCall, ProviderContext
from modelhub.testing.dialects import Pace, completions_dialect
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.faults import Fault
from modelhub.types.schema import ModelType

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
CERTIFICATES = Path(__file__).parent.parent / "fixtures" / "tls"


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from an environment without proxies."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true."""
    with anyio.fail_after(5.0):
        while not true():  # noqa: ASYNC110  what is waited for has no event
            await anyio.sleep(0.01)


async def failure(hub: Caller, *arguments: Any, **options: Any) -> ModelHubError:
    """Return the error of a call."""
    with pytest.raises(ModelHubError) as caught:
        await hub.chat(*arguments, **options)
    return caught.value


async def test_each_address_is_a_deployment(tmp_path: Path) -> None:
    """It is called after its address, gets calls at that address alone, and the host stays what the URL says."""
    names = Names(TWO, ONE)
    async with nodes_at(ONE, TWO) as nodes:
        port = nodes[ONE].port
        async with caller([by_dns(port)], tmp_path, names) as hub:
            assert await hub.used() == {f"nodes@{ONE}", f"nodes@{TWO}"}
            assert [*hub.known()] == [f"nodes@{ONE}", f"nodes@{TWO}"]
    assert sum(node.calls for node in nodes.values()) == 20
    assert {request.headers["host"] for node in nodes.values() for request in node.requests} == {f"nodes.test:{port}"}
    assert set(names.asked) == {"nodes.test"}


async def test_a_call_that_finds_the_list_looks_nothing_up(tmp_path: Path) -> None:
    """Only the first waits, and many that come at once wait for one look-up."""
    names = Names(ONE)
    names.delay = 0.02
    async with nodes_at(ONE) as nodes:
        entry = by_dns(nodes[ONE].port)
        async with caller([entry], tmp_path, names, refresh=1000.0) as hub:
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(hub.chat)
            await hub.used(20)
    assert len(names.asked) == 1


async def test_both_kinds_of_address(tmp_path: Path) -> None:
    """An address of IPv6 is a deployment as well."""
    async with nodes_at(ONE, "::1") as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, Names("::1", ONE)) as hub:
        assert await hub.used() == {f"nodes@{ONE}", "nodes@::1"}
        reply = await hub.chat(target=f"{MODEL}#nodes@::1")
    assert reply.attempts[-1].deployment == f"{MODEL}#nodes@::1"


async def test_an_address_is_its_own(tmp_path: Path) -> None:
    """A base URL with an address in place of a name is one deployment, and no name is looked up for it."""
    names = Names(TWO)
    async with nodes_at(ONE) as nodes:
        entry = {"discover": "dns", "values": {"base_url": nodes[ONE].url}}
        async with caller(entry, tmp_path) as hub:
            assert await hub.used(3) == {f"default@{ONE}"}
    assert names.asked == []


async def test_they_share_the_calls_with_others(tmp_path: Path) -> None:
    """With a credential beside them; each has the weight of its entry."""
    async with nodes_at(ONE, TWO, THREE) as nodes:
        port = nodes[ONE].port
        rows = [by_dns(port, weight=0.5), {"id": "fixed", "values": {"base_url": nodes[THREE].url}}]
        pick = {"routing": {"pick": "round_robin"}}
        async with caller(rows, tmp_path, Names(ONE, TWO), tables=pick, refresh=1000.0) as hub:
            await hub.used(40)
    assert [node.calls for node in nodes.values()] == [10, 10, 20]


async def test_a_node_that_comes_gets_calls_and_one_that_goes_none(tmp_path: Path) -> None:
    """Without a call that fails, whatever is under way; its connections are closed, and it is not listed any more."""
    names, failed, answered = Names(ONE, TWO), [], 0
    async with (
        nodes_at(ONE, TWO, THREE) as nodes,
        caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub,
        anyio.create_task_group() as group,
    ):

        async def call() -> None:
            nonlocal answered
            while True:
                try:
                    await hub.chat()
                    answered += 1
                except ModelHubError as error:
                    failed.append(error)

        async def five_more(node: FaultServer) -> None:
            calls = node.calls
            await until(lambda: node.calls >= calls + 5)

        for _ in range(8):
            group.start_soon(call)
        await five_more(nodes[ONE])
        for _ in range(3):
            await names.answers(TWO, THREE)
            await five_more(nodes[THREE])
            await until(lambda: nodes[ONE].open_connections == 0)
            calls = nodes[ONE].calls
            await names.rounds(3)
            assert nodes[ONE].calls == calls
            assert [*hub.known()] == [f"nodes@{TWO}", f"nodes@{THREE}"]
            await names.answers(ONE, TWO)
            await five_more(nodes[ONE])
        group.cancel_scope.cancel()
    assert failed == []
    assert answered > 50


async def test_what_is_under_way_at_a_node_that_goes_ends_as_it_began(tmp_path: Path) -> None:
    """The answer comes whole, and only then is its connection closed."""
    names = Names(ONE, TWO)
    async with nodes_at(ONE, TWO) as nodes:
        nodes[ONE].pace = Pace(first=0.6)
        async with caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub, anyio.create_task_group() as group:

            async def call() -> None:
                reply = await hub.chat(target=f"{MODEL}#nodes@{ONE}")
                assert [attempt.error for attempt in reply.attempts] == [None]
                assert nodes[ONE].disconnects == []

            group.start_soon(call)
            await until(lambda: nodes[ONE].calls)
            await names.answers(TWO)
            assert await hub.used(5) == {f"nodes@{TWO}"}
            assert nodes[ONE].open_connections == 1
        assert nodes[ONE].calls == 1


@pytest.mark.parametrize(
    "sick", [(), OSError("the name server is down"), ConnectionResetError(), ValueError("rubbish"), ("no address",)]
)
async def test_the_last_list_stays_where_there_is_no_better_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, sick: Any
) -> None:
    """A name server that has nothing, fails or talks rubbish costs no call, and is complained of once."""
    names = Names(ONE, TWO)
    async with nodes_at(ONE, TWO) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub:
        await hub.chat()
        edition = hub.runtime.credentials.edition
        with caplog.at_level(logging.INFO, "modelhub"):
            names.answer = sick
            await names.rounds(4)
            assert await hub.used() == {f"nodes@{ONE}", f"nodes@{TWO}"}
            names.answer = [TWO, ONE]
            await names.rounds(4)
            assert await hub.used() == {f"nodes@{ONE}", f"nodes@{TWO}"}
        assert hub.runtime.credentials.edition == edition
    said = [(record.levelname, record.message) for record in caplog.records if record.name == "modelhub"]
    assert [level for level, _ in said] == ["WARNING", "INFO"]
    assert "the host 'nodes.test' of the credential 'nodes' of provider 'acme' cannot be looked up" in said[0][1]


async def test_a_slow_name_server_holds_nobody_up(tmp_path: Path) -> None:
    """Calls go on with the list that they have."""
    names = Names(ONE)
    async with nodes_at(ONE) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub:
        await hub.chat()
        names.delay = 1000.0
        await names.rounds(1)
        with anyio.fail_after(5.0):
            await hub.used(50)


async def test_nothing_is_found_at_first(tmp_path: Path) -> None:
    """The error names the entry, the next calls are told at once, and it goes on by itself once there is a list."""
    names = Names()
    async with nodes_at(ONE) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub:
        for _ in range(3):
            error = await failure(hub)
            assert isinstance(error, ConnectFailed)
            assert "'nodes.test' of the credential 'nodes' of provider 'acme'" in error.message
            assert "it has no address" in error.message
            assert error.sent is False
            assert error.retry_after is not None
            assert 0.0 <= error.retry_after <= 1.2
        assert len(names.asked) == 1
        names.answer = [ONE]
        await names.rounds(1)
        assert await hub.used(3) == {f"nodes@{ONE}"}


async def test_others_serve_until_something_is_found(tmp_path: Path) -> None:
    """It stands among the attempts meanwhile, and takes part by itself."""
    names = Names()
    async with nodes_at(ONE, TWO) as nodes:
        rows = [by_dns(nodes[ONE].port), {"id": "fixed", "values": {"base_url": nodes[TWO].url}}]
        async with caller(rows, tmp_path, names) as hub:
            reply = await hub.chat()
            assert [(each.deployment, each.error) for each in reply.attempts] == [
                (f"{MODEL}#nodes", "ConnectFailed"),
                (f"{MODEL}#fixed", None),
            ]
            names.answer = [ONE]
            await names.rounds(1)
            await until(lambda: len(hub.known()) == 1)
            assert await hub.used() == {"fixed", f"nodes@{ONE}"}


async def test_a_callers_deadline_is_its_own(tmp_path: Path) -> None:
    """It does not wait longer for the first list, which is found all the same."""
    names = Names(ONE)
    names.delay = 0.3
    async with nodes_at(ONE) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names, refresh=1000.0) as hub:
        for _ in range(2):
            with anyio.move_on_after(0.05) as scope:
                await hub.chat()
            assert scope.cancelled_caught
        await hub.chat()
        assert len(names.asked) == 1


async def test_what_is_known_of_a_node_stays_while_it_is_away(tmp_path: Path) -> None:
    """One that was ejected, went and came back is ejected still."""
    names = Names(ONE, TWO)
    async with nodes_at(ONE, TWO) as nodes:
        nodes[ONE].fault = Fault.status(500)
        routing = {"routing": {"eject_seconds": 300.0, "pick": "round_robin"}}
        async with caller([by_dns(nodes[ONE].port)], tmp_path, names, tables=routing) as hub:
            await until_ejected(hub, f"nodes@{ONE}")
            for answer in ([TWO], [ONE, TWO]):
                await names.answers(*answer)
                assert await hub.used(10) == {f"nodes@{TWO}"}
            assert hub.known()[f"nodes@{ONE}"].state == "ejected"
            assert nodes[ONE].calls == 3


async def until_ejected(hub: Caller, name: str) -> None:
    """Make calls until a node is ejected; none of them fails."""
    for _ in range(20):
        await hub.chat()
        if hub.known()[name].state == "ejected":
            return
    pytest.fail("it is not ejected")


async def test_nothing_is_looked_up_that_nobody_uses(tmp_path: Path) -> None:
    """Ten minutes after the last call no more, and at once when there is another, which goes by the list of before."""
    names, later = Names(ONE), 0.0
    async with (
        nodes_at(ONE, TWO) as nodes,
        caller([by_dns(nodes[ONE].port)], tmp_path, names, clock=lambda: time.monotonic() + later) as hub,
    ):
        await hub.used(3)
        later = 601.0
        await anyio.sleep(3 * REFRESH)  # the task that looks up ends when it wakes
        asked = len(names.asked)
        await anyio.sleep(3 * REFRESH)
        assert len(names.asked) == asked
        names.answer = [TWO]
        assert await hub.used(1) == {f"nodes@{ONE}"}
        await names.rounds(2)
        assert await hub.used(3) == {f"nodes@{TWO}"}


@pytest.mark.holds_secrets("key")
async def test_a_reference_that_cannot_be_read_when_nodes_change_stays_what_it_was(tmp_path: Path) -> None:
    """Until it can be read again, calls go on as before."""
    key = tmp_path / "key"
    key.write_text(CANARY)
    names = Names(ONE)
    async with nodes_at(ONE, TWO) as nodes:
        entry = by_dns(nodes[ONE].port)
        entry["values"]["api_key"] = f"file:{key}"
        async with caller([entry], tmp_path, names) as hub:
            await hub.chat()
            moved = await anyio.to_thread.run_sync(key.rename, tmp_path / "elsewhere")
            await names.answers(TWO)
            assert await hub.used(3) == {f"nodes@{ONE}"}
            await anyio.to_thread.run_sync(moved.rename, key)
            await names.rounds()
            assert await hub.used(3) == {f"nodes@{TWO}"}


async def test_settings_that_are_read_anew_keep_the_list(tmp_path: Path) -> None:
    """A name server that is down then costs nothing, and what it says later counts."""
    names = Names(ONE)
    async with nodes_at(ONE, TWO) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names) as hub:
        await hub.chat()
        names.answer = OSError("down")
        hub.renew()
        assert await hub.used(3) == {f"nodes@{ONE}"}
        await names.answers(TWO)
        assert await hub.used(3) == {f"nodes@{TWO}"}


async def test_one_node_by_name(tmp_path: Path) -> None:
    """In a call and a named deployment; the entry's name alone means all of them, and one that is not there is told."""
    tables = {
        "deployments": {"second": {"target": MODEL, "credential": f"nodes@{TWO}"}},
        "routes": {"first": {"targets": [f"{MODEL}#nodes@{ONE}"]}},
        "store": {"enabled": False},
    }
    names = Names(ONE, TWO)
    async with nodes_at(ONE, TWO) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, names, tables=tables) as hub:
        for target, address in (("second", TWO), ("first", ONE), (f"{MODEL}#nodes@{TWO}", TWO)):
            reply = await hub.chat(target=target)
            assert reply.attempts[-1].deployment == f"{MODEL}#nodes@{address}"
        for _ in range(10):
            await hub.chat(target=f"{MODEL}#nodes")
        assert nodes[ONE].calls > 1
        assert nodes[TWO].calls > 2
        await names.answers(ONE)
        error = await failure(hub, target="second")
    assert isinstance(error, ConfigurationError)
    assert f"has no address '{TWO}' now" in error.message
    assert error.remedy == f"it has {ONE}"


async def test_a_bound_model_finds_its_own(tmp_path: Path) -> None:
    """Over what is configured, and apart from it."""
    async with nodes_at(ONE, TWO) as nodes:
        port = nodes[ONE].port
        mine = given([{**by_dns(port), "id": "mine"}])
        async with caller([by_dns(port, concurrency=1)], tmp_path, Names(ONE, TWO)) as hub:
            assert await hub.used(20, mine) == {f"mine@{ONE}", f"mine@{TWO}"}


async def test_what_a_call_brings_is_not_looked_up_again_and_again(tmp_path: Path) -> None:
    """The error says where it belongs."""
    async with caller([], tmp_path, Names(ONE)) as hub:
        brought = given([by_dns(1)])
        error = await failure(hub, type(brought)("acme", brought.sources))
    assert isinstance(error, ConfigurationError)
    assert "hub.bind" in str(error)


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1"])
async def test_a_tenants_name_leads_to_nothing_private(tmp_path: Path, address: str) -> None:
    """The guard judges each address as ever; nothing is sent."""
    async with caller([], tmp_path, Names(address)) as hub:
        entry = {"id": "theirs", "discover": "dns", "values": {"base_url": "https://nodes.test:9"}}
        error = await failure(hub, given([entry], tenant=True))
    assert isinstance(error, EgressRefused)
    assert "not public" in error.message


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "::ffff:169.254.169.254", "fd00:ec2::254"])
async def test_nobodys_name_leads_to_a_metadata_service(tmp_path: Path, address: str) -> None:
    """Not the operator's either."""
    async with caller([by_dns(80)], tmp_path, Names(address)) as hub:
        error = await failure(hub)
    assert isinstance(error, EgressRefused)
    assert "metadata" in error.message


@pytest.mark.parametrize(("name", "known"), [("localhost", True), ("nodes.test", False)])
async def test_the_certificate_is_that_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, known: bool
) -> None:
    """Whatever the address is: one that is for the host is good at any of them, and no other is."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "localhost.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "localhost.pem")
    async with FaultServer(completions_dialect(), host=TWO, tls=context) as node:
        entry = {"id": "nodes", "discover": "dns", "values": {"base_url": f"https://{name}:{node.port}"}}
        async with caller([entry], tmp_path, Names(TWO)) as hub:
            if known:
                assert await hub.used(2) == {f"nodes@{TWO}"}
                assert node.requests[0].headers["host"] == f"localhost:{node.port}"
            else:
                error = await failure(hub)
                assert isinstance(error, ConnectFailed)
                assert "not valid for 'nodes.test'" in error.message
                assert node.calls == 0


async def test_behind_a_proxy_there_is_nothing_to_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks the name up itself: that is said, and what to do."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with nodes_at(ONE) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, Names(ONE)) as hub:
        error = await failure(hub)
        assert isinstance(error, ConfigurationError)
        assert "add nodes.test to NO_PROXY" in str(error)
    monkeypatch.setenv("NO_PROXY", "nodes.test")
    async with nodes_at(ONE) as nodes, caller([by_dns(nodes[ONE].port)], tmp_path, Names(ONE)) as hub:
        await hub.chat()


async def test_requests_a_minute_are_counted_for_all_addresses_together(tmp_path: Path) -> None:
    """As a vendor counts what comes with a key; also for a node that comes later."""
    names = Names(ONE)
    async with nodes_at(ONE, TWO) as nodes, caller([by_dns(nodes[ONE].port, rpm=4)], tmp_path, names) as hub:
        await hub.used(3)
        await names.answers(ONE, TWO)
        await hub.chat()
        assert isinstance(await failure(hub), LocalRateLimited)
    assert sum(node.calls for node in nodes.values()) == 4


async def test_calls_at_once_are_counted_for_each_address(tmp_path: Path) -> None:
    """A server has room for so many, however many others there are."""
    async with nodes_at(ONE, TWO) as nodes:
        for node in nodes.values():
            node.pace = Pace(first=0.2)
        entry = by_dns(nodes[ONE].port, concurrency=2)
        async with caller([entry], tmp_path, Names(ONE, TWO)) as hub, anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(hub.chat)
            await until(lambda: sum(info.waiting for info in hub.known().values()))
            assert [info.in_flight for info in hub.known().values()] == [2, 2]


async def test_money_is_counted_for_all_addresses_together(tmp_path: Path) -> None:
    """What one of them has spent, none of them may spend."""
    price = {"input": "1", "output": "1", "unit": "1", "currency": "USD"}
    tables = {"models": {MODEL: {"pricing": price}}, "routing": {"pick": "round_robin"}}
    async with nodes_at(ONE, TWO) as nodes:
        budget = {"amount": 40, "per": "month"}  # a call costs 15
        async with caller([by_dns(nodes[ONE].port, budget=budget)], tmp_path, Names(ONE, TWO), tables=tables) as hub:
            for _ in range(3):
                await hub.chat()
            assert isinstance(await failure(hub), BudgetExceeded)
            assert {info.state for info in hub.known().values()} == {"budget"}


async def test_several_processes_tell_addresses_apart(tmp_path: Path) -> None:
    """What one finds out of an address, the others know of that address; a limit is one for all addresses."""
    board = Board()
    async with nodes_at(ONE, TWO) as nodes:
        nodes[ONE].fault = Fault.status(500)
        entry = by_dns(nodes[ONE].port, rpm=1000)
        async with (
            caller([entry], tmp_path, Names(ONE, TWO), shared=board) as one,
            caller([entry], tmp_path, Names(TWO, ONE), shared=board) as two,
        ):
            await two.runtime.deployments.find([MODEL], ModelType.LLM, None)
            await until_ejected(one, f"nodes@{ONE}")
            await until(lambda: two.known()[f"nodes@{ONE}"].state == "ejected")
            assert two.known()[f"nodes@{TWO}"].state == "ready"
            calls = nodes[ONE].calls
            assert await two.used(4) == {f"nodes@{TWO}"}
            assert nodes[ONE].calls == calls
    assert len(board.buckets) == 1


async def test_a_key_that_is_good_again_is_so_at_each_address() -> None:
    """Which `hub.validate` finds out for the entry as a whole."""
    async with FaultServer(completions_dialect(), fault=Fault.status(401)) as node:
        values = {"base_url": f"http://localhost:{node.port}", "api_key": CANARY}
        entry = {"id": "nodes", "discover": "dns", "values": values}
        async with ModelHub({"credentials": {"acme": [entry]}}, providers=[Checked]) as hub:
            with pytest.raises(AuthenticationFailed):
                await hub.chat(MODEL, "Hi")
            node.fault = None
            assert (await hub.validate("acme")).ok
            states = {info.id: info.state for info in await hub.deployments()}
            assert states[f"{MODEL}#nodes@{ONE}"] == "ready"
            await hub.chat(MODEL, "Hi")
            assert (await hub.validate("acme", credential=f"nodes@{ONE}")).ok


class Checked(CompletionsProvider):
    """A vendor that says whether a key is right."""

    async def validate_provider_credentials(self, context: ProviderContext) -> None:
        """Ask for the models."""
        await context.http.json(HttpCall("/v1/models", method="GET"))
