"""What the answer to a refused request says: message, the vendor's words, ids, waiting time.

Owns where vendors put these things. Decides nothing: the class of the error is ``status``'s.

Extraction never raises, whatever the body is: the status alone must still reach the caller.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, final

from modelhub.errors import MalformedResponse
from modelhub.wire.excerpt import clean, excerpt
from modelhub.wire.json import loads, loads_partial
from modelhub.wire.retry_after import header, retry_after, seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["ErrorFacts", "error_facts"]

Layer = dict[str, object]

_LOOK_AT = 256 * 1024
_MESSAGE = 500
_WORD = 100
_MOST_ITEMS = 3
_REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")
_INSIDE = ("error", "message", "detail", "errors")
_CODES = ("code", "type", "status", "error_type", "error_code")
_EXCEPTION = "__type"
_EXCEPTION_HEADER = "x-amzn-errortype"
"""https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html#operation-error-serialization"""
_USERINFO = re.compile(r"//[^/@]*@")
_FIRST_REFUSAL = 400
_FIRST_REDIRECT = 300
# "(prompt) N tokens > M maximum", "input token count (N) exceeds the maximum … (M)", "maximum context length
# is M tokens … N tokens"
_NUMBERS = (
    re.compile(r"(?P<input>\d{1,9}) tokens > (?P<size>\d{1,9}) maximum"),
    re.compile(r"token count \(?(?P<input>\d{1,9})\)? exceeds the maximum[^\d]{1,60}(?P<size>\d{1,9})"),
    re.compile(r"maximum context length is (?P<size>\d{1,9}) tokens[^\d]{1,80}(?P<input>\d{1,9}) tokens"),
)


@final
@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What one answer says about what went wrong. Text is one printable line, secrets masked.

    Attributes:
        status: The HTTP status; below 400 where the error came inside an answer that had begun well.
        message: The vendor's sentence, else the text of the body, else the status's own name; 500 bytes at
            most.
        codes: The vendor's words for the error, the most telling first; numbers are among them as text.
        parameter: The parameter at fault, where named.
        request_id: The vendor's id of the request.
        retry_after: Seconds the vendor asks to wait.
        should_retry: The vendor's own word on whether trying again makes sense.
        input_tokens, context_size: How long the prompt was and what the model takes, where the answer says
            so.
        url: Where to sign in, where the vendor says so.
        excerpt: The beginning of the body, 2 KB at most.
        is_json: Whether the body was JSON, or the beginning of it: the API itself answered, not a proxy.
    """

    status: int
    message: str
    codes: tuple[str, ...] = ()
    parameter: str | None = None
    request_id: str | None = None
    retry_after: float | None = None
    should_retry: bool | None = None
    input_tokens: int | None = None
    context_size: int | None = None
    url: str | None = None
    excerpt: str = ""
    is_json: bool = False

    @property
    def code(self) -> str | None:
        """The most telling of ``codes``: a word, or a number that is not merely the status again."""
        telling = [code for code in self.codes if not code.isdecimal()]
        telling += [code for code in self.codes if code.isdecimal() and code != str(self.status)]
        return telling[0] if telling else None


def error_facts(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    secrets: Sequence[str] = (),
) -> ErrorFacts:
    """Read what an answer says about its failure.

    Args:
        status: The HTTP status; that of the answer also where ``body`` is one document out of its stream.
        headers: The answer's headers.
        body: The whole body, or what came of it.
        now: Unix time in seconds; see ``retry_after``.
        secrets: Values that must not appear in any text, such as the key that was sent.
    """
    document = _document(body)
    layers = list(_layers(document, unwrap=True))
    content_type = header(headers, "content-type") or ""
    shown = excerpt(body, content_type, secrets=secrets)
    said = _message(layers, document) or _redirect(status, headers)
    message = clean(said, secrets=secrets, limit=_MESSAGE) or clean(shown, limit=_MESSAGE) or _phrase(status)
    input_tokens, context_size = _numbers(layers, message)
    return ErrorFacts(
        status=status,
        message=message,
        codes=tuple(dict.fromkeys(clean(code, secrets=secrets, limit=_WORD) for code in _codes(headers, layers))),
        parameter=_text(layers, "param", "parameter", secrets=secrets),
        request_id=_request_id(headers, layers, secrets),
        retry_after=_wait(headers, layers, now),
        should_retry={"true": True, "false": False}.get((header(headers, "x-should-retry") or "").strip().lower()),
        input_tokens=input_tokens,
        context_size=context_size,
        url=_text(layers, "signin_url", secrets=secrets),
        excerpt=shown,
        is_json=document is not None,
    )


def _document(body: bytes) -> object:
    """Parse the body as far as it goes; ``None`` where it is no JSON (and where it is ``null``)."""
    head = body[:_LOOK_AT]
    try:
        return loads(head) if len(head) == len(body) else loads_partial(head)
    except MalformedResponse:
        pass
    if not head.lstrip().startswith((b"{", b"[")):
        return None
    try:
        return loads_partial(head)
    except MalformedResponse:
        return None


def _layers(document: object, *, unwrap: bool) -> Iterator[Layer]:
    """Yield the objects that describe the error, the innermost first: it is the one that knows.

    ``unwrap``: whether a string may still be found to hold JSON, which some servers nest once.
    """
    if isinstance(document, list):
        document = document[0] if document else None
    if isinstance(document, str):
        if unwrap and document.lstrip().startswith(("{", "[")):
            yield from _layers(_document(document.encode("utf-8", "replace")), unwrap=False)
    elif isinstance(document, dict):
        for key in _INSIDE:
            yield from _layers(document.get(key), unwrap=unwrap)
        yield document


def _message(layers: Iterable[Layer], document: object) -> str:
    for layer in layers:
        for key in _INSIDE:
            found = _sentence(layer.get(key))
            if found:
                return found
    return _sentence(document)


def _sentence(value: object) -> str:
    """Return what a value says: a string itself, a list of complaints joined."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return "; ".join(filter(None, (_complaint(item) for item in value[:_MOST_ITEMS])))
    return ""


