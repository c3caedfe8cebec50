"""Refusals: every recorded one, and the forms that no recording has, to errors that say who must act."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    ServerError,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub.wire.json import dumps
from modelhub_ollama_local.faults import is_no_route, refusal

Recordings = Mapping[str, Any]

RECORDED: Mapping[str, tuple[type[ModelHubError], str]] = {  # class, and what message or remedy must say
    "bad-origin": (PermissionDenied, "OLLAMA_ORIGINS"),
    "busy": (Overloaded, "OLLAMA_MAX_QUEUE"),
    "chat-bad-name": (BadRequest, "invalid model name"),
    "chat-bad-schema": (BadRequest, "invalid format"),
    "chat-embedding-model": (UnsupportedFeature, "does not support chat"),
    "chat-empty-body": (BadRequest, "missing request body"),
    "chat-image-unsupported": (UnsupportedFeature, "model does not support multimodal"),
    "chat-keep-alive-bad": (BadRequest, "missing unit"),
    "chat-malformed": (BadRequest, "unexpected EOF"),
    "chat-missing-model": (ModelNotFound, "ollama pull nosuch:1b"),
    "chat-missing-model-stream": (ModelNotFound, "ollama pull nosuch:1b"),
    "chat-stop-string": (BadRequest, "must be of type array"),
    "chat-think-bad-level": (BadRequest, "invalid think value"),
    "chat-think-unsupported": (UnsupportedFeature, "does not support thinking"),
    "chat-wrong-method": (MalformedResponse, "not Ollama's API"),
    "delete-missing": (ModelNotFound, "not found"),
    "embed-bad-input": (BadRequest, "invalid input type"),
    "embed-long-error": (ContextLengthExceeded, "truncate"),
    "embed-missing-model": (ModelNotFound, "ollama pull nosuch:1b"),
    "generate-suffix-unsupported": (UnsupportedFeature, "does not support insert"),
    "not-found": (MalformedResponse, "check the base URL"),
    "show-missing": (ModelNotFound, "ollama pull nosuch:1b"),
}
PARAMETERS = {
    "chat-bad-name": "model",
    "chat-bad-schema": "response_format",
    "chat-keep-alive-bad": "keep_alive",
    "chat-stop-string": "stop",
    "chat-think-bad-level": "reasoning",
    "chat-think-unsupported": "reasoning",
    "generate-suffix-unsupported": "suffix",
}


def refused(recording: Any) -> ModelHubError:
    """Return the error that a recorded refusal stands for."""
    answer = recording["response"]
    return refusal(answer["status"], answer["headers"], answer["body"].encode())


def said(status: int, error: object) -> ModelHubError:
    """Return the error for a body `{"error": …}`."""
    return refusal(status, {"content-type": "application/json"}, dumps({"error": error}))


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_refusal_has_its_class_and_says_what_to_do(recordings: Recordings, name: str) -> None:
    """Class, status and words; the body is at hand where it had one."""
    cls, words = RECORDED[name]
    error = refused(recordings[name])
    assert type(error) is cls
    assert words in str(error)
    assert error.status == recordings[name]["response"]["status"]
    assert error.sent


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_refusal_names_the_parameter_at_fault(recordings: Recordings, name: str) -> None:
    """By the name that the caller gave it."""
    error = refused(recordings[name])
    assert isinstance(error, BadRequest)
    assert error.parameter == PARAMETERS[name]


def test_every_recorded_refusal_is_classified_here(recordings: Recordings) -> None:
    """A new recording needs a line above. The OpenAI-shaped paths are not this plugin's."""
    refusals = {name for name, recording in recordings.items() if recording["response"]["status"] >= 400}
    assert {name for name in refusals if not name.startswith("v1-")} == set(RECORDED)


@pytest.mark.parametrize("text", ["model 'x' not found", 'model "x" not found, try pulling it first'])
def test_a_missing_model_is_found_missing_in_either_quoting(text: str) -> None:
    """The remedy names it."""
    error = said(404, text)
    assert type(error) is ModelNotFound
    assert "`ollama pull x`" in str(error)


def test_an_error_of_the_inner_server_is_unwrapped() -> None:
    """It comes as JSON in the text, and holds the type and the numbers."""
    inner = {
        "error": {
            "code": 400,
            "message": "request (3010 tokens) exceeds the available context size (2048 tokens)",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 3010,
            "n_ctx": 2048,
        }
    }
    error = said(400, dumps(inner).decode())
    assert isinstance(error, ContextLengthExceeded)
    assert (error.input_tokens, error.context_size) == (3010, 2048)
    assert "num_ctx" in str(error)


