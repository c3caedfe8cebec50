"""Content encodings, undone as the bytes come. Owns gzip, deflate and what stops a decompression bomb.

Does not negotiate: what may be asked for is ``SUPPORTED``. Source: RFC 9110 §8.4.1, RFC 1950 to 1952.
"""

from __future__ import annotations

import zlib
from typing import final

from modelhub.errors import MalformedResponse
from modelhub.wire.decoder import TruncatedResponse
from modelhub.wire.excerpt import clean

__all__ = ["MAX_BODY", "MAX_RATIO", "SUPPORTED", "ContentDecoder"]

SUPPORTED = ("gzip", "deflate")
"""What a request may name in ``Accept-Encoding``."""
MAX_RATIO = 200
"""Decoded bytes per received byte, once past 1 MiB; text compresses to a tenth, repetition to a fiftieth."""
MAX_BODY = 512 * 1024 * 1024
"""The largest decoded body in bytes."""

_FREE = 1024 * 1024
_WINDOW = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
_RAW = -zlib.MAX_WBITS
_HEADER = 2


@final
class ContentDecoder:
    """Undo the ``Content-Encoding`` of one body, as far as the bytes allow at any time.

    Args:
        encoding: The header's value: ``gzip``, ``deflate`` or ``identity``.
        max_ratio: Decoded bytes allowed per received byte, once past 1 MiB.
        max_body: Decoded bytes allowed in all.

    Raises:
        MalformedResponse: Another encoding, or several; the message names it.
    """

    __slots__ = (
        "_compressed",
        "_decoded",
        "_encoding",
        "_engine",
        "_head",
        "_max_body",
        "_max_ratio",
        "_received",
        "_window",
    )

    def __init__(self, encoding: str, *, max_ratio: int = MAX_RATIO, max_body: int = MAX_BODY) -> None:
        self._encoding = encoding.strip().lower().removeprefix("x-")
        if self._encoding not in {*_WINDOW, "identity", ""}:
            message = f"the answer's content encoding {clean(encoding, limit=40)!r} is not supported"
            raise MalformedResponse(message, remedy=f"the request asked for nothing but {', '.join(SUPPORTED)}")
        self._max_ratio = max_ratio
        self._max_body = max_body
        self._received = 0
        self._decoded = 0
        self._head = b""
        self._compressed = self._encoding in _WINDOW
        self._window = _WINDOW.get(self._encoding, _RAW)
        self._engine = zlib.decompressobj(self._window) if self._encoding == "gzip" else None

    def __repr__(self) -> str:
        return f"<ContentDecoder {self._encoding} received={self._received} decoded={self._decoded}>"

    def feed(self, chunk: bytes) -> bytes:
        """Return what ``chunk`` decodes to; nothing is held back that can be decoded.

        Raises:
            MalformedResponse: The bytes are not what the header says, or decode to more than the bounds.
        """
        self._received += len(chunk)
        if not self._compressed:
            self._decoded += len(chunk)
            return chunk
        if self._engine is None:
            chunk = self._head + chunk
            if len(chunk) < _HEADER:
                self._head = chunk
                return b""
            if not _is_zlib(chunk):
                self._window = _RAW
            self._engine = zlib.decompressobj(self._window)
        return self._inflate(self._engine, chunk)

    def _inflate(self, engine: zlib._Decompress, data: bytes) -> bytes:
        allowed = min(max(_FREE, self._received * self._max_ratio), self._max_body)
        pieces: list[bytes] = []
        while data:
            if engine.eof:  # members may follow one another (RFC 1952 §2.2)
                engine = self._engine = zlib.decompressobj(self._window)
            try:
                piece = engine.decompress(data, allowed - self._decoded + 1)
            except zlib.error as error:
                message = f"the answer is not the {self._encoding} data that its header says: {error}"
                raise MalformedResponse(message) from error
            self._decoded += len(piece)
            if self._decoded > allowed:
                message = f"{self._received} bytes of {self._encoding} decode to more than {allowed}"
                raise MalformedResponse(message, remedy="the endpoint is broken, or sends a decompression bomb")
            pieces.append(piece)
            data = engine.unused_data
        return b"".join(pieces)

    def flush(self) -> None:
        """Take the end of the body.

        Raises:
            TruncatedResponse: The body ended inside the compressed data.
        """
        whole = self._engine.eof if self._engine else not self._head
        if self._compressed and self._received and not whole:
            raise TruncatedResponse(f"the answer broke off inside its {self._encoding} data")


def _is_zlib(data: bytes) -> bool:
    """Tell zlib's header (RFC 1950 §2.2): some servers send ``deflate`` without it."""
    return data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:_HEADER]) % 31 == 0
