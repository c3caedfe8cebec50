r"""Bytes to lines. Owns line terminators and the longest line; knows nothing of what a line holds.

Lines are cut as bytes, at ``\n`` and ``\r\n`` only. Cutting decoded text at what Unicode calls a line
boundary (U+2028, U+0085) breaks JSON strings, and a character that the network cut in two is whole again once
its line is.
"""

from __future__ import annotations

from typing import final

from modelhub.errors import MalformedResponse
from modelhub.wire.decoder import Decoder

__all__ = ["MAX_LINE", "LineDecoder"]

MAX_LINE = 8 * 1024 * 1024
"""The longest line in bytes; tool arguments, images and token probabilities make lines of 100 kB and more."""


@final
class LineDecoder(Decoder[bytes]):
    """Cut a body into lines, without their terminators.

    Time is linear in the bytes whatever the chunks, memory at most one line and one chunk.

    Args:
        max_line: The longest line in bytes.
    """

    __slots__ = ("_max_line", "_pending")

    def __init__(self, max_line: int = MAX_LINE) -> None:
        super().__init__()
        self._max_line = max_line
        self._pending = bytearray()

    def __repr__(self) -> str:
        return f"<LineDecoder pending={len(self._pending)} max_line={self._max_line}>"

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished line are held."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes of the body; see ``Decoder.feed``."""
        # The usual chunk is exactly one line: this is what the general way does with it, in half the time.
        end = len(chunk) - 1
        if (
            chunk.find(b"\n") == end >= 0
            and not self._pending
            and end <= self._max_line
            and self._error is None
            and chunk[end - 1 : end] != b"\r"
        ):
            return [chunk[:end]]
        return super().feed(chunk)

    def _take(self, chunk: bytes, found: list[bytes]) -> None:
        lines = chunk.split(b"\n")
        tail = lines.pop()
        pending = self._pending
        if lines:
            if pending:
                pending += lines[0]
                lines[0] = bytes(pending)
                pending.clear()
            if len(chunk) + len(lines[0]) > self._max_line or lines[0].endswith(b"\r") or b"\r" in chunk:
                self._check_and_strip(lines, found)
            else:
                found += lines
        if tail:
            pending += tail
            # A \r that ends the bytes so far may be half of the terminator, and is not counted.
            if len(pending) > self._max_line and len(pending) - pending.endswith(b"\r") > self._max_line:
                self._refuse()

    def _check_and_strip(self, lines: list[bytes], found: list[bytes]) -> None:
        for line in lines:
            stripped = line[:-1] if line.endswith(b"\r") else line
            if len(stripped) > self._max_line:
                self._refuse()
            found.append(stripped)

    def _end(self, found: list[bytes]) -> None:
        if self._pending:
            line = bytes(self._pending)
            self._pending.clear()
            found.append(line)

    def _refuse(self) -> None:
        self._pending.clear()
        message = f"a line of the answer is longer than {self._max_line} bytes"
        raise MalformedResponse(message, remedy="the endpoint speaks another protocol, or is broken")
