"""An answer becomes the error that says who must act: by code, then status, the message last."""

import json
from pathlib import Path

import pytest

from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ContentFiltered,
    ContextLengthExceeded,
    CredentialsInvalid,
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
    Scope,
    ServerError,
    Timeout,
    UnclassifiedError,
    UnsupportedFeature,
)
from modelhub.wire.status import classify, error_class, error_facts

RECORDINGS = Path(__file__).parent.parent / "fixtures" / "ollama"


def of(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> ModelHubError:
    """Build the error for an answer."""
    return classify(status, error_facts(status, headers or {}, body))


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (400, BadRequest),
        (401, AuthenticationFailed),
        (402, QuotaExhausted),
        (403, PermissionDenied),
        (404, ModelNotFound),
        (405, UnsupportedFeature),
        (408, Timeout),
        (409, BadRequest),
        (410, ModelRetired),
        (413, RequestTooLarge),
        (415, BadRequest),
        (422, BadRequest),
        (424, ServerError),
        (429, RateLimited),
        (451, RegionBlocked),
        (498, AuthenticationFailed),
        (499, UnclassifiedError),
        (500, ServerError),
        (501, UnsupportedFeature),
        (502, ServerError),
        (503, Overloaded),
        (504, ServerError),
        (520, ServerError),
        (529, Overloaded),
        (307, MalformedResponse),
        (600, UnclassifiedError),
    ],
)
def test_the_status_decides_where_nothing_else_does(status: int, cls: type[ModelHubError]) -> None:
    """An empty body and a page give the class of their status."""
    assert type(of(status)) is cls
    assert type(of(status, b"<html><body>sorry</body></html>")) is cls


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (400, {"error": {"message": "x", "code": "context_length_exceeded"}}, ContextLengthExceeded),
        (
            400,
            {"error": {"code": 400, "type": "exceed_context_size_error", "message": "x"}},
            ContextLengthExceeded,
        ),
        (400, {"error": {"message": "x", "details": [{"reason": "API_KEY_INVALID"}]}}, AuthenticationFailed),
        (400, {"error": {"message": "x", "code": "content_filter"}}, ContentFiltered),
        (400, {"error": {"message": "x", "code": "unsupported_parameter"}}, UnsupportedFeature),
        (400, {"error": {"message": "x", "code": "model_not_found"}}, ModelNotFound),
        (
            401,
            {"error": {"message": "x", "type": "invalid_request_error", "code": "invalid_api_key"}},
            AuthenticationFailed,
        ),
        (403, {"error": {"message": "x", "code": "unsupported_country_region_territory"}}, RegionBlocked),
        (413, {"error": {"message": "x", "code": "rate_limit_exceeded"}}, RateLimited),
        (429, {"error": {"message": "x", "code": "insufficient_quota"}}, QuotaExhausted),
        (429, {"error": {"message": "x", "code": "project_spend_limit_exceeded"}}, QuotaExhausted),
        (429, {"error": "Model is overloaded", "error_type": "overloaded"}, Overloaded),
        (500, {"error": {"message": "x", "type": "overloaded_error"}}, Overloaded),
    ],
)
def test_the_vendors_code_beats_the_status(status: int, body: object, cls: type[ModelHubError]) -> None:
    """Words that several vendors share say more than the status they come with."""
    assert type(of(status, json.dumps(body).encode())) is cls


