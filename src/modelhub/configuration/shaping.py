"""One table as it was written to the class that holds its keys, with every complaint about it in our own words."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from modelhub.configuration.problems import Complaint, Keys
from modelhub.rules.names import did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

__all__ = [
    "complaints_of",
    "key_complaints",
    "limit_complaints",
    "place_in",
    "read_value",
    "shaped",
    "types_of",
    "what_is",
]

T = TypeVar("T")

_WANTED = {
    "bool": "true or false",
    "dataclass": "a table",
    "dict": "a table",
    "float": "a number",
    "int": "a whole number",
    "is_instance_of": "a list",
    "list": "a list",
    "mapping": "a table",
    "sequence_str": "a list",
    "string": "a text",
    "tuple": "a list",
}
"""What is wanted, by the first words of the library's names for its complaints."""

_VERY_END = re.compile(r"\$\Z")
"""The end of a pattern that JSON Schemas have too: there it is the end of the text, in Python of its last line."""

_TOML_NAMES = {
    dict: "a table",
    list: "a list",
    str: "a text",
    bool: "true or false",
    float: "a number",
    int: "a number",
}


@cache
def types_of(cls: type) -> Mapping[str, TypeAdapter[Any]]:
    """Return what reads each field of a class, by its name."""
    from pydantic import TypeAdapter  # noqa: PLC0415  wanted only where settings are read

    hints = get_type_hints(cls)
    fields = [each.name for each in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(hints)
    return {name: TypeAdapter(hints[name]) for name in fields}


def what_is(value: object) -> str:
    """Return what a value is, in the words of the file: ``a text``."""
    return _TOML_NAMES.get(type(value)) or f"a {type(value).__name__}"


def shaped(cls: type[T], given: object, keys: Keys) -> tuple[T, list[Complaint]]:
    """Read a table as its class, all of whose fields have defaults.

    Args:
        cls: A dataclass whose fields are the table's keys.
        given: The table as it was written.
        keys: Where it stands.

    Returns:
        The value, with the defaults in place of what is wrong; and the complaints.
    """
    if not isinstance(given, Mapping):
        return cls(), [Complaint(keys, f"it must be a table, not {what_is(given)}")]
    if not given:
        return cls(), []  # without the library, which most applications that configure nothing do not need
    types = types_of(cls)  # type: ignore[arg-type]  # classes are hashable
    complaints = list(key_complaints(given, list(types), keys))
    values: dict[str, object] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # it is a dataclass
        if field.name not in given:
            continue
        place = (*keys, field.name)
        value, found = read_value(types[field.name], given[field.name], place, strict=True)
        found += [Complaint(place, said) for said in limit_complaints(field, value)]
        complaints += found
        if not found:
            values[field.name] = value
    return cls(**values), complaints


def key_complaints(given: Mapping[Any, object], names: list[str], keys: Keys) -> Iterator[Complaint]:
    """Yield a complaint for each key that a table does not have, with the nearest one that it has."""
    for key in given:
        if key not in names:
            remedy = did_you_mean(str(key), names, what="keys")
            yield Complaint((*keys, str(key)), "unknown key", remedy)


def read_value(type: TypeAdapter[Any], given: object, keys: Keys, *, strict: bool) -> tuple[Any, list[Complaint]]:
    """Read a value, and say what is wrong with it.

    Args:
        type: What reads it.
        given: The value.
        keys: Where it stands.
        strict: Whether a text is no number: what a file says has types, what the environment says has none.

    Returns:
        The value, ``None`` where it cannot be; and the complaints.
    """
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        return type.validate_python(given, strict=strict), []
    except ValidationError as error:
        return None, complaints_of(error.errors(include_url=False, include_input=False), given, keys)


def complaints_of(errors: list[ErrorDetails], given: object, keys: Keys) -> list[Complaint]:
    """Return what the library complains of in our words; several about one place are one."""
    found: dict[Keys, list[str]] = {}
    for error in errors:
        place = place_in(error["loc"], given)
        said = _said(error)
        if said not in found.setdefault(place, []):
            found[place].append(said)
    # Of what may be a text or a list of texts, the library complains twice where an item of the list is wrong.
    inner = [place for place in found if not any(each != place and each[: len(place)] == place for each in found)]
    return [Complaint((*keys, *place), " or ".join(found[place])) for place in inner]


def place_in(loc: tuple[str | int, ...], given: object) -> Keys:
    """Return the part of a place that leads through what was given: the library adds names of its own types."""
    place: list[str | int] = []
    for step in loc:
        if isinstance(given, Mapping | list | tuple):
            with suppress(LookupError, TypeError):  # where it has no such item, the step is none of its own
                given = given[step]  # type: ignore[index]  # whatever is no key of it is suppressed
                place.append(step)
    return tuple(place)


def _said(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "missing":
        return f"{error['loc'][-1]} is missing"
    if kind in {"literal_error", "enum"}:
        return f"it must be {error['ctx']['expected']}"
    wanted = next((text for word, text in _WANTED.items() if kind.startswith(word)), None)
    return f"it must be {wanted}" if wanted else error["msg"][:1].lower() + error["msg"][1:]


def limit_complaints(field: dataclasses.Field[Any], value: object) -> Iterator[str]:
    """Yield what is wrong with a value that the limits of its field leave out; NaN is within none."""
    if isinstance(value, int | float):
        yield from _range_complaints(field.metadata, value)
    pattern = field.metadata.get("pattern")
    if pattern is not None and isinstance(value, str) and not re.search(_VERY_END.sub(r"\\Z", pattern), value):
        yield f"it must be {field.metadata['wanted']}"


def _range_complaints(limits: Mapping[str, Any], value: float) -> Iterator[str]:
    above, least, most = (limits.get(name) for name in ("exclusiveMinimum", "minimum", "maximum"))
    if above is not None and not value > above:
        yield f"it must be above {above}"
    elif least is not None and most is not None and not least <= value <= most:
        yield f"it must be from {least} to {most}"
    elif least is not None and not value >= least:
        yield f"it must be {least} or more"
    elif limits.get("finite") and value == math.inf:
        yield "it is inf"
