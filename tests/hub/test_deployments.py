"""What a hub knows of its deployments, for operators; and lists of models where a server of several is gone."""

from typing import Any

import anyio
import pytest

from modelhub import DeploymentInfo, ModelHub
from modelhub.errors import ConnectFailed, LocalRateLimited, ServerError, StreamNotFinished
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


async def test_batches_count_as_the_requests_that_they_are(acme: Any, vendor: Any) -> None:
    """An embedding in several batches uses up as much of a limit of requests."""
    async with WireServer(vendor) as server:
        row = {"id": "a", "values": {"base_url": server.url}, "rpm": 4}
        async with ModelHub({"credentials": {"acme": [row]}}, providers=[acme]) as hub:
            await hub.embed("acme/m", ["x"] * 200)
            assert len(server.requests) > 2
            with pytest.raises(LocalRateLimited):
                await hub.embed("acme/m", ["x"], timeout=0.5)


async def test_a_tenants_failures_do_not_use_up_the_retries_of_others(acme: Any, vendor: Any) -> None:
    """Each has a budget of its own for them, whatever the model is called."""
    async with WireServer(vendor) as well, WireServer(Reply(500)) as sick:
        config = {"credentials": {"acme": {"base_url": well.url}}, "routing": {"retry_floor": 1}}
        async with ModelHub(config, providers=[acme]) as hub:
            for _ in range(3):
                with pytest.raises(ServerError):
                    await hub.chat("acme/m", "Hi", credentials={"base_url": sick.url})
            assert len(sick.requests) == 4  # one retry, and then no more
            flaky = [{"base_url": sick.url, "api_key": "other"}, {"base_url": well.url, "api_key": "other"}]
            config = {"provider": "acme", "model": "m", "credentials": flaky}
            assert (await hub.bind(config).chat("Hi")).attempts


async def test_a_stream_that_is_closed_while_it_waits_for_a_place(acme: Any, vendor: Any) -> None:
    """It waits no longer, and whoever comes next has its place."""
    async with WireServer(vendor) as server:
        row = {"id": "a", "values": {"base_url": server.url}, "concurrency": 1}
        async with ModelHub({"credentials": {"acme": [row]}}, providers=[acme]) as hub:
            waiting = hub.stream("acme/m", "Hi")
            errors: list[Exception] = []

            async def enter() -> None:
                try:
                    await waiting.__aenter__()
                except StreamNotFinished as error:
                    errors.append(error)

            async with hub.stream("acme/m", "Hi"), anyio.create_task_group() as group:
                group.start_soon(enter)
                await anyio.wait_all_tasks_blocked()
                (info,) = await hub.deployments()
                assert info.waiting == 1
                await waiting.aclose()
            (info,) = await hub.deployments()
            assert (info.waiting, info.in_flight, len(errors)) == (0, 0, 1)
            await hub.chat("acme/m", "Hi")