@pytest.mark.parametrize(
    ("status", "message", "cls"),
    [
        (400, "the input length exceeds the context length", ContextLengthExceeded),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", ContextLengthExceeded),
        (
            400,
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ContextLengthExceeded,
        ),
        (
            500,
            "input (900 tokens) is too large to process. increase the physical batch size",
            ContextLengthExceeded,
        ),
        (400, '"m" does not support tools', UnsupportedFeature),
        (500, "image input is not supported - hint: you may need the mmproj", UnsupportedFeature),
        (424, "model is not a re-ranker model", UnsupportedFeature),
        (400, "Your credit balance is too low", QuotaExhausted),
        (429, "Your account has reached its monthly spend limit", QuotaExhausted),
        (400, "API key not valid. Please pass a valid API key.", AuthenticationFailed),
        (500, 'invalid format: "5"; expected "json"', BadRequest),
        (500, 'option "stop" must be of type array', BadRequest),
        (503, "rate limit exceeded, slow down", RateLimited),
        (503, "Too Many Requests", RateLimited),
        (503, "request was throttled", RateLimited),
        (503, "server busy, please try again.  maximum pending requests exceeded", Overloaded),
        (503, "Loading model", Overloaded),
        (500, "CUDA out of memory", ServerError),
        (401, "this key does not support streaming", AuthenticationFailed),
    ],
)
def test_the_message_decides_last_and_narrowly(status: int, message: str, cls: type[ModelHubError]) -> None:
    """Only where statuses are known to lie does the sentence count."""
    assert type(of(status, json.dumps({"error": message}).encode())) is cls


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        ({"error": "an error was encountered while running the model: unexpected EOF"}, ServerError),
        ({"error": {"message": "upstream", "code": 502}}, ServerError),
        ({"error": {"message": "x", "code": 429}}, RateLimited),
        ({"error": {"message": "x", "code": 99999}}, ServerError),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded),
        ({"error": {"type": "invalid_request_error", "message": "x"}}, BadRequest),
        ({"error": {"code": 404, "status": "NOT_FOUND", "message": "x"}}, ModelNotFound),
        ({"error": {"code": "500", "message": "invalid format"}}, BadRequest),
    ],
)
def test_an_error_inside_a_good_answer_is_classified_by_its_words(body: object, cls: type[ModelHubError]) -> None:
    """Under status 200 the words stand in for the status; without any the endpoint is at fault."""
    error = of(200, json.dumps(body).encode())
    assert type(error) is cls
    assert error.status == 200
    assert not error.message.startswith("HTTP")


def test_a_providers_own_codes_come_first() -> None:
    """A plugin adds words, numbers among them, and overrides the core's."""
    facts = error_facts(400, {}, b'{"error":{"code":1113,"type":"invalid_api_key","message":"x"}}')
    assert error_class(400, facts) is AuthenticationFailed
    assert error_class(400, facts, {"1113": QuotaExhausted}) is QuotaExhausted
    error = classify(400, facts, {"1113": CredentialsInvalid})
    assert isinstance(error, CredentialsInvalid)
    assert error.status == 400
    facts = error_facts(400, {"x-amzn-errortype": "com.example#ThrottlingException:http://example.com"}, b"{}")
    assert error_class(400, facts, {"ThrottlingException": RateLimited}) is RateLimited


def test_the_error_carries_every_fact() -> None:
    """Status, code, ids, waiting time and excerpt reach the caller, and the request counts as sent."""
    error = of(429, b'{"error":{"message":"slow","code":"slow_down"}}', {"retry-after": "1.5", "request-id": "r1"})
    assert isinstance(error, RateLimited)
    assert (error.status, error.code, error.retry_after, error.request_id) == (429, "slow_down", 1.5, "r1")
    assert error.sent is True
    assert error.excerpt == '{"error":{"message":"slow","code":"slow_down"}}'
    assert str(error) == "HTTP 429: slow"


def test_facts_of_one_class_reach_its_attributes() -> None:
    """The parameter of a bad request, the numbers of a long prompt, the address to sign in."""
    bad = of(400, b'{"error":{"message":"x","param":"top_k"}}')
    assert isinstance(bad, BadRequest)
    assert bad.parameter == "top_k"
    long = of(400, b'{"error":{"message":"x","type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}')
    assert isinstance(long, ContextLengthExceeded)
    assert (long.input_tokens, long.context_size) == (9, 8)
    login = of(401, b'{"error":"unauthorized","signin_url":"https://x.example/connect"}')
    assert isinstance(login, AuthenticationFailed)
    assert login.url == "https://x.example/connect"


