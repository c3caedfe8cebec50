"""The clients that are measured, doing the same work: one question, and every piece of the answer read and counted."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol, Self, final

import aiohttp
import httpx
import ollama
import orjson
from canned_server import BURST_MODEL, CALL_MODEL, PACED_MODEL

from modelhub import ModelHub, UserMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from types import TracebackType

    from modelhub import BoundModel

QUESTION = "Why is the sky blue? Answer in one sentence, please."
_OPTIONS = {"temperature": 0.2, "num_predict": 64}
_JSON = {"Content-Type": "application/json"}
_CONNECTIONS = 512
"""More than are ever wanted at once: nobody waits for a connection."""


class Client(Protocol):
    """What is measured; entered once, then called."""

    async def __aenter__(self) -> Self:
        """Open it."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""

    async def call(self) -> int:
        """Ask for a whole answer; return the length of its text."""

    async def stream(self, model: str) -> int:
        """Ask for a stream; return the number of its pieces of text."""


def _body(model: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": QUESTION}]
    return orjson.dumps({"model": model, "messages": messages, "stream": stream, "options": _OPTIONS})


async def _pieces(chunks: AsyncIterator[bytes]) -> int:
    """Read lines of JSON as one would by hand."""
    found, rest = 0, b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        for line in lines:
            document = orjson.loads(line)
            if document["message"]["content"]:
                found += 1
            if document["done"]:
                return found
    message = "the stream ended before its end"
    raise RuntimeError(message)


class _Opened:
    """Something that holds one client open."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()


@final
class BareHttpx(_Opened):
    """httpx and nothing over it: bytes in, cut at newlines, parsed."""

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        client = httpx.AsyncClient(base_url=self._url, limits=limits, trust_env=False, timeout=60)
        self._client = await self._stack.enter_async_context(client)
        return self

    async def call(self) -> int:
        """See `Client`."""
        response = await self._client.post("/api/chat", content=_body(CALL_MODEL, stream=False), headers=_JSON)
        response.raise_for_status()
        return len(orjson.loads(response.content)["message"]["content"])

    async def stream(self, model: str) -> int:
        """See `Client`."""
        body = _body(model, stream=True)
        async with self._client.stream("POST", "/api/chat", content=body, headers=_JSON) as response:
            response.raise_for_status()
            return await _pieces(response.aiter_bytes())


@final
class BareAiohttp(_Opened):
    """aiohttp and nothing over it: the same by the fastest of the common clients."""

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60))
        self._session = await self._stack.enter_async_context(session)
        self._chat = f"{self._url}/api/chat"
        return self

    async def call(self) -> int:
        """See `Client`."""
        async with self._session.post(self._chat, data=_body(CALL_MODEL, stream=False), headers=_JSON) as response:
            response.raise_for_status()
            return len(orjson.loads(await response.read())["message"]["content"])

    async def stream(self, model: str) -> int:
        """See `Client`."""
        async with self._session.post(self._chat, data=_body(model, stream=True), headers=_JSON) as response:
            response.raise_for_status()
            return await _pieces(response.content.iter_any())


@final
class OfficialOllama(_Opened):
    """The vendor's own client."""

    async def __aenter__(self) -> Self:
        limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
        self._client = ollama.AsyncClient(host=self._url, limits=limits, trust_env=False, timeout=60)
        await self._stack.enter_async_context(self._client._client)  # noqa: SLF001  it has no public way to close
        return self

    async def call(self) -> int:
        """See `Client`."""
        messages = [{"role": "user", "content": QUESTION}]
        answer = await self._client.chat(CALL_MODEL, messages, options=_OPTIONS)
        return len(answer.message.content or "")

    async def stream(self, model: str) -> int:
        """See `Client`."""
        messages = [{"role": "user", "content": QUESTION}]
        found = 0
        async for part in await self._client.chat(model, messages, stream=True, options=_OPTIONS):
            if part.message.content:
                found += 1
        return found


@final
class Hub(_Opened):
    """The whole path: a bound model of the plugin, its parameters checked, the answer folded to a result."""

    def __init__(self, url: str, sinks: Sequence[Callable[[object], None]] = ()) -> None:
        super().__init__(url)
        self._sinks = sinks

    async def __aenter__(self) -> Self:
        self._hub = await self._stack.enter_async_context(ModelHub({}, sinks=self._sinks))
        self._bound = {model: self._bind(model) for model in (CALL_MODEL, BURST_MODEL, PACED_MODEL)}
        return self

    def _bind(self, model: str) -> BoundModel:
        return self._hub.bind(
            {
                "provider": "ollama_local",
                "model": model,
                "credentials": [{"base_url": self._url}],
                "parameters": {"temperature": 0.2, "max_tokens": 64},
            }
        )

    async def call(self) -> int:
        """See `Client`."""
        return len((await self._bound[CALL_MODEL].chat([UserMessage(QUESTION)])).text)

    async def stream(self, model: str) -> int:
        """See `Client`."""
        found = 0
        async with self._bound[model].stream([UserMessage(QUESTION)]) as stream:
            async for event in stream:
                if event.type == "text":
                    found += 1
        if stream.result.usage is None:
            message = "the stream ended without its figures"
            raise RuntimeError(message)
        return found


def _ignored(record: object) -> None:
    """Do what the cheapest sink does."""


OURS = "modelhub"
OBSERVED = "modelhub with a sink"
CLIENTS: Mapping[str, Callable[[str], Client]] = {
    "bare httpx": BareHttpx,
    "official client": OfficialOllama,
    OURS: Hub,
    OBSERVED: lambda url: Hub(url, [_ignored]),
    "bare aiohttp": BareAiohttp,
}
"""By the names in the table; each takes the server's address."""
