"""Takes secrets out of exceptions before anybody sees them: vendors, and the libraries of plugins, repeat keys.

Owns what is looked for (a secret as it is, encoded, wrapped over lines, cut short) and where (the texts of an
exception and of all behind it, and the variables of their tracebacks).
"""

from __future__ import annotations

import base64
import dataclasses
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, final
from urllib.parse import quote, quote_plus

from modelhub.rules.frames import chain, clear_locals
from modelhub.types.secret import Secret

__all__ = ["Redactor", "clean"]

_MASK = "***"
_SHORTEST = 4
"""Shorter secrets are no keys, and stand in ordinary words."""

_TELLING = 8
"""Characters of a secret that tell too much of it, where it was cut there."""

_LONG = 12
"""Characters of a secret that tell too much of it anywhere, where they are half of it too."""

_NOT_IN_VARS = ("strerror", "filename", "filename2", "object", "name", "obj", "value")
"""What exceptions that are built in hold beside ``args`` and their ``vars``."""

_GAP = re.compile(r"\s+|\\+[nrt]?")
"""What may stand inside of a secret that was wrapped, and written inside of another text, maybe more than once."""

_NOT_OF_A_SECRET = dict.fromkeys(map(ord, "\t\n\v\f\r \\"))

_ESCAPED = re.compile(r"%[0-9A-F]{2}")


def clean(error: BaseException, secrets: Iterable[Secret | str]) -> None:
    """Replace secrets by ``***`` in the texts of an exception and of every exception behind it.

    One that shows a secret all the same, because its text is not made of what it was given, is cut off from the
    exceptions that it led to. The variables of the functions that have ended are taken out of the tracebacks.
    """
    secrets = tuple(secrets)
    redactor = Redactor(secrets)
    if not redactor:
        return
    of_content = (
        Redactor(secrets, shortest=_LONG) if any("partial" in vars(each) for each in chain(error)) else redactor
    )
    for each in chain(error):
        _scrub(each, redactor, of_content)
    clear_locals(error)
    _cut(error, redactor, set())


@final
class Redactor:
    """Takes some secrets out of texts.

    Args:
        secrets: What to look for, in every form in which servers and libraries repeat a value.
        shortest: Characters that a secret must have to be looked for.
    """

    __slots__ = ("_alike", "_forms", "_squeezed")

    def __init__(self, secrets: Iterable[Secret | str], *, shortest: int = _SHORTEST) -> None:
        texts = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets}
        forms = {form for text in texts if len(text) >= shortest for form in _forms(text)}
        self._forms = sorted(forms, key=len, reverse=True)
        self._alike: dict[str, list[str]] = {}
        for form in self._forms:
            if len(form) >= _TELLING:
                self._alike.setdefault(form[:_TELLING], []).append(form)
        squeezed = {_squeezed(form) for form in forms}
        self._squeezed = sorted((form for form in squeezed if len(form) >= _TELLING), key=len, reverse=True)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        if len(text) < _SHORTEST:
            return text
        for form in self._forms:
            text = text.replace(form, _MASK)
        text = _without_wrapped(text, self._squeezed)
        return _without_beginnings(text, self._alike)

    def value(self, value: Any) -> Any:
        """Return a value without the secrets in its texts; itself where it has none, or cannot be looked into."""
        match value:
            case str():
                redacted = self.text(value)
                return value if redacted == value else redacted  # a member of an enumeration stays one
            case bytes():
                return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
            case tuple() | list() | set() | frozenset() if type(value) in {tuple, list, set, frozenset}:
                return type(value)(self.value(item) for item in value)
            case Mapping() if type(value) is dict:
                return {self.value(key): self.value(item) for key, item in value.items()}
            case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return self._fields(value)
            case _:
                return value

    def _fields(self, value: Any) -> Any:
        changed: dict[str, Any] = {}
        for each in dataclasses.fields(value):
            held = getattr(value, each.name)
            redacted = self.value(held)
            if each.init and redacted != held:
                changed[each.name] = redacted
        return dataclasses.replace(value, **changed) if changed else value

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._forms)} texts>"