def test_the_vendors_word_on_retrying_wins() -> None:
    """x-should-retry overrides what the class would allow, in both directions."""
    assert of(529, b"", {"x-should-retry": "false"}).retry is Retry.NO
    assert of(400, b"", {"x-should-retry": "true"}).retry is Retry.SAME
    assert of(500, b"", {"x-should-retry": "true"}).retry is Retry.OTHER_DEPLOYMENT


@pytest.mark.parametrize(
    ("body", "retry"),
    [
        ({"error": "could not acquire a lock on the thread"}, Retry.SAME),
        ({"error": {"message": "x", "code": "resource_locked"}}, Retry.SAME),
        ({"error": "another call changes it, try again"}, Retry.SAME),
        ({"error": "concurrent modification"}, Retry.SAME),
        ({"error": "a file of this name exists"}, Retry.NO),
        ({"error": "blocked by a clock"}, Retry.NO),
    ],
)
def test_a_conflict_is_asked_again_where_a_lock_is_the_reason(body: object, retry: Retry) -> None:
    """It is a bad request all the same, and nobody's fault."""
    error = of(409, json.dumps(body).encode())
    assert (type(error), error.scope, error.retry) == (BadRequest, Scope.REQUEST, retry)
    assert of(409, json.dumps(body).encode(), {"x-should-retry": "false"}).retry is Retry.NO
    assert of(400, json.dumps(body).encode()).retry is Retry.NO


def test_the_servers_own_limit_of_time_is_that_of_the_first_content() -> None:
    """Nothing had come, and how long the server waited is not known."""
    error = of(408, b"", {"retry-after": "2"})
    assert isinstance(error, Timeout)
    assert (error.phase, error.seconds, error.scope, error.retry) == (
        "first_token",
        None,
        Scope.ENDPOINT,
        Retry.OTHER_DEPLOYMENT,
    )
    assert (error.status, error.sent, error.retry_after) == (408, True, 2)


@pytest.mark.parametrize(
    ("status", "body", "hint"),
    [
        (401, b"", "check the API key"),
        (403, b"", "it may refuse this Host or Origin"),
        (404, b"404 page not found", "check the base URL"),
        (404, b'{"error":"model \'x\' not found"}', "install the model on that server"),
        (308, b"", "put the final address into the base URL"),
    ],
)
def test_the_error_says_who_must_act(status: int, body: bytes, hint: str) -> None:
    """Where the user can do something, the error says what."""
    assert hint in str(of(status, body))


RECORDED = {
    "bad-origin": PermissionDenied,
    "busy": Overloaded,
    "chat-bad-name": BadRequest,
    "chat-bad-schema": BadRequest,
    "chat-embedding-model": UnsupportedFeature,
    "chat-empty-body": BadRequest,
    "chat-image-unsupported": UnsupportedFeature,
    "chat-keep-alive-bad": BadRequest,
    "chat-malformed": BadRequest,
    "chat-missing-model": ModelNotFound,
    "chat-missing-model-stream": ModelNotFound,
    "chat-stop-string": BadRequest,
    "chat-think-bad-level": BadRequest,
    "chat-think-unsupported": UnsupportedFeature,
    "chat-wrong-method": UnsupportedFeature,
    "delete-missing": ModelNotFound,
    "embed-bad-input": BadRequest,
    "embed-long-error": ContextLengthExceeded,
    "embed-missing-model": ModelNotFound,
    "generate-suffix-unsupported": UnsupportedFeature,
    "not-found": ModelNotFound,
    "show-missing": ModelNotFound,
    "v1-chat-missing-model": ModelNotFound,
}


def test_every_refusal_of_a_real_server_has_its_class() -> None:
    """Each recorded answer above 399 is classified, none is left over."""
    found = {}
    for path in RECORDINGS.glob("*.json"):
        answer = json.loads(path.read_text(encoding="utf-8"))["response"]
        if answer["status"] >= 400:
            facts = error_facts(answer["status"], answer["headers"], answer["body"].encode())
            found[path.stem] = error_class(answer["status"], facts)
    assert found == RECORDED
