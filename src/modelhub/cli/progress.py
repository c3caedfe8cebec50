"""How far something long has come, on stderr, while somebody is looking; elsewhere nothing."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Self, final

from modelhub.cli.terminal import Terminal
from modelhub.types.records import Progress

if TYPE_CHECKING:
    from types import TracebackType

    from modelhub.cli.drawing import Drawing

__all__ = ["Display"]


@final
class Display:
    """Shows reports of progress while it is entered; what takes less than a moment shows nothing.

    Args:
        terminal: Where to.
        waiting: What to say as long as nothing is reported.
        after: Seconds to wait before anything is shown; 0 for no thread and no report missed.
        kept: Whether finished bars stay on the screen.
    """

    def __init__(self, terminal: Terminal, *, waiting: str = "", after: float = 0.4, kept: bool = False) -> None:
        self._shown = terminal.notes_shown
        self._waiting = Progress(waiting) if waiting else None
        self._latest = self._waiting
        self._kept = kept
        self._lock = threading.Lock()
        self._drawing: Drawing | None = None
        self._stopped = False
        # A timer and not a task: drawing tools are imported beside the event loop, while it waits for the answer.
        self._timer = threading.Timer(after, self._begin)
        self._timer.daemon = True
        self._at_once = not after

    def __enter__(self) -> Self:
        if self._shown and self._at_once:
            self._begin()
        elif self._shown:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _begin(self) -> None:
        from modelhub.cli.drawing import Drawing  # noqa: PLC0415  drawing costs as much to import as parsing

        with self._lock:
            if not self._stopped:
                self._drawing = Drawing(sys.stderr, kept=self._kept)
                if self._latest is not None:
                    self._drawing.update(self._latest)

    def update(self, progress: Progress) -> None:
        """Take a report; after the end of what was reported comes waiting again."""
        with self._lock:
            self._latest = progress if self._waiting is None or progress.fraction != 1 else self._waiting
            if self._drawing is not None:
                self._drawing.update(self._latest)

    def stop(self) -> None:
        """Take everything off the screen that does not stay. Idempotent."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            drawing, self._drawing = self._drawing, None
        if drawing is not None:
            drawing.stop()

    def __repr__(self) -> str:
        return f"<Display {'stopped' if self._stopped else 'drawing' if self._drawing else 'waiting'}>"
