"""The contract of every incremental decoder: bytes in, values out, nothing lost before an error.

Owns how an error and the values before it reach the caller. Owns no protocol: the subclasses do.

A decoder is read like this, whatever the protocol::

    for chunk in body:
        for document in decoder.feed(chunk):
            use(document)
        if decoder.error is not None:  # do not wait for another chunk to hear of it
            raise decoder.error
    for document in decoder.flush():
        use(document)

Without the two lines about ``error`` nothing is lost either: the next ``feed`` or ``flush`` raises it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from modelhub.errors import MalformedResponse

__all__ = ["Decoder", "TruncatedResponse"]

T = TypeVar("T")


class TruncatedResponse(MalformedResponse):
    """The body ended inside a document: the endpoint or the network broke it off."""


class Decoder(ABC, Generic[T]):
    """Turn the chunks of one body into values, however the bytes were cut.

    Any cut of the same bytes gives the same values and then the same error. Subclasses write ``_take`` and
    ``_end`` as if errors could simply be raised; this class delivers first what was found before.
    """

    __slots__ = ("_error",)

    def __init__(self) -> None:
        self._error: MalformedResponse | None = None

    @property
    def error(self) -> MalformedResponse | None:
        """What is wrong with the body, known as soon as the last good value has been returned."""
        return self._error

    @property
    def done(self) -> bool:
        """Whether the framing's own end has come, after which nothing counts; never where it has none."""
        return False

    def feed(self, chunk: bytes) -> list[T]:
        """Take the next bytes of the body.

        Returns:
            The values that these bytes completed, in order; often none.

        Raises:
            MalformedResponse: The body cannot be read further. Where this chunk completed values before the
                fault, they are returned first: ``error`` is set, and the next call raises it.
        """
        if self._error is not None:
            raise self._error
        found: list[T] = []
        try:
            self._take(chunk, found)
        except MalformedResponse as error:
            self._error = error
            if not found:
                raise
        return found

    def flush(self) -> list[T]:
        """Take the end of the body.

        Returns:
            What the last bytes held without its terminator, where it is whole.

        Raises:
            TruncatedResponse: The body ended inside a value.
            MalformedResponse: An earlier chunk was at fault.
        """
        if self._error is not None:
            raise self._error
        found: list[T] = []
        try:
            self._end(found)
        except MalformedResponse as error:
            self._error = error
            raise
        return found

    @abstractmethod
    def _take(self, chunk: bytes, found: list[T]) -> None:
        """Append to ``found`` what ``chunk`` completes; raise MalformedResponse at the first fault."""

    @abstractmethod
    def _end(self, found: list[T]) -> None:
        """Append what the body's end completes; raise TruncatedResponse if it cuts a value off."""
