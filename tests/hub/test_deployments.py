"""What a hub knows of its deployments, for operators; and lists of models where a server of several is gone."""

from typing import Any

import pytest

from modelhub import DeploymentInfo, ModelHub
from modelhub.errors import ConnectFailed
from modelhub.testing.replies import Reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio


async def test_deployments_are_listed_as_they_stand(acme: Any, vendor: Any) -> None:
    """Ready, ejected with the time that lasts, and how many calls each has and is given at once."""
    async with WireServer(vendor) as well, WireServer(Reply(500)) as sick:
        rows = [{"id": name, "values": {"base_url": each.url}} for name, each in (("sick", sick), ("well", well))]
        config = {"credentials": {"acme": rows}, "routing": {"pick": "priority", "concurrency": 7}}
        async with ModelHub(config, providers=[acme]) as hub:
            assert await hub.deployments() == []
            for _ in range(3):
                await hub.chat("acme/m", "Hi")
            async with hub.stream("acme/m", "Hi"):
                sick_one, well_one = await hub.deployments()
    assert well_one == DeploymentInfo("acme/m#well", "ready", None, 1, 7, 0)
    assert (sick_one.id, sick_one.state, sick_one.in_flight) == ("acme/m#sick", "ejected", 0)
    assert sick_one.seconds is not None
    assert 0 < sick_one.seconds <= 5


async def test_models_are_listed_by_another_server_where_one_is_gone(acme: Any, vendor: Any) -> None:
    """The error of the last one is raised where none answers."""
    gone = {"base_url": "http://127.0.0.1:9"}
    async with WireServer(vendor) as well:
        config = {"credentials": {"acme": [gone, {"base_url": well.url}]}}
        async with ModelHub(config, providers=[acme]) as hub:
            assert [model.model for model in await hub.models("acme")]
    async with ModelHub({"credentials": {"acme": [gone, gone | {"api_key": "x"}]}}, providers=[acme]) as hub:
        with pytest.raises(ConnectFailed):
            await hub.models("acme")
