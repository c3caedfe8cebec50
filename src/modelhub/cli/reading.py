"""What commands read: piped text, JSON Schemas, images. Blocks; called before an event loop runs, or beside it."""

from __future__ import annotations

import json
import mimetypes
import os
import stat
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import typer

from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _
from modelhub.types.json import JSON
from modelhub.types.messages import MediaPart

__all__ = ["image_of", "piped_text", "prompt_of", "schema_of"]

_PATIENCE = 2.0
"""Seconds to wait for the end of a pipe without saying so."""
_IMAGES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"BM": "image/bmp"}
"""The beginnings of files, which say more than their names; what is not here goes by its name."""


def piped_text(terminal: Terminal) -> str | None:
    """Return what was piped in, or ``None`` where nothing can have been: a terminal, a closed stream, a device.

    A pipe that nobody ends would be waited for without a word: after a moment there is one, on stderr.

    Raises:
        BadParameter: It is no UTF-8 text.
    """
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (AttributeError, OSError, ValueError):  # no stdin at all
        return None
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
        return None
    waiting = threading.Timer(_PATIENCE, terminal.note, [_("waiting for the end of what is piped in")])
    waiting.daemon = True
    waiting.start()
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(_("what was piped in is no UTF-8 text"), param_hint="stdin") from None
    finally:
        waiting.cancel()


def prompt_of(given: str | None, terminal: Terminal) -> str | None:
    """Return the prompt: the argument, what was piped in, or both; ``None`` where there is neither.

    Text that is piped in comes after the argument, as what it is about; ``-`` stands for it alone.
    """
    piped = piped_text(terminal)
    parts = [part for part in (None if given == "-" else given, piped) if part and part.strip()]
    if len(parts) == 2:  # noqa: PLR2004  both
        return f"{parts[0]}\n\n{parts[1]}"
    return parts[0] if parts else None


def schema_of(given: str) -> Mapping[str, JSON]:
    """Read a JSON Schema: inline where it begins with a brace, else from a file.

    Raises:
        BadParameter: It is no JSON object.
    """
    text = given if given.lstrip().startswith("{") else _file_text(given)
    try:
        schema = json.loads(text)
    except ValueError as error:
        message = _("it is no JSON: {reason}").format(reason=error)
        raise typer.BadParameter(message, param_hint="--schema") from None
    if not isinstance(schema, dict):
        raise typer.BadParameter(_("a JSON Schema is an object"), param_hint="--schema")
    return cast("Mapping[str, JSON]", schema)


def _file_text(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(_unreadable(name, error), param_hint="--schema") from None


def _unreadable(name: str, error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _("{name} cannot be read: {reason}").format(name=name, reason=reason)


def image_of(name: str) -> MediaPart:
    """Read an image: a file, or a URL that the provider is to fetch.

    Raises:
        BadParameter: The file cannot be read or is no image.
    """
    if name.startswith(("http://", "https://")):
        return MediaPart("image/*", url=name)
    try:
        data = Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise typer.BadParameter(_unreadable(name, error), param_hint="--image") from None
    mime = next((mime for start, mime in _IMAGES.items() if data.startswith(start)), mimetypes.guess_type(name)[0])
    if mime is None or not mime.startswith("image/"):
        raise typer.BadParameter(_("{name} is no image").format(name=name), param_hint="--image")
    return MediaPart(mime, data=data, name=Path(name).name)
