"""Where the command line writes: answers to stdout, everything said about them to stderr.

On a terminal, text of models and plugins is shown without control characters: a model must not be able to move the
cursor, change the title or write to the clipboard. In a pipe it arrives as it was made.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TextIO, final

import typer

from modelhub.cli.documents import document_of

__all__ = ["Terminal"]

_CONTROL = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_MARKS = {True: ("✓", "+", "green"), False: ("✗", "x", "red"), None: ("–", "-", "yellow")}


@final
class Terminal:
    """The two streams of the process.

    Attributes:
        json: Whether the user asked for JSON: then stdout carries documents, and stderr nothing.
    """

    __slots__ = ("json",)

    def __init__(self, *, json: bool = False) -> None:
        self.json: bool = json

    @property
    def answers_shown(self) -> bool:
        """Whether stdout is a terminal."""
        return sys.stdout.isatty()

    @property
    def notes_shown(self) -> bool:
        """Whether somebody is looking at stderr, and JSON was not asked for."""
        return sys.stderr.isatty() and not self.json

    def write(self, text: str) -> None:
        """Write a piece of an answer at once."""
        sys.stdout.write(text.translate(_CONTROL) if self.answers_shown else text)
        sys.stdout.flush()

    def say(self, text: str = "") -> None:
        """Write a line of an answer."""
        self.write(f"{text}\n")

    def item(self, text: str, *, good: bool | None) -> None:
        """Write a line of a list of checks: passed, failed, or (``None``) not made."""
        mark, plain, colour = _MARKS[good]
        try:
            mark.encode(sys.stdout.encoding)
        except UnicodeEncodeError:
            mark = plain
        sys.stdout.write(self.styled(mark, sys.stdout, fg=colour))
        self.say(f" {text}")

    def heading(self, text: str, remark: str) -> None:
        """Write a line that something begins with, and dimmed behind it a remark."""
        sys.stdout.write(self.styled(text.translate(_CONTROL), sys.stdout, bold=True))
        behind = f" {remark}".translate(_CONTROL) if remark else ""
        sys.stdout.write(f"{self.styled(behind, sys.stdout, dim=True)}\n" if behind else "\n")
        sys.stdout.flush()

    def finding(self, place: str, kind: str, text: str, *, colour: str) -> None:
        """Write a line about a place in a file: the place, what kind of finding it is, in colour, and what it says."""
        self.write(f"{place}: ")
        sys.stdout.write(self.styled(kind, sys.stdout, fg=colour))
        self.say(f" {text}")

    def note(self, text: str, **style: str | bool) -> None:
        """Write a line about an answer to stderr; nothing where JSON was asked for.

        Args:
            text: The line.
            style: As typer's ``style`` takes it, such as ``fg="red"`` and ``bold=True``.
        """
        if not self.json:
            sys.stdout.flush()
            sys.stderr.write(f"{self.styled(text.translate(_CONTROL), sys.stderr, **style)}\n")
            sys.stderr.flush()

    def aside(self, text: str) -> None:
        """Write a piece of what a model thinks, dimmed, to stderr."""
        sys.stderr.write(self.styled(text.translate(_CONTROL), sys.stderr, dim=True))
        sys.stderr.flush()

    def hint(self, text: str) -> None:
        """Write a line about an answer that only somebody who is looking wants."""
        if self.notes_shown:
            self.note(text, dim=True)

    def document(self, value: object) -> None:
        """Write a JSON document: the whole output of a command."""
        self._json(value, indent=2)

    def line(self, value: object) -> None:
        """Write a JSON document on one line: a piece of the output of a command."""
        self._json(value, indent=None)

    def _json(self, value: object, *, indent: int | None) -> None:
        whole = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        text = json.dumps(document_of(value), ensure_ascii=not whole, indent=indent)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write rows: a table with titles on a terminal; elsewhere bare lines, their cells between tabs.

        On a terminal columns in which nothing stands are left out.
        """
        if not self.answers_shown:
            for row in rows:
                self.say("\t".join(" ".join(cell.split()) for cell in row))
            return
        from rich import box  # noqa: PLC0415  drawing costs as much to import as parsing
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        filled = [at for at in range(len(titles)) if not rows or any(row[at] for row in rows)]
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
        for at in filled:
            table.add_column(titles[at], overflow="fold")
        for row in rows:
            table.add_row(*(Text(row[at].translate(_CONTROL)) for at in filled))
        Console(file=sys.stdout, highlight=False).print(table)

    @staticmethod
    def styled(text: str, stream: TextIO, **style: str | bool) -> str:
        """Return a text with colour, where the stream shows it and the user has not turned it off."""
        plain = not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return text if plain or not style else typer.style(text, **style)  # type: ignore[arg-type]  # passed through
