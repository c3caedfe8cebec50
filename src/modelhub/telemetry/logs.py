"""A sink that writes to Python's logging: one line for each call."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import final

from modelhub.types.telemetry import CallEnded, CredentialDisabled, DeploymentEjected, DeploymentRecovered, Record
from modelhub.wire.excerpt import clean

__all__ = ["LogSink"]

_LONGEST = 500
"""Bytes of a line: names of models come from callers, and may be of any length."""


@final
class LogSink:
    """Writes a line when a call ends, and when a deployment or a credential comes or goes.

    What went well is logged at ``INFO``, as is a call whose caller went away; what failed at ``WARNING``. The record
    itself is the ``record`` of the line, for handlers that write more of it.

    Args:
        logger: Where to write; ``modelhub.calls`` by default.

    Example:
        >>> hub = ModelHub(sinks=[LogSink()])
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger("modelhub.calls")

    def __call__(self, record: Record) -> None:
        """Write what there is to write about a record."""
        level, text = _line(record)
        if text and self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", clean(text, limit=_LONGEST), extra={"record": record})

    def __repr__(self) -> str:
        return f"<LogSink {self._logger.name}>"


def _line(record: Record) -> tuple[int, str]:
    match record:
        case CallEnded():
            level = logging.WARNING if record.outcome == "failure" else logging.INFO
            return level, " ".join(_call(record))
        case DeploymentEjected():
            why = "" if record.error is None else f": {record.error}"
            return logging.WARNING, f"{record.deployment} gets no calls for {record.seconds:.1f} s{why}"
        case DeploymentRecovered():
            after = "" if record.seconds is None else f" after {record.seconds:.1f} s"
            return logging.INFO, f"{record.deployment} serves calls again{after}"
        case CredentialDisabled():
            until = "" if record.seconds is None else f" for {record.seconds:.0f} s"
            return logging.WARNING, f"the credential of {record.deployment} is not used{until}: {record.error}"
        case _:
            return logging.DEBUG, ""


def _call(record: CallEnded) -> Iterator[str]:
    """Yield the words of a call's line; what is not known is left out."""
    yield f"{record.outcome} {record.deployment or ', '.join(record.targets)}"
    yield f"{record.model_type.value}{' stream' if record.streamed else ''} {record.seconds:.3f}s"
    if record.first_content is not None:
        yield f"first={record.first_content:.3f}s"
    if record.attempts != 1:
        yield f"attempts={record.attempts}"
    if record.error is not None:
        yield f"error={record.error}"
    if record.finish_reason is not None:
        yield f"finish={record.finish_reason.value}"
    usage, cost = record.usage, record.cost
    if usage is not None and usage.input_tokens is not None:
        yield f"in={usage.input_tokens}"
    if usage is not None and usage.output_tokens is not None:
        yield f"out={usage.output_tokens}"
    if cost is not None and cost.total is not None:
        yield f"cost={cost.total:f}{cost.currency}"
    yield f"id={record.call}"
