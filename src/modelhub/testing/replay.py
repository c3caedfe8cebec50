"""Recorded answers as replies. Owns the format of recordings; knows no vendor.

A recording is one exchange as a JSON object. Of its ``response`` these keys count: ``status``; ``headers``, by
names in lower case; ``body``, the whole body as text; ``arrivals_ms_bytes``, where the body came in parts, as
pairs of milliseconds since the request and bytes; and ``broke_off``, true where its proper end was missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from modelhub.testing.replies import Reply
from modelhub.testing.splits import pieces
from modelhub.wire.json import loads

__all__ = ["recorded"]

_LAST_CHUNK = len(b"0\r\n\r\n")


def recorded(recording: str | Path | Mapping[str, Any], *, speed: float | None = None) -> Reply:
    """Return the answer of a recording, in the parts it arrived in.

    Args:
        recording: A recording, or the path of its file; the file is read here, so not on an event loop.
        speed: How many times faster than it was the answer comes; without it, it comes at once.

    Raises:
        MalformedResponse: The file is no JSON.
        KeyError: It is no recording.
    """
    document: Any = recording if isinstance(recording, Mapping) else loads(Path(recording).read_bytes())
    answer = document["response"]
    chunked = answer["headers"].get("transfer-encoding") == "chunked"
    arrivals = answer.get("arrivals_ms_bytes", [])
    # The last part takes what is left: some recordings' text was shortened afterwards.
    chunks = pieces(answer["body"].encode(), list(accumulate(size for _, size in arrivals))[:-1])
    reply = Reply(
        answer["status"],
        {name: value for name, value in answer["headers"].items() if name != "transfer-encoding"},
        chunks=chunks,
        chunked=chunked,
    )
    if answer.get("broke_off"):
        sent = sum(map(len, reply.writes()))
        reply = replace(reply, cut_after=sent - _LAST_CHUNK if chunked else sent)
    return _paced(reply, [when for when, _ in arrivals], speed) if speed and arrivals else reply


def _paced(reply: Reply, arrivals: list[float], speed: float) -> Reply:
    seconds = [when / 1000 / speed for when in arrivals]
    return replace(reply, delay=seconds[0], pause=[0.0, *(later - sooner for sooner, later in pairwise(seconds))])
