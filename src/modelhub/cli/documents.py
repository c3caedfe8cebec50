"""Values as JSON documents, for ``--json``. Owns their shape; where they are written is the terminal's."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import cast

from modelhub.cli.texts import label
from modelhub.types.cost import Cost
from modelhub.types.json import JSON

__all__ = ["document_of"]

_LEFT_OUT = {"raw", "traceback"}
"""The vendor's own words and plugin authors' concerns: long, and shown elsewhere (``--debug``)."""
_LABELS = {"label", "help", "placeholder", "description", "title"}


def document_of(value: object) -> JSON:
    """Return a value of ours as JSON: dataclasses as objects, their ``type`` included, labels in the user's language.

    Money is a text, so that no digit is lost; bytes are base64.
    """
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return str(value)  # plain text also of a StrEnum
        case Decimal():
            return format(value, "f")
        case dt.datetime():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Mapping():
            return {str(key): document_of(item) for key, item in value.items()}
        case Sequence() | AbstractSet():
            return [document_of(item) for item in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _object(value)
        case _:
            return str(value)


def _object(value: object) -> JSON:
    kind = getattr(type(value), "type", None)
    document: dict[str, JSON] = {"type": kind} if isinstance(kind, str) else {}
    for each in fields(value):  # type: ignore[arg-type]  # the caller has checked
        item = getattr(value, each.name)
        if each.name in _LABELS and isinstance(item, Mapping):
            document[each.name] = label(cast("Mapping[str, str]", item))
        elif each.name not in _LEFT_OUT:
            document[each.name] = document_of(item)
    if isinstance(value, Cost):
        document["total"] = document_of(value.total)
    return document
