"""Options that commands share, with their help in the user's language, and the neutral parameters as options.

They are functions, so that their words are looked up when the commands are put together and not before.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer

from modelhub.cli.readers import model_type, number, reasoning, whole_number
from modelhub.cli.texts import _

__all__ = [
    "fallback_option",
    "flag",
    "image_option",
    "model_argument",
    "option",
    "parameter_options",
    "provider_argument",
    "schema_option",
    "set_option",
    "system_option",
    "timeout_option",
    "type_option",
    "vendor_option",
]


def option(name: str, metavar: str, text: str, *, read: Callable[[str], object] | None = None) -> Any:
    """Return an option with a value.

    Args:
        name: As it is written.
        metavar: What stands for the value in the help.
        text: Its help.
        read: Makes the value from what was written.
    """
    return typer.Option(name, metavar=metavar, help=text, parser=read, show_default=False)


def flag(name: str, text: str) -> Any:
    """Return an option without a value."""
    return typer.Option(name, help=text)


def provider_argument() -> Any:
    """PROVIDER."""
    text = _("The provider's id, as `modelhub providers` lists it.")
    return typer.Argument(metavar=_("PROVIDER"), help=text, show_default=False, autocompletion=_providers)


def model_argument() -> Any:
    """MODEL."""
    text = _("The model, as provider/model; several to try in order, with commas between them.")
    return typer.Argument(metavar=_("MODEL"), help=text, show_default=False, autocompletion=_providers)


def _providers(incomplete: str) -> list[str]:
    """Return the installed providers that a shell may complete a word to."""
    from modelhub.hookspecs import GROUP  # noqa: PLC0415  wanted only while a shell completes

    return sorted(name for name in entry_points(group=GROUP).names if name.startswith(incomplete))


def type_option() -> Any:
    """``--type``."""
    return option("--type", _("TYPE"), _("The model type, such as llm."), read=model_type)


def set_option() -> inspect.Parameter:
    """``--set``, which every command has that speaks to a provider."""
    text = _(
        "A value of the provider's credential form. KEY=@FILE reads it from a file, KEY=- from stdin; KEY alone asks "
        "for it without showing it. May be repeated."
    )
    annotation = Annotated[list[str] | None, option("--set", _("KEY=VALUE"), text)]
    return inspect.Parameter("set", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def timeout_option() -> Any:
    """``--timeout``."""
    return option("--timeout", _("SECONDS"), _("Time for the whole call."), read=number)


def fallback_option() -> Any:
    """``--fallback``."""
    return option("--fallback", _("MODEL"), _("Try this one when those before it fail. May be repeated."))


def system_option() -> Any:
    """``--system``."""
    return option("--system", _("TEXT"), _("Instructions to put first."))


def image_option() -> Any:
    """``--image``."""
    return option("--image", _("FILE"), _("Show this image: a file or a URL. May be repeated."))


def schema_option() -> Any:
    """``--schema``."""
    return option("--schema", _("SCHEMA"), _("A JSON Schema for the answer: a file, or inline."))


def vendor_option() -> Any:
    """``--vendor``."""
    return option("--vendor", _("KEY=VALUE"), _("A parameter of the provider's own. May be repeated."))


def parameter_options() -> list[inspect.Parameter]:
    """Return the neutral parameters of chat models as options, by the names that `ChatParameters` gives them."""
    amount, count = _("NUMBER"), _("COUNT")
    rows: list[tuple[str, object, str, Callable[[str], object] | None, str]] = [
        ("temperature", float | None, amount, number, _("Randomness; 0 always takes the likeliest token.")),
        ("max_tokens", int | None, count, whole_number, _("Tokens to generate at most.")),
        ("seed", int | None, amount, whole_number, _("The same seed gives the same answer, where the provider can.")),
        ("stop", list[str] | None, _("TEXT"), None, _("A text that ends the answer. May be repeated.")),
        ("top_p", float | None, amount, number, _("Sample from the likeliest tokens with this probability together.")),
        ("top_k", int | None, count, whole_number, _("Sample from this many of the likeliest tokens.")),
        ("min_p", float | None, amount, number, _("Leave out tokens below this share of the likeliest one.")),
        ("presence_penalty", float | None, amount, number, _("Against tokens that occurred before.")),
        ("frequency_penalty", float | None, amount, number, _("Against tokens by how often they occurred before.")),
        ("repeat_penalty", float | None, amount, number, _("Above 1 against repetition.")),
        (
            "reasoning",
            str | None,
            _("LEVEL"),
            reasoning,
            _("How hard to think: none, minimal, low, medium, high, max, on, off."),
        ),
    ]
    panel = _("Parameters of the model")
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                kind,
                typer.Option(
                    f"--{name.replace('_', '-')}",
                    metavar=metavar,
                    help=text,
                    parser=read,
                    show_default=False,
                    rich_help_panel=panel,
                ),
            ],
        )
        for name, kind, metavar, read, text in rows
    ]
