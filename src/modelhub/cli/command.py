"""What every command has: its common options, its hub, its event loop, and how it fails.

A command is a function whose first argument is a `Command`; `registered` makes of it what typer takes. Async ones run
on an event loop of their own.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, final

import typer

from modelhub.cli.failures import show_bug, show_failure, unread
from modelhub.cli.parser import PARSER_ERROR
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _
from modelhub.cli.values import credentials_of, typed_keys
from modelhub.errors import ModelHubError
from modelhub.types.json import JSON

if TYPE_CHECKING:
    from modelhub import ModelHub
    from modelhub.credentials import CredentialStore

__all__ = ["Command", "common_options", "merged", "registered", "shaped"]

T = TypeVar("T")

_SHORTEST_SECRET = 4


@final
@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs.

    Attributes:
        terminal: Where it writes.
        config: The settings file that was named.
        debug: Whether failures show their traceback.
        credentials: What ``--set`` gave, or ``None``.
        typed: The keys of ``--set`` whose values stood in the arguments.
    """

    terminal: Terminal
    config: Path | None = None
    debug: bool = False
    credentials: dict[str, JSON] | None = field(default=None, repr=False)
    typed: frozenset[str] = frozenset()

    def hub(self, store: CredentialStore | None = None) -> ModelHub:
        """Make the command's hub, with its settings.

        Args:
            store: Another store of credentials than the settings name.
        """
        from modelhub import ModelHub  # noqa: PLC0415  --help does without the runtime

        return ModelHub(self.config, store=store)

    def failed(self, error: ModelHubError) -> int:
        """Tell of a failure and return the exit code."""
        return show_failure(self.terminal, error, debug=self.debug, secrets=self.secrets() if self.debug else ())

    def secrets(self) -> list[str]:
        """Return every value that may be secret: a traceback repeats what other libraries said."""
        from modelhub.configuration.settings import read_settings  # noqa: PLC0415  wanted only with --debug

        given = [str(value) for value in (self.credentials or {}).values()]
        values = [*given, *(value for name, value in os.environ.items() if name.startswith("MODELHUB_"))]
        with suppress(ModelHubError):
            for sources in read_settings(self.config).credentials.values():
                values += [str(value) for source in sources for value in source.values.values()]
        return [value for value in values if len(value) >= _SHORTEST_SECRET and not _public(value)]


def _public(value: str) -> bool:
    return value.startswith(("http://", "https://")) and "@" not in value


def common_options() -> list[inspect.Parameter]:
    """Return the options that every command has, and the program before its commands."""
    options: list[tuple[str, object, object]] = [
        (
            "json",
            False,
            Annotated[
                bool,
                typer.Option("--json", help=_("Write JSON: one document, or one on each line of a stream.")),
            ],
        ),
        (
            "config",
            None,
            Annotated[
                Path | None,
                typer.Option(
                    "--config", metavar=_("FILE"), help=_("Read the settings from this file."), show_default=False
                ),
            ],
        ),
        (
            "debug",
            False,
            Annotated[bool, typer.Option("--debug", help=_("Show tracebacks, and what plugins log."))],
        ),
    ]
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, default, annotation in options
    ]


def merged(context: typer.Context, given: dict[str, Any]) -> Command:
    """Take the common options and ``--set`` out of what was given, and add those given before the command's name.

    Raises:
        BadParameter: ``--set`` cannot be read.
    """
    before: Command | None = context.obj
    json, config, debug = given.pop("json"), given.pop("config"), given.pop("debug")
    if before is not None:
        json, config, debug = json or before.terminal.json, config or before.config, debug or before.debug
    # Before any event loop runs: asking for a value waits for the user, who may press Ctrl-C.
    pairs = given.pop("set", None) or ()
    return Command(Terminal(json=json), config, debug, credentials_of(pairs), typed_keys(pairs))


def registered(function: Callable[..., Any], further: Sequence[inspect.Parameter] = ()) -> Callable[..., int]:
    """Make a command function into one that typer takes: with the common options, and its failures told.

    Args:
        function: Takes a `Command`, and what its signature says to typer.
        further: Options that it takes as ``**keywords``.
    """
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    def run(context: typer.Context, **given: Any) -> int:
        command = merged(context, given)
        call = partial(function, command, **given)
        with _logs(command):
            try:
                return (_on_a_loop(call) if inspect.iscoroutinefunction(function) else call()) or 0
            except ModelHubError as error:
                return command.failed(error)
            except BrokenPipeError:  # typer would end the process
                return unread()
            except (PARSER_ERROR, typer.Exit, typer.Abort):
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, the user gets a line
                return show_bug(command.terminal, error, debug=command.debug, secrets=command.secrets())

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in own
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    return shaped(run, [context, *own, *further, *common_options()])


def shaped(function: Callable[..., T], parameters: Sequence[inspect.Parameter]) -> Callable[..., T]:
    """Give a function that takes keywords the signature that typer reads."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect looks for it
    function.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return function


def _on_a_loop(call: Callable[..., Any]) -> int | None:
    import anyio  # noqa: PLC0415  --help does without an event loop

    code: int | None = anyio.run(call)
    return code


@contextmanager
def _logs(command: Command) -> Iterator[None]:
    """Show what is logged: warnings as notes; with ``--debug`` everything.

    Ours and the plugins' alone: an HTTP client's debug log shows the keys that it sends.
    """
    log = logging.getLogger("modelhub")
    handler = logging.StreamHandler(sys.stderr) if command.debug else _Notes(command.terminal)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s") if command.debug else None)
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG if command.debug else logging.WARNING)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


@final
class _Notes(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        self._terminal.note(_("note: {notice}").format(notice=record.getMessage()), dim=True)
