"""The logging sink: one line for each call, at a level that fits, of what is known and nothing else."""

import logging
from decimal import Decimal
from typing import Any

import pytest

from modelhub.telemetry import LogSink
from modelhub.types.cost import Cost
from modelhub.types.events import FinishReason
from modelhub.types.schema import ModelType
from modelhub.types.telemetry import (
    CallEnded,
    CallStarted,
    CredentialDisabled,
    DeploymentEjected,
    DeploymentRecovered,
    Record,
)
from modelhub.types.usage import Usage


def ended(**facts: Any) -> CallEnded:
    """Make the record of a call's end of which little is known."""
    unknown: dict[str, Any] = {
        "call": "call_1",
        "targets": ("a/b", "c/d"),
        "model_type": ModelType.LLM,
        "streamed": False,
        "outcome": "success",
        "error": None,
        "deployment": None,
        "attempts": 0,
        "seconds": 1.5,
        "at": 0.0,
        "first_content": None,
        "finish_reason": None,
        "usage": None,
        "cost": None,
    }
    return CallEnded(**{**unknown, **facts})


WHOLE = ended(
    streamed=True,
    deployment="a/b#key",
    attempts=1,
    seconds=0.4567,
    first_content=0.1,
    finish_reason=FinishReason.STOP,
    usage=Usage(12, 34),
    cost=Cost({"input": Decimal("0.00002"), "output": Decimal("0.0001")}, "USD"),
)


@pytest.mark.parametrize(
    ("record", "level", "line"),
    [
        (
            WHOLE,
            logging.INFO,
            "success a/b#key llm stream 0.457s first=0.100s finish=stop in=12 out=34 cost=0.00012USD id=call_1",
        ),
        (
            ended(outcome="failure", error="Overloaded", attempts=3, deployment="c/d", usage=Usage()),
            logging.WARNING,
            "failure c/d llm 1.500s attempts=3 error=Overloaded id=call_1",
        ),
        (ended(outcome="cancelled"), logging.INFO, "cancelled a/b, c/d llm 1.500s attempts=0 id=call_1"),
        (
            ended(outcome="abandoned", cost=Cost({}, "USD", unknown=("output",)), targets=("a/b\n\x1b[31mc",)),
            logging.INFO,
            r"abandoned a/b \x1b[31mc llm 1.500s attempts=0 id=call_1",
        ),
        (
            DeploymentEjected("a/b", "ServerError", 5.0, 0.0),
            logging.WARNING,
            "a/b gets no calls for 5.0 s: ServerError",
        ),
        (DeploymentEjected("a/b", None, 5.0, 0.0), logging.WARNING, "a/b gets no calls for 5.0 s"),
        (DeploymentRecovered("a/b", 7.25, 0.0), logging.INFO, "a/b serves calls again after 7.2 s"),
        (DeploymentRecovered("a/b", None, 0.0), logging.INFO, "a/b serves calls again"),
        (
            CredentialDisabled("a/b#k", "AuthenticationFailed", None, 0.0),
            logging.WARNING,
            "the credential of a/b#k is not used: AuthenticationFailed",
        ),
        (
            CredentialDisabled("a/b#k", "QuotaExhausted", 3600.0, 0.0),
            logging.WARNING,
            "the credential of a/b#k is not used for 3600 s: QuotaExhausted",
        ),
    ],
)
def test_a_line(record: Record, level: int, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is one printable line; what is not known is not in it, and the record itself goes with it."""
    caplog.set_level(logging.DEBUG, logger="modelhub.calls")
    LogSink()(record)
    (logged,) = caplog.records
    assert (logged.name, logged.levelno, logged.getMessage()) == ("modelhub.calls", level, line)
    assert logged.__dict__["record"] is record


def test_what_is_logged_elsewhere_or_not_at_all(caplog: pytest.LogCaptureFixture) -> None:
    """Other records make no line, nor does one below the logger's level."""
    caplog.set_level(logging.WARNING, logger="mine")
    sink = LogSink(logging.getLogger("mine"))
    sink(CallStarted("call_1", ("a/b",), ModelType.LLM, streamed=False, at=0.0))
    sink(WHOLE)
    assert caplog.records == []
    sink(ended(outcome="failure", targets=("a/" + "b" * 5000,)))
    assert [record.name for record in caplog.records] == ["mine"]
    assert len(caplog.records[0].getMessage()) <= 500
    assert repr(sink) == "<LogSink mine>"