def test_a_mistake_of_the_callers_in_an_inner_server_is_no_fault_of_the_outer() -> None:
    """The inner 400 counts, though the outer server says 500."""
    inner = {"error": {"code": 400, "message": "failed to parse grammar", "type": "invalid_request_error"}}
    error = said(500, dumps(inner).decode())
    assert type(error) is BadRequest
    assert error.status == 500
    assert error.message == "HTTP 500: failed to parse grammar"


@pytest.mark.parametrize(
    "text",
    [
        "the prompt is longer than the context length currently available to the model; shorten it",
        "the input length exceeds the context length",
    ],
)
def test_a_text_that_is_too_long_is_that(text: str) -> None:
    """Whatever the endpoint calls it."""
    assert type(said(400, text)) is ContextLengthExceeded


def test_signing_in_is_where_the_server_says() -> None:
    """A cloud model without an account: the address is kept and shown."""
    body = dumps({"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=x"})
    error = refusal(401, {}, body)
    assert isinstance(error, AuthenticationFailed)
    assert error.url == "https://ollama.com/connect?name=x"
    assert "ollama signin" in str(error)
    assert "signin" not in str(refusal(401, {}, b""))


@pytest.mark.parametrize(
    ("status", "text", "cls"),
    [
        (400, "registry.ollama.ai/library/x does not support tools", UnsupportedFeature),
        (402, "payment required", QuotaExhausted),
        (403, "this model is disabled by policy", PermissionDenied),
        (429, "too many requests", RateLimited),
        (499, "request canceled", UnclassifiedError),
        (500, "model runner has unexpectedly stopped", ServerError),
        (500, "pull model manifest: file does not exist", ModelNotFound),
        (501, "This server does not support embeddings. Start it with `--embeddings`", UnsupportedFeature),
        (502, "upstream unreachable", ServerError),
        (503, "server busy, please try again.  maximum pending requests exceeded", Overloaded),
    ],
)
def test_a_status_has_its_class(status: int, text: str, cls: type[ModelHubError]) -> None:
    """As the server's routes use them."""
    assert type(said(status, text)) is cls


def test_a_forbidden_host_is_told_from_a_forbidden_model() -> None:
    """Without a body the server refuses the Host header; with one it says why itself."""
    assert "OLLAMA_HOST" in str(refusal(403, {}, b""))
    assert "OLLAMA_HOST" not in str(said(403, "cloud is disabled"))


def test_a_model_that_does_not_fit_says_so() -> None:
    """The server's 500 is about its memory."""
    error = said(500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)")
    assert isinstance(error, ServerError)
    assert "smaller" in str(error)


@pytest.mark.parametrize("status", [404, 405])
def test_a_path_that_is_not_served_is_no_missing_model(status: int) -> None:
    """Plain text, or JSON that speaks of no model, means that the routes are not Ollama's: the base URL is wrong."""
    assert is_no_route(refusal(status, {"content-type": "text/plain"}, b"404 page not found"))
    assert is_no_route(refusal(status, {}, b'{"detail": "Not Found"}'))
    assert is_no_route(refusal(status, {}, b""))
    assert not is_no_route(said(404, "model 'x' not found"))
    assert not is_no_route(refusal(500, {}, b""))


def test_an_error_inside_a_good_answer_is_classified_by_its_words() -> None:
    """Status 200 says nothing, so no status is put before the message."""
    assert type(said(200, "an error was encountered while running the model: unexpected EOF")) is ServerError
    missing = said(200, "pull model manifest: file does not exist")
    assert (type(missing), missing.sent, missing.status) == (ModelNotFound, True, 200)
    assert "HTTP" not in said(200, "model runner has unexpectedly stopped").message


@given(st.integers(300, 599), st.binary(max_size=80))
def test_any_refusal_is_an_error_of_ours(status: int, body: bytes) -> None:
    """Whatever a body is, classifying it does not fail."""
    error = refusal(status, {}, body)
    assert isinstance(error, ModelHubError)
    assert error.status == status
    assert len(error.message) < 700


def test_a_date_to_come_again_at_is_a_wait() -> None:
    """What stands before a server, and says 503 for it, need not say what time it is there."""
    error = refusal(503, {"retry-after": formatdate(time.time() + 30, usegmt=True)}, b"")
    assert error.retry_after is not None
    assert 20 < error.retry_after <= 30
