"""What the engine says when it refuses or fails, as the project's errors.

Owns the table from the engine's error types to error classes. The engine speaks in two ways: error documents,
shaped as its HTTP server sends them (``format_error_response`` in llama.cpp's
tools/server/server-common.cpp), and exceptions for requests that it cannot even read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelhub.errors import (
    BadRequest,
    ContextLengthExceeded,
    ModelHubError,
    Overloaded,
    ServerError,
    UnclassifiedError,
    UnsupportedFeature,
)

__all__ = ["from_document", "from_exception"]

_CLASSES: Final[Mapping[str, type[ModelHubError]]] = {
    "invalid_request_error": BadRequest,
    "exceed_context_size_error": ContextLengthExceeded,
    "not_supported_error": UnsupportedFeature,
    "unavailable_error": Overloaded,
    "server_error": ServerError,
}
_EXCERPT: Final = 2048


def from_document(error: object) -> ModelHubError:
    """The error for what is under ``error`` in the engine's ``{"error": {"code", "message", "type", …}}``."""
    facts: Mapping[str, Any] = error if isinstance(error, Mapping) else {"message": str(error)}
    kind, status = facts.get("type"), facts.get("code")
    raised = _CLASSES.get(str(kind), UnclassifiedError)(
        f"The engine refused the request: {facts.get('message', 'without a reason')}"[:_EXCERPT],
        status=status if isinstance(status, int) else None,
        code=str(kind) if kind is not None else None,
    )
    if isinstance(raised, ContextLengthExceeded):
        raised.input_tokens = facts.get("n_prompt_tokens")
        raised.context_size = facts.get("n_ctx")
        raised.remedy = "shorten the conversation, or load the model with a larger context"
    return raised


def from_exception(error: Exception) -> ModelHubError:
    """The error for what the engine raised instead of taking a request up; what fails later comes as a document."""
    text = str(error)[:_EXCERPT]
    if "not supported" in text:
        return UnsupportedFeature(f"The engine cannot do what was asked: {text}", code="not_supported_error")
    if isinstance(error, ValueError | RuntimeError):
        return BadRequest(f"The engine refused the request: {text}", code="invalid_request_error")
    return ServerError(f"The engine failed: {error!r}"[:_EXCERPT], code="server_error")
