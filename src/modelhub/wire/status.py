"""From an answer to the error it stands for: by the vendor's code, then the status, the message last.

Owns the core's tables. Knows no vendor: what only one of them says stands in that provider's ``error_codes``.
What the answer says is read by ``facts``.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    MalformedResponse,
    ModelHubError,
    ModelNotFound,
    ModelRetired,
    Overloaded,
    PermissionDenied,
    QuotaExhausted,
    RateLimited,
    RegionBlocked,
    RequestTooLarge,
    Retry,
    ServerError,
    Timeout,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub.wire.facts import ErrorFacts, error_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ErrorFacts", "classify", "error_class", "error_facts"]

_NO_CODES: Mapping[str, type[ModelHubError]] = MappingProxyType({})

# Words that say more than any status they come with. Lower case; several vendors share each of them.
_BY_CODE: Mapping[str, type[ModelHubError]] = MappingProxyType(
    {
        "context_length_exceeded": ContextLengthExceeded,
        "exceed_context_size_error": ContextLengthExceeded,
        "content_filter": ContentFiltered,
        "content_policy_violation": ContentFiltered,
        "unsupported_parameter": UnsupportedFeature,
        "unsupported_value": UnsupportedFeature,
        "not_supported_error": UnsupportedFeature,
        "invalid_api_key": AuthenticationFailed,
        "api_key_invalid": AuthenticationFailed,
        "authentication_error": AuthenticationFailed,
        "unsupported_country_region_territory": RegionBlocked,
        "insufficient_quota": QuotaExhausted,
        "insufficient_balance": QuotaExhausted,
        "billing_error": QuotaExhausted,
        "billing_not_active": QuotaExhausted,
        "billing_hard_limit_reached": QuotaExhausted,
        "credit_balance_exhausted": QuotaExhausted,
        "organization_usage_limit_exceeded": QuotaExhausted,
        "rate_limit_exceeded": RateLimited,
        "rate_limit_error": RateLimited,
        "slow_down": RateLimited,
        "model_not_found": ModelNotFound,
        "deploymentnotfound": ModelNotFound,
        "overloaded": Overloaded,
        "overloaded_error": Overloaded,
        "request_too_large": RequestTooLarge,
    }
)
_QUOTA_ENDINGS = ("_spend_limit_exceeded", "_spend_limit_reached")

_BY_STATUS: Mapping[int, type[ModelHubError]] = MappingProxyType(
    {
        401: AuthenticationFailed,
        402: QuotaExhausted,
        403: PermissionDenied,
        404: ModelNotFound,
        405: UnsupportedFeature,
        408: Timeout,  # the server's own limit, before any content
        410: ModelRetired,
        413: RequestTooLarge,
        424: ServerError,  # an inference server's backend failed
        425: Overloaded,
        429: RateLimited,
        451: RegionBlocked,
        498: AuthenticationFailed,  # "invalid token", outside the registry but in use
        499: UnclassifiedError,  # the server saw the request cancelled: nobody is at fault
        501: UnsupportedFeature,
        503: Overloaded,
        529: Overloaded,  # "overloaded", outside the registry but in use
    }
)

# What words in an error inside a 200 answer would have had as their status.
_STATUS_OF_WORD: Mapping[str, int] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "invalid_argument": 400,
        "failed_precondition": 400,
        "unauthenticated": 401,
        "permission_error": 403,
        "permission_denied": 403,
        "not_found_error": 404,
        "not_found": 404,
        "resource_exhausted": 429,
        "unavailable": 503,
        "unavailable_error": 503,
    }
)

_REFUSED = frozenset({400, 413, 422})
_REFUSED_OR_FAILED = _REFUSED | {500}
# The message decides last, for the statuses named, and only where no code and no status tells these apart.
_BY_MESSAGE: tuple[tuple[frozenset[int], tuple[str, ...], type[ModelHubError]], ...] = (
    (
        _REFUSED_OR_FAILED,
        (
            "context length",
            "context size",
            "prompt is too long",
            "input length exceeds",
            "maximum number of tokens",
            "is too large to process",
        ),
        ContextLengthExceeded,
    ),
    (frozenset({400}), ("api key not valid", "api key expired"), AuthenticationFailed),
    (frozenset({400, 403, 429}), ("credit balance", "spend limit", "spending limit"), QuotaExhausted),
    (frozenset({400, 403}), ("country, region", "location is not supported"), RegionBlocked),
    (
        _REFUSED_OR_FAILED | {424},
        ("does not support", "not supported", "unsupported parameter", "is not a re-ranker model"),
        UnsupportedFeature,
    ),
    (frozenset({500}), ("invalid format", "must be of type", "invalid option"), BadRequest),
    (frozenset({503}), ("rate limit", "ratelimit", "rate-limit", "too many requests", "throttl"), RateLimited),
)
# A conflict about something that another call holds for a moment: gone when it is asked again.
_LOCK = re.compile(r"\block(ed)?\b|try again|concurrent", re.IGNORECASE)

_REMEDY: Mapping[type[ModelHubError], str] = MappingProxyType(
    {
        AuthenticationFailed: "check the API key in the credential",
        PermissionDenied: "the key's owner must give it this right, or use another key",
        QuotaExhausted: "waiting does not help: pay, raise the limit, or use another credential",
        ContextLengthExceeded: "shorten the messages, or take a model with a larger context",
        ModelNotFound: "install the model on that server, or name one that it lists",
        ModelRetired: "name a newer model",
    }
)
_UNKNOWN_PATH = "the server does not know this path: check the base URL"
_NO_REASON = "it may refuse this Host or Origin: check the base URL and the server's list of allowed hosts"
_REDIRECTED = "redirects are not followed, for the key's sake: put the final address into the base URL"

_NOT_FOUND = 404
_CONFLICT = 409
_FORBIDDEN = 403
_SERVER_ERROR = 500
_FIRST_REFUSAL = 400
_FIRST_REDIRECT = 300
_LAST = 599


def classify(
    status: int, facts: ErrorFacts, error_codes: Mapping[str, type[ModelHubError]] = _NO_CODES
) -> ModelHubError:
    """Build the error for an answer; see ``error_class`` for how its class is found."""
    cls = error_class(status, facts, error_codes)
    text = f"HTTP {status}: {facts.message}" if status >= _FIRST_REDIRECT else facts.message
    error = cls(text, phase="first_token", seconds=None) if issubclass(cls, Timeout) else cls(text)
    error.remedy = _remedy(status, facts, cls)
    error.status = status
    error.code = facts.code
    error.request_id = facts.request_id
    error.retry_after = facts.retry_after
    error.sent = True
    error.excerpt = facts.excerpt
    if facts.should_retry is False:
        error.retry = Retry.NO
    elif error.retry is Retry.NO and (facts.should_retry or _is_lock(status, facts)):
        error.retry = Retry.SAME
    if isinstance(error, BadRequest):
        error.parameter = facts.parameter
    if isinstance(error, ContextLengthExceeded):
        error.input_tokens, error.context_size = facts.input_tokens, facts.context_size
    if isinstance(error, AuthenticationFailed):
        error.url = facts.url
    return error


def error_class(
    status: int, facts: ErrorFacts, error_codes: Mapping[str, type[ModelHubError]] = _NO_CODES
) -> type[ModelHubError]:
    """Find the class of error an answer stands for.

    Args:
        status: The HTTP status. Below 300 the error came inside an answer that had begun well: then its own
            words stand in for the status, and where they say nothing the endpoint is at fault.
        facts: What the answer says.
        error_codes: The vendor's own codes. Each class must be constructible from a message alone.
    """
    for code in facts.codes:
        if code in error_codes:
            return error_codes[code]
    for code in facts.codes:
        word = code.lower()
        if word in _BY_CODE:
            return _BY_CODE[word]
        if word.endswith(_QUOTA_ENDINGS):
            return QuotaExhausted
    effective = status if status >= _FIRST_REDIRECT else _status_inside(facts)
    message = facts.message.lower()
    for statuses, phrases, cls in _BY_MESSAGE:
        if effective in statuses and any(phrase in message for phrase in phrases):
            return cls
    return _by_status(effective)


def _is_lock(status: int, facts: ErrorFacts) -> bool:
    words = " ".join((facts.message, *facts.codes)).replace("_", " ")
    return status == _CONFLICT and _LOCK.search(words) is not None


def _status_inside(facts: ErrorFacts) -> int:
    for code in facts.codes:
        word = code.lower()
        if word in _STATUS_OF_WORD:
            return _STATUS_OF_WORD[word]
        if code.isdecimal() and len(code) == len("500") and _FIRST_REFUSAL <= int(code) <= _LAST:
            return int(code)
    return _SERVER_ERROR


def _by_status(status: int) -> type[ModelHubError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if _FIRST_REDIRECT <= status < _FIRST_REFUSAL:
        return MalformedResponse
    if _FIRST_REFUSAL <= status < _SERVER_ERROR:
        return BadRequest
    return ServerError if _SERVER_ERROR <= status <= _LAST else UnclassifiedError


def _remedy(status: int, facts: ErrorFacts, cls: type[ModelHubError]) -> str | None:
    if _FIRST_REDIRECT <= status < _FIRST_REFUSAL:
        return _REDIRECTED
    if status == _NOT_FOUND and not facts.is_json:
        return _UNKNOWN_PATH
    if status == _FORBIDDEN and not facts.excerpt:
        return _NO_REASON
    return next((_REMEDY[base] for base in cls.__mro__ if base in _REMEDY), None)
