"""A model in memory: whose turn it is, exact token counts, and the orderly end.

Owns the queue of one loaded model and the threads that write its answers. It does not own the native engine
(`native`), where the file comes from (`model_files`), who else uses the engine (`engines`), nor one answer's
way out (`generation`).
"""

from __future__ import annotations

import atexit
import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from typing import Final, final

from modelhub.errors import BadRequest, MalformedResponse, Overloaded, ServerError
from modelhub_local_model.faults import from_document
from modelhub_local_model.generation import Generation
from modelhub_local_model.gguf import GgufHeader
from modelhub_local_model.native import NativeServer
from modelhub_local_model.patterns import with_engine_patterns
from modelhub_local_model.settings import EngineSettings

__all__ = ["Engine", "EngineSettings"]

_COUNT_PATH: Final = "/v1/chat/completions/input_tokens"


@final
class Engine:
    """A loaded model. Every method may be called from any thread.

    Loading happens in the constructor and blocks the whole interpreter for its time (0.2 s for 100 MB in the
    page cache).

    Args:
        header: The checked file, from `gguf.read_header`.
        settings: How to load it.

    Raises:
        ConfigurationError: The engine is not installed, or the settings do not fit the model.
        ServerError: The engine cannot load the file.

    Attributes:
        header: What the file says about itself.
        settings: How it was loaded.
        context_size: Tokens of prompt and answer together that each answer may take.
    """

    def __init__(self, header: GgufHeader, settings: EngineSettings) -> None:
        self.header = header
        self.settings = settings
        self.context_size = settings.context_for(header)
        self._native = NativeServer(header, settings, context_size=self.context_size)
        self._process = os.getpid()
        self._turn = threading.Condition()
        self._waiting: deque[Generation] = deque()
        self._running: set[Generation] = set()
        self._closed = False
        self._lanes = [
            threading.Thread(target=self._work, name=f"{header.path.name} lane {number}", daemon=True)
            for number in range(settings.parallel)
        ]
        for lane in self._lanes:
            lane.start()
        atexit.register(self.close)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._running)} running, {len(self._waiting)} waiting"
        size = f"{self.context_size} tokens × {self.settings.parallel}"
        return f"<Engine {self.header.path.name}, {size}: {state}>"

    def generate(self, request: Mapping[str, object]) -> Generation:
        """Start an answer and return the iterator over its pieces; it waits for its turn by itself.

        Args:
            request: A chat completion request as llama-server takes it: ``messages``, ``tools``,
                ``max_tokens``, ``temperature``, ``seed``, ``stop``, ``response_format``, ``logprobs``, … It
                is streamed, and the last piece carries ``usage``.

        Raises:
            BadRequest: The request is no JSON, or has a pattern that the engine cannot keep to.
            Overloaded: Too many answers are waiting already.
            ServerError: The engine is closed (code ``engine_closed``).
        """
        extra = {"stream": True, "stream_options": {"include_usage": True}, "return_progress": True}
        generation = Generation(_encode({**request, **extra}))
        with self._turn:
            self._check_open()
            self._waiting = deque(one for one in self._waiting if not one.abandoned)
            idle = self.settings.parallel - len(self._running)
            if len(self._waiting) >= self.settings.max_waiting + idle:
                raise Overloaded(
                    f"{len(self._waiting)} answers are waiting for the engine already",
                    remedy="try again later, or load the model with a larger max_waiting",
                    code="engine_queue_full",
                )
            self._waiting.append(generation)
            self._turn.notify()
        return generation

    def count_tokens(self, request: Mapping[str, object]) -> int:
        """Tokens of the prompt that the engine makes of a request: its own template and tokenizer, so exact.

        Args:
            request: As for `generate`.

        Raises:
            ModelHubError: As the engine answers for the same request.
        """
        self._check_open()
        document = self._native.post(_COUNT_PATH, _encode(request))
        if "error" in document:
            raise from_document(document["error"])
        tokens = document.get("input_tokens")
        if not isinstance(tokens, int):
            raise MalformedResponse("The engine counted no tokens")
        return tokens

    def close(self) -> None:
        """End all answers, wait until the engine has stopped, and free the model; may be repeated.

        A reader that is still there gets a `ServerError` with the code ``engine_closed``.
        """
        atexit.unregister(self.close)
        if os.getpid() != self._process:  # none of the threads that would be waited for are in this process
            return
        with self._turn:
            self._closed = True
            ending = [*self._waiting, *self._running]
            self._waiting.clear()
            self._turn.notify_all()
        for generation in ending:
            generation.fail(self._closed_error())
        for lane in self._lanes:
            lane.join()
        self._native.close()

    def _check_open(self) -> None:
        if self._closed or os.getpid() != self._process:
            raise self._closed_error()

    def _closed_error(self) -> ServerError:
        why = "was closed" if self._closed else "is in another process, which this one was forked from"
        return ServerError(f"The engine of {self.header.path.name} {why}", code="engine_closed")

    def _work(self) -> None:
        """One lane: take the generation that has waited longest, and write it."""
        while (generation := self._next()) is not None:
            try:
                generation.run(self._native.complete)
            finally:
                with self._turn:
                    self._running.discard(generation)

    def _next(self) -> Generation | None:
        with self._turn:
            self._turn.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                return None
            generation = self._waiting.popleft()
            self._running.add(generation)
            return generation


def _encode(request: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(with_engine_patterns(request), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:  # lone surrogates raise a ValueError too
        raise BadRequest(f"The request cannot be written as JSON: {error}") from error
