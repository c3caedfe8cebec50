"""What comes out of an answer, whatever the engine does; the engine here is a function."""

import json
import threading
from collections.abc import Callable

import pytest

from modelhub.errors import (
    BadRequest,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    Overloaded,
    ServerError,
    StreamInterrupted,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub_local_model.generation import Generation
from modelhub_local_model.loading_steps import Stopped

Receive = Callable[[bytes], bool]


def piece(text: str | None = None, finish: str | None = None) -> bytes:
    """Return one piece as the engine sends it."""
    return json.dumps({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}).encode()


def finished(*pieces: bytes) -> Generation:
    """Return a generation whose engine has sent these pieces and ended."""
    generation = Generation(b"{}")
    generation.run(lambda _, receive: [receive(one) for one in pieces])
    return generation


def test_hands_over_the_request_and_every_piece() -> None:
    """The engine gets the request; the reader gets each piece in order, usage after the finish included."""
    seen: list[bytes] = []
    usage = json.dumps({"choices": [], "usage": {"prompt_tokens": 3}}).encode()

    def complete(body: bytes, receive: Receive) -> None:
        seen.append(body)
        assert not any([receive(piece("a")), receive(piece("b")), receive(piece(finish="stop")), receive(usage)])

    generation = Generation(b'{"messages": []}')
    assert repr(generation) == "<Generation waiting, 0 pieces unread>"
    generation.run(complete)
    assert seen == [b'{"messages": []}']
    assert repr(generation) == "<Generation done, 4 pieces unread>"
    assert list(generation) == [json.loads(one) for one in (piece("a"), piece("b"), piece(finish="stop"), usage)]
    assert list(generation) == []


def test_hands_over_while_the_engine_still_writes() -> None:
    """A piece is read before the next one exists."""
    read = threading.Event()

    def complete(_: bytes, receive: Receive) -> None:
        receive(piece("a"))
        assert read.wait(5)
        receive(piece(finish="stop"))

    generation = Generation(b"{}")
    thread = threading.Thread(target=generation.run, args=(complete,))
    thread.start()
    assert next(generation)["choices"][0]["delta"] == {"content": "a"}
    assert repr(generation) == "<Generation running, 0 pieces unread>"
    read.set()
    assert len(list(generation)) == 1
    thread.join()


def test_progress_on_the_prompt_is_not_a_piece() -> None:
    """Progress is asked for so that the engine calls back; the reader does not see it."""
    progress = json.dumps({"choices": [{"delta": {}}], "prompt_progress": {"total": 9}}).encode()
    assert len(list(finished(progress, piece("a", "stop"), progress))) == 1


def test_an_end_without_a_reason_is_an_error() -> None:
    """What has come is given out, then the missing end is raised."""
    generation = finished(piece("a"))
    assert next(generation)
    with pytest.raises(StreamInterrupted):
        next(generation)
    assert repr(generation) == "<Generation failed, 0 pieces unread>"


@pytest.mark.parametrize("raw", [b"not JSON", b"[1]", b'{"choices": 5}', b'{"choices": [5]}', b"\xff"])
def test_a_piece_that_is_none_is_an_error(raw: bytes) -> None:
    """Nonsense from the engine ends the answer with an error that says so."""
    with pytest.raises(MalformedResponse):
        list(finished(raw, piece("never", "stop")))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("invalid_request_error", BadRequest),
        ("exceed_context_size_error", ContextLengthExceeded),
        ("not_supported_error", UnsupportedFeature),
        ("unavailable_error", Overloaded),
        ("server_error", ServerError),
        ("something_new", UnclassifiedError),
    ],
)
def test_an_error_document_is_classified(kind: str, expected: type[ModelHubError]) -> None:
    """The engine's error type decides the class; its code, type and message are kept."""
    document = {"error": {"code": 418, "type": kind, "message": "why", "n_prompt_tokens": 9, "n_ctx": 8}}
    with pytest.raises(expected) as caught:
        list(finished(json.dumps(document).encode()))
    assert (caught.value.status, caught.value.code) == (418, kind)
    assert "why" in str(caught.value)
    if isinstance(caught.value, ContextLengthExceeded):
        assert (caught.value.input_tokens, caught.value.context_size) == (9, 8)


def test_an_error_of_another_shape_is_kept() -> None:
    """An error that is a bare text is raised with that text."""
    with pytest.raises(UnclassifiedError, match="boom"):
        list(finished(b'{"error": "boom"}'))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("'messages' is required"), BadRequest),
        (RuntimeError("[json.exception.parse_error.101] parse error"), BadRequest),
        (RuntimeError("image input is not supported"), UnsupportedFeature),
        (MemoryError("std::bad_alloc"), ServerError),
    ],
)
def test_an_exception_of_the_engine_is_classified(raised: Exception, expected: type[ModelHubError]) -> None:
    """What the engine raises reaches the reader as one of ours, with its cause and without its frames."""

    def complete(_: bytes, __: Receive) -> None:
        raise raised

    generation = Generation(b"{}")
    generation.run(complete)
    with pytest.raises(expected) as caught:
        next(generation)
    assert caught.value.__cause__ is raised
    assert raised.__traceback__ is None


def test_cancelling_ends_the_engine_and_the_reader() -> None:
    """The engine is told at its next piece, the reader at once; nothing unread is given out."""
    answers: list[bool] = []
    generation = Generation(b"{}")

    def complete(_: bytes, receive: Receive) -> None:
        answers.append(receive(piece("a")))
        generation.cancel()
        answers.append(receive(piece("b")))

    generation.run(complete)
    assert answers == [False, True]
    with pytest.raises(Stopped):
        next(generation)
    assert repr(generation) == "<Generation cancelled, 0 pieces unread>"


def test_cancelling_frees_a_waiting_reader() -> None:
    """A reader that waits for a piece is freed by a cancel from another thread."""
    generation = Generation(b"{}")
    timer = threading.Timer(0.05, generation.cancel)
    timer.start()
    with pytest.raises(Stopped):
        next(generation)
    timer.join()


def test_cancelling_before_the_turn_keeps_the_engine_out() -> None:
    """A generation that was cancelled while it waited is never started."""
    generation = Generation(b"{}")
    generation.cancel()
    generation.run(lambda *_: pytest.fail("started"))
    assert generation.abandoned


def test_cancelling_after_the_end_changes_nothing() -> None:
    """A cancel that comes too late is no error, for the reader neither."""
    generation = finished(piece("a", "stop"))
    assert len(list(generation)) == 1
    generation.cancel()
    assert list(generation) == []


def test_failing_gives_out_what_has_come_first() -> None:
    """An engine that is closed in the middle: the pieces, then the error; the engine is told."""
    answers: list[bool] = []
    generation = Generation(b"{}")

    def complete(_: bytes, receive: Receive) -> None:
        answers.append(receive(piece("a")))
        generation.fail(ServerError("closed", code="engine_closed"))
        answers.append(receive(piece("b", "stop")))

    generation.run(complete)
    assert answers == [False, True]
    assert next(generation)
    with pytest.raises(ServerError, match="closed"):
        next(generation)
