"""What is read from an option's text: numbers, model types, and the words that some parameters take."""

from __future__ import annotations

from typing import cast, get_args

import typer

from modelhub.cli.texts import _
from modelhub.types.requests import InputType
from modelhub.types.schema import ModelType

__all__ = ["input_type", "model_type", "number", "reasoning", "whole_number"]


def number(text: str) -> float:
    """Read a number.

    Raises:
        BadParameter: It is none.
    """
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(_("{text} is no number").format(text=repr(text))) from None


def whole_number(text: str) -> int:
    """Read a whole number.

    Raises:
        BadParameter: It is none.
    """
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(_("{text} is no whole number").format(text=repr(text))) from None


def input_type(text: str) -> InputType:
    """Read what texts to embed are.

    Raises:
        BadParameter: It is neither of the two.
    """
    if text not in get_args(InputType):
        known = ", ".join(get_args(InputType))
        raise typer.BadParameter(_("{text} is none of {known}").format(text=repr(text), known=known))
    return cast("InputType", text)


def reasoning(text: str) -> str | bool:
    """Read how hard to think: a level, or ``on`` and ``off`` for the model's own way."""
    return {"on": True, "true": True, "off": False, "false": False}.get(text.lower(), text)


def model_type(text: str) -> ModelType:
    """Read a model type.

    Raises:
        BadParameter: There is no such type.
    """
    try:
        return ModelType(text)
    except ValueError:
        known = ", ".join(ModelType)
        message = _("{text} is no model type; the types are {known}").format(text=repr(text), known=known)
        raise typer.BadParameter(message) from None
