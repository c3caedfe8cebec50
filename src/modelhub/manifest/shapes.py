"""From a mapping that came from outside to one of the schema classes, and what in it was not understood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from modelhub.errors import PluginError
from modelhub.manifest.contract import AUTHOR_MENDS
from modelhub.rules.names import nearest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["schema_from", "unknown_keys"]

T = TypeVar("T")


@cache
def _adapter(cls: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where something from outside is read

    return TypeAdapter(cls)


def schema_from(cls: type[T], source: Mapping[str, Any], name: str) -> tuple[T, tuple[str, ...]]:
    """Read a mapping as one of the schema classes.

    Returns:
        The value, and a line for each key that was not understood.

    Raises:
        PluginError: It cannot be one; the message names the first wrong place.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    notices = tuple(unknown_keys(cls, source, name))
    try:
        adapter: TypeAdapter[T] = _adapter(cls)  # type: ignore[arg-type]  # classes are hashable
        return adapter.validate_python(dict(source)), notices
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "it"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise PluginError(f"{name}: {place}: {first['msg']}{more}", remedy=AUTHOR_MENDS) from error


def unknown_keys(cls: type, source: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a line for each key of a mapping, at any depth, that the schema class does not have."""
    hints = _hints(cls)
    for key, value in source.items():
        if key in hints:
            for nested, item, where in _nested(hints[key], value):
                yield from unknown_keys(nested, item, f"{name}: {key}{where}")
        else:
            near = nearest(str(key), hints, most=1)
            yield f"{name}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _nested(hint: Any, value: object) -> Iterator[tuple[type, Mapping[str, Any], str]]:
    """Yield each mapping in a value that stands for a schema class, and where in it."""
    arguments = get_args(hint)
    if isinstance(value, Mapping):
        if is_dataclass(hint) and isinstance(hint, type):
            yield hint, value, ""
        elif get_origin(hint) is Mapping:
            for key, item in value.items():
                yield from ((cls, each, f".{key}{where}") for cls, each, where in _nested(arguments[1], item))
    elif get_origin(hint) is Sequence and isinstance(value, list):
        for number, item in enumerate(value):
            yield from ((cls, each, f"[{number}]{where}") for cls, each, where in _nested(arguments[0], item))
    if get_origin(hint) in {Union, UnionType}:
        for argument in arguments:
            yield from _nested(argument, value)
