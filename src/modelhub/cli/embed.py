"""``embed``: texts into vectors."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from modelhub.cli import readers
from modelhub.cli.command import Command
from modelhub.cli.options import flag, model_argument, option, timeout_option, vendor_option
from modelhub.cli.progress import Display
from modelhub.cli.reading import piped_text
from modelhub.cli.texts import _
from modelhub.cli.usage import show_remarks, usage_line
from modelhub.cli.values import models_of, vendor_of
from modelhub.types.requests import InputType
from modelhub.types.results import EmbedResult

__all__ = ["embed"]

_SHOWN = 4
"""Numbers of a vector that a terminal is shown."""


async def embed(
    command: Command,
    model: Annotated[str, model_argument()],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar=_("TEXT"), help=_("The texts; without any, each line that is piped in."), show_default=False
        ),
    ] = None,
    *,
    dimensions: Annotated[
        int | None, option("--dimensions", _("COUNT"), _("Length of the vectors."), read=readers.whole_number)
    ] = None,
    input_type: Annotated[
        InputType | None,
        option(
            "--input-type",
            _("KIND"),
            _("document or query, where the model tells them apart."),
            read=readers.input_type,
        ),
    ] = None,
    usage: Annotated[bool, flag("--usage", _("Tell tokens and cost afterwards, on stderr."))] = False,
    timeout: Annotated[float | None, timeout_option()] = None,
    vendor: Annotated[list[str] | None, vendor_option()] = None,
) -> None:
    """Turn texts into vectors."""
    models = models_of(model, ())
    given = texts or await _piped(command)
    if not given:
        raise typer.BadParameter(_("there is nothing to embed"), param_hint=_("TEXT"))
    own = vendor_of(vendor or (), models)
    async with command.hub() as hub:
        with Display(command.terminal, waiting=_("waiting for the vectors")) as display:
            result = await hub.embed(
                models,
                given,
                dimensions=dimensions,
                input_type=input_type,
                timeout=timeout,
                vendor=own,
                credentials=command.credentials,
                progress=display.update,
            )
    _show(command, given, result)
    if usage:
        command.terminal.note(usage_line(result), dim=True)
    show_remarks(command.terminal, result)


async def _piped(command: Command) -> list[str]:
    """Return the lines that are piped in."""
    from modelhub.provider.threads import run_in_thread  # noqa: PLC0415  the event loop, which --help does without

    piped = await run_in_thread(partial(piped_text, command.terminal), name="stdin")
    return [line for line in (piped or "").splitlines() if line.strip()]


def _show(command: Command, texts: list[str], result: EmbedResult) -> None:
    """Show the vectors: the beginning of each on a terminal; elsewhere all of them, each a JSON array on a line."""
    terminal = command.terminal
    if terminal.json:
        terminal.document(result)
    elif not terminal.answers_shown:
        for vector in result.vectors:
            terminal.line(vector)
    else:
        titles = (_("Text"), _("Dimensions"), _("Vector"))
        rows = []
        for text, vector in zip(texts, result.vectors, strict=True):
            beginning = ", ".join(f"{each:.4f}" for each in vector[:_SHOWN])
            rows.append((text, str(len(vector)), f"{beginning}, …"))
        terminal.table(titles, rows)
