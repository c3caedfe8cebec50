"""typer, in the user's language: its groups and commands, and what is wrong with arguments.

typer asks gettext for some of its own words and has the others fixed in English; those are replaced here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from modelhub.cli.texts import N_, _

__all__ = ["PARSER_ERROR", "PARSER_WORDS", "TranslatedCommand", "TranslatedGroup", "usage_message"]

PARSER_ERROR = cast("type[Exception]", typer.BadParameter.__base__)
"""Whatever is wrong with arguments: typer exports this one kind of it only."""

PARSER_WORDS = (
    N_("Show this message and exit."),
    N_("Install completion for the current shell."),
    N_("Show completion for the current shell, to copy it or customize the installation."),
    N_("Arguments"),
    N_("Options"),
    N_("Commands"),
    N_("required"),
    N_("[required]"),
    N_("default: {default}"),
    N_("[default: {}]"),
)
"""What typer says in a help text: the first three are fixed, for the others it asks gettext."""
_COMMAND = re.compile(r"No such command '(?P<name>.*?)'\.(?: Did you mean (?P<nearest>.*)\?)?", re.DOTALL)
_EXTRA = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((?P<words>.*)\)", re.DOTALL)


class _Translated:
    """What a command and a group have in common."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # mixed into typer's classes
        for parameter in parameters:
            if getattr(parameter, "help", None) in PARSER_WORDS:
                parameter.help = _(parameter.help)
        return parameters

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        pieces = " ".join(self.collect_usage_pieces(ctx))  # type: ignore[attr-defined]  # likewise
        formatter.write_usage(ctx.command_path, pieces, prefix=_("Usage: "))


class TranslatedCommand(_Translated, TyperCommand):
    """A command."""


class TranslatedGroup(_Translated, TyperGroup):
    """The program, before its commands."""


def usage_message(error: Any) -> str:
    """Say what is wrong with the arguments, from typer's exception."""
    match type(error).__name__:
        case "NoSuchOption":
            message = _("there is no option {option}").format(option=error.option_name)
            return _with_nearest(message, error.possibilities or ())
        case "MissingParameter":
            return _("{parameter} is missing").format(parameter=_name(error))
        case "BadOptionUsage" if "requires" in error.message:
            return _("{option} needs a value").format(option=error.option_name)
        case "BadOptionUsage":
            return _("{option} takes no value").format(option=error.option_name)
        case "BadParameter":
            return f"{_name(error)}: {error.message}" if _name(error) else str(error.message)
        case _:
            return _general(error)


def _general(error: Any) -> str:
    if extra := _EXTRA.match(error.message):
        return _("unexpected argument: {words}").format(words=extra["words"])
    if command := _COMMAND.match(error.message):
        message = _("there is no command {name}").format(name=command["name"])
        return _with_nearest(message, re.findall(r"'([^']*)'", command["nearest"] or ""))
    return str(error.format_message())


def _with_nearest(message: str, possibilities: Sequence[str]) -> str:
    if not possibilities:
        return message
    return _("{message}; did you mean {names}?").format(message=message, names=", ".join(sorted(possibilities)))


def _name(error: Any) -> str:
    if error.param_hint:
        return str(error.param_hint)
    parameter = error.param
    if parameter is None:
        return ""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(parameter.opts[0])
