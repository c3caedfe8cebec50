"""Takes out of a continuation what it repeats of the text that it continues, while it comes in.

A model that is given the beginning of an answer often says its last words again, or all of it. What counts as a
repetition is defined here, and nothing else is taken out:

* The continuation begins with the end of the text, 12 characters of it or more, with 4 different ones among them. The
  longest such overlap counts. Blanks before it go with it.
* The text's own white space at its end, which no prefill can have: what the continuation repeats of that.
"""

from __future__ import annotations

from typing import final

__all__ = ["Overlap"]

_LEAST = 12
_LEAST_DIFFERENT = 4
_WINDOW = 2000
"""Characters at the end of the text in which an overlap may begin; it may also begin where the text does."""


@final
class Overlap:
    """Drops the repetition at the beginning of a continuation, however it is cut into pieces.

    Args:
        delivered: The text that is continued.

    Attributes:
        dropped: Characters dropped so far.
    """

    __slots__ = ("_best", "_blanks", "_length", "_open", "_pieces", "_space", "_through", "_whole", "dropped")

    def __init__(self, delivered: str) -> None:
        self._whole = delivered.rstrip()
        self._space = delivered[len(self._whole) :]
        last = len(self._whole) - _LEAST
        places = {0, *range(max(0, last + _LEAST - _WINDOW), last + 1)} if last >= 0 else set[int]()
        self._open = sorted(places)  # where in the text the continuation may be beginning again
        self._best: int | None = None
        self._blanks = ""
        self._pieces: list[str] = []
        self._length = 0
        self._through = False
        self.dropped: int = 0

    def feed(self, text: str) -> str:
        """Take the next piece of the continuation; return what is new for certain."""
        if self._through:
            return self._without_space(text) if self._space else text
        if not self._length:
            text = self._blanks + text
            rest = text.lstrip(" ")
            self._blanks = text[: len(text) - len(rest)]
            text = rest
        self._pieces.append(text)
        self._open = [place for place in self._open if self._goes_on(place, text)]
        self._length += len(text)
        if not self._length or self._open:
            return ""
        return self.flush()

    def flush(self) -> str:
        """The continuation is at its end: return what was held back."""
        if self._through:
            return ""
        self._through = True
        held = "".join(self._pieces)
        self._pieces.clear()
        best = self._best
        if best is None or len(set(self._whole[best:])) < _LEAST_DIFFERENT:
            new = self._blanks + held
        else:
            new = held[len(self._whole) - best :]
            self.dropped += len(self._blanks) + len(held) - len(new)
        return self._without_space(new)

    def _goes_on(self, place: int, text: str) -> bool:
        """Whether the text may still be repeated from a place on; notes where it was repeated to its end."""
        at = place + self._length
        left = len(self._whole) - at
        if len(text) < left:
            return self._whole.startswith(text, at)
        if text.startswith(self._whole[at:]):
            self._best = place if self._best is None else min(self._best, place)
        return False

    def _without_space(self, text: str) -> str:
        """Drop what the text repeats of the white space that was delivered already."""
        same = 0
        while same < len(self._space) and same < len(text) and text[same] == self._space[same]:
            same += 1
        self._space = self._space[same:] if same == len(text) else ""
        self.dropped += same
        return text[same:]

    def __repr__(self) -> str:
        state = "through" if self._through else f"holds {self._length}"
        return f"<Overlap with {len(self._whole)} characters: {state}, dropped {self.dropped}>"
