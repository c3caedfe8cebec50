"""What a server says about a failure is found wherever vendors put it, and nothing can break the reading."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.wire.facts import ErrorFacts, error_facts

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "error",
                    "message",
                    "detail",
                    "errors",
                    "code",
                    "type",
                    "details",
                    "reason",
                    "loc",
                    "msg",
                    "param",
                    "n_ctx",
                    "n_prompt_tokens",
                    "retryDelay",
                    "signin_url",
                    "request_id",
                    "status",
                    "__type",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def said(body: bytes, status: int = 400, content_type: str = "application/json") -> str:
    """Return the message found in a body."""
    return error_facts(status, {"content-type": content_type}, body).message


@given(
    ANY_JSON,
    st.integers(-1, 1000),
    st.dictionaries(st.text(max_size=8) | st.just("x-amzn-errortype"), st.text(max_size=8)),
    st.integers(0, 200),
)
def test_no_body_raises(document: object, status: int, headers: dict[str, str], cut: int) -> None:
    """Vendor-like JSON of any shape, whole, cut off or nested as text, gives a message."""
    body = json.dumps(document).encode()
    for data in (body, body[:cut], json.dumps({"error": body.decode()}).encode()):
        facts = error_facts(status, headers, data)
        assert facts.message
        assert facts.message.isprintable()
        assert len(facts.message.encode()) <= 500


@given(st.binary())
def test_no_bytes_raise(body: bytes) -> None:
    """Any bytes give a message."""
    assert error_facts(500, {}, body).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"inner"},"message":"outer"}', "inner"),
        (b'{"error":"text","message":"outer"}', "text"),
        (b'{"message":"x"}', "x"),
        (b'{"detail":"x"}', "x"),
        (
            b'{"detail":[{"loc":["body","messages",0],"msg":"field required"},{"msg":"bad"}]}',
            "body.messages.0: field required; bad",
        ),
        (b'{"detail":["a","b"]}', "a; b"),
        (b'{"detail":{"message":"x"}}', "x"),
        (b'{"errors":[{"message":"x"}]}', "x"),
        (b'{"errors":["x"]}', "x"),
        (b'[{"error":{"message":"x"}}]', "x"),
        (b'{"error":{"message":"{\\"error\\":{\\"message\\":\\"wrapped\\"}}"}}', "wrapped"),
        (b'{"error":"{\\"error\\":{\\"message\\":\\"wrapped\\"}}"}', "wrapped"),
        (b'{"error":{"message":"model x not fo', "model x not fo"),
        (b'"just text"', "just text"),
        (b'{"unknown":"shape"}', '{"unknown":"shape"}'),
        (b"plain words", "plain words"),
        (b"null", "null"),
        (b"", "Bad Request"),
        (b"[]", "[]"),
        (b"  \n ", "Bad Request"),
    ],
)
def test_the_message_is_found_in_every_shape(body: bytes, message: str) -> None:
    """Objects, lists, text, JSON inside text, cut JSON: the innermost sentence wins."""
    assert said(body) == message


def test_html_gives_its_text_and_an_unknown_status_a_sentence() -> None:
    """A proxy's page is no message, its words are."""
    assert said(b"<html><body><h1>502 Bad Gateway</h1></body></html>", 502, "text/html") == "502 Bad Gateway"
    assert said(b"", 520) == "the server answered 520 without a reason"


def test_two_megabytes_are_cut_to_a_message() -> None:
    """Text and JSON of any size give a short message and an excerpt of 2 KB."""
    for body in (b"x" * 2_000_000, b'{"error":"' + b"x" * 2_000_000 + b'"}'):
        facts = error_facts(400, {}, body)
        assert facts.message.startswith("xxx")
        assert len(facts.message.encode()) <= 500
        assert len(facts.excerpt.encode()) <= 2048


def test_the_vendors_words_come_most_telling_first() -> None:
    """A reason beats a code, a code a type; numbers are words too, but no status is shown as the code."""
    facts = error_facts(
        400,
        {},
        b'{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"x","details":[{"reason":"API_KEY_INVALID"}]}}',
    )
    assert facts.codes == ("API_KEY_INVALID", "400", "INVALID_ARGUMENT")
    assert facts.code == "API_KEY_INVALID"
    assert error_facts(400, {}, b'{"error":{"code":"c","type":"t","message":"x"}}').codes == ("c", "t")
    assert error_facts(400, {}, b'{"error":"Model is overloaded","error_type":"overloaded"}').code == "overloaded"
    assert error_facts(400, {}, b'{"error":{"code":1113}}').code == "1113"
    assert error_facts(400, {}, b'{"error":{"code":400}}').code is None
    assert error_facts(400, {}, b'{"error":{"code":true,"type":null}}').codes == ()


