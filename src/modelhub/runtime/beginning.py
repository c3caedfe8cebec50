"""The beginning of a stream at one deployment: what comes until the first content, held back until then.

Nothing of it is the stream's before it is whole, so that another try can be made, or one beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import final

from modelhub.errors import ConnectionLost
from modelhub.rules.fold import ChatFold, SpeechFold, Weight, is_content
from modelhub.runtime.source import Source
from modelhub.types.events import Event, Finish

__all__ = ["Beginning"]

_HELD = 32
"""Lifecycle events that may be held back before the stream counts as begun."""
_HELD_BYTES = 64 * 1024
"""What they may take in memory, all together."""


@final
class Beginning:
    """Events up to the first content, or the end.

    Args:
        source: Where they come from.
        fold: Puts them together.
        start: When the try began.

    Attributes:
        held: The events.
        has_content: Whether the last of them is content.
        finish: The end, where that came without any.
    """

    __slots__ = ("finish", "fold", "has_content", "held", "source", "start")

    def __init__(self, source: Source, fold: ChatFold | SpeechFold, start: float) -> None:
        self.source: Source = source
        self.fold: ChatFold | SpeechFold = fold
        self.start: float = start
        self.held: deque[Event] = deque()
        self.has_content: bool = False
        self.finish: Finish | None = None

    async def read(self, check_wanted: Callable[[], None], spliced: Callable[[Event], Iterable[Event]]) -> None:
        """Read on until the first content, or the end.

        Args:
            check_wanted: Raises where nobody wants it any more.
            spliced: What an event becomes, where the stream continues another.

        Raises:
            ConnectionLost: It ended before either.
        """
        weight = Weight()
        for _ in range(_HELD):
            check_wanted()
            try:
                event = await self.source.next()
            except StopAsyncIteration:
                raise ConnectionLost("the answer ended before its first content", sent=True) from None
            self.has_content = is_content(event)
            for each in spliced(event):
                self.fold.add(each)
                self.held.append(each)
            if self.has_content:
                self.source.content_came()
                break
            if isinstance(event, Finish):
                self.finish = event
                break
            if weight.add(event) > _HELD_BYTES:
                break
        check_wanted()

    def __repr__(self) -> str:
        return f"<Beginning: {len(self.held)} events held>"
