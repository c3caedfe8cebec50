"""A conversation on a terminal: what was said is remembered, and Ctrl-C stops an answer, not the program.

The user's lines are read in the main thread, where line editing and signals work; the event loop runs beside it and
keeps the hub, its connections and loaded models, from one answer to the next.
"""

from __future__ import annotations

from concurrent.futures import wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, final

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from modelhub.cli.answers import Answering, Writer
from modelhub.cli.texts import N_, _
from modelhub.cli.usage import spent, usage_line
from modelhub.errors import ModelHubError
from modelhub.types.messages import AssistantMessage, Message, UserMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelhub import ModelHub
    from modelhub.types.cost import Cost
    from modelhub.types.results import ChatResult

__all__ = ["COMMANDS", "Conversation"]

COMMANDS = {
    "/exit": N_("end the conversation; Ctrl-D does too"),
    "/reset": N_("forget what was said"),
    "/usage": N_("tell what the last answer used"),
    "/help": N_("show this list"),
}
_PROMPT = ">>> "
_MORE = "... "
_BLOCK = '"""'
_LOOK_UP = 0.2
"""Seconds between looks for Ctrl-C while an answer comes: not every system interrupts a waiting thread."""


@final
class Conversation:
    """Reads, asks and remembers, until the user ends it.

    Args:
        answering: How questions are asked.
    """

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._terminal = answering.command.terminal
        self._history: list[Message] = []
        self._last: ChatResult[Any] | None = None
        self._costs: list[Cost | None] = []
        self._scope: anyio.CancelScope | None = None

    def run(self) -> None:
        """Talk until ``/exit`` or Ctrl-D.

        Raises:
            ConfigurationError: The hub cannot be used.
        """
        with suppress(ImportError):  # line editing; not every system has it
            import readline  # noqa: F401, PLC0415  importing it turns it on
        models = " → ".join(self._answering.models)
        hub = self._answering.command.hub()
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(hub):
            self._terminal.hint(_("{models}; /help lists what you can write").format(models=models))
            while (line := self._read()) not in {None, "/exit"}:
                self._take(line or "", portal, hub)

    def _read(self) -> str | None:
        """Return what the user wrote, a block between triple quotes being one; ``None`` at the end."""
        try:
            line = input(_PROMPT).strip()
            if not line.startswith(_BLOCK):
                return line
            lines = [line.removeprefix(_BLOCK)]
            while not lines[-1].endswith(_BLOCK):
                lines.append(input(_MORE).rstrip())
            return "\n".join(lines).removesuffix(_BLOCK).strip()
        except EOFError:
            self._terminal.say()
            return None
        except KeyboardInterrupt:
            self._terminal.say()
            self._terminal.hint(_("Ctrl-D or /exit ends the conversation"))
            return ""

    def _take(self, line: str, portal: BlockingPortal, hub: ModelHub) -> None:
        match line:
            case "":
                pass
            case "/help":
                for name, meaning in COMMANDS.items():
                    self._terminal.say(f"{name:<8} {_(meaning)}")
                self._terminal.say(f"{_BLOCK:<8} " + _("begin and end a text of several lines"))
            case "/reset":
                self._history.clear()
                self._terminal.hint(_("forgotten"))
            case "/usage":
                self._terminal.say(usage_line(self._last) if self._last else _("there was no answer yet"))
                if len(self._costs) > 1 and (line := spent(self._costs)):
                    self._terminal.say(line)
            case _ if line.startswith("/") and not line.startswith("//"):
                self._terminal.hint(
                    _("there is no {name}; /help lists what there is").format(name=line.partition(" ")[0])
                )
            case _:
                self._ask(line.removeprefix("/") if line.startswith("//") else line, portal, hub)

    def _ask(self, text: str, portal: BlockingPortal, hub: ModelHub) -> None:
        """Ask and remember. What was shown of a stopped answer is remembered; a question that failed is not."""
        messages = [*self._history, UserMessage(text)]
        writer = Writer(self._terminal)
        future = portal.start_task_soon(self._answered, hub, messages, writer)
        while not future.done():
            try:
                wait([future], timeout=_LOOK_UP)
            except KeyboardInterrupt:
                portal.start_task_soon(self._stop)
        try:
            result = future.result()
        except ModelHubError as error:
            self._answering.command.failed(error)
            return
        self._last = result or self._last
        # What a stopped answer used is not known, and it was paid for all the same.
        self._costs.append(result.cost if result is not None else None)
        reply = result.message if result is not None else AssistantMessage(writer.text)
        if reply.parts:
            self._history = [*messages, reply]

    async def _answered(self, hub: ModelHub, messages: Sequence[Message], writer: Writer) -> ChatResult[Any] | None:
        with anyio.CancelScope() as self._scope:
            return await self._answering.answer(hub, messages, writer)
        return None

    async def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    def __repr__(self) -> str:
        return f"<Conversation with {', '.join(self._answering.models)}: {len(self._history)} messages>"
