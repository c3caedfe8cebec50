"""One answer on its way out of the engine: from the thread that writes it to the thread that reads it.

Owns the hand-over, the cancelling and what counts as an end. It does not own when a generation gets its turn
(`engine`) nor what the pieces mean (the provider). An end without the engine's own reason to finish is an
error here, never a silent end.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Self, TypeAlias, final

from modelhub.errors import MalformedResponse, ModelHubError, StreamInterrupted
from modelhub_local_model.faults import from_document, from_exception
from modelhub_local_model.loading_steps import Stopped

__all__ = ["Chunk", "Complete", "Generation"]

Chunk: TypeAlias = dict[str, Any]
"""One piece as llama-server streams it: an OpenAI ``chat.completion.chunk``."""

Complete: TypeAlias = Callable[[bytes, Callable[[bytes], bool]], object]
"""The engine's blocking call: a request in JSON, and what to call with each piece; ``True`` from there ends
it."""


@final
class Generation:
    """A blocking iterator over the pieces of one answer.

    It is read by one thread; `cancel` may be called from any. Pieces wait here unread without holding up the
    engine: there are never more of them than the context has tokens.

    Iterating raises:
        ModelHubError: What the engine refused or failed with, or `StreamInterrupted` where it ended without a
        finish reason.
        Stopped: The generation was cancelled.
    """

    __slots__ = ("_body", "_cancelled", "_changed", "_chunks", "_done", "_error", "_finished", "_started")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._changed = threading.Condition()
        self._chunks: deque[Chunk] = deque()
        self._error: ModelHubError | None = None
        self._started = False
        self._finished = False
        self._cancelled = False
        self._done = False

    def __repr__(self) -> str:
        if self._done:
            state = "failed" if self._error else "cancelled" if self._cancelled else "done"
        else:
            state = "running" if self._started else "waiting"
        return f"<Generation {state}, {len(self._chunks)} pieces unread>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        with self._changed:
            self._changed.wait_for(lambda: self._chunks or self._done or self._cancelled)
            if self._cancelled:
                raise Stopped
            if self._chunks:
                return self._chunks.popleft()
            if self._error is not None:
                raise self._error
            raise StopIteration

    def cancel(self) -> None:
        """Have the engine stop; what has not been read is dropped. Does not wait, and may be repeated."""
        with self._changed:
            if not self._done or self._chunks:
                self._cancelled = True
                self._chunks.clear()
                self._changed.notify_all()

    def fail(self, error: ModelHubError) -> None:
        """Have the engine stop, and the reader get ``error`` after what has come already."""
        with self._changed:
            self._end(error)

    @property
    def abandoned(self) -> bool:
        """Whether nobody wants more pieces."""
        return self._cancelled or self._done

    def run(self, complete: Complete) -> None:
        """Have the engine write the answer, to its end, refusal or cancelling; called once, by its own thread."""
        with self._changed:
            if self.abandoned:
                return
            self._started = True
        error: ModelHubError | None = None
        try:
            complete(self._body, self._receive)
        except Exception as raised:  # noqa: BLE001  the binding raises whatever its C++ side throws
            error = from_exception(raised)
            # Without its frames, which hold the engine: a kept error must not keep a closed engine in memory.
            error.__cause__ = raised.with_traceback(None)
        with self._changed:
            if error is None and not self._finished and not self.abandoned:
                error = StreamInterrupted("The engine ended the answer without a reason to finish")
            self._end(error)

    def _end(self, error: ModelHubError | None) -> None:
        if not self._done:
            self._done = True
            self._error = error
            self._changed.notify_all()

    def _receive(self, raw: bytes) -> bool:
        """Take one piece from the engine. An exception would end the stream in silence, so none gets out."""
        try:
            chunk = json.loads(raw)
            error = from_document(chunk["error"]) if "error" in chunk else None
            finished = any(choice.get("finish_reason") for choice in chunk.get("choices", ()))
        except Exception as raised:  # noqa: BLE001  see above
            chunk, finished = {}, False
            error = MalformedResponse(f"The engine sent a piece that is not what it should be: {raised!r}")
        with self._changed:
            if self.abandoned:
                return True
            if error is not None:
                self._end(error)
                return True
            # Progress on the prompt is asked for to make the engine call back, and so be cancelled, early. Only the
            # last of it says something: how long the prompt was.
            progress = chunk.get("prompt_progress")
            if progress is None or progress.get("processed") == progress.get("total"):
                self._finished |= finished
                self._chunks.append(chunk)
                self._changed.notify()
            return False
