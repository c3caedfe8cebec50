"""One JSON document a line. Owns which lines count and what the last may lack; meaning is the caller's."""

from __future__ import annotations

from typing import final

from modelhub.errors import MalformedResponse
from modelhub.types.json import JSON
from modelhub.wire.decoder import Decoder, TruncatedResponse
from modelhub.wire.json import is_cut_off, loads
from modelhub.wire.lines import MAX_LINE, LineDecoder

__all__ = ["NdjsonDecoder"]


@final
class NdjsonDecoder(Decoder[JSON]):
    """Turn a body of newline-delimited JSON into documents.

    Blank lines are skipped, a bad line never is. The last line needs no newline if it is whole JSON.

    Args:
        max_line: The longest line in bytes.
    """

    __slots__ = ("_lines",)

    def __init__(self, max_line: int = MAX_LINE) -> None:
        super().__init__()
        self._lines = LineDecoder(max_line)

    def __repr__(self) -> str:
        return f"<NdjsonDecoder over {self._lines!r}>"

    def _take(self, chunk: bytes, found: list[JSON]) -> None:
        lines = self._lines
        for line in lines.feed(chunk):
            if line.strip():
                found.append(loads(line))  # noqa: PERF401  what came before a bad line must be in the list
        if lines.error is not None:
            raise lines.error

    def _end(self, found: list[JSON]) -> None:
        for line in self._lines.flush():
            if line.strip():
                try:
                    found.append(loads(line))
                except MalformedResponse as error:
                    if not is_cut_off(line):
                        raise
                    message = "the answer broke off inside a JSON document"
                    raise TruncatedResponse(message, excerpt=error.excerpt) from error
