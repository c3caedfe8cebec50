"""Questions on a terminal: one field of a form at a time, as its type wants to be asked. Secrets are not shown.

Owns what is written and read. Whether an answer can be used is not looked at here.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import final

import typer

from modelhub.cli.model_texts import property_text, short
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, label
from modelhub.credentials import is_reference, masked
from modelhub.types.credential import CredentialValue
from modelhub.types.forms import FormField, FormOption
from modelhub.types.json import JSON

__all__ = ["CLEARED", "Questions"]

CLEARED = "-"
"""What is typed to empty a field that has a value."""
_PROMPT = "  > "
_YES = {"y", "yes", "ya", "true", "1", "on"}
_NO = {"n", "no", "t", "tidak", "false", "0", "off"}


@final
class Questions:
    """Asks, until Ctrl-C or Ctrl-D.

    Args:
        terminal: Where to.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        with suppress(ImportError):  # line editing; not every system has it
            import readline  # noqa: PLC0415  importing it turns it on

            readline.set_auto_history(False)  # an answer that was meant for another question may be a secret

    def value(
        self,
        field: FormField,
        options: Sequence[FormOption],
        kept: CredentialValue = None,
        *,
        inherited: bool = False,
    ) -> CredentialValue:
        """Ask for the value of a field.

        Args:
            field: The field.
            options: Those of its options that are shown.
            kept: The value that it has, which stays when nothing is typed.
            inherited: Whether it has a value elsewhere, which counts when nothing is typed.

        Returns:
            What was typed, the file's content, the option's value, pairs, or ``True`` and ``False``; an empty text for
            nothing.

        Raises:
            Abort: The input has ended.
        """
        self._head(field, kept, inherited=inherited)
        for number, option in enumerate(options, start=1):
            self._terminal.say(f"  {number:>2}  {_option_text(option)}")
        answer = self._typed(field, options)
        if answer == "" and kept is not None:
            return kept
        return "" if answer == CLEARED and kept is not None else answer

    def yes(self, question: str) -> bool:
        """Ask a question whose answer is no unless it is yes."""
        self._terminal.heading(question, _("(yes or no; Enter: no)"))
        return self._line().lower() in _YES

    def choice(self, question: str, choices: Sequence[str]) -> int:
        """Ask for one of several things, and return its index; Enter is the first."""
        self._terminal.heading(question, "")
        for number, text in enumerate(choices, start=1):
            self._terminal.say(f"  {number:>2}  {text}")
        while (index := _index(self._line() or "1", len(choices))) is None:
            self._terminal.item(_("a number from 1 to {number}").format(number=len(choices)), good=False)
        return index

    def _head(self, field: FormField, kept: CredentialValue, *, inherited: bool) -> None:
        self._terminal.heading(
            label(field.label, field.variable), f"({'; '.join(_remarks(field, kept, inherited=inherited))})"
        )
        for text in (label(field.help), label(field.url)):
            if text:
                self._terminal.say(f"  {text}")
        if example := label(field.placeholder):
            self._terminal.say("  " + _("such as: {example}").format(example=example))

    def _typed(self, field: FormField, options: Sequence[FormOption]) -> CredentialValue:
        match field.type:
            case "switch":
                return _switch(self._line())
            case "select" | "radio":
                return _chosen(self._line(hidden=field.secret), options)
            case "multi-select":
                text = self._line()
                return text if not text or is_reference(text) else [_chosen(each, options) for each in _items(text)]
            case "key-value":
                return self._pairs(hidden=field.secret)
            case "file":
                return self._file()
            case "textarea" | "json":
                return self._lines(hidden=field.secret, until_json=field.type == "json")
            case _:
                return self._line(hidden=field.secret)

    def _line(self, prompt: str = _PROMPT, *, hidden: bool = False) -> str:
        try:
            text = getpass.getpass(prompt, stream=sys.stderr) if hidden else input(prompt)
        except EOFError:
            self._terminal.say()
            raise typer.Abort from None
        return text.strip()

    def _lines(self, *, hidden: bool, until_json: bool) -> str:
        """Read lines up to an empty one, or as soon as they are a whole JSON value, or say where the value is."""
        lines: list[str] = []
        while line := self._line(hidden=hidden):
            lines.append(line)
            text = "\n".join(lines)
            if (until_json and _is_json(text)) or (len(lines) == 1 and is_reference(line)) or text == CLEARED:
                break
        return "\n".join(lines)

    def _pairs(self, *, hidden: bool) -> CredentialValue:
        pairs: dict[str, JSON] = {}
        while typed := self._line(_("  name > ")):
            if not pairs and (is_reference(typed) or typed == CLEARED):
                return typed
            name, _colon, value = (part.strip() for part in typed.partition(":"))
            pairs[name] = value or self._line(_("  value > "), hidden=hidden)
        return pairs or ""

    def _file(self) -> str:
        while (path := self._line()) and not is_reference(path) and path != CLEARED:
            where = Path(path).expanduser()
            try:
                content = where.read_text("utf-8-sig")
            except (OSError, ValueError, RuntimeError) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else _("it is no UTF-8 text")
                said = _("{name} cannot be read: {reason}").format(name=path, reason=reason)
                self._terminal.item(said, good=False)
                continue
            choices = (_("its content, in the store"), _("only where it is; it is read when it is wanted"))
            keep_path = self.choice(_("What is to be kept?"), choices)
            return f"file:{where.absolute()}" if keep_path else content
        return path

    def __repr__(self) -> str:
        return "<Questions>"


def _remarks(field: FormField, kept: CredentialValue, *, inherited: bool) -> Iterator[str]:
    if kept is not None:
        shown = masked({field.variable: kept}, [field])[field.variable]
        yield _("Enter keeps {value}").format(value=short(property_text(shown)))
        if not field.required:
            yield _("- empties it")
    elif inherited:
        yield _("Enter: as it is given elsewhere")
    elif field.default is not None and not field.secret:
        yield _("Enter: {value}").format(value=short(property_text(field.default)))
    else:
        yield _("required") if field.required and field.default is None else _("optional")
    if field.secret and field.type != "file":
        yield _("values are not shown") if field.type == "key-value" else _("not shown while you type")
    further = {
        "switch": _("yes or no"),
        "select": _("a number of the list"),
        "radio": _("a number of the list"),
        "multi-select": _("numbers of the list, with commas between them"),
        "key-value": _("an empty name ends them"),
        "textarea": _("an empty line ends it"),
        "json": _("JSON, of one line or more"),
        "number": _("a number"),
        "file": _("the path of a file"),
    }
    if field.type in further and (field.options or field.type not in {"select", "radio", "multi-select"}):
        yield further[field.type]
    if field.type == "file" and field.accept:
        yield ", ".join(field.accept)


def _option_text(option: FormOption) -> str:
    text = label(option.label)
    return f"{text} ({option.value})" if text and text != option.value else option.value


def _index(text: str, most: int) -> int | None:
    return int(text) - 1 if text.isdecimal() and 0 < int(text) <= most else None


def _chosen(text: str, options: Sequence[FormOption]) -> str:
    index = _index(text, len(options))
    return text if index is None else options[index].value


def _items(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _switch(text: str) -> CredentialValue:
    return True if text.lower() in _YES else False if text.lower() in _NO else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
