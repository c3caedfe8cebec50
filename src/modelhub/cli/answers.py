"""One answer: asked for, shown as it comes or when it is whole, and remarked upon."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from modelhub.cli.command import Command
from modelhub.cli.documents import document_of
from modelhub.cli.progress import Display
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _
from modelhub.cli.usage import show_remarks, usage_line
from modelhub.types.events import Event, ReasoningDelta, TextDelta
from modelhub.types.messages import Message
from modelhub.types.results import ChatResult

if TYPE_CHECKING:
    from modelhub import ModelHub

__all__ = ["Answering", "Writer"]


@final
class Writer:
    """Writes one answer: its text to stdout; its reasoning, dimmed, to stderr, where both are terminals.

    Attributes:
        text: What was written so far.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._reasoning_shown = terminal.notes_shown and terminal.answers_shown
        self._reasoning = False
        self.text: str = ""

    def event(self, event: Event) -> None:
        """Write a piece of the answer."""
        if self._terminal.json:
            self._terminal.line(event)
        elif isinstance(event, TextDelta):
            self._close_reasoning()
            self._terminal.write(event.text)
            self.text += event.text
        elif isinstance(event, ReasoningDelta) and self._reasoning_shown:
            self._reasoning = True
            self._terminal.aside(event.text)

    def end(self) -> None:
        """End the line that the answer stopped in."""
        self._close_reasoning()
        if self.text and not self.text.endswith("\n"):
            self._terminal.write("\n")

    def _close_reasoning(self) -> None:
        if self._reasoning:
            self._terminal.aside("\n\n")
            self._reasoning = False


@final
@dataclass(frozen=True, slots=True)
class Answering:
    """How questions are asked and answers shown.

    Attributes:
        command: The command that runs.
        models: To try in order.
        options: Keywords of the hub's verbs.
        stream: Whether answers are shown as they come.
        usage: Whether to tell afterwards what was used.
    """

    command: Command
    models: Sequence[str]
    options: Mapping[str, Any]
    stream: bool = True
    usage: bool = False

    async def answer(self, hub: ModelHub, messages: Sequence[Message], writer: Writer | None = None) -> ChatResult[Any]:
        """Ask and show the answer.

        Args:
            hub: Whom to ask.
            messages: The conversation so far.
            writer: What to write the answer with, for whoever wants to know how far it came.

        Raises:
            ModelHubError: There is none, or it broke off.
        """
        terminal = self.command.terminal
        with Display(terminal, waiting=_("waiting for the answer")) as display:
            if self._piecewise:
                result = await self._streamed(hub, messages, writer or Writer(terminal), display)
            else:
                result = await hub.chat(self.models, messages, progress=display.update, **self.options)
                display.stop()
                self._show_whole(result)
        if self.usage:
            terminal.note(usage_line(result), dim=True)
        show_remarks(terminal, result)
        return result

    @property
    def _piecewise(self) -> bool:
        """A shaped answer goes into a pipe only when it is whole and has its shape."""
        terminal = self.command.terminal
        shaped = self.options.get("response_format") is not None
        return self.stream and (not shaped or terminal.answers_shown or terminal.json)

    async def _streamed(
        self, hub: ModelHub, messages: Sequence[Message], writer: Writer, display: Display
    ) -> ChatResult[Any]:
        async with hub.stream(self.models, messages, progress=display.update, **self.options) as stream:
            display.stop()
            try:
                async for event in stream:
                    writer.event(event)
            finally:
                writer.end()
        result: ChatResult[Any] = stream.result
        if self.command.terminal.json:
            self.command.terminal.line({"type": "result", **_document(result)})
        return result

    def _show_whole(self, result: ChatResult[Any]) -> None:
        terminal = self.command.terminal
        if terminal.json:
            terminal.document(_document(result))
        elif result.output is not None:
            terminal.say(json.dumps(document_of(result.output), ensure_ascii=False, indent=2))
        else:
            writer = Writer(terminal)
            if result.reasoning:
                writer.event(ReasoningDelta(0, result.reasoning))
            writer.event(TextDelta(0, result.text))
            writer.end()


def _document(result: ChatResult[Any]) -> dict[str, Any]:
    document = document_of(result)
    assert isinstance(document, dict)  # noqa: S101  results are dataclasses
    return {"text": result.text, **document}
