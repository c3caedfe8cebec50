"""Nodes that say one sentence, break off where they are told to, and go on with what they are given of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelhub.testing.faults import Fault, Healthy
from modelhub.testing.replies import Reply
from modelhub.wire.json import dumps

SENTENCE = "The quick brown fox jumps over the lazy dog and runs away into the wood."
WORDS = [f" {word}" for word in SENTENCE.split()]
WORDS[0] = WORDS[0].lstrip()


def event(document: Mapping[str, Any]) -> bytes:
    """Return a document as an event of a stream."""
    return b"data: " + dumps(document) + b"\n\n"


def piece(text: str | None = None, reason: str | None = None) -> bytes:
    """Return a piece of text, or the reason of the end."""
    delta = {} if text is None else {"content": text}
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def speaking(cut: int | None = None, *, again: int = 0) -> Fault:
    """Say the sentence, or what is left of it after the beginning that is given.

    Args:
        cut: Break off after so many words.
        again: Say so many of the last given words again.
    """

    def change(healthy: Healthy) -> Reply:
        last: Any = healthy.request.json
        given = last["messages"][-1]
        begun = len(given["content"].split()) if given["role"] == "assistant" else 0
        words = WORDS[max(0, begun - again) :]
        usage = {"prompt_tokens": 7, "completion_tokens": len(words)}
        end = [piece(reason="stop"), event({"choices": [], "usage": usage}), b"data: [DONE]\n\n"]
        whole = Reply(
            headers={"content-type": "text/event-stream"}, chunks=[*map(piece, words), *end], chunked=True, split=()
        )
        return whole if cut is None else replace(whole, cut_after=replace(healthy, reply=whole).size(cut))

    return Fault.answer(change, "speaking" if cut is None else f"breaking off after {cut} words")
