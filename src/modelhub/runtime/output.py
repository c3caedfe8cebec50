"""The answer in the shape that ``response_format`` asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

from modelhub.errors import ConfigurationError, MalformedResponse, OutputInvalid
from modelhub.types.json import JSON
from modelhub.types.requests import ResponseFormat
from modelhub.wire.excerpt import clean as printable
from modelhub.wire.json import loads

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from modelhub.types.results import ChatResult

__all__ = ["format_of", "output_of"]


@lru_cache(maxsize=128)
def _adapter(type_: object) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where a shape is asked for

    return TypeAdapter[Any](type_)  # type: ignore[arg-type]  # what the application gave


def format_of(given: object) -> ResponseFormat:
    """Read what an application gave as ``response_format``.

    Args:
        given: A type (a pydantic model, a dataclass, a ``TypedDict``, …), a JSON Schema, or ``"json"`` for any JSON.

    Raises:
        ConfigurationError: It is none of these.
    """
    if isinstance(given, ResponseFormat):
        return given
    if given == "json":
        return ResponseFormat()
    if isinstance(given, Mapping):
        name = given.get("title")
        return ResponseFormat(cast("Mapping[str, JSON]", given), str(name) if name else "answer")
    try:
        if isinstance(given, FunctionType):
            raise TypeError("a function is no type")
        schema = _adapter(given).json_schema()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        message = f"response_format is {given!r}, which cannot be described: {reason}"
        raise ConfigurationError(message, remedy='give a type, a JSON Schema as a dict, or "json"') from error
    return ResponseFormat(schema, getattr(given, "__name__", "answer"), given)


def output_of(result: ChatResult[None], wanted: ResponseFormat) -> object:
    """Return the answer in the shape asked for: validated where a type was given, parsed where a schema was.

    An answer of tool calls alone has no shape yet: ``None``.

    Raises:
        OutputInvalid: It has not that shape; ``partial`` holds the answer.
    """
    if result.tool_calls and not result.text:
        return None
    try:
        if wanted.type is None:
            return loads(result.text)
        return _adapter(wanted.type).validate_json(result.text)
    except Exception as error:  # an application's own validators may raise anything
        reason = (
            f"the answer ends at {result.finish_reason}" if result.finish_reason == "length" else _first_line(error)
        )
        invalid = OutputInvalid(f"the answer has not the shape asked for: {reason}", excerpt=printable(result.text))
        invalid.partial = result
        raise invalid from error


def _first_line(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if errors is None:
        return error.message if isinstance(error, MalformedResponse) else f"{type(error).__name__}: {error}"[:200]
    first = errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])