@pytest.mark.parametrize(
    "written",
    [
        "ThrottlingException",
        "com.example.runtime#ThrottlingException",
        "ThrottlingException:http://internal.example.com/errors/",
        " com.example#ThrottlingException:http://internal.example.com/#errors ",
    ],
)
def test_the_name_of_an_exception_is_a_code(written: str) -> None:
    """In the body or in a header, without the namespace before it and what follows a colon."""
    body = json.dumps({"__type": written, "message": "slow down"}).encode()
    assert error_facts(400, {}, body).codes == ("ThrottlingException",)
    assert error_facts(400, {"X-Amzn-ErrorType": written}, b'{"message":"slow down"}').codes == ("ThrottlingException",)
    facts = error_facts(400, {"x-amzn-errortype": written}, body)
    assert (facts.codes, facts.code) == (("ThrottlingException",), "ThrottlingException")


def test_what_a_body_says_is_more_telling_than_a_header() -> None:
    """Where they differ, both are there; what is no name is none."""
    body = b'{"error":{"code":"too_long","message":"x"},"__type":"ValidationException"}'
    facts = error_facts(400, {"x-amzn-errortype": "Other"}, body)
    assert facts.codes == ("too_long", "ValidationException", "Other")
    for nothing in ("", " ", "#", ":", "x#", ":http://example.com"):
        assert error_facts(400, {"x-amzn-errortype": nothing}, json.dumps({"__type": nothing}).encode()).codes == ()
    assert error_facts(400, {}, b'{"__type":{"a":1}}').codes == ()


def test_what_else_the_answer_knows() -> None:
    """Parameter, request id, sign-in address, both token counts and the wish to wait or not to try again."""
    facts = error_facts(
        401,
        {"X-Request-Id": "req-1", "x-should-retry": "false", "retry-after": "2"},
        b'{"error":"unauthorized","param":"model","signin_url":"https://x.example/connect?key=abc"}',
    )
    assert (facts.parameter, facts.request_id, facts.retry_after, facts.should_retry) == (
        "model",
        "req-1",
        2.0,
        False,
    )
    assert facts.url == "https://x.example/connect?key=abc"
    assert error_facts(500, {"x-should-retry": "true"}, b"").should_retry is True
    assert error_facts(500, {"x-should-retry": "?"}, b'{"request_id":"req-2"}').should_retry is None
    assert error_facts(500, {}, b'{"request_id":"req-2"}').request_id == "req-2"


def test_a_wait_inside_the_body_counts_if_no_header_says_one() -> None:
    """Some vendors say how long in the details of the error."""
    body = b'{"error":{"details":["x",{"retryDelay":1},{"retryDelay":"46s"}]}}'
    assert error_facts(429, {}, body).retry_after == 46.0
    assert error_facts(429, {"retry-after": "1"}, body).retry_after == 1.0
    assert error_facts(429, {}, b'{"error":{"details":[{"retryDelay":"soon"}]}}').retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"x","n_prompt_tokens":3010,"n_ctx":2048}}',
        b'{"error":"{\\"error\\":{\\"n_prompt_tokens\\":3010,\\"n_ctx\\":2048}}"}',
        b'{"error":{"message":"prompt is too long: 3010 tokens > 2048 maximum"}}',
        b'{"error":{"message":"The input token count (3010) exceeds the maximum number of tokens (2048)."}}',
        b'{"error":"maximum context length is 2048 tokens. However, your messages resulted in 3010 tokens."}',
    ],
)
def test_both_numbers_of_a_prompt_too_long(body: bytes) -> None:
    """From fields or from the sentence: how long the prompt was and what the model takes."""
    facts = error_facts(400, {}, body)
    assert (facts.input_tokens, facts.context_size) == (3010, 2048)


def test_a_redirect_names_its_target_without_credentials() -> None:
    """Where it leads is what the user must know, without what the address carries."""
    headers = {"Location": "https://user:pass@elsewhere.example/v1?key=abc"}
    assert error_facts(307, headers, b"").message == "the server redirects to https://elsewhere.example/v1"
    assert error_facts(302, {}, b"").message == "the server redirects to nowhere"


def test_secrets_appear_in_no_field() -> None:
    """A key that the server echoes anywhere is masked everywhere."""
    key = "sk-abcdef123"
    body = json.dumps({"error": {"message": f"bad {key}", "code": key, "param": key}, "signin_url": key}).encode()
    facts = error_facts(401, {"x-request-id": key}, body, secrets=[key])
    assert key not in repr([getattr(facts, field.name) for field in fields(ErrorFacts)])


def test_whether_the_api_itself_answered() -> None:
    """JSON, whole or cut, is the API; a page or nothing is somebody before it."""
    assert error_facts(404, {}, b'{"error":"x"}').is_json
    assert error_facts(404, {}, b'{"error":"x').is_json
    assert not error_facts(404, {}, b"404 page not found").is_json
    assert not error_facts(404, {}, b"").is_json
