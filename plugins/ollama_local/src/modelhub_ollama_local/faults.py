"""From a refusal of Ollama's to the error it stands for, with a remedy in Ollama's own terms.

Owns what only Ollama says. The core's table does the rest: by code, then status, the message last.

Source: https://github.com/ollama/ollama/blob/main/server/routes.go (2026-11), and recordings of a server.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
)
from modelhub.wire.status import ErrorFacts, classify, error_facts

__all__ = ["is_no_route", "refusal"]

_SERVER_ERROR = 500
_NO_ROUTE = (404, 405)
_MODEL = re.compile(r"""model ['"]?([^'"\s]+)['"]? not found""")
_OPTION = re.compile(r'option "(\w+)" must be')
_MISTAKES: tuple[tuple[str, str], ...] = (  # what the message says, which parameter that is
    ("invalid model name", "model"),
    ("in duration", "keep_alive"),
    ("invalid think value", "reasoning"),
    ("invalid format", "response_format"),
    ("top_logprobs", "top_logprobs"),
    ("does not support insert", "suffix"),
    ("does not support tools", "tools"),
    ("does not support thinking", "reasoning"),
)
_NOT_IN_REGISTRY = "file does not exist"
_MEMORY = ("more system memory", "out of memory", "unable to allocate", "insufficient memory")

_CUT = "the text is longer than the model takes: cut it, or allow that with the option truncate"
_WINDOW = "shorten the messages, or give a larger num_ctx with vendor={'ollama_local': {'num_ctx': …}}"


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ModelHubError:
    """Build the error for an answer with a status of 300 and more, or for an error inside a good one."""
    facts = error_facts(status, headers, body, now=time.time())
    error = _classified(status, facts)
    if isinstance(error, BadRequest):
        error.parameter = error.parameter or _parameter(facts.message)
    error.remedy = _remedy(error, facts) or error.remedy
    return error


def _classified(status: int, facts: ErrorFacts) -> ModelHubError:
    error: ModelHubError
    # A route that exists says which model it does not find; frameworks say that nothing is there, in JSON or not.
    if status in _NO_ROUTE and not (facts.is_json and "model" in facts.message.lower()):
        text = f"HTTP {status}: {facts.message}: this is not Ollama's API, or an older one"
        error = MalformedResponse(text, status=status, sent=True, excerpt=facts.excerpt)
        error.remedy = "check the base URL: Ollama's is http://HOST:11434, or what OLLAMA_HOST says, without a path"
        return error
    if _NOT_IN_REGISTRY in facts.message:
        return ModelNotFound(facts.message, status=status, sent=True, excerpt=facts.excerpt)
    error = classify(_said(status, facts), facts)
    if error.status != status:
        error.status = status
        error.message = f"HTTP {status}: {facts.message}"
    return error


def is_no_route(error: ModelHubError) -> bool:
    """Whether the server does not serve the path that was asked for, which older ones and proxies may not."""
    return isinstance(error, MalformedResponse) and error.status in _NO_ROUTE


def _said(status: int, facts: ErrorFacts) -> int:
    """Return the status that counts: the inner server's 400 may come in a 500 of the outer one."""
    if status < _SERVER_ERROR:
        return status
    inner = (int(code) for code in facts.codes if code.isdecimal() and code.startswith("4") and len(code) == 3)  # noqa: PLR2004
    return next(inner, status)


def _parameter(message: str) -> str | None:
    if found := _OPTION.search(message):
        return found[1]
    return next((parameter for words, parameter in _MISTAKES if words in message), None)


def _remedy(error: ModelHubError, facts: ErrorFacts) -> str | None:
    match error:
        case ModelNotFound() if _NOT_IN_REGISTRY in facts.message:
            return "check the name: the registry has no such model"
        case ModelNotFound():
            found = _MODEL.search(facts.message)
            name = found[1] if found else "NAME"
            return f"run `ollama pull {name}` there, or operate('ollama_local', 'pull', model={name!r})"
        case AuthenticationFailed() if error.url:
            return f"sign in with `ollama signin` on that server, or at {error.url}"
        case PermissionDenied() if not facts.excerpt:
            return (
                "Ollama refuses this Host or Origin: call it by localhost or an address, or let it listen there "
                "(OLLAMA_HOST=0.0.0.0) and allow the origin (OLLAMA_ORIGINS)"
            )
        case ContextLengthExceeded():
            return _CUT if "input length" in facts.message else _WINDOW
        case Overloaded():
            return "wait, add a server, or raise OLLAMA_MAX_QUEUE on this one"
        case ServerError() if any(words in facts.message for words in _MEMORY):
            return "the model does not fit into that server's memory: take a smaller one, or a smaller num_ctx"
        case _:
            return None
