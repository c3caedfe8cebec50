"""What both type checkers must infer about requests. Read by them, never run."""

from dataclasses import dataclass
from typing import TypeVar, assert_type

from modelhub.types.requests import ChatRequest, EmbedRequest, Request
from modelhub.types.results import ChatResult, EmbedResult, Result

R = TypeVar("R", bound=Result)


@dataclass
class Invoice:
    """A shape that an answer may be asked to have."""

    total: float


def result_of(request: Request[R]) -> R:
    """Stand for whatever takes a request and gives its result."""
    raise NotImplementedError(request)


def the_result_follows_the_request(plain: ChatRequest[None], shaped: ChatRequest[Invoice]) -> None:
    """A request names its result: nobody states the type a second time, and nobody casts."""
    assert_type(result_of(plain), ChatResult[None])
    assert_type(result_of(shaped).output, Invoice)
    assert_type(result_of(EmbedRequest(model="acme/vectors", texts=["one"])), EmbedResult)
