"""Settings that change while calls are under way."""

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from tests.ollama_node import OLLAMA

from modelhub import AssistantMessage, ChatResult, FinishReason, ModelHub, Usage
from modelhub.errors import BudgetExceeded, ConfigurationError
from modelhub.testing.fault_server import FaultServer
from modelhub.testing.scripted import ScriptedProvider
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio


def settings(url: str, key: str) -> str:
    """Return a file of settings."""
    return f'[credentials.acme]\nbase_url = "{url}"\napi_key = "{key}"\n'


async def test_a_key_that_was_changed_is_used_by_the_next_call(acme: Any, vendor: Any, tmp_path: Path) -> None:
    """The file is read anew, and no hub has to be left for it; connections of before are closed."""
    file = tmp_path / "modelhub.toml"
    async with WireServer(vendor) as server:
        file.write_text(settings(server.url, "old"))
        async with ModelHub(file, providers=[acme]) as hub:
            await hub.chat("acme/m", "Hi")
            file.write_text(settings(server.url, "new"))
            await hub.chat("acme/m", "Hi")
            await hub.reload()
            await hub.chat("acme/m", "Hi")
            with anyio.fail_after(2.0):
                while server.open_connections > 1:  # noqa: ASYNC110  a socket that closes has no event
                    await anyio.sleep(0.01)
        keys = [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]
    assert keys == ["old", "old", "new"]


async def test_settings_that_cannot_be_used_change_nothing(acme: Any, vendor: Any, tmp_path: Path) -> None:
    """They are refused with their line, and those of before serve on."""
    file = tmp_path / "modelhub.toml"
    async with WireServer(vendor) as server:
        file.write_text(settings(server.url, "good"))
        async with ModelHub(file, providers=[acme]) as hub:
            file.write_text("[routing]\nretries = -1\n")
            with pytest.raises(ConfigurationError, match="retries"):
                await hub.reload()
            await hub.chat("acme/m", "Hi")
    assert server.requests[-1].headers["authorization"] == "Bearer good"


async def test_no_call_is_lost(acme: Any, vendor: Any, tmp_path: Path) -> None:
    """Streams that are being read end as they began, and calls go on at full pace, whenever it happens."""
    file = tmp_path / "modelhub.toml"
    async with WireServer(vendor) as server:
        file.write_text(settings(server.url, "key"))
        async with ModelHub(file, providers=[acme]) as hub, anyio.create_task_group() as group:
            done = 0

            async def call() -> None:
                nonlocal done
                for _ in range(40):
                    async with hub.stream("acme/m", "Hi") as stream:
                        async for _ in stream:
                            await anyio.lowlevel.checkpoint()
                    assert stream.result.finish_reason == "stop"
                    done += 1

            for _ in range(5):
                group.start_soon(call)
            for _ in range(20):
                await hub.reload()
                await anyio.sleep(0.005)
    assert done == 200


async def test_servers_that_are_not_named_any_more_are_left_alone(tmp_path: Path) -> None:
    """They are neither listed nor checked, with a key that may have been taken away from us."""
    file = tmp_path / "modelhub.toml"
    async with FaultServer(OLLAMA) as old, FaultServer(OLLAMA) as new:

        def settings(node: FaultServer) -> str:
            return f'[credentials.ollama_local]\nbase_url = "{node.url}"\n[routing]\nprobe_seconds = 0.05\n'

        file.write_text(settings(old))
        async with ModelHub(file) as hub:
            await hub.chat("ollama_local/llama3", "Hi")
            before = len(old.requests)
            await old.until(lambda node: len(node.requests) > before)  # it is idle, so it is checked
            file.write_text(settings(new))
            await hub.reload()
            await hub.chat("ollama_local/llama3", "Hi")
            assert len(await hub.deployments()) == 1
            before, checked = len(old.requests), len(new.requests)
            await new.until(lambda node: len(node.requests) > checked + 3)
            assert len(old.requests) <= before + 1  # one check may have been on its way


def test_settings_are_read_anew_on_whichever_event_loop_the_hub_was_entered_in(acme: Any) -> None:
    """One hub, one event loop after another, of another library too; two changes at once wait for each other."""
    hub = ModelHub(providers=[acme])

    async def reloaded() -> None:
        async with hub, anyio.create_task_group() as group:
            group.start_soon(hub.reload)
            group.start_soon(hub.reload)

    for backend in ("asyncio", "asyncio", "trio"):
        anyio.run(reloaded, backend=backend)


async def test_a_budget_that_was_raised_lets_calls_through(tmp_path: Path) -> None:
    """As the error says to; what was spent stays spent, and a budget that is taken away stops nobody."""
    file = tmp_path / "modelhub.toml"

    def spend(amount: str | None) -> None:
        budget = "" if amount is None else f', budget = {{ amount = {amount}, per = "month" }}'
        pricing = 'pricing = { input = "1", output = "1", unit = "1", currency = "USD" }'
        row = f'scripted = [{{ id = "a", values = {{}}{budget} }}]'
        file.write_text(f'[credentials]\n{row}\n[models."scripted/m"]\n{pricing}\n')

    answer = ChatResult(message=AssistantMessage("Hi"), usage=Usage(1, 1), finish_reason=FinishReason.STOP, output=None)
    spend("1")
    async with ModelHub(file, providers=[ScriptedProvider(lambda _: answer)]) as hub:
        await hub.chat("scripted/m", "Hi")
        for amount, calls in (("1", 0), ("2", 0), ("5", 2), ("5", 0), ("7", 1), (None, 1)):
            spend(amount)
            await hub.reload()
            for _ in range(calls):
                await hub.chat("scripted/m", "Hi")
            if amount is not None:
                with pytest.raises(BudgetExceeded):
                    await hub.chat("scripted/m", "Hi")