def _forms(text: str) -> Iterator[str]:
    """Yield a text as it is and as it is written in JSON, URLs, HTML, hex and base64."""
    data = text.encode("utf-8", "surrogatepass")
    yield text
    for ascii_only in (True, False):
        written = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield written
        yield written.replace("/", "\\/")
    for escaped in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield escaped
        yield _ESCAPED.sub(lambda match: match[0].lower(), escaped)
    yield html.escape(text)
    yield from _all_escaped(data)
    for before in range(3):
        # What stands before the text decides how its bits fall; only the letters made of its own bits are looked for.
        letters = base64.b64encode(bytes(before) + data).decode()
        own = letters[-(-before * 4 // 3) : (before + len(data)) * 4 // 3]
        if len(own) >= _TELLING:
            yield own
            yield own.replace("+", "-").replace("/", "_")


def _all_escaped(data: bytes) -> Iterator[str]:
    for digits in (data.hex(), data.hex().upper()):
        yield digits
        pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
        for mark in ("%", "\\x", "\\u00"):
            yield mark + mark.join(pairs)
        yield ":".join(pairs)
        yield " ".join(pairs)


def _without_wrapped(text: str, forms: Iterable[str]) -> str:
    """Replace forms that white space, the escape for it, or escapes of escapes were put into."""
    squeezed = _squeezed(text)
    if squeezed == text:
        return text
    for form in forms:
        if form in squeezed:
            text = _without_spread(text, form)
    return text


def _squeezed(text: str) -> str:
    """Return a text without what `_GAP` finds; many times as fast, and errors come in storms."""
    if "\\" in text:
        for escape in ("\\n", "\\r", "\\t"):
            text = text.replace(escape, "")
    return text.translate(_NOT_OF_A_SECRET)


def _without_spread(text: str, form: str) -> str:
    gaps = {at for match in _GAP.finditer(text) for at in range(*match.span())}
    kept = [at for at in range(len(text)) if at not in gaps]
    squeezed = "".join(text[at] for at in kept)
    end = len(squeezed)
    while (start := squeezed.rfind(form, 0, end)) >= 0:
        text = text[: kept[start]] + _MASK + text[kept[start + len(form) - 1] + 1 :]
        end = start
    return text


def _without_beginnings(text: str, alike: Mapping[str, Sequence[str]]) -> str:
    """Replace what is left of forms that were cut short; they are given by how they begin."""
    for beginning, candidates in alike.items():
        at = text.find(beginning)
        while at >= 0:
            length = max(_common(text, at, form) for form in candidates)
            if _tells(text, at + length, length, len(candidates[0])):
                text = text[:at] + _MASK + text[at + length :]
            at = text.find(beginning, at + 1)
    return text


def _common(text: str, at: int, form: str) -> int:
    """Return how many characters a text has in common with the beginning of a form."""
    length = _TELLING
    while length < len(form) and text.startswith(form[length], at + length):
        length += 1
    return length


def _tells(text: str, end: int, length: int, whole: int) -> bool:
    """Whether a beginning of this length tells too much: at the end of a text, or a long piece anywhere."""
    return end >= len(text) or text[end] == "…" or length >= max(_LONG, whole // 2)


def _scrub(error: BaseException, redactor: Redactor, of_content: Redactor) -> None:
    with suppress(Exception):  # what cannot be scrubbed is cut off afterwards where it shows a secret
        _replace(error, "args", redactor)
        for name, value in list(vars(error).items()):
            with suppress(Exception):
                # What a model has said is not ours to change for the sake of a word that somebody uses as a key.
                vars(error)[name] = (of_content if name == "partial" else redactor).value(value)
    for name in _NOT_IN_VARS:
        with suppress(Exception):
            _replace(error, name, redactor)


def _replace(error: BaseException, name: str, redactor: Redactor) -> None:
    held = getattr(error, name)
    redacted = redactor.value(held)
    if redacted != held:
        setattr(error, name, redacted)


def _cut(error: BaseException, redactor: Redactor, seen: set[int]) -> None:
    """Cut what still shows a secret off from what it led to."""
    seen.add(id(error))
    behind = [error.__cause__, error.__context__]
    behind += error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for each in behind:
        if each is None or id(each) in seen:
            continue
        _cut(each, redactor, seen)
        if _shows(each, redactor):
            error.__cause__ = error.__context__ = None
            error.__suppress_context__ = True


def _shows(error: BaseException, redactor: Redactor) -> bool:
    try:
        shown = f"{error} {error!r}"
    except Exception:  # noqa: BLE001  it cannot be shown, and so cannot be known to be clean
        return True
    return redactor.text(shown) != shown
