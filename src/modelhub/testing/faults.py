"""What can be wrong with an inference node. Owns how each fault changes a healthy answer; does no I/O.

A fault that is about answers is a function from the healthy answer to the one that is sent; one about connections says
who gets in; one about load says who waits. `fault_server` puts them into effect.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from typing import Literal, TypeAlias, final

from modelhub.testing.bodies import Repeated, gzip_bomb
from modelhub.testing.dialects import Dialect, Route
from modelhub.testing.replies import Reply, Request
from modelhub.testing.wire_server import Door
from modelhub.wire.json import dumps

__all__ = ["Fault", "Healthy", "Schedule", "at_random", "by_call", "by_time"]


@final
@dataclass(frozen=True, slots=True)
class Healthy:
    """An answer as it would be without the fault.

    Attributes:
        reply: The answer.
        request: What was asked.
        route: The dialect's entry for it.
        dialect: What the node speaks.
    """

    reply: Reply
    request: Request
    route: Route
    dialect: Dialect

    def parts(self) -> list[bytes]:
        """Return the body in its parts; those of a stream are its events."""
        chunks = [self.reply.body] if self.reply.chunks is None else self.reply.chunks
        return [part.encode() if isinstance(part, str) else part for part in chunks]

    def size(self, events: int | None = None) -> int:
        """Return how many bytes the body, or so many events of it, take on the wire."""
        whole = self.reply if events is None else replace(self.reply, body=b"", chunks=self.parts()[:events])
        size = sum(map(len, replace(whole, split=(), pause=0.0).writes()))
        return size - len(b"0\r\n\r\n") if self.reply.chunked and events is not None else size


Change: TypeAlias = Callable[[Healthy], Reply]
Schedule: TypeAlias = "Callable[[int, float], Fault | None]"
"""What is wrong, if anything, at the call of this number (from 1) and so many seconds after the schedule was set."""
Phase = Literal["hello", "answer", "headers", "event", "body"]
"""Where a node stops: before a word of TLS or HTTP is said, after the request, after the head of the answer, after the
first event, in the middle of the body."""
WaitForm = Literal["seconds", "decimal", "milliseconds", "date"]
"""How a server says when to come again: ``retry-after`` in whole seconds, with decimals, ``retry-after-ms``, a date."""
Conflict = Literal["both", "lengths", "chunk"]
"""A length beside chunks; two lengths that differ; a chunk whose size is no number."""

_HTML = "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>It works</h1></body></html>"
_HANG = Reply(raw=b"", cut_after=0, cut="hang")
_TEXT = re.compile(rb'":\s*"')
_DRIPS = 50  # writes a second at most


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a node misbehaves. Make it with one of the methods, such as ``Fault.hang("headers")``.

    Attributes:
        name: What it is, for a node's repr.
        change: What becomes of an answer.
        door: Who gets in.
        slots: How many calls are answered at a time; the others wait in a queue.
        queue: How many of them may wait; more are refused with status 503.
        load_seconds: Seconds that the first call, and every call meanwhile, waits.
        paths: Which paths have it; all if there are none.
        spares_cheap: Whether cheap paths do not have it.
    """

    name: str
    change: Change | None = None
    door: Door = "open"
    slots: int | None = None
    queue: int | None = None
    load_seconds: float = 0.0
    paths: frozenset[str] = frozenset()
    spares_cheap: bool = False

    def __repr__(self) -> str:
        where = f" on {', '.join(sorted(self.paths))}" if self.paths else ""
        return f"<Fault {self.name}{where}{' but not on cheap paths' if self.spares_cheap else ''}>"

    def on(self, *paths: str) -> Fault:
        """Return the fault for these paths alone. Who gets in is the same for all paths."""
        return replace(self, paths=frozenset(paths))

    def sparing_probes(self) -> Fault:
        """Return the fault without effect on the paths that are cheap in the node's dialect."""
        return replace(self, spares_cheap=True)

    def concerns(self, request: Request, *, cheap: bool) -> bool:
        """Tell whether a request has it."""
        return not (cheap and self.spares_cheap) and (not self.paths or request.path in self.paths)

    @staticmethod
    def refused(*, listening: bool = False) -> Fault:
        """Let nobody in: the port does not listen, or, ``listening``, connections are closed at once."""
        return Fault("refused", door="closing" if listening else "shut")

    @staticmethod
    def hang(phase: Phase = "answer") -> Fault:
        """Say nothing more from this phase on, and keep the connection open."""

        def change(healthy: Healthy) -> Reply:
            if phase == "answer":
                return _HANG
            after = {"headers": 0, "event": healthy.size(1), "body": healthy.size() // 2}
            return replace(healthy.reply, cut="hang", cut_after=after[phase])

        if phase == "hello":
            return Fault("hang before hello", door="silent")
        return Fault(f"hang at {phase}", change)

    @staticmethod
    def reset(after: int | None = None) -> Fault:
        """Reset the connection in place of the head, or after so many bytes of the body."""
        if after is None:
            return Fault("reset", lambda _: Reply(raw=b"", cut_after=0, cut="rst"))
        return Fault(f"reset after {after} bytes", lambda healthy: replace(healthy.reply, cut="rst", cut_after=after))

    @staticmethod
    def cut(after: int | None = None, *, events: int | None = None, ended: bool = False) -> Fault:
        """Close the connection in place of the head, or after so many bytes or events of the body.

        Args:
            after: Bytes as they are on the wire, sizes of chunks included.
            events: Parts of a stream.
            ended: Whether the body ends there as though it were complete: with its last chunk, or the right length.
        """

        def change(healthy: Healthy) -> Reply:
            if ended:
                body = b"".join(healthy.parts())[:after]
                chunks = [body] if events is None else healthy.parts()[:events]
                return replace(healthy.reply, body=b"", chunks=chunks)
            return replace(healthy.reply, cut_after=after if events is None else healthy.size(events))

        if after is None and events is None:
            return Fault("closed", lambda _: Reply(raw=b""))
        return Fault(f"cut after {f'{after} bytes' if events is None else f'{events} events'}", change)

    @staticmethod
    def drip(bytes_per_second: float, *, head: bool = False) -> Fault:
        """Send the body, or, ``head``, all of the answer, at this rate."""
        size = max(1, round(bytes_per_second / _DRIPS))

        def change(healthy: Healthy) -> Reply:
            whole = replace(healthy.reply, split=None, pause=0.0)
            if head:
                whole = Reply(raw=whole.head() + b"".join(whole.writes(healthy.request.method)))
            length = sum(map(len, whole.writes()))
            return replace(whole, split=range(size, length, size), pause=size / bytes_per_second)

        return Fault(f"drip {bytes_per_second:g} B/s", change)

    @staticmethod
    def late(seconds: float) -> Fault:
        """Answer properly, but so much later."""
        return Fault(f"{seconds:g} s late", lambda healthy: replace(healthy.reply, delay=healthy.reply.delay + seconds))

    @staticmethod
    def status(
        code: int,
        text: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | str | None = None,
        retry_after: float | None = None,
        form: WaitForm = "seconds",
    ) -> Fault:
        """Answer with an error of the dialect.

        Args:
            code: The status code.
            text: What it says.
            headers: More headers: ``x-should-retry``, rate limits, ``location``.
            body: The body in place of the dialect's document.
            retry_after: Seconds after which the client may come again.
            form: How that is said.
        """

        def change(healthy: Healthy) -> Reply:
            document = dumps(healthy.dialect.error(text or f"fault {code}")) if body is None else body
            waiting = {} if retry_after is None else _waiting(retry_after, form)
            return Reply(code, {"content-type": "application/json", **waiting, **(headers or {})}, document)

        return Fault(f"status {code}", change)

    @staticmethod
    def error_in_stream(text: str = "the model has failed", *, events: int = 1) -> Fault:
        """Tell an error under status 200: after so many events of a stream, or in place of a whole answer."""

        def change(healthy: Healthy) -> Reply:
            stream = healthy.route.stream
            if stream is None or not healthy.reply.chunked:
                return replace(healthy.reply, body=dumps(healthy.dialect.error(text)), chunks=None)
            return replace(healthy.reply, chunks=[*healthy.parts()[:events], stream.error(text)])

        return Fault("error in a stream", change)

    @staticmethod
    def body(body: bytes | str, content_type: str | None = None, *, status: int = 200) -> Fault:
        """Answer with this body, and properly otherwise."""

        def change(healthy: Healthy) -> Reply:
            headers = {**healthy.reply.headers, **({"content-type": content_type} if content_type else {})}
            return Reply(status, headers, body)

        return Fault("another body" if body else "no body", change)

    @staticmethod
    def html(status: int = 200) -> Fault:
        """Answer with a web page, as proxies and captive portals do."""
        return replace(Fault.body(_HTML, "text/html; charset=utf-8", status=status), name="web page")

    @staticmethod
    def empty(status: int = 200) -> Fault:
        """Answer without a body."""
        return Fault.body(b"", status=status)

    @staticmethod
    def half_document() -> Fault:
        """Answer with half a JSON document: half of the answer, or of a stream's second event, and a proper end."""

        def change(healthy: Healthy) -> Reply:
            first, last = healthy.parts()[:2][:-1], healthy.parts()[:2][-1]
            return replace(healthy.reply, body=b"", chunks=[*first, last[: len(last) // 2]])

        return Fault("half a document", change)

    @staticmethod
    def wrong_type(content_type: str = "text/plain") -> Fault:
        """Answer properly, under another content type."""
        return Fault(
            f"content type {content_type}",
            lambda healthy: replace(healthy.reply, headers={**healthy.reply.headers, "content-type": content_type}),
        )

    @staticmethod
    def bad_utf8() -> Fault:
        """Put bytes that are no UTF-8 into the first text of every part."""

        def change(healthy: Healthy) -> Reply:
            parts = [_TEXT.sub(rb"\g<0>" + b"\xff\xfe", part, count=1) for part in healthy.parts()]
            return replace(healthy.reply, body=b"", chunks=parts)

        return Fault("no UTF-8", change)

    @staticmethod
    def wrong_length(by: int) -> Fault:
        """Declare a length that is too long by so many bytes and close before it; or, below 0, too short, and go on."""

        def change(healthy: Healthy) -> Reply:
            body = b"".join(healthy.parts())
            headers = {**healthy.reply.headers, "content-length": str(len(body) + by)}
            return replace(healthy.reply, headers=headers, chunked=False, cut_after=len(body) if by > 0 else None)

        return Fault(f"length wrong by {by}", change)

    @staticmethod
    def conflicting_framing(conflict: Conflict = "both") -> Fault:
        """Say two things about where the body ends."""

        def change(healthy: Healthy) -> Reply:
            body = b"".join(healthy.parts())
            lengths = {"both": [len(body)], "lengths": [len(body), len(body) + 5], "chunk": []}[conflict]
            lines = [f"content-length: {length}" for length in lengths]
            lines += [] if conflict == "lengths" else ["transfer-encoding: chunked"]
            head = replace(healthy.reply, body=b"", chunks=None, chunked=False, length=False).head()[:-2]
            wire = body if conflict == "lengths" else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            wire = b"zz\r\n" + wire if conflict == "chunk" else wire
            return Reply(raw=head + "\r\n".join([*lines, "", ""]).encode() + wire)

        return Fault(f"conflicting framing: {conflict}", change)

    @staticmethod
    def long_line(size: int = 64 * 1024 * 1024) -> Fault:
        """Answer with one line of so many bytes. They are made as they are sent, so it may be endless."""

        def change(healthy: Healthy) -> Reply:
            block = b"x" * (64 * 1024)
            chunks = Repeated(block, -(-size // len(block)), before=b'{"text":"', after=b'"}\n')
            return Reply(headers=healthy.reply.headers, chunks=chunks, chunked=True)

        return Fault(f"line of {size} bytes", change)

    @staticmethod
    def bomb(size: int = 1024 * 1024 * 1024) -> Fault:
        """Answer with a small body in gzip that becomes so many bytes of white space, in whole MiB."""

        def change(healthy: Healthy) -> Reply:
            headers = {**healthy.reply.headers, "content-encoding": "gzip"}
            return Reply(headers=headers, chunks=gzip_bomb(size), chunked=True)

        return Fault(f"gzip of {size} bytes", change)

    @staticmethod
    def busy(slots: int = 1, *, queue: int | None = None) -> Fault:
        """Answer so many calls at a time; let the others wait before their head, all of them or so many.

        A call's slot is free as soon as its client goes. Cheap paths answer as ever.
        """
        return Fault(f"busy with {slots} slots", slots=slots, queue=queue, spares_cheap=True)

    @staticmethod
    def loading(seconds: float) -> Fault:
        """Let the first call, and every call meanwhile, wait for so long; then be healthy. Cheap paths answer."""
        return Fault(f"loading for {seconds:g} s", load_seconds=seconds, spares_cheap=True)

    @staticmethod
    def answer(answer: Reply | Change, name: str = "own answer") -> Fault:
        """Answer with this, or with what a function makes of the healthy answer."""
        return Fault(name, (lambda _: answer) if isinstance(answer, Reply) else answer)


def _waiting(seconds: float, form: WaitForm) -> dict[str, str]:
    if form == "milliseconds":
        return {"retry-after-ms": f"{seconds * 1000:g}"}
    if form == "date":
        when = datetime.now(UTC) + timedelta(seconds=seconds)
        return {"retry-after": format_datetime(when, usegmt=True)}
    return {"retry-after": f"{seconds:g}" if form == "decimal" else str(ceil(seconds))}


def by_time(*steps: tuple[float, Fault | None]) -> Schedule:
    """Return a schedule whose faults begin so many seconds after it was set, each until the next."""
    return lambda _, seconds: _latest(steps, seconds)


def by_call(*steps: tuple[int, Fault | None]) -> Schedule:
    """Return a schedule whose faults begin with the call of this number, counted from 1, each until the next."""
    return lambda number, _: _latest(steps, number)


def at_random(rate: float, faults: Sequence[Fault], rng: random.Random) -> Schedule:
    """Return a schedule that gives this part of the calls one of the faults each.

    Faults of connections have no place here: while nobody gets in, no call comes that would end them.
    """
    now: tuple[int, Fault | None] = (0, None)

    def schedule(number: int, _: float) -> Fault | None:
        nonlocal now
        if now[0] != number:
            now = (number, rng.choice(faults) if rng.random() < rate else None)
        return now[1]

    return schedule


def _latest(steps: Sequence[tuple[float, Fault | None]], now: float) -> Fault | None:
    return next((fault for begins, fault in reversed(steps) if begins <= now), None)
