"""Reads loosely written values as what a schema class says they are, by its annotations.

A quoted number is a number, an unquoted version is a text, a single value is a list of one. What cannot be what it must
be costs the smallest thing that can be left out (an optional key, an item of a list) and becomes a `Problem`; only what
an object cannot do without costs the object. What Dify spells in ways of its own is in `modelhub.manifest.spellings`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache, partial
from types import UnionType
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from modelhub.manifest import scalars
from modelhub.manifest.problems import Problem, Reading, WrongValue
from modelhub.manifest.spellings import AFTER, BEFORE, CHECKS, INSTEAD, LIKE, UNDIVIDED
from modelhub.rules.names import nearest

__all__ = ["read_class"]

T = TypeVar("T")

Reader: TypeAlias = Callable[[Reading, Any], Any]

_STEP = re.compile(r"[a-z_]+|(?<=\[)\d+(?=\])")
"""A step of a place such as ``periods[0].input``."""


def _sequence(item: Reader, reading: Reading, value: Any) -> Sequence[Any]:
    if isinstance(value, str | int | float):
        reading.note("odd-value", "a list is wanted; this is read as a list of one")
        value = [value]
    if not isinstance(value, list | tuple):
        raise scalars.wanted(reading, "a list", value)
    found = []
    for number, each in enumerate(value):
        if each is None and item is not scalars.json:
            continue
        reading.path.append(number)
        try:
            found.append(item(reading, each))
        except WrongValue as error:
            reading.cost(error)
        finally:
            reading.path.pop()
    return tuple(found) if isinstance(value, tuple) else found


def _mapping(item: Reader, reading: Reading, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise scalars.wanted(reading, "a mapping", value)
    found = {}
    for key, each in value.items():
        if each is None and item is not scalars.json:
            continue
        reading.path.append(str(key))
        try:
            found[str(key)] = item(reading, each)
        except WrongValue as error:
            reading.cost(error)
        finally:
            reading.path.pop()
    return found


def _choice(choices: tuple[Any, ...], reading: Reading, value: Any) -> Any:
    given = (
        scalars.text(reading, value) if not isinstance(value, list | tuple | Mapping) and value is not None else value
    )
    if isinstance(given, str) and given in choices:
        return choices[choices.index(given)]
    wrong = scalars.wanted(reading, f"one of {', '.join(str(choice) for choice in choices)}", value)
    near = nearest(given, [str(choice) for choice in choices], most=1, least=LIKE) if isinstance(given, str) else []
    raise reading.wrong(f"{wrong.message} (did you mean {near[0]!r}?)") if near else wrong


def _union(readers: Mapping[str, list[Reader]], reading: Reading, value: Any) -> Any:
    kind = "mapping" if isinstance(value, Mapping) else "list" if isinstance(value, list | tuple) else "scalar"
    candidates = readers.get(kind) or [each for readers_of in readers.values() for each in readers_of]
    for candidate in candidates[:-1]:
        before = len(reading.problems)
        try:
            return candidate(reading, value)
        except WrongValue:
            del reading.problems[before:]
    return candidates[-1](reading, value)


_SCALARS: Mapping[Any, Reader] = {
    str: scalars.text,
    bool: scalars.boolean,
    int: scalars.whole,
    float: scalars.number,
    Decimal: scalars.decimal,
    dt.date: scalars.date,
    object: scalars.json,
    Any: scalars.json,
}


@cache
def _reader(hint: Any) -> Reader:
    """Return what reads values of an annotation."""
    if hint in _SCALARS:
        return _SCALARS[hint]
    arguments = get_args(hint)
    origin = get_origin(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return partial(_object, hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return partial(_choice, tuple(hint))
    if origin is Literal:
        return partial(_choice, arguments)
    if origin is Sequence:
        return partial(_sequence, _reader(arguments[0]))
    if origin is Mapping:
        return partial(_mapping, _reader(arguments[1]))
    if origin in {Union, UnionType}:
        readers: dict[str, list[Reader]] = {}
        for argument in arguments:
            if argument is not type(None):
                readers.setdefault(_kind(argument), []).append(_reader(argument))
        return partial(_union, readers)
    raise TypeError(f"nothing reads {hint!r} from a manifest")


def _kind(hint: Any) -> str:
    if is_dataclass(hint) or get_origin(hint) is Mapping:
        return "mapping"
    return "list" if get_origin(hint) is Sequence else "scalar"


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of a schema class.

    Attributes:
        name: The field's name, which ends in ``_`` where the key is a word of Python's.
        before: What brings the value into the form that is read.
        instead: What stands in for a value that cannot be read; `MISSING` where nothing does.
    """

    name: str
    required: bool
    read: Reader
    before: Callable[[Any], Any] | None
    instead: Any


