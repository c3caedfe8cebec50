"""``chat``: its options, and which way of talking they ask for."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from modelhub.cli.answers import Answering
from modelhub.cli.command import Command
from modelhub.cli.options import (
    fallback_option,
    flag,
    image_option,
    model_argument,
    schema_option,
    system_option,
    timeout_option,
    vendor_option,
)
from modelhub.cli.reading import image_of, prompt_of, schema_of
from modelhub.cli.texts import _
from modelhub.cli.values import models_of, vendor_of
from modelhub.types.messages import InputPart, TextPart, UserMessage

__all__ = ["chat"]


def chat(
    command: Command,
    model: Annotated[str, model_argument()],
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar=_("PROMPT"),
            help=_("What to ask. Text that is piped in is added to it; with neither, a conversation begins."),
            show_default=False,
        ),
    ] = None,
    *,
    fallback: Annotated[list[str] | None, fallback_option()] = None,
    system: Annotated[str | None, system_option()] = None,
    image: Annotated[list[str] | None, image_option()] = None,
    schema: Annotated[str | None, schema_option()] = None,
    stream: Annotated[
        bool, flag("--stream/--no-stream", _("Show the answer as it comes, or when it is whole."))
    ] = True,
    usage: Annotated[bool, flag("--usage", _("Tell tokens, cost and speed afterwards, on stderr."))] = False,
    timeout: Annotated[float | None, timeout_option()] = None,
    vendor: Annotated[list[str] | None, vendor_option()] = None,
    **parameters: Any,
) -> None:
    """Talk to a model: one question, or a conversation."""
    models = models_of(model, fallback or ())
    options = {
        **{name: value for name, value in parameters.items() if value is not None},
        "system": system,
        "response_format": None if schema is None else schema_of(schema),
        "vendor": vendor_of(vendor or (), models),
        "timeout": timeout,
        "credentials": command.credentials,
    }
    answering = Answering(command, models, options, stream=stream, usage=usage)
    images = [image_of(name) for name in image or ()]
    question = prompt_of(prompt, command.terminal)
    if question is None and not images:
        _converse(answering)
    else:
        _ask_once(answering, [*([TextPart(question)] if question is not None else []), *images])


def _converse(answering: Answering) -> None:
    if answering.command.terminal.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise typer.BadParameter(_("there is nothing to ask"), param_hint=_("PROMPT"))
    from modelhub.cli.conversation import Conversation  # noqa: PLC0415  the event loop, which --help does without

    Conversation(answering).run()


def _ask_once(answering: Answering, content: list[InputPart]) -> None:
    import anyio  # noqa: PLC0415  likewise

    async def ask() -> None:
        async with answering.command.hub() as hub:
            await answering.answer(hub, [UserMessage(content)])

    anyio.run(ask)
