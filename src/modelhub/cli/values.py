"""What users write as KEY=VALUE. A value that may be secret is never repeated, in no message whatever."""

from __future__ import annotations

import getpass
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import typer

from modelhub.cli.texts import _
from modelhub.types.credential import OperatorValues
from modelhub.types.json import JSON

__all__ = ["arguments_of", "credentials_of", "models_of", "typed_keys", "vendor_of"]

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def credentials_of(given: Sequence[str]) -> OperatorValues | None:
    """Read ``--set``: ``KEY=VALUE``, ``KEY=@FILE`` for a file, ``KEY=-`` for stdin; ``KEY`` alone asks for it.

    Returns:
        The form's values as texts, or ``None`` where none was given. Whoever sits at the terminal runs the program, so
        a base URL among them is the operator's.

    Raises:
        BadParameter: One of them cannot be read; the message does not repeat it.
    """
    values = OperatorValues()
    for number, pair in enumerate(given, start=1):
        key, equals, value = pair.partition("=")
        if not _KEY.fullmatch(key):
            message = _("number {number} is not KEY=VALUE").format(number=number)
            raise typer.BadParameter(message, param_hint="--set")
        values[key] = _read_secret(key, value) if equals else _asked(key)
    return values or None


def _read_secret(key: str, value: str) -> str:
    if value.startswith("@@"):
        return value[1:]
    if value == "-":
        return _piped(key)
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError, ValueError):
        message = _("the file named for {key} cannot be read").format(key=key)
        raise typer.BadParameter(message, param_hint="--set") from None


def _piped(key: str) -> str:
    try:
        if not sys.stdin.isatty():
            return sys.stdin.buffer.read().decode("utf-8-sig").strip()
    except (AttributeError, OSError, ValueError):  # no stdin, or no UTF-8
        pass
    message = _("nothing that can be read is piped in for {key}").format(key=key)
    raise typer.BadParameter(message, param_hint="--set")


def typed_keys(given: Sequence[str]) -> frozenset[str]:
    """Return the keys of ``--set`` whose values stood in the arguments, where the shell's history keeps them."""
    pairs = [pair.partition("=") for pair in given]
    return frozenset(key for key, equals, value in pairs if equals and value != "-" and not value.startswith("@"))


def _asked(key: str) -> str:
    if not sys.stdin.isatty():
        message = _("{key} has no value, and there is no terminal to ask on").format(key=key)
        raise typer.BadParameter(message, param_hint="--set")
    return getpass.getpass(f"{key}: ", stream=sys.stderr)


def arguments_of(given: Sequence[str], *, option: str) -> dict[str, JSON]:
    """Read ``KEY=VALUE`` pairs; a value that is JSON is taken as such, any other as text.

    Raises:
        BadParameter: One of them is no pair.
    """
    values: dict[str, JSON] = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise typer.BadParameter(_("{pair} is not KEY=VALUE").format(pair=repr(pair)), param_hint=option)
        values[key.strip()] = _json_or_text(value)
    return values


def _json_or_text(value: str) -> JSON:
    try:
        return cast("JSON", json.loads(value))
    except ValueError:
        return value


def vendor_of(given: Sequence[str], models: Sequence[str]) -> dict[str, dict[str, JSON]]:
    """Read ``--vendor``: ``KEY=VALUE`` for the provider of every model, ``PROVIDER.KEY=VALUE`` for that one.

    Raises:
        BadParameter: One of them is no pair.
    """
    providers = dict.fromkeys(model.partition("/")[0] for model in models)
    vendor: dict[str, dict[str, JSON]] = {}
    for name, value in arguments_of(given, option="--vendor").items():
        provider, dot, key = name.partition(".")
        named = [provider] if dot and provider in providers else providers
        for each in named:
            vendor.setdefault(each, {})[key if dot and provider in providers else name] = value
    return vendor


def models_of(given: str, fallbacks: Sequence[str]) -> list[str]:
    """Read the models to try, in order: several with commas between them, then those of ``--fallback``.

    Raises:
        BadParameter: None is named.
    """
    names = [name.strip() for text in (given, *fallbacks) for name in text.split(",") if name.strip()]
    if not names:
        raise typer.BadParameter(_("it names no model"), param_hint="MODEL")
    return names
