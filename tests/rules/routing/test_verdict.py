"""What an error means for where it came from: the table on the page, and what goes over it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from modelhub import errors
from modelhub.errors import (
    AuthenticationFailed,
    BadRequest,
    ConnectFailed,
    ConnectionLost,
    CredentialsInvalid,
    MalformedResponse,
    ModelHubError,
    Overloaded,
    PluginError,
    RateLimited,
    Retry,
    Scope,
    ServerError,
    StreamInterrupted,
    Timeout,
)
from modelhub.rules.fold import folded
from modelhub.rules.routing.verdict import Verdict, may_be_charged, verdict
from modelhub.types.events import TextDelta

PAGE = (Path(__file__).parents[3] / "docs" / "errors.md").read_text("utf-8")
SECTION = PAGE.partition("## What it counts for")[2].partition("\n## ")[0]
ROWS = [
    (re.findall(r"`(\w+)`", line), [cell.strip() for cell in line.strip("|").split(" | ")[1:]])
    for line in SECTION.splitlines()
    if line.startswith("| `")
]
TABLE = {tuple(names): cells for names, cells in ROWS}
CLASSES = {
    name
    for name in errors.__all__
    if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), ModelHubError)
}
WORDS: dict[str, dict[str, object]] = {
    "the credential is out": {"credential": "disable"},
    "the credential rests": {"credential": "quota"},
    "for this model": {"model_only": True},
    "calls wait": {"cools": True},
    "fewer at once": {"overload": True},
    "one more try": {"once": True},
}


def error_of(name: str, phase: errors.Phase | None = None) -> ModelHubError:
    """Return an error of a class as it is by itself."""
    cls: type[ModelHubError] = getattr(errors, name)
    return Timeout("x", phase=phase, seconds=1) if phase else cls("x")


def said(cells: list[str]) -> Verdict:
    """Return the verdict that a row of the page gives."""
    fault, follows, same, cost = cells
    fields: dict[str, object] = {}
    for words in follows.split("; ") if follows != "—" else ():
        fields |= WORDS[words]
    return Verdict(fault=float(fault), same=same == "yes", cost=float(cost), **fields)  # type: ignore[arg-type]


def test_every_class_has_its_row() -> None:
    """A new class must be judged; a limit of time is judged by its phase."""
    assert {names[0] for names in TABLE} == CLASSES
    assert {names[1] for names in TABLE if names[0] == "Timeout"} == {"connect", "first_token", "idle", "total"}
    assert len(ROWS) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=" ".join)
def test_the_table_is_what_is_done(row: tuple[str, ...]) -> None:
    """Each class, as it is by itself, is judged as its row says."""
    assert verdict(error_of(*row)) == said(TABLE[row])  # type: ignore[arg-type]


@pytest.mark.parametrize("row", TABLE, ids=" ".join)
def test_whoever_is_not_an_endpoint_is_never_at_fault_as_one(row: tuple[str, ...]) -> None:
    """Requests, credentials, models, callers and this program are counted against no endpoint."""
    error = error_of(*row)  # type: ignore[arg-type]
    assert verdict(error).fault == 0 or error.scope is Scope.ENDPOINT


@pytest.mark.parametrize("row", TABLE, ids=" ".join)
def test_the_vendors_word_on_trying_again_goes_over_the_class(row: tuple[str, ...]) -> None:
    """`no` is never tried again at the same place, `same` always, and then it costs what a retry costs."""
    error = error_of(*row)  # type: ignore[arg-type]
    error.retry = Retry.NO
    assert verdict(error).same is False
    if not isinstance(error, StreamInterrupted):
        error.retry = Retry.SAME
        assert verdict(error).same is True
        assert verdict(error).cost == 1


def test_a_conflict_that_may_be_tried_again_is_tried_once() -> None:
    """The lock of a moment before is gone by then, or it is no lock."""
    conflict = BadRequest("locked", status=409)
    conflict.retry = Retry.SAME
    assert verdict(conflict) == Verdict(same=True, once=True)
    assert verdict(BadRequest("twice", status=409)) == Verdict(cost=0)


def test_a_form_that_a_vendor_refused_is_a_credential_that_is_out() -> None:
    """Without a status it was refused here, and the credential was never used."""
    assert verdict(CredentialsInvalid("no", status=400)).credential == "disable"
    assert verdict(CredentialsInvalid("no")).credential is None


@pytest.mark.parametrize(
    "cause",
    [
        ServerError("x"),
        Overloaded("x"),
        RateLimited("x"),
        AuthenticationFailed("x"),
        MalformedResponse("x"),
        PluginError("x"),
        ConnectFailed("x"),
        Timeout("x", phase="idle", seconds=1),
    ],
    ids=lambda cause: type(cause).__name__,
)
def test_an_interruption_is_judged_as_its_cause(cause: ModelHubError) -> None:
    """Whatever has come by then: of a whole answer the caller has seen nothing."""
    broken = StreamInterrupted("x", partial=folded([TextDelta(0, "half")]), cause=cause)
    broken.__cause__ = cause
    assert verdict(broken) == verdict(cause)


@pytest.mark.parametrize("row", TABLE, ids=" ".join)
def test_what_was_delivered_is_not_asked_again_by_itself(row: tuple[str, ...]) -> None:
    """With content in the caller's hand the same deployment is left alone; all else stays."""
    error = error_of(*row)  # type: ignore[arg-type]
    assert verdict(error, delivered=True) == replace(verdict(error), same=False)


def test_an_interruption_whose_cause_is_lost_is_judged_by_its_scope() -> None:
    """Pickles keep no causes; what was taken over still says whose fault it was."""
    assert verdict(StreamInterrupted("x", cause=ServerError("x"))).fault == 1
    assert verdict(StreamInterrupted("x", cause=PluginError("x"))).fault == 0


def test_a_caller_that_closes_its_stream_is_nobodys_fault() -> None:
    """The one who reads no further has found no fault."""
    closed = StreamInterrupted("closed while it was read")
    closed.scope, closed.retry = Scope.CALLER, Retry.NO
    assert verdict(closed) == Verdict(cost=0)


def test_what_may_be_billed_although_no_answer_came() -> None:
    """What was under way when nobody waited for it any more; not what was never sent, refused, or failed by itself."""
    late = Timeout("late", phase="total", seconds=1.0, sent=True)
    assert may_be_charged(late)
    assert may_be_charged(StreamInterrupted("cut", partial=None))
    assert may_be_charged(KeyboardInterrupt())
    gave_up = Timeout("late", phase="total", seconds=None, sent=True)
    gave_up.status = 408
    unsent = Timeout("late", phase="connect", seconds=1.0, sent=False)
    for error in (gave_up, unsent, ServerError("x", sent=True), ConnectionLost("x", sent=True)):
        assert not may_be_charged(error)
