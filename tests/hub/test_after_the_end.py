"""Once a hub was left, nothing that it made has a key any more: not in clear, and not as a `Secret`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.canary import canary, holders

from modelhub import ModelHub
from modelhub.errors import ModelHubError
from modelhub.testing.replies import Reply, Request, json_reply, sse_reply
from modelhub.testing.wire_server import WireServer

pytestmark = pytest.mark.anyio

END = {"end": "stop", "in": 3, "out": 2}
MODELS = ("well", "refused", "busy", "broken", "silent", "nonsense")


def answer(request: Request) -> Reply:
    """Answer as the model's name says; what fails repeats the key."""
    asked: Any = request.json if request.body else {"model": "", "stream": False}
    said = str(dict(request.headers))
    match asked["model"]:
        case "refused":
            return json_reply({"error": {"message": said}}, 403)
        case "busy":
            return Reply(503, body=said)
        case "broken":
            return Reply(200, {"content-type": "text/event-stream"}, body='data: {"text": "a"}\n\n' * 50, cut_after=100)
        case "silent":
            return Reply(delay=30)
        case "nonsense":
            return Reply(body=said)
        case _:
            return sse_reply([{"text": "a"}, END], done=False) if asked["stream"] else json_reply({"text": "a", **END})


async def streamed(hub: ModelHub, model: str, **options: Any) -> Any:
    """Read a stream to its end."""
    async with hub.stream(model, "Hi", **options) as stream:
        async for _ in stream:
            pass
    return stream.result


async def used(hub: ModelHub, **options: Any) -> list[Any]:
    """Use a hub for answers, streams and all kinds of failures; returns what an application may keep of that."""
    kept: list[Any] = []
    async with hub:
        for model in MODELS:
            for ask in (hub.chat("acme/" + model, "Hi", **options), streamed(hub, "acme/" + model, **options)):
                try:
                    with anyio.move_on_after(0.2):
                        kept.append(await ask)
                except ModelHubError as error:
                    kept.append((error.message, error.attempts, str(error), error.excerpt))
        stream = hub.stream("acme/well", "Hi", **options)
        async with stream:
            await stream.__anext__()
        kept += [await hub.validate("acme", options.get("credentials")), await hub.deployments()]
    return kept


async def of_a_call(acme: type, url: str, name: str, folder: Path) -> tuple[ModelHub, list[Any]]:
    """Give the key with each call."""
    del folder
    hub = ModelHub({"routing": {"retries": 0}}, providers=[acme])
    return hub, await used(hub, credentials={"base_url": url, "api_key": canary(name)})


async def of_a_reference(acme: type, url: str, name: str, folder: Path) -> tuple[ModelHub, list[Any]]:
    """Have the settings say where it is."""
    path = folder / "key"
    path.write_text(canary(name))
    path.chmod(0o600)
    settings = {"routing": {"retries": 0}, "credentials": {"acme": {"base_url": url, "api_key": f"file:{path}"}}}
    hub = ModelHub(settings, providers=[acme])
    return hub, await used(hub)


async def of_the_settings_file(acme: type, url: str, name: str, folder: Path) -> tuple[ModelHub, list[Any]]:
    """Write it into the settings."""
    path = folder / "modelhub.toml"
    path.write_text(f'[credentials.acme]\nbase_url = "{url}"\napi_key = "{canary(name)}"\n[routing]\nretries = 0\n')
    path.chmod(0o600)
    hub = ModelHub(path, providers=[acme])
    return hub, await used(hub)


async def of_the_settings(acme: type, url: str, name: str, folder: Path) -> tuple[None, list[Any]]:
    """Give it to the hub itself, which keeps what it was given for as long as it is kept."""
    del folder
    settings = {"routing": {"retries": 0}, "credentials": {"acme": {"base_url": url, "api_key": canary(name)}}}
    return None, await used(ModelHub(settings, providers=[acme]))


async def served(way: Callable[..., Any], acme: type, folder: Path) -> tuple[ModelHub | None, list[Any]]:
    """Use a hub at a server, which has seen the key too, and is gone afterwards."""
    async with WireServer(answer) as server:
        hub, kept = await way(acme, server.url, way.__name__, folder)
        assert len(server.requests) > len(MODELS)
    return hub, kept


@pytest.mark.holds_secrets("key", "modelhub.toml")
@pytest.mark.parametrize(
    ("anyio_backend", "way"),
    [
        ("asyncio", of_a_call),
        ("trio", of_a_call),
        ("trio", of_a_reference),
        ("asyncio", of_the_settings_file),
        ("trio", of_the_settings),
    ],
)
async def test_no_key_is_left_in_memory(acme: type, tmp_path: Path, way: Callable[..., Any]) -> None:
    """Wherever it came from; while the hub is still there, and answers, messages of errors and reports are too."""
    hub, kept = await served(way, acme, tmp_path)
    assert len(kept) > len(MODELS)
    assert holders(way.__name__) == []
    del hub
