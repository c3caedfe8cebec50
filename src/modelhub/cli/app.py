"""The commands put together, and the one place where a run ends: every way out has an exit code, none a traceback."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from modelhub.cli.command import Command, common_options, merged, registered, shaped
from modelhub.cli.failures import INTERRUPTED, show_bug, show_usage_failure, unread
from modelhub.cli.parser import PARSER_ERROR, TranslatedCommand, TranslatedGroup, usage_message
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import N_, _, translate_the_parser

__all__ = ["COMMANDS", "GROUPS", "build", "run"]

_PROGRAM = "modelhub"

COMMANDS = {
    "providers": ("listing", N_("List the installed providers.")),
    "models list": ("models", N_("List the models of a provider.")),
    "models show": ("models", N_("Show what a model is and takes.")),
    "credentials add": ("credentials", N_("Fill in a provider's form, check it and keep it in the store.")),
    "credentials list": ("credential_lists", N_("List the credentials that there are, and where they come from.")),
    "credentials test": ("credential_lists", N_("Check each credential of a provider.")),
    "credentials rotate": ("credentials", N_("Change a credential's secrets, or the key of the store.")),
    "credentials remove": ("credentials", N_("Remove a credential from the store.")),
    "config check": ("config", N_("Tell everything that is wrong with the settings.")),
    "config show": ("config", N_("Show what is set, and where.")),
    "config schema": ("config", N_("Write the JSON Schema of modelhub.toml, for editors.")),
    "validate": ("validate", N_("Check the credentials of a provider.")),
    "chat": ("chat", N_("Talk to a model: one question, or a conversation.")),
    "embed": ("embed", N_("Turn texts into vectors.")),
    "pull": ("operate", N_("Have a provider fetch a model.")),
    "operate": ("operate", N_("Run another of a provider's operations, or list them.")),
    "lint": ("lint", N_("Check a plugin's files: each defect with its line and what to do.")),
    "doctor": ("doctor", N_("Tell what is installed, and what is broken.")),
}
"""The commands, each with its module and its help line. A group and its command are two words."""
GROUPS = {
    "models": N_("What models there are, and what they take."),
    "credentials": N_("Keys and what goes with them: fill in, list, check, change, remove."),
    "config": N_("The settings: check and show them."),
}
"""The groups of commands, each with its help line."""
_WITHOUT_CREDENTIALS = {
    "providers",
    "lint",
    "doctor",
    "credentials list",
    "credentials test",
    "credentials remove",
    "config check",
    "config show",
    "config schema",
}
"""Commands that take no values of a form."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    translate_the_parser()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # not every stream that a host program puts there can be set up
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams have it
    terminal = Terminal(json="--json" in arguments)
    completing = f"_{_PROGRAM.upper()}_COMPLETE" in os.environ
    try:
        program = _in_order(typer.main.get_command(build(None if completing else arguments)))
        code = program(args=list(arguments), prog_name=_PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    except PARSER_ERROR as error:
        return _usage_failure(terminal, error)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(terminal)
    except BrokenPipeError:
        return unread()
    except SystemExit as error:  # typer's answer to a broken pipe in a help text, and the end of shell completion
        return unread() if error.code == 1 else int(error.code or 0)
    except Exception as error:  # noqa: BLE001  whatever it is, the user gets a line
        return show_bug(terminal, error, debug="--debug" in arguments)
    return _interrupted(terminal) if code == INTERRUPTED else int(code or 0)


def _in_order(program: Any) -> Any:
    """Put the commands into the order of `COMMANDS`: typer has the groups at the end."""
    words = dict.fromkeys(name.split()[0] for name in COMMANDS)
    program.commands = {word: program.commands[word] for word in words}
    return program


def _usage_failure(terminal: Terminal, error: Any) -> int:
    usage, help_command = "", ""
    if error.ctx is not None:
        usage, help_command = error.ctx.get_usage(), f"{error.ctx.command_path} --help"
    return show_usage_failure(terminal, usage_message(error), usage=usage, help_command=help_command)


def _interrupted(terminal: Terminal) -> int:
    if terminal.notes_shown:
        terminal.note("")  # what was being written ends here
    return INTERRUPTED


def build(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Put the commands together, with their help in the user's language.

    Args:
        arguments: What will be run: commands that are not named in it get a name and a help line and are not imported.
            All of them are where it is ``None``.
    """
    app = _group(
        _("AI models of every provider, from the command line."),
        epilog=_(
            "Exit codes: 0 done, 1 it failed, 2 the arguments cannot be used, 130 stopped with Ctrl-C. "
            "With --json, answers and failures alike go to stdout: a failure is an object with the key error."
        ),
    )
    app.callback(invoke_without_command=True)(_root())
    groups = {"": app}
    for name, (module, text) in COMMANDS.items():
        group, _space, word = name.rpartition(" ")
        if group not in groups:
            groups[group] = _group(_(GROUPS[group]))
            groups[group].callback(invoke_without_command=True)(_listing())
            app.add_typer(groups[group], name=group)
        wanted = arguments is None or all(each in arguments for each in name.split())
        function = _command(name, module) if wanted else _not_imported
        groups[group].command(word, cls=TranslatedCommand, help=_(text), options_metavar=_("[OPTIONS]"))(function)
    return app


def _group(text: str, *, epilog: str | None = None) -> typer.Typer:
    return typer.Typer(
        cls=TranslatedGroup,
        help=text,
        epilog=epilog,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
        options_metavar=_("[OPTIONS]"),
        subcommand_metavar=_("COMMAND [ARGS]..."),
    )


def _command(name: str, module: str) -> Callable[..., int]:
    from modelhub.cli.options import parameter_options, set_option  # noqa: PLC0415  the words of commands, as above

    function = getattr(import_module(f"modelhub.cli.{module}"), name.replace(" ", "_"))
    further = [] if name in _WITHOUT_CREDENTIALS else [set_option()]
    return registered(function, [*further, *(parameter_options() if name == "chat" else [])])


def _not_imported() -> None:
    """Stand for a command that is only listed."""


def _listing() -> Callable[..., None]:
    """Return what a group does: take the options of every command, and tell its commands where none is named."""

    def listing(context: typer.Context, **given: Any) -> None:
        command = context.obj = merged(context, given)
        if context.invoked_subcommand is None:
            _show_help(command, context)

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return shaped(listing, [context, *common_options()])


def _show_help(command: Command, context: typer.Context) -> None:
    text = context.get_help()  # drawn already, and empty, where rich draws it
    command.terminal.write(f"{text}\n" if text else "")


def _root() -> Callable[..., None]:
    def root(context: typer.Context, **given: Any) -> None:
        show_version = given.pop("version")
        command = context.obj = merged(context, given)
        if show_version and command.terminal.json:
            command.terminal.document({"version": _version()})
        elif show_version:
            command.terminal.say(f"{_PROGRAM} {_version()}")
        elif context.invoked_subcommand is None:
            _show_help(command, context)
        if show_version:
            raise typer.Exit

    option = Annotated[bool, typer.Option("--version", help=_("Show the version and exit."))]
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", keyword, annotation=typer.Context),
        inspect.Parameter("version", keyword, default=False, annotation=option),
        *common_options(),
    ]
    return shaped(root, parameters)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  --help does without

    try:
        return version("modelhub-core")
    except PackageNotFoundError:
        return "?"  # a source tree on the path, installed nowhere