@cache
def _keys(cls: type) -> Mapping[str, _Key]:
    hints = get_type_hints(cls)
    found = {}
    for each in fields(cls):
        key = each.name.rstrip("_")
        required = each.default is MISSING and each.default_factory is MISSING
        place = (cls, key)
        read = _reader(hints[each.name])
        # The name counts too: it is what `dataclasses.asdict` gives.
        found[key] = found[each.name] = _Key(each.name, required, read, BEFORE.get(place), INSTEAD.get(place, MISSING))
    return found


def read_class(cls: type[T], value: Any, reading: Reading) -> T:
    """Read a value as an object of a schema class.

    Raises:
        WrongValue: It cannot be one. What else is wrong is among the reading's problems.
    """
    read: T = _object(cls, reading, value)
    return read


def _object(cls: type, reading: Reading, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise scalars.wanted(reading, "a mapping", value)
    whole = issubclass(cls, UNDIVIDED)
    reading.undivided += whole
    try:
        given = _values(cls, reading, value)
    finally:
        reading.undivided -= whole
    made = cls(**given)
    check = CHECKS.get(cls)
    complaints = check(made) if check is not None else ()
    if complaints:
        raise _complained(reading, complaints)
    return made


def _complained(reading: Reading, complaints: Sequence[str]) -> WrongValue:
    """Return the error of a whole object, which stands where the first complaint does."""
    place, colon, said = complaints[0].partition(": ")
    steps = _STEP.findall(place) if colon else []
    path = (*reading.path, *(int(step) if step.isdecimal() else step for step in steps))
    return WrongValue(path, "; ".join((said or place, *complaints[1:])))


def _values(cls: type, reading: Reading, value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values of an object's fields.

    Raises:
        WrongValue: One without which there is no object is missing or wrong.
    """
    keys = _keys(cls)
    given: dict[str, Any] = {}
    lost: WrongValue | None = None
    for written, item in value.items():
        key = keys.get(written)
        if key is None:
            _unknown(reading, str(written), keys)
        elif item is not None:
            try:
                _one(key, str(written), item, reading, given)
            except WrongValue as error:
                if lost is not None:
                    reading.problems.append(Problem(lost.path, lost.code, lost.message))
                lost = error
    for name, key in keys.items():
        if key.required and key.name not in given and lost is None:
            lost = WrongValue((*reading.path, name), f"{name!r} is missing", "missing")
    if lost is not None:
        raise lost
    after = AFTER.get(cls)
    if after is not None:
        after(reading, given)
    return given


def _one(key: _Key, written: str, item: Any, reading: Reading, given: dict[str, Any]) -> None:
    reading.path.append(written)  # and not in a `with`: this is where the time goes
    try:
        given[key.name] = key.read(reading, item if key.before is None else key.before(item))
    except WrongValue as error:
        if key.required:
            raise
        if key.instead is MISSING:
            reading.cost(error)
        else:
            message = f"{error.message}; it is read as {key.instead!r}"
            reading.problems.append(Problem(error.path, error.code, message))
            given[key.name] = key.instead
    finally:
        reading.path.pop()


def _unknown(reading: Reading, written: str, keys: Mapping[str, _Key]) -> None:
    near = nearest(written, keys, most=1, least=LIKE)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    reading.note("unknown-key", f"unknown key {written!r}{hint}", written)
