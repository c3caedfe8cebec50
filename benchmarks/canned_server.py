"""A server in Ollama's shape that answers from bytes made beforehand: the other end of every measured call.

It runs in a process of its own, on loopback, and does as little as it can: raw asyncio, one write for an answer. The
model's name chooses the answer: ``burst`` is a stream written all at once, ``paced`` one written piece by piece, and
every other model answers as `CALL_MODEL` does. It ends when its standard input does, so it cannot outlive a run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import final

BURST_MODEL = "burst"
PACED_MODEL = "paced"
CALL_MODEL = "whole"
PIECE = " token"
ANSWER = PIECE * 24
"""The text of a whole answer."""

_CREATED = "2026-01-01T00:00:00.000000000Z"
_FIGURES = {
    "total_duration": 306482428,
    "load_duration": 995645,
    "prompt_eval_count": 30,
    "prompt_eval_duration": 48108000,
    "eval_count": 24,
    "eval_duration": 254112000,
}
_MODELS = (CALL_MODEL, BURST_MODEL, PACED_MODEL)
_DETAILS = {"format": "gguf", "family": "llama", "families": ["llama"], "parameter_size": "134.52M"}
_SHOW = {
    "template": "{{- range .Messages }}{{ .Role }}: {{ .Content }}\n{{- end }}",
    "details": _DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 8192, "llama.embedding_length": 576},
    "capabilities": ["completion"],
}


def _whole(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _document(model: str, text: str, *, last: bool) -> bytes:
    message = {"role": "assistant", "content": text}
    document = {"model": model, "created_at": _CREATED, "message": message, "done": last}
    if last:
        document |= {"done_reason": "stop", **_FIGURES}
    return json.dumps(document, separators=(",", ":")).encode()


def _piece(line: bytes) -> bytes:
    # Ollama flushes after every line: each is one piece of the transfer encoding.
    return b"%x\r\n%s\n\r\n" % (len(line) + 1, line)


_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_STREAM_TAIL = b"0\r\n\r\n"


@final
class Answers:
    """All that the server says, as bytes.

    Args:
        burst: Pieces of text in a stream that is written at once.
        paced: Pieces of text in a stream that is written piece by piece.
        interval: Seconds between two pieces of the paced stream.
    """

    def __init__(self, *, burst: int, paced: int, interval: float) -> None:
        self.interval = interval
        self.paced = paced
        self.call = _whole(_document(CALL_MODEL, ANSWER, last=True))
        piece, end = _document(BURST_MODEL, PIECE, last=False), _document(BURST_MODEL, "", last=True)
        self.burst = _STREAM_HEAD + _piece(piece) * burst + _piece(end) + _STREAM_TAIL
        self.piece = _piece(_document(PACED_MODEL, PIECE, last=False))
        self.end = _piece(_document(PACED_MODEL, "", last=True)) + _STREAM_TAIL
        names = [{"name": name, "model": name, "details": _DETAILS} for name in _MODELS]
        self.others = {
            "/api/version": _whole(b'{"version":"0.33.0"}'),
            "/api/tags": _whole(json.dumps({"models": names}).encode()),
            "/api/ps": _whole(b'{"models":[]}'),
            "/api/show": _whole(json.dumps(_SHOW).encode()),
        }


@final
class Conversation(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._received = bytearray()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        """Stop writing."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            start, *headers = self._received[:end].decode("latin-1").split("\r\n")
            lengths = [line.partition(":")[2] for line in headers if line.lower().startswith("content-length:")]
            whole = end + 4 + int(lengths[0] if lengths else 0)
            if len(self._received) < whole:
                return
            body = bytes(self._received[end + 4 : whole])
            del self._received[:whole]
            self._answer(start.split(" ")[1], body)

    def _answer(self, path: str, body: bytes) -> None:
        answers = self._answers
        if path != "/api/chat":
            self._transport.write(answers.others[path])
            return
        model = json.loads(body)["model"]
        if model == BURST_MODEL:
            self._transport.write(answers.burst)
        elif model == PACED_MODEL:
            self._transport.write(_STREAM_HEAD)
            self._write_piece(answers.paced, asyncio.get_running_loop().time() + answers.interval)
        else:
            self._transport.write(answers.call)

    def _write_piece(self, left: int, due: float) -> None:
        loop, answers = asyncio.get_running_loop(), self._answers
        if left:
            self._transport.write(answers.piece)
            self._timer = loop.call_at(due, self._write_piece, left - 1, due + answers.interval)
        else:
            self._transport.write(answers.end)


async def serve(answers: Answers) -> None:
    """Serve until standard input ends; the first line of output is the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.buffer.read)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--burst", type=int, required=True, help="pieces of the stream written at once")
    parser.add_argument("--paced", type=int, required=True, help="pieces of the stream written one by one")
    parser.add_argument("--interval", type=float, required=True, help="seconds between two of them")
    given = parser.parse_args()
    asyncio.run(serve(Answers(burst=given.burst, paced=given.paced, interval=given.interval)))


if __name__ == "__main__":
    main()
