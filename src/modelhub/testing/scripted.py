"""A provider that answers from a script, so that an application can be tested without any network."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast, final

import anyio

from modelhub.errors import ConfigurationError, ModelHubError
from modelhub.hookspecs import hookimpl
from modelhub.provider.context import ProviderContext
from modelhub.provider.models import chat_events, whole
from modelhub.rules.fold import ChatFold, SpeechFold
from modelhub.types.events import AudioDelta, ChatEvent, Event, Finish, FinishReason, Started, TextDelta
from modelhub.types.requests import ChatRequest, Request, SpeechRequest
from modelhub.types.results import ChatResult, Result, SpeechResult
from modelhub.types.schema import ModelType, ProviderSchema

__all__ = ["Line", "ScriptedProvider"]

Line: TypeAlias = "str | Result | ModelHubError | Sequence[Event] | Callable[[Request[Any]], Line]"
"""An answer: a text, a result, an error to raise, events in order, or a function of the request
that gives one of these."""


@final
class ScriptedProvider:
    """Answers requests of every model type, one line of the script each, and remembers what was asked.

    A script of events that has no `Finish` is a stream that breaks off.

    Args:
        lines: The script. The last line answers every further request if it is a function or an error: calls that
            fail may be tried again.
        id: The provider's id.
        pause: Seconds between two events of a stream.

    Attributes:
        requests: What was asked, oldest first, as a provider sees it: parameters checked, model name bare.

    Example:
        >>> async def test_greeting() -> None:
        ...     scripted = ScriptedProvider("Hello!")
        ...     async with ModelHub(providers=[scripted]) as hub:
        ...         reply = await hub.chat("scripted/any", "Hi")
        ...     assert reply.text == "Hello!"
        ...     assert scripted.requests[0].messages[0].content == "Hi"
    """

    def __init__(self, *lines: Line, id: str = "scripted", pause: float = 0.0) -> None:
        self.id = id
        self.requests: list[Any] = []
        self._lines = deque(lines)
        self._pause = pause

    @hookimpl
    def provider_schema(self) -> ProviderSchema:
        """Serve all types, with any model name."""
        return ProviderSchema(
            self.id,
            label={"en_US": "Scripted", "id_ID": "Naskah"},
            supported_model_types=tuple(ModelType),
            configurate_methods=("customizable-model",),
            prices_of="",  # what a test sees must not change with the prices of a list
        )

    @hookimpl
    async def invoke(self, request: Request[Result], context: ProviderContext) -> Result:
        """Answer with the next line."""
        del context
        line = self._next(request)
        if isinstance(line, Result):
            return line
        fold: ChatFold | SpeechFold
        if isinstance(request, SpeechRequest):
            fold = SpeechFold(f"audio/{request.format or 'wav'}")
        elif isinstance(request, ChatRequest):
            fold = ChatFold(request.id)
        else:
            raise _no_answer(request, "events")
        for event in line:
            fold.add(event)
        return whole(fold)

    @hookimpl
    async def stream(self, request: Request[Result], context: ProviderContext) -> AsyncGenerator[Event, None]:
        """Answer with the next line, in events."""
        del context
        line = self._next(request)
        for event in _events(line) if isinstance(line, Result) else line:
            if self._pause:
                await anyio.sleep(self._pause)
            yield event

    def _next(self, request: Request[Result]) -> Result | Sequence[Event]:
        self.requests.append(request)
        if not self._lines:
            raise ConfigurationError("the script has no line left", remedy="give ScriptedProvider one for each request")
        line = self._lines[0]
        if len(self._lines) > 1 or not (callable(line) or isinstance(line, ModelHubError)):
            self._lines.popleft()
        while callable(line):
            line = line(request)
        if isinstance(line, ModelHubError):
            raise line
        if isinstance(line, str):
            if not isinstance(request, ChatRequest):
                raise _no_answer(request, "text")
            return _text_events(line)
        return line

    def __repr__(self) -> str:
        return f"<ScriptedProvider {self.id}: {len(self.requests)} asked, {len(self._lines)} lines left>"


def _no_answer(request: Request[Result], given: str) -> ConfigurationError:
    asked = type(request).__name__
    remedy = f"give the result itself: a {asked.replace('Request', 'Result')}"
    return ConfigurationError(f"the script answers a {asked} with {given}", remedy=remedy)


def _text_events(text: str) -> Sequence[ChatEvent]:
    pieces = re.findall(r"\S+\s*|^\s+", text)
    return [Started(), *(TextDelta(0, piece) for piece in pieces), Finish(FinishReason.STOP, "stop")]


def _events(result: Result) -> Iterable[Event]:
    if isinstance(result, ChatResult):
        return chat_events(cast("ChatResult[None]", result))
    if isinstance(result, SpeechResult):
        return [AudioDelta(result.audio), Finish(FinishReason.STOP)]
    raise ConfigurationError(f"a {type(result).__name__} does not come as a stream")