def _complaint(item: object) -> str:
    """Return one complaint of a validating server, ``{"loc": ["body", "model"], "msg": "…"}``, as words."""
    if not isinstance(item, dict):
        return item.strip() if isinstance(item, str) else ""
    said = item.get("msg") or item.get("message")
    if not isinstance(said, str):
        return ""
    place = item.get("loc")
    steps = place if isinstance(place, list) else []
    where = ".".join(str(step) for step in steps if isinstance(step, (str, int)))
    return f"{where}: {said}" if where else said


def _codes(headers: Mapping[str, str], layers: Iterable[Layer]) -> Iterator[str]:
    for layer in layers:
        details = layer.get("details")
        for detail in details if isinstance(details, list) else ():
            # The reason of an ErrorInfo is finer than the status beside it (https://google.aip.dev/193).
            if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
                yield detail["reason"]
        for key in _CODES:
            value = layer.get(key)
            if isinstance(value, str) and value:
                yield value
            elif isinstance(value, int) and not isinstance(value, bool):
                yield str(value)
        yield from _exception(layer.get(_EXCEPTION))
    yield from _exception(header(headers, _EXCEPTION_HEADER))


def _exception(value: object) -> Iterator[str]:
    """Yield the name of an exception, out of ``namespace#Name:where it is described``."""
    if isinstance(value, str):
        name = value.partition(":")[0].rpartition("#")[2].strip()
        if name:
            yield name


def _text(layers: Iterable[Layer], *keys: str, secrets: Sequence[str]) -> str | None:
    for value in (layer.get(key) for layer in layers for key in keys):
        if isinstance(value, str) and value:
            return clean(value, secrets=secrets, limit=_MESSAGE)
    return None


def _request_id(headers: Mapping[str, str], layers: Iterable[Layer], secrets: Sequence[str]) -> str | None:
    for name in _REQUEST_IDS:
        value = header(headers, name)
        if value:
            return clean(value, secrets=secrets, limit=_WORD)
    return _text(layers, "request_id", secrets=secrets)


def _wait(headers: Mapping[str, str], layers: Iterable[Layer], now: float | None) -> float | None:
    asked = retry_after(headers, now)
    for layer in layers if asked is None else ():
        details = layer.get("details")
        for detail in details if isinstance(details, list) else ():
            delay = detail.get("retryDelay") if isinstance(detail, dict) else None
            if isinstance(delay, str) and (wait := seconds(delay)) is not None:
                return wait
    return asked


def _numbers(layers: Iterable[Layer], message: str) -> tuple[int | None, int | None]:
    """Return the prompt's length and the context's size in tokens, from fields or else from the words."""
    for layer in layers:
        given, size = layer.get("n_prompt_tokens"), layer.get("n_ctx")
        if isinstance(given, int) and isinstance(size, int):
            return given, size
    for pattern in _NUMBERS:
        found = pattern.search(message)
        if found:
            return int(found["input"]), int(found["size"])
    return None, None


def _redirect(status: int, headers: Mapping[str, str]) -> str:
    if not _FIRST_REDIRECT <= status < _FIRST_REFUSAL:
        return ""
    target = _USERINFO.sub("//", (header(headers, "location") or "").partition("?")[0])
    return f"the server redirects to {target or 'nowhere'}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"the server answered {status} without a reason"
