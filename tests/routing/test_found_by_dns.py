"""Nodes that are found by DNS: each address of a name is a deployment, found anew while calls go there."""

from pathlib import Path

import pytest
from tests.routing.found_nodes import Names, by_dns, caller, nodes_at

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = "127.0.0.1", "127.0.0.2", "127.0.0.3"


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
